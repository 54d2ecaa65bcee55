"""A wire between a program and a server that can be cut, or cut at a word."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

Connect = Callable[[], Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Wire:
    """Passes bytes on between connections to its own port and a server.

    cut_before, cut_after: the connection that says this word breaks, with the word kept back or passed on; once.
    stay_cut: when that happened, let none through until `mend`."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.cut_before: bytes | None = None
        self.cut_after: bytes | None = None
        self.stay_cut = False
        self.is_cut = False

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break every connection, and let none through until `mend`."""
        self.is_cut = True
        for writer in list(self._open):
            writer.close()

    def mend(self) -> None:
        self.is_cut = False

    @property
    def armed(self) -> bool:
        """Whether the word has not been said yet."""
        return self.cut_before is not None or self.cut_after is not None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.is_cut:
            writer.close()
            return
        try:
            far_reader, far_writer = await self._connect()
        except OSError:
            writer.close()
            return
        ends = {writer, far_writer}
        self._open |= ends
        back = asyncio.create_task(self._pass_on(far_reader, writer))
        try:
            await self._pass_up(reader, far_writer)
        finally:
            back.cancel()
            for end in ends:
                end.close()
            self._open -= ends

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while said := await reader.read(65_536):
                writer.write(said)
                await writer.drain()
        writer.close()

    async def _pass_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while said := await reader.read(65_536):
                if self.cut_before is not None and self.cut_before in said:
                    self.cut_before = None
                    return
                writer.write(said)
                await writer.drain()
                if self.cut_after is not None and self.cut_after in said:
                    self.cut_after = None
                    self.is_cut = self.stay_cut
                    return
