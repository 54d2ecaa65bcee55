"""The limit of requests a minute, with a clock that the test moves."""

import pytest

from heliograph.api import rate_limit
from heliograph.api.rate_limit import RateLimits
from heliograph.errors import TooManyRequests


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_a_window() -> None:
    """So many requests in a window, then a refusal that tells the seconds left, then a new window."""
    clock = Clock()
    limits = RateLimits(2, clock)
    assert (b"x-ratelimit-remaining", b"1") in limits.take(1, None)
    clock.at += 20
    assert (b"x-ratelimit-remaining", b"0") in limits.take(1, None)
    with pytest.raises(TooManyRequests) as refused:
        limits.take(1, None)
    assert refused.value.retry_after_s == pytest.approx(40)
    assert (b"x-ratelimit-remaining", b"0") in refused.value.headers
    clock.at += 40
    assert (b"x-ratelimit-remaining", b"1") in limits.take(1, None)


def test_tokens_are_counted_apart() -> None:
    """One token's requests do not count against another's; a token's own limit replaces the common one; 0 is none."""
    limits = RateLimits(1, Clock())
    limits.take(1, None)
    limits.take(2, None)
    for _ in range(3):
        limits.take(3, 3)
        assert limits.take(4, 0) == []
    for token_id, own in ((1, None), (2, None), (3, 3)):
        with pytest.raises(TooManyRequests):
            limits.take(token_id, own)


def test_no_limit_at_all() -> None:
    """An installation may have none, and a token still have one."""
    limits = RateLimits(0, Clock())
    for _ in range(10):
        assert limits.take(1, None) == []
    limits.take(2, 1)
    with pytest.raises(TooManyRequests):
        limits.take(2, 1)


def test_old_windows_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that are over take no memory for ever."""
    monkeypatch.setattr(rate_limit, "MOST_COUNTED", 10)
    clock = Clock()
    limits = RateLimits(5, clock)
    for token_id in range(10):
        limits.take(token_id, None)
    clock.at += 61
    limits.take(99, None)
    assert len(limits._windows) == 1
