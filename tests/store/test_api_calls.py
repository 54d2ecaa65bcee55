"""The record of API calls, on every engine."""

from heliograph.core.ids import new_id
from heliograph.store import api_calls
from heliograph.store.api_calls import ApiCall
from heliograph.store.engine import Database
from tests.store.makers import NOON_MS, make_account, read, write


def new_call(account_id: int, status: int = 200) -> ApiCall:
    return ApiCall(
        account_id=account_id,
        id=new_id(),
        token_id=1,
        method="POST",
        path="/api/v3/sms/send",
        http_status=status,
        code="invalid" if status >= 400 else "",
        sentence="The recipient field is required." if status >= 400 else "",
        request_id="abc",
        address="192.0.2.1",
        took_ms=3,
        at_ms=NOON_MS,
    )


async def test_calls(database: Database) -> None:
    """Calls of one account come newest first, in pages, or the refused ones only; the oldest are dropped."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    made = [new_call(account.id, 422 if n % 2 else 200) for n in range(6)]
    await write(database, api_calls.add_api_calls, [*made, new_call(other.id)])
    assert await read(database, api_calls.api_calls, account.id, 4) == made[:1:-1]
    assert await read(database, api_calls.api_calls, account.id, 4, before=made[2].id) == made[1::-1]
    assert await read(database, api_calls.api_calls, account.id, 2, after=made[1].id) == made[2:4]
    newer = await read(database, api_calls.api_calls, account.id, 9, after=made[1].id, refused_only=True)
    assert newer == [made[3], made[5]]
    refused = await read(database, api_calls.api_calls, account.id, 9, refused_only=True)
    assert refused == [made[5], made[3], made[1]]
    assert await write(database, api_calls.keep_newest_api_calls, account.id, 6) == 0
    assert await write(database, api_calls.keep_newest_api_calls, account.id, 2) == 4
    assert await read(database, api_calls.api_calls, account.id, 9) == made[:3:-1]
    assert len(await read(database, api_calls.api_calls, other.id, 9)) == 1
