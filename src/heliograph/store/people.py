"""What we know of the people on the other side: when they last wrote, and whether they want no more."""

from heliograph.store.engine import Tx, statement

OPEN_WINDOW = statement(
    "open_window",
    "INSERT INTO person_window (account_id, connection_id, person, last_inbound_at_ms) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (account_id, connection_id, person) DO UPDATE SET last_inbound_at_ms = excluded.last_inbound_at_ms "
    "WHERE person_window.last_inbound_at_ms < excluded.last_inbound_at_ms",
)
LAST_INBOUND = statement(
    "last_inbound",
    "SELECT last_inbound_at_ms FROM person_window WHERE account_id = $1 AND connection_id = $2 AND person = $3",
)
OPT_OUT = statement(
    "opt_out",
    "INSERT INTO opt_out (account_id, connection_id, person, since_ms, source) VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT DO NOTHING",
)
OPT_IN = statement("opt_in", "DELETE FROM opt_out WHERE account_id = $1 AND connection_id = $2 AND person = $3")
HAS_OPTED_OUT = statement(
    "has_opted_out", "SELECT 1 FROM opt_out WHERE account_id = $1 AND connection_id = $2 AND person = $3"
)


async def open_window(tx: Tx, account_id: int, connection_id: int, person: str, wrote_at_ms: int) -> None:
    """A person wrote: their window counts from the latest time known."""
    await tx.run(OPEN_WINDOW, account_id, connection_id, person, wrote_at_ms)


async def last_inbound_at_ms(tx: Tx, account_id: int, connection_id: int, person: str) -> int | None:
    row = await tx.row(LAST_INBOUND, account_id, connection_id, person)
    return row[0] if row else None


async def record_opt_out(tx: Tx, account_id: int, connection_id: int, person: str, since_ms: int, source: str) -> None:
    await tx.run(OPT_OUT, account_id, connection_id, person, since_ms, source)


async def record_opt_in(tx: Tx, account_id: int, connection_id: int, person: str) -> None:
    await tx.run(OPT_IN, account_id, connection_id, person)


async def has_opted_out(tx: Tx, account_id: int, connection_id: int, person: str) -> bool:
    return await tx.row(HAS_OPTED_OUT, account_id, connection_id, person) is not None
