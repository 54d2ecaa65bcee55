"""The way into the store: many requests in one commit, each with its own fate."""

import asyncio

import pytest

from heliograph.accept.storing import Acceptor, Entry, Key
from heliograph.config import Settings
from heliograph.errors import Unavailable
from heliograph.store import idempotency, messages
from heliograph.store.engine import Database, Work
from tests.kit.waiting import eventually
from tests.store.makers import count, make_account, new_message

SETTINGS = Settings(home="unused", accept_batch=50, max_waiting_accepts=100)


class Counting:
    """The database, with its writes counted, and held back while the test wishes."""

    def __init__(self, database: Database) -> None:
        self.writes = 0
        self.free = asyncio.Event()
        self.free.set()
        self._database = database

    async def write(self, work: Work[object]) -> object:
        self.writes += 1
        await self.free.wait()
        return await self._database.write(work)


def acceptor_of(counting: Counting) -> Acceptor:
    return Acceptor(counting, SETTINGS)  # type: ignore[arg-type]


async def test_one_commit_for_many(database: Database) -> None:
    """What arrives while a commit is under way travels together in the next, and every caller is answered after it."""
    account = await make_account(database)
    counting = Counting(database)
    acceptor = acceptor_of(counting)
    entries = [Entry([new_message(account.id)], 200, b"{}") for _ in range(90)]
    counting.free.clear()
    waiting = [asyncio.create_task(acceptor.store(entry)) for entry in entries]
    await asyncio.sleep(0)
    counting.free.set()
    assert await asyncio.gather(*waiting) == [None] * 90
    assert counting.writes <= 4
    assert await count(database, "message") == await count(database, "send_due") == 90


async def test_a_bad_one_fails_alone(database: Database) -> None:
    """A row that cannot be stored fails its own caller; the others of its commit are on disk."""
    account = await make_account(database)
    acceptor = acceptor_of(Counting(database))
    good = [Entry([new_message(account.id)], 200, b"{}") for _ in range(9)]
    bad = Entry([new_message(account.id, direction="sideways")], 200, b"{}")
    results = await asyncio.gather(
        *(acceptor.store(one) for one in (*good[:5], bad, *good[5:])), return_exceptions=True
    )
    assert [isinstance(one, Exception) for one in results] == [False] * 5 + [True] + [False] * 4
    assert await count(database, "message") == 9


async def test_a_call_is_stored_whole_or_not(database: Database) -> None:
    """Of a call with several messages, one of which cannot be stored, none is."""
    account = await make_account(database)
    acceptor = acceptor_of(Counting(database))
    several = [new_message(account.id), new_message(account.id, direction="sideways"), new_message(account.id)]
    with pytest.raises(Exception, match="direction"):
        await acceptor.store(Entry(several, 200, b"{}"))
    assert await count(database, "message") == 0


async def test_too_many_waiting(database: Database) -> None:
    """More than the queue holds are refused at once, and told when to come back; nothing of them is stored."""
    account = await make_account(database)
    counting = Counting(database)
    acceptor = acceptor_of(counting)
    counting.free.clear()
    tasks = [asyncio.create_task(acceptor.store(Entry([new_message(account.id)], 200, b"{}"))) for _ in range(300)]

    async def most_are_refused() -> bool:
        return sum(task.done() for task in tasks) >= 50

    await eventually(most_are_refused)
    for task in [task for task in tasks if task.done()]:
        error = task.exception()
        assert isinstance(error, Unavailable)
        assert (error.code, error.http_status, error.retry_after_s) == ("overloaded", 503, 1)
    counting.free.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert await count(database, "message") == results.count(None)


async def test_keys_in_one_batch(database: Database) -> None:
    """Equal keys that meet in one commit: the first is stored, the others get its answer."""
    account = await make_account(database)
    acceptor = acceptor_of(Counting(database))
    key = Key(account.id, b"k" * 32, b"r" * 32)
    entries = [Entry([new_message(account.id)], 200, b"answer %d" % n, key) for n in range(5)]
    found = await asyncio.gather(*(acceptor.store(entry) for entry in entries))
    assert found[0] is None
    assert {kept.answer for kept in found[1:] if kept is not None} == {b"answer 0"}
    assert len([kept for kept in found if kept is not None]) == 4
    assert await count(database, "message") == 1


async def test_the_answer_is_kept_with_the_message(database: Database) -> None:
    """When the message cannot be stored, its key stays free."""
    account = await make_account(database)
    acceptor = acceptor_of(Counting(database))
    key = Key(account.id, b"k" * 32, b"r" * 32)
    with pytest.raises(Exception, match="direction"):
        await acceptor.store(Entry([new_message(account.id, direction="sideways")], 200, b"no", key))
    assert await database.read(lambda tx: idempotency.kept_answer(tx, account.id, key.key_sha256, 0)) is None
    assert await acceptor.store(Entry([new_message(account.id)], 200, b"yes", key)) is None


async def test_numbers_follow_the_order(database: Database) -> None:
    """Messages of one call are numbered in its order, without a gap."""
    account = await make_account(database)
    acceptor = acceptor_of(Counting(database))
    made = [new_message(account.id, person=str(n)) for n in range(20)]
    await acceptor.store(Entry(made, 200, b"{}"))
    listed = await database.read(lambda tx: messages.page_by_seq(tx, account.id, 20, 20))
    assert [row.seq for row in listed] == list(range(20, 0, -1))
    assert [row.person for row in listed] == [str(n) for n in range(19, -1, -1)]


async def test_drain(database: Database) -> None:
    """Draining waits for all that was taken."""
    account = await make_account(database)
    acceptor = acceptor_of(Counting(database))
    tasks = [asyncio.create_task(acceptor.store(Entry([new_message(account.id)], 200, b"{}"))) for _ in range(60)]
    await asyncio.sleep(0)
    await acceptor.drain()
    assert await count(database, "message") == 60
    assert await asyncio.gather(*tasks) == [None] * 60
