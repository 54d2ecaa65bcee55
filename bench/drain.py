"""Drain: a full queue leaves through one sender without a pace limit, against a bare HTTP client and the same emulator."""

import asyncio
import time

from bench.figures import Figure, Options, by_round
from bench.lifecycle import bare_post
from bench.loading import queue_messages
from bench.rig import UNLIMITED, Installation, carrier, serving, work_folder

WHAT = (
    "messages a second out of a full queue, one sender without a pace limit, to the emulator on the other core; against aiohttp "
    "with 128 connections that does nothing else"
)
AT_ONCE = 128


def run(options: Options) -> list[Figure]:
    rows: list[dict[str, float]] = []
    share = options.queued // options.rounds
    options_of_carrier = ("--no-pair-limit", "--no-pace-limit")
    with (
        work_folder() as folder,
        carrier(folder, *options_of_carrier) as running,
        carrier(folder, *options_of_carrier) as other,
    ):
        made = Installation(folder)
        asyncio.run(made.open_account(running.url, UNLIMITED))
        with serving(made, "api"):
            queue_messages(made, options.queued)
        for turn in range(options.rounds):
            bare = bare_post(other.url, 5_000, AT_ONCE)
            with serving(made, "dispatch"):
                while running.count() < turn * share + 200:
                    time.sleep(0.01)
                first, began_at = running.count(), time.monotonic()
                while (last := running.count()) < (turn + 1) * share - 100:
                    time.sleep(0.02)
                ours = (last - first) / (time.monotonic() - began_at)
            rows.append({"ratio": ours / (5_000 / bare["seconds"]), "ours": ours, "bare": 5_000 / bare["seconds"]})
    return [
        by_round(rows, "messages a second out of the queue, of the bare client's", "ratio", "×", "≥ 0.5"),
        by_round(rows, "out of the queue", "ours", "/s"),
        by_round(rows, "bare client", "bare", "/s"),
    ]
