"""Errors that carry the decision: a stable code, the HTTP status, and the sentence that a person reads.

    HeliographError
    ├── Refused            the request is at fault: nothing was written
    │   ├── Unauthenticated   401   no token, or one that is unknown, revoked or expired
    │   ├── Forbidden         403   suspended account, sender of another account
    │   ├── NotFound          404   no such thing in this account
    │   ├── MethodNotAllowed  405
    │   ├── Conflict          409   the thing exists already, or it is too late
    │   ├── TooLarge          413
    │   ├── BadRequest        400   cannot be read at all
    │   ├── Invalid           422   read, but a field is missing or wrong
    │   └── TooManyRequests   429   retry_after_s says when
    ├── Unavailable        503   nothing was written: disk full, database locked, queue full, stopping
    └── ChannelRefused     a carrier said no to a call other than a send (registering, media, checks)

`message` is shown to customers unchanged; it never holds an exception's own text.
"""

from collections.abc import Mapping


class HeliographError(Exception):
    """The root. `code` is stable; `http_status` is what the API answers; `retry_after_s` is set where waiting helps."""

    code = "error"
    http_status = 500

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.retry_after_s = retry_after_s


class Refused(HeliographError):
    code, http_status = "refused", 400


class BadRequest(Refused):
    code, http_status = "bad_request", 400


class Unauthenticated(Refused):
    code, http_status = "unauthenticated", 401

    def __init__(self, message: str = "Unauthenticated.") -> None:
        super().__init__(message)


class Forbidden(Refused):
    code, http_status = "forbidden", 403


class NotFound(Refused):
    code, http_status = "not_found", 404


class MethodNotAllowed(Refused):
    code, http_status = "method_not_allowed", 405

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(f"This address answers to {' and '.join(allowed)} only.")
        self.allowed = allowed


class Conflict(Refused):
    code, http_status = "conflict", 409


class TooLarge(Refused):
    code, http_status = "too_large", 413


class Invalid(Refused):
    """A field is missing or wrong. `errors` maps each field to its sentences; `message` is the first of them."""

    code, http_status = "invalid", 422

    def __init__(self, errors: Mapping[str, list[str]], *, code: str | None = None) -> None:
        super().__init__(next(iter(errors.values()))[0], code=code)
        self.errors = dict(errors)

    @classmethod
    def field(cls, name: str, sentence: str, *, code: str | None = None) -> "Invalid":
        return cls({name: [sentence]}, code=code)


class TooManyRequests(Refused):
    code, http_status = "too_many_requests", 429

    def __init__(self, retry_after_s: float, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        super().__init__("Too Many Attempts.", retry_after_s=retry_after_s)
        self.headers = headers or []


class Unavailable(HeliographError):
    """Nothing was written, and the same request may succeed later."""

    code, http_status = "unavailable", 503


class ChannelRefused(HeliographError):
    """A carrier said no to a call that is not a send. `advice` tells the operator what to do."""

    code, http_status = "channel_refused", 502

    def __init__(self, message: str, *, code: str, carrier_code: str | None = None, advice: str = "") -> None:
        super().__init__(message, code=code)
        self.carrier_code = carrier_code
        self.advice = advice
