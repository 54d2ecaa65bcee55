"""Graph's own habits: who may call, which version answers, what an unknown id gets."""

import pytest

from heliograph.emulators.cloud_api import defaults
from heliograph.emulators.cloud_api.signing import prove_app_secret
from tests.emulators.kit import NUMBER, PERSON, WABA, Client, emulating

TEXT = {"messaging_product": "whatsapp", "to": f"+{PERSON}", "text": {"body": "Hello"}}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic abc"}])
@pytest.mark.parametrize("path", [f"{NUMBER}/messages", "999/messages", "nowhere"])
async def test_token_is_required(client: Client, headers: dict[str, str], path: str) -> None:
    """Without the right token every call is 401 with code 190, whatever it is about."""
    async with client.session.post(f"{client.url}/v26.0/{path}", json=TEXT, headers=headers) as answer:
        error = (await answer.json())["error"]
        assert answer.status == 401
        assert (error["code"], error["type"]) == (190, "OAuthException")
        assert error["message"] == "Invalid OAuth access token - Cannot parse access token"


async def test_expired_token(client: Client) -> None:
    """The token that is known as expired says so: 190 with subcode 463."""
    client.token = defaults.EXPIRED_TOKEN
    status, body = await client.call("GET", NUMBER)
    assert (status, body["error"]["code"], body["error"]["error_subcode"]) == (401, 190, 463)
    assert body["error"]["message"].startswith("Error validating access token: Session has expired on ")


async def test_token_in_the_query(client: Client) -> None:
    """Graph takes the token as a parameter too."""
    async with client.session.get(f"{client.url}/v26.0/{NUMBER}?access_token={client.token}") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("asked", "served"), [("v26.0", "v26.0"), ("v23.0", "v23.0"), ("v16.0", "v22.0"), ("v99.0", "v26.0"), ("", "v22.0")]
)
async def test_versions(client: Client, asked: str, served: str) -> None:
    """Any version is taken; an ended one is served by the oldest alive, and the answer names the one that served."""
    url = f"{client.url}/{asked}/{NUMBER}" if asked else f"{client.url}/{NUMBER}"
    async with client.session.get(url, headers={"Authorization": f"Bearer {client.token}"}) as answer:
        assert answer.status == 200
        assert answer.headers["facebook-api-version"] == served
        for name in ("x-fb-trace-id", "x-fb-request-id", "x-fb-rev", "x-app-usage", "x-business-use-case-usage"):
            assert answer.headers[name]


@pytest.mark.parametrize(("method", "path"), [("POST", "123/messages"), ("GET", "123"), ("POST", f"{WABA}/messages")])
async def test_unknown_object(client: Client, method: str, path: str) -> None:
    """An id that does not exist, or has no such edge: 100 with subcode 33."""
    status, body = await client.call(method, path, {} if method == "POST" else None)
    error = body["error"]
    assert (status, error["code"], error["error_subcode"]) == (400, 100, 33)
    assert error["type"] == "GraphMethodException"
    assert error["message"].startswith(
        f"Unsupported {method.lower()} request. Object with ID '{path.split('/', maxsplit=1)[0]}' does not exist"
    )


async def test_proof() -> None:
    """A wrong app secret proof is always refused, a missing one where it is required."""
    right = prove_app_secret(defaults.TOKEN, defaults.APP_SECRET)
    async with emulating() as client:
        assert (await client.call("GET", NUMBER))[0] == 200
        assert (await client.call("GET", f"{NUMBER}?appsecret_proof={right}"))[0] == 200
        status, body = await client.call("GET", f"{NUMBER}?appsecret_proof={'0' * 64}")
        assert (status, body["error"]["code"]) == (400, 100)
    async with emulating(require_proof=True) as client:
        status, body = await client.call("GET", NUMBER)
        assert (status, body["error"]["code"]) == (400, 100)
        assert (await client.call("GET", f"{NUMBER}?appsecret_proof={right}"))[0] == 200
        status, body = await client.post(TEXT)
        assert (status, body["error"]["code"]) == (400, 100)


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000])
async def test_unreadable_bodies(client: Client, body: bytes) -> None:
    """A body that is no JSON object is refused with code 100, and nothing is accepted."""
    status, answer = await client.call(
        "POST", f"{NUMBER}/messages", data=body, headers={"Content-Type": "application/json"}
    )
    assert (status, answer["error"]["code"]) == (400, 100)
    assert await client.control("GET", "messages?count=1") == {"count": 0}


async def test_form_bodies(client: Client) -> None:
    """Graph takes forms too, with JSON in their structured fields."""
    form = {"messaging_product": "whatsapp", "to": f"+{PERSON}", "type": "text", "text": '{"body":"from a form"}'}
    status, body = await client.call("POST", f"{NUMBER}/messages", data=form)
    assert status == 200, body
    assert [one["text"] for one in await client.messages()] == ["from a form"]
