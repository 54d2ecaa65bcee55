"""Calling back: what is due, to whom, signed, again until it is answered with 200 (whatsapp-cloud-api.md §5)."""

import asyncio
import heapq
import random
from collections import deque

import aiohttp
import structlog

from heliograph.emulators.cloud_api.options import Options
from heliograph.emulators.cloud_api.signing import escape_as_meta, sign_body
from heliograph.emulators.cloud_api.statuses import Update, render_value
from heliograph.emulators.cloud_api.world import Callback, World, now

log = structlog.get_logger(__name__)

MESSAGE_LIKE = frozenset({"messages", "user_preferences", "user_id_update"})
HEAD, TAIL = b'{"object":"whatsapp_business_account","entry":[', b"]}"


class Owed:
    """Which messages still have a status to come: what is called back again after a restart starts at the first of them."""

    def __init__(self) -> None:
        self._open: dict[int, int] = {}

    def add(self, place: int, count: int) -> None:
        if count:
            self._open[place] = self._open.get(place, 0) + count

    def done(self, place: int) -> None:
        left = self._open.get(place, 0) - 1
        if left > 0:
            self._open[place] = left
        else:
            self._open.pop(place, None)

    def settled_up_to(self, count: int) -> int:
        """The last place before which nothing is owed."""
        return min(self._open) - 1 if self._open else count


