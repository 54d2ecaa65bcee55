"""What became of every message that was accepted: at the carrier once, or unknown with its evidence; nothing else will do."""

import asyncio
import contextlib
import re
import time
from collections import Counter

import aiohttp
import asyncpg
from msgspec import Struct
from tests.kit.house import Carrier, House

SETTLE_S = 600.0  # for a flood to run off
OLDEST = re.compile(r'heliograph_queue_oldest_seconds\{queue="send_due"\} ([\d.]+)')


class Count(Struct, frozen=True):
    accepted: int
    once: int
    unknown: int  # with evidence, at the carrier at most once
    twice: int
    missing: int
    unsettled: int  # neither sent nor unknown when time was up

    @property
    def good(self) -> bool:
        return not (self.twice or self.missing or self.unsettled)


async def count_fates(carrier: Carrier, database_url: str, uids: set[str]) -> Count:
    """Waits until the queue has let go of all of them."""
    deadline = time.monotonic() + SETTLE_S
    connection = await asyncpg.connect(database_url)
    try:
        while True:
            waiting = await connection.fetch(
                "SELECT message_id FROM send_due WHERE message_id = ANY($1::uuid[])", sorted(uids)
            )
            if not waiting or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.5)
        rows = await connection.fetch(
            "SELECT replace(id::text, '-', ''), state, EXISTS (SELECT 1 FROM message_event AS e WHERE "
            "e.account_id = message.account_id AND e.message_id = message.id AND e.name LIKE 'answer%') "
            "FROM message WHERE id = ANY($1::uuid[])",
            sorted(uids),
        )
    finally:
        await connection.close()
    took = Counter(m["biz_opaque_callback_data"].split(".")[2] for m in await carrier.messages())
    states = {uid: (state, evidence) for uid, state, evidence in rows}
    unknown = {uid for uid, (state, evidence) in states.items() if state == "unknown" and evidence and took[uid] <= 1}
    once = {uid for uid in uids if took[uid] == 1}
    return Count(
        accepted=len(uids),
        once=len(once),
        unknown=len(unknown - once),
        twice=sum(1 for uid in uids if took[uid] > 1),
        missing=len(uids - set(states))
        + sum(1 for uid in states if not took[uid] and uid not in unknown)
        - len(waiting),
        unsettled=len(waiting),
    )


class Watch:
    """Looks twice a second how long the oldest message has been due, at whichever node answers."""

    def __init__(self, nodes: list[House]) -> None:
        self._nodes = nodes
        self._task: asyncio.Task[None] | None = None
        self.oldest_s = 0.0

    def start(self) -> None:
        self._task = asyncio.create_task(self._look())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _look(self) -> None:
        timeout = aiohttp.ClientTimeout(total=2)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                for node in self._nodes:
                    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                        async with session.get(f"{node.url}/metrics") as answer:
                            found = OLDEST.search(await answer.text())
                            if found:
                                self.oldest_s = max(self.oldest_s, float(found[1]))
                                break
                await asyncio.sleep(0.5)
