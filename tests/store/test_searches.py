"""Searching an account's messages: by index to the end, by text in stretches, in both directions."""

import re

import msgspec
import pytest

from heliograph.core.statuses import State
from heliograph.store import messages, searches, sends
from heliograph.store.engine import Database, statement
from heliograph.store.messages import Filters
from heliograph.store.searches import Search
from tests.store.conftest import Store
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
    "failed": Search(filters=Filters(states=(State.FAILED,))),
    "waiting": Search(filters=Filters(states=(State.QUEUED, State.SENDING, State.SCHEDULED))),
    "received late": Search(filters=Filters(states=(State.RECEIVED,), since_ms=NOON_MS + 30_000), text="1"),
    "person late": Search(filters=Filters(person="31600000003", since_ms=NOON_MS, until_ms=NOON_MS + 50_000)),
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
        and (not filters.states or row.state in filters.states)
        and search.sender in {None, row.sender}
        and filters.person in {None, row.person}
        and filters.direction in {None, row.direction}
        and (filters.since_ms is None or row.created_at_ms >= filters.since_ms)
        and (filters.until_ms is None or row.created_at_ms < filters.until_ms)
    ]
    assert expected or name in {"quote", "failed"}
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


def test_which_index() -> None:
    """A person and one rare state have an index of their own; a text or a sender has none."""
    indexed = [name for name, search in SEARCHES.items() if search.is_indexed]
    assert indexed == ["failed", "waiting", "person late", "none", "person", "incoming"]


@pytest.mark.parametrize("name", SEARCHES)
async def test_no_search_reads_an_account(store: Store, name: str) -> None:
    """On SQLite each search goes through the index that fits, with no sort behind it (but for what waits in the queue)."""
    if store.settings.is_postgresql:
        return
    database = await store.open()
    search = SEARCHES[name]
    filters = msgspec.structs.replace(search.filters, since_ms=None, until_ms=None)
    conditions, values = await read(database, messages.filter_query, 1, filters, None)
    bounds = (f"seq > ${len(values) + 4}", f"seq < ${len(values) + 5}")
    what = searches.search_statement((*conditions, *bounds), search.index, downwards=True)
    plan = statement("plan_in_test", "", sqlite="EXPLAIN QUERY PLAN " + what.sqlite)
    rows = await database.read(lambda tx: tx.rows(plan, 1, 50, 0, *values, 0, 99))
    told = " / ".join(row[3] for row in rows)
    if search.index:
        assert re.search(rf"SEARCH message USING INDEX {search.index} \(account_id=\?.* AND seq>\? AND seq<\?\)", told)
        assert "TEMP B-TREE" not in told
    else:
        assert "SEARCH message USING PRIMARY KEY (account_id=? AND id=?)" in told
    for point in (searches.GLANCE, searches.MESSAGES_BY_SEQ):
        plan = statement("plan_in_test", "", sqlite="EXPLAIN QUERY PLAN " + point.sqlite)
        rows = await database.read(lambda tx, plan=plan: tx.rows(plan, 1, *range(50)))  # type: ignore[misc]
        assert "INDEX message_by_seq (account_id=? AND seq=?)" in rows[0][3]


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


async def test_bounds(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times become numbers with some room; what waits is found by the queue while it is short, then by the list."""
    account_id = await make_history(database)
    monkeypatch.setattr(searches, "NEARBY", 3)
    filters = Filters(since_ms=NOON_MS + 10_000, until_ms=NOON_MS + 20_000)
    assert await read(database, searches.bounds_of_time, account_id, filters) == (10 - 3, 20 + 3)
    assert await read(database, searches.bounds_of_time, account_id, Filters()) == (0, 61)
    waiting = SEARCHES["waiting"]
    assert (await read(database, searches.choose_index, account_id, waiting)).name == ""
    monkeypatch.setattr(messages, "FEW", 5)
    assert (await read(database, searches.choose_index, account_id, waiting)).name == "message_by_seq"
    found = await read(database, searches.search_older, account_id, waiting, before_seq=None, limit=3, most=10)
    assert [row.seq for row in found.rows] == [59, 58, 56]
    rows = await read(database, searches.find_between, account_id, Search(), "message_by_seq", 0, 9, 5, downwards=True)
    assert [row.seq for row in rows] == [8, 7, 6, 5, 4]
