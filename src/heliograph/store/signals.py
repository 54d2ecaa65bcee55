"""Wake-ups between the processes of one machine: a named pipe for each listener in a folder that they share.

A pipe needs no port and obeys the folder's permissions. Writing never blocks: a full pipe means that its reader has
plenty to wake up for already. A pipe whose reader died is found by ENXIO and removed.
"""

import asyncio
import contextlib
import errno
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

COARSEST_NS = 100_000_000  # file systems tell the time of a change in steps of up to 10 ms


class Signals:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._writers: dict[str, int] = {}
        self._seen_mtime_ns = -1
        self._lock = threading.Lock()  # the writer thread and the loop both announce

    def announce(self, topics: set[str]) -> None:
        """Tell each topic to every listener of every process, this one included. Never blocks, never raises."""
        if not topics:
            return
        line = "".join(f"{topic}\n" for topic in topics).encode()
        with self._lock:
            self._find_listeners()
            for name, descriptor in list(self._writers.items()):
                try:
                    os.write(descriptor, line)
                except BlockingIOError:
                    continue
                except OSError:
                    self._forget(name)

    def _find_listeners(self) -> None:
        try:
            mtime_ns = self._folder.stat().st_mtime_ns
        except OSError:
            return
        if mtime_ns == self._seen_mtime_ns:
            return
        # A time that is not over may be that of a later change too: then look again next time.
        self._seen_mtime_ns = mtime_ns if time.time_ns() - mtime_ns > COARSEST_NS else -1
        names = {entry.name for entry in os.scandir(self._folder) if not entry.name.startswith(".")}
        for name in set(self._writers) - names:
            self._forget(name, remove=False)
        for name in names - set(self._writers):
            try:
                self._writers[name] = os.open(self._folder / name, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    self._forget(name)

    def _forget(self, name: str, *, remove: bool = True) -> None:
        descriptor = self._writers.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)
        if remove:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        """Call `heard(topic)` on the running loop; returns how to stop."""
        loop = asyncio.get_running_loop()
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        path, draft = self._folder / name, self._folder / f".{name}"
        os.mkfifo(draft, 0o600)
        # Opened for writing too, so that the pipe never reports its end when the last writer goes.
        descriptor = os.open(draft, os.O_RDWR | os.O_NONBLOCK)
        draft.rename(path)  # seen only now: a pipe without a reader counts as one of the dead

        def on_readable() -> None:
            try:
                said = os.read(descriptor, 65_536)
            except BlockingIOError:
                return
            for topic in dict.fromkeys(said.decode(errors="replace").split("\n")):
                if topic:
                    heard(topic)

        loop.add_reader(descriptor, on_readable)

        def stop() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            with contextlib.suppress(OSError):
                path.unlink()

        return stop

    def close(self) -> None:
        with self._lock:
            for name in list(self._writers):
                self._forget(name, remove=False)
