"""Certainly not sent, or perhaps sent: each way in which a network fails, on real sockets."""

import asyncio
import contextlib
import datetime
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_writer import StreamWriter
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from heliograph.channels.contract import Connection, SendOutcome, Verdict
from heliograph.channels.whatsapp.channel import WhatsApp
from heliograph.channels.whatsapp.transport import (
    CLOSED_BEFORE_WRITING,
    BadAddress,
    Body,
    NoAnswer,
    NotSent,
    address_of,
    path_of,
    prove_app_secret,
    read_wait,
    translate,
)
from tests.channels.whatsapp.kit import (
    ACCEPTED,
    NUMBER,
    SECRET,
    TOKEN,
    Carrier,
    answering,
    connection_to,
    cut,
    cut_in_body,
    in_pieces,
    outgoing,
    speaking,
)


async def send_to(base_url: str, **limits: float) -> SendOutcome:
    async with speaking(**limits) as channel:
        return await channel.send(connection_to(base_url), outgoing())


def assert_not_sent(outcome: SendOutcome) -> None:
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, "carrier_unreachable")
    assert outcome.http_status is None
    assert "cannot be reached" in outcome.sentence


def assert_unknown(outcome: SendOutcome) -> None:
    assert (outcome.verdict, outcome.code) == (Verdict.UNKNOWN, "no_answer")
    assert outcome.carrier_message_id is None


# What goes over the wire


