"""What waits: claims, leases, lapses, and the queue of sends, on every engine."""

import asyncio
from collections import Counter

import pytest

from heliograph.core.ids import new_id
from heliograph.core.statuses import State
from heliograph.store import callbacks, errands, messages, people, queues, sends
from heliograph.store.callbacks import Callback
from heliograph.store.engine import Database, Tx
from heliograph.store.queues import Key, Queue
from heliograph.store.sends import DueSend
from tests.store.conftest import Store
from tests.store.makers import NOON_MS, count, make_account, make_message, make_messages, new_message, write

QUEUES = {queue.table: queue for queue in queues.QUEUES}


async def fill(database: Database, queue: Queue, due: list[int]) -> list[Key]:
    """Rows that are due at these times; their keys in that order."""
    ids = [new_id() for _ in due]

    async def work(tx: Tx) -> None:
        for identifier, due_at_ms in zip(ids, due, strict=True):
            if queue is queues.SENDS:
                await messages.add_messages(tx, [new_message(1, id=identifier, due_at_ms=due_at_ms)])
            elif queue is queues.CALLBACKS:
                await callbacks.add_callbacks(tx, [Callback(1, identifier, 1, due_at_ms, b"{}", None)])
            else:
                await errands.owe_errand(tx, 1, identifier, "mark_read", 1, "wamid.1", due_at_ms)

    await make_account(database)
    await database.write(work)
    return [(1, one, "mark_read") if queue is queues.ERRANDS else (1, one) for one in ids]


def keys_of(queue: Queue, rows: list[Key]) -> list[Key]:
    return [tuple(row[: len(queue.keys)]) for row in rows]


async def claim(database: Database, queue: Queue, owner: bytes, now_ms: int, limit: int = 100) -> list[Key]:
    return await database.write(lambda tx: queues.claim_due(tx, queue, owner, now_ms + 90, now_ms, limit))


@pytest.mark.parametrize("table", QUEUES)
async def test_claim(database: Database, table: str) -> None:
    """Only what is due is claimed, the oldest first, and by one owner; a claim counts as an attempt."""
    queue = QUEUES[table]
    keys = await fill(database, queue, [NOON_MS + 2, NOON_MS + 1, NOON_MS + 3, NOON_MS + 500])
    first, second = new_id(), new_id()
    rows = await claim(database, queue, first, NOON_MS + 10, limit=2)
    assert set(keys_of(queue, rows)) == {keys[0], keys[1]}
    assert [row[-1] for row in rows] == [1, 1]
    assert keys_of(queue, await claim(database, queue, second, NOON_MS + 10)) == [keys[2]]
    assert await claim(database, queue, first, NOON_MS + 10) == []


@pytest.mark.parametrize("table", QUEUES)
async def test_finish(database: Database, table: str) -> None:
    """What is done goes, but only if it is still ours."""
    queue = QUEUES[table]
    keys = await fill(database, queue, [NOON_MS, NOON_MS])
    mine, other = new_id(), new_id()
    await claim(database, queue, mine, NOON_MS)
    await database.write(lambda tx: queues.finish(tx, queue, other, keys))
    assert await count(database, table) == 2
    await database.write(lambda tx: queues.finish(tx, queue, mine, keys[:1]))
    assert await count(database, table) == 1
    await database.write(lambda tx: queues.finish(tx, queue, mine, []))
    assert await count(database, table) == 1


@pytest.mark.parametrize("table", QUEUES)
async def test_postpone(database: Database, table: str) -> None:
    """What is postponed is free again, due later, and remembers its attempts; who does not hold it cannot."""
    queue = QUEUES[table]
    keys = await fill(database, queue, [NOON_MS])
    mine, other = new_id(), new_id()
    await claim(database, queue, mine, NOON_MS)
    await database.write(lambda tx: queues.postpone(tx, queue, other, [(keys[0], NOON_MS)]))
    assert await claim(database, queue, other, NOON_MS) == []
    await database.write(lambda tx: queues.postpone(tx, queue, mine, [(keys[0], NOON_MS + 50)]))
    assert await database.read(lambda tx: queues.next_due_at_ms(tx, queue)) == NOON_MS + 50
    assert await claim(database, queue, other, NOON_MS + 49) == []
    rows = await claim(database, queue, other, NOON_MS + 50)
    assert [row[-1] for row in rows] == [2]


