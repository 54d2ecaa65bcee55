"""What the drill breaks: nodes, each with a wire of its own to the database; a primary with a synchronous standby; the carrier."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import msgspec
from msgspec import Struct
from tests.kit.house import Carrier, House, Tenant, free_port
from tests.kit.postgres import Databases, PrivateServer
from tests.kit.waiting import eventually
from tests.kit.wire import Connect, Wire

from heliograph.core.vault import Vault

DURABLE = {
    "listen_addresses": "127.0.0.1",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "max_wal_senders": "8",
}


class Cluster:
    """A primary and a standby that has each commit before it is answered."""

    def __init__(self) -> None:
        self.ports = (free_port(), free_port())
        self.primary = PrivateServer(DURABLE | {"port": str(self.ports[0])})
        self.standby = PrivateServer(DURABLE | {"port": str(self.ports[1])}, follows=self.primary)
        self.promoted = False

    async def begin(self) -> str:
        """Wait for the standby; the name of a new database."""
        databases = Databases(self.admin_url)
        name = await asyncio.to_thread(databases.create)
        connection = await asyncpg.connect(self.admin_url)
        await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await connection.execute("SELECT pg_reload_conf()")

        async def in_step() -> bool:
            return bool(await connection.fetchval("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"))

        await eventually(in_step, within_s=30, every_s=0.1)
        await connection.close()
        return name

    @property
    def admin_url(self) -> str:
        return f"postgresql://heliograph@127.0.0.1:{self.ports[1 if self.promoted else 0]}/postgres"

    def fail_over(self) -> None:
        self.primary.kill()
        self.standby.promote()
        self.promoted = True

    def remove(self) -> None:
        self.primary.remove()
        self.standby.remove()


class World(Struct):
    """cluster and wires are None and empty where the drill works on a database that was there before."""

    carrier: Carrier
    nodes: list[House]
    tenant: Tenant
    other: Tenant
    database_url: str
    cluster: Cluster | None
    wires: list[list[Wire]]
    name: str = ""
    more: set[str] = msgspec.field(default_factory=set)  # uids that a fault sent by itself; counted with the load's

    @property
    def counting_url(self) -> str:
        if self.cluster is None:
            return self.database_url
        return self.cluster.admin_url.rsplit("/", 1)[0] + f"/{self.name}"

    async def owner(self, tenant: Tenant | None = None) -> House:
        """The node whose dispatcher sends for a tenant now."""
        found = await eventually(lambda: self._find_owner(tenant or self.tenant), within_s=60, every_s=0.2)
        assert found is not None
        return found

    async def _find_owner(self, tenant: Tenant) -> House | None:
        connection = await asyncpg.connect(self.counting_url)
        try:
            number = await connection.fetchval("SELECT id FROM connection WHERE account_id = $1", tenant.account_id)
            until = await connection.fetchval("SELECT owned_until_ms FROM connection WHERE id = $1", number)
        finally:
            await connection.close()
        if until is None:
            return None
        # The last to say so in its log; the database names an owner that only its process knows.
        named = [(last_owning(node, number), place) for place, node in enumerate(self.nodes)]
        latest, place = max(named)
        return self.nodes[place] if latest else None


def last_owning(node: House, number: int) -> str:
    """When a node last took that number, as its log spells the time."""
    found = ""
    for line in node.dispatcher.log.read_text(errors="replace").splitlines():
        if '"number_owned"' in line and f'"connection_id": {number}' in line:
            found = line.split('"timestamp": "', 1)[-1].split('"', 1)[0]
    return found


@contextlib.asynccontextmanager
async def open_world(folder: Path, count: int, database_url: str) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as stack:
        carrier = Carrier(folder, "--no-pair-limit", "--no-pace-limit")
        await carrier.start()
        stack.callback(lambda: carrier.program.kill() if carrier.program.alive() else None)
        cluster, name, wires = None, "", []
        if not database_url:
            cluster = Cluster()  # in this thread: its servers end with the thread that began them
            stack.callback(cluster.remove)
            name = await cluster.begin()
        key = Vault.new_key()
        nodes: list[House] = []
        for number in range(1, count + 1):
            url = database_url
            if cluster is not None:
                pair = [await stack.enter_async_context(Wire(to_port(port))) for port in cluster.ports]
                wires.append(pair)
                hosts = ",".join(f"127.0.0.1:{wire.port}" for wire in pair)
                url = f"postgresql://heliograph@{hosts}/{name}?sslmode=disable"
            home = folder / f"node{number}"
            home.mkdir(parents=True)
            node = House(home, carrier, database_url=url, secret_key=key, send_timeout_s="10", dispatch_lease_s="25")
            stack.callback(end, node)
            await node.start()
            nodes.append(node)
        tenant = await nodes[0].open_account("Drill", "Drill")
        other = await nodes[0].open_account("Flood", "Drill", phone_number_id="100000000000002")
        yield World(carrier, nodes, tenant, other, database_url, cluster, wires, name)


def to_port(port: int) -> Connect:
    return lambda: asyncio.open_connection("127.0.0.1", port)


def end(node: House) -> None:
    for program in (node.api, node.dispatcher):
        if program.alive():
            program.go_on()
            program.kill()


async def all_ready(world: World) -> None:
    """Every node answers, and somebody owns the numbers."""
    for node in world.nodes:
        await node.until_ready()
    await world.owner()
