"""What a send may contain: the limits and the texts of Meta's refusals (whatsapp-cloud-api.md §3, §14.4)."""

import re
from typing import Any
from urllib.parse import urlsplit

from msgspec import UNSET, Struct

from heliograph.emulators.cloud_api.graph_errors import GraphError, bad_parameter, refuse
from heliograph.emulators.cloud_api.world import World, now

LONGEST_TEXT = 4096
LONGEST_CAPTION = 1024
LONGEST_REFERENCE = 512
PUNCTUATION = re.compile(r"[\s+\-().]")
USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
MEDIA = frozenset({"image", "audio", "video", "document", "sticker"})
CAPTIONED = frozenset({"image", "video", "document"})


class Send(Struct):
    """The body of POST /{phone_number_id}/messages. Types are checked here one by one, for Meta's words."""

    messaging_product: Any = UNSET
    recipient_type: Any = UNSET
    to: Any = UNSET
    recipient: Any = UNSET
    type: Any = UNSET
    text: Any = UNSET
    image: Any = UNSET
    audio: Any = UNSET
    video: Any = UNSET
    document: Any = UNSET
    sticker: Any = UNSET
    template: Any = UNSET
    interactive: Any = UNSET
    location: Any = UNSET
    contacts: Any = UNSET
    reaction: Any = UNSET
    context: Any = UNSET
    biz_opaque_callback_data: Any = UNSET
    category: Any = UNSET
    status: Any = UNSET
    message_id: Any = UNSET
    typing_indicator: Any = UNSET
    recipient_identity_key_hash: Any = UNSET


def missing(name: str) -> GraphError:
    return refuse(131008, f"Parameter '{name}' is missing.")


def check_product(value: Any) -> None:
    if value is UNSET or value is None:
        raise bad_parameter("The parameter messaging_product is required.")
    if not isinstance(value, str) or value.lower() != "whatsapp":
        raise bad_parameter(f'Param messaging_product must be one of {{WHATSAPP}} - got "{value}".')


def refuse_recipient_type(value: Any) -> GraphError:
    """Neither a person nor a group of this account, which has none."""
    if value == "group":
        return refuse(131020)
    return bad_parameter(f'Param recipient_type must be one of {{GROUP, INDIVIDUAL}} - got "{value}".')


def read_recipient(to: Any, recipient: Any) -> tuple[str, str, str]:
    """What to echo, the digits, the user id: one of the last two is empty. Raises GraphError."""
    if to is not UNSET and to is not None and to != "":
        text = str(to)
        digits = PUNCTUATION.sub("", text)
        if not digits.isdecimal() or not digits.isascii() or not 5 <= len(digits) <= 15:
            raise refuse(131009, "Parameter 'to' is not a valid WhatsApp phone number.")
        return text, digits, ""
    if recipient is not UNSET and recipient is not None and recipient != "":
        if not isinstance(recipient, str) or not USER_ID.fullmatch(recipient):
            raise refuse(131009, "Parameter 'recipient' is not a valid business-scoped user id.")
        return recipient, "", recipient
    raise bad_parameter("The parameter to is required.")


def read_reference(value: Any) -> str | None:
    if value is UNSET or value is None:
        return None
    if not isinstance(value, str):
        raise bad_parameter("Param biz_opaque_callback_data must be a string.")
    if len(value) > LONGEST_REFERENCE:
        raise bad_parameter(f"Param biz_opaque_callback_data must be at most {LONGEST_REFERENCE} characters long.")
    return value


def read_object(value: Any, name: str) -> dict[str, Any]:
    if value is UNSET or value is None:
        raise missing(name)
    if not isinstance(value, dict):
        raise bad_parameter(f"Param {name} must be a JSON object.")
    return value


def read_text(value: Any) -> str:
    body = read_object(value, "text").get("body")
    if body is None or body == "":
        raise bad_parameter("The parameter text['body'] is required.")
    if not isinstance(body, str):
        raise bad_parameter("Param text['body'] must be a string.")
    if len(body) > LONGEST_TEXT:
        raise bad_parameter(f"Param text['body'] must be at most {LONGEST_TEXT} characters long.")
    return body


def read_media(kind: str, value: Any, world: World, number_id: str) -> str | None:
    """The caption of a file that is sent by id or by link. Raises GraphError."""
    given = read_object(value, kind)
    media_id, link, caption = given.get("id"), given.get("link"), given.get("caption")
    if (media_id is None) == (link is None):
        raise bad_parameter(f"Exactly one of {kind}['id'] and {kind}['link'] is required.")
    if link is not None:
        check_link(kind, link)
    else:
        medium = world.state.media.get(str(media_id))
        if medium is None or medium.number_id != number_id or medium.expires_at < now():
            raise bad_parameter(f"Param {kind}['id'] is not a valid whatsapp business account media attachment ID")
        if not fits(kind, medium.mime_type):
            raise refuse(131009, f"Media of type {medium.mime_type} cannot be sent as {kind}.")
    if caption is None:
        return None
    if kind not in CAPTIONED:
        raise bad_parameter(f"Param {kind}['caption'] is not supported.")
    if not isinstance(caption, str):
        raise bad_parameter(f"Param {kind}['caption'] must be a string.")
    if len(caption) > LONGEST_CAPTION:
        raise bad_parameter(f"Param {kind}['caption'] must be at most {LONGEST_CAPTION} characters long.")
    return caption


