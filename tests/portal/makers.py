"""What the pages of messages are tested with: a sender of the account, and messages in any state."""

from typing import Any

from heliograph.accounts import people, senders
from heliograph.channels.contract import NumberFacts
from heliograph.core.ids import new_id, now_ms, uid_of
from heliograph.core.statuses import State
from heliograph.runtime import Runtime
from heliograph.store import messages as message_store
from heliograph.store import people as people_store
from heliograph.store import templates as template_store
from heliograph.store.connections import Sender
from heliograph.store.engine import Tx
from heliograph.store.messages import Filters, Message, NewMessage

EMAIL = "ada@larkfield.example"


async def account_of(runtime: Runtime, email: str = EMAIL) -> int:
    return (await people.find_account_by_email(runtime, email)).id


async def make_sender(runtime: Runtime, name: str = "Lark", email: str = EMAIL, **options: Any) -> Sender:
    """A sender through a number whose carrier nobody has to reach: no dispatcher runs."""
    number = senders.Number(
        phone_number_id=options.pop("phone_number_id", "100000000000001"),
        business_account_id="200000000000002",
        token=options.pop("token", "token"),
        app_secret=options.pop("app_secret", "secret"),
        base_url=options.pop("base_url", "https://graph.facebook.com"),
    )
    row = await senders.connect_number(
        runtime, await account_of(runtime, email), number, NumberFacts(display_number="15550100001")
    )
    at_ms, business = now_ms(), row.business_account
    await runtime.database.write(  # as if its templates had been fetched: no page asks the carrier for them
        lambda tx: template_store.record_sync_trouble(tx, row.account_id, business, at_ms, "")
    )
    return await senders.add_sender(runtime, row, name, **options)


async def make_messages(runtime: Runtime, each: list[dict[str, Any]], email: str = EMAIL) -> list[NewMessage]:
    """Messages as if they had been sent, in one transaction; state, person and all else can be given."""
    usual: dict[str, Any] = {
        "account_id": await account_of(runtime, email),
        "direction": "outgoing",
        "channel": "whatsapp",
        "connection_id": 1,
        "sender": "Lark",
        "person": "31612345678",
        "kind": "text",
        "text": "Hello",
        "sms_type": "whatsapp",
        "created_at_ms": now_ms(),
        "due_at_ms": now_ms(),
    }
    wanted = [one.pop("state", State.QUEUED) for one in each]
    made = [
        NewMessage(**(usual | {"id": new_id()} | one), state=state if state == State.RECEIVED else State.QUEUED)
        for one, state in zip(each, wanted, strict=True)
    ]

    async def work(tx: Tx) -> None:
        await message_store.add_messages(tx, made)
        for one, state in zip(made, wanted, strict=True):
            if state not in {State.QUEUED, State.RECEIVED}:
                await message_store.move_message(tx, one.account_id, one.id, state, now_ms(), reason_of(state))

    await runtime.database.write(work)
    return made


async def make_message(runtime: Runtime, email: str = EMAIL, **changes: Any) -> NewMessage:
    return (await make_messages(runtime, [changes], email))[0]


def reason_of(state: State) -> tuple[str, str] | None:
    return ("window_closed", "The window was closed.") if state is State.FAILED else None


async def move(runtime: Runtime, made: NewMessage, state: State) -> None:
    await runtime.database.write(
        lambda tx: message_store.move_message(tx, made.account_id, made.id, state, now_ms(), reason_of(state))
    )


async def open_window(runtime: Runtime, sender: Sender, person: str) -> None:
    await runtime.database.write(
        lambda tx: people_store.open_window(tx, sender.account_id, sender.connection_id, person, now_ms())
    )


async def stored(runtime: Runtime, email: str = EMAIL) -> list[Message]:
    """Every message of the account, newest first."""
    account_id = await account_of(runtime, email)
    return await runtime.database.read(
        lambda tx: message_store.filtered_page(tx, account_id, Filters(), before_seq=None, limit=1000)
    )


def path_of(made: NewMessage | Message) -> str:
    return f"/messages/{uid_of(made.id)}"
