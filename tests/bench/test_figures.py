"""How benchmarks judge and show what they measured."""

import importlib

import pytest
from bench.__main__ import BENCHMARKS
from bench.figures import Figure, Options, Run
from bench.pace import fullest_second
from bench.report import render_plot, render_tables


@pytest.mark.parametrize(
    ("values", "goal", "met"),
    [
        ([0.5, 0.7, 0.6], "≥ 0.60", True),
        ([0.5, 0.59, 0.9], "≥ 0.60", False),
        ([3.0, 5.0, 4.0], "≤ 4", True),
        ([4.1], "≤ 4", False),
        ([1.0], "", None),
    ],
)
def test_the_median_decides(values: list[float], goal: str, met: bool | None) -> None:
    """A goal is met by the median of the rounds, not by the best of them."""
    assert Figure(name="x", unit="×", values=values, goal=goal).met is met


def test_fullest_second() -> None:
    """The fullest sliding second, not the fullest second of the clock."""
    times_ns = [0, 900_000_000, 999_999_999, 1_000_000_000, 1_500_000_000, 5_000_000_000]
    assert fullest_second(times_ns) == 4


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_can_be_run(name: str) -> None:
    """Each name is a module that says what it measures."""
    module = importlib.import_module(f"bench.{name}")
    assert callable(module.run)
    assert len(module.WHAT) > 20


def test_report_shows_median_and_spread() -> None:
    """Table and plot name each figure with its goal, and a missed goal is not hidden."""
    figures = [
        Figure(name="fast enough", unit="×", values=[0.7, 0.8, 0.9], goal="≥ 0.60"),
        Figure(name="too <slow>", unit="×", values=[0.1, 0.2, 0.3], goal="≥ 0.60"),
    ]
    machine = {
        "cores": 2,
        "cpu": "c",
        "memory_gb": 4,
        "system": "Linux",
        "fsync_ms": 0.2,
        "python": "3.11",
        "sqlite": "3.54",
    }
    run = Run(
        benchmark="accept",
        what="What",
        at="2026-11-25T00:00:00Z",
        machine={**machine, "libraries": {"msgspec": "1"}, "wrk": "wrk 4", "load_average_before": 0.1},
        options=Options(),
        figures=figures,
    )
    text = render_tables([run])
    assert "| fast enough | 0.8 × | 0.7 to 0.9 | ≥ 0.60 | yes |" in text
    assert "| too <slow> | 0.2 × | 0.1 to 0.3 | ≥ 0.60 | **no** |" in text
    plot = render_plot(figures)
    assert plot.startswith("<svg")
    assert "too &lt;slow&gt;" in plot
