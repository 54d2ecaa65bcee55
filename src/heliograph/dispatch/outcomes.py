"""What an attempt's outcome means for the message, its number and its template: decided here, written in batches."""

from msgspec import Struct

from heliograph.channels.contract import Outgoing, Scope, SendOutcome, Verdict
from heliograph.core.ids import now_ms
from heliograph.core.retry_times import SEND_BUDGET, wait_before_pair_retry_s, wait_before_retry_s
from heliograph.core.statuses import State
from heliograph.dispatch.choosing import template_of
from heliograph.store import connections as connection_store
from heliograph.store import messages as message_store
from heliograph.store import queues
from heliograph.store import sends as send_store
from heliograph.store.connections import ConnectionRow, Sender
from heliograph.store.engine import Tx
from heliograph.store.messages import Event
from heliograph.store.sends import DueSend

LONGEST_IN_QUEUE_MS = 24 * 3_600_000  # a message that the carrier keeps putting off fails after so long
RESEND_UNKNOWN_AFTER_MS = 5 * 60_000  # for senders that prefer a second message to none
RESEND_UNKNOWN_AT_MOST = 3


class Attempt(Struct, frozen=True):
    """One attempt with its outcome. `number` says which of the message's attempts it was, from 1."""

    send: DueSend
    connection: ConnectionRow
    sender: Sender | None
    outgoing: Outgoing
    outcome: SendOutcome
    ended_at_ms: int

    @property
    def number(self) -> int:
        return self.send.attempts + 1


class Fate(Struct, frozen=True):
    """What becomes of the message: a state, or another attempt at a time."""

    state: State | None = None
    failure: tuple[str, str] | None = None
    again_at_ms: int | None = None
    counts: bool = True  # whether the attempt counts against the budget
    as_template: bool = False


def decide(attempt: Attempt) -> Fate:
    """The rules, without side effects."""
    outcome, at_ms = attempt.outcome, attempt.ended_at_ms
    as_template = attempt.send.as_template
    failure = (outcome.code or "carrier_refused", outcome.sentence or "The carrier refused the message.")
    too_old = at_ms - attempt.send.due_at_ms > LONGEST_IN_QUEUE_MS and attempt.send.attempts > 0
    match outcome.verdict:
        case Verdict.ACCEPTED:
            return Fate(State.SENT)
        case Verdict.UNKNOWN:
            if attempt.sender is not None and attempt.sender.resend_unknown and attempt.number < RESEND_UNKNOWN_AT_MOST:
                return Fate(
                    State.UNKNOWN, failure, again_at_ms=at_ms + RESEND_UNKNOWN_AFTER_MS, as_template=as_template
                )
            return Fate(State.UNKNOWN, failure)
        case Verdict.FAIL:
            if outcome.code == "window_closed" and can_go_as_template(attempt):
                return Fate(again_at_ms=at_ms, as_template=True)
            return Fate(State.FAILED, failure)
        case Verdict.HOLD:
            return Fate(again_at_ms=at_ms, counts=False, as_template=as_template)
        case Verdict.SLOW:
            if too_old:
                return Fate(State.FAILED, failure)
            wait_s = max(outcome.retry_after_s or 0.0, 1.0)
            return Fate(again_at_ms=at_ms + int(wait_s * 1000), counts=False, as_template=as_template)
        case Verdict.PAIR:
            wait = wait_before_pair_retry_s(attempt.number)
        case Verdict.LATER:
            wait = max(outcome.retry_after_s or 60.0, 1.0) if attempt.number < SEND_BUDGET.attempts else None
        case Verdict.RETRY:
            wait = wait_before_retry_s(attempt.number, SEND_BUDGET, outcome.retry_after_s)
    if wait is None:
        return Fate(State.FAILED, failure)
    return Fate(again_at_ms=at_ms + int(wait * 1000), as_template=as_template)


