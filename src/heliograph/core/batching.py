"""Group commit: what arrives while one batch is on its way to the disk travels together in the next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from heliograph.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Collects items of concurrent callers and gives them to `flush` in batches, `lanes` batches at a time.

    `flush` returns one result an item, in order. When it raises for a batch of several, each item is tried alone, so that
    one bad item fails only its own caller. Nothing waits for a timer: a lone item leaves at once.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        most_at_once: int,
        most_waiting: int,
        lanes: int = 1,
    ) -> None:
        self._flush = flush
        self._most_at_once = most_at_once
        self._most_waiting = most_waiting
        self._lanes = lanes
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._working = 0  # lanes that will look again before they end
        self._running: set[asyncio.Task[None]] = set()

    async def add(self, item: Item) -> Result:
        """Returns once the batch that holds the item has been flushed. Raises what flush raised for it.

        Raises Unavailable at once when too many wait: then the disk is slower than the demand."""
        if len(self._waiting) >= self._most_waiting:
            raise Unavailable("This server is busy. Nothing was stored; try again.", code="overloaded", retry_after_s=1)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._working < self._lanes:
            self._working += 1
            task = asyncio.create_task(self._work())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await future

    async def drain(self) -> None:
        """Wait until all that was added has been flushed."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def _work(self) -> None:
        try:
            # One turn of the loop, so that requests that are being read right now come along.
            await asyncio.sleep(0)
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most_at_once))]
                await self._flush_batch(batch)
        finally:
            # In the same step as the last look: an item that comes before the task counts as done starts another.
            self._working -= 1

    async def _flush_batch(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._flush([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - handed to the callers
            if len(batch) == 1 or isinstance(error, Unavailable):
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                return
            for one in batch:
                await self._flush_batch([one])
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
