"""Templates of the carrier's business accounts, as they were fetched last."""

from alembic import op

from heliograph.store.migrations.words import spell

revision = "0009"
down_revision = "0008"

SCHEMA = """
CREATE TABLE message_template (
    account_id BIGINT NOT NULL,
    business_account TEXT NOT NULL,
    name TEXT NOT NULL,
    language TEXT NOT NULL,
    carrier_id TEXT NOT NULL,
    category TEXT NOT NULL,
    status TEXT NOT NULL,
    quality TEXT NOT NULL,
    rejected_reason TEXT NOT NULL,
    parameter_format TEXT NOT NULL,
    components TEXT NOT NULL,
    seen_at_ms BIGINT NOT NULL,
    PRIMARY KEY (account_id, business_account, name, language)
) {clustered};
CREATE INDEX message_template_by_carrier_id ON message_template (account_id, carrier_id);
CREATE INDEX message_template_by_name ON message_template (account_id, name, language, business_account);
CREATE TABLE template_sync (
    account_id BIGINT NOT NULL,
    business_account TEXT NOT NULL,
    synced_at_ms BIGINT NOT NULL,
    trouble TEXT NOT NULL,
    PRIMARY KEY (account_id, business_account)
) {clustered};
"""


def upgrade() -> None:
    for part in spell(SCHEMA, op.get_bind().dialect.name):
        op.execute(part)
