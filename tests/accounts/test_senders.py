"""Senders and the numbers behind them: whose they are, and what is kept of their credentials."""

from typing import Any

import pytest

from heliograph.accounts import senders
from heliograph.accounts.senders import Number
from heliograph.channels.contract import NumberFacts
from heliograph.core.vault import CannotUnseal, Vault
from heliograph.errors import Conflict, Invalid, NotFound
from heliograph.runtime import Runtime
from heliograph.store import connections as store
from heliograph.store.accounts import Account
from tests.store.makers import NOON_MS, make_account

FACTS = NumberFacts(display_number="15550100001", throughput_per_s=250)
TOKEN, SECRET = "EAAsecrettoken0123456789", "the app's secret"


def number(**changes: Any) -> Number:
    given: dict[str, Any] = {
        "phone_number_id": "1055500001",
        "business_account_id": "2055500001",
        "token": TOKEN,
        "app_secret": SECRET,
    }
    return Number(**(given | changes))


@pytest.fixture
async def account(runtime: Runtime) -> Account:
    return await make_account(runtime.database)


async def test_connecting(runtime: Runtime, account: Account) -> None:
    """The credentials are sealed, come back as they were, and show in no representation; the rest is from the settings."""
    row = await senders.connect_number(runtime, account.id, number(), FACTS)
    assert (row.display_number, row.pace_per_s, row.base_url) == ("15550100001", 250, "https://graph.facebook.com")
    assert TOKEN.encode() not in row.sealed_secrets
    connection = runtime.connection_of(row)
    assert (connection.token, connection.app_secret) == (TOKEN, SECRET)
    for shown in (repr(row), repr(connection), repr(number())):
        assert TOKEN not in shown
        assert SECRET not in shown
    with pytest.raises(CannotUnseal):
        Runtime(runtime.settings, runtime.database, Vault(Vault.new_key())).connection_of(row)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"phone_number_id": "+31612345678"}, "phone_number_id"),
        ({"phone_number_id": "1/../2"}, "phone_number_id"),
        ({"business_account_id": ""}, "business_account_id"),
        ({"token": ""}, "token"),
        ({"app_secret": ""}, "app_secret"),
    ],
)
async def test_refused_numbers(runtime: Runtime, account: Account, changes: dict[str, Any], field: str) -> None:
    """What cannot be Meta's id, and a missing secret, are refused by their field."""
    with pytest.raises(Invalid) as refused:
        await senders.connect_number(runtime, account.id, number(**changes), FACTS)
    assert list(refused.value.errors) == [field]


async def test_a_number_has_one_account(runtime: Runtime, account: Account) -> None:
    """Connected by one account, a number is refused to another; its own account may give it new credentials."""
    other = await make_account(runtime.database, "Bolt")
    first = await senders.connect_number(runtime, account.id, number(), FACTS)
    with pytest.raises(Conflict) as refused:
        await senders.connect_number(runtime, other.id, number(token="another"), FACTS)
    assert refused.value.code == "number_taken"
    again = await senders.connect_number(runtime, account.id, number(token="newer"), FACTS)
    assert (again.id, runtime.connection_of(again).token) == (first.id, "newer")
    with pytest.raises(NotFound):
        await senders.connect_number(runtime, 99, number(phone_number_id="7"), FACTS)


async def test_names(runtime: Runtime, account: Account) -> None:
    """A name is a short text or a number, once in an account in any spelling."""
    row = await senders.connect_number(runtime, account.id, number(), FACTS)
    await senders.add_sender(runtime, row, "YourName", window_template=("note", "en_US"))
    digits = await senders.add_sender(runtime, row, "+1 555 010 0001")
    assert digits.name == "15550100001"
    for taken in ("yourname", " YOURNAME ", "15550100001", "+15550100001"):
        with pytest.raises(Conflict):
            await senders.add_sender(runtime, row, taken)
    for bad in ("", "TwelveLetters", "a\nb", "<b>"):
        with pytest.raises(Invalid):
            await senders.add_sender(runtime, row, bad)
    listed = await senders.list_senders(runtime, account.id)
    assert {(one.name, one.window_template_name) for one in listed} == {("YourName", "note"), ("15550100001", None)}
    await senders.change_sender(runtime, account.id, "yourname", window_template=None, resend_unknown=True)
    await senders.remove_sender(runtime, account.id, "+1555 0100001".replace(" ", ""))
    (left,) = await senders.list_senders(runtime, account.id)
    assert (left.window_template_name, bool(left.resend_unknown)) == (None, True)
    for name in ("15550100001", "Nobody"):
        with pytest.raises(NotFound):
            await senders.remove_sender(runtime, account.id, name)
        with pytest.raises(NotFound):
            await senders.change_sender(runtime, account.id, name, window_template=None, resend_unknown=False)


async def test_resuming(runtime: Runtime, account: Account) -> None:
    """Resuming ends the hold of the number and those of its templates, of this account alone, and tells whether there were any."""
    other = await make_account(runtime.database, "Bolt")
    row = await senders.connect_number(runtime, account.id, number(), FACTS)
    write = runtime.database.write
    business = row.business_account
    assert not await senders.resume_connection(runtime, account.id, row.id)
    await write(lambda tx: store.hold_template(tx, account.id, business, ("note", "nl"), NOON_MS, "paused", "So."))
    assert await senders.held_templates(runtime, row) == {("note", "nl"): ("paused", "So.")}
    assert not await senders.resume_connection(runtime, other.id, row.id)
    assert await senders.resume_connection(runtime, account.id, row.id), "a template"
    await write(lambda tx: store.hold(tx, row.id, "number", "code", "Why.", None))
    assert await senders.resume_connection(runtime, account.id, row.id), "the number"
    assert await senders.held_templates(runtime, row) == {}
    assert not await senders.resume_connection(runtime, account.id, row.id)


async def test_the_callback_address(runtime: Runtime, account: Account) -> None:
    """It has an id that nobody can guess, differs for each number, and its verify token is compared whole."""
    one = await senders.connect_number(runtime, account.id, number(), FACTS)
    two = await senders.connect_number(runtime, account.id, number(phone_number_id="1055500002"), FACTS)
    addresses = {senders.callback_address(runtime, row) for row in (one, two)}
    assert len(addresses) == 2
    assert all(address.startswith("http://127.0.0.1:8000/callbacks/whatsapp/") for address in addresses)
    assert one.verify_token != two.verify_token
    assert senders.verify_token_fits(one, one.verify_token)
    for wrong in ("", one.verify_token[:-1], two.verify_token, one.verify_token + "x"):
        assert not senders.verify_token_fits(one, wrong)
