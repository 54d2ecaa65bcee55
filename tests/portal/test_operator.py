"""The operator's pages: accounts, limits, acting for an account, callbacks with trouble, the audit log."""

import re
from pathlib import Path

import pytest
from tests.kit.house import run_command
from tests.portal.conftest import PASSWORD, Browser
from tests.store.makers import new_connection

from heliograph.accounts import people, tokens
from heliograph.config import Settings
from heliograph.core.ids import new_id, now_ms
from heliograph.portal.operator import words as operator_words
from heliograph.runtime import Runtime
from heliograph.store import audit as audit_store
from heliograph.store import callbacks, connections, queues
from heliograph.store.accounts import Account
from heliograph.store.audit import AuditEvent
from heliograph.store.callbacks import Callback


@pytest.fixture
async def operator(ada: Browser, runtime: Runtime) -> Browser:
    """Ada looks after the installation."""
    await people.set_operator(runtime, "ada@larkfield.example", is_operator=True)
    await ada.get("/operator")
    return ada


@pytest.fixture
async def bolt(runtime: Runtime) -> Account:
    """An account of somebody else."""
    account, _ = await people.create_account(runtime, name="Bolt", email="bob@bolt.example", password=PASSWORD)
    return account


async def lines(runtime: Runtime) -> list[AuditEvent]:
    """The audit log, oldest first."""
    return (await runtime.database.read(lambda tx: audit_store.audit_events(tx, 100)))[::-1]


async def test_suspend(operator: Browser, other_browser: Browser, runtime: Runtime, bolt: Account) -> None:
    """A suspended account's people are out and its token is refused, until it is allowed again; each leaves a line."""
    made = await tokens.create_token(runtime, bolt.id, "Shop")
    await other_browser.log_in("bob@bolt.example")
    page = await operator.get(f"/operator/accounts/{bolt.id}/suspend")
    assert "Suspend “Bolt”?" in page
    page = await operator.post(f"/operator/accounts/{bolt.id}/suspend")
    assert "Bolt is suspended." in page
    assert f'action="/operator/accounts/{bolt.id}/allow" class="row tight"' in page, "which can be undone"
    assert (await other_browser.get("/developers")).path.startswith("/login")
    with pytest.raises(Exception, match="suspended"):
        await tokens.TokenDesk(runtime).recognise(made.text)
    await operator.post(f"/operator/accounts/{bolt.id}/allow")
    assert (await other_browser.get("/developers")).status == 200
    kept = [(line.name, line.actor, line.account_id, bool(line.as_operator)) for line in await lines(runtime)]
    who = "ada@larkfield.example"
    assert kept == [("account_suspended", who, bolt.id, True), ("account_allowed", who, bolt.id, True)]


async def test_not_ones_own_account(operator: Browser, runtime: Runtime) -> None:
    """An operator cannot lock themselves out."""
    own = await people.find_account_by_email(runtime, "ada@larkfield.example")
    page = await operator.post(f"/operator/accounts/{own.id}/suspend")
    assert page.status == 409
    assert (await operator.get("/operator")).status == 200


async def test_search_accounts(operator: Browser, runtime: Runtime) -> None:
    """Accounts are found by name or by address, fifty a page, there and back."""
    for n in range(60):
        await people.create_account(
            runtime, name=f"Shop {n}", email=f"shop{n}@many.example", password="x" * 3 + PASSWORD
        )
    page = await operator.get("/operator/accounts?find=SHOP5@many")
    assert re.findall(r'href="/operator/accounts/\d+">([^<]+)<', page.text) == ["Shop 5"]
    seen: list[str] = []
    page = await operator.get("/operator/accounts?find=shop")
    while True:
        seen += re.findall(r'href="/operator/accounts/\d+">([^<]+)<', page.text)
        older = re.search(r'rel="next" href="([^"]+)"', page.text)
        if not older:
            break
        page = await operator.get(older[1].replace("&amp;", "&"))
    assert seen == [f"Shop {n}" for n in range(59, -1, -1)]
    assert "No such account" in await operator.get("/operator/accounts?find=nobody")


async def test_limits(operator: Browser, runtime: Runtime, bolt: Account) -> None:
    """A token's limit is set, given up, and refused where it is no number; a token of another account is not found."""
    made = await tokens.create_token(runtime, bolt.id, "Shop")
    here = f"/operator/accounts/{bolt.id}/tokens/{made.token.id}/limit"
    for typed, limit in (("60", 60), ("0", 0), ("", None)):
        page = await operator.post(here, {"rate_limit": typed})
        assert "The limit is set." in page
        assert (await tokens.find_token(runtime, bolt.id, made.token.id)).rate_limit_per_minute == limit
    for typed in ("many", "-1", "9" * 12):
        page = await operator.post(here, {"rate_limit": typed})
        assert page.status == 422
        assert 'id="rate_limit-error"' in page
    own = await people.find_account_by_email(runtime, "ada@larkfield.example")
    stranger = f"/operator/accounts/{own.id}/tokens/{made.token.id}/limit"
    assert (await operator.post(stranger, {"rate_limit": "5"})).status == 404


async def test_act_for_an_account(operator: Browser, runtime: Runtime, bolt: Account) -> None:
    """An operator sees another account as its owner does, under a banner, and what they do there names them."""
    page = await operator.post(f"/operator/accounts/{bolt.id}/act")
    assert "You act for Bolt" in page
    assert "Bolt" in await operator.get("/developers")
    page = await operator.post("/developers/tokens", {"name": "Made for them", "scopes": ["send"]})
    assert page.status == 200
    assert [token.name for token in await tokens.list_tokens(runtime, bolt.id)] == ["Made for them"]
    page = await operator.post("/operator/stop-acting")
    assert "You are yourself again." in page
    assert "You act for" not in await operator.get("/developers")
    assert "Made for them" not in await operator.get("/developers")
    found = await lines(runtime)
    assert [line.name for line in found] == ["acting_began", "token_created", "acting_ended"]
    assert {(line.actor, line.account_id, bool(line.as_operator)) for line in found} == {
        ("ada@larkfield.example", bolt.id, True)
    }
    page = await operator.get(f"/operator/audit?account={bolt.id}")
    assert "began to act for the account" in page
    assert "Made for them" in page


