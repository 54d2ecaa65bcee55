"""heliograph tokens: what programs log in with."""

from typing import Any

import click

from heliograph.accounts import tokens as desk
from heliograph.accounts.audit import SHELL, record
from heliograph.cli.doors import account_option, find_account_id, json_option, print_facts, table, with_runtime
from heliograph.core.ids import now_ms
from heliograph.core.schedule_times import render_time
from heliograph.runtime import Runtime
from heliograph.store.tokens import ApiToken


@click.group()
def tokens() -> None:
    """API tokens of an account. A token is shown once, when it is made."""


def view(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "account_id": token.account_id,
        "name": token.name,
        "scopes": token.scopes.split(),
        "allowed_networks": token.allowed_networks.split(),
        "rate_limit_per_minute": token.rate_limit_per_minute,
        "created_at": render_time(token.created_at_ms),
        "last_used_at": render_time(token.last_used_at_ms) if token.last_used_at_ms else None,
        "expires_at": render_time(token.expires_at_ms) if token.expires_at_ms else None,
        "revoked_at": render_time(token.revoked_at_ms) if token.revoked_at_ms else None,
    }


@tokens.command()
@account_option
@click.option("--name", default="api", show_default=True, help="To tell it from others later.")
@click.option("--rate-limit", type=int, help="Requests a minute; 0 = no limit. Left out: the installation's.")
@click.option("--scope", "scopes", type=click.Choice(desk.SCOPES), multiple=True, help="Left out: send and read.")
@click.option(
    "--expires-in-days", type=click.FloatRange(min=0, min_open=True), help="Left out: it does not end by itself."
)
@click.option("--allow-from", default="", help="IP addresses or CIDR blocks, separated by commas. Left out: anywhere.")
@json_option
def create(
    account: str | None,
    name: str,
    rate_limit: int | None,
    scopes: tuple[str, ...],
    expires_in_days: float | None,
    allow_from: str,
    as_json: bool,
) -> None:
    """Make a token and print it."""

    async def work(runtime: Runtime) -> desk.NewToken:
        account_id = await find_account_id(runtime, account)
        made = await desk.create_token(
            runtime,
            account_id,
            name,
            rate_limit_per_minute=rate_limit,
            scopes=scopes or ("send", "read"),
            expires_at_ms=now_ms() + int(expires_in_days * 86_400_000) if expires_in_days else None,
            allowed_networks=allow_from,
        )
        await record(runtime, SHELL, "token_created", account_id=account_id, subject=name)
        return made

    made = with_runtime(work)
    text = f"{made.text}\nKeep it: it is not shown again. Use it as `Authorization: Bearer {made.text}`."
    print_facts({**view(made.token), "token": made.text}, as_json=as_json, text=text)


@tokens.command(name="list")
@account_option
@json_option
def list_(account: str | None, as_json: bool) -> None:
    """The tokens of an account, revoked ones included."""

    async def work(runtime: Runtime) -> list[ApiToken]:
        return await desk.list_tokens(runtime, await find_account_id(runtime, account))

    views = [view(token) for token in with_runtime(work)]
    rows = [(v["id"], v["name"], v["created_at"], v["last_used_at"], v["revoked_at"]) for v in views]
    print_facts(views, as_json=as_json, text=table(("id", "name", "created", "last used", "revoked"), rows))


@tokens.command()
@account_option
@click.argument("token_id", type=int)
def revoke(account: str | None, token_id: int) -> None:
    """Make a token useless at once. TOKEN_ID is the number before its `|`."""

    async def work(runtime: Runtime) -> None:
        account_id = await find_account_id(runtime, account)
        await desk.revoke_token(runtime, account_id, token_id)
        await record(runtime, SHELL, "token_revoked", account_id=account_id, subject=str(token_id))

    with_runtime(work)
    click.echo(f"Token {token_id} is revoked.")
