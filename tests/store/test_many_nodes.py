"""Several nodes on one database: what one takes, no other takes too, and they wait for each other without a knot."""

import asyncio
from collections import Counter

import pytest

from heliograph.core.ids import new_id
from heliograph.core.statuses import State
from heliograph.store import connections, messages, queues
from heliograph.store.engine import Database, Tx
from tests.store.conftest import Store
from tests.store.makers import NOON_MS, make_account, make_connection, make_messages, new_message

OWNERS = [new_id() for _ in range(3)]


@pytest.fixture
async def nodes(store: Store) -> list[Database]:
    return [await store.open() for _ in OWNERS]


async def test_claims_are_disjoint(nodes: list[Database]) -> None:
    """Three nodes claim in small bites at the same time: every message goes to one of them, once."""
    account = await make_account(nodes[0])
    made = await make_messages(nodes[0], [new_message(account.id) for _ in range(300)])
    got: Counter[bytes] = Counter()

    async def claim_all(node: Database, owner: bytes) -> None:
        while True:
            rows = await node.write(
                lambda tx: queues.claim_due(tx, queues.SENDS, owner, NOON_MS + 1000, NOON_MS + 1, 7)
            )
            assert len(rows) <= 7
            if not rows:
                return
            got.update(row[1] for row in rows)

    await asyncio.gather(*(claim_all(node, owner) for node, owner in zip(nodes, OWNERS, strict=True)))
    assert got == Counter(one.id for one in made)


async def test_lapsed_is_settled_once(nodes: list[Database]) -> None:
    """Claims that a dead node left are taken by one of those who look at the same time, and not by the others too."""
    account = await make_account(nodes[0])
    made = await make_messages(nodes[0], [new_message(account.id) for _ in range(60)])
    await nodes[0].write(lambda tx: queues.claim_due(tx, queues.SENDS, new_id(), NOON_MS + 10, NOON_MS + 1, 100))
    settled: Counter[bytes] = Counter()

    async def settle(node: Database) -> None:
        async def work(tx: Tx) -> list[bytes]:
            rows = await queues.take_lapsed(tx, queues.SENDS, NOON_MS + 20, 7)
            await queues.give_back(tx, queues.SENDS, [(row[0], row[1]) for row in rows], NOON_MS + 50)
            return [row[1] for row in rows]

        while rows := await node.write(work):
            settled.update(rows)

    await asyncio.gather(*(settle(node) for node in nodes))
    assert settled == Counter(one.id for one in made)


async def test_numbers_have_one_owner(nodes: list[Database]) -> None:
    """Of those who ask for a number at the same time one gets it; when its lease has run out, another does."""
    account = await make_account(nodes[0])
    row = await make_connection(nodes[0], account.id)

    async def own(place: int, at_ms: int) -> list[int]:
        rows = await nodes[place].write(
            lambda tx: connections.own_connections(tx, OWNERS[place], at_ms, at_ms + 15_000)
        )
        return [one.id for one in rows]

    first = await asyncio.gather(*(own(place, NOON_MS) for place in range(3)))
    assert sorted(first) == [[], [], [row.id]]
    winner = first.index([row.id])
    assert await own(winner, NOON_MS + 4_000) == [row.id], "the heartbeat renews it"
    others = [place for place in range(3) if place != winner]
    assert [await own(place, NOON_MS + 18_000) for place in others] == [[], []]
    later = await asyncio.gather(*(own(place, NOON_MS + 19_001) for place in others))
    assert sorted(later) == [[], [row.id]]
    assert await own(winner, NOON_MS + 19_500) == [], "who was away too long has lost it"


async def test_numbers_are_shared(nodes: list[Database]) -> None:
    """A node takes no more than it asks for, keeps what it has, and gives back one by one."""
    account = await make_account(nodes[0])
    rows = [await make_connection(nodes[0], account.id, address=str(n)) for n in range(5)]
    ids = [row.id for row in rows]

    async def own(place: int, at_ms: int, most: int) -> list[int]:
        found = await nodes[place].write(
            lambda tx: connections.own_connections(tx, OWNERS[place], at_ms, at_ms + 1000, most)
        )
        return [one.id for one in found]

    assert await nodes[0].read(lambda tx: connections.count_connections(tx, NOON_MS)) == (5, 5)
    assert await own(0, NOON_MS, 3) == ids[:3]
    assert await own(1, NOON_MS, 9) == ids[3:]
    assert await own(0, NOON_MS + 1, 1) == ids[:3], "what is ours stays ours until we give it back"
    assert await nodes[0].read(lambda tx: connections.count_connections(tx, NOON_MS)) == (5, 0)
    for place in (1, 0):  # only the owner can
        await nodes[place].write(
            lambda tx, place=place: connections.disown_connection(tx, OWNERS[place], account.id, ids[0])  # type: ignore[misc]
        )
    assert await own(1, NOON_MS + 2, 3) == [ids[0], *ids[3:]]
    assert await nodes[0].read(lambda tx: connections.count_connections(tx, NOON_MS + 1500)) == (5, 5)


async def test_locks_in_one_order(nodes: list[Database]) -> None:
    """Who locks the messages first may change them in any order beside another who does: all changes are kept."""
    account = await make_account(nodes[0])
    made = await make_messages(nodes[0], [new_message(account.id) for _ in range(20)])
    keys = [(account.id, one.id) for one in made]

    async def change(node: Database, state: State, *, backwards: bool) -> None:
        async def work(tx: Tx) -> None:
            await messages.lock_messages(tx, keys[::-1] if backwards else keys)
            for account_id, message_id in keys[::-1] if backwards else keys:
                await messages.move_message(tx, account_id, message_id, state, NOON_MS)

        await node.write(work)

    await asyncio.gather(
        change(nodes[0], State.SENT, backwards=False),
        change(nodes[1], State.DELIVERED, backwards=True),
        change(nodes[2], State.READ, backwards=False),
    )
    kept = await nodes[0].read(lambda tx: messages.page_by_seq(tx, account.id, 20, 20))
    assert {one.state for one in kept} == {"read"}
