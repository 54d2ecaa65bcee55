"""How fast: the pace of a number, and the pair limit of each recipient. Both live in the one process that owns the number.

Both are the generic cell rate algorithm: a "theoretical arrival time" per flow, one float, no timers
(ITU-T I.371 Annex A)."""

import math
import time
from collections.abc import Callable

# Messages leave evenly, a little below the limit, so that jitter on the way cannot push a sliding second above it.
MARGIN = 0.985
BURST_S = 0.01  # how much may leave at once after a pause, as a share of a second's worth

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
        self._limit_per_s = per_s

    @property
    def limit_per_s(self) -> int:
        """0 = no limit."""
        return self._limit_per_s

    def set_limit(self, per_s: int) -> None:
        self._limit_per_s = per_s

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
        interval = self._interval_s()
        burst = max(1, int(self._limit_per_s * BURST_S))
        ahead = self._next_at - self._clock()
        return max(0, min(burst, int(burst - ahead / interval + 1e-9)))

    def take(self, count: int) -> None:
        if self._limit_per_s > 0 and count:
            self._next_at = max(self._next_at, self._clock()) + count * self._interval_s()

    def wait_s(self, *, backlog: bool) -> float:
        """Seconds until the next one may leave, 0 when one may now; with a backlog, until several may leave together."""
        burst = max(1, int(self._limit_per_s * BURST_S))
        wanted = max(1, burst // 2) if backlog else 1
        if self._limit_per_s <= 0 or self.available() >= wanted:
            return 0.0
        return max(0.0005, self._next_at - self._clock() - (burst - wanted) * self._interval_s())

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
