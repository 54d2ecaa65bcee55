"""Wake-ups between processes: none is missed by a listener that is there, however others come and go."""

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from heliograph.store.signals import Signals


async def until_heard(heard: list[str], topic: str, within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while topic not in heard:
        assert time.monotonic() < deadline, f"{topic} was not heard"
        await asyncio.sleep(0.001)


async def test_listeners_that_come_while_others_announce(tmp_path: Path) -> None:
    """A listener that begins while another process announces without a pause hears it; none leaves anything behind."""
    speaker, listener = Signals(tmp_path), Signals(tmp_path)
    ended = threading.Event()

    def speak() -> None:
        while not ended.is_set():
            speaker.announce({"news"})

    speaking = threading.Thread(target=speak)
    speaking.start()
    try:
        for _ in range(100):
            heard: list[str] = []
            stop = listener.listen(heard.append)
            await until_heard(heard, "news")
            stop()
    finally:
        ended.set()
        speaking.join()
        speaker.close()
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - at once


async def test_an_announcement_between_two_steps_of_listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that is there but not yet read is not taken for that of a dead process, and not swept away."""
    speaker = Signals(tmp_path)
    make = os.mkfifo

    def make_and_announce(path: Any, mode: int) -> None:
        make(path, mode)
        speaker.announce({"too early"})

    monkeypatch.setattr(os, "mkfifo", make_and_announce)
    heard: list[str] = []
    stop = speaker.listen(heard.append)
    speaker.announce({"news"})
    await until_heard(heard, "news")
    stop()
    speaker.close()


async def test_a_listener_that_comes_within_one_tick(tmp_path: Path) -> None:
    """Where the time of change of a folder is coarse, a listener that comes right after a look is found all the same."""
    speaker = Signals(tmp_path)
    heard: list[str] = []
    stop_first = speaker.listen(lambda _topic: None)
    speaker.announce({"look"})
    before = os.stat(tmp_path)  # noqa: PTH116 - at once
    stop_second = speaker.listen(heard.append)
    os.utime(tmp_path, ns=(before.st_atime_ns, before.st_mtime_ns))
    speaker.announce({"news"})
    await until_heard(heard, "news")
    stop_first()
    stop_second()
    speaker.close()


def test_the_dead_are_swept(tmp_path: Path) -> None:
    """The pipe of a process that was killed goes at the next announcement, and holds nobody up."""
    os.mkfifo(tmp_path / "1-dead")
    speaker = Signals(tmp_path)
    speaker.announce({"news"})
    assert list(tmp_path.iterdir()) == []
    speaker.close()
