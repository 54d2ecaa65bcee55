"""What a token may do, until when and from where; and the last API calls of each account."""

from alembic import op

from heliograph.store.migrations.words import spell

revision = "0004"
down_revision = "0003"

SCHEMA = """
ALTER TABLE api_token ADD COLUMN scopes TEXT NOT NULL DEFAULT 'send read';
ALTER TABLE api_token ADD COLUMN expires_at_ms BIGINT;
ALTER TABLE api_token ADD COLUMN allowed_networks TEXT NOT NULL DEFAULT '';
CREATE TABLE api_call (
    account_id BIGINT NOT NULL,
    id {id} NOT NULL,
    token_id BIGINT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    http_status SMALLINT NOT NULL,
    code TEXT NOT NULL,
    sentence TEXT NOT NULL,
    request_id TEXT NOT NULL,
    address TEXT NOT NULL,
    took_ms BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (account_id, id)
) {clustered};
"""


def upgrade() -> None:
    for part in spell(SCHEMA, op.get_bind().dialect.name):
        op.execute(part)
