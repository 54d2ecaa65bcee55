"""A carrier's side of the wire, scripted by the test: a real HTTP server that answers, stalls, or cuts the connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from heliograph.channels.contract import Connection, Outgoing
from heliograph.channels.whatsapp.channel import WhatsApp

NUMBER = "100000000000001"
ACCOUNT = "200000000000002"
TOKEN = "EAATestTokenOfTheSystemUser0123456789"
SECRET = "app-secret-for-tests"
ACCEPTED: dict[str, Any] = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": "+15550100002", "wa_id": "15550100002"}],
    "messages": [{"id": "wamid.HBgL"}],
}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Asked(Struct, frozen=True):
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Carrier:
    """Answers each request by the next of `script`, and by its last one ever after."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: list[Answer] = [answering(ACCEPTED)]
        self.released = asyncio.Event()  # ends every stalled answer
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def will(self, *answers: Answer) -> None:
        self.script = list(answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.method, request.path, dict(request.query), headers, await request.read()))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return await answer(request)

    async def stall(self, request: web.Request) -> web.StreamResponse:
        """Nothing comes, until the test is over."""
        await self.released.wait()
        return web.Response()

    async def stall_in_body(self, request: web.Request) -> web.StreamResponse:
        """The head comes, and half of the body."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"messages":[{"id":')
        await self.released.wait()
        return response


def answering(content: object, status: int = 200, **headers: str) -> Answer:
    """An answer of JSON, or of the bytes given."""
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers={"Content-Type": "application/json", **named})

    return answer


def in_pieces(*pieces: bytes, status: int = 200, length: bool = True) -> Answer:
    """The body in as many packets, with a turn of the loop and more between them; its length told beforehand or not."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        if length:
            response.content_length = sum(map(len, pieces))
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.01)  # so that the kernel sends them apart; nothing depends on it
        return response

    return answer


async def cut(request: web.Request) -> web.StreamResponse:
    """The request was read, and the connection ends without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut_in_body(request: web.Request) -> web.StreamResponse:
    """The head promises more than comes."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"messages":[{"id":"wamid.')
    assert request.transport is not None
    request.transport.close()
    return response


def error(code: int, message: str = "", *, status: int = 400, **more: Any) -> Answer:
    return answering({"error": {"message": message, "type": "OAuthException", "code": code, **more}}, status)


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Carrier]:
    carrier = Carrier()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{rest:.*}", carrier.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    carrier.port = runner.addresses[0][1]
    try:
        yield carrier
    finally:
        carrier.released.set()
        await runner.cleanup()


@contextlib.asynccontextmanager
async def speaking(timeout_s: float = 20.0, connect_timeout_s: float = 10.0) -> AsyncIterator[WhatsApp]:
    channel = WhatsApp(timeout_s=timeout_s, connect_timeout_s=connect_timeout_s, max_connections=10)
    try:
        yield channel
    finally:
        await channel.close()


def connection_to(base_url: str, **changes: Any) -> Connection:
    return Connection(
        **{
            "phone_number_id": NUMBER,
            "business_account_id": ACCOUNT,
            "token": TOKEN,
            "app_secret": SECRET,
            "base_url": base_url,
            "api_version": "v26.0",
            **changes,
        }
    )


def outgoing(**changes: Any) -> Outgoing:
    return Outgoing(**{"reference": "r-1", "recipient": "15550100002", "text": "Your order is packed.", **changes})
