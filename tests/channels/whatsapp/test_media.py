"""Inbound files: fetched only where the token may go, whole, within the limit, and what they claim to be (§4)."""

import base64
import hashlib
from typing import Any

import pytest
from yarl import URL

from heliograph.channels.contract import Connection
from heliograph.channels.whatsapp.channel import FetchedMedia, WhatsApp
from heliograph.channels.whatsapp.media import UNKNOWN_TYPE, check_content, is_carriers_host
from heliograph.errors import ChannelRefused
from tests.channels.whatsapp.kit import (
    NUMBER,
    TOKEN,
    Answer,
    Carrier,
    answering,
    connection_to,
    cut,
    cut_in_body,
    error,
    in_pieces,
    listening,
    speaking,
)

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01" + bytes(200) + b"\xff\xd9"
LIMIT = 10_000


def looked_up(carrier: Carrier, content: bytes = JPEG, **changes: Any) -> Answer:
    facts = {
        "messaging_product": "whatsapp",
        "url": f"{carrier.url}/files/3000?sig=x%2Fy",
        "mime_type": "image/jpeg",
        "sha256": hashlib.sha256(content).hexdigest(),
        "file_size": len(content),
        "id": "3000",
        **changes,
    }
    return answering(facts)


async def fetch(channel: WhatsApp, connection: Connection, media_id: str = "3000") -> FetchedMedia:
    return await channel.fetch_media(connection, media_id, max_bytes=LIMIT)


async def refusal(channel: WhatsApp, connection: Connection, media_id: str = "3000") -> ChannelRefused:
    with pytest.raises(ChannelRefused) as caught:
        await fetch(channel, connection, media_id)
    assert caught.value.message
    return caught.value


async def test_fetch(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """Look up, then download with the token; digest and type are of what arrived."""
    carrier.will(looked_up(carrier), in_pieces(JPEG[:50], JPEG[50:]))
    media = await fetch(channel, connection)
    assert media == FetchedMedia(JPEG, "image/jpeg", hashlib.sha256(JPEG).hexdigest())
    look_up, download = carrier.asked
    assert (look_up.method, look_up.path) == ("GET", "/v26.0/3000")
    assert look_up.query == {"phone_number_id": NUMBER}
    assert (download.method, download.path, download.query) == ("GET", "/files/3000", {"sig": "x/y"})
    assert download.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": base64.b64encode(hashlib.sha256(JPEG).digest()).decode()},
        {"sha256": hashlib.sha256(JPEG).hexdigest().upper()},
        {"sha256": None},
        {"file_size": None},
        {"file_size": "214"},
        {"file_size": "large"},
    ],
)
async def test_facts_of_odd_shapes(
    carrier: Carrier, channel: WhatsApp, connection: Connection, changes: dict[str, Any]
) -> None:
    """Digests in hex or base64, sizes as text, or none of them."""
    carrier.will(looked_up(carrier, **changes), answering(JPEG))
    assert (await fetch(channel, connection)).content == JPEG


