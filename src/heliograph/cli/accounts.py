"""heliograph accounts: who sends."""

import secrets
from typing import Any

import click
from msgspec import structs

from heliograph.accounts import operating, people
from heliograph.accounts.audit import SHELL, record
from heliograph.cli.doors import account_option, find_account_id, json_option, print_facts, table, with_runtime
from heliograph.core.schedule_times import render_time
from heliograph.runtime import Runtime
from heliograph.store.accounts import Account


@click.group()
def accounts() -> None:
    """Accounts of this installation."""


def view(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "time_zone": account.time_zone,
        "default_country": account.default_country,
        "default_sender": account.default_sender,
        "suspended": account.suspended_at_ms is not None,
        "created_at": render_time(account.created_at_ms),
    }


@accounts.command()
@click.option("--name", required=True, help="What the account is called.")
@click.option("--email", required=True, help="The address that its owner logs in with.")
@click.option("--password", envvar="HELIOGRAPH_NEW_PASSWORD", help="Left out: one is made and printed.")
@click.option("--person", default="", help="The owner's name.")
@click.option("--time-zone", default="UTC", show_default=True, help="An IANA name; schedule times are read in it.")
@click.option("--country", help="ISO code; numbers without country code are read as of this country.")
@json_option
def create(
    name: str, email: str, password: str | None, person: str, time_zone: str, country: str | None, as_json: bool
) -> None:
    """Open an account with its owner."""
    made_up = password is None
    chosen = password or secrets.token_urlsafe(12)

    async def work(runtime: Runtime) -> Account:
        account, _ = await people.create_account(
            runtime,
            name=name,
            email=email,
            password=chosen,
            person=person,
            time_zone=time_zone,
            default_country=country,
        )
        return account

    account = with_runtime(work)
    facts = {**view(account), "email": email, **({"password": chosen} if made_up else {})}
    text = f"Account {account.id} ({account.name}) was opened for {email}."
    if made_up:
        text += f"\nIts password is {chosen} (shown only now)."
    print_facts(facts, as_json=as_json, text=f"{text}\nNext: heliograph tokens create --account {account.id}")


@accounts.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """All accounts."""
    found = with_runtime(people.list_accounts)
    rows = [
        (a.id, a.name, a.time_zone, a.default_country, a.default_sender, "yes" if a.suspended_at_ms else "")
        for a in found
    ]
    headings = ("id", "name", "time zone", "country", "default sender", "suspended")
    print_facts([view(account) for account in found], as_json=as_json, text=table(headings, rows))


@accounts.command()
@account_option
@click.option("--name")
@click.option("--time-zone")
@click.option("--country", help="ISO code; an empty text removes it.")
@click.option("--default-sender", help="A sender of the account; an empty text removes it.")
@json_option
def change(
    account: str | None,
    name: str | None,
    time_zone: str | None,
    country: str | None,
    default_sender: str | None,
    as_json: bool,
) -> None:
    """Change what is given; the rest stays."""

    async def work(runtime: Runtime) -> Account:
        current = await people.find_account(runtime, await find_account_id(runtime, account))
        changed = structs.replace(
            current,
            name=current.name if name is None else name,
            time_zone=current.time_zone if time_zone is None else time_zone,
            default_country=current.default_country if country is None else country or None,
            default_sender=current.default_sender if default_sender is None else default_sender or None,
        )
        await people.change_account(runtime, changed)
        return changed

    changed = with_runtime(work)
    print_facts(view(changed), as_json=as_json, text=f"Account {changed.id} was changed.")


@accounts.command()
@account_option
@click.option("--undo", is_flag=True, help="Allow it again.")
def suspend(account: str | None, undo: bool) -> None:
    """Refuse the API requests of an account. What it had queued still leaves."""

    async def work(runtime: Runtime) -> int:
        account_id = await find_account_id(runtime, account)
        await operating.suspend(runtime, SHELL, account_id, suspended=not undo)
        return account_id

    account_id = with_runtime(work)
    click.echo(f"Account {account_id} is {'allowed again' if undo else 'suspended'}.")


@accounts.command()
@click.argument("email")
@click.option("--undo", is_flag=True, help="Take the right away.")
def operator(email: str, undo: bool) -> None:
    """Let the person with this e-mail address look after the whole installation in the portal."""

    async def work(runtime: Runtime) -> None:
        await people.set_operator(runtime, email, is_operator=not undo)
        await record(runtime, SHELL, "operator_removed" if undo else "operator_added", account_id=None, subject=email)

    with_runtime(work)
    click.echo(f"{email} is {'no longer an operator' if undo else 'an operator of this installation'}.")
