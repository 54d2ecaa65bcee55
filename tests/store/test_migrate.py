"""Migrations: up from every released schema with data in it, on both engines, one node at a time, with a plan."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import asyncpg
import msgspec
import pytest
from alembic.script import ScriptDirectory

from heliograph.config import Settings
from heliograph.errors import Unavailable
from heliograph.runtime import open_database
from heliograph.store import accounts, migrate_postgresql
from heliograph.store.migrate import NEWEST, current_revision, migrate, script_config, steps_ahead
from heliograph.store.postgresql_session import connect
from tests.kit.filling import Table, apart, content_of, fill, tables_of
from tests.kit.house import run_command
from tests.store.conftest import ENGINES

REVISIONS = [script.revision for script in ScriptDirectory.from_config(script_config()).walk_revisions()][::-1]


@pytest.fixture(params=ENGINES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """An installation whose database is empty: no schema at all."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    yield Settings(home=str(tmp_path / "home"), database_url=url)


def tables_at(folder: Path, revision: str) -> dict[str, Table]:
    """What the schema of a revision consists of."""
    plain = Settings(home=str(folder / revision))
    migrate(plain, revision)
    return tables_of(str(plain.sqlite_path))


def test_newest() -> None:
    """The schema that this release asks for is the last of its versions, and they are one line without a gap."""
    assert REVISIONS[-1] == NEWEST
    assert [f"{number:04}" for number in range(1, len(REVISIONS) + 1)] == REVISIONS


@pytest.mark.parametrize("revision", REVISIONS)
async def test_up_with_data(settings: Settings, tmp_path: Path, revision: str) -> None:
    """From each schema that was ever released, full of rows, to the newest: every row is as it was, and the store opens."""
    assert await current_revision(settings) is None
    assert [step.revision for step in migrate(settings, revision)] == REVISIONS[: REVISIONS.index(revision) + 1]
    tables = tables_at(tmp_path, revision)
    fill(settings, tables)
    before = content_of(settings, tables)
    assert all(len(rows) == 3 for rows in before.values())
    steps = migrate(settings)
    assert [step.revision for step in steps] == REVISIONS[REVISIONS.index(revision) + 1 :]
    assert all(step.brings for step in steps)
    assert await current_revision(settings) == NEWEST
    after = content_of(settings, tables)
    assert {table: [row for row in after[table] if row in rows] for table, rows in before.items()} == before
    database = await open_database(settings)
    assert len(await database.read(accounts.all_accounts)) == 3
    await database.close()
    assert migrate(settings) == []


def test_engines_agree(tmp_path: Path, postgres_url: str) -> None:
    """Both engines have the same tables with the same columns, and the same indexes by name."""
    plain = Settings(home=str(tmp_path / "plain"))
    served = Settings(home=str(tmp_path / "served"), database_url=postgres_url)
    for one in (plain, served):
        migrate(one)
    connection = apsw.Connection(str(plain.sqlite_path))
    tables = tables_of(str(plain.sqlite_path))
    indexes = {
        str(name)
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    }
    connection.close()

    async def look() -> tuple[dict[str, set[str]], set[str]]:
        session = await connect(postgres_url)
        columns = await session.fetch(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
            "AND table_name <> 'alembic_version'"
        )
        named = await session.fetch("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
        await session.close()
        found: dict[str, set[str]] = {}
        for table, column in columns:
            found.setdefault(table, set()).add(column)
        return found, {name for (name,) in named}

    there, there_indexes = apart(look())
    assert there == {table: set(columns) for table, columns in tables.items()}
    assert indexes <= there_indexes


async def test_newer_database(settings: Settings) -> None:
    """A schema that this release does not know is left alone, and the refusal says what to do."""
    migrate(settings)
    change = "UPDATE alembic_version SET version_num = '9999'"
    if settings.is_postgresql:
        session = await connect(settings.database_url)
        await session.execute(change)
        await session.close()
    else:
        apsw.Connection(str(settings.sqlite_path)).execute(change).fetchall()
    for refusing in (migrate, steps_ahead):
        with pytest.raises(Unavailable, match="Run a newer release"):
            refusing(settings)
    with pytest.raises(Unavailable, match="9999"):
        await open_database(settings)


async def test_plan(settings: Settings) -> None:
    """`heliograph migrate --plan` names what would be done and does nothing; without it, it is done."""
    environ = {"HELIOGRAPH_HOME": settings.home, "HELIOGRAPH_DATABASE_URL": settings.database_url}
    code, said, _ = await run_command(environ, "migrate", "--plan", "--json")
    plan = msgspec.json.decode(said)
    assert (code, plan["applied"]) == (0, False)
    assert [step["revision"] for step in plan["steps"]] == REVISIONS
    assert await current_revision(settings) is None
    code, said, _ = await run_command(environ, "migrate")
    assert code == 0
    assert all(step["brings"] in said for step in plan["steps"])
    assert await current_revision(settings) == NEWEST
    _, said, _ = await run_command(environ, "migrate", "--plan")
    assert "up to date" in said


def test_nodes_take_turns(tmp_path: Path, postgres_url: str) -> None:
    """Four nodes that begin at the same time migrate once: one does it all, the others find nothing left to do."""
    settings = Settings(home=str(tmp_path), database_url=postgres_url)
    with ThreadPoolExecutor(4) as nodes:
        done = list(nodes.map(lambda _: migrate(settings), range(4)))
    assert sorted(len(steps) for steps in done) == [0, 0, 0, len(REVISIONS)]


async def test_table_in_use(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that would have to wait for a table in use gives up soon, undone, and passes when the table is free."""
    monkeypatch.setattr(migrate_postgresql, "LOCK_TIMEOUT_MS", 200)
    settings = Settings(home=str(tmp_path), database_url=postgres_url)
    migrate(settings, "0003")
    user = await asyncpg.connect(postgres_url)
    async with user.transaction():
        await user.execute("SELECT count(*) FROM api_token")
        with pytest.raises(Unavailable) as refused:
            migrate(settings)
        assert refused.value.code == "storage_busy"
    assert await current_revision(settings) == "0003"
    migrate(settings)
    assert await current_revision(settings) == NEWEST
    await user.close()


async def test_server_away(tmp_path: Path) -> None:
    """Where no server answers, every way in says so."""
    settings = Settings(home=str(tmp_path), database_url="postgresql://heliograph@127.0.0.1:9/x")
    for refusing in (migrate, steps_ahead):
        with pytest.raises(Unavailable) as refused:
            refusing(settings)
        assert refused.value.code == "storage_unavailable"
    with pytest.raises(Unavailable):
        await current_revision(settings)
