"""Inbound files: from whose servers they may come, and what they really are."""

import puremagic
from yarl import URL

from heliograph.errors import ChannelRefused

CARRIERS_DOMAINS = ("fbsbx.com", "facebook.com", "fbcdn.net", "whatsapp.net", "whatsapp.com")
# Kinds whose content must be what their label says, for pages will show them.
SHOWN_KINDS = frozenset({"image", "video", "audio"})
UNKNOWN_TYPE = "application/octet-stream"
# What a browser would run: kept, but never under its own name.
ACTIVE_TYPES = frozenset({"text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml"})


def is_carriers_host(url: URL, base_url: URL) -> bool:
    """Whether a file's address is Meta's, by https, or on the very host that the sender's calls go to."""
    if url.host is None:
        return False
    if (url.scheme, url.host, url.port) == (base_url.scheme, base_url.host, base_url.port):
        return True
    return url.scheme == "https" and any(
        url.host == domain or url.host.endswith(f".{domain}") for domain in CARRIERS_DOMAINS
    )


def check_content(content: bytes, declared: str) -> str:
    """The type of a file by its content. Raises ChannelRefused when an image, video or audio file is something else."""
    declared = declared.partition(";")[0].strip().lower()
    kind = declared.partition("/")[0]
    found = detect_types(content)
    if kind in SHOWN_KINDS:
        if not any(one.partition("/")[0] in SHOWN_KINDS for one in found):
            raise ChannelRefused(f"The file is not of the kind that it claims to be ({kind}).", code="media_refused")
        return declared if declared not in ACTIVE_TYPES else UNKNOWN_TYPE
    if declared in ACTIVE_TYPES or not declared:
        return UNKNOWN_TYPE
    return declared


def detect_types(content: bytes) -> list[str]:
    """MIME types that the content may be, best first; empty when nothing is recognised."""
    try:
        return [str(match.mime_type) for match in puremagic.magic_string(content) if match.mime_type]
    except (puremagic.PureError, ValueError):
        return []
