"""The faults, one function each: break something while the load goes on, and mend it. Each returns a remark for the table."""

import asyncio
import glob
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import aiohttp
import msgspec
from tests.kit.house import House, Tenant
from tests.kit.waiting import eventually

from drill.load import RECIPIENTS
from drill.world import World, all_ready

Fault = Callable[[World, "Settings"], Awaitable[str]]
FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"


class Settings(msgspec.Struct, frozen=True):
    """flood: messages of the one who floods; hold_s: how long a fault lasts."""

    flood: int
    hold_s: float


class Skipped(Exception):
    """Why a fault cannot be made here."""


async def nothing(_world: World, settings: Settings) -> str:
    await asyncio.sleep(settings.hold_s)
    return "for comparison"


async def kill_each(world: World, _settings: Settings) -> str:
    """kill -9 of each node in turn, API and dispatcher; it comes back after ten seconds."""
    moved = []
    for node in world.nodes:
        was_owner = await world.owner() is node
        node.dispatcher.kill()
        node.api.kill()
        began_s = time.monotonic()
        await until_carrier_gets_more(world)
        if was_owner:
            moved.append(time.monotonic() - began_s)
        await asyncio.sleep(max(0.0, 10.0 - (time.monotonic() - began_s)))
        node.api.start()
        node.dispatcher.start()
        await node.until_ready()
    return f"numbers moved in {', '.join(f'{s:.1f} s' for s in moved)}" if moved else "no owner was hit"


async def cut_off(world: World, _settings: Settings) -> str:
    """The node that owns the number loses the database for 30 s."""
    if not world.wires:
        raise Skipped("needs the drill's own database")
    owner = await world.owner()
    pair = world.wires[world.nodes.index(owner)]
    for wire in pair:
        wire.cut()
    began_s = time.monotonic()
    await until_carrier_gets_more(world, than_owner=owner)
    moved_s = time.monotonic() - began_s
    await asyncio.sleep(max(0.0, 30.0 - moved_s))
    for wire in pair:
        wire.mend()
    await owner.until_ready()
    await asyncio.sleep(5.0)
    return f"number moved in {moved_s:.1f} s"


async def kill_primary(world: World, settings: Settings) -> str:
    """kill -9 of the primary; the synchronous standby takes over after five seconds."""
    if world.cluster is None:
        raise Skipped("needs the drill's own database")
    world.cluster.primary.kill()
    await asyncio.sleep(5.0)
    await asyncio.to_thread(world.cluster.standby.promote)
    world.cluster.promoted = True
    await until_carrier_gets_more(world)
    await asyncio.sleep(settings.hold_s)
    return "promoted after 5 s"


async def carrier_slow(world: World, settings: Settings) -> str:
    return await with_carrier(world, settings, {"wait_s": 5.0}, "each answer takes 5 s")


async def carrier_failing(world: World, settings: Settings) -> str:
    return await with_carrier(world, settings, {"instead": "empty_503"}, "each answer is 503")


async def carrier_throttling(world: World, settings: Settings) -> str:
    return await with_carrier(world, settings, {"refuse": 130429}, "each answer is 130429")


async def with_carrier(world: World, settings: Settings, effect: dict[str, object], remark: str) -> str:
    await world.carrier.post("/__emulator/faults", {"effect": effect})
    await asyncio.sleep(settings.hold_s)
    await clear_faults(world)
    await until_carrier_gets_more(world)
    return remark


