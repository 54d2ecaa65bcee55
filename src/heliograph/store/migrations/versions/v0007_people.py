"""People: operators, confirmed addresses, second factors, links sent by mail, and letters for who has no mail server."""

from alembic import op

from heliograph.store.migrations.words import spell

revision = "0007"
down_revision = "0006"

SCHEMA = """
ALTER TABLE account_user ADD COLUMN is_operator {flag} NOT NULL DEFAULT {no};
ALTER TABLE account_user ADD COLUMN email_confirmed_at_ms BIGINT;
ALTER TABLE account_user ADD COLUMN sealed_totp {bytes};
ALTER TABLE account_user ADD COLUMN totp_step BIGINT NOT NULL DEFAULT 0;
CREATE TABLE recovery_code (
    user_id BIGINT NOT NULL REFERENCES account_user (id),
    code_sha256 {bytes} NOT NULL,
    PRIMARY KEY (user_id, code_sha256)
) {clustered};
CREATE TABLE mail_link (
    token_sha256 {bytes} PRIMARY KEY,
    purpose TEXT NOT NULL CONSTRAINT purpose_is_known CHECK (purpose IN ('confirm', 'reset', 'invite')),
    email TEXT NOT NULL,
    email_folded TEXT NOT NULL,
    account_id BIGINT NOT NULL REFERENCES account (id),
    role TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL
);
CREATE INDEX mail_link_by_account ON mail_link (account_id, purpose);
CREATE INDEX mail_link_by_email ON mail_link (email_folded, purpose);
CREATE INDEX mail_link_by_end ON mail_link (expires_at_ms);
CREATE TABLE letter (
    id {id} PRIMARY KEY,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX letter_by_time ON letter (created_at_ms);
"""


def upgrade() -> None:
    for part in spell(SCHEMA, op.get_bind().dialect.name):
        op.execute(part)
