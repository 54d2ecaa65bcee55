"""SQLite: one writer thread per process that commits in groups, and a few readers.

Durability: WAL with synchronous=FULL, so a commit has been synced before it returns (sqlite.org/pragma.html#pragma_synchronous).
Writers of several processes take turns by the database's own lock; each turn is one short batch.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw
import structlog

from heliograph.core.ids import now_ms
from heliograph.errors import Unavailable
from heliograph.store.engine import Row, Statement, Work
from heliograph.store.signals import Signals

T = TypeVar("T")
log = structlog.get_logger(__name__)

MAX_WORKS_PER_COMMIT = 256
READERS = 2
LOCK_PATIENCE_S = 10.0  # how long a writer waits for its turn before it says 503

PRAGMAS = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = {synchronous};
    PRAGMA foreign_keys = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -32768;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
"""


class SqliteTx:
    """A transaction on this thread's connection. Its methods are coroutines that never wait, so a thread can drive them."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.topics: set[str] = set()

    async def rows(self, what: Statement, *values: Any) -> list[Row]:
        return cast("list[Row]", self._connection.execute(what.sqlite, values).fetchall())

    async def row(self, what: Statement, *values: Any) -> Row | None:
        found = self._connection.execute(what.sqlite, values).fetchall()
        return cast("Row", found[0]) if found else None

    async def run(self, what: Statement, *values: Any) -> int:
        self._connection.execute(what.sqlite, values).fetchall()
        return self._connection.changes()

    async def run_many(self, what: Statement, values: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(what.sqlite, values)

    def announce(self, topic: str) -> None:
        self.topics.add(topic)


def drive(work: Work[T], tx: SqliteTx) -> T:
    """Run a coroutine that never waits for anything but its transaction, here and now."""
    coroutine = cast("Coroutine[Any, Any, T]", work(tx))
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return cast("T", stop.value)
    coroutine.close()
    raise RuntimeError("The work of a transaction waited for something outside of it.")


# The database itself is in trouble, whatever was asked of it; what passes when somebody else is done; what needs a new look.
TROUBLE = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.PermissionsError,
    apsw.NoMemError,
)
PASSING = (apsw.BusyError, apsw.LockedError, apsw.FullError)


def unavailable(error: Exception) -> Unavailable:
    """What SQLite's refusal means to a caller. Its own text goes to the log only."""
    log.error("database_refused", engine="sqlite", error=type(error).__name__, detail=str(error))
    match error:
        case apsw.FullError() | apsw.IOError():
            return Unavailable(
                "The disk of this server is full or failing. Nothing was stored.",
                code="storage_full",
                retry_after_s=10,
            )
        case apsw.BusyError() | apsw.LockedError():
            return Unavailable(
                "The database is busy. Nothing was stored; try again.", code="storage_busy", retry_after_s=1
            )
        case apsw.CorruptError() | apsw.NotADBError():
            return Unavailable(
                "The database of this server is damaged. Nothing was stored.", code="storage_damaged", retry_after_s=60
            )
        case _:
            return Unavailable(
                "The database cannot be used now. Nothing was stored.", code="storage_unavailable", retry_after_s=5
            )


ADVICE = {
    "storage_full": "Make room on its disk, then start again.",
    "storage_busy": "Another program holds its lock: end that, then start again.",
    "storage_damaged": "Put a backup in its place, or save what can be read: sqlite3 FILE .recover",
    "storage_unavailable": "See that this user may read and write it and its folder.",
}


def check_file(path: Path) -> None:
    """Raises Unavailable, in words for whoever starts a server, when the file cannot be written as a database.

    A file that is not there yet is no fault."""
    if not path.exists():
        return
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.set_busy_timeout(int(LOCK_PATIENCE_S * 1000))
            connection.execute("BEGIN IMMEDIATE; SELECT count(*) FROM sqlite_master; ROLLBACK").fetchall()
        finally:
            connection.close()
    except apsw.Error as error:
        code = unavailable(error).code
        raise Unavailable(f"The database {path} cannot be used ({code}). {ADVICE[code]}", code=code) from None


