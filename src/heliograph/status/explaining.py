"""GET /sms/{uid}/explain: what is known of a message, from whom, since when, and what happens or can be done next."""

from typing import Any, Protocol

import msgspec

from heliograph.channels.whatsapp.codes import describe_code
from heliograph.core.ids import uid_of
from heliograph.core.schedule_times import render_time
from heliograph.core.statuses import OPEN, V3_WORD, State
from heliograph.store.connections import ConnectionRow
from heliograph.store.messages import Event, Message
from heliograph.store.sends import SendProgress


def explain(
    message: Message,
    events: list[Event],
    progress: SendProgress | None,
    now_ms: int,
    connection: ConnectionRow | None = None,
) -> dict[str, Any]:
    """`connection`: the number that the message goes out through, for a hold of it keeps the message waiting."""
    state = state_now(message, progress, now_ms)
    held = connection if connection is not None and connection.hold_code and progress is not None else None
    return {
        "uid": uid_of(message.id),
        "state": state.value,
        "status": V3_WORD[state],
        "summary": summarise(message, state, progress, now_ms)
        if held is None or state is not State.QUEUED
        else f"It waits, for its sender stands still: {held.hold_sentence}",
        "steps": [first_step(message), *(view_event(event) for event in events)],
        "next_attempt": view_next(progress, now_ms, held if state is State.QUEUED else None),
        "hold": view_hold(held),
        "carrier": view_carrier(message, events),
    }


class Standing(Protocol):
    """What of a message tells how it stands."""

    @property
    def state(self) -> str: ...

    @property
    def schedule_at_ms(self) -> int | None: ...


def state_now(message: Standing, progress: SendProgress | None, now_ms: int) -> State:
    """The stored state, refined by the queue: scheduled, queued and sending are told apart there."""
    state = State(message.state)
    if state not in OPEN or progress is None:
        return state
    if progress.lease_until_ms is not None:
        return State.SENDING
    if message.schedule_at_ms is not None and message.schedule_at_ms > now_ms:
        return State.SCHEDULED
    return State.QUEUED


def summarise(message: Message, state: State, progress: SendProgress | None, now_ms: int) -> str:
    match state:
        case State.SCHEDULED:
            return f"It waits for its time, {render_time(message.schedule_at_ms or now_ms)}."
        case State.QUEUED if progress is not None and progress.attempts:
            return f"{progress.attempts} attempts were made; the next one follows at {render_time(progress.due_at_ms)}."
        case State.QUEUED:
            return "It is stored and waits for its turn."
        case State.SENDING:
            return "It is on its way to the carrier right now."
        case State.SENT:
            return "The carrier has it. Whether it reached the phone is not known yet."
        case State.DELIVERED:
            return "The carrier reports that it reached the recipient's phone."
        case State.READ:
            return "The carrier reports that the recipient has opened it."
        case State.FAILED | State.UNKNOWN | State.EXPIRED:
            return message.failure_sentence or "The carrier reported a failure."
        case State.CANCELLED:
            return "You cancelled it before it left."
        case State.RECEIVED:
            return "A person wrote this to you."


def first_step(message: Message) -> dict[str, Any]:
    incoming = message.direction == "incoming"
    return {
        "step": "stored" if incoming else "accepted",
        "at": render_time(message.created_at_ms),
        "source": "heliograph",
        "sentence": "Stored from the carrier's callback." if incoming else "Accepted and stored on disk.",
    }


def view_event(event: Event) -> dict[str, Any]:
    view: dict[str, Any] = {
        "step": event.name.split(" at ")[0],
        "at": render_time(event.at_ms),
        "source": event.source,
        "sentence": event.sentence,
    }
    if event.code:
        view["code"] = event.code
    if event.carrier_code:
        view["carrier_code"] = event.carrier_code
    if event.raw:
        view["raw"] = as_json(event.raw)
    return view


def as_json(raw: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return raw


def view_next(progress: SendProgress | None, now_ms: int, held: ConnectionRow | None) -> dict[str, Any] | None:
    """`at` is None while the sender stands still until somebody mends the cause."""
    if progress is None:
        return None
    at_ms: int | None = max(progress.due_at_ms, now_ms)
    if held is not None:
        at_ms = max(progress.due_at_ms, held.held_until_ms) if held.held_until_ms is not None else None
    return {
        "at": render_time(at_ms) if at_ms is not None else None,
        "attempt": progress.attempts + (0 if progress.lease_until_ms else 1),
        "under_way": progress.lease_until_ms is not None,
    }


def view_hold(held: ConnectionRow | None) -> dict[str, Any] | None:
    if held is None:
        return None
    until_ms = held.held_until_ms
    return {
        "code": held.hold_code,
        "message": held.hold_sentence,
        "until": render_time(until_ms) if until_ms is not None else None,
    }


def view_carrier(message: Message, events: list[Event]) -> dict[str, Any] | None:
    """The carrier's own id and, where it complained, its code, what that means and what to do."""
    code = next((event.carrier_code for event in reversed(events) if event.carrier_code), None)
    if message.carrier_message_id is None and code is None:
        return None
    view: dict[str, Any] = {"message_id": message.carrier_message_id}
    if code is not None:
        meaning, advice = describe_code(code)
        view |= {"code": code, "meaning": meaning, "what_to_do": advice}
    return view
