"""Move an installation from SQLite to PostgreSQL: table by table, in the order of their keys, with what was copied verified.

Each piece of rows and the note of how far we came are one transaction of the target, so a copy that was interrupted goes on where
it was, and no row comes twice. Until all is verified, the target's schema has a name that no server accepts.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apsw
import asyncpg
import msgspec
from msgspec import Struct

from heliograph.config import Settings
from heliograph.errors import Conflict, HeliographError, Unavailable
from heliograph.store.migrate import NEWEST, UNFINISHED_COPY, current_revision, migrate
from heliograph.store.postgresql_session import connect, explain

MOST_ROWS = 5_000  # in one piece
MOST_BYTES = 16 * 1_048_576
TELL_EVERY_S = 1.0
PATIENCE_MS = 5_000  # for whoever writes to the source just now
FIRST = ("account", "account_user", "connection")  # what other tables refer to
OUTSIDE = {"alembic_version"}
COPYING = NEWEST + UNFINISHED_COPY
MODULUS = 1_000_003  # keeps sums of large numbers within 64 bits


class Table(Struct, frozen=True):
    """columns: all, in order; key: the primary key's; flags: places of the columns that are true or false there."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    numbers: tuple[str, ...]
    flags: frozenset[int]
    counted_id: bool  # whether the engine hands out the ids


class Copied(Struct, frozen=True):
    """One table that is verified. took_s: in this run."""

    table: str
    rows: int
    took_s: float


Tell = Callable[[str, int, int], None]  # table, rows copied, rows there are


class Source:
    """The SQLite database, kept from changing while this is open. Raises Unavailable while somebody writes to it."""

    def __init__(self, path: str) -> None:
        self._connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        self._connection.set_busy_timeout(PATIENCE_MS)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            raise Unavailable("Somebody writes to the SQLite database. Stop the server first.") from None

    def close(self) -> None:
        self._connection.close()

    def value(self, sql: str) -> Any:
        rows = self._connection.execute(sql).fetchall()
        return rows[0][0]

    def rows_after(self, table: Table, key: list[Any] | None) -> Iterator[tuple[Any, ...]]:
        names, order = ", ".join(table.columns), ", ".join(table.key)
        where = f"WHERE ({order}) > ({', '.join('?' for _ in table.key)})" if key else ""
        yield from self._connection.execute(f"SELECT {names} FROM {table.name} {where} ORDER BY {order}", key or ())

    def tables(self, flags: dict[str, set[str]]) -> list[Table]:
        """Every table of the schema. flags: table → its columns that are boolean in the target."""
        rows = self._connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name")
        counted = {str(name): "INTEGER PRIMARY KEY" in sql for name, sql in rows if not name.startswith("sqlite_")}
        names = [*FIRST, *(name for name in counted if name not in {*FIRST, *OUTSIDE})]
        return [self._table(name, flags.get(name, set()), counted_id=counted[name]) for name in names]

    def _table(self, name: str, flags: set[str], *, counted_id: bool) -> Table:
        facts = self._connection.execute(f"PRAGMA table_info({name})").fetchall()
        columns = tuple(str(fact[1]) for fact in facts)
        return Table(
            name,
            columns,
            tuple(column for _, column in sorted((fact[5], str(fact[1])) for fact in facts if fact[5])),
            tuple(str(fact[1]) for fact in facts if fact[2] in {"BIGINT", "SMALLINT"}),
            frozenset(place for place, column in enumerate(columns) if column in flags),
            counted_id,
        )


async def copy_database(source: Settings, target: Settings, tell: Tell, *, restart: bool = False) -> list[Copied]:
    """Copy everything; what was verified, table by table.

    restart: throw away what an unfinished copy left in the target. Raises Conflict where the target holds something else, or the
    source changed since an unfinished copy began; Unavailable where one of the two cannot be used."""
    found = await current_revision(source)
    if found != NEWEST:
        raise Conflict(
            f"The source is at schema {found or 'none'}, this release needs {NEWEST}: run heliograph migrate."
        )
    if await current_revision(target) is None:
        await asyncio.to_thread(migrate, target)
    here = Source(str(source.sqlite_path))
    try:
        there = await connect(target.database_url, command_timeout=None, statement_timeout="0")
        try:
            return await copy_tables(here, there, tell, restart=restart)
        finally:
            await there.close()
    except HeliographError:
        raise
    except Exception as error:
        raise explain(error) from error
    finally:
        here.close()


