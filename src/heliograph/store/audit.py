"""The audit log: who did what to which account, kept for ever. Rows are added and never changed."""

from msgspec import Struct

from heliograph.store.engine import Tx, statement


class AuditEvent(Struct, frozen=True, kw_only=True):
    """`name`: what was done, a stable word. `subject`: to what. `account_id` None: to the installation itself.

    user_id and actor (an e-mail address): who did it. `as_operator`: with an operator's right, not as a member of the account."""

    id: bytes
    at_ms: int
    account_id: int | None
    user_id: int | None
    actor: str
    as_operator: bool
    name: str
    subject: str
    address: str


FIELDS = AuditEvent.__struct_fields__
EVENT = ", ".join(FIELDS)
ADD = statement("add_audit_event", f"INSERT INTO audit_event ({EVENT}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
PAGE = statement("audit_page", f"SELECT {EVENT} FROM audit_event WHERE id < $1 ORDER BY id DESC LIMIT $2")
PAGE_AFTER = statement("audit_page_after", f"SELECT {EVENT} FROM audit_event WHERE id > $1 ORDER BY id LIMIT $2")
ACCOUNT_PAGE = statement(
    "audit_page_of_account",
    f"SELECT {EVENT} FROM audit_event WHERE account_id = $3 AND id < $1 ORDER BY id DESC LIMIT $2",
)
ACCOUNT_PAGE_AFTER = statement(
    "audit_page_of_account_after",
    f"SELECT {EVENT} FROM audit_event WHERE account_id = $3 AND id > $1 ORDER BY id LIMIT $2",
)
NEWEST = b"\xff" * 16


async def add_audit_event(tx: Tx, event: AuditEvent) -> None:
    await tx.run(ADD, *(getattr(event, field) for field in FIELDS))


async def audit_events(
    tx: Tx, limit: int, *, before: bytes | None = None, after: bytes | None = None, account_id: int | None = None
) -> list[AuditEvent]:
    """Newest first, older than `before`; or oldest first, newer than `after`. Of one account, or of all."""
    if account_id is None:
        rows = await tx.rows(PAGE_AFTER if after else PAGE, after or before or NEWEST, limit)
    else:
        what = ACCOUNT_PAGE_AFTER if after else ACCOUNT_PAGE
        rows = await tx.rows(what, after or before or NEWEST, limit, account_id)
    return [AuditEvent(**dict(zip(FIELDS, row, strict=True))) for row in rows]
