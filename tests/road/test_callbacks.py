"""Callbacks as carriers really send them: twice, late, in any order, in batches; and as others may forge them."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from tests.kit.callbacks import envelope, inbound, post_raw, post_signed, sign, status
from tests.kit.house import Client, House, Tenant, open_house
from tests.kit.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(tmp_path_factory.mktemp("house"), "--late-after", "1") as opened:
        yield opened


OTHER_NUMBER = "100000000000002"


async def report(house: House, uid: str, word: str, **more: Any) -> dict[str, Any]:
    """A report on a message, with the reference and the id that the carrier has for its only attempt."""
    (took,) = [m for m in await house.carrier.messages() if f".{uid}." in (m["biz_opaque_callback_data"] or "")]
    return status(took["biz_opaque_callback_data"], word, **{"carrier_id": took["id"], **more})


async def steps_of(client: Client, uid: str) -> list[str]:
    return [step["step"] for step in (await client.explain(uid))["steps"]]


async def silent_message(client: Client, **fields: Any) -> str:
    """A message that the carrier accepted and will never report on: the test does."""
    data = await client.send(recipient="12025550104", **fields)
    await client.until(data["uid"], "Sent")
    return str(data["uid"])


# Verification


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 200),
        ({"hub.verify_token": "wrong"}, 403),
        ({"hub.verify_token": ""}, 403),
        ({"hub.mode": "unsubscribe"}, 403),
        ({"hub.mode": None}, 403),
    ],
)
async def test_verification(tenant: Tenant, changes: dict[str, str | None], expected: int) -> None:
    """GET with the verify token of the address answers the challenge as it came; anything else is refused."""
    query = {"hub.mode": "subscribe", "hub.verify_token": tenant.verify_token, "hub.challenge": "11584 <b>&20"}
    given = {name: value for name, value in {**query, **changes}.items() if value is not None}
    async with aiohttp.ClientSession() as session, session.get(tenant.callback_url, params=given) as answer:
        assert answer.status == expected
        text = await answer.text()
        if expected == 200:
            assert text == "11584 <b>&20"
            assert answer.content_type == "text/plain"
        else:
            assert "11584" not in text


async def test_addresses_of_nobody(house: House, tenant: Tenant) -> None:
    """An address that is not one, or of nobody, is 404 for both methods, and other methods are 405."""
    for uid in ("0" * 32, "abc", "0" * 31 + "g"):
        url = f"{house.url}/callbacks/whatsapp/{uid}"
        assert await post_signed(url, envelope(inbound("wamid.1", "x"))) == 404
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert answer.status == 404
    async with aiohttp.ClientSession() as session, session.put(tenant.callback_url) as put:
        assert (put.status, put.headers["Allow"]) == (405, "GET, POST")


# Who may speak


async def test_forged_callbacks(client: Client, house: House, tenant: Tenant) -> None:
    """Without the right signature over these very bytes nothing is believed: 403, and nothing changes."""
    uid = await silent_message(client)
    raw = msgspec.json.encode(envelope(await report(house, uid, "read"), inbound("wamid.F", "forged")))
    spaced = raw.replace(b",", b", ")
    for headers in (
        {},
        {"X-Hub-Signature-256": ""},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature-256": "sha256=" + "0" * 64},
        {"X-Hub-Signature-256": sign(raw, "another secret")},
        {"X-Hub-Signature-256": sign(raw).removeprefix("sha256=")},
        {"X-Hub-Signature-256": sign(raw).replace("sha256", "sha1")},
        {"X-Hub-Signature": sign(raw)},
        {"X-Hub-Signature-256": sign(spaced)},
        {"X-Hub-Signature-256": "sha256=é"},
    ):
        assert (await post_raw(tenant.callback_url, raw, headers))[0] == 403, headers
    assert await post_signed(tenant.callback_url, envelope(inbound("wamid.G", "genuine"))) == 200

    async def heard() -> bool:
        _, body, _ = await client.call("GET", "/api/v3/sms?direction=incoming")
        return [row["message"] for row in body["data"]["data"]] == ["genuine"]

    await eventually(heard)
    assert (await client.view(uid))["status"] == "Sent"


async def test_a_callback_of_another_app(client: Client, house: House, tenant: Tenant) -> None:
    """An app may speak of its own numbers only: neither at our address, nor at its own about our number or message."""
    uid = await silent_message(client)
    other = await house.open_account(
        "Another", "Stranger", subscribe=False, phone_number_id=OTHER_NUMBER, app_secret="the secret of another app"
    )
    secret = "the secret of another app"
    ours = envelope(await report(house, uid, "read"), inbound("wamid.H", "forged"))
    assert await post_signed(tenant.callback_url, ours, secret) == 403
    assert await post_signed(other.callback_url, ours, secret) == 200, "signed well, so it is kept; but it is not ours"
    theirs = envelope(await report(house, uid, "read"), inbound("wamid.I", "for them"), phone_number_id=OTHER_NUMBER)
    assert await post_signed(other.callback_url, theirs, secret) == 200
    async with Client(house, other) as stranger:

        async def heard() -> list[str]:
            _, body, _ = await stranger.call("GET", "/api/v3/sms")
            return [row["message"] for row in body["data"]["data"]]

        assert await eventually(heard) == ["for them"]
    assert (await client.view(uid))["status"] == "Sent"
    _, listed, _ = await client.call("GET", "/api/v3/sms?direction=incoming")
    assert "forged" not in [row["message"] for row in listed["data"]["data"]]


# Order and number


@pytest.mark.parametrize(
    ("recipient", "word"),
    [
        ("12025550101", "Read"),
        ("12025550102", "Read"),
        ("12025550105", "Delivered"),
        ("12025550106", "Delivered"),
        ("12025550107", "Read"),
        ("12025550108", "Read"),
        ("12025550109", "Delivered"),
        ("12025550110", "Failed"),
        ("12025550120", "Failed"),
        ("12025550121", "Failed"),
        ("12025550122", "Failed"),
        ("12025550124", "Failed"),
        ("12025550190", "Delivered"),
        ("12025550191", "Delivered"),
    ],
)
async def test_reports_of_the_carrier(client: Client, recipient: str, word: str) -> None:
    """Late, threefold, disordered, batched, overtaking or bare reports: each ends where the furthest of them leads."""
    data = await client.send(recipient=recipient)
    found = await client.until(data["uid"], word, within_s=30)
    if word == "Failed":
        assert found["failure"]["code"]
        assert found["failure"]["message"].endswith(")") or found["failure"]["message"].endswith(".")


async def test_statuses_never_go_back(client: Client, house: House, tenant: Tenant) -> None:
    """Every report three times, shuffled and at once: read it is, each piece of evidence is there once, and it stays."""
    uids = [await silent_message(client) for _ in range(5)]
    callbacks = []
    for uid in uids:
        callbacks += [
            envelope(await report(house, uid, word))
            for word in ("sent", "delivered", "read", "failed")
            for _ in range(3)
        ]
    random.Random(7).shuffle(callbacks)
    assert set(await asyncio.gather(*(post_signed(tenant.callback_url, one) for one in callbacks))) == {200}
    for uid in uids:
        await client.until(uid, "Read")
        steps = await steps_of(client, uid)
        assert len(steps) == len(set(steps))
        assert {"sent", "delivered", "read", "failed"} <= set(steps)
    for uid in uids:
        assert await post_signed(tenant.callback_url, envelope(await report(house, uid, "sent"))) == 200
    marker = await silent_message(client)
    assert await post_signed(tenant.callback_url, envelope(await report(house, marker, "delivered"))) == 200
    await client.until(marker, "Delivered")
    assert {(await client.view(uid))["status"] for uid in uids} == {"Read"}


async def test_a_batch(client: Client, house: House, tenant: Tenant) -> None:
    """One callback with many entries, of messages known and unknown and of two kinds, is applied as a whole."""
    data = await client.send(recipient="12025550104")
    await client.until(data["uid"], "Sent")
    known = await report(house, data["uid"], "delivered")
    strangers = [status(None, "read", carrier_id=f"wamid.NOBODY{n}") for n in range(50)]
    people = [inbound(f"wamid.B{n}", f"batch {n}", person=f"3165551{n:04d}") for n in range(50)]
    assert await post_signed(tenant.callback_url, envelope(*strangers, known, *people)) == 200
    await client.until(data["uid"], "Delivered")

    async def heard() -> bool:
        _, body, _ = await client.call("GET", "/api/v3/sms?direction=incoming&per_page=100")
        return {f"batch {n}" for n in range(50)} <= {row["message"] for row in body["data"]["data"]}

    await eventually(heard)


async def test_a_late_report_settles_an_unknown_message(client: Client, house: House, tenant: Tenant) -> None:
    """An attempt without an answer leaves the message unknown and is not repeated; a report much later settles it."""
    data = await client.send(recipient="12025550151")
    found = await client.until(data["uid"], "Unknown")
    assert found["failure"]["code"] == "no_answer"
    value = await report(house, data["uid"], "delivered", carrier_id="wamid.LATE")
    assert await post_signed(tenant.callback_url, envelope(value)) == 200
    settled = await client.until(data["uid"], "Delivered")
    assert "failure" not in settled
    explained = await client.explain(data["uid"])
    assert explained["carrier"]["message_id"] == "wamid.LATE"
    assert [step["step"] for step in explained["steps"]] == ["accepted", "attempt 1", "answer 1", "delivered"]
    assert await report(house, data["uid"], "delivered"), "it went once"


async def test_a_report_may_fail_an_unknown_message(client: Client, house: House, tenant: Tenant) -> None:
    """The late report may also be a failure, with the carrier's reason."""
    data = await client.send(recipient="12025550151")
    await client.until(data["uid"], "Unknown")
    error = {"code": 131026, "title": "Message undeliverable"}
    value = await report(house, data["uid"], "failed", errors=[error])
    assert await post_signed(tenant.callback_url, envelope(value)) == 200
    found = await client.until(data["uid"], "Failed")
    assert found["failure"]["code"] == "not_on_whatsapp"