class Job:
    __slots__ = ("error", "future", "loop", "result", "topics", "work")

    def __init__(self, work: Work[Any], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None
        self.topics: set[str] = set()


class SqliteDatabase:
    """The store in one file. Opened by `await SqliteDatabase.open(path)`, after its migrations."""

    def __init__(self, path: Path, *, synchronous: str = "FULL", signals_folder: Path | None = None) -> None:
        self.path = path
        self._synchronous = synchronous
        self._signals = Signals(signals_folder or path.parent / "signals")
        self._writes: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._reads: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._write_loop, name="sqlite-writer", daemon=True)]
        self._threads += [
            threading.Thread(target=self._read_loop, name="sqlite-reader", daemon=True) for _ in range(READERS)
        ]
        self._closed = False

    @classmethod
    async def open(cls, path: Path, *, synchronous: str = "FULL") -> "SqliteDatabase":
        """Raises Unavailable when the file cannot be opened as a database."""
        database = cls(path, synchronous=synchronous)
        try:
            database.connect().close()
        except apsw.Error as error:
            raise unavailable(error) from error
        for thread in database._threads:
            thread.start()
        return database

    def connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self.path), statementcachesize=256)
        deadline = 0.0

        def wait_for_turn(tried: int) -> bool:
            # SQLite's own back-off sleeps up to 100 ms; the other process's turn lasts about one.
            nonlocal deadline
            if tried == 0:
                deadline = time.monotonic() + LOCK_PATIENCE_S
            time.sleep(0.0003 if tried < 20 else 0.002)
            return time.monotonic() < deadline

        connection.set_busy_handler(wait_for_turn)
        connection.execute(PRAGMAS.format(synchronous=self._synchronous)).fetchall()
        return connection

    # Giving work to the threads

    async def write(self, work: Work[T]) -> T:
        return await self._submit(self._writes, work)

    async def read(self, work: Work[T]) -> T:
        return await self._submit(self._reads, work)

    async def _submit(self, target: "queue.SimpleQueue[Job | None]", work: Work[T]) -> T:
        if self._closed:
            raise Unavailable("This server is stopping. Nothing was stored.", code="stopping", retry_after_s=2)
        job = Job(work, asyncio.get_running_loop())
        target.put(job)
        return cast("T", await job.future)

    # The threads

    def _write_loop(self) -> None:
        connection: apsw.Connection | None = None
        while (first := self._writes.get()) is not None:
            batch = [first]
            last = False
            while len(batch) < MAX_WORKS_PER_COMMIT:
                try:
                    more = self._writes.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    last = True
                    break
                batch.append(more)
            try:
                connection = connection or self.connect()
                self._commit(connection, batch)
            except BaseException as error:  # noqa: BLE001 - whatever it was, its callers must be answered
                fail(batch, error)
                connection = keep_or_drop(connection, error)
            finish(batch, self._signals)
            if last:
                break
        keep_or_drop(connection, None)

    def _commit(self, connection: apsw.Connection, batch: list[Job]) -> None:
        """All works in one transaction; if one fails, each in its own, so that none suffers for another.

        Raises where the database itself is in trouble: then every work would fail, each after its own wait."""
        try:
            self._commit_together(connection, batch)
        except TROUBLE:
            raise
        except Exception as error:  # noqa: BLE001 - given to its caller, or tried again alone
            if len(batch) == 1:
                batch[0].error = error
                return
            for place, job in enumerate(batch):
                try:
                    self._commit_together(connection, [job])
                except TROUBLE as trouble:
                    fail(batch[place:], trouble)
                    return
                except Exception as own_error:  # noqa: BLE001 - given to its caller
                    job.error = own_error

    def _commit_together(self, connection: apsw.Connection, batch: list[Job]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for job in batch:
                tx = SqliteTx(connection)
                job.result = drive(job.work, tx)
                job.topics = tx.topics
            connection.execute("COMMIT")
        except BaseException:
            if not connection.get_autocommit():
                connection.execute("ROLLBACK")
            raise

    def _read_loop(self) -> None:
        connection: apsw.Connection | None = None
        while (job := self._reads.get()) is not None:
            try:
                connection = connection or self.connect()
                connection.execute("BEGIN")
                try:
                    job.result = drive(job.work, SqliteTx(connection))
                finally:
                    if not connection.get_autocommit():
                        connection.execute("ROLLBACK")
            except BaseException as error:  # noqa: BLE001 - given to its caller
                job.error = error
                connection = keep_or_drop(connection, error)
            finish([job], None)
        keep_or_drop(connection, None)

    # Signals and the end

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        return self._signals.listen(heard)

    def announce(self, topic: str) -> None:
        self._signals.announce({topic})

    async def server_now_ms(self) -> int:
        return now_ms()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._writes.put(None)
        for _ in range(READERS):
            self._reads.put(None)
        loop = asyncio.get_running_loop()
        for thread in self._threads:
            await loop.run_in_executor(None, thread.join)
        self._signals.close()


def keep_or_drop(connection: apsw.Connection | None, error: BaseException | None) -> apsw.Connection | None:
    """Close the connection at the end (no error), or after trouble that it may remember: the next use opens a new one."""
    if error is not None and (isinstance(error, PASSING) or not isinstance(error, apsw.Error)):
        return connection
    if connection is not None:
        with contextlib.suppress(apsw.Error):
            connection.close()
    return None


def fail(batch: list[Job], error: BaseException) -> None:
    for job in batch:
        job.error = error


def finish(batch: list[Job], signals: Signals | None) -> None:
    """Answer the callers on their own loops: one wake-up a loop, whatever the size of the batch."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    topics: set[str] = set()
    for job in batch:
        by_loop.setdefault(job.loop, []).append(job)
        if job.error is None:
            topics |= job.topics
    if signals is not None:
        signals.announce(topics)
    for loop, jobs in by_loop.items():
        try:
            loop.call_soon_threadsafe(resolve, jobs)
        except RuntimeError:  # the loop is closed: nobody waits any more
            continue


def resolve(jobs: list[Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        elif isinstance(job.error, apsw.ConstraintError):
            job.future.set_exception(job.error)
        elif isinstance(job.error, apsw.Error):
            job.future.set_exception(unavailable(job.error))
        else:
            job.future.set_exception(job.error)
