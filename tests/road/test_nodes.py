"""The road on PostgreSQL, and several nodes on one database: each message once, whoever is killed."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import msgspec
from tests.kit.house import Carrier, Client, House, Program, Tenant, open_house
from tests.kit.waiting import eventually
from tests.road.test_kill import Load, check_fates, new_seed, took_by_uid

from heliograph.accounts.tokens import revoke_token
from heliograph.core.vault import Vault
from heliograph.runtime import open_runtime
from heliograph.store.engine import statement

# Short, so that what a dead node left is settled while the test waits.
SHORT = {"send_timeout_s": "3", "connect_timeout_s": "1", "dispatch_lease_s": "6", "number_lease_s": "3"}


@contextlib.asynccontextmanager
async def open_nodes(folder: Path, url: str, count: int) -> AsyncIterator[list[House]]:
    """Nodes with an API and a dispatcher each, on one database and one carrier."""
    shared = {"database_url": url, "secret_key": Vault.new_key(), **SHORT}
    async with open_house(folder, "--no-pair-limit", **shared) as first, contextlib.AsyncExitStack() as stack:
        nodes = [first]
        for number in range(2, count + 1):
            (folder / str(number)).mkdir()
            node = House(folder / str(number), first.carrier, **shared)
            stack.callback(end, node)
            await node.start()
            nodes.append(node)
        yield nodes


def end(node: House) -> None:
    for program in (node.api, node.dispatcher):
        if program.alive():
            program.stop()


async def test_road_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    """Send, deliver, explain and cancel, as on SQLite; a wake-up brings the message to the carrier at once."""
    async with open_nodes(tmp_path, postgres_url, 1) as (house,):
        tenant = await house.open_account("Demo", "YourName")
        async with Client(house, tenant) as client:
            many = await client.send(recipient=[f"3161{n:07d}" for n in range(100)])
            uids = [one["uid"] for one in many["messages"]]
            for uid in uids:
                await client.until(uid, "Delivered")
            took = await took_by_uid(house.carrier)
            assert [took[uid] for uid in uids] == [1] * 100
            explained = await client.explain(uids[0])
            assert explained["state"] == "delivered"
            later = await client.send(schedule_time="2026-12-24 10:00")
            status, _, _ = await client.call("POST", f"/api/v3/sms/{later['uid']}/cancel")
            assert status == 200
            await client.until(later["uid"], "Cancelled")
            _, body, _ = await client.call("GET", "/api/v3/sms?per_page=100")
            assert body["data"]["total"] == 101


async def test_nodes_share_the_work(tmp_path: Path, postgres_url: str) -> None:
    """Whichever node takes a message, the one that owns the number sends it, and every node knows what became of it."""
    async with open_nodes(tmp_path, postgres_url, 2) as nodes:
        tenant = await nodes[0].open_account("Demo", "YourName")
        async with Client(nodes[0], tenant) as one, Client(nodes[1], tenant) as two:
            sent = await asyncio.gather(*(c.send(recipient=f"3162{n:07d}") for n in range(20) for c in (one, two)))
            for data in sent:
                await two.until(data["uid"], "Delivered")
                await one.until(data["uid"], "Delivered")
            took = await took_by_uid(nodes[0].carrier)
            assert [took[data["uid"]] for data in sent] == [1] * 40
        async with aiohttp.ClientSession() as session:
            for node in nodes:
                async with session.get(f"{node.url}/metrics") as answer:
                    assert "heliograph_database_up 1.0" in await answer.text()


async def test_node_killed_under_load(tmp_path: Path, postgres_url: str) -> None:
    """kill -9 of the node that sends, under load on both: what was answered is at the carrier once, or Unknown; none is missing."""
    async with open_nodes(tmp_path, postgres_url, 2) as nodes:
        slow = [{"effect": {"wait_s": 0.15}, "chance": 0.3}, {"effect": {"wait_s": 0.02}, "chance": 0.7}]
        await nodes[0].carrier.post("/__emulator/faults", slow)
        tenant = await nodes[0].open_account("Demo", "YourName")
        chance = random.Random(new_seed())
        loads = {node: Load(node, tenant, chance) for node in nodes}
        for load in loads.values():
            load.start()
            await load.more(20)
        owner = await owner_of(nodes, tenant)
        (other,) = set(nodes) - {owner}
        owner.dispatcher.kill()
        owner.api.kill()
        await loads[other].more(20)
        before = await owner.carrier.count()
        await eventually(lambda: grown(owner, before), within_s=40)
        await loads[owner].stop()
        await loads[other].stop()
        owner.api.start()
        owner.dispatcher.start()
        await owner.until_ready()
        loads[owner].answered += loads[other].answered
        await check_fates(owner, tenant, loads[owner])


async def test_numbers_are_spread(tmp_path: Path, postgres_url: str) -> None:
    """The first node has every number; when a second comes it gets half, and the first takes all again when that stops."""
    async with open_nodes(tmp_path, postgres_url, 1) as (first,):
        tenants = [
            await first.open_account(f"Demo{n}", "YourName", phone_number_id=f"10000000000000{n}", subscribe=False)
            for n in range(1, 5)
        ]
        second = House(
            tmp_path, first.carrier, **SHORT, database_url=postgres_url, secret_key=first.settings.secret_key
        )

        async def owned() -> list[int]:
            async with open_runtime(first.settings) as runtime:
                rows = await runtime.database.read(lambda tx: tx.rows(OWNED_BY))
                return sorted(row[0] for row in rows)

        async def until_owned(*counts: int) -> None:
            await eventually(lambda: equal(owned, list(counts)), within_s=30, every_s=0.3)

        await until_owned(4)
        second.dispatcher.log = tmp_path / "second.log"
        second.dispatcher.start()
        try:
            await until_owned(2, 2)
            for tenant in tenants:
                async with Client(first, tenant) as client:
                    uid = (await client.send())["uid"]
                    await client.until(uid, "Sent")
        finally:
            assert second.dispatcher.stop() == 0
        await until_owned(4)


OWNED_BY = statement("owned_by", "SELECT count(*) FROM connection WHERE owner IS NOT NULL GROUP BY owner")


async def equal(look: Callable[[], Awaitable[list[int]]], wanted: list[int]) -> bool:
    return await look() == wanted


async def grown(node: House, before: int) -> bool:
    return await node.carrier.count() > before + 5


async def test_node_that_stood_still(tmp_path: Path, postgres_url: str) -> None:
    """A node that is stopped (SIGSTOP) for longer than its leases, then goes on: its number has moved, nothing is sent twice."""
    async with open_nodes(tmp_path, postgres_url, 2) as nodes:
        tenant = await nodes[0].open_account("Demo", "YourName")
        await nodes[0].carrier.post("/__emulator/faults", [{"effect": {"wait_s": 0.3}, "chance": 0.5}])
        load = Load(nodes[1], tenant, random.Random(new_seed()))
        load.start()
        await load.more(30)
        owner = await owner_of(nodes, tenant)
        owner.dispatcher.pause()
        before = await owner.carrier.count()
        await eventually(lambda: grown(owner, before), within_s=40)
        owner.dispatcher.go_on()
        await load.more(30)
        await load.stop()
        await check_fates(nodes[1], tenant, load)


async def owner_of(nodes: list[House], tenant: Tenant) -> House:
    """The node whose log says that it runs the number."""

    async def look() -> House | None:
        for node in nodes:
            for line in node.dispatcher.log.read_text().splitlines():
                if line.startswith("{") and msgspec.json.decode(line).get("event") == "number_owned":
                    return node
        return None

    found = await eventually(look)
    assert found is not None
    return found


async def test_serve_with_workers(tmp_path: Path, postgres_url: str) -> None:
    """`heliograph serve` alone brings up the schema, two API workers and a dispatcher; revoking a token reaches both workers."""
    carrier = Carrier(tmp_path, "--no-pair-limit")
    await carrier.start()
    house = House(tmp_path, carrier, database_url=postgres_url, secret_key=Vault.new_key(), api_workers="2")
    house.api = Program(tmp_path / "serve.log", "heliograph", "serve", environ=house.environ)
    house.api.start()
    try:
        await house.until_ready()
        tenant = await house.open_account("Demo", "YourName")
        async with Client(house, tenant) as client:
            for data in await asyncio.gather(*(client.send(recipient=f"3163{n:07d}") for n in range(20))):
                await client.until(data["uid"], "Delivered")
            async with open_runtime(house.settings) as runtime:
                await revoke_token(runtime, tenant.account_id, int(tenant.token.split("|")[0]))

            async def refused_by_all() -> bool:
                # Each call on a connection of its own, so that it may come to either worker.
                calls = [client.call("GET", "/api/v3/sms", headers={"Connection": "close"}) for _ in range(10)]
                return {status for status, _, _ in await asyncio.gather(*calls)} == {401}

            await eventually(refused_by_all, within_s=3)
        assert house.api.stop() == 0, house.api.log.read_text()[-2000:]
    finally:
        for program in (house.api, carrier.program):
            if program.alive():
                program.kill()
