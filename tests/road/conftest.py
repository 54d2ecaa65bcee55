"""One installation for all tests of a module that only look at its outside."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.kit.house import Client, House, Tenant, open_house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    async with open_house(folder) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tenant(house: House) -> Tenant:
    return await house.open_account("Demo", "YourName", "Other", "15550100001", time_zone="Europe/Amsterdam")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(house: House, tenant: Tenant) -> AsyncIterator[Client]:
    async with Client(house, tenant) as opened:
        yield opened
