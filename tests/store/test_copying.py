"""Moving from SQLite to PostgreSQL: every row of every table, verified, and resumable wherever it was interrupted."""

import asyncio
import fcntl
import os
from pathlib import Path

import apsw
import msgspec
import pytest

from heliograph.config import Settings
from heliograph.errors import Conflict, Unavailable
from heliograph.runtime import open_database
from heliograph.store import accounts, copying, messages
from heliograph.store.copying import copy_database, read_key, write_key
from heliograph.store.migrate import NEWEST, migrate
from tests.kit.filling import content_of, fill, tables_of
from tests.kit.house import run_command
from tests.store.makers import make_account, make_messages, new_message

ROWS = 40


@pytest.fixture
def source(tmp_path: Path) -> Settings:
    """A SQLite installation with rows in every table."""
    settings = Settings(home=str(tmp_path / "old"))
    migrate(settings)
    fill(settings, tables_of(str(settings.sqlite_path)), ROWS)
    return settings


@pytest.fixture
def target(tmp_path: Path, postgres_url: str) -> Settings:
    return Settings(home=str(tmp_path / "new"), database_url=postgres_url)


def tell(_table: str, _copied: int, _total: int) -> None:
    return None


async def check_same(source: Settings, target: Settings) -> None:
    tables = tables_of(str(source.sqlite_path))
    assert content_of(source, tables) == content_of(target, tables)
    database = await open_database(target)
    account = await make_account(database)
    assert account.id == ROWS + 1, "ids go on where they were"
    assert len(await database.read(accounts.all_accounts)) == ROWS + 1
    await make_messages(database, [new_message(account.id)])
    await database.close()


async def test_everything_is_copied(source: Settings, target: Settings) -> None:
    """Each table arrives whole, the counts are told, and the store goes on from there."""
    done = await copy_database(source, target, tell)
    assert {one.table: one.rows for one in done} == dict.fromkeys(tables_of(str(source.sqlite_path)), ROWS)
    await check_same(source, target)


@pytest.mark.parametrize("pieces", [1, 90, 290])
async def test_interrupted(source: Settings, target: Settings, monkeypatch: pytest.MonkeyPatch, pieces: int) -> None:
    """Interrupted after any piece: no server starts on the half; given again, the copy goes on and nothing comes twice."""
    monkeypatch.setattr(copying, "MOST_ROWS", 3)
    monkeypatch.setattr(copying, "TELL_EVERY_S", -1.0)
    told = 0

    def interrupt(_table: str, _copied: int, _total: int) -> None:
        nonlocal told
        told += 1
        if told == pieces:
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        await copy_database(source, target, interrupt)
    for refusing in (open_database(target), asyncio.to_thread(migrate, target)):
        with pytest.raises(Unavailable) as refused:
            await refusing
        assert refused.value.code == "copy_unfinished"
    told = -(10**6)
    done = await copy_database(source, target, interrupt)
    assert {one.rows for one in done} == {ROWS}
    await check_same(source, target)


async def test_source_changed_meanwhile(source: Settings, target: Settings) -> None:
    """A source that went on in between is noticed; with restart the copy begins anew."""

    def fail_late(table: str, _copied: int, _total: int) -> None:
        if table == "message":
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        await copy_database(source, target, fail_late)
    connection = apsw.Connection(str(source.sqlite_path))
    connection.execute("UPDATE connection SET pace_per_s = 7 WHERE id = 1").fetchall()
    connection.close()
    with pytest.raises(Conflict) as refused:
        await copy_database(source, target, tell)
    assert "pace_per_s" in refused.value.message
    await copy_database(source, target, tell, restart=True)
    await check_same(source, target)


async def test_target_in_use(source: Settings, target: Settings) -> None:
    """A database that somebody uses is never copied into, nor emptied."""
    migrate(target)
    database = await open_database(target)
    await make_account(database)
    for restart in (False, True):
        with pytest.raises(Conflict, match="in use"):
            await copy_database(source, target, tell, restart=restart)
    assert len(await database.read(accounts.all_accounts)) == 1
    await database.close()


async def test_source_in_use(source: Settings, target: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody writes to the source the copy does not begin; while it runs nobody can write there."""
    monkeypatch.setattr(copying, "PATIENCE_MS", 50)
    writer = apsw.Connection(str(source.sqlite_path))
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="Stop the server"):
        await copy_database(source, target, tell)
    writer.execute("ROLLBACK")

    def try_to_write(_table: str, _copied: int, _total: int) -> None:
        with pytest.raises(apsw.BusyError):
            writer.execute("UPDATE account SET name = 'x'")

    await copy_database(source, target, try_to_write)
    writer.close()


async def test_command(source: Settings, target: Settings) -> None:
    """The command refuses beside a running dispatcher, copies, tells the counts and the next step."""
    environ = {"HELIOGRAPH_HOME": source.home}
    lock = os.open(Path(source.home) / "dispatcher.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    code, _, complaint = await run_command(environ, "copy-database", "--to", target.database_url)
    assert (code, "Stop the server first" in complaint) == (1, True)
    os.close(lock)
    given = ("--from", f"sqlite:{source.sqlite_path}", "--to", target.database_url, "--json")
    code, said, advice = await run_command(environ, "copy-database", *given)
    assert code == 0, advice
    assert {row["rows"] for row in msgspec.json.decode(said)} == {ROWS}
    assert "HELIOGRAPH_SECRET_KEY" in advice
    await check_same(source, target)
    code, _, complaint = await run_command(environ, "copy-database", "--to", "sqlite:x")
    assert code == 1


async def test_nul(tmp_path: Path, target: Settings) -> None:
    """A NUL in a text arrives as U+FFFD, for PostgreSQL keeps none."""
    source = Settings(home=str(tmp_path / "old"))
    migrate(source)
    old = await open_database(source)
    account = await make_account(old)
    made = await make_messages(old, [new_message(account.id, text="a\x00b")])
    await old.close()
    await copy_database(source, target, tell)
    new = await open_database(target)
    kept = await new.read(lambda tx: messages.message_by_id(tx, account.id, made[0].id))
    await new.close()
    assert kept is not None
    assert kept.text == "a\ufffdb"


def test_keys() -> None:
    """A key is written and read as it was."""
    key = [1, b"\x00\xff", "ü", -5]
    assert read_key(write_key(key)) == key
    assert NEWEST in copying.COPYING
