"""Search among an account's messages, page by page: any page costs the same, however many messages there are.

What an index answers (a person, a rare state) is searched through to the end. What none answers (a part of the text, a
sender) is searched in a stretch of the list, and the answer tells where that ended, to go on from there.
"""

from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct, structs

from heliograph.core.statuses import OPEN, SPARSE, State
from heliograph.store.engine import Statement, Tx, statement
from heliograph.store.messages import (
    MESSAGE,
    Filters,
    Message,
    few_wait,
    filter_query,
    last_seq,
    seq_at_time,
)
from heliograph.store.sends import SendProgress

MOST_LOOKED_AT = 10_000  # messages that one page of an unindexed search looks at
MOST_AT_A_GLANCE = 50
NO_SEQ = -1
# Two nodes may number messages of the same moment in another order than they came; a list is cut no more exactly than this.
NEARBY = 2000


class Search(Struct, frozen=True, kw_only=True):
    """What is looked for. `text`: a part of the message's text; letters match in either case (on SQLite ASCII letters only)."""

    filters: Filters = Filters()
    sender: str | None = None
    text: str = ""

    def __bool__(self) -> bool:
        return self != Search()

    @property
    def index(self) -> str:
        """The index of the table that serves it best; "" where the queue leads to the rows."""
        filters = self.filters
        states = (State.RECEIVED,) if filters.direction == "incoming" and not filters.states else filters.states
        if filters.person is not None:
            return "message_by_person"
        if states and set(states) <= OPEN:
            return ""
        return "message_by_sparse_state" if len(states) == 1 and set(states) <= SPARSE else "message_by_seq"

    @property
    def is_indexed(self) -> bool:
        """Whether that index leads to hardly more rows than match, so that all may be looked at."""
        if self.filters.person is not None or not self:
            return True
        return self.index != "message_by_seq" and not self.text and self.sender is None


class Found(Struct, frozen=True):
    """Rows in the order of the search, and the number of the last message that was looked at; None: all were."""

    rows: list[Message]
    looked_until: int | None


class Glance(Struct, frozen=True):
    """What changes of a message in a list, and how it stands in the queue."""

    seq: int
    state: str
    schedule_at_ms: int | None
    progress: SendProgress | None


PLACES = ", ".join(f"${place}" for place in range(2, 2 + MOST_AT_A_GLANCE))


def by_index(name: str, sql: str, table: str, index: str) -> Statement:
    """A statement whose index we choose: SQLite, which knows nothing of the rows, would now and then read a whole account."""
    return statement(name, sql, sqlite=sql.replace(f"FROM {table}", f"FROM {table} INDEXED BY {index}", 1))


GLANCE = by_index(
    "glance",
    "SELECT m.seq, m.state, m.schedule_at_ms, d.due_at_ms, d.attempts, d.lease_until_ms, d.lane FROM message AS m "
    "LEFT JOIN send_due AS d ON d.account_id = m.account_id AND d.message_id = m.id WHERE m.account_id = $1 "
    f"AND m.seq IN ({PLACES})",
    "message AS m",
    "message_by_seq",
)
MESSAGES_BY_SEQ = by_index(
    "messages_by_seq",
    f"SELECT {MESSAGE} FROM message WHERE account_id = $1 AND seq IN ({PLACES}) ORDER BY seq DESC",
    "message",
    "message_by_seq",
)


async def search_older(
    tx: Tx, account_id: int, search: Search, *, before_seq: int | None, limit: int, most: int = MOST_LOOKED_AT
) -> Found:
    """Newest first, below `before_seq`; without an index at most `most` messages are looked at."""
    floor, top = await bounds_of_time(tx, account_id, search.filters)
    if before_seq is not None:
        top = min(top, before_seq)
    index = await choose_index(tx, account_id, search)
    lowest = floor if index.is_enough else max(floor, top - 1 - most)
    rows = await find_between(tx, account_id, search, index.name, lowest, top, limit, downwards=True)
    if len(rows) == limit:
        return Found(rows, rows[-1].seq)
    return Found(rows, lowest + 1 if lowest > floor else None)


async def search_newer(
    tx: Tx, account_id: int, search: Search, *, after_seq: int, limit: int, most: int = MOST_LOOKED_AT
) -> Found:
    """Oldest first, above `after_seq`."""
    floor, top = await bounds_of_time(tx, account_id, search.filters)
    floor = max(floor, after_seq)
    index = await choose_index(tx, account_id, search)
    highest = top if index.is_enough else min(top, floor + most + 1)
    rows = await find_between(tx, account_id, search, index.name, floor, highest, limit, downwards=False)
    if len(rows) == limit:
        return Found(rows, rows[-1].seq)
    return Found(rows, highest - 1 if highest < top else None)


