"""Being asked to stop, and dying: what was begun is finished, what was claimed is given back, and somebody goes on."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import apsw
import msgspec
import pytest
from tests.kit.house import Client, House, Program, Tenant, free_port, open_house
from tests.kit.waiting import eventually

from heliograph.core.ids import id_of, new_id, now_ms
from heliograph.dispatch.dispatcher import Dispatcher
from heliograph.runtime import open_runtime, open_whatsapp
from heliograph.store import connections, sends
from heliograph.store.engine import Tx

HUNDRED = [str(31620000000 + n) for n in range(100)]


@contextlib.contextmanager
def opened(house: House) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(house.settings.sqlite_path))
    try:
        yield connection
    finally:
        connection.close()


def claims(house: House) -> int:
    """How many sends somebody holds."""
    with opened(house) as connection:
        return len(connection.execute("SELECT 1 FROM send_due WHERE owner IS NOT NULL").fetchall())


def owners(house: House) -> int:
    """How many numbers somebody owns."""
    with opened(house) as connection:
        return len(connection.execute("SELECT 1 FROM connection WHERE owner IS NOT NULL").fetchall())


async def wait_for_count(house: House, count: int) -> None:
    async def there() -> bool:
        return await house.carrier.count() >= count

    await eventually(there)


async def until_all(client: Client, uids: list[str], word: str, within_s: float = 20.0) -> None:
    async def all_of_them() -> bool:
        _, body, _ = await client.call("GET", "/api/v3/sms?per_page=100")
        return {row["status"] for row in body["data"]["data"] if row["uid"] in uids} == {word}

    await eventually(all_of_them, within_s=within_s)


async def test_dispatcher_finishes_what_is_in_flight(tmp_path: Path) -> None:
    """SIGTERM while a hundred messages are on their way: each answer is awaited and written, every claim is given back,
    exit 0; the next start sends the rest at once; each message is at the carrier once."""
    async with open_house(tmp_path, "--no-pair-limit", max_in_flight="32") as house:
        await house.carrier.post("/__emulator/faults", {"effect": {"wait_s": 0.4}})
        tenant = await house.open_account("Demo", "YourName")
        async with Client(house, tenant) as client:
            data = await client.send(recipient=HUNDRED)
            uids = [one["uid"] for one in data["messages"]]
            await wait_for_count(house, 10)
            assert house.dispatcher.stop() == 0
            took = await house.carrier.count()
            assert 10 <= took < 100
            assert (claims(house), owners(house)) == (0, 0)
            _, body, _ = await client.call("GET", "/api/v3/sms?per_page=100")
            words = [row["status"] for row in body["data"]["data"]]
            assert words.count("Queued") == 100 - took, "an answer that came in time was written"
            assert "Unknown" not in words
            began_at = time.monotonic()
            house.dispatcher.start()
            await wait_for_count(house, 100)
            assert time.monotonic() - began_at < 30, "it went on before any lease ran out"
            await until_all(client, uids, "Delivered")
            assert await house.carrier.count() == 100


async def test_an_answer_that_never_comes_does_not_hold_the_stop(tmp_path: Path) -> None:
    """Past the grace time the dispatcher ends, exit 0 all the same; at its next start what was under way is Unknown."""
    async with open_house(tmp_path, "--no-pair-limit", shutdown_grace_s="0.5") as house:
        await house.carrier.post(
            "/__emulator/faults", {"effect": {"afterwards": "hang", "statuses": []}, "to": "31621"}
        )
        tenant = await house.open_account("Demo", "YourName")
        async with Client(house, tenant) as client:
            hung = await client.send(recipient="31621000001")
            await wait_for_count(house, 1)
            began_at = time.monotonic()
            assert house.dispatcher.stop() == 0
            assert time.monotonic() - began_at < 25
            house.dispatcher.start()
            await client.until(hung["uid"], "Unknown")
            steps = (await client.explain(hung["uid"]))["steps"]
            assert any(step.get("code") == "interrupted" for step in steps)
            assert await house.carrier.count() == 1


async def test_claims_that_were_not_begun_are_given_back(tmp_path: Path) -> None:
    """Two numbers share the slots of one dispatcher: what waited for a slot at the stop has not left, and is not Unknown."""
    async with open_house(tmp_path, "--no-pair-limit", max_in_flight="4", shutdown_grace_s="0.3") as house:
        await house.carrier.post("/__emulator/faults", {"effect": {"wait_s": 2.0}})
        one = await house.open_account("One", "YourName", phone_number_id="100000000000001")
        two = await house.open_account("Two", "YourName", phone_number_id="100000000000002", subscribe=False)
        async with Client(house, one) as first, Client(house, two) as second:
            uids = [m["uid"] for m in (await first.send(recipient=HUNDRED[:8]))["messages"]]
            others = [m["uid"] for m in (await second.send(recipient=HUNDRED[8:16]))["messages"]]

            async def both_claimed() -> bool:
                return claims(house) >= 8

            await eventually(both_claimed)
            assert house.dispatcher.stop() == 0
            took = await house.carrier.count()
            assert took < 8, "some waited for a slot"
            house.dispatcher.start()

            async def settled() -> dict[str, int]:
                words: dict[str, int] = {}
                for client, mine in ((first, uids), (second, others)):
                    for uid in mine:
                        word = (await client.view(uid))["status"]
                        words[word] = words.get(word, 0) + 1
                return words if "Queued" not in words else {}

            words = await eventually(settled, within_s=30)
            assert words.get("Unknown", 0) <= took, words
            references = [m["biz_opaque_callback_data"].split(".")[2] for m in await house.carrier.messages()]
            assert sorted(references) == sorted([*uids, *others]), "each left once"


async def test_api_answers_what_it_has_begun(tmp_path: Path) -> None:
    """SIGTERM while a request is half read: nobody new is let in, the request is still answered and stored; exit 0."""
    async with open_house(tmp_path) as house:
        tenant = await house.open_account("Demo", "YourName")
        body = msgspec.json.encode({"recipient": "31612345678", "sender_id": "YourName", "message": "Hello"})
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        head = (
            f"POST /api/v3/sms/send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body[:10])
        await writer.drain()
        async with Client(house, tenant) as client:
            await client.call("GET", "/api/v3/sms")  # by now the half request has been read too
        house.api.send(signal.SIGTERM)

        async def refused() -> bool:
            try:
                _, other = await asyncio.open_connection("127.0.0.1", house.port)
            except ConnectionError:
                return True
            other.close()
            return False

        await eventually(refused)
        assert house.api.alive()
        writer.write(body[10:])
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200"), answer
        uid = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])["data"]["uid"]
        assert house.api.stop() == 0
        house.api.start()
        await house.until_ready()
        async with Client(house, tenant) as client:
            await client.until(uid, "Delivered")


async def test_leased_work_of_a_dead_dispatcher(tmp_path: Path) -> None:
    """Where nothing proves a dispatcher dead, its claims and its number stay its own until the leases end; then the next
    one sends what was not begun, and says Unknown of what may have left."""
    async with open_house(tmp_path, number_lease_s="1") as house:
        assert house.dispatcher.stop() == 0
        tenant = await house.open_account("Demo", "YourName")
        async with Client(house, tenant) as client:
            begun = id_of((await client.send(recipient="31612345671"))["uid"])
            waiting = id_of((await client.send(recipient="31612345672"))["uid"])
            assert begun is not None
            assert waiting is not None
            lease_ends_ms = now_ms() + 1500

            async def claim_and_die(tx: Tx) -> None:
                dead = new_id()
                (row,) = await connections.own_connections(tx, dead, now_ms(), lease_ends_ms)
                due = await sends.due_sends(tx, row.account_id, row.id, 0, now_ms(), 10)
                await sends.claim_sends(tx, dead, lease_ends_ms, [send for send in due if send.message_id == begun])

            async with open_runtime(house.settings) as runtime:
                await runtime.database.write(claim_and_die)
                channel = open_whatsapp(house.settings)
                heir = Dispatcher(runtime, channel, alone=False)
                await heir.start()
                try:

                    async def sent() -> bool:
                        if now_ms() <= lease_ends_ms:
                            assert await house.carrier.count() == 0, "the lease was not over"
                        return await house.carrier.count() == 1

                    await eventually(sent)
                    await client.until(begun.hex(), "Unknown")
                    await client.until(waiting.hex(), "Sent", "Delivered")
                    assert [m["to"] for m in await house.carrier.messages()] == ["31612345672"]
                finally:
                    await heir.stop()
                    await channel.close()


def children_of(pid: int) -> dict[str, int]:
    """The processes that a supervisor started, by role."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            arguments = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"--role" in arguments:
                found[arguments[arguments.index(b"--role") + 1].decode()] = int(child)
    return found


