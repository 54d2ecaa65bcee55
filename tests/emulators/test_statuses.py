"""What is called back of a message: its statuses, signed, in Meta's writing, until they are taken."""

import asyncio
import itertools
import re
from typing import Any

import pytest

from heliograph.emulators.cloud_api import defaults
from tests.emulators.kit import NUMBER, PERSON, WABA, Client, Receiver, emulating


async def test_sent_then_delivered(client: Client, receiver: Receiver) -> None:
    """An ordinary recipient is sent to, then it is delivered; both carry the reference, the person and the price."""
    await client.subscribe(receiver)
    wamid = await client.send(biz_opaque_callback_data="ref-1")
    await receiver.until(lambda: len(receiver.statuses(wamid)) == 2)
    assert sorted(receiver.words(wamid)) == ["delivered", "sent"]
    change = receiver.changes()[0]
    assert change["entry"]["id"] == WABA
    assert "time" not in change["entry"]
    value = change["value"]
    assert value["metadata"] == {"display_phone_number": "15550100001", "phone_number_id": NUMBER}
    (person,) = value["contacts"]
    assert person["wa_id"] == PERSON
    assert person["profile"]["name"]
    for status in receiver.statuses(wamid):
        assert status["recipient_id"] == PERSON
        assert status["recipient_user_id"] == person["user_id"]
        assert status["biz_opaque_callback_data"] == "ref-1"
        assert status["timestamp"].isdecimal()
        assert "conversation" not in status
        assert "errors" not in status
        expected = {"billable": False, "pricing_model": "PMP", "type": "free_customer_service", "category": "service"}
        assert status["pricing"] == expected


async def test_writing(client: Client, receiver: Receiver) -> None:
    """A callback is pure ASCII with escaped slashes, and its signature covers these very bytes (the receiver checks)."""
    await client.subscribe(receiver)
    await client.send(to="12025550102", biz_opaque_callback_data="é/👍")
    await receiver.until(lambda: len(receiver.bodies) >= 2)
    for raw in receiver.bodies:
        assert raw.isascii()
        assert rb"\u00e9\/\ud83d\udc4d" in raw
        assert not re.search(rb"(?<!\\)/", raw)
        assert rb"\u00c9mile" in raw


async def test_templates_are_billed(client: Client, receiver: Receiver) -> None:
    """A template's statuses carry its category and a price; its answer says `accepted`."""
    await client.subscribe(receiver)
    wanted = {
        "to": f"+{PERSON}",
        "type": "template",
        "template": {"name": "hello_world", "language": {"code": "en_US"}},
    }
    _, body = await client.post(wanted)
    assert body["messages"][0]["message_status"] == "accepted"
    await receiver.until(lambda: len(receiver.statuses()) == 2)
    expected = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"}
    assert [status["pricing"] for status in receiver.statuses()] == [expected, expected]


async def test_conversation_of_old_versions(client: Client, receiver: Receiver) -> None:
    """Up to v23.0 a status has a conversation, with its expiry on `sent` only."""
    await client.subscribe(receiver)
    wanted = {"messaging_product": "whatsapp", "to": f"+{PERSON}", "text": {"body": "x"}}
    headers = {"Authorization": f"Bearer {client.token}"}
    async with client.session.post(f"{client.url}/v23.0/{NUMBER}/messages", json=wanted, headers=headers) as answer:
        assert answer.status == 200
    await receiver.until(lambda: len(receiver.statuses()) == 2)
    by_word = {status["status"]: status["conversation"] for status in receiver.statuses()}
    assert by_word["sent"]["expiration_timestamp"].isdecimal()
    assert "expiration_timestamp" not in by_word["delivered"]
    assert by_word["sent"]["id"] == by_word["delivered"]["id"]


async def test_everybody_reads(receiver: Receiver) -> None:
    """With --read every message ends as read; with --skip-delivered without `delivered` before."""
    async with emulating(read=True) as client:
        await client.subscribe(receiver)
        wamid = await client.send()
        await receiver.until(lambda: len(receiver.words(wamid)) == 3)
        assert sorted(receiver.words(wamid)) == ["delivered", "read", "sent"]
    async with emulating(read=True, skip_delivered=True) as client:
        await client.subscribe(receiver)
        wamid = await client.send()
        await receiver.until(lambda: len(receiver.words(wamid)) == 2)
        assert sorted(receiver.words(wamid)) == ["read", "sent"]
        assert all("pricing" in status for status in receiver.statuses(wamid))