async def test_a_send(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """One POST to the number's messages with the token in the header; the answer's ids come back."""
    carrier.will(answering(ACCEPTED, x_fb_trace_id="A0b1"))
    outcome = await channel.send(connection, outgoing())
    (asked,) = carrier.asked
    assert (asked.method, asked.path, asked.query) == ("POST", f"/v26.0/{NUMBER}/messages", {})
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["content-type"] == "application/json"
    assert asked.json["biz_opaque_callback_data"] == "r-1"
    assert (outcome.verdict, outcome.carrier_message_id) == (Verdict.ACCEPTED, "wamid.HBgL")
    assert (outcome.carrier_recipient_id, outcome.trace_id) == ("15550100002", "A0b1")


def test_check_value_of_the_app_secret_proof() -> None:
    """The figure of whatsapp-cloud-api.md §1."""
    proof = "e26fc90c8d4d522d08c54ee335afed044fabbc9227f95cf57472622c595baf0c"
    assert prove_app_secret("TOKEN", "app-secret-for-tests") == proof


async def test_app_secret_proof_goes_along(carrier: Carrier, channel: WhatsApp) -> None:
    """Where the app requires it, every call carries the proof, and only there."""
    connection = connection_to(carrier.url, use_appsecret_proof=True)
    await channel.send(connection, outgoing())
    await channel.mark_read(connection, "wamid.X")
    proof = prove_app_secret(TOKEN, SECRET)
    assert [asked.query for asked in carrier.asked] == [{"appsecret_proof": proof}] * 2


async def test_an_answer_in_pieces(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """An answer is read to its end, in however many packets it comes."""
    carrier.will(in_pieces(b'{"messaging_product":"whatsapp","mess', b'ages":[{"id":"wam', b'id.HBgL"}]}'))
    outcome = await channel.send(connection, outgoing())
    assert outcome.carrier_message_id == "wamid.HBgL"


async def test_one_connection_serves_many_sends(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """Sends one after another share a connection."""
    ports: set[Any] = set()

    async def note(request: Any) -> Any:
        ports.add(request.transport.get_extra_info("peername")[1])
        return await answering(ACCEPTED)(request)

    carrier.will(note)
    for _ in range(5):
        assert (await channel.send(connection, outgoing())).verdict is Verdict.ACCEPTED
    assert len(ports) == 1


# Certainly not sent


async def test_refused() -> None:
    """Nobody listens: not sent, and tried again."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outcome = await send_to(f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert_not_sent(outcome)
    assert "refuses the connection" in outcome.sentence


async def test_no_such_name() -> None:
    """A host whose name leads nowhere: not sent."""
    assert_not_sent(await send_to("http://nobody.invalid", connect_timeout_s=5.0))


async def test_connect_timeout() -> None:
    """A host that lets callers wait at the door: not sent."""
    with socket.socket() as door, contextlib.ExitStack() as callers:
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        for _ in range(8):  # the queue of the kernel is full after one or two; the others wait
            caller = callers.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(door.getsockname())
        outcome = await send_to(f"http://127.0.0.1:{door.getsockname()[1]}", connect_timeout_s=0.3)
    assert_not_sent(outcome)
    assert "within the time allowed" in outcome.sentence


async def test_no_tls_there(carrier: Carrier) -> None:
    """A server that speaks no TLS where https is asked for: not sent."""
    assert_not_sent(await send_to(carrier.url.replace("http:", "https:")))
    assert carrier.asked == []


@contextlib.asynccontextmanager
async def serving(handle: Any, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server of bare sockets; its port."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def make_certificate(folder: Path) -> ssl.SSLContext:
    """For localhost, signed by nobody whom we trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "carrier.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_certificate_of_a_stranger(tmp_path: Path) -> None:
    """A certificate that nobody vouches for: not sent, and the token never left."""
    heard: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            heard.append(await reader.read(1000))
        writer.close()

    async with serving(handle, make_certificate(tmp_path)) as port:
        outcome = await send_to(f"https://127.0.0.1:{port}")
    assert_not_sent(outcome)
    assert "certificate" in outcome.sentence
    assert not any(heard)


async def test_cut_within_the_handshake() -> None:
    """The connection ends while TLS is being set up: not sent."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with serving(handle) as port:
        outcome = await send_to(f"https://127.0.0.1:{port}")
    assert_not_sent(outcome)


async def test_closed_before_anything_was_written(carrier: Carrier) -> None:
    """A connection that is closing takes nothing, and the body knows that it did not leave."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(lambda: BaseProtocol(loop), "127.0.0.1", carrier.port)
    transport.close()
    body = Body(b"{}", content_type="application/json")
    with pytest.raises(aiohttp.ClientConnectionResetError):
        await body.write_with_length(StreamWriter(protocol, loop), None)
    assert not body.left
    found = translate(aiohttp.ServerDisconnectedError(), body)
    assert isinstance(found, NotSent)
    assert found.reason == CLOSED_BEFORE_WRITING


async def test_written_to_a_living_connection(carrier: Carrier) -> None:
    """What was handed to a living connection may have left, whatever follows."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(lambda: BaseProtocol(loop), "127.0.0.1", carrier.port)
    body = Body(b"{}", content_type="application/json")
    await body.write_with_length(StreamWriter(protocol, loop), None)
    transport.close()
    assert isinstance(translate(aiohttp.ServerDisconnectedError(), body), NoAnswer)
    assert isinstance(translate(TimeoutError(), body), NoAnswer)


# Perhaps sent


async def test_slow(carrier: Carrier, connection: Connection) -> None:
    """No answer within the time: unknown, and asked once."""
    carrier.will(carrier.stall)
    async with speaking(timeout_s=0.3) as channel:
        assert_unknown(await channel.send(connection, outgoing()))
    assert len(carrier.asked) == 1


async def test_slow_within_the_answer(carrier: Carrier, connection: Connection) -> None:
    """Half of an answer within the time: unknown."""
    carrier.will(carrier.stall_in_body)
    async with speaking(timeout_s=0.3) as channel:
        assert_unknown(await channel.send(connection, outgoing()))


async def test_cut_before_the_answer(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """The request was read and the connection ended: unknown, and never repeated."""
    carrier.will(cut, answering(ACCEPTED))
    assert_unknown(await channel.send(connection, outgoing()))
    assert len(carrier.asked) == 1


async def test_cut_within_the_answer(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """Half of an answer and then the end: unknown."""
    carrier.will(cut_in_body)
    assert_unknown(await channel.send(connection, outgoing()))


async def test_cut_of_a_connection_that_served_before(
    carrier: Carrier, channel: WhatsApp, connection: Connection
) -> None:
    """The trap of kept connections: HTTP libraries like to repeat such a request. A POST is not repeated."""
    carrier.will(answering(ACCEPTED), cut, answering(ACCEPTED))
    assert (await channel.send(connection, outgoing())).verdict is Verdict.ACCEPTED
    assert_unknown(await channel.send(connection, outgoing(reference="r-2")))
    assert [asked.json["biz_opaque_callback_data"] for asked in carrier.asked] == ["r-1", "r-2"]


async def test_kept_connection_that_the_carrier_closed(
    carrier: Carrier, channel: WhatsApp, connection: Connection
) -> None:
    """A connection that was closed while nobody used it is seen as such, and the next send goes by a new one."""
    closed = asyncio.Event()

    async def answer_and_close(request: Any) -> Any:
        response = await answering(ACCEPTED)(request)
        await response.prepare(request)
        await response.write_eof()
        request.transport.close()
        closed.set()
        return response

    carrier.will(answer_and_close, answering(ACCEPTED))
    assert (await channel.send(connection, outgoing())).verdict is Verdict.ACCEPTED
    await closed.wait()
    session = channel._transport.session
    deadline = asyncio.get_running_loop().time() + 5
    while any(p.is_connected() for ps in pool_of(session).values() for p, _ in ps):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
    assert (await channel.send(connection, outgoing(reference="r-2"))).verdict is Verdict.ACCEPTED
    assert len(carrier.asked) == 2


def pool_of(session: aiohttp.ClientSession) -> dict[Any, Any]:
    """aiohttp shows nobody which connections it keeps."""
    found: dict[Any, Any] = session.connector._conns  # type: ignore[union-attr]
    return found


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, b"<html><h1>502 Bad Gateway</h1></html>"),
        (503, b""),
        (500, b'{"error":"something else"}'),
        (200, b"<html>Welcome to the hotel's network</html>"),
        (200, b""),
        (200, b'{"messages":[]}'),
        (200, b'{"messages":[{"id":""}]}'),
        (200, b'{"error":{"code":131026,"message":"said with a 200"}}'),
        (200, b"[" * 100_000),
        (204, b""),
    ],
)
async def test_answers_that_say_nothing(
    carrier: Carrier, channel: WhatsApp, connection: Connection, status: int, body: bytes
) -> None:
    """A 5xx without a readable error, and a success without an id: unknown."""
    carrier.will(answering(body, status))
    outcome = await channel.send(connection, outgoing())
    assert_unknown(outcome)
    assert outcome.http_status == status
    assert len(outcome.raw) <= 4096


async def test_an_endless_answer(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """More than any answer has: given up, unknown."""
    carrier.will(answering(b" " * 5_000_000))
    assert_unknown(await channel.send(connection, outgoing()))


# What else must not surprise


async def test_redirects_are_not_followed(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """A redirect would take the token elsewhere, and the message twice: the number stands still instead."""
    carrier.will(answering(b"", 307, Location=f"{carrier.url}/elsewhere"))
    outcome = await channel.send(connection, outgoing())
    assert (outcome.verdict, outcome.code) == (Verdict.HOLD, "bad_base_url")
    assert len(carrier.asked) == 1


@pytest.mark.parametrize(
    "base_url", ["", "graph.example", "ftp://graph.example", "http://", "http://[", "https://a:b@graph.example"]
)
async def test_base_urls_that_are_none(channel: WhatsApp, base_url: str) -> None:
    """The messages of such a sender wait; nothing is raised."""
    outcome = await channel.send(connection_to(base_url), outgoing())
    assert (outcome.verdict, outcome.code) == (Verdict.HOLD, "bad_base_url")


@pytest.mark.parametrize("token", ["", "two words", "with\nnewline", "with\r\nX-Other: header", "naïve"])
async def test_tokens_that_are_none(channel: WhatsApp, carrier: Carrier, token: str) -> None:
    """A token that cannot stand in a header reaches nobody; the messages wait."""
    outcome = await channel.send(connection_to(carrier.url, token=token), outgoing())
    assert (outcome.verdict, outcome.code) == (Verdict.HOLD, "token_invalid")
    assert carrier.asked == []


async def test_half_a_character(channel: WhatsApp, carrier: Carrier, connection: Connection) -> None:
    """A text that is none fails by itself and stops nobody else."""
    outcome = await channel.send(connection, outgoing(text="\ud83d"))
    assert (outcome.verdict, outcome.code) == (Verdict.FAIL, "not_a_text")
    assert carrier.asked == []


def test_ids_stay_within_their_segment() -> None:
    """Whatever an id holds, it leads nowhere else."""
    url = address_of(connection_to("http://graph.example/base/"), path_of("../me?x=1", "messages"), {"a": "ü&b"})
    assert str(url) == "http://graph.example/base/v26.0/..%2Fme%3Fx%3D1/messages?a=%C3%BC%26b"
    with pytest.raises(BadAddress):
        path_of("..", "messages")


async def test_new_credentials_count_at_once(carrier: Carrier, channel: WhatsApp) -> None:
    """A new token is used from the next send on."""
    await channel.send(connection_to(carrier.url), outgoing())
    await channel.send(connection_to(carrier.url, token="EAASecondToken"), outgoing())
    assert [asked.headers["authorization"] for asked in carrier.asked] == [f"Bearer {TOKEN}", "Bearer EAASecondToken"]


async def test_other_versions_are_logged_once(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """An answer of another version tells that the asked one may have ended (§1); it is said once, without the token."""
    carrier.will(answering(ACCEPTED, facebook_api_version="v25.0"))
    with capture_logs() as logs:
        await channel.send(connection, outgoing())
        await channel.send(connection, outgoing())
    (entry,) = [entry for entry in logs if entry["event"] == "carrier_answers_with_other_version"]
    assert (entry["asked"], entry["facebook_api_version"]) == ("v26.0", "v25.0")
    assert TOKEN not in repr(logs)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "-1"}, None),
        ({"x-business-use-case-usage": '{"2":[{"estimated_time_to_regain_access":3},{"call_count":1}]}'}, 180.0),
        ({"x-business-use-case-usage": '{"2":[{"estimated_time_to_regain_access":0}]}'}, None),
        ({"x-business-use-case-usage": "[1]"}, None),
        ({"x-business-use-case-usage": "{"}, None),
    ],
)
def test_wishes_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    """The carrier's own wish is read wherever it may stand."""
    assert read_wait(headers) == seconds


async def test_many_at_once(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """More sends than connections: each waits for its turn, none is lost or doubled."""
    sends = [channel.send(connection, outgoing(reference=f"r-{n}")) for n in range(100)]
    outcomes = await asyncio.gather(*sends)
    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    assert sorted(asked.json["biz_opaque_callback_data"] for asked in carrier.asked) == sorted(
        f"r-{n}" for n in range(100)
    )
