"""An installation for tests: its own data folder, real processes on ports of their own, and the emulator as carrier."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from heliograph.accounts import people, senders, tokens
from heliograph.channels.contract import NumberFacts
from heliograph.config import Settings, read_settings
from heliograph.runtime import open_runtime, open_whatsapp
from heliograph.store.migrate import migrate
from tests.kit.waiting import eventually

PHONE_NUMBER_ID = "100000000000001"
BUSINESS_ACCOUNT_ID = "200000000000002"
BUSINESS_NUMBER = "15550100001"
EMULATOR_TOKEN = "EMULATOR-TOKEN-not-a-secret-0000000000"
EMULATOR_APP_SECRET = "emulator-app-secret-not-a-secret"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """One process of ours, started with a log that is shown when a test fails."""

    def __init__(self, log: Path, *arguments: str, environ: dict[str, str] | None = None) -> None:
        self.log = log
        self.arguments = arguments
        self.environ = environ or {}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.arguments], env={**kept, **self.environ}, stdout=output, stderr=output
            )

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, which: signal.Signals) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(which)

    def kill(self) -> None:
        """kill -9, and gone when this returns."""
        self.send(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def pause(self) -> None:
        """SIGSTOP: it stands still and holds all that it has."""
        self.send(signal.SIGSTOP)

    def go_on(self) -> None:
        self.send(signal.SIGCONT)

    def stop(self, within_s: float = 30.0) -> int:
        """SIGTERM; the exit code."""
        if not self.alive():
            return self.process.returncode if self.process else 0
        self.send(signal.SIGTERM)
        assert self.process is not None
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class Carrier:
    """The emulator as a process, and what it took."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = folder / "emulator.jsonl"
        self.program = Program(
            folder / "emulator.log",
            "heliograph.emulators.cloud_api",
            "--port",
            str(self.port),
            "--data",
            str(self.data),
            *options,
        )

    async def start(self) -> None:
        self.program.start()

        async def answers() -> bool:
            assert self.program.alive(), self.program.log.read_text()
            with contextlib.suppress(aiohttp.ClientError):
                async with aiohttp.ClientSession() as session, session.get(f"{self.url}/__emulator/messages"):
                    return True
            return False

        await eventually(answers)

    async def messages(self) -> list[dict[str, Any]]:
        """Everything that it accepted, in order."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/__emulator/messages") as answer:
            return [msgspec.json.decode(line) for line in (await answer.read()).splitlines() if line.strip()]

    async def count(self) -> int:
        """How many it accepted."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/__emulator/messages?count=1") as answer,
        ):
            return int(msgspec.json.decode(await answer.read())["count"])

    async def post(self, path: str, value: Any) -> Any:
        async with aiohttp.ClientSession() as session, session.post(f"{self.url}{path}", json=value) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            return msgspec.json.decode(text)


class Tenant:
    """An account with a token and senders."""

    def __init__(self, account_id: int, token: str, callback_url: str, verify_token: str) -> None:
        self.account_id = account_id
        self.token = token
        self.callback_url = callback_url
        self.verify_token = verify_token

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}


