"""Stores what was accepted, many requests in one commit, each with the answer that its Idempotency-Key will repeat."""

from collections.abc import Sequence

from msgspec import Struct

from heliograph.config import Settings
from heliograph.core.batching import Batcher
from heliograph.core.ids import now_ms
from heliograph.store.engine import Database, Tx
from heliograph.store.idempotency import KeptAnswer, keep_answer, kept_answer
from heliograph.store.messages import NewMessage, add_messages


class Key(Struct, frozen=True):
    """An Idempotency-Key of one account, and the hash of the request that came with it."""

    account_id: int
    key_sha256: bytes
    request_sha256: bytes


class Entry(Struct, frozen=True):
    """One request's messages, and the answer that it gets when they are stored."""

    messages: list[NewMessage]
    http_status: int
    answer: bytes
    key: Key | None = None


class Acceptor:
    """The way into the store. `store` returns when the messages are on disk, or the answer that was kept for the key."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._keep_ms = settings.idempotency_hours * 3_600_000
        self._batcher: Batcher[Entry, KeptAnswer | None] = Batcher(
            self._flush, most_at_once=settings.accept_batch, most_waiting=settings.max_waiting_accepts
        )

    async def store(self, entry: Entry) -> KeptAnswer | None:
        """None: stored. A KeptAnswer: the key was used before, nothing was stored. Raises Unavailable: nothing was stored."""
        return await self._batcher.add(entry)

    async def drain(self) -> None:
        await self._batcher.drain()

    async def _flush(self, batch: Sequence[Entry]) -> Sequence[KeptAnswer | None]:
        async def work(tx: Tx) -> list[KeptAnswer | None]:
            kept = [await self._claim_key(tx, entry) if entry.key else None for entry in batch]
            fresh = [m for entry, known in zip(batch, kept, strict=True) if known is None for m in entry.messages]
            if fresh:
                await add_messages(tx, fresh)
            return kept

        return await self._database.write(work)

    async def _claim_key(self, tx: Tx, entry: Entry) -> KeptAnswer | None:
        key = entry.key
        assert key is not None
        at_ms = now_ms()
        since_ms = at_ms - self._keep_ms
        known = await kept_answer(tx, key.account_id, key.key_sha256, since_ms)
        if known is not None:
            return known
        ours = KeptAnswer(key.request_sha256, entry.http_status, entry.answer)
        if await keep_answer(tx, key.account_id, key.key_sha256, ours, at_ms, since_ms):
            return None
        return await kept_answer(tx, key.account_id, key.key_sha256, since_ms)
