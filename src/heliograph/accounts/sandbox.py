"""A number of the emulated carrier for trials: it works at once, and delivers to nobody."""

import contextlib

import aiohttp
from msgspec import structs

from heliograph.accounts import numbers, people, senders
from heliograph.accounts.senders import Number
from heliograph.channels.contract import NumberFacts
from heliograph.channels.whatsapp.channel import WhatsApp
from heliograph.errors import ChannelRefused, Conflict, NotFound, Unavailable
from heliograph.runtime import Runtime
from heliograph.store.accounts import Account
from heliograph.store.connections import ConnectionRow

# What the bundled emulator answers to unless told otherwise (docs/emulator.md). Public on purpose: of use there only.
BUSINESS_ACCOUNT_ID = "200000000000002"
TOKEN = "EMULATOR-TOKEN-not-a-secret-0000000000"  # noqa: S105 - see above
APP_SECRET = "emulator-app-secret-not-a-secret"  # noqa: S105 - see above
WINDOW_TEMPLATE = ("heliograph_message", "en_US")
SENDER_NAME = "Sandbox"
TIMEOUT_S = 10.0


def is_offered(runtime: Runtime, rows: list[ConnectionRow]) -> bool:
    """Whether an emulated carrier runs here and none of the account's numbers is one of its."""
    url = runtime.settings.sandbox_url.rstrip("/")
    return bool(url) and all(row.base_url != url for row in rows)


async def open_sandbox(runtime: Runtime, channel: WhatsApp, account: Account) -> ConnectionRow:
    """Give the account a number of its own at the emulated carrier, with its callbacks and a sender; the default if there is none.

    Raises NotFound where there is no such carrier, Unavailable where it does not answer."""
    url = runtime.settings.sandbox_url.rstrip("/")
    if not url:
        raise NotFound("No carrier for trials runs on this installation.", code="no_sandbox")
    number = Number(
        phone_number_id=f"1100000{account.id:08}",
        business_account_id=BUSINESS_ACCOUNT_ID,
        token=TOKEN,
        app_secret=APP_SECRET,
        base_url=url,
    )
    digits = f"15551{account.id:06}"  # +1 555 1…: nobody's
    await add_at_carrier(url, number.phone_number_id, digits)
    try:
        facts: NumberFacts = await senders.check_number(runtime, channel, number)
        row = await senders.connect_number(runtime, account.id, number, structs.replace(facts, display_number=digits))
        await channel.subscribe_number(
            numbers.reach(runtime, row), senders.callback_address(runtime, row), row.verify_token
        )
    except ChannelRefused as error:
        raise Unavailable(f"The carrier for trials does not do it: {error.message}", code="sandbox_failed") from None
    with contextlib.suppress(Conflict):  # pressed twice
        await senders.add_sender(runtime, row, SENDER_NAME, window_template=WINDOW_TEMPLATE)
    if account.default_sender is None:
        await people.change_account(runtime, structs.replace(account, default_sender=SENDER_NAME))
    return row


async def add_at_carrier(url: str, phone_number_id: str, digits: str) -> None:
    """Raises Unavailable. A number that is there already stays."""
    value = {"id": phone_number_id, "digits": digits}
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"{url}/__emulator/numbers", json=value) as answer,
        ):
            if answer.status >= 500:
                raise Unavailable("The carrier for trials is in trouble.", code="sandbox_failed")
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise Unavailable("The carrier for trials does not answer.", code="sandbox_failed") from None