@pytest.mark.parametrize("table", QUEUES)
async def test_lapsed(database: Database, table: str) -> None:
    """A claim whose lease ended is found, with who held it; one that lives is not; nobody claims either unasked."""
    queue = QUEUES[table]
    keys = await fill(database, queue, [NOON_MS, NOON_MS + 50])
    dead, living = new_id(), new_id()
    await claim(database, queue, dead, NOON_MS)
    await claim(database, queue, living, NOON_MS + 50)
    rows = await database.read(lambda tx: queues.lapsed(tx, queue, NOON_MS + 100, 10))
    assert keys_of(queue, rows) == [keys[0]]
    assert rows[0][-1] == dead
    assert rows[0][-2] == 1
    assert await claim(database, queue, living, NOON_MS + 1000) == []
    both = await database.read(lambda tx: queues.lapsed(tx, queue, NOON_MS + 1000, 10))
    assert keys_of(queue, both) == keys
    assert len(await database.read(lambda tx: queues.lapsed(tx, queue, NOON_MS + 1000, 1))) == 1


@pytest.mark.parametrize("table", QUEUES)
async def test_release_and_give_back(database: Database, table: str) -> None:
    """An owner gives back what it has not begun; whoever settles a dead one's claim makes it due again."""
    queue = QUEUES[table]
    keys = await fill(database, queue, [NOON_MS, NOON_MS, NOON_MS])
    first, second = new_id(), new_id()
    await claim(database, queue, first, NOON_MS, limit=2)
    await claim(database, queue, second, NOON_MS)
    assert await database.write(lambda tx: queues.release_owner(tx, queue, first)) == 2
    assert await database.write(lambda tx: queues.release_owner(tx, queue, first)) == 0
    assert len(await claim(database, queue, first, NOON_MS)) == 2
    await database.write(lambda tx: queues.give_back(tx, queue, keys, NOON_MS + 70))
    assert await claim(database, queue, first, NOON_MS + 69) == []
    assert len(await claim(database, queue, first, NOON_MS + 70)) == 3


@pytest.mark.parametrize("table", QUEUES)
async def test_lapse_others(database: Database, table: str) -> None:
    """The one who knows that all others are dead ends their leases, and keeps its own."""
    queue = QUEUES[table]
    await fill(database, queue, [NOON_MS, NOON_MS, NOON_MS])
    mine, dead = new_id(), new_id()
    await claim(database, queue, mine, NOON_MS, limit=1)
    await claim(database, queue, dead, NOON_MS)
    assert await database.write(lambda tx: queues.lapse_others(tx, queue, mine)) == 2
    rows = await database.read(lambda tx: queues.lapsed(tx, queue, NOON_MS, 10))
    assert [row[-1] for row in rows] == [dead, dead]


@pytest.mark.parametrize("table", QUEUES)
async def test_depth(database: Database, table: str) -> None:
    """The depth counts what is due, and says since when the oldest waits."""
    queue = QUEUES[table]
    assert await database.read(lambda tx: queues.depth(tx, queue, NOON_MS)) == (0, None)
    assert await database.read(lambda tx: queues.next_due_at_ms(tx, queue)) is None
    await fill(database, queue, [NOON_MS + 3, NOON_MS + 1, NOON_MS + 9])
    assert await database.read(lambda tx: queues.depth(tx, queue, NOON_MS + 5)) == (2, NOON_MS + 1)
    assert await database.read(lambda tx: queues.next_due_at_ms(tx, queue)) == NOON_MS + 1


@pytest.mark.parametrize("table", QUEUES)
async def test_claims_of_many_nodes(store: Store, table: str) -> None:
    """Nodes that claim at the same time share the queue: each row goes to exactly one of them."""
    queue = QUEUES[table]
    nodes = [await store.open() for _ in range(3)]
    keys = await fill(nodes[0], queue, [NOON_MS] * 120)
    taken: Counter[Key] = Counter()

    async def work_off(node: Database) -> None:
        owner = new_id()
        while rows := await claim(node, queue, owner, NOON_MS, limit=7):
            taken.update(keys_of(queue, rows))
            await node.write(lambda tx: queues.finish(tx, queue, owner, keys_of(queue, rows)))

    await asyncio.gather(*(work_off(node) for node in nodes for _ in range(2)))
    # A claim that met only rows which another is claiming this instant comes back empty: the slow poll looks again.
    await work_off(nodes[0])
    assert taken == Counter(keys)
    assert await count(nodes[1], table) == 0


# The queue of sends


