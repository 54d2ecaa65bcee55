"""A mail server that takes every letter (RFC 5321, as much as a client needs)."""

import asyncio
import contextlib
import email
import email.message
import email.policy
from collections.abc import AsyncIterator


class MailServer:
    def __init__(self) -> None:
        self.url = ""
        self.letters: list[email.message.EmailMessage] = []
        self.refusals = 0  # so many more connections are sent away

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusals:
            self.refusals -= 1
            writer.write(b"421 busy\r\n")
            return
        writer.write(b"220 ready\r\n")
        while line := (await reader.readline()).strip():
            if line.upper() == b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            if line.upper() == b"DATA":
                writer.write(b"354 go on\r\n")
                text = await reader.readuntil(b"\r\n.\r\n")
                letter = email.message_from_bytes(text[:-5], policy=email.policy.default)
                assert isinstance(letter, email.message.EmailMessage)
                self.letters.append(letter)
            writer.write(b"250 ok\r\n")
            await writer.drain()


@contextlib.asynccontextmanager
async def open_mail_server() -> AsyncIterator[MailServer]:
    made = MailServer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made
