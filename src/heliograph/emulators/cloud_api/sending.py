"""POST /{phone_number_id}/messages: check as Meta does, keep, answer, plan what follows. The hot path: keep it lean."""

import asyncio
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from heliograph.emulators.cloud_api import checks, graph, linked, replies
from heliograph.emulators.cloud_api.breaking import break_answer
from heliograph.emulators.cloud_api.checks import Send
from heliograph.emulators.cloud_api.effects import Effect, failing
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.graph import Call
from heliograph.emulators.cloud_api.graph_errors import bad_parameter, refuse
from heliograph.emulators.cloud_api.hydrating import read_template
from heliograph.emulators.cloud_api.ledger import Accepted
from heliograph.emulators.cloud_api.names import make_identity_hash, make_user_id, make_wamid
from heliograph.emulators.cloud_api.options import FAIL, OPEN, REFUSE
from heliograph.emulators.cloud_api.statuses import Sent
from heliograph.emulators.cloud_api.world import Number, Template, now

DECODER = msgspec.json.Decoder(Send)
FIRST_WITHOUT_CONVERSATION = (24, 0)
INDIVIDUAL = ("individual", None)
NEEDS_NO_WINDOW = frozenset({"template", "reaction"})
EARLY_WITHIN_S = 5.0  # an answer that must come after its first callback waits no longer than this


class Contact(Struct):
    input: str
    wa_id: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET


class Message(Struct):
    id: str
    message_status: str | UnsetType = UNSET


class Answer(Struct):
    messaging_product: str
    contacts: list[Contact]
    messages: list[Message]


async def send(emulator: Emulator, call: Call) -> Any:
    """Accept a message, or mark one as read. Raises GraphError."""
    number = emulator.world.state.numbers[call.object_id]
    wanted = await read_send(call)
    checks.check_product(wanted.messaging_product)
    if wanted.status is not UNSET:
        return mark_as_read(emulator, wanted)
    echo, digits, user_id = checks.read_recipient(wanted.to, wanted.recipient)
    kind = wanted.type if wanted.type is not UNSET and wanted.type is not None else "text"
    reference = checks.read_reference(wanted.biz_opaque_callback_data)
    checks.check_context(wanted.context)
    text, template, content = read_content(emulator, number, wanted, kind)
    if not number.registered:
        raise refuse(133010)
    if digits == number.digits:
        raise refuse(131021)
    if user_id and template is not None and template.category == "AUTHENTICATION":
        raise refuse(131062)

    person = digits or user_id
    effect = emulator.effect_on(number.id, person, kind)
    if effect is not None and effect.instead:
        await break_answer(emulator, call, effect.instead)
    if effect is not None and effect.refuse is not None:
        raise refuse(effect.refuse, effect.details)
    at_s = now()
    effect = check_limits(emulator, number, person, kind, effect, at_s)

    wa_id = digits
    if digits and (emulator.options.other_wa_id or (effect is not None and effect.other_wa_id)):
        wa_id = differ(digits)
    if is_somebody_else(number, wanted, wa_id):
        effect = CHANGED_IDENTITY
    wamid = make_wamid(person)
    place = emulator.ledger.append(
        Accepted(
            id=wamid,
            to=person,
            type=kind,
            text=text,
            biz_opaque_callback_data=reference,
            received_at=emulator.clock.text(at_s),
            phone_number_id=number.id,
            content=content,
        )
    )
    sent = Sent(
        place=place,
        id=wamid,
        number_id=number.id,
        waba_id=number.waba_id,
        business_digits=number.digits,
        wa_id=wa_id,
        user_id=user_id or make_user_id(wa_id),
        reference=reference,
        category=template.category.lower() if template is not None else "service",
        billable=is_billable(emulator, number, template is not None, at_s),
        at_s=at_s,
        conversation=emulator.options.conversation or call.version < FIRST_WITHOUT_CONVERSATION,
        reference_on_failed=emulator.options.reference_on_failed,
        contacts_on_failed=emulator.options.contacts_on_failed,
        identity_check=number.identity_check,
    )
    await follow_up(emulator, call, sent, effect, wanted, kind)
    contact = Contact(echo, wa_id) if digits else Contact(echo, UNSET, user_id)
    message = Message(wamid, "accepted") if template is not None else Message(wamid)
    return Answer("whatsapp", [contact], [message])


async def read_send(call: Call) -> Send:
    body = await call.request.read()
    if call.request.content_type != "application/json" or call.query:
        return msgspec.convert({**await call.parameters()}, Send)
    try:
        return DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        graph.read_json_object(body or b"{}")
        raise bad_parameter("The parameter messaging_product is required.") from None


def mark_as_read(emulator: Emulator, wanted: Send) -> dict[str, bool]:
    if wanted.status != "read":
        raise bad_parameter(f'Param status must be one of {{READ}} - got "{wanted.status}".')
    if not isinstance(wanted.message_id, str) or not wanted.message_id:
        raise bad_parameter("The parameter message_id is required.")
    if not wanted.message_id.startswith("wamid."):
        raise bad_parameter("Param message_id is not a valid WhatsApp message ID.")
    emulator.read_marks += 1
    return {"success": True}


