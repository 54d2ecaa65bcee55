"""heliograph doctor: hold the settings against the world, and say what to do."""

import asyncio
import shutil
import stat
import sys

import aiohttp
import click
from msgspec import Struct, structs

from heliograph.accounts.senders import callback_address
from heliograph.channels.whatsapp.channel import WhatsApp
from heliograph.cli.doors import json_option, print_facts, settings_or_fail
from heliograph.config import Settings, SettingsError
from heliograph.core.ids import now_ms
from heliograph.core.vault import CannotUnseal
from heliograph.errors import ChannelRefused, HeliographError
from heliograph.logs import set_up_logs
from heliograph.runtime import Runtime, open_database, open_whatsapp, read_vault
from heliograph.store import connections as connection_store
from heliograph.store import queues
from heliograph.store.connections import ConnectionRow
from heliograph.store.engine import Tx
from heliograph.store.migrate import NEWEST, current_revision

LITTLE_DISK_BYTES = 1 << 30
OLD_QUEUE_S = 300


class Finding(Struct, frozen=True):
    """One thing that was looked at. verdict: ok, warning or failure."""

    check: str
    verdict: str
    sentence: str
    advice: str = ""


@click.command()
@json_option
@click.option("--offline", is_flag=True, help="Ask no carrier and no public address.")
def doctor(as_json: bool, offline: bool) -> None:
    """Check settings, data folder, database, credentials and callbacks. Exit code 1 when something is broken."""
    settings = settings_or_fail()
    set_up_logs(structs.replace(settings, log_level="error"), "doctor")
    findings = asyncio.run(examine(settings, offline=offline))
    signs = {"ok": "✓", "warning": "!", "failure": "✗"}
    lines = [
        f"{signs[f.verdict]} {f.check}: {f.sentence}" + (f"\n    → {f.advice}" if f.advice else "") for f in findings
    ]
    print_facts([structs.asdict(f) for f in findings], as_json=as_json, text="\n".join(lines))
    sys.exit(any(f.verdict == "failure" for f in findings))


async def examine(settings: Settings, *, offline: bool) -> list[Finding]:
    findings = [check_folder(settings), check_disk(settings)]
    vault_finding, database_finding = check_key(settings), await check_schema(settings)
    findings += [vault_finding, database_finding]
    if "failure" in {vault_finding.verdict, database_finding.verdict}:
        return findings
    try:
        runtime = Runtime(settings, await open_database(settings), read_vault(settings))
    except HeliographError as error:
        return [*findings, Finding("database", "failure", error.message)]
    channel = open_whatsapp(settings)
    try:
        findings.append(await check_queues(runtime))
        rows = await runtime.database.read(connection_store.all_connections)
        if not rows:
            findings.append(
                Finding("numbers", "warning", "No number is connected yet.", "heliograph senders add NAME --help")
            )
        for row in rows:
            findings += await check_connection(runtime, channel, row, offline=offline)
    finally:
        await channel.close()
        await runtime.database.close()
    return findings


def check_folder(settings: Settings) -> Finding:
    path = settings.home_path
    if not path.is_dir():
        return Finding("data folder", "failure", f"{path} is not there.", "heliograph migrate makes it.")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding("data folder", "warning", f"Others can look into {path}.", f"chmod 700 {path}")
    return Finding("data folder", "ok", f"{path}, for this user only.")


def check_disk(settings: Settings) -> Finding:
    folder = settings.home_path if settings.home_path.exists() else settings.home_path.parent
    free = shutil.disk_usage(folder).free if folder.exists() else 0
    sentence = f"{free / 1e9:.1f} GB are free."
    if free < LITTLE_DISK_BYTES:
        return Finding("disk", "warning", sentence, "Make room: a full disk answers 503 to every send.")
    return Finding("disk", "ok", sentence)


def check_key(settings: Settings) -> Finding:
    if not settings.secret_key and not (settings.home_path / "secret.key").exists():
        return Finding("secret key", "ok", "None yet; one is made at the first start.")
    try:
        read_vault(settings)
    except (SettingsError, OSError) as error:
        return Finding("secret key", "failure", str(error), "Restore secret.key from the backup.")
    return Finding("secret key", "ok", "Usable. Keep a copy apart from the database's backup.")


async def check_schema(settings: Settings) -> Finding:
    try:
        found = await current_revision(settings)
    except HeliographError as error:
        return Finding("database", "failure", error.message)
    if found is None:
        return Finding("database", "failure", "There is no database yet.", "heliograph migrate")
    if found != NEWEST:
        return Finding("database", "failure", f"Schema {found}; this release needs {NEWEST}.", "heliograph migrate")
    return Finding("database", "ok", f"{'PostgreSQL' if settings.is_postgresql else 'SQLite'}, schema {found}.")


async def check_queues(runtime: Runtime) -> Finding:
    async def work(tx: Tx) -> dict[str, tuple[int, int | None]]:
        return {queue.table: await queues.depth(tx, queue, now_ms()) for queue in queues.QUEUES}

    depths = await runtime.database.read(work)
    waiting = ", ".join(f"{count} in {name}" for name, (count, _) in depths.items() if count) or "nothing waits"
    oldest = min((since for count, since in depths.values() if count and since), default=None)
    if oldest is not None and now_ms() - oldest > OLD_QUEUE_S * 1000:
        age = (now_ms() - oldest) // 1000
        return Finding(
            "queues", "warning", f"{waiting}; the oldest for {age} s.", "Is a dispatcher running? Is a sender held?"
        )
    return Finding("queues", "ok", f"{waiting}.")


async def check_connection(runtime: Runtime, channel: WhatsApp, row: ConnectionRow, *, offline: bool) -> list[Finding]:
    name = f"number +{row.display_number}"
    findings = []
    if row.hold_code:
        findings.append(
            Finding(
                name,
                "warning",
                f"It stands still: {row.hold_sentence}",
                "Mend the cause, then: heliograph senders resume NAME",
            )
        )
    try:
        connection = runtime.connection_of(row)
    except CannotUnseal:
        return [
            Finding(
                name,
                "failure",
                "Its credentials were sealed with another key.",
                "Restore secret.key, or add the sender again.",
            )
        ]
    if offline:
        return [*findings, Finding(name, "ok", "Its credentials can be opened.")]
    try:
        facts = await channel.read_number(connection)
        findings.append(Finding(name, "ok", f"{facts.status}, quality {facts.quality}, may send: {facts.can_send}."))
    except ChannelRefused as error:
        findings.append(Finding(name, "failure", error.message, error.advice))
    findings.append(await check_callback(runtime, row))
    return findings


async def check_callback(runtime: Runtime, row: ConnectionRow) -> Finding:
    """Call our own callback address as the carrier would."""
    address, name = callback_address(runtime, row), f"callbacks of +{row.display_number}"
    query = {"hub.mode": "subscribe", "hub.verify_token": row.verify_token, "hub.challenge": "heliograph"}
    advice = "Start the server; set HELIOGRAPH_PUBLIC_URL to the address by which the carrier reaches it."
    try:
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(address, params=query) as answer:
            text = await answer.text()
            good = answer.status == 200 and text == "heliograph"
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return Finding(name, "failure", f"Nobody answers at {address}.", advice)
    if not good:
        return Finding(name, "failure", f"{address} answers {answer.status} to the verification.", advice)
    if not address.startswith("https://"):
        return Finding(
            name, "warning", f"{address} answers, but Meta calls https addresses only.", "Set HELIOGRAPH_PUBLIC_URL."
        )
    return Finding(name, "ok", f"{address} answers.")
