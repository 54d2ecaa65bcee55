"""The API's part that concerns messages, over real sockets: the checklist of v3-api.md §13 and our extensions."""

import asyncio
import re
import socket
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from tests.kit.house import Client, House, Tenant
from tests.kit.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEVEN = {"uid": str, "to": str, "from": str, "message": str, "status": str, "cost": str, "sms_count": int}
BODY = {"recipient": "447700900101", "sender_id": "YourName", "type": "whatsapp", "message": "Tom & Ann = 100% + tea é"}


async def test_every_answer_has_seven_keys(client: Client) -> None:
    """Send, view and list rows carry the seven keys with the types that strict callers insist on."""
    sent = await client.send(**BODY)
    viewed = await client.view(sent["uid"])
    _, listed, _ = await client.call("GET", "/api/v3/sms")
    for data in (sent, viewed, listed["data"]["data"][0]):
        assert {key: type(data[key]) for key in SEVEN} == SEVEN
    assert viewed["message"] == BODY["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v3/sms/send/",
        "/api/v3//sms/send",
        "//api//v3/sms//send/",
        "/api/v3/sms/send?",
        "/api/v3/sms",
        "/api/v3/sms/",
    ],
)
async def test_addresses_answer_directly(client: Client, path: str) -> None:
    """Trailing and doubled slashes and a bare ? are served without a redirect, and POST /sms sends."""
    status, body, _ = await client.call("POST", path, BODY)
    assert (status, body["data"]["to"]) == (200, "447700900101")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v3/sms/{}",
        "/api/v3/sms/{}/",
        "/api/v3/sms/send/{}",
        "/api/http/sms/{}",
        "/api/v3//sms/{}?",
        "/api/v3/sms/{}?page=2&uid=other&limit=9",
    ],
)
async def test_views(client: Client, path: str) -> None:
    """A message is viewed at each of its addresses; what else is in the query changes nothing."""
    sent = await client.send()
    status, body, _ = await client.call("GET", path.format(sent["uid"]))
    assert (status, body["data"]["uid"], body["message"]) == (200, sent["uid"], None)


@pytest.mark.parametrize(
    "request_parts",
    [
        {"json": BODY},
        {"data": BODY},
        {"params": BODY},
        {"data": '{"recipient":447700900101,"sender_id":"YourName","message":"Tom & Ann = 100% + tea é"}\n'.encode()},
        {
            "data": (
                '{"recipient":["447700900101"],"sender_id":"YourName","type":null,'
                '"unknown":{"a":1},"message":"Tom & Ann = 100% + tea é"}'
            ).encode(),
            "headers": {"Content-Type": "application/x-www-form-urlencoded"},
        },
        {
            "data": (
                '{"recipient":" +44 7700 900101 ","sender_id":"YourName","type":"",'
                '"message":"Tom & Ann = 100% + tea é"}'
            ).encode(),
            "headers": {"Content-Type": "text/plain"},
        },
        {"params": BODY, "data": b"", "headers": {"Content-Type": "application/json"}},
    ],
)
@pytest.mark.parametrize("flavour", ["v3", "http"])
async def test_places_and_encodings(client: Client, flavour: str, request_parts: dict[str, Any]) -> None:
    """JSON, form, query, JSON labelled as something else, a number or list as recipient, no type: all send the same."""
    status, body, _ = await client.call("POST", f"/api/{flavour}/sms/send", **request_parts)
    assert status == 200, body
    assert (body["data"]["to"], body["data"]["message"]) == ("447700900101", BODY["message"])
    assert body["data"]["sms_type"] == "whatsapp"


