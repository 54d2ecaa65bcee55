"""A hundred recipients a call, against the database's own bulk insert of the same rows."""

import os
import time
from pathlib import Path

import apsw

from bench.figures import Figure, Options, by_round
from bench.rig import SERVER_CORE, Installation, installation, serving, work_folder, wrk
from heliograph.store.messages import MESSAGE

WHAT = "v3 send with 100 recipients, 16 connections; against INSERT … SELECT of the same rows into equal tables"
RECIPIENTS = 100
COLUMNS = f"{MESSAGE}, state_rank"


def bulk_insert(made: Installation, rows: int) -> float:
    """Rows a second that SQLite itself inserts into equal tables, 6,400 a commit, on the server's core."""
    path = made.folder / "copy.db"
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        name.unlink(missing_ok=True)
    database = apsw.Connection(str(made.settings.sqlite_path))
    database.set_busy_timeout(10_000)
    database.execute("ATTACH ? AS copy", (str(path),))
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 4000", "cache_size = -32768"):
        database.execute(f"PRAGMA copy.{pragma}").fetchall()
    for kind in ("table", "index"):
        found = database.execute(
            "SELECT sql FROM main.sqlite_master WHERE type = ? AND tbl_name IN ('message', 'send_due') AND sql IS NOT NULL",
            (kind,),
        ).fetchall()
        for sql in (str(row[0]) for row in found):
            head = "CREATE UNIQUE INDEX " if "UNIQUE INDEX" in sql else f"CREATE {kind.upper()} "
            database.execute(sql.replace(head, f"{head}copy.", 1))
    # The rows lie in memory before the clock starts: what is measured is writing.
    newest = int(str(database.execute("SELECT max(seq) FROM main.message").fetchall()[0][0]))
    first = max(1, newest - rows)
    bounds = (first, newest)
    database.execute("ATTACH ':memory:' AS ram")
    database.execute(
        f"CREATE TABLE ram.message AS SELECT {COLUMNS} FROM main.message WHERE seq >= ? AND seq < ?", bounds
    )
    database.execute(
        "CREATE TABLE ram.due AS SELECT m.seq AS seq, d.* FROM ram.message AS m JOIN main.send_due AS d "
        "ON d.account_id = m.account_id AND d.message_id = m.id"
    )
    database.execute("CREATE INDEX ram.by_seq ON message (seq); CREATE INDEX ram.due_by_seq ON due (seq)")
    due = ", ".join(str(row[1]) for row in database.execute("PRAGMA main.table_info('send_due')").fetchall())
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(SERVER_CORE)})
    began_at = time.perf_counter()
    try:
        for low in range(first, newest, 6400):
            part = (low, min(low + 6400, newest))
            database.execute("BEGIN IMMEDIATE")
            database.execute(
                f"INSERT INTO copy.message ({COLUMNS}) SELECT {COLUMNS} FROM ram.message WHERE seq >= ? AND seq < ?",
                part,
            )
            database.execute(
                f"INSERT INTO copy.send_due ({due}) SELECT {due} FROM ram.due WHERE seq >= ? AND seq < ?", part
            )
            database.execute("COMMIT")
        return (newest - first) / (time.perf_counter() - began_at)
    finally:
        os.sched_setaffinity(0, before)
        database.close()


def run(options: Options) -> list[Figure]:
    rows: list[dict[str, float]] = []
    with work_folder() as folder, installation(folder) as made, serving(made, "api") as (api,):
        wrk(made.url, "many", made.token, 1, connections=16, recipients=RECIPIENTS)
        for _ in range(options.rounds):
            before = api.cpu_s
            seen = wrk(made.url, "many", made.token, options.seconds, connections=16, recipients=RECIPIENTS)
            cpu_s = api.cpu_s - before
            ours = seen.per_s * RECIPIENTS
            bulk = bulk_insert(made, min(round(ours), 100_000))
            messages = seen.requests * RECIPIENTS
            rows.append({"ratio": ours / bulk, "ours": ours, "bulk": bulk, "cpu_us": cpu_s / messages * 1e6})
    return [
        by_round(rows, "rows a second, of the database's own bulk insert", "ratio", "×", "≥ 0.25"),
        by_round(rows, "messages accepted a second", "ours", "/s"),
        by_round(rows, "bulk insert", "bulk", "/s"),
        by_round(rows, "CPU of a message", "cpu_us", "µs"),
    ]
