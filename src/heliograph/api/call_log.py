"""The last API calls of each account, for its developers: what was asked, what was answered, and why it was refused.

Written in the background, a second late, and thinned where calls are many: it must cost the road nothing, and it promises
nothing. Texts, recipients and tokens are not in it."""

import asyncio
import contextlib
import time

from heliograph.accounts.tokens import Principal
from heliograph.api.http import Request
from heliograph.config import Settings
from heliograph.core.ids import new_id, now_ms
from heliograph.errors import HeliographError, Unavailable
from heliograph.runtime import Runtime
from heliograph.store.api_calls import ApiCall, add_api_calls, keep_newest_api_calls
from heliograph.store.engine import Tx

WRITE_EVERY_S = 1.0
MOST_SUCCESSES = 20  # of one account in one interval; further ones are not listed
MOST_REFUSALS = 100
KEEP = 1_000  # of each account
TRIM_AFTER = 200  # new rows of an account


class CallLog:
    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._settings: Settings = runtime.settings
        self._waiting: dict[int, list[ApiCall]] = {}
        self._since_trim: dict[int, int] = {}
        self._seen: dict[tuple[int, bool], int] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_writing(), name="call-log")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        with contextlib.suppress(Unavailable):
            await self._write()

    def note(
        self, request: Request, caller: Principal, status: int, error: HeliographError | None, began_at: float
    ) -> None:
        """`began_at`: time.perf_counter() when the request came."""
        account_id = caller.account.id
        kind = (account_id, error is not None)
        seen = self._seen[kind] = self._seen.get(kind, 0) + 1
        if seen > (MOST_SUCCESSES if error is None else MOST_REFUSALS):
            return
        call = ApiCall(
            account_id=account_id,
            id=new_id(),
            token_id=caller.token.id,
            method=request.method,
            path=request.path[:200],
            http_status=status,
            code=error.code if error else "",
            sentence=error.message[:300] if error else "",
            request_id=request.request_id,
            address=request.client_address(self._settings)[:64],
            took_ms=round((time.perf_counter() - began_at) * 1000),
            at_ms=now_ms(),
        )
        self._waiting.setdefault(account_id, []).append(call)

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            with contextlib.suppress(Unavailable):
                await self._write()

    async def _write(self) -> None:
        waiting, self._waiting = self._waiting, {}
        self._seen.clear()
        if not waiting:
            return
        full = []
        for account_id, calls in waiting.items():
            count = self._since_trim.get(account_id, TRIM_AFTER) + len(calls)
            self._since_trim[account_id] = 0 if count > TRIM_AFTER else count
            if count > TRIM_AFTER:
                full.append(account_id)

        async def work(tx: Tx) -> None:
            await add_api_calls(tx, [call for calls in waiting.values() for call in calls])
            for account_id in full:
                await keep_newest_api_calls(tx, account_id, KEEP)

        await self._database.write(work)