@pytest.mark.parametrize("bar", ["|", "%7C"])
async def test_http_send_by_get(client: Client, house: House, tenant: Tenant, bar: str) -> None:
    """GET /api/http/sms/send sends, with the token raw or escaped; the answer is not to be cached."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    token = tenant.token.replace("|", bar)
    path = f"/api/http/sms/send?recipient=447700900101&sender_id=YourName&message=Hello+Ada&api_token={token}"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 200")
    assert "cache-control: no-store" in answer.lower()
    assert '"Hello Ada"' in answer


async def test_head_sends_nothing(house: House, tenant: Tenant, client: Client) -> None:
    """HEAD only looks: it sends nothing where GET would."""
    _, before, _ = await client.call("GET", "/api/v3/sms")
    path = f"/api/http/sms/send?recipient=447700900101&sender_id=YourName&message=Hello&api_token={tenant.token}"
    async with aiohttp.ClientSession() as session, session.head(f"{house.url}{path}") as answer:
        assert answer.status == 405
    _, after, _ = await client.call("GET", "/api/v3/sms")
    assert after["data"]["total"] == before["data"]["total"]


async def test_only_http_sends_by_get(client: Client) -> None:
    """On v3 GET /sms/send is no operation, and the answer names those that are."""
    status, body, headers = await client.call("GET", "/api/v3/sms/send")
    assert (status, body["code"], headers["allow"]) == (405, "method_not_allowed", "POST")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v3/contacts",
        "/api/v3/balance",
        "/api/http/me",
        "/api/v3/nothing",
        "/api/v3",
        "/nothing",
        "/api/v3/sms/a/b/c",
        "/callbacks/whatsapp/abc",
    ],
)
async def test_unknown_addresses(client: Client, path: str) -> None:
    """What is not there, or not there yet, answers 404 in the envelope."""
    status, body, _ = await client.call("GET", path)
    assert status == 404
    assert body["message"]


async def test_campaigns_are_not_offered_yet(client: Client) -> None:
    """The campaign call is no message's uid: it says that it is not offered."""
    status, body, _ = await client.call("POST", "/api/v3/sms/campaign", {})
    assert (status, body["code"]) == (404, "not_offered")


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"recipient": None}, 422, "recipient"),
        ({"recipient": "abc"}, 422, "recipient"),
        ({"recipient": []}, 422, "recipient"),
        ({"message": ""}, 422, "message"),
        ({"message": "x" * 4097}, 422, "message"),
        ({"message": {"a": 1}}, 422, "message"),
        ({"sender_id": None}, 422, "sender_id"),
        ({"sender_id": "TwelveLetter"}, 422, "sender_id"),
        ({"type": "plain"}, 422, "type"),
        ({"type": "otp"}, 422, "type"),
        ({"type": "nonsense"}, 422, "type"),
        ({"media_url": "ftp://x/y"}, 422, "media_url"),
        ({"media_url": "https://img.example/a.png", "message": "x" * 1025}, 422, "message"),
        ({"schedule_time": "2020-01-02 07:00"}, 422, "schedule_time"),
        ({"schedule_time": "tomorrow"}, 422, "schedule_time"),
        ({"template": "no object"}, 422, "template"),
    ],
)
async def test_refusals(client: Client, fields: dict[str, Any], status: int, field: str) -> None:
    """A field that is missing or wrong: 422 with its sentence in message and in errors, and nothing is stored."""
    _, before, _ = await client.call("GET", "/api/v3/sms")
    found, body, _ = await client.call("POST", "/api/v3/sms/send", {**BODY, **fields})
    assert (found, body["code"]) == (status, "invalid")
    assert list(body["errors"]) == [field]
    assert body["message"] == body["errors"][field][0]
    assert body["doc_url"].endswith("/docs/errors#invalid")
    assert body["request_id"]
    _, after, _ = await client.call("GET", "/api/v3/sms")
    assert after["data"]["total"] == before["data"]["total"]


async def test_every_field_at_once(client: Client) -> None:
    """All fields at fault are told in one answer."""
    status, body, _ = await client.call("POST", "/api/v3/sms/send", {"type": "x", "schedule_time": "x"})
    assert status == 422
    assert list(body["errors"]) == ["recipient", "sender_id", "type", "message", "schedule_time"] or set(
        body["errors"]
    ) == {"recipient", "sender_id", "type", "message", "schedule_time"}


async def test_a_sender_that_is_not_ours(client: Client) -> None:
    """A sender that is not registered is refused by name, not replaced."""
    status, body, _ = await client.call("POST", "/api/v3/sms/send", {**BODY, "sender_id": "DemoShop"})
    assert (status, body["message"]) == (403, "The sender id DemoShop is not approved for this account.")


