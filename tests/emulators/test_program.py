"""The emulator as a program: its ready line, kill -9 and restart, its memory, the commands."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from heliograph.emulators.cloud_api.ledger import Accepted, Ledger
from heliograph.emulators.cloud_api.limits import Pace, Pairs, Windows
from tests.emulators.kit import NUMBER, PERSON, WABA, Client, Receiver
from tests.kit.waiting import eventually

READY = "Cloud API emulator is ready at "


class Program:
    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "heliograph.emulators.cloud_api", "--port", "0", *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(READY), line
        self.url = line.removeprefix(READY).strip()

    def end(self, which: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(which)
        return self.process.wait(20)

    def memory_kb(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


@asynccontextmanager
async def program(*options: str) -> AsyncIterator[tuple[Program, Client]]:
    running = Program(*options)
    try:
        async with aiohttp.ClientSession() as session:
            yield running, Client(running.url, session)
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGKILL)
        assert running.process.stdout is not None
        running.process.stdout.close()


async def test_ready_and_end() -> None:
    """One line says where it listens; SIGTERM ends it at once with 0, even while a send hangs."""
    async with program() as (running, client):
        async with client.session.get(f"{running.url}/__emulator/health") as answer:
            assert answer.status == 200
        hanging = asyncio.create_task(client.send(to="12025550152"))

        async def is_accepted() -> bool:
            return bool((await client.control("GET", "messages?count=1"))["count"])

        await eventually(is_accepted)
        assert await asyncio.to_thread(running.end) == 0
        with pytest.raises(aiohttp.ClientError):
            await hanging


async def test_killed_and_restarted(tmp_path: Path) -> None:
    """After kill -9 everything that was answered is in the file, once; subscriptions, files and templates are still there,
    and whatever status had not been taken is called back again."""
    data = ("--data", str(tmp_path / "carrier.jsonl"), "--no-pace-limit", "--delivered-after", "0.3")
    answered: list[str] = []
    enough = asyncio.Event()
    async with Receiver().listening() as receiver:
        async with program(*data) as (running, client):
            await client.subscribe(receiver)
            told = await client.control("POST", "say", {"kind": "image"})
            assert told["taken"]

            async def load(worker: int) -> None:
                for place in range(10_000):
                    wamid = await client.send(to=f"316{worker:02d}{place:06d}")
                    answered.append(wamid)
                    if len(answered) == 1500:
                        enough.set()

            workers = [asyncio.create_task(load(worker)) for worker in range(8)]
            await enough.wait()
            running.end(signal.SIGKILL)
            for failure in await asyncio.gather(*workers, return_exceptions=True):
                assert isinstance(failure, aiohttp.ClientError)
        async with program(*data) as (running, client):
            found = [line["id"] for line in await client.messages()]
            assert len(found) == len(set(found))
            assert set(answered) <= set(found)
            assert len(found) <= len(answered) + 8
            assert await client.control("GET", "messages?count=1") == {"count": len(found)}
            _, body = await client.call("GET", f"{WABA}/subscribed_apps")
            assert body["data"][0]["override_callback_uri"] == receiver.url
            _, facts = await client.call("GET", receiver.inbound()[0]["image"]["id"])
            assert facts["mime_type"] == "image/png"
            await receiver.until(
                lambda: len({s["id"] for s in receiver.statuses() if s["status"] == "delivered"}) >= len(found), 30.0
            )
            assert {status["id"] for status in receiver.statuses()} == set(found)
            assert running.end() == 0


async def test_memory_is_bounded() -> None:
    """Tens of thousands of messages leave no trace in memory beyond those that are remembered; the count is exact."""
    async with program("--no-pace-limit", "--memory", "1000") as (running, client):

        async def load(first: int, count: int) -> None:
            async def worker(start: int) -> None:
                for place in range(start, first + count, 16):
                    await client.send(to=f"316{place:08d}")

            await asyncio.gather(*(worker(first + offset) for offset in range(16)))

        await load(0, 4000)
        before = running.memory_kb()
        await load(4000, 12_000)
        assert running.memory_kb() - before < 12_000
        assert await client.control("GET", "messages?count=1") == {"count": 16_000}
        kept = await client.messages()
        assert len(kept) == 1000
        assert kept[-1]["to"].startswith("316000")


async def test_backlog_is_bounded() -> None:
    """When callbacks are not taken and too many are owed, sends are refused instead of filling the memory."""
    async with Receiver().listening() as receiver, program("--most-owed", "100") as (_, client):
        await client.subscribe(receiver)
        receiver.answer = lambda _so_far: 500
        for place in range(60):
            status, body = await client.post({"to": f"+316{place:08d}", "text": {"body": "x"}})
            if status != 200:
                break
        assert body["error"]["code"] == 130429
        assert "owes too many callbacks" in body["error"]["error_data"]["details"]


# The file


def accepted(place: int) -> Accepted:
    return Accepted(
        id=f"wamid.{place}",
        to=PERSON,
        type="text",
        text="x",
        biz_opaque_callback_data=None,
        received_at="",
        phone_number_id=NUMBER,
    )


async def test_torn_last_line(tmp_path: Path) -> None:
    """A line that was not finished when the program died is cut off; what follows is whole."""
    path = tmp_path / "carrier.jsonl"
    ledger = Ledger(str(path), 10)
    ledger.append(accepted(1))
    ledger.close()
    with path.open("ab") as file:
        file.write(b'{"id":"wamid.2","to"')
    ledger = Ledger(str(path), 10)
    assert ledger.count == 1
    assert ledger.append(accepted(3)) == 2
    assert [found.id async for _, found in ledger.after(0)] == ["wamid.1", "wamid.3"]
    assert [place async for place, _ in ledger.after(1)] == [2]
    ledger.close()


def test_full_disk(tmp_path: Path) -> None:
    """A line that does not fit on the disk leaves no half of itself, and the send is not counted."""
    import resource

    def child() -> None:
        ledger = Ledger(str(tmp_path / "carrier.jsonl"), 10)
        ledger.append(accepted(1))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = (tmp_path / "carrier.jsonl").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, size + 20))
        try:
            ledger.append(accepted(2))
        except OSError:
            os._exit(0 if ledger.count == 1 and (tmp_path / "carrier.jsonl").stat().st_size == size else 2)
        os._exit(1)

    process = os.fork()
    if process == 0:
        child()
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0


# Limits, by a clock of our own


def test_pace() -> None:
    """A second's worth at once, then exactly the pace."""
    pace = Pace()
    assert sum(pace.take("n", 80, 100.0) for _ in range(200)) == 80
    assert sum(pace.take("n", 80, 100.5) for _ in range(200)) == 40
    assert sum(pace.take("n", 80, 100.0 + second / 1000) for second in range(501, 10_501)) in range(799, 802)


