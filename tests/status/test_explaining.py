"""What is told of a message that waits because its sender stands still."""

import msgspec
import pytest

from heliograph.status.explaining import explain
from heliograph.store import messages
from heliograph.store.engine import Database
from heliograph.store.sends import SendProgress
from tests.store.makers import NOON_MS, make_account, make_connection, make_message


@pytest.mark.parametrize(("until_ms", "until"), [(None, None), (NOON_MS + 60_000, "2025-10-09T08:54:20Z")])
async def test_a_hold(database: Database, until_ms: int | None, until: str | None) -> None:
    """The hold is named with its reason; the next attempt is at its end, or not known before the cause is mended."""
    account = await make_account(database)
    row = await make_connection(database, account.id)
    made = await make_message(database, account.id, connection_id=row.id)
    message = await database.read(lambda tx: messages.message_by_id(tx, account.id, made.id))
    assert message is not None
    progress = SendProgress(due_at_ms=NOON_MS, attempts=1, lease_until_ms=None, lane=0)
    free = explain(message, [], progress, NOON_MS, row)
    assert (free["hold"], free["next_attempt"]["at"]) == (None, "2025-10-09T08:53:20Z")
    held = msgspec.structs.replace(row, hold_code="token_invalid", hold_sentence="Mend it.", held_until_ms=until_ms)
    told = explain(message, [], progress, NOON_MS, held)
    assert (told["hold"]["code"], told["hold"]["message"]) == ("token_invalid", "Mend it.")
    assert told["summary"] == "It waits, for its sender stands still: Mend it."
    assert told["next_attempt"]["at"] == until
    leaving = explain(message, [], msgspec.structs.replace(progress, lease_until_ms=NOON_MS + 9), NOON_MS, held)
    assert "stands still" not in leaving["summary"]
