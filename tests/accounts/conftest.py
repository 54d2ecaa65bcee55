"""An installation without processes: settings, a store, and a key of its own."""

import pytest

from heliograph.core.vault import Vault
from heliograph.runtime import Runtime
from heliograph.store.engine import Database
from tests.store.conftest import Store, database, migrated_file, migrated_name, store

__all__ = ["database", "migrated_file", "migrated_name", "runtime", "store"]


@pytest.fixture
def runtime(store: Store, database: Database) -> Runtime:
    return Runtime(store.settings, database, Vault(Vault.new_key()))
