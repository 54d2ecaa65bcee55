"""Accept: one message a call, 64 connections, real token, validation, each answer after its commit."""

from bench.figures import Figure, Options, by_round
from bench.rig import Process, Wrk, bare_echo, installation, serving, work_folder, wrk

WHAT = (
    "v3 send with 64 connections, real token and validation, synchronous=FULL, one API worker, SQLite; "
    "against a bare ASGI echo on the same server"
)


def measure(
    process: Process, url: str, style: str, token: str, options: Options, recipients: int = 1
) -> tuple[Wrk, float]:
    """What wrk saw, and the server's CPU time per request in µs."""
    before = process.cpu_s
    seen = wrk(url, style, token, options.seconds, recipients=recipients)
    return seen, (process.cpu_s - before) / seen.requests * 1e6


def run(options: Options) -> list[Figure]:
    rows: list[dict[str, float]] = []
    with (
        work_folder() as folder,
        work_folder() as second,
        bare_echo(folder) as (bare, bare_url),
        installation(folder) as made,
        installation(second) as loose,
        serving(made, "api") as (api,),
        serving(loose, "unsynced") as (unsynced,),
    ):
        all_of_them = [(bare, bare_url, "echo"), (api, made.url, "v3"), (unsynced, loose.url, "unsynced")]
        tokens = {"echo": made.token, "v3": made.token, "unsynced": loose.token}
        for _, url, name in all_of_them:
            wrk(url, "echo" if name == "echo" else "v3", tokens[name], 1)
        for turn in range(options.rounds):
            seen = {
                name: measure(process, url, "echo" if name == "echo" else "v3", tokens[name], options)
                for process, url, name in all_of_them[:: 1 - 2 * (turn % 2)]
            }
            (echo, echo_us), (v3, v3_us), (off, off_us) = seen["echo"], seen["v3"], seen["unsynced"]
            rows.append(
                {
                    "ratio": v3.per_s / echo.per_s,
                    "p99_ratio": v3.p99_us / echo.p99_us,
                    "cpu_ratio": echo_us / v3_us,
                    "per_s": v3.per_s,
                    "bare_per_s": echo.per_s,
                    "p50_ms": v3.p50_us / 1000,
                    "p99_ms": v3.p99_us / 1000,
                    "bare_p99_ms": echo.p99_us / 1000,
                    "cpu_us": v3_us,
                    "bare_cpu_us": echo_us,
                    "off_per_s": off.per_s,
                    "off_ratio": off.per_s / echo.per_s,
                    "off_cpu_us": off_us,
                }
            )
    return [
        by_round(rows, "accepts a second, of the bare echo's", "ratio", "×", "≥ 0.60"),
        by_round(rows, "p99, of the bare echo's", "p99_ratio", "×", "≤ 4"),
        by_round(rows, "requests per second of CPU, of the bare echo's", "cpu_ratio", "×"),
        by_round(rows, "accepts a second", "per_s", "/s"),
        by_round(rows, "bare echo", "bare_per_s", "/s"),
        by_round(rows, "p50", "p50_ms", "ms"),
        by_round(rows, "p99", "p99_ms", "ms"),
        by_round(rows, "bare echo's p99", "bare_p99_ms", "ms"),
        by_round(rows, "CPU of an accept", "cpu_us", "µs"),
        by_round(rows, "CPU of a bare echo", "bare_cpu_us", "µs"),
        by_round(rows, "with synchronous=OFF: accepts a second, of the bare echo's", "off_ratio", "×"),
        by_round(rows, "with synchronous=OFF: accepts a second", "off_per_s", "/s"),
        by_round(rows, "with synchronous=OFF: CPU of an accept", "off_cpu_us", "µs"),
    ]
