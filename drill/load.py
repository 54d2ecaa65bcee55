"""Callers that send all the time, as a customer's program would: to any node, and to the next when one does not answer."""

import asyncio
import itertools
import random
import time
from collections import Counter

import aiohttp
import msgspec
from tests.kit.house import House, Tenant

RECIPIENTS = itertools.count(31_600_000_000)
PATIENCE_S = 8.0  # then the caller turns to another node


class Load:
    """`rate` messages a second by `callers`; what was answered, what was refused, and when."""

    def __init__(self, nodes: list[House], tenant: Tenant, *, rate: float, callers: int = 8) -> None:
        self._nodes = nodes
        self._tenant = tenant
        self._gap_s = callers / rate
        self._callers = callers
        self.accepted: dict[str, float] = {}  # uid → when it was asked for, seconds since 1970
        self.refused: Counter[str] = Counter()
        self._last_s = time.monotonic()
        self.longest_gap_s = 0.0  # between two accepted messages: the time without service
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._last_s = time.monotonic()
        self._tasks = [asyncio.create_task(self._call(place)) for place in range(self._callers)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._note_gap()

    def _note_gap(self) -> None:
        now_s = time.monotonic()
        self.longest_gap_s = max(self.longest_gap_s, now_s - self._last_s)
        self._last_s = now_s

    async def _call(self, place: int) -> None:
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S, connect=2.0)
        await asyncio.sleep(random.uniform(0, self._gap_s))
        async with aiohttp.ClientSession(timeout=timeout, headers=self._tenant.headers) as session:
            for turn in itertools.count(place):
                began_s = time.monotonic()
                await self._send(session, self._nodes[turn % len(self._nodes)])
                await asyncio.sleep(max(0.0, self._gap_s - (time.monotonic() - began_s)))

    async def _send(self, session: aiohttp.ClientSession, node: House) -> None:
        asked_at = time.time()
        body = {"recipient": str(next(RECIPIENTS)), "sender_id": "Drill", "type": "whatsapp", "message": "Hello"}
        try:
            async with session.post(f"{node.url}/api/v3/sms/send", json=body) as answer:
                said = msgspec.json.decode(await answer.read())
                if answer.status == 200:
                    self.accepted[said["data"]["uid"]] = asked_at
                    self._note_gap()
                else:
                    self.refused[str(answer.status)] += 1
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
            self.refused[type(error).__name__] += 1
