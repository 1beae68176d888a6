"""Whether the waves before the QRS complexes are P waves, or fibrillation, flutter or noise."""

import numpy as np
from numpy.typing import NDArray

from ecg.measurements.atrial_waves import PeriodicWaves
from ecg.measurements.boundary_network import parameters
from ecg.measurements.small_arrays import mean, median, median_of_beats, spread_over

_MOST_BEATS = 60
FEWEST_BEATS = 3  # fewer do not show whether something repeats itself


def evidence(
    signal: NDArray[np.float32],
    rate: float,
    beats: NDArray[np.int64],
    marks: NDArray[np.float64],
    spread: NDArray[np.float64],
    intervals: NDArray[np.float64],
    periodic: PeriodicWaves,
) -> NDArray[np.float64]:
    """Numbers that speak for and against P waves.

    - `signal`, (n_leads, n_samples), float32, mV: leads with a signal.
    - `rate`: Hz.
    - `beats`, (n_beats,), int64: samples of the beats of the dominant class.
    - `marks`, (6,), float64: onset and offset of P, QRS and T of the median beat, in samples from `beats`; P
      where it would be.
    - `spread`, (2,), float64: how uncertain onset and offset of P are, samples.
    - `intervals`, (n_intervals,), float64: RR intervals, s.

    Returns (12,), float64: logarithms of: the size of the wave in the median beat (mV); how much its size varies from
    beat to beat; what single beats have beside it, relative to it; the uncertainty of its boundaries (ms); the typical
    change from one RR interval to the next, relative; the mean RR interval (s). Then what `periodic` says, and in s:
    duration of the wave, PR interval, and how long the T wave before it goes on after its onset (negative: ends
    before).
    """
    onset, offset, qrs_onset = marks[:3]
    reach = np.arange(round(onset), max(round(offset), round(onset) + 8) + 1)
    some = beats[spread_over(len(beats), _MOST_BEATS)]
    pieces = signal.take(some[:, np.newaxis] + reach, axis=1, mode="clip")  # (n_leads, n_beats, width)
    first, last = mean(pieces[..., :3], keepdims=True), mean(pieces[..., -3:], keepdims=True)
    pieces = pieces - first - (last - first) * np.linspace(0, 1, len(reach), dtype=np.float32)
    typical = median_of_beats(pieces)
    power = max(float((typical**2).sum()), 1e-9)
    sizes = np.einsum("lbw,lw->b", pieces, typical) / power
    beside = ((pieces - sizes[:, np.newaxis] * typical[:, np.newaxis]) ** 2).sum(axis=(0, 2)) / power
    change = median(np.abs(np.diff(intervals))) / intervals.mean() if len(intervals) > 1 else 0.05
    size_and_rhythm = np.log(
        [
            np.sqrt(power / typical.size) + 1e-4,
            median(np.abs(sizes - 1)) + 0.02,
            median(beside) + 0.02,
            1e3 * spread.sum() / rate + 1,
            change + 0.005,
            intervals.mean() if len(intervals) else 0.8,
        ]
    )
    of_periodic = (periodic.explained, periodic.outside, periodic.explained_outside)
    overlap = (marks[5] - onset) / rate - (median(intervals) if len(intervals) else 0.8)
    return np.array([*size_and_rhythm, *of_periodic, (offset - onset) / rate, (qrs_onset - onset) / rate, overlap])


def probability(numbers: NDArray[np.float64]) -> float:
    """How likely P waves are: a network with one hidden layer on `evidence`."""
    fitted = parameters()
    hidden = np.tanh(fitted["p_waves.0.weight"] @ numbers + fitted["p_waves.0.bias"])
    score = float((fitted["p_waves.1.weight"] @ hidden + fitted["p_waves.1.bias"])[0])
    return 1 / (1 + float(np.exp(-np.clip(score, -50, 50))))
