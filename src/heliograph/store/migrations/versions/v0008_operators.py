"""The audit log, sessions that act for another account, and a quick way to the callbacks with trouble."""

from alembic import op

from heliograph.store.migrations.words import spell

revision = "0008"
down_revision = "0007"

SCHEMA = """
CREATE TABLE audit_event (
    id {id} PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    account_id BIGINT,
    user_id BIGINT,
    actor TEXT NOT NULL,
    as_operator {flag} NOT NULL,
    name TEXT NOT NULL,
    subject TEXT NOT NULL,
    address TEXT NOT NULL
);
CREATE INDEX audit_event_by_account ON audit_event (account_id, id);
ALTER TABLE portal_session ADD COLUMN acting_account_id BIGINT;
CREATE INDEX callback_by_trouble ON callback (id) WHERE trouble IS NOT NULL;
"""


def upgrade() -> None:
    for part in spell(SCHEMA, op.get_bind().dialect.name):
        op.execute(part)
