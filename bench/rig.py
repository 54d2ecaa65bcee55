"""Processes on a core of their own, an installation to be measured, and the load on it."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from heliograph.accounts import people, senders, tokens
from heliograph.channels.contract import NumberFacts
from heliograph.config import Settings, read_settings
from heliograph.emulators.cloud_api import defaults
from heliograph.runtime import open_runtime, open_whatsapp
from heliograph.store.migrate import migrate

CORES = sorted(os.sched_getaffinity(0))
ALL_CORES = ",".join(map(str, CORES))
SERVER_CORE, LOAD_CORE = str(CORES[0]), str(CORES[-1])
TICKS = os.sysconf("SC_CLK_TCK")
HERE = Path(__file__).parent
UNLIMITED = 1_000_000  # messages a second: no pace limit


class CannotMeasure(Exception):
    """What is missing, and how to get it."""


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Measured:
    """A process that is looked at from outside."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @property
    def cpu_s(self) -> float:
        """CPU time of all its threads so far, in user and system mode."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def memory_mb(self) -> float:
        """Proportional set size: what it has, and its share of what it shares."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
        return 0.0


class Process(Measured):
    """A Python program of ours on one core (or a range of them); its log is shown when it fails."""

    def __init__(
        self, folder: Path, name: str, *arguments: str, core: str, environ: dict[str, str] | None = None
    ) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HELIOGRAPH_")}
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                ["taskset", "-c", core, sys.executable, "-m", *arguments],
                env={**kept, **(environ or {})},
                stdout=log,
                stderr=log,
            )
        super().__init__(self.popen.pid)

    def stop(self) -> None:
        self.popen.terminate()
        try:
            self.popen.wait(60)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


def children_of(process: Measured) -> list[Measured]:
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [Measured(int(pid)) for pid in found]


def wait_for(process: Process, url: str, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if process.popen.poll() is not None:
            break
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=1).read()
            return
        time.sleep(0.01)
    raise CannotMeasure(f"{url} does not answer:\n{process.log.read_text()[-2000:]}")


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """A folder on the disk that is measured (TMPDIR says which)."""
    folder = Path(tempfile.mkdtemp(prefix="heliograph-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def bare_echo(folder: Path) -> Iterator[tuple[Process, str]]:
    port = free_port()
    process = Process(folder, "bare", "bench.bare", str(port), core=SERVER_CORE)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(process, url)
        yield process, url
    finally:
        process.stop()


class Installation:
    """A data folder with one account, ready to be served."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {
            "HELIOGRAPH_HOME": str(folder / "home"),
            "HELIOGRAPH_PORT": str(self.port),
            "HELIOGRAPH_LOG_JSON": "true",
            "HELIOGRAPH_LOG_LEVEL": "warning",
            "HELIOGRAPH_RATE_LIMIT_PER_MINUTE": "100000000",
            **{f"HELIOGRAPH_{name.upper()}": value for name, value in environ.items()},
        }
        self.settings: Settings = read_settings(self.environ)
        self.token = ""
        self.account_id = 0
        self.connection_id = 0
        migrate(self.settings)

    async def open_account(self, carrier_url: str = "http://127.0.0.1:9", pace_per_s: int = 1000) -> None:
        async with open_runtime(self.settings) as runtime:
            account, _ = await people.create_account(
                runtime, name="Bench", email="b@example.org", password="a long password"
            )
            number = senders.Number(
                phone_number_id=defaults.PHONE_NUMBER_ID,
                business_account_id=defaults.WABA_ID,
                token=defaults.TOKEN,
                app_secret=defaults.APP_SECRET,
                base_url=carrier_url,
            )
            facts = NumberFacts(display_number="15550100001", throughput_per_s=pace_per_s)
            row = await senders.connect_number(runtime, account.id, number, facts)
            await senders.add_sender(runtime, row, "YourName")
            self.token = (await tokens.create_token(runtime, account.id, "bench")).text
            self.account_id, self.connection_id = account.id, row.id

    async def subscribe(self) -> None:
        """Point the carrier's callbacks here; the API must be up."""
        async with open_runtime(self.settings) as runtime:
            (row,) = await senders.list_connections(runtime, self.account_id)
            channel = open_whatsapp(self.settings)
            try:
                await senders.subscribe(runtime, channel, row)
            finally:
                await channel.close()

    def serve(self, role: str, core: str = SERVER_CORE) -> Process:
        """role: api, dispatch, or unsynced (the API with synchronous=OFF)."""
        program = ("bench.unsynced",) if role == "unsynced" else ("heliograph", "serve", "--no-migrate", "--role", role)
        process = Process(self.folder, role, *program, core=core, environ=self.environ)
        if role != "dispatch":
            wait_for(process, f"{self.url}/readyz")
        return process


@contextlib.contextmanager
def installation(folder: Path, **environ: str) -> Iterator[Installation]:
    made = Installation(folder, **environ)
    asyncio.run(made.open_account())
    yield made


@contextlib.contextmanager
def serving(made: Installation, *roles: str) -> Iterator[list[Process]]:
    running: list[Process] = []
    try:
        for role in roles:
            running.append(made.serve(role))  # noqa: PERF401 - those that started are stopped when a later one fails
        yield running
    finally:
        for process in running:
            process.stop()


class Carrier:
    """The emulator as a process of its own on the load's core."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = Process(
            folder, "carrier", "heliograph.emulators.cloud_api", "--port", str(self.port), *options, core=LOAD_CORE
        )

    def count(self) -> int:
        with urllib.request.urlopen(f"{self.url}/__emulator/messages?count=1", timeout=10) as answer:
            return int(msgspec.json.decode(answer.read())["count"])


@contextlib.contextmanager
def carrier(folder: Path, *options: str) -> Iterator[Carrier]:
    running = Carrier(folder, *options)
    try:
        wait_for(running.process, f"{running.url}/__emulator/health")
        yield running
    finally:
        running.process.stop()


# Load


class Wrk(Struct, frozen=True):
    """What wrk saw. Only requests that were answered with 2xx count."""

    requests: int
    duration_us: int
    refused: int
    broken: int
    p50_us: int
    p99_us: int
    max_us: int

    @property
    def per_s(self) -> float:
        return (self.requests - self.refused) / self.duration_us * 1e6


NUMBERS = iter(range(31_600_000_000, 10**15, 5_000_000))


def need_wrk() -> None:
    """Install wrk where we may (root, apt). Raises CannotMeasure where it stays missing."""
    if shutil.which("wrk") is None and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "wrk"], check=False, stdout=subprocess.DEVNULL)
    if shutil.which("wrk") is None:
        raise CannotMeasure("The load generator wrk is missing: apt-get install wrk (Debian, Ubuntu).")


def wrk(url: str, style: str, token: str, seconds: float, *, connections: int = 64, recipients: int = 1) -> Wrk:
    need_wrk()
    options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "--latency"]
    script = ["-s", str(HERE / "load.lua"), url, "--", style, str(next(NUMBERS)), token, str(recipients)]
    done = subprocess.run(
        ["taskset", "-c", LOAD_CORE, "wrk", *options, *script],
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    seen = msgspec.json.decode(line[7:], type=Wrk)
    if seen.refused or seen.broken:
        raise CannotMeasure(f"{style}: {seen.refused} refused, {seen.broken} broken of {seen.requests}")
    return seen
