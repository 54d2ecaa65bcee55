"""What was accepted, in order: one JSON line each, on disk before the answer leaves.

With a file the lines are the file's, and survive kill -9; without one the newest are remembered and all are counted.
"""

import os
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from errno import ENOSPC
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

CHUNK = 262_144


class Accepted(Struct, frozen=True, omit_defaults=False):
    """One line of GET /__emulator/messages. `to` is the recipient's digits, or the user id; `text` what the person reads."""

    id: str
    to: str
    type: str
    text: str | None
    biz_opaque_callback_data: str | None
    received_at: str
    phone_number_id: str
    content: Any = None  # the object under the key of the type, as it was sent


ENCODER = msgspec.json.Encoder()


class Clock:
    """The time of day as text; the second is written once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def text(self, at_s: float) -> str:
        second = int(at_s)
        if second != self._second:
            self._second, self._text = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{int((at_s - second) * 1_000_000):06d}Z"


class Ledger:
    def __init__(self, data: str | None, memory: int) -> None:
        self.path = Path(data) if data else None
        self.count = 0
        self._file, self._size = -1, 0
        self._newest: deque[bytes] = deque(maxlen=memory)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self.count, self._size = repair(self._file)

    def append(self, accepted: Accepted) -> int:
        """Keep it; its place, counted from 1. Raises OSError when the disk is full: then it must not be answered with 200."""
        line = ENCODER.encode(accepted) + b"\n"
        if self._file >= 0:
            self._write_whole(line)
        else:
            self._newest.append(line)
        self.count += 1
        return self.count

    def _write_whole(self, line: bytes) -> None:
        """Append a line, or nothing: a disk that fills up in the middle must not leave half of one."""
        written = os.write(self._file, line)
        if written != len(line):
            os.ftruncate(self._file, self._size)
            raise OSError(ENOSPC, "No space left on device")
        self._size += written

    async def lines(self) -> AsyncIterator[bytes]:
        """All that is remembered, oldest first, in pieces of whole lines."""
        if self._file < 0:
            newest = list(self._newest)
            for start in range(0, len(newest), 500):
                yield b"".join(newest[start : start + 500])
            return
        offset, rest, end = 0, b"", self._size
        while offset < end:
            piece = os.pread(self._file, min(CHUNK, end - offset), offset)
            if not piece:
                return
            offset += len(piece)
            whole, newline, tail = (rest + piece).rpartition(b"\n")
            rest = tail
            if newline:
                yield whole + newline

    async def after(self, place: int) -> AsyncIterator[tuple[int, Accepted]]:
        """The messages that came later than that place, with their places."""
        at = self.count - len(self._newest) if self._file < 0 else 0
        async for piece in self.lines():
            lines = piece.splitlines()
            if at + len(lines) <= place:
                at += len(lines)
                continue
            for line in lines:
                at += 1
                if at > place:
                    yield at, msgspec.json.decode(line, type=Accepted)

    def clear(self) -> None:
        self._newest.clear()
        self.count = 0
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            self._size = 0

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def repair(file: int) -> tuple[int, int]:
    """Cut off a last line that was not finished when the program was killed; the number of lines, and of bytes."""
    offset = lines = whole = 0
    while piece := os.pread(file, CHUNK, offset):
        lines += piece.count(b"\n")
        if b"\n" in piece:
            whole = offset + piece.rindex(b"\n") + 1
        offset += len(piece)
    if whole != offset:
        os.ftruncate(file, whole)
    return lines, whole
