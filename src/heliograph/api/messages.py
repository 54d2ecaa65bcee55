"""Send, view, list, cancel: the part of the API that concerns messages (v3-api.md §6)."""

import contextlib
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from heliograph.accept.cancelling import TOO_LATE, cancel_message
from heliograph.accept.sending import Prepared, SendRequest, prepare_send
from heliograph.accept.storing import Entry
from heliograph.api.counter import NO_STORE, Call, idempotency_key, replayed, success
from heliograph.api.envelope import render_success
from heliograph.api.http import Answer
from heliograph.api.message_view import MessageFacts, merge_messages, view_message
from heliograph.api.paging import read_page, read_per_page, render_page
from heliograph.api.reading import optional_text
from heliograph.core.ids import id_of, now_ms, uid_of
from heliograph.core.phone_numbers import NotANumber, read_number
from heliograph.core.statuses import State, states_of_word
from heliograph.errors import Conflict, Invalid, NotFound
from heliograph.status.explaining import explain
from heliograph.store import errands as errand_store
from heliograph.store import messages as store
from heliograph.store import sends as send_store
from heliograph.store.connections import ConnectionRow, connection_by_id
from heliograph.store.engine import Tx
from heliograph.store.idempotency import KeptAnswer, keep_answer, kept_answer
from heliograph.store.messages import Event, Filters, Message, NewMessage

QUEUED = "Your message was successfully queued"
QUEUED_MANY = "Your {} messages were successfully queued"
SCHEDULED = "Your message was successfully scheduled"
UNKNOWN_UID = "SMS Info not found"
# The business-scoped id of someone who hides their number, as `from` of an incoming message shows it: no number has letters.
USER_ID = re.compile(r"[A-Z]{2}\.(?:[A-Z]{3}\.)?[A-Za-z0-9]{4,128}")


# Send


async def send(call: Call) -> Answer:
    """POST /sms/send (and /sms); on http also GET. Answers when every message is on disk."""
    settings = call.counter.runtime.settings
    request = read_send_request(call)
    key = idempotency_key(call)
    principal = call.principal
    origin = {"token_id": principal.token.id}
    prepared = prepare_send(principal.account, principal.senders, request, settings, now_ms(), origin)
    answer = render_sent(prepared)
    kept = await call.counter.acceptor.store(Entry(prepared.messages, 200, answer, key))
    if kept is not None and key is not None:
        return replayed(kept, key)
    return Answer(answer, headers=[NO_STORE])


def read_send_request(call: Call) -> SendRequest:
    values = call.parameters.values
    recipient = values.get("recipient")
    hidden = isinstance(recipient, str) and USER_ID.fullmatch(recipient.strip()) is not None
    return SendRequest(
        recipient=None if hidden else recipient,
        recipient_user_id=str(recipient).strip() if hidden else None,
        sender_id=optional_text(values, "sender_id"),
        type=optional_text(values, "type"),
        message=optional_text(values, "message"),
        media_url=optional_text(values, "media_url"),
        schedule_time=optional_text(values, "schedule_time"),
        template=values.get("template") or None,
        dlt_template_id=optional_text(values, "dlt_template_id"),
    )


def render_sent(prepared: Prepared) -> bytes:
    """One message: its object. Several: the object of v3-api.md §6.1, "Several recipients"."""
    views = [view_message(facts_of_new(message)) for message in prepared.messages]
    if len(views) == 1 and not prepared.refused:
        return render_success(views[0], SCHEDULED if prepared.messages[0].schedule_at_ms else QUEUED)
    sentence = QUEUED_MANY.format(len(views)) if len(views) > 1 else QUEUED
    return render_success(merge_messages(views, prepared.refused), sentence)


def facts_of_new(message: NewMessage) -> MessageFacts:
    return MessageFacts(
        uid=uid_of(message.id),
        direction="outgoing",
        to=message.person,
        from_=message.sender,
        text=message.text,
        state=message.state.value,
        cost=message.cost,
        segments=message.segments,
        sms_type=message.sms_type,
        media_url=message.media_url,
        schedule_at_ms=message.schedule_at_ms,
        created_at_ms=message.created_at_ms,
        updated_at_ms=message.created_at_ms,
    )


