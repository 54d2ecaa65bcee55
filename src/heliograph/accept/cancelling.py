"""Takes back what was accepted, while it is still here: the same for the API and the portal."""

from heliograph.core.statuses import State
from heliograph.store import messages as message_store
from heliograph.store import sends as send_store
from heliograph.store.engine import Tx
from heliograph.store.messages import Event, Message

TOO_LATE = "It is too late to cancel this message: it has left or is leaving right now."


async def cancel_message(tx: Tx, account_id: int, message_id: bytes, at_ms: int) -> tuple[bool, Message]:
    """Whether it will never leave, and the message as it is then. False: too late, and nothing was changed.

    The queue row goes to this or to an attempt, never to both. A message that was cancelled before is cancelled still."""
    done = await send_store.cancel_send(tx, account_id, message_id, at_ms)
    current = await message_store.message_by_id(tx, account_id, message_id)
    assert current is not None
    if done:
        event = Event(
            account_id=account_id,
            message_id=message_id,
            name="cancelled",
            at_ms=at_ms,
            source="customer",
            sentence="You cancelled it before it left.",
        )
        await message_store.add_events(tx, [event])
    return done or current.state == State.CANCELLED, current