# Odd content


async def test_unknown_fields_are_kept(client: Client, house: House, tenant: Tenant) -> None:
    """What we do not know in a report does not disturb, and is shown in its evidence as it came."""
    uid = await silent_message(client)
    value = await report(house, uid, "delivered", of_tomorrow={"a": [1, "ü", None]}, pricing="free")
    callback = envelope(value)
    callback["of_tomorrow"] = callback["entry"][0]["of_tomorrow"] = {"x": 1}
    callback["entry"][0]["changes"].append({"field": "of_tomorrow", "value": {"y": 2}})
    assert await post_signed(tenant.callback_url, callback) == 200
    await client.until(uid, "Delivered")
    delivered = next(step for step in (await client.explain(uid))["steps"] if step["step"] == "delivered")
    assert delivered["raw"]["of_tomorrow"] == {"a": [1, "ü", None]}


ODD: list[bytes] = [
    b"",
    b" ",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"12",
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"entry":' * 50_000,
    b'{"entry":null}',
    b'{"entry":{"changes":1}}',
    b'{"entry":[1,null,"x",[],{"changes":[1,null,{"value":[]},{"field":1,"value":{}}]}]}',
    b'{"entry":[{"changes":[{"field":"messages","value":{"statuses":[1,{"id":1},{"id":"w","status":["sent"]}]}}]}]}',
    b'{"entry":[{"changes":[{"field":"messages","value":{"messages":[1,{"id":{}},{"id":"w","from":1e400}]}}]}]}',
    b'{"entry":[],"entry":[{"changes":[]}]}',
]


