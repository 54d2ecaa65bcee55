"""Conversations: one per account and person who has written, for the inbox."""

from alembic import op

from heliograph.store.migrations.words import spell

revision = "0003"
down_revision = "0002"

SCHEMA = """
CREATE TABLE conversation (
    account_id BIGINT NOT NULL,
    person TEXT NOT NULL,
    connection_id BIGINT NOT NULL,
    profile_name TEXT NOT NULL,
    last_inbound_at_ms BIGINT NOT NULL,
    unread BIGINT NOT NULL,
    assignee_id BIGINT,
    done_at_ms BIGINT,
    PRIMARY KEY (account_id, person)
) {clustered};
CREATE INDEX conversation_open_by_time ON conversation (account_id, last_inbound_at_ms, person) WHERE done_at_ms IS NULL;
CREATE INDEX conversation_done_by_time ON conversation (account_id, last_inbound_at_ms, person) WHERE done_at_ms IS NOT NULL;
CREATE TABLE conversation_note (
    account_id BIGINT NOT NULL,
    id {id} NOT NULL,
    person TEXT NOT NULL,
    user_id BIGINT NOT NULL,
    text TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (account_id, id)
) {clustered};
CREATE INDEX conversation_note_by_person ON conversation_note (account_id, person, id);
INSERT INTO conversation (account_id, person, connection_id, profile_name, last_inbound_at_ms, unread)
    SELECT account_id, person, max(connection_id), '', max(created_at_ms), count(*) FROM message
    WHERE direction = 'incoming' AND state = 'received' GROUP BY account_id, person;
"""


def upgrade() -> None:
    for part in spell(SCHEMA, op.get_bind().dialect.name):
        op.execute(part)
