"""One number's loop: it sends nothing that it may no longer send."""

import asyncio
import time
from collections.abc import Sequence

from heliograph.channels.contract import Connection, Outgoing, SendOutcome, Verdict
from heliograph.core.batching import Batcher
from heliograph.core.ids import new_id, now_ms
from heliograph.core.statuses import State
from heliograph.dispatch.number import NumberLoop
from heliograph.dispatch.outcomes import Attempt, record_attempts
from heliograph.store import messages, sends
from heliograph.store.engine import Database
from tests.kit.waiting import eventually
from tests.store.makers import make_account, make_connection, make_message

CONNECTION = Connection(
    phone_number_id="1",
    business_account_id="2",
    token="t",
    app_secret="s",
    base_url="http://127.0.0.1:9",
    api_version="v26.0",
)


class Recorder:
    """A way out that takes everything and keeps it."""

    def __init__(self) -> None:
        self.took: list[Outgoing] = []

    async def send(self, connection: Connection, message: Outgoing) -> SendOutcome:
        self.took.append(message)
        return SendOutcome(verdict=Verdict.ACCEPTED, carrier_message_id=f"wamid.{len(self.took)}", http_status=200)

    async def close(self) -> None:
        return None


async def make_loop(database: Database, channel: Recorder, account_id: int, *, send_within_s: float) -> NumberLoop:
    owner = new_id()

    async def record(batch: Sequence[Attempt]) -> Sequence[None]:
        await database.write(lambda tx: record_attempts(tx, owner, list(batch)))
        return [None] * len(batch)

    return NumberLoop(
        database=database,
        channel=channel,
        row=await make_connection(database, account_id),
        connection=CONNECTION,
        owner=owner,
        lease_ms=60_000,
        send_within_s=send_within_s,
        slots=asyncio.Semaphore(10),
        outcomes=Batcher(record, most_at_once=100, most_waiting=1000),
        most_in_flight=10,
    )


async def test_claim_too_old(database: Database) -> None:
    """A process that stood still after its claim sends nothing under it: the message waits for the next, uncounted."""
    account = await make_account(database)
    made = await make_message(database, account.id, due_at_ms=now_ms())
    channel = Recorder()
    loop = await make_loop(database, channel, account.id, send_within_s=-1.0)
    loop.start()

    async def told() -> bool:
        events = await database.read(lambda tx: messages.events_of_message(tx, account.id, made.id))
        return any(event.code == "claim_too_old" for event in events)

    await eventually(told)
    await loop.stop(5.0)
    assert channel.took == []
    progress = await database.read(lambda tx: sends.send_progress(tx, account.id, made.id))
    assert progress is not None
    assert (progress.attempts, progress.lease_until_ms) == (0, None)
    kept = await database.read(lambda tx: messages.message_by_id(tx, account.id, made.id))
    assert kept is not None
    assert kept.state == State.QUEUED


async def test_number_whose_lease_ran_out(database: Database) -> None:
    """A loop whose number may be another's by now claims nothing, until the lease is renewed."""
    account = await make_account(database)
    channel = Recorder()
    loop = await make_loop(database, channel, account.id, send_within_s=10.0)
    loop.keep_until(time.monotonic() - 0.001)
    loop.start()
    made = await make_message(database, account.id, due_at_ms=now_ms())
    loop.wake()
    for _ in range(50):
        await asyncio.sleep(0.002)
        assert channel.took == []
    loop.keep_until(time.monotonic() + 60)
    loop.wake()

    async def sent() -> bool:
        return len(channel.took) == 1

    await eventually(sent)
    await loop.stop(5.0)
    kept = await database.read(lambda tx: messages.message_by_id(tx, account.id, made.id))
    assert kept is not None
    assert kept.state == State.SENT
