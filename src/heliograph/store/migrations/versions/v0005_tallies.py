"""Tallies of messages by day, so that no page counts the messages themselves."""

from alembic import op

from heliograph.store.migrations.words import spell

revision = "0005"
down_revision = "0004"

SCHEMA = """
CREATE TABLE tally_day (
    account_id BIGINT NOT NULL,
    day TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    counted_at_ms BIGINT NOT NULL,
    PRIMARY KEY (account_id, day)
) {clustered};
CREATE TABLE tally_message (
    account_id BIGINT NOT NULL,
    day TEXT NOT NULL,
    sender TEXT NOT NULL,
    country TEXT NOT NULL,
    state TEXT NOT NULL,
    failure_code TEXT NOT NULL,
    messages BIGINT NOT NULL,
    PRIMARY KEY (account_id, day, sender, country, state, failure_code)
) {clustered};
CREATE TABLE tally_hour (
    account_id BIGINT NOT NULL,
    day TEXT NOT NULL,
    hour SMALLINT NOT NULL,
    messages BIGINT NOT NULL,
    PRIMARY KEY (account_id, day, hour)
) {clustered};
CREATE TABLE tally_answer (
    account_id BIGINT NOT NULL,
    day TEXT NOT NULL,
    up_to_ms BIGINT NOT NULL,
    answers BIGINT NOT NULL,
    PRIMARY KEY (account_id, day, up_to_ms)
) {clustered};
"""


def upgrade() -> None:
    for part in spell(SCHEMA, op.get_bind().dialect.name):
        op.execute(part)
