"""A person writes: inbound messages of every kind, as callbacks tell them (whatsapp-cloud-api.md §7)."""

import base64
import binascii
from typing import Any

import msgspec
from msgspec import Struct, field

from heliograph.emulators.cloud_api import defaults
from heliograph.emulators.cloud_api.checks import PUNCTUATION
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.graph_errors import bad_parameter, failure_of, unknown_object
from heliograph.emulators.cloud_api.media import base64_sha256, download_url, keep
from heliograph.emulators.cloud_api.names import make_user_id, make_wamid
from heliograph.emulators.cloud_api.pictures import SAMPLES
from heliograph.emulators.cloud_api.statuses import Update, name_of
from heliograph.emulators.cloud_api.world import Number, now

KINDS = (
    "text",
    *SAMPLES,
    "location",
    "contacts",
    "button",
    "interactive",
    "list",
    "flow",
    "reaction",
    "order",
    "unsupported",
    "changed_number",
    "edit",
    "revoke",
)


class Saying(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a person says: the body of POST /__emulator/say."""

    from_: str = field(name="from", default=defaults.USER_NUMBER)  # digits
    to: str = defaults.PHONE_NUMBER_ID  # phone number id or digits of the business
    kind: str = "text"
    text: str = "Hello"  # also caption, button title, place, emoji
    name: str = ""  # of the profile
    file: str = ""  # base64; left out: a small sample of the kind
    mime_type: str = ""
    filename: str = ""
    context: str = ""  # the wamid that it answers or reacts to
    no_number: bool = False  # the person hides the number: only the user id is told
    forwarded: bool = False
    from_ad: bool = False  # came by an ad: with `referral`
    missing_file: bool = False  # the file was too large for WhatsApp: error 131052
    wait_s: float = 10.0  # answer when the callback was taken, but not later than this; 0: at once


async def say(emulator: Emulator, saying: Saying) -> dict[str, Any]:
    """Tell the subscriber; the message's id and what became of the callback. Raises GraphError."""
    number = emulator.world.number_of(saying.to)
    if number is None:
        raise unknown_object("post", saying.to)
    digits = PUNCTUATION.sub("", saying.from_)
    if not digits.isdecimal():
        raise bad_parameter("Param from must be a phone number.")
    if saying.kind not in KINDS:
        raise bad_parameter(f'Param kind must be one of {{{", ".join(KINDS)}}} - got "{saying.kind}".')
    update, wamid = make_update(emulator, number, digits, saying)
    user_id = make_user_id(digits)
    for person in (digits, user_id):
        emulator.windows.open(number.id, person, now())
    result: dict[str, Any] = {"id": wamid, "user_id": user_id, "heard": emulator.outbox.is_heard(update)}
    if saying.wait_s > 0 and result["heard"]:
        result["taken"] = await emulator.outbox.tell(update, saying.wait_s)
    else:
        emulator.outbox.put(update)
    return result


def make_update(emulator: Emulator, number: Number, digits: str, saying: Saying) -> tuple[Update, str]:
    at_s = now()
    user_id, wamid = make_user_id(digits), make_wamid(digits, inbound=True)
    message: dict[str, Any] = {} if saying.no_number else {"from": digits}
    message |= {"from_user_id": user_id, "id": wamid, "timestamp": str(int(at_s))}
    message |= content_of(emulator, number, digits, saying)
    if saying.context and saying.kind not in {"reaction", "edit", "revoke"}:
        message["context"] = {"from": number.digits, "id": saying.context}
    if saying.forwarded:
        message.setdefault("context", {})["forwarded"] = True
    if saying.from_ad:
        message["referral"] = REFERRAL
    profile = {"name": saying.name or name_of(digits)}
    if saying.no_number:
        profile["username"] = f"@person{digits[-4:]}"
    contact: dict[str, Any] = {"profile": profile}
    if not saying.no_number:
        contact["wa_id"] = digits
    contact["user_id"] = user_id
    value: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": number.digits, "phone_number_id": number.id},
    }
    if message["type"] != "system":
        value["contacts"] = [contact]
    value["messages"] = [message]
    update = Update(waba_id=number.waba_id, number_id=number.id, value=msgspec.json.encode(value), at_s=at_s)
    return update, wamid


