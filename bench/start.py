"""From the start of `heliograph serve` to its readiness, against a Python that does nothing."""

import subprocess
import sys
import time

from bench.figures import Figure, Options, by_round
from bench.rig import ALL_CORES, SERVER_CORE, Process, installation, wait_for, work_folder

WHAT = "`heliograph serve` on a database that is up to date, until /readyz answers 200; against `python -c pass`"


def run(options: Options) -> list[Figure]:
    rows: list[dict[str, float]] = []
    with work_folder() as folder, installation(folder) as made:
        for _ in range(options.rounds + 1):
            began_at = time.perf_counter()
            subprocess.run(["taskset", "-c", SERVER_CORE, sys.executable, "-c", "pass"], check=True)
            bare_s = time.perf_counter() - began_at
            began_at = time.perf_counter()
            process = Process(folder, "serve", "heliograph", "serve", core=ALL_CORES, environ=made.environ)
            try:
                wait_for(process, f"{made.url}/readyz")
                ready_s = time.perf_counter() - began_at
            finally:
                process.stop()
            rows.append({"ratio": ready_s / bare_s, "ready_s": ready_s, "bare_s": bare_s})
    rows = rows[1:]  # the first one compiles and reads everything from the disk
    return [
        by_round(rows, "start to ready, of python -c pass", "ratio", "×", "≤ 20"),
        by_round(rows, "start to ready", "ready_s", "s"),
        by_round(rows, "python -c pass", "bare_s", "s"),
    ]
