"""Templates of an account: fetched from the carrier, submitted to it, deleted there."""

import asyncio
import contextlib
from typing import Any

import msgspec
from msgspec import Struct

from heliograph.channels.whatsapp.channel import WhatsApp
from heliograph.channels.whatsapp.templates import NewTemplate, check_new_template, new_template_object
from heliograph.channels.whatsapp.values import mapping, text
from heliograph.core.ids import now_ms
from heliograph.core.vault import CannotUnseal
from heliograph.errors import ChannelRefused, Conflict, Invalid, NotFound, Unavailable
from heliograph.runtime import Runtime
from heliograph.store import connections as connection_store
from heliograph.store import templates as store
from heliograph.store.connections import ConnectionRow
from heliograph.store.engine import Tx
from heliograph.store.templates import Sync, Template

STALE_MS = 10 * 60_000  # a page that somebody looks at fetches them anew after that
IN_REVIEW_MS = (
    10_000  # … and after that while one of them is in review: Meta's notices go to the app's address, maybe not ours
)
FIRST_FETCH_S = 6.0  # so long the first visit waits for the carrier; later ones never do
CLAIM_MS = 30_000  # so long nobody else begins to fetch
# Which field of ours the carrier's refusal of a new template speaks of; anything else belongs to the whole form.
FIELD_OF = {
    "template_exists": "name",
    "template_name_banned": "name",
    "template_header": "header",
    "template_body": "body",
    "template_variables": "body",
    "template_example": "body",
    "template_footer": "footer",
}


class BusinessAccount(Struct, frozen=True):
    """A business account at the carrier, reached through one of its numbers. `numbers`: all of ours in it."""

    id: str
    numbers: list[ConnectionRow]
    sync: Sync


async def list_business_accounts(runtime: Runtime, account_id: int) -> list[BusinessAccount]:
    """Every business account that the account has a WhatsApp number in."""

    async def work(tx: Tx) -> list[BusinessAccount]:
        syncs = await store.syncs_of_account(tx, account_id)
        grouped: dict[str, list[ConnectionRow]] = {}
        for row in await connection_store.connections_of_account(tx, account_id):
            if row.channel == "whatsapp":
                grouped.setdefault(row.business_account, []).append(row)
        return [BusinessAccount(key, rows, syncs.get(key) or Sync(key, 0, "")) for key, rows in grouped.items()]

    return await runtime.database.read(work)


async def sync_templates(runtime: Runtime, channel: WhatsApp, account_id: int, business: BusinessAccount) -> str:
    """Fetch all templates of a business account. What went wrong, in words; "" when nothing did."""
    at_ms = now_ms()
    try:
        connection = runtime.connection_of(business.numbers[0])
        found = await channel.list_templates(connection)
    except (ChannelRefused, CannotUnseal) as error:
        advice = getattr(error, "advice", "")
        trouble = f"{getattr(error, 'message', 'The credentials of this number cannot be opened.')} {advice}".strip()
        await runtime.database.write(lambda tx: store.record_sync_trouble(tx, account_id, business.id, at_ms, trouble))
        return trouble
    made = [made for one in found if (made := read_template(account_id, business.id, one, at_ms)) is not None]
    await runtime.database.write(lambda tx: store.put_templates(tx, account_id, business.id, made, at_ms))
    return ""


async def sync_stale(runtime: Runtime, channel: WhatsApp, account_id: int, older_ms: int = STALE_MS) -> None:
    """Fetch what was fetched longer ago than that, unless somebody else is at it."""
    for business in await list_business_accounts(runtime, account_id):
        at_ms = now_ms()
        stale_ms = at_ms - older_ms
        if business.sync.synced_at_ms >= stale_ms:
            continue
        # Whoever claims it and dies gives it back after a while.
        until_ms = stale_ms + min(CLAIM_MS, older_ms)

        async def claim(tx: Tx, key: str = business.id, until_ms: int = until_ms, stale_ms: int = stale_ms) -> bool:
            return await store.claim_sync(tx, account_id, key, until_ms, stale_ms)

        if await runtime.database.write(claim):
            await sync_templates(runtime, channel, account_id, business)