async def test_a_sender_in_other_spellings(client: Client) -> None:
    """Case does not matter, nor how a number is written."""
    assert (await client.send(sender_id="yourname"))["from"] == "YourName"
    assert (await client.send(sender_id="+1 555 010 0001"))["from"] == "15550100001"


@pytest.mark.parametrize("bad", ["", "Bearer nonsense", "Bearer 1|nonsense", "Bearer 999999|x", "Basic abc"])
async def test_bad_tokens(client: Client, bad: str) -> None:
    """No token or a wrong one: 401 with the words that callers know, before any complaint about a field."""
    status, body, headers = await client.call("POST", "/api/v3/sms/send", {}, headers={"Authorization": bad})
    assert (status, body["message"], body["code"]) == (401, "Unauthenticated.", "unauthenticated")
    assert "www-authenticate" in headers


async def test_several_recipients(client: Client) -> None:
    """One message each, doubles left out, bad ones told apart, totals in the object that callers read."""
    data = await client.send(recipient="447700900101, +447700900102;447700900101, abc")
    assert data["to"] == "447700900101,447700900102"
    assert (data["cost"], data["sms_count"]) == ("2", 2)
    assert data["uid"] == data["messages"][0]["uid"]
    assert [one["to"] for one in data["messages"]] == ["447700900101", "447700900102"]
    assert data["rejected"][0]["recipient"] == "abc"
    for one in data["messages"]:
        assert (await client.view(one["uid"]))["to"] == one["to"]


async def test_request_ids(client: Client) -> None:
    """Every answer has an id; the caller's own is kept; errors repeat it."""
    _, _, headers = await client.call("GET", "/api/v3/sms")
    assert headers["x-request-id"]
    status, body, headers = await client.call("GET", "/api/v3/x", headers={"X-Request-Id": "mine-1"})
    assert (status, headers["x-request-id"], body["request_id"]) == (404, "mine-1", "mine-1")


async def test_rate_limit_headers(client: Client) -> None:
    """Normal answers carry the limit and what remains of it."""
    _, _, first = await client.call("GET", "/api/v3/sms")
    _, _, second = await client.call("GET", "/api/v3/sms")
    assert int(second["x-ratelimit-remaining"]) < int(first["x-ratelimit-remaining"]) < int(first["x-ratelimit-limit"])


# Idempotency


async def test_same_key_same_answer(client: Client) -> None:
    """The same key and request get the same answer, told so, and one message is stored; another request is refused."""
    headers = {"Idempotency-Key": "order-1"}
    status, first, plain = await client.call("POST", "/api/v3/sms/send", BODY, headers=headers)
    assert (status, "idempotent-replayed" in plain) == (200, False)
    status, again, told = await client.call("POST", "/api/v3/sms/send", BODY, headers=headers)
    assert (status, again, told["idempotent-replayed"]) == (200, first, "true")
    status, other, _ = await client.call("POST", "/api/v3/sms/send", {**BODY, "message": "x"}, headers=headers)
    assert (status, other["code"]) == (422, "idempotency_key_reused")


async def test_keys_in_a_race(client: Client, house: House) -> None:
    """Twenty equal requests at the same time make one message."""
    headers = {"Idempotency-Key": "race-1"}
    answers = await asyncio.gather(
        *(client.call("POST", "/api/v3/sms/send", {**BODY, "message": "race"}, headers=headers) for _ in range(20))
    )
    assert {status for status, _, _ in answers} == {200}
    uids = {body["data"]["uid"] for _, body, _ in answers}
    assert len(uids) == 1
    await client.until(uids.pop(), "Delivered")
    assert len([m for m in await house.carrier.messages() if m["text"] == "race"]) == 1


async def test_keys_of_changes(client: Client) -> None:
    """A key works for cancelling too: the same answer again, told so, and another message is refused under it."""
    first, second = [await client.send(schedule_time="2027-01-02 07:00") for _ in range(2)]
    headers = {"Idempotency-Key": "cancel-1"}
    path = f"/api/v3/sms/{first['uid']}/cancel"
    _, done, plain = await client.call("POST", path, headers=headers)
    status, again, told = await client.call("POST", path, headers=headers)
    assert (status, again, told["idempotent-replayed"]) == (200, done, "true")
    assert "idempotent-replayed" not in plain
    status, refused, _ = await client.call("POST", f"/api/v3/sms/{second['uid']}/cancel", headers=headers)
    assert (status, refused["code"]) == (422, "idempotency_key_reused")
    assert (await client.explain(second["uid"]))["state"] == "scheduled"


