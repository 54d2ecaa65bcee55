"""A real PostgreSQL server for tests: the one that HELIOGRAPH_TEST_POSTGRESQL_URL names, else a private one that ends with them.

The private server is made from this machine's PostgreSQL programs in a temporary folder, listens on a socket in that
folder only, and does not sync to disk: what tests prove about durability they prove by their own means.
"""

import asyncio
import contextlib
import ctypes
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

START_S = 30.0  # a server that is not there by then will not come
QUICK = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "UTC",
    "log_min_messages": "fatal",
}
PR_SET_PDEATHSIG = 1
EMPTY = """DO $$ DECLARE one text; filled boolean; BEGIN
FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', one) INTO filled;
    IF filled THEN EXECUTE format('TRUNCATE %I RESTART IDENTITY CASCADE', one); END IF;
END LOOP; END $$"""


class NoServer(Exception):
    """Why there can be no PostgreSQL server here."""


def find_programs() -> Path:
    """The folder with initdb and postgres, of the newest version on this machine."""
    folders = [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    folders += [Path("/usr/local/pgsql/bin"), *Path("/opt/homebrew/opt").glob("postgresql@*/bin")]
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoServer(
        "There are no PostgreSQL programs here: run tools/system-packages, or set HELIOGRAPH_TEST_POSTGRESQL_URL."
    )


def unprivileged_user() -> str | None:
    """Whom to run the server as: PostgreSQL refuses to be root. None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise NoServer("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` here.")


def die_with_parent() -> None:
    """In the child, before it becomes the server: be stopped when the tests are killed (Linux; prctl(2))."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


class PrivateServer:
    """A cluster in a temporary folder. It can be stopped, killed and started again, as a primary may be.

    follows: another one, of which this is to be a standby."""

    def __init__(self, settings: dict[str, str] | None = None, *, follows: "PrivateServer | None" = None) -> None:
        self._programs = find_programs()
        user = unprivileged_user()
        self._as_user: dict[str, Any] = (
            {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
        )
        self._settings = QUICK | (settings or {})
        self.port = self._settings.get("port", "5432")
        # Not in pytest's own folder: that is closed to other users, and the name of a socket may have 107 bytes only.
        self.folder = Path(tempfile.mkdtemp(prefix="heliograph-pg-"))
        if user:
            shutil.chown(self.folder, user)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://heliograph@/postgres?host={self.folder}&port={self.port}"
        try:
            if follows is None:
                self._run("initdb", "-D", "data", "-U", "heliograph", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
            else:
                source = ("-h", str(follows.folder), "-p", follows.port, "-U", "heliograph")
                self._run("pg_basebackup", "-D", "data", "-R", "-c", "fast", *source)
            self.start()
        except BaseException:
            self.remove()
            raise

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self.folder,
            capture_output=True,
            check=False,
            text=True,
            **self._as_user,
        )
        if done.returncode:
            raise NoServer(f"{program} failed: {done.stderr.strip()[-500:]}")

    def start(self) -> None:
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", "data", "-k", str(self.folder), *options],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it only calls prctl
                **self._as_user,
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(NoServer):
                self._run("pg_isready", "-q", "-h", str(self.folder), "-p", self.port)
                return
            time.sleep(0.02)
        raise NoServer(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-1000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends it in order; SIGQUIT is a crash: nothing is flushed, every connection drops."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_S)
            self._process = None

    def kill(self) -> None:
        """kill -9 of the whole server, backends and all."""
        assert self._process is not None
        mine = [int(line) for line in children_of(self._process.pid)]
        for pid in (self._process.pid, *mine):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(START_S)
        self._process = None

    def promote(self) -> None:
        """A standby becomes the primary."""
        self._run("pg_ctl", "promote", "-D", "data", "-w")

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


def children_of(pid: int) -> list[str]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return path.read_text().split() if path.exists() else []


class Databases:
    """Fresh databases on one server; each is dropped when its user is done."""

    def __init__(self, url: str) -> None:
        self.url = url

    def url_of(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def run(self, sql: str, *, name: str = "") -> None:
        """Also where an event loop runs already: in a thread with a loop of its own."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, execute(self.url_of(name) if name else self.url, sql)).result()

    def create(self, template: str = "template0") -> str:
        """A new database's name."""
        name = f"heliograph_test_{secrets.token_hex(6)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
        return name

    def empty(self, name: str) -> None:
        """Remove every row: a tenth of what a fresh database costs."""
        self.run(EMPTY, name=name)

    def drop(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@contextlib.contextmanager
def running_databases() -> Iterator[Databases]:
    """Where tests make databases: fails with the reason where no server can be had."""
    given = os.environ.get("HELIOGRAPH_TEST_POSTGRESQL_URL")
    if given:
        yield Databases(given)
        return
    server = PrivateServer()
    try:
        yield Databases(server.url)
    finally:
        server.remove()
