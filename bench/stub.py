"""A carrier that does nothing but note when the first byte of each send came, and take it: in a thread of the benchmark."""

import asyncio
import threading
import time
from typing import cast

import uvloop

ANSWER = b'{"messaging_product":"whatsapp","contacts":[{"input":"%d","wa_id":"%d"}],"messages":[{"id":"wamid.STUB%d"}]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Connection(asyncio.Protocol):
    def __init__(self, stub: "StubCarrier") -> None:
        self._stub = stub
        self._waiting = b""
        self._began_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._waiting:
            self._began_ns = time.monotonic_ns()
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = self._waiting[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._waiting) < end + 4 + length:
                return
            self._waiting = self._waiting[end + 4 + length :]
            self._stub.arrived_ns.append(self._began_ns)
            self._began_ns = time.monotonic_ns()
            place = len(self._stub.arrived_ns)
            answer = ANSWER % (place, place, place)
            self._transport.write(HEAD % len(answer) + answer)


class StubCarrier:
    """arrived_ns: time.monotonic_ns() at the first byte of each request, in order."""

    def __init__(self) -> None:
        self.arrived_ns: list[int] = []
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()), daemon=True)

    def __enter__(self) -> "StubCarrier":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await self._loop.create_server(lambda: Connection(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
