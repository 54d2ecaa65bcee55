"""Rows for tests, with the fields that a test does not care about filled in."""

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from heliograph.core.ids import new_id
from heliograph.core.statuses import State
from heliograph.store import accounts, connections, messages
from heliograph.store.accounts import Account
from heliograph.store.connections import ConnectionRow, Sender
from heliograph.store.engine import Database, Statement, Tx, statement
from heliograph.store.messages import NewMessage

P = ParamSpec("P")
T = TypeVar("T")

NOON_MS = 1_760_000_000_000  # a moment of the past from which tests count


async def write(
    database: Database, what: Callable[Concatenate[Tx, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
) -> T:
    """`what` in a transaction of its own, with arguments that are bound now: for use in loops."""
    return await database.write(lambda tx: what(tx, *args, **kwargs))


async def read(
    database: Database, what: Callable[Concatenate[Tx, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
) -> T:
    return await database.read(lambda tx: what(tx, *args, **kwargs))


async def make_account(database: Database, name: str = "Acme") -> Account:
    return await database.write(lambda tx: accounts.add_account(tx, name, "Europe/Amsterdam", "NL", NOON_MS))


def new_connection(account_id: int, **changes: Any) -> ConnectionRow:
    row = ConnectionRow(
        id=0,
        account_id=account_id,
        channel="whatsapp",
        address="1055500001",
        business_account="2055500001",
        display_number="15550100001",
        sealed_secrets=b"sealed\x00\xff",
        app_mark=b"app one",
        callback_uid=new_id(),
        verify_token="verify",
        base_url="http://127.0.0.1:9",
        api_version="v26.0",
        use_appsecret_proof=True,
        pace_per_s=80,
        hold_code=None,
        hold_sentence=None,
        held_until_ms=None,
        created_at_ms=NOON_MS,
    )
    return msgspec.structs.replace(row, **changes)


async def make_connection(database: Database, account_id: int, **changes: Any) -> ConnectionRow:
    made = new_connection(account_id, **changes)
    return await database.write(lambda tx: connections.put_connection(tx, made))


def new_sender(account_id: int, connection_id: int, **changes: Any) -> Sender:
    row = Sender(account_id, "YourName", "whatsapp", connection_id, None, None, False, NOON_MS)
    return msgspec.structs.replace(row, **changes)


def new_message(account_id: int, **changes: Any) -> NewMessage:
    """An outgoing message, due at once."""
    fields: dict[str, Any] = {
        "account_id": account_id,
        "id": new_id(),
        "direction": "outgoing",
        "channel": "whatsapp",
        "connection_id": 1,
        "sender": "YourName",
        "person": "31612345678",
        "kind": "text",
        "text": "Hello",
        "sms_type": "whatsapp",
        "state": State.QUEUED,
        "created_at_ms": NOON_MS,
        "due_at_ms": NOON_MS,
    }
    return NewMessage(**(fields | changes))


def new_inbound(account_id: int, **changes: Any) -> NewMessage:
    given = {"direction": "incoming", "state": State.RECEIVED, "due_at_ms": None, "sender": "31612345678"} | changes
    return new_message(account_id, **given)


async def make_messages(database: Database, made: list[NewMessage]) -> list[NewMessage]:
    await database.write(lambda tx: messages.add_messages(tx, made))
    return made


async def make_message(database: Database, account_id: int, **changes: Any) -> NewMessage:
    return (await make_messages(database, [new_message(account_id, **changes)]))[0]


def counting(table: str, where: str = "TRUE") -> Statement:
    return statement("count_rows_in_test", f"SELECT count(*) FROM {table} WHERE {where}")


async def count(database: Database, table: str, where: str = "TRUE") -> int:
    """How many rows a table holds, as a reader sees it."""

    async def work(tx: Tx) -> int:
        row = await tx.row(counting(table, where))
        assert row is not None
        return int(row[0])

    return await database.read(work)
