"""Accept on PostgreSQL: the same calls as `accept`, each answer after a commit with fsync=on and synchronous_commit=on."""

from bench.accept import measure
from bench.figures import Figure, Options, by_round
from bench.rig import bare_echo, installation, serving, work_folder, wrk
from bench.shared import postgresql

WHAT = (
    "v3 send with 64 connections, real token and validation, one API worker, PostgreSQL with fsync=on on the load's core; "
    "against a bare ASGI echo on the same server"
)


def run(options: Options) -> list[Figure]:
    rows: list[dict[str, float]] = []
    with (
        work_folder() as folder,
        postgresql() as database_url,
        bare_echo(folder) as (bare, bare_url),
        installation(folder, database_url=database_url, secret_key=KEY) as made,
        serving(made, "api") as (api,),
    ):
        wrk(bare_url, "echo", made.token, 1)
        wrk(made.url, "v3", made.token, 1)
        for turn in range(options.rounds):
            both = [(bare, bare_url, "echo"), (api, made.url, "v3")]
            seen = {
                style: measure(process, url, style, made.token, options)
                for process, url, style in both[:: 1 - 2 * (turn % 2)]
            }
            (echo, echo_us), (v3, v3_us) = seen["echo"], seen["v3"]
            rows.append(
                {
                    "ratio": v3.per_s / echo.per_s,
                    "p99_ratio": v3.p99_us / echo.p99_us,
                    "cpu_ratio": echo_us / v3_us,
                    "per_s": v3.per_s,
                    "bare_per_s": echo.per_s,
                    "p99_ms": v3.p99_us / 1000,
                    "cpu_us": v3_us,
                }
            )
    return [
        by_round(rows, "PostgreSQL: accepts a second, of the bare echo's", "ratio", "×", "≥ 0.60"),
        by_round(rows, "PostgreSQL: p99, of the bare echo's", "p99_ratio", "×", "≤ 4"),
        by_round(rows, "requests per second of CPU, of the bare echo's", "cpu_ratio", "×"),
        by_round(rows, "accepts a second", "per_s", "/s"),
        by_round(rows, "bare echo", "bare_per_s", "/s"),
        by_round(rows, "p99", "p99_ms", "ms"),
        by_round(rows, "CPU of an accept", "cpu_us", "µs"),
    ]


KEY = "YmVuY2gga2V5LCBub3QgYSBzZWNyZXQgYXQgYWxsISE="  # of throw-away databases