async def test_odd_callbacks(client: Client, house: House, tenant: Tenant) -> None:
    """Signed nonsense of every kind is kept and answered with 200, and what comes after it is applied at once."""
    for raw in ODD:
        assert await post_signed(tenant.callback_url, raw) == 200, raw[:60]
    texts = {
        "wamid.NUL": "a\x00b",
        "wamid.HALF": "\ud83d half",
        "wamid.LONG": "x" * 100_000,
    }
    for carrier_id, text in texts.items():
        raw = msgspec.json.encode(envelope(inbound(carrier_id, "TEXT")))
        escaped = '"' + "".join(c if c.isascii() and c.isprintable() else f"\\u{ord(c):04x}" for c in text) + '"'
        assert await post_signed(tenant.callback_url, raw.replace(b'"TEXT"', escaped.encode())) == 200
    odd_times = inbound("wamid.TIME", "odd time", timestamp="9" * 30)
    assert await post_signed(tenant.callback_url, envelope(odd_times)) == 200
    uid = await silent_message(client)
    assert await post_signed(tenant.callback_url, envelope(await report(house, uid, "delivered"))) == 200
    await client.until(uid, "Delivered")

    async def heard() -> bool:
        _, body, _ = await client.call("GET", "/api/v3/sms?direction=incoming&per_page=100")
        shown = [row["message"] for row in body["data"]["data"]]
        return any(text.startswith("xxx") for text in shown) and "odd time" in shown

    await eventually(heard)
    assert house.dispatcher.alive()


async def test_huge_callbacks(client: Client, house: House, tenant: Tenant) -> None:
    """A callback of 3 MB, the most that Meta promises, is applied; one of 9 MB is refused with 413."""
    uid = await silent_message(client)
    known = await report(house, uid, "delivered")
    filler = [status(None, "sent", carrier_id=f"wamid.FILL{n}", padding="x" * 3000) for n in range(900)]
    callback = msgspec.json.encode(envelope(*filler, known))
    assert 2_500_000 < len(callback) < 4_000_000
    assert await post_signed(tenant.callback_url, callback) == 200
    await client.until(uid, "Delivered")
    raw = b'{"padding":"' + b"x" * 9_000_000 + b'"}'
    assert (await post_raw(tenant.callback_url, raw, {"X-Hub-Signature-256": sign(raw)}))[0] == 413
