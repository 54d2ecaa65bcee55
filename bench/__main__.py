"""python -m bench [NAME …] [--rounds N] [--seconds S] [--big N] [--queued N] [--pace-s S] | python -m bench report"""

import argparse
import importlib
import os
import sys
import time

from bench.figures import Options, Run, check_platform, describe_machine, newest, now_text, save
from bench.report import write_report
from bench.rig import ALL_CORES, LOAD_CORE, CannotMeasure

BENCHMARKS = (
    "accept",
    "postgresql",
    "flavours",
    "many",
    "handover",
    "lifecycle",
    "drain",
    "history",
    "pace",
    "memory",
    "start",
    "nodes",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure, each figure as a ratio to a baseline."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHMARKS)}; or report")
    usual = Options()
    parser.add_argument("--rounds", type=int, default=usual.rounds, help="rounds, ours and baseline interleaved")
    parser.add_argument("--seconds", type=int, default=usual.seconds, help="seconds of each measurement under load")
    parser.add_argument("--big", type=int, default=usual.big, help="messages in the big history")
    parser.add_argument("--queued", type=int, default=usual.queued, help="messages that wait, for drain and memory")
    parser.add_argument("--pace-s", type=int, default=usual.pace_s, help="seconds of each pace")
    given = vars(parser.parse_args())
    names = given.pop("names") or list(BENCHMARKS)
    if names == ["report"]:
        write_report([run for name in BENCHMARKS if (run := newest(name)) is not None])
        return 0
    check_platform()
    options = Options(**given)
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    failed = 0
    for name in names:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark {name}")
        module = importlib.import_module(f"bench.{name}")
        machine = describe_machine()
        if machine["load_average_before"] > len(ALL_CORES.split(",")) / 2:
            print(
                f"Others use this machine (load {machine['load_average_before']}): read ratios, not absolutes.",
                file=sys.stderr,
            )
        began_at = time.monotonic()
        try:
            figures = module.run(options)
        except CannotMeasure as trouble:
            print(f"{name}: {trouble}", file=sys.stderr)
            failed = 1
            continue
        run = Run(benchmark=name, what=module.WHAT, at=now_text(), machine=machine, options=options, figures=figures)
        path = save(run)
        print(f"\n{name}: {module.WHAT} ({time.monotonic() - began_at:.0f} s, {path.name})")
        for figure in figures:
            print(figure.row())
    return failed


if __name__ == "__main__":
    sys.exit(main())
