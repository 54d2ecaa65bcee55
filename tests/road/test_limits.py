"""What protects the server and its customers: limits of requests, tokens that end, bodies that are too large or too slow."""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from tests.kit.house import Client, House, Tenant, open_house, run_command

pytestmark = pytest.mark.asyncio(loop_scope="module")

PER_MINUTE = 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Low limits, and little patience."""
    folder = tmp_path_factory.mktemp("house")
    environ = {"rate_limit_per_minute": str(PER_MINUTE), "header_timeout_s": "3", "body_timeout_s": "1"}
    async with open_house(folder, **environ) as opened:
        yield opened


async def new_token(house: House, tenant: Tenant, *options: str) -> Client:
    """A client with a token of its own for the tenant's account."""
    account = ("--account", str(tenant.account_id), "--json")
    code, shown, complaint = await run_command(house.environ, "tokens", "create", *account, *options)
    assert code == 0, complaint
    text = msgspec.json.decode(shown)["token"]
    return Client(house, Tenant(tenant.account_id, text, tenant.callback_url, tenant.verify_token))


async def patient(house: House, tenant: Tenant) -> Client:
    return await new_token(house, tenant, "--rate-limit", "0")


# Requests a minute


async def test_too_many_requests(house: House, tenant: Tenant) -> None:
    """Beyond the limit 429 says when to come back; the headers count down; another token is not concerned."""
    async with await new_token(house, tenant) as client, await new_token(house, tenant) as other:
        left = []
        for _ in range(PER_MINUTE):
            status, _, headers = await client.call("GET", "/api/v3/sms")
            assert (status, headers["x-ratelimit-limit"]) == (200, str(PER_MINUTE))
            left.append(int(headers["x-ratelimit-remaining"]))
        assert left == list(range(PER_MINUTE - 1, -1, -1))
        for method, path in (("GET", "/api/v3/sms"), ("POST", "/api/http/sms/send"), ("GET", "/api/http/sms/abc")):
            status, body, headers = await client.call(method, path)
            assert (status, body["message"], body["code"]) == (429, "Too Many Attempts.", "too_many_requests")
            assert 1 <= int(headers["retry-after"]) <= 60
            assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == (str(PER_MINUTE), "0")
        assert (await other.call("GET", "/api/v3/sms"))[0] == 200


async def test_a_limit_of_its_own(house: House, tenant: Tenant) -> None:
    """A token may have a lower limit than others, or none."""
    async with await new_token(house, tenant, "--rate-limit", "2") as client, await patient(house, tenant) as free:
        assert [(await client.call("GET", "/api/v3/sms"))[0] for _ in range(3)] == [200, 200, 429]
        for _ in range(PER_MINUTE + 5):
            status, _, headers = await free.call("GET", "/api/v3/sms")
            assert (status, "x-ratelimit-limit" in headers) == (200, False)


async def test_refused_requests_count(house: House, tenant: Tenant) -> None:
    """Errors count as requests, but what nobody's token sent does not count against anyone."""
    async with await new_token(house, tenant, "--rate-limit", "3") as client:
        for _ in range(5):
            status, _, _ = await client.call("GET", "/api/v3/sms", headers={"Authorization": "Bearer 1|wrong"})
            assert status == 401
        statuses = [(await client.call("POST", "/api/v3/sms/send", {}))[0] for _ in range(4)]
        assert statuses == [422, 422, 422, 429]


# Tokens that end


async def test_a_revoked_token(house: House, tenant: Tenant) -> None:
    """From the moment that the command has ended, the token is unknown, also to a server that knew it a moment ago."""
    async with await patient(house, tenant) as client:
        assert (await client.call("GET", "/api/v3/sms"))[0] == 200
        token_id = client.tenant.token.partition("|")[0]
        command = ("tokens", "revoke", token_id, "--account", str(tenant.account_id))
        assert (await run_command(house.environ, *command))[0] == 0
        assert (await client.call("GET", "/api/v3/sms"))[0] == 401
        code, _, complaint = await run_command(house.environ, *command)
        assert (code, "no living token" in complaint) == (1, True)