class House:
    """API and dispatcher as processes of their own, so that each can be killed."""

    def __init__(self, folder: Path, carrier: Carrier, **environ: str) -> None:
        self.folder = folder
        self.carrier = carrier
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {
            "HELIOGRAPH_HOME": str(folder / "home"),
            "HELIOGRAPH_PORT": str(self.port),
            "HELIOGRAPH_LOG_JSON": "true",
            **{f"HELIOGRAPH_{name.upper()}": value for name, value in environ.items()},
        }
        self.settings: Settings = read_settings(self.environ)
        serve = ("heliograph", "serve", "--no-migrate", "--role")
        self.api = Program(folder / "api.log", *serve, "api", environ=self.environ)
        self.dispatcher = Program(folder / "dispatcher.log", *serve, "dispatch", environ=self.environ)

    async def start(self) -> None:
        await asyncio.to_thread(migrate, self.settings)
        self.api.start()
        self.dispatcher.start()
        await self.until_ready()
        await self.until_dispatching()

    async def until_dispatching(self) -> None:
        """The dispatcher has begun: from here on it hears a signal."""

        async def begun() -> bool:
            assert self.dispatcher.alive(), self.dispatcher.log.read_text()
            return '"dispatcher_started"' in self.dispatcher.log.read_text()

        await eventually(begun)

    async def until_ready(self) -> None:
        async def ready() -> bool:
            assert self.api.alive(), self.api.log.read_text()
            with contextlib.suppress(aiohttp.ClientError):
                async with aiohttp.ClientSession() as session, session.get(f"{self.url}/readyz") as answer:
                    return answer.status == 200
            return False

        await eventually(ready)

    def stop(self) -> None:
        codes = [self.api.stop(), self.dispatcher.stop()]
        assert codes == [0, 0], (codes, self.api.log.read_text()[-2000:], self.dispatcher.log.read_text()[-2000:])

    async def open_account(self, name: str, *names: str, subscribe: bool = True, **facts: Any) -> Tenant:
        """An account with a token, whose senders go out through the emulator's number."""
        number = senders.Number(
            phone_number_id=facts.pop("phone_number_id", PHONE_NUMBER_ID),
            business_account_id=BUSINESS_ACCOUNT_ID,
            token=EMULATOR_TOKEN,
            app_secret=facts.pop("app_secret", EMULATOR_APP_SECRET),
            base_url=facts.pop("base_url", self.carrier.url),
        )
        pace = facts.pop("pace_per_s", 1000)
        window_template = facts.pop("window_template", None)
        resend_unknown = facts.pop("resend_unknown", False)
        async with open_runtime(self.settings) as runtime:
            account, _ = await people.create_account(
                runtime, name=name, email=f"{name.lower()}@example.org", password="correct horse battery", **facts
            )
            token = await tokens.create_token(runtime, account.id, "test")
            known = NumberFacts(display_number=BUSINESS_NUMBER, throughput_per_s=pace)
            row = await senders.connect_number(runtime, account.id, number, known)
            for sender in names:
                await senders.add_sender(
                    runtime, row, sender, window_template=window_template, resend_unknown=resend_unknown
                )
            if subscribe:
                channel = open_whatsapp(self.settings)
                try:
                    await senders.subscribe(runtime, channel, row)
                finally:
                    await channel.close()
            return Tenant(account.id, token.text, senders.callback_address(runtime, row), row.verify_token)


@contextlib.asynccontextmanager
async def open_house(folder: Path, *emulator_options: str, **environ: str) -> AsyncIterator[House]:
    """A carrier and an installation; both end with the test. In a setting, {carrier} stands for the carrier's address."""
    carrier = Carrier(folder, *emulator_options)
    await carrier.start()
    environ = {name: value.replace("{carrier}", carrier.url) for name, value in environ.items()}
    house = House(folder, carrier, **environ)
    try:
        await house.start()
        yield house
        house.stop()
    finally:
        for program in (house.api, house.dispatcher, carrier.program):
            if program.alive():
                program.kill()


class Client:
    """Calls the API as a program would."""

    def __init__(self, house: House, tenant: Tenant) -> None:
        self.house = house
        self.tenant = tenant
        self._session = aiohttp.ClientSession(auto_decompress=False)

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(
        self, method: str, path: str, value: Any = None, *, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, body and headers. Checks what holds for every answer: JSON with the envelope."""
        if value is not None:
            more["json"] = value
        sent = {**self.tenant.headers, **(headers or {})}
        async with self._session.request(
            method, f"{self.house.url}{path}", headers=sent, allow_redirects=False, **more
        ) as answer:
            body = msgspec.json.decode(await answer.read())
            assert answer.headers["Content-Type"] == "application/json"
            assert body["status"] == ("success" if answer.status < 400 else "error")
            assert "message" in body
            return answer.status, body, {name.lower(): value for name, value in answer.headers.items()}

    async def send(self, **fields: Any) -> dict[str, Any]:
        """Send and return `data`; every send here is meant to be accepted."""
        given = {"recipient": "31612345678", "sender_id": "YourName", "type": "whatsapp", "message": "Hello", **fields}
        status, body, _ = await self.call("POST", "/api/v3/sms/send", given)
        assert status == 200, body
        data = body["data"]
        assert isinstance(data, dict)
        return data

    async def view(self, uid: str) -> dict[str, Any]:
        status, body, _ = await self.call("GET", f"/api/v3/sms/{uid}")
        assert status == 200, body
        data = body["data"]
        assert isinstance(data, dict)
        return data

    async def until(self, uid: str, *words: str, within_s: float = 20.0) -> dict[str, Any]:
        """The message once its status is one of the words."""

        async def look() -> dict[str, Any] | None:
            data = await self.view(uid)
            return data if data["status"] in words else None

        try:
            found = await eventually(look, within_s=within_s)
        except AssertionError:
            raise AssertionError(f"{uid} is {await self.view(uid)}, not {words}") from None
        assert found is not None
        return found

    async def explain(self, uid: str) -> dict[str, Any]:
        status, body, _ = await self.call("GET", f"/api/v3/sms/{uid}/explain")
        assert status == 200, body
        data = body["data"]
        assert isinstance(data, dict)
        return data


async def run_command(settings_environ: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """`heliograph …` as a process of its own: exit code, output, complaints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "heliograph",
        *arguments,
        env={**kept, **settings_environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaints = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), complaints.decode()
