"""Applies one callback's events to messages. Applying the same callback twice, or in any order, ends in the same state."""

from typing import Any

import msgspec
import structlog

from heliograph.channels.contract import (
    CallbackEvent,
    InboundMessage,
    NumberNotice,
    OptOut,
    Scope,
    SendOutcome,
    StatusReport,
    Unrendered,
    Verdict,
)
from heliograph.channels.whatsapp.payloads import template_name
from heliograph.core.ids import id_for_event, short_hash
from heliograph.core.references import read_reference
from heliograph.core.statuses import State
from heliograph.store import connections as connection_store
from heliograph.store import conversations as conversation_store
from heliograph.store import errands as errand_store
from heliograph.store import messages as message_store
from heliograph.store import people as people_store
from heliograph.store import sends as send_store
from heliograph.store import templates as template_store
from heliograph.store.connections import ConnectionRow, Sender
from heliograph.store.engine import Tx
from heliograph.store.messages import Event, Message, NewMessage

log = structlog.get_logger(__name__)

# A failure that the carrier reports later than this says nothing of how its number, account or template does now.
REACH_FOR_MS = 3_600_000

# A template's statuses (whatsapp-cloud-api.md §9); other events of a notice are no states.
TEMPLATE_STATUSES = frozenset(
    {
        "APPROVED",
        "ARCHIVED",
        "DELETED",
        "DISABLED",
        "IN_APPEAL",
        "LIMIT_EXCEEDED",
        "LOCKED",
        "PAUSED",
        "PENDING",
        "PENDING_DELETION",
        "REJECTED",
    }
)
STATE_OF = {"sent": State.SENT, "delivered": State.DELIVERED, "read": State.READ, "failed": State.FAILED}


async def apply_event(tx: Tx, numbers: dict[str, ConnectionRow], event: CallbackEvent, at_ms: int) -> bool:
    """False when the event speaks of a message that we do not know (yet). `numbers`: by the carrier's id, of one app."""
    match event:
        case StatusReport():
            connection = numbers.get(event.phone_number_id)
            return connection is None or await apply_status(tx, connection, event, at_ms)
        case InboundMessage():
            connection = numbers.get(event.phone_number_id)
            if connection is not None:
                await apply_inbound(tx, connection, event, at_ms)
        case OptOut():
            connection = numbers.get(event.phone_number_id)
            if connection is not None:
                await apply_opt_out(tx, connection, event)
        case NumberNotice():
            await apply_notice(tx, numbers, event, at_ms)
        case Unrendered():
            log.info("callback_part_not_rendered", field=event.field, kind=event.kind)
    return True


# What became of a message


async def apply_status(tx: Tx, connection: ConnectionRow, report: StatusReport, at_ms: int) -> bool:
    message = await find_message(tx, connection, report)
    if message is None:
        return False
    if message.carrier_message_id is None:
        await message_store.adopt_carrier_id(tx, message.account_id, message.id, report.carrier_message_id)
    if message.state == State.UNKNOWN:
        # Whoever had put it back into the queue to be safe: it is settled now.
        await send_store.drop_send(tx, message.account_id, message.id)
    failure = report.failure
    window_closed = report.status == "failed" and failure is not None and failure.code == "window_closed"
    if window_closed and await go_as_template(tx, message, report, at_ms):
        return True
    state = STATE_OF.get(report.status)
    if state is None:
        return True
    reason = None
    if state is State.FAILED:
        reason = (failure.code, failure.sentence) if failure else ("carrier_refused", "The carrier reported a failure.")
    await message_store.move_message(tx, message.account_id, message.id, state, at_ms, reason)
    event = status_event(message, report)
    if failure is not None and state is State.FAILED:
        await apply_reach(tx, connection, message, failure, event, at_ms)
    await message_store.add_events(tx, [event])
    return True


