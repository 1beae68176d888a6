"""Measurements as numbers for a classifier: intervals, rhythm, amplitudes, and the shapes of QRS and ST-T."""

import math

import numpy as np
from numpy.typing import NDArray

from ecg.leads import LEADS
from ecg.measurements.small_arrays import clip, median, quantile
from ecg.measurements.types import Beats, Measurements, MedianBeat

_NUMBERS = (
    *("heart_rate_bpm", "p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_bazett_ms", "qtc_fridericia_ms"),
    *("p_axis_deg", "qrs_axis_deg", "t_axis_deg", "rr_sd_ms", "rmssd_ms", "has_p_waves"),
)
_RHYTHM = (
    *("ectopic_share", "paced_share", "rr_mean", "rr_shortest", "rr_longest", "rr_spread", "rr_change"),
    *("rr_large_change", "shortest_coupling", "longest_pause"),
)
_AMPLITUDES = ("p", "q", "r", "s", "t", "st_j", "st_60")
_QRS_LEADS, _QRS_POINTS = ("II", "V1", "V2", "V5", "V6"), 8
_T_LEADS, _T_POINTS = ("I", "II", "aVF", "V1", "V2", "V4", "V5", "V6"), 6
_QRS_ROWS, _T_ROWS = ([LEADS.index(lead) for lead in leads] for leads in (_QRS_LEADS, _T_LEADS))
# Trees ask whether a number is above that of a training recording: its last bits, in which processors differ, must not
# say so. Of none of the numbers does a thousandth mean anything.
_DECIMALS = 3
_SMALL = 0.1  # mV, ratios to a smaller QRS complex say nothing

SIZES = ("limb_qrs_mv", "chest_qrs_mv")
"""The features that say how large a recording is altogether."""

FEATURES: tuple[str, ...] = (
    *_NUMBERS,
    *_RHYTHM,
    *(f"{lead}_{amplitude}_mv" for amplitude in _AMPLITUDES for lead in LEADS),
    *SIZES,
    *(f"{lead}_{ratio}" for ratio in ("r_to_s", "t_to_qrs", "r_peak_ms", "t_peak_ms") for lead in LEADS),
    *("t_ms", "t_symmetry"),
    *(f"{lead}_qrs_{k + 1}" for lead in _QRS_LEADS for k in range(_QRS_POINTS)),
    *(f"{lead}_st_t_{k + 1}_mv" for lead in _T_LEADS for k in range(_T_POINTS)),
)
"""Names of what `features_of` returns. Ratios and shares have no unit."""


def features_of(measurements: Measurements) -> NDArray[np.float32]:
    """Numbers of a recording for a classifier.

    Returns (n_features,), float32: in the order of `FEATURES`, to three decimals; NaN where not measurable.
    """
    amplitudes = [getattr(measurements.amplitudes, name).astype(np.float64) for name in _AMPLITUDES]
    _, q, r, s, t, *_ = amplitudes
    downwards = np.fmin(q, s)
    size = r - downwards  # from the lowest to the highest point of the QRS complex
    usable = np.maximum(size, _SMALL)
    values = [
        [float(getattr(measurements, name)) for name in _NUMBERS],
        _rhythm(measurements.beats),
        *amplitudes,
        [_largest(size[:6]), _largest(size[6:])],
        (r + downwards) / usable,
        t / usable,
        *_shapes(measurements.median_beat, usable),
    ]
    with np.errstate(over="ignore"):  # no measurable number is that large
        flat = np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in values])
        return flat.round(_DECIMALS).astype(np.float32)


def _largest(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else math.nan


def _rhythm(beats: Beats) -> list[float]:
    """The values of `_RHYTHM`; intervals relative to the median interval."""
    kinds, count = beats.kinds, len(beats.kinds)
    if count < 3:
        return [math.nan] * len(_RHYTHM)
    intervals = np.diff(beats.samples).astype(np.float64)
    relative = intervals / max(float(median(intervals)), 1.0)
    changes = np.abs(np.diff(relative))
    early = [k for k in range(1, count - 1) if kinds[k] == "ectopic"]
    return [
        kinds.count("ectopic") / count,
        kinds.count("paced") / count,
        float(relative.mean()),
        float(relative.min()),
        float(relative.max()),
        float(median(np.abs(relative - 1))),
        float(median(changes)),
        quantile(changes, 0.9),
        min((float(relative[k - 1]) for k in early), default=math.nan),
        max((float(relative[k]) for k in early), default=math.nan),
    ]


def _shapes(beat: MedianBeat | None, usable: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Times of the peaks, the T wave, and samples of QRS (relative to its size) and ST-T (mV) of some leads."""
    lengths = (len(LEADS), len(LEADS), 2, len(_QRS_LEADS) * _QRS_POINTS, len(_T_LEADS) * _T_POINTS)
    if beat is None or not math.isfinite(beat.marks.qrs_onset):
        return [np.full(length, math.nan) for length in lengths]
    marks, ms = beat.marks, 1e3 / beat.sampling_frequency
    onset, offset = marks.qrs_onset, marks.qrs_offset
    t_width = marks.t_offset - marks.t_onset
    end = marks.t_offset if math.isfinite(marks.t_offset) else offset + 300 / ms
    qrs_at = np.linspace(onset, max(offset, onset + 1), _QRS_POINTS + 2)[1:-1]
    t_at = np.linspace(offset, end, _T_POINTS + 1)[:-1]
    return [
        np.array([(lead.qrs_peak - onset) * ms for lead in beat.lead_marks]),
        np.array([(lead.t_peak - onset) * ms for lead in beat.lead_marks]),
        np.array([t_width * ms, (marks.t_peak - marks.t_onset) / max(t_width, 1.0)]),
        _between(beat.signal[_QRS_ROWS], qrs_at) / usable[_QRS_ROWS, np.newaxis],
        _between(beat.signal[_T_ROWS], t_at),
    ]


def _between(signal: NDArray[np.float32], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each lead, (n_leads, n_samples), at places between its samples, (n_leads, n_places); its end beyond an end."""
    at = clip(at, 0, signal.shape[1] - 1)
    before = np.minimum(at.astype(np.int64), signal.shape[1] - 2)
    left, right = signal[:, before].astype(np.float64), signal[:, before + 1].astype(np.float64)
    return (right - left) * (at - before) + left