REFERRAL = {
    "source_url": "https://fb.example/ad/1",
    "source_id": "120000000000001",
    "source_type": "ad",
    "headline": "Chat with us",
    "body": "We answer within the hour.",
    "media_type": "image",
    "image_url": "https://img.example/ad.jpg",
    "ctwa_clid": "EmulatedClickId",
}


def content_of(emulator: Emulator, number: Number, digits: str, saying: Saying) -> dict[str, Any]:
    """`type`, and the object of that name."""
    kind, text = saying.kind, saying.text
    if kind in SAMPLES:
        return media_content(emulator, number, saying)
    match kind:
        case "text":
            return {"type": "text", "text": {"body": text}}
        case "location":
            place = {"latitude": 52.3731, "longitude": 4.8926, "name": text, "address": "Dam, Amsterdam"}
            return {"type": "location", "location": place}
        case "contacts":
            name = {"first_name": "Grace", "last_name": "Hopper", "formatted_name": "Grace Hopper"}
            phone = {"phone": f"+{digits}", "wa_id": digits, "type": "CELL"}
            return {"type": "contacts", "contacts": [{"name": name, "phones": [phone], "origin": "other"}]}
        case "button":
            return {"type": "button", "button": {"payload": text, "text": text}}
        case "interactive":
            reply = {"id": "button-1", "title": text}
            return {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": reply}}
        case "list":
            row = {"id": "row-1", "title": text, "description": "The first of the list"}
            return {"type": "interactive", "interactive": {"type": "list_reply", "list_reply": row}}
        case "flow":
            form = {
                "name": "flow",
                "body": "Sent",
                "response_json": msgspec.json.encode({"flow_token": "emulated", "answer": text}).decode(),
            }
            return {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": form}}
        case "reaction":
            reaction = {"message_id": saying.context or make_wamid(digits)}
            if text:
                reaction["emoji"] = "👍" if text == "Hello" else text
            return {"type": "reaction", "reaction": reaction}
        case "order":
            item = {"product_retailer_id": "A-17", "quantity": 1, "item_price": 9.5, "currency": "EUR"}
            return {"type": "order", "order": {"catalog_id": "600000000000006", "text": text, "product_items": [item]}}
        case "changed_number":
            new = digits[:-1] + str((int(digits[-1]) + 1) % 10)
            told = {
                "body": f"User {name_of(digits)} changed from {digits} to {new}",
                "wa_id": new,
                "user_id": make_user_id(new),
                "type": "user_changed_number",
            }
            return {"type": "system", "system": told}
        case "edit":
            original = saying.context or make_wamid(digits, inbound=True)
            edit = {"original_message_id": original, "message": {"type": "text", "text": {"body": text}}}
            return {"type": "edit", "edit": edit}
        case "revoke":
            original = saying.context or make_wamid(digits, inbound=True)
            return {"type": "revoke", "revoke": {"original_message_id": original}}
        case _:
            error = failure_of(131051)
            del error["href"]
            return {"type": "unsupported", "errors": [error], "unsupported": {"type": "poll_creation"}}


def media_content(emulator: Emulator, number: Number, saying: Saying) -> dict[str, Any]:
    """A file that can be fetched: the one given, else a sample."""
    kind = saying.kind
    if saying.missing_file:
        error = failure_of(131052, "Media file is larger than 100 MB.")
        del error["href"]
        return {"type": "unsupported", "errors": [error], "unsupported": {"type": kind}}
    usual_type, make = SAMPLES[kind]
    try:
        content = base64.b64decode(saying.file, validate=True) if saying.file else make()
    except binascii.Error:
        raise bad_parameter("Param file must be base64.") from None
    mime_type = saying.mime_type or usual_type
    medium = keep(emulator, number.id, content, mime_type, received=True, filename=saying.filename or None)
    told: dict[str, Any] = {"id": medium.id, "mime_type": mime_type, "sha256": base64_sha256(medium)}
    told["url"] = download_url(emulator, None, medium)
    if kind in {"image", "video", "document"} and saying.text:
        told["caption"] = saying.text
    if kind == "document":
        told["filename"] = saying.filename or "document.pdf"
    if kind == "audio":
        told["voice"] = True
    if kind == "sticker":
        told["animated"] = False
    return {"type": kind, kind: told}
