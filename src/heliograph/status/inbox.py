"""The door for callbacks: check the signature over the raw bytes, keep them, answer. Nobody reads them here."""

import contextlib
from collections.abc import Sequence
from functools import partial

from heliograph.channels.whatsapp.callback import verification_challenge, verify_signature
from heliograph.core.batching import Batcher
from heliograph.core.ids import id_of, new_id, now_ms
from heliograph.core.vault import CannotUnseal
from heliograph.errors import Forbidden, NotFound, Unavailable
from heliograph.runtime import Runtime
from heliograph.store.callbacks import Callback, add_callbacks
from heliograph.store.connections import ConnectionRow, connection_by_callback, record_heard, record_verified
from heliograph.store.engine import Tx

MOST_KNOWN = 10_000
HEARD_EVERY_MS = 10_000  # how exact the time of a number's last callback is


class Inbox:
    """Keeps callbacks, many in one commit. Knows each address's app secret for as long as nothing changes."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._known: dict[str, tuple[ConnectionRow, str]] = {}
        self._heard_at_ms: dict[int, int] = {}
        self._batcher: Batcher[Callback, None] = Batcher(
            self._flush, most_at_once=500, most_waiting=runtime.settings.max_waiting_accepts
        )

    def forget(self) -> None:
        """Connections changed somewhere."""
        self._known.clear()

    async def challenge(self, callback_uid: str, query: dict[str, str]) -> str:
        """The answer to a carrier that verifies an address. Raises NotFound or Forbidden."""
        connection, _ = await self._find(callback_uid)
        challenge = verification_challenge(query, connection.verify_token)
        if challenge is None:
            raise Forbidden("The verify token is not that of this address.", code="wrong_verify_token")
        account_id, connection_id, at_ms = connection.account_id, connection.id, now_ms()
        await self._runtime.database.write(lambda tx: record_verified(tx, account_id, connection_id, at_ms))
        return challenge

    async def keep(self, callback_uid: str, raw: bytes, signature: str | None) -> None:
        """Returns when the callback is on disk. Raises NotFound, Forbidden (bad signature) or Unavailable."""
        connection, app_secret = await self._find(callback_uid)
        if not verify_signature(raw, signature, app_secret):
            raise Forbidden("The signature does not fit the body.", code="wrong_signature")
        await self._batcher.add(Callback(connection.account_id, new_id(), connection.id, now_ms(), raw, None))

    async def drain(self) -> None:
        await self._batcher.drain()

    async def _flush(self, batch: Sequence[Callback]) -> Sequence[None]:
        callbacks = list(batch)

        async def work(tx: Tx) -> None:
            await add_callbacks(tx, callbacks)

        await self._runtime.database.write(work)
        await self._note_heard(callbacks)
        return [None] * len(callbacks)

    async def _note_heard(self, callbacks: Sequence[Callback]) -> None:
        """So that people see that callbacks arrive. Apart from the callbacks' own commit: it must cost them nothing."""
        newest = {(callback.account_id, callback.connection_id): callback.received_at_ms for callback in callbacks}
        for (account_id, connection_id), at_ms in newest.items():
            if at_ms - self._heard_at_ms.get(connection_id, 0) < HEARD_EVERY_MS:
                continue
            if len(self._heard_at_ms) >= MOST_KNOWN:
                self._heard_at_ms.clear()
            self._heard_at_ms[connection_id] = at_ms
            with contextlib.suppress(Unavailable):
                await self._runtime.database.write(partial(record_heard_of, account_id, connection_id, at_ms))

    async def _find(self, callback_uid: str) -> tuple[ConnectionRow, str]:
        known = self._known.get(callback_uid)
        if known is not None:
            return known
        identifier = id_of(callback_uid)
        if identifier is None:
            raise NotFound("There is no such callback address.")
        connection = await self._runtime.database.read(lambda tx: connection_by_callback(tx, identifier))
        if connection is None:
            raise NotFound("There is no such callback address.")
        try:
            secret = self._runtime.vault.unseal(connection.sealed_secrets).app_secret
        except CannotUnseal:
            raise Unavailable(
                "The credentials of this address cannot be opened.", code="sealed_with_another_key"
            ) from None
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[callback_uid] = (connection, secret)
        return connection, secret


async def record_heard_of(account_id: int, connection_id: int, at_ms: int, tx: Tx) -> None:
    await record_heard(tx, account_id, connection_id, at_ms)