async def test_a_refused_change_leaves_the_key_free(client: Client) -> None:
    """What was refused was not done, so the key may be used again."""
    data = await client.send()
    await client.until(data["uid"], "Delivered")
    headers = {"Idempotency-Key": "refused-1"}
    status, _, _ = await client.call("POST", f"/api/v3/sms/{data['uid']}/cancel", headers=headers)
    assert status == 409
    status, _, told = await client.call("POST", "/api/v3/sms/send", BODY, headers=headers)
    assert (status, "idempotent-replayed" in told) == (200, False)


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_bad_keys(client: Client, key: str) -> None:
    """A key has 1 to 255 characters."""
    status, body, _ = await client.call("POST", "/api/v3/sms/send", BODY, headers={"Idempotency-Key": key})
    assert (status, list(body["errors"])) == (422, ["Idempotency-Key"])


# Scheduling and cancelling


async def test_schedule_in_the_accounts_zone(client: Client) -> None:
    """A time without offset is read in the account's zone; the message waits, is Queued, and can be cancelled once."""
    local = (datetime.now(ZoneInfo("Europe/Amsterdam")) + timedelta(days=2)).replace(second=0, microsecond=0)
    data = await client.send(schedule_time=f"{local:%Y-%m-%d %H:%M}")
    assert data["status"] == "Queued"
    assert datetime.fromisoformat(data["schedule_time"]) == local.astimezone(UTC)
    explained = await client.explain(data["uid"])
    assert explained["state"] == "scheduled"
    assert explained["next_attempt"]["at"] == data["schedule_time"]
    status, body, _ = await client.call("POST", f"/api/v3/sms/{data['uid']}/cancel")
    assert (status, body["data"]["status"], body["data"]["result"]) == (200, "Cancelled", "cancelled")
    assert (await client.view(data["uid"]))["status"] == "Cancelled"
    status, body, _ = await client.call("POST", f"/api/v3/sms/{data['uid']}/cancel")
    assert (status, body["data"]["status"]) == (200, "Cancelled")


async def test_scheduled_messages_leave_in_time(client: Client, house: House) -> None:
    """A scheduled message leaves within a second of its time, and not before it."""
    due = (datetime.now(UTC) + timedelta(seconds=3)).replace(microsecond=0)
    data = await client.send(schedule_time=f"{due:%Y-%m-%dT%H:%M:%SZ}", message="on time")
    await client.until(data["uid"], "Delivered", "Sent")
    explained = await client.explain(data["uid"])
    left_at = next(s["at"] for s in explained["steps"] if s["step"].startswith("attempt"))
    late_s = (datetime.fromisoformat(left_at) - due).total_seconds()
    assert 0 <= late_s < 1.0


async def test_too_late_to_cancel(client: Client) -> None:
    """What has left cannot be cancelled: 409, and it stays what it is."""
    data = await client.send()
    await client.until(data["uid"], "Delivered")
    status, body, _ = await client.call("POST", f"/api/v3/sms/{data['uid']}/cancel")
    assert (status, body["code"]) == (409, "too_late")
    assert (await client.view(data["uid"]))["status"] == "Delivered"


async def test_cancel_against_dispatch(client: Client, house: House) -> None:
    """Cancelled and sent exclude each other: whatever the race gave, the carrier has exactly those that were too late."""
    sent = [(await client.send(message=f"cancel race {n}"))["uid"] for n in range(40)]
    answers = await asyncio.gather(*(client.call("POST", f"/api/v3/sms/{uid}/cancel") for uid in sent))
    cancelled = {uid for uid, (status, _, _) in zip(sent, answers, strict=True) if status == 200}
    assert {status for status, _, _ in answers} <= {200, 409}
    for uid in set(sent) - cancelled:
        await client.until(uid, "Delivered")
    for uid in cancelled:
        assert (await client.view(uid))["status"] == "Cancelled"
    took = [m["biz_opaque_callback_data"].split(".")[2] for m in await house.carrier.messages()]
    assert sorted(uid for uid in took if uid in set(sent)) == sorted(set(sent) - cancelled)


