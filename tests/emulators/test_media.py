"""Files: uploaded, looked up, fetched from an address that lives for minutes, sent, deleted."""

import hashlib
from typing import Any

import aiohttp
import pytest

from heliograph.emulators.cloud_api import defaults
from heliograph.emulators.cloud_api.pictures import make_png
from heliograph.emulators.cloud_api.signing import prove_app_secret
from tests.emulators.kit import NUMBER, PERSON, Client, emulating


async def upload(
    client: Client, content: bytes, mime_type: str = "image/png", number: str = NUMBER, **fields: str
) -> tuple[int, dict[str, Any]]:
    form = aiohttp.FormData()
    for name, value in {"messaging_product": "whatsapp", "type": mime_type, **fields}.items():
        form.add_field(name, value)
    form.add_field("file", content, filename="a.png", content_type=mime_type)
    return await client.call("POST", f"{number}/media", data=form)


async def test_up_and_down(client: Client) -> None:
    """What is uploaded can be looked up, fetched with the token, and is the same to the byte; deleted it is gone."""
    content = make_png()
    status, made = await upload(client, content)
    assert status == 200, made
    _, facts = await client.call("GET", f"{made['id']}?phone_number_id={NUMBER}")
    assert facts["messaging_product"] == "whatsapp"
    assert facts["sha256"] == hashlib.sha256(content).hexdigest()
    assert (facts["mime_type"], facts["file_size"], facts["id"]) == ("image/png", len(content), made["id"])
    async with client.session.get(facts["url"]) as answer:
        assert answer.status == 401
    headers = {"Authorization": f"Bearer {client.token}"}
    async with client.session.get(facts["url"], headers=headers) as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (200, "image/png", content)
    async with client.session.get(facts["url"].replace("hash=", "hash=0"), headers=headers) as answer:
        assert answer.status == 404
    assert await client.call("DELETE", made["id"]) == (200, {"success": True})
    status, gone = await client.call("GET", made["id"])
    assert (status, gone["error"]["error_subcode"]) == (400, 33)


async def test_only_its_own_number(client: Client) -> None:
    """A file belongs to the number that it was uploaded for."""
    _, made = await upload(client, make_png())
    status, body = await client.call("GET", f"{made['id']}?phone_number_id={NUMBER[:-1]}2")
    assert (status, body["error"]["error_subcode"]) == (400, 33)
    wanted = {"to": f"+{PERSON}", "type": "image", "image": {"id": made["id"], "caption": "c"}}
    assert (await client.post(wanted))[0] == 200
    assert (await client.refused(wanted, number=f"{NUMBER[:-1]}2"))["code"] == 100


async def test_kinds(client: Client) -> None:
    """A file goes out only as the kind that it is."""
    _, made = await upload(client, b"%PDF-1.4", "application/pdf")
    assert (await client.post({"to": f"+{PERSON}", "type": "document", "document": {"id": made["id"]}}))[0] == 200
    error = await client.refused({"to": f"+{PERSON}", "type": "image", "image": {"id": made["id"]}})
    assert error["code"] == 131009


async def test_address_expires() -> None:
    """A download address is dead after its life; a new look-up gives one that works."""
    async with emulating(media_url_life_s=-1.0) as client:
        _, made = await upload(client, make_png())
        _, facts = await client.call("GET", made["id"])
        headers = {"Authorization": f"Bearer {client.token}"}
        async with client.session.get(facts["url"], headers=headers) as answer:
            assert answer.status == 404


@pytest.mark.parametrize(
    ("content", "mime_type", "fields", "code"),
    [
        (b"x", "image/gif", {}, 100),
        (b"", "image/png", {}, 100),
        (b"x" * 5_000_001, "image/png", {}, 131053),
        (b"x", "image/png", {"messaging_product": "sms"}, 100),
    ],
)
async def test_refused(client: Client, content: bytes, mime_type: str, fields: dict[str, str], code: int) -> None:
    """Wrong kinds, empty and too large files are refused."""
    status, body = await upload(client, content, mime_type, **fields)
    assert (status, body["error"]["code"]) == (400, code)


async def test_not_multipart(client: Client) -> None:
    """An upload that is no form is refused."""
    status, body = await client.call("POST", f"{NUMBER}/media", {"messaging_product": "whatsapp"})
    assert (status, body["error"]["message"]) == (400, "(#100) The parameter file is required.")


async def test_with_proof() -> None:
    """Uploads are under the app secret proof as all calls are."""
    proof = prove_app_secret(defaults.TOKEN, defaults.APP_SECRET)
    async with emulating(require_proof=True) as client:
        form = aiohttp.FormData({"messaging_product": "whatsapp", "type": "image/png"})
        form.add_field("file", make_png(), filename="a.png", content_type="image/png")
        status, body = await client.call("POST", f"{NUMBER}/media?appsecret_proof={proof}", data=form)
        assert status == 200, body


async def test_resumable_upload(client: Client) -> None:
    """A sample goes up in pieces, each from where the last one ended, and gives a handle."""
    content = make_png()
    query = f"file_name=a.png&file_length={len(content)}&file_type=image/png"
    _, started = await client.call("POST", f"{defaults.APP_ID}/uploads?{query}")
    assert started["id"].startswith("upload:")
    token = {"Authorization": f"OAuth {client.token}"}
    status, body = await client.call("POST", started["id"], data=content[:50], headers={**token, "file_offset": "0"})
    assert (status, body["file_offset"]) == (200, 50)
    status, body = await client.call("POST", started["id"], data=content[50:], headers={**token, "file_offset": "3"})
    assert (status, body["error"]["code"]) == (400, 100)
    status, body = await client.call("POST", started["id"], data=content[50:], headers={**token, "file_offset": "50"})
    assert status == 200
    assert body["h"].startswith("4::")
