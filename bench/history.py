"""Reading and accepting with a long history, against a short one."""

import http.client
import random
import statistics
import time

from bench.accept import measure
from bench.figures import Figure, Options, by_round
from bench.loading import uid_at, write_history
from bench.rig import Installation, installation, serving, work_folder, wrk

WHAT = "one call at a time, and accepts with 64 connections, on a long history and on one of 1,000 messages"
SMALL = 1_000
CALLS = 200


def call_ms(made: Installation, paths: list[str]) -> float:
    """The median time of a call."""
    connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=60)
    headers = {"Authorization": f"Bearer {made.token}", "Accept": "application/json"}
    times = []
    for path in paths:
        began_at = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - began_at) * 1000)
        assert answer.status == 200, path
    connection.close()
    return statistics.median(times)


def run(options: Options) -> list[Figure]:
    rows: list[dict[str, float]] = []
    chance = random.Random(20261125)
    with (
        work_folder() as one,
        work_folder() as two,
        installation(one) as small,
        installation(two) as big,
    ):
        write_history(small, SMALL)
        write_history(big, options.big)
        with serving(small, "api") as (small_api,), serving(big, "api") as (big_api,):
            for turn in range(options.rounds + 1):
                row: dict[str, float] = {}
                last = {small: SMALL // 25, big: min(1_000, options.big // 25)}
                count = {small: SMALL, big: options.big}
                for made in (small, big)[:: 1 - 2 * (turn % 2)]:
                    name = "small" if made is small else "big"
                    uids = [uid_at(chance.randrange(count[made])) for _ in range(CALLS)]
                    row[f"view_{name}"] = call_ms(made, [f"/api/v3/sms/{uid}" for uid in uids])
                    row[f"first_{name}"] = call_ms(made, ["/api/v3/sms"] * CALLS)
                    row[f"deep_{name}"] = call_ms(made, [f"/api/v3/sms?page={last[made]}"] * CALLS)
                rows.append(row)
            rows = rows[1:]
            wrk(small.url, "v3", small.token, 1)
            wrk(big.url, "v3", big.token, 1)
            for turn, row in enumerate(rows):
                both = [(small_api, small, "small"), (big_api, big, "big")]
                for process, made, name in both[:: 1 - 2 * (turn % 2)]:
                    seen, cpu_us = measure(process, made.url, "v3", made.token, options)
                    row[f"accept_{name}"], row[f"cpu_{name}"] = seen.per_s, cpu_us
    for row in rows:
        for what in ("view", "first", "deep", "accept", "cpu"):
            row[what] = row[f"{what}_big"] / row[f"{what}_small"]
    long = f"{options.big:,}"
    return [
        by_round(rows, f"view by uid among {long}, of the time among {SMALL:,}", "view", "×", "≤ 1.3"),
        by_round(rows, f"first page of {long}, of that of {SMALL:,}", "first", "×", "≤ 1.3"),
        by_round(rows, f"page 1,000 of {long}, of the last page of {SMALL:,}", "deep", "×", "≤ 1.3"),
        by_round(rows, f"accepts a second with {long} in the history, of those with {SMALL:,}", "accept", "×", "≥ 0.9"),
        by_round(rows, "CPU of an accept, long history of short", "cpu", "×"),
        by_round(rows, "view by uid, long history", "view_big", "ms"),
        by_round(rows, "page 1,000, long history", "deep_big", "ms"),
    ]
