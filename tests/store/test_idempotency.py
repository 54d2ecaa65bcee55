"""Kept answers, on every engine."""

import asyncio

from heliograph.store import idempotency, messages
from heliograph.store.engine import Database, Tx
from heliograph.store.idempotency import KeptAnswer
from tests.store.conftest import Store
from tests.store.makers import NOON_MS, count, make_account, new_message

KEY = bytes(range(32))
ANSWER = KeptAnswer(b"request", 200, b'{"status": "success"}')


async def keep(database: Database, account_id: int, key: bytes, kept: KeptAnswer, now_ms: int) -> bool:
    return await database.write(lambda tx: idempotency.keep_answer(tx, account_id, key, kept, now_ms, now_ms - 1000))


async def test_keep_answer(database: Database) -> None:
    """The first answer under a key stays, for its account only."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    second = KeptAnswer(b"other", 422, b"{}")
    assert await keep(database, account.id, KEY, ANSWER, NOON_MS)
    assert not await keep(database, account.id, KEY, second, NOON_MS + 1)
    assert await database.read(lambda tx: idempotency.kept_answer(tx, account.id, KEY, NOON_MS - 1)) == ANSWER
    assert await database.read(lambda tx: idempotency.kept_answer(tx, other.id, KEY, NOON_MS - 1)) is None
    assert await database.read(lambda tx: idempotency.kept_answer(tx, account.id, bytes(32), NOON_MS - 1)) is None
    assert await keep(database, other.id, KEY, second, NOON_MS)


async def test_answers_age(database: Database) -> None:
    """An answer that is too old counts for nothing: it is not given, is replaced, and is dropped in portions."""
    account = await make_account(database)
    await keep(database, account.id, KEY, ANSWER, NOON_MS)
    assert await database.read(lambda tx: idempotency.kept_answer(tx, account.id, KEY, NOON_MS)) is None
    fresh = KeptAnswer(b"fresh", 201, b"new")
    assert await keep(database, account.id, KEY, fresh, NOON_MS + 1000)
    assert await database.read(lambda tx: idempotency.kept_answer(tx, account.id, KEY, NOON_MS + 5)) == fresh
    for place in range(3):
        await keep(database, account.id, bytes([place]) * 32, ANSWER, NOON_MS)
    assert await database.write(lambda tx: idempotency.drop_old_answers(tx, NOON_MS, 2)) == 2
    assert await database.write(lambda tx: idempotency.drop_old_answers(tx, NOON_MS, 2)) == 1
    assert await database.read(lambda tx: idempotency.kept_answer(tx, account.id, KEY, NOON_MS + 5)) == fresh


async def test_one_winner(store: Store) -> None:
    """A request that comes to three nodes at once under one key is stored once; all get the winner's answer."""
    nodes = [await store.open() for _ in range(3)]
    account = await make_account(nodes[0])

    async def send(place: int) -> KeptAnswer:
        ours = KeptAnswer(b"same", 200, f"answer {place}".encode())

        async def work(tx: Tx) -> KeptAnswer:
            if await idempotency.keep_answer(tx, account.id, KEY, ours, NOON_MS, NOON_MS - 1000):
                await messages.add_messages(tx, [new_message(account.id)])
                return ours
            known = await idempotency.kept_answer(tx, account.id, KEY, NOON_MS - 1000)
            assert known is not None
            return known

        return await nodes[place % 3].write(work)

    answers = await asyncio.gather(*(send(place) for place in range(12)))
    assert len({answer.answer for answer in answers}) == 1
    assert await count(nodes[0], "message") == 1