# Lists


async def test_list_pages(house: House) -> None:
    """Newest first, 25 a page, thirteen keys, per_page up to 100, a cursor that stays put while messages arrive."""
    tenant = await house.open_account("Lister", "YourName", subscribe=False, phone_number_id="100000000000099")
    async with Client(house, tenant) as client:
        _, empty, _ = await client.call("GET", "/api/v3/sms")
        assert (empty["data"]["total"], empty["data"]["from"], empty["data"]["data"]) == (0, None, [])
        numbers = [f"3161234{n:04d}" for n in range(60)]
        made = await client.send(recipient=numbers, schedule_time="2027-01-02 07:00")
        uids = [one["uid"] for one in made["messages"]][::-1]
        _, first, _ = await client.call("GET", "/api/v3/sms")
        page = first["data"]
        assert [row["uid"] for row in page["data"]] == uids[:25]
        assert (page["total"], page["last_page"], page["from"], page["to"], page["per_page"]) == (60, 3, 1, 25, 25)
        assert page["path"] == f"{house.url}/api/v3/sms"
        _, third, _ = await client.call("GET", "/api/v3/sms?page=3")
        assert [row["uid"] for row in third["data"]["data"]] == uids[50:]
        _, beyond, _ = await client.call("GET", "/api/v3/sms?page=99")
        assert beyond["data"]["data"] == []
        _, large, _ = await client.call("GET", "/api/v3/sms?per_page=1000")
        assert len(large["data"]["data"]) == 60
        await client.send(recipient="31612349999", schedule_time="2027-01-02 07:00")
        cursor = page["next_cursor"]
        _, after, _ = await client.call("GET", f"/api/v3/sms?cursor={cursor}")
        assert [row["uid"] for row in after["data"]["data"]] == uids[25:50]
        _, http, _ = await client.call("GET", f"/api/http/sms?api_token={tenant.token}&page=1")
        assert tenant.token not in str(http)
        assert "api_token" not in str(http)


async def test_filters(client: Client, house: House) -> None:
    """status, direction, recipient, since and until narrow the list; a word that means nothing is refused."""
    before = datetime.now(UTC)
    data = await client.send(recipient="31698765432", message="filtered")
    await client.until(data["uid"], "Delivered")
    for query in (
        "recipient=31698765432",
        "recipient=%2B31 6 98765432&direction=outgoing",
        f"since={before:%Y-%m-%dT%H:%M:%SZ}&recipient=31698765432",
        "status=Delivered&recipient=31698765432",
    ):
        _, body, _ = await client.call("GET", f"/api/v3/sms?{query}")
        assert [row["uid"] for row in body["data"]["data"]] == [data["uid"]], query
        assert (body["data"]["total"], body["data"]["total_is_exact"]) == (1, True)
    for query in (
        "recipient=31600000000",
        f"until={before - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        "direction=incoming",
    ):
        _, body, _ = await client.call("GET", f"/api/v3/sms?{query}")
        assert body["data"]["total"] == 0, query
    for query in ("status=nonsense", "direction=up", "since=yesterday", "cursor=abc"):
        status, body, _ = await client.call("GET", f"/api/v3/sms?{query}")
        assert (status, body["code"]) == (422, "invalid"), query


@pytest.mark.parametrize(
    "query",
    ["per_page[]=5", "limit[]=1&limit[]=2", "status[]=Sent", "page[]=1", "cursor[]=1", "since[]=x", "page[a]=1"],
)
async def test_lists_where_a_text_is_meant(client: Client, query: str) -> None:
    """A parameter given as an array is refused or passed over, and is no fault of the server."""
    status, body, _ = await client.call("GET", f"/api/v3/sms?{query}")
    assert status in {200, 422}, body
    status, body, _ = await client.call("GET", "/api/v3/sms", {"per_page": [5], "limit": {"a": 1}, "page": None})
    assert (status, body["data"]["per_page"]) == (200, 25)


