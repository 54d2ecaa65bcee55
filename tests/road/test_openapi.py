"""The running API against its own description, by Schemathesis: whatever is sent, each answer is one that is described."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from jsonschema_rs import Draft202012Validator
from tests.kit.house import Client, House, Tenant, run_command
from tests.kit.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
EXAMPLES = 80  # an operation, in each phase that invents some


@pytest.mark.parametrize("flavour", ["v3", "http"])
async def test_every_answer_is_described(tmp_path: Path, house: House, tenant: Tenant, flavour: str) -> None:
    """Thousands of requests, good and bad: no 5xx, and status, content type and body as the document says.

    Every answer of the document has the envelope, so every answer that was got has it too."""
    arguments = [
        *("run", f"{house.url}/openapi.json", "--include-path-regex", f"^/api/{flavour}/"),
        *("--header", f"Authorization: Bearer {tenant.token}", "--checks", ",".join(CHECKS)),
        *("--phases", "examples,coverage,fuzzing", "--mode", "all", "--max-examples", str(EXAMPLES)),
        *("--generation-database", "none", "--suppress-health-check", "all", "--request-timeout", "10"),
        *("--continue-on-failure", "--no-shrink", "--no-color", "--warnings", "off"),
    ]
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        *arguments,
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    text = told.decode(errors="replace")
    assert process.returncode == 0, text[-6000:]
    assert "generated" in text, text[-2000:]
    assert house.api.alive()


async def test_every_described_answer_has_the_envelope(house: House) -> None:
    """No answer is described without `status`, nor an error without a sentence."""
    document = await read_document(house)
    assert document["openapi"].startswith("3.1")
    error = document["components"]["schemas"]["Error"]
    assert set(error["required"]) >= {"status", "message", "code"}
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, described in operation["responses"].items():
                schema = described["content"]["application/json"]["schema"]
                if status == "200":
                    assert set(schema["required"]) == {"status", "message", "data"}
                else:
                    assert schema == {"$ref": "#/components/schemas/Error"}


async def read_document(house: House) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{house.url}/openapi.json") as answer:
        document: dict[str, Any] = msgspec.json.decode(await answer.read())
        return document


async def test_what_a_send_requires(house: House, tenant: Tenant, client: Client) -> None:
    """The document requires of a send just what the server does: with a default sender and a template, the recipient."""
    document = await read_document(house)
    body = document["paths"]["/api/v3/sms/send"]["post"]["requestBody"]
    for described in body["content"].values():
        assert described["schema"]["required"] == ["recipient"]
    account = ("accounts", "change", "--account", str(tenant.account_id), "--default-sender")
    assert (await run_command(house.environ, *account, "YourName"))[0] == 0
    try:
        template = {"name": "hello_world", "language": {"code": "en_US"}}
        status, sent, _ = await client.call(
            "POST", "/api/v3/sms/send", {"recipient": "31612345678", "template": template}
        )
        assert (status, sent["data"]["from"]) == (200, "YourName")
    finally:
        assert (await run_command(house.environ, *account, ""))[0] == 0


async def test_real_answers_fit_the_document(house: House, client: Client) -> None:
    """What each operation answers about real messages, sent, failed, cancelled and received, is as the document says."""
    document = await read_document(house)
    plain = (await client.send())["uid"]
    failed = (await client.send(recipient="12025550110"))["uid"]
    later = (await client.send(schedule_time="2027-01-02 07:00"))["uid"]
    several = {"recipient": "31612345678, 31612345679, abc", "sender_id": "YourName", "message": "Hello"}
    await house.carrier.post("/__emulator/say", {"kind": "image"})
    await client.until(plain, "Delivered")
    await client.until(failed, "Failed")

    async def incoming() -> str | None:
        _, body, _ = await client.call("GET", "/api/v3/sms?direction=incoming")
        rows = body["data"]["data"]
        return str(rows[0]["uid"]) if rows else None

    received = await eventually(incoming)
    calls: list[tuple[str, str, str | None, Any, int]] = [
        ("POST", "/api/v3/sms/send", None, several, 200),
        ("POST", "/api/v3/sms", None, several | {"recipient": "31612345678"}, 200),
        ("POST", "/api/v3/sms/send", None, {}, 422),
        ("GET", "/api/v3/sms", None, None, 200),
        ("GET", "/api/v3/sms?status=Failed", None, None, 200),
        *(("GET", "/api/v3/sms/{uid}", uid, None, 200) for uid in (plain, failed, later, received)),
        *(("GET", "/api/v3/sms/{uid}/explain", uid, None, 200) for uid in (plain, failed, later, received)),
        ("GET", "/api/v3/sms/send/{uid}", plain, None, 200),
        ("POST", "/api/v3/sms/{uid}/cancel", later, None, 200),
        ("POST", "/api/v3/sms/{uid}/cancel", plain, None, 409),
        ("POST", "/api/v3/sms/{uid}/read", received, None, 200),
        ("POST", "/api/v3/sms/{uid}/read", plain, None, 422),
        ("GET", "/api/v3/sms/{uid}", "nobody", None, 404),
    ]
    seen = set()
    for method, path, uid, value, expected in calls:
        status, body, _ = await client.call(method, path.format(uid=uid), value)
        assert status == expected, (method, path, body)
        operation = document["paths"][path.partition("?")[0]][method.lower()]
        schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
        validator = Draft202012Validator({**schema, "components": document["components"]}, validate_formats=True)
        assert [str(error) for error in validator.iter_errors(body)] == []
        seen.add((method, path.partition("?")[0]))
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert {one for one in described if "/v3/" in one[1]} == seen
