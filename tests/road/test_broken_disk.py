"""A database in trouble, seen from outside: 503 in the envelope with Retry-After, no success that is not on disk, clear
words at start, and service again when the trouble ends."""

import asyncio
import os
import resource
import shutil
import sys
import time
from pathlib import Path

import apsw
import pytest
from tests.kit.house import Client, House, open_house, run_command
from tests.kit.waiting import eventually

TEXT = {"sender_id": "YourName", "type": "whatsapp", "message": "Hello"}


async def stored(client: Client) -> int:
    _, body, _ = await client.call("GET", "/api/v3/sms")
    return int(body["data"]["total"])


async def test_locked_by_another_program(tmp_path: Path) -> None:
    """While another program holds the lock, sends wait their patience and are refused together, reading goes on; afterwards
    all is as before."""
    async with open_house(tmp_path) as house:
        tenant = await house.open_account("Demo", "YourName")
        async with Client(house, tenant) as client:
            before = await client.send(recipient="31612345670")
            await client.until(before["uid"], "Delivered")
            holder = apsw.Connection(str(house.settings.sqlite_path))
            holder.set_busy_timeout(5000)
            holder.execute("BEGIN IMMEDIATE")
            began_at = time.monotonic()
            sends = [
                asyncio.create_task(
                    client.call("POST", "/api/v3/sms/send", {**TEXT, "recipient": f"3161234567{n}"}, timeout=90)
                )
                for n in range(20)
            ]
            assert (await client.view(before["uid"]))["status"] == "Delivered", "reading goes on"
            answers = await asyncio.gather(*sends)
            assert {(status, body["code"]) for status, body, _ in answers} == {(503, "storage_busy")}
            assert all(int(headers["retry-after"]) >= 1 for _, _, headers in answers)
            assert time.monotonic() - began_at < 80, "they did not wait one after another"
            holder.execute("ROLLBACK")
            holder.close()
            assert await stored(client) == 1
            after = await client.send(recipient="31612345671")
            await client.until(after["uid"], "Delivered")
            assert await house.carrier.count() == 2


def limit_file_size(house: House, most_bytes: int) -> None:
    """As a full disk does, let no file of the API process grow beyond that."""
    assert house.api.process is not None
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(house.api.process.pid, resource.RLIMIT_FSIZE, (most_bytes, unlimited))


@pytest.mark.skipif(sys.platform != "linux", reason="sets the limits of another process")
async def test_disk_full(tmp_path: Path) -> None:
    """When nothing more can be written, sends are refused; what had been answered is all there and is delivered; with room
    again, service returns by itself."""
    async with open_house(tmp_path, "--no-pair-limit") as house:
        tenant = await house.open_account("Demo", "YourName")
        async with Client(house, tenant) as client:
            wal = house.settings.sqlite_path.with_name(house.settings.sqlite_path.name + "-wal")
            limit_file_size(house, wal.stat().st_size + 100_000)
            accepted: list[str] = []
            refusal = None
            for n in range(1000):
                given = {**TEXT, "recipient": str(31630000000 + n), "message": "x" * 3000}
                status, body, headers = await client.call("POST", "/api/v3/sms/send", given)
                if status != 200:
                    refusal = (status, body["code"], int(headers["retry-after"]) > 0)
                    break
                accepted.append(body["data"]["uid"])
            assert refusal == (503, "storage_full", True)
            assert accepted
            assert (await client.view(accepted[0]))["uid"] == accepted[0], "reading goes on"
            status, _, _ = await client.call("GET", "/healthz")
            assert status == 200
            limit_file_size(house, 4096)  # now not even a small row fits
            status, body, _ = await client.call("GET", "/readyz")
            assert (status, body.get("code")) == (503, "storage_full"), body
            limit_file_size(house, resource.RLIM_INFINITY)

            async def serves_again() -> str:
                status, body, _ = await client.call("POST", "/api/v3/sms/send", {**TEXT, "recipient": "31639999999"})
                return str(body["data"]["uid"]) if status == 200 else ""

            accepted.append(await eventually(serves_again))
            for uid in accepted:
                await client.until(uid, "Delivered")
            assert await stored(client) == len(accepted)
            references = [m["biz_opaque_callback_data"].split(".")[2] for m in await house.carrier.messages()]
            assert sorted(references) == sorted(accepted)


async def test_damaged_file_at_start(tmp_path: Path) -> None:
    """A file that is no database, or a broken one, ends the start with a sentence and exit 1; a backup put back serves."""
    async with open_house(tmp_path) as house:
        tenant = await house.open_account("Demo", "YourName")
        async with Client(house, tenant) as client:
            uid = (await client.send())["uid"]
            await client.until(uid, "Delivered")
        house.stop()
        path = house.settings.sqlite_path
        backup = tmp_path / "backup.db"
        shutil.copy(path, backup)
        for content in (os.urandom(20_000), path.read_bytes()[:4096] + os.urandom(path.stat().st_size - 4096)):
            path.write_bytes(content)
            for command in (("serve",), ("serve", "--role", "api", "--no-migrate"), ("accounts", "list")):
                code, _, complaint = await run_command(house.environ, *command)
                assert code == 1, (command, complaint)
                assert "Traceback" not in complaint, (command, complaint)
                last = complaint.strip().splitlines()[-1]
                assert last.startswith("heliograph: "), complaint
                assert "storage_damaged" in last or "damaged" in last
        shutil.copy(backup, path)
        house.api.start()
        house.dispatcher.start()
        await house.until_ready()
        async with Client(house, tenant) as client:
            assert (await client.view(uid))["status"] == "Delivered"
            again = await client.send()
            await client.until(again["uid"], "Delivered")


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Where the data folder cannot be made, the start ends with a sentence that names the path."""
    (tmp_path / "file").write_text("in the way")
    code, _, complaint = await run_command({"HELIOGRAPH_HOME": str(tmp_path / "file" / "home")}, "serve")
    assert code == 1
    assert "Traceback" not in complaint
    assert str(tmp_path / "file") in complaint