# Explaining


async def test_explain(client: Client) -> None:
    """Each step has its time and its source, from acceptance to what the carrier reported, in order."""
    data = await client.send()
    await client.until(data["uid"], "Delivered")
    explained = await client.explain(data["uid"])
    steps = [step["step"] for step in explained["steps"]]
    assert steps[0] == "accepted"
    assert {"attempt 1", "answer 1", "sent", "delivered"} <= set(steps)
    assert explained["state"] == "delivered"
    assert explained["next_attempt"] is None
    assert explained["carrier"]["message_id"].startswith("wamid.")
    delivered = next(step for step in explained["steps"] if step["step"] == "delivered")
    assert delivered["source"] == "carrier"
    assert delivered["raw"]["status"] == "delivered"


# Limits


async def test_a_body_of_ten_megabytes(client: Client) -> None:
    """It is refused with 413 before it is read."""
    status, body, _ = await client.call("POST", "/api/v3/sms/send", data=b"x" * 10_000_000)
    assert (status, body["code"]) == (413, "too_large")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"{" * 100_000])
async def test_deep_nesting(client: Client, body: bytes) -> None:
    """100,000 brackets are a bad request and nothing more."""
    status, answer, _ = await client.call("POST", "/api/v3/sms/send", data=body)
    assert (status, answer["code"]) == (400, "malformed_json")


async def test_large_headers(client: Client) -> None:
    """Headers of 70 kB are refused, in the envelope where the server can still speak."""
    status, body, _ = await client.call("GET", "/api/v3/sms", headers={"X-Long": "x" * 70_000})
    assert (status, body["code"]) == (431, "headers_too_large")


def raw(house: House, request: bytes, timeout_s: float = 20.0) -> bytes:
    with socket.create_connection(("127.0.0.1", house.port), timeout=timeout_s) as connection:
        connection.sendall(request)
        found = b""
        while chunk := connection.recv(65536):
            found += chunk
        return found


async def test_no_accept_and_head(house: House, tenant: Tenant) -> None:
    """Without Accept the answer is JSON all the same, and HEAD has the headers of GET and no body."""
    head = f"Host: x\r\nAuthorization: Bearer {tenant.token}\r\nConnection: close\r\n\r\n"
    answer = await asyncio.to_thread(raw, house, f"HEAD /api/v3/sms HTTP/1.1\r\n{head}".encode())
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")
    assert b"application/json" in answer


async def test_health(client: Client, house: House) -> None:
    """Alive, ready, and figures for Prometheus."""
    for path in ("/healthz", "/readyz"):
        status, body, _ = await client.call("GET", path)
        assert (status, body["status"]) == (200, "success")
    async with aiohttp.ClientSession() as session, session.get(f"{house.url}/metrics") as answer:
        text = await answer.text()
    assert "heliograph_database_up 1.0" in text
    assert 'heliograph_queue_waiting{queue="send_due"}' in text


async def test_docs_name_nothing_outside(house: House) -> None:
    """The documentation pages load nothing from another server."""
    async with aiohttp.ClientSession() as session:
        for path in ("/docs", "/docs/errors", "/docs/style.css", "/openapi.json"):
            async with session.get(f"{house.url}{path}") as answer:
                assert answer.status == 200
                text = await answer.text()
                if path != "/openapi.json":
                    assert not re.findall(r'(?:src|href)="https?://', text)
                    assert "url(http" not in text
                if answer.content_type == "text/html":
                    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_nothing_personal_in_the_logs(client: Client, house: House, tenant: Tenant) -> None:
    """Neither token, text nor whole numbers are in any log."""
    data = await client.send(recipient="31611122233", message="a secret text")
    await client.until(data["uid"], "Delivered")
    await client.call("GET", f"/api/http/sms?api_token={tenant.token}")

    async def logged() -> bool:
        return house.dispatcher.log.exists()

    await eventually(logged)
    for program in (house.api, house.dispatcher):
        text = program.log.read_text()
        assert tenant.token not in text
        assert tenant.token.partition("|")[2] not in text
        assert "a secret text" not in text
        assert "31611122233" not in text
