"""One number's sending: claim what may leave now, make the attempts, hand the outcomes over. Owned by one process at a time."""

import asyncio
import contextlib
import math
import time
from collections.abc import Coroutine

import structlog
from msgspec import Struct, structs

from heliograph.channels.contract import Channel, Connection, Outgoing, Scope, SendOutcome, Verdict
from heliograph.core.batching import Batcher
from heliograph.core.ids import now_ms
from heliograph.core.phone_numbers import mask_number
from heliograph.dispatch.choosing import choose_outgoing, reference_of, template_of
from heliograph.dispatch.outcomes import Attempt
from heliograph.dispatch.pace import Pace, PairLimits
from heliograph.errors import Unavailable
from heliograph.store import connections as connection_store
from heliograph.store import messages as message_store
from heliograph.store import sends as send_store
from heliograph.store.connections import ConnectionRow, Sender
from heliograph.store.engine import Database, Tx
from heliograph.store.messages import Event
from heliograph.store.sends import LANES, DueSend

log = structlog.get_logger(__name__)

OWNERSHIP_LOOK_S = 0.5  # how often a number whose lease has run out looks whether it was renewed
LOOK_EVERY_S = 5.0  # wake-ups are hints; this is how long a lost one may delay a message
MOST_CLAIMED = 200
BULK_SHARE = 0.1  # of each claim is left to bulk, so that it moves even while single messages never end


TOO_LATE = SendOutcome(
    verdict=Verdict.SLOW,
    code="claim_too_old",
    sentence="This node stood still between the claim and the request, so nothing left; the message is tried again.",
)


class Claimed(Struct, frozen=True):
    """What one look into the queue gave: attempts to make, refusals known beforehand, and when to look again (ms)."""

    attempts: list[tuple[DueSend, Sender | None, Outgoing]]
    refused: list[tuple[DueSend, Sender | None, Outgoing, SendOutcome]]
    next_due_at_ms: int | None


