"""The processes of an installation: the API, the dispatcher, and the supervisor that keeps both running."""

import asyncio
import contextlib
import ctypes
import fcntl
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from heliograph.api import health
from heliograph.api.app import Api
from heliograph.api.http import plain_path
from heliograph.config import Settings
from heliograph.dispatch.dispatcher import Dispatcher
from heliograph.errors import Unavailable
from heliograph.portal.app import Portal
from heliograph.runtime import Runtime, open_runtime, open_whatsapp
from heliograph.status.applier import Applier

log = structlog.get_logger(__name__)

READY_LINE = "Heliograph is listening"
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_event() -> asyncio.Event:
    """Set when somebody asks this process to stop."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for which in STOP_SIGNALS:
        loop.add_signal_handler(which, stopping.set)
    return stopping


def die_with_parent(parent: int = 0) -> None:
    """A child whose supervisor was killed must not linger (Linux: PR_SET_PDEATHSIG).

    `parent`: the supervisor's process id where it is known, for it may be dead before this is called."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if parent and os.getppid() != parent:
        sys.exit(0)


def calm_the_collector() -> None:
    """What is alive now stays alive: keep the collector from walking it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


# The API


COUNTER_PATHS = ("/api/", "/callbacks/", "/docs/")
COUNTER_PAGES = frozenset({"/api", "/docs", "/openapi.json", *health.PATHS})


def share(api: Api, portal: Portal) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """One server for both rooms: what programs call goes to the API, everything else to the portal.

    Who asks for JSON is a program, wherever it strays: it gets the API's own "nothing at this address"."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        path = plain_path(scope["path"])
        of_counter = path.startswith(COUNTER_PATHS) or path in COUNTER_PAGES or asks_for_json(scope["headers"])
        await (api if of_counter else portal)(scope, receive, send)

    return answer


def asks_for_json(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    accepted = next((value for name, value in headers if name == b"accept"), b"")
    return b"application/json" in accepted and b"text/html" not in accepted


async def run_api(settings: Settings) -> None:
    """Answer HTTP until asked to stop; then answer what was begun."""
    stopping = stop_event()
    async with open_runtime(settings) as runtime:
        api, portal = Api(runtime), Portal(runtime)
        server = Server(
            share(api, portal),
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


def check_port_is_free(settings: Settings) -> None:
    """Raises Unavailable when somebody listens there: our own sockets share ports, and would not notice."""
    if settings.port == 0:
        return
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise Unavailable(
                f"Port {settings.port} of {settings.host} cannot be used: {os.strerror(error.errno or 0)}. "
                "Choose another one with PORT.",
                code="port_taken",
            ) from None


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


async def dispatch_until(runtime: Runtime, channel: object, stopping: asyncio.Event, *, alone: bool) -> None:
    dispatcher = Dispatcher(runtime, channel, alone=alone)  # type: ignore[arg-type]
    applier = Applier(runtime, dispatcher.owner)
    await dispatcher.start()
    applier.start()
    calm_the_collector()
    log.info("dispatcher_started", numbers=len(dispatcher.loops))
    await stopping.wait()
    await dispatcher.stop()
    await applier.stop()
    log.info("dispatcher_stopped")


# The supervisor


class Child:
    """One process that is started again when it ends by itself."""

    def __init__(self, name: str, command: list[str], environ: dict[str, str]) -> None:
        self.name = name
        self._command = command
        self._environ = environ
        self.process: asyncio.subprocess.Process | None = None
        self._began_at = 0.0
        self._failures = 0

    async def start(self) -> None:
        self._began_at = time.monotonic()
        self.process = await asyncio.create_subprocess_exec(*self._command, env=self._environ)

    def wait_before_restart_s(self) -> float:
        """Short at first; longer for one that dies again and again."""
        self._failures = 0 if time.monotonic() - self._began_at > 30 else self._failures + 1
        return min(30.0, 0.1 * 2.0 ** min(self._failures, 10))

    async def keep_running(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self.start()
            assert self.process is not None
            code = await self.process.wait()
            if stopping.is_set():
                return
            wait_s = self.wait_before_restart_s()
            log.error("process_ended", name=self.name, exit_code=code, starts_again_in_s=wait_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await stopping.wait()

    async def stop(self, grace_s: float) -> None:
        if self.process is None or self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(grace_s):
                await self.process.wait()
        except TimeoutError:
            log.error("process_killed", name=self.name)
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


def children_of(settings: Settings) -> list[Child]:
    """API workers and one dispatcher, each this program again in one role."""
    environ = {
        **os.environ,
        "HELIOGRAPH_HOME": settings.home,
        "HELIOGRAPH_HOST": settings.host,
        "HELIOGRAPH_PORT": str(settings.port),
    }
    command = [sys.executable, "-m", "heliograph", "serve", "--child", str(os.getpid()), "--role"]
    workers = settings.api_workers if settings.is_postgresql else 1
    found = [Child(f"api-{number}", [*command, "api"], environ) for number in range(1, workers + 1)]
    return [*found, Child("dispatcher", [*command, "dispatch"], environ)]


async def supervise(settings: Settings, on_start: Callable[[asyncio.Event], Awaitable[None]] | None = None) -> None:
    """Run every process of this machine until asked to stop. `on_start` runs beside them."""
    stopping = stop_event()
    children = children_of(settings)
    tasks = [asyncio.create_task(child.keep_running(stopping), name=child.name) for child in children]
    if on_start is not None:
        tasks.append(asyncio.create_task(on_start_or_stop(on_start, stopping)))
    await stopping.wait()
    grace_s = settings.shutdown_grace_s * 2 + 2
    await asyncio.gather(*(child.stop(grace_s) for child in children))
    await asyncio.gather(*tasks)


async def on_start_or_stop(on_start: Callable[[asyncio.Event], Awaitable[None]], stopping: asyncio.Event) -> None:
    """What cannot begin must not look as if it had: the others stop too."""
    try:
        await on_start(stopping)
    except BaseException:
        stopping.set()
        raise
