"""The inbox while it is open: who wrote, what became of what was written, how long one may still write freely."""

from msgspec import Struct

from heliograph.core.ids import now_ms
from heliograph.portal.inbox.reading import Asked, Item, Line, Page, Talk, read_page
from heliograph.portal.live import Happening, newer, news, swap
from heliograph.portal.visit import Visit

LIST_EVERY = 5  # looks; so soon a colleague's "done" shows. A new message shows at the next look
MARGIN_MS = 5_000  # what changed at about the time when the page was made is shown again, to be sure


class Seen(Struct, frozen=True):
    """What the page showed when it was made: the time, the newest message of the open conversation, how to reply, the
    last inbound time of the list's first conversation; and the mark of it all."""

    at_ms: int
    seq: int
    way: str
    mark: str
    top_ms: int


class Watcher:
    """Remembers what the browser has, and tells what is different."""

    def __init__(self, visit: Visit, asked: Asked, seen: Seen) -> None:
        self._visit = visit
        self._asked = asked
        self._seen = seen
        self._items: dict[str, tuple[object, ...]] | None = None
        self._lines: dict[str, Line] | None = None
        self._last_seq = -1
        self._looks = 0
        self._waiting = 0
        self._unread = -1
        self._window = (seen.way, -1)

    async def look(self) -> list[Happening]:
        visit, account = self._visit, self._visit.known.account
        asked, user_id = self._asked, self._visit.known.user.id
        page = await visit.runtime.database.read(lambda tx: read_page(tx, account, user_id, asked))
        found: list[Happening] = []
        if not self._looks and page.mark == self._seen.mark:
            self._remember(page)
        if page.talk is not None:
            found += [*self._look_at_items(page.talk), *self._look_at_window(page.talk)]
        self._looks += 1
        if page.last_seq != self._last_seq or self._looks % LIST_EVERY == 0:
            self._last_seq = page.last_seq
            found += self._look_at_lines(page)
        if page.unread != self._unread:
            self._unread = page.unread
            found.append(swap(visit.part("inbox/counts.html", unread=page.unread)))
        return found

    def _remember(self, page: Page) -> None:
        """The browser shows all of this already."""
        self._items = {item.key: item.version for item in page.talk.items} if page.talk else {}
        self._lines = {line.person: line for line in page.lines}

    def _look_at_items(self, talk: Talk) -> list[Happening]:
        known = self._items
        if known is None:
            arrived = [one for one in talk.items if one.message and one.message.seq > self._seen.seq]
            changed = [one for one in talk.items if changed_at_ms(one) >= self._seen.at_ms - MARGIN_MS]
        else:
            arrived = [one for one in talk.items if one.key not in known]
            changed = [one for one in talk.items if known.get(one.key) != one.version]
        self._items = {item.key: item.version for item in talk.items}
        fresh = [item for item in talk.items if item in arrived or item in changed]
        found = [swap(self._visit.part("inbox/item.html", item=item, line=talk.line, live=True)) for item in fresh]
        told = [f"{item.label} {item.text}".strip() for item in arrived if item.message and item.is_theirs]
        if told:
            found.append(news(f"{talk.line.name or talk.line.person}: {'. '.join(told)}"))
        return found

    def _look_at_window(self, talk: Talk) -> list[Happening]:
        """Each minute, and when another way to reply holds: then the page offers to show it, and moves nothing."""
        at_ms = now_ms()
        way = talk.way(at_ms)
        shown = (way, ((talk.line.window_until_ms or 0) - at_ms) // 60_000)
        if shown == self._window:
            return []
        self._window = shown
        changed = way != self._seen.way
        return [swap(self._visit.part("inbox/window.html", talk=talk, way=way, at_ms=at_ms, changed=changed))]

    def _look_at_lines(self, page: Page) -> list[Happening]:
        known = self._lines
        if known is None:
            late = [line for line in page.lines if line.conversation.last_inbound_at_ms > self._seen.top_ms]
            fresh = [line for line in page.lines if line.at_ms >= self._seen.at_ms - MARGIN_MS]
            known = {line.person: line for line in page.lines if line not in late}
        else:
            late = [line for line in page.lines if line.person not in known]
            fresh = [line for line in page.lines if line.person in known and known[line.person] != line]
            known |= {line.person: line for line in page.lines if line.person in known}
        self._lines = known
        found = [swap(self._visit.part("inbox/person.html", line=line, asked=self._asked)) for line in fresh]
        if len(late) != self._waiting:
            self._waiting = len(late)
            found.append(newer(self._waiting))
        return found


def changed_at_ms(item: Item) -> int:
    return item.message.updated_at_ms if item.message else item.at_ms
