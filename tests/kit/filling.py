"""Rows for every table of a schema, whichever it is, and what a database holds: for migrations and for moving house."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apsw

from heliograph.config import Settings
from heliograph.store.postgresql_session import connect

Table = dict[str, str]  # column → type as SQLite spells it
Content = dict[str, list[tuple[Any, ...]]]

FIRST = ("account", "account_user", "connection")  # what others refer to
FIXED: dict[str, Any] = {
    "role": "member",
    "purpose": "invite",
    "direction": "outgoing",
    "kind": "fetch_media",
    "state": "queued",
    "hold_code": None,
    "hold_sentence": None,
    "window_template_name": None,
    "window_template_language": None,
}
IN_LEASE = ("owner", "lease_until_ms")


def tables_of(path: str) -> dict[str, Table]:
    """The tables of a SQLite database, those first that others refer to."""
    connection = apsw.Connection(path)
    names = [
        str(name)
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'"
        )
    ]
    ordered = [name for name in FIRST if name in names] + sorted(set(names) - set(FIRST))
    found = {
        name: {str(row[1]): str(row[2]) for row in connection.execute(f"PRAGMA table_info({name})")} for name in ordered
    }
    connection.close()
    return found


def make_row(table: str, columns: Table, number: int) -> list[Any]:
    """The values of a table's row of that number: every column filled, every other row claimed by somebody."""

    def value(column: str, kind: str) -> Any:
        if column in FIXED:
            return FIXED[column]
        if column in IN_LEASE and number % 2:
            return None
        if kind == "BLOB":
            return f"{column[:8]:8}{number:08}".encode()
        if kind == "INTEGER" and column != "id":
            return number % 2
        if kind in {"BIGINT", "INTEGER", "SMALLINT"}:
            return number
        return f"{column} {number} ü\U0001f600"

    return [value(column, kind) for column, kind in columns.items()]


def fill_sqlite(path: str, tables: dict[str, Table], count: int = 3) -> None:
    connection = apsw.Connection(path)
    connection.execute("PRAGMA foreign_keys = ON; BEGIN")
    for table, columns in tables.items():
        places = ", ".join("?" for _ in columns)
        for number in range(1, count + 1):
            connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", make_row(table, columns, number)
            )
    connection.execute("COMMIT")
    connection.close()


async def fill_postgresql(url: str, tables: dict[str, Table], count: int = 3) -> None:
    connection = await connect(url)
    for table, columns in tables.items():
        places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
        for number in range(1, count + 1):
            values = [
                bool(value) if kind == "INTEGER" and column != "id" else value
                for (column, kind), value in zip(columns.items(), make_row(table, columns, number), strict=True)
            ]
            await connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", *values)
    await connection.close()


def fill(settings: Settings, tables: dict[str, Table], count: int = 3) -> None:
    if settings.is_postgresql:
        apart(fill_postgresql(settings.database_url, tables, count))
    else:
        fill_sqlite(str(settings.sqlite_path), tables, count)


def content_of(settings: Settings, tables: dict[str, Table]) -> Content:
    """Every row of the given tables and columns, alike for both engines, in an order of its own."""
    queries = {table: f"SELECT {', '.join(columns)} FROM {table}" for table, columns in tables.items()}
    if settings.is_postgresql:
        found = apart(read_postgresql(settings.database_url, queries))
    else:
        connection = apsw.Connection(str(settings.sqlite_path))
        found = {table: connection.execute(query).fetchall() for table, query in queries.items()}
        connection.close()
    return {
        table: sorted((tuple(int(v) if isinstance(v, bool) else v for v in row) for row in rows), key=repr)
        for table, rows in found.items()
    }


async def read_postgresql(url: str, queries: dict[str, str]) -> dict[str, list[Any]]:
    connection = await connect(url)
    found = {table: await connection.fetch(query) for table, query in queries.items()}
    await connection.close()
    return found


def apart(work: Any) -> Any:
    """Run a coroutine to its end, also where a loop runs already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
