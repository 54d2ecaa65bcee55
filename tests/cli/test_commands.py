"""What an operator does from a shell, in order: open accounts, make tokens, add senders, send, look, check."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.kit.house import (
    BUSINESS_ACCOUNT_ID,
    EMULATOR_APP_SECRET,
    EMULATOR_TOKEN,
    PHONE_NUMBER_ID,
    Carrier,
    Program,
    free_port,
    run_command,
)
from tests.kit.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Shell:
    """A shell with the settings of one installation."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        port = str(free_port())  # where nobody answers
        self.environ = {"HELIOGRAPH_HOME": str(folder / "home"), "HELIOGRAPH_PORT": port, **environ}

    async def does(self, *arguments: str, **environ: str) -> str:
        """The output of a command that succeeds."""
        code, output, complaint = await run_command({**self.environ, **environ}, *arguments)
        assert code == 0, (arguments, output, complaint)
        return output

    async def facts(self, *arguments: str) -> Any:
        return msgspec.json.decode(await self.does(*arguments, "--json"))

    async def fails(self, *arguments: str, **environ: str) -> str:
        """The complaint of a command that cannot be done: one sentence, exit code 1, nothing else printed."""
        code, output, complaint = await run_command({**self.environ, **environ}, *arguments)
        assert (code, output) == (1, ""), (arguments, code, output, complaint)
        assert complaint.startswith("heliograph: ")
        assert "Traceback" not in complaint
        return complaint.removeprefix("heliograph: ")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def carrier(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Carrier]:
    opened = Carrier(tmp_path_factory.mktemp("carrier"))
    await opened.start()
    yield opened
    opened.program.kill()


def number_options(carrier: Carrier) -> tuple[str, ...]:
    return (
        *("--phone-number-id", PHONE_NUMBER_ID, "--business-account-id", BUSINESS_ACCOUNT_ID),
        *("--token", EMULATOR_TOKEN, "--app-secret", EMULATOR_APP_SECRET, "--base-url", carrier.url),
    )


async def test_before_there_is_anything(tmp_path: Path) -> None:
    """On an empty machine each command says what to do first, and migrate tells its plan and does it once."""
    shell = Shell(tmp_path)
    assert "heliograph migrate" in await shell.fails("accounts", "list")
    plan = await shell.facts("migrate", "--plan")
    assert (plan["applied"], len(plan["steps"]) > 0) == (False, True)
    assert "heliograph migrate" in await shell.fails("accounts", "list")
    done = await shell.facts("migrate")
    assert (done["applied"], done["steps"]) == (True, plan["steps"])
    assert await shell.facts("migrate") == {"steps": [], "applied": True}
    assert await shell.facts("accounts", "list") == []
    assert "accounts create" in await shell.fails("tokens", "create")
    home = tmp_path / "home"
    assert home.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in home.glob("secret*"))


async def test_accounts(tmp_path: Path) -> None:
    """Open, list, change, suspend; mistakes are told by their field."""
    shell = Shell(tmp_path)
    await shell.does("migrate")
    made = await shell.facts(
        *("accounts", "create", "--name", "Acme", "--email", "a@example.org"),
        *("--time-zone", "Europe/Amsterdam", "--country", "NL"),
    )
    assert (made["id"], made["name"], made["time_zone"], made["default_country"]) == (
        1,
        "Acme",
        "Europe/Amsterdam",
        "NL",
    )
    assert len(made["password"]) >= 12
    given = await shell.does(
        "accounts", "create", "--name", "Bolt", "--email", "b@example.org", HELIOGRAPH_NEW_PASSWORD="correct horse"
    )
    assert "correct horse" not in given
    assert "Next: heliograph tokens create --account 2" in given
    assert "Somebody has an account" in await shell.fails(
        "accounts", "create", "--name", "Again", "--email", "A@EXAMPLE.ORG"
    )
    for options, word in (
        (("--email", "nobody"), "e-mail"),
        (("--email", "c@example.org", "--time-zone", "Mars/Olympus"), "time zone"),
        (("--email", "c@example.org", "--country", "XX"), "country"),
        (("--email", "c@example.org", "--password", "short"), "password"),
    ):
        assert word in await shell.fails("accounts", "create", "--name", "C", *options)
    assert "Name the account" in await shell.fails("accounts", "change", "--name", "x")
    changed = await shell.facts("accounts", "change", "--account", "a@example.org", "--country", "", "--name", "Acme 2")
    assert (changed["name"], changed["default_country"], changed["time_zone"]) == ("Acme 2", None, "Europe/Amsterdam")
    assert "There is no account 9" in await shell.fails("accounts", "suspend", "--account", "9")
    assert await shell.does("accounts", "suspend", "--account", "1") == "Account 1 is suspended.\n"
    assert [one["suspended"] for one in await shell.facts("accounts", "list")] == [True, False]
    assert await shell.does("accounts", "suspend", "--account", "1", "--undo") == "Account 1 is allowed again.\n"
    table = await shell.does("accounts", "list")
    assert table.splitlines()[0].split()[:2] == ["id", "name"]
    assert len(table.splitlines()) == 3


