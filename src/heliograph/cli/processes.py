"""The processes of an installation: the API and the dispatcher. What keeps them running is supervisor.py."""

import asyncio
import contextlib
import fcntl
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import structlog

from heliograph.cli.supervisor import stop_event
from heliograph.config import Settings
from heliograph.runtime import Runtime, open_runtime, open_whatsapp

if TYPE_CHECKING:  # each process loads the rooms that it serves, and is ready the sooner
    from granian.server.embed import Server

    from heliograph.channels.whatsapp.channel import WhatsApp

log = structlog.get_logger(__name__)

READY_LINE = "Heliograph is listening"


def calm_the_collector() -> None:
    """What is alive now stays alive: keep the collector from walking it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


# The API


Asgi = Callable[[Any, Any, Any], Awaitable[None]]
COUNTER_PATHS = ("/api/", "/callbacks/", "/docs/")
COUNTER_PAGES = frozenset({"/api", "/docs", "/openapi.json", "/healthz", "/readyz", "/metrics"})


def share(api: Asgi, portal: Asgi) -> Asgi:
    """One server for both rooms: what programs call goes to the API, everything else to the portal.

    Who asks for JSON is a program, wherever it strays: it gets the API's own "nothing at this address"."""
    from heliograph.api.http import plain_path

    def answer(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        path = scope["path"]
        if not path.startswith("/api/"):
            path = plain_path(path)
            if not (path.startswith(COUNTER_PATHS) or path in COUNTER_PAGES or asks_for_json(scope["headers"])):
                return portal(scope, receive, send)
        return api(scope, receive, send)

    return answer


def asks_for_json(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    accepted = next((value for name, value in headers if name == b"accept"), b"")
    return b"application/json" in accepted and b"text/html" not in accepted


def make_server(app: Asgi, settings: Settings) -> "Server":
    """The HTTP server around an ASGI application, with the limits that protect it."""
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    return Server(
        app,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=2048,
        # Admits every request that we can have; what exceeds it waits in the socket, not in our memory.
        backpressure=settings.max_waiting_accepts + 100,
        http1_settings=HTTP1Settings(
            header_read_timeout=settings.header_timeout_s * 1000,
            max_buffer_size=max(settings.max_header_bytes + 16_384, 65_536),
            pipeline_flush=True,
        ),
        log_enabled=False,
    )


async def run_api(settings: Settings) -> None:
    """Answer HTTP until asked to stop; then answer what was begun."""
    from heliograph.api.app import Api
    from heliograph.portal.app import Portal

    stopping = stop_event()
    async with open_runtime(settings) as runtime:
        api, portal = Api(runtime), Portal(runtime)
        server = make_server(share(api, portal), settings)
        api.start()
        await portal.start()
        calm_the_collector()
        serving = asyncio.create_task(server.serve(), name="http")
        log.info("api_listening", host=settings.host, port=settings.port)
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        portal.hang_up()
        server.stop()  # type: ignore[no-untyped-call]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.shutdown_grace_s):
                await serving
        await portal.stop()
        await api.stop()
        log.info("api_stopped")


# The dispatcher


@contextlib.asynccontextmanager
async def only_dispatcher(settings: Settings) -> AsyncIterator[bool]:
    """On SQLite one dispatcher serves a data folder: the lock proves that every other one is dead.

    Yields whether that is proven. Waits while another one lives."""
    if settings.is_postgresql:
        yield False
        return
    path = settings.home_path / "dispatcher.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        told = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    log.warning("another_dispatcher_is_running", home=settings.home)
                    told = True
                await asyncio.sleep(0.2)
        yield True
    finally:
        os.close(descriptor)


async def run_dispatcher(settings: Settings) -> None:
    """Send what is due and apply what comes back until asked to stop; then finish what is in flight."""
    stopping = stop_event()
    channel = open_whatsapp(settings)
    try:
        async with only_dispatcher(settings) as alone, open_runtime(settings) as runtime:
            if stopping.is_set():
                return
            await dispatch_until(runtime, channel, stopping, alone=alone)
    finally:
        await channel.close()


async def dispatch_until(runtime: Runtime, channel: "WhatsApp", stopping: asyncio.Event, *, alone: bool) -> None:
    from heliograph.dispatch.dispatcher import Dispatcher
    from heliograph.status.applier import Applier

    dispatcher = Dispatcher(runtime, channel, alone=alone)
    applier = Applier(runtime, dispatcher.owner)
    await dispatcher.start()
    applier.start()
    calm_the_collector()
    log.info("dispatcher_started", numbers=len(dispatcher.loops))
    await stopping.wait()
    await dispatcher.stop()
    await applier.stop()
    log.info("dispatcher_stopped")