def can_go_as_template(attempt: Attempt) -> bool:
    sender = attempt.sender
    return (
        sender is not None
        and sender.window_template_name is not None
        and attempt.outgoing.template is None
        and attempt.outgoing.media_url is None
    )


async def record_attempts(tx: Tx, owner: bytes, attempts: list[Attempt]) -> None:
    """Write what came of attempts: evidence, states, queue. A message whose lease we lost still gets its evidence."""
    at_ms = now_ms()
    await message_store.lock_messages(tx, [(a.send.account_id, a.send.message_id) for a in attempts])
    sent = [
        (a.send.account_id, a.send.message_id, a.outcome.carrier_message_id)
        for a in attempts
        if a.outcome.verdict is Verdict.ACCEPTED and a.outcome.carrier_message_id
    ]
    if sent:
        await message_store.record_sent(tx, sent, at_ms)
    await message_store.add_events(tx, [answer_event(a) for a in attempts])
    done: list[queues.Key] = []
    for attempt in attempts:
        if attempt.outcome.verdict is Verdict.ACCEPTED:
            done.append((attempt.send.account_id, attempt.send.message_id))
        else:
            await record_other(tx, owner, attempt, at_ms, done)
    if done:
        await queues.finish(tx, queues.SENDS, owner, done)


async def record_other(tx: Tx, owner: bytes, attempt: Attempt, at_ms: int, done: list[queues.Key]) -> None:
    send, fate = attempt.send, decide(attempt)
    if fate.state is not None:
        await message_store.move_message(tx, send.account_id, send.message_id, fate.state, at_ms, fate.failure)
    if fate.again_at_ms is None:
        done.append((send.account_id, send.message_id))
    else:
        await send_store.retry_send(
            tx,
            send.account_id,
            send.message_id,
            owner,
            due_at_ms=fate.again_at_ms,
            as_template=fate.as_template,
            attempts=attempt.number if fate.counts else send.attempts,
        )
    await record_reach(tx, attempt, at_ms)


async def record_reach(tx: Tx, attempt: Attempt, at_ms: int) -> None:
    """What the outcome means beyond the message: a hold of the number, its group or its app, or of a template."""
    outcome, connection = attempt.outcome, attempt.connection
    template = template_of(attempt.outgoing)
    if outcome.scope is Scope.TEMPLATE and template is not None:
        await connection_store.hold_template(
            tx, connection.account_id, connection.business_account, template, at_ms, outcome.code, outcome.sentence
        )
    if outcome.verdict is Verdict.HOLD and outcome.scope not in {Scope.MESSAGE, Scope.TEMPLATE}:
        until_ms = at_ms + int(outcome.retry_after_s * 1000) if outcome.retry_after_s else None
        await connection_store.hold(tx, connection.id, outcome.scope.value, outcome.code, outcome.sentence, until_ms)


def answer_event(attempt: Attempt) -> Event:
    """The evidence of one attempt: what was asked and what the carrier said, or that it said nothing."""
    outcome = attempt.outcome
    return Event(
        account_id=attempt.send.account_id,
        message_id=attempt.send.message_id,
        name=f"answer {attempt.number}" if counted(outcome) else f"answer {attempt.number} at {attempt.ended_at_ms}",
        at_ms=attempt.ended_at_ms,
        source="carrier" if outcome.http_status is not None else "dispatcher",
        code=outcome.verdict.value if outcome.verdict is Verdict.ACCEPTED else outcome.code or outcome.verdict.value,
        carrier_code=outcome.carrier_code,
        sentence=outcome.sentence or accepted_sentence(attempt),
        raw=outcome.raw or None,
    )


def counted(outcome: SendOutcome) -> bool:
    return outcome.verdict not in {Verdict.SLOW, Verdict.HOLD}


def accepted_sentence(attempt: Attempt) -> str:
    template = template_of(attempt.outgoing)
    what = f"template {template[0]}" if template else "image" if attempt.outgoing.media_url else "text"
    return f"The carrier took the message ({what}) and will report what becomes of it."
