"""A PostgreSQL server for benchmarks, as durable as a real one: on the load's core, for the server's core is what is measured."""

import contextlib
from collections.abc import Iterator

from tests.kit.postgres import Databases, PrivateServer

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "256MB"}


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database; the cluster goes with the benchmark."""
    server = PrivateServer(DURABLE)
    try:
        databases = Databases(server.url)
        yield databases.url_of(databases.create())
    finally:
        server.remove()
