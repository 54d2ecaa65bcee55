"""What every handler of the API shares, and what happens to each request before its handler sees it."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from heliograph.accept.storing import Acceptor, Key
from heliograph.accounts.tokens import Principal, TokenDesk
from heliograph.api.envelope import render_success
from heliograph.api.http import Answer, Request
from heliograph.api.rate_limit import RateLimits
from heliograph.api.reading import Parameters, find_token, read_parameters
from heliograph.errors import Invalid, Unauthenticated
from heliograph.runtime import Runtime
from heliograph.store.idempotency import KeptAnswer

NO_STORE = (b"cache-control", b"no-store")
REPLAYED = (b"idempotent-replayed", b"true")
LONGEST_KEY = 255


class Counter(Struct, frozen=True):
    """What handlers work with."""

    runtime: Runtime
    desk: TokenDesk
    acceptor: Acceptor
    limits: RateLimits


class Call(Struct, frozen=True):
    """One authenticated call: who, what, from where. `captured` is the {uid} of the path."""

    counter: Counter
    request: Request
    flavour: str  # v3 or http
    principal: Principal
    parameters: Parameters
    captured: str = ""

    @property
    def account_id(self) -> int:
        return self.principal.account.id

    @property
    def base_path(self) -> str:
        """The public address of this flavour."""
        return f"{self.request.public_base(self.counter.runtime.settings)}/api/{self.flavour}"


Handler = Callable[[Call], Awaitable[Answer]]


async def open_call(
    counter: Counter, request: Request, flavour: str, captured: str, scope: str, headers: list[tuple[bytes, bytes]]
) -> Call:
    """Read the parameters, recognise the token, check its scope, count the request.

    Appends the header fields of the limit to `headers`.

    Raises what is wrong; 401 comes before any complaint about a field."""
    settings = counter.runtime.settings
    body = await request.read_body(settings.max_body_bytes, settings.body_timeout_s)
    parameters = read_parameters(request.method, request.query, request.headers.get(b"content-type"), body)
    text = find_token(request.headers, parameters)
    if not text:
        raise Unauthenticated
    principal = counter.desk.recognise_known(text) or await counter.desk.recognise(text)
    request.caller = principal
    principal.check_may(scope, request.client_address(settings) if principal.networks else "")
    token = principal.token
    headers += counter.limits.take(token.id, token.rate_limit_per_minute)
    return Call(counter, request, flavour, principal, parameters, captured)


def success(data: Any, message: str | None = None, headers: list[tuple[bytes, bytes]] | None = None) -> Answer:
    return Answer(render_success(data, message), headers=headers)


# Idempotency-Key (draft-ietf-httpapi-idempotency-key-header)


def idempotency_key(call: Call) -> Key | None:
    """The key of this request, or None. The fingerprint covers address, method and every parameter but the token."""
    given = call.request.headers.get(b"idempotency-key")
    if given is None or call.request.method != "POST":
        return None
    if not 1 <= len(given) <= LONGEST_KEY:
        raise Invalid.field("Idempotency-Key", f"An Idempotency-Key has 1 to {LONGEST_KEY} characters.")
    fingerprint = hashlib.sha256()
    fingerprint.update(call.request.path.encode())
    fingerprint.update(repr(sorted((k, v) for k, v in call.parameters.values.items() if k != "api_token")).encode())
    return Key(call.account_id, hashlib.sha256(given).digest(), fingerprint.digest())


def replayed(kept: KeptAnswer, key: Key) -> Answer:
    """The answer that the key got before. Raises Invalid when it belongs to another request."""
    if kept.request_sha256 != key.request_sha256:
        raise Invalid.field(
            "Idempotency-Key", "This Idempotency-Key was used with another request.", code="idempotency_key_reused"
        )
    return Answer(kept.answer, kept.http_status, [REPLAYED])
