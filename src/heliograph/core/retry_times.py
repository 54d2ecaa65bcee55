"""When to try again: exponential backoff with full jitter, bounded in number and in time."""

import random

from msgspec import Struct


class RetryBudget(Struct, frozen=True, kw_only=True):
    """attempts: how often at the most; first_s and longest_s: the bounds of the wait before the next one."""

    attempts: int = 8
    first_s: float = 1.0
    longest_s: float = 600.0


SEND_BUDGET = RetryBudget()
PAIR_BUDGET = RetryBudget(attempts=8, first_s=1.0, longest_s=4096.0)  # 4^X s (whatsapp-cloud-api.md §13)
ERRAND_BUDGET = RetryBudget(attempts=10, first_s=2.0, longest_s=1800.0)


def wait_before_retry_s(attempts_made: int, budget: RetryBudget, asked_s: float | None = None) -> float | None:
    """Seconds until the next attempt, or None when the budget is spent. `asked_s` is what the carrier asked for.

    The wait is drawn between half and the whole of first·2^(n-1): spread out, and never at once."""
    if attempts_made >= budget.attempts:
        return None
    ceiling = min(budget.longest_s, budget.first_s * 2.0 ** (attempts_made - 1))
    wait = ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - spreading load, no secret
    return max(wait, asked_s or 0.0)


def wait_before_pair_retry_s(attempts_made: int, budget: RetryBudget = PAIR_BUDGET) -> float | None:
    """The carrier's own rule for one recipient: 4^X seconds, X = 0, 1, 2 …"""
    if attempts_made >= budget.attempts:
        return None
    return min(budget.longest_s, 4.0 ** (attempts_made - 1))