async def test_tokens(tmp_path: Path) -> None:
    """A token is shown once, listed without its secret, and ended once."""
    shell = Shell(tmp_path)
    await shell.does("migrate")
    await shell.does("accounts", "create", "--name", "Acme", "--email", "a@example.org")
    made = await shell.facts("tokens", "create", "--name", "shop", "--rate-limit", "60")
    number, _, secret = made["token"].partition("|")
    assert (int(number), len(secret) >= 40, made["name"], made["rate_limit_per_minute"]) == (
        made["id"],
        True,
        "shop",
        60,
    )
    (listed,) = await shell.facts("tokens", "list")
    assert (listed["id"], listed["revoked_at"]) == (made["id"], None)
    assert secret not in await shell.does("tokens", "list")
    assert await shell.does("tokens", "revoke", number) == f"Token {number} is revoked.\n"
    assert "no living token" in await shell.fails("tokens", "revoke", number)
    (listed,) = await shell.facts("tokens", "list")
    assert listed["revoked_at"]
    raw = b"".join(path.read_bytes() for path in (tmp_path / "home").glob("heliograph.db*"))
    assert secret.encode() not in raw


async def test_senders_and_messages(tmp_path: Path, carrier: Carrier) -> None:
    """Add a number with its sender, change it, send by command, look at the message; secrets are nowhere in the clear."""
    shell = Shell(tmp_path)
    await shell.does("migrate")
    await shell.does("accounts", "create", "--name", "Acme", "--email", "a@example.org")
    assert "--phone-number-id is missing" in await shell.fails("senders", "add", "YourName")
    wrong = ("--token", "wrong", *number_options(carrier)[6:])
    assert "token" in await shell.fails("senders", "add", "YourName", *number_options(carrier)[:4], *wrong)
    assert "11 characters" in await shell.fails("senders", "add", "NameThatIsLong", *number_options(carrier))
    added = await shell.facts(
        "senders", "add", "YourName", *number_options(carrier), "--window-template", "heliograph_message:en_US"
    )
    assert (added["name"], added["number"], added["hold"]) == ("YourName", "15550100001", None)
    assert added["window_template"] == "heliograph_message:en_US"
    assert "/callbacks/whatsapp/" in added["callback_url"]
    assert "already" in await shell.fails("senders", "add", "yourname", "--connection", str(added["connection_id"]))
    await shell.does("senders", "add", "Demo", "--connection", str(added["connection_id"]))
    assert "no connection 99" in await shell.fails("senders", "add", "Third", "--connection", "99")
    await shell.does("senders", "change", "yourname", "--window-template", "", "--resend-unknown")
    listed = await shell.facts("senders", "list")
    assert [(one["name"], one["window_template"], one["resend_unknown"]) for one in listed] == [
        ("YourName", None, True),
        ("Demo", None, False),
    ]
    assert await shell.does("senders", "resume", "YourName") == "YourName did not stand still.\n"
    assert "no sender Nobody" in await shell.fails("senders", "resume", "Nobody")
    assert await shell.does("senders", "remove", "Demo") == "Demo was removed.\n"
    assert "no sender Demo" in await shell.fails("senders", "remove", "Demo")
    code, _, complaint = await run_command(shell.environ, "senders", "subscribe", "YourName")
    assert (code, "heliograph: The carrier refused" in complaint) == (1, True), "nobody answers at our address"
    raw = b"".join(path.read_bytes() for path in (tmp_path / "home").glob("heliograph.db*"))
    assert EMULATOR_TOKEN.encode() not in raw
    assert EMULATOR_APP_SECRET.encode() not in raw
    sent = await shell.facts(
        "messages", "send", "--to", "31612345678,abc", "--from", "YourName", "--text", "By command"
    )
    (uid,) = sent["uids"]
    assert sent["rejected"][0]["recipient"] == "abc"
    assert "required" in await shell.fails("messages", "send", "--to", "31612345678", "--from", "YourName")
    assert "not JSON" in await shell.fails(
        "messages", "send", "--to", "31612345678", "--from", "YourName", "--template", "{"
    )
    assert "past" in await shell.fails(
        *("messages", "send", "--to", "31612345678", "--from", "YourName", "--text", "x"),
        *("--schedule-time", "2001-01-01 00:00"),
    )
    shown = await shell.facts("messages", "show", uid)
    assert (shown["uid"], shown["state"], shown["message"]) == (uid, "queued", "By command")
    assert [step["step"] for step in shown["steps"]] == ["accepted"]
    (row,) = await shell.facts("messages", "list")
    assert (row["uid"], row["to"], row["state"]) == (uid, "31612345678", "queued")
    assert uid in await shell.does("messages", "show", uid)
    for nobody in ("0" * 32, "x", ""):
        assert "no message" in await shell.fails("messages", "show", nobody)


