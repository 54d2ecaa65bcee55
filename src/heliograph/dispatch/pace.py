"""How fast: the pace of a number, and the pair limit of each recipient. Both live in the one process that owns the number.

Both are the generic cell rate algorithm: a "theoretical arrival time" per flow, one float, no timers
(ITU-T I.371 Annex A). The pace is also held against the times of the last second's messages: what was late may be made up for,
and still no second has more than the limit."""

import math
import time
from collections import deque
from collections.abc import Callable

# Messages leave evenly, a little below the limit.
MARGIN = 0.985
MADE_UP_S = 0.1  # so much lateness is made up for; a pause does not count as lateness beyond it
WINDOW_S = (
    1.01  # no more than the limit in so long: the way to the carrier may take some messages 10 ms longer than others
)
CLAIM_S = 0.01  # with a backlog, so much of it is claimed together: fewer commits
WATCHED_UP_TO = 10_000  # messages a second; beyond it the even flow alone has to do

PAIR_INTERVAL_S = 6.05  # whatsapp-cloud-api.md §13: one message per 6 s …
PAIR_BURST = 44  # … and up to 45 at once, paid back afterwards
PAIRS_KEPT = 50_000  # beyond it those with nothing to pay back are forgotten

Clock = Callable[[], float]


class Pace:
    """Messages a second of one number. A carrier's "too fast" halves it; it recovers while nothing more is heard."""

    def __init__(self, per_s: int, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._next_at = 0.0
        self._slowed_at = -1e9
        self._share = 1.0
        self._limit_per_s = 0
        self._left_at: deque[float] = deque()
        self.set_limit(per_s)

    @property
    def limit_per_s(self) -> int:
        """0 = no limit."""
        return self._limit_per_s

    def set_limit(self, per_s: int) -> None:
        if per_s != self._limit_per_s:
            self._limit_per_s = per_s
            self._left_at = deque(self._left_at, maxlen=per_s if 0 < per_s <= WATCHED_UP_TO else 0)

    @property
    def share(self) -> float:
        """Which part of the limit is used now: 1.0 until the carrier throttled."""
        quiet_s = self._clock() - self._slowed_at
        return min(1.0, self._share * math.pow(1.05, min(quiet_s, 1000.0)))

    def _interval_s(self) -> float:
        return 1.0 / (self._limit_per_s * MARGIN * self.share)

    def available(self) -> int:
        """How many may leave now."""
        if self._limit_per_s <= 0:
            return 1_000_000
        at = self._clock()
        by_flow = int((at - max(self._next_at, at - MADE_UP_S)) / self._interval_s() + 1 + 1e-9)
        return max(0, min(by_flow, self._room(at, by_flow)))

    def _room(self, at: float, wanted: int) -> int:
        """How many of `wanted` the window has room for."""
        left_at = self._left_at
        if left_at.maxlen == 0:
            return wanted
        room = self._limit_per_s - len(left_at)
        for left in left_at:
            if room >= wanted or left > at - WINDOW_S:
                break
            room += 1
        return room

    def take(self, count: int) -> None:
        if self._limit_per_s > 0 and count:
            at = self._clock()
            self._next_at = max(self._next_at, at - MADE_UP_S) + count * self._interval_s()
            self._left_at.extend([at] * count)

    def wait_s(self, *, backlog: bool) -> float:
        """Seconds until the next one may leave, 0 when one may now; with a backlog, until several may leave together."""
        wanted = max(1, int(self._limit_per_s * CLAIM_S / 2)) if backlog else 1
        if self._limit_per_s <= 0 or self.available() >= wanted:
            return 0.0
        at = self._clock()
        wait_s = self._next_at + (wanted - 1) * self._interval_s() - at
        short_of = wanted - (self._limit_per_s - len(self._left_at))
        if short_of > 0 and self._left_at.maxlen:
            wait_s = max(wait_s, self._left_at[min(short_of, len(self._left_at)) - 1] + WINDOW_S - at)
        return max(0.0005, wait_s)

    def slow_down(self) -> None:
        """The carrier throttled. Many answers to one burst count once."""
        at = self._clock()
        if at - self._slowed_at > 1.0:
            self._share = max(0.02, self.share / 2)
        self._slowed_at = at


class PairLimits:
    """How many messages each recipient may get from one number. Times are of this process's steady clock, in seconds."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._paid_at: dict[str, float] = {}

    def wait_s(self, person: str, ahead: int = 0) -> float:
        """Seconds until the recipient may get one more after `ahead` others; 0 when now."""
        at = self._clock()
        paid_at = max(self._paid_at.get(person, at), at) + ahead * PAIR_INTERVAL_S
        return max(0.0, paid_at - at - (PAIR_BURST - 1) * PAIR_INTERVAL_S)

    def take(self, person: str) -> None:
        at = self._clock()
        self._paid_at[person] = max(self._paid_at.get(person, at), at) + PAIR_INTERVAL_S
        if len(self._paid_at) > PAIRS_KEPT:
            self._paid_at = {who: when for who, when in self._paid_at.items() if when > at}

    def hold(self, person: str, wait_s: float) -> None:
        """The carrier itself said that this recipient has had enough for now."""
        full = self._clock() + wait_s + (PAIR_BURST - 1) * PAIR_INTERVAL_S
        self._paid_at[person] = max(self._paid_at.get(person, 0.0), full)
