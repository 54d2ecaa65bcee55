"""How fast one may send: a number's throughput, and one number to one person (whatsapp-cloud-api.md §13).

Both are buckets kept as one time each ("when would all that was let through be paid for?"), so nothing ticks.
"""

from heliograph.emulators.cloud_api import defaults

PRUNE_FROM = 50_000


class Pace:
    """At most `per_s` a second, after a burst of one second's worth."""

    def __init__(self) -> None:
        self._paid_at: dict[str, float] = {}

    def take(self, number_id: str, per_s: int, now_s: float) -> bool:
        step = 1.0 / per_s
        paid_at = max(self._paid_at.get(number_id, 0.0), now_s)
        if paid_at - now_s > 1.0 - step + 1e-9:
            return False
        self._paid_at[number_id] = paid_at + step
        return True


class Pairs:
    """One message to one person in PAIR_EVERY_S, after a burst of PAIR_BURST. Forgets pairs that are paid up."""

    def __init__(self) -> None:
        self._paid_at: dict[tuple[str, str], float] = {}
        self._prune_at = PRUNE_FROM

    def take(self, number_id: str, person: str, now_s: float) -> bool:
        pair = (number_id, person)
        paid_at = max(self._paid_at.get(pair, 0.0), now_s)
        if paid_at - now_s > (defaults.PAIR_BURST - 1) * defaults.PAIR_EVERY_S + 1e-9:
            return False
        self._paid_at[pair] = paid_at + defaults.PAIR_EVERY_S
        if len(self._paid_at) > self._prune_at:
            self._paid_at = {pair: at for pair, at in self._paid_at.items() if at > now_s}
            self._prune_at = max(PRUNE_FROM, 2 * len(self._paid_at))
        return True

    def __len__(self) -> int:
        return len(self._paid_at)


class Windows:
    """Who wrote to which number in the last 24 hours."""

    def __init__(self, most: int = 500_000) -> None:
        self._open_until: dict[tuple[str, str], float] = {}
        self._most = most

    def open(self, number_id: str, person: str, now_s: float) -> None:
        pair = (number_id, person)
        self._open_until.pop(pair, None)  # so that the oldest stay first
        self._open_until[pair] = now_s + defaults.WINDOW_S
        if len(self._open_until) > self._most:
            del self._open_until[next(iter(self._open_until))]

    def is_open(self, number_id: str, person: str, now_s: float) -> bool:
        return self._open_until.get((number_id, person), 0.0) > now_s
