"""Transactions, groups and announcements: what every engine promises beyond its rows."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from heliograph.core.ids import new_id
from heliograph.errors import Unavailable
from heliograph.store import accounts, errands, messages, tokens
from heliograph.store.engine import Database, Tx, statement
from tests.store.conftest import Store
from tests.store.makers import NOON_MS, count, make_account, make_message, new_message, read, write

PATIENCE_S = 15.0


async def until(true: Callable[[], bool]) -> None:
    """Wait for a condition; fail when it does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.005)


async def test_write_is_seen_by_all(store: Store) -> None:
    """What was written is there for every node as soon as the writer knows."""
    first, second = await store.open(), await store.open()
    for turn in range(10):
        account = await make_account(first, f"Acme {turn}")
        assert await read(second, accounts.account_by_id, account.id) == account


async def test_failed_work_keeps_nothing(database: Database) -> None:
    """A work that fails half-way leaves no row, and its error reaches its caller unchanged."""

    async def work(tx: Tx) -> None:
        await accounts.add_account(tx, "Gone", "UTC", None, NOON_MS)
        raise KeyError("my own error")

    with pytest.raises(KeyError, match="my own error"):
        await database.write(work)
    assert await database.read(accounts.all_accounts) == []


async def test_neighbours_of_a_failure(database: Database) -> None:
    """Of a hundred works at once, each that fails (by itself or by a constraint) fails alone; none is kept twice."""
    account = await make_account(database)
    taken = await make_message(database, account.id)

    async def one(place: int) -> str:
        async def work(tx: Tx) -> str:
            await messages.add_messages(tx, [new_message(account.id, text=str(place))])
            if place % 10 == 3:
                raise KeyError(place)
            if place % 10 == 7:
                await messages.add_messages(tx, [new_message(account.id, id=taken.id)])
            return f"done {place}"

        return await database.write(work)

    results = await asyncio.gather(*(one(place) for place in range(100)), return_exceptions=True)
    for place, result in enumerate(results):
        if place % 10 == 3:
            assert isinstance(result, KeyError)
            assert result.args == (place,)
        elif place % 10 == 7:
            assert isinstance(result, Exception)
            assert not isinstance(result, Unavailable), "a broken rule is no outage"
        else:
            assert result == f"done {place}"
    assert await count(database, "message") == 81
    newest = await database.read(lambda tx: messages.last_seq(tx, account.id))
    page = await database.read(lambda tx: messages.page_by_seq(tx, account.id, newest, 200))
    kept = [int(row.text) for row in page if row.id != taken.id]
    assert sorted(kept) == [place for place in range(100) if place % 10 not in {3, 7}]


async def test_broken_sql(database: Database) -> None:
    """A statement that the engine cannot run harms its own work only."""
    nonsense = statement("nonsense", "SELECT nothing FROM nowhere")

    async def bad(tx: Tx) -> None:
        await accounts.add_account(tx, "Gone", "UTC", None, NOON_MS)
        await tx.rows(nonsense)

    results = await asyncio.gather(
        database.write(bad), make_account(database), database.read(lambda tx: tx.rows(nonsense)), return_exceptions=True
    )
    assert isinstance(results[0], Exception)
    assert isinstance(results[2], Exception)
    assert [account.name for account in await database.read(accounts.all_accounts)] == ["Acme"]


async def test_caller_who_leaves(database: Database) -> None:
    """A caller that is cancelled while it waits harms nobody; its work is whole or not there."""
    account = await make_account(database)
    tasks = [
        asyncio.create_task(
            database.write(lambda tx: messages.add_messages(tx, [new_message(account.id), new_message(account.id)]))
        )
        for _ in range(40)
    ]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results[1::2]] == [type(None)] * 20
    await make_message(database, account.id)
    stored = await count(database, "message")
    assert stored % 2 == 1
    assert stored >= 41
    assert await database.read(lambda tx: messages.last_seq(tx, account.id)) == stored


async def test_consistent_reads(store: Store) -> None:
    """A read sees one state: while others write, the counter it reads and the rows it counts always agree."""
    writer, reader = await store.open(), await store.open()
    account = await make_account(writer)
    rows = statement("count_messages", "SELECT count(*) FROM message WHERE account_id = $1")

    async def look(tx: Tx) -> tuple[int, int]:
        newest = await messages.last_seq(tx, account.id)
        row = await tx.row(rows, account.id)
        assert row is not None
        return newest, row[0]

    async def write_on() -> None:
        for _ in range(60):
            await make_message(writer, account.id)

    writing = asyncio.create_task(write_on())
    seen = set()
    while not writing.done():
        newest, counted = await reader.read(look)
        assert newest == counted
        seen.add(newest)
    await writing
    assert len(seen) > 1, "it read while the others wrote"


async def test_read_keeps_nothing(database: Database) -> None:
    """A change within a read is refused or undone, never kept."""
    results = await asyncio.gather(
        database.read(lambda tx: accounts.add_account(tx, "Gone", "UTC", None, NOON_MS)), return_exceptions=True
    )
    assert len(results) == 1
    assert await database.read(accounts.all_accounts) == []
    await make_account(database)