async def test_doctor(tmp_path: Path, carrier: Carrier) -> None:
    """It ends with 1 while something must be mended, names it and says how; with 0 once all is well enough."""
    shell = Shell(tmp_path)
    code, output, _ = await run_command(shell.environ, "doctor", "--json")
    findings = {one["check"]: one for one in msgspec.json.decode(output)}
    assert code == 1
    assert (findings["database"]["verdict"], findings["database"]["advice"]) == ("failure", "heliograph migrate")
    await shell.does("migrate")
    await shell.does("accounts", "create", "--name", "Acme", "--email", "a@example.org")
    await shell.does("senders", "add", "YourName", *number_options(carrier))
    code, output, _ = await run_command(shell.environ, "doctor", "--offline")
    assert code == 0, output
    code, output, _ = await run_command(shell.environ, "doctor")
    assert code == 1, "nobody answers at the callback address"
    assert "Nobody answers" in output
    (tmp_path / "home" / "secret.key").write_text("not a key")
    code, output, _ = await run_command(shell.environ, "doctor", "--offline")
    assert code == 1
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"HELIOGRAPH_PORT": "many"}, "port"),
        ({"HELIOGRAPH_LOG_LEVEL": "loud"}, "log_level"),
        ({"HELIOGRAPH_DISPATCH_LEASE_S": "5"}, "dispatch_lease_s"),
        ({"HELIOGRAPH_DATABASE_URL": "mysql://x"}, "database_url"),
        ({"HELIOGRAPH_CONFIG": "/nonexistent/heliograph.toml"}, "HELIOGRAPH_CONFIG"),
    ],
)
async def test_settings_that_cannot_be_used(tmp_path: Path, environ: dict[str, str], word: str) -> None:
    """A setting that cannot be used is named, before anything is done."""
    shell = Shell(tmp_path)
    assert word in await shell.fails("accounts", "list", **environ)
    assert not (tmp_path / "home" / "heliograph.db").exists()


async def test_serve_where_somebody_listens(tmp_path: Path) -> None:
    """A port that is taken is told, instead of sharing it."""
    shell = Shell(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        complaint = await shell.fails("serve", "--port", str(taken.getsockname()[1]))
    assert "cannot be used" in complaint
    assert "PORT" in complaint


async def test_serve_without_a_schema(tmp_path: Path) -> None:
    """Started without migrating on an empty folder, it says what is missing and ends."""
    shell = Shell(tmp_path)
    (tmp_path / "home").mkdir()
    complaint = await shell.fails("serve", "--no-migrate", "--role", "api", "--port", str(free_port()))
    assert "heliograph migrate" in complaint


async def test_serve_starts_its_processes_again(tmp_path: Path, carrier: Carrier) -> None:
    """`serve` runs API and dispatcher, starts again one that was killed, and SIGTERM ends all of them with 0."""
    port = free_port()
    environ = {"HELIOGRAPH_HOME": str(tmp_path / "home"), "HELIOGRAPH_PORT": str(port), "HELIOGRAPH_LOG_JSON": "true"}
    program = Program(tmp_path / "serve.log", "heliograph", "serve", environ=environ)
    program.start()
    try:
        await eventually(lambda: ready(port))
        await eventually(lambda: begun(program, 1))
        assert program.process is not None
        children = children_of(program.process.pid)
        assert len(children) == 2
        for child in children:
            os.kill(child, 9)

        async def again() -> bool:
            assert program.process is not None
            now = children_of(program.process.pid)
            return len(now) == 2 and not set(now) & set(children)

        await eventually(again)
        await eventually(lambda: ready(port))
        last = children_of(program.process.pid)
        await eventually(lambda: begun(program, 2))
        assert await asyncio.to_thread(program.stop) == 0, program.log.read_text()
        assert not [pid for pid in last if alive(pid)]
    finally:
        if program.alive():
            program.kill()


async def begun(program: Program, times: int) -> bool:
    return program.log.read_text().count("dispatcher_started") >= times


async def ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    try:
        answer = await reader.read()
    except OSError:
        return False
    finally:
        writer.close()
    return answer.startswith(b"HTTP/1.1 200")


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []
