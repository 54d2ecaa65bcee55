"""Errands: fetch the file of an inbound message, mark an inbound message as read. Due rows, leases, bounded retries."""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any

import msgspec
import structlog

from heliograph.channels.whatsapp.channel import FetchedMedia, WhatsApp
from heliograph.core.ids import now_ms, uid_of
from heliograph.core.retry_times import ERRAND_BUDGET, wait_before_retry_s
from heliograph.core.vault import CannotUnseal
from heliograph.errors import ChannelRefused, Unavailable
from heliograph.runtime import Runtime
from heliograph.store import connections as connection_store
from heliograph.store import messages as message_store
from heliograph.store import queues
from heliograph.store.engine import Tx
from heliograph.store.messages import Event

log = structlog.get_logger(__name__)

AT_ONCE = 8
LEASE_MS = 300_000
LOOK_EVERY_S = 30.0


class ErrandLoop:
    def __init__(self, runtime: Runtime, channel: WhatsApp, owner: bytes) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._channel = channel
        self._owner = owner
        self._woken = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="errands")

    def wake(self) -> None:
        self._woken.set()

    async def stop(self) -> None:
        self._stopping = True
        self._woken.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stopping:
            try:
                self._woken.clear()
                if not await self._some():
                    await self._sleep()
            except Unavailable:
                await asyncio.sleep(1.0)
            except Exception:
                log.exception("errands_failed")
                await asyncio.sleep(1.0)

    async def _sleep(self) -> None:
        due_at_ms = await self._database.read(lambda tx: queues.next_due_at_ms(tx, queues.ERRANDS))
        wait_s = LOOK_EVERY_S if due_at_ms is None else min(LOOK_EVERY_S, max(0.01, (due_at_ms - now_ms()) / 1000))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._woken.wait()

    async def _some(self) -> int:
        at_ms = now_ms()
        rows = await self._database.write(
            lambda tx: queues.claim_due(tx, queues.ERRANDS, self._owner, at_ms + LEASE_MS, at_ms, AT_ONCE)
        )
        await asyncio.gather(*(self._one(row) for row in rows))
        return len(rows)

    async def _one(self, row: queues.Key) -> None:
        account_id, message_id, kind, connection_id, subject, _due_at_ms, attempts = row
        key = (account_id, message_id, kind)
        name, code, sentence, facts = f"{kind} {attempts}", "done", "", dict[str, Any]()
        try:
            if kind == "fetch_media":
                facts = await self._fetch_media(account_id, message_id, connection_id, subject)
                sentence = "The file was fetched and kept."
            else:
                await self._mark_read(account_id, connection_id, subject)
                sentence = "The carrier was told that the message was read."
            again_at_ms = None
        except (ChannelRefused, CannotUnseal, OSError) as error:
            wait_s = None if final(error) else wait_before_retry_s(attempts, ERRAND_BUDGET)
            again_at_ms = None if wait_s is None else now_ms() + int(wait_s * 1000)
            code = getattr(error, "code", "storage_full")
            sentence = getattr(error, "message", "The file could not be kept.")
        event = Event(
            account_id=account_id,
            message_id=message_id,
            name=name,
            at_ms=now_ms(),
            source="dispatcher",
            code=code,
            sentence=sentence,
        )

        async def work(tx: Tx) -> None:
            await message_store.add_events(tx, [event])
            if facts:
                await self._record_media(tx, account_id, message_id, facts)
            if again_at_ms is None:
                await queues.finish(tx, queues.ERRANDS, self._owner, [key])
            else:
                await queues.postpone(tx, queues.ERRANDS, self._owner, [(key, again_at_ms)])

        await self._database.write(work)

    async def _fetch_media(
        self, account_id: int, message_id: bytes, connection_id: int, media_id: str
    ) -> dict[str, Any]:
        connection = await self._connection(account_id, connection_id)
        media = await self._channel.fetch_media(connection, media_id, max_bytes=self._runtime.settings.max_media_bytes)
        path = media_file(self._runtime.settings.media_path, account_id, message_id)
        await asyncio.get_running_loop().run_in_executor(None, keep_file, path, media)
        return {"media": {"mime_type": media.mime_type, "bytes": len(media.content), "sha256": media.sha256}}

    async def _record_media(self, tx: Tx, account_id: int, message_id: bytes, facts: dict[str, Any]) -> None:
        message = await message_store.message_by_id(tx, account_id, message_id)
        if message is None:
            return
        details = msgspec.json.decode(message.details) if message.details else {}
        details["media"] = {**details.get("media", {}), **facts["media"]}
        await message_store.set_details(tx, message, msgspec.json.encode(details).decode(), message.media_url, now_ms())

    async def _mark_read(self, account_id: int, connection_id: int, carrier_message_id: str) -> None:
        await self._channel.mark_read(await self._connection(account_id, connection_id), carrier_message_id)

    async def _connection(self, account_id: int, connection_id: int) -> Any:
        row = await self._database.read(lambda tx: connection_store.connection_by_id(tx, account_id, connection_id))
        if row is None:
            raise ChannelRefused("The number of this message is gone.", code="number_gone")
        return self._runtime.connection_of(row)


def final(error: Exception) -> bool:
    """Whether trying again is useless: the file is gone, too large, or of a kind that we refuse."""
    return getattr(error, "code", "") in {"number_gone", "media_gone", "media_too_large", "media_refused"}


def media_file(folder: Path, account_id: int, message_id: bytes) -> Path:
    """Where the file of an inbound message is kept. Its type is in the message, not in a name that a stranger chose."""
    uid = uid_of(message_id)
    return folder / str(account_id) / uid[:8] / uid


def keep_file(path: Path, media: FetchedMedia) -> None:
    """On disk, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    with draft.open("wb") as file:
        file.write(media.content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
