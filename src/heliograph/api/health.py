"""For those who watch over the installation: alive, ready, and figures."""

import msgspec
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from heliograph.api.http import Answer, Request
from heliograph.core.ids import NO_ID, now_ms
from heliograph.errors import MethodNotAllowed, Unavailable
from heliograph.runtime import Runtime
from heliograph.store import connections as connection_store
from heliograph.store import queues
from heliograph.store.connections import ConnectionRow
from heliograph.store.engine import Tx
from heliograph.store.idempotency import KeptAnswer, keep_answer

PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


async def answer(runtime: Runtime, request: Request) -> Answer:
    if request.method not in {"GET", "HEAD"}:
        raise MethodNotAllowed(("GET",))
    if request.path == "/healthz":
        return Answer(msgspec.json.encode({"status": "success", "message": "This server is alive.", "data": {}}))
    if request.path == "/metrics":
        return Answer(await measure(runtime), content_type=CONTENT_TYPE_LATEST.encode())
    await runtime.database.write(something_is_written)
    return Answer(msgspec.json.encode({"status": "success", "message": "This server is ready.", "data": {}}))


async def something_is_written(tx: Tx) -> None:
    """Ready means: a message could be stored. Raises Unavailable otherwise, which answers 503.

    One row of no account, written over each time: an empty commit would succeed on a full disk too."""
    at_ms = now_ms()
    await keep_answer(tx, 0, NO_ID, KeptAnswer(NO_ID, 200, b"ready"), at_ms, at_ms)


async def measure(runtime: Runtime) -> bytes:
    """Queue depths and ages, and which numbers stand still, in the Prometheus text format."""

    async def work(tx: Tx) -> tuple[dict[str, tuple[int, int | None]], list[ConnectionRow]]:
        depths = {queue.table: await queues.depth(tx, queue, now_ms()) for queue in queues.QUEUES}
        return depths, await connection_store.all_connections(tx)

    try:
        depths, connections = await runtime.database.read(work)
        up = 1
    except Unavailable:
        depths, connections, up = {}, [], 0
    registry = CollectorRegistry()
    Gauge("heliograph_database_up", "1 while the database answers", registry=registry).set(up)
    waiting = Gauge("heliograph_queue_waiting", "Rows that are due", ["queue"], registry=registry)
    oldest = Gauge("heliograph_queue_oldest_seconds", "Age of the oldest due row", ["queue"], registry=registry)
    for name, (count, since_ms) in depths.items():
        waiting.labels(name).set(count)
        oldest.labels(name).set((now_ms() - since_ms) / 1000 if since_ms is not None and count else 0)
    held = Gauge("heliograph_number_held", "1 while a number stands still", ["connection", "code"], registry=registry)
    for row in connections:
        held.labels(str(row.id), row.hold_code or "").set(1 if row.hold_code else 0)
    return generate_latest(registry)
