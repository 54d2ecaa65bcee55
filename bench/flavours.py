"""The other shapes of a send: the http flavour as `curl -d` sends it, and GET with everything in the query."""

from bench.accept import measure
from bench.figures import Figure, Options, by_round
from bench.rig import installation, serving, work_folder, wrk

WHAT = (
    "POST /api/http/sms/send as `curl -d` labels it, and GET with a query; against the v3 send of the same installation"
)


def run(options: Options) -> list[Figure]:
    rows: list[dict[str, float]] = []
    styles = ["v3", "http", "query"]
    with work_folder() as folder, installation(folder) as made, serving(made, "api") as (api,):
        wrk(made.url, "v3", made.token, 1)
        for turn in range(options.rounds):
            order = styles[turn % 3 :] + styles[: turn % 3]
            seen = {style: measure(api, made.url, style, made.token, options) for style in order}
            row: dict[str, float] = {}
            for style in ("http", "query"):
                row[style] = seen[style][0].per_s / seen["v3"][0].per_s
                row[f"{style}_cpu"] = seen["v3"][1] / seen[style][1]
            rows.append(row)
    return [
        by_round(rows, "http flavour as curl -d sends it, of v3's accepts a second", "http", "×", "≥ 0.9"),
        by_round(rows, "GET with query, of v3's accepts a second", "query", "×", "≥ 0.9"),
        by_round(rows, "http flavour, per second of CPU", "http_cpu", "×"),
        by_round(rows, "GET with query, per second of CPU", "query_cpu", "×"),
    ]
