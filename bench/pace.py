"""Pace: a backlog leaves at the number's limit, and never above it in any sliding second."""

import asyncio
import time
from itertools import pairwise

import apsw

from bench.figures import Figure, Options
from bench.loading import queue_messages
from bench.rig import Installation, serving, work_folder
from bench.stub import StubCarrier

WHAT = (
    "a backlog to a sender of 80 and one of 1,000 a second: what arrived a second, of the limit, and the fullest sliding second, "
    "by our clock and by the carrier's"
)
PACES = (80, 1000)


def run(options: Options) -> list[Figure]:
    figures = []
    for per_s in PACES:
        with work_folder() as folder, StubCarrier() as stub:
            made = Installation(folder)
            asyncio.run(made.open_account(stub.url, per_s))
            with serving(made, "api"):
                queue_messages(made, per_s * (options.pace_s + 5))
                with serving(made, "dispatch"):
                    wait_for_arrivals(stub, per_s * options.pace_s)
            began = attempt_times_ns(made)
            arrived = stub.arrived_ns[per_s : per_s * options.pace_s]  # the first second settles
        share = (len(arrived) - 1) / ((arrived[-1] - arrived[0]) / 1e9) / per_s
        by_us, by_carrier = fullest_second(began) / per_s, fullest_second(arrived) / per_s
        late_ms = max(later - at for at, later in pairwise(arrived)) / 1e6
        figures += [
            Figure(name=f"{per_s}/s: sent, of the limit", unit="×", values=[share], goal="≥ 0.97"),
            Figure(
                name=f"{per_s}/s: the fullest sliding second as attempts begin", unit="×", values=[by_us], goal="≤ 1"
            ),
            Figure(
                name=f"{per_s}/s: the fullest sliding second as they arrive", unit="×", values=[by_carrier], goal="≤ 1"
            ),
            Figure(name=f"{per_s}/s: the longest gap between two arrivals", unit="ms", values=[late_ms]),
        ]
    return figures


def attempt_times_ns(made: Installation) -> list[int]:
    """When each attempt began by the dispatcher's own clock: its evidence rows."""
    database = apsw.Connection(str(made.settings.sqlite_path))
    try:
        rows = database.execute("SELECT at_ms FROM message_event WHERE name = 'attempt 1' ORDER BY at_ms").fetchall()
        return [int(str(row[0])) * 1_000_000 for row in rows]
    finally:
        database.close()


def wait_for_arrivals(stub: StubCarrier, count: int) -> None:
    while len(stub.arrived_ns) < count:
        time.sleep(0.1)


def fullest_second(times_ns: list[int]) -> int:
    """How many lie in the fullest window of one second."""
    most = low = 0
    for high, at in enumerate(times_ns):
        while times_ns[low] <= at - 1_000_000_000:
            low += 1
        most = max(most, high - low + 1)
    return most