async def bounds_of_time(tx: Tx, account_id: int, filters: Filters) -> tuple[int, int]:
    """Between which numbers (themselves not included) the messages of the filters' time lie."""
    floor, top = 0, await last_seq(tx, account_id) + 1
    if filters.since_ms is not None:
        floor = max(floor, await seq_at_time(tx, account_id, filters.since_ms) - NEARBY)
    if filters.until_ms is not None:
        top = min(top, await seq_at_time(tx, account_id, filters.until_ms) + NEARBY)
    return floor, top


class Index(Struct, frozen=True):
    """name: as in Search.index. is_enough: it leads to hardly more rows than match, so that all may be looked at."""

    name: str
    is_enough: bool


async def choose_index(tx: Tx, account_id: int, search: Search) -> Index:
    if search.index:
        return Index(search.index, search.is_indexed)
    if await few_wait(tx, account_id):
        return Index("", is_enough=True)
    return Index("message_by_seq", is_enough=False)  # so many that they are met soon


async def find_between(
    tx: Tx, account_id: int, search: Search, index: str, floor: int, top: int, limit: int, *, downwards: bool
) -> list[Message]:
    """Matches with floor < seq < top."""
    filters = structs.replace(search.filters, since_ms=None, until_ms=None)
    conditions, values = await filter_query(tx, account_id, filters, None)
    given = list(conditions)

    def add(condition: str, value: object) -> None:
        values.append(value)
        given.append(condition.format(f"${3 + len(values)}"))

    # One bound below and one above, for an engine may take the worst of several.
    add("seq > {}", floor)
    add("seq < {}", top)
    if search.filters.since_ms is not None:
        add("created_at_ms >= {}", search.filters.since_ms)
    if search.filters.until_ms is not None:
        add("created_at_ms < {}", search.filters.until_ms)
    if search.sender is not None:
        add("sender = {}", search.sender)
    if search.text:
        add("text LIKE {} ESCAPE '!'", like_pattern(search.text))
    what = search_statement(tuple(given), index, downwards=downwards)
    return [Message(*row) for row in await tx.rows(what, account_id, limit, 0, *values)]


def like_pattern(text: str) -> str:
    """The text anywhere, its own signs taken for themselves."""
    for special in "!%_":
        text = text.replace(special, "!" + special)
    return f"%{text}%"


@lru_cache(maxsize=256)
def search_statement(conditions: tuple[str, ...], index: str, *, downwards: bool) -> Statement:
    where = " AND ".join(("account_id = $1", *conditions))
    order = "DESC" if downwards else "ASC"
    sql = f"SELECT {MESSAGE} FROM message WHERE {where} ORDER BY seq {order} LIMIT $2 OFFSET $3"
    # Without a name of ours no index may be taken for the order: the queue leads to the rows.
    hinted = (
        sql.replace("FROM message", f"FROM message INDEXED BY {index}", 1) if index else sql.replace(" seq ", " +seq ")
    )
    # SQLite's LIKE takes ASCII letters in either case, ILIKE all letters.
    return statement("search_messages", sql, sqlite=hinted, postgresql=sql.replace(" LIKE ", " ILIKE "))


async def glance(tx: Tx, account_id: int, seqs: Sequence[int]) -> dict[int, Glance]:
    """How the messages of a page stand now, by number; at most MOST_AT_A_GLANCE of them."""
    rows = await tx.rows(GLANCE, account_id, *padded(seqs))
    return {
        row[0]: Glance(row[0], row[1], row[2], SendProgress(*row[3:]) if row[3] is not None else None) for row in rows
    }


async def messages_by_seq(tx: Tx, account_id: int, seqs: Sequence[int]) -> list[Message]:
    """Newest first; at most MOST_AT_A_GLANCE of them."""
    return [Message(*row) for row in await tx.rows(MESSAGES_BY_SEQ, account_id, *padded(seqs))]


def padded(seqs: Sequence[int]) -> list[int]:
    assert len(seqs) <= MOST_AT_A_GLANCE, len(seqs)
    return [*seqs, *[NO_SEQ] * (MOST_AT_A_GLANCE - len(seqs))]
