"""The API with synchronous=OFF, for one figure beside peers that never sync: an answer is then not on the disk.

python -m bench.unsynced, with the environment of `heliograph serve --role api`. The product itself has no such setting."""

from functools import partial

import uvloop

from heliograph.cli.processes import run_api
from heliograph.config import read_settings
from heliograph.logs import set_up_logs
from heliograph.store.sqlite import SqliteDatabase

if __name__ == "__main__":
    SqliteDatabase.open = partial(SqliteDatabase.open, synchronous="OFF")  # type: ignore[method-assign]
    settings = read_settings()
    set_up_logs(settings, "api")
    uvloop.run(run_api(settings))
