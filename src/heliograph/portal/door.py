"""The door: works out who calls, puts the headers on every answer, compresses it, and turns errors into pages."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

import msgspec

from heliograph.accounts.sessions import recognise_visitor
from heliograph.core.ids import new_secret
from heliograph.portal import languages
from heliograph.portal.security import HEADERS, HTTPS_HEADER, cookie_name
from heliograph.portal.visit import GUEST_COOKIE, SAID_COOKIE, SESSION_COOKIE, THEME_COOKIE, THEMES, Caller, Desk, Said

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

SMALLEST_COMPRESSED = 600


async def pass_door(desk: Desk, app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Run one request through the pages' application."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    cookies = read_cookies(headers.get(b"cookie", b""))
    base_url = public_base(desk, scope, headers)
    secure = base_url.startswith("https:")
    token = cookies.get(cookie_name(SESSION_COOKIE, secure=secure), "")
    guest_name = cookie_name(GUEST_COOKIE, secure=secure)
    guest = cookies.get(guest_name, "")
    fresh_guest = ""
    visitor = None
    if not scope["path"].startswith("/static/"):
        visitor = await recognise_visitor(desk.runtime, token) if token else None
        if visitor is None and not guest:
            guest = fresh_guest = new_secret(24)
    scope.setdefault("state", {})
    scope["state"]["visitor"] = visitor
    scope["state"]["caller"] = Caller(
        base_url=base_url,
        address=caller_address(desk, scope, headers),
        agent=headers.get(b"user-agent", b"").decode("latin-1"),
        secure=secure,
        cookie=token if visitor else guest,
        language=desk.pages.languages.choose(
            cookies.get(languages.COOKIE, ""), headers.get(b"accept-language", b"").decode("latin-1")
        ),
        said=read_said(desk, cookies.get(SAID_COOKIE, "")),
        theme=cookies.get(THEME_COOKIE) if cookies.get(THEME_COOKIE) in THEMES else None,
    )
    extra = [*HEADERS, *([HTTPS_HEADER] if secure else [])]
    if fresh_guest:
        attributes = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
        extra.append((b"set-cookie", f"{guest_name}={fresh_guest}{attributes}".encode()))
    receive = Patient(receive, desk.runtime.settings.body_timeout_s)
    accepts_gzip = b"gzip" in headers.get(b"accept-encoding", b"")
    await app(scope, receive, Finisher(send, extra, accepts_gzip=accepts_gzip))


class Patient:
    """Gives a request's body so much time and no more: whoever sends a byte a minute does not keep us busy."""

    def __init__(self, receive: Receive, within_s: float) -> None:
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + within_s
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:  # now it only waits for the browser to leave
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        self._whole = not message.get("more_body", False)
        return message


class Finisher:
    """Puts our headers on an answer, and compresses one that comes whole. What streams goes through as it is."""

    def __init__(self, send: Send, extra: list[tuple[bytes, bytes]], *, accepts_gzip: bool) -> None:
        self._send = send
        self._extra = extra
        self._accepts_gzip = accepts_gzip
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {name for name, _ in message["headers"]}
            headers = [*message["headers"], *((n, v) for n, v in self._extra if n == b"set-cookie" or n not in names)]
            if b"cache-control" not in names:
                headers.append((b"cache-control", b"no-store"))
            message["headers"] = headers
            self._start = message
            return
        if self._start is not None:
            start, self._start = self._start, None
            if (
                self._accepts_gzip
                and not message.get("more_body")
                and len(message.get("body", b"")) > SMALLEST_COMPRESSED
            ):
                message = {**message, "body": compress(start, message["body"])}
            await self._send(start)
        await self._send(message)


def compress(start: Message, body: bytes) -> bytes:
    """Pack the text of an answer. What BREACH could guess by lengths is kept out: a form's token is masked anew on each page,
    a token of the API is shown in one answer only, and cookies do not come back in a body."""
    headers = {name: value for name, value in start["headers"] if name != b"set-cookie"}
    if b"content-encoding" in headers or not headers.get(b"content-type", b"").startswith((b"text/", b"application/j")):
        return body
    packed = gzip.compress(body, 5, mtime=0)
    kept = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    start["headers"] = [
        *kept,
        (b"content-length", b"%d" % len(packed)),
        (b"content-encoding", b"gzip"),
        (b"vary", b"accept-encoding"),
    ]
    return packed


def read_cookies(header: bytes) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header.decode("latin-1")).items()}
    except CookieError:
        return {}


def read_said(desk: Desk, cookie: str) -> Said | None:
    text = desk.csrf.read_signed(cookie) if cookie else None
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Said)
    except msgspec.DecodeError:
        return None


def public_base(desk: Desk, scope: Scope, headers: dict[bytes, bytes]) -> str:
    """The address by which the caller reached us, without a slash at its end."""
    settings = desk.runtime.settings
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host, scheme = headers.get(b"host", b"localhost"), scope.get("scheme", "http")
    if settings.trust_forwarded:
        host = headers.get(b"x-forwarded-host", host).split(b",")[0].strip()
        scheme = headers.get(b"x-forwarded-proto", scheme.encode()).split(b",")[0].strip().decode("latin-1")
    return f"{scheme}://{host.decode('latin-1')}"


def caller_address(desk: Desk, scope: Scope, headers: dict[bytes, bytes]) -> str:
    """The network address that asks; behind a proxy, the one that the proxy saw (the last of the list)."""
    if desk.runtime.settings.trust_forwarded and b"x-forwarded-for" in headers:
        return headers[b"x-forwarded-for"].split(b",")[-1].strip().decode("latin-1")[:64]
    client = scope.get("client")
    return str(client[0]) if client else ""
