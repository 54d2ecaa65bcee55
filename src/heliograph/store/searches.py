"""Search among an account's messages, page by page: any page costs the same, however many messages there are.

What an index answers (a person, a rare state) is searched through to the end. What none answers (a part of the text, a
sender) is searched in a stretch of the list, and the answer tells where that ended, to go on from there.
"""

from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from heliograph.core.statuses import OPEN, SPARSE
from heliograph.store.engine import Statement, Tx, statement
from heliograph.store.messages import (
    DISORDER,
    MESSAGE,
    Filters,
    Message,
    filter_query,
    last_seq,
    seq_at_time,
)
from heliograph.store.sends import SendProgress

MOST_LOOKED_AT = 10_000  # messages that one page of an unindexed search looks at
MOST_AT_A_GLANCE = 50
NO_SEQ = -1


class Search(Struct, frozen=True, kw_only=True):
    """What is looked for. `text`: a part of the message's text; letters match in either case (on SQLite ASCII letters only)."""

    filters: Filters = Filters()
    sender: str | None = None
    text: str = ""

    def __bool__(self) -> bool:
        return self != Search()

    @property
    def is_indexed(self) -> bool:
        """Whether an index leads to exactly the rows that match, in order."""
        filters = self.filters
        if filters.person is not None:
            return True
        if self.text or self.sender is not None:
            return False
        if filters.states:
            return set(filters.states) <= SPARSE or set(filters.states) <= OPEN
        return filters.direction != "outgoing"


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


GLANCE = statement(
    "glance",
    "SELECT m.seq, m.state, m.schedule_at_ms, d.due_at_ms, d.attempts, d.lease_until_ms, d.lane FROM message AS m "
    "LEFT JOIN send_due AS d ON d.account_id = m.account_id AND d.message_id = m.id WHERE m.account_id = $1 AND m.seq IN "
    f"({', '.join(f'${place}' for place in range(2, 2 + MOST_AT_A_GLANCE))})",
)
MESSAGES_BY_SEQ = statement(
    "messages_by_seq",
    f"SELECT {MESSAGE} FROM message WHERE account_id = $1 AND seq IN "
    f"({', '.join(f'${place}' for place in range(2, 2 + MOST_AT_A_GLANCE))}) ORDER BY seq DESC",
)


async def search_older(
    tx: Tx, account_id: int, search: Search, *, before_seq: int | None, limit: int, most: int = MOST_LOOKED_AT
) -> Found:
    """Newest first, below `before_seq`; without an index at most `most` messages are looked at."""
    top = (await last_seq(tx, account_id)) + 1 if before_seq is None else before_seq
    if search.filters.until_ms is not None:
        top = min(top, await seq_at_time(tx, account_id, search.filters.until_ms) + DISORDER)
    floor = 0 if search.is_indexed else max(0, top - 1 - most)
    rows = await find_between(tx, account_id, search, floor, top, limit, downwards=True)
    if len(rows) == limit:
        return Found(rows, rows[-1].seq)
    return Found(rows, floor + 1 if floor else None)


async def search_newer(
    tx: Tx, account_id: int, search: Search, *, after_seq: int, limit: int, most: int = MOST_LOOKED_AT
) -> Found:
    """Oldest first, above `after_seq`."""
    newest = await last_seq(tx, account_id)
    ceiling = newest if search.is_indexed else min(newest, after_seq + most)
    rows = await find_between(tx, account_id, search, after_seq, ceiling + 1, limit, downwards=False)
    if len(rows) == limit:
        return Found(rows, rows[-1].seq)
    return Found(rows, ceiling if ceiling < newest else None)


async def find_between(
    tx: Tx, account_id: int, search: Search, floor: int, top: int, limit: int, *, downwards: bool
) -> list[Message]:
    """Matches with floor < seq < top."""
    conditions, values = await filter_query(tx, account_id, search.filters, None)
    given = list(conditions)

    def add(condition: str, value: object) -> None:
        values.append(value)
        given.append(condition.format(f"${3 + len(values)}"))

    add("seq > {}", floor)
    add("seq < {}", top)
    if search.sender is not None:
        add("sender = {}", search.sender)
    if search.text:
        add("text LIKE {} ESCAPE '!'", like_pattern(search.text))
    found = await tx.rows(search_statement(tuple(given), downwards=downwards), account_id, limit, 0, *values)
    return [Message(*row) for row in found]


def like_pattern(text: str) -> str:
    """The text anywhere, its own signs taken for themselves."""
    for special in "!%_":
        text = text.replace(special, "!" + special)
    return f"%{text}%"


@lru_cache(maxsize=256)
def search_statement(conditions: tuple[str, ...], *, downwards: bool) -> Statement:
    where = " AND ".join(("account_id = $1", *conditions))
    order = "DESC" if downwards else "ASC"
    sql = f"SELECT {MESSAGE} FROM message WHERE {where} ORDER BY seq {order} LIMIT $2 OFFSET $3"
    # SQLite's LIKE takes ASCII letters in either case, ILIKE all letters.
    return statement("search_messages", sql, postgresql=sql.replace(" LIKE ", " ILIKE "))


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
