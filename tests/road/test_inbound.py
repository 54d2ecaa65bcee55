"""What people write comes in: every kind, with its file, once; and what may be answered, and how."""

import base64
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from tests.kit.callbacks import envelope, inbound, post_signed
from tests.kit.house import Client, House, Tenant, open_house
from tests.kit.waiting import eventually

from heliograph.core.ids import id_of
from heliograph.dispatch.errands import media_file
from heliograph.runtime import open_runtime
from heliograph.store import messages

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST_BYTES = 200_000
SECOND_NUMBER = "100000000000002"
WINDOW_TEMPLATE = ("heliograph_message", "en_US")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A carrier that lets free text through only to people who wrote."""
    folder = tmp_path_factory.mktemp("house")
    async with open_house(folder, "--window", "refuse", max_media_bytes=str(MOST_BYTES)) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def with_template(house: House) -> AsyncIterator[Client]:
    """A second account, whose sender has a template for closed windows."""
    tenant = await house.open_account(
        "Second", "YourName", phone_number_id=SECOND_NUMBER, window_template=WINDOW_TEMPLATE
    )
    async with Client(house, tenant) as opened:
        yield opened


async def say(house: House, kind: str, person: str, **more: Any) -> str:
    """A person writes; the carrier's id of it."""
    told = await house.carrier.post("/__emulator/say", {"kind": kind, "from": person, **more})
    assert told["taken"], told
    return str(told["id"])


async def received(client: Client, person: str, count: int = 1) -> list[dict[str, Any]]:
    """What the person wrote, newest first, once there are so many."""

    async def look() -> list[dict[str, Any]] | None:
        _, body, _ = await client.call("GET", f"/api/v3/sms?direction=incoming&recipient={person}")
        rows: list[dict[str, Any]] = body["data"]["data"]
        return rows if len(rows) >= count else None

    found = await eventually(look)
    assert found is not None
    assert len(found) == count
    return found


async def until_step(client: Client, uid: str, name: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        steps = (await client.explain(uid))["steps"]
        return next((step for step in steps if step["step"] == name), None)

    found = await eventually(look)
    assert found is not None
    return found


async def details_of(house: House, tenant: Tenant, uid: str) -> dict[str, Any]:
    async with open_runtime(house.settings) as runtime:
        message = await runtime.database.read(
            lambda tx: messages.message_by_id(tx, tenant.account_id, id_of(uid) or b"")
        )
    assert message is not None
    found: dict[str, Any] = msgspec.json.decode(message.details or "{}")
    return found


# Texts and other kinds


async def test_a_text(client: Client, house: House) -> None:
    """It is listed as incoming, from the person to our number, and costs nothing."""
    await say(house, "text", "31655500001", text="Hallo ü 😀 & + %", name="Ada")
    (row,) = await received(client, "31655500001")
    assert (row["from"], row["to"], row["message"]) == ("31655500001", "15550100001", "Hallo ü 😀 & + %")
    assert (row["direction"], row["status"], row["cost"]) == ("incoming", "Received", "0")
    assert (await client.view(row["uid"])) == row
    explained = await client.explain(row["uid"])
    assert [step["step"] for step in explained["steps"]] == ["stored", "received"]
    assert explained["steps"][1]["raw"]["text"] == {"body": "Hallo ü 😀 & + %"}


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("location", "[location] Dam, Dam, Amsterdam"),
        ("contacts", "[contacts] Grace Hopper"),
        ("button", "Dam"),
        ("interactive", "Dam"),
        ("list", "Dam"),
        ("flow", "Sent"),
        ("reaction", "[reaction] Dam"),
        ("order", "[order] 1 item: Dam"),
        ("unsupported", "[unsupported: poll_creation]"),
        ("changed_number", "User "),
        ("edit", "[edited] Dam"),
        ("revoke", "[deleted by the sender]"),
        ("video", "[video] Dam"),
        ("audio", "[audio]"),
        ("sticker", "[sticker]"),
        ("document", "[document] Dam"),
    ],
)
async def test_every_kind(client: Client, house: House, kind: str, shown: str) -> None:
    """Each kind is listed with a text that says what it is, and kept as it came."""
    person = f"316555001{KINDS.index(kind):02d}"
    carrier_id = await say(house, kind, person, text="Dam")
    (row,) = await received(client, person)
    assert row["message"].startswith(shown)
    raw = (await client.explain(row["uid"]))["steps"][1]["raw"]
    assert raw["id"] == carrier_id


