"""SQLite in trouble and in groups: full, locked or damaged files become clear refusals, and nothing half is stored."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from heliograph.config import Settings
from heliograph.errors import Unavailable
from heliograph.store import accounts, messages, sqlite
from heliograph.store.engine import Tx
from heliograph.store.migrate import migrate
from heliograph.store.sqlite import SqliteDatabase
from tests.store.makers import count, make_account, make_messages, new_message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    settings = Settings(home=str(tmp_path))
    migrate(settings)
    return settings.sqlite_path


class SmallDatabase(SqliteDatabase):
    """A database whose file may not grow beyond 600 kB."""

    def connect(self) -> apsw.Connection:
        connection = super().connect()
        connection.execute("PRAGMA max_page_count = 150").fetchall()
        return connection


async def fill_until_refused(database: SqliteDatabase) -> tuple[int, Unavailable]:
    """Store messages until the database says no; returns how many it said yes to, and its refusal."""
    account = await make_account(database)
    for turn in range(1000):
        try:
            await make_messages(database, [new_message(account.id, text="x" * 2000) for _ in range(10)])
        except Unavailable as refused:
            return turn * 10, refused
    raise AssertionError("it was never full")


async def test_full(path: Path) -> None:
    """A full database refuses with 503; all that it accepted is there, nothing of the refused; reading goes on."""
    database = await SmallDatabase.open(path)
    try:
        accepted, refused = await fill_until_refused(database)
        assert (refused.code, refused.http_status) == ("storage_full", 503)
        assert await count(database, "message") == accepted
        assert await count(database, "send_due") == accepted
        newest = await database.read(lambda tx: messages.last_seq(tx, 1))
        assert newest == accepted
    finally:
        await database.close()


def mount(folder: Path, options: str) -> bool:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount(folder, "size=1m"):
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_full_disk(small_disk: Path) -> None:
    """On a disk that is really full: the same refusal, nothing half-stored, and service returns when space does."""
    settings = Settings(home=str(small_disk))
    migrate(settings)
    database = await SqliteDatabase.open(settings.sqlite_path)
    try:
        accepted, refused = await fill_until_refused(database)
        assert refused.code == "storage_full"
        assert await count(database, "message") == accepted
        mount(small_disk, "remount,size=8m")
        await make_messages(database, [new_message(1, text="x" * 2000) for _ in range(10)])
        assert await database.read(lambda tx: messages.last_seq(tx, 1)) == accepted + 10
    finally:
        await database.close()


async def test_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another program holds the lock: 503 with a time to come back, reads go on; afterwards writes do too."""
    monkeypatch.setattr(sqlite, "LOCK_PATIENCE_S", 0.1)
    database = await SqliteDatabase.open(path)
    try:
        account = await make_account(database)
        holder = apsw.Connection(str(path))
        holder.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(*(make_account(database, str(n)) for n in range(3)), return_exceptions=True)
        assert {(type(one), getattr(one, "code", "")) for one in results} == {(Unavailable, "storage_busy")}
        assert all(isinstance(one, Unavailable) and one.retry_after_s for one in results)
        assert await database.read(accounts.all_accounts) == [account]
        holder.execute("ROLLBACK")
        holder.close()
        await make_account(database, "after")
    finally:
        await database.close()


async def test_locked_for_many(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who wait for one lock together are refused together, not each after a wait of its own."""
    monkeypatch.setattr(sqlite, "LOCK_PATIENCE_S", 0.2)
    database = await SqliteDatabase.open(path)
    holder = apsw.Connection(str(path))
    holder.execute("BEGIN IMMEDIATE")
    try:
        began_at = time.monotonic()
        results = await asyncio.gather(*(make_account(database, str(n)) for n in range(100)), return_exceptions=True)
        assert {getattr(one, "code", "") for one in results} == {"storage_busy"}
        assert time.monotonic() - began_at < 5
    finally:
        holder.close()
        await database.close()


async def test_not_a_database(tmp_path: Path) -> None:
    """A file that is something else is refused when it is opened."""
    path = tmp_path / "heliograph.db"
    path.write_bytes(os.urandom(8192))
    with pytest.raises(Unavailable) as refused:
        await SqliteDatabase.open(path)
    assert refused.value.code == "storage_damaged"


def damage(path: Path) -> None:
    """Overwrite all pages but the first."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


async def test_damaged(path: Path) -> None:
    """Pages overwritten while nobody looked: reading and writing say so instead of guessing."""
    database = await SqliteDatabase.open(path)
    try:
        damage(path)
        for attempt in (make_account(database), database.read(accounts.all_accounts)):
            with pytest.raises(Unavailable) as refused:
                await attempt
            assert refused.value.code == "storage_damaged"
    finally:
        await database.close()


class CountedDatabase(SqliteDatabase):
    """A database that counts its commits."""

    commits = 0

    def connect(self) -> apsw.Connection:
        connection = super().connect()
        connection.set_commit_hook(self._count)
        return connection

    def _count(self) -> bool:
        self.commits += 1
        return False


async def test_group_commit(path: Path) -> None:
    """Five hundred writes at once share a few commits."""
    database = await CountedDatabase.open(path)
    try:
        await asyncio.gather(*(make_account(database, str(place)) for place in range(500)))
        assert await count(database, "account") == 500
        assert isinstance(database, CountedDatabase)
        assert database.commits < 50
    finally:
        await database.close()


async def test_work_must_not_wait(path: Path) -> None:
    """A work that waits for anything but its transaction is a mistake, and is told so; nothing of it is kept."""
    database = await SqliteDatabase.open(path)

    async def work(tx: Tx) -> None:
        await accounts.add_account(tx, "Gone", "UTC", None, 0)
        await asyncio.sleep(0)

    try:
        with pytest.raises(RuntimeError, match="waited for something outside"):
            await database.write(work)
        assert await count(database, "account") == 0
    finally:
        await database.close()
