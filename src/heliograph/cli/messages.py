"""heliograph messages: look at messages, and send one, without the API."""

from typing import Any

import click
import msgspec

from heliograph.accept.sending import SendRequest, prepare_send
from heliograph.accept.storing import Acceptor, Entry
from heliograph.accounts.people import find_account
from heliograph.accounts.senders import list_senders
from heliograph.accounts.tokens import fold_sender
from heliograph.cli.doors import account_option, find_account_id, json_option, print_facts, table, with_runtime
from heliograph.core.ids import id_of, now_ms, uid_of
from heliograph.core.schedule_times import render_time
from heliograph.errors import Invalid, NotFound
from heliograph.runtime import Runtime
from heliograph.status.explaining import explain
from heliograph.store import messages as store
from heliograph.store import sends as send_store
from heliograph.store.connections import connection_by_id
from heliograph.store.engine import Tx
from heliograph.store.messages import Message

BY_COMMAND = {"token_id": 0}  # no token sent these messages


@click.group()
def messages() -> None:
    """Messages of an account."""


@messages.command()
@click.argument("uid")
@account_option
@json_option
def show(uid: str, account: str | None, as_json: bool) -> None:
    """Everything that is known of one message: its state, and the evidence for each step."""

    async def work(runtime: Runtime) -> dict[str, Any]:
        account_id = await find_account_id(runtime, account)
        identifier = id_of(uid)

        async def read(tx: Tx) -> dict[str, Any]:
            message = await store.message_by_id(tx, account_id, identifier) if identifier else None
            if message is None:
                raise NotFound(f"The account has no message {uid}.")
            events = await store.events_of_message(tx, account_id, message.id)
            progress = await send_store.send_progress(tx, account_id, message.id)
            connection = await connection_by_id(tx, account_id, message.connection_id)
            return {**facts_of(message), **explain(message, events, progress, now_ms(), connection)}

        return await runtime.database.read(read)

    facts = with_runtime(work)
    steps = "\n".join(f"  {step['at']}  {step['step']:<12} {step['sentence'] or ''}" for step in facts["steps"])
    text = f"{facts['uid']}  {facts['from']} → {facts['to']}  {facts['status']}\n{facts['summary']}\n{steps}"
    print_facts(facts, as_json=as_json, text=text)


def facts_of(message: Message) -> dict[str, Any]:
    incoming = message.direction == "incoming"
    return {
        "direction": message.direction,
        "to": message.sender if incoming else message.person,
        "from": message.person if incoming else message.sender,
        "message": message.text,
        "created_at": render_time(message.created_at_ms),
    }


@messages.command(name="list")
@account_option
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@json_option
def list_(account: str | None, limit: int, as_json: bool) -> None:
    """The newest messages of an account."""

    async def work(runtime: Runtime) -> list[Message]:
        account_id = await find_account_id(runtime, account)

        async def read(tx: Tx) -> list[Message]:
            return await store.page_by_seq(tx, account_id, await store.last_seq(tx, account_id), limit)

        return await runtime.database.read(read)

    found = with_runtime(work)
    views = [{"uid": uid_of(m.id), "state": m.state, **facts_of(m)} for m in found]
    rows = [(v["uid"], v["created_at"], v["from"], v["to"], v["state"]) for v in views]
    print_facts(views, as_json=as_json, text=table(("uid", "accepted", "from", "to", "state"), rows))


@messages.command()
@click.option("--to", "recipient", required=True, help="Number with country code; several with commas.")
@click.option("--from", "sender_id", help="A sender of the account; left out: its default.")
@click.option("--text", "message", help="The text.")
@click.option("--media-url", help="An image to go with it.")
@click.option("--schedule-time", help="When: 2030-01-02 07:00 in the account's zone.")
@click.option("--template", help="A template object as JSON, instead of a text.")
@account_option
@json_option
def send(
    recipient: str,
    sender_id: str | None,
    message: str | None,
    media_url: str | None,
    schedule_time: str | None,
    template: str | None,
    account: str | None,
    as_json: bool,
) -> None:
    """Accept a message, as the API would; the running installation sends it."""

    async def work(runtime: Runtime) -> dict[str, Any]:
        found = await find_account(runtime, await find_account_id(runtime, account))
        senders = {fold_sender(sender.name): sender for sender in await list_senders(runtime, found.id)}
        try:
            parsed = msgspec.json.decode(template) if template else None
        except msgspec.DecodeError:
            raise Invalid.field("template", "--template is not JSON.") from None
        request = SendRequest(
            recipient=recipient,
            sender_id=sender_id,
            message=message,
            media_url=media_url,
            schedule_time=schedule_time,
            template=parsed,
        )
        prepared = prepare_send(found, senders, request, runtime.settings, now_ms(), BY_COMMAND)
        acceptor = Acceptor(runtime.database, runtime.settings)
        await acceptor.store(Entry(prepared.messages, 200, b""))
        return {
            "uids": [uid_of(made.id) for made in prepared.messages],
            "rejected": [{"recipient": bad.given, "message": bad.sentence} for bad in prepared.refused],
        }

    facts = with_runtime(work)
    lines = [f"{uid} is stored and will be sent." for uid in facts["uids"]]
    lines += [f"{bad['recipient']} was left out: {bad['message']}" for bad in facts["rejected"]]
    print_facts(facts, as_json=as_json, text="\n".join([*lines, f"Next: heliograph messages show {facts['uids'][0]}"]))
