"""`heliograph dev`: everything on one machine, with one command, and nothing left when it ends."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.kit.house import Carrier, free_port
from tests.kit.waiting import eventually

DEMO_KEYS = [
    *("base_url", "email", "password", "api_token", "sender_ids"),
    *("emulator_url", "emulator_phone_number_id", "emulator_token", "emulator_app_secret"),
]


class Dev:
    """One run, in a process group of its own as a shell would start it."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.home = folder / "home"
        self.port = free_port()
        self.output = folder / f"dev-{self.port}.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "heliograph", "dev"],
                env={**kept, "HELIOGRAPH_HOME": str(self.home), "PORT": str(self.port), **environ},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def __enter__(self) -> "Dev":
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.family():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def family(self) -> list[int]:
        """Every living process of this run."""
        found = []
        for path in Path("/proc").iterdir():
            if path.name.isdecimal():
                try:
                    stat = (path / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(stat[3]) == self.process.pid and stat[0] != "Z":
                    found.append(int(path.name))
        return found

    async def ready(self) -> dict[str, Any]:
        """demo.json, once the banner is there."""

        async def look() -> bool:
            assert self.process.poll() is None, self.output.read_text()
            return "Ctrl-C stops everything" in self.output.read_text()

        await eventually(look, within_s=60)
        found: dict[str, Any] = msgspec.json.decode((self.home / "demo.json").read_bytes())
        return found

    def curl(self) -> dict[str, Any]:
        """Run the line that the banner shows."""
        match = re.search(r"^  (curl .*?\})'\n", self.output.read_text(), re.DOTALL | re.MULTILINE)
        assert match is not None
        done = subprocess.run(["bash", "-c", f"{match[1]}'"], capture_output=True, check=True, timeout=30)
        found: dict[str, Any] = msgspec.json.decode(done.stdout)
        return found

    def view(self, demo: dict[str, Any], path: str) -> dict[str, Any]:
        command = ["curl", "-sS", f"{demo['base_url']}{path}", "-H", f"Authorization: Bearer {demo['api_token']}"]
        done = subprocess.run(command, capture_output=True, check=True, timeout=30)
        found: dict[str, Any] = msgspec.json.decode(done.stdout)["data"]
        return found

    async def delivered(self, demo: dict[str, Any], uid: str) -> None:
        async def look() -> bool:
            return bool(self.view(demo, f"/api/v3/sms/{uid}")["status"] == "Delivered")

        await eventually(look, every_s=0.1)

    async def stop(self, which: signal.Signals, *, everyone: bool) -> int:
        """As Ctrl-C does for everyone, or as `kill` does for the first; the exit code."""
        if everyone:
            os.killpg(self.process.pid, which)
        else:
            os.kill(self.process.pid, which)
        code = await asyncio.to_thread(self.process.wait, 60)

        async def gone() -> bool:
            return self.family() == []

        await eventually(gone)
        return code


async def test_the_first_run_and_the_second(tmp_path: Path) -> None:
    """Banner, demo.json and the curl line work; the message is delivered; a second run keeps account, token and messages."""
    with Dev(tmp_path) as dev:
        demo = await dev.ready()
        assert list(demo) == DEMO_KEYS
        assert demo["base_url"] == f"http://127.0.0.1:{dev.port}"
        assert demo["sender_ids"] == ["YourName", "Demo", "15550100001"]
        assert (dev.home / "demo.json").stat().st_mode & 0o077 == 0
        shown = dev.output.read_text()
        for fact in ("Heliograph is ready", demo["base_url"], demo["email"], demo["password"], demo["api_token"]):
            assert fact in shown
        sent = dev.curl()
        assert sent["status"] == "success"
        uid = sent["data"]["uid"]
        await dev.delivered(demo, uid)
        assert len(dev.family()) == 4, "the command, the API, the dispatcher and the emulator"
        assert await dev.stop(signal.SIGINT, everyone=True) == 0, dev.output.read_text()
        assert "Traceback" not in dev.output.read_text()
    with Dev(tmp_path) as again:
        second = await again.ready()
        same = ("email", "password", "api_token", "sender_ids")
        assert {key: second[key] for key in same} == {key: demo[key] for key in same}
        assert again.view(second, f"/api/v3/sms/{uid}")["status"] == "Delivered"
        await again.delivered(second, again.curl()["data"]["uid"])
        assert again.view(second, "/api/v3/sms")["total"] == 2
        assert await again.stop(signal.SIGTERM, everyone=False) == 0


async def test_with_an_emulator_that_runs(tmp_path: Path) -> None:
    """HELIOGRAPH_EMULATOR_URL uses that one and starts none; it lives on when the rest ends."""
    carrier = Carrier(tmp_path)
    await carrier.start()
    try:
        with Dev(tmp_path, HELIOGRAPH_EMULATOR_URL=carrier.url) as dev:
            demo = await dev.ready()
            assert demo["emulator_url"] == carrier.url
            assert len(dev.family()) == 3
            uid = dev.curl()["data"]["uid"]
            await dev.delivered(demo, uid)
            assert len(await carrier.messages()) == 1
            assert await dev.stop(signal.SIGINT, everyone=False) == 0
        assert carrier.program.alive()
    finally:
        carrier.program.kill()


async def test_a_killed_command_leaves_nothing(tmp_path: Path) -> None:
    """kill -9 of the command takes the API, the dispatcher and the emulator with it."""
    with Dev(tmp_path) as dev:
        await dev.ready()
        assert await dev.stop(signal.SIGKILL, everyone=False) == -signal.SIGKILL


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
async def test_stopped_while_it_starts(tmp_path: Path, which: signal.Signals) -> None:
    """Stopped before it is ready, it leaves no process and shows no traceback."""
    with Dev(tmp_path) as dev:

        async def begun() -> bool:
            return len(dev.family()) >= 2

        await eventually(begun, every_s=0.005)
        await dev.stop(which, everyone=True)
        assert "Traceback" not in dev.output.read_text()


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """It says so and ends with 1."""
    with Dev(tmp_path) as dev:
        await dev.ready()
        (tmp_path / "other").mkdir()
        with Dev(tmp_path / "other", PORT=str(dev.port)) as other:
            assert await asyncio.to_thread(other.process.wait, 30) == 1
            assert "cannot be used" in other.output.read_text()
        assert await dev.stop(signal.SIGTERM, everyone=False) == 0
