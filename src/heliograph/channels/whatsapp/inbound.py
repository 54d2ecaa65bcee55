"""Inbound messages of every kind (whatsapp-cloud-api.md §7), each with a text that a list can show."""

from collections.abc import Callable, Sequence
from typing import Any

from heliograph.channels.contract import InboundMedia, InboundMessage
from heliograph.channels.whatsapp.codes import details_of
from heliograph.channels.whatsapp.values import mapping, objects, render_raw, text, time_ms

LONGEST_KIND = 40
LONGEST_E164 = 15
MEDIA_KINDS = frozenset({"image", "video", "audio", "document", "sticker"})
# What a person says opens the 24-hour window (§9), a reaction too; news about the person or about an earlier message does
# not, nor does a kind that we do not know: to believe a closed window open costs a refusal, the other way round nothing.
OPENING_KINDS = MEDIA_KINDS | {
    *("text", "button", "interactive", "reaction", "location", "contacts", "order", "unsupported"),
}


def read_inbound(number: str, message: dict[str, Any], people: Sequence[dict[str, Any]]) -> InboundMessage | None:
    """None when it has no id: then nobody could tell it from its repetition."""
    carrier_id = text(message.get("id"))
    if carrier_id is None:
        return None
    kind = (text(message.get("type")) or "unknown")[:LONGEST_KIND]
    sender, user_id = read_sender(message.get("from"), message.get("from_user_id"))
    person = person_of(people, sender, user_id)
    if sender is None and user_id is None:
        sender, user_id = read_sender(person.get("wa_id"), person.get("user_id"))
    content = mapping(message.get(kind))
    return InboundMessage(
        phone_number_id=number,
        carrier_message_id=carrier_id,
        kind=kind,
        text=RENDER.get(kind, render_other)(message, content) or f"[{kind}]",
        received_at_ms=time_ms(message.get("timestamp")),
        sender=sender,
        sender_user_id=user_id or text(person.get("user_id")),
        profile_name=text(mapping(person.get("profile")).get("name")),
        reply_to=text(mapping(message.get("context")).get("id")),
        media=read_media(content) if kind in MEDIA_KINDS else None,
        opens_window=kind in OPENING_KINDS and not (kind == "reaction" and not content.get("emoji")),
        raw=render_raw(message),
    )


def read_sender(told: object, told_id: object) -> tuple[str | None, str | None]:
    """Phone number and business-scoped id. What should be a number and is none, is an id (§7)."""
    sender, user_id = text(told), text(told_id)
    if sender is not None:
        digits = sender.removeprefix("+")
        if digits.isascii() and digits.isdecimal() and len(digits) <= LONGEST_E164:
            return digits, user_id
        return None, user_id or sender
    return None, user_id


def person_of(people: Sequence[dict[str, Any]], sender: str | None, user_id: str | None) -> dict[str, Any]:
    """The contact that wrote this message. With one contact there is nothing to choose."""
    for person in people:
        if sender is not None and text(person.get("wa_id")) == sender:
            return person
        if user_id is not None and text(person.get("user_id")) == user_id:
            return person
    return people[0] if len(people) == 1 else {}


def read_media(content: dict[str, Any]) -> InboundMedia | None:
    media_id = text(content.get("id"))
    if media_id is None:
        return None
    return InboundMedia(
        media_id=media_id,
        mime_type=text(content.get("mime_type")) or "",
        sha256_base64=text(content.get("sha256")),
        file_name=text(content.get("filename")),
    )


# The text of each kind


def render_text(_message: dict[str, Any], content: dict[str, Any]) -> str | None:
    return text(content.get("body"))


def render_media(message: dict[str, Any], content: dict[str, Any]) -> str | None:
    label = f"[{text(message.get('type'))}]"
    shown = text(content.get("caption")) or text(content.get("filename")) or trouble_of(message)
    return f"{label} {shown}" if shown else label


def render_button(_message: dict[str, Any], content: dict[str, Any]) -> str | None:
    return text(content.get("text")) or text(content.get("payload"))


def render_interactive(_message: dict[str, Any], content: dict[str, Any]) -> str | None:
    kind = text(content.get("type")) or ""
    reply = mapping(content.get(kind))
    return text(reply.get("title")) or text(reply.get("body")) or text(reply.get("name"))


def render_reaction(_message: dict[str, Any], content: dict[str, Any]) -> str | None:
    emoji = text(content.get("emoji"))
    return f"[reaction] {emoji}" if emoji else "[reaction taken back]"


def render_location(_message: dict[str, Any], content: dict[str, Any]) -> str | None:
    place = [text(content.get("name")), text(content.get("address"))]
    point = [str(one) for key in ("latitude", "longitude") if isinstance(one := content.get(key), float | int | str)]
    return " ".join(["[location]", ", ".join([*(part for part in place if part), *point])]).strip()


def render_contacts(message: dict[str, Any], _content: dict[str, Any]) -> str | None:
    names = [text(mapping(card.get("name")).get("formatted_name")) for card in objects(message.get("contacts"))]
    return " ".join(["[contacts]", ", ".join(name for name in names if name)]).strip()


def render_order(_message: dict[str, Any], content: dict[str, Any]) -> str | None:
    count = len(objects(content.get("product_items")))
    note = text(content.get("text"))
    return f"[order] {count} {'item' if count == 1 else 'items'}" + (f": {note}" if note else "")


def render_system(_message: dict[str, Any], content: dict[str, Any]) -> str | None:
    return text(content.get("body"))


def render_unsupported(message: dict[str, Any], content: dict[str, Any]) -> str | None:
    kind, trouble = text(content.get("type")), trouble_of(message)
    label = f"[unsupported: {kind}]" if kind else "[unsupported]"
    return f"{label} {trouble}" if trouble else label


def trouble_of(message: dict[str, Any]) -> str:
    """The carrier's words on why it does not bring the content: an unsupported kind (131051), a file too large (131052)."""
    return next((details for error in objects(message.get("errors")) if (details := details_of(error))), "")


def render_edit(_message: dict[str, Any], content: dict[str, Any]) -> str | None:
    body = text(mapping(mapping(content.get("message")).get("text")).get("body"))
    return f"[edited] {body}" if body else "[edited]"


def render_revoke(_message: dict[str, Any], _content: dict[str, Any]) -> str | None:
    return "[deleted by the sender]"


def render_other(message: dict[str, Any], _content: dict[str, Any]) -> str | None:
    """A kind that we do not know yet: shown by its name, kept raw."""
    return f"[{text(message.get('type')) or 'unknown'}]"


RENDER: dict[str, Callable[[dict[str, Any], dict[str, Any]], str | None]] = {
    "text": render_text,
    **dict.fromkeys(MEDIA_KINDS, render_media),
    "button": render_button,
    "interactive": render_interactive,
    "reaction": render_reaction,
    "location": render_location,
    "contacts": render_contacts,
    "order": render_order,
    "system": render_system,
    "unsupported": render_unsupported,
    "edit": render_edit,
    "revoke": render_revoke,
}
