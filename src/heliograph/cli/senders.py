"""heliograph senders: what recipients see, and the WhatsApp numbers behind it."""

from typing import Any

import click

from heliograph.accounts import senders as room
from heliograph.accounts.audit import SHELL, record
from heliograph.accounts.tokens import fold_sender
from heliograph.channels.contract import NumberFacts
from heliograph.cli.doors import account_option, find_account_id, json_option, print_facts, table, with_runtime
from heliograph.errors import ChannelRefused, Invalid, NotFound
from heliograph.runtime import Runtime, open_whatsapp
from heliograph.store.connections import ConnectionRow, Sender


@click.group()
def senders() -> None:
    """Senders of an account, and the WhatsApp numbers that carry them."""


async def view(sender: Sender, connection: ConnectionRow, runtime: Runtime) -> dict[str, Any]:
    """No secrets, but the verify token: Meta's dashboard asks for it."""
    return {
        "name": sender.name,
        "connection_id": connection.id,
        "phone_number_id": connection.address,
        "business_account_id": connection.business_account,
        "number": connection.display_number,
        "pace_per_s": connection.pace_per_s,
        "window_template": f"{sender.window_template_name}:{sender.window_template_language}"
        if sender.window_template_name
        else None,
        "resend_unknown": bool(sender.resend_unknown),
        "hold": {"code": connection.hold_code, "sentence": connection.hold_sentence} if connection.hold_code else None,
        "held_templates": [
            {"template": ":".join(template), "code": code, "sentence": sentence}
            for template, (code, sentence) in (await room.held_templates(runtime, connection)).items()
        ],
        "callback_url": room.callback_address(runtime, connection),
        "verify_token": connection.verify_token,
    }


def read_template(text: str | None) -> tuple[str, str] | None:
    """`name:language` as it is typed."""
    if not text:
        return None
    name, _, language = text.partition(":")
    return name, language or "en_US"


@senders.command()
@click.argument("name")
@account_option
@click.option("--connection", type=int, help="Use a number that the account has already (see: senders list).")
@click.option("--phone-number-id", help="Meta's id of the number (App Dashboard → WhatsApp → API setup).")
@click.option("--business-account-id", help="Meta's id of the WhatsApp Business Account.")
@click.option(
    "--token",
    envvar="HELIOGRAPH_WHATSAPP_TOKEN",
    help="A system user's access token. Better in the variable than here.",
)
@click.option(
    "--app-secret", envvar="HELIOGRAPH_WHATSAPP_APP_SECRET", help="The app's secret; callbacks are signed with it."
)
@click.option(
    "--base-url",
    default="",
    help="Where the Cloud API is; left out: graph.facebook.com. The emulator's address in trials.",
)
@click.option("--api-version", default="", help="The Graph API version; left out: the installation's.")
@click.option("--appsecret-proof", is_flag=True, help='For apps with "Require app secret" switched on.')
@click.option(
    "--window-template",
    metavar="NAME[:LANGUAGE]",
    help="An approved template with one body variable, for closed windows.",
)
@click.option(
    "--resend-unknown", is_flag=True, help="Send again where the outcome is unknown: a second message rather than none."
)
@click.option(
    "--subscribe/--no-subscribe",
    default=False,
    help="Point the number's callbacks at this server (it must be reachable).",
)
@json_option
def add(
    name: str,
    account: str | None,
    connection: int | None,
    phone_number_id: str | None,
    business_account_id: str | None,
    token: str | None,
    app_secret: str | None,
    base_url: str,
    api_version: str,
    appsecret_proof: bool,
    window_template: str | None,
    resend_unknown: bool,
    subscribe: bool,
    as_json: bool,
) -> None:
    """Let an account send as NAME: at most 11 letters and digits, or a phone number with country code.

    The credentials are tried at once, and kept encrypted.
    """

    async def work(runtime: Runtime) -> dict[str, Any]:
        account_id = await find_account_id(runtime, account)
        channel = open_whatsapp(runtime.settings)
        try:
            if connection is not None:
                row = await find_connection(runtime, account_id, connection)
            else:
                number = room.Number(
                    phone_number_id=needed("--phone-number-id", phone_number_id),
                    business_account_id=needed("--business-account-id", business_account_id),
                    token=needed("--token", token),
                    app_secret=needed("--app-secret", app_secret),
                    base_url=base_url,
                    api_version=api_version,
                    use_appsecret_proof=appsecret_proof,
                )
                facts: NumberFacts = await room.check_number(runtime, channel, number)
                row = await room.connect_number(runtime, account_id, number, facts)
            sender = await room.add_sender(
                runtime, row, name, window_template=read_template(window_template), resend_unknown=resend_unknown
            )
            await record(runtime, SHELL, "sender_added", account_id=account_id, subject=sender.name)
            if subscribe:
                await room.subscribe(runtime, channel, row)
            return await view(sender, row, runtime)
        finally:
            await channel.close()

    facts = with_runtime(work)
    following = (
        "Its callbacks come to this server. Next: heliograph doctor"
        if subscribe
        else "Next: enter both in Meta's App Dashboard (WhatsApp → Configuration) and subscribe to `messages`,\n"
        f"or let us do it: heliograph senders subscribe {facts['name']}"
    )
    text = (
        f"{facts['name']} sends through +{facts['number']}.\n"
        f"Callback URL: {facts['callback_url']}\nVerify token: {facts['verify_token']}\n{following}"
    )
    print_facts(facts, as_json=as_json, text=text)


