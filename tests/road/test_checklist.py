"""The checklist of v3-api.md §13, row by row, over a real socket. Rows on contacts, campaigns and balance answer 404 for now."""

import asyncio
from typing import Any

import msgspec
import pytest
from tests.kit.house import Client, House, Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = "Tom & Ann = 100% + tea, café, čaj, 😀"
FIELDS: dict[str, Any] = {"recipient": "447700900101", "sender_id": "YourName", "type": "whatsapp", "message": TEXT}
PAGE_KEYS: dict[str, tuple[type, ...]] = {
    "current_page": (int,),
    "data": (list,),
    "first_page_url": (str,),
    "from": (int, type(None)),
    "last_page": (int,),
    "last_page_url": (str,),
    "links": (list,),
    "next_page_url": (str, type(None)),
    "path": (str,),
    "per_page": (int,),
    "prev_page_url": (str, type(None)),
    "to": (int, type(None)),
    "total": (int,),
}


async def raw(house: House, method: str, path: str, *lines: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
    """One request with these very header lines and bytes: status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    length = [f"Content-Length: {len(body)}"] if body else []
    head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: sms.example", "Connection: close", *lines, *length, "", ""])
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    heading, _, content = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in heading.lower(), heading
    assert b"location:" not in heading.lower()
    return int(heading[9:12]), msgspec.json.decode(content)


def bearer(tenant: Tenant) -> str:
    return f"Authorization: Bearer {tenant.token}"


JSON_LABEL = "Content-Type: application/json"
FORM_LABEL = "Content-Type: application/x-www-form-urlencoded"


async def test_row_1_five_kinds_of_request(house: House, tenant: Tenant) -> None:
    """Row 1: v3 send, view and list; http send without a JSON label; http view and list by GET with a JSON body."""
    sending = msgspec.json.encode(FIELDS)
    status, sent = await raw(house, "POST", "/api/v3/sms/send", bearer(tenant), JSON_LABEL, body=sending)
    assert (status, sent["data"]["message"]) == (200, TEXT)
    uid = sent["data"]["uid"]
    assert (await raw(house, "GET", f"/api/v3/sms/{uid}", bearer(tenant), JSON_LABEL))[1]["data"]["uid"] == uid
    assert (await raw(house, "GET", "/api/v3/sms", bearer(tenant), JSON_LABEL))[1]["data"]["data"][0]["uid"] == uid
    with_token = msgspec.json.encode({"api_token": tenant.token, **FIELDS})
    status, sent = await raw(house, "POST", "/api/http/sms/send", FORM_LABEL, body=with_token)
    assert (status, sent["data"]["message"]) == (200, TEXT)
    uid = sent["data"]["uid"]
    only_token = msgspec.json.encode({"api_token": tenant.token})
    _, viewed = await raw(house, "GET", f"/api/http/sms/{uid}", JSON_LABEL, body=only_token)
    assert viewed["data"]["uid"] == uid
    _, listed = await raw(house, "GET", "/api/http/sms", JSON_LABEL, body=only_token)
    assert listed["data"]["data"][0]["uid"] == uid


@pytest.mark.parametrize("flavour", ["v3", "http"])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/sms/", 200),
        ("/sms?", 200),
        ("//sms", 200),
        ("/sms/?page=1", 200),
        ("/contacts/", 404),
        ("/contacts/65f0a1b2c3d4f/show/", 404),
        ("/balance?", 404),
    ],
)
async def test_row_2_no_redirects(house: House, tenant: Tenant, flavour: str, path: str, expected: int) -> None:
    """Row 2: trailing slashes, doubled slashes and a bare ? answer directly."""
    assert (await raw(house, "GET", f"/api/{flavour}{path}", bearer(tenant)))[0] == expected


@pytest.mark.parametrize("label", [FORM_LABEL, JSON_LABEL, "Content-Type: text/plain", "X-No-Label: 1"])
@pytest.mark.parametrize("around", [(b"", b""), (b"", b"\n"), (b"\r\n ", b"\n\n")])
async def test_row_3_json_under_any_label(
    house: House, tenant: Tenant, label: str, around: tuple[bytes, bytes]
) -> None:
    """Row 3: JSON under a form label keeps & = + % and every letter; a newline at its end does not matter."""
    body = around[0] + msgspec.json.encode({"api_token": tenant.token, **FIELDS}) + around[1]
    status, sent = await raw(house, "POST", "/api/http/sms/send", label, body=body)
    assert (status, sent["data"]["message"]) == (200, TEXT)


async def test_row_4_forms_with_bearer(client: Client) -> None:
    """Row 4: a real form with a Bearer header; PATCH is read alike and not an operation here."""
    status, body, _ = await client.call("POST", "/api/v3/sms/send", data=FIELDS)
    assert (status, body["data"]["message"]) == (200, TEXT)
    status, body, headers = await client.call("PATCH", "/api/v3/sms/send", data=FIELDS)
    assert (status, body["code"], headers["allow"]) == (405, "method_not_allowed", "POST")


@pytest.mark.parametrize("path", ["/api/v3/sms/send", "/api/http/sms/send", "/api/v3/sms"])
async def test_row_5_only_a_query(client: Client, path: str) -> None:
    """Row 5: a POST with all it says in the query."""
    status, body, _ = await client.call("POST", path, params=FIELDS)
    assert (status, body["data"]["message"]) == (200, TEXT)


async def test_row_6_a_json_label_and_no_body(house: House, tenant: Tenant, client: Client) -> None:
    """Row 6: application/json with nothing in it means no parameters, for every method."""
    later = await client.send(schedule_time="2027-01-02 07:00")
    for method, path, expected in (
        ("GET", "/api/v3/sms", 200),
        ("GET", f"/api/v3/sms/{later['uid']}", 200),
        ("POST", "/api/v3/sms/send", 422),
        ("POST", f"/api/v3/sms/{later['uid']}/cancel", 200),
        ("DELETE", f"/api/v3/sms/{later['uid']}", 405),
        ("DELETE", "/api/v3/contacts/a", 404),
    ):
        for lines in ((JSON_LABEL,), (JSON_LABEL, "Content-Length: 0")):
            assert (await raw(house, method, path, bearer(tenant), *lines))[0] == expected, (method, path)


@pytest.mark.parametrize("body", [b"[]", b" [] ", b"null", b"{}", b"\n"])
async def test_row_7_get_with_an_empty_list(house: House, tenant: Tenant, body: bytes) -> None:
    """Row 7: GET with the body [] lists."""
    assert (await raw(house, "GET", "/api/v3/sms", bearer(tenant), JSON_LABEL, body=body))[0] == 200


@pytest.mark.parametrize("bar", ["|", "%7C"])
async def test_row_8_http_send_by_get(house: House, tenant: Tenant, bar: str) -> None:
    """Row 8: GET with a query sends on http, its token with %7C or a raw bar."""
    query = f"recipient=447700900101&sender_id=YourName&message=Hello+Ada&api_token={tenant.token.replace('|', bar)}"
    status, body = await raw(house, "GET", f"/api/http/sms/send?{query}")
    assert (status, body["data"]["message"]) == (200, "Hello Ada")


@pytest.mark.parametrize(
    "changes",
    [
        {"type": ...},
        {"type": None},
        {"type": ""},
        {"type": "WhatsApp"},
        {"unknown": {"deep": [1]}, "page": 3, "group_id": "x"},
        {"media_url": None, "schedule_time": None, "template": None, "dlt_template_id": ""},
        {"recipient": 447700900101},
        {"recipient": 447700900101.0},
        {"recipient": ["447700900101"]},
        {"recipient": [447700900101, "+44 7700 900101"]},
        {"recipient": "+447700900101"},
        {"recipient": "00447700900101"},
        {"recipient": " (44) 7700-900.101 , , 447700900101,"},
    ],
)
async def test_row_9_odd_fields(client: Client, changes: dict[str, Any]) -> None:
    """Row 9: no type, nulls, unknown keys, numbers, arrays, spaces after commas, a leading plus: all the same message."""
    fields = {name: value for name, value in {**FIELDS, **changes}.items() if value is not ...}
    status, body, _ = await client.call("POST", "/api/v3/sms/send", fields)
    assert status == 200, body
    data = body["data"]
    assert (data["to"], data["from"], data["message"], data["sms_type"]) == (
        "447700900101",
        "YourName",
        TEXT,
        "whatsapp",
    )


async def test_row_9_sender_null(client: Client) -> None:
    """Row 9: sender_id null is as if it were absent, which is an error without a default sender."""
    status, body, _ = await client.call("POST", "/api/v3/sms/send", {**FIELDS, "sender_id": None})
    assert (status, body["message"]) == (422, "The sender id field is required.")


@pytest.mark.parametrize("recipient", ["447700900101", "447700900101,447700900102"])
async def test_row_10_data_of_a_send(client: Client, recipient: str) -> None:
    """Row 10: data is an object with all six text keys, cost among them, for one recipient and for several."""
    data = await client.send(recipient=recipient)
    assert [type(data[key]) for key in ("uid", "to", "from", "message", "status", "cost")] == [str] * 6
    assert type(data["sms_count"]) is int
    assert data["to"] == recipient
    assert data["cost"].replace(".", "").isdecimal()
    assert (await client.view(data["uid"]))["to"] == recipient.partition(",")[0]


@pytest.mark.parametrize(
    "path", ["/api/v3/sms", "/api/http/sms", "/api/v3/sms?page=2", "/api/v3/sms?page=999", "/api/v3/sms/?uid=x&limit=2"]
)
async def test_row_11_pages(client: Client, path: str) -> None:
    """Row 11: a list has all thirteen page keys with the right types, on every page."""
    await client.send()
    _, body, _ = await client.call("GET", path)
    page = body["data"]
    assert {key: type(page[key]) in kinds for key, kinds in PAGE_KEYS.items()} == dict.fromkeys(PAGE_KEYS, True)
    for link in page["links"]:
        assert isinstance(link["label"], str)
        assert isinstance(link["active"], bool)
        assert link["url"] is None or isinstance(link["url"], str)


async def test_row_12_message_on_success(client: Client) -> None:
    """Row 12: `message` is there on every success: a sentence with "successfully" for a send, null for reads."""
    status, sent, _ = await client.call("POST", "/api/v3/sms/send", FIELDS)
    assert "successfully" in sent["message"]
    uid = sent["data"]["uid"]
    for path in (f"/api/v3/sms/{uid}", "/api/v3/sms", f"/api/v3/sms/{uid}/explain", f"/api/http/sms/send/{uid}"):
        status, body, _ = await client.call("GET", path)
        assert (status, body["message"], "message" in body) == (200, None, True)


@pytest.mark.parametrize("flavour", ["v3", "http"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/contacts/65f0a1b2c3d4f/show"),
        ("GET", "/contacts/65f0a1b2c3d4f/show"),
        ("POST", "/contacts/65f0a1b2c3d4f/search/65f0a1b2c3d50"),
        ("POST", "/contacts/65f0a1b2c3d4f/all"),
        ("POST", "/contacts/65f0a1b2c3d4f/store"),
        ("PATCH", "/contacts/65f0a1b2c3d4f/update/65f0a1b2c3d50"),
        ("DELETE", "/contacts/65f0a1b2c3d4f/delete/65f0a1b2c3d50"),
        ("POST", "/contacts"),
        ("POST", "/sms/campaign"),
        ("GET", "/campaign/65f0a1b2c3d55/view"),
        ("GET", "/balance"),
        ("GET", "/me"),
    ],
)
async def test_rows_13_to_15_17_19_20_not_yet(client: Client, flavour: str, method: str, path: str) -> None:
    """Rows 13 to 15, 17, 19 and 20 belong to rooms that are not built: each address answers 404 in the envelope."""
    status, body, _ = await client.call(method, f"/api/{flavour}{path}", {"PHONE": "447700900101"})
    assert (status, bool(body["message"])) == (404, True)


@pytest.mark.parametrize(
    ("method", "path", "lines", "body", "expected"),
    [
        ("GET", "/api/v3/nothing", (), b"", 404),
        ("GET", "/api/nothing", (), b"", 404),
        ("BREW", "/api/v3/sms", (), b"", 405),
        ("DELETE", "/api/v3/sms", (), b"", 405),
        ("PUT", "/api/http/sms/send", (), b"", 405),
        ("POST", "/api/v3/sms/send", (JSON_LABEL,), b"{", 400),
        ("POST", "/api/v3/sms/send", (JSON_LABEL,), b"recipient=1", 400),
        ("POST", "/api/v3/sms/send", (FORM_LABEL,), b'{"schedule_time=2030-01-02 07:00"}', 400),
        ("POST", "/api/v3/sms/send", (), b"[1]", 400),
        ("POST", "/api/v3/sms/send", ("Accept: text/html",), b"{}", 422),
        ("POST", "/api/v3/sms/send", ("Accept: */*",), b"{}", 422),
        ("POST", "/api/v3/sms/send", (), b"", 422),
        ("GET", "/api/v3/sms/nobody", (), b"", 404),
        ("GET", "/api/v3/sms/%00%ff", (), b"", 404),
        ("GET", "/api/v3/sms/..%2f..%2fetc", (), b"", 404),
    ],
)
async def test_row_16_every_error_has_the_envelope(
    house: House, tenant: Tenant, method: str, path: str, lines: tuple[str, ...], body: bytes, expected: int
) -> None:
    """Row 16: unknown path, wrong method, bad JSON, no Accept or another: the envelope, with a sentence and no data."""
    status, answer = await raw(house, method, path, bearer(tenant), *lines, body=body)
    assert (status, answer["status"]) == (expected, "error")
    assert isinstance(answer["message"], str)
    assert answer["message"]
    assert answer.get("data") is None
    assert answer["code"]


async def test_row_16_without_a_token(house: House) -> None:
    """Row 16: 401 in the envelope, never a page to log in at, whatever Accept says."""
    for lines in ((), ("Accept: text/html",), ("Accept: */*",)):
        status, answer = await raw(house, "GET", "/api/v3/sms", *lines)
        assert (status, answer["message"]) == (401, "Unauthenticated.")


@pytest.mark.parametrize("path", ["/api/v3/sms/send/{}", "/api/http/sms/send/{}", "/api/v3/sms/send/{}/"])
async def test_row_18_view_by_the_send_address(client: Client, path: str) -> None:
    """Row 18: GET /sms/send/{uid} is a view."""
    sent = await client.send()
    status, body, _ = await client.call("GET", path.format(sent["uid"]))
    assert (status, body["data"]["uid"]) == (200, sent["uid"])


async def test_row_20_the_path_wins(client: Client) -> None:
    """Row 20: a uid in the body or the query does not override the path."""
    first, second = await client.send(), await client.send()
    for more in ({"json": {"uid": second["uid"], "group_id": "x"}}, {"params": {"uid": second["uid"]}}):
        _, body, _ = await client.call("GET", f"/api/v3/sms/{first['uid']}", **more)
        assert body["data"]["uid"] == first["uid"]
