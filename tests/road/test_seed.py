"""The contract's own curl lines (v3-api.md §13.1), run by curl, word for word but for address and token."""

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.kit.house import Client, House, Tenant
from tests.kit.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


def curl(script: str, house: House, tenant: Tenant) -> Any:
    script = script.replace("https://sms.infopromo.digital", house.url).replace("{your api_token}", tenant.token)
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, timeout=30)
    return msgspec.json.decode(done.stdout)


SEND_V3 = r"""curl -X POST https://sms.infopromo.digital/api/v3/sms/send \
 -H 'Authorization: Bearer {your api_token}' \
 -H 'Content-Type: application/json' \
 -H 'Accept: application/json' \
 -d '{ "recipient":"31612345678", "sender_id":"YourName", "type":"whatsapp", "message":"This is a test message" }'"""
VIEW_V3 = r"""curl -X GET https://sms.infopromo.digital/api/v3/sms/606812e63f78b \
 -H 'Authorization: Bearer {your api_token}' \
 -H 'Content-Type: application/json' \
 -H 'Accept: application/json'"""
LIST_V3 = r"""curl -X GET https://sms.infopromo.digital/api/v3/sms \
 -H 'Authorization: Bearer {your api_token}' \
 -H 'Content-Type: application/json' \
 -H 'Accept: application/json'"""
SEND_HTTP = r"""curl -X POST https://sms.infopromo.digital/api/http/sms/send \
 -d '{ "api_token":"{your api_token}", "recipient":"31612345678", "sender_id":"YourName", "type":"whatsapp", "message":"This is a test message"
}'"""  # noqa: E501 - as the contract prints it
VIEW_HTTP = r"""curl -X GET https://sms.infopromo.digital/api/http/sms/606812e63f78b \
 -H 'Content-Type: application/json' \
 -H 'Accept: application/json' \
 -d '{
"api_token":"{your api_token}"
}'"""
LIST_HTTP = r"""curl -X GET https://sms.infopromo.digital/api/http/sms \
 -H 'Content-Type: application/json' \
 -H 'Accept: application/json' \
 -d '{
"api_token":"{your api_token}"
}'"""


@pytest.mark.parametrize(("send", "view", "listing"), [(SEND_V3, VIEW_V3, LIST_V3), (SEND_HTTP, VIEW_HTTP, LIST_HTTP)])
async def test_the_contracts_own_lines(
    house: House, tenant: Tenant, client: Client, send: str, view: str, listing: str
) -> None:
    """Send, view and list as the contract prints them; the message reaches the carrier once and becomes Delivered."""
    sent = curl(send, house, tenant)
    assert sent["status"] == "success"
    assert "successfully" in sent["message"]
    uid = sent["data"]["uid"]
    assert sent["data"] | {"to": "31612345678", "from": "YourName", "message": "This is a test message"} == sent["data"]
    assert isinstance(sent["data"]["cost"], str)
    await client.until(uid, "Delivered")
    viewed = curl(view.replace("606812e63f78b", uid), house, tenant)
    assert (viewed["status"], viewed["message"], viewed["data"]["status"]) == ("success", None, "Delivered")
    listed = curl(listing, house, tenant)
    assert listed["data"]["data"][0]["uid"] == uid
    assert listed["data"]["per_page"] == 25
    took = [m for m in await house.carrier.messages() if uid in m["biz_opaque_callback_data"]]
    assert [(m["to"], m["text"]) for m in took] == [("31612345678", "This is a test message")]


async def test_an_error_as_the_contract_shows_it(house: House, tenant: Tenant) -> None:
    """An unknown uid answers with status error and a sentence."""
    found = curl(VIEW_V3, house, tenant)
    assert (found["status"], found["message"]) == ("error", "SMS Info not found")


async def test_a_long_body_waits_for_100_continue(house: House, tenant: Tenant, tmp_path: Path) -> None:
    """curl asks first before it sends a body of more than a megabyte's part; it is told to go on, and is served."""
    body = tmp_path / "body.json"
    numbers = [f"3161{n:07d}" for n in range(1000)]
    value = {"recipient": ",".join(numbers), "sender_id": "YourName", "type": "whatsapp", "message": "x" * 3000}
    body.write_bytes(msgspec.json.encode(value))
    script = (
        "curl -sS -X POST https://sms.infopromo.digital/api/v3/sms/send -H 'Expect: 100-continue' "
        "-H 'Authorization: Bearer {your api_token}' -H 'Content-Type: application/json' "
        f"--data-binary @{body}"
    )
    found = curl(script, house, tenant)
    assert found["status"] == "success"
    assert len(found["data"]["messages"]) == 1000
    uids = {message["uid"] for message in found["data"]["messages"]}
    assert len(uids) == 1000

    async def all_there() -> bool:
        took = [m["biz_opaque_callback_data"].split(".")[2] for m in await house.carrier.messages()]
        return len([uid for uid in took if uid in uids]) >= 1000

    await eventually(all_there, within_s=60, every_s=0.2)
    took = [m["biz_opaque_callback_data"].split(".")[2] for m in await house.carrier.messages()]
    assert sorted(uid for uid in took if uid in uids) == sorted(uids)
