"""API tokens: what is kept of them, and what the desk recognises."""

import hashlib

import pytest

from heliograph.accounts import people, tokens
from heliograph.accounts.tokens import TokenDesk
from heliograph.errors import Forbidden, NotFound, Unauthenticated
from heliograph.runtime import Runtime
from heliograph.store.accounts import Account
from tests.kit.waiting import eventually
from tests.store.makers import make_account


async def refused(desk: TokenDesk, text: str) -> bool:
    try:
        await desk.recognise(text)
    except Unauthenticated:
        return True
    return False


@pytest.fixture
async def account(runtime: Runtime) -> Account:
    return await make_account(runtime.database)


async def test_what_is_kept(runtime: Runtime, account: Account) -> None:
    """The secret is shown once and kept as a SHA-256 hash; it has 256 bits."""
    made = await tokens.create_token(runtime, account.id, "shop")
    number, _, secret = made.text.partition("|")
    assert (int(number), len(secret)) == (made.token.id, 43)
    assert made.token.secret_sha256 == hashlib.sha256(secret.encode()).digest()
    assert secret not in repr(made)
    assert [token.id for token in await tokens.list_tokens(runtime, account.id)] == [made.token.id]
    with pytest.raises(NotFound):
        await tokens.create_token(runtime, 99, "nobody's")


async def test_recognising(runtime: Runtime, account: Account) -> None:
    """A token is recognised with its account and its senders; anything that is not quite it, is not."""
    desk = TokenDesk(runtime)
    made = await tokens.create_token(runtime, account.id, "shop")
    other = await tokens.create_token(runtime, account.id, "other")
    principal = await desk.recognise(made.text)
    assert (principal.token.id, principal.account, principal.senders) == (made.token.id, account, {})
    number, _, secret = made.text.partition("|")
    for text in (
        "",
        "|",
        number,
        secret,
        f"{number}|",
        f"|{secret}",
        f"{other.token.id}|{secret}",
        f"{number}|{secret}x",
        f"{number}|{secret[:-1]}",
        f"{number}|{secret.swapcase()}",
        f"{number} |{secret}",
        f"-{number}|{secret}",
        f"{'9' * 30}|{secret}",
        f"٣|{secret}",
    ):
        assert await refused(desk, text), text


async def test_known_tokens_are_forgotten(runtime: Runtime, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the desk knows by heart is forgotten the moment that a token is revoked or an account suspended, anywhere."""
    monkeypatch.setattr(tokens, "CACHE_S", 600.0)  # so that nothing is forgotten by its age
    desk = TokenDesk(runtime)
    desk.start()
    try:
        made = await tokens.create_token(runtime, account.id, "shop")

        async def known() -> bool:
            await desk.recognise(made.text)
            return desk.recognise_known(made.text) is not None

        async def forgotten() -> bool:
            return desk.recognise_known(made.text) is None

        async def hears() -> bool:
            runtime.database.announce("tokens")
            return await forgotten()

        await eventually(known)
        await eventually(hears)
        await eventually(known)
        await people.suspend_account(runtime, account.id, suspended=True)
        await eventually(forgotten)
        with pytest.raises(Forbidden) as suspended:
            await desk.recognise(made.text)
        assert suspended.value.code == "account_suspended"
        await people.suspend_account(runtime, account.id, suspended=False)
        await eventually(known)
        await tokens.revoke_token(runtime, account.id, made.token.id)
        await eventually(forgotten)
        assert await refused(desk, made.text)
    finally:
        await desk.stop()


async def test_revoking(runtime: Runtime, account: Account) -> None:
    """Only the account itself can revoke, and once."""
    other = await make_account(runtime.database, "Bolt")
    made = await tokens.create_token(runtime, account.id, "shop")
    with pytest.raises(NotFound):
        await tokens.revoke_token(runtime, other.id, made.token.id)
    with pytest.raises(NotFound):
        await tokens.find_token(runtime, other.id, made.token.id)
    await tokens.revoke_token(runtime, account.id, made.token.id)
    with pytest.raises(NotFound):
        await tokens.revoke_token(runtime, account.id, made.token.id)


async def test_when_it_was_used(runtime: Runtime, account: Account) -> None:
    """The desk writes the time of use when it closes, if not before."""
    desk = TokenDesk(runtime)
    desk.start()
    made = await tokens.create_token(runtime, account.id, "shop")
    await desk.recognise(made.text)
    await desk.stop()
    (kept,) = await tokens.list_tokens(runtime, account.id)
    assert kept.last_used_at_ms is not None