def needed(option: str, value: str | None) -> str:
    if not value:
        raise Invalid.field(option, f"{option} is missing (or --connection, to use a number that is known).")
    return value


async def find_connection(runtime: Runtime, account_id: int, connection_id: int) -> ConnectionRow:
    for row in await room.list_connections(runtime, account_id):
        if row.id == connection_id:
            return row
    raise NotFound(f"The account has no connection {connection_id}.")


async def find_sender(runtime: Runtime, account_id: int, name: str) -> tuple[Sender, ConnectionRow]:
    wanted = fold_sender(name)
    for sender in await room.list_senders(runtime, account_id):
        if fold_sender(sender.name) == wanted:
            return sender, await find_connection(runtime, account_id, sender.connection_id)
    raise NotFound(f"The account has no sender {name}.")


@senders.command(name="list")
@account_option
@json_option
def list_(account: str | None, as_json: bool) -> None:
    """The senders of an account, with their callback addresses and whether they stand still."""

    async def work(runtime: Runtime) -> list[dict[str, Any]]:
        account_id = await find_account_id(runtime, account)
        rows = {row.id: row for row in await room.list_connections(runtime, account_id)}
        return [await view(s, rows[s.connection_id], runtime) for s in await room.list_senders(runtime, account_id)]

    views = with_runtime(work)
    rows = [
        (
            v["name"],
            f"+{v['number']}",
            v["connection_id"],
            v["window_template"],
            " ".join(
                [
                    *([v["hold"]["sentence"]] if v["hold"] else []),
                    *(f"Template {held['template']}: {held['sentence']}" for held in v["held_templates"]),
                ]
            ),
        )
        for v in views
    ]
    print_facts(
        views, as_json=as_json, text=table(("name", "number", "connection", "window template", "stands still"), rows)
    )


@senders.command()
@click.argument("name")
@account_option
@click.option("--window-template", metavar="NAME[:LANGUAGE]", help="An empty text removes it.")
@click.option("--resend-unknown/--no-resend-unknown", default=None, help="Send again where the outcome is unknown.")
def change(name: str, account: str | None, window_template: str | None, resend_unknown: bool | None) -> None:
    """Change what is given; the rest stays."""

    async def work(runtime: Runtime) -> None:
        account_id = await find_account_id(runtime, account)
        sender, _ = await find_sender(runtime, account_id, name)
        template = read_template(window_template)
        if window_template is None and sender.window_template_name:
            template = (sender.window_template_name, sender.window_template_language or "en_US")
        resend = sender.resend_unknown if resend_unknown is None else resend_unknown
        await room.change_sender(runtime, account_id, name, window_template=template, resend_unknown=bool(resend))

    with_runtime(work)
    click.echo(f"{name} was changed.")


@senders.command()
@click.argument("name")
@account_option
def remove(name: str, account: str | None) -> None:
    """Take a sender from an account. Messages that wait still leave."""

    async def work(runtime: Runtime) -> None:
        account_id = await find_account_id(runtime, account)
        await room.remove_sender(runtime, account_id, name)
        await record(runtime, SHELL, "sender_removed", account_id=account_id, subject=name)

    with_runtime(work)
    click.echo(f"{name} was removed.")


@senders.command()
@click.argument("name")
@account_option
def resume(name: str, account: str | None) -> None:
    """End a sender's standstill, and that of its templates, after the cause was mended; what waited leaves."""

    async def work(runtime: Runtime) -> bool:
        account_id = await find_account_id(runtime, account)
        _, connection = await find_sender(runtime, account_id, name)
        return await room.resume_connection(runtime, account_id, connection.id)

    click.echo(f"{name} sends again." if with_runtime(work) else f"{name} did not stand still.")


@senders.command()
@click.argument("name")
@account_option
def subscribe(name: str, account: str | None) -> None:
    """Point the carrier's callbacks for a sender's number at this server, which must be up and reachable from there."""

    async def work(runtime: Runtime) -> str:
        if not runtime.settings.public_url.startswith("https://"):
            click.echo("Note: Meta calls https addresses only; set HELIOGRAPH_PUBLIC_URL.", err=True)
        _, connection = await find_sender(runtime, await find_account_id(runtime, account), name)
        channel = open_whatsapp(runtime.settings)
        try:
            return await room.subscribe(runtime, channel, connection)
        except ChannelRefused as error:
            raise ChannelRefused(
                f"The carrier refused: {error.message}", code=error.code, advice=error.advice
            ) from None
        finally:
            await channel.close()

    click.echo(f"Callbacks go to {with_runtime(work)}")
