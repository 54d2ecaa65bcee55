"""The whole life of a message: accepted, sent, three reports applied; CPU of all processes of ours."""

import asyncio
import json
import subprocess
import sys
import time

import apsw

from bench.figures import Figure, Options, by_round
from bench.rig import (
    SERVER_CORE,
    UNLIMITED,
    Carrier,
    Installation,
    Measured,
    bare_echo,
    carrier,
    serving,
    work_folder,
    wrk,
)

WHAT = (
    "accept, HTTP to the emulator (a process of its own on the other core, not counted), three signed callbacks applied: "
    "CPU of API and dispatcher for a message, against four bare ASGI echoes and one bare aiohttp POST to another emulator"
)
CALLBACKS = {"effect": {"statuses": [{"word": "sent"}, {"word": "delivered"}, {"word": "read"}]}}


def bare_post(url: str, count: int, at_once: int, core: str = SERVER_CORE) -> dict[str, float]:
    done = subprocess.run(
        ["taskset", "-c", core, sys.executable, "-m", "bench.bare_post", url, str(count), str(at_once)],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def unfinished(made: Installation) -> int:
    connection = apsw.Connection(str(made.settings.sqlite_path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(10_000)
    try:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM message WHERE state <> 'read') + (SELECT count(*) FROM callback_due)"
        ).fetchall()[0]
        return int(str(row[0]))
    finally:
        connection.close()


def wait_until_done(made: Installation, within_s: float = 300.0) -> None:
    deadline = time.monotonic() + within_s
    while unfinished(made):
        assert time.monotonic() < deadline, f"{unfinished(made)} messages are not read"
        time.sleep(0.25)


def life_us(made: Installation, processes: list[Measured], options: Options) -> tuple[float, int]:
    """CPU in µs for a message, and how many there were."""
    before = sum(process.cpu_s for process in processes)
    seen = wrk(made.url, "v3", made.token, options.seconds, connections=16)
    wait_until_done(made)
    return (sum(process.cpu_s for process in processes) - before) / seen.requests * 1e6, seen.requests


def add_fault(running: Carrier) -> None:
    import urllib.request

    request = urllib.request.Request(
        f"{running.url}/__emulator/faults", json.dumps(CALLBACKS).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).read()


def run(options: Options) -> list[Figure]:
    rows: list[dict[str, float]] = []
    with (
        work_folder() as folder,
        bare_echo(folder) as (bare, bare_url),
        carrier(folder, "--no-pair-limit", "--no-pace-limit") as running,
        carrier(folder, "--no-pair-limit", "--no-pace-limit") as other,
    ):
        add_fault(running)
        made = Installation(folder)
        asyncio.run(made.open_account(running.url, UNLIMITED))
        with serving(made, "api", "dispatch") as processes:
            asyncio.run(made.subscribe())
            wrk(made.url, "v3", made.token, 1, connections=16)
            wait_until_done(made)
            for _ in range(options.rounds):
                before = bare.cpu_s
                echoes = wrk(bare_url, "echo", made.token, options.seconds, connections=16)
                echo_us = (bare.cpu_s - before) / echoes.requests * 1e6
                post_us = bare_post(other.url, 3000, 16)["cpu_s"] / 3000 * 1e6
                ours_us, count = life_us(made, [*processes], options)
                base_us = 4 * echo_us + post_us
                rows.append(
                    {
                        "ratio": ours_us / base_us,
                        "ours_us": ours_us,
                        "echo_us": echo_us,
                        "post_us": post_us,
                        "count": count,
                    }
                )
    return [
        by_round(rows, "CPU of a whole life, of four echoes and a POST", "ratio", "×", "≤ 1.8"),
        by_round(rows, "CPU of a whole life", "ours_us", "µs"),
        by_round(rows, "CPU of a bare echo", "echo_us", "µs"),
        by_round(rows, "CPU of a bare POST", "post_us", "µs"),
        by_round(rows, "messages in a round", "count", ""),
    ]
