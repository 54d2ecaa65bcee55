"""What the audit log's words mean, and what the queues hold, in plain ones."""

from heliograph.portal.languages import N_

QUEUES = {
    "send_due": N_("Messages to send"),
    "callback_due": N_("Callbacks to apply"),
    "errand_due": N_("Files to fetch, read marks to send"),
}
NAMES = {
    "token_created": N_("made a token"),
    "token_revoked": N_("revoked a token"),
    "number_connected": N_("connected a number"),
    "number_paused": N_("paused a number"),
    "number_resumed": N_("resumed a number"),
    "number_removed": N_("removed a number"),
    "sender_added": N_("added a sender"),
    "sender_removed": N_("removed a sender"),
    "member_invited": N_("invited somebody"),
    "member_removed": N_("removed a member"),
    "role_changed": N_("changed a role"),
    "password_changed": N_("changed their password"),
    "second_factor_on": N_("turned their second factor on"),
    "second_factor_off": N_("turned their second factor off"),
    "account_suspended": N_("suspended the account"),
    "account_allowed": N_("allowed the account again"),
    "operator_added": N_("made an operator of"),
    "operator_removed": N_("took the operator's right from"),
    "rate_limit_set": N_("set a token's limit"),
    "acting_began": N_("began to act for the account"),
    "acting_ended": N_("stopped acting for the account"),
    "callback_replayed": N_("replayed a callback"),
    "callbacks_replayed": N_("replayed all callbacks with trouble"),
}
