"""How many requests a token may make in a minute: a fixed window per token, counted in this process.

With several API workers or nodes each counts for itself, so an installation of n workers allows up to n times as many."""

import time
from collections.abc import Callable

from heliograph.errors import TooManyRequests

WINDOW_S = 60.0
MOST_COUNTED = 100_000


class RateLimits:
    def __init__(self, default_per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._default = default_per_minute
        self._clock = clock
        self._windows: dict[int, list[float]] = {}  # token id → [end of the window, requests in it]

    def take(self, token_id: int, own_limit: int | None) -> list[tuple[bytes, bytes]]:
        """Count one request. Returns the header fields that tell the caller; raises TooManyRequests beyond the limit.

        X-RateLimit-* as existing clients read them, and RateLimit as in draft-ietf-httpapi-ratelimit-headers."""
        limit = self._default if own_limit is None else own_limit
        if limit <= 0:
            return []
        at = self._clock()
        window = self._windows.get(token_id)
        if window is None or window[0] <= at:
            if len(self._windows) >= MOST_COUNTED:
                self._windows = {key: kept for key, kept in self._windows.items() if kept[0] > at}
            window = self._windows[token_id] = [at + WINDOW_S, 0]
        left_s = window[0] - at
        if window[1] >= limit:
            raise TooManyRequests(left_s, describe(limit, 0, left_s))
        window[1] += 1
        return describe(limit, limit - int(window[1]), left_s)


def describe(limit: int, remaining: int, left_s: float) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-ratelimit-limit", b"%d" % limit),
        (b"x-ratelimit-remaining", b"%d" % remaining),
        (b"ratelimit-policy", b'"default";q=%d;w=60' % limit),
        (b"ratelimit", b'"default";r=%d;t=%d' % (remaining, int(left_s) + 1)),
    ]
