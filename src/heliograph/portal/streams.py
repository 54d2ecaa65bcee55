"""The open event streams of this process: woken by what the store announces, ended when the process stops."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator

from heliograph.store.engine import Database


class Bell:
    """Wakes one stream."""

    def __init__(self, topics: Iterable[str]) -> None:
        self.topics = frozenset(topics)
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, at_most_s: float) -> None:
        """Returns when somebody rings, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._rung.wait()
        self._rung.clear()


class Streams:
    def __init__(self) -> None:
        self.closing = False
        self._bells: set[Bell] = set()
        self._stop_listening: Callable[[], None] | None = None

    def start(self, database: Database) -> None:
        self._stop_listening = database.listen(self._heard)

    def stop(self) -> None:
        """Every stream ends at once; browsers come back to whoever serves them next."""
        self.closing = True
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        for bell in self._bells:
            bell.ring()

    def _heard(self, topic: str) -> None:
        for bell in self._bells:
            if topic in bell.topics:
                bell.ring()

    @contextlib.contextmanager
    def opened(self, topics: Iterable[str]) -> Iterator[Bell]:
        bell = Bell(topics)
        self._bells.add(bell)
        try:
            yield bell
        finally:
            self._bells.discard(bell)