async def test_acting_ends_with_the_right(operator: Browser, runtime: Runtime, bolt: Account) -> None:
    """Who is no longer an operator is back in their own account at once."""
    await operator.post(f"/operator/accounts/{bolt.id}/act")
    await people.set_operator(runtime, "ada@larkfield.example", is_operator=False)
    page = await operator.get("/developers")
    assert "Larkfield Cycles" in page
    assert "You act for" not in page
    assert (await operator.post("/operator/stop-acting")).status == 403


async def test_callbacks_with_trouble(operator: Browser, runtime: Runtime, bolt: Account) -> None:
    """What could not be applied is shown as it came, escaped, and is applied again one by one or all together."""
    row = await runtime.database.write(lambda tx: connections.put_connection(tx, new_connection(bolt.id)))
    made = [Callback(bolt.id, new_id(), row.id, now_ms(), b'{"<script>": %d}' % n, None) for n in range(3)]
    await runtime.database.write(lambda tx: callbacks.add_callbacks(tx, made))
    owner = new_id()
    for _ in made:
        claimed = await runtime.database.write(
            lambda tx: queues.claim_due(tx, queues.CALLBACKS, owner, now_ms() + 60_000, now_ms(), 1)
        )
        key = claimed[0][:2]
        await runtime.database.write(lambda tx, key=key: queues.finish(tx, queues.CALLBACKS, owner, [key]))  # type: ignore[misc]
    for one in made[:2]:
        sentence = "It names a number that nobody has."
        await runtime.database.write(
            lambda tx, one=one, sentence=sentence: callbacks.record_trouble(tx, bolt.id, one.id, sentence)  # type: ignore[misc]
        )
    page = await operator.get("/operator/callbacks")
    assert page.text.count("It names a number that nobody has.") == 2
    assert "&lt;script&gt;" in page
    assert "2 callbacks could not be applied." in await operator.get("/operator")

    async def owed() -> int:
        return (await runtime.database.read(lambda tx: queues.depth(tx, queues.CALLBACKS, now_ms())))[0]

    assert await owed() == 0
    page = await operator.post(f"/operator/callbacks/{bolt.id}/{made[0].id.hex()}/replay")
    assert "The callback is applied once more." in page
    assert await owed() == 1
    page = await operator.post("/operator/callbacks/replay")
    assert "2 callbacks are applied once more." in page
    assert await owed() == 2
    assert (await operator.post(f"/operator/callbacks/{bolt.id}/{'0' * 32}/replay")).status == 404
    assert [line.name for line in await lines(runtime)] == ["callback_replayed", "callbacks_replayed"]


async def test_health(operator: Browser, runtime: Runtime, bolt: Account) -> None:
    """Numbers that stand still come first and say why; queues tell their depth."""
    row = await runtime.database.write(lambda tx: connections.put_connection(tx, new_connection(bolt.id)))
    why = "This sender's token has expired or is invalid."
    await runtime.database.write(lambda tx: connections.hold(tx, row.id, "number", "token_invalid", why, None))
    page = await operator.get("/operator")
    assert "1 of them stands still" in page
    assert "token has expired or is invalid" in page
    assert "Nothing waits in the queues." in page


async def test_what_accounts_do_leaves_a_line(ada: Browser, runtime: Runtime) -> None:
    """Tokens made and revoked and members invited by the account itself are in the log, without an operator's mark."""
    await ada.get("/developers")
    await ada.post("/developers/tokens", {"name": "Shop", "scopes": ["send"]})
    account = await people.find_account_by_email(runtime, "ada@larkfield.example")
    (token,) = await tokens.list_tokens(runtime, account.id)
    await ada.post(f"/developers/tokens/{token.id}/revoke")
    await ada.post("/account/invitations", {"email": "eve@larkfield.example", "role": "viewer"})
    found = [(line.name, line.subject, bool(line.as_operator)) for line in await lines(runtime)]
    assert found == [
        ("token_created", "Shop", False),
        ("token_revoked", "Shop", False),
        ("member_invited", "eve@larkfield.example, viewer", False),
    ]


async def test_what_the_command_line_does_leaves_a_line(settings: Settings, runtime: Runtime, bolt: Account) -> None:
    """Whoever has a shell is in the log, too."""
    environ = {"HELIOGRAPH_HOME": settings.home}
    for command in (
        ("tokens", "create", "--account", str(bolt.id), "--name", "Till"),
        ("accounts", "operator", "bob@bolt.example"),
    ):
        code, _, complaints = await run_command(environ, *command)
        assert code == 0, complaints
    found = [(line.name, line.actor, line.subject) for line in await lines(runtime)]
    assert found == [
        ("token_created", "command line", "Till"),
        ("operator_added", "command line", "bob@bolt.example"),
    ]


def test_every_word_of_the_log_is_told() -> None:
    """Whatever is written into the log has a sentence on its page."""
    source = Path(operator_words.__file__).parents[2]
    text = "\n".join(path.read_text() for path in source.rglob("*.py") if "audit" not in path.name)
    written = set(re.findall(r'(?:visit\.note\(|SHELL, |actor, )"([a-z_]+)"', text))
    assert {"token_created", "second_factor_on", "acting_began"} <= written
    assert written <= set(operator_words.NAMES)