async def apply_reach(
    tx: Tx, connection: ConnectionRow, message: Message, failure: SendOutcome, event: Event, at_ms: int
) -> None:
    """What a failure means beyond its message: the same code stops the same things as in the answer to a send.

    Once, while it is news: a repetition or a late replay must not stop again what somebody has mended since."""
    if failure.scope is Scope.MESSAGE or event.at_ms < at_ms - REACH_FOR_MS:
        return
    known = await message_store.events_of_message(tx, message.account_id, message.id)
    if any(one.name == event.name for one in known):
        return
    if failure.scope is Scope.TEMPLATE:
        template = await template_of(tx, message)
        if template is not None:
            await connection_store.hold_template(
                tx, connection.account_id, connection.business_account, template, at_ms, failure.code, failure.sentence
            )
    elif failure.verdict is Verdict.HOLD:
        until_ms = at_ms + int(failure.retry_after_s * 1000) if failure.retry_after_s else None
        await connection_store.hold(tx, connection.id, failure.scope.value, failure.code, failure.sentence, until_ms)
        log.warning("number_held", connection_id=connection.id, code=failure.code, scope=failure.scope.value)


async def template_of(tx: Tx, message: Message) -> tuple[str, str] | None:
    """Name and language of the template that a message went as: its own, or else its sender's window template."""
    if message.template is not None:
        return template_name(msgspec.json.decode(message.template))
    sender = await sender_of(tx, message)
    if sender is None or sender.window_template_name is None:
        return None
    return sender.window_template_name, sender.window_template_language or "en_US"


async def find_message(tx: Tx, connection: ConnectionRow, report: StatusReport) -> Message | None:
    """By our reference, which works before the carrier's own answer was recorded; else by the carrier's id."""
    reference = read_reference(report.reference)
    if reference is not None and reference.account_id == connection.account_id:
        message = await message_store.message_by_id(tx, reference.account_id, reference.message_id)
        if message is not None:
            return message
    return await message_store.message_by_carrier_id(tx, connection.account_id, report.carrier_message_id)


async def go_as_template(tx: Tx, message: Message, report: StatusReport, at_ms: int) -> bool:
    """The window was closed: where the sender has a template for that, the message goes once more, as template.

    Safe, for the carrier itself says that the text was not delivered; once, for the evidence row is written once."""
    name = f"window closed {short_hash(report.carrier_message_id):x}"
    events = await message_store.events_of_message(tx, message.account_id, message.id)
    if any(e.name == name for e in events):
        return True  # told twice
    if any(e.name.startswith("window closed") for e in events):
        return False  # the template fared no better
    sender = await sender_of(tx, message)
    if sender is None or sender.window_template_name is None or message.template or message.media_url:
        return False
    attempts = sum(1 for e in events if e.name.startswith("attempt "))
    await message_store.add_events(
        tx,
        [
            Event(
                account_id=message.account_id,
                message_id=message.id,
                name=name,
                at_ms=report.reported_at_ms,
                source="carrier",
                code="window_closed",
                carrier_code=report.failure.carrier_code if report.failure else None,
                sentence=f"The 24-hour window was closed. It goes again as template {sender.window_template_name}.",
                raw=report.raw or None,
            )
        ],
    )
    await send_store.owe_send_again(
        tx,
        message.account_id,
        message.id,
        message.connection_id,
        due_at_ms=at_ms,
        attempts=attempts,
        as_template=True,
    )
    return True


async def sender_of(tx: Tx, message: Message) -> Sender | None:
    senders = await connection_store.senders_of_account(tx, message.account_id)
    return next((sender for sender in senders if sender.name == message.sender), None)


def status_event(message: Message, report: StatusReport) -> Event:
    failure = report.failure
    return Event(
        account_id=message.account_id,
        message_id=message.id,
        name=report.status
        if message.carrier_message_id in {None, report.carrier_message_id}
        else f"{report.status} again",
        at_ms=report.reported_at_ms,
        source="carrier",
        code=failure.code if failure else report.status,
        carrier_code=failure.carrier_code if failure else None,
        sentence=failure.sentence if failure else SENTENCE_OF.get(report.status),
        raw=report.raw or None,
    )


SENTENCE_OF = {
    "sent": "The carrier has passed the message on.",
    "delivered": "It reached the recipient's phone.",
    "read": "The recipient has opened it.",
}


# What came in


