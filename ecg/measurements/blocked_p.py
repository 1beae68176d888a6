"""P waves that no QRS complex follows, as in second-degree AV block.

A conducted P wave is known from the median beat. One that is blocked looks the same and lies half way between two
conducted ones, for the sinus node goes on; an early one is an atrial premature beat, which may be blocked in health.
In a Wenckebach period the PR interval grows from beat to beat, and the median beat shows no P wave: there the beats
after the pauses are looked at, which have one PR interval.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ecg.arrays import Signal
from ecg.measurements.small_arrays import median, quantile, without_line
from ecg.measurements.types import WaveMarks
from ecg.signal.windows import block_means

_RATE = 100.0  # Hz, enough for the shape of a P wave
# Chosen on every second recording that is here: 5 of 1,941 have one, and PTB-XL calls 1 of these a block.
_SHORTEST_RR = 1.0  # s: two P waves and room for a complex
_ALIKE = 0.85  # correlation over all leads
_SIZES = (0.6, 1.6)  # of the conducted P wave
_HALF_WAY = 0.15  # of the interval between two conducted P waves, how far from its middle
_PAUSE, _FEWEST_PAUSES = 1.25, 2  # times the lower quartile of the RR intervals
_REGULAR = 0.2  # of their median, the most that the other RR intervals differ: more is fibrillation


def count_blocked(signal: Signal, rate: float, beats: NDArray[np.int64], beat: Signal, marks: WaveMarks) -> int:
    """RR intervals with a blocked P wave.

    Parameters
    ----------
    signal : ndarray, shape (n_leads, n_samples), float32, mV
        Leads with a signal.
    rate : float
        Hz, a multiple of 100.
    beats : ndarray, shape (n_beats,), int64
        Samples of all beats, ascending.
    beat : ndarray, shape (n_leads, n), float32, mV
        The median beat.
    marks : WaveMarks
        Of `beat`, its ``qrs_peak`` where the beats' samples lie; without P or T wave nothing is found.
    """
    long = np.flatnonzero(np.diff(beats) > _SHORTEST_RR * rate)
    ends = np.array([marks.p_onset, marks.p_offset, marks.t_offset])
    if len(long) == 0 or not np.isfinite(ends).all():
        return 0
    step = round(rate / _RATE)
    first, last = int(ends[0]) // step, int(ends[1]) // step + 1
    wave = without_line(block_means(beat, step)[:, first:last])
    size = float((wave**2).sum())
    if size == 0 or last - first < 3:
        return 0
    coarse, centre = block_means(signal, step), marks.qrs_peak / step
    found = 0
    for k in long.tolist():
        before, after = beats[k] / step - centre, beats[k + 1] / step - centre  # where the median beat would begin
        middle, apart = (before + after) / 2 + first, after - before
        start = round(max(middle - _HALF_WAY * apart, before + ends[2] / step))
        stop = round(middle + _HALF_WAY * apart) + last - first
        if start < 0 or stop - start < last - first or stop > coarse.shape[1]:
            continue
        pieces = without_line(sliding_window_view(coarse[:, start:stop], last - first, axis=1))
        products = np.einsum("lpw,lw->p", pieces, wave)
        alike = products / np.sqrt(np.maximum((pieces**2).sum(axis=(0, 2)) * size, 1e-12))
        best = int(alike.argmax())
        found += alike[best] > _ALIKE and _SIZES[0] < products[best] / size < _SIZES[1]
    return int(found)


def pauses(intervals: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which RR intervals are pauses beside the others, (n_intervals,), bool; one interval at least."""
    return intervals > _PAUSE * quantile(intervals, 0.25)


def after_pauses(beats: NDArray[np.int64], rate: float, usable: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Those of the usable beats that end a pause in a regular rhythm, (n_beats,), bool; None if fewer than two.

    `beats`, (n_beats,), int64: samples, ascending. `rate`: Hz. `usable`: (n_beats,), bool.
    """
    intervals = np.diff(beats) / rate
    if len(intervals) == 0:
        return None
    long = (intervals > _SHORTEST_RR) & pauses(intervals)
    late, others = np.append(False, long) & usable, intervals[~long]
    regular = np.ptp(others) <= _REGULAR * median(others)
    return late if regular and np.count_nonzero(late) >= _FEWEST_PAUSES else None
