"""What goes out: the JSON body of a send, and what the Cloud API would refuse anyway (whatsapp-cloud-api.md §3)."""

import re
from typing import Any

import msgspec

from heliograph.channels.contract import Outgoing
from heliograph.errors import Invalid

LONGEST_TEXT = 4096
LONGEST_CAPTION = 1024
LONGEST_TEMPLATE_NAME = 512
MOST_COMPONENTS = 20

ENCODER = msgspec.json.Encoder()
# A template parameter may hold no newline, no tab, and no more than four spaces in a row (132018). Newlines beside
# spaces would make such a row, so the whole run becomes one space.
BLANKS = re.compile(r"[ \t\r\n\v\f\x1c-\x1f\x85\u2028\u2029]+")
TEMPLATE_NAME = re.compile(r"[a-z0-9_]+")
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:_[A-Za-z0-9]{2,8}){0,2}")
SURROGATE = re.compile("[\ud800-\udfff]")


def check_text(text: str, *, has_media: bool) -> None:
    """Raises Invalid for `message` when the text is longer than a message or a caption may be, or no text at all."""
    longest = LONGEST_CAPTION if has_media else LONGEST_TEXT
    if len(text) > longest:
        what = "with an image" if has_media else "of a WhatsApp text"
        raise Invalid.field(
            "message", f"The message {what} may have at most {longest} characters; this one has {len(text)}."
        )
    if SURROGATE.search(text):
        raise Invalid.field("message", "The message holds half of a character, which cannot be sent.")


def check_template(template: object) -> None:
    """Raises Invalid for `template` when it is not the carrier's template object: name, language, components."""
    if not isinstance(template, dict):
        raise refused("The template is an object with name, language and components.")
    name, language, components = template.get("name"), template.get("language"), template.get("components", [])
    if not isinstance(name, str) or not TEMPLATE_NAME.fullmatch(name) or len(name) > LONGEST_TEMPLATE_NAME:
        raise refused("The template's name has lower-case letters, digits and _ only.")
    code = language.get("code") if isinstance(language, dict) else None
    if not isinstance(code, str) or not LANGUAGE.fullmatch(code):
        raise refused('The template\'s language is an object such as {"code": "en_US"}.')
    if not isinstance(components, list) or len(components) > MOST_COMPONENTS:
        raise refused(f"The template's components are a list of at most {MOST_COMPONENTS}.")
    for component in components:
        if not isinstance(component, dict) or not isinstance(component.get("type"), str):
            raise refused("Each component of the template is an object with a type.")
        parameters = component.get("parameters", [])
        if not isinstance(parameters, list) or not all(isinstance(one, dict) for one in parameters):
            raise refused("The parameters of a template's component are a list of objects.")
    try:
        ENCODER.encode(template)
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
        raise refused("The template holds something that cannot be sent as JSON.") from None


def refused(sentence: str) -> Invalid:
    return Invalid.field("template", sentence)


def window_template(name: str, language: str, text: str) -> dict[str, Any]:
    """The template that carries a text as its one body variable; runs of newlines, tabs and spaces become one space.

    Nothing is cut: where the whole is too long for a template, the carrier says so (132005)."""
    parameter = {"type": "text", "text": BLANKS.sub(" ", text).strip()}
    return {
        "name": name,
        "language": {"code": language},
        "components": [{"type": "body", "parameters": [parameter]}],
    }


def template_name(template: dict[str, Any]) -> tuple[str, str]:
    """Name and language of a template object."""
    language = template.get("language")
    code = language.get("code", "") if isinstance(language, dict) else ""
    return str(template.get("name", "")), str(code)


def send_payload(message: Outgoing) -> bytes:
    """The body of POST /{phone_number_id}/messages. The number goes with its "+", else a country code may be put in front."""
    body: dict[str, Any] = {"messaging_product": "whatsapp", "recipient_type": "individual"}
    if message.recipient is not None:
        body["to"] = f"+{message.recipient}"
    else:
        body["recipient"] = message.recipient_user_id
    body["biz_opaque_callback_data"] = message.reference
    if message.template is not None:
        body["type"] = "template"
        body["template"] = message.template
    elif message.media_url is not None:
        image = {"link": message.media_url}
        if message.text:
            image["caption"] = message.text
        body["type"] = "image"
        body["image"] = image
    else:
        body["type"] = "text"
        body["text"] = {"body": message.text, "preview_url": True}
    return ENCODER.encode(body)


def read_mark(carrier_message_id: str) -> dict[str, str]:
    """The body that marks an inbound message as read (§4)."""
    return {"messaging_product": "whatsapp", "status": "read", "message_id": carrier_message_id}
