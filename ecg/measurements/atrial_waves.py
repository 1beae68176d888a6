"""Waves that go on from one QRS complex to the next: flutter waves, and fibrillation waves that are nearly regular.

A P wave is followed by a QRS complex, and then there is none until the next beat. Flutter waves return at their own
rate, 240 to 350 per minute, whatever the ventricles do. So a periodic wave, of one frequency and its double, is fitted
to what lies between each T wave and the next QRS complex; taken off the whole signal, it is gone from the QRS complexes
and T waves as well.
"""

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ecg.arrays import Signal
from ecg.signal.windows import block_means

SPAN = 10.0  # s, over which the frequency of flutter waves is constant enough
_RATE = 50.0  # Hz, enough for waves up to 14 Hz
_FREQUENCIES = np.arange(3.5, 7.01, 0.05)  # Hz; a coarser grid would step over the peak that 10 s make
_FINE = np.linspace(-0.05, 0.05, 21)  # Hz
_HARMONICS = 2
_AFTER_T, _BEFORE_QRS = 0.04, 0.02  # s
_SHORTEST, _LEAST = 0.2, 0.8  # s: of a stretch, which must hold more than a P wave, and of all together
_BESIDE_P = 0.01  # s
_RIDGE = 1e-3
_NEVER = 1e9  # samples
_GOES_ON = 0.25  # of the power; of 3,400 sinus rhythms 17 have more
_MOSTLY = 0.6  # of the power; less regular waves can't be foretold within a QRS complex


@dataclass(frozen=True)
class PeriodicWaves:
    """What a periodic wave explains between the T waves and the QRS complexes."""

    explained: float  # share of the power there; 0 where the stretches are too short to say
    outside: float  # share of the power there that lies outside the P waves
    explained_outside: float  # share of the power there that lies outside the P waves and is explained
    # (n_leads, n_samples), float32, mV: the periodic waves, throughout, if they are flutter waves: if they go on where
    # there would be no P wave, and explain most of what there is.
    waves: Signal | None


def _waves(frequencies: NDArray[np.floating], times: NDArray[np.floating]) -> tuple[Signal, Signal]:
    """Cosine and sine of each frequency and its multiples up to `_HARMONICS`, and of as many multiples above these.

    Both of shape (n_frequencies, 2 * _HARMONICS, n_times).
    """
    turns = np.exp(2j * np.pi * np.multiply.outer(frequencies, times))
    powers = list(itertools.accumulate([turns] * (2 * _HARMONICS), np.multiply))
    all_of_them = np.stack([part for power in powers for part in (power.real, power.imag)], axis=1).astype(np.float32)
    return all_of_them[:, : 2 * _HARMONICS].copy(), all_of_them[:, 2 * _HARMONICS :].copy()


@lru_cache(maxsize=1)
def _grid() -> tuple[Signal, Signal]:
    """`_waves` of all frequencies, worked out once, at the middles of blocks of samples."""
    return _waves(_FREQUENCIES, (np.arange(round(SPAN * _RATE)) + 0.5) / _RATE)


