"""Measurements as a row of a table, as a JSON object, and as WFDB annotations."""

import dataclasses
import math
from itertools import pairwise
from typing import Any

import numpy as np

from ecg.leads import LEADS
from ecg.measurements.types import Measurements, MedianBeat

_NUMBERS = (
    *("heart_rate_bpm", "p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_bazett_ms", "qtc_fridericia_ms"),
    *("p_axis_deg", "qrs_axis_deg", "t_axis_deg", "n_beats", "n_ectopic", "rr_sd_ms", "rmssd_ms"),
)
_AMPLITUDES = ("p", "q", "r", "s", "t", "st_j", "st_60")
_QUALITY = ("leads_off", "saturated", "noise_uv", "mains_uv", "baseline_uv", "suspected_swap")

COLUMNS: tuple[str, ...] = (
    *_NUMBERS,
    *(f"{lead}_{amplitude}_mv" for lead in LEADS for amplitude in _AMPLITUDES),
    *_QUALITY,
)
"""The columns of a row, between the record's name and what is wrong with it."""


def row_of(measurements: Measurements) -> list[str]:
    """One cell for each of `COLUMNS`: ms, degrees and µV to a tenth, mV to 0.1 µV; empty where not measurable."""
    amplitudes = measurements.amplitudes
    cells = [_cell(getattr(measurements, name), 1) for name in _NUMBERS]
    cells += [_cell(float(getattr(amplitudes, name)[k]), 4) for k in range(len(LEADS)) for name in _AMPLITUDES]
    return cells + [_cell(getattr(measurements.quality, name), 1) for name in _QUALITY]


def _cell(value: float | str | tuple[str, ...], digits: int) -> str:
    if isinstance(value, tuple):
        return " ".join(value)
    if isinstance(value, str | int):
        return str(value)
    return f"{round(value, digits) + 0.0:.{digits}f}" if math.isfinite(value) else ""  # adding 0 takes the sign off -0


def as_json(measurements: Measurements) -> dict[str, Any]:
    """All of it, with the median beat, in types that the json module writes.

    The names are those of the dataclasses. NaN is None, voltages are rounded to 0.1 µV and the rest to 0.001; what
    there is one of per lead is an object with the leads' names.
    """
    content = {
        field.name: _plain(getattr(measurements, field.name))
        for field in dataclasses.fields(measurements)
        if field.name != "median_beat"
    }
    beat = measurements.median_beat
    content["median_beat"] = None if beat is None else _plain(beat)
    return content


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        rounded = np.round(value.astype(np.float64), 4) + 0.0
        if len(value) == len(LEADS):
            return {lead: _numbers(row) for lead, row in zip(LEADS, rounded.tolist(), strict=True)}
        return _numbers(rounded.tolist())
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        return {lead: _plain(marks) for lead, marks in zip(LEADS, value, strict=True)}
    if isinstance(value, tuple):
        return list(value)
    return _numbers(round(value, 3) + 0.0) if isinstance(value, float) else value


def _numbers(value: Any) -> Any:
    """Without NaN and infinity, which are no JSON."""
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    return value if math.isfinite(value) else None


def annotations_of(
    measurements: Measurements, sampling_frequency: float, n_samples: int
) -> tuple[list[int], list[str], list[str]]:
    """The waves of every beat, as WFDB annotations: `(`, `p`, `N`, `t`, `)` as in LUDB (Kalyakulina et al. 2020).

    Dominant beats have the marks of the median beat, laid so that the R peaks coincide; the onset of T, which has no
    definition of its own, may be missing. Beats of other kinds have only their R peak. Left out are waves that would
    lie outside the recording or reach into a QRS complex, and the end of a T wave in which the next P wave begins.

    `sampling_frequency`: of the recording, Hz. `n_samples`: of the recording. Returns `samples`: ascending; `notes`:
    "ectopic" or "paced" at the R peak of such a beat, otherwise empty.
    """
    beats, median = measurements.beats, measurements.median_beat
    waves = {} if median is None else _waves_around_peak(median, sampling_frequency / median.sampling_frequency)
    samples: list[int] = []
    symbols: list[str] = []
    peaks = beats.samples.tolist()
    with_waves = [kind != "ectopic" and "N" in waves for kind in beats.kinds]
    starts = [peak + waves["N"]["("] if known else peak for peak, known in zip(peaks, with_waves, strict=True)]
    for k, peak in enumerate(peaks):
        end = starts[k + 1] if k + 1 < len(peaks) else n_samples
        for symbol, points in waves.items() if with_waves[k] else [("N", {})]:
            if symbol == "p" and symbols[-2:] == ["t", ")"] and samples[-2] < peak + points["("] <= samples[-1]:
                del samples[-1], symbols[-1]
            first = samples[-1] + 1 if samples else 0
            limit = starts[k] if symbol == "p" else end
            if points and first <= peak + min(points.values()) and peak + max(points.values()) < limit:
                samples += [peak + point for point in points.values()]
                symbols += points
            elif symbol == "N":
                samples.append(peak)
                symbols.append(symbol)
    kind_at = {peak: kind for peak, kind in zip(peaks, beats.kinds, strict=True) if kind != "dominant"}
    notes = [kind_at.get(sample, "") if symbol == "N" else "" for sample, symbol in zip(samples, symbols, strict=True)]
    return samples, symbols, notes


def _waves_around_peak(median: MedianBeat, scale: float) -> dict[str, dict[str, int]]:
    """Those of P, QRS and T that are known: symbols in their order and samples of the recording from the R peak."""
    waves = {}
    for symbol, name in (("p", "p"), ("N", "qrs"), ("t", "t")):
        marks = {"(": f"{name}_onset", symbol: f"{name}_peak", ")": f"{name}_offset"}
        places = {mark: scale * (getattr(median.marks, field) - median.r_peak) for mark, field in marks.items()}
        if symbol == "N":
            places["N"] = 0.0
        points = {mark: round(place) for mark, place in places.items() if math.isfinite(place)}
        in_order = all(a < b for a, b in pairwise(points.values()))
        if in_order and set(points) >= ({symbol, ")"} if symbol == "t" else set(marks)):
            waves[symbol] = points
    return waves
