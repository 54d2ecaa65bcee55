"""Wake-ups between nodes by LISTEN and NOTIFY.

They are hints: sent after the commit and outside of it, so that no commit waits for the server's one lock on its queue of
notices (postgresql.org/docs/current/sql-notify.html). What is announced while one notice is on its way travels in the next.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable

import asyncpg
import structlog

log = structlog.get_logger(__name__)

CHANNEL = "heliograph"
MOST_BYTES = 7_900  # of a payload; the server takes 8000
PING_EVERY_S = 15.0  # a connection that died silently is found out by then
RETRY_S = 1.0
# What may have been announced while we could not hear: everything that is kept in memory, and every queue.
MISSED = ("tokens", "accounts", "senders", "connections", "callback", "errand")


def pack(topics: Iterable[str]) -> list[str]:
    """Topics as few payloads, one topic a line."""
    payloads: list[str] = []
    for topic in topics:
        if payloads and len(payloads[-1].encode()) + len(topic.encode()) < MOST_BYTES:
            payloads[-1] += f"\n{topic}"
        else:
            payloads.append(topic)
    return payloads


class Notices:
    """One listening connection of this process, and the sending of what it announces."""

    def __init__(
        self, connect: Callable[[], Awaitable[asyncpg.Connection]], notify: Callable[[str, list[str]], Awaitable[None]]
    ) -> None:
        self._connect = connect
        self._notify = notify
        self._listeners: list[Callable[[str], None]] = []
        self._pending: dict[str, None] = {}
        self._sending: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None

    # Saying

    def announce(self, topics: Iterable[str]) -> None:
        self._pending.update(dict.fromkeys(topics))
        if self._pending and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(self._send(), name="notify")

    async def _send(self) -> None:
        await asyncio.sleep(0)
        while self._pending:
            topics, self._pending = self._pending, {}
            try:
                await self._notify(CHANNEL, pack(topics))
            except Exception as error:  # noqa: BLE001 - a hint that is lost costs a poll's time, no more
                log.warning("notice_lost", error=type(error).__name__)

    # Hearing

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        self._listeners.append(heard)
        if self._listening is None:
            self._listening = asyncio.create_task(self._keep_listening(), name="listen")
        return lambda: self._listeners.remove(heard) if heard in self._listeners else None

    def _tell(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for heard in list(self._listeners):
                heard(topic)

    async def _keep_listening(self) -> None:
        missed: tuple[str, ...] = ()
        while True:
            try:
                connection = await self._connect()
            except Exception as error:  # noqa: BLE001 - whatever it is, the polls go on and so do we
                log.warning("not_listening", error=type(error).__name__)
                await asyncio.sleep(RETRY_S)
                continue
            gone = asyncio.Event()
            connection.add_termination_listener(lambda _, gone=gone: gone.set())
            try:
                await connection.add_listener(CHANNEL, self._on_notice)
                self._tell(missed)
                missed = MISSED
                while not gone.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(PING_EVERY_S):
                            await gone.wait()
                    await connection.execute("SELECT 1")
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                log.warning("listening_again", error=type(error).__name__)
            finally:
                connection.terminate()

    def _on_notice(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._tell(str(payload).split("\n"))

    async def close(self) -> None:
        if self._sending is not None:
            await self._sending
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
