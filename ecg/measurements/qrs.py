"""Where the QRS complexes are, and where a pacemaker fired."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from ecg.arrays import Signal
from ecg.measurements.small_arrays import clip, median
from ecg.signal.windows import pad_edges

Samples = NDArray[np.int64]

_HALF = 0.020  # s, half of the wavelet; its whole period of 40 ms is null at the mains' 50 Hz (second at 100 Hz)
_SMOOTHING = 0.080  # s, over which one complex's slopes melt into one hump
_REFRACTORY = 0.200  # s, no two complexes are closer
_NOISE_FLOOR = 0.015  # mV, a lead whose wavelet coefficients are mostly below that is as good as a lead can be
_ACCEPT, _SEARCH_BACK = 0.35, 0.20  # of the level of the complexes around, above what lies between them
_CREST = (
    1.7  # small humps are complexes if they are that high relative to the median: noise makes 1.6 (250 simulated ones)
)
_LARGE = 0.2  # mV, change over 20 ms in the liveliest lead; ventricular tachycardia has large humps and nothing between
_SMALLEST = 0.05  # mV, change over 20 ms in the liveliest lead; nothing smaller is a complex
_FAULT = 0.85  # of the power; of a complex no fault explains that much
_SPIKE = 0.15  # mV, second difference over 2 ms that only a pacing spike reaches


def box(signal: NDArray[np.floating], length: int) -> NDArray[np.float64]:
    """Moving average of a signal (n,) over `length` samples (odd), 0 beyond the ends; the same shape, float64."""
    half = length // 2
    padded = np.zeros(len(signal) + length)
    padded[half + 1 : half + 1 + len(signal)] = signal
    total = np.cumsum(padded)
    return (total[length:] - total[:-length]) / length


def find_complexes(signal: Signal, rate: float, faults: Signal | None = None) -> Samples:
    """Find the QRS complexes in all leads together.

    Each lead goes through a Haar wavelet of 40 ms, is weighted by what lies between its complexes, and all are summed
    as vectors: the spatial velocity of vectorcardiography. Humps of it are complexes where they reach a share of the
    level of the neighbouring ones; where an interval is much longer than the others a smaller share is enough.

    `signal`, (n_leads, n_samples), float32, mV: finite; leads without a signal left out. `rate`: sampling frequency,
    Hz. `faults`, (3, n_leads), float32: what a loose electrode of a limb would add to the leads
    (`loose_electrodes.limb_faults`). If given, what one loose electrode could have made, of a limb or of the chest,
    counts for nothing. Returns (n_beats,), int64: samples of the largest deflection of each complex, ascending.
    """
    if len(signal) == 0 or signal.shape[1] < 12 * round(_HALF * rate):
        return np.zeros(0, dtype=np.int64)
    change = changes(signal, rate)
    typical = median(np.abs(change[:, ::3]))
    weights = ((typical + _NOISE_FLOOR) ** -2).astype(np.float32)
    velocity = _length(change, weights, faults)
    hump = _hump(velocity, rate)
    candidates, _ = find_peaks(np.concatenate([[0], hump, [0]]), distance=max(1, round(_REFRACTORY * rate)))
    candidates -= 1
    if len(candidates) == 0:
        return candidates.astype(np.int64)
    times, quiet = candidates / rate, median(hump[::3])
    heights = hump[candidates] - quiet
    level = _level(times, heights)
    found = candidates[_accept(times, heights, level, _sharpness(signal, weights, faults, rate, candidates))]
    reach = round(0.08 * rate)
    near = change.take(found[:, np.newaxis] + np.arange(-reach, reach + 1), axis=1, mode="clip")
    largest = np.abs(near).max(axis=(0, 2), initial=0)
    tall = heights[heights > _ACCEPT * level]
    low = len(tall) > 0 and median(tall) < (_CREST - 1) * quiet
    found = found[largest > (_LARGE if low else _SMALLEST)]
    return largest_deflections(signal, rate, found.astype(np.int64))


def changes(signal: Signal, rate: float) -> Signal:
    """Mean of the next 20 ms less mean of the last 20 ms in each lead, mV."""
    half = round(_HALF * rate)
    padded = pad_edges(signal, half - 1, half)
    sums = padded[:, : signal.shape[1] + half].copy()
    for k in range(1, half):
        sums += padded[:, k : k + sums.shape[1]]
    change = sums[:, half:] - sums[:, :-half]
    change[:, -1] = 0
    change /= np.float32(half)
    return change


def _length(vectors: Signal, weights: NDArray[np.float32], faults: Signal | None) -> NDArray[np.float32]:
    """Lengths (n,) of weighted vectors (n_leads, n), each without a fault that explains nearly all of it."""
    powers = np.square(vectors)
    power = weights @ powers
    if faults is not None:
        powers *= weights[:, np.newaxis]
        # A fault of one lead explains that lead's power; a limb's fault explains its squared product with the vector.
        lengths = np.sqrt(faults**2 @ weights)[:, np.newaxis]
        explained = np.square((faults * weights / lengths) @ vectors).max(axis=0)
        explained = np.maximum(explained, powers.max(axis=0))
        power -= np.where(explained > _FAULT * power, explained, 0)
    return np.sqrt(np.maximum(power, 0))


def _hump(velocity: NDArray[np.float32], rate: float) -> NDArray[np.float64]:
    return box(velocity, 2 * round(_SMOOTHING * rate / 2) + 1)


def centre_of_complex(beat: Signal, rate: float, near: int) -> int:
    """The sample within 60 ms of `near` around which the spatial velocity of a beat is greatest."""
    reach, beyond = round(0.06 * rate), round(0.15 * rate)
    first = max(0, near - beyond)
    part = beat[:, first : near + beyond + 1]
    hump = _hump(np.sqrt((changes(part, rate) ** 2).sum(axis=0)), rate)
    inner = max(0, near - reach)
    return inner + int(hump[inner - first : near + reach + 1 - first].argmax())


def _sharpness(
    signal: Signal,
    weights: NDArray[np.float32],
    faults: Signal | None,
    rate: float,
    candidates: NDArray[np.integer],
) -> NDArray[np.floating]:
    """Largest spatial second difference over 10 ms near each candidate: T waves are as high as QRS, never as sharp."""
    step, reach = round(0.010 * rate), round(0.06 * rate)
    smooth = signal[:, :-2] + signal[:, 1:-1] + signal[:, 2:]
    bend = np.zeros(signal.shape[1] + 2 * reach, dtype=np.float32)
    second = smooth[:, 2 * step :] - 2 * smooth[:, step:-step] + smooth[:, : -2 * step]
    bend[reach + step + 1 :][: second.shape[1]] = _length(second, weights, faults)
    return bend[candidates[:, np.newaxis] + np.arange(2 * reach + 1)].max(axis=1)


def _accept(
    times: NDArray[np.float64],
    heights: NDArray[np.float64],
    level: NDArray[np.float64],
    sharpness: NDArray[np.floating],
) -> NDArray[np.bool_]:
    """Which humps are complexes, by their height above the signal between the complexes."""
    accepted: NDArray[np.bool_] = heights > _ACCEPT * level
    # A large P wave of small complexes is followed at once by something higher.
    inside = np.flatnonzero(accepted)
    before_higher = (np.diff(times[inside]) < 0.28) & (heights[inside[:-1]] < 0.65 * heights[inside[1:]])
    accepted[inside[:-1][before_higher]] = False
    # The T wave of a large complex may be as high as a small complex, but it is near and not sharp. That of a complex
    # before the first sample is known by the others' sharpness.
    first = np.flatnonzero(accepted)[:1]
    if len(first) and times[first] < 0.42 and sharpness[first] < 0.3 * median(sharpness[accepted]):
        accepted[first] = False
    previous = -1
    for k, following in pairwise([*np.flatnonzero(accepted).tolist(), -1]):
        if previous >= 0:
            apart, ratio = times[k] - times[previous], heights[k] / heights[previous]
            blunt = sharpness[k] < 0.42 * sharpness[previous]
            # At 30 per minute it is late; of 1,941 recordings none has a premature beat that low and near.
            late = apart < 0.5 and ratio < 0.5 and (following < 0 or times[following] - times[k] > 2.5 * apart)
            if (apart < 0.36 and ratio < 0.5) or (apart < 0.42 and ratio < 0.7 and blunt) or late:
                accepted[k] = False
                continue
        previous = k
    inside = np.flatnonzero(accepted)
    if len(inside) < 3:
        return accepted
    usual = median(np.diff(times[inside]))
    for before, after in pairwise(inside):
        if times[after] - times[before] > 1.6 * usual:
            between = np.arange(before + 1, after)
            apart = (times[between] - times[before] > 0.36) & (times[after] - times[between] > 0.3)
            between = between[apart & (heights[between] > _SEARCH_BACK * level[between])]
            if len(between):
                accepted[between[np.argmax(heights[between])]] = True
    return accepted


def _level(times: NDArray[np.float64], heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height of the complexes around each hump: median over five blocks of two seconds of the highest hump."""
    block = (times // 2.0).astype(int)
    highest = np.zeros(block[-1] + 1)
    np.maximum.at(highest, block, heights)
    around = np.arange(len(highest))[:, np.newaxis] + np.arange(-2, 3)
    last = len(highest) - 1
    around = last - np.abs(last - np.abs(around)) if last >= 2 else np.clip(around, 0, last)  # mirrored at the ends
    return median(highest[around])[block]


def largest_deflections(signal: Signal, rate: float, near: Samples) -> Samples:
    """The sample of the largest spatial magnitude within 30 ms of each of `near`, baseline taken off."""
    reach, far, step = round(0.03 * rate), round(0.3 * rate), round(0.02 * rate)
    around = near[:, np.newaxis] + np.arange(-far, far + 1, step)
    level = median(signal.take(around, axis=1, mode="clip"))  # (n_leads, n_beats)
    inner = clip(near[:, np.newaxis] + np.arange(-reach, reach + 1), 0, signal.shape[1] - 1)
    size = ((signal.take(inner, axis=1) - level[..., np.newaxis]) ** 2).sum(axis=0)
    return inner[np.arange(len(near)), size.argmax(axis=1)]


def find_spikes(signal: Signal, rate: float) -> Samples:
    """Find pacing spikes: a deflection of a few ms, far steeper than all else around it.

    `signal`: (n_leads, n_samples), float32, mV. `rate`: Hz. Returns (n_spikes,), int64: their samples, ascending.
    """
    if len(signal) == 0 or signal.shape[1] < 5:
        return np.zeros(0, dtype=np.int64)
    first = signal[:, 1:] - signal[:, :-1]
    second = first[:, 1:] - first[:, :-1]
    bend = np.zeros(signal.shape[1], dtype=np.float32)
    np.maximum(second.max(axis=0), -second.min(axis=0), out=bend[1:-1])
    if bend.max() < _SPIKE:
        return np.zeros(0, dtype=np.int64)
    candidates, _ = find_peaks(bend, height=_SPIKE, distance=max(1, round(0.02 * rate)))
    near, far = round(0.008 * rate), round(0.04 * rate)
    around = np.concatenate([np.arange(-far, -near), np.arange(near + 1, far + 1)])
    beside = np.pad(bend, far)[far + candidates[:, np.newaxis] + around].max(axis=1)
    return candidates[bend[candidates] > 4 * beside].astype(np.int64)


def without_spikes(signal: Signal, rate: float, spikes: Samples) -> Signal:
    """Bridge each spike by a straight line, 6 ms to either side; the argument is not changed."""
    if len(spikes) == 0:
        return signal
    signal = signal.copy()
    reach = round(0.006 * rate)
    for spike in spikes:
        first, last = max(0, spike - reach), min(signal.shape[1] - 1, spike + reach)
        signal[:, first : last + 1] = np.linspace(signal[:, first], signal[:, last], last - first + 1, axis=1)
    return signal
