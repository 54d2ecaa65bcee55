"""The carrier's callbacks: believe only what is signed, and read everything that can be read (whatsapp-cloud-api.md §5–§8).

Nothing in a callback's shape is trusted: a key that is missing or of another type makes that part unrendered, never an error.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Any

from heliograph.channels.contract import CallbackEvent, NumberNotice, OptOut, StatusReport, Unrendered
from heliograph.channels.whatsapp.codes import describe_code, details_of, outcome_of_failed_status, with_details
from heliograph.channels.whatsapp.inbound import read_inbound
from heliograph.channels.whatsapp.notices import read_notice
from heliograph.channels.whatsapp.values import mapping, objects, read_json, render_raw, text, time_ms
from heliograph.errors import BadRequest

LONGEST_FAILURE = 4096
STATUS_WORDS = {"sent": "sent", "delivered": "delivered", "read": "read", "played": "read", "failed": "failed"}


def verify_signature(raw: bytes, header: str | None, app_secret: str) -> bool:
    """X-Hub-Signature-256 over the raw bytes (§5), compared in constant time. Without a secret nothing is believed."""
    if not app_secret or header is None or not header.startswith("sha256="):
        return False
    expected = hmac.new(app_secret.encode(), raw, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), header[7:].strip().lower().encode(errors="replace"))


def verification_challenge(query: Mapping[str, str], verify_token: str) -> str | None:
    """What to answer to the carrier that verifies an address, or None when the token is wrong."""
    if query.get("hub.mode") != "subscribe" or not verify_token:
        return None
    presented = query.get("hub.verify_token", "").encode(errors="replace")
    if not hmac.compare_digest(presented, verify_token.encode()):
        return None
    return query.get("hub.challenge", "")


def parse_callback(raw: bytes) -> list[CallbackEvent]:
    """Everything that one callback tells, in its order. Raises BadRequest when it is not JSON at all."""
    try:
        found = read_json(raw)
    except ValueError:
        raise BadRequest("The callback is not JSON.", code="malformed_json") from None
    events: list[CallbackEvent] = []
    for entry in objects(mapping(found).get("entry")):
        for change in objects(entry.get("changes")):
            events += read_change(entry, change)
    return events


def read_change(entry: dict[str, Any], change: dict[str, Any]) -> Iterator[CallbackEvent]:
    field = text(change.get("field")) or ""
    value = mapping(change.get("value"))
    number = text(mapping(value.get("metadata")).get("phone_number_id")) or ""
    match field:
        case "messages":
            people = objects(value.get("contacts"))
            for message in objects(value.get("messages")):
                yield read_inbound(number, message, people) or Unrendered(
                    field=field, kind="message", raw=render_raw(message)
                )
            for status in objects(value.get("statuses")):
                yield read_status(number, status) or Unrendered(field=field, kind="status", raw=render_raw(status))
            for error in objects(value.get("errors")):
                yield read_trouble(entry, number, error)
        case "user_preferences":
            for preference in objects(value.get("user_preferences")):
                yield read_preference(number, preference)
        case _:
            yield read_notice(entry, field, value, render_raw(value)) or Unrendered(
                field=field, kind=text(value.get("event")) or "", raw=render_raw(value)
            )


def read_status(number: str, status: dict[str, Any]) -> StatusReport | None:
    carrier_id, word = text(status.get("id")), STATUS_WORDS.get(text(status.get("status")) or "")
    if carrier_id is None or word is None:
        return None
    raw = render_raw(status)
    failure = None
    if word == "failed":
        failure = outcome_of_failed_status(objects(status.get("errors")), raw[:LONGEST_FAILURE])
    pricing = status.get("pricing")
    return StatusReport(
        phone_number_id=number,
        carrier_message_id=carrier_id,
        status=word,
        reported_at_ms=time_ms(status.get("timestamp")),
        reference=text(status.get("biz_opaque_callback_data")),
        recipient_id=text(status.get("recipient_id")),
        recipient_user_id=text(status.get("recipient_user_id")),
        failure=failure,
        pricing=pricing if isinstance(pricing, dict) else None,
        raw=raw,
    )


def read_trouble(entry: dict[str, Any], number: str, error: dict[str, Any]) -> NumberNotice:
    """An error beside no message: trouble of the number or its account (§5). A send will meet it too, and then decide."""
    code = text(error.get("code")) or ""
    meaning, _ = describe_code(code)
    return NumberNotice(
        business_account_id=text(entry.get("id")) or "",
        phone_number_id=number or None,
        field="messages",
        event=f"error {code}".strip(),
        sentence=with_details(meaning, details_of(error)),
        raw=render_raw(error),
    )


def read_preference(number: str, preference: dict[str, Any]) -> CallbackEvent:
    """A person stopped marketing messages, or wants them again (§8)."""
    raw = render_raw(preference)
    value = text(preference.get("value"))
    if value not in {"stop", "resume"}:
        return Unrendered(field="user_preferences", kind=value or "", raw=raw)
    return OptOut(
        phone_number_id=number,
        stopped=value == "stop",
        reported_at_ms=time_ms(preference.get("timestamp")),
        person=text(preference.get("wa_id")),
        person_user_id=text(preference.get("user_id")),
        raw=raw,
    )
