"""Small things owed to a carrier that are not messages: fetch an inbound file, mark an inbound message as read."""

from heliograph.store.engine import Tx, statement

OWE_ERRAND = statement(
    "owe_errand",
    "INSERT INTO errand_due (account_id, message_id, kind, connection_id, subject, due_at_ms) VALUES ($1, $2, $3, $4, $5, $6) "
    "ON CONFLICT DO NOTHING",
)


async def owe_errand(
    tx: Tx, account_id: int, message_id: bytes, kind: str, connection_id: int, subject: str, now_ms: int
) -> None:
    """kind: fetch_media (subject: the carrier's media id) or mark_read (subject: the carrier's message id)."""
    await tx.run(OWE_ERRAND, account_id, message_id, kind, connection_id, subject, now_ms)
    tx.announce("errand")
