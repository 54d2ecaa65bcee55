"""The queue of messages to be sent, joined with what a sender needs to know of each."""

from msgspec import Struct

from heliograph.core.statuses import RANK, State
from heliograph.store.engine import Tx, statement


class DueSend(Struct, frozen=True):
    """A message that may be sent now. attempts: how many were made before. last_inbound_at_ms: when the person last wrote."""

    account_id: int
    message_id: bytes
    connection_id: int
    lane: int
    due_at_ms: int
    attempts: int
    as_template: bool
    sender: str
    person: str
    person_user_id: str | None
    text: str
    media_url: str | None
    template: str | None
    last_inbound_at_ms: int | None


DUE_SENDS_SQL = (
    "SELECT d.account_id, d.message_id, d.connection_id, d.lane, d.due_at_ms, d.attempts, d.as_template, m.sender, m.person, "
    "m.person_user_id, m.text, m.media_url, m.template, w.last_inbound_at_ms "
    "FROM send_due AS d JOIN message AS m ON m.account_id = d.account_id AND m.id = d.message_id "
    "LEFT JOIN person_window AS w ON w.account_id = d.account_id AND w.connection_id = d.connection_id AND w.person = m.person "
    "WHERE d.account_id = $1 AND d.owner IS NULL AND d.connection_id = $2 AND d.lane = $3 AND d.due_at_ms <= $4 "
    "ORDER BY d.due_at_ms LIMIT $5"
)
DUE_SENDS = statement("due_sends", DUE_SENDS_SQL, postgresql=DUE_SENDS_SQL + " FOR UPDATE OF d SKIP LOCKED")
CLAIM_SEND = statement(
    "claim_send",
    "UPDATE send_due SET owner = $3, lease_until_ms = $4, attempts = attempts + 1 "
    "WHERE account_id = $1 AND message_id = $2 AND owner IS NULL",
)
DEFER_SEND = statement(
    "defer_send",
    "UPDATE send_due SET due_at_ms = $3 WHERE account_id = $1 AND message_id = $2 AND owner IS NULL",
)
RETRY_SEND = statement(
    "retry_send",
    "UPDATE send_due SET owner = NULL, lease_until_ms = NULL, due_at_ms = $4, as_template = $5, attempts = $6 "
    "WHERE account_id = $1 AND message_id = $2 AND owner = $3",
)
OWE_AGAIN = statement(
    "owe_send_again",
    "INSERT INTO send_due (account_id, message_id, connection_id, lane, due_at_ms, attempts, as_template) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
)
DROP_SEND = statement("drop_send", "DELETE FROM send_due WHERE account_id = $1 AND message_id = $2")
WITHDRAW = statement(
    "withdraw_send", "DELETE FROM send_due WHERE account_id = $1 AND message_id = $2 AND owner IS NULL"
)
MARK_CANCELLED = statement(
    "mark_cancelled",
    f"UPDATE message SET state = 'cancelled', state_rank = {RANK[State.CANCELLED]}, updated_at_ms = $3 "
    "WHERE account_id = $1 AND id = $2",
)
NEXT_DUE_OF_CONNECTION = statement(
    "next_due_of_connection",
    "SELECT min(due_at_ms) FROM send_due WHERE account_id = $1 AND owner IS NULL AND connection_id = $2 AND lane = $3",
)
SEND_OF_MESSAGE = statement(
    "send_of_message",
    "SELECT due_at_ms, attempts, lease_until_ms, lane FROM send_due WHERE account_id = $1 AND message_id = $2",
)
LANES = (0, 1)


class SendProgress(Struct, frozen=True):
    """Where a message stands in the queue. lease_until_ms is set while an attempt is under way."""

    due_at_ms: int
    attempts: int
    lease_until_ms: int | None
    lane: int


async def due_sends(tx: Tx, account_id: int, connection_id: int, lane: int, now_ms: int, limit: int) -> list[DueSend]:
    return [DueSend(*row) for row in await tx.rows(DUE_SENDS, account_id, connection_id, lane, now_ms, limit)]


async def claim_sends(tx: Tx, owner: bytes, lease_until_ms: int, sends: list[DueSend]) -> None:
    """An attempt at each begins: until the lease ends nobody else touches them."""
    await tx.run_many(CLAIM_SEND, [(s.account_id, s.message_id, owner, lease_until_ms) for s in sends])


async def defer_sends(tx: Tx, deferred: list[tuple[DueSend, int]]) -> None:
    """Not an attempt: they are due later (ms), because their recipient may not get more now."""
    await tx.run_many(DEFER_SEND, [(s.account_id, s.message_id, due_at_ms) for s, due_at_ms in deferred])


async def retry_send(
    tx: Tx, account_id: int, message_id: bytes, owner: bytes, *, due_at_ms: int, as_template: bool, attempts: int
) -> None:
    await tx.run(RETRY_SEND, account_id, message_id, owner, due_at_ms, as_template, attempts)


async def give_back_sends(tx: Tx, owner: bytes, sends: list[DueSend]) -> None:
    """Claimed but not begun: they are due as they were, and no attempt was made."""
    for send in sends:
        await retry_send(
            tx,
            send.account_id,
            send.message_id,
            owner,
            due_at_ms=send.due_at_ms,
            as_template=send.as_template,
            attempts=send.attempts,
        )


async def owe_send_again(
    tx: Tx, account_id: int, message_id: bytes, connection_id: int, *, due_at_ms: int, attempts: int, as_template: bool
) -> None:
    """Put a message that had left the queue back into it."""
    await tx.run(OWE_AGAIN, account_id, message_id, connection_id, 0, due_at_ms, attempts, as_template)
    tx.announce(f"send:{connection_id}")


async def drop_send(tx: Tx, account_id: int, message_id: bytes) -> None:
    """Whoever holds it: it is settled."""
    await tx.run(DROP_SEND, account_id, message_id)


async def cancel_send(tx: Tx, account_id: int, message_id: bytes, now_ms: int) -> bool:
    """True: it will never leave. False: an attempt is under way or over; nothing was changed."""
    if not await tx.run(WITHDRAW, account_id, message_id):
        return False
    await tx.run(MARK_CANCELLED, account_id, message_id, now_ms)
    return True


async def next_due_of_connection(tx: Tx, account_id: int, connection_id: int) -> int | None:
    """When the next message of a connection is due (ms), be that past or future."""
    found = [
        row[0]
        for lane in LANES
        if (row := await tx.row(NEXT_DUE_OF_CONNECTION, account_id, connection_id, lane)) and row[0] is not None
    ]
    return min(found) if found else None


async def send_progress(tx: Tx, account_id: int, message_id: bytes) -> SendProgress | None:
    row = await tx.row(SEND_OF_MESSAGE, account_id, message_id)
    return SendProgress(*row) if row else None
