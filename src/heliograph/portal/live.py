"""Live rows: a page stays open and is told what changed, by server-sent events (HTML Standard §9.2).

    async def look() -> list[Happening]:            # what changed since the last look; cheap, it is asked every second
        changed = await …
        return [swap(visit.part("letters/row.html", letter=letter)) for letter in changed]
    return watch(visit, look)

The page names the route in `data-live`; static/portal.js does the rest, and without scripts a "Refresh" link does."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

import structlog
from litestar.response import Stream
from msgspec import Struct

from heliograph.accounts.sessions import recognise_visitor
from heliograph.errors import Unavailable
from heliograph.portal.visit import Visit

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
PROVE_EVERY_S = 15.0  # how soon the stream of a session that has ended stops, and a dead connection is noticed


class Happening(Struct, frozen=True):
    """`name`: swap, newer or news; what portal.js does with `data`."""

    name: str
    data: str

    def encode(self) -> bytes:
        lines = "".join(f"data: {line}\n" for line in self.data.splitlines() or [""])
        return f"event: {self.name}\n{lines}\n".encode()


Look = Callable[[], Awaitable[Sequence[Happening]]]


def swap(html: str) -> Happening:
    """Replace the elements that have the ids of these elements; a replaced row lights up.

    One with `data-into` that the page does not have yet goes to the end of the element with that id."""
    return Happening("swap", html)


def newer(count: int) -> Happening:
    """So many new rows wait; the page shows `[data-newer]` with the number, and a click loads them."""
    return Happening("newer", str(count))


def news(sentence: str) -> Happening:
    """Tell it to those who listen to the page."""
    return Happening("news", sentence)


def watch(visit: Visit, look: Look, *, topics: Iterable[str] = (), every_s: float = LOOK_EVERY_S) -> Stream:
    """Stream what `look` finds until the browser leaves, the session ends or the process stops.

    `topics`: announcements of the store after which it looks at once."""
    return Stream(
        happenings(visit, look, topics, every_s),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def happenings(visit: Visit, look: Look, topics: Iterable[str], every_s: float) -> AsyncIterator[bytes]:
    streams, proven_at = visit.desk.streams, time.monotonic()
    with streams.opened(topics) as bell:
        yield b"retry: 2000\n\n"
        while not streams.closing:
            try:
                found = await look()
            except Unavailable as error:
                log.warning("live_look_failed", reason=error.code)
                return
            if found:
                yield b"".join(happening.encode() for happening in found)
            await bell.wait(every_s)
            if time.monotonic() - proven_at > PROVE_EVERY_S:
                proven_at = time.monotonic()
                if await recognise_visitor(visit.runtime, visit.caller.cookie) is None:
                    yield b"event: ended\ndata:\n\n"
                    return
                yield b": still here\n\n"
