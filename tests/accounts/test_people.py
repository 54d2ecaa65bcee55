"""Accounts and their people: what is checked, what is kept, and how a log-in is recognised."""

from typing import Any

import msgspec
import pytest

from heliograph.accounts import people, senders
from heliograph.errors import Conflict, Invalid, NotFound
from heliograph.runtime import Runtime
from heliograph.store import accounts as store
from heliograph.store.accounts import Account
from tests.store.makers import count, make_connection

PASSWORD = "correct horse battery"


async def acme(runtime: Runtime, **changes: Any) -> Account:
    given = {"name": "Acme", "email": "Ada@Example.org", "password": PASSWORD, **changes}
    account, _ = await people.create_account(runtime, **given)
    return account


async def test_opening(runtime: Runtime) -> None:
    """An account comes with its owner, whose password is kept as an argon2id hash alone."""
    account, user = await people.create_account(
        runtime, name=" Acme ", email="Ada@Example.org", password=PASSWORD, person="Ada", default_country="NL"
    )
    assert (account.name, account.time_zone, account.default_country) == ("Acme", "UTC", "NL")
    assert (user.account_id, user.role, user.name) == (account.id, "owner", "Ada")
    assert user.password_hash.startswith("$argon2id$")
    assert PASSWORD not in user.password_hash
    assert "Ada" not in repr(user)
    assert user.password_hash not in repr(user)
    assert await people.find_account_by_email(runtime, "ada@EXAMPLE.org") == account


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"email": "nobody"}, "email"),
        ({"email": "a b@example.org"}, "email"),
        ({"email": "@example.org"}, "email"),
        ({"email": "a@localhost"}, "email"),
        ({"email": "a" * 250 + "@example.org"}, "email"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"time_zone": ""}, "time_zone"),
        ({"default_country": "XX"}, "default_country"),
        ({"password": "short"}, "password"),
        ({"password": "aaaaaaaaaaaa"}, "password"),
        ({"password": "ada@example.ORG"}, "password"),
        ({"password": "x1y2" * 300}, "password"),
    ],
)
async def test_refusals(runtime: Runtime, changes: dict[str, Any], field: str) -> None:
    """Each fact that cannot be is refused by its field, and nothing is kept."""
    with pytest.raises(Invalid) as refused:
        await acme(runtime, **changes)
    assert list(refused.value.errors) == [field]
    assert await count(runtime.database, "account") == await count(runtime.database, "account_user") == 0


async def test_one_account_for_an_address(runtime: Runtime) -> None:
    """An e-mail address, in any spelling, belongs to one person; the second account is not half made."""
    await acme(runtime)
    with pytest.raises(Conflict) as refused:
        await acme(runtime, name="Bolt", email=" ada@example.ORG ")
    assert refused.value.code == "email_taken"
    assert await count(runtime.database, "account") == 1


async def test_logging_in(runtime: Runtime) -> None:
    """The right password in any spelling of the address opens; nothing else does; the time of it is kept."""
    account = await acme(runtime)
    user = await people.check_login(runtime, "ada@example.org", PASSWORD)
    assert user is not None
    assert user.account_id == account.id
    for email, password in (("ada@example.org", PASSWORD + "x"), ("ada@example.org", ""), ("b@example.org", PASSWORD)):
        assert await people.check_login(runtime, email, password) is None
    kept = await runtime.database.read(lambda tx: store.user_by_email(tx, "ada@example.org"))
    assert kept is not None
    assert kept.last_login_at_ms is not None


async def test_a_new_password(runtime: Runtime) -> None:
    """From then on only the new one opens."""
    await acme(runtime)
    await people.set_password(runtime, "ada@example.org", "another good one")
    assert await people.check_login(runtime, "ada@example.org", PASSWORD) is None
    assert await people.check_login(runtime, "ada@example.org", "another good one") is not None
    with pytest.raises(NotFound):
        await people.set_password(runtime, "b@example.org", "another good one")
    with pytest.raises(Invalid):
        await people.set_password(runtime, "ada@example.org", "short")


async def test_changing(runtime: Runtime) -> None:
    """Facts are checked as when the account was opened; a default sender must be one of the account's."""
    account = await acme(runtime)
    other = await acme(runtime, name="Bolt", email="b@example.org")
    row = await make_connection(runtime.database, account.id)
    await senders.add_sender(runtime, row, "YourName")
    changed = msgspec.structs.replace(account, time_zone="Asia/Tokyo", default_sender="yourname")
    await people.change_account(runtime, changed)
    assert await people.find_account(runtime, account.id) == changed
    for bad, field in (
        (msgspec.structs.replace(changed, time_zone="x"), "time_zone"),
        (msgspec.structs.replace(changed, default_sender="Nobody"), "default_sender"),
        (msgspec.structs.replace(other, default_sender="YourName"), "default_sender"),
    ):
        with pytest.raises(Invalid) as refused:
            await people.change_account(runtime, bad)
        assert list(refused.value.errors) == [field]
    assert await people.find_account(runtime, account.id) == changed
    with pytest.raises(NotFound):
        await people.find_account(runtime, 99)


async def test_suspending(runtime: Runtime) -> None:
    """A suspension has a time, and ends."""
    account = await acme(runtime)
    await people.suspend_account(runtime, account.id, suspended=True)
    assert (await people.find_account(runtime, account.id)).suspended_at_ms is not None
    await people.suspend_account(runtime, account.id, suspended=False)
    assert await people.list_accounts(runtime) == [account]
