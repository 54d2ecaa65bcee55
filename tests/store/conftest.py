"""A migrated, empty store for each test, on each engine."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from heliograph.config import Settings
from heliograph.runtime import open_database
from heliograph.store.engine import Database
from heliograph.store.migrate import migrate
from tests.kit.postgres import Databases

ENGINES = ("sqlite", "postgresql")


class Store:
    """One database, and as many handles on it as a test opens: each stands for a node of the installation."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._opened: list[Database] = []

    async def open(self) -> Database:
        opened = await open_database(self.settings)
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


@pytest.fixture(scope="session")
def migrated_name(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of an empty PostgreSQL database with this release's schema, emptied after each test."""
    name = postgres.create()
    migrate(Settings(home=str(tmp_path_factory.mktemp("migrated")), database_url=postgres.url_of(name)))
    yield name
    postgres.drop(name)


@pytest.fixture(params=ENGINES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "sqlite":
        settings = Settings(home=str(tmp_path))
        shutil.copy(request.getfixturevalue("migrated_file"), settings.sqlite_path)
        made = Store(settings)
        yield made
        await made.close()
        return
    postgres: Databases = request.getfixturevalue("postgres")
    name: str = request.getfixturevalue("migrated_name")
    made = Store(Settings(home=str(tmp_path), database_url=postgres.url_of(name)))
    yield made
    await made.close()
    postgres.empty(name)


@pytest.fixture
async def database(store: Store) -> Database:
    return await store.open()
