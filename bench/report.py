"""docs/performance.md: the tables and the plot between its two marks, from the newest runs; the words around them stay."""

from pathlib import Path

from bench.figures import Figure, Run, short

DOCS = Path(__file__).parent.parent / "docs"
BEGIN, END = "<!-- figures: made by python -m bench report -->", "<!-- end of figures -->"
WIDTH, ROW, LEFT, RIGHT = 880, 26, 430, 90


def write_report(runs: list[Run]) -> None:
    page = DOCS / "performance.md"
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{render_tables(runs)}\n{END}{after}")
    (DOCS / "performance.svg").write_text(render_plot([f for run in runs for f in run.figures if f.goal]))


def render_tables(runs: list[Run]) -> str:
    parts = [describe(runs[-1])]
    for run in runs:
        rows = "\n".join(figure.row() for figure in run.figures)
        parts.append(
            f"### {run.benchmark}\n\n{run.what}. {run.options.rounds} rounds, {run.at}, "
            f"load average before: {run.machine['load_average_before']}.\n\n"
            f"| figure | median | spread | goal | met |\n|---|---|---|---|---|\n{rows}\n"
        )
    return "\n".join(parts)


def describe(run: Run) -> str:
    machine = run.machine
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    return (
        f"Machine: {machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']} GB, {machine['system']}; an fsync takes "
        f"{machine['fsync_ms']} ms. Python {machine['python']}, SQLite {machine['sqlite']}, {libraries}, {machine['wrk']}.\n"
    )


def render_plot(figures: list[Figure]) -> str:
    """Each figure with a goal as a bar of how well the goal is met: 1 is the goal, longer is better."""
    height = ROW * len(figures) + 46
    scale = (WIDTH - LEFT - RIGHT) / 2.0
    lines = []
    for place, figure in enumerate(figures):
        top = 34 + place * ROW
        best, worst = max(met_by(figure, v) for v in figure.values), min(met_by(figure, v) for v in figure.values)
        middle = met_by(figure, figure.median)
        colour = "#2a7f62" if figure.met else "#c0504d"
        lines.append(f'<text x="{LEFT - 8}" y="{top + 14}" text-anchor="end">{escape(figure.name)}</text>')
        lines.append(
            f'<rect x="{LEFT}" y="{top + 4}" width="{min(middle, 2.0) * scale:.1f}" height="13" fill="{colour}"/>'
        )
        low, high = LEFT + min(worst, 2.0) * scale, LEFT + min(best, 2.0) * scale
        lines.append(f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{top + 10.5}" y2="{top + 10.5}" stroke="#222"/>')
        value = f"{short(figure.median)} {figure.unit} ({figure.goal})"
        lines.append(
            f'<text x="{LEFT + min(max(middle, best), 2.0) * scale + 6:.1f}" y="{top + 14}">{escape(value)}</text>'
        )
    goal = LEFT + scale
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 60} {height}" font-family="sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{goal}" y="20" text-anchor="middle">the goal</text>'
        f'<line x1="{goal}" x2="{goal}" y1="26" y2="{height - 8}" stroke="#888" stroke-dasharray="4 3"/>'
        + "".join(lines)
        + "</svg>\n"
    )


def met_by(figure: Figure, value: float) -> float:
    """How often the goal fits: 1 is just met, more is better."""
    sign, number = figure.goal.split()[:2]
    goal = float(number)
    return value / goal if sign == "≥" else goal / max(value, 1e-9)


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