def _fit(
    waves: Signal, higher: Signal, found: NDArray[np.floating], which: NDArray[np.floating]
) -> tuple[int, NDArray[np.floating], float]:
    """The best frequency, its coefficients (2 * _HARMONICS, n_leads) and the power it explains.

    `waves` and `higher`, (n_frequencies, 2 * _HARMONICS, n_times): as of `_waves`. `found`, (n_leads, n_times): less
    its level in each stretch, and 0 between them. `which`, (n_stretches, n_times): 1 in a stretch, 0 elsewhere.
    """
    n_frequencies, n_waves, n_times = waves.shape
    lengths = which.sum(axis=1)
    products = (waves.reshape(-1, n_times) @ np.concatenate([found, which]).T).reshape(n_frequencies, n_waves, -1)
    of_found, sums = products[..., : len(found)].astype(np.float64), products[..., len(found) :].astype(np.float64)
    above = (higher.reshape(-1, n_times) @ which.sum(axis=0)).reshape(n_frequencies, n_waves)
    # The product of two waves is half the sum, or the difference, of a wave of the sum and one of the difference of
    # their frequencies: so the sums of waves tell the sums of products.
    of_all = np.concatenate([sums.sum(axis=2), above], axis=1).T
    cosine = np.concatenate([np.full((1, n_frequencies), lengths.sum()), of_all[::2]])
    sine = np.concatenate([np.zeros((1, n_frequencies)), of_all[1::2]])
    squares = np.empty((n_frequencies, n_waves, n_waves))
    for i in range(1, _HARMONICS + 1):
        for j in range(1, _HARMONICS + 1):
            apart = sine[j - i] if j >= i else -sine[i - j]
            squares[:, 2 * i - 2, 2 * j - 2] = (cosine[abs(i - j)] + cosine[i + j]) / 2
            squares[:, 2 * i - 1, 2 * j - 1] = (cosine[abs(i - j)] - cosine[i + j]) / 2
            squares[:, 2 * i - 2, 2 * j - 1] = squares[:, 2 * j - 1, 2 * i - 2] = (sine[i + j] + apart) / 2
    squares -= (sums / lengths) @ sums.transpose(0, 2, 1)  # the waves have levels as well, and these are not to count
    coefficients = np.linalg.solve(squares + _RIDGE * lengths.sum() * np.eye(n_waves), of_found)
    power = (coefficients * of_found).sum(axis=(1, 2))
    best = int(power.argmax())
    return best, coefficients[best], float(power[best])


def periodic_waves(signal: Signal, rate: float, beats: NDArray[np.int64], marks: NDArray[np.float64]) -> PeriodicWaves:
    """Fit a periodic wave to what lies between the T waves and the QRS complexes.

    Least squares for each frequency, with its own level for each stretch between a T wave and a QRS complex.

    `signal`, (n_leads, n_samples), float32, mV: leads with a signal; `SPAN` at most. `rate`: Hz, a multiple of 50.
    `beats`, (n_beats,), int64: samples of all beats. `marks`, (6,), float64: onset and offset of P, QRS and T, in
    samples from `beats`.
    """
    step = round(rate / _RATE)
    coarse = block_means(signal, step)
    n_coarse = coarse.shape[1]
    at, marks = beats / step, marks / step
    starts = np.maximum(np.ceil(at + marks[5] + _AFTER_T * _RATE).astype(int), 0)
    stops = np.append(np.floor(at[1:] + marks[2] - _BEFORE_QRS * _RATE).astype(int), n_coarse)
    long = stops - starts >= _SHORTEST * _RATE
    starts, lengths, following = starts[long], (stops - starts)[long], np.append(at[1:], _NEVER)[long]
    if lengths.sum() < _LEAST * _RATE:
        return PeriodicWaves(0.0, 0.0, 0.0, None)
    times = np.arange(n_coarse)
    which = ((times >= starts[:, np.newaxis]) & (times < (starts + lengths)[:, np.newaxis])).astype(np.float32)
    of_stretch = which / lengths.astype(np.float32)[:, np.newaxis]

    def levelled(values: NDArray[np.floating]) -> NDArray[np.floating]:
        return (values - (values @ of_stretch.T) @ which) * which.sum(axis=0)

    found = levelled(coarse)
    waves, higher = (values[..., :n_coarse] for values in _grid())
    best, coefficients, power = _fit(waves, higher, found, which)
    rest = found - coefficients.T @ levelled(waves[best])
    before = times - following @ which
    margin = _BESIDE_P * _RATE
    outside = (before < marks[0] - margin) | (before > marks[1] + margin)
    total = max(float((found**2).sum()), 1e-9)
    there, left = float((found[:, outside] ** 2).sum()), float((rest[:, outside] ** 2).sum())
    explained, explained_outside = power / total, (there - left) / total
    if explained < _MOSTLY or explained_outside < _GOES_ON:
        return PeriodicWaves(explained, there / total, explained_outside, None)
    near = _FREQUENCIES[best] + _FINE
    best, coefficients, _ = _fit(*_waves(near, (times + 0.5) / _RATE), found, which)
    throughout = _waves(near[best : best + 1], (np.arange(signal.shape[1]) + 0.5) / rate)[0][0]
    return PeriodicWaves(explained, there / total, explained_outside, (coefficients.T @ throughout).astype(np.float32))