def check_link(kind: str, link: Any) -> None:
    if not isinstance(link, str):
        raise bad_parameter(f"Param {kind}['link'] must be a string.")
    try:
        parts = urlsplit(link)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise bad_parameter(f"Param {kind}['link'] is not a valid URI.")


TYPES: dict[str, frozenset[str]] = {
    "image": frozenset({"image/jpeg", "image/png"}),
    "audio": frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/opus"}),
    "video": frozenset({"video/mp4", "video/3gpp", "video/3gp"}),
    "sticker": frozenset({"image/webp"}),
}
LARGEST = {"image": 5_000_000, "audio": 16_000_000, "video": 16_000_000, "sticker": 500_000, "document": 100_000_000}


def fits(kind: str, mime_type: str) -> bool:
    return kind == "document" or mime_type.partition(";")[0].strip().lower() in TYPES[kind]


def check_context(value: Any) -> None:
    if value is UNSET or value is None:
        return
    if not isinstance(value, dict) or not isinstance(value.get("message_id"), str):
        raise bad_parameter("The parameter context['message_id'] is required.")


def check_interactive(value: Any) -> str:
    """The body of an interactive message. Raises GraphError."""
    given = read_object(value, "interactive")
    kind, body, action = given.get("type"), given.get("body"), given.get("action")
    if not isinstance(kind, str):
        raise missing("interactive['type']")
    if not isinstance(action, dict):
        raise missing("interactive['action']")
    text = body.get("text") if isinstance(body, dict) else None
    if kind not in {"catalog_message", "product"} and not text:
        raise missing("interactive['body']['text']")
    check_lengths({"body": (text, 1024), "footer": (text_of(given.get("footer")), 60)})
    header = given.get("header")
    check_lengths({"header": (text_of(header), 60)})
    if kind == "button":
        check_buttons(action.get("buttons"))
    if kind == "list":
        check_sections(action)
    return text if isinstance(text, str) else ""


def text_of(value: Any) -> Any:
    return value.get("text") if isinstance(value, dict) else None


def check_lengths(texts: dict[str, tuple[Any, int]]) -> None:
    for name, (text, longest) in texts.items():
        if isinstance(text, str) and len(text) > longest:
            raise refuse(131009, f"{name.capitalize()} text length invalid. Min length: 1, Max length: {longest}")


def check_buttons(buttons: Any) -> None:
    count = len(buttons) if isinstance(buttons, list) else 0
    if not 1 <= count <= 3:
        raise refuse(131009, "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3")
    replies = [
        reply for button in buttons if isinstance(button, dict) and isinstance(reply := button.get("reply"), dict)
    ]
    if len(replies) != count or not all(reply.get("id") and reply.get("title") for reply in replies):
        raise missing("interactive['action']['buttons'][…]['reply']")
    for reply in replies:
        check_lengths({"button title": (reply["title"], 20), "button id": (reply["id"], 256)})
    for key in ("id", "title"):
        if len({reply[key] for reply in replies}) != count:
            raise refuse(131009, f"Duplicated {key} of buttons.")


def check_sections(action: dict[str, Any]) -> None:
    sections = action.get("sections")
    if not action.get("button"):
        raise missing("interactive['action']['button']")
    check_lengths({"list button": (action["button"], 20)})
    if not isinstance(sections, list) or not 1 <= len(sections) <= 10 or not all(isinstance(s, dict) for s in sections):
        raise refuse(131009, "Invalid sections count. Min allowed sections: 1, Max allowed sections: 10")
    rows = [one for section in sections for one in section.get("rows") or []]
    if not 1 <= len(rows) <= 10:
        raise refuse(131009, "Total row count exceed max allowed count: 10")
    if len(sections) > 1 and not all(section.get("title") for section in sections):
        raise missing("interactive['action']['sections'][…]['title']")
    for one in rows:
        if not isinstance(one, dict) or not one.get("id") or not one.get("title"):
            raise missing("interactive['action']['sections'][…]['rows'][…]['id' and 'title']")
        check_lengths(
            {
                "row id": (one["id"], 200),
                "row title": (one["title"], 24),
                "row description": (one.get("description"), 72),
            }
        )
