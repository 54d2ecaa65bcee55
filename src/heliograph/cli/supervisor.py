"""The supervisor: starts each process of this machine, starts it again when it dies, stops all when asked to.

It imports little, for it lives as long as they do and must cost next to nothing."""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import structlog

from heliograph.config import Settings
from heliograph.errors import Unavailable

log = structlog.get_logger(__name__)

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


def migrate_apart(settings: Settings) -> None:
    """Bring the schema up to date in a process of its own: the tools for that would stay in our memory.

    Ends this process with the same sentence and exit code where that fails."""
    from heliograph.store.migrate import NEWEST, current_revision

    if asyncio.run(current_revision(settings)) == NEWEST:
        return
    command = [sys.executable, "-m", "heliograph", "migrate"]
    ended = subprocess.run(command, env=environ_of(settings), stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - our own
    if ended.returncode:
        sys.exit(ended.returncode)


def environ_of(settings: Settings) -> dict[str, str]:
    """Our environment, with what was given on the command line in it."""
    return {
        **os.environ,
        "HELIOGRAPH_HOME": settings.home,
        "HELIOGRAPH_HOST": settings.host,
        "HELIOGRAPH_PORT": str(settings.port),
        "HELIOGRAPH_SANDBOX_URL": settings.sandbox_url,
    }


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
    environ = environ_of(settings)
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
