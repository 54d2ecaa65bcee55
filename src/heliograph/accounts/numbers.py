"""Registering a WhatsApp number from the portal: the test call, its steps at the carrier, its pause, its end.

Whatever the carrier refuses comes as ChannelRefused with a stable code; the portal has a sentence for each."""

import re
from typing import Any

import msgspec
from msgspec import Struct, structs

from heliograph.accounts.senders import Number, connection_for
from heliograph.channels.contract import Connection, NumberFacts
from heliograph.channels.whatsapp.channel import WhatsApp
from heliograph.core.ids import now_ms
from heliograph.core.vault import CannotUnseal
from heliograph.errors import ChannelRefused, Conflict, Invalid, NotFound, Unavailable
from heliograph.runtime import Runtime
from heliograph.store import connections as store
from heliograph.store.connections import ConnectionRow
from heliograph.store.engine import Tx

PAUSED = "operator_paused"  # holds whose code begins so are ended by people only
MOST_COUNTED = 10_000
PIN = re.compile(r"[0-9]{6}")
VARIABLE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


class WindowTemplate(Struct, frozen=True):
    """A template that can carry any text as its one variable."""

    name: str
    language: str
    text: str


async def find_number(runtime: Runtime, account_id: int, connection_id: int) -> ConnectionRow:
    """Raises NotFound when the account has no such number."""
    row = await runtime.database.read(lambda tx: store.connection_by_id(tx, account_id, connection_id))
    if row is None:
        raise NotFound("This account has no such number.")
    return row


def facts_of(row: ConnectionRow) -> NumberFacts | None:
    """What the carrier said when it was last asked; None where nobody asked yet."""
    return msgspec.json.decode(row.facts, type=NumberFacts) if row.facts else None


# The test call


def check_shape(number: Number) -> None:
    """What needs no call to be known wrong. Raises Invalid."""
    for field in ("phone_number_id", "business_account_id", "token", "app_secret"):
        value = getattr(number, field)
        if not value:
            raise Invalid.field(field, "This is missing.", code="missing")
        if field.endswith("_id") and not value.isdecimal():
            looks_dialled = "+" in value or value.replace(" ", "").replace("-", "").isdecimal()
            raise Invalid.field(
                field,
                "This is a phone number. Meta's id of it stands beside it, and has digits only."
                if looks_dialled
                else "An id has digits only.",
                code="not_an_id",
            )
        if any(c.isspace() for c in value):
            raise Invalid.field(
                field, "This has a blank or a line break inside. Copy it again, in one piece.", code="blank"
            )
    if number.business_account_id == number.phone_number_id:
        raise Invalid.field(
            "business_account_id", "This is the phone number id once more. The business account has an id of its own."
        )
    if number.app_secret == number.token:
        raise Invalid.field(
            "app_secret", "This is the token once more. The app secret stands under App settings, Basic."
        )


async def try_number(runtime: Runtime, channel: WhatsApp, number: Number) -> NumberFacts:
    """Hold ids, token and app secret against the carrier, all three calls that the road will need.

    The app secret is proven with the token (appsecret_proof): a wrong one would show only when callbacks are refused.
    Raises Invalid for what can be seen here, ChannelRefused for what the carrier says."""
    check_shape(number)
    connection = connection_for(runtime, structs.replace(number, use_appsecret_proof=True))
    facts = await channel.read_number(connection)
    try:
        numbers = await channel.list_numbers(connection)
    except ChannelRefused as error:
        if error.code != "number_unknown":
            raise
        raise ChannelRefused(error.message, code="business_account_unknown", advice=error.advice) from None
    if number.phone_number_id not in numbers:
        raise ChannelRefused(
            "The number is not one of this business account.",
            code="other_business_account",
            advice="Give the id of the business account that the number is listed under.",
        )
    return facts


# Steps at the carrier


def reach(runtime: Runtime, row: ConnectionRow) -> Connection:
    """Raises Unavailable when the credentials were sealed with another key."""
    try:
        return runtime.connection_of(row)
    except CannotUnseal:
        raise Unavailable(
            "The credentials of this number cannot be opened: they were sealed with another key. Give them again.",
            code="sealed_with_another_key",
        ) from None


