"""Letters, links that were mailed, members and second factors, on every engine."""

from heliograph.core.ids import new_id
from heliograph.store import accounts, letters, mail_links
from heliograph.store.engine import Database
from heliograph.store.letters import KeptLetter
from heliograph.store.mail_links import MailLink
from tests.store.makers import NOON_MS, make_account, read, write
from tests.store.test_sessions import make_user


async def test_letters(database: Database) -> None:
    """The newest letter comes first, and old ones are dropped."""
    made = [KeptLetter(new_id(), "ann@example.org", f"No. {n}", "Hello", NOON_MS + n) for n in range(3)]
    for letter in made:
        await write(database, letters.add_letter, letter)
    assert await read(database, letters.newest_letters, 2) == [made[2], made[1]]
    await write(database, letters.drop_old_letters, NOON_MS + 2)
    assert await read(database, letters.newest_letters, 9) == [made[2]]


async def test_links(database: Database) -> None:
    """A link is found by token and purpose while it lives; a purpose's links to an address are dropped together."""
    account = await make_account(database)

    async def add(token: bytes, purpose: str, email: str) -> MailLink:
        link = MailLink(token * 32, purpose, email, account.id, "member", NOON_MS + token[0], NOON_MS + 100)
        await write(database, mail_links.add_link, link)
        return link

    ann = await add(b"\1", "invite", "Ann@Example.org")
    bob = await add(b"\2", "invite", "bob@example.org")
    other = await add(b"\3", "reset", "ann@example.org")
    assert await read(database, mail_links.link_by_token, ann.token_sha256, "invite", NOON_MS + 99) == ann
    assert await read(database, mail_links.link_by_token, ann.token_sha256, "reset", NOON_MS) is None
    assert await read(database, mail_links.link_by_token, ann.token_sha256, "invite", NOON_MS + 100) is None
    assert await read(database, mail_links.invitations, account.id, NOON_MS) == [ann, bob]
    assert await write(database, mail_links.drop_links, account.id, "invite", "ANN@example.org") == 1
    assert await write(database, mail_links.drop_links, account.id, "invite", "ANN@example.org") == 0
    assert await read(database, mail_links.link_by_token, other.token_sha256, "reset", NOON_MS) == other
    await write(database, mail_links.drop_ended_links, NOON_MS + 100)
    assert await read(database, mail_links.invitations, account.id, NOON_MS) == []


async def test_members(database: Database) -> None:
    """The people of one account are listed in the order in which they joined; a role changes; a person leaves."""
    assert not await read(database, accounts.has_users)
    ann, _ = await make_user(database, "ann@example.org"), await make_user(database, "eve@example.org")
    assert await read(database, accounts.has_users)
    bob = await write(database, accounts.add_user, ann.account_id, "bob@example.org", "Bob", "hash", "member", NOON_MS)
    assert bob is not None
    assert await read(database, accounts.users_of_account, ann.account_id) == [ann, bob]
    await write(database, accounts.set_role, bob.id, "viewer")
    await write(database, accounts.set_operator, bob.id, is_operator=True)
    await write(database, accounts.confirm_email, "BOB@example.org", NOON_MS)
    await write(database, accounts.confirm_email, "bob@example.org", NOON_MS + 1)
    found = await read(database, accounts.user_by_id, bob.id)
    assert found is not None
    assert (found.role, bool(found.is_operator), found.email_confirmed_at_ms) == ("viewer", True, NOON_MS)
    await write(database, accounts.remove_user, bob.id)
    assert await read(database, accounts.users_of_account, ann.account_id) == [ann]


async def test_second_factors(database: Database) -> None:
    """A step is used once and never goes back; a recovery code works once, for its own person."""
    ann, eve = await make_user(database, "ann@example.org"), await make_user(database, "eve@example.org")
    await write(database, accounts.set_totp, ann.id, b"sealed", 7)
    found = await read(database, accounts.user_by_id, ann.id)
    assert found is not None
    assert (found.sealed_totp, found.totp_step) == (b"sealed", 7)
    assert [await write(database, accounts.use_totp_step, ann.id, step) for step in (7, 8, 8, 6)] == [
        False,
        True,
        False,
        False,
    ]
    await write(database, accounts.add_recovery_codes, ann.id, [b"\1" * 32, b"\2" * 32])
    assert not await write(database, accounts.use_recovery_code, eve.id, b"\1" * 32)
    assert await write(database, accounts.use_recovery_code, ann.id, b"\1" * 32)
    assert not await write(database, accounts.use_recovery_code, ann.id, b"\1" * 32)
    assert await read(database, accounts.count_recovery_codes, ann.id) == 1
    await write(database, accounts.drop_recovery_codes, ann.id)
    assert await read(database, accounts.count_recovery_codes, ann.id) == 0
