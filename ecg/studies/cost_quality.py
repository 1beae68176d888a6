"""Picture of what models cost beside how good they are, for the documents.

    ecg benchmark cost-quality docs/performance.md docs/cost-quality.png

Draws the table below "## Cost and quality" of the page, and nothing that is not in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecg.io.files import read_text
from ecg.report.plotting import save_png

HEADING = "## Cost and quality"
# Columns of the table; those of the metric begin with it.
_MODEL, _WITH, _WITHOUT, _EXTERNAL = "model", "a second and core", "without bfloat16", "external: metric, AUROC"
_LONGEST = 1 << 20  # bytes


@dataclass(frozen=True)
class Cost:
    """One row of the table whose quality was measured."""

    model: str
    rate: float  # `rate`, `rate_without`: recordings per second and core, with bfloat16 and without
    rate_without: float
    metric: float  # Challenge metric on recordings of other hospitals


def read_costs(page: Path) -> list[Cost]:
    """The rows of the page's table that have a metric; ValueError, which names the page, where it has no such table."""
    text = read_text(page, _LONGEST).partition(HEADING)[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line] for line in lines]
    head = table[0] if table else []
    if not {_MODEL, _WITH, _WITHOUT, _EXTERNAL} <= set(head):
        raise ValueError(f"{page}: expected a table of {_MODEL}, {_WITH} ... below {HEADING}, found {head}")
    rows = [dict(zip(head, cells, strict=True)) for cells in table[2:]]
    return [
        Cost(row[_MODEL].replace("`", ""), float(row[_WITH]), float(row[_WITHOUT]), float(row[_EXTERNAL].split(",")[0]))
        for row in rows
        if row[_EXTERNAL] != "–"
    ]


def plot_costs(costs: Sequence[Cost], path: Path) -> None:
    """Draw them as a PNG, written whole or not at all."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    axes = figure.subplots()
    for cost in costs:
        axes.plot([cost.rate, cost.rate_without], [cost.metric] * 2, color="#9db4c8", linewidth=1.5, zorder=1)
    rates, rates_without, metrics = zip(*((cost.rate, cost.rate_without, cost.metric) for cost in costs), strict=True)
    axes.scatter(rates, metrics, color="#1f5f8b", label="bfloat16", zorder=2)
    axes.scatter(rates_without, metrics, facecolor="white", edgecolor="#1f5f8b", label="without bfloat16", zorder=2)
    # By turns above and below, so that neighbours' names do not cover each other.
    for k, cost in enumerate(sorted(costs, key=lambda cost: (cost.rate, -cost.metric))):
        below = k % 2 == 0
        place, offset, side = (cost.rate, cost.metric), (0, -6 if below else 6), "top" if below else "bottom"
        axes.annotate(cost.model, place, offset, textcoords="offset points", fontsize=8, ha="center", va=side)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(0.8 * min(rates + rates_without), 1.6 * max(rates + rates_without))
    axes.set(xlabel="recordings per second and core (driver.py)", ylabel="challenge metric, other hospitals")
    axes.legend(loc="lower right", fontsize=8)
    axes.grid(alpha=0.3)
    save_png(figure, path, 110)