async def due(
    database: Database, account_id: int, connection_id: int, now_ms: int, lane: int = 0, limit: int = 10
) -> list[DueSend]:
    return await database.write(lambda tx: sends.due_sends(tx, account_id, connection_id, lane, now_ms, limit))


async def test_due_sends(database: Database) -> None:
    """A number sees what is due in a lane of its own, the oldest first, with all that a sender needs to know."""
    account = await make_account(database)
    made = await make_messages(
        database,
        [
            new_message(account.id, due_at_ms=NOON_MS + 2, template="{}", media_url="https://example.org/a.png"),
            new_message(account.id, due_at_ms=NOON_MS + 1, person="31600000009", person_user_id="NL.9"),
            new_message(account.id, due_at_ms=NOON_MS + 1, connection_id=2),
            new_message(account.id, due_at_ms=NOON_MS + 1, lane=1),
            new_message(account.id, due_at_ms=NOON_MS + 99),
        ],
    )
    await database.write(lambda tx: people.open_window(tx, account.id, 1, "31600000009", NOON_MS - 5))
    rows = await due(database, account.id, 1, NOON_MS + 10)
    assert [row.message_id for row in rows] == [made[1].id, made[0].id]
    assert (rows[0].person, rows[0].person_user_id, rows[0].last_inbound_at_ms) == ("31600000009", "NL.9", NOON_MS - 5)
    assert (rows[1].template, rows[1].media_url, rows[1].last_inbound_at_ms) == ("{}", made[0].media_url, None)
    assert (rows[1].text, rows[1].sender, rows[1].attempts, bool(rows[1].as_template)) == (
        "Hello",
        "YourName",
        0,
        False,
    )
    assert [row.message_id for row in await due(database, account.id, 1, NOON_MS + 10, limit=1)] == [made[1].id]
    assert [row.message_id for row in await due(database, account.id, 2, NOON_MS + 10)] == [made[2].id]
    assert [row.message_id for row in await due(database, account.id, 1, NOON_MS + 10, lane=1)] == [made[3].id]


async def test_claim_sends(database: Database) -> None:
    """A claimed message is due to nobody; its progress shows the attempt and its lease."""
    account = await make_account(database)
    made = await make_message(database, account.id)
    rows = await due(database, account.id, 1, NOON_MS)
    owner = new_id()
    await database.write(lambda tx: sends.claim_sends(tx, owner, NOON_MS + 90, rows))
    assert await due(database, account.id, 1, NOON_MS + 1000) == []
    progress = await database.read(lambda tx: sends.send_progress(tx, account.id, made.id))
    assert progress is not None
    assert (progress.attempts, progress.lease_until_ms, progress.due_at_ms) == (1, NOON_MS + 90, NOON_MS)
    assert await database.read(lambda tx: sends.send_progress(tx, account.id, new_id())) is None


async def test_defer_sends(database: Database) -> None:
    """A deferred message waits longer without having been attempted."""
    account = await make_account(database)
    await make_message(database, account.id)
    rows = await due(database, account.id, 1, NOON_MS)
    await database.write(lambda tx: sends.defer_sends(tx, [(rows[0], NOON_MS + 60)]))
    assert await due(database, account.id, 1, NOON_MS + 59) == []
    (row,) = await due(database, account.id, 1, NOON_MS + 60)
    assert row.attempts == 0
    assert await database.read(lambda tx: sends.next_due_of_connection(tx, account.id, 1)) == NOON_MS + 60


async def test_retry_send(database: Database) -> None:
    """Only the holder of the claim sets a retry."""
    account = await make_account(database)
    made = await make_message(database, account.id)
    mine, other = new_id(), new_id()
    rows = await due(database, account.id, 1, NOON_MS)
    await database.write(lambda tx: sends.claim_sends(tx, mine, NOON_MS + 90, rows))

    async def retry(owner: bytes) -> None:
        await database.write(
            lambda tx: sends.retry_send(
                tx, account.id, made.id, owner, due_at_ms=NOON_MS + 40, as_template=True, attempts=3
            )
        )

    await retry(other)
    assert await due(database, account.id, 1, NOON_MS + 40) == []
    await retry(mine)
    (row,) = await due(database, account.id, 1, NOON_MS + 40)
    assert (row.attempts, bool(row.as_template)) == (3, True)


