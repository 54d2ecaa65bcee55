"""Keeps the tallies of those accounts fresh that somebody looks at: apart from the page, which never waits for a count."""

import asyncio
import contextlib
import time

import structlog

from heliograph.core.ids import now_ms
from heliograph.errors import Unavailable
from heliograph.runtime import Runtime
from heliograph.status.tallying import count_day, days_to_count
from heliograph.store.accounts import Account

log = structlog.get_logger(__name__)

PAUSE_S = 5.0  # between two counts of one account, at least
PAUSE_PER_COUNT = 20  # … and so many times as long as the count itself took, for it must not slow the sending down


class Counting:
    """One for a process. `stop` ends what is under way; a count that is cut off leaves the tallies as they were."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._not_before: dict[int, float] = {}
        self._turn = asyncio.Lock()  # one account at a time: the store has few readers, and pages need them

    def ask(self, account: Account) -> "asyncio.Task[None] | None":
        """Have the account's messages counted again if that is due. The count under way, if there is one."""
        task = self._tasks.get(account.id)
        if task is not None and not task.done():
            return task
        if time.monotonic() < self._not_before.get(account.id, 0.0):
            return None
        task = asyncio.create_task(self._count(account), name=f"count-{account.id}")
        self._tasks[account.id] = task
        return task

    async def _count(self, account: Account) -> None:
        async with self._turn:
            started = time.monotonic()
            try:
                for day in await days_to_count(self._runtime.database, account, now_ms()):
                    await count_day(self._runtime.database, account, day)
            except Unavailable as error:
                log.warning("count_failed", account_id=account.id, reason=error.code)
            took_s = time.monotonic() - started
            self._not_before[account.id] = time.monotonic() + max(PAUSE_S, took_s * PAUSE_PER_COUNT)

    async def stop(self) -> None:
        tasks = [task for task in self._tasks.values() if not task.done()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