async def ask_carrier(runtime: Runtime, channel: WhatsApp, row: ConnectionRow) -> NumberFacts:
    """Ask the carrier about the number, and keep the answer. Raises ChannelRefused, Unavailable."""
    facts = await channel.read_number(reach(runtime, row))
    kept = msgspec.json.encode(facts).decode()
    pace = facts.throughput_per_s or row.pace_per_s

    async def work(tx: Tx) -> None:
        await store.keep_facts(tx, row.account_id, row.id, kept, now_ms(), facts.display_number, pace)

    await runtime.database.write(work)
    return facts


async def request_code(runtime: Runtime, channel: WhatsApp, row: ConnectionRow, method: str, language: str) -> None:
    """Have a code sent to the number by SMS or VOICE. Raises Invalid, ChannelRefused."""
    if method not in {"SMS", "VOICE"}:
        raise Invalid.field("method", "Choose SMS or a call.")
    await channel.request_code(reach(runtime, row), method, language)


async def verify_code(runtime: Runtime, channel: WhatsApp, row: ConnectionRow, code: str) -> None:
    """Raises Invalid, ChannelRefused."""
    digits = code.replace("-", "").replace(" ", "")
    if not PIN.fullmatch(digits):
        raise Invalid.field("code", "The code has six digits.")
    await channel.verify_code(reach(runtime, row), digits)
    await ask_carrier(runtime, channel, row)


async def register(runtime: Runtime, channel: WhatsApp, row: ConnectionRow, pin: str) -> None:
    """Register the number with its two-step PIN. Raises Invalid, ChannelRefused."""
    if not PIN.fullmatch(pin):
        raise Invalid.field("pin", "A PIN has six digits.")
    await channel.register(reach(runtime, row), pin)
    await ask_carrier(runtime, channel, row)


# Window templates


async def window_templates(runtime: Runtime, channel: WhatsApp, row: ConnectionRow) -> list[WindowTemplate]:
    """The approved templates that can carry a text as their one variable. Raises ChannelRefused."""
    found = [read_window_template(one) for one in await channel.list_templates(reach(runtime, row))]
    return sorted((one for one in found if one is not None), key=lambda one: (one.name, one.language))


def read_window_template(template: dict[str, Any]) -> WindowTemplate | None:
    """None for one that is not approved, or needs more than one text in its body."""
    if template.get("status") != "APPROVED" or template.get("category") == "AUTHENTICATION":
        return None
    components = template.get("components")
    parts = [one for one in components if isinstance(one, dict)] if isinstance(components, list) else []
    body = ""
    for part in parts:
        text = part.get("text") if isinstance(part.get("text"), str) else ""
        match part.get("type"):
            case "BODY":
                body = str(text)
            case "HEADER" if part.get("format") != "TEXT" or VARIABLE.search(str(text)):
                return None
            case "BUTTONS" if VARIABLE.search(str(part.get("buttons"))):
                return None
    if VARIABLE.findall(body) != ["1"]:
        return None
    return WindowTemplate(str(template.get("name")), str(template.get("language")), body)


# Pause and end


async def pause(runtime: Runtime, row: ConnectionRow, sentence: str) -> None:
    """Let what is to go out through the number wait until somebody resumes it. What comes in still comes in."""
    await runtime.database.write(lambda tx: store.hold(tx, row.id, "number", PAUSED, sentence, None))


async def count_waiting(runtime: Runtime, row: ConnectionRow) -> int:
    """How many messages wait to leave through the number; counting ends at MOST_COUNTED."""
    return await runtime.database.read(lambda tx: store.count_waiting(tx, row.account_id, row.id, MOST_COUNTED))


async def remove_number(runtime: Runtime, row: ConnectionRow) -> None:
    """Forget the number, its credentials and its senders. Raises Conflict while messages wait for it."""

    async def work(tx: Tx) -> None:
        if await store.count_waiting(tx, row.account_id, row.id, 1):
            raise Conflict(
                "Messages still wait to leave through this number. Cancel them or let them leave, then remove it.",
                code="messages_wait",
            )
        await store.remove_connection(tx, row.account_id, row.id)

    await runtime.database.write(work)