async def test_give_back_sends(database: Database) -> None:
    """What was claimed and not begun is due as it was; only its holder gives it back."""
    account = await make_account(database)
    await make_message(database, account.id)
    mine, other = new_id(), new_id()
    rows = await due(database, account.id, 1, NOON_MS)
    await database.write(lambda tx: sends.claim_sends(tx, mine, NOON_MS + 90, rows))
    await database.write(lambda tx: sends.give_back_sends(tx, other, rows))
    assert await due(database, account.id, 1, NOON_MS) == []
    await database.write(lambda tx: sends.give_back_sends(tx, mine, rows))
    assert await due(database, account.id, 1, NOON_MS) == rows


async def test_owe_send_again(database: Database) -> None:
    """A message that had left the queue returns to it once."""
    account = await make_account(database)
    made = await make_message(database, account.id)
    await database.write(lambda tx: sends.drop_send(tx, account.id, made.id))
    assert await due(database, account.id, 1, NOON_MS) == []
    for attempts in (2, 9):
        await write(
            database,
            sends.owe_send_again,
            account.id,
            made.id,
            1,
            due_at_ms=NOON_MS,
            attempts=attempts,
            as_template=False,
        )
    (row,) = await due(database, account.id, 1, NOON_MS)
    assert (row.message_id, row.attempts) == (made.id, 2)


async def test_next_due_of_connection(database: Database) -> None:
    """The next time of a number is that of its earliest free message in any lane."""
    account = await make_account(database)
    assert await database.read(lambda tx: sends.next_due_of_connection(tx, account.id, 1)) is None
    await make_message(database, account.id, due_at_ms=NOON_MS + 9, lane=0)
    await make_message(database, account.id, due_at_ms=NOON_MS + 4, lane=1)
    assert await database.read(lambda tx: sends.next_due_of_connection(tx, account.id, 1)) == NOON_MS + 4
    assert await database.read(lambda tx: sends.next_due_of_connection(tx, account.id, 2)) is None


async def test_cancel_send(database: Database) -> None:
    """What waits is cancelled once; what is under way, settled, or another's is not, and stays as it is."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    waiting = await make_message(database, account.id, due_at_ms=NOON_MS + 50_000)
    claimed = await make_message(database, account.id)
    rows = await due(database, account.id, 1, NOON_MS)
    await database.write(lambda tx: sends.claim_sends(tx, new_id(), NOON_MS + 90, rows))

    async def cancel(account_id: int, message_id: bytes) -> bool:
        return await database.write(lambda tx: sends.cancel_send(tx, account_id, message_id, NOON_MS + 1))

    async def state(message_id: bytes) -> str:
        row = await database.read(lambda tx: messages.message_by_id(tx, account.id, message_id))
        assert row is not None
        return row.state

    assert not await cancel(other.id, waiting.id)
    assert await cancel(account.id, waiting.id)
    assert not await cancel(account.id, waiting.id)
    assert not await cancel(account.id, claimed.id)
    assert (await state(waiting.id), await state(claimed.id)) == (State.CANCELLED, State.QUEUED)


async def test_cancel_or_claim_never_both(store: Store) -> None:
    """Cancelling and claiming race over two hundred messages on three nodes: each message has exactly one fate."""
    nodes = [await store.open() for _ in range(3)]
    account = await make_account(nodes[0])
    made = await make_messages(nodes[0], [new_message(account.id) for _ in range(200)])
    claimed: Counter[bytes] = Counter()

    async def dispatch(node: Database) -> None:
        owner = new_id()

        async def work(tx: Tx) -> list[DueSend]:
            rows = await sends.due_sends(tx, account.id, 1, 0, NOON_MS, 9)
            await sends.claim_sends(tx, owner, NOON_MS + 90, rows)
            return rows

        while rows := await node.write(work):
            claimed.update(row.message_id for row in rows)

    async def cancel(message_id: bytes) -> bool:
        return await nodes[2].write(lambda tx: sends.cancel_send(tx, account.id, message_id, NOON_MS))

    answers, *_ = await asyncio.gather(
        asyncio.gather(*(cancel(one.id) for one in made[::-1])), dispatch(nodes[0]), dispatch(nodes[1])
    )
    await dispatch(nodes[0])  # for rows that were locked by the other when this one looked
    cancelled = {one.id for one, answer in zip(made[::-1], answers, strict=True) if answer}
    assert set(claimed.values()) <= {1}, "claimed twice"
    assert cancelled | set(claimed) == {one.id for one in made}
    assert not cancelled & set(claimed), "cancelled and sent"
    assert await count(nodes[0], "message", "state = 'cancelled'") == len(cancelled)