async def test_retries(client: Client, receiver: Receiver) -> None:
    """What is not answered with 200 comes again, with growing gaps, the same each time, until it is taken."""
    times: list[float] = []

    def answer(so_far: int) -> int:
        times.append(asyncio.get_running_loop().time())
        return 200 if so_far >= 8 else 500

    receiver.answer = answer
    await client.subscribe(receiver)
    wamid = await client.send(to="12025550103")  # only `sent`
    await receiver.until(lambda: len(receiver.bodies) == 9)
    assert receiver.words(wamid) == ["sent"] * 9
    assert len(set(receiver.bodies)) == 1
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    for gap, planned in zip(gaps, (0.02, 0.04, 0.08, 0.16, 0.2, 0.2, 0.2, 0.2), strict=True):
        assert gap > planned - 0.01
    assert gaps[7] < 2.0  # --retry-longest holds: doubled once more it were 2.56
    callbacks = (await client.control("GET", "stats"))["callbacks"]
    assert (callbacks["failed"], callbacks["updates_waiting"]) == (8, 0)


async def test_nobody_listens_for_a_while(client: Client) -> None:
    """A receiver that was down gets everything once it is up."""
    first = Receiver()
    async with first.listening():
        await client.subscribe(first)
        port = int(first.url.split(":")[2].split("/")[0])
    sent = {await client.send(to=f"3161234{last:04d}") for last in range(50)}
    from aiohttp import web

    application = web.Application()
    application.router.add_route("*", "/hook", first.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await first.until(lambda: len({(s["id"], s["status"]) for s in first.statuses()}) == 100)
        assert {status["id"] for status in first.statuses()} == sent
    finally:
        await runner.cleanup()


async def test_piled_up_updates_share_callbacks(receiver: Receiver) -> None:
    """When updates pile up, several entries come in one callback; gathered on purpose they do so always."""
    async with emulating(pair_limit=False, gather_s=0.2, parallel=1) as client:
        await client.subscribe(receiver)
        for _ in range(20):
            await client.send()
        await receiver.until(lambda: len(receiver.statuses()) == 40)
        assert len(receiver.bodies) < 20


async def test_one_update_a_callback(receiver: Receiver) -> None:
    """With --batch 1 every update has a callback of its own, whatever piles up."""
    async with emulating(pair_limit=False, batch=1, parallel=1) as client:
        await client.subscribe(receiver)
        for _ in range(20):
            await client.send()
        await receiver.until(lambda: len(receiver.statuses()) == 40)
        assert len(receiver.bodies) == 40


async def test_duplicates(receiver: Receiver) -> None:
    """With --duplicates every callback is posted more than once, byte for byte."""
    async with emulating(duplicates=2) as client:
        await client.subscribe(receiver)
        await client.send(to="12025550103")
        await receiver.until(lambda: len(receiver.bodies) == 3)
        assert len(set(receiver.bodies)) == 1


async def test_window_failed_later(receiver: Receiver) -> None:
    """With --window fail free text is accepted first and fails with 131047 then, without `contacts`."""
    async with emulating(window="fail") as client:
        await client.subscribe(receiver)
        wamid = await client.send(biz_opaque_callback_data="ref")
        await receiver.until(lambda: receiver.statuses(wamid))
        (status,) = receiver.statuses(wamid)
        assert (status["status"], status["errors"][0]["code"]) == ("failed", 131047)
        assert status["biz_opaque_callback_data"] == "ref"
        assert "contacts" not in receiver.changes()[0]["value"]
        assert "pricing" not in status


async def test_reference_left_out_on_failed(receiver: Receiver) -> None:
    """Nothing is promised for the reference on `failed`: a switch leaves it out."""
    async with emulating(reference_on_failed=False) as client:
        await client.subscribe(receiver)
        wamid = await client.send(to="12025550110", biz_opaque_callback_data="ref")
        await receiver.until(lambda: receiver.statuses(wamid))
        assert "biz_opaque_callback_data" not in receiver.statuses(wamid)[0]


async def test_contacts_on_failed(receiver: Receiver) -> None:
    """For clients that cannot bear a `failed` without `contacts`, a switch adds them."""
    async with emulating(contacts_on_failed=True) as client:
        await client.subscribe(receiver)
        wamid = await client.send(to="12025550110")
        await receiver.until_word(wamid, "failed")
        assert receiver.changes()[0]["value"]["contacts"][0]["wa_id"] == "12025550110"


async def test_identity_check(client: Client, receiver: Receiver) -> None:
    """With the number's check on, statuses tell the identity hash, and a send with another one fails with 137000."""
    await client.subscribe(receiver)
    check = {"user_identity_change": {"enable_identity_key_check": True}}
    assert (await client.call("POST", f"{NUMBER}/settings", check))[0] == 200
    _, settings = await client.call("GET", f"{NUMBER}/settings")
    assert settings["user_identity_change"] == {"enable_identity_key_check": True}
    wamid = await client.send()
    await receiver.until_word(wamid, "delivered")
    known = receiver.statuses(wamid)[0]["recipient_identity_key_hash"]
    wamid = await client.send(recipient_identity_key_hash=known)
    await receiver.until_word(wamid, "delivered")
    wamid = await client.send(recipient_identity_key_hash="somebody else")
    await receiver.until_word(wamid, "failed")
    assert receiver.statuses(wamid)[0]["errors"][0]["code"] == 137000


async def test_links_that_lead_nowhere(receiver: Receiver) -> None:
    """A linked file that cannot be fetched fails after the answer, with 131053; one that can be had is delivered."""
    async with emulating(fetch_links=True) as client:
        await client.subscribe(receiver)
        told = await client.control("POST", "say", {"kind": "image", "wait_s": 5})
        assert told["taken"]
        picture = receiver.inbound()[0]["image"]["url"] + f"&access_token={client.token}"
        fates: dict[str, Any] = {
            picture: "delivered",
            "http://127.0.0.1:1/a.jpg": "failed",
            "https://x.invalid/a": "failed",
        }
        for link, fate in fates.items():
            _, body = await client.post({"to": f"+{PERSON}", "type": "image", "image": {"link": link}})
            wamid = body["messages"][0]["id"]
            await receiver.until_word(wamid, fate)
            if fate == "failed":
                assert [status["errors"][0]["code"] for status in receiver.statuses(wamid)] == [131053]


# Subscriptions


async def test_app_token(client: Client, receiver: Receiver) -> None:
    """The app's own token comes for its id and secret, and manages the app's subscription."""
    asked = f"client_id=300000000000003&client_secret={defaults.APP_SECRET}&grant_type=client_credentials"
    async with client.session.get(f"{client.url}/v26.0/oauth/access_token?{asked}") as answer:
        client.token = (await answer.json())["access_token"]
    async with client.session.get(f"{client.url}/v26.0/oauth/access_token?client_id=1&client_secret=x") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, 101)
    wanted = {"object": "whatsapp_business_account", "callback_url": receiver.url, "verify_token": "word"}
    path = "300000000000003/subscriptions"
    assert await client.call("POST", path, params=wanted) == (200, {"success": True})
    _, body = await client.call("GET", path)
    assert body["data"][0]["callback_url"] == receiver.url
    assert await client.call("DELETE", path) == (200, {"success": True})
    assert await client.call("GET", path) == (200, {"data": []})


