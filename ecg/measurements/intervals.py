"""Rate, corrected QT, axes and amplitudes."""

import math

import numpy as np
from numpy.typing import NDArray

from ecg.leads import LEADS
from ecg.measurements.small_arrays import without_line
from ecg.measurements.types import Amplitudes, WaveMarks

_SMALLEST_R = 0.03  # mV
_I, _AVF = LEADS.index("I"), LEADS.index("aVF")


def mean_rate(intervals: NDArray[np.floating]) -> float:
    """60 / mean RR interval, the first and the last counting half; NaN without one.

    So a rhythm of short and long intervals in turn has one rate, wherever the recording is cut.

    `intervals`, (n,): RR intervals, s.
    """
    if not len(intervals):
        return math.nan
    weights = np.ones(len(intervals))
    weights[[0, -1]] = 0.5
    return 60 * float(weights.sum() / (weights @ intervals))


def corrected_qt(qt_ms: float, heart_rate_bpm: float) -> tuple[float, float]:
    """QT corrected for the heart rate, ms: Bazett (1920), QT / RR^(1/2), and Fridericia (1920), QT / RR^(1/3)."""
    rr = 60 / heart_rate_bpm
    return qt_ms / rr ** (1 / 2), qt_ms / rr ** (1 / 3)


def axis(beat: NDArray[np.float32], onset: float, offset: float) -> float:
    """Direction of the net area of a wave in the frontal plane.

    `beat`: (12, n_samples), float32, mV. `onset` and `offset`: samples. Returns degrees, (-180, 180], 0 to the left, 90
    down. The augmented lead aVF shows sqrt(3) / 2 of what a lead of Einthoven's along it would. NaN where a boundary or
    a lead is missing, or the area is nil.
    """
    if not (math.isfinite(onset) and math.isfinite(offset)):
        return math.nan
    part = beat[[_I, _AVF], round(onset) : round(offset) + 1].astype(np.float64)
    lateral, inferior = without_line(part).sum(axis=1)
    if not lateral**2 + inferior**2 > 0:  # NaN also
        return math.nan
    angle = math.degrees(math.atan2(inferior * 2 / math.sqrt(3), lateral))
    return 180.0 if angle == -180 else angle


def amplitudes(beat: NDArray[np.float32], rate: float, marks: WaveMarks) -> Amplitudes:
    """Amplitudes in each lead within the global boundaries, relative to the level at the QRS onset.

    `beat`: (12, n_samples), float32, mV. `rate`: Hz.
    """
    missing = np.full(len(beat), np.nan, dtype=np.float32)
    if not (math.isfinite(marks.qrs_onset) and math.isfinite(marks.qrs_offset)):
        return Amplitudes(*[missing] * 7)
    onset, offset = round(marks.qrs_onset), round(marks.qrs_offset)
    level = beat[:, max(0, onset - 2) : onset + 3].mean(axis=1, keepdims=True)
    beat = beat - level
    complexes = beat[:, onset : offset + 1]
    r = np.maximum(complexes.max(axis=1), 0)
    # Without an R wave the complex is one negative wave, QS, which counts as Q.
    r_at = np.where(r < _SMALLEST_R, complexes.shape[1], complexes.argmax(axis=1))[:, np.newaxis]
    position = np.arange(complexes.shape[1])
    q = np.minimum(np.where(position <= r_at, complexes, 0).min(axis=1), 0)
    s = np.minimum(np.where(position > r_at, complexes, 0).min(axis=1), 0)
    gone = np.isnan(level[:, 0])
    q, r, s = (np.where(gone, np.nan, values).astype(np.float32) for values in (q, r, s))

    def largest(first: float, last: float) -> NDArray[np.float32]:
        if not (math.isfinite(first) and math.isfinite(last)):
            return missing
        part = beat[:, round(first) : round(last) + 1]
        at = np.abs(np.nan_to_num(part)).argmax(axis=1)
        return part[np.arange(len(part)), at]

    later = min(beat.shape[1] - 1, offset + round(0.06 * rate))
    t_from = marks.t_onset if math.isfinite(marks.t_onset) else float(later)
    return Amplitudes(
        p=largest(marks.p_onset, marks.p_offset),
        q=q,
        r=r,
        s=s,
        t=largest(t_from, marks.t_offset),
        st_j=beat[:, min(beat.shape[1] - 1, offset)],
        st_60=beat[:, later],
    )
