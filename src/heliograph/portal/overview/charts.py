"""Lines for a chart: points in a box of 1000 × 160, marks of its axes, and the numbers as a table."""

import math
from collections.abc import Sequence

from msgspec import Struct

WIDTH, HEIGHT = 1000, 160


class Chart(Struct, frozen=True):
    """`line` and `dashed`: points of an SVG polyline. `now`: the last point of the line, in per cent of the box."""

    line: str
    dashed: str
    now: tuple[float, float] | None
    y_marks: list[int]
    x_marks: list[str]
    rows: list[tuple[str, int, int]]


def draw_chart(
    names: Sequence[str], values: Sequence[int], others: Sequence[int], *, places: int, x_marks: list[str]
) -> Chart:
    """`values` as a line and `others` dashed, one for each name; the box has room for `places` of them."""
    top = round_up(max([*values, *others, 1]))
    step = WIDTH / max(places - 1, 1)

    def point(place: int, value: int) -> tuple[float, float]:
        return place * step, HEIGHT - value / top * HEIGHT

    def points(of: Sequence[int]) -> str:
        return " ".join(f"{x:.0f},{y:.1f}" for x, y in (point(place, value) for place, value in enumerate(of)))

    now = None
    if values:
        x, y = point(len(values) - 1, values[-1])
        now = (round(x / WIDTH * 100, 2), round(y / HEIGHT * 100, 2))
    return Chart(
        line=points(values),
        dashed=points(others),
        now=now,
        y_marks=[top, top // 2, 0],
        x_marks=x_marks,
        rows=list(zip(names, values, others or [0] * len(values), strict=True)),
    )


def round_up(value: int) -> int:
    """The next even number that reads well on an axis: 2, 4, 10, 20, 40, 50 or 100 of some power of ten."""
    if value <= 2:
        return 2
    power: int = 10 ** (math.ceil(math.log10(value)) - 1)
    return next((n for n in (power * 2, power * 4, power * 5, power * 10) if n >= value and n % 2 == 0), power * 20)