async def flood(world: World, settings: Settings) -> str:
    """One account sends as much as it can, thousands a call; another sends one-time passwords, one at a time."""
    flooding = asyncio.create_task(send_flood(world, world.other, settings.flood))
    asked: dict[str, datetime] = {}
    try:
        while not flooding.done() or len(asked) < 20:
            await ask(world, asked)
            await asyncio.sleep(0.2)
    finally:
        world.more |= await flooding
    waits_ms = await hand_over_ms(world, asked)
    middle, late = waits_ms[len(waits_ms) // 2], waits_ms[int(len(waits_ms) * 0.99)]
    return f"{settings.flood} flooded; one-time passwords at the carrier after {middle:.0f} ms (median), {late:.0f} ms (99 %)"


async def clock_off(world: World, settings: Settings) -> str:
    """The owner is started anew with a clock that is ten minutes fast."""
    found = glob.glob(FAKETIME)  # noqa: PTH207 - a pattern from the root
    if not found:
        raise Skipped("needs libfaketime (apt-get install faketime)")
    node = await world.owner()
    wrong = {"LD_PRELOAD": found[0], "FAKETIME": "+10m", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    await start_again(node, wrong)
    await all_ready(world)
    asked: dict[str, datetime] = {}
    for _ in range(10):
        await ask(world, asked)
        await asyncio.sleep(settings.hold_s / 10)
    waits_ms = await hand_over_ms(world, asked)
    await start_again(node, dict.fromkeys(wrong, ""))
    return f"at the carrier after {waits_ms[5]:.0f} ms"


FAULTS: dict[str, tuple[Fault, ...]] = {
    "0": (nothing,),
    "1": (kill_each,),
    "2": (cut_off,),
    "4": (carrier_slow, carrier_failing, carrier_throttling),
    "5": (flood,),
    "7": (clock_off,),
    "3": (kill_primary,),  # the last, for then there is no standby left
}


# What they share


async def start_again(node: House, environ: dict[str, str]) -> None:
    for program in (node.dispatcher, node.api):
        await asyncio.to_thread(program.stop)  # the wires run on this loop
        program.environ |= environ
        program.start()
    await node.until_ready()


async def clear_faults(world: World) -> None:
    async with aiohttp.ClientSession() as session, session.delete(f"{world.carrier.url}/__emulator/faults") as answer:
        assert answer.status < 300, await answer.text()


async def until_carrier_gets_more(world: World, than_owner: House | None = None) -> None:
    """The road is open again; than_owner: by another node than that."""
    before = await world.carrier.count()

    async def more() -> bool:
        if than_owner is not None and await world.owner() is than_owner:
            return False
        return await world.carrier.count() > before

    await eventually(more, within_s=90, every_s=0.2)


async def send_flood(world: World, tenant: Tenant, count: int) -> set[str]:
    """The uids of what was accepted."""
    sent: set[str] = set()
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout, headers=tenant.headers) as session:
        while len(sent) < count:
            recipients = [str(next(RECIPIENTS)) for _ in range(1000)]
            body = {"recipient": recipients, "sender_id": "Drill", "type": "whatsapp", "message": "Flood"}
            async with session.post(f"{world.nodes[0].url}/api/v3/sms/send", json=body) as answer:
                if answer.status == 200:
                    sent |= {one["uid"] for one in msgspec.json.decode(await answer.read())["data"]["messages"]}
                else:
                    await asyncio.sleep(0.5)
    return sent


async def ask(world: World, asked: dict[str, datetime]) -> None:
    """Send one message to a fresh recipient, and note when."""
    recipient = str(next(RECIPIENTS))
    body = {"recipient": recipient, "sender_id": "Drill", "type": "whatsapp", "message": "Your code is 123456"}
    asked[recipient] = datetime.now(UTC)
    async with (
        aiohttp.ClientSession(headers=world.tenant.headers) as session,
        session.post(f"{world.nodes[-1].url}/api/v3/sms/send", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        world.more.add(msgspec.json.decode(await answer.read())["data"]["uid"])


async def hand_over_ms(world: World, asked: dict[str, datetime]) -> list[float]:
    """How long each took from asking us to the carrier's taking of it, in order."""

    async def all_there() -> dict[str, datetime] | None:
        took = {m["to"]: datetime.fromisoformat(m["received_at"]) for m in await world.carrier.messages()}
        return took if set(asked) <= set(took) else None

    took = await eventually(all_there, within_s=60, every_s=1.0)
    assert took is not None
    return sorted((took[recipient] - at).total_seconds() * 1000 for recipient, at in asked.items())
