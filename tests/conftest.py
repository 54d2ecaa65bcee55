"""What every folder of tests may ask for."""

from collections.abc import Iterator

import pytest

from tests.kit.postgres import Databases, running_databases


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """The server on which tests make databases of their own, started when the first of them asks."""
    with running_databases() as databases:
        yield databases


@pytest.fixture
def postgres_url(postgres: Databases) -> Iterator[str]:
    """The URL of an empty database of this test's own."""
    name = postgres.create()
    yield postgres.url_of(name)
    postgres.drop(name)
