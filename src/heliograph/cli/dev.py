"""heliograph dev: everything on this machine, with a demo account and a bundled carrier."""

import asyncio
import contextlib
import os
import secrets
import shlex
import socket
import sys
from pathlib import Path
from typing import Any

import aiohttp
import click
import msgspec
import structlog
from msgspec import Struct, structs

from heliograph.accounts import people, sandbox, senders, tokens
from heliograph.cli import supervisor
from heliograph.cli.doors import failing_with_a_sentence, settings_or_fail
from heliograph.config import Settings
from heliograph.errors import ChannelRefused, Conflict, NotFound, Refused, Unavailable
from heliograph.logs import set_up_logs
from heliograph.runtime import Runtime, open_runtime, open_whatsapp, write_private
from heliograph.store.accounts import Account
from heliograph.store.migrate import migrate

log = structlog.get_logger(__name__)

DEMO_EMAIL = "demo@heliograph.example"
SENDER_NAMES = ("YourName", "Demo")
PREFERRED_EMULATOR_PORT = 8090
WAIT_FOR_START_S = 60.0
LOOPBACK = {"127.0.0.1", "::1", "localhost"}

# The documented defaults of `heliograph emulator cloud-api` (docs/emulator.md): of use against the emulator only.
EMULATOR_PHONE_NUMBER_ID = "100000000000001"


class Demo(Struct, kw_only=True):
    """The file demo.json: what a script needs to use the demo account."""

    base_url: str
    email: str
    password: str
    api_token: str
    sender_ids: list[str]
    emulator_url: str
    emulator_phone_number_id: str
    emulator_token: str
    emulator_app_secret: str


@click.command()
@click.option("--port", type=int, help="The port to listen on (PORT or HELIOGRAPH_PORT; 8000).")
@failing_with_a_sentence
def dev(port: int | None) -> None:
    """Start server, dispatcher and the Cloud API emulator on SQLite, with a demo account. Ctrl-C stops everything.

    The data stays in HELIOGRAPH_HOME (default ./var), so a second start finds it again. With HELIOGRAPH_EMULATOR_URL an emulator
    that runs already is used. Facts for scripts are in demo.json there.
    """
    home = os.environ.get("HELIOGRAPH_HOME") or "./var"
    settings = settings_or_fail(home=home, port=port)
    set_up_logs(settings, "dev")
    if settings.host in LOOPBACK:
        os.environ.setdefault("HELIOGRAPH_OPEN_OUTBOX", "true")  # there is no mail server, and nobody else can look
    supervisor.check_port_is_free(settings)
    migrate(settings)
    try:
        asyncio.run(run(settings))
    except KeyboardInterrupt:
        sys.exit(0)


async def run(settings: Settings) -> None:
    given = os.environ.get("HELIOGRAPH_EMULATOR_URL", "").rstrip("/")
    async with contextlib.AsyncExitStack() as stack:
        emulator_url = given or await stack.enter_async_context(running_emulator(settings))
        settings = structs.replace(settings, sandbox_url=emulator_url)
        demo = await prepare_demo(settings, emulator_url)

        async def on_start(stopping: asyncio.Event) -> None:
            await wait_until_ready(demo.base_url, stopping)
            if stopping.is_set():
                return
            await subscribe_callbacks(settings)
            click.echo(banner(demo, settings))
            sys.stdout.flush()

        await supervisor.supervise(settings, on_start)


# The emulator


@contextlib.asynccontextmanager
async def running_emulator(settings: Settings) -> Any:
    """Start the bundled carrier as a program of its own; it ends with us. Yields its address."""
    port = free_port(settings.host, PREFERRED_EMULATOR_PORT)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "heliograph.emulators.cloud_api"]
    options = ["--port", str(port), "--data", str(settings.home_path / "emulator.jsonl")]
    process = await asyncio.create_subprocess_exec(
        *command, *options, stdout=asyncio.subprocess.DEVNULL, preexec_fn=supervisor.die_with_parent
    )
    try:
        await wait_until_answering(f"{url}/__emulator/health", process)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def free_port(host: str, preferred: int) -> int:
    """`preferred` if nobody has it, else any."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Unavailable(f"No port of {host} is free.", code="port_taken")


async def wait_until_answering(url: str, process: asyncio.subprocess.Process) -> None:
    """Any HTTP answer will do. Raises Unavailable when the process ends or takes too long."""
    deadline = asyncio.get_running_loop().time() + WAIT_FOR_START_S
    async with aiohttp.ClientSession() as session:
        while asyncio.get_running_loop().time() < deadline and process.returncode is None:
            try:
                async with session.get(url):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
    raise Unavailable("The emulator did not start.", code="emulator_failed")


# The demo account


async def prepare_demo(settings: Settings, emulator_url: str) -> Demo:
    """The demo account with a working token and its senders on the emulator's number; written to demo.json."""
    path = settings.home_path / "demo.json"
    known = read_demo(path)
    async with open_runtime(settings) as runtime:
        account, password = await demo_account(runtime, known)
        token = await demo_token(runtime, account, known)
        number = await connect_demo_number(runtime, account, emulator_url)
        demo = Demo(
            base_url=base_url(settings),
            email=DEMO_EMAIL,
            password=password,
            api_token=token,
            sender_ids=[*SENDER_NAMES, number],
            emulator_url=emulator_url,
            emulator_phone_number_id=EMULATOR_PHONE_NUMBER_ID,
            emulator_token=sandbox.TOKEN,
            emulator_app_secret=sandbox.APP_SECRET,
        )
    write_private(path, msgspec.json.format(msgspec.json.encode(demo)).decode() + "\n")
    return demo