async def test_reads_beside_writes(database: Database) -> None:
    """Hundreds of reads and writes at once are all answered, each with its own result."""
    account = await make_account(database)
    token = await database.write(lambda tx: tokens.add_token(tx, account.id, "one", bytes(32), None, NOON_MS))
    works: list[Awaitable[object]] = []
    for place in range(150):
        works.append(read(database, tokens.token_by_id, token.id))
        works.append(read(database, give_back, place))
        works.append(write(database, give_back, place))
    results = await asyncio.gather(*works)
    assert results[0::3] == [token] * 150
    assert results[1::3] == results[2::3] == list(range(150))


async def give_back(tx: Tx, place: int) -> int:
    row = await tx.row(statement("give_back", "SELECT CAST($1 AS BIGINT)"), place)
    assert row is not None
    return int(row[0])


# Announcements


async def test_announced_after_commit(store: Store) -> None:
    """Every node hears of a commit, and by then can read what was committed; the writing node too."""
    writer, other = await store.open(), await store.open()
    account = await make_account(writer)
    heard: list[str] = []
    seen: list[int] = []
    looks: set[asyncio.Task[None]] = set()

    async def look() -> None:
        seen.append(await count(other, "errand_due"))

    def on_other(topic: str) -> None:
        if topic == "errand":
            looks.add(asyncio.create_task(look()))

    stops = [writer.listen(heard.append), other.listen(on_other)]
    await hear_each_other([writer, other])
    await writer.write(lambda tx: errands.owe_errand(tx, account.id, new_id(), "mark_read", 1, "x", NOON_MS))
    await until(lambda: "errand" in heard and bool(seen))
    assert seen[0] == 1
    await asyncio.gather(*looks)
    for stop in stops:
        stop()


async def hear_each_other(nodes: list[Database]) -> None:
    """Wait until an announcement of each node reaches all of them."""
    ears: list[set[str]] = [set() for _ in nodes]
    stops = [node.listen(ear.add) for node, ear in zip(nodes, ears, strict=True)]
    hellos = {f"hello from {place}" for place in range(len(nodes))}
    deadline = time.monotonic() + PATIENCE_S
    while not all(ear >= hellos for ear in ears):
        assert time.monotonic() < deadline, "they do not hear each other"
        for place, node in enumerate(nodes):
            node.announce(f"hello from {place}")
        await asyncio.sleep(0.01)
    for stop in stops:
        stop()


async def test_failure_announces_nothing(store: Store) -> None:
    """A work that fails wakes nobody, though its neighbours do."""
    writer, other = await store.open(), await store.open()
    heard: list[str] = []
    stops = [writer.listen(heard.append), other.listen(heard.append)]
    await hear_each_other([writer, other])

    async def work(tx: Tx, topic: str, *, fails: bool) -> None:
        tx.announce(topic)
        if fails:
            raise KeyError(topic)

    await asyncio.gather(
        *(write(writer, work, f"topic:{place}", fails=place % 2 == 1) for place in range(20)),
        return_exceptions=True,
    )
    await until(lambda: all(heard.count(f"topic:{place}") == 2 for place in range(0, 20, 2)))
    writer.announce("last")
    await until(lambda: heard.count("last") == 2)
    assert not [topic for topic in heard if topic.startswith("topic:") and int(topic[6:]) % 2]
    for stop in stops:
        stop()


async def test_stop_listening(store: Store) -> None:
    """Who stopped listening hears no more; the others still do."""
    database = await store.open()
    gone: list[str] = []
    here: list[str] = []
    stop_gone, stop_here = database.listen(gone.append), database.listen(here.append)
    await hear_each_other([database])
    stop_gone()
    heard_before = len(gone)
    database.announce("news")
    await until(lambda: "news" in here)
    assert len(gone) == heard_before
    stop_here()


async def test_burst_of_announcements(store: Store) -> None:
    """A thousand announcements of a few topics at once reach the other node, each topic at least once."""
    writer, other = await store.open(), await store.open()
    heard: set[str] = set()
    stop = other.listen(heard.add)
    await hear_each_other([writer, other])
    for place in range(1000):
        writer.announce(f"send:{place % 7}")
    await until(lambda: {f"send:{place}" for place in range(7)} <= heard)
    stop()


# Time and the end


async def test_server_now(database: Database) -> None:
    """The database's clock runs forward, at about the pace and place of ours (it is this machine's)."""
    times = [await database.server_now_ms() for _ in range(20)]
    assert times == sorted(times)
    assert abs(times[-1] - time.time() * 1000) < 5_000


async def test_close_finishes(store: Store) -> None:
    """Closing finishes what was given before; what comes later is refused with a code, and nothing of it is stored."""
    database, other = await store.open(), await store.open()
    given = [asyncio.create_task(make_account(database, str(place))) for place in range(20)]
    await asyncio.sleep(0)
    await database.close()
    assert len(await asyncio.gather(*given)) == 20
    for call in (database.read, database.write):
        with pytest.raises(Unavailable) as refused:
            await call(accounts.all_accounts)
        assert refused.value.code == "stopping"
    await database.close()
    assert len(await other.read(accounts.all_accounts)) == 20
