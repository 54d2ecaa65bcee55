"""An emulator for each test, in this process but behind a real socket, and a receiver of its callbacks."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.emulators.kit import Client, Receiver, emulating


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    async with emulating() as opened:
        yield opened


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().listening() as listening:
        yield listening
