"""One account never sees, guesses or changes what is another's: for every address of the route table."""

import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from tests.kit.house import Client, House, run_command
from tests.kit.waiting import eventually

from heliograph.api.routes import ROUTES

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVERY = sorted(
    {
        (f"/api/{flavour}{route.path}", method)
        for route in ROUTES
        for flavour in route.flavours
        for method in route.handlers
    }
)
OF_A_MESSAGE = [(path, method) for path, method in EVERY if "{uid}" in path]
OTHERS = [(path, method) for path, method in EVERY if "{uid}" not in path]
NOBODYS = "0190f3c2a1b27c3d8e4f5a6b7c8d9e0f"


class Belongings:
    """What the first account has: one message of each kind."""

    def __init__(self, sent: str, scheduled: str, received: str) -> None:
        self.sent, self.scheduled, self.received = sent, scheduled, received
        self.uids = (sent, scheduled, received)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theirs(house: House, client: Client) -> Belongings:
    sent = await client.send(message="private words")
    scheduled = await client.send(schedule_time="2027-01-02 07:00", message="private words")
    await house.carrier.post("/__emulator/say", {"from": "31655500001", "text": "private words"})
    await client.until(sent["uid"], "Delivered")

    async def incoming() -> str:
        _, body, _ = await client.call("GET", "/api/v3/sms?direction=incoming")
        rows = body["data"]["data"]
        return str(rows[0]["uid"]) if rows else ""

    return Belongings(sent["uid"], scheduled["uid"], await eventually(incoming))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stranger(house: House) -> AsyncIterator[Client]:
    tenant = await house.open_account("Stranger", "Mine", subscribe=False, phone_number_id="100000000000002")
    async with Client(house, tenant) as opened:
        yield opened


def without_id(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "request_id"}


@pytest.mark.parametrize(("path", "method"), OF_A_MESSAGE)
async def test_messages_of_others(client: Client, stranger: Client, theirs: Belongings, path: str, method: str) -> None:
    """Another account's uid is answered exactly as one that nobody has, and nothing about the message changes."""
    before = [await client.explain(uid) for uid in theirs.uids]
    status, nobodys, _ = await stranger.call(method, path.replace("{uid}", NOBODYS))
    assert status == 404
    for uid in theirs.uids:
        for how in ({}, {"json": {"account_id": client.tenant.account_id, "uid": uid}}, {"params": {"uid": uid}}):
            status, body, _ = await stranger.call(method, path.replace("{uid}", uid), **how)
            assert (status, without_id(body)) == (404, without_id(nobodys))
            assert "private" not in msgspec.json.encode(body).decode()
    assert [await client.explain(uid) for uid in theirs.uids] == before


@pytest.mark.parametrize(("path", "method"), OTHERS)
async def test_addresses_without_a_message(
    client: Client, stranger: Client, theirs: Belongings, path: str, method: str
) -> None:
    """Neither lists nor sends reach over: another's senders are refused, another's messages are not shown."""
    _, before, _ = await client.call("GET", "/api/v3/sms")
    fields = {"recipient": "31612345678", "sender_id": "YourName", "message": "not mine", "cursor": "10"}
    status, body, _ = await stranger.call(method, path, params=fields)
    shown = msgspec.json.encode(body).decode()
    assert "private" not in shown
    assert not any(uid in shown for uid in theirs.uids)
    if path.endswith("/campaign"):
        assert status == 404
    elif method == "GET" and path.endswith("/sms"):
        assert (status, body["data"]["data"], body["data"]["total"]) == (200, [], 0)
    else:
        assert (status, body["code"]) == (403, "sender_not_approved")
    _, after, _ = await client.call("GET", "/api/v3/sms")
    assert after["data"]["total"] == before["data"]["total"]


async def test_every_address_is_tried() -> None:
    """The two tests above know every placeholder that an address has."""
    assert {name for path, _ in EVERY for name in re.findall(r"\{(\w+)\}", path)} <= {"uid"}
    assert len(OF_A_MESSAGE) >= 10
    assert len(OTHERS) >= 7


