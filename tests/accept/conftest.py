"""The store of each test, as the contract suite makes it."""

from tests.store.conftest import database, migrated_file, migrated_name, store

__all__ = ["database", "migrated_file", "migrated_name", "store"]
