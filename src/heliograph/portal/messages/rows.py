"""The rows of the list: what a page shows, and what changed on it since."""

import re
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from heliograph.channels.whatsapp.payloads import template_name
from heliograph.core.ids import now_ms
from heliograph.core.statuses import State
from heliograph.portal.live import Happening, newer, news, swap
from heliograph.portal.paging import PER_PAGE, Cursor, PageOf
from heliograph.portal.rendering import STATE_LOOK
from heliograph.portal.visit import Visit
from heliograph.status.explaining import state_now
from heliograph.store import messages as message_store
from heliograph.store import searches
from heliograph.store.engine import Tx
from heliograph.store.messages import Message
from heliograph.store.searches import Glance, Search

MOST_NEWER = 99
TOLD_EVERY_MS = 5000


class Row(Struct, frozen=True):
    """A message and its state as of now, which the queue refines."""

    message: Message
    state: State

    @property
    def template_name(self) -> str:
        """Of a message that is a template."""
        return template_name(msgspec.json.decode(self.message.template))[0] if self.message.template else ""


class Listing(Struct, frozen=True):
    """A page of the list. stopped_at_ms: an unindexed search looked at everything back to this time, and can go on."""

    page: PageOf[Row]
    stopped_at_ms: int | None
    newest_seq: int


async def list_rows(visit: Visit, search: Search, cursor: Cursor) -> Listing:
    account_id = visit.account_id

    async def work(tx: Tx) -> tuple[searches.Found, dict[int, Glance], int, int | None]:
        newest = await message_store.last_seq(tx, account_id)
        if cursor.after:
            found = await searches.search_newer(
                tx, account_id, search, after_seq=read_seq(cursor.after), limit=PER_PAGE
            )
        else:
            before = read_seq(cursor.before) if cursor.before else None
            found = await searches.search_older(tx, account_id, search, before_seq=before, limit=PER_PAGE)
        seen = await searches.glance(tx, account_id, [row.seq for row in found.rows])
        stopped_ms = None
        if found.looked_until is not None and len(found.rows) < PER_PAGE:
            stopped = await searches.messages_by_seq(tx, account_id, [found.looked_until])
            stopped_ms = stopped[0].created_at_ms if stopped else None
        return found, seen, newest, stopped_ms

    found, seen, newest, stopped_ms = await visit.runtime.database.read(work)
    rows = refine(found.rows[::-1] if cursor.after else found.rows, seen)
    return Listing(page_of(rows, found.looked_until, cursor), stopped_ms, newest)


def page_of(rows: list[Row], looked_until: int | None, cursor: Cursor) -> PageOf[Row]:
    """The cursors of the neighbours: where this page's search ended, and where it began."""
    ahead = str(looked_until) if looked_until is not None else ""
    if cursor.after:
        return PageOf(rows, newer=ahead, older=str(rows[-1].message.seq if rows else int(cursor.after) + 1))
    if ahead == "1":
        ahead = ""
    newer = str(rows[0].message.seq if rows else int(cursor.before) - 1) if cursor.before else ""
    return PageOf(rows, newer=newer, older=ahead)


def read_seq(text: str) -> int:
    """A cursor; one that was tampered with leads to the first page."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 2**62


def refine(messages: Sequence[Message], seen: dict[int, Glance]) -> list[Row]:
    at_ms = now_ms()
    return [
        Row(message, state_now(message, seen[message.seq].progress if message.seq in seen else None, at_ms))
        for message in messages
    ]


class Watched:
    """The rows that an open page shows, asked again and again for what changed. `known`: their states by number."""

    def __init__(self, visit: Visit, known: dict[int, str], search: Search, *, top_seq: int | None) -> None:
        self._visit = visit
        self._known = known
        self._search = search
        self._top_seq = top_seq  # None: not the first page, so nothing newer is told
        self._newer = 0
        self._told_ms = 0
        self._untold: dict[State, int] = {}

    async def look(self) -> list[Happening]:
        rows, count = await self._visit.runtime.database.read(self._find_changed)
        found: list[Happening] = []
        for row in rows:
            self._known[row.message.seq] = row.state
            self._untold[row.state] = self._untold.get(row.state, 0) + 1
            found.append(swap(self._visit.part("messages/row.html", row=row)))
        if count != self._newer:
            self._newer = count
            found.append(newer(count))
        at_ms = now_ms()
        if self._untold and at_ms - self._told_ms >= TOLD_EVERY_MS:
            found.append(news(tell(self._visit, self._untold)))
            self._told_ms, self._untold = at_ms, {}
        return found

    async def _find_changed(self, tx: Tx) -> tuple[list[Row], int]:
        account_id, at_ms = self._visit.account_id, now_ms()
        seen = await searches.glance(tx, account_id, list(self._known))
        changed = [s for s, one in seen.items() if state_now(one, one.progress, at_ms) != self._known[s]]
        rows = await searches.messages_by_seq(tx, account_id, changed) if changed else []
        return refine(rows, seen), await self._count_newer(tx)

    async def _count_newer(self, tx: Tx) -> int:
        if self._top_seq is None:
            return 0
        newest = await message_store.last_seq(tx, self._visit.account_id)
        if newest == self._top_seq or not self._search:
            return min(newest - self._top_seq, MOST_NEWER)
        found = await searches.search_newer(
            tx, self._visit.account_id, self._search, after_seq=self._top_seq, limit=MOST_NEWER
        )
        return len(found.rows)


def write_known(rows: Sequence[Row]) -> str:
    """The states that a page shows, for the address of its stream."""
    return ".".join(f"{row.message.seq}{row.state}" for row in rows)


KNOWN = re.compile(r"(\d{1,18})([a-z]+)")


def read_known(text: str) -> dict[int, str]:
    found = (KNOWN.fullmatch(part) for part in text.split("."))
    return {int(one[1]): one[2] for one in list(found)[: searches.MOST_AT_A_GLANCE] if one}


def tell(visit: Visit, states: dict[State, int]) -> str:
    """ "4 messages: delivered. 1 message: failed." for those who listen."""
    parts = [
        visit.ngettext("%(num)d message: %(state)s.", "%(num)d messages: %(state)s.", count)
        % {"num": count, "state": visit.gettext(STATE_LOOK[state][0])}
        for state, count in states.items()
    ]
    return " ".join(parts)
