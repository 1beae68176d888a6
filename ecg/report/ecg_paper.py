"""Twelve leads on ECG paper as SVG: 25 mm/s, 10 mm/mV, every length in the picture's own units of 1/40 mm.

One unit is 1 ms along and 2.5 µV up. A recording's traces are drawn once, as paths with an id; every picture on the
page (three layouts, the zoom, the attribution) shows a piece of them through a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import msgspec
import numpy as np
from markupsafe import Markup, escape

from ecg.arrays import Array, Bools, Floats32, Ints
from ecg.leads import LEADS
from ecg.measurements.small_arrays import median

PER_MM = 40
MM_PER_SECOND, MM_PER_MV = 25.0, 10.0
SECONDS = 10.0  # of a recording on its page
LEFT_MM = 10.0  # in front of the traces, for the calibration pulse
WIDTH_MM = LEFT_MM + SECONDS * MM_PER_SECOND
HEAD_MM, FOOT_MM = 5.0, 5.0  # above the rows, for high R waves, and below them
TOLERANCE = 1.2  # units, 3 µV: a quarter of the line's width; a trace is simplified by no more than that
_BIN_MS = 4  # of a faster recording the extremes of each such bin are drawn
_LARGEST_MM = 200.0  # a sample further out is drawn there, off the paper


@dataclass(frozen=True)
class Layout:
    """Where the leads stand on the paper."""

    rows: tuple[tuple[str, ...], ...]  # leads from left to right; the columns of a row follow each other in time
    row_mm: float
    rhythm: bool = False  # whether a strip of lead II over the full length is below

    @property
    def n_rows(self) -> int:
        return len(self.rows) + self.rhythm

    @property
    def height_mm(self) -> float:
        return HEAD_MM + self.n_rows * self.row_mm + FOOT_MM


LAYOUTS: dict[str, Layout] = {
    "3x4": Layout((("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6")), 30.0, rhythm=True),
    "6x2": Layout(tuple(zip(LEADS[:6], LEADS[6:], strict=True)), 25.0),
    "12x1": Layout(tuple((lead,) for lead in LEADS), 15.0),
}


@dataclass(frozen=True)
class Strip:
    """One lead's place on the paper: mm from the left and from the top to its zero line, and seconds shown."""

    lead: str
    left_mm: float
    zero_mm: float
    start: float
    seconds: float


def strips(layout: Layout) -> list[Strip]:
    """The strips of a layout, row by row."""
    placed = []
    for row, leads in enumerate(layout.rows):
        seconds = SECONDS / len(leads)
        for column, lead in enumerate(leads):
            left = LEFT_MM + column * seconds * MM_PER_SECOND
            placed.append(Strip(lead, left, _zero_mm(layout, row), column * seconds, seconds))
    if layout.rhythm:
        placed.append(Strip("II", LEFT_MM, _zero_mm(layout, len(layout.rows)), 0.0, SECONDS))
    return placed


def _zero_mm(layout: Layout, row: int) -> float:
    return HEAD_MM + (row + 0.6) * layout.row_mm


def simplified(x: Floats32, y: Floats32, tolerance: float) -> Bools:
    """Which points of lines to keep so that none moves by more than `tolerance` anywhere, up or down.

    Blocks of 2, 4, ... 64 intervals become one straight line where all points between their ends are that close to it.

    `x`, (n,), and `y`, (n_lines, n), float32. Returns (n_lines, n), bool.
    """
    keep = np.ones(y.shape, dtype=bool)
    for step in (2, 4, 8, 16, 32, 64):
        n_blocks = (len(x) - 1) // step
        if n_blocks == 0:
            break
        end = n_blocks * step
        # The blocks last: loops over few numbers would take several times as long.
        in_y = np.ascontiguousarray(y[:, :end].reshape(len(y), n_blocks, step).transpose(2, 0, 1))
        in_x = np.ascontiguousarray(x[:end].reshape(n_blocks, step).T)
        share = (in_x[1:] - in_x[0]) / (x[step : end + 1 : step] - in_x[0])
        off = share[:, np.newaxis] * (y[:, step : end + 1 : step] - in_y[0])
        off += in_y[0]
        off -= in_y[1:]
        straight = np.abs(off, out=off).max(axis=0) <= tolerance
        left_out = straight.repeat(step, axis=1)
        left_out[:, ::step] = False  # where a line begins
        keep[:, :end] &= ~left_out
    return keep


