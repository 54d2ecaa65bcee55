"""PostgreSQL (14 to 18): a few connections on which concurrent works share transactions.

Writes are given to lanes. A lane takes all works that wait, runs them one after the other in one transaction, and answers
them after its COMMIT; if one fails, each runs again in a transaction of its own. Each read has a snapshot of its own.
Durability is the server's: fsync and synchronous_commit stay as its operator set them (a warning is logged where they are off).
"""

import asyncio
import contextlib
import random
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import asyncpg
import structlog

from heliograph.core.ids import follow_clock, follow_own_clock, now_ms
from heliograph.errors import Unavailable
from heliograph.store.engine import Row, Statement, Tx, Work, statement
from heliograph.store.notices import Notices
from heliograph.store.postgresql_session import CONFLICTS, NOT_TEXT, OUTAGES, CommitUnsure, connect, explain, is_lost

T = TypeVar("T")
log = structlog.get_logger(__name__)

WRITE_LANES = 3  # transactions of one process under way at the same time
READ_LANES = 4
MAX_WORKS_PER_COMMIT = 256
MAX_WAITING = 20_000  # works; beyond it the database is slower than the demand
TRIES = 5  # of a transaction that meets others
COPY_FROM = 8  # rows; from here on COPY costs less than it saves
READ_CLOCK_EVERY_S = 5.0  # meanwhile our monotonic clock carries on
ASK_ABOUT_COMMIT_S = 20.0  # how long we try to learn what became of a commit

READ_ONLY = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
READ_CLOCK = statement("read_clock", "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
THIS_TRANSACTION = "SELECT pg_current_xact_id_if_assigned()::text"
FATE_OF_TRANSACTION = "SELECT pg_xact_status($1::text::xid8)"
PLAIN_INSERT = re.compile(r"INSERT INTO (\w+) \(([^)]*)\) VALUES \(([^)]*)\)$")


@lru_cache(maxsize=1024)
def copy_target(sql: str) -> tuple[str, list[str], list[int]] | None:
    """Table, columns, and the place of each column's value, if a statement is nothing but the insertion of its values."""
    found = PLAIN_INSERT.search(sql)
    if not found:
        return None
    places = [re.fullmatch(r"\$(\d+)", value.strip()) for value in found[3].split(",")]
    if not all(places):
        return None
    columns = [column.strip() for column in found[2].split(",")]
    return found[1], columns, [int(place[1]) - 1 for place in places if place]


class PostgresTx:
    """A transaction on one connection. clean: U+FFFD stands for each NUL, which PostgreSQL keeps in no text."""

    def __init__(self, connection: asyncpg.Connection, *, clean: bool = False) -> None:
        self._connection = connection
        self._clean = clean
        self.topics: set[str] = set()

    async def rows(self, what: Statement, *values: Any) -> list[Row]:
        found = await self._connection.fetch(what.postgresql, *self._fit(values))
        return [tuple(row) for row in found]

    async def row(self, what: Statement, *values: Any) -> Row | None:
        found = await self._connection.fetch(what.postgresql, *self._fit(values))
        return tuple(found[0]) if found else None

    async def run(self, what: Statement, *values: Any) -> int:
        said = await self._connection.execute(what.postgresql, *self._fit(values))  # such as UPDATE 3 or INSERT 0 3
        last = said.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

    async def run_many(self, what: Statement, values: Iterable[Sequence[Any]]) -> None:
        rows = [self._fit(row) for row in values]
        if not rows:
            return
        target = copy_target(what.postgresql) if len(rows) >= COPY_FROM else None
        if target is None:
            await self._connection.executemany(what.postgresql, rows)  # pipelined: one round trip, not one a row
            return
        table, columns, places = target
        if places != list(range(len(rows[0]))):
            rows = [tuple(row[place] for place in places) for row in rows]
        await self._connection.copy_records_to_table(table, records=rows, columns=columns)

    def announce(self, topic: str) -> None:
        self.topics.add(topic)

    def _fit(self, values: Sequence[Any]) -> Sequence[Any]:
        if not self._clean:
            return values
        return tuple(one.replace("\x00", "\ufffd") if isinstance(one, str) else one for one in values)


class Job:
    """A work that waits for its turn, and the caller who waits for it."""

    __slots__ = ("future", "result", "topics", "work")

    def __init__(self, work: Work[Any]) -> None:
        self.work = work
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.result: Any = None
        self.topics: set[str] = set()

    async def run(self, tx: PostgresTx) -> None:
        self.result = await self.work(tx)
        self.topics = tx.topics

    def answer(self) -> None:
        if not self.future.done():
            self.future.set_result(self.result)

    def refuse(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(explain(error))


class Lanes:
    """Up to `count` batches of what waits are under way at the same time; what comes meanwhile waits for the next."""

    def __init__(self, flush: Callable[[list[Job]], Awaitable[None]], *, count: int, most_at_once: int) -> None:
        self._flush = flush
        self._count = count
        self._most_at_once = most_at_once
        self._waiting: deque[Job] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def add(self, work: Work[Any]) -> "asyncio.Future[Any]":
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable("This server is busy. Nothing was stored; try again.", code="overloaded", retry_after_s=1)
        job = Job(work)
        self._waiting.append(job)
        if len(self._running) < self._count:
            self._running.add(asyncio.create_task(self._work()))
        return job.future

    async def _work(self) -> None:
        # One turn of the loop, so that what is being given right now comes along.
        await asyncio.sleep(0)
        while self._waiting:
            jobs = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most_at_once))]
            try:
                await self._flush(jobs)
            except Exception as error:  # noqa: BLE001 - whatever it was, its callers must be answered
                for job in jobs:
                    job.refuse(error)
        # At once, not when the task is done: a caller who was answered just now may come again before that.
        task = asyncio.current_task()
        assert task is not None
        self._running.discard(task)

    async def drain(self) -> None:
        while self._running:
            await asyncio.wait(set(self._running))


