"""Onsets, peaks and offsets of P, QRS and T in a median beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecg.measurements.qrs import box
from ecg.measurements.types import WaveMarks

NAN = float("nan")


def qrs_boundaries(beat: NDArray[np.float32], rate: float, centre: int) -> tuple[float, float]:
    """Where the spatial velocity around `centre` leaves and reaches its quiet level, samples."""
    speed = np.sqrt((np.diff(box(beat, 3), axis=1) ** 2).sum(axis=0))
    speed = box(speed, 5)
    first, last = max(0, centre - round(0.16 * rate)), min(len(speed), centre + round(0.2 * rate))
    highest = speed[first:last].max()
    quiet = np.percentile(speed, 20)
    threshold = quiet + 0.08 * (highest - quiet)
    before = np.flatnonzero(speed[first : centre + 1] < threshold)
    after = np.flatnonzero(speed[centre:last] < threshold)
    peak_before = first + (before[-1] if len(before) else 0)
    peak_after = centre + (after[0] if len(after) else last - centre)
    # The velocity is low at the peak itself; go on while it is high again within 20 ms.
    gap = round(0.024 * rate)
    quiet_run = speed < threshold
    k = centre
    while k > first and not quiet_run[max(first, k - gap) : k].all():
        k -= 1
    peak_before = k
    k = centre
    while k < last and not quiet_run[k : min(last, k + gap)].all():
        k += 1
    peak_after = k
    return float(peak_before), float(peak_after)


def delineate(beat: NDArray[np.float32], rate: float, centre: int, room: float) -> WaveMarks:
    """Global marks; `room` is the RR interval in samples."""
    onset, offset = qrs_boundaries(beat, rate, centre)
    size = np.sqrt((beat**2).sum(axis=0))
    speed = np.sqrt((np.diff(box(beat, 9), axis=1) ** 2).sum(axis=0))
    peak = float(onset + np.argmax(size[int(onset) : int(offset) + 1]))
    t_marks = (NAN, NAN, NAN)
    first, last = int(offset + 0.06 * rate), int(min(beat.shape[1] - 1, onset + 0.62 * room))
    if last - first > 0.1 * rate:
        t_peak = first + int(np.argmax(size[first:last]))
        steep = (
            t_peak + int(np.argmax(speed[t_peak : min(last, t_peak + round(0.12 * rate))]))
            if t_peak < last - 2
            else t_peak
        )
        level = speed[steep]
        rest = np.flatnonzero(speed[steep:] < 0.2 * level)
        t_offset = steep + (int(rest[0]) if len(rest) else 0)
        t_marks = (NAN, float(t_peak), float(t_offset))
    p_marks = (NAN, NAN, NAN)
    first, last = int(max(0, onset - min(0.3 * rate, 0.4 * room))), int(onset - 0.02 * rate)
    if last - first > 0.08 * rate:
        part = beat[:, first:last]
        ramp = np.linspace(0, 1, part.shape[1])
        part = part - (part[:, :1] * (1 - ramp) + part[:, -1:] * ramp)
        bump = np.sqrt((part**2).sum(axis=0))
        p_peak = int(np.argmax(bump))
        low = bump < 0.25 * bump[p_peak]
        left = np.flatnonzero(low[:p_peak])
        right = np.flatnonzero(low[p_peak:])
        if bump[p_peak] > 0.1 and len(left) and len(right):
            p_marks = (float(first + left[-1]), float(first + p_peak), float(first + p_peak + right[0]))
    return WaveMarks(*p_marks, onset, peak, offset, *t_marks)