async def test_a_suspended_account(house: House, tenant: Tenant) -> None:
    """A suspended account's requests are refused at once, and allowed again at once."""
    async with await patient(house, tenant) as client:
        assert (await client.call("GET", "/api/v3/sms"))[0] == 200
        command = ("accounts", "suspend", "--account", str(tenant.account_id))
        assert (await run_command(house.environ, *command))[0] == 0
        status, body, _ = await client.call("GET", "/api/v3/sms")
        assert (status, body["code"]) == (403, "account_suspended")
        assert (await run_command(house.environ, *command, "--undo"))[0] == 0
        assert (await client.call("GET", "/api/v3/sms"))[0] == 200


@pytest.mark.parametrize("bar", ["|", "%7C", "%7c"])
@pytest.mark.parametrize("place", ["header", "lower", "body", "form", "query", "named header"])
async def test_the_bar_of_a_token(house: House, tenant: Tenant, bar: str, place: str) -> None:
    """A token is understood with its bar raw or escaped, wherever it is."""
    async with await patient(house, tenant) as client:
        text = client.tenant.token.replace("|", bar)
        nothing = {"Authorization": ""}
        match place:
            case "header":
                answer = await client.call("GET", "/api/v3/sms", headers={"Authorization": f"Bearer {text} "})
            case "lower":
                answer = await client.call("GET", "/api/v3/sms", headers={"Authorization": f"bearer {text}"})
            case "body":
                answer = await client.call("GET", "/api/http/sms", {"api_token": text}, headers=nothing)
            case "form":
                answer = await client.call("GET", "/api/http/sms", data={"api_token": text}, headers=nothing)
            case "query":
                from yarl import URL

                path = URL(f"/api/http/sms?api_token={text}", encoded=True)
                answer = await client.call("GET", str(path), headers=nothing)
            case _:
                answer = await client.call("GET", "/api/http/sms", headers={**nothing, "api_token": text})
        assert answer[0] == 200, answer


async def test_when_a_token_was_used(house: House, tenant: Tenant) -> None:
    """The list of tokens names each by its number, never by its secret."""
    async with await patient(house, tenant) as client:
        assert (await client.call("GET", "/api/v3/sms"))[0] == 200
        account = ("--account", str(tenant.account_id))
        _, shown, _ = await run_command(house.environ, "tokens", "list", *account, "--json")
        secret = client.tenant.token.partition("|")[2]
        assert secret not in shown
        ids = [token["id"] for token in msgspec.json.decode(shown)]
        assert int(client.tenant.token.partition("|")[0]) in ids


# Bodies and headers


