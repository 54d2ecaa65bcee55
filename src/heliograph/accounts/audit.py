"""Writing the audit log: what operators do, and what changes the security of an account."""

from msgspec import Struct

from heliograph.core.ids import new_id, now_ms
from heliograph.runtime import Runtime
from heliograph.store import audit as store
from heliograph.store.accounts import User
from heliograph.store.audit import AuditEvent

COMMAND_LINE = "command line"


class Actor(Struct, frozen=True):
    """Who acts, and from which network address. `user` None: somebody with a shell on the server."""

    user: User | None = None
    address: str = ""


SHELL = Actor()


async def record(
    runtime: Runtime,
    actor: Actor,
    name: str,
    *,
    account_id: int | None,
    subject: str = "",
    as_operator: bool = False,
) -> None:
    """Write one line; `name` is a stable word of NAMES in the portal's audit page."""
    event = AuditEvent(
        id=new_id(),
        at_ms=now_ms(),
        account_id=account_id,
        user_id=actor.user.id if actor.user else None,
        actor=actor.user.email if actor.user else COMMAND_LINE,
        as_operator=as_operator,
        name=name,
        subject=subject[:200],
        address=actor.address[:64],
    )
    await runtime.database.write(lambda tx: store.add_audit_event(tx, event))
