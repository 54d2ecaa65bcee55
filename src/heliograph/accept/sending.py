"""May this account send this? Reads the parameters of a send, and makes the messages to be stored."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from heliograph.channels.whatsapp.payloads import check_template, check_text
from heliograph.config import Settings
from heliograph.core.ids import new_id
from heliograph.core.phone_numbers import BadRecipient, NotASender, read_recipients, read_sender_name
from heliograph.core.schedule_times import NotASchedule, read_schedule_time
from heliograph.core.statuses import State
from heliograph.errors import Forbidden, Invalid
from heliograph.store.accounts import Account
from heliograph.store.connections import Sender
from heliograph.store.messages import NewMessage

KNOWN_TYPES = ("plain", "unicode", "voice", "mms", "whatsapp", "viber", "otp")
BULK_FROM = 10  # a call with more recipients than this goes behind those who write to one person
TRANSACTIONAL_LANE, BULK_LANE = 0, 1
LONGEST_URL = 2048


class SendRequest(Struct, frozen=True, kw_only=True):
    """What a caller asked for, as texts; None where it was left out. `recipient` is as it came: text, number or list."""

    recipient: object = None
    recipient_user_id: str | None = None  # a business-scoped id, in the place of a number, of someone who hides theirs
    sender_id: str | None = None
    type: str | None = None
    message: str | None = None
    media_url: str | None = None
    schedule_time: str | None = None
    template: object = None
    dlt_template_id: str | None = None


class Prepared(Struct, frozen=True):
    """Messages ready to be stored, and the recipients that cannot be reached, with the reasons."""

    messages: list[NewMessage]
    refused: list[BadRecipient]


def prepare_send(
    account: Account,
    senders: Mapping[str, Sender],
    request: SendRequest,
    settings: Settings,
    now_ms: int,
    origin: Mapping[str, int],
) -> Prepared:
    """`origin`: who asks, {"token_id": …} or {"user_id": …}; it is kept with the message.

    Raises Invalid with every field at fault, or Forbidden for a sender that the account does not have."""
    errors: dict[str, list[str]] = {}
    good, refused = check_recipients(account, request, settings, errors)
    name = check_sender_name(account, request, errors)
    check_type(request, errors)
    template = check_content(request, errors)
    due_at_ms = check_schedule(account, request, settings, now_ms, errors)
    if errors:
        raise Invalid(errors)
    sender = find_sender(senders, name)
    media_url, text = request.media_url, request.message or ""
    later = due_at_ms > now_ms
    common: dict[str, Any] = {
        "account_id": account.id,
        "person_user_id": request.recipient_user_id,
        "direction": "outgoing",
        "channel": sender.channel,
        "connection_id": sender.connection_id,
        "sender": sender.name,
        "kind": "template" if template else "image" if media_url else "text",
        "text": text,
        "media_url": media_url,
        "template": template,
        "sms_type": sender.channel,
        "details": render_details(origin, request.dlt_template_id),
        "state": State.SCHEDULED if later else State.QUEUED,
        "created_at_ms": now_ms,
        "schedule_at_ms": due_at_ms if later else None,
        "due_at_ms": due_at_ms,
        "lane": BULK_LANE if len(good) > BULK_FROM else TRANSACTIONAL_LANE,
    }
    return Prepared([NewMessage(id=new_id(), person=number, **common) for number in good], refused)


def render_details(origin: Mapping[str, int], dlt_template_id: str | None) -> str:
    more = {"dlt_template_id": dlt_template_id} if dlt_template_id else {}
    return msgspec.json.encode({**origin, **more}).decode()


def check_recipients(
    account: Account, request: SendRequest, settings: Settings, errors: dict[str, list[str]]
) -> tuple[list[str], list[BadRecipient]]:
    if request.recipient_user_id is not None:
        return [request.recipient_user_id], []
    good, bad = read_recipients(request.recipient, account.default_country)
    if not good and not bad:
        errors["recipient"] = ["The recipient field is required."]
    elif not good:
        errors["recipient"] = [recipient.sentence for recipient in bad[:20]]
    elif len(good) > settings.max_recipients:
        errors["recipient"] = [f"One request may have at most {settings.max_recipients} recipients."]
    return good, bad


def check_sender_name(account: Account, request: SendRequest, errors: dict[str, list[str]]) -> str:
    given = request.sender_id or account.default_sender
    if not given:
        errors["sender_id"] = ["The sender id field is required."]
        return ""
    try:
        return read_sender_name(given)
    except NotASender as error:
        errors["sender_id"] = [error.sentence]
        return ""


def check_type(request: SendRequest, errors: dict[str, list[str]]) -> None:
    if request.type == "whatsapp":
        return
    given = (request.type or "").strip().lower()
    if given in {"", "whatsapp"}:
        return
    if given in KNOWN_TYPES or given == "text":
        errors["type"] = [f"Messages of type {given} cannot be sent by this server yet. Use whatsapp."]
    else:
        errors["type"] = ["The selected type is invalid. Use whatsapp."]


def check_content(request: SendRequest, errors: dict[str, list[str]]) -> str | None:
    """The template as JSON text, if the message is one."""
    if request.template is not None:
        try:
            check_template(request.template)
        except Invalid as error:
            errors.update(error.errors)
            return None
        return msgspec.json.encode(request.template).decode()
    if request.media_url is not None and not is_web_address(request.media_url):
        errors["media_url"] = ["The media url must be a valid http or https URL."]
    if not request.message and not request.media_url:
        errors["message"] = ["The message field is required."]
        return None
    try:
        check_text(request.message or "", has_media=request.media_url is not None)
    except Invalid as error:
        errors.update(error.errors)
    return None


def check_schedule(
    account: Account, request: SendRequest, settings: Settings, now_ms: int, errors: dict[str, list[str]]
) -> int:
    if request.schedule_time is None:
        return now_ms
    try:
        return read_schedule_time(
            request.schedule_time,
            ZoneInfo(account.time_zone),
            now_ms,
            max_ahead_days=settings.schedule_ahead_days,
        )
    except NotASchedule as error:
        errors["schedule_time"] = [error.sentence]
        return now_ms


def find_sender(senders: Mapping[str, Sender], name: str) -> Sender:
    sender = senders.get(name.removeprefix("+").casefold())
    if sender is None:
        raise Forbidden(f"The sender id {name} is not approved for this account.", code="sender_not_approved")
    return sender


def is_web_address(text: str) -> bool:
    if len(text) > LONGEST_URL or any(c.isspace() or not c.isprintable() for c in text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
