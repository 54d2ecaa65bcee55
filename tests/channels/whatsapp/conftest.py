"""A scripted carrier and a channel for each test."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from heliograph.channels.contract import Connection
from heliograph.channels.whatsapp.channel import WhatsApp
from tests.channels.whatsapp.kit import Carrier, connection_to, listening, speaking


@pytest_asyncio.fixture
async def carrier() -> AsyncIterator[Carrier]:
    async with listening() as opened:
        yield opened


@pytest_asyncio.fixture
async def channel() -> AsyncIterator[WhatsApp]:
    async with speaking() as opened:
        yield opened


@pytest.fixture
def connection(carrier: Carrier) -> Connection:
    return connection_to(carrier.url)