async def copy_tables(here: Source, there: asyncpg.Connection, tell: Tell, *, restart: bool) -> list[Copied]:
    tables = here.tables(await find_flags(there))
    await begin(there, tables, restart=restart)
    done = []
    for table in tables:
        began_s = time.monotonic()
        await copy_table(here, there, table, tell)
        rows = await verify(here, there, table)
        done.append(Copied(table.name, rows, time.monotonic() - began_s))
    async with there.transaction():
        for table in tables:
            if table.counted_id:
                await there.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), greatest(max(id), 1), max(id) IS NOT NULL) "
                    f"FROM {table.name}"
                )
        await there.execute("DROP TABLE copy_progress")
        await there.execute("UPDATE alembic_version SET version_num = $1", NEWEST)
    await there.execute("ANALYZE")
    return done


async def find_flags(there: asyncpg.Connection) -> dict[str, set[str]]:
    rows = await there.fetch(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = current_schema() AND data_type = 'boolean'"
    )
    flags: dict[str, set[str]] = {}
    for table, column in rows:
        flags.setdefault(table, set()).add(column)
    return flags


async def begin(there: asyncpg.Connection, tables: list[Table], *, restart: bool) -> None:
    """Claim the target for this copy: it is empty, or holds an unfinished one."""
    found = await there.fetchval("SELECT version_num FROM alembic_version")
    if found not in {NEWEST, COPYING}:
        raise Conflict(f"The target is at schema {found}, this release needs {NEWEST}.")
    if found == NEWEST:
        filled = [table.name for table in tables if await there.fetchval(f"SELECT EXISTS (SELECT 1 FROM {table.name})")]
        if filled:
            raise Conflict(f"The target is in use: there are rows in {', '.join(filled)}. Name an empty database.")
    async with there.transaction():
        await there.execute("UPDATE alembic_version SET version_num = $1", COPYING)
        await there.execute(
            "CREATE TABLE IF NOT EXISTS copy_progress (name TEXT PRIMARY KEY, last_key TEXT, rows BIGINT)"
        )
        if restart:
            await there.execute(f"TRUNCATE {', '.join(table.name for table in tables)}, copy_progress")


async def copy_table(here: Source, there: asyncpg.Connection, table: Table, tell: Tell) -> None:
    row = await there.fetchrow("SELECT last_key, rows FROM copy_progress WHERE name = $1", table.name)
    key = read_key(row[0]) if row else None
    copied = int(row[1]) if row else 0
    total = int(here.value(f"SELECT count(*) FROM {table.name}"))
    places = [table.columns.index(column) for column in table.key]
    told_s = 0.0
    for rows in pieces(here.rows_after(table, key)):
        async with there.transaction():
            records = [fit(row, table.flags) for row in rows]
            await there.copy_records_to_table(table.name, records=records, columns=table.columns)
            copied += len(rows)
            await there.execute(
                "INSERT INTO copy_progress (name, last_key, rows) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET "
                "last_key = excluded.last_key, rows = excluded.rows",
                table.name,
                write_key([rows[-1][place] for place in places]),
                copied,
            )
        if time.monotonic() - told_s > TELL_EVERY_S:
            told_s = time.monotonic()
            tell(table.name, copied, total)


def pieces(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows by the thousands, fewer where they are large."""
    piece: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        piece.append(row)
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(piece) >= MOST_ROWS or size >= MOST_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def fit(row: tuple[Any, ...], flags: frozenset[int]) -> list[Any]:
    """Flags as booleans; U+FFFD for NUL, as PostgresTx does."""
    return [
        bool(value)
        if place in flags and value is not None
        else value.replace("\x00", "\ufffd")
        if isinstance(value, str)
        else value
        for place, value in enumerate(row)
    ]


def write_key(key: list[Any]) -> str:
    """Bytes as {"hex": …}, the rest as it is."""
    return msgspec.json.encode([{"hex": one.hex()} if isinstance(one, bytes) else one for one in key]).decode()


def read_key(text: str) -> list[Any]:
    return [bytes.fromhex(one["hex"]) if isinstance(one, dict) else one for one in msgspec.json.decode(text)]


async def verify(here: Source, there: asyncpg.Connection, table: Table) -> int:
    """Both sides have as many rows, and every column of numbers has the same sum; how many rows."""
    sums = [f"coalesce(sum({column} % {MODULUS}), 0)" for column in table.numbers]
    query = f"SELECT count(*) AS n{''.join(f', {one} AS s{place}' for place, one in enumerate(sums))} FROM {table.name}"
    names = ["n", *(f"s{place}" for place in range(len(sums)))]
    ours = [int(here.value(f"SELECT {name} FROM ({query})")) for name in names]
    theirs = [int(one) for one in await there.fetchrow(query) or ()]
    if ours != theirs:
        differing = [what for what, a, b in zip(("its count", *table.numbers), ours, theirs, strict=True) if a != b]
        raise Conflict(
            f"{table.name} differs between source and target in {', '.join(differing)}: the source has changed since the copy "
            "began. Begin anew with --restart.",
            code="copy_differs",
        )
    return ours[0]