def read_content(
    emulator: Emulator, number: Number, wanted: Send, kind: Any
) -> tuple[str | None, Template | None, Any]:
    """What the person reads, the template, and the object that carries the content. Raises GraphError."""
    if wanted.category is not UNSET and wanted.category is not None:
        raise bad_parameter("Direct Send is not available for this account.")
    if wanted.recipient_type is not UNSET and wanted.recipient_type not in INDIVIDUAL:
        raise checks.refuse_recipient_type(wanted.recipient_type)
    if kind == "text":
        return checks.read_text(wanted.text), None, None
    if kind == "template":
        template, text = read_template(wanted.template, emulator.world.state, number.waba_id)
        return text, template, wanted.template
    if not isinstance(kind, str):
        raise bad_parameter("Param type must be a string.")
    if kind in checks.MEDIA:
        given = getattr(wanted, kind)
        return checks.read_media(kind, given, emulator.world, number.id), None, given
    if kind == "interactive":
        return checks.check_interactive(wanted.interactive), None, wanted.interactive
    if kind == "location":
        given = checks.read_object(wanted.location, "location")
        for name in ("latitude", "longitude"):
            if given.get(name) is None:
                raise checks.missing(f"location['{name}']")
        return given.get("name") if isinstance(given.get("name"), str) else None, None, given
    if kind == "reaction":
        given = checks.read_object(wanted.reaction, "reaction")
        if not isinstance(given.get("message_id"), str):
            raise checks.missing("reaction['message_id']")
        return str(given.get("emoji") or ""), None, given
    if kind == "contacts":
        if not isinstance(wanted.contacts, list) or not wanted.contacts:
            raise checks.missing("contacts")
        return None, None, wanted.contacts
    raise bad_parameter(
        "Param type must be one of {AUDIO, CONTACTS, DOCUMENT, IMAGE, INTERACTIVE, LOCATION, REACTION, STICKER, "
        f'TEMPLATE, TEXT, VIDEO}} - got "{kind}".'
    )


def check_limits(
    emulator: Emulator, number: Number, person: str, kind: str, effect: Effect | None, at_s: float
) -> Effect | None:
    """Pace, pair and window; the effect that a closed window has. Raises GraphError."""
    options = emulator.options
    if len(emulator.outbox) >= options.most_owed:
        raise refuse(130429, "The emulator owes too many callbacks; somebody must take them first.", subcode=2494055)
    if options.pace_limit:
        per_s = options.throughput_per_s or number.throughput_per_s
        if not emulator.pace.take(number.id, per_s, at_s):
            raise refuse(130429, subcode=2494055)
    if options.pair_limit and not emulator.pairs.take(number.id, person, at_s):
        raise refuse(131056)
    if options.window == OPEN or kind in NEEDS_NO_WINDOW or emulator.windows.is_open(number.id, person, at_s):
        return effect
    if options.window == REFUSE:
        raise refuse(131047)
    assert options.window == FAIL
    return effect if effect is not None and effect.afterwards else CLOSED_WINDOW


CLOSED_WINDOW = failing(131047)
CHANGED_IDENTITY = failing(137000)


def is_somebody_else(number: Number, wanted: Send, wa_id: str) -> bool:
    """Whether the person's identity key is not the one that the sender knows; asked only if the number's settings say so."""
    given = wanted.recipient_identity_key_hash
    return number.identity_check and given is not UNSET and given != make_identity_hash(wa_id)


async def follow_up(emulator: Emulator, call: Call, sent: Sent, effect: Effect | None, wanted: Send, kind: str) -> None:
    """Plan the statuses and the reply, then let the answer leave: late, or not at all, if that is the effect."""
    if effect is not None:
        sent.hide_number, sent.bare_error = effect.hide_number, effect.bare_error
        sent.reference_on_failed = sent.reference_on_failed and effect.reference_on_failed
        sent.failure_details = effect.details
        if effect.reply:
            emulator.start(replies.reply_later(emulator, sent, effect.reply))
    link = linked.link_of(getattr(wanted, kind)) if kind in checks.MEDIA else None
    if link is not None and emulator.options.fetch_links:
        emulator.outbox.owed.add(sent.place, 1)
        emulator.start(linked.fetch_then_plan(emulator, sent, link, kind, effect))
    else:
        fate = linked.CANNOT_FETCH if link is not None and linked.goes_nowhere(link) else effect
        early = emulator.plan_statuses(sent, fate)
        if early is not None:
            await emulator.outbox.tell(early, EARLY_WITHIN_S)
    if effect is not None and effect.wait_s:
        await asyncio.sleep(effect.wait_s)
    if effect is not None and effect.afterwards:
        await break_answer(emulator, call, effect.afterwards)


def is_billable(emulator: Emulator, number: Number, is_template: bool, at_s: float) -> bool:
    """Templates are billed; other messages after the first thousand of a month and number (§10)."""
    if is_template:
        return True
    month = emulator.clock.text(at_s)[:7]
    if number.billed_month != month:
        from heliograph.emulators.cloud_api.defaults import FREE_SERVICE_MESSAGES

        number.billed_month, number.free_left = month, FREE_SERVICE_MESSAGES
    if number.free_left > 0:
        number.free_left -= 1
        return False
    return True


def differ(digits: str) -> str:
    """The wa_id of a number where the two differ: Brazil's ninth digit, Mexico's 1, Argentina's 9; else one digit (§3.3)."""
    if digits.startswith("55") and len(digits) == 13 and digits[4] == "9":
        return digits[:4] + digits[5:]
    if digits.startswith("52") and not digits.startswith("521"):
        return "521" + digits[2:]
    if digits.startswith("54") and not digits.startswith("549"):
        return "549" + digits[2:]
    return digits[:-1] + str((int(digits[-1]) + 5) % 10)
