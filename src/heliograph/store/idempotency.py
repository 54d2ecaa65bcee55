"""Answers that are given again when a client repeats a request under the same Idempotency-Key."""

from msgspec import Struct

from heliograph.store.engine import Tx, statement


class KeptAnswer(Struct, frozen=True):
    """The answer that a key got, and the hash of the request that it belongs to."""

    request_sha256: bytes
    http_status: int
    answer: bytes


KEPT_ANSWER = statement(
    "kept_answer",
    "SELECT request_sha256, http_status, answer FROM idempotency_key "
    "WHERE account_id = $1 AND key_sha256 = $2 AND created_at_ms > $3",
)
KEEP_ANSWER = statement(
    "keep_answer",
    "INSERT INTO idempotency_key (account_id, key_sha256, request_sha256, http_status, answer, created_at_ms) "
    "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id, key_sha256) DO UPDATE SET "
    "request_sha256 = excluded.request_sha256, http_status = excluded.http_status, answer = excluded.answer, "
    "created_at_ms = excluded.created_at_ms WHERE idempotency_key.created_at_ms <= $7",
)
DROP_OLD_ANSWERS = statement(
    "drop_old_answers",
    "DELETE FROM idempotency_key WHERE (account_id, key_sha256) IN "
    "(SELECT account_id, key_sha256 FROM idempotency_key WHERE created_at_ms <= $1 LIMIT $2)",
)


async def kept_answer(tx: Tx, account_id: int, key_sha256: bytes, kept_since_ms: int) -> KeptAnswer | None:
    row = await tx.row(KEPT_ANSWER, account_id, key_sha256, kept_since_ms)
    return KeptAnswer(*row) if row else None


async def keep_answer(
    tx: Tx, account_id: int, key_sha256: bytes, kept: KeptAnswer, now_ms: int, kept_since_ms: int
) -> bool:
    """False when another request took the key first: then the caller must give that one's answer."""
    values = (kept.request_sha256, kept.http_status, kept.answer, now_ms, kept_since_ms)
    return await tx.run(KEEP_ANSWER, account_id, key_sha256, *values) > 0


async def drop_old_answers(tx: Tx, before_ms: int, limit: int) -> int:
    return await tx.run(DROP_OLD_ANSWERS, before_ms, limit)
