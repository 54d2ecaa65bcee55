"""heliograph copy-database: move an installation from SQLite to PostgreSQL."""

import asyncio
import fcntl
import os
from pathlib import Path

import click
from msgspec import structs

from heliograph.cli.doors import fail, failing_with_a_sentence, json_option, print_facts, settings_or_fail, table
from heliograph.config import Settings
from heliograph.logs import set_up_logs


@click.command("copy-database")
@click.option("--from", "source", metavar="sqlite:FILE", help="The database to copy (default: the data folder's).")
@click.option("--to", "target", metavar="postgresql://…", required=True, help="An empty database.")
@click.option("--restart", is_flag=True, help="Throw away what an unfinished copy left there, and begin anew.")
@json_option
@failing_with_a_sentence
def copy_database(source: str | None, target: str, restart: bool, as_json: bool) -> None:
    """Move an installation from SQLite to PostgreSQL. Stop the server first.

    The source is only read. What was copied is verified, table by table: the count of rows and the sum of each column of numbers.
    A copy that was interrupted goes on where it was when the command is given again; no server starts on the target before that.
    """
    from heliograph.store import copying

    if not target.startswith(("postgresql://", "postgres://")):
        fail("--to takes a URL that begins with postgresql://")
    if source is not None and not source.startswith("sqlite:"):
        fail("--from takes sqlite: and the name of a file")
    here, there = settings_or_fail(database_url=source or ""), settings_or_fail(database_url=target)
    set_up_logs(here, "cli")
    if not here.sqlite_path.exists():
        fail(f"{here.sqlite_path} is not there.")
    lock = lock_out_dispatchers(here)
    try:
        done = asyncio.run(copying.copy_database(here, there, tell, restart=restart))
    finally:
        os.close(lock)
    rows = [(one.table, one.rows, f"{one.took_s:.1f} s") for one in done]
    print_facts([structs.asdict(one) for one in done], as_json=as_json, text=table(("table", "rows", "took"), rows))
    click.echo(next_step(here), err=True)


def lock_out_dispatchers(settings: Settings) -> int:
    """While this is held no dispatcher works on the data folder; released by closing it."""
    path = settings.sqlite_path.parent / "dispatcher.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        fail("A dispatcher works on this installation. Stop the server first.")
    return descriptor


def tell(name: str, copied: int, total: int) -> None:
    click.echo(f"{name}: {copied} of {total} ({100 * copied // max(total, 1)} %)", err=True)


def next_step(settings: Settings) -> str:
    key = Path(settings.home) / "secret.key"
    return (
        "Everything was copied and verified. On every node set HELIOGRAPH_DATABASE_URL to the new database and "
        f"HELIOGRAPH_SECRET_KEY to what {key} holds, copy {settings.media_path} where there is one, then: heliograph doctor"
    )