class PostgresDatabase:
    """The store on a server that nodes share. Opened by `await PostgresDatabase.open(url)`, after its migrations.

    It belongs to the event loop on which it was opened."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[asyncpg.Connection] = []
        self._writes = Lanes(self._write_together, count=WRITE_LANES, most_at_once=MAX_WORKS_PER_COMMIT)
        self._reads = Lanes(self._read_one, count=READ_LANES, most_at_once=1)
        self._notices = Notices(lambda: connect(url), self._notify)
        self._closed = False
        self._clock_read_at_s: float | None = None  # monotonic
        self._keeping_clock: asyncio.Task[None] | None = None
        self._last_now_ms = 0

    @classmethod
    async def open(cls, url: str) -> "PostgresDatabase":
        """Raises Unavailable when the server cannot be reached or refuses us."""
        database = cls(url)
        try:
            connection = await database._take()
            for setting in ("fsync", "synchronous_commit"):
                if await connection.fetchval(f"SHOW {setting}") == "off":
                    log.warning("database_not_durable", setting=setting, value="off")
        except Exception as error:
            await database.close()
            raise explain(error) from error
        database._idle.append(connection)
        await database._read_clock()
        database._keeping_clock = asyncio.create_task(database._keep_clock(), name="keep-clock")
        return database

    # Connections: as many as there is work under way, kept for the next

    async def _take(self) -> asyncpg.Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await connect(self._url)

    async def _give_back(self, connection: asyncpg.Connection, error: Exception) -> bool:
        """After a failure: end its transaction and keep it, or drop it where it is lost. Whether it was lost."""
        if not is_lost(connection, error):
            try:
                await connection.execute("ROLLBACK")
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                connection.terminate()
            else:
                self._idle.append(connection)
            return False
        log.warning("database_connection_lost", engine="postgresql", error=type(error).__name__)
        connection.terminate()
        # The others are as good as lost too: find out by connecting anew, perhaps to a new primary with its own clock.
        while self._idle:
            self._idle.pop().terminate()
        self._clock_read_at_s = None
        return True

    # Giving work to the lanes

    async def write(self, work: Work[T]) -> T:
        self._check_open()
        done: T = await self._writes.add(work)
        return done

    async def read(self, work: Work[T]) -> T:
        self._check_open()
        done: T = await self._reads.add(work)
        return done

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("This server is stopping. Nothing was stored.", code="stopping", retry_after_s=2)

    # Writing

    async def _write_together(self, jobs: list[Job]) -> None:
        """All works in one transaction; if one fails, each in its own, so that none suffers for another."""
        try:
            await self._commit(jobs)
        except (*OUTAGES, CommitUnsure):
            raise  # would befall each of them
        except Exception as error:
            if len(jobs) == 1 and not isinstance(error, NOT_TEXT):
                raise
            for job in jobs:
                await self._write_alone(job)

    async def _write_alone(self, job: Job) -> None:
        try:
            try:
                await self._commit([job])
            except NOT_TEXT:
                await self._commit([job], clean=True)
        except Exception as error:  # noqa: BLE001 - given to its caller
            job.refuse(error)

    async def _commit(self, jobs: list[Job], *, clean: bool = False) -> None:
        """Run a transaction until the server takes it, and answer: anew where it met others or its connection was lost."""
        tries = TRIES if len(jobs) == 1 else 2  # of several, the smaller transactions that follow are likelier to pass
        for turn in range(1, tries + 1):
            connection = await self._take()
            try:
                await self._transact(connection, jobs, clean=clean)
            except CommitUnsure:
                raise
            except Exception as error:
                lost = await self._give_back(connection, error)
                if turn == tries or not (lost or isinstance(error, CONFLICTS)):
                    raise
                await asyncio.sleep(random.uniform(0, 0.01 * 2**turn))  # noqa: S311 - spreads those who met
            else:
                break
        self._notices.announce(set().union(*(job.topics for job in jobs)))
        for job in jobs:
            job.answer()

    async def _transact(self, connection: asyncpg.Connection, jobs: list[Job], *, clean: bool) -> None:
        await connection.execute("BEGIN")
        for job in jobs:
            await job.run(PostgresTx(connection, clean=clean))
        number: str | None = await connection.fetchval(THIS_TRANSACTION)
        try:
            await connection.execute("COMMIT")
        except Exception as error:
            if number is None or not is_lost(connection, error):
                raise
            connection.terminate()
            if not await self._was_committed(number):
                raise
        self._idle.append(connection)

    async def _was_committed(self, number: str) -> bool:
        """The commit was on its way when the connection broke: ask the server, or who took its place, what it kept.

        Raises CommitUnsure where nobody knows."""
        deadline = time.monotonic() + ASK_ABOUT_COMMIT_S
        while time.monotonic() < deadline:
            try:
                connection = await connect(self._url)
            except (asyncpg.PostgresError, asyncpg.InternalClientError, OSError, TimeoutError):
                await asyncio.sleep(0.2)
                continue
            try:
                fate = await connection.fetchval(FATE_OF_TRANSACTION, number)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                fate = "in progress"
            finally:
                connection.terminate()
            if fate in {"committed", "aborted"}:
                log.warning("commit_looked_up", engine="postgresql", fate=fate)
                return bool(fate == "committed")
            if fate is None:
                break
            await asyncio.sleep(0.2)
        raise CommitUnsure

    # Reading

    async def _read_one(self, jobs: list[Job]) -> None:
        job = jobs[0]
        for turn in (1, 2):
            connection = await self._take()
            try:
                await connection.execute(READ_ONLY)
                await job.run(PostgresTx(connection))
                await connection.execute("COMMIT")
            except Exception as error:
                refused_a_write = isinstance(error, asyncpg.ReadOnlySQLTransactionError)
                lost = await self._give_back(connection, error)
                if turn == 2 or not lost or refused_a_write:
                    raise
            else:
                self._idle.append(connection)
                break
        job.answer()

    # Signals, time and the end

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        return self._notices.listen(heard)

    def announce(self, topic: str) -> None:
        self._notices.announce({topic})

    async def _notify(self, channel: str, payloads: list[str]) -> None:
        connection = await self._take()
        try:
            for payload in payloads:
                await connection.execute("SELECT pg_notify($1, $2)", channel, payload)
        except BaseException:
            connection.terminate()
            raise
        self._idle.append(connection)

    async def server_now_ms(self) -> int:
        if self._clock_read_at_s is None or time.monotonic() - self._clock_read_at_s > 2 * READ_CLOCK_EVERY_S:
            await self._read_clock()
        self._last_now_ms = max(self._last_now_ms, now_ms())
        return self._last_now_ms

    async def _read_clock(self) -> None:
        """What the server said is set to the middle of the time that it took to ask."""
        before_ns = time.monotonic_ns()
        said_ms = await self.read(read_clock)
        follow_clock(said_ms, (before_ns + time.monotonic_ns()) // 2)
        self._clock_read_at_s = time.monotonic()

    async def _keep_clock(self) -> None:
        while True:
            await asyncio.sleep(READ_CLOCK_EVERY_S)
            with contextlib.suppress(Unavailable):
                await self._read_clock()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._keeping_clock is not None:
            self._keeping_clock.cancel()
            follow_own_clock()
        await self._writes.drain()
        await self._reads.drain()
        await self._notices.close()
        while self._idle:
            connection = self._idle.pop()
            try:
                await connection.close(timeout=2)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                connection.terminate()


async def read_clock(tx: Tx) -> int:
    row = await tx.row(READ_CLOCK)
    assert row is not None
    return int(row[0])