KINDS = [
    *("location", "contacts", "button", "interactive", "list", "flow", "reaction", "order", "unsupported"),
    *("changed_number", "edit", "revoke", "video", "audio", "sticker", "document"),
]


async def test_a_kind_of_tomorrow(client: Client, tenant: Tenant) -> None:
    """A kind that nobody knows yet is shown by its name and kept raw."""
    value = inbound("wamid.TOMORROW", "", "31655500003", type="hologram", hologram={"beam": [1, 2]})
    assert await post_signed(tenant.callback_url, envelope(value)) == 200
    (row,) = await received(client, "31655500003")
    assert row["message"] == "[hologram]"
    assert (await client.explain(row["uid"]))["steps"][1]["raw"]["hologram"] == {"beam": [1, 2]}


async def test_a_person_without_a_number(client: Client, house: House) -> None:
    """Who hides the number is known by the user id: the list shows it, can be asked for it, and it can be answered."""
    told = await house.carrier.post("/__emulator/say", {"text": "Who am I?", "from": "31655500004", "no_number": True})
    (row,) = await received(client, told["user_id"])
    assert (row["from"], row["message"]) == (told["user_id"], "Who am I?")
    sent = await client.send(recipient=row["from"], message="Somebody")
    assert sent["to"] == told["user_id"]
    await client.until(sent["uid"], "Delivered")
    (took,) = [m for m in await house.carrier.messages() if f".{sent['uid']}." in m["biz_opaque_callback_data"]]
    assert (took["to"], took["text"]) == (told["user_id"], "Somebody")


async def test_repeated_deliveries(client: Client, house: House, tenant: Tenant) -> None:
    """The same message told five times, alone and with others, is one message."""
    once = inbound("wamid.ONCE", "once", "31655500005")
    for _ in range(4):
        assert await post_signed(tenant.callback_url, envelope(once)) == 200
    second = inbound("wamid.TWICE", "second", "31655500005")
    assert await post_signed(tenant.callback_url, envelope(once, second)) == 200
    rows = await received(client, "31655500005", 2)
    assert {row["message"] for row in rows} == {"once", "second"}


async def test_stop(client: Client) -> None:
    """A person who answers STOP, and one who replies in other ways, are heard after the message that they answer."""
    data = await client.send(recipient="12025550170", template={"name": "hello_world", "language": {"code": "en_US"}})
    await client.until(data["uid"], "Delivered")
    (row,) = await received(client, "12025550170")
    assert row["message"] == "STOP"


# Files


async def test_an_image_is_fetched(client: Client, house: House, tenant: Tenant) -> None:
    """The file is in the media folder, whole, for this user only, with the type that its content has."""
    await say(house, "image", "31655500010", text="My cat")
    (row,) = await received(client, "31655500010")
    assert row["message"] == "[image] My cat"
    step = await until_step(client, row["uid"], "fetch_media 1")
    assert step["code"] == "done"
    kept = media_file(house.settings.media_path, tenant.account_id, id_of(row["uid"]) or b"")
    media = (await details_of(house, tenant, row["uid"]))["media"]
    assert kept.stat().st_size == media["bytes"] > 100
    assert media["mime_type"] == "image/png"
    assert kept.read_bytes()[:4] == b"\x89PNG"
    assert kept.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("name", "kind", "mime_type", "content", "code"),
    [
        (
            "a page that says it is a picture",
            "image",
            "image/jpeg",
            b"<html><script>1</script></html>",
            "media_refused",
        ),
        (
            "a picture that is too large",
            "image",
            "image/jpeg",
            b"\xff\xd8\xff\xe0" + bytes(MOST_BYTES),
            "media_too_large",
        ),
        ("a drawing with scripts", "image", "image/svg+xml", b"<svg onload='x'/>", "media_refused"),
    ],
)
async def test_files_that_are_not_kept(
    client: Client, house: House, tenant: Tenant, name: str, kind: str, mime_type: str, content: bytes, code: str
) -> None:
    """A file that is not what it claims to be, or too large, is not kept, not tried again, and the evidence says why."""
    person = f"3165550002{len(name)}"
    await say(house, kind, person, file=base64.b64encode(content).decode(), mime_type=mime_type)
    (row,) = await received(client, person)
    step = await until_step(client, row["uid"], "fetch_media 1")
    assert step["code"] == code, name
    assert step["sentence"]
    kept = media_file(house.settings.media_path, tenant.account_id, id_of(row["uid"]) or b"")
    assert not kept.exists()
    assert (await client.explain(row["uid"]))["state"] == "received"


