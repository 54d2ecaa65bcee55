"""A portal on a real database behind a real server, and people who visit it with a browser that keeps cookies."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from heliograph.accounts import people, sessions
from heliograph.config import Settings, read_settings
from heliograph.portal.app import Portal
from heliograph.runtime import Runtime, open_runtime
from heliograph.store.migrate import migrate

PASSWORD = "correct horse battery"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI application on a free port; yields its address."""
    port = free_port()
    server = Server(
        app,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    try:
        await wait_until_open(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()  # type: ignore[no-untyped-call]
        await serving


async def wait_until_open(port: int) -> None:
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise TimeoutError(f"nobody listens on port {port}")


class Page:
    """An answer that was read: status, headers, text, and where it was found after redirects."""

    def __init__(self, status: int, headers: Any, text: str, path: str) -> None:
        self.status = status
        self.headers = headers
        self.text = text
        self.path = path

    def __contains__(self, text: str) -> bool:
        return text in self.text

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.text)
        assert found, "the page has no form"
        return found[1]


class Browser:
    """A person's browser without scripts: keeps cookies, follows redirects, fills in forms."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base
        self.csrf = ""

    async def get(self, path: str, **options: Any) -> Page:
        async with self.session.get(self.base + path, **options) as answer:
            return await self._read(answer)

    async def post(self, path: str, fields: dict[str, Any] | None = None, **options: Any) -> Page:
        """Send a form, with the CSRF token of the page seen last."""
        values = {"csrf": self.csrf, **(fields or {})}
        pairs = [(k, v) for k, vs in values.items() for v in (vs if isinstance(vs, list) else [vs])]
        async with self.session.post(self.base + path, data=pairs, **options) as answer:
            return await self._read(answer)

    async def _read(self, answer: aiohttp.ClientResponse) -> Page:
        page = Page(answer.status, answer.headers, await answer.text(), answer.url.raw_path_qs)
        if found := re.search(r'name="csrf" value="([^"]+)"', page.text):
            self.csrf = found[1]
        return page

    async def log_in(self, email: str, password: str = PASSWORD) -> Page:
        await self.get("/login")
        return await self.post("/login", {"email": email, "password": password})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({}, home=str(tmp_path))


@pytest.fixture
async def runtime(settings: Settings) -> AsyncIterator[Runtime]:
    migrate(settings)
    async with open_runtime(settings) as opened:
        yield opened


@pytest.fixture
async def portal(runtime: Runtime) -> AsyncIterator[str]:
    """The address of a running portal."""
    room = Portal(runtime)
    await room.start()
    async with served(room) as base:
        yield base
        room.hang_up()
    await room.stop()


@contextlib.asynccontextmanager
async def new_browser(base: str) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"User-Agent": "Firefox/140.0 (X11; Linux x86_64)"}
    ) as session:
        yield Browser(session, base)


@pytest.fixture
async def browser(portal: str) -> AsyncIterator[Browser]:
    async with new_browser(portal) as made:
        yield made


@pytest.fixture
async def other_browser(portal: str) -> AsyncIterator[Browser]:
    async with new_browser(portal) as made:
        yield made


@pytest.fixture
async def ada(runtime: Runtime, browser: Browser) -> Browser:
    """The browser of Ada, owner of the account Larkfield Cycles, logged in."""
    await people.create_account(
        runtime, name="Larkfield Cycles", email="ada@larkfield.example", password=PASSWORD, person="Ada"
    )
    page = await browser.log_in("ada@larkfield.example")
    assert page.status == 200, page.text
    return browser


async def cookie_of(runtime: Runtime, email: str) -> str:
    """A fresh session of that person, without typing a password."""
    from heliograph.store.accounts import user_by_email

    user = await runtime.database.read(lambda tx: user_by_email(tx, email))
    assert user is not None
    return (await sessions.open_session(runtime, user.id, "127.0.0.1", "test")).token
