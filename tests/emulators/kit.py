"""A client and a callback receiver of our own, which know the wire only from its papers."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from heliograph.emulators.cloud_api import defaults
from heliograph.emulators.cloud_api.options import Options
from heliograph.emulators.cloud_api.server import Running

NUMBER = defaults.PHONE_NUMBER_ID
WABA = defaults.WABA_ID
PERSON = "31612345678"
WITHIN_S = 15.0
QUICK: dict[str, Any] = {
    "port": 0,
    "sent_after_s": 0.01,
    "delivered_after_s": 0.03,
    "read_after_s": 0.06,
    "late_after_s": 0.5,
    "review_after_s": 0.02,
    "retry_first_s": 0.02,
    "retry_longest_s": 0.2,
}


class Receiver:
    """Takes callbacks; each must be signed over its raw bytes with the app secret."""

    def __init__(self, app_secret: str = defaults.APP_SECRET, verify_token: str = "word") -> None:
        self.app_secret, self.verify_token = app_secret, verify_token
        self.bodies: list[bytes] = []
        self.wrong: list[str] = []
        self.verifications = 0
        self.answer: Callable[[int], int] = lambda _so_far: 200  # the status for the n-th callback
        self.came = asyncio.Event()
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            self.verifications += 1
            query = request.query
            if query["hub.mode"] != "subscribe" or query["hub.verify_token"] != self.verify_token:
                return web.Response(status=403)
            return web.Response(text=query["hub.challenge"])
        raw = await request.read()
        expected = hmac.new(self.app_secret.encode(), raw, hashlib.sha256).hexdigest()
        if request.headers.get("X-Hub-Signature-256") != f"sha256={expected}":
            self.wrong.append(raw.decode())
        if request.content_type != "application/json":
            self.wrong.append(request.content_type)
        status = self.answer(len(self.bodies))
        self.bodies.append(raw)
        self.came.set()
        return web.Response(status=status)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Receiver"]:
        application = web.Application(client_max_size=10_000_000)
        application.router.add_route("*", "/hook", self.handle)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
            yield self
        finally:
            await runner.cleanup()
        assert not self.wrong, self.wrong

    def changes(self) -> list[dict[str, Any]]:
        """Every change that was told, with the entry's own keys, in the order of arrival."""
        found = []
        for raw in self.bodies:
            body = msgspec.json.decode(raw)
            assert body["object"] == "whatsapp_business_account"
            for entry in body["entry"]:
                found += [{"entry": entry, **change} for change in entry["changes"]]
        return found

    def statuses(self, wamid: str | None = None) -> list[dict[str, Any]]:
        values = [change["value"] for change in self.changes() if change["field"] == "messages"]
        found = [status for value in values for status in value.get("statuses", ())]
        return [status for status in found if wamid in (None, status["id"])]

    def words(self, wamid: str | None = None) -> list[str]:
        return [status["status"] for status in self.statuses(wamid)]

    def inbound(self) -> list[dict[str, Any]]:
        values = [change["value"] for change in self.changes() if change["field"] == "messages"]
        return [message for value in values for message in value.get("messages", ())]

    async def until(self, fits: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
        """Wait for callbacks until it is true."""
        async with asyncio.timeout(within_s):
            while not (found := fits()):
                self.came.clear()
                await self.came.wait()
            return found

    async def until_word(self, wamid: str, word: str) -> None:
        """Wait for that status of that message."""
        await self.until(lambda: word in self.words(wamid))


class Client:
    """Calls the emulator as any program would."""

    def __init__(self, url: str, session: aiohttp.ClientSession, token: str = defaults.TOKEN) -> None:
        self.url, self.session, self.token = url, session, token

    async def call(self, method: str, path: str, value: Any = None, **more: Any) -> tuple[int, dict[str, Any]]:
        """`path` without its version: "100000000000001/messages"."""
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        if value is not None:
            more["json"] = value
        async with self.session.request(method, f"{self.url}/v26.0/{path}", headers=headers, **more) as answer:
            body = msgspec.json.decode(await answer.read())
            assert isinstance(body, dict)
            return answer.status, body

    async def post(self, what: dict[str, Any], number: str = NUMBER, **more: Any) -> tuple[int, dict[str, Any]]:
        return await self.call("POST", f"{number}/messages", {"messaging_product": "whatsapp", **what}, **more)

    async def send(self, to: str = PERSON, text: str = "Hello", number: str = NUMBER, **more: Any) -> str:
        """Send a text that must be accepted; its wamid."""
        wanted = {"to": f"+{to}", "type": "text", "text": {"body": text}, **more}
        status, body = await self.post(wanted, number)
        assert status == 200, body
        wamid = body["messages"][0]["id"]
        assert isinstance(wamid, str)
        return wamid

    async def refused(self, what: dict[str, Any], number: str = NUMBER) -> dict[str, Any]:
        """Send what must be refused; the error."""
        status, body = await self.post(what, number)
        assert status >= 400, body
        error = body["error"]
        assert isinstance(error, dict)
        assert error["fbtrace_id"]
        return error

    async def control(self, method: str, what: str, value: Any = None) -> Any:
        async with self.session.request(method, f"{self.url}/__emulator/{what}", json=value) as answer:
            raw = await answer.read()
            assert answer.status == 200, raw
            return msgspec.json.decode(raw)

    async def messages(self) -> list[dict[str, Any]]:
        async with self.session.get(f"{self.url}/__emulator/messages") as answer:
            return [msgspec.json.decode(line) for line in (await answer.read()).splitlines()]

    async def subscribe(self, receiver: Receiver, waba: str = WABA) -> None:
        wanted = {"override_callback_uri": receiver.url, "verify_token": receiver.verify_token}
        assert await self.call("POST", f"{waba}/subscribed_apps", wanted) == (200, {"success": True})


@asynccontextmanager
async def emulating(**options: Any) -> AsyncIterator[Client]:
    """An emulator on a port of its own, and a client of it."""
    async with (
        Running(Options(**{**QUICK, **options})) as running,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WITHIN_S)) as session,
    ):
        yield Client(running.url, session)
