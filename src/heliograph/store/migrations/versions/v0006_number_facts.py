"""What the carrier last said of a number, when it verified our callback address, and when it last called."""

from alembic import op

from heliograph.store.migrations.words import spell

revision = "0006"
down_revision = "0005"

SCHEMA = """
ALTER TABLE connection ADD COLUMN facts TEXT;
ALTER TABLE connection ADD COLUMN facts_at_ms BIGINT;
ALTER TABLE connection ADD COLUMN verified_at_ms BIGINT;
ALTER TABLE connection ADD COLUMN heard_at_ms BIGINT;
"""


def upgrade() -> None:
    for part in spell(SCHEMA, op.get_bind().dialect.name):
        op.execute(part)
