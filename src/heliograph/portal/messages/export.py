"""Messages as a CSV file (RFC 4180), streamed: any number of them in little memory."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from heliograph.core.ids import uid_of
from heliograph.core.statuses import V3_WORD, State
from heliograph.runtime import Runtime
from heliograph.store import searches
from heliograph.store.accounts import Account
from heliograph.store.messages import Message
from heliograph.store.searches import Search

COLUMNS = (
    "uid",
    "time",
    "direction",
    "status",
    "from",
    "to",
    "text",
    "type",
    "media_url",
    "units",
    "failure_code",
    "failure",
    "updated",
)
AT_ONCE = 1000
STRETCH = 20_000
BYTE_ORDER_MARK = "\ufeff"  # spreadsheets read the file as UTF-8 by it
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


async def stream_csv(runtime: Runtime, account: Account, search: Search) -> AsyncIterator[bytes]:
    """Newest first, chunk by chunk, each from a short read of its own: messages that arrive meanwhile are not in it."""
    yield (BYTE_ORDER_MARK + write_rows([COLUMNS])).encode()
    zone = ZoneInfo(account.time_zone)
    before: int | None = None
    while True:
        at = before
        found = await runtime.database.read(
            lambda tx, at=at: searches.search_older(  # type: ignore[misc]
                tx, account.id, search, before_seq=at, limit=AT_ONCE, most=STRETCH
            )
        )
        if found.rows:
            yield write_rows([view_row(message, zone) for message in found.rows]).encode()
        before = found.looked_until
        if before is None or before <= 1:
            return


def write_rows(rows: list[tuple[str, ...]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def view_row(message: Message, zone: ZoneInfo) -> tuple[str, ...]:
    incoming = message.direction == "incoming"
    return tuple(
        harmless(text)
        for text in (
            uid_of(message.id),
            render_moment(message.created_at_ms, zone),
            message.direction,
            V3_WORD[State(message.state)],
            message.person if incoming else message.sender,
            message.sender if incoming else message.person,
            message.text,
            message.kind,
            message.media_url or "",
            message.cost,
            message.failure_code or "",
            message.failure_sentence or "",
            render_moment(message.updated_at_ms, zone),
        )
    )


def harmless(text: str) -> str:
    """A spreadsheet would run what begins like a formula; people on the other side write our texts (CWE-1236)."""
    return "'" + text if text.startswith(FORMULA_STARTS) else text


def render_moment(at_ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone).isoformat(sep=" ")