async def test_expired_address(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """An address lives for five minutes: one that has gone is looked up again at once."""
    carrier.will(looked_up(carrier), answering(b"", 404), looked_up(carrier), answering(JPEG))
    assert (await fetch(channel, connection)).content == JPEG


# Final refusals


@pytest.mark.parametrize("subcode", [{}, {"error_subcode": 33}])
async def test_gone(carrier: Carrier, channel: WhatsApp, connection: Connection, subcode: dict[str, int]) -> None:
    """After seven days the carrier does not know the id: there is nothing to try again."""
    carrier.will(error(100, "Unsupported get request.", **subcode))
    assert (await refusal(channel, connection)).code == "media_gone"


async def test_too_large_by_its_facts(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """A file that says that it is too large is not even asked for."""
    carrier.will(looked_up(carrier, file_size=LIMIT + 1))
    assert (await refusal(channel, connection)).code == "media_too_large"
    assert len(carrier.asked) == 1


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("size", [1, LIMIT + 1])
async def test_too_large_by_its_content(
    carrier: Carrier, channel: WhatsApp, connection: Connection, size: int, length: bool
) -> None:
    """One that lies about its size is given up when it passes the limit."""
    content = bytes(LIMIT + 1)
    carrier.will(looked_up(carrier, content, file_size=1), in_pieces(content[:size], content[size:], length=length))
    assert (await refusal(channel, connection)).code == "media_too_large"


async def test_as_large_as_may_be(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """A file of exactly the limit is fetched."""
    content = JPEG + bytes(LIMIT - len(JPEG))
    carrier.will(looked_up(carrier, content), in_pieces(content[:5000], content[5000:], length=False))
    assert (await fetch(channel, connection)).content == content


async def test_not_what_it_claims(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """A page in an image's clothes is refused."""
    page = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
    carrier.will(looked_up(carrier, page), answering(page))
    assert (await refusal(channel, connection)).code == "media_refused"


@pytest.mark.parametrize("url", ["", None, 5, "file:///etc/passwd", "http://[", "/files/3000", "http://localhost:1/x"])
async def test_addresses_that_are_none(
    carrier: Carrier, channel: WhatsApp, connection: Connection, url: object
) -> None:
    """An address that is none of the carrier's is not called."""
    carrier.will(looked_up(carrier, url=url))
    assert (await refusal(channel, connection)).code == "media_refused"


async def test_the_token_goes_to_nobody_else(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """Another host, even with a file there, never sees a request."""
    async with listening() as stranger:
        stranger.will(answering(JPEG))
        carrier.will(looked_up(carrier, url=f"{stranger.url}/files/3000"))
        assert (await refusal(channel, connection)).code == "media_refused"
        assert stranger.asked == []


async def test_the_token_follows_no_redirect(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """A redirect of the download is not followed."""
    async with listening() as stranger:
        carrier.will(looked_up(carrier), answering(b"", 302, Location=f"{stranger.url}/files/3000"))
        assert (await refusal(channel, connection)).code == "media_unavailable"
        assert stranger.asked == []


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1", True),
        ("https://scontent.xx.fbcdn.net/x", True),
        ("https://mmg.whatsapp.net/x", True),
        ("https://graph.facebook.com/x", True),
        ("http://graph.example:8080/x", True),
        ("http://lookaside.fbsbx.com/x", False),
        ("https://graph.example:8080/x", False),
        ("http://graph.example/x", False),
        ("https://fbsbx.com.evil.example/x", False),
        ("https://notfbsbx.com/x", False),
        ("https://evil.example/?x=.fbsbx.com", False),
        ("https://evil.example#.fbsbx.com", False),
        ("https://user:word@lookaside.fbsbx.com/x", False),
        ("https://lookaside.fbsbx.com@evil.example/x", False),
        ("//lookaside.fbsbx.com/x", False),
    ],
)
def test_carriers_hosts(url: str, good: bool) -> None:
    """Meta's hosts by https, and the host that the sender's calls go to anyway; nothing that looks like them."""
    assert is_carriers_host(URL(url), URL("http://graph.example:8080/base")) is good


# Refusals that may pass


@pytest.mark.parametrize("status", [401, 500, 503])
async def test_download_fails(carrier: Carrier, channel: WhatsApp, connection: Connection, status: int) -> None:
    """Trouble of the download may pass."""
    carrier.will(looked_up(carrier), answering(b"", status))
    assert (await refusal(channel, connection)).code == "media_unavailable"


async def test_address_stays_expired(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """Twice gone is not a third time asked, now."""
    carrier.will(looked_up(carrier), answering(b"", 404), looked_up(carrier), answering(b"", 404))
    assert (await refusal(channel, connection)).code == "media_expired"
    assert len(carrier.asked) == 4


@pytest.mark.parametrize("ending", [cut, cut_in_body])
async def test_cut_download(carrier: Carrier, channel: WhatsApp, connection: Connection, ending: Answer) -> None:
    """A download that breaks off is a refusal that may pass, and no half of a file."""
    carrier.will(looked_up(carrier), ending)
    assert (await refusal(channel, connection)).code == "media_unavailable"


async def test_slow_download(carrier: Carrier, connection: Connection) -> None:
    """A download that stands still is given up."""
    carrier.will(looked_up(carrier), carrier.stall_in_body)
    async with speaking(timeout_s=0.3) as channel:
        assert (await refusal(channel, connection)).code == "media_unavailable"


async def test_damaged(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """A file whose digest does not fit is fetched again later."""
    carrier.will(looked_up(carrier), answering(JPEG + b"x"))
    assert (await refusal(channel, connection)).code == "media_damaged"


async def test_look_up_fails(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """An expired token is no lost file."""
    carrier.will(error(190, "Session has expired", status=401))
    assert (await refusal(channel, connection)).code == "token_invalid"
    carrier.will(error(100, "Invalid appsecret_proof provided in the API argument"))
    assert (await refusal(channel, connection)).code == "app_secret_wrong"


async def test_unreachable(channel: WhatsApp) -> None:
    """Nobody there: it may pass."""
    assert (await refusal(channel, connection_to("http://127.0.0.1:1"))).code == "carrier_unreachable"


async def test_strange_ids(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """An id leads nowhere but to itself, and one that can name no file names none."""
    carrier.will(error(100, "Unsupported get request."))
    assert (await refusal(channel, connection, "../me")).code == "media_gone"
    assert carrier.asked[0].path == "/v26.0/../me"  # one segment: the slash travels as %2F
    assert (await refusal(channel, connection, "..")).code == "media_gone"
    assert len(carrier.asked) == 1


# Types


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(100)
OGG = b"OggS\0\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(100)
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100)
WEBP = b"RIFF\x24\0\0\0WEBPVP8 " + bytes(100)
AMR = b"#!AMR\n" + bytes(100)
MP3 = b"\xff\xf3\x44\xc4" + bytes(400)
PDF = b"%PDF-1.7\n" + bytes(100)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>'
EXE = b"MZ\x90\0" + bytes(200)


@pytest.mark.parametrize(
    ("content", "declared", "found"),
    [
        (JPEG, "image/jpeg", "image/jpeg"),
        (JPEG, "IMAGE/JPEG; name=a.jpg", "image/jpeg"),
        (PNG, "image/jpeg", "image/png"),
        (WEBP, "image/webp", "image/webp"),
        (OGG, "audio/ogg; codecs=opus", "audio/ogg"),
        (AMR, "audio/amr", "audio/amr"),
        (MP3, "audio/mpeg", "audio/mpeg"),
        (b"ID3\x03" + bytes(100), "audio/mpeg", "audio/mpeg"),
        (b"\xff\xf1\x50\x80" + bytes(100), "audio/aac", "audio/aac"),
        (MP4, "video/mp4", "video/mp4"),
        (MP4, "audio/mp4", "audio/mp4"),
        (b"\0\0\0\x18ftyp3gp4" + bytes(100), "video/3gpp", "video/3gpp"),
        (b"some sound that nobody knows", "audio/x-new", UNKNOWN_TYPE),
        (PDF, "application/pdf", "application/pdf"),
        (b"plain", "text/plain", "text/plain"),
        (b"", "text/plain", "text/plain"),
        (b"<html>", "text/html", UNKNOWN_TYPE),
        (SVG, "application/xml", UNKNOWN_TYPE),
        (PDF, "", UNKNOWN_TYPE),
        (PDF, "application/pdf\r\nX-Other: header", UNKNOWN_TYPE),
        (PDF, "nonsense", UNKNOWN_TYPE),
    ],
)
def test_types(content: bytes, declared: str, found: str) -> None:
    """The type is that of the content; what a browser would run, and what is no type, is unknown."""
    assert check_content(content, declared) == found


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        (SVG, "image/svg+xml"),
        (SVG, "image/png"),
        (b"<!DOCTYPE html><html></html>", "audio/ogg"),
        (EXE, "image/jpeg"),
        (EXE, "video/mp4"),
        (PDF, "image/png"),
        (MP4, "image/jpeg"),
        (b"just text", "image/jpeg"),
        (b"", "image/jpeg"),
    ],
)
def test_types_that_lie(content: bytes, declared: str) -> None:
    """A page would show it as an image, sound or film, and it is none: refused."""
    with pytest.raises(ChannelRefused) as caught:
        check_content(content, declared)
    assert caught.value.code == "media_refused"