async def test_verification(client: Client, receiver: Receiver) -> None:
    """An address is verified by a challenge before it is taken, and refused when it does not answer with it."""
    wanted = {"override_callback_uri": receiver.url, "verify_token": "wrong"}
    status, body = await client.call("POST", f"{WABA}/subscribed_apps", wanted)
    assert (status, body["error"]["code"]) == (400, 2200)
    assert await client.call("GET", f"{WABA}/subscribed_apps") == (200, {"data": []})
    assert receiver.verifications == 1
    status, body = await client.call("POST", f"{WABA}/subscribed_apps", {"override_callback_uri": receiver.url})
    assert (status, body["error"]["code"]) == (400, 100)
    await client.subscribe(receiver)
    _, body = await client.call("GET", f"{WABA}/subscribed_apps")
    assert body["data"][0]["override_callback_uri"] == receiver.url
    assert set(body["data"][0]["whatsapp_business_api_data"]) == {"id", "name", "link"}
    assert await client.call("DELETE", f"{WABA}/subscribed_apps") == (200, {"success": True})
    assert await client.call("GET", f"{WABA}/subscribed_apps") == (200, {"data": []})


@pytest.mark.parametrize("field", ["messages", "account_update"])
async def test_whose_address_wins(client: Client, field: str) -> None:
    """For messages the number's address beats the account's beats the app's; other news always go to the app's."""
    async with (
        Receiver().listening() as of_app,
        Receiver().listening() as of_account,
        Receiver().listening() as of_number,
    ):
        wanted = {"object": "whatsapp_business_account", "callback_url": of_app.url, "verify_token": "word"}
        assert (await client.call("POST", "300000000000003/subscriptions", wanted))[0] == 200
        await client.subscribe(of_account)
        configuration = {"override_callback_uri": of_number.url, "verify_token": "word"}
        assert (await client.call("POST", NUMBER, {"webhook_configuration": configuration}))[0] == 200
        _, facts = await client.call("GET", f"{NUMBER}?fields=webhook_configuration")
        assert facts["webhook_configuration"] == {
            "application": of_app.url,
            "whatsapp_business_account": of_account.url,
            "phone_number": of_number.url,
        }

        async def tell() -> None:
            assert await client.control("POST", "events", {"field": field}) == {"heard": True, "taken": True}

        await tell()
        expected = of_number if field == "messages" else of_app
        assert len(expected.bodies) == 1
        assert (await client.call("POST", NUMBER, {"webhook_configuration": {"override_callback_uri": ""}}))[0] == 200
        await tell()
        assert len(of_account.bodies if field == "messages" else of_app.bodies) == (1 if field == "messages" else 2)
        assert (await client.call("POST", f"{WABA}/subscribed_apps", {}))[0] == 200
        await tell()
        assert len(of_app.bodies) == (1 if field == "messages" else 3)
