"""The developers' page: tokens with bounds, shown once, revoked for good."""

import re

from tests.portal.conftest import Browser

from heliograph.accounts import people, tokens
from heliograph.core.ids import now_ms
from heliograph.runtime import Runtime
from heliograph.store.tokens import ApiToken

DAY_MS = 86_400_000


async def tokens_of(runtime: Runtime) -> list[ApiToken]:
    account = await people.find_account_by_email(runtime, "ada@larkfield.example")
    return await tokens.list_tokens(runtime, account.id)


async def test_a_token_is_shown_once(ada: Browser, runtime: Runtime) -> None:
    """The answer that makes it shows it, filled into each snippet; no later page does."""
    await ada.get("/developers")
    page = await ada.post("/developers/tokens", {"name": "Shop", "scopes": ["send", "read"]})
    found = re.search(r'<code id="new-token">([^<]+)</code>', page.text)
    assert found
    assert page.text.count(found[1]) >= 8
    assert found[1] not in await ada.get("/developers")
    assert "Shop" in await ada.get("/developers")


async def test_bounds(ada: Browser, runtime: Runtime) -> None:
    """Scopes, an end and addresses are kept as they were chosen; what cannot be is refused and stays typed."""
    await ada.get("/developers")
    bounds = {"name": "Bounded", "scopes": "read", "life": "30", "allowed_networks": "192.0.2.7, 198.51.100.0/24"}
    assert (await ada.post("/developers/tokens", bounds)).status == 200
    (token,) = await tokens_of(runtime)
    assert (token.scopes, token.allowed_networks) == ("read", "192.0.2.7/32 198.51.100.0/24")
    assert token.expires_at_ms is not None
    assert abs(token.expires_at_ms - now_ms() - 30 * DAY_MS) < DAY_MS
    for field, value in (("allowed_networks", "somewhere"), ("scopes", "fly"), ("name", "")):
        page = await ada.post("/developers/tokens", {**bounds, field: value})
        assert page.status == 422
        assert f'id="{field}-error"' in page
        assert 'value="Bounded"' in page or field == "name"
    page = await ada.post("/developers/tokens", {"name": "None"})
    assert 'id="scopes-error"' in page
    assert len(await tokens_of(runtime)) == 1


async def test_tokens_of_others(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """Nobody sees or revokes a token of another account."""
    await ada.get("/developers")
    await ada.post("/developers/tokens", {"name": "Shop", "scopes": "send"})
    (token,) = await tokens_of(runtime)
    await people.create_account(runtime, name="Other", email="eve@other.example", password="correct horse battery")
    await other_browser.log_in("eve@other.example")
    for call in (other_browser.get, other_browser.post):
        assert (await call(f"/developers/tokens/{token.id}/revoke")).status == 404
    assert "This cannot be undone." in await ada.get(f"/developers/tokens/{token.id}/revoke")
    assert "Shop is revoked." in await ada.post(f"/developers/tokens/{token.id}/revoke")
    assert (await ada.post(f"/developers/tokens/{token.id}/revoke")).status == 404