def trace_points(
    signal: Floats32, sampling_frequency: float, *, zero: float | None = None, units_per_ms: float = 1.0
) -> list[list[Ints]]:
    """Each lead as lines of shape (n, 2): whole units to the right and down; one line between gaps.

    `signal`, (n_leads, n_samples), float32, mV: NaN where missing. `sampling_frequency`: Hz. `zero`: mV that are drawn
    at 0; each lead's median if left out. `units_per_ms`: 1 at 25 mm/s.
    """
    known = np.isfinite(signal)
    levels = np.full(len(signal), zero or 0.0, dtype=np.float32)
    if zero is None:
        for row in np.flatnonzero(known.any(axis=1)):
            levels[row] = median(signal[row, known[row]])
    largest = np.float32(_LARGEST_MM / MM_PER_MV)
    y = np.clip(levels[:, np.newaxis] - signal, -largest, largest) * np.float32(MM_PER_MV * PER_MM)
    x = (np.arange(signal.shape[1]) * (1000.0 * units_per_ms / sampling_frequency)).astype(np.float32)
    lines: list[list[Ints]] = [[] for _ in signal]
    together = np.flatnonzero(known.all(axis=1) & (_bin_size(x) <= 2))
    for row, keep in zip(together, simplified(x, y[together], TOLERANCE), strict=True):
        lines[row].append(_points(x[keep], y[row, keep]))
    for row in np.setdiff1d(np.flatnonzero(known.any(axis=1)), together):
        edges = np.flatnonzero(np.diff(known[row].astype(np.int8))) + 1
        for first, last in pairwise([0, *edges.tolist(), len(x)]):
            if known[row, first]:
                across, down = _extremes(x[first:last], y[row, first:last])
                keep = simplified(across, down[np.newaxis], TOLERANCE)[0]
                lines[row].append(_points(across[keep], down[keep]))
    return lines


def _points(x: Floats32, y: Floats32) -> Ints:
    return np.rint(np.stack([x, y], axis=1)).astype(np.int64)


def trace_paths(
    signal: Floats32, sampling_frequency: float, *, zero: float | None = None, units_per_ms: float = 1.0
) -> list[str]:
    """The `d` of an SVG path of each lead's `trace_points`; empty where no sample is known."""
    of_leads = trace_points(signal, sampling_frequency, zero=zero, units_per_ms=units_per_ms)
    return ["".join(map(_path, lines)) for lines in of_leads]


def _path(points: Ints) -> str:
    steps = np.diff(points, axis=0).ravel().tolist()
    numbers = msgspec.json.encode(steps)[1:-1].decode()  # several times as fast as `str` of each
    return f"M{points[0, 0]} {points[0, 1]}" + ("l" + numbers.replace(",-", "-") if steps else "h1")


def _bin_size(x: Array) -> int:
    return int(_BIN_MS / (x[1] - x[0])) if len(x) > 1 else 1


def _extremes(x: Array, y: Array) -> tuple[Array, Array]:
    """Lowest and highest point of each bin in the order of time, where there are more than two in it."""
    size = _bin_size(x)
    if size <= 2:
        return x, y
    n_bins = len(x) // size
    bins = y[: n_bins * size].reshape(n_bins, size)
    chosen = np.sort(np.stack([bins.argmin(axis=1), bins.argmax(axis=1)], axis=1), axis=1)
    chosen = np.unique(chosen + np.arange(n_bins)[:, np.newaxis] * size)
    chosen = np.union1d(chosen, [0, *range(n_bins * size, len(x))])
    return x[chosen], y[chosen]


def trace_definitions(signal: Floats32, sampling_frequency: float, prefix: str) -> Markup:
    """An invisible SVG with the traces of the first seconds as paths `<prefix>lead-<name>`.

    `signal`, (12, n_samples), float32, mV: in the order of LEADS, NaN where missing. `sampling_frequency`: Hz.
    `prefix`: letters, digits and `-`.
    """
    shown = signal[:, : round(SECONDS * sampling_frequency) + 1]
    paths = "".join(
        f'<path id="{prefix}lead-{lead}" class="trace" d="{path}"/>'
        for lead, path in zip(LEADS, trace_paths(shown, sampling_frequency), strict=True)
    )
    return Markup(f'<svg class="definitions" width="0" height="0" aria-hidden="true"><defs>{paths}</defs></svg>')


