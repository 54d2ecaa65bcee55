"""Log-in sessions of the portal, and the counting of failed log-ins."""

from alembic import op

from heliograph.store.migrations.words import spell

revision = "0002"
down_revision = "0001"

SCHEMA = """
CREATE TABLE portal_session (
    id {id} PRIMARY KEY,
    token_sha256 {bytes} NOT NULL CONSTRAINT one_session_per_token UNIQUE,
    user_id BIGINT NOT NULL REFERENCES account_user (id),
    address TEXT NOT NULL,
    agent TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    last_seen_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL
);
CREATE INDEX portal_session_by_user ON portal_session (user_id);
CREATE INDEX portal_session_by_end ON portal_session (expires_at_ms);
CREATE TABLE login_failure (
    subject TEXT PRIMARY KEY,
    failures BIGINT NOT NULL,
    since_ms BIGINT NOT NULL
);
CREATE INDEX login_failure_by_age ON login_failure (since_ms);
"""


def upgrade() -> None:
    for part in spell(SCHEMA, op.get_bind().dialect.name):
        op.execute(part)
