"""The road of a message: accounts, senders, messages, queues, evidence, raw callbacks."""

from alembic import op

from heliograph.store.migrations.words import spell

revision = "0001"
down_revision = None

SCHEMA = """
CREATE TABLE account (
    id {number_id},
    name TEXT NOT NULL,
    time_zone TEXT NOT NULL DEFAULT 'UTC',
    default_country TEXT,
    default_sender TEXT,
    suspended_at_ms BIGINT,
    created_at_ms BIGINT NOT NULL
);
CREATE TABLE account_user (
    id {number_id},
    account_id BIGINT NOT NULL REFERENCES account (id),
    email TEXT NOT NULL,
    email_folded TEXT NOT NULL CONSTRAINT one_user_per_email UNIQUE,
    name TEXT NOT NULL DEFAULT '',
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL DEFAULT 'owner' CONSTRAINT role_is_known CHECK (role IN ('owner', 'member', 'viewer')),
    created_at_ms BIGINT NOT NULL,
    last_login_at_ms BIGINT
);
CREATE INDEX account_user_by_account ON account_user (account_id);
CREATE TABLE api_token (
    id {number_id},
    account_id BIGINT NOT NULL REFERENCES account (id),
    name TEXT NOT NULL,
    secret_sha256 {bytes} NOT NULL,
    rate_limit_per_minute BIGINT,
    created_at_ms BIGINT NOT NULL,
    last_used_at_ms BIGINT,
    revoked_at_ms BIGINT
);
CREATE INDEX api_token_by_account ON api_token (account_id);
CREATE TABLE connection (
    id {number_id},
    account_id BIGINT NOT NULL REFERENCES account (id),
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    business_account TEXT NOT NULL DEFAULT '',
    display_number TEXT NOT NULL,
    sealed_secrets {bytes} NOT NULL,
    app_mark {bytes} NOT NULL,
    callback_uid {id} NOT NULL CONSTRAINT one_connection_per_callback_address UNIQUE,
    verify_token TEXT NOT NULL,
    base_url TEXT NOT NULL,
    api_version TEXT NOT NULL,
    use_appsecret_proof {flag} NOT NULL DEFAULT {no},
    pace_per_s BIGINT NOT NULL,
    hold_code TEXT,
    hold_sentence TEXT,
    held_until_ms BIGINT,
    owner {id},
    owned_until_ms BIGINT,
    created_at_ms BIGINT NOT NULL,
    CONSTRAINT one_connection_per_number UNIQUE (account_id, channel, address),
    CONSTRAINT a_hold_has_a_reason CHECK ((hold_code IS NULL) = (hold_sentence IS NULL))
);
CREATE TABLE sender (
    account_id BIGINT NOT NULL REFERENCES account (id),
    name_folded TEXT NOT NULL,
    name TEXT NOT NULL,
    channel TEXT NOT NULL,
    connection_id BIGINT NOT NULL REFERENCES connection (id),
    window_template_name TEXT,
    window_template_language TEXT,
    resend_unknown {flag} NOT NULL DEFAULT {no},
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (account_id, name_folded),
    CONSTRAINT a_window_template_has_a_language
        CHECK ((window_template_name IS NULL) = (window_template_language IS NULL))
) {clustered};
CREATE TABLE message_count (
    account_id BIGINT PRIMARY KEY REFERENCES account (id),
    last_seq BIGINT NOT NULL
);
CREATE TABLE message (
    account_id BIGINT NOT NULL,
    id {id} NOT NULL,
    seq BIGINT NOT NULL,
    direction TEXT NOT NULL CONSTRAINT direction_is_known CHECK (direction IN ('outgoing', 'incoming')),
    channel TEXT NOT NULL,
    connection_id BIGINT NOT NULL,
    sender TEXT NOT NULL,
    person TEXT NOT NULL,
    person_user_id TEXT,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    media_url TEXT,
    template TEXT,
    sms_type TEXT NOT NULL,
    details TEXT,
    state TEXT NOT NULL,
    state_rank SMALLINT NOT NULL,
    failure_code TEXT,
    failure_sentence TEXT,
    carrier_message_id TEXT,
    carrier_message_key BIGINT,
    segments SMALLINT NOT NULL,
    cost TEXT NOT NULL,
    schedule_at_ms BIGINT,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    PRIMARY KEY (account_id, id),
    CONSTRAINT failed_message_has_a_reason CHECK (state <> 'failed' OR failure_code IS NOT NULL)
) {clustered};
CREATE UNIQUE INDEX message_by_seq ON message (account_id, seq);
CREATE INDEX message_by_person ON message (account_id, person, seq);
CREATE INDEX message_by_carrier_id ON message (account_id, carrier_message_key) WHERE carrier_message_key IS NOT NULL;
CREATE INDEX message_by_sparse_state ON message (account_id, state, seq)
    WHERE state IN ('unknown', 'expired', 'sent', 'failed', 'cancelled', 'received');
CREATE TABLE message_event (
    account_id BIGINT NOT NULL,
    message_id {id} NOT NULL,
    name TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    source TEXT NOT NULL,
    code TEXT,
    carrier_code TEXT,
    sentence TEXT,
    raw TEXT,
    PRIMARY KEY (account_id, message_id, name)
) {clustered};
CREATE TABLE send_due (
    account_id BIGINT NOT NULL,
    message_id {id} NOT NULL,
    connection_id BIGINT NOT NULL,
    lane SMALLINT NOT NULL,
    due_at_ms BIGINT NOT NULL,
    attempts SMALLINT NOT NULL DEFAULT 0,
    as_template {flag} NOT NULL DEFAULT {no},
    owner {id},
    lease_until_ms BIGINT,
    PRIMARY KEY (account_id, message_id),
    CONSTRAINT a_claim_has_an_end CHECK ((owner IS NULL) = (lease_until_ms IS NULL))
) {clustered};
CREATE INDEX send_due_by_connection ON send_due (connection_id, lane, due_at_ms) WHERE owner IS NULL;
CREATE INDEX send_due_by_lease ON send_due (lease_until_ms) WHERE owner IS NOT NULL;
CREATE TABLE callback (
    account_id BIGINT NOT NULL,
    id {id} NOT NULL,
    connection_id BIGINT NOT NULL,
    received_at_ms BIGINT NOT NULL,
    body {bytes} NOT NULL,
    trouble TEXT,
    PRIMARY KEY (account_id, id)
) {clustered};
CREATE TABLE callback_due (
    account_id BIGINT NOT NULL,
    callback_id {id} NOT NULL,
    due_at_ms BIGINT NOT NULL,
    attempts SMALLINT NOT NULL DEFAULT 0,
    owner {id},
    lease_until_ms BIGINT,
    PRIMARY KEY (account_id, callback_id)
) {clustered};
CREATE INDEX callback_due_by_time ON callback_due (due_at_ms) WHERE owner IS NULL;
CREATE INDEX callback_due_by_lease ON callback_due (lease_until_ms) WHERE owner IS NOT NULL;
CREATE TABLE errand_due (
    account_id BIGINT NOT NULL,
    message_id {id} NOT NULL,
    kind TEXT NOT NULL CONSTRAINT errand_is_known CHECK (kind IN ('fetch_media', 'mark_read')),
    connection_id BIGINT NOT NULL,
    subject TEXT NOT NULL,
    due_at_ms BIGINT NOT NULL,
    attempts SMALLINT NOT NULL DEFAULT 0,
    owner {id},
    lease_until_ms BIGINT,
    PRIMARY KEY (account_id, message_id, kind)
) {clustered};
CREATE INDEX errand_due_by_time ON errand_due (due_at_ms) WHERE owner IS NULL;
CREATE INDEX errand_due_by_lease ON errand_due (lease_until_ms) WHERE owner IS NOT NULL;
CREATE TABLE person_window (
    account_id BIGINT NOT NULL,
    connection_id BIGINT NOT NULL,
    person TEXT NOT NULL,
    last_inbound_at_ms BIGINT NOT NULL,
    PRIMARY KEY (account_id, connection_id, person)
) {clustered};
CREATE TABLE opt_out (
    account_id BIGINT NOT NULL,
    connection_id BIGINT NOT NULL,
    person TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (account_id, connection_id, person)
) {clustered};
CREATE TABLE connection_event (
    account_id BIGINT NOT NULL,
    id {id} NOT NULL,
    connection_id BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    name TEXT NOT NULL,
    sentence TEXT NOT NULL,
    raw TEXT,
    PRIMARY KEY (account_id, id)
) {clustered};
CREATE INDEX connection_event_by_connection ON connection_event (account_id, connection_id, id);
CREATE TABLE template_hold (
    account_id BIGINT NOT NULL,
    business_account TEXT NOT NULL,
    name TEXT NOT NULL,
    language TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    code TEXT NOT NULL,
    sentence TEXT NOT NULL,
    PRIMARY KEY (account_id, business_account, name, language)
) {clustered};
CREATE TABLE idempotency_key (
    account_id BIGINT NOT NULL,
    key_sha256 {bytes} NOT NULL,
    request_sha256 {bytes} NOT NULL,
    http_status SMALLINT NOT NULL,
    answer {bytes} NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (account_id, key_sha256)
) {clustered};
CREATE INDEX idempotency_key_by_age ON idempotency_key (created_at_ms);
"""


def upgrade() -> None:
    for part in spell(SCHEMA, op.get_bind().dialect.name):
        op.execute(part)
