"""Waiting for something to become true, with a deadline; never for a fixed time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T]], *, within_s: float = 20.0, every_s: float = 0.02) -> T:
    """The first truthy answer of `look`. Fails with its last answer when none comes in time."""
    deadline = time.monotonic() + within_s
    while True:
        found = await look()
        if found:
            return found
        assert time.monotonic() < deadline, f"still not after {within_s} s: {found!r}"
        await asyncio.sleep(every_s)
