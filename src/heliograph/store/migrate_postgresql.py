"""The ground that migrations stand on at a PostgreSQL server.

One node migrates at a time: the others wait for an advisory lock, and then find nothing to do. No change waits long for a
table that is in use, for behind it everybody else would wait too (postgresql.org/docs/current/explicit-locking.html).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import asyncpg
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

from heliograph.store.postgresql_session import connect, explain

T = TypeVar("T")

MIGRATION_LOCK = 0x48454C494F  # the advisory lock of whoever migrates: "HELIO"
LOCK_TIMEOUT_MS = 5_000  # for a table that is in use; then the change is undone and may be tried again
STATEMENT_TIMEOUT_MS = 600_000  # for filling and indexing what is there
TURN_TIMEOUT_MS = 900_000  # for another node that migrates


async def read_revision(url: str) -> str | None:
    """What current_revision promises."""
    try:
        connection = await connect(url)
        try:
            found = await connection.fetchval("SELECT version_num FROM alembic_version")
        finally:
            await connection.close()
    except asyncpg.UndefinedTableError:
        return None
    except Exception as error:
        raise explain(error) from error
    return None if found is None else str(found)


def on_postgresql(url: str, work: Callable[[sqlalchemy.Connection], T], *, alone: bool) -> T:
    """Run `work`; in a thread of its own, since the caller may be on an event loop. Errors of the server become ours."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, run_on_engine(url, work, alone=alone)).result()


async def run_on_engine(url: str, work: Callable[[sqlalchemy.Connection], T], *, alone: bool) -> T:
    def session() -> "asyncio.Future[asyncpg.Connection]":
        return asyncio.ensure_future(open_session(url, alone=alone))

    engine = create_async_engine("postgresql+asyncpg://", async_creator=session, poolclass=sqlalchemy.NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    except sqlalchemy.exc.DBAPIError as error:
        cause = error.orig.__cause__ if error.orig is not None else None
        raise explain(cause if isinstance(cause, Exception) else error) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise explain(error) from error
    finally:
        await engine.dispose()


async def open_session(url: str, *, alone: bool) -> asyncpg.Connection:
    """A session with time to work. alone: it holds the lock until it ends, after a wait for whoever has it."""
    connection = await connect(
        url,
        command_timeout=None,
        statement_timeout=str(TURN_TIMEOUT_MS),
        lock_timeout="0",
        idle_in_transaction_session_timeout="0",
    )
    await connection.reset_type_codec("uuid", schema="pg_catalog")
    if alone:
        await connection.execute(f"SELECT pg_advisory_lock({MIGRATION_LOCK})")
    await connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}; SET lock_timeout = {LOCK_TIMEOUT_MS}")
    return connection
