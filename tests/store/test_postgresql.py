"""PostgreSQL in trouble: lost connections, a server that goes and comes, locks, and commits whose answer never came."""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from heliograph.config import Settings
from heliograph.core.ids import now_ms
from heliograph.errors import Unavailable
from heliograph.store import accounts, messages, postgresql, postgresql_session
from heliograph.store.engine import Tx, statement
from heliograph.store.migrate import migrate
from heliograph.store.notices import MISSED, pack
from heliograph.store.postgresql import PostgresDatabase
from heliograph.store.postgresql_session import each_host
from tests.kit.postgres import Databases, PrivateServer
from tests.kit.waiting import eventually
from tests.kit.wire import Wire
from tests.store.makers import NOON_MS, count, make_account, make_message, make_messages, new_message, write

END_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = $1"
END_MYSELF = statement("end_myself", "SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateServer]:
    """A server of this module's own, which may be killed."""
    made = PrivateServer()
    yield made
    made.remove()


@pytest.fixture
def url(server: PrivateServer, tmp_path: Path) -> Iterator[str]:
    """A database with this release's schema."""
    databases = Databases(server.url)
    name = databases.create()
    migrate(Settings(home=str(tmp_path), database_url=databases.url_of(name)))
    yield databases.url_of(name)
    databases.drop(name)


@pytest.fixture
async def database(url: str) -> AsyncIterator[PostgresDatabase]:
    opened = await PostgresDatabase.open(url)
    yield opened
    await opened.close()


async def end_all_sessions(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.fetch(END_OTHERS, url.split("?", maxsplit=1)[0].rsplit("/", 1)[-1])
    await connection.close()


async def test_sessions_ended(database: PostgresDatabase, url: str) -> None:
    """After the server ended every session, the next reads and writes pass as if nothing had happened."""
    for turn in range(3):
        await asyncio.gather(*(make_account(database, f"{turn} {n}") for n in range(10)))
        await end_all_sessions(url)
    assert len(await database.read(accounts.all_accounts)) == 30


async def test_lost_in_mid_work(database: PostgresDatabase) -> None:
    """A work whose connection breaks half-way runs once more on another, and is kept once."""
    turns = []

    async def work(tx: Tx) -> int:
        account = await accounts.add_account(tx, "Acme", "UTC", None, NOON_MS)
        turns.append(account.id)
        if len(turns) == 1:
            await tx.rows(END_MYSELF)
        return account.id

    assert await database.write(work) == turns[1]
    assert [account.id for account in await database.read(accounts.all_accounts)] == turns[1:]


async def test_server_goes_and_comes(database: PostgresDatabase, server: PrivateServer) -> None:
    """While the server is down: 503 at once, nothing stored. Once it is back: reads, writes and wake-ups work again."""
    heard: list[str] = []
    stop = database.listen(heard.append)
    account = await make_account(database)
    await hears(database, heard)
    heard.clear()
    server.stop()
    try:
        for call in (make_account(database, "Gone"), database.read(accounts.all_accounts)):
            with pytest.raises(Unavailable) as refused:
                await call
            assert (refused.value.code, refused.value.http_status) == ("storage_unavailable", 503)
            assert refused.value.retry_after_s
    finally:
        server.start()
    assert await database.read(accounts.all_accounts) == [account]
    await hears(database, heard)
    assert set(MISSED) <= set(heard), "what may have been missed is told"
    stop()


async def hears(database: PostgresDatabase, heard: list[str]) -> None:
    async def look() -> bool:
        database.announce("hello")
        return "hello" in heard

    await eventually(look, every_s=0.05)


async def test_locked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that somebody keeps locked: 503 with a time to come back; the neighbours in the group are stored."""
    monkeypatch.setitem(postgresql_session.SESSION, "lock_timeout", "200")
    database = await PostgresDatabase.open(url)
    holder = await asyncpg.connect(url)
    try:
        account, other = await make_account(database), await make_account(database)
        await make_message(database, account.id)
        async with holder.transaction():
            await holder.execute("SELECT * FROM message_count WHERE account_id = $1 FOR UPDATE", account.id)
            results = await asyncio.gather(
                make_message(database, account.id), make_message(database, other.id), return_exceptions=True
            )
        assert isinstance(results[0], Unavailable)
        assert (results[0].code, results[0].retry_after_s) == ("storage_busy", 1)
        assert not isinstance(results[1], BaseException)
        await make_message(database, account.id)
        assert await count(database, "message") == 3
    finally:
        await holder.close()
        await database.close()


@pytest.fixture
def small_space(server: PrivateServer) -> Iterator[Path]:
    """A file system of three megabytes that the server may write to, where this user may mount one."""
    folder = Path(tempfile.mkdtemp(prefix="heliograph-small-"))
    given = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=0777", "tmpfs", str(folder)]
    if subprocess.run(given, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    shutil.chown(folder, server.folder.stat().st_uid)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


async def test_full_disk(server: PrivateServer, url: str, small_space: Path) -> None:
    """On a disk that is full: 503 with the reason, nothing half-stored, reads go on; once there is room, writes do too."""
    admin = await asyncpg.connect(url)
    try:
        await admin.execute(f"CREATE TABLESPACE small LOCATION '{small_space}'")
        await admin.execute("ALTER TABLE message SET TABLESPACE small")
        database = await PostgresDatabase.open(url)
        account = await make_account(database)
        accepted = 0
        with pytest.raises(Unavailable) as refused:
            while accepted < 20_000:
                await make_messages(database, [new_message(account.id, text="x" * 2000) for _ in range(50)])
                accepted += 50
        assert (refused.value.code, refused.value.http_status) == ("storage_full", 503)
        for table in ("message", "send_due"):
            assert await count(database, table) == accepted
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_space)], check=True)  # noqa: ASYNC221 - at once
        await make_messages(database, [new_message(account.id, text="x" * 2000) for _ in range(50)])
        assert await database.read(lambda tx: messages.last_seq(tx, account.id)) == accepted + 50
        await database.close()
        await admin.execute("ALTER TABLE message SET TABLESPACE pg_default")
        await admin.execute("DROP TABLESPACE small")
    finally:
        await admin.close()


async def test_group_commit(database: PostgresDatabase) -> None:
    """Five hundred writes at once share a few commits."""
    await asyncio.gather(*(make_account(database, str(place)) for place in range(500)))
    transactions = statement("transactions", "SELECT count(DISTINCT xmin::text) FROM account")
    rows = await database.read(lambda tx: tx.rows(transactions))
    assert await count(database, "account") == 500
    assert rows[0][0] < 50


async def test_who_comes_again_at_once(database: PostgresDatabase) -> None:
    """Callers who write and read one after the other, many at once, are all answered: none waits for the next to come."""

    async def call_again_and_again() -> None:
        for _ in range(20):
            account = await make_account(database)
            assert await database.read(lambda tx: accounts.account_by_id(tx, account.id)) == account  # noqa: B023

    async with asyncio.timeout(30):
        await asyncio.gather(*(call_again_and_again() for _ in range(64)))


async def test_opposite_orders(url: str) -> None:
    """Two nodes that change the same rows in opposite orders do not end in an error: the server's victim tries again."""
    nodes = [await PostgresDatabase.open(url) for _ in range(2)]
    account = await make_account(nodes[0])
    made = await make_messages(nodes[0], [new_message(account.id) for _ in range(20)])

    async def change(node: PostgresDatabase, turn: int, *, backwards: bool) -> None:
        rows = [(account.id, one.id, f"carrier {turn}") for one in (made[::-1] if backwards else made)]
        await node.write(lambda tx: messages.record_sent(tx, rows, NOON_MS + turn))

    for turn in range(20):
        await asyncio.gather(change(nodes[0], turn, backwards=False), change(nodes[1], turn, backwards=True))
    for node in nodes:
        await node.close()


async def test_nul(database: PostgresDatabase) -> None:
    """A NUL, which PostgreSQL keeps in no text, becomes U+FFFD; the other works of the group are stored as they are."""
    account = await make_account(database)
    texts = ["one", "t\x00wo", "thr\ufffdee"]
    made = await asyncio.gather(*(make_message(database, account.id, text=text) for text in texts))
    kept = [await database.read(lambda tx, one=one: messages.message_by_id(tx, account.id, one.id)) for one in made]  # type: ignore[misc]
    assert [one.text for one in kept if one] == ["one", "t\ufffdwo", "thr\ufffdee"]


async def test_refused_at_the_door(url: str) -> None:
    """A database that is not there, or a server that is not there, is refused with a sentence."""
    for bad in (url.replace("heliograph_test", "nowhere"), "postgresql://h/x?host=/nowhere"):
        with pytest.raises(Unavailable) as refused:
            await PostgresDatabase.open(bad)
        assert refused.value.code in {"storage_refused", "storage_unavailable"}


@pytest.mark.parametrize("answers", [False, True])
async def test_next_host(server: PrivateServer, url: str, *, answers: bool) -> None:
    """Of several hosts, those that are dead (refusing, or cutting each connection) are passed over."""
    socket = str(server.folder / ".s.PGSQL.5432")
    name = url.split("?", maxsplit=1)[0].rsplit("/", 1)[-1]
    async with (
        Wire(lambda: asyncio.open_unix_connection(socket)) as dead,
        Wire(lambda: asyncio.open_unix_connection(socket)) as alive,
    ):
        dead.cut()
        first = f"127.0.0.1:{dead.port}" if answers else "127.0.0.1:9"
        urls = f"postgresql://heliograph@{first},127.0.0.1:{alive.port}/{name}?sslmode=disable"
        database = await PostgresDatabase.open(urls)
        await make_account(database)
        await database.close()


def test_each_host() -> None:
    """User, path and parameters belong to every host; a URL without a host stays as it is."""
    assert each_host("postgresql://u:p@a:1,b/n?x=1") == ["postgresql://u:p@a:1/n?x=1", "postgresql://u:p@b/n?x=1"]
    for single in ("postgresql://u@/n?host=/tmp", "postgresql://a/n", "postgresql:///n", "postgres://a"):
        assert each_host(single) == [single]


async def test_clock_of_the_server(database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is timed by the server's clock: a node whose own clock is years off tells the same time."""
    real = time.time() * 1000
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert abs(await database.server_now_ms() - real) < 5_000
    assert abs(now_ms() - real) < 5_000
    await database.close()
    assert now_ms() == 0, "who has no such database tells its own"


# A commit whose answer never came


@contextlib.asynccontextmanager
async def through_a_wire(server: PrivateServer, url: str) -> AsyncIterator[tuple[Wire, PostgresDatabase]]:
    socket = str(server.folder / ".s.PGSQL.5432")
    async with Wire(lambda: asyncio.open_unix_connection(socket)) as wire:
        name = url.split("?", maxsplit=1)[0].rsplit("/", 1)[-1]
        database = await PostgresDatabase.open(f"postgresql://heliograph@127.0.0.1:{wire.port}/{name}?sslmode=disable")
        try:
            yield wire, database
        finally:
            await database.close()


async def test_answer_lost(server: PrivateServer, url: str) -> None:
    """The server committed and its answer was lost: we ask what became of it; the caller hears yes, and nothing is twice."""
    async with through_a_wire(server, url) as (wire, database):
        for turn in range(3):
            wire.cut_after = b"COMMIT"
            account = await make_account(database, f"Acme {turn}")
            assert not wire.armed
            assert account.name == f"Acme {turn}"
        assert await count(database, "account") == 3


async def test_commit_lost(server: PrivateServer, url: str) -> None:
    """The commit never arrived: the work runs again, and is kept once."""
    async with through_a_wire(server, url) as (wire, database):
        wire.cut_before = b"COMMIT"
        await asyncio.gather(*(make_account(database, str(place)) for place in range(5)))
        assert not wire.armed
        assert await count(database, "account") == 5


async def test_nobody_knows(server: PrivateServer, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer was lost and nobody can be asked: the caller is told that it is not known, not that nothing was stored."""
    monkeypatch.setattr(postgresql, "ASK_ABOUT_COMMIT_S", 0.3)
    async with through_a_wire(server, url) as (wire, database):
        wire.cut_after, wire.stay_cut = b"COMMIT", True
        with pytest.raises(Unavailable) as refused:
            await make_account(database)
        assert refused.value.code == "storage_unsure"
        assert "Nothing was stored" not in refused.value.message
        wire.mend()
        await write(database, accounts.all_accounts)


def test_pack() -> None:
    """Topics share payloads of less than 8000 bytes; none is lost or cut."""
    topics = [f"inbound:{place:020}" for place in range(2000)]
    payloads = pack(topics)
    assert "\n".join(payloads).split("\n") == topics
    assert max(len(payload) for payload in payloads) < 8000
    assert len(payloads) < 10
    assert pack([]) == []