def living(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextlib.asynccontextmanager
async def supervised(folder: Path) -> AsyncIterator[tuple[House, Tenant, Program]]:
    """`heliograph serve` with its two children, in place of the two programs of the house."""
    async with open_house(folder, "--no-pair-limit") as house:
        tenant = await house.open_account("Demo", "YourName")
        house.stop()
        serve = Program(folder / "serve.log", "heliograph", "serve", environ=house.environ)
        serve.start()
        try:
            await until_answering(house)
            yield house, tenant, serve
        finally:
            if serve.alive():
                serve.stop()


async def until_answering(house: House) -> None:
    async def ready() -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as session, session.get(f"{house.url}/readyz") as answer:
                return answer.status == 200
        return False

    await eventually(ready)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
async def test_serve_keeps_its_children_alive(tmp_path: Path) -> None:
    """`heliograph serve` starts a killed API or dispatcher again and the messages go on; SIGTERM ends all with exit 0."""
    async with supervised(tmp_path) as (house, tenant, serve):
        assert serve.process is not None
        for role in ("api", "dispatch", "api"):
            before = children_of(serve.process.pid)
            assert set(before) == {"api", "dispatch"}
            os.kill(before[role], signal.SIGKILL)

            async def again(role: str = role, before: dict[str, int] = before) -> bool:
                assert serve.process is not None
                return children_of(serve.process.pid).get(role, before[role]) != before[role]

            await eventually(again)
            await until_answering(house)
            async with Client(house, tenant) as client:
                sent = await client.send()
                await client.until(sent["uid"], "Delivered")
        children = children_of(serve.process.pid)
        assert serve.stop() == 0
        assert [pid for pid in children.values() if living(pid)] == []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
async def test_children_end_with_their_supervisor(tmp_path: Path) -> None:
    """kill -9 of `heliograph serve` leaves no process behind that holds the port or the dispatcher's lock."""
    async with supervised(tmp_path) as (_, _, serve):
        assert serve.process is not None
        children = children_of(serve.process.pid)
        serve.kill()

        async def gone() -> bool:
            return not any(living(pid) for pid in children.values())

        await eventually(gone)


async def test_the_port_is_taken(tmp_path: Path) -> None:
    """A second server on the same port says so and ends with exit 1."""
    port = free_port()
    reader = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", port)
    environ = {"HELIOGRAPH_HOME": str(tmp_path / "home"), "HELIOGRAPH_PORT": str(port)}
    serve = Program(tmp_path / "serve.log", "heliograph", "serve", environ=environ)
    serve.start()

    async def ended() -> bool:
        return not serve.alive()

    await eventually(ended)
    assert serve.process is not None
    assert serve.process.returncode == 1
    assert f"Port {port}" in serve.log.read_text()
    reader.close()
