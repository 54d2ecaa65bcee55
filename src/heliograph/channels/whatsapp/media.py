"""Inbound files: from whose servers they may come, and what they really are."""

import base64
import binascii
import contextlib
import re

import puremagic
from yarl import URL

from heliograph.errors import ChannelRefused

CARRIERS_DOMAINS = ("fbsbx.com", "facebook.com", "fbcdn.net", "whatsapp.net", "whatsapp.com")
# Kinds whose content must be what their label says, for pages will show them.
SHOWN_KINDS = frozenset({"image", "video", "audio"})
MOVING_KINDS = frozenset({"video", "audio"})  # the same containers hold both
UNKNOWN_TYPE = "application/octet-stream"
MIME_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
# What a browser would run: kept, but never under its own name.
ACTIVE_TYPES = frozenset(
    {"text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml", "text/javascript"}
)
HEAD_BYTES = 65_536  # enough for every signature; more would cost time in proportion to the file


def is_carriers_host(url: URL, base_url: URL) -> bool:
    """Whether a file's address is Meta's, by https, or on the very host that the sender's calls go to."""
    if url.host is None or url.user is not None or url.password is not None:
        return False
    if (url.scheme, url.host, url.port) == (base_url.scheme, base_url.host, base_url.port):
        return True
    return url.scheme == "https" and any(
        url.host == domain or url.host.endswith(f".{domain}") for domain in CARRIERS_DOMAINS
    )


def check_content(content: bytes, declared: str) -> str:
    """The type of a file, decided by its content. Raises ChannelRefused when it is not of the kind that it claims to be.

    An image must be recognised. Sound and video that nobody recognises are kept as unknown: their formats have no sure
    mark, and what is unknown is never shown. Other files keep the type that they came with, unless a browser would run it."""
    declared = declared.partition(";")[0].strip().lower()
    if not MIME_TYPE.fullmatch(declared):
        declared = UNKNOWN_TYPE
    kind = kind_of(declared)
    if kind not in SHOWN_KINDS:
        return UNKNOWN_TYPE if declared in ACTIVE_TYPES else declared
    found = detect_types(content[:HEAD_BYTES])
    if any(one in ACTIVE_TYPES for one in found):
        raise refused(kind)
    if declared in found:
        return declared
    if kind in MOVING_KINDS and found and kind_of(found[0]) in MOVING_KINDS - {kind}:
        return declared  # the best guess names the container; a worse one must not outvote the label
    same = next((one for one in found if kind_of(one) == kind), None)
    if same is not None:
        return same
    if kind in MOVING_KINDS and any(kind_of(one) in MOVING_KINDS for one in found):
        return declared
    if kind in MOVING_KINDS and not found:
        return UNKNOWN_TYPE
    raise refused(kind)


def refused(kind: str) -> ChannelRefused:
    return ChannelRefused(f"The file is not of the kind that it claims to be ({kind}).", code="media_refused")


def kind_of(mime_type: str) -> str:
    return mime_type.partition("/")[0]


def detect_types(content: bytes) -> list[str]:
    """MIME types that the content may be, best first; empty when nothing is recognised."""
    found: list[str] = []
    if content.startswith(b"#!AMR"):
        found.append("audio/amr")
    elif len(content) > 1 and content[0] == 0xFF and content[1] & 0xE6 == 0xE2:  # a frame of MPEG audio, layer III
        found.append("audio/mpeg")
    with contextlib.suppress(puremagic.PureError, ValueError):
        found += [str(match.mime_type) for match in puremagic.magic_string(content) if match.mime_type]
    return [one for one in dict.fromkeys(found) if one != UNKNOWN_TYPE]


def is_digest(told: str, sha256: bytes) -> bool:
    """Whether `told` is the digest, in hex as the look-up gives it or in base64 as callbacks do (§4)."""
    if told.lower() == sha256.hex():
        return True
    try:
        return base64.b64decode(told, validate=True) == sha256
    except (binascii.Error, ValueError):
        return False
