"""What a token may do, until when and from where; and the record of calls that its developers read."""

import pytest
from tests.kit.house import Client, House, Tenant
from tests.kit.waiting import eventually

from heliograph.accounts import tokens
from heliograph.core.ids import now_ms
from heliograph.errors import Invalid
from heliograph.runtime import open_runtime
from heliograph.store.api_calls import ApiCall, api_calls

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEND = {"recipient": "31612345678", "sender_id": "YourName", "type": "whatsapp", "message": "Hello"}


async def new_token(house: House, tenant: Tenant, **bounds: object) -> dict[str, str]:
    async with open_runtime(house.settings) as runtime:
        made = await tokens.create_token(runtime, tenant.account_id, "bounded", **bounds)  # type: ignore[arg-type]
    return {"Authorization": f"Bearer {made.text}"}


async def test_scopes(client: Client, house: House, tenant: Tenant) -> None:
    """A token that may only read cannot send, cancel or mark; one that may only send cannot look; admin may both."""
    uid = (await client.send())["uid"]
    reads = await new_token(house, tenant, scopes=["read"])
    sends = await new_token(house, tenant, scopes=["send"])
    both = await new_token(house, tenant, scopes=["admin"])
    for method, path, value, needs in (
        ("GET", f"/api/v3/sms/{uid}", None, "read"),
        ("GET", f"/api/v3/sms/{uid}/explain", None, "read"),
        ("GET", "/api/http/sms", None, "read"),
        ("POST", "/api/v3/sms/send", SEND, "send"),
        ("GET", "/api/http/sms/send?recipient=31612345678&sender_id=YourName&message=x", None, "send"),
        ("POST", f"/api/v3/sms/{uid}/cancel", None, "send"),
    ):
        for scope, headers in (("read", reads), ("send", sends), ("admin", both)):
            status, body, _ = await client.call(method, path, value, headers=headers)
            refused = (status, body.get("code")) == (403, "scope_missing")
            assert refused == (scope not in {needs, "admin"}), (path, scope, body)


async def test_allowed_networks(client: Client, house: House, tenant: Tenant) -> None:
    """A token works from its addresses only, as one address or as a block."""
    for allowed, status in (("127.0.0.0/8", 200), ("127.0.0.1, 192.0.2.1", 200), ("192.0.2.0/24", 403), ("::1", 403)):
        headers = await new_token(house, tenant, allowed_networks=allowed)
        answered, body, _ = await client.call("GET", "/api/v3/sms", headers=headers)
        assert answered == status, body
        assert status == 200 or body["code"] == "address_not_allowed"


async def test_expiry(client: Client, house: House, tenant: Tenant) -> None:
    """A token works until its time and is unknown afterwards, although it was used a moment before."""
    headers = await new_token(house, tenant, expires_at_ms=now_ms() + 1_500)
    assert (await client.call("GET", "/api/v3/sms", headers=headers))[0] == 200

    async def ended() -> bool:
        return (await client.call("GET", "/api/v3/sms", headers=headers))[0] == 401

    await eventually(ended)


@pytest.mark.parametrize(
    "bounds", [{"scopes": []}, {"scopes": ["write"]}, {"allowed_networks": "10.0.0.0/33"}, {"expires_at_ms": 1}]
)
async def test_bounds_that_cannot_be(house: House, tenant: Tenant, bounds: dict[str, object]) -> None:
    """No scope, an unknown one, a block that is none and an end in the past are refused."""
    with pytest.raises(Invalid):
        await new_token(house, tenant, **bounds)


async def test_calls_are_recorded(house: House) -> None:
    """The account's developers see each call with its answer, the reason of a refusal and the request id, and no text."""
    tenant = await house.open_account("Calls", "YourName", subscribe=False, phone_number_id="100000000000002")
    async with Client(house, tenant) as client:
        await client.call("POST", "/api/v3/sms/send", SEND, headers={"X-Request-Id": "good-one"})
        path = f"/api/http/sms/send?message=secret&api_token={tenant.token}"
        await client.call("POST", path, {"sender_id": "x"}, headers={"X-Request-Id": "bad-one"})

    async def recorded() -> dict[str, ApiCall] | None:
        async with open_runtime(house.settings) as runtime:
            found = await runtime.database.read(lambda tx: api_calls(tx, tenant.account_id, 50))
        by_request = {call.request_id: call for call in found}
        return by_request if {"good-one", "bad-one"} <= set(by_request) else None

    calls = await eventually(recorded)
    assert calls is not None
    good, bad = calls["good-one"], calls["bad-one"]
    assert (good.http_status, good.code, good.method, good.address) == (200, "", "POST", "127.0.0.1")
    assert (bad.http_status, bad.code, bad.path) == (422, "invalid", "/api/http/sms/send")
    assert "recipient" in bad.sentence
