"""Every `code` that an error of the API carries: its HTTP status, what it means, and what to do. Served at /docs/errors."""

from msgspec import Struct


class ErrorCode(Struct, frozen=True):
    http_status: int
    meaning: str
    advice: str


ERROR_CODES: dict[str, ErrorCode] = {
    "bad_request": ErrorCode(400, "The request cannot be read at all.", "Compare it with the examples."),
    "malformed_json": ErrorCode(
        400, "The body begins like JSON, or says it is, and cannot be read as a JSON object.", "Send a JSON object."
    ),
    "malformed_form": ErrorCode(
        400, "The query or the form body cannot be read.", "Encode it as UTF-8 and percent-escape it."
    ),
    "unauthenticated": ErrorCode(
        401,
        "There is no token, or it is unknown, revoked or expired.",
        "Send `Authorization: Bearer <token>`, or `api_token` in the body for /api/http.",
    ),
    "forbidden": ErrorCode(403, "This is not allowed.", "Ask whoever runs this installation."),
    "scope_missing": ErrorCode(403, "The token may not do this.", "Make a token with the scope that this needs."),
    "address_not_allowed": ErrorCode(
        403, "The token may not be used from this address.", "Call from an address on its list, or change the list."
    ),
    "account_suspended": ErrorCode(403, "The account is suspended.", "Ask whoever runs this installation."),
    "sender_not_approved": ErrorCode(
        403, "The account has no sender of this name.", "Use a registered sender, or have this one registered."
    ),
    "wrong_signature": ErrorCode(
        403, "A callback's signature does not fit its body.", "Check the app secret of the number."
    ),
    "wrong_verify_token": ErrorCode(
        403, "The verify token is not that of the callback address.", "Copy address and token together."
    ),
    "not_found": ErrorCode(404, "There is no such thing in this account.", "Check the identifier."),
    "no_such_address": ErrorCode(404, "There is nothing at this address.", "Compare the path with the reference."),
    "message_not_found": ErrorCode(
        404, "This account has no message with this uid.", "Use the uid of a send answer or of the list."
    ),
    "not_offered": ErrorCode(
        404, "The protocol knows this address; this server does not offer it yet.", "Do without it for now."
    ),
    "method_not_allowed": ErrorCode(405, "The address exists; the method does not.", "Use one that `Allow` names."),
    "too_slow": ErrorCode(408, "The body did not arrive in time.", "Send it again, faster."),
    "conflict": ErrorCode(409, "It exists already, or it is too late.", "Read the message."),
    "too_late": ErrorCode(
        409, "The message cannot be cancelled: it has left or is leaving right now.", "View it to see its fate."
    ),
    "too_large": ErrorCode(413, "The body is too large.", "Split the recipients over several requests."),
    "invalid": ErrorCode(422, "A field is missing or wrong.", "`errors` has the sentences of each field."),
    "idempotency_key_reused": ErrorCode(
        422, "The Idempotency-Key was used with another request.", "Use a fresh key for each request."
    ),
    "too_many_requests": ErrorCode(429, "The token's limit is used up.", "Wait as long as `Retry-After` says."),
    "headers_too_large": ErrorCode(431, "The headers are too large.", "Send fewer or shorter ones."),
    "server_error": ErrorCode(
        500, "Something went wrong on the server; nothing was promised.", "Try again; report the request_id."
    ),
    "unavailable": ErrorCode(503, "The server cannot do this now. Nothing was stored.", "Try again later."),
    "overloaded": ErrorCode(503, "Too many requests wait. Nothing was stored.", "Try again after `Retry-After`."),
    "stopping": ErrorCode(503, "The server is stopping. Nothing was stored.", "Try again in a moment."),
    "storage_busy": ErrorCode(503, "The database is busy. Nothing was stored.", "Try again in a second."),
    "storage_full": ErrorCode(503, "The server's disk is full or failing. Nothing was stored.", "Tell the operator."),
    "storage_damaged": ErrorCode(503, "The server's database is damaged. Nothing was stored.", "Tell the operator."),
    "storage_unavailable": ErrorCode(503, "The database cannot be used now. Nothing was stored.", "Try again later."),
    "storage_refused": ErrorCode(503, "The database refuses this server. Nothing was stored.", "Tell the operator."),
    "storage_unsure": ErrorCode(
        503,
        "The database was lost while it stored this, and nobody could be asked whether it did.",
        "Try again with the same Idempotency-Key, or look at the list of messages first.",
    ),
    "sealed_with_another_key": ErrorCode(
        503, "The number's credentials were sealed with another key.", "The operator must restore secret_key."
    ),
}