def test_pairs() -> None:
    """45 at once, then one in six seconds; pairs that are paid up are forgotten."""
    pairs = Pairs()
    assert sum(pairs.take("n", "p", 100.0) for _ in range(100)) == 45
    assert not pairs.take("n", "p", 105.9)
    assert pairs.take("n", "p", 106.0)
    assert not pairs.take("n", "p", 106.0)
    for person in range(300_000):
        assert pairs.take("n", str(person), 200.0 + person / 3000)
    assert len(pairs) < 120_000


def test_windows() -> None:
    """A window lasts for 24 hours from the last message; only so many are remembered, the newest."""
    windows = Windows(most=2)
    windows.open("n", "a", 0.0)
    assert windows.is_open("n", "a", 86_399.0)
    assert not windows.is_open("n", "a", 86_400.0)
    windows.open("n", "b", 1.0)
    windows.open("n", "a", 2.0)
    windows.open("n", "c", 3.0)
    assert [windows.is_open("n", who, 4.0) for who in "abc"] == [True, False, True]


# The commands


async def run(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "heliograph",
        "emulator",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaints = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), complaints.decode()


async def test_say_and_event(client: Client, receiver: Receiver, tmp_path: Path) -> None:
    """`say` and `event` reach the subscriber, and end with 1 and a sentence when nobody listens."""
    where = ("--url", client.url)
    code, _, complaints = await run("say", *where)
    assert code == 1
    assert "nobody is subscribed" in complaints
    await client.subscribe(receiver)
    picture = tmp_path / "cat.jpg"
    picture.write_bytes(b"\xff\xd8\xff\xe0cat")
    given = ("--from", "31600000001", "--to", "15550100002", "--text", "My cat", "--file", str(picture))
    code, output, complaints = await run("say", "image", *given, "--json", *where)
    assert code == 0, complaints
    (message,) = receiver.inbound()
    assert json.loads(output)["id"] == message["id"]
    assert (message["from"], message["image"]["caption"], message["image"]["mime_type"]) == (
        "31600000001",
        "My cat",
        "image/jpeg",
    )
    assert receiver.changes()[0]["value"]["metadata"]["phone_number_id"] == NUMBER[:-1] + "2"
    value = json.dumps({"messaging_product": "whatsapp"})
    code, output, _ = await run("event", "messages", "--value", value, *where)
    assert (code, output) == (0, "taken\n")
    code, _, _ = await run("event", "account_update", *where)
    assert code == 1  # goes to the app's address, and there is none


async def test_faults(client: Client) -> None:
    """Faults are switched on, listed and cleared by command."""
    where = ("--url", client.url)
    code, output, _ = await run("faults", "add", "--refuse", "131000", "--times", "5", "--to", "316", *where)
    assert (code, output.split(".")[0]) == (0, "Fault 1 is on")
    await run("faults", "add", "--fail", "131049", "--afterwards", "cut", *where)
    _, output, _ = await run("faults", "list", *where)
    first, second = (json.loads(line) for line in output.splitlines())
    assert (first["effect"]["refuse"], first["times"], first["to"]) == (131000, 5, "316")
    assert second["effect"]["statuses"][0]["code"] == 131049
    assert (await client.refused({"to": f"+{PERSON}", "text": {"body": "x"}}))["code"] == 131000
    code, output, _ = await run("faults", "clear", *where)
    assert (code, output) == (0, "2 switched off.\n")


async def test_no_emulator() -> None:
    """Without an emulator a command ends with 1, and says how to start one."""
    code, _, complaints = await run("say", "--url", "http://127.0.0.1:1")
    assert code == 1
    assert "heliograph emulator cloud-api" in complaints


async def test_port_taken(client: Client) -> None:
    """A port that is taken is said in one sentence, with exit code 1."""
    port = client.url.rsplit(":", 1)[1]
    code, _, complaints = await run("cloud-api", "--port", port)
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in complaints