@pytest.mark.parametrize(
    "filters", ["", "?recipient=31612345678", "?status=Delivered", "?direction=incoming", "?cursor=9"]
)
async def test_lists_of_others(stranger: Client, theirs: Belongings, filters: str) -> None:
    """No filter and no cursor shows what is another's, nor how much there is of it."""
    _, body, _ = await stranger.call("GET", f"/api/v3/sms{filters}")
    assert (body["data"]["data"], body["data"]["total"], body["data"]["next_cursor"]) == ([], 0, None)


async def test_idempotency_keys_of_others(client: Client, stranger: Client) -> None:
    """The same key means something of its own in each account."""
    headers = {"Idempotency-Key": "shared"}
    fields = {"recipient": "31612345678", "message": "Hello", "schedule_time": "2027-01-02 07:00"}
    _, first, _ = await client.call("POST", "/api/v3/sms/send", {**fields, "sender_id": "YourName"}, headers=headers)
    status, second, told = await stranger.call(
        "POST", "/api/v3/sms/send", {**fields, "sender_id": "Mine"}, headers=headers
    )
    assert (status, "idempotent-replayed" in told) == (200, False)
    assert first["data"]["uid"] != second["data"]["uid"]
    status, _, _ = await stranger.call("POST", f"/api/v3/sms/{second['data']['uid']}/cancel")
    assert status == 200


async def test_mixed_tokens(client: Client, stranger: Client, theirs: Belongings) -> None:
    """The token of the header decides, also where the body names the owner's."""
    status, _, _ = await stranger.call("GET", f"/api/v3/sms/{theirs.sent}", json={"api_token": client.tenant.token})
    assert status == 404
    status, _, _ = await stranger.call("GET", f"/api/http/sms/{theirs.sent}?api_token={client.tenant.token}")
    assert status == 404


@pytest.mark.parametrize("change", ["x{}", "{}x", "1|{}", "{}|x"])
async def test_tokens_are_not_guessed(client: Client, stranger: Client, change: str) -> None:
    """A token with another's number, or with anything added or taken away, is none."""
    number, _, secret = stranger.tenant.token.partition("|")
    owner = client.tenant.token.partition("|")[0]
    for text in (
        change.format(stranger.tenant.token),
        f"{owner}|{secret}",
        f"{number}|",
        f"{number}|{secret[:-1]}",
        secret,
    ):
        status, body, _ = await stranger.call("GET", "/api/v3/sms", headers={"Authorization": f"Bearer {text}"})
        assert (status, body["code"]) == (401, "unauthenticated"), text


async def test_numbers_of_others(house: House, client: Client, stranger: Client) -> None:
    """A number that one account has cannot be connected by another, so nobody's callbacks can be taken over."""
    code, _, complaint = await run_command(
        house.environ,
        *("senders", "add", "Taken", "--account", str(stranger.tenant.account_id)),
        *("--phone-number-id", "100000000000001", "--business-account-id", "200000000000002"),
        *("--token", "EMULATOR-TOKEN-not-a-secret-0000000000", "--app-secret", "emulator-app-secret-not-a-secret"),
        *("--base-url", house.carrier.url),
    )
    assert (code, "Another account" in complaint) == (1, True)


async def test_commands_name_their_account(house: House, stranger: Client, theirs: Belongings, client: Client) -> None:
    """A command for one account does not show or change another's: message, token, sender."""
    account = ("--account", str(stranger.tenant.account_id))
    token_id = client.tenant.token.partition("|")[0]
    for command in (
        ("messages", "show", theirs.sent),
        ("tokens", "revoke", token_id),
        ("senders", "remove", "YourName"),
        ("senders", "resume", "YourName"),
        ("senders", "change", "YourName", "--resend-unknown"),
    ):
        code, shown, complaint = await run_command(house.environ, *command, *account)
        assert (code, shown) == (1, ""), command
        assert complaint.startswith("heliograph: ")
    assert (await client.view(theirs.sent))["status"] == "Delivered"
