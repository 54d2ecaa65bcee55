"""The loop that takes callbacks from the raw inbox and applies them, many in one commit."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog
from msgspec import Struct

from heliograph.channels.contract import CallbackEvent, StatusReport
from heliograph.channels.whatsapp.callback import parse_callback
from heliograph.core.ids import now_ms, uid_of
from heliograph.core.references import read_reference
from heliograph.errors import BadRequest, Unavailable
from heliograph.runtime import Runtime
from heliograph.status.applying import apply_event
from heliograph.store import callbacks as store
from heliograph.store import connections as connection_store
from heliograph.store import idempotency, queues
from heliograph.store import messages as message_store
from heliograph.store.connections import ConnectionRow
from heliograph.store.engine import Tx

log = structlog.get_logger(__name__)

AT_ONCE = 200
LEASE_MS = 60_000
LOOK_EVERY_S = 5.0
CLEAN_EVERY_S = 600.0
# A report may overtake the carrier's own answer, or the writing of it; later than this it is not about us.
PATIENCE_S = (1, 2, 5, 15, 60, 300)
NOT_OURS = "It speaks of a message that was not sent from here."
UNREADABLE = "It is not JSON."
BROKEN = "It could not be applied; the log says why."

Applied = list[tuple[queues.Key, int | None, str | None]]  # key, when to try again (ms), trouble


class Read(Struct, frozen=True):
    """A claimed callback and what it tells; `callback` is None where it was dropped since."""

    key: queues.Key
    attempts: int
    callback: store.Callback | None
    events: list[CallbackEvent]
    trouble: str | None


def messages_of(events: list[CallbackEvent]) -> list[tuple[int, bytes]]:
    """Account and id of the messages that events speak of, as far as they carry a reference of ours."""
    found = [read_reference(event.reference) for event in events if isinstance(event, StatusReport)]
    return [(one.account_id, one.message_id) for one in found if one is not None]


class Applier:
    def __init__(self, runtime: Runtime, owner: bytes) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._owner = owner
        self._woken = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._stop_listening: Callable[[], None] | None = None

    def start(self) -> None:
        self._stop_listening = self._database.listen(self._heard)
        self._tasks = [
            asyncio.create_task(self._run(), name="apply-callbacks"),
            asyncio.create_task(self._clean(), name="drop-old"),
        ]

    async def stop(self) -> None:
        self._stopping = True
        self._woken.set()
        await self._tasks[0]
        self._tasks[1].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._tasks[1]
        if self._stop_listening is not None:
            self._stop_listening()

    def _heard(self, topic: str) -> None:
        if topic == "callback":
            self._woken.set()

    async def _run(self) -> None:
        while not self._stopping:
            try:
                self._woken.clear()
                if not await self._some():
                    await self._sleep()
            except Unavailable as error:
                log.warning("applier_waits_for_database", code=error.code)
                await asyncio.sleep(1.0)
            except Exception:
                log.exception("applying_failed")
                await asyncio.sleep(1.0)

    async def _sleep(self) -> None:
        due_at_ms = await self._database.read(lambda tx: queues.next_due_at_ms(tx, queues.CALLBACKS))
        wait_s = LOOK_EVERY_S if due_at_ms is None else min(LOOK_EVERY_S, max(0.001, (due_at_ms - now_ms()) / 1000))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._woken.wait()

    async def _some(self) -> int:
        """Claim, apply and finish a batch in one transaction; if that fails, each callback in its own."""
        try:
            return await self._database.write(lambda tx: self._claim_and_apply(tx, AT_ONCE))
        except Unavailable:
            raise
        except Exception:
            log.exception("callback_batch_failed")
            return await self._one_by_one()

    async def _claim_and_apply(self, tx: Tx, limit: int) -> int:
        at_ms = now_ms()
        rows = await queues.claim_due(tx, queues.CALLBACKS, self._owner, at_ms + LEASE_MS, at_ms, limit)
        read = [await self._read(tx, row) for row in rows]
        # Before the first change: whoever records the outcomes of these messages right now takes them in the same order.
        await message_store.lock_messages(tx, [key for one in read for key in messages_of(one.events)])
        await self._finish(tx, [await self._apply(tx, one, at_ms) for one in read])
        return len(rows)

    async def _one_by_one(self) -> int:
        at_ms = now_ms()
        rows = await self._database.write(
            lambda tx: queues.claim_due(tx, queues.CALLBACKS, self._owner, at_ms + LEASE_MS, at_ms, AT_ONCE)
        )
        for row in rows:

            async def work(tx: Tx, row: queues.Key = row) -> None:
                await self._finish(tx, [await self._apply(tx, await self._read(tx, row), at_ms)])

            try:
                await self._database.write(work)
            except Unavailable:
                raise
            except Exception:
                log.exception("callback_failed", callback_id=uid_of(row[1]))
                dead: Applied = [((row[0], row[1]), None, BROKEN)]
                await self._database.write(lambda tx, dead=dead: self._finish(tx, dead))  # type: ignore[misc]
        return len(rows)

    async def _read(self, tx: Tx, row: queues.Key) -> Read:
        account_id, callback_id, _due_at_ms, attempts = row
        key = (account_id, callback_id)
        callback = await store.callback_by_id(tx, account_id, callback_id)
        if callback is None:
            return Read(key, attempts, None, [], None)
        try:
            return Read(key, attempts, callback, parse_callback(callback.body), None)
        except BadRequest:
            return Read(key, attempts, callback, [], UNREADABLE)

    async def _apply(self, tx: Tx, read: Read, at_ms: int) -> tuple[queues.Key, int | None, str | None]:
        key, callback, attempts = read.key, read.callback, read.attempts
        if callback is None or read.trouble is not None:
            return key, None, read.trouble
        numbers = await self._numbers(tx, callback)
        unknown = 0
        for event in read.events:
            if not await apply_event(tx, numbers, event, callback.received_at_ms):
                unknown += 1
        if not unknown:
            return key, None, None
        if attempts <= len(PATIENCE_S):
            return key, at_ms + PATIENCE_S[attempts - 1] * 1000, NOT_OURS
        return key, None, NOT_OURS

    async def _numbers(self, tx: Tx, callback: store.Callback) -> dict[str, ConnectionRow]:
        """The numbers that this callback may speak of: those whose app has the secret that signed it."""
        row = await connection_store.connection_by_id(tx, callback.account_id, callback.connection_id)
        if row is None:
            return {}
        return {r.address: r for r in await connection_store.connections_of_app(tx, row.channel, row.app_mark)}

    async def _finish(self, tx: Tx, applied: Applied) -> None:
        done = [key for key, again_at_ms, _ in applied if again_at_ms is None]
        if done:
            await queues.finish(tx, queues.CALLBACKS, self._owner, done)
        again = [(key, again_at_ms) for key, again_at_ms, _ in applied if again_at_ms is not None]
        if again:
            await queues.postpone(tx, queues.CALLBACKS, self._owner, again)
        for key, again_at_ms, trouble in applied:
            if trouble is not None and again_at_ms is None:
                await store.record_trouble(tx, key[0], key[1], trouble)

    async def _clean(self) -> None:
        """Drop what was kept long enough: raw callbacks that were applied, answers of idempotency keys."""
        settings = self._runtime.settings
        while True:
            at_ms = now_ms()
            callbacks_before = at_ms - settings.callback_keep_days * 86_400_000
            answers_before = at_ms - settings.idempotency_hours * 3_600_000
            with contextlib.suppress(Unavailable):
                await self._drop(store.drop_old_callbacks, callbacks_before)
                await self._drop(idempotency.drop_old_answers, answers_before)
            await asyncio.sleep(CLEAN_EVERY_S)

    async def _drop(self, drop_some: Callable[[Tx, int, int], Awaitable[int]], before_ms: int) -> None:
        """In short transactions, so that nobody waits for the broom."""
        dropped = 1
        while dropped:
            dropped = await self._database.write(lambda tx: drop_some(tx, before_ms, 500))