class NumberLoop:
    """Sends through one connection while this process owns it."""

    def __init__(
        self,
        *,
        database: Database,
        channel: Channel,
        row: ConnectionRow,
        connection: Connection,
        owner: bytes,
        lease_ms: int,
        send_within_s: float,
        slots: asyncio.Semaphore,
        outcomes: Batcher[Attempt, None],
        most_in_flight: int,
    ) -> None:
        self._database = database
        self._channel = channel
        self._row = row
        self._connection = connection
        self._owner = owner
        self._lease_ms = lease_ms
        self._send_within_s = send_within_s
        self._owned_until_s = math.inf
        self._slots = slots
        self._outcomes = outcomes
        self._most_in_flight = most_in_flight
        self._pace = Pace(row.pace_per_s)
        self._pairs = PairLimits()
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._not_begun: list[DueSend] = []
        self._backlog = False
        self._in_flight: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"number-{self._row.id}")

    def wake(self) -> None:
        self._woken.set()

    def update(self, row: ConnectionRow, connection: Connection) -> None:
        """New credentials, pace or hold."""
        self._row, self._connection = row, connection
        self._pace.set_limit(row.pace_per_s)
        self._woken.set()

    def keep_until(self, monotonic_s: float) -> None:
        """The number is ours until then, unless that is put off again: so that two nodes never keep one number's pace."""
        self._owned_until_s = monotonic_s

    @property
    def row(self) -> ConnectionRow:
        return self._row

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def pace(self) -> Pace:
        return self._pace

    async def stop_claiming(self) -> None:
        """Begin nothing more; what is in flight goes on."""
        self._stopping.set()
        self._woken.set()
        if self._task is not None:
            await self._task

    async def stop(self, grace_s: float) -> None:
        """Claim nothing more; let what is in flight end within the grace time; give back what had not begun."""
        await self.stop_claiming()
        if self._in_flight:
            await asyncio.wait(set(self._in_flight), timeout=grace_s)
        left = set(self._in_flight)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._not_begun:
            with contextlib.suppress(Unavailable):
                await self._database.write(lambda tx: send_store.give_back_sends(tx, self._owner, self._not_begun))

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._step()
            except Unavailable as error:
                log.warning("dispatch_waits_for_database", connection_id=self._row.id, code=error.code)
                await self._sleep(1.0)
            except Exception:
                log.exception("dispatch_step_failed", connection_id=self._row.id)
                await self._sleep(1.0)

    async def _step(self) -> None:
        """One look: claim and start what may leave, or wait until that can have changed."""
        if self._row.hold_code is not None:
            await self._sleep(LOOK_EVERY_S)
            return
        if time.monotonic() >= self._owned_until_s:
            await self._sleep(OWNERSHIP_LOOK_S)
            return
        if (wait_s := self._pace.wait_s(backlog=self._backlog)) > 0:
            await asyncio.sleep(wait_s)
            return
        free = self._most_in_flight - len(self._in_flight)
        if free <= 0:
            await self._wait_for_room()
            return
        self._woken.clear()
        limit = min(free, self._pace.available(), MOST_CLAIMED)
        send_until_s = time.monotonic() + self._send_within_s
        claimed = await self._claim(limit)
        self._backlog = len(claimed.attempts) == limit
        for send, sender, outgoing in claimed.attempts:
            self._pace.take(1)
            self._pairs.take(send.person)
            self._begin(self._attempt(send, sender, outgoing, send_until_s))
        for send, sender, outgoing, outcome in claimed.refused:
            self._begin(self._hand_over(send, sender, outgoing, outcome))
        if not claimed.attempts and not claimed.refused:
            wait = LOOK_EVERY_S
            if claimed.next_due_at_ms is not None:
                wait = min(wait, max(0.001, (claimed.next_due_at_ms - now_ms()) / 1000))
            await self._sleep(wait)

    async def _wait_for_room(self) -> None:
        """Until an attempt ends, or this loop must."""
        asked = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({*self._in_flight, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()

    async def _claim(self, limit: int) -> Claimed:
        async def work(tx: Tx) -> Claimed:
            at_ms = now_ms()
            due = await self._due(tx, at_ms, limit)
            if not due:
                return Claimed([], [], await send_store.next_due_of_connection(tx, self._row.account_id, self._row.id))
            chosen, deferred = self._apart(due, at_ms)
            if deferred:
                await send_store.defer_sends(tx, deferred)
            if not chosen:
                return Claimed([], [], at_ms)
            senders = {s.name: s for s in await connection_store.senders_of_account(tx, self._row.account_id)}
            held = await connection_store.template_holds(tx, self._row.account_id, self._row.business_account)
            ready = [(send, senders.get(send.sender)) for send in chosen]
            attempts = [(send, sender, choose_outgoing(send, sender, at_ms)) for send, sender in ready]
            refused = [
                (send, sender, outgoing, held_template(held[template]))
                for send, sender, outgoing in attempts
                if (template := template_of(outgoing)) is not None and template in held
            ]
            barred = {send.message_id for send, *_ in refused}
            attempts = [attempt for attempt in attempts if attempt[0].message_id not in barred]
            await send_store.claim_sends(tx, self._owner, at_ms + self._lease_ms, chosen)
            await message_store.add_events(tx, [attempt_event(send, at_ms) for send, _, _ in attempts])
            return Claimed(attempts, refused, at_ms)

        return await self._database.write(work)

    async def _due(self, tx: Tx, at_ms: int, limit: int) -> list[DueSend]:
        """Due messages: lane by lane, with a share of each claim left to the bulk lane."""
        first, bulk = LANES
        due = await send_store.due_sends(tx, self._row.account_id, self._row.id, first, at_ms, limit)
        if len(due) < limit:
            return due + await send_store.due_sends(
                tx, self._row.account_id, self._row.id, bulk, at_ms, limit - len(due)
            )
        share = int(limit * BULK_SHARE)
        if share:
            waiting = await send_store.due_sends(tx, self._row.account_id, self._row.id, bulk, at_ms, share)
            due = due[: limit - len(waiting)] + waiting
        return due

    def _apart(self, due: list[DueSend], at_ms: int) -> tuple[list[DueSend], list[tuple[DueSend, int]]]:
        """Those that may leave now, and those whose recipient must be spared, with the time until when."""
        chosen: list[DueSend] = []
        deferred: list[tuple[DueSend, int]] = []
        ahead: dict[str, int] = {}
        for send in due:
            before = ahead.get(send.person, 0)
            wait_s = self._pairs.wait_s(send.person, before)
            ahead[send.person] = before + 1
            if wait_s > 0:
                deferred.append((send, at_ms + int(wait_s * 1000) + 1))
            else:
                chosen.append(send)
        return chosen, deferred

    def _begin(self, doing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(doing)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _attempt(self, send: DueSend, sender: Sender | None, outgoing: Outgoing, send_until_s: float) -> None:
        begun = False
        try:
            async with self._slots:
                if self._stopping.is_set():
                    return
                begun = True
                if time.monotonic() > send_until_s:
                    # This process stood still. Others may think the attempt over: what leaves now could be the second.
                    outcome = TOO_LATE
                else:
                    outcome = await self._channel.send(self._connection, outgoing)
        finally:
            if not begun:
                self._not_begun.append(send)
        if outcome is TOO_LATE:
            await self._hand_over(send, sender, outgoing, TOO_LATE)
            return
        self._learn(send, outcome)
        await self._hand_over(send, sender, outgoing, outcome)

    def _learn(self, send: DueSend, outcome: SendOutcome) -> None:
        if outcome.verdict is Verdict.ACCEPTED:
            return
        if outcome.verdict is Verdict.SLOW:
            self._pace.slow_down()
        elif outcome.verdict is Verdict.PAIR:
            self._pairs.hold(send.person, 4.0)
        elif outcome.verdict is Verdict.HOLD:
            # Stand still at once; the row that says so follows with the outcome.
            until_ms = now_ms() + int(outcome.retry_after_s * 1000) if outcome.retry_after_s else None
            self._row = structs.replace(
                self._row, hold_code=outcome.code, hold_sentence=outcome.sentence, held_until_ms=until_ms
            )
        log.info(
            "message_not_accepted",
            account_id=send.account_id,
            message_id=send.message_id.hex(),
            recipient=mask_number(send.person),
            verdict=outcome.verdict.value,
            code=outcome.code,
            carrier_code=outcome.carrier_code,
            trace_id=outcome.trace_id,
        )

    async def _hand_over(self, send: DueSend, sender: Sender | None, outgoing: Outgoing, outcome: SendOutcome) -> None:
        """Give the outcome to whoever writes it, until it is written: only this process knows it."""
        attempt = Attempt(send, self._row, sender, outgoing, outcome, now_ms())
        while True:
            try:
                await self._outcomes.add(attempt)
            except Unavailable:
                await asyncio.sleep(0.5)
            else:
                if outcome.verdict is not Verdict.ACCEPTED:
                    self._woken.set()  # it may be due again sooner than we meant to look
                return


def held_template(reason: tuple[str, str]) -> SendOutcome:
    """The outcome of not trying a template that the carrier does not accept now."""
    code, sentence = reason
    return SendOutcome(verdict=Verdict.FAIL, scope=Scope.MESSAGE, code=code, sentence=sentence)


def attempt_event(send: DueSend, at_ms: int) -> Event:
    """Written before the request leaves: without it nobody could tell later that it may have."""
    return Event(
        account_id=send.account_id,
        message_id=send.message_id,
        name=f"attempt {send.attempts + 1}",
        at_ms=at_ms,
        source="dispatcher",
        sentence=f"Attempt {send.attempts + 1} begins.",
        raw=reference_of(send),
    )
