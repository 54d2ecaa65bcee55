"""People who write, in every kind that the reference knows, and news of other fields."""

import base64
import hashlib
from typing import Any

import pytest

from heliograph.channels.contract import InboundMessage
from heliograph.channels.whatsapp.callback import parse_callback
from heliograph.channels.whatsapp.media import check_content
from heliograph.emulators.cloud_api.events import examples
from heliograph.emulators.cloud_api.inbound import KINDS
from heliograph.emulators.cloud_api.pictures import SAMPLES
from heliograph.emulators.cloud_api.world import Number
from tests.emulators.kit import NUMBER, Client, Receiver

EXAMPLE_FIELDS = sorted(examples(Number(id=NUMBER, waba_id="1", digits="15550100001"), 0.0))


async def say(client: Client, receiver: Receiver, **saying: Any) -> dict[str, Any]:
    """Say it; the message as it was called back."""
    await client.subscribe(receiver)
    told = await client.control("POST", "say", saying)
    assert told["heard"]
    assert told["taken"]
    (message,) = receiver.inbound()
    assert message["id"] == told["id"]
    return message


async def test_text(client: Client, receiver: Receiver) -> None:
    """A text has sender, name, ids and time where Meta has them."""
    message = await say(client, receiver, **{"from": "31612345678", "text": "Héllo", "name": "Ada"})
    assert message["from"] == "31612345678"
    assert (message["type"], message["text"]) == ("text", {"body": "Héllo"})
    assert message["timestamp"].isdecimal()
    (contact,) = receiver.changes()[0]["value"]["contacts"]
    assert contact == {"profile": {"name": "Ada"}, "wa_id": "31612345678", "user_id": message["from_user_id"]}


async def test_without_a_number(client: Client, receiver: Receiver) -> None:
    """Somebody who hides the number is known by user id and name only."""
    message = await say(client, receiver, no_number=True)
    assert "from" not in message
    (contact,) = receiver.changes()[0]["value"]["contacts"]
    assert "wa_id" not in contact
    assert contact["profile"]["username"].startswith("@")
    assert contact["user_id"] == message["from_user_id"]


@pytest.mark.parametrize("kind", sorted(SAMPLES))
async def test_files(client: Client, receiver: Receiver, kind: str) -> None:
    """Each kind of file is a real one: it is fetched by id as from Meta, has the hash that was told, and is what it says."""
    message = await say(client, receiver, kind=kind)
    told = message[kind]
    _, facts = await client.call("GET", told["id"])
    async with client.session.get(facts["url"], headers={"Authorization": f"Bearer {client.token}"}) as answer:
        content = await answer.read()
    digest = hashlib.sha256(content)
    assert base64.b64encode(digest.digest()).decode() == told["sha256"]
    assert digest.hexdigest() == facts["sha256"]
    assert facts["mime_type"] == told["mime_type"]
    assert check_content(content, told["mime_type"]) == told["mime_type"].partition(";")[0]


async def test_a_file_of_ones_own(client: Client, receiver: Receiver) -> None:
    """The file that is given is the one that can be fetched."""
    given = {
        "file": base64.b64encode(b"%PDF-1.7 mine").decode(),
        "mime_type": "application/pdf",
        "filename": "mine.pdf",
    }
    message = await say(client, receiver, kind="document", text="as agreed", **given)
    assert (message["document"]["filename"], message["document"]["caption"]) == ("mine.pdf", "as agreed")
    async with client.session.get(
        message["document"]["url"], headers={"Authorization": f"Bearer {client.token}"}
    ) as answer:
        assert await answer.read() == b"%PDF-1.7 mine"


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_is_read_by_the_channel(client: Client, receiver: Receiver, kind: str) -> None:
    """The product's own reader makes a message of every kind, none empty-handed."""
    await say(client, receiver, kind=kind, context="wamid.HBgL")
    (event,) = parse_callback(receiver.bodies[0])
    assert isinstance(event, InboundMessage)


async def test_details(client: Client, receiver: Receiver) -> None:
    """Replies quote, forwards say so, people from an advertisement bring its referral."""
    message = await say(client, receiver, kind="button", text="Yes", context="wamid.X", forwarded=True, from_ad=True)
    assert message["button"] == {"payload": "Yes", "text": "Yes"}
    assert message["context"] == {"from": "15550100001", "id": "wamid.X", "forwarded": True}
    assert message["referral"]["source_type"] == "ad"


async def test_unsupported(client: Client, receiver: Receiver) -> None:
    """What WhatsApp cannot tell comes as an error inside the message; so does a file that was too large."""
    message = await say(client, receiver, kind="unsupported")
    assert message["errors"][0]["code"] == 131051
    receiver.bodies.clear()
    message = await say(client, receiver, kind="video", missing_file=True)
    assert (message["type"], message["errors"][0]["code"]) == ("unsupported", 131052)


async def test_nobody_listens(client: Client) -> None:
    """What nobody is subscribed to is said, but not heard."""
    told = await client.control("POST", "say", {})
    assert told["heard"] is False


@pytest.mark.parametrize(
    ("saying", "sentence"),
    [
        ({"kind": "banana"}, "kind must be one of"),
        ({"from": "abc"}, "from must be a phone number"),
        ({"to": "42"}, "does not exist"),
        ({"nonsense": 1}, "nonsense"),
        ({"kind": "image", "file": "%%%"}, "base64"),
    ],
)
async def test_refused(client: Client, saying: dict[str, Any], sentence: str) -> None:
    """What cannot be said is refused with the reason."""
    async with client.session.post(f"{client.url}/__emulator/say", json=saying) as answer:
        assert answer.status == 400
        assert sentence in (await answer.json())["error"]


@pytest.mark.parametrize("field", EXAMPLE_FIELDS)
async def test_events(client: Client, receiver: Receiver, field: str) -> None:
    """Every field of the reference has an example that is told to the app, with the entry's time but for messages."""
    wanted = {"object": "whatsapp_business_account", "callback_url": receiver.url, "verify_token": "word"}
    await client.call("POST", "300000000000003/subscriptions", wanted)
    await client.call("POST", "200000000000002/subscribed_apps", {})
    assert await client.control("POST", "events", {"field": field}) == {"heard": True, "taken": True}
    (change,) = receiver.changes()
    assert change["field"] == field
    assert isinstance(change["entry"].get("time"), int) == (field != "messages")
    assert parse_callback(receiver.bodies[0])


async def test_event_of_ones_own(client: Client, receiver: Receiver) -> None:
    """Any field with any value can be told; one that is not known needs a value."""
    await client.subscribe(receiver)
    value = {"messaging_product": "whatsapp", "surprise": [1]}
    await client.control("POST", "events", {"field": "messages", "value": value})
    assert receiver.changes()[0]["value"] == value
    async with client.session.post(f"{client.url}/__emulator/events", json={"field": "brand_new"}) as answer:
        assert answer.status == 400