class Destination:
    """One address: what is ready for it, and how many are posting there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ready: deque[Update] = deque()
        self.posting = 0


class Outbox:
    """Updates wait here until they are due and until they are answered with 200."""

    def __init__(self, world: World, options: Options) -> None:
        self._world, self._options = world, options
        self._waiting: list[tuple[float, int, Update]] = []
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None
        self._destinations: dict[str, Destination] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._chance = random.Random(20261124)  # noqa: S311 - only the order of what is due at one time
        self._key = options.app_secret
        self.owed = Owed()
        self.in_flight = 0
        self.posted = self.answered = self.failed_posts = self.told = self.given_up = self.unheard = 0
        self._watched: dict[int, asyncio.Future[bool]] = {}

    async def open(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=15.0)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._options.callback_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": "facebookexternalua", "Accept": "*/*"},
        )

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session

    def __len__(self) -> int:
        """Updates that wait, whatever for."""
        return len(self._waiting) + self.in_flight + sum(len(one.ready) for one in self._destinations.values())

    def clear(self) -> None:
        """Owe nothing any more; what is being posted is not called back."""
        self._waiting.clear()
        for destination in self._destinations.values():
            destination.ready.clear()
        self.owed = Owed()
        self.posted = self.answered = self.failed_posts = self.told = self.given_up = self.unheard = 0

    # What is due

    def plan(self, update: Update, after_s: float) -> None:
        """Tell it so many seconds from now. A message's update must have been counted in `owed` before."""
        due = asyncio.get_running_loop().time() + after_s
        self._order += 1
        heapq.heappush(self._waiting, (due, self._order, update))
        if self._waiting[0][2] is update:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_at(self._waiting[0][0], self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        horizon = asyncio.get_running_loop().time() + 0.002
        due: list[Update] = []
        while self._waiting and self._waiting[0][0] <= horizon:
            due.append(heapq.heappop(self._waiting)[2])
        if self._options.shuffle:
            self._chance.shuffle(due)
        for update in due:
            self.put(update)
        self._set_timer()

    def put(self, update: Update) -> None:
        """It is due: hand it to whoever is subscribed now."""
        callback = self._callback_of(update)
        if callback is None:
            self.unheard += 1
            self._settle(update)
            return
        destination = self._destinations.get(callback.url)
        if destination is None:
            destination = self._destinations[callback.url] = Destination(callback.url)
        if update.at_s == 0.0:
            update.at_s = now()
        copies = update.copies + self._options.duplicates if update.attempts == 0 else 1
        for _ in range(copies - 1):
            destination.ready.append(copy_of(update))
        destination.ready.append(update)
        for _ in range(min(copies, self._options.parallel - destination.posting)):
            destination.posting += 1
            task = asyncio.get_running_loop().create_task(self._post_all(destination))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _callback_of(self, update: Update) -> Callback | None:
        number = self._world.state.numbers.get(update.number_id) if update.number_id else None
        return self._world.callback_of(number, update.waba_id, message_like=update.field in MESSAGE_LIKE)

    def _settle(self, update: Update) -> None:
        for one in (update, *(update.group or ())):
            if one.sent is not None:
                self.owed.done(one.sent.place)
        watched = self._watched.pop(id(update), None)
        if watched is not None and not watched.done():
            watched.set_result(True)

    async def tell(self, update: Update, within_s: float) -> bool:
        """Hand it over now and wait for its 200; whether that came in time. If not, it is tried further as usual."""
        watched = self._watched[id(update)] = asyncio.get_running_loop().create_future()
        self.put(update)
        try:
            await asyncio.wait_for(watched, within_s)
        except TimeoutError:
            return False
        finally:
            self._watched.pop(id(update), None)
        return True

    def is_heard(self, update: Update) -> bool:
        """Whether anybody is subscribed to such an update."""
        return self._callback_of(update) is not None

    # Posting

    async def _post_all(self, destination: Destination) -> None:
        try:
            while destination.ready:
                if self._options.gather_s:
                    await asyncio.sleep(self._options.gather_s)
                batch = self._take(destination)
                if batch:
                    self.in_flight += len(batch)
                    try:
                        ok = await self.post(destination.url, batch)
                    finally:
                        self.in_flight -= len(batch)
                    self._after_post(batch, ok)
        finally:
            destination.posting -= 1

    def _take(self, destination: Destination) -> list[Update]:
        """One update; several when they pile up, or when they were gathered on purpose."""
        ready, parallel = destination.ready, self._options.parallel
        if self._options.gather_s:
            size = self._options.batch
        elif len(ready) <= 2 * parallel:
            size = 1
        else:
            size = min(self._options.batch, 1 + len(ready) // parallel)
        return [ready.popleft() for _ in range(min(size, len(ready)))]

    def _after_post(self, batch: list[Update], ok: bool) -> None:
        for update in batch:
            if ok:
                self.told += 1 + len(update.group or ())
                self._settle(update)
                continue
            update.attempts += 1
            gap = min(self._options.retry_first_s * 2 ** min(update.attempts - 1, 30), self._options.retry_longest_s)
            if now() - update.at_s > self._options.retry_for_s:
                self.given_up += 1
                self._settle(update)
            else:
                self.plan(update, gap)

    async def post(self, url: str, batch: list[Update]) -> bool:
        """One callback; whether it was answered with 200. Never raises for what the other side does."""
        body = escape_as_meta(render_envelope(batch))
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign_body(body, self._key)}
        self.posted += 1
        try:
            async with self.session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                if answer.status == 200:
                    await answer.release()
                    self.answered += 1
                    return True
                reason = f"HTTP {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            reason = type(error).__name__
        self.failed_posts += 1
        if self.failed_posts & (self.failed_posts - 1) == 0:  # the 1st, 2nd, 4th, 8th …: say it, but not each time
            log.warning("callback_not_taken", reason=reason, so_far=self.failed_posts)
        return False


def copy_of(update: Update) -> Update:
    """The same once more; nothing is owed for it."""
    return Update(
        field=update.field,
        waba_id=update.waba_id,
        number_id=update.number_id,
        value=render_value(update),
        at_s=update.at_s,
        timed=update.timed,
    )


def render_envelope(batch: list[Update]) -> bytes:
    entries: list[bytes] = []
    for update in batch:
        entries += [render_entry(one) for one in (update, *(update.group or ()))]
    return HEAD + b",".join(entries) + TAIL


def render_entry(update: Update) -> bytes:
    time_ = f'"time":{int(update.at_s)},' if update.timed else ""
    head = f'{{"id":"{update.waba_id}",{time_}"changes":[{{"value":'
    return head.encode() + render_value(update) + f',"field":"{update.field}"}}]}}'.encode()
