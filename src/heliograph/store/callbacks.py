"""The raw inbox: what carriers told us, byte for byte, before anyone reads it."""

from msgspec import Struct

from heliograph.store.engine import Tx, statement


class Callback(Struct, frozen=True):
    account_id: int
    id: bytes
    connection_id: int
    received_at_ms: int
    body: bytes
    trouble: str | None


COLUMNS = "account_id, id, connection_id, received_at_ms, body, trouble"
ADD_CALLBACK = statement(
    "add_callback",
    "INSERT INTO callback (account_id, id, connection_id, received_at_ms, body) VALUES ($1, $2, $3, $4, $5)",
)
OWE_CALLBACK = statement(
    "owe_callback", "INSERT INTO callback_due (account_id, callback_id, due_at_ms) VALUES ($1, $2, $3)"
)
CALLBACK_BY_ID = statement("callback_by_id", f"SELECT {COLUMNS} FROM callback WHERE account_id = $1 AND id = $2")
RECORD_TROUBLE = statement("record_trouble", "UPDATE callback SET trouble = $3 WHERE account_id = $1 AND id = $2")
TROUBLED = statement(
    "troubled_callbacks",
    f"SELECT {COLUMNS} FROM callback WHERE trouble IS NOT NULL AND id > $1 ORDER BY id LIMIT $2",
)
OWE_AGAIN = statement(
    "owe_callback_again",
    "INSERT INTO callback_due (account_id, callback_id, due_at_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
)
DROP_OLD = statement(
    "drop_old_callbacks",
    "DELETE FROM callback WHERE (account_id, id) IN (SELECT account_id, id FROM callback WHERE received_at_ms < $1 "
    "AND NOT EXISTS (SELECT 1 FROM callback_due AS d WHERE d.account_id = callback.account_id AND d.callback_id = callback.id) "
    "LIMIT $2)",
)


async def add_callbacks(tx: Tx, callbacks: list[Callback]) -> None:
    """Keep them and owe them to whoever applies callbacks."""
    await tx.run_many(
        ADD_CALLBACK, [(c.account_id, c.id, c.connection_id, c.received_at_ms, c.body) for c in callbacks]
    )
    await tx.run_many(OWE_CALLBACK, [(c.account_id, c.id, c.received_at_ms) for c in callbacks])
    tx.announce("callback")


async def callback_by_id(tx: Tx, account_id: int, callback_id: bytes) -> Callback | None:
    row = await tx.row(CALLBACK_BY_ID, account_id, callback_id)
    return Callback(*row) if row else None


async def record_trouble(tx: Tx, account_id: int, callback_id: bytes, sentence: str | None) -> None:
    """Why a callback could not be applied; None when it could after all."""
    await tx.run(RECORD_TROUBLE, account_id, callback_id, sentence)


async def troubled_callbacks(tx: Tx, after: bytes, limit: int) -> list[Callback]:
    """The dead letters, oldest first, from after that id."""
    return [Callback(*row) for row in await tx.rows(TROUBLED, after, limit)]


async def replay_callback(tx: Tx, account_id: int, callback_id: bytes, now_ms: int) -> None:
    """Apply it once more. Applying twice changes nothing."""
    await tx.run(OWE_AGAIN, account_id, callback_id, now_ms)
    tx.announce("callback")


async def drop_old_callbacks(tx: Tx, before_ms: int, limit: int) -> int:
    return await tx.run(DROP_OLD, before_ms, limit)
