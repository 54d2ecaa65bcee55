"""The raw inbox and the errands that follow from it, on every engine."""

from heliograph.core.ids import new_id
from heliograph.store import callbacks, errands, queues
from heliograph.store.callbacks import Callback
from heliograph.store.engine import Database
from tests.store.makers import NOON_MS, count, write


def new_callback(at_ms: int = NOON_MS, body: bytes = b'{"object": "x"}') -> Callback:
    return Callback(1, new_id(), 1, at_ms, body, None)


async def test_add_callbacks(database: Database) -> None:
    """A callback is kept byte for byte, and owed to whoever applies it, in one transaction."""
    made = [new_callback(body=bytes(range(256))), new_callback()]
    await database.write(lambda tx: callbacks.add_callbacks(tx, made))
    assert await database.read(lambda tx: callbacks.callback_by_id(tx, 1, made[0].id)) == made[0]
    assert await database.read(lambda tx: callbacks.callback_by_id(tx, 2, made[0].id)) is None
    assert await database.read(lambda tx: queues.depth(tx, queues.CALLBACKS, NOON_MS)) == (2, NOON_MS)


async def test_trouble(database: Database) -> None:
    """Dead letters are listed from a place on, oldest first, until they could be applied after all."""
    made = [new_callback() for _ in range(4)]
    await database.write(lambda tx: callbacks.add_callbacks(tx, made))
    for one in made[:3]:
        await write(database, callbacks.record_trouble, 1, one.id, "Not JSON.")
    listed = await database.read(lambda tx: callbacks.troubled_callbacks(tx, bytes(16), 2))
    assert [(one.id, one.trouble) for one in listed] == [(one.id, "Not JSON.") for one in made[:2]]
    listed = await database.read(lambda tx: callbacks.troubled_callbacks(tx, made[1].id, 10))
    assert [one.id for one in listed] == [made[2].id]
    await database.write(lambda tx: callbacks.record_trouble(tx, 1, made[2].id, None))
    assert await database.read(lambda tx: callbacks.troubled_callbacks(tx, made[1].id, 10)) == []


async def test_replay(database: Database) -> None:
    """A replayed callback is owed once more, and only once however often that is asked."""
    made = new_callback()
    await database.write(lambda tx: callbacks.add_callbacks(tx, [made]))
    owner = new_id()
    await database.write(lambda tx: queues.claim_due(tx, queues.CALLBACKS, owner, NOON_MS + 9, NOON_MS, 9))
    await database.write(lambda tx: queues.finish(tx, queues.CALLBACKS, owner, [(1, made.id)]))
    assert await count(database, "callback_due") == 0
    for _ in range(2):
        await database.write(lambda tx: callbacks.replay_callback(tx, 1, made.id, NOON_MS + 5))
    assert await count(database, "callback_due") == 1


async def test_drop_old(database: Database) -> None:
    """Old callbacks go in portions; one that still waits to be applied stays, whatever its age."""
    made = [new_callback(NOON_MS + place) for place in range(6)]
    await database.write(lambda tx: callbacks.add_callbacks(tx, made))
    owner = new_id()
    await database.write(lambda tx: queues.claim_due(tx, queues.CALLBACKS, owner, NOON_MS + 99, NOON_MS + 9, 9))
    done: list[queues.Key] = [(1, one.id) for one in made[1:]]
    await database.write(lambda tx: queues.finish(tx, queues.CALLBACKS, owner, done))
    assert await database.write(lambda tx: callbacks.drop_old_callbacks(tx, NOON_MS + 5, 3)) == 3
    assert await database.write(lambda tx: callbacks.drop_old_callbacks(tx, NOON_MS + 5, 3)) == 1
    assert await database.write(lambda tx: callbacks.drop_old_callbacks(tx, NOON_MS + 5, 3)) == 0
    assert await database.read(lambda tx: callbacks.callback_by_id(tx, 1, made[0].id)) == made[0]
    assert await database.read(lambda tx: callbacks.callback_by_id(tx, 1, made[5].id)) == made[5]


async def test_owe_errand(database: Database) -> None:
    """An errand of a kind is owed once for a message."""
    message_id = new_id()
    for kind in ("fetch_media", "mark_read", "mark_read"):
        await write(database, errands.owe_errand, 1, message_id, kind, 7, "subject", NOON_MS)
    owner = new_id()
    rows = await database.write(lambda tx: queues.claim_due(tx, queues.ERRANDS, owner, NOON_MS + 9, NOON_MS, 9))
    assert sorted(tuple(row) for row in rows) == [
        (1, message_id, "fetch_media", 7, "subject", NOON_MS, 1),
        (1, message_id, "mark_read", 7, "subject", NOON_MS, 1),
    ]
