"""One, two and three nodes on one PostgreSQL: CPU of Heliograph for a message from accept to its last report."""

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg

from bench.figures import Figure, Options, by_round
from bench.postgresql import KEY
from bench.rig import UNLIMITED, Carrier, Installation, Process, carrier, serving, work_folder, wrk
from bench.shared import postgresql

WHAT = (
    "whole lives with one, two and three nodes (an API and a dispatcher each, all on one core; PostgreSQL, wrk and the emulator on "
    "the other): CPU of all nodes for a message, against that of one node"
)
NODES = 3


async def unfinished(database_url: str) -> int:
    connection = await asyncpg.connect(database_url)
    try:
        found = await connection.fetchval(
            "SELECT (SELECT count(*) FROM send_due) + (SELECT count(*) FROM callback_due) + "
            "(SELECT count(*) FROM message WHERE state = 'sent')"
        )
        return int(found)
    finally:
        await connection.close()


def wait_until_done(database_url: str, within_s: float = 300.0) -> None:
    deadline = time.monotonic() + within_s
    while left := asyncio.run(unfinished(database_url)):
        assert time.monotonic() < deadline, f"{left} messages are not delivered"
        time.sleep(0.25)


def lives_us(made: list[Installation], processes: list[Process], options: Options) -> float:
    """CPU in µs for a message, the load spread over the nodes."""
    before = sum(process.cpu_s for process in processes)
    with ThreadPoolExecutor(len(made)) as threads:
        share = 18 // len(made)
        seen = list(threads.map(lambda m: wrk(m.url, "v3", made[0].token, options.seconds, connections=share), made))
    wait_until_done(made[0].settings.database_url)
    return (sum(process.cpu_s for process in processes) - before) / sum(s.requests for s in seen) * 1e6


def open_nodes(folder: Path, database_url: str, running: Carrier) -> list[Installation]:
    """Installations on one database; the account is the first one's."""
    made = []
    for number in range(NODES):
        home = folder / f"node{number}"
        home.mkdir()
        made.append(Installation(home, database_url=database_url, secret_key=KEY))
    asyncio.run(made[0].open_account(running.url, UNLIMITED))
    return made


def run(options: Options) -> list[Figure]:
    rows: list[dict[str, float]] = [{} for _ in range(options.rounds)]
    with work_folder() as folder, carrier(folder, "--no-pair-limit", "--no-pace-limit") as running:
        for turn in range(options.rounds):
            for count in (1, 2, 3) if turn % 2 else (3, 2, 1):
                place = folder / f"{turn}-{count}"
                place.mkdir()
                with postgresql() as database_url, contextlib.ExitStack() as stack:
                    made = open_nodes(place, database_url, running)[:count]
                    processes = [p for m in made for p in stack.enter_context(serving(m, "api", "dispatch"))]
                    asyncio.run(made[0].subscribe())
                    wrk(made[0].url, "v3", made[0].token, 1, connections=18)
                    wait_until_done(database_url)
                    rows[turn][str(count)] = lives_us(made, processes, options)
    for row in rows:
        row["two"], row["three"] = row["2"] / row["1"], row["3"] / row["1"]
    return [
        by_round(rows, "two nodes: CPU of a message, of one node's", "two", "×", "≤ 1.15"),
        by_round(rows, "three nodes: CPU of a message, of one node's", "three", "×", "≤ 1.15"),
        by_round(rows, "one node: CPU of a message", "1", "µs"),
        by_round(rows, "two nodes: CPU of a message", "2", "µs"),
        by_round(rows, "three nodes: CPU of a message", "3", "µs"),
    ]
