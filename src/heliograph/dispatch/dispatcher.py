"""The dispatcher: owns numbers by lease, runs a loop for each, settles what the dead left, and ends holds that are over."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

import structlog

from heliograph.channels.whatsapp.channel import WhatsApp
from heliograph.core.batching import Batcher
from heliograph.core.ids import new_id
from heliograph.core.statuses import State
from heliograph.core.vault import CannotUnseal
from heliograph.dispatch.errands import ErrandLoop
from heliograph.dispatch.number import NumberLoop
from heliograph.dispatch.outcomes import Attempt, record_attempts
from heliograph.dispatch.sharing import Sharing
from heliograph.errors import ChannelRefused, Unavailable
from heliograph.runtime import Runtime
from heliograph.store import connections as connection_store
from heliograph.store import messages as message_store
from heliograph.store import queues
from heliograph.store import sends as send_store
from heliograph.store.connections import ConnectionRow
from heliograph.store.engine import Tx
from heliograph.store.messages import Event

log = structlog.get_logger(__name__)

BEATS_PER_LEASE = 4  # how often the lease of our numbers is renewed within its time
PROBE_EVERY_S = 300.0  # how often a held number is asked whether it may send again
# A template that the carrier stopped is tried again after so long: one message shows whether it is good again, and is refused
# as it would have been anyway if it is not. Pauses last hours (whatsapp-cloud-api.md §9), and not every end of one is told.
TEMPLATE_HOLD_MS = 3_600_000
DIED_SENTENCE = (
    "The server stopped while this attempt was under way, so nobody knows whether the carrier took the message. "
    "It is not sent again; a report from the carrier will settle it."
)


class Dispatcher:
    """One per process. `alone` says that every other dispatcher of this database is known to be dead."""

    def __init__(self, runtime: Runtime, channel: WhatsApp, *, alone: bool) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._channel = channel
        self._alone = alone
        self._lease_s = runtime.settings.number_lease_s
        self.owner = new_id()
        self.loops: dict[int, NumberLoop] = {}
        self._sharing = Sharing(self._lease_s, 2 * self._lease_s / BEATS_PER_LEASE)
        self._leaving: dict[int, asyncio.Task[None]] = {}  # numbers that we have too many of, on their way to another
        self._slots = asyncio.Semaphore(runtime.settings.max_in_flight)
        self._outcomes: Batcher[Attempt, None] = Batcher(self._record, most_at_once=500, most_waiting=1_000_000)
        self._errands = ErrandLoop(runtime, channel, self.owner)
        self._look = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stop_listening: Callable[[], None] | None = None

    async def start(self) -> None:
        """Begin to work. Raises Unavailable when the database cannot be used."""
        self._stop_listening = self._database.listen(self._heard)
        if self._alone:
            await self._database.write(self._bury_the_dead)
        await self._own()
        self._look.set()  # settle at once what the dead left
        self._tasks = [
            asyncio.create_task(self._keep_owning(), name="own-numbers"),
            asyncio.create_task(self._probe_holds(), name="probe-holds"),
        ]
        self._errands.start()

    async def stop(self) -> None:
        """Claim nothing more, let what is in flight end, write its outcomes, give the numbers back."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        grace_s = self._runtime.settings.shutdown_grace_s
        await asyncio.gather(self._errands.stop(), *(loop.stop(grace_s) for loop in self.loops.values()))
        if self._leaving:
            await asyncio.wait(set(self._leaving.values()), timeout=grace_s)
        await self._outcomes.drain()
        if self._stop_listening is not None:
            self._stop_listening()
        with contextlib.suppress(Unavailable):
            await self._database.write(lambda tx: connection_store.disown_connections(tx, self.owner))
        self._database.announce(f"dispatcher_stops:{self.owner.hex()}")

    def _heard(self, topic: str) -> None:
        kind, _, subject = topic.partition(":")
        if kind == "send":
            loop = self.loops.get(int(subject)) if subject else None
            if loop is not None:
                loop.wake()
        elif kind in {"connections", "senders"}:
            self._look.set()
        elif kind == "errand":
            self._errands.wake()
        elif kind == "dispatcher" and subject != self.owner.hex():
            if self._sharing.hear(subject):
                self._look.set()
        elif kind == "dispatcher_stops":
            self._sharing.forget(subject)

    async def _record(self, batch: Sequence[Attempt]) -> Sequence[None]:
        attempts = list(batch)
        await self._database.write(lambda tx: record_attempts(tx, self.owner, attempts))
        return [None] * len(attempts)

    # Ownership

    async def _keep_owning(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._lease_s / BEATS_PER_LEASE):
                    await self._look.wait()
            self._look.clear()
            try:
                await self._own()
                await self._settle_lapsed()
            except Unavailable as error:
                log.warning("dispatch_waits_for_database", code=error.code)
            except Exception:
                log.exception("owning_failed")

    async def _own(self) -> None:
        owned_until_s = time.monotonic() + self._lease_s
        at_ms = await self._database.server_now_ms()

        async def work(tx: Tx) -> tuple[list[ConnectionRow], int, int]:
            await connection_store.release_lapsed_holds(tx, at_ms)
            await connection_store.release_lapsed_template_holds(tx, at_ms - TEMPLATE_HOLD_MS)
            total, _ = await connection_store.count_connections(tx, at_ms)
            until_ms = at_ms + self._lease_s * 1000
            ours = await connection_store.own_connections(tx, self.owner, at_ms, until_ms, self._sharing.most(total))
            return ours, *await connection_store.count_connections(tx, at_ms)

        ours, total, free = await self._database.write(work)
        self._sharing.saw_free(free)
        self._database.announce(f"dispatcher:{self.owner.hex()}")
        rows = {row.id: row for row in ours}
        for lost in set(self.loops) - set(rows):
            log.warning("number_lost", connection_id=lost)
            self._begin_leaving(self.loops.pop(lost))
        for row in rows.values():
            if row.id not in self._leaving:
                self._run_number(row)
        for loop in self.loops.values():
            loop.keep_until(owned_until_s)
        if not free:
            self._give_up_surplus(len(rows) - len(self._leaving) - self._sharing.fair(total))

    def _give_up_surplus(self, count: int) -> None:
        """More numbers than our share, while others have fewer: let some go."""
        for connection_id in sorted(self.loops, reverse=True)[: max(0, count)]:
            self._begin_leaving(self.loops.pop(connection_id))

    def _begin_leaving(self, loop: NumberLoop) -> None:
        task = asyncio.create_task(self._let_go(loop), name=f"let-go-{loop.row.id}")
        self._leaving[loop.row.id] = task

    async def _let_go(self, loop: NumberLoop) -> None:
        """Claim nothing more for a number, give it back, and see what is in flight to its end: nobody else knows of it."""
        row, settings = loop.row, self._runtime.settings
        try:
            await loop.stop_claiming()
            with contextlib.suppress(Unavailable):
                await self._database.write(
                    lambda tx: connection_store.disown_connection(tx, self.owner, row.account_id, row.id)
                )
            log.info("number_let_go", connection_id=row.id)
            await loop.stop(settings.send_timeout_s + settings.connect_timeout_s)
        finally:
            del self._leaving[row.id]

    def _run_number(self, row: ConnectionRow) -> None:
        try:
            connection = self._runtime.connection_of(row)
        except CannotUnseal:
            log.error("credentials_sealed_with_another_key", connection_id=row.id)
            return
        known = self.loops.get(row.id)
        if known is not None:
            if known.row != row:
                known.update(row, connection)
            return
        settings = self._runtime.settings
        loop = NumberLoop(
            database=self._database,
            channel=self._channel,
            row=row,
            connection=connection,
            owner=self.owner,
            lease_ms=settings.dispatch_lease_s * 1000,
            send_within_s=settings.dispatch_lease_s - settings.send_timeout_s - settings.connect_timeout_s,
            slots=self._slots,
            outcomes=self._outcomes,
            most_in_flight=settings.max_in_flight,
        )
        self.loops[row.id] = loop
        loop.start()
        log.info("number_owned", connection_id=row.id)

    # What the dead left

    async def _bury_the_dead(self, tx: Tx) -> None:
        await connection_store.disown_connections_of_others(tx, self.owner)
        for queue in queues.QUEUES:
            await queues.lapse_others(tx, queue, self.owner)

    async def _settle_lapsed(self) -> None:
        """Claims whose owner is gone: an attempt that may have left makes the message unknown; the rest is due again."""
        while True:
            at_ms = await self._database.server_now_ms()
            settled = await self._database.write(lambda tx: self._settle_some(tx, at_ms))  # noqa: B023 - awaited here
            if not settled:
                return
            log.warning("lapsed_claims_settled", count=settled)

    async def _settle_some(self, tx: Tx, at_ms: int) -> int:
        found = await queues.take_lapsed(tx, queues.SENDS, at_ms, 500)
        for account_id, message_id, connection_id, _lane, _due_at_ms, attempts, _owner in found:
            await self._settle_send(tx, account_id, message_id, connection_id, attempts, at_ms)
        total = len(found)
        for queue in (queues.CALLBACKS, queues.ERRANDS):
            keys = await queues.take_lapsed(tx, queue, at_ms, 500)
            # Applying a callback twice changes nothing, and an errand may be run twice: they are simply due again.
            await queues.give_back(tx, queue, [tuple(row[: len(queue.keys)]) for row in keys], at_ms)
            total += len(keys)
        return total

    async def _settle_send(
        self, tx: Tx, account_id: int, message_id: bytes, connection_id: int, attempts: int, at_ms: int
    ) -> None:
        message = await message_store.message_by_id(tx, account_id, message_id)
        await send_store.drop_send(tx, account_id, message_id)
        if message is None:
            return
        moved = await message_store.move_message(
            tx, account_id, message_id, State.UNKNOWN, at_ms, ("interrupted", DIED_SENTENCE)
        )
        event = Event(
            account_id=account_id,
            message_id=message_id,
            name=f"answer {attempts}",
            at_ms=at_ms,
            source="dispatcher",
            code="interrupted",
            sentence=DIED_SENTENCE,
        )
        await message_store.add_events(tx, [event])
        senders = await connection_store.senders_of_account(tx, account_id)
        resend = any(s.name == message.sender and s.resend_unknown for s in senders)
        if moved and resend and attempts < 3:
            await send_store.owe_send_again(
                tx,
                account_id,
                message_id,
                connection_id,
                due_at_ms=at_ms + 300_000,
                attempts=attempts,
                as_template=False,
            )

    # Holds

    async def _release(self, row: ConnectionRow) -> None:
        await self._database.write(lambda tx: connection_store.release(tx, row.account_id, row.id))
        log.info("hold_released", connection_id=row.id, code=row.hold_code)

    async def _probe_holds(self) -> None:
        """Ask, now and then, whether a number that stands still may send again; asking sends nothing to anybody."""
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            for loop in list(self.loops.values()):
                row = loop.row
                if row.hold_code is None or row.held_until_ms is not None or row.hold_code.startswith("operator"):
                    continue
                try:
                    facts = await self._channel.read_number(self._runtime.connection_of(row))
                    if facts.can_send == "BLOCKED":
                        continue
                    await self._release(row)
                except (ChannelRefused, Unavailable, CannotUnseal):
                    continue
