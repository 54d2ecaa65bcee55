"""Files that people sent: only to members of the account, and never so that a browser runs them."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

from litestar import get
from litestar.params import FromPath
from litestar.response import Stream

from heliograph.channels.whatsapp.media import HEAD_BYTES, UNKNOWN_TYPE, check_content
from heliograph.core.ids import id_of
from heliograph.dispatch.errands import media_file
from heliograph.errors import ChannelRefused, NotFound
from heliograph.portal.access import Rule
from heliograph.portal.inbox.reading import DETAILS, MediaFacts
from heliograph.portal.visit import OnVisit
from heliograph.store.messages import message_by_id

CHUNK_BYTES = 262_144
# What a browser shows within the page; anything else is saved.
SHOWN_TYPES = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/gif",
        "audio/aac",
        "audio/amr",
        "audio/mp4",
        "audio/mpeg",
        "audio/ogg",
        "video/mp4",
        "video/3gpp",
    }
)
GONE = "This file is not here. It may not have been fetched yet, or it was too large."
# Even opened on its own, the file can run nothing and reach nothing.
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@get("/inbox/media/{message_uid:str}", opt={"rule": Rule.VIEWER})
async def show_media(visit: OnVisit, message_uid: FromPath[str]) -> Stream:
    """The file of an inbound message. Its type is what its content is, whatever the sender said."""
    message_id = id_of(message_uid)
    if message_id is None:
        raise NotFound(GONE)
    account_id = visit.account_id
    message = await visit.runtime.database.read(lambda tx: message_by_id(tx, account_id, message_id))
    facts = DETAILS.decode(message.details).media if message is not None and message.details else None
    path = media_file(visit.settings.media_path, account_id, message_id)
    if facts is None or not path.is_file():
        raise NotFound(GONE)
    kind = await asyncio.to_thread(type_of, path, facts.mime_type)
    size = path.stat().st_size
    first, last = read_range(visit.request.headers.get("range", ""), size) or (0, size - 1)
    part = (first, last) != (0, size - 1)
    headers = {
        "content-security-policy": SANDBOX,
        "x-content-type-options": "nosniff",
        "cache-control": "private, max-age=86400, immutable",
        "accept-ranges": "bytes",
        "content-length": str(last - first + 1),
        **({"content-range": f"bytes {first}-{last}/{size}"} if part else {}),
        "content-disposition": disposition(facts, message_uid, inline=kind in SHOWN_TYPES),
    }
    return Stream(
        read_chunks(path, first, last - first + 1), media_type=kind, headers=headers, status_code=206 if part else 200
    )


def read_range(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte of the one range that is asked for (RFC 9110 §14.2), or None for the whole: players jump by it."""
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size - 1
    begin, end = int(first), min(int(last) if last else size, size - 1)
    return (begin, end) if begin <= end else None


def type_of(path: Path, declared: str) -> str:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    try:
        return check_content(head, declared)
    except ChannelRefused:
        return UNKNOWN_TYPE


def disposition(facts: MediaFacts, uid: str, *, inline: bool) -> str:
    """RFC 6266: a plain name for all, and the real one for those that read UTF-8."""
    name = (facts.file_name or uid).replace("/", "_").replace("\\", "_")
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)
    how = "inline" if inline else "attachment"
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def read_chunks(path: Path, first: int, count: int) -> AsyncIterator[bytes]:
    """`count` bytes from `first` on."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        await asyncio.to_thread(file.seek, first)
        while count > 0 and (chunk := await asyncio.to_thread(file.read, min(CHUNK_BYTES, count))):
            count -= len(chunk)
            yield chunk
    finally:
        file.close()
