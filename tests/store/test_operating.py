"""What an operator asks of the store, on every engine."""

from heliograph.core.statuses import State
from heliograph.store import accounts, messages, operating, tokens
from heliograph.store.engine import Database
from tests.store.makers import NOON_MS, make_account, make_connection, new_message, read, write


async def test_find_accounts(database: Database) -> None:
    """By a part of the name or of a person's address, in any case; by pages in both directions; no sign is special."""
    made = [await make_account(database, name) for name in ("Larkfield", "Bolt 100%", "Lark_Two", "Ünion")]
    await write(database, accounts.add_user, made[1].id, "Ada@Lark.example", "Ada", "hash", "owner", NOON_MS)
    await make_connection(database, made[1].id)
    ids = [one.id for one in made]

    async def search(text: str, limit: int = 9, **where: int) -> list[int]:
        found = await read(database, operating.find_accounts, text, limit, **where)
        return [one.account.id for one in found]

    assert await search("") == ids[::-1]
    assert await search("LARK") == [ids[2], ids[1], ids[0]]
    assert await search("100%") == [ids[1]]
    assert await search("lark_") == [ids[2]]
    assert await search("nobody") == []
    assert await search("", 2, before=ids[3]) == [ids[2], ids[1]]
    assert await search("", 2, after=ids[1]) == [ids[2], ids[3]]
    (found,) = await read(database, operating.find_accounts, "bolt", 9)
    assert (found.email, found.numbers, found.last_login_at_ms) == ("Ada@Lark.example", 1, None)


async def test_count_accounts(database: Database) -> None:
    """All, and the suspended ones."""
    account = await make_account(database)
    await make_account(database, "Bolt")
    await write(database, accounts.suspend_account, account.id, NOON_MS)
    assert await read(database, operating.count_accounts) == (2, 1)


async def test_set_token_rate_limit(database: Database) -> None:
    """A token's own limit, by its account only; None gives it up."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    token = await write(database, tokens.add_token, account.id, "Shop", b"secret", None, NOON_MS)
    assert not await write(database, operating.set_token_rate_limit, other.id, token.id, 5)
    for limit in (60, None):
        assert await write(database, operating.set_token_rate_limit, account.id, token.id, limit)
        kept = await read(database, tokens.token_by_id, token.id)
        assert kept is not None
        assert kept.rate_limit_per_minute == limit


async def test_newest_failures(database: Database) -> None:
    """The failed messages of one account, newest first, with their codes."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    made = [new_message(account.id, connection_id=n) for n in range(3)] + [new_message(other.id)]
    await write(database, messages.add_messages, made)
    for n, message in enumerate(made):
        why = (f"code{n}", "Why.")
        await write(database, messages.move_message, message.account_id, message.id, State.FAILED, NOON_MS + n, why)
    found = await read(database, operating.newest_failures, account.id, 2)
    assert found == [(2, "code2", NOON_MS + 2), (1, "code1", NOON_MS + 1)]
