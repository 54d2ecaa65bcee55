"""Senders of an account, and the numbers at the carrier that they go out through."""

import hmac

import msgspec
from msgspec import Struct

from heliograph.accounts.tokens import fold_sender
from heliograph.channels.contract import Connection, NumberFacts
from heliograph.channels.whatsapp.channel import WhatsApp
from heliograph.core.ids import new_id, new_secret, now_ms, uid_of
from heliograph.core.phone_numbers import NotASender, read_sender_name
from heliograph.core.vault import Secrets
from heliograph.errors import Conflict, Invalid, NotFound
from heliograph.runtime import Runtime
from heliograph.store import accounts as account_store
from heliograph.store import connections as store
from heliograph.store.connections import ConnectionRow, Sender
from heliograph.store.engine import Tx


class Number(Struct, frozen=True, kw_only=True):
    """What an operator knows of a WhatsApp number: from Meta's App Dashboard. Empty base_url and version: the settings'."""

    phone_number_id: str
    business_account_id: str
    token: str
    app_secret: str
    base_url: str = ""
    api_version: str = ""
    use_appsecret_proof: bool = False

    def __repr__(self) -> str:
        return f"Number(phone_number_id={self.phone_number_id!r}, …)"


async def check_number(runtime: Runtime, channel: WhatsApp, number: Number) -> NumberFacts:
    """Ask the carrier about the number with these credentials. Raises ChannelRefused, which says what is wrong."""
    return await channel.read_number(connection_for(runtime, number))


def connection_for(runtime: Runtime, number: Number) -> Connection:
    return Connection(
        phone_number_id=number.phone_number_id,
        business_account_id=number.business_account_id,
        token=number.token,
        app_secret=number.app_secret,
        base_url=(number.base_url or runtime.settings.whatsapp_base_url).rstrip("/"),
        api_version=number.api_version or runtime.settings.whatsapp_api_version,
        use_appsecret_proof=number.use_appsecret_proof,
    )


async def connect_number(runtime: Runtime, account_id: int, number: Number, facts: NumberFacts) -> ConnectionRow:
    """Store the number for the account, or give a known one new credentials. Raises Invalid, NotFound, Conflict.

    A number belongs to one account: another account is refused, so that nobody's callbacks can be claimed."""
    for field in ("phone_number_id", "business_account_id"):
        if not getattr(number, field).isdecimal():
            raise Invalid.field(field, f"{field} is the decimal id that Meta shows in the App Dashboard.")
    for field in ("token", "app_secret"):
        if not getattr(number, field):
            raise Invalid.field(field, f"The {field.replace('_', ' ')} is missing.")
    connection, at_ms = connection_for(runtime, number), now_ms()
    made = ConnectionRow(
        id=0,
        account_id=account_id,
        channel="whatsapp",
        address=number.phone_number_id,
        business_account=number.business_account_id,
        display_number=facts.display_number,
        sealed_secrets=runtime.vault.seal(Secrets(number.token, number.app_secret)),
        app_mark=runtime.vault.mark(number.app_secret),
        callback_uid=new_id(),
        verify_token=new_secret(24),
        base_url=connection.base_url,
        api_version=connection.api_version,
        use_appsecret_proof=number.use_appsecret_proof,
        pace_per_s=facts.throughput_per_s or runtime.settings.number_pace_per_s,
        hold_code=None,
        hold_sentence=None,
        held_until_ms=None,
        created_at_ms=at_ms,
    )

    async def work(tx: Tx) -> ConnectionRow:
        if await account_store.account_by_id(tx, account_id) is None:
            raise NotFound(f"There is no account {account_id}.")
        for row in await store.connections_at_address(tx, "whatsapp", number.phone_number_id):
            if row.account_id != account_id and row.base_url == connection.base_url:
                raise Conflict("Another account of this installation has this number.", code="number_taken")
        row = await store.put_connection(tx, made)
        kept = msgspec.json.encode(facts).decode()
        await store.keep_facts(tx, account_id, row.id, kept, at_ms, row.display_number, row.pace_per_s)
        return row

    return await runtime.database.write(work)


