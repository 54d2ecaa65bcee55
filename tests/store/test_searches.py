"""Searching an account's messages: by index to the end, by text in stretches, in both directions."""

import pytest

from heliograph.core.statuses import State
from heliograph.store import messages, searches, sends
from heliograph.store.engine import Database
from heliograph.store.messages import Filters
from heliograph.store.searches import Search
from tests.store.makers import NOON_MS, make_account, make_messages, new_inbound, new_message, read, write


async def make_history(database: Database) -> int:
    """Sixty messages, one a second: every third is incoming, every tenth speaks of 100 % off, two senders take turns."""
    account = await make_account(database)
    await make_messages(
        database,
        [
            (new_inbound if place % 3 == 0 else new_message)(
                account.id,
                text=f"Message {place}: 100% OFF_É" if place % 10 == 0 else f"Message {place}: 1000 off",
                sender="Lark" if place % 2 else "Service",
                person=f"3160000000{place % 5}",
                created_at_ms=NOON_MS + place * 1000,
            )
            for place in range(1, 61)
        ],
    )
    return account.id


SEARCHES = {
    "none": Search(),
    "text": Search(text="100% off_"),
    "accent": Search(text="off_É"),
    "sender": Search(sender="Lark"),
    "both": Search(sender="Service", text="message 2"),
    "person": Search(filters=Filters(person="31600000001"), text="1:"),
    "incoming": Search(filters=Filters(direction="incoming")),
    "outgoing": Search(filters=Filters(direction="outgoing")),
    "time": Search(filters=Filters(since_ms=NOON_MS + 10_000, until_ms=NOON_MS + 50_000), sender="Lark"),
    "quote": Search(text="' OR 1=1 --"),
}


@pytest.mark.parametrize("name", SEARCHES)
async def test_pages(database: Database, name: str) -> None:
    """Going down in pages finds every match once, newest first; going up finds the same ones in the other order."""
    account_id = await make_history(database)
    search = SEARCHES[name]
    everything = await read(database, messages.page_by_seq, account_id, 60, 60)
    filters = search.filters
    expected = [
        row.seq
        for row in everything
        if search.text.lower() in row.text.lower()
        and search.sender in {None, row.sender}
        and filters.person in {None, row.person}
        and filters.direction in {None, row.direction}
        and (filters.since_ms is None or row.created_at_ms >= filters.since_ms)
        and (filters.until_ms is None or row.created_at_ms < filters.until_ms)
    ]
    assert expected or name == "quote"
    down: list[int] = []
    before: int | None = None
    for _ in range(100):
        found = await read(database, searches.search_older, account_id, search, before_seq=before, limit=4, most=9)
        down += [row.seq for row in found.rows]
        before = found.looked_until
        if before is None:
            break
    assert down == expected
    up: list[int] = []
    after: int | None = 0
    for _ in range(100):
        assert after is not None
        found = await read(database, searches.search_newer, account_id, search, after_seq=after, limit=4, most=9)
        up += [row.seq for row in found.rows]
        after = found.looked_until
        if after is None:
            break
    assert up == expected[::-1]


async def test_a_stretch_is_bounded(database: Database) -> None:
    """Without an index only so many messages are looked at, and the answer says down to which."""
    account_id = await make_history(database)
    found = await database.read(
        lambda tx: searches.search_older(tx, account_id, Search(text="no such text"), before_seq=None, limit=5, most=20)
    )
    assert (found.rows, found.looked_until) == ([], 41)
    found = await database.read(
        lambda tx: searches.search_older(
            tx, account_id, Search(filters=Filters(person="4")), before_seq=None, limit=5, most=20
        )
    )
    assert (found.rows, found.looked_until) == ([], None), "a person has an index"


async def test_glance(database: Database) -> None:
    """States of named rows as they stand now, with their place in the queue; nothing of another account."""
    account_id = await make_history(database)
    other = await make_account(database, "Bolt")
    rows = await read(database, searches.messages_by_seq, account_id, [1, 2, 3, 99])
    assert [row.seq for row in rows] == [3, 2, 1]
    assert not await read(database, searches.messages_by_seq, other.id, [1, 2])
    await write(database, messages.move_message, account_id, rows[1].id, State.DELIVERED, NOON_MS + 7)
    await write(database, sends.drop_send, account_id, rows[1].id)
    seen = await read(database, searches.glance, account_id, [1, 2, 3, 99])
    assert set(seen) == {1, 2, 3}
    assert (seen[2].state, seen[2].schedule_at_ms, seen[2].progress) == (State.DELIVERED, None, None)
    assert seen[1].progress is not None
    assert seen[1].progress.lease_until_ms is None
    assert seen[3].progress is None, "it came in"
    await read(database, searches.find_between, account_id, Search(), 0, 9, 5, downwards=True)
