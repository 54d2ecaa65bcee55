"""What a benchmark gives: figures with their spread, kept as one JSON file a run."""

import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import apsw
import msgspec
from msgspec import Struct

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("granian", "uvloop", "msgspec", "apsw", "aiohttp", "phonenumbers")


class Options(Struct, frozen=True, kw_only=True):
    rounds: int = 5
    seconds: int = 3  # of each measurement under load
    big: int = 1_000_000  # messages in the history
    queued: int = 100_000  # messages that wait
    pace_s: int = 60


class Figure(Struct, frozen=True, kw_only=True):
    """One measured value a round, best read as its median. goal: '≥ 0.60', or '' for a fact that stands beside a goal."""

    name: str
    unit: str
    values: list[float]
    goal: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        if not self.goal:
            return None
        sign, number = self.goal.split()[:2]
        return self.median >= float(number) if sign == "≥" else self.median <= float(number)

    def row(self) -> str:
        spread = f"{short(min(self.values))} to {short(max(self.values))}" if len(self.values) > 1 else "–"
        met = {True: "yes", False: "**no**", None: ""}[self.met]
        return f"| {self.name} | {short(self.median)} {self.unit} | {spread} | {self.goal} | {met} |"


def short(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


class Run(Struct, frozen=True, kw_only=True):
    benchmark: str
    what: str
    at: str
    machine: dict[str, Any]
    options: Options
    figures: list[Figure]


def by_round(rows: list[dict[str, float]], name: str, key: str, unit: str, goal: str = "") -> Figure:
    return Figure(name=name, unit=unit, values=[row[key] for row in rows], goal=goal)


def save(run: Run) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{run.at.replace(':', '')}-{run.benchmark}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run)))
    return path


def newest(benchmark: str) -> Run | None:
    found = sorted(RESULTS.glob(f"*-{benchmark}.json"))
    return msgspec.json.decode(found[-1].read_bytes(), type=Run) if found else None


def now_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def describe_machine() -> dict[str, Any]:
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "wrk": wrk_version(),
        "fsync_ms": round(fsync_ms(), 3),
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def wrk_version() -> str:
    if shutil.which("wrk") is None:
        return "missing"
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).split("[")[0].strip()


def fsync_ms() -> float:
    """The median of a hundred small synced writes, where the databases of the benchmarks are made."""
    times = []
    with tempfile.TemporaryFile(prefix="heliograph-bench-") as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            file.flush()
            began_at = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began_at) * 1000)
    return statistics.median(times)


def check_platform() -> None:
    """Raises SystemExit where the measurements would mean nothing."""
    if sys.platform != "linux" or shutil.which("taskset") is None:
        raise SystemExit("bench pins processes to cores and reads /proc: it runs on Linux, with taskset (util-linux).")
    if sqlite3.sqlite_version_info < (3, 35):
        raise SystemExit("bench needs SQLite 3.35 or newer.")