async def add_sender(
    runtime: Runtime,
    connection: ConnectionRow,
    name: str,
    *,
    window_template: tuple[str, str] | None = None,
    resend_unknown: bool = False,
) -> Sender:
    """Let the account send as `name` through the connection. Raises Invalid, or Conflict when it has that name already."""
    try:
        shown = read_sender_name(name)
    except NotASender as error:
        raise Invalid.field("sender_id", error.sentence) from None
    template_name, template_language = window_template or (None, None)
    sender = Sender(
        account_id=connection.account_id,
        name=shown,
        channel=connection.channel,
        connection_id=connection.id,
        window_template_name=template_name,
        window_template_language=template_language,
        resend_unknown=resend_unknown,
        created_at_ms=now_ms(),
    )
    added = await runtime.database.write(lambda tx: store.add_sender(tx, sender, fold_sender(shown)))
    if added is None:
        raise Conflict(f"This account has a sender {shown} already.", code="sender_exists")
    return added


async def remove_sender(runtime: Runtime, account_id: int, name: str) -> None:
    """Raises NotFound. Messages that wait still leave."""
    if not await runtime.database.write(lambda tx: store.remove_sender(tx, account_id, fold_sender(name))):
        raise NotFound(f"This account has no sender {name}.")


async def change_sender(
    runtime: Runtime, account_id: int, name: str, *, window_template: tuple[str, str] | None, resend_unknown: bool
) -> None:
    """Set the window template (name, language) and whether unknown messages are sent again. Raises NotFound."""

    async def work(tx: Tx) -> bool:
        return await store.change_sender(
            tx, account_id, fold_sender(name), window_template, resend_unknown=resend_unknown
        )

    if not await runtime.database.write(work):
        raise NotFound(f"This account has no sender {name}.")


async def list_senders(runtime: Runtime, account_id: int) -> list[Sender]:
    return await runtime.database.read(lambda tx: store.senders_of_account(tx, account_id))


async def list_connections(runtime: Runtime, account_id: int) -> list[ConnectionRow]:
    return await runtime.database.read(lambda tx: store.connections_of_account(tx, account_id))


async def held_templates(runtime: Runtime, connection: ConnectionRow) -> dict[tuple[str, str], tuple[str, str]]:
    """Templates of the number's business account that are not sent now: (name, language) → (code, sentence)."""
    account_id, business_account = connection.account_id, connection.business_account
    return await runtime.database.read(lambda tx: store.template_holds(tx, account_id, business_account))


async def resume_connection(runtime: Runtime, account_id: int, connection_id: int) -> bool:
    """End the hold of a number and those of its templates; what waited leaves. False when there was none."""

    async def work(tx: Tx) -> bool:
        connection = await store.connection_by_id(tx, account_id, connection_id)
        if connection is None:
            return False
        templates = await store.release_templates(tx, account_id, connection.business_account)
        return await store.release(tx, account_id, connection_id) or templates > 0

    return await runtime.database.write(work)


def callback_address(runtime: Runtime, connection: ConnectionRow) -> str:
    """Where the carrier must send this number's callbacks."""
    base = runtime.settings.public_url or f"http://{runtime.settings.host}:{runtime.settings.port}"
    return f"{base.rstrip('/')}/callbacks/whatsapp/{uid_of(connection.callback_uid)}"


def verify_token_fits(connection: ConnectionRow, presented: str) -> bool:
    return hmac.compare_digest(connection.verify_token.encode(), presented.encode())


async def subscribe(runtime: Runtime, channel: WhatsApp, connection: ConnectionRow) -> str:
    """Point the carrier's callbacks for this number at us; returns the address. Raises ChannelRefused.

    The carrier verifies the address at once, so this server must be up and reachable from there."""
    address = callback_address(runtime, connection)
    reached = runtime.connection_of(connection)
    await channel.subscribe(reached, address, connection.verify_token)
    await channel.subscribe_number(reached, address, connection.verify_token)
    return address