async def apply_inbound(tx: Tx, connection: ConnectionRow, inbound: InboundMessage, at_ms: int) -> None:
    person = inbound.sender or inbound.sender_user_id
    if not person:
        log.info("inbound_without_sender", connection_id=connection.id, kind=inbound.kind)
        return
    # The same delivery makes the same id, so a repetition meets the primary key.
    identifier = id_for_event(inbound.received_at_ms, str(connection.id), inbound.carrier_message_id)
    if inbound.opens_window:
        await people_store.open_window(tx, connection.account_id, connection.id, person, inbound.received_at_ms)
    if await message_store.message_by_id(tx, connection.account_id, identifier) is not None:
        return
    details: dict[str, Any] = {"kind": inbound.kind}
    if inbound.profile_name:
        details["profile_name"] = inbound.profile_name
    if inbound.reply_to:
        details["reply_to"] = inbound.reply_to
    if inbound.media is not None:
        details["media"] = {"mime_type": inbound.media.mime_type, "file_name": inbound.media.file_name}
    message = NewMessage(
        account_id=connection.account_id,
        id=identifier,
        direction="incoming",
        channel=connection.channel,
        connection_id=connection.id,
        sender=connection.display_number,
        person=person,
        person_user_id=inbound.sender_user_id,
        kind=inbound.kind,
        text=inbound.text,
        sms_type=connection.channel,
        state=State.RECEIVED,
        created_at_ms=at_ms,
        details=msgspec.json.encode(details).decode(),
        segments=1,
        cost="0",
        carrier_message_id=inbound.carrier_message_id,
    )
    await message_store.add_messages(tx, [message])
    event = Event(
        account_id=connection.account_id,
        message_id=identifier,
        name="received",
        at_ms=inbound.received_at_ms,
        source="carrier",
        code="received",
        sentence="The person wrote, and the carrier passed it on.",
        raw=inbound.raw or None,
    )
    await message_store.add_events(tx, [event])
    await conversation_store.note_inbound(
        tx, connection.account_id, connection.id, person, inbound.profile_name or "", inbound.received_at_ms
    )
    if inbound.media is not None:
        await errand_store.owe_errand(
            tx, connection.account_id, identifier, "fetch_media", connection.id, inbound.media.media_id, at_ms
        )
    tx.announce(f"inbound:{connection.account_id}")


async def apply_opt_out(tx: Tx, connection: ConnectionRow, event: OptOut) -> None:
    person = event.person or event.person_user_id
    if not person:
        return
    if event.stopped:
        await people_store.record_opt_out(
            tx, connection.account_id, connection.id, person, event.reported_at_ms, "carrier"
        )
    else:
        await people_store.record_opt_in(tx, connection.account_id, connection.id, person)


# What the carrier says of ourselves


async def apply_notice(tx: Tx, numbers: dict[str, ConnectionRow], notice: NumberNotice, at_ms: int) -> None:
    hit = [
        row
        for row in numbers.values()
        if (notice.phone_number_id in {None, row.address})
        and (not notice.business_account_id or notice.business_account_id == row.business_account)
    ]
    for row in hit:
        event_id = id_for_event(at_ms, str(row.id), notice.field, notice.event, notice.raw)
        sentence = notice.sentence or f"{notice.field}: {notice.event}"
        await connection_store.add_connection_event(
            tx, row, event_id, at_ms, notice.event or notice.field, sentence, notice.raw
        )
        if notice.template is not None:
            await apply_template_news(tx, row, notice, notice.template)
            if notice.hold:
                await connection_store.hold_template(
                    tx, row.account_id, row.business_account, notice.template, at_ms, "template_stopped", sentence
                )
            elif notice.release:
                await connection_store.release_template(tx, row.account_id, row.business_account, notice.template)
        elif notice.hold:
            await connection_store.hold(tx, row.id, "number", "stopped_by_carrier", sentence, None)
            log.warning("number_held", connection_id=row.id, event_name=notice.event)
        elif notice.release:
            current = await connection_store.connection_by_id(
                tx, row.account_id, row.id
            )  # this callback may have held it
            if current is not None and current.hold_code == "stopped_by_carrier":
                await connection_store.release(tx, row.account_id, row.id)


async def apply_template_news(tx: Tx, row: ConnectionRow, notice: NumberNotice, template: tuple[str, str]) -> None:
    """What a notice tells of a template holds at once; the rest is fetched by whoever looks at the templates next."""
    status = "APPROVED" if notice.release else notice.event if notice.event in TEMPLATE_STATUSES else ""
    await template_store.change_template(
        tx,
        row.account_id,
        row.business_account,
        template,
        status=status if notice.field == "message_template_status_update" else "",
        quality=notice.event if notice.field == "message_template_quality_update" else "",
        category=notice.event if notice.field == "template_category_update" else "",
    )
    await template_store.want_sync(tx, row.account_id, row.business_account)
