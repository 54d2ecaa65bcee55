"""What the carrier's HTTP answers mean: for a send an outcome, for any other call a body or a refusal in plain words."""

import re
from typing import Any

import msgspec
from msgspec import Struct

from heliograph.channels.contract import Connection, SendOutcome, Verdict
from heliograph.channels.whatsapp.codes import (
    SEE_DETAILS,
    details_of,
    find_code,
    outcome_of_error,
    outcome_without_code,
    unknown_outcome,
    with_details,
)
from heliograph.channels.whatsapp.transport import HttpAnswer, prove_app_secret
from heliograph.channels.whatsapp.values import mapping, number, objects, read_json, text
from heliograph.errors import ChannelRefused

LONGEST_RAW = 4096
SHORTEST_SECRET = 8  # what is shorter would blot out ordinary words
TOKEN_OF_META = re.compile(r"\bEAA[A-Za-z0-9_-]{12,}")
# What became of a template that was taken (§3.3), where that is more than being taken.
HELD_BACK = {
    "held_for_quality_assessment": "The carrier took the message and holds it back while it watches how the template is received.",
    "paused": "The carrier took the message, but has paused its template: it may report a failure.",
}


class AnswerContact(Struct):
    wa_id: str | None = None
    user_id: str | None = None


class AnswerMessage(Struct):
    id: str
    message_status: str | None = None


class SendAnswer(Struct):
    messages: list[AnswerMessage]
    contacts: list[AnswerContact] = []


SEND_ANSWER = msgspec.json.Decoder(SendAnswer)


def read_send_answer(connection: Connection, answer: HttpAnswer) -> SendOutcome:
    """The verdict on a send. Only an answer that holds a message id is an acceptance."""
    if 200 <= answer.status < 300:
        return read_acceptance(connection, answer)
    raw = shorten(connection, answer.body)
    error = mapping(read_object(answer.body).get("error"))
    code = number(error.get("code"))
    if code is None:
        return outcome_without_code(
            answer.status, raw=raw, trace_id=answer.trace_id, retry_after_s=answer.retry_after_s
        )
    return outcome_of_error(
        code,
        subcode=number(error.get("error_subcode")),
        http_status=answer.status,
        details=hide_secrets(connection, details_of(error)),
        transient=error.get("is_transient") is True,
        raw=raw,
        trace_id=text(error.get("fbtrace_id")) or answer.trace_id,
        retry_after_s=answer.retry_after_s,
    )


def read_acceptance(connection: Connection, answer: HttpAnswer) -> SendOutcome:
    try:
        found = SEND_ANSWER.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = read_odd_acceptance(answer.body)
    message = found.messages[0] if found.messages else None
    if message is None or not message.id:
        return unknown_outcome(
            http_status=answer.status, raw=shorten(connection, answer.body), trace_id=answer.trace_id
        )
    contact = found.contacts[0] if found.contacts else AnswerContact()
    held = HELD_BACK.get(message.message_status) if message.message_status else None
    return SendOutcome(
        verdict=Verdict.ACCEPTED,
        code="accepted",
        sentence=held or "",
        carrier_message_id=message.id,
        carrier_recipient_id=contact.wa_id or None,
        recipient_user_id=contact.user_id or None,
        http_status=answer.status,
        raw=shorten(connection, answer.body) if held else "",
        trace_id=answer.trace_id,
    )


def read_odd_acceptance(body: bytes) -> SendAnswer:
    """The same of an answer that is not quite as described: an id that can be read is worth more than a right shape."""
    found = read_object(body)
    messages = [AnswerMessage(text(one.get("id")) or "") for one in objects(found.get("messages"))[:1]]
    contacts = [
        AnswerContact(text(one.get("wa_id")), text(one.get("user_id"))) for one in objects(found.get("contacts"))[:1]
    ]
    return SendAnswer(messages, contacts)


def read_call_answer(connection: Connection, answer: HttpAnswer, subject: str) -> dict[str, Any]:
    """The body of a call that is not a send. Raises ChannelRefused. `subject` says in words whose id was in the path."""
    body = read_object(answer.body)
    error = mapping(body.get("error"))
    if 200 <= answer.status < 300 and body and not error:
        if body.get("success") is False:
            raise ChannelRefused("The carrier did not do it, and does not say why.", code="carrier_refused")
        return body
    code, details = number(error.get("code")), hide_secrets(connection, details_of(error))
    if code is None:
        raise refusal_without_code(answer.status)
    row = find_code(code, number(error.get("error_subcode")), details)
    if row is None:
        sentence = f"The carrier refused: {details}" if details else "The carrier refused."
        raise ChannelRefused(sentence, code="carrier_refused", carrier_code=str(code), advice=SEE_DETAILS)
    sentence, advice = row.sentence, row.advice
    if row.word == "number_unknown":
        sentence = f"The carrier does not know this {subject}, or the token may not use it."
        advice = f"Check the {subject}, and that the token's system user is assigned to the business account."
    elif row.word == "invalid_parameter":
        sentence = "The carrier refused a parameter."
    raise ChannelRefused(with_details(sentence, details), code=row.word, carrier_code=str(code), advice=advice)


def refusal_without_code(http_status: int) -> ChannelRefused:
    found = outcome_without_code(http_status)
    if found.verdict is Verdict.UNKNOWN or found.code == "carrier_refused":
        later = http_status >= 500
        return ChannelRefused(
            f"The carrier answered HTTP {http_status} without an explanation.",
            code="carrier_unavailable" if later else "carrier_refused",
            advice="Try again later." if later else "Check the base URL and the API version of the sender.",
        )
    return ChannelRefused(found.sentence, code=found.code, advice=found.advice)


def read_object(body: bytes) -> dict[str, Any]:
    """The object in an answer's body; an empty one when there is none."""
    try:
        return mapping(read_json(body))
    except ValueError:
        return {}


def shorten(connection: Connection, body: bytes) -> str:
    """Evidence: the answer's beginning as text, without secrets."""
    return hide_secrets(connection, body.decode(errors="replace").replace("\x00", ""))[:LONGEST_RAW]


def hide_secrets(connection: Connection, shown: str) -> str:
    """The carrier repeats a token that it cannot read in its error. Customers and logs must not see it."""
    if not shown:
        return shown
    secrets = [connection.token, connection.app_secret]
    if connection.use_appsecret_proof:
        secrets.append(prove_app_secret(connection.token, connection.app_secret))
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            shown = shown.replace(secret, "…")
    return TOKEN_OF_META.sub("…", shown)