async def fetch_if_never(runtime: Runtime, channel: WhatsApp, account_id: int) -> None:
    """What was never fetched is fetched now, and not waited for too long: an open page's stream goes on with it."""
    businesses = await list_business_accounts(runtime, account_id)
    if any(not one.sync.synced_at_ms and not one.sync.trouble for one in businesses):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_FETCH_S):
                await sync_stale(runtime, channel, account_id)


def read_template(account_id: int, business_account: str, told: dict[str, Any], at_ms: int) -> Template | None:
    """A template as the carrier describes it; None for something without a name or language."""
    name, language = text(told.get("name")), text(told.get("language"))
    if name is None or language is None:
        return None
    components = told.get("components")
    return Template(
        account_id=account_id,
        business_account=business_account,
        name=name,
        language=language,
        carrier_id=text(told.get("id")) or "",
        category=(text(told.get("category")) or "").upper(),
        status=(text(told.get("status")) or "UNKNOWN").upper(),
        quality=(text(mapping(told.get("quality_score")).get("score")) or "UNKNOWN").upper(),
        rejected_reason=(text(told.get("rejected_reason")) or "").upper().removeprefix("NONE"),
        parameter_format=(text(told.get("parameter_format")) or "POSITIONAL").upper(),
        components=msgspec.json.encode(components if isinstance(components, list) else []).decode(),
        seen_at_ms=at_ms,
    )


async def find_template(runtime: Runtime, account_id: int, carrier_id: str) -> Template:
    """Raises NotFound."""
    found = await runtime.database.read(lambda tx: store.template_by_id(tx, account_id, carrier_id))
    if found is None:
        raise NotFound("There is no such template, or it was deleted.")
    return found


async def find_business_account(runtime: Runtime, account_id: int, business_account: str) -> BusinessAccount:
    """Raises NotFound where no number of the account is in it."""
    for known in await list_business_accounts(runtime, account_id):
        if known.id == business_account:
            return known
    raise NotFound("No number of this account belongs to this business account.")


async def create_template(
    runtime: Runtime, channel: WhatsApp, account_id: int, business_account: str, new: NewTemplate
) -> Template:
    """Submit it for review. Raises Invalid by field, also for what the carrier refuses; "form" is the whole form's."""
    check_new_template(new)
    try:
        business = await find_business_account(runtime, account_id, business_account)
    except NotFound as error:
        raise Invalid.field("business_account", error.message) from None
    wanted = new_template_object(new)
    try:
        told = await channel.create_template(runtime.connection_of(business.numbers[0]), wanted)
    except ChannelRefused as error:
        raise Invalid.field(FIELD_OF.get(error.code, "form"), f"{error.message} {error.advice}".strip()) from None
    except CannotUnseal:
        raise Unavailable("The credentials of this number cannot be opened.", code="sealed_with_another_key") from None
    made = read_template(account_id, business.id, {**wanted, "status": "PENDING", **told}, now_ms())
    assert made is not None
    await runtime.database.write(lambda tx: store.put_template(tx, made))
    return made


async def delete_template(runtime: Runtime, channel: WhatsApp, account_id: int, carrier_id: str) -> Template:
    """Delete it at the carrier, in its one language. Raises NotFound, Conflict or ChannelRefused."""
    template = await find_template(runtime, account_id, carrier_id)
    business = await find_business_account(runtime, account_id, template.business_account)
    senders = await runtime.database.read(lambda tx: connection_store.senders_of_account(tx, account_id))
    numbers = {row.id for row in business.numbers}
    for sender in senders:
        key = (sender.window_template_name, sender.window_template_language or "en_US")
        if sender.connection_id in numbers and key == (template.name, template.language):
            raise Conflict(
                f"{sender.name} sends with it beyond the 24-hour window. Choose another window template there first.",
                code="template_in_use",
            )
    try:
        connection = runtime.connection_of(business.numbers[0])
    except CannotUnseal:
        raise Unavailable("The credentials of this number cannot be opened.", code="sealed_with_another_key") from None
    try:
        await channel.delete_template(connection, template.name, template.carrier_id)
    except ChannelRefused as error:
        if error.code != "template_unknown":
            raise
    await runtime.database.write(lambda tx: store.drop_template(tx, account_id, carrier_id))
    return template
