"""The drill itself works: it is run by hand and nightly, and must not be found broken then."""

import asyncio
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]


async def test_drill(tmp_path: Path) -> None:
    """One node and no fault: everything accepted is at the carrier once, and the exit code says so."""
    given = ("--nodes", "1", "--faults", "0", "--hold", "1", "--rate", "20", "--json", str(tmp_path / "figures.json"))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "drill",
        *given,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    (row,) = msgspec.json.decode((tmp_path / "figures.json").read_bytes())
    assert row["accepted"] == row["once"] > 10
    assert row["twice"] == row["missing"] == row["unknown"] == 0
