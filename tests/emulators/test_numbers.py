"""Numbers: their facts, and the way from an unverified number to one that sends."""

from typing import Any

import pytest

from heliograph.emulators.cloud_api import defaults
from tests.emulators.kit import NUMBER, WABA, Client

UNREGISTERED = NUMBER[:-1] + "8"
OK = (200, {"success": True})


async def test_facts(client: Client) -> None:
    """Only what is asked for is told; the usual few when nothing is; the id always."""
    _, usual = await client.call("GET", NUMBER)
    assert usual["display_phone_number"] == "+1 555-010-0001"
    assert usual["throughput"] == {"level": "HIGH"}
    assert "health_status" not in usual
    fields = "display_phone_number,status,name_status,whatsapp_business_manager_messaging_limit,health_status,nonsense"
    _, facts = await client.call("GET", f"{NUMBER}?fields={fields}")
    assert set(facts) == {"id", *fields.split(",")} - {"nonsense"}
    assert facts["status"] == "CONNECTED"
    assert facts["health_status"]["can_send_message"] == "AVAILABLE"
    assert {one["entity_type"] for one in facts["health_status"]["entities"]} == {
        "PHONE_NUMBER",
        "WABA",
        "BUSINESS",
        "APP",
    }
    _, facts = await client.call("GET", f"{NUMBER[:-1]}9?fields=throughput")
    assert facts["throughput"] == {"level": "STANDARD"}


async def test_list(client: Client) -> None:
    """The numbers of an account, in pages."""
    _, body = await client.call("GET", f"{WABA}/phone_numbers")
    assert [one["id"] for one in body["data"]] == [NUMBER[:-1] + str(n) for n in range(1, 10)]
    _, body = await client.call("GET", f"{WABA}/phone_numbers?fields=id&limit=2")
    assert body["data"] == [{"id": NUMBER}, {"id": NUMBER[:-1] + "2"}]
    assert "next" in body["paging"]


async def test_from_nothing_to_sending(client: Client) -> None:
    """Code, verification, registration, each refused before its time; then the number sends."""
    register = {"messaging_product": "whatsapp", "pin": "123456"}
    status, body = await client.call("POST", f"{UNREGISTERED}/register", register)
    assert (status, body["error"]["code"]) == (400, 133006)
    status, body = await client.call("POST", f"{UNREGISTERED}/verify_code", {"code": defaults.VERIFICATION_CODE})
    assert (status, body["error"]["code"]) == (400, 136025)
    code = {"code_method": "SMS", "language": "en_US"}
    assert await client.call("POST", f"{UNREGISTERED}/request_code", data=code) == OK
    status, body = await client.call("POST", f"{UNREGISTERED}/verify_code", {"code": "000000"})
    assert (status, body["error"]["code"]) == (400, 136025)
    assert await client.call("POST", f"{UNREGISTERED}/verify_code", {"code": "123-456"}) == OK
    status, body = await client.call("POST", f"{UNREGISTERED}/request_code", code)
    assert (status, body["error"]["code"]) == (400, 136024)
    assert await client.call("POST", f"{UNREGISTERED}/register", register) == OK
    await client.send(number=UNREGISTERED)
    assert await client.call("POST", f"{UNREGISTERED}/deregister", {}) == OK
    assert (await client.refused({"to": "+31612345678", "text": {"body": "x"}}, UNREGISTERED))["code"] == 133010
    status, body = await client.call("POST", f"{UNREGISTERED}/register", {**register, "pin": "654321"})
    assert (status, body["error"]["code"]) == (400, 133005)


async def test_registration_is_rationed(client: Client) -> None:
    """The eleventh registration or deregistration in 72 hours is 133016."""
    register = {"messaging_product": "whatsapp", "pin": "123456"}
    for _ in range(10):
        assert await client.call("POST", f"{NUMBER}/register", register) == OK
    status, body = await client.call("POST", f"{NUMBER}/register", register)
    assert (status, body["error"]["code"]) == (400, 133016)


@pytest.mark.parametrize("pin", ["12345", "1234567", "abcdef", None, ["123456"]])
async def test_pin(client: Client, pin: Any) -> None:
    """A PIN is six digits; set once, it shows in the facts."""
    status, body = await client.call("POST", NUMBER, {"pin": pin})
    assert (status, body["error"]["code"]) == (400, 100)
    assert await client.call("POST", NUMBER, {"pin": "123456"}) == OK
    assert (await client.call("GET", f"{NUMBER}?fields=is_pin_enabled"))[1]["is_pin_enabled"] is True


async def test_add(client: Client) -> None:
    """A number that is added is not registered yet; one that is taken is refused."""
    new = {"cc": "1", "phone_number": "5550100055", "verified_name": "New"}
    _, made = await client.call("POST", f"{WABA}/phone_numbers", new)
    _, facts = await client.call("GET", f"{made['id']}?fields=status,display_phone_number,verified_name")
    assert facts == {
        "id": made["id"],
        "status": "UNVERIFIED",
        "display_phone_number": "+1 555-010-0055",
        "verified_name": "New",
    }
    assert (await client.call("POST", f"{WABA}/phone_numbers", new))[0] == 400


async def test_profile(client: Client) -> None:
    """The profile keeps what it is given, in Meta's limits, and tells the fields that are asked for."""
    new = {
        "messaging_product": "whatsapp",
        "about": "Light",
        "email": "a@example.org",
        "websites": ["https://a.example"],
    }
    assert await client.call("POST", f"{NUMBER}/whatsapp_business_profile", new) == OK
    _, body = await client.call("GET", f"{NUMBER}/whatsapp_business_profile?fields=about,websites")
    assert body == {"data": [{"about": "Light", "websites": ["https://a.example"], "messaging_product": "whatsapp"}]}
    for wrong in ({"about": "x" * 140}, {"about": ""}, {"email": "x" * 129}, {"websites": ["a", "b", "c"]}):
        status, _ = await client.call(
            "POST", f"{NUMBER}/whatsapp_business_profile", {"messaging_product": "whatsapp", **wrong}
        )
        assert status == 400


async def test_numbers_by_control(client: Client) -> None:
    """Testers add numbers with ids of their own choice, in accounts of their own, with the bundled templates."""
    await client.control("POST", "numbers", {"id": "777", "digits": "15550100077", "waba_id": "888"})
    await client.send(number="777")
    _, body = await client.call("GET", "888/message_templates?name=heliograph_message")
    assert len(body["data"]) == 1
    assert "777" in [one["id"] for one in (await client.control("GET", "numbers"))["numbers"]]
