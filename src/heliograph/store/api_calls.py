"""The last API calls of each account, for its developers. A record of what was answered, not part of any promise."""

from collections.abc import Iterable

from msgspec import Struct

from heliograph.store.engine import Tx, statement


class ApiCall(Struct, frozen=True, kw_only=True):
    """`code` and `sentence` tell the reason of a refusal and are empty for a success. `path` has no query: it may hold texts."""

    account_id: int
    id: bytes
    token_id: int
    method: str
    path: str
    http_status: int
    code: str
    sentence: str
    request_id: str
    address: str
    took_ms: int
    at_ms: int


FIELDS = ApiCall.__struct_fields__
CALL = ", ".join(FIELDS)
ADD = statement(
    "add_api_call", f"INSERT INTO api_call ({CALL}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
)
PAGE = statement(
    "api_calls_page",
    f"SELECT {CALL} FROM api_call WHERE account_id = $1 AND id < $2 AND http_status >= $3 ORDER BY id DESC LIMIT $4",
)
PAGE_AFTER = statement(
    "api_calls_page_after",
    f"SELECT {CALL} FROM api_call WHERE account_id = $1 AND id > $2 AND http_status >= $3 ORDER BY id LIMIT $4",
)
NTH = statement("nth_api_call", "SELECT id FROM api_call WHERE account_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2")
DROP_OLDER = statement("drop_older_api_calls", "DELETE FROM api_call WHERE account_id = $1 AND id <= $2")
NEWEST = b"\xff" * 16


async def add_api_calls(tx: Tx, calls: Iterable[ApiCall]) -> None:
    await tx.run_many(ADD, [tuple(getattr(call, field) for field in FIELDS) for call in calls])


async def api_calls(
    tx: Tx,
    account_id: int,
    limit: int,
    *,
    before: bytes | None = None,
    after: bytes | None = None,
    refused_only: bool = False,
) -> list[ApiCall]:
    """Newest first, older than `before`; or oldest first, newer than `after`."""
    least = 400 if refused_only else 0
    if after is not None:
        rows = await tx.rows(PAGE_AFTER, account_id, after, least, limit)
        return [ApiCall(**dict(zip(FIELDS, row, strict=True))) for row in rows]
    rows = await tx.rows(PAGE, account_id, NEWEST if before is None else before, least, limit)
    return [ApiCall(**dict(zip(FIELDS, row, strict=True))) for row in rows]


async def keep_newest_api_calls(tx: Tx, account_id: int, keep: int) -> int:
    """Drop all but the newest; how many went."""
    row = await tx.row(NTH, account_id, keep)
    return await tx.run(DROP_OLDER, account_id, row[0]) if row else 0
