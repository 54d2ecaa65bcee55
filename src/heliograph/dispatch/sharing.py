"""How several dispatchers of one database share its numbers: about as many for each, and none left lying."""

import math
import time


class Sharing:
    """Knows of the other dispatchers by their beats, which are announced and may be lost: it decides who works, never what is safe.

    lease_s: who was not heard for so long is gone. patience_s: what the others left lying for so long is taken by anyone."""

    def __init__(self, lease_s: float, patience_s: float) -> None:
        self._lease_s = lease_s
        self._patience_s = patience_s
        self._heard_at_s: dict[str, float] = {}
        self._free_since_s: float | None = None

    def hear(self, other: str) -> bool:
        """A beat of another dispatcher; True when it is news."""
        is_news = other not in self._heard_at_s
        self._heard_at_s[other] = time.monotonic()
        return is_news

    def forget(self, other: str) -> None:
        """It said that it stops."""
        self._heard_at_s.pop(other, None)

    def fair(self, total: int) -> int:
        """How many of all numbers should be ours."""
        horizon_s = time.monotonic() - self._lease_s
        self._heard_at_s = {name: at_s for name, at_s in self._heard_at_s.items() if at_s > horizon_s}
        return math.ceil(total / (1 + len(self._heard_at_s)))

    def most(self, total: int) -> int:
        """How many to own at the most: a fair share, or all when free ones were left lying."""
        left_lying = self._free_since_s is not None and time.monotonic() - self._free_since_s > self._patience_s
        return total if left_lying else self.fair(total)

    def saw_free(self, free: int) -> None:
        """How many are nobody's after we took ours."""
        if not free:
            self._free_since_s = None
        elif self._free_since_s is None:
            self._free_since_s = time.monotonic()
