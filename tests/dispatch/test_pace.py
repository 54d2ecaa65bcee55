"""The pace of a number and the pair limit of a recipient, on a clock of the test's own."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.dispatch.pace import PAIR_BURST, PAIR_INTERVAL_S, Pace, PairLimits


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def run_backlog(per_s: int, seconds: float, late_s: float, seed: int, most: int = 10**9) -> list[float]:
    """When each message of an endless backlog leaves, where every wait ends late by up to `late_s`."""
    clock, chance = Clock(), random.Random(seed)
    pace = Pace(per_s, clock)
    left: list[float] = []
    while clock.now_s < 1000.0 + seconds:
        if (wait_s := pace.wait_s(backlog=True)) > 0:
            clock.now_s += wait_s + chance.uniform(0.0, late_s)
            continue
        count = min(pace.available(), most)
        assert count > 0
        pace.take(count)
        left += [clock.now_s] * count
        clock.now_s += chance.uniform(0.0, late_s / 4)
    return left


def fullest_second(times: list[float]) -> int:
    most = low = 0
    for high, at in enumerate(times):
        while times[low] <= at - 1.0:
            low += 1
        most = max(most, high - low + 1)
    return most


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([1, 7, 20, 80, 250, 1000]), st.sampled_from([0.0, 0.002, 0.01, 0.05]), st.integers(0, 10**6))
def test_never_above_the_limit(per_s: int, late_s: float, seed: int) -> None:
    """In no sliding second leave more than the limit allows, however late the waits end."""
    assert fullest_second(run_backlog(per_s, 5.0, late_s, seed)) <= per_s


@pytest.mark.parametrize("per_s", [80, 1000])
@pytest.mark.parametrize("late_s", [0.0, 0.005, 0.015])
def test_hardly_below_the_limit(per_s: int, late_s: float) -> None:
    """With a backlog 97 to 100 % of the limit leaves, although every wait ends late."""
    left = run_backlog(per_s, 30.0, late_s, 1)
    assert 0.97 <= len(left) / 30.0 / per_s <= 1.01


def test_a_pause_saves_nothing_up() -> None:
    """After an idle minute a tenth of a second's worth may leave at once, and the second stays within the limit."""
    clock = Clock()
    pace = Pace(1000, clock)
    pace.take(1)
    clock.now_s += 60.0
    assert pace.available() <= 100


def test_throttled() -> None:
    """A carrier that says "too fast" halves the pace once for a burst of such answers; it recovers by itself."""
    clock = Clock()
    pace = Pace(80, clock)
    for _ in range(10):
        pace.slow_down()
    assert pace.share == pytest.approx(0.5)
    clock.now_s += 2.0
    pace.slow_down()
    assert pace.share < 0.3
    clock.now_s += 60.0
    assert pace.share == 1.0


def test_no_limit() -> None:
    """0 means no limit."""
    pace = Pace(0, Clock())
    assert pace.wait_s(backlog=True) == 0.0
    assert pace.available() > 1000


def test_a_new_limit_counts_at_once() -> None:
    """A number whose throughput was raised goes faster; one that was lowered is within the new limit in the next second."""
    clock = Clock()
    pace = Pace(1000, clock)
    while pace.available():
        pace.take(pace.available())
        clock.now_s += 0.001
    pace.set_limit(20)
    assert pace.available() == 0
    clock.now_s += 1.1
    assert 0 < pace.available() <= 20


def test_pairs() -> None:
    """One recipient gets a burst, then one message an interval; others are not held up."""
    clock = Clock()
    pairs = PairLimits(clock)
    for _ in range(PAIR_BURST):
        assert pairs.wait_s("31612345678") == 0.0
        pairs.take("31612345678")
    assert 0 < pairs.wait_s("31612345678") <= PAIR_INTERVAL_S
    assert pairs.wait_s("31612345679") == 0.0
    clock.now_s += PAIR_INTERVAL_S
    assert pairs.wait_s("31612345678") == 0.0
