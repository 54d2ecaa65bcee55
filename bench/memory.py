"""Memory of all processes: idle, and with many messages waiting."""

from bench.figures import Figure, Options
from bench.loading import queue_messages
from bench.rig import ALL_CORES, Process, children_of, installation, wait_for, work_folder

WHAT = (
    "proportional set size of supervisor, API and dispatcher: idle, and with messages queued while the carrier is away"
)


def total_mb(process: Process) -> float:
    return process.memory_mb + sum(child.memory_mb for child in children_of(process))


def run(options: Options) -> list[Figure]:
    with work_folder() as folder, installation(folder) as made:
        process = Process(folder, "serve", "heliograph", "serve", core=ALL_CORES, environ=made.environ)
        try:
            wait_for(process, f"{made.url}/readyz")
            queue_messages(made, 1)
            idle = total_mb(process)
            queue_messages(made, options.queued)
            full = total_mb(process)
        finally:
            process.stop()
    return [
        Figure(name="idle, all processes", unit="MB", values=[idle], goal="≤ 220"),
        Figure(name=f"more with {options.queued:,} messages queued", unit="MB", values=[full - idle], goal="≤ 60"),
    ]
