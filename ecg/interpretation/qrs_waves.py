"""The waves of the QRS complex in one lead: q, R, S and R' with their amplitudes and durations."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMALLEST_MV = 0.05  # half a millimetre on paper; a smaller deflection is no wave
SHORTEST_MS = 8.0
_NOTCH_MV = 0.05  # how far a notch must go back


@dataclass(frozen=True)
class QrsWaves:
    """The waves of a lead; 0 where one is absent."""

    # `q_mv`, `r_mv`, `s_mv`, `r2_mv`: amplitudes against the level at the QRS onset, mV; Q and S are negative. A
    # complex without R has a Q (QS).
    q_mv: float = 0.0
    r_mv: float = 0.0
    s_mv: float = 0.0
    r2_mv: float = 0.0
    q_ms: float = 0.0  # `q_ms`, `r_ms`, `s_ms`, `r2_ms`: durations, ms
    r_ms: float = 0.0
    s_ms: float = 0.0
    r2_ms: float = 0.0
    # From the QRS onset of all leads to the peak of the last R wave that is at least half as high as the highest; NaN
    # without one.
    r_peak_ms: float = math.nan
    notched: bool = False  # whether the R wave has two peaks or more

    @property
    def is_qs(self) -> bool:
        return self.q_mv < 0 and self.r_mv == 0


def qrs_waves(voltages: NDArray[np.float64], step_ms: float) -> QrsWaves:
    """Take a QRS complex apart.

    `voltages`, (n_samples,), float64, mV: from the QRS onset to its offset, against the level at the onset. `step_ms`:
    between samples.
    """
    if not np.isfinite(voltages).all():
        return QrsWaves()
    signs = np.zeros(len(voltages) + 2)
    np.sign(voltages, out=signs[1:-1])
    edges = np.flatnonzero(signs[1:] != signs[:-1])
    runs: list[tuple[float, float, float]] = []  # amplitude, duration, time of the peak
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = voltages[first:last]
        peak = int(np.abs(part).argmax())
        amplitude, duration = float(part[peak]), len(part) * step_ms
        if abs(amplitude) < SMALLEST_MV or duration < SHORTEST_MS:
            continue
        if runs and runs[-1][0] * amplitude > 0:  # what lay between was no wave
            before = runs.pop()
            duration += before[1]
            amplitude, when = max((amplitude, (first + peak) * step_ms), (before[0], before[2]), key=_size)
        else:
            when = (first + peak) * step_ms
        runs.append((amplitude, duration, when))
    if not runs:
        return QrsWaves()
    ups = [k for k, run in enumerate(runs) if run[0] > 0]
    if not ups:
        return QrsWaves(q_mv=runs[0][0], q_ms=runs[0][1])
    first_up = ups[0]
    none = (0.0, 0.0, 0.0)
    q = runs[first_up - 1] if first_up else none
    s = runs[first_up + 1] if first_up + 1 < len(runs) else none
    r2 = runs[first_up + 2] if first_up + 2 < len(runs) else none
    highest = max(runs[k][0] for k in ups)
    late = [runs[k] for k in ups if runs[k][0] >= highest / 2][-1]
    r = runs[first_up]
    if r2 is not none and first_up + 3 < len(runs):  # a last S wave, deeper than the first: it is the one that counts
        s = min(s, runs[first_up + 3])
    return QrsWaves(
        q[0], r[0], s[0], r2[0], q[1], r[1], s[1], r2[1], late[2], _is_notched(voltages * (voltages > highest / 3))
    )


def _size(pair: tuple[float, float]) -> float:
    return abs(pair[0])


def _is_notched(voltages: NDArray[np.float64]) -> bool:
    """Whether there is a dip of `_NOTCH_MV` or a tenth of the height between two peaks."""
    depth = max(_NOTCH_MV, 0.1 * float(voltages.max(initial=0.0)))
    from_left, from_right = np.maximum.accumulate(voltages), np.maximum.accumulate(voltages[::-1])[::-1]
    return bool((np.minimum(from_left, from_right) - voltages > depth).any())