async def test_a_document_that_a_browser_would_run(client: Client, house: House, tenant: Tenant) -> None:
    """It is kept, but as bytes of no type, and its name is not that of the file."""
    file = base64.b64encode(b"<html>hello</html>").decode()
    await say(house, "document", "31655500030", file=file, mime_type="text/html", filename="../../evil.html")
    (row,) = await received(client, "31655500030")
    await until_step(client, row["uid"], "fetch_media 1")
    media = (await details_of(house, tenant, row["uid"]))["media"]
    assert media["mime_type"] == "application/octet-stream"
    kept = media_file(house.settings.media_path, tenant.account_id, id_of(row["uid"]) or b"")
    assert kept.read_bytes() == b"<html>hello</html>"
    assert not list(house.folder.rglob("evil*"))


async def test_a_file_that_the_carrier_does_not_have(client: Client, house: House) -> None:
    """A file too large for the carrier itself is shown as what could not be brought."""
    await say(house, "video", "31655500031", missing_file=True)
    (row,) = await received(client, "31655500031")
    assert row["message"].startswith("[unsupported: video]")


# Marking as read


@pytest.mark.parametrize("flavour", ["v3", "http"])
async def test_mark_as_read(client: Client, house: House, tenant: Tenant, flavour: str) -> None:
    """The carrier is told, once however often we are asked at the same moment; only an incoming message can be marked."""
    person = f"3165550004{len(flavour)}"
    await say(house, "text", person)
    (row,) = await received(client, person)
    before = (await stats(house))["read_marks"]
    status, body, _ = await client.call(
        "POST", f"/api/{flavour}/sms/{row['uid']}/read", headers={"Idempotency-Key": f"read-{flavour}"}
    )
    assert (status, body["data"]["uid"]) == (200, row["uid"])
    status, again, told = await client.call(
        "POST", f"/api/{flavour}/sms/{row['uid']}/read", headers={"Idempotency-Key": f"read-{flavour}"}
    )
    assert (status, again, told["idempotent-replayed"]) == (200, body, "true")

    async def marked() -> bool:
        return bool((await stats(house))["read_marks"] == before + 1)

    await eventually(marked)
    await until_step(client, row["uid"], "mark_read 1")


async def stats(house: House) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{house.carrier.url}/__emulator/stats") as answer:
        found: dict[str, Any] = msgspec.json.decode(await answer.read())
        return found


async def test_only_incoming_messages_are_marked(client: Client) -> None:
    """An outgoing message cannot be marked as read."""
    data = await client.send(schedule_time="2027-01-02 07:00")
    status, body, _ = await client.call("POST", f"/api/v3/sms/{data['uid']}/read")
    assert (status, body["code"]) == (422, "invalid")


# The window


async def went_as(house: House, uid: str) -> list[str]:
    """The types of what reached the carrier for a message."""
    return [m["type"] for m in await house.carrier.messages() if f".{uid}." in (m["biz_opaque_callback_data"] or "")]


async def test_a_closed_window(client: Client, house: House) -> None:
    """Without a template the message fails with a code, a sentence, and what to do; nothing reached the person."""
    data = await client.send(recipient="31655500050")
    found = await client.until(data["uid"], "Failed")
    assert found["failure"]["code"] == "window_closed"
    assert "24 hours" in found["failure"]["message"]
    explained = await client.explain(data["uid"])
    assert explained["carrier"]["code"] == "131047"
    assert "template" in explained["carrier"]["what_to_do"]
    assert await went_as(house, data["uid"]) == []


