"""The audit log, on every engine."""

from heliograph.core.ids import new_id
from heliograph.store import audit
from heliograph.store.audit import AuditEvent
from heliograph.store.engine import Database
from tests.store.makers import NOON_MS, make_account, read, write


def new_line(account_id: int | None, **changes: object) -> AuditEvent:
    fields: dict[str, object] = {
        "id": new_id(),
        "at_ms": NOON_MS,
        "account_id": account_id,
        "user_id": 7,
        "actor": "op@lark.example",
        "as_operator": True,
        "name": "account_suspended",
        "subject": "",
        "address": "192.0.2.1",
    }
    return AuditEvent(**(fields | changes))  # type: ignore[arg-type]


async def test_audit(database: Database) -> None:
    """Lines come back as they were written, by pages in both directions, of all accounts or of one."""
    account = await make_account(database)
    lines = [new_line(account.id if n % 2 else None, user_id=None if n else 7) for n in range(6)]
    for line in lines:
        await write(database, audit.add_audit_event, line)
    found = await read(database, audit.audit_events, 9)
    assert found == lines[::-1]
    assert bool(found[0].as_operator) is True
    assert await read(database, audit.audit_events, 2, before=lines[3].id) == [lines[2], lines[1]]
    assert await read(database, audit.audit_events, 2, after=lines[3].id) == [lines[4], lines[5]]
    assert await read(database, audit.audit_events, 9, account_id=account.id) == [lines[5], lines[3], lines[1]]
    assert await read(database, audit.audit_events, 9, after=lines[1].id, account_id=account.id) == [lines[3], lines[5]]
