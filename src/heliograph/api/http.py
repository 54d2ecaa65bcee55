"""Requests and answers over ASGI, with the limits that protect a server from what it is sent."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from heliograph.accounts.tokens import Principal
from heliograph.config import Settings
from heliograph.core.ids import new_id, uid_of
from heliograph.errors import BadRequest, Refused, TooLarge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = b"application/json"
ID_LENGTHS = range(1, 129)
# A client that is still writing does not listen: of a body that is refused as too large, so much is read and forgotten.
LINGER_BYTES, LINGER_S = 16_777_216, 2.0
# The server takes a moment to give up reading when we do; what we say before that is never sent, and the client hangs.
LET_GO_S = 0.1


class TooSlow(Refused):
    code, http_status = "too_slow", 408


class Gone(Exception):
    """The client left before it had said everything."""


class Guard:
    """Cancels the running task after a time, and says that it did: asyncio.timeout at a third of its price."""

    __slots__ = ("struck", "task", "timer")

    def __init__(self, timeout_s: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.struck = False
        self.timer = asyncio.get_running_loop().call_later(timeout_s, self._strike)

    def _strike(self) -> None:
        self.struck = True
        self.task.cancel()


class Answer:
    """What goes back. `headers` are added to content type and length."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        body: bytes,
        status: int = 200,
        headers: list[tuple[bytes, bytes]] | None = None,
        content_type: bytes = JSON,
    ) -> None:
        self.body = body
        self.status = status
        self.headers = headers or []
        self.content_type = content_type


class Request:
    """One request. `path` has no doubled and no trailing slash; header names are lower case."""

    __slots__ = ("_receive", "body", "caller", "headers", "method", "path", "query", "request_id", "scheme", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.path = plain_path(scope["path"])
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.scheme: str = scope.get("scheme", "http")
        self.request_id = read_request_id(self.headers.get(b"x-request-id"))
        self.body = b""
        self.caller: Principal | None = None  # once recognised

    def check_headers(self, most_bytes: int) -> None:
        """Raises Refused (431) when all headers together are larger than `most_bytes`."""
        if sum(len(name) + len(value) for name, value in self.scope["headers"]) > most_bytes:
            raise HeadersTooLarge("The headers of this request are too large.")

    async def read_body(self, most_bytes: int, timeout_s: float) -> bytes:
        """Raises TooLarge, TooSlow, or Gone when the client left."""
        declared = self.headers.get(b"content-length")
        if declared is not None and (not declared.isdigit() or int(declared) > most_bytes):
            if not declared.isdigit():
                raise BadRequest("The Content-Length header is not a number.")
            await self._forget_the_rest()
            raise TooLarge(f"A request body may have at most {most_bytes} bytes.")
        if declared == b"0" or (declared is None and b"transfer-encoding" not in self.headers):
            return b""
        guard = Guard(timeout_s)
        chunks: list[bytes] = []
        size = 0
        try:
            while True:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > most_bytes:
                    guard.timer.cancel()
                    await self._forget_the_rest()
                    raise TooLarge(f"A request body may have at most {most_bytes} bytes.")
                chunks.append(chunk)
                if not message.get("more_body", False):
                    break
        except asyncio.CancelledError:
            if not guard.struck:
                raise
            guard.task.uncancel()
            await asyncio.sleep(LET_GO_S)
            raise TooSlow("The request body did not arrive in time.") from None
        finally:
            guard.timer.cancel()
        self.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return self.body

    def client_address(self, settings: Settings) -> str:
        """The caller's IP address, '' where it is not known. Behind a trusted proxy: the one that the proxy saw."""
        if settings.trust_forwarded and (forwarded := self.headers.get(b"x-forwarded-for")):
            return forwarded.rsplit(b",", 1)[-1].strip().decode("latin-1")
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    async def _forget_the_rest(self) -> None:
        """Let the client finish, within bounds; one that asks before it sends (100-continue) is answered at once."""
        if b"expect" in self.headers:
            return
        size = 0
        try:
            async with asyncio.timeout(LINGER_S):
                while size < LINGER_BYTES:
                    message = await self._receive()
                    size += len(message.get("body", b""))
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        return
        except TimeoutError:
            await asyncio.sleep(LET_GO_S)

    def public_base(self, settings: Settings) -> str:
        """The address by which the caller reached us, without a slash at its end."""
        if settings.public_url:
            return settings.public_url.rstrip("/")
        host = self.headers.get(b"host", b"localhost")
        scheme = self.scheme
        if settings.trust_forwarded:
            host = self.headers.get(b"x-forwarded-host", host).split(b",")[0].strip()
            scheme = self.headers.get(b"x-forwarded-proto", scheme.encode()).split(b",")[0].strip().decode("latin-1")
        return f"{scheme}://{host.decode('latin-1')}"


class HeadersTooLarge(Refused):
    code, http_status = "headers_too_large", 431


def plain_path(path: str) -> str:
    """Doubled and trailing slashes mean nothing: callers glue base addresses and paths together in every way."""
    if "//" in path:
        path = "/" + "/".join(part for part in path.split("/") if part)
    elif len(path) > 1 and path[-1] == "/":
        path = path[:-1]
    return path or "/"


def read_request_id(given: bytes | None) -> str:
    """The caller's id for the request if it is usable, else a new one."""
    if given is not None and len(given) in ID_LENGTHS and all(33 <= byte <= 126 for byte in given):
        return given.decode("ascii")
    return uid_of(new_id())


async def send_answer(send: Send, answer: Answer, *, without_body: bool = False) -> None:
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", b"%d" % len(answer.body)),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if without_body else answer.body})
