"""What commands share: opening the installation, printing facts for people or as JSON, and failing with a sentence."""

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click
import msgspec
import structlog
from msgspec import structs

from heliograph.config import Settings, SettingsError, read_settings
from heliograph.errors import HeliographError, NotFound
from heliograph.logs import set_up_logs

if TYPE_CHECKING:
    from heliograph.runtime import Runtime

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger(__name__)

json_option = click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
account_option = click.option(
    "--account",
    "account",
    metavar="ID|E-MAIL",
    default=None,
    help="The account; may be left out where there is only one.",
)


def fail(sentence: str) -> NoReturn:
    click.echo(f"heliograph: {sentence}", err=True)
    sys.exit(1)


def settings_or_fail(**overrides: Any) -> Settings:
    try:
        return read_settings(**overrides)
    except SettingsError as error:
        fail(str(error))


def with_runtime(work: "Callable[[Runtime], Awaitable[T]]") -> T:
    """Run a command's work on the installation that the settings name; every error of ours ends in a sentence and exit 1."""
    from heliograph.runtime import open_runtime  # here: the supervisor uses this module and needs none of that

    settings = settings_or_fail()

    async def run() -> T:
        async with open_runtime(settings) as runtime:
            return await work(runtime)

    # The reason of a failure is on standard error, so what is only of interest to operators of a server stays away.
    set_up_logs(structs.replace(settings, log_level="warning") if settings.log_level == "info" else settings, "cli")
    try:
        return asyncio.run(run())
    except (HeliographError, SettingsError) as error:
        fail(getattr(error, "message", str(error)) + advice_of(error))


def advice_of(error: Exception) -> str:
    advice = getattr(error, "advice", "")
    return f" {advice}" if advice else ""


def failing_with_a_sentence(command: Callable[P, T]) -> Callable[P, T]:
    """For commands that do their own opening."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except (HeliographError, SettingsError) as error:
            fail(getattr(error, "message", str(error)) + advice_of(error))
        except OSError as error:
            if error.filename is None:
                raise
            fail(f"{error.filename}: {error.strerror}.")

    return wrapped


async def find_account_id(runtime: "Runtime", given: str | None) -> int:
    """The account that an option names by id or e-mail address, or the only one there is. Raises NotFound."""
    from heliograph.accounts.people import find_account, find_account_by_email, list_accounts

    if given is None:
        accounts = await list_accounts(runtime)
        if len(accounts) == 1:
            return accounts[0].id
        raise NotFound(
            "There is no account yet. Make one: heliograph accounts create"
            if not accounts
            else "Name the account: --account ID (see: heliograph accounts list)"
        )
    if given.isdecimal():
        return (await find_account(runtime, int(given))).id
    return (await find_account_by_email(runtime, given)).id


def print_facts(facts: Any, *, as_json: bool, text: str) -> None:
    """`facts` as one line of JSON, or `text`."""
    click.echo(msgspec.json.encode(facts).decode() if as_json else text)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns for people, as wide as they need to be."""
    shown = [[str(cell) if cell is not None else "–" for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(headings), *shown]) for i in range(len(headings))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [headings, *shown]
    ]
    return "\n".join(lines)