def paper(
    name: str, prefix: str, title: str, off: Sequence[str] = (), marked_beats: Sequence[tuple[float, str]] = ()
) -> Markup:
    """A page of ECG paper with the layout of this name that shows the traces of `trace_definitions`.

    `prefix`: that of the definitions. `title`: what the picture shows, in words. `off`: leads without signal, which are
    labelled so. `marked_beats`: beats to mark on the longest strip of lead II.
    """
    layout = LAYOUTS[name]
    parts = [grid(WIDTH_MM, layout.height_mm)]
    placed = strips(layout)
    for strip in placed:
        parts.append(window(prefix, strip, layout.height_mm))
        label = f"{strip.lead} (no signal)" if strip.lead in off else strip.lead
        parts.append(text(strip.left_mm + 1, strip.zero_mm - 0.36 * layout.row_mm, label, "lead"))
        parts.append(f'<rect class="target" data-lead="{strip.lead}" {box(strip, layout.row_mm)}/>')
        if strip.start > 0:
            parts.append(f'<path class="divider" d="M{units(strip.left_mm)} {units(strip.zero_mm - 6)}v{units(12)}"/>')
    parts.extend(pulse(1.5, _zero_mm(layout, row)) for row in range(layout.n_rows))
    rhythm = [strip for strip in placed if strip.lead == "II"][-1]
    for seconds, kind in marked_beats:
        if rhythm.start <= seconds < rhythm.start + rhythm.seconds:
            at = rhythm.left_mm + (seconds - rhythm.start) * MM_PER_SECOND
            top = rhythm.zero_mm - 0.5 * layout.row_mm
            parts.append(
                f'<path class="beat" d="M{units(at)} {units(top + 2)}l-32-56h64z"><title>{escape(kind)} beat'
                "</title></path>"
            )
    foot = f"25 mm/s   10 mm/mV   no filter, each lead's median on its line   {name}"
    parts.append(text(WIDTH_MM - 1, layout.height_mm - 1.4, foot, "foot"))
    return svg(WIDTH_MM, layout.height_mm, title, "".join(parts), "paper")


def svg(width_mm: float, height_mm: float, title: str, content: str, kind: str) -> Markup:
    """An SVG picture of this size in mm with its words for those who don't see it."""
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {units(width_mm)} {units(height_mm)}" width="{width_mm:g}mm" '
        f'height="{height_mm:g}mm" role="img" aria-label="{escape(title)}">{content}</svg>'
    )


@lru_cache(maxsize=8)
def grid(width_mm: float, height_mm: float) -> str:
    """Paper with thin lines every mm and thick ones every 5 mm, as four paths."""
    width, height = units(width_mm), units(height_mm)
    return f'<rect class="sheet" width="{width}" height="{height}"/>' + "".join(
        f'<path class="{kind}" d="'
        + "".join(f"M{units(x)} 0v{height}" for x in range(int(width_mm) + 1) if (x % 5 == 0) == thick)
        + "".join(f"M0 {units(y)}h{width}" for y in range(int(height_mm) + 1) if (y % 5 == 0) == thick)
        + '"/>'
        for kind, thick in (("minor", False), ("major", True))
    )


def window(prefix: str, strip: Strip, height_mm: float) -> str:
    """A piece of a lead's trace at its place, cut off at the strip's ends."""
    width, height = units(strip.seconds * MM_PER_SECOND), units(height_mm)
    return (
        f'<svg x="{units(strip.left_mm)}" y="0" width="{width}" height="{height}" '
        f'viewBox="{round(strip.start * 1000)} {-units(strip.zero_mm)} {width} {height}">'
        f'<use href="#{prefix}lead-{strip.lead}"/></svg>'
    )


def box(strip: Strip, row_mm: float) -> str:
    return (
        f'x="{units(strip.left_mm)}" y="{units(strip.zero_mm - row_mm / 2)}" '
        f'width="{units(strip.seconds * MM_PER_SECOND)}" height="{units(row_mm)}"'
    )


def pulse(left_mm: float, zero_mm: float) -> str:
    """The calibration pulse: 1 mV for 0.2 s."""
    return f'<path class="pulse" d="M{units(left_mm)} {units(zero_mm)}h40v-400h200v400h40"/>'


def text(x_mm: float, y_mm: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{units(x_mm)}" y="{units(y_mm)}">{escape(words)}</text>'


def units(mm: float) -> int:
    return round(mm * PER_MM)
