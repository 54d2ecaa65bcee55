"""`heliograph emulator …`: run the bundled carriers, and tell a running one what to do."""

import base64
import mimetypes
import sys
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from heliograph.emulators.calling import call_emulator
from heliograph.emulators.cloud_api import defaults
from heliograph.emulators.cloud_api.effects import RECIPIENTS, Break, render_table
from heliograph.emulators.cloud_api.inbound import KINDS
from heliograph.emulators.cloud_api.options import FAIL, OPEN, REFUSE, Options

USUAL = Options()
BREAKS = [one for one in get_args(Break) if one]


class Manual(click.Command):
    """A command whose help ends with a table."""

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(EPILOG)


EPILOG = f"""
Credentials (of use against the emulator only):
  phone number id  {defaults.PHONE_NUMBER_ID}   (…2 to …9: more; 8 is not registered, 9 has 80/s)
  account id       {defaults.WABA_ID}
  token            {defaults.TOKEN}   ({defaults.EXPIRED_TOKEN}: expired)
  app secret       {defaults.APP_SECRET}

Recipients that provoke an outcome:
{chr(10).join("  " + line for line in render_table().splitlines())}

A running emulator:
  GET  /__emulator/messages          what it accepted, a JSON object a line; ?count=1: how many
  GET  /__emulator/stats             counts of sends, refusals and callbacks
  POST /__emulator/say  faults  events  numbers  reset   (docs/emulator.md)

Next: heliograph emulator say --text Hello
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def emulator() -> None:
    """The bundled carriers: run one, and make it do things."""


@emulator.command("cloud-api", cls=Manual)
@click.option("--host", default=USUAL.host, show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=USUAL.port, show_default=True, help="0: any that is free."
)
@click.option(
    "--data", metavar="FILE", help="Keep what was accepted in FILE (JSON lines), subscriptions and media beside it."
)
@click.option("--token", "tokens", multiple=True, help="A token that is let in; may be repeated. [default: see below]")
@click.option("--app-secret", default=USUAL.app_secret, help="Signs callbacks. [default: see below]")
@click.option("--require-proof", is_flag=True, help="Refuse calls without appsecret_proof.")
@click.option("--callback-url", metavar="URL", help="The app's callback address, subscribed from the start.")
@click.option("--verify-token", default="", help="The word for the verification of --callback-url.")
@click.option(
    "--parallel", type=click.IntRange(1, 1000), default=USUAL.parallel, show_default=True, help="Callbacks at a time."
)
@click.option(
    "--batch",
    type=click.IntRange(1, 1000),
    default=USUAL.batch,
    show_default=True,
    help="Updates in one callback at most, when they pile up.",
)
@click.option(
    "--gather",
    "gather_s",
    type=float,
    default=USUAL.gather_s,
    help="Seconds that an update waits for others to share its callback.",
)
@click.option(
    "--most-owed",
    type=click.IntRange(1),
    default=USUAL.most_owed,
    show_default=True,
    help="Updates that may wait; beyond, sends get 130429.",
)
@click.option(
    "--retry-first",
    "retry_first_s",
    type=float,
    default=USUAL.retry_first_s,
    show_default=True,
    help="Seconds until a callback that failed comes again; then doubled …",
)
@click.option(
    "--retry-longest",
    "retry_longest_s",
    type=float,
    default=USUAL.retry_longest_s,
    show_default=True,
    help="… up to these.",
)
@click.option("--duplicates", type=click.IntRange(0, 10), default=0, help="Post every callback so many times more.")
@click.option("--shuffle", is_flag=True, help="Callbacks that are due together come in any order.")
@click.option("--early", is_flag=True, help="The first status comes before the answer to the send.")
@click.option(
    "--sent-after", "sent_after_s", type=float, default=USUAL.sent_after_s, show_default=True, help="Seconds."
)
@click.option(
    "--delivered-after",
    "delivered_after_s",
    type=float,
    default=USUAL.delivered_after_s,
    show_default=True,
    help="Seconds.",
)
@click.option(
    "--read-after", "read_after_s", type=float, default=USUAL.read_after_s, show_default=True, help="Seconds."
)
@click.option(
    "--late-after",
    "late_after_s",
    type=float,
    default=USUAL.late_after_s,
    show_default=True,
    help="Seconds, for the recipient of late statuses.",
)
@click.option(
    "--hang",
    "hang_s",
    type=float,
    default=USUAL.hang_s,
    show_default=True,
    help="Seconds that an unanswered send is held open.",
)
@click.option(
    "--review-after",
    "review_after_s",
    type=float,
    default=USUAL.review_after_s,
    show_default=True,
    help="Seconds until a new template is approved.",
)
@click.option(
    "--media-url-life",
    "media_url_life_s",
    type=float,
    default=USUAL.media_url_life_s,
    show_default=True,
    help="Seconds that a download address lives.",
)
@click.option("--read/--no-read", "read", default=False, help="Everybody reads, not only the recipients below.")
@click.option("--skip-delivered", is_flag=True, help="With --read: `read` comes without a `delivered` before it.")
@click.option("--no-reference-on-failed", is_flag=True, help="Leave biz_opaque_callback_data out of `failed`.")
@click.option(
    "--contacts-on-failed",
    is_flag=True,
    help="`contacts` on `failed` too: Meta leaves them out, some clients fail then.",
)
@click.option("--conversation", is_flag=True, help="The conversation object, as v23.0 and older have it.")
@click.option("--other-wa-id", is_flag=True, help="wa_id differs from the number that was asked for.")
@click.option(
    "--throughput",
    "throughput_per_s",
    type=click.IntRange(1),
    help="Messages a second per number. [default: by its level, 1000]",
)
@click.option("--no-pace-limit", is_flag=True, help="Never 130429.")
@click.option("--no-pair-limit", is_flag=True, help="Never 131056.")
@click.option(
    "--window",
    type=click.Choice([OPEN, REFUSE, FAIL]),
    default=OPEN,
    show_default=True,
    help="Of people who have not written: open, 131047 at once, or as a failed status.",
)
@click.option("--fetch-links", is_flag=True, help="Fetch linked media as Meta does; 131053 when that cannot be done.")
@click.option(
    "--memory",
    type=click.IntRange(1),
    default=USUAL.memory,
    show_default=True,
    help="Messages remembered without --data; all are counted.",
)
def cloud_api(
    tokens: tuple[str, ...], no_pace_limit: bool, no_pair_limit: bool, no_reference_on_failed: bool, **given: Any
) -> None:
    """Meta's WhatsApp Cloud API on this machine: answers calls, posts signed callbacks, delivers to nobody.

    Prints `Cloud API emulator is ready at http://host:port` when it listens. Ctrl-C or SIGTERM ends it.
    """
    from heliograph.emulators.cloud_api.server import run

    options = Options(
        **given,
        tokens=tokens or USUAL.tokens,
        pace_limit=not no_pace_limit,
        pair_limit=not no_pair_limit,
        reference_on_failed=not no_reference_on_failed,
    )
    try:
        run(options)
    except OSError as error:
        click.echo(
            f"It cannot listen on {options.host}:{options.port}, or not write {options.data}: {error.strerror or error}",
            err=True,
        )
        sys.exit(1)


def url_option(command: Any) -> Any:
    return click.option(
        "--url",
        envvar="HELIOGRAPH_EMULATOR_URL",
        default=f"http://{defaults.HOST}:{defaults.PORT}",
        show_default=True,
        help="The running emulator (HELIOGRAPH_EMULATOR_URL).",
    )(command)


@emulator.command()
@url_option
@click.argument("kind", type=click.Choice(KINDS), default="text")
@click.option("--from", "from_", default=defaults.USER_NUMBER, show_default=True, help="The person's number.")
@click.option(
    "--to", default=defaults.PHONE_NUMBER_ID, show_default=True, help="Phone number id, or number, of the business."
)
@click.option("--text", help="What is said; of a file its caption, of a reaction the emoji.")
@click.option("--name", default="", help="The person's profile name.")
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file to send; left out: a small sample.",
)
@click.option("--context", default="", help="The wamid of the message that is answered.")
@click.option("--no-number", is_flag=True, help="A person who hides the phone number: only the user id is told.")
@click.option("--forwarded", is_flag=True)
@click.option("--from-ad", is_flag=True, help="The person comes from an advertisement.")
@click.option("--missing-file", is_flag=True, help="The file was too large for WhatsApp (131052).")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
def say(url: str, kind: str, text: str | None, path: Path | None, as_json: bool, **given: Any) -> None:
    """A person writes to the business: text, image, location, button, … Exit code 1 when nobody took the callback."""
    saying: dict[str, Any] = {"kind": kind, **given}
    saying["from"] = saying.pop("from_")
    if text is not None:
        saying["text"] = text
    if path is not None:
        saying["file"] = base64.b64encode(path.read_bytes()).decode()
        saying["mime_type"] = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        saying["filename"] = path.name
    told = call_emulator("POST", url, "say", saying)
    if as_json:
        click.echo(msgspec.json.encode(told))
    elif not told["heard"]:
        click.echo("Said, but nobody is subscribed to that number: heliograph senders subscribe", err=True)
    else:
        click.echo(f"{told['id']}  {'taken' if told['taken'] else 'not taken yet; it is tried again'}")
    if not told["heard"] or not told["taken"]:
        sys.exit(1)


@emulator.group()
def faults() -> None:
    """Make sends go wrong, for any recipient."""


@faults.command("add")
@url_option
@click.option("--refuse", type=int, metavar="CODE", help="An error at once: 130429, 131056, 190, …")
@click.option("--fail", type=int, default=0, metavar="CODE", help="Accepted, then a failed status with this code.")
@click.option("--silent", is_flag=True, help="Accepted, then no status ever.")
@click.option(
    "--instead",
    type=click.Choice(BREAKS),
    help="In place of the answer; nothing is accepted.",
)
@click.option(
    "--afterwards",
    type=click.Choice(BREAKS),
    help="In place of the answer, although accepted.",
)
@click.option("--wait", "wait_s", type=float, default=0.0, help="Seconds before the answer.")
@click.option("--copies", type=int, default=1, help="Of every callback.")
@click.option("--early", is_flag=True, help="The first status comes before the answer.")
@click.option("--to", default="", help="Only recipients that start with these digits.")
@click.option("--phone-number-id", default="", help="Only sends of this number.")
@click.option("--type", "type_", default="", help="Only messages of this type.")
@click.option("--times", type=int, help="How often; left out: until cleared.")
@click.option("--every", type=int, default=1, help="Only each so-many-th send.")
@click.option("--chance", type=float, default=1.0, help="Only with this probability.")
def add_fault(url: str, fail: int, silent: bool, **given: Any) -> None:
    """Switch a fault on: heliograph emulator faults add --refuse 130429 --times 10"""
    fault = {name: given[name] for name in ("to", "phone_number_id", "times", "every", "chance")}
    effect = {name: given[name] or "" for name in ("instead", "afterwards")}
    effect |= {name: given[name] for name in ("refuse", "wait_s", "copies", "early")}
    if fail:
        effect["statuses"] = [{"word": "failed", "code": fail}]
    if silent:
        effect["statuses"] = []
    made = call_emulator("POST", url, "faults", {**fault, "type": given["type_"], "effect": effect})
    click.echo(f"Fault {made['faults'][0]['id']} is on. Off again: heliograph emulator faults clear")


@faults.command("list")
@url_option
def list_faults(url: str) -> None:
    """The faults that are on, a JSON object a line."""
    for fault in call_emulator("GET", url, "faults")["faults"]:
        click.echo(msgspec.json.encode(fault))


@faults.command("clear")
@url_option
@click.argument("ids", type=int, nargs=-1)
def clear_faults(url: str, ids: tuple[int, ...]) -> None:
    """Switch off all faults, or those with the ids given."""
    query = f"?id={','.join(map(str, ids))}" if ids else ""
    removed = call_emulator("DELETE", url, f"faults{query}")["removed"]
    click.echo(f"{removed} switched off.")


@emulator.command()
@url_option
@click.argument("field")
@click.option("--value", help="JSON; left out: an example of the field.")
@click.option("--phone-number-id", default=defaults.PHONE_NUMBER_ID, show_default=True)
def event(url: str, field: str, value: str | None, phone_number_id: str) -> None:
    """Meta tells of an account, number, template or user: account_update, message_template_status_update, …"""
    wanted: dict[str, Any] = {"field": field, "phone_number_id": phone_number_id}
    if value is not None:
        wanted["value"] = msgspec.json.decode(value)
    told = call_emulator("POST", url, "events", wanted)
    click.echo("taken" if told.get("taken") else "not taken")
    if not told.get("taken"):
        sys.exit(1)


@emulator.command()
def recipients() -> None:
    """The recipients that provoke an outcome, as `number<TAB>outcome`."""
    for one in RECIPIENTS:
        click.echo(f"+{one.digits}\t{one.what}")