def read_demo(path: Path) -> Demo | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Demo)
    except (OSError, msgspec.DecodeError):
        return None


def base_url(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::", ""} else settings.host  # noqa: S104 - compared, not bound
    return settings.public_url.rstrip("/") or f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


async def demo_account(runtime: Runtime, known: Demo | None) -> tuple[Account, str]:
    """The account and a password that opens it."""
    try:
        account = await people.find_account_by_email(runtime, DEMO_EMAIL)
    except NotFound:
        password = secrets.token_urlsafe(12)
        account, _ = await people.create_account(
            runtime, name="Demo", email=DEMO_EMAIL, password=password, person="Demo"
        )
        await people.set_operator(runtime, DEMO_EMAIL, is_operator=True)
        return account, password
    if known is not None and await people.check_login(runtime, DEMO_EMAIL, known.password):
        return account, known.password
    password = secrets.token_urlsafe(12)
    await people.set_password(runtime, DEMO_EMAIL, password)
    return account, password


async def demo_token(runtime: Runtime, account: Account, known: Demo | None) -> str:
    if known is not None:
        desk = tokens.TokenDesk(runtime)
        with contextlib.suppress(Refused):
            if (await desk.recognise(known.api_token)).account.id == account.id:
                return known.api_token
    return (await tokens.create_token(runtime, account.id, "demo")).text


async def connect_demo_number(runtime: Runtime, account: Account, emulator_url: str) -> str:
    """Connect the emulator's number (again: its address may have changed) and make sure of the senders; its digits."""
    channel = open_whatsapp(runtime.settings)
    number = senders.Number(
        phone_number_id=EMULATOR_PHONE_NUMBER_ID,
        business_account_id=sandbox.BUSINESS_ACCOUNT_ID,
        token=sandbox.TOKEN,
        app_secret=sandbox.APP_SECRET,
        base_url=emulator_url,
    )
    try:
        facts = await senders.check_number(runtime, channel, number)
        row = await senders.connect_number(runtime, account.id, number, facts)
        for name in (*SENDER_NAMES, facts.display_number):
            with contextlib.suppress(Conflict):
                await senders.add_sender(runtime, row, name)
        return facts.display_number
    finally:
        await channel.close()


# Ready


async def wait_until_ready(url: str, stopping: asyncio.Event) -> None:
    deadline = asyncio.get_running_loop().time() + WAIT_FOR_START_S
    async with aiohttp.ClientSession() as session:
        while not stopping.is_set():
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{url}/readyz", timeout=aiohttp.ClientTimeout(total=2)) as answer:
                    if answer.status == 200:
                        return
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable("The server did not become ready.", code="not_ready")
            await asyncio.sleep(0.02)


async def subscribe_callbacks(settings: Settings) -> None:
    """The emulator verifies our callback address, so this comes after the server answers."""
    async with open_runtime(settings) as runtime:
        account = await people.find_account_by_email(runtime, DEMO_EMAIL)
        channel = open_whatsapp(settings)
        try:
            for row in await senders.list_connections(runtime, account.id):
                if row.address == EMULATOR_PHONE_NUMBER_ID:
                    await senders.subscribe(runtime, channel, row)
        except ChannelRefused as error:
            log.error("callbacks_not_subscribed", reason=error.message)
        finally:
            await channel.close()


def banner(demo: Demo, settings: Settings) -> str:
    body = (
        '{ "recipient":"31612345678", "sender_id":"YourName", "type":"whatsapp", "message":"This is a test message" }'
    )
    curl = " \\\n    ".join(
        [
            f"curl -X POST {demo.base_url}/api/v3/sms/send",
            f"-H {shlex.quote(f'Authorization: Bearer {demo.api_token}')}",
            "-H 'Content-Type: application/json' -H 'Accept: application/json'",
            f"-d {shlex.quote(body)}",
        ]
    )
    return f"""
Heliograph is ready
  Portal        {demo.base_url}/
  Login         {demo.email}  {demo.password}
  API token     {demo.api_token}
  API reference {demo.base_url}/docs
  Emulator      {demo.emulator_url}  (the bundled Cloud API; nothing leaves this machine)
  Data          {settings.home}

Send the first message:

  {curl}

Ctrl-C stops everything.
"""
