"""The smaller pictures of a recording's page: median beat, attribution, a probability beside its threshold."""

import math

import numpy as np
from markupsafe import Markup

from ecg.arrays import Bools, Floats32
from ecg.leads import LEADS
from ecg.measurements.types import MedianBeat, WaveMarks
from ecg.report import ecg_paper as paper
from ecg.report.attribution import Attribution, in_bins

_BEAT_MM_PER_SECOND = 50.0
_CELL_MM = (65.0, 35.0)
_BEAT_SECONDS = 1.2
BIN = 0.04  # s, one small square
MARKED = 0.1  # share of the bins that is marked
_ROW_MM = 20.0
_LANE_MM = 2.5  # the highest bar


def likely_bar(probability: float, threshold: float) -> Markup:
    """A bar as long as the probability, a stroke at the threshold, or at one half where none decides."""
    at = threshold * 200 - 1
    limit = "" if math.isnan(threshold) else f'<rect class="limit" x="{at:.1f}" width="2" height="10"/>'
    return Markup(
        f'<svg class="likely" viewBox="0 0 200 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="ground" y="2" width="200" height="6"/>'
        f'<rect class="much" y="2" width="{probability * 200:.1f}" height="6"/>{limit}</svg>'
    )


def median_beat(beat: MedianBeat, before: MedianBeat | None = None) -> Markup:
    """Twelve leads of the median beat at 50 mm/s and 10 mm/mV with the limits of P, QRS and T.

    Another one, of the same sampling frequency, is drawn behind it with the QRS onsets on each other.
    """
    rows = paper.LAYOUTS["3x4"].rows
    width, height = _CELL_MM
    first, last = _shown_part(beat)
    parts = [paper.grid(width * 4, height * 3)]
    per_sample = _BEAT_MM_PER_SECOND / beat.sampling_frequency
    traces = []
    for each, kind in ((before, "trace before"), (beat, "trace")):
        if each is not None:
            shown, scale = _shifted(each, beat)[:, first:last], _BEAT_MM_PER_SECOND * paper.PER_MM / 1000
            traces.append((kind, paper.trace_paths(shown, beat.sampling_frequency, zero=0.0, units_per_ms=scale)))
    for row, names in enumerate(rows):
        for column, lead in enumerate(names):
            left, zero = column * width + 2.0, (row + 0.6) * height
            parts += _limits(beat.marks, left - first * per_sample, per_sample, row * height, height, letters=row == 0)
            place = f"{paper.units(left)} {paper.units(zero)}"
            for kind, paths in traces:
                path = paths[LEADS.index(lead)]
                parts.append(f'<path class="{kind}" transform="translate({place})" d="{path}"/>')
            parts.append(paper.text(column * width + 1.5, row * height + 8, lead, "lead"))
    title = "Median beat in twelve leads with the limits of P wave, QRS complex and T wave"
    return paper.svg(width * 4, height * 3, title, "".join(parts), "paper beat-paper")


def _shifted(beat: MedianBeat, other: MedianBeat) -> Floats32:
    """A beat's signal with its QRS onset where the other one has it; NaN where it has no sample there."""
    shift = other.marks.qrs_onset - beat.marks.qrs_onset
    if beat is other or not math.isfinite(shift):
        return beat.signal
    moved = np.full_like(beat.signal, np.nan)
    at = np.arange(moved.shape[1]) - round(shift)
    inside = (at >= 0) & (at < moved.shape[1])
    moved[:, inside] = beat.signal[:, at[inside]]
    return moved


def _shown_part(beat: MedianBeat) -> tuple[int, int]:
    """First and last sample that fit into a cell, with what lies before P or after T left out first."""
    most = round(_BEAT_SECONDS * beat.sampling_frequency)
    n_samples = beat.signal.shape[1]
    starts = [mark for mark in (beat.marks.p_onset, beat.marks.qrs_onset) if math.isfinite(mark)]
    margin = 0.12 * beat.sampling_frequency
    first = max(0, min(n_samples - most, int(min(starts) - margin))) if starts else 0
    return first, min(n_samples, first + most)


def _limits(
    marks: WaveMarks, left_mm: float, per_sample: float, top_mm: float, height_mm: float, *, letters: bool
) -> list[str]:
    parts = []
    for name in ("P", "QRS", "T"):
        ends = (getattr(marks, f"{name.lower()}_{end}") for end in ("onset", "offset"))
        edges = [paper.units(left_mm + edge * per_sample) for edge in ends if math.isfinite(edge)]
        top, height = paper.units(top_mm + 1), paper.units(height_mm - 1)
        if len(edges) == 2:
            at = f'x="{edges[0]}" y="{top}" width="{edges[1] - edges[0]}" height="{height}"'
            parts.append(f'<rect class="wave-band" {at}/>')
        parts += [f'<path class="wave-line" d="M{edge} {top}v{height}"/>' for edge in edges]
        if letters and edges:
            parts.append(f'<text class="wave" x="{sum(edges) // len(edges)}" y="{paper.units(4)}">{name}</text>')
    return parts


def looked_at(attribution: Attribution, prefix: str, name: str) -> Markup:
    """Twelve leads over ten seconds with what each 40 ms of them adds to a class's logit."""
    bins = in_bins(attribution.values, attribution.sampling_frequency, BIN)[:, : round(paper.SECONDS / BIN)]
    scale = paper.units(_LANE_MM) / max(float(np.abs(bins).max()), 1e-12)
    chosen = marked(bins)
    height_mm = len(LEADS) * _ROW_MM
    parts = [paper.grid(paper.WIDTH_MM, height_mm)]
    for row, lead in enumerate(LEADS):
        top = row * _ROW_MM
        lane = paper.units(top + 0.86 * _ROW_MM)
        parts.append(_boxes(chosen[row], paper.units(top + 0.5), paper.units(0.66 * _ROW_MM)))
        strip = paper.Strip(lead, paper.LEFT_MM, top + 0.42 * _ROW_MM, 0.0, paper.SECONDS)
        parts.append(paper.window(prefix, strip, height_mm))
        parts.append(f'<path class="zero" d="M{paper.units(paper.LEFT_MM)} {lane}h{paper.units(paper.SECONDS * 25)}"/>')
        heights = np.round(bins[row] * scale).astype(int)
        for kind, side in (("for", heights > 1), ("against", heights < -1)):
            bars = "".join(
                f"M{paper.units(paper.LEFT_MM) + k * 40 + 3} {lane}v{-heights[k]}h34v{heights[k]}z"
                for k in np.flatnonzero(side).tolist()
            )
            if bars:
                parts.append(f'<path class="{kind}" d="{bars}"/>')
        parts.append(paper.text(1.5, top + 0.42 * _ROW_MM, lead, "lead"))
    title = f"Twelve leads with marks where they speak for {name}; the strongest leads are named above"
    return paper.svg(paper.WIDTH_MM, height_mm, title, "".join(parts), "paper")


def marked(bins: Floats32) -> Bools:
    """The tenth of all bins that adds most, as far as it adds anything; of the shape of `bins`."""
    limit = np.sort(bins, axis=None)[-max(1, round(MARKED * bins.size))]
    return (bins >= limit) & (bins > 0)


def _boxes(chosen: Bools, top: int, height: int) -> str:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    return "".join(
        f'<rect class="looked" x="{paper.units(paper.LEFT_MM) + first * 40}" y="{top}" width="{(last - first) * 40}" '
        f'height="{height}"/>'
        for first, last in edges.reshape(-1, 2).tolist()
    )
