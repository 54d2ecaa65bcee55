"""kill -9 at random moments under load: what was answered is at the carrier exactly once, or is Unknown and says so.

Each test draws its moments from a seed of its own, which a failure prints; HELIOGRAPH_TEST_SEED gives it again."""

import asyncio
import contextlib
import itertools
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.kit.house import Carrier, Client, House, Program, Tenant, open_house
from tests.kit.waiting import eventually

CALLERS = 6
KILLS = 6
NUMBERS = itertools.count(31610000000)


def new_seed() -> int:
    seed = int(os.environ.get("HELIOGRAPH_TEST_SEED") or random.randrange(10**9))
    print(f"HELIOGRAPH_TEST_SEED={seed}")
    return seed


class Load:
    """Callers that send without a pause, to fresh recipients, one or several a call; they outlive every kill."""

    def __init__(self, house: House, tenant: Tenant, chance: random.Random) -> None:
        self.house = house
        self.tenant = tenant
        self.chance = chance
        self.answered: list[str] = []  # uids that were answered with success
        self.refused: Counter[int] = Counter()
        self.cut = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._call_again_and_again()) for _ in range(CALLERS)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for result in results:
            assert isinstance(result, asyncio.CancelledError), result

    async def more(self, count: int) -> None:
        """Until so many more messages were answered."""
        wanted = len(self.answered) + count

        async def enough() -> bool:
            return len(self.answered) >= wanted

        await eventually(enough, within_s=30, every_s=0.005)

    async def _call_again_and_again(self) -> None:
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout, headers=self.tenant.headers) as session:
            while True:
                recipients = [str(next(NUMBERS)) for _ in range(self.chance.choice((1, 1, 1, 5)))]
                body = {"recipient": recipients, "sender_id": "YourName", "type": "whatsapp", "message": "Hello"}
                try:
                    async with session.post(f"{self.house.url}/api/v3/sms/send", json=body) as answer:
                        data = msgspec.json.decode(await answer.read())["data"] if answer.status == 200 else None
                except (aiohttp.ClientError, ConnectionError):
                    self.cut += 1
                    await asyncio.sleep(0.01)
                    continue
                if data is None:
                    self.refused[answer.status] += 1
                    await asyncio.sleep(0.01)
                    continue
                self.answered += [one["uid"] for one in data.get("messages", [data])]
                await asyncio.sleep(self.chance.uniform(0.0, 0.04))


@contextlib.asynccontextmanager
async def open_road(folder: Path) -> AsyncIterator[tuple[House, Tenant]]:
    """A carrier that takes some time for some messages, so that a kill finds them under way."""
    async with open_house(folder, "--no-pair-limit") as house:
        slow = [
            {"effect": {"wait_s": 0.15}, "chance": 0.3},
            {"effect": {"wait_s": 0.02}, "chance": 0.7},
        ]
        await house.carrier.post("/__emulator/faults", slow)
        yield house, await house.open_account("Demo", "YourName")


async def kill_again_and_again(
    house: House, tenant: Tenant, victims: tuple[Program, ...], start: Callable[[], Awaitable[None]] | None = None
) -> Load:
    """Under load, kill the victims at a random moment and start them again at once; then let the road run empty."""
    chance = random.Random(new_seed())
    load = Load(house, tenant, chance)
    load.start()
    for _ in range(KILLS):
        await load.more(10)
        await asyncio.sleep(chance.uniform(0.0, 0.3))
        for victim in victims:
            victim.kill()
        if start is not None:
            await start()
        else:
            for victim in victims:
                victim.start()
        await house.until_ready()
        await until_carrier_gets_more(house.carrier)
    await load.more(10)
    await load.stop()
    return load


async def until_carrier_gets_more(carrier: Carrier) -> None:
    """The whole road is open again."""
    before = await carrier.count()

    async def more() -> bool:
        return await carrier.count() > before

    await eventually(more)


async def took_by_uid(carrier: Carrier) -> Counter[str]:
    """How often the carrier took each message: the reference names it."""
    return Counter(m["biz_opaque_callback_data"].split(".")[2] for m in await carrier.messages())


async def statuses(client: Client, uids: list[str]) -> dict[str, str]:
    """The status of every message of the account that is among `uids`."""
    found: dict[str, str] = {}
    cursor = ""
    while True:
        _, body, _ = await client.call("GET", f"/api/v3/sms?per_page=100{cursor}")
        rows: list[dict[str, Any]] = body["data"]["data"]
        found |= {row["uid"]: row["status"] for row in rows}
        if body["data"]["next_cursor"] is None:
            return {uid: found.get(uid, "missing") for uid in uids}
        cursor = f"&cursor={body['data']['next_cursor']}"


async def check_fates(house: House, tenant: Tenant, load: Load) -> dict[str, str]:
    """Every answered message is at the carrier once, or Unknown with its reason; none is there twice, none is missing."""
    uids = load.answered
    assert len(set(uids)) == len(uids)
    async with Client(house, tenant) as client:

        async def all_settled() -> dict[str, str]:
            """What the carrier took is delivered; what it never got is unknown."""
            found, took = await statuses(client, uids), await took_by_uid(house.carrier)
            return (
                found if all(word == ("Delivered" if took[uid] else "Unknown") for uid, word in found.items()) else {}
            )

        try:
            found = await eventually(all_settled, within_s=60, every_s=0.2)
        except AssertionError:
            took = await took_by_uid(house.carrier)
            left = {(took[uid], word): uid for uid, word in (await statuses(client, uids)).items()}
            raise AssertionError([(*fate, await client.explain(uid)) for fate, uid in left.items()]) from None
        took = await took_by_uid(house.carrier)
        assert [uid for uid, times in took.items() if times > 1] == [], "sent twice"
        for uid in [uid for uid in uids if found[uid] == "Unknown"][:20]:
            explained = await client.explain(uid)
            assert explained["state"] == "unknown"
            assert explained["next_attempt"] is None
            assert explained["summary"]
            assert any(step.get("code") in {"interrupted", "no_answer"} for step in explained["steps"]), explained
    print(f"{len(uids)} answered, {sum(word == 'Unknown' for word in found.values())} unknown, {load.cut} cut off")
    return found


@pytest.mark.parametrize("which", ["api", "dispatcher", "both"])
async def test_killed_under_load(tmp_path: Path, which: str) -> None:
    """API, dispatcher or both are killed again and again: nothing answered is lost, nothing is sent twice."""
    async with open_road(tmp_path) as (house, tenant):
        victims = {"api": (house.api,), "dispatcher": (house.dispatcher,), "both": (house.dispatcher, house.api)}[which]
        load = await kill_again_and_again(house, tenant, victims)
        found = await check_fates(house, tenant, load)
        assert which != "api" or set(found.values()) == {"Delivered"}, "the dispatcher lived, so nothing is in doubt"


async def test_carrier_killed_under_load(tmp_path: Path) -> None:
    """The carrier dies and comes back on its own data: it has each message once, and what was in doubt says so."""
    async with open_road(tmp_path) as (house, tenant):
        load = await kill_again_and_again(house, tenant, (house.carrier.program,), house.carrier.start)
        await check_fates(house, tenant, load)