def facts_of(message: Message) -> MessageFacts:
    incoming = message.direction == "incoming"
    return MessageFacts(
        uid=uid_of(message.id),
        direction=message.direction,
        to=message.sender if incoming else message.person,
        from_=message.person if incoming else message.sender,
        text=message.text,
        state=message.state,
        cost=message.cost,
        segments=message.segments,
        sms_type=message.sms_type,
        media_url=message.media_url,
        schedule_at_ms=message.schedule_at_ms,
        created_at_ms=message.created_at_ms,
        updated_at_ms=message.updated_at_ms,
        failure_code=message.failure_code,
        failure_sentence=message.failure_sentence,
    )


# View


async def find(call: Call) -> Message:
    """The message of the path. One of another account is unknown, not forbidden."""
    identifier = id_of(call.captured)
    if identifier is not None:
        account_id = call.account_id
        message = await call.counter.runtime.database.read(lambda tx: store.message_by_id(tx, account_id, identifier))
        if message is not None:
            return message
    raise NotFound(UNKNOWN_UID, code="message_not_found")


async def view(call: Call) -> Answer:
    """GET /sms/{uid}"""
    return success(view_message(facts_of(await find(call))))


async def explain_message(call: Call) -> Answer:
    """GET /sms/{uid}/explain"""
    message = await find(call)

    async def work(tx: Tx) -> tuple[list[Event], send_store.SendProgress | None, ConnectionRow | None]:
        events = await store.events_of_message(tx, message.account_id, message.id)
        progress = await send_store.send_progress(tx, message.account_id, message.id)
        connection = await connection_by_id(tx, message.account_id, message.connection_id)
        return events, progress, connection

    events, progress, connection = await call.counter.runtime.database.read(work)
    return success(explain(message, events, progress, now_ms(), connection))


# List


async def list_messages(call: Call) -> Answer:
    """GET /sms: newest first. Any page costs the same; `cursor` goes on from where a page ended, whatever came since."""
    values = call.parameters.values
    filters = read_filters(call)
    page, per_page = read_page(values), read_per_page(values)
    cursor = read_cursor(values)
    account_id = call.account_id

    async def work(tx: Tx) -> tuple[int, list[Message]]:
        if filters:
            total = await store.filtered_count(tx, account_id, filters)
            offset = 0 if cursor is not None else (page - 1) * per_page
            if offset > store.MOST_COUNTED:
                return total, []
            rows = await store.filtered_page(tx, account_id, filters, before_seq=cursor, limit=per_page, offset=offset)
            return total, rows
        total = await store.last_seq(tx, account_id)
        newest = cursor - 1 if cursor is not None else total - (page - 1) * per_page
        return total, await store.page_by_seq(tx, account_id, newest, per_page) if newest > 0 else []

    total, rows = await call.counter.runtime.database.read(work)
    counted = min(total, store.MOST_COUNTED) if filters else total
    extra: dict[str, Any] = {"next_cursor": str(rows[-1].seq) if len(rows) == per_page and rows[-1].seq > 1 else None}
    if filters:
        extra["total_is_exact"] = total <= store.MOST_COUNTED
    data = render_page(
        [view_message(facts_of(row)) for row in rows],
        page=page,
        per_page=per_page,
        total=counted,
        path_url=f"{call.base_path}/sms",
        query=kept_query(values),
        extra=extra,
    )
    return success(data)


FILTERS = ("status", "direction", "recipient", "since", "until", "per_page", "limit")


def kept_query(values: dict[str, Any]) -> list[tuple[str, str]]:
    """What the links of a page repeat: the filters, and never the token."""
    found = [(name, values.get(name)) for name in FILTERS]
    return [(name, str(value)) for name, value in found if isinstance(value, str | int) and value != ""]