async def converse(house: House, *parts: bytes, wait_s: float = 15.0) -> tuple[bytes, float]:
    """Say the parts on one connection and listen until it is closed: what came back, and how long it took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    began = time.monotonic()
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(wait_s):
            return await reader.read(), time.monotonic() - began
    except (ConnectionError, OSError):
        return b"", time.monotonic() - began
    finally:
        writer.close()


def head(house: House, token: str, *lines: str) -> bytes:
    return "\r\n".join(
        [
            "POST /api/v3/sms/send HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {token}",
            "Connection: close",
            *lines,
            "",
            "",
        ]
    ).encode()


async def test_a_body_that_never_comes(house: House, tenant: Tenant) -> None:
    """Half a body is answered with 408 in the envelope when its time is over."""
    async with await patient(house, tenant) as client:
        request = head(house, client.tenant.token, "Content-Type: application/json", "Content-Length: 100") + b'{"reci'
        answer, took_s = await converse(house, request)
        assert answer.startswith(b"HTTP/1.1 408"), answer
        assert b'"too_slow"' in answer
        assert 0.9 < took_s < 5


async def test_many_bodies_that_never_come(house: House, tenant: Tenant) -> None:
    """Each of fifty such clients is told so: none is left hanging."""
    async with await patient(house, tenant) as client:
        request = head(house, client.tenant.token, "Content-Length: 100") + b'{"reci'
        answers = await asyncio.gather(*(converse(house, request) for _ in range(50)))
        assert {answer[:12] for answer, _ in answers} == {b"HTTP/1.1 408"}


async def test_headers_that_never_come(house: House) -> None:
    """A client that does not end its headers is dropped."""
    answer, took_s = await converse(house, b"POST /api/v3/sms/send HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    assert b"200" not in answer[:20]
    assert took_s < 10


async def test_many_slow_clients(house: House, tenant: Tenant) -> None:
    """Two hundred clients that say nothing more keep nobody else waiting."""
    async with await patient(house, tenant) as client:
        half = head(house, client.tenant.token, "Content-Length: 1000") + b"x"
        slow = [asyncio.create_task(converse(house, half)) for _ in range(200)]
        await asyncio.sleep(0)
        took = []
        for _ in range(10):
            began = time.monotonic()
            assert (await client.call("GET", "/api/v3/sms"))[0] == 200
            took.append(time.monotonic() - began)
        assert min(took) < 1
        answers = [answer for answer, _ in await asyncio.gather(*slow)]
        assert {answer[:12] for answer in answers} <= {b"HTTP/1.1 408", b""}


async def test_a_large_body_in_pieces(house: House, tenant: Tenant) -> None:
    """A body of 10 MB that does not tell its length is refused with 413 as soon as it is too large."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield b"x" * 65_536

    async with await patient(house, tenant) as client:
        status, body, _ = await client.call("POST", "/api/v3/sms/send", data=pieces())
        assert (status, body["code"]) == (413, "too_large")


async def test_a_large_body_that_is_asked_about(house: House, tenant: Tenant) -> None:
    """Who asks before sending 10 MB (Expect: 100-continue) is told 413 at once, and has sent nothing."""
    async with await patient(house, tenant) as client:
        request = head(house, client.tenant.token, "Content-Length: 10000000", "Expect: 100-continue")
        answer, took_s = await converse(house, request)
        assert answer.startswith(b"HTTP/1.1 413"), answer
        assert took_s < 1


@pytest.mark.parametrize("length", ["abc", "-1", "1e3", "99999999999999999999"])
async def test_odd_lengths(house: House, tenant: Tenant, length: str) -> None:
    """A length that is none, or beyond measure, gets a 4xx."""
    async with await patient(house, tenant) as client:
        answer, _ = await converse(house, head(house, client.tenant.token, f"Content-Length: {length}") + b"{}")
        assert answer[:10] in {b"HTTP/1.1 4", b""}, answer


async def test_many_fields(house: House, tenant: Tenant) -> None:
    """A form of 100,000 fields is a bad request."""
    async with await patient(house, tenant) as client:
        data = b"&".join(b"a%d=1" % n for n in range(100_000))
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, body, _ = await client.call("POST", "/api/v3/sms/send", data=data, headers=headers)
        assert (status, body["code"]) == (400, "malformed_form")


async def test_many_recipients(house: House, tenant: Tenant) -> None:
    """A thousand recipients in one call are a thousand messages, listed in their order; ten thousand and one are refused."""
    async with await patient(house, tenant) as client:
        numbers = [f"3161{n:07d}" for n in range(10_001)]
        data = await client.send(recipient=numbers[:1000], schedule_time="2027-01-02 07:00")
        assert [one["to"] for one in data["messages"]] == numbers[:1000]
        assert len({one["uid"] for one in data["messages"]}) == 1000
        assert (data["cost"], data["sms_count"], data["uid"]) == ("1000", 1000, data["messages"][0]["uid"])
        _, listed, _ = await client.call("GET", "/api/v3/sms?per_page=100")
        assert [row["to"] for row in listed["data"]["data"]] == numbers[999:899:-1]
        status, body, _ = await client.call(
            "POST", "/api/v3/sms/send", {"recipient": numbers, "sender_id": "YourName", "message": "x"}
        )
        assert (status, list(body["errors"])) == (422, ["recipient"])
