"""How dispatchers share numbers: evenly, with nothing left lying."""

import time

import pytest

from heliograph.dispatch.sharing import Sharing


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_alone(clock: list[float]) -> None:
    """Who hears of nobody takes everything."""
    assert Sharing(10, 5).most(7) == 7


@pytest.mark.parametrize(("others", "total", "fair"), [(1, 10, 5), (1, 3, 2), (2, 10, 4), (4, 3, 1), (2, 0, 0)])
def test_fair(clock: list[float], others: int, total: int, fair: int) -> None:
    """A fair share is rounded up, so that all shares together are enough."""
    sharing = Sharing(10, 5)
    assert [sharing.hear(str(n)) for n in range(others)] == [True] * others
    assert sharing.fair(total) == sharing.most(total) == fair
    assert fair * (others + 1) >= total


def test_who_is_gone(clock: list[float]) -> None:
    """Who is silent for a lease, or says that it stops, counts no more; a beat is news once."""
    sharing = Sharing(10, 5)
    sharing.hear("a")
    sharing.hear("b")
    clock[0] += 9
    assert not sharing.hear("a")
    clock[0] += 2
    assert sharing.fair(12) == 6
    sharing.forget("a")
    sharing.forget("never heard")
    assert sharing.fair(12) == 12


def test_left_lying(clock: list[float]) -> None:
    """Numbers that the others leave lying are taken beyond the share, after a while."""
    sharing = Sharing(100, 5)
    sharing.hear("a")
    sharing.saw_free(3)
    clock[0] += 4
    sharing.saw_free(3)
    assert sharing.most(6) == 3
    clock[0] += 2
    assert sharing.most(6) == 6
    sharing.saw_free(0)
    assert sharing.most(6) == 3