def read_filters(call: Call) -> Filters:
    """Raises Invalid for a filter that cannot be understood. Unknown parameters are ignored."""
    values = call.parameters.values
    errors: dict[str, list[str]] = {}
    states: tuple[State, ...] = ()
    if word := optional_text(values, "status"):
        states = tuple(states_of_word(word))
        if not states:
            errors["status"] = [f"There is no status {word}."]
    direction = (optional_text(values, "direction") or "").lower() or None
    if direction not in {None, "incoming", "outgoing"}:
        errors["direction"] = ["The direction is incoming or outgoing."]
    person = optional_text(values, "recipient")
    if person is not None:
        with contextlib.suppress(NotANumber):  # perhaps the business-scoped id of someone who hides their number
            person = read_number(person, call.principal.account.default_country)
    zone = ZoneInfo(call.principal.account.time_zone)
    since_ms = read_time_filter(values, "since", zone, errors)
    until_ms = read_time_filter(values, "until", zone, errors)
    if errors:
        raise Invalid(errors)
    return Filters(states=states, direction=direction, person=person, since_ms=since_ms, until_ms=until_ms)


def read_time_filter(values: dict[str, Any], name: str, zone: ZoneInfo, errors: dict[str, list[str]]) -> int | None:
    text = optional_text(values, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        errors[name] = [f"The {name} filter is a time such as 2030-01-02 07:00 or 2030-01-02T07:00:00Z."]
        return None


def read_cursor(values: dict[str, Any]) -> int | None:
    text = optional_text(values, "cursor")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise Invalid.field("cursor", "The cursor is the next_cursor of a page that you were given.")
    return int(text)


# Cancel, mark as read


async def cancel(call: Call) -> Answer:
    """POST /sms/{uid}/cancel: `cancelled`, or `too late` with 409. Never both: the queue row goes to one or the other."""
    message = await find(call)

    async def work(tx: Tx) -> bytes:
        cancelled, current = await cancel_message(tx, message.account_id, message.id, now_ms())
        if not cancelled:
            raise Conflict(TOO_LATE, code="too_late")
        return render_success({**view_message(facts_of(current)), "result": "cancelled"}, "The message was cancelled")

    return await change_once(call, work)


async def mark_read(call: Call) -> Answer:
    """POST /sms/{uid}/read: shows the sender of an inbound message that it was read."""
    message = await find(call)
    if message.direction != "incoming" or message.carrier_message_id is None:
        raise Invalid.field("uid", "Only an incoming message can be marked as read.")
    subject = message.carrier_message_id

    async def work(tx: Tx) -> bytes:
        await errand_store.owe_errand(
            tx, message.account_id, message.id, "mark_read", message.connection_id, subject, now_ms()
        )
        return render_success(view_message(facts_of(message)), "The message will be marked as read")

    return await change_once(call, work)


async def change_once(call: Call, work: Callable[[Tx], Awaitable[bytes]]) -> Answer:
    """Make a change and keep its answer for the request's Idempotency-Key, in one transaction; or repeat a kept answer.

    What `work` raises undoes everything, and the key stays free."""
    key = idempotency_key(call)
    keep_ms = call.counter.runtime.settings.idempotency_hours * 3_600_000

    async def change(tx: Tx) -> tuple[KeptAnswer | None, bytes]:
        if key is None:
            return None, await work(tx)
        at_ms = now_ms()
        if kept := await kept_answer(tx, key.account_id, key.key_sha256, at_ms - keep_ms):
            return kept, b""
        answer = await work(tx)
        ours = KeptAnswer(key.request_sha256, 200, answer)
        await keep_answer(tx, key.account_id, key.key_sha256, ours, at_ms, at_ms - keep_ms)
        return None, answer

    kept, answer = await call.counter.runtime.database.write(change)
    return replayed(kept, key) if kept is not None and key is not None else Answer(answer)


async def not_yet(_call: Call) -> Answer:
    """Addresses of the protocol whose rooms are not built yet."""
    raise NotFound("This server does not offer this yet.", code="not_offered")
