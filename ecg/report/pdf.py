"""A printable page of a recording: A4 landscape, every length in real millimetres."""

import io
import textwrap
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ecg.io.files import write_file
from ecg.leads import LEADS
from ecg.report import ecg_paper as paper
from ecg.report.findings import NO_DEVICE, measurement_rows, summary
from ecg.report.recording_page import Recording, facts_of, with_derived_leads

PAGE_MM = (297.0, 210.0)  # A4 landscape
_MM_PER_INCH = 25.4
_LEFT = (PAGE_MM[0] - paper.WIDTH_MM) / 2
_BOTTOM = 12.0
_LINE = 110  # characters of findings in a line


def write_pdf(path: Path, recording: Recording, layout: str, note: str) -> None:
    """Write the page, whole or not at all; the same recording gives the same bytes.

    `layout`: of the leads; `12x1` is too high for the words above it and has one line of them.
    """
    figure = Figure(figsize=(PAGE_MM[0] / _MM_PER_INCH, PAGE_MM[1] / _MM_PER_INCH))
    FigureCanvasPdf(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, PAGE_MM[0]), ylim=(0, PAGE_MM[1]))
    axes.axis("off")
    placed = paper.LAYOUTS[layout]
    top = _BOTTOM + placed.height_mm
    _grid(axes, placed.height_mm)
    _traces(axes, recording, placed, top)
    _words(axes, recording, top, note)
    data = io.BytesIO()
    settings: dict[Any, Any] = {"path.simplify": False, "pdf.fonttype": 42, "font.family": "DejaVu Sans"}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # a name in another script
        figure.savefig(data, format="pdf", metadata={"CreationDate": None, "Title": _plain(recording.name)})
    write_file(path, data.getvalue())


def _grid(axes: Axes, height_mm: float) -> None:
    for thick, colour, width in ((False, "#f3cfc8", 0.2), (True, "#e39d91", 0.4)):
        across = [x for x in range(int(paper.WIDTH_MM) + 1) if (x % 5 == 0) == thick]
        up = [y for y in range(int(height_mm) + 1) if (y % 5 == 0) == thick]
        lines = [[(_LEFT + x, _BOTTOM), (_LEFT + x, _BOTTOM + height_mm)] for x in across]
        lines += [[(_LEFT, _BOTTOM + y), (_LEFT + paper.WIDTH_MM, _BOTTOM + y)] for y in up]
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=width), autolim=False)


def _traces(axes: Axes, recording: Recording, layout: paper.Layout, top: float) -> None:
    frequency = recording.header.sampling_frequency
    shown = with_derived_leads(recording.signal)[:, : round(paper.SECONDS * frequency) + 1]
    lines = dict(zip(LEADS, paper.trace_points(shown, frequency), strict=True))
    zeros = set()
    for strip in paper.strips(layout):
        zero, left = top - strip.zero_mm, _LEFT + strip.left_mm
        zeros.add(zero)
        for points in lines[strip.lead]:
            seconds = points[:, 0] / 1000
            inside = points[(seconds >= strip.start) & (seconds <= strip.start + strip.seconds)]
            x, y = left + (inside[:, 0] / 1000 - strip.start) * paper.MM_PER_SECOND, zero - inside[:, 1] / paper.PER_MM
            axes.plot(x, y, "k", linewidth=0.7, solid_joinstyle="round")
        words = f"{strip.lead} (no signal)" if strip.lead in recording.measured.quality.leads_off else strip.lead
        axes.text(left + 1, zero + 0.36 * layout.row_mm, words, fontsize=8, weight="bold")
    pulse = np.array([0.0, 0.0, paper.MM_PER_MV, paper.MM_PER_MV, 0.0, 0.0])
    edges = _LEFT + 1.5 + np.cumsum([0.0, 1.0, 0.0, 0.2 * paper.MM_PER_SECOND, 0.0, 1.0])
    for zero in zeros:
        axes.plot(edges, zero + pulse, "k", linewidth=0.7, solid_joinstyle="miter")
    foot = "25 mm/s   10 mm/mV   no filter, each lead's median on its line"
    axes.text(_LEFT + paper.WIDTH_MM - 1, _BOTTOM + 1.4, foot, fontsize=7, ha="right")


def _words(axes: Axes, recording: Recording, top: float, note: str) -> None:
    found = summary(recording.statements)
    acute = "; ".join(each.acute for each in recording.statements if each.acute)
    header = recording.header
    measured = [
        f"{row.name} {row.value}{' (' + row.verdict + ')' if row.verdict else ''}"
        for row in measurement_rows(recording.measured, header.age, header.sex)
        if row.source
    ]
    lines = [(f"{recording.name}   {', '.join(facts_of(recording))}", 12, "bold")]
    lines += [(words, 12, "bold") for words in _wrapped(acute)]
    lines += [(words, 10, "normal") for words in _wrapped(found)]
    lines += [(words, 8, "normal") for words in _wrapped("; ".join(measured), 165)]
    lines += [(words, 8, "normal") for words in _wrapped(" ".join(words for _, words in recording.warnings), 165)]
    margin = min(5.0, PAGE_MM[1] - top - 7)  # above the words; narrow where the leads need the page
    space = PAGE_MM[1] - top - margin - 1
    height = 0.0
    for words, size, weight in lines:
        height += size * 0.5
        if height > space:
            break
        axes.text(_LEFT, PAGE_MM[1] - margin - height, _plain(words), fontsize=size, weight=weight, parse_math=False)
    foot = f"Not a medical device. {NO_DEVICE} {note}"
    axes.text(_LEFT, _BOTTOM - 4.5, _plain(foot)[:200], fontsize=7, parse_math=False)


def _wrapped(text: str, length: int = _LINE) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), length, break_on_hyphens=False)


def _plain(text: str) -> str:
    """Text without line ends and marks that turn its direction, short enough for a line."""
    clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= 200 else clean[:197] + "..."