async def test_a_reply_in_the_window(client: Client, house: House) -> None:
    """Who wrote can be answered with free text, and with an image."""
    await say(house, "text", "31655500051")
    await received(client, "31655500051")
    text = await client.send(recipient="31655500051", message="Your answer")
    image = await client.send(recipient="31655500051", message="Look", media_url="https://img.example/a.png")
    for data, kind in ((text, "text"), (image, "image")):
        await client.until(data["uid"], "Delivered")
        assert await went_as(house, data["uid"]) == [kind]


async def test_the_window_template(with_template: Client, house: House) -> None:
    """With a template the text goes inside it, in one line, at the first attempt."""
    data = await with_template.send(recipient="31655500052", message="Line one\n\n\tline   two")
    await with_template.until(data["uid"], "Delivered")
    assert await went_as(house, data["uid"]) == ["template"]
    (took,) = [m for m in await house.carrier.messages() if f".{data['uid']}." in m["biz_opaque_callback_data"]]
    assert "Line one line two" in took["text"]
    assert (await with_template.view(data["uid"]))["message"] == "Line one\n\n\tline   two"


async def test_free_text_once_the_person_wrote(with_template: Client, house: House) -> None:
    """Inside the window the text goes as it is."""
    await say(house, "text", "31655500053", to=SECOND_NUMBER)
    await received(with_template, "31655500053")
    data = await with_template.send(recipient="31655500053", message="Line one\nline two")
    await with_template.until(data["uid"], "Delivered")
    assert await went_as(house, data["uid"]) == ["text"]


async def test_news_of_a_person_opens_no_window(with_template: Client, house: House) -> None:
    """A changed number is not a message: the window stays closed, and the template is used."""
    await say(house, "changed_number", "31655500054", to=SECOND_NUMBER)
    await received(with_template, "31655500054")
    data = await with_template.send(recipient="31655500054")
    await with_template.until(data["uid"], "Delivered")
    assert await went_as(house, data["uid"]) == ["template"]


async def test_a_window_that_we_wrongly_believe_open(with_template: Client, house: House) -> None:
    """When the carrier refuses the text all the same, it goes once more as template, and the evidence shows both."""
    value = inbound("wamid.BELIEF", "hello", "31655500055")
    url = with_template.tenant.callback_url
    assert await post_signed(url, envelope(value, phone_number_id=SECOND_NUMBER)) == 200
    await received(with_template, "31655500055")
    data = await with_template.send(recipient="31655500055")
    await with_template.until(data["uid"], "Delivered")
    assert await went_as(house, data["uid"]) == ["template"]
    steps = (await with_template.explain(data["uid"]))["steps"]
    assert [(s["step"], s.get("carrier_code")) for s in steps[1:4]] == [
        ("attempt 1", None),
        ("answer 1", "131047"),
        ("attempt 2", None),
    ]
    waited = datetime.fromisoformat(steps[3]["at"]) - datetime.fromisoformat(steps[2]["at"])
    assert waited.total_seconds() < 1, "it goes again at once"


async def test_an_image_outside_the_window(with_template: Client) -> None:
    """A template with one text cannot carry an image, so the message fails and says so."""
    data = await with_template.send(recipient="31655500056", media_url="https://img.example/a.png")
    found = await with_template.until(data["uid"], "Failed")
    assert found["failure"]["code"] == "window_closed"


async def test_a_window_that_a_report_tells_closed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """131047 in a later report is handled as in the answer: once more as template, or failed with a sentence."""
    async with open_house(tmp_path_factory.mktemp("late"), "--window", "fail") as house:
        plain = await house.open_account("Plain", "YourName")
        templated = await house.open_account(
            "Templated", "YourName", phone_number_id=SECOND_NUMBER, window_template=WINDOW_TEMPLATE
        )
        value = inbound("wamid.BELIEF", "hello", "31655500057")
        assert await post_signed(templated.callback_url, envelope(value, phone_number_id=SECOND_NUMBER)) == 200
        async with Client(house, plain) as client, Client(house, templated) as other:
            failed = await client.send(recipient="31655500057")
            assert (await client.until(failed["uid"], "Failed"))["failure"]["code"] == "window_closed"
            await received(other, "31655500057")
            data = await other.send(recipient="31655500057")
            await other.until(data["uid"], "Delivered")
            assert await went_as(house, data["uid"]) == ["text", "template"]
