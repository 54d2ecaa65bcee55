"""What a callback says of a message that was sent: the `value` of field `messages` with statuses (§6)."""

from hashlib import md5
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from heliograph.emulators.cloud_api.graph_errors import failure_of
from heliograph.emulators.cloud_api.names import make_identity_hash

ENCODER = msgspec.json.Encoder()


class Sent(Struct, kw_only=True):
    """A message on its way: what its statuses will need."""

    place: int  # in the ledger
    id: str
    number_id: str
    waba_id: str
    business_digits: str
    wa_id: str  # "" for one sent to a user id
    user_id: str
    reference: str | None
    category: str
    billable: bool
    at_s: float
    conversation: bool = False
    hide_number: bool = False
    reference_on_failed: bool = True
    contacts_on_failed: bool = False
    bare_error: bool = False
    failure_details: str = ""
    skips_delivered: bool = False
    identity_check: bool = False


class Update(Struct, kw_only=True):
    """One thing that a callback tells: a status of a message, or a value that is ready."""

    field: str = "messages"
    waba_id: str
    number_id: str | None
    sent: Sent | None = None
    word: str = ""
    code: int = 0
    at_s: float = 0.0
    value: bytes = b""
    timed: bool = False  # the entry carries its time
    attempts: int = 0
    copies: int = 1
    group: list["Update"] | None = None  # told in the same callback


class Pricing(Struct):
    billable: bool
    pricing_model: str
    type: str
    category: str


class Status(Struct, kw_only=True):
    id: str
    status: str
    timestamp: str
    recipient_id: str | UnsetType = UNSET
    recipient_user_id: str | UnsetType = UNSET
    recipient_identity_key_hash: str | UnsetType = UNSET
    biz_opaque_callback_data: str | UnsetType = UNSET
    conversation: dict[str, Any] | UnsetType = UNSET
    pricing: Pricing | UnsetType = UNSET
    errors: list[dict[str, Any]] | UnsetType = UNSET


class Value(Struct, kw_only=True):
    messaging_product: str
    metadata: dict[str, str]
    contacts: list[dict[str, Any]] | UnsetType = UNSET
    statuses: list[Status]


def render_value(update: Update) -> bytes:
    """The JSON of `value`, not yet escaped."""
    sent = update.sent
    if sent is None:
        return update.value
    word, failed = update.word, update.word == "failed"
    status = Status(id=sent.id, status=word, timestamp=str(int(update.at_s)))
    if sent.wa_id and not sent.hide_number:
        status.recipient_id = sent.wa_id
    if not failed or not sent.wa_id:
        status.recipient_user_id = sent.user_id
    if sent.identity_check and sent.wa_id:
        status.recipient_identity_key_hash = make_identity_hash(sent.wa_id)
    if sent.reference is not None and (sent.reference_on_failed or not failed):
        status.biz_opaque_callback_data = sent.reference
    if failed:
        status.errors = [render_error(update.code, sent)]
    else:
        if sent.conversation:
            status.conversation = render_conversation(sent, word)
        if word != "read" or sent.skips_delivered:
            kind = "regular" if sent.billable else "free_customer_service"
            status.pricing = Pricing(sent.billable, "PMP", kind, sent.category)
    value = Value(
        messaging_product="whatsapp",
        metadata={"display_phone_number": sent.business_digits, "phone_number_id": sent.number_id},
        statuses=[status],
    )
    if not failed or sent.contacts_on_failed:
        value.contacts = [render_person(sent, word)]
    return ENCODER.encode(value)


def render_person(sent: Sent, word: str) -> dict[str, Any]:
    person: dict[str, Any] = {"profile": {"name": name_of(sent.wa_id or sent.user_id)}}
    if sent.hide_number and word != "sent":
        person["profile"]["username"] = f"@person{sent.user_id[-4:]}"
    if sent.wa_id and not sent.hide_number:
        person["wa_id"] = sent.wa_id
    person["user_id"] = sent.user_id
    return person


def render_error(code: int, sent: Sent) -> dict[str, Any]:
    error = failure_of(code, sent.failure_details)
    return {"code": error["code"], "title": error["title"]} if sent.bare_error else error


def render_conversation(sent: Sent, word: str) -> dict[str, Any]:
    """As v23.0 and older: an id for each message, the expiry on `sent` only."""
    conversation: dict[str, Any] = {
        "id": md5(sent.id.encode(), usedforsecurity=False).hexdigest(),
        "origin": {"type": sent.category},
    }
    if word == "sent":
        conversation["expiration_timestamp"] = str(int(sent.at_s) + 86400)
    return conversation


NAMES = ("Ada", "Grace", "Émile", "Søren", "Zoë", "Li", "Amina", "José", "Yūki", "Noor")


def name_of(person: str) -> str:
    """A profile name: always the same for one person."""
    return NAMES[int(person[-1]) if person[-1:].isdecimal() else 0]
