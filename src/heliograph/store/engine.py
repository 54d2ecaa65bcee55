"""What every engine promises, and how a statement is written once for all of them.

SQL is written with PostgreSQL's numbered parameters ($1, $2 …), in the words that SQLite and PostgreSQL share; where they
differ, a statement carries a text for each. Times are milliseconds since 1970 UTC in columns that end in `_at_ms`, ids are
16 bytes.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct

T = TypeVar("T")
Row = tuple[Any, ...]


class Statement(Struct, frozen=True):
    """A named piece of SQL. The name appears in errors and in query logs."""

    name: str
    sqlite: str
    postgresql: str


def statement(name: str, sql: str, *, sqlite: str | None = None, postgresql: str | None = None) -> Statement:
    """One statement for both engines; `sqlite` or `postgresql` replaces the common text where an engine needs its own."""
    return Statement(
        name,
        re.sub(r"\$(\d+)", r"?\1", sqlite or sql),
        f"/* {name} */ {postgresql or sql}",
    )


class Tx(Protocol):
    """An open transaction. All that is done through it becomes durable together, or not at all."""

    async def rows(self, what: Statement, *values: Any) -> list[Row]:
        """Run and return all rows."""

    async def row(self, what: Statement, *values: Any) -> Row | None:
        """Run and return the first row."""

    async def run(self, what: Statement, *values: Any) -> int:
        """Run and return how many rows changed."""

    async def run_many(self, what: Statement, values: Iterable[Sequence[Any]]) -> None:
        """Run once for each of the rows of values."""

    def announce(self, topic: str) -> None:
        """Once committed, wake those who listen for the topic, on every node."""


Work = Callable[[Tx], Awaitable[T]]


class Database(Protocol):
    """A store. `work` may be run again after a rollback, so it must have no effect but through its transaction."""

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction and return its result once that is durable.

        Several writes of one process may share a commit. Raises Unavailable where the database cannot be written:
        then nothing of `work` has been kept."""

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which changes nothing, on one consistent state."""

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        """Call `heard(topic)` on this event loop for each announcement of any process; returns how to stop.

        Announcements are hints: one may be lost with the process that made it, so listeners also look now and then."""

    def announce(self, topic: str) -> None:
        """Wake listeners without a transaction."""

    async def server_now_ms(self) -> int:
        """The time that leases are measured by: the database's, for the clocks of nodes differ."""

    async def close(self) -> None:
        """Finish what was given, then let go."""
