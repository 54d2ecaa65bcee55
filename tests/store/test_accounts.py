"""Accounts, their users and API tokens, on every engine."""

import msgspec

from heliograph.store import accounts, tokens
from heliograph.store.engine import Database, Tx
from tests.store.makers import NOON_MS, make_account, write


async def test_add_account(database: Database) -> None:
    """An account comes back as it was given, under a number that no other has."""
    first, second = await make_account(database, "Acme"), await make_account(database, "Bolt")
    assert first.id != second.id
    assert (first.name, first.time_zone, first.default_country) == ("Acme", "Europe/Amsterdam", "NL")
    assert (first.default_sender, first.suspended_at_ms, first.created_at_ms) == (None, None, NOON_MS)
    assert await database.read(lambda tx: accounts.account_by_id(tx, second.id)) == second
    assert await database.read(lambda tx: accounts.account_by_id(tx, 10_000)) is None
    assert await database.read(accounts.all_accounts) == [first, second]


async def test_change_account(database: Database) -> None:
    """What may change does, for that account only."""
    first, second = await make_account(database), await make_account(database, "Bolt")
    changed = msgspec.structs.replace(
        first, name="Acme Inc.", time_zone="UTC", default_country=None, default_sender="Demo"
    )
    await database.write(lambda tx: accounts.change_account(tx, changed))
    assert await database.read(accounts.all_accounts) == [changed, second]


async def test_suspend_account(database: Database) -> None:
    """A suspension has a time, and can be lifted."""
    account = await make_account(database)
    await database.write(lambda tx: accounts.suspend_account(tx, account.id, NOON_MS + 5))
    found = await database.read(lambda tx: accounts.account_by_id(tx, account.id))
    assert found is not None
    assert found.suspended_at_ms == NOON_MS + 5
    await database.write(lambda tx: accounts.suspend_account(tx, account.id, None))
    assert await database.read(lambda tx: accounts.account_by_id(tx, account.id)) == account


async def test_users(database: Database) -> None:
    """An e-mail address belongs to one user, however it is written; the user is found by any spelling."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    added = await database.write(
        lambda tx: accounts.add_user(tx, account.id, " Ann@Example.org ", "Ann", "hash", "owner", NOON_MS)
    )
    assert added is not None
    assert (added.account_id, added.email, added.role) == (account.id, "Ann@Example.org", "owner")
    assert added.last_login_at_ms is None
    again = await database.write(
        lambda tx: accounts.add_user(tx, other.id, "ANN@example.ORG", "Eve", "hash", "owner", NOON_MS)
    )
    assert again is None
    assert await database.read(lambda tx: accounts.user_by_email(tx, "ann@EXAMPLE.org")) == added
    assert await database.read(lambda tx: accounts.user_by_email(tx, "bob@example.org")) is None


async def test_user_changes(database: Database) -> None:
    """A new password, a new name and the time of a login are kept."""
    account = await make_account(database)

    async def work(tx: Tx) -> accounts.User | None:
        user = await accounts.add_user(tx, account.id, "ann@example.org", "Ann", "old", "member", NOON_MS)
        assert user is not None
        await accounts.set_password(tx, user.id, "new")
        await accounts.record_login(tx, user.id, NOON_MS + 9)
        await accounts.rename_user(tx, user.id, "Anna")
        return await accounts.user_by_email(tx, "ann@example.org")

    found = await database.write(work)
    assert found is not None
    assert (found.password_hash, found.last_login_at_ms, found.name) == ("new", NOON_MS + 9, "Anna")


async def test_tokens(database: Database) -> None:
    """A token is found by its number, and listed for its own account only."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    first = await database.write(lambda tx: tokens.add_token(tx, account.id, "one", bytes(range(32)), 60, NOON_MS))
    second = await database.write(lambda tx: tokens.add_token(tx, account.id, "two", bytes(32), None, NOON_MS))
    assert first.secret_sha256 == bytes(range(32))
    assert (first.rate_limit_per_minute, second.rate_limit_per_minute) == (60, None)
    assert await database.read(lambda tx: tokens.token_by_id(tx, first.id)) == first
    assert await database.read(lambda tx: tokens.token_by_id(tx, 10_000)) is None
    assert await database.read(lambda tx: tokens.tokens_of_account(tx, account.id)) == [first, second]
    assert await database.read(lambda tx: tokens.tokens_of_account(tx, other.id)) == []


async def test_revoke_token(database: Database) -> None:
    """A token is revoked once, by its own account, and keeps the time at which that happened."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    token = await database.write(lambda tx: tokens.add_token(tx, account.id, "one", bytes(32), None, NOON_MS))
    assert not await database.write(lambda tx: tokens.revoke_token(tx, other.id, token.id, NOON_MS + 1))
    assert await database.write(lambda tx: tokens.revoke_token(tx, account.id, token.id, NOON_MS + 2))
    assert not await database.write(lambda tx: tokens.revoke_token(tx, account.id, token.id, NOON_MS + 3))
    found = await database.read(lambda tx: tokens.token_by_id(tx, token.id))
    assert found is not None
    assert found.revoked_at_ms == NOON_MS + 2


async def test_token_use(database: Database) -> None:
    """The time of last use only rises, whichever node reports last; nothing to report is fine."""
    account = await make_account(database)
    token = await database.write(lambda tx: tokens.add_token(tx, account.id, "one", bytes(32), None, NOON_MS))
    for at_ms in (NOON_MS + 7, NOON_MS + 3):
        await write(database, tokens.record_token_uses, {token.id: at_ms, 999: at_ms})
    await database.write(lambda tx: tokens.record_token_uses(tx, {}))
    found = await database.read(lambda tx: tokens.token_by_id(tx, token.id))
    assert found is not None
    assert found.last_used_at_ms == NOON_MS + 7
