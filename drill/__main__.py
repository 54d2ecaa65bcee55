"""python -m drill: see --help. Takes some minutes; exit code 1 when a message is missing, is twice, or stayed unsettled."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import click
import msgspec

from drill.counting import Watch, count_fates
from drill.faults import FAULTS, Fault, Settings, Skipped
from drill.load import Load
from drill.world import World, all_ready, open_world
from heliograph.cli.doors import table

HEADINGS = (
    "fault",
    "accepted",
    "once",
    "unknown",
    "twice",
    "missing",
    "unsettled",
    "refused",
    "longest gap",
    "oldest due",
    "remark",
)


@click.command()
@click.option("--nodes", default=3, show_default=True, help="How many, each with an API and a dispatcher.")
@click.option("--rate", default=40.0, show_default=True, help="Messages a second, all the time.")
@click.option("--faults", default=",".join(FAULTS), show_default=True, help="Which, in this order.")
@click.option("--flood", default=10_000, show_default=True, help="Messages of the account that floods.")
@click.option(
    "--hold", "hold_s", default=15.0, show_default=True, help="Seconds that a fault lasts where it says nothing else."
)
@click.option(
    "--database-url", default="", help="An empty database to work on; left out: a primary and a standby are made."
)
@click.option(
    "--folder", type=click.Path(), help="Keep what the nodes write, their logs above all, in this new folder."
)
@click.option("--json", "json_path", type=click.Path(), help="Write the figures here too.")
def main(
    nodes: int,
    rate: float,
    faults: str,
    flood: int,
    hold_s: float,
    database_url: str,
    folder: str | None,
    json_path: str | None,
) -> None:
    """Break three nodes, their database and their carrier under steady load, and count what became of each message.

    \b
    0 nothing, for comparison      1 kill -9 of each node     2 a node cut off from the database for 30 s
    3 the primary killed           4 the carrier slow, failing, throttling
    5 one account floods           7 the clock of a node ten minutes off
    """
    chosen = [fault for key in faults.split(",") for fault in FAULTS[key]]
    with tempfile.TemporaryDirectory(prefix="heliograph-drill-") as passing:
        where = Path(folder or passing)
        where.mkdir(parents=True, exist_ok=True)
        rows = asyncio.run(run(where, nodes, rate, chosen, Settings(flood, hold_s), database_url))
    click.echo("\n" + table(HEADINGS, [[row[name] for name in HEADINGS] for row in rows]))
    if json_path:
        Path(json_path).write_bytes(msgspec.json.encode(rows))
    sys.exit(any(row["twice"] or row["missing"] or row["unsettled"] for row in rows))


async def run(
    folder: Path, nodes: int, rate: float, chosen: list[Fault], settings: Settings, database_url: str
) -> list[dict[str, object]]:
    rows = []
    async with open_world(folder, nodes, database_url) as world:
        await all_ready(world)
        for fault in chosen:
            label = fault.__name__.replace("_", " ")
            try:
                rows.append({"fault": label} | await one_fault(world, fault, rate, settings))
            except Skipped as reason:
                rows.append({"fault": label} | dict.fromkeys(HEADINGS[1:-1]) | {"remark": f"skipped: {reason}"})
            click.echo(" · ".join(f"{key} {value}" for key, value in rows[-1].items() if value is not None), err=True)
    return rows


async def one_fault(world: World, fault: Fault, rate: float, settings: Settings) -> dict[str, object]:
    load, watch = Load(world.nodes, world.tenant, rate=rate), Watch(world.nodes)
    load.start()
    await asyncio.sleep(3.0)
    load.longest_gap_s = 0.0
    watch.start()
    began_s = time.monotonic()
    try:
        remark = await fault(world, settings)
    finally:
        await load.stop()
        await watch.stop()
    found = await count_fates(world.carrier, world.counting_url, set(load.accepted) | world.more)
    world.more = set()
    await all_ready(world)
    return {
        "accepted": found.accepted,
        "once": found.once,
        "unknown": found.unknown,
        "twice": found.twice,
        "missing": found.missing,
        "unsettled": found.unsettled,
        "refused": sum(load.refused.values()),
        "longest gap": f"{load.longest_gap_s:.1f} s",
        "oldest due": f"{watch.oldest_s:.1f} s",
        "remark": f"{remark}; {time.monotonic() - began_s:.0f} s",
    }


if __name__ == "__main__":
    main()
