"""A migrated, empty store for each test, on each engine."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from heliograph.config import Settings
from heliograph.store.engine import Database
from heliograph.store.migrate import migrate
from heliograph.store.sqlite import SqliteDatabase

ENGINES = ("sqlite",)


class Store:
    """One database, and as many handles on it as a test opens: each stands for a node of the installation."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._opened: list[Database] = []

    async def open(self) -> Database:
        opened = await SqliteDatabase.open(self.settings.sqlite_path)
        self._opened.append(opened)
        return opened

    async def close(self) -> None:
        for opened in self._opened:
            await opened.close()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with this release's schema, to be copied."""
    settings = Settings(home=str(tmp_path_factory.mktemp("migrated")))
    migrate(settings)
    return settings.sqlite_path


@pytest.fixture(params=ENGINES)
async def store(request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path) -> AsyncIterator[Store]:
    settings = Settings(home=str(tmp_path))
    shutil.copy(migrated_file, settings.sqlite_path)
    made = Store(settings)
    yield made
    await made.close()


@pytest.fixture
async def database(store: Store) -> Database:
    return await store.open()
