"""Beats sorted by the shape of their QRS complexes, and the median of those of one shape."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from ecg.arrays import Signal
from ecg.measurements.small_arrays import clip, mean, median, median_of_beats, quantile, spread_over
from ecg.signal.windows import block_means, pad_edges

Samples = NDArray[np.int64]

_BEFORE, _AFTER = 0.08, 0.12  # s around the largest deflection that a shape is compared in
_LAG = 0.04  # s, largest shift of a beat against another
_ALIKE = 0.82  # correlation over all leads from which two complexes have the same shape
_MOST_CLASSES = 8
_DISTURBED = 3  # leads
_MOST_LEADERS = 40
_MOST_BEATS = 200  # more make no better median
_AT_ONCE = 256  # beats that are compared at a time, so that memory stays small
_PREMATURE = 0.85  # of the interval that neighbours have
# mV, standard deviation of the levels before the QRS complexes, median over the leads: from there on the baseline is
# followed by a cubic spline (Meyer and Keiser 1977, Comput Biomed Res 10:459-470).
_WANDERS, _FEWEST_KNOTS = 0.1, 5
PAST, FUTURE = 0.448, 0.752  # s, the most that a median beat shows before and after the largest deflection


@dataclass(frozen=True)
class Classes:
    """Beats by shape."""

    # (n_beats,), float64: the beats in samples, moved so that those of one class lie on each other.
    positions: NDArray[np.float64]
    of_beat: Samples  # (n_beats,), int64: class of each beat
    dominant: int  # the class that stands for the recording
    # (n_beats,), bool: beats that come from elsewhere: of another shape than the dominant one, or early.
    ectopic: NDArray[np.bool_]


def sort_beats(signal: Signal, rate: float, beats: Samples, disturbed: NDArray[np.bool_] | None = None) -> Classes:
    """Sort beats into classes of like QRS shape, by the correlation over all leads at the best shift.

    `signal`: (n_leads, n_samples), float32, mV. `rate`: Hz. `beats`, (n_beats,), int64: samples of the largest
    deflections, ascending; one at least. `disturbed`, (n_leads, n_beats), bool: leads that are not to be looked at in a
    beat; flat there.
    """
    coarse = _Windows(signal, rate, beats, step=2, lag=_LAG, disturbed=disturbed)
    leaders = spread_over(len(beats), _MOST_LEADERS)
    alike, at = coarse.match(coarse.at(leaders))
    lags = np.rint(at).astype(np.int64)
    of_beat = np.full(len(beats), -1)
    shift = np.zeros(len(beats), dtype=np.int64)
    for label in range(_MOST_CLASSES):
        rest = of_beat < 0
        if not rest.any():
            break
        chosen = int(np.argmax(((alike > _ALIKE) & rest[:, np.newaxis]).sum(axis=0) + 0.5 * rest[leaders]))
        members = rest & (alike[:, chosen] > _ALIKE)
        class_lags = lags[:, chosen]
        if members.sum() > 2:  # once more with the mean shape, which has less noise
            some = np.flatnonzero(members)[:_MOST_BEATS]
            likeness, its_lags = coarse.match(mean(coarse.at(some, class_lags[some]), axis=0, keepdims=True))
            members, class_lags = rest & (likeness[:, 0] > _ALIKE), np.rint(its_lags[:, 0]).astype(np.int64)
        if not members.any() or label == _MOST_CLASSES - 1:
            members = rest
        of_beat[members] = label
        shift[members] = class_lags[members]

    early = _premature(beats / rate)
    whole = (beats >= (_BEFORE + _LAG) * rate) & (beats <= signal.shape[1] - (_AFTER + _LAG) * rate)
    if disturbed is not None:
        whole &= np.count_nonzero(disturbed, axis=0) < _DISTURBED
    dominant = _dominant(of_beat, early, coarse)
    of_beat[~whole & whole.any()] = dominant  # what is cut off, or disturbed in many leads, shows no other shape
    positions = (beats + coarse.step * shift).astype(np.float64)
    members = of_beat == dominant
    fine = _Windows(signal, rate, beats[members] + coarse.step * shift[members], step=1, lag=0.012)
    some = np.arange(min(len(fine.starts), _MOST_BEATS))
    positions[members] += fine.match(mean(fine.at(some), axis=0, keepdims=True))[1][:, 0]
    return Classes(positions, of_beat, dominant, (of_beat != dominant) | early)


class _Windows:
    """Pieces of a signal around beats, to be compared with templates at several shifts.

    - `signal`: (n_leads, n_samples), float32, mV.
    - `rate`: Hz.
    - `beats`, (n_beats,), int64: samples.
    - `step`: every how many samples the signal is looked at.
    - `lag`: the largest shift, s.
    - `disturbed`, (n_leads, n_beats), bool: as in `sort_beats`.
    """

    def __init__(
        self,
        signal: Signal,
        rate: float,
        beats: Samples,
        step: int,
        lag: float,
        disturbed: NDArray[np.bool_] | None = None,
    ) -> None:
        self.heard = None if disturbed is None or not disturbed.any() else (~disturbed.T).astype(np.float32)
        self.step = step
        self.smooth = block_means(signal, step) if step > 1 else signal
        before, self.lag = round(_BEFORE * rate / step), round(lag * rate / step)
        self.width = before + round(_AFTER * rate / step)
        self.starts = np.minimum(beats // step, self.smooth.shape[1] - 1) - before

    def _cut(self, starts: Samples, length: int) -> Signal:
        """Pieces of that length, shape (n, n_leads, length); beyond the ends the first or last sample goes on."""
        places = starts[:, np.newaxis] + np.arange(length)
        return self.smooth.take(places, axis=1, mode="clip").swapaxes(0, 1)

    def at(self, which: Samples, lags: Samples | int = 0) -> Signal:
        """The windows of some beats, shape (n, n_leads, width)."""
        return self._cut(self.starts[which] + lags, self.width)

    def match(self, templates: Signal) -> tuple[Signal, NDArray[np.float64]]:
        """Correlate all beats with templates (n_templates, n_leads, width).

        Returns the best correlation and the shift that has it, with a fraction, both (n_beats, n_templates).
        """
        n_templates, _, width = templates.shape
        centred = templates - mean(templates, axis=2, keepdims=True)
        centred /= np.maximum(np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True)), 1e-9)
        lags = np.arange(-self.lag, self.lag + 1)
        # Each template at each lag as a column: one product, so small that no BLAS gives it to several threads.
        columns = _at_each_lag(centred.transpose(1, 2, 0), len(lags)).reshape(-1, len(lags) * n_templates)
        inside = _inside(width, len(lags))
        best, at = [], []
        for first in range(0, len(self.starts), _AT_ONCE):
            pieces = self._cut(self.starts[first : first + _AT_ONCE] - self.lag, width + len(lags) - 1)
            power = np.square(pieces).sum(axis=1) @ inside - np.square(pieces @ inside).sum(axis=1) / width
            products = (pieces.reshape(len(pieces), -1) @ columns).reshape(len(pieces), len(lags), n_templates)
            likeness = products / np.sqrt(np.maximum(power, 1e-12))[..., np.newaxis]
            if self.heard is not None:  # a template without the leads that are disturbed is smaller
                heard = self.heard[first : first + _AT_ONCE] @ (centred**2).sum(axis=2).T
                likeness /= np.sqrt(np.maximum(heard, 1e-6))[:, np.newaxis]
            k = likeness.argmax(axis=1)
            beat, template = np.arange(k.shape[0])[:, np.newaxis], np.arange(k.shape[1])
            # The top of the parabola through the best and its neighbours.
            inner = clip(k, 1, len(lags) - 2)
            left, middle, right = (likeness[beat, inner + side, template] for side in (-1, 0, 1))
            top = 0.5 * (left - right) / np.minimum(left - 2 * middle + right, -1e-9)
            best.append(likeness[beat, k, template])
            at.append(lags[k] + np.where(inner == k, clip(top, -0.5, 0.5), 0))
        return np.concatenate(best), np.concatenate(at)


def _at_each_lag(shapes: Signal, n_lags: int) -> Signal:
    """Shapes (n_leads, width, n) at every lag, 0 around them: (n_leads, width + n_lags - 1, n_lags, n)."""
    n_leads, width, n = shapes.shape
    padded = np.zeros((n_leads, width + 2 * (n_lags - 1), n), dtype=np.float32)
    padded[:, n_lags - 1 : n_lags - 1 + width] = shapes
    lead, sample, item = padded.strides
    shape, strides = (n_leads, width + n_lags - 1, n_lags, n), (lead, sample, -sample, item)
    return np.ndarray(shape, np.float32, padded, (n_lags - 1) * sample, strides)


@lru_cache(maxsize=16)
def _inside(width: int, n_lags: int) -> Signal:
    """Which samples are in a window of this width at each lag, shape (width + n_lags - 1, n_lags), 1 or 0."""
    return np.ascontiguousarray(_at_each_lag(np.ones((1, width, 1), dtype=np.float32), n_lags)[0, :, :, 0])


def _premature(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Beats that interrupt a regular rhythm: early, the rhythm around them being regular."""
    early = np.zeros(len(times), dtype=bool)
    if len(times) < 4:
        return early
    intervals = np.diff(times)
    in_order = intervals.tolist()
    around = (sorted(in_order[max(0, k - 4) : k + 5]) for k in range(len(in_order)))
    usual = np.array([(near[(len(near) - 1) // 2] + near[len(near) // 2]) / 2 for near in around])
    ratio = intervals / usual
    if median(np.abs(ratio - 1)) > 0.08:  # irregular throughout, as in fibrillation
        return early
    following = np.append(ratio[1:], 1.0)
    early[1:] = (ratio < _PREMATURE) & (following > ratio + 0.1)
    return early


def _dominant(of_beat: Samples, early: NDArray[np.bool_], windows: _Windows) -> int:
    """The most frequent class; among classes almost as frequent the one of narrow complexes in time."""
    counts = np.bincount(of_beat)
    often = np.flatnonzero(counts >= max(2, 0.6 * counts.max())) if counts.max() > 1 else np.flatnonzero(counts)
    if len(often) == 1:
        return int(often[0])
    ranks = []
    for label in often:
        members = np.flatnonzero(of_beat == label)[:_MOST_BEATS]
        speed = np.sqrt((np.diff(windows.at(members), axis=2) ** 2).sum(axis=1)).mean(axis=0)
        wide = (speed > 0.2 * speed.max()).sum()
        ranks.append((early[members].mean() > 0.5, wide, -counts[label]))
    return int(often[min(range(len(often)), key=lambda k: ranks[k])])


def rough_onset(signal: Signal, rate: float, beats: Samples) -> int:
    """About where the complexes begin, samples from `beats` (negative): the mean spatial velocity leaves its quiet."""
    before, after = round(0.22 * rate), round(0.1 * rate)
    some = beats[:_MOST_BEATS, np.newaxis] + np.arange(-before, after)
    shape = mean(signal.take(some, axis=1, mode="clip"), axis=1)
    step = round(0.008 * rate)
    speed = np.sqrt(((shape[:, step:] - shape[:, :-step]) ** 2).sum(axis=0))
    quiet = quantile(speed[: before - step], 0.15)
    slow = speed < quiet + 0.08 * (speed.max() - quiet)
    gap = round(0.024 * rate)  # the velocity is low at a peak, but not for long
    k = before
    while k > gap and not slow[k - gap : k].all():
        k -= 1
    return k + step // 2 - before


def level_baseline(signal: Signal, rate: float, onsets: Samples) -> Signal:
    """Take off the line through the levels just before each QRS complex, or the curve where the baseline wanders.

    `signal`: (n_leads, n_samples), float32, mV. `rate`: Hz. `onsets`, (n_beats,), int64: QRS onsets, ascending. Returns
    (n_leads, n_samples), float32, mV.
    """
    width = round(0.02 * rate)
    knots = clip(onsets - width, 0, signal.shape[1] - 1)
    near = knots[:, np.newaxis] + np.arange(-width // 2, width // 2)
    levels = mean(signal.take(near, axis=1, mode="clip"))
    if len(knots) >= _FEWEST_KNOTS and median(levels.std(axis=1)) > _WANDERS and _is_smooth(levels):
        knots, first = np.unique(knots, return_index=True)
        curve = CubicSpline(knots, levels[:, first], axis=1, bc_type="natural")
        return (signal - curve(clip(np.arange(signal.shape[1]), knots[0], knots[-1]))).astype(np.float32)
    # Before the first level and after the last one the line is flat.
    levels = np.concatenate([levels[:, :1], levels, levels[:, -1:]], axis=1)
    knots = np.concatenate([[0], knots, [signal.shape[1]]])
    lengths = np.diff(knots)
    slopes = np.diff(levels) / np.maximum(lengths, 1).astype(np.float32)
    steps = np.arange(lengths.max(), dtype=np.float32)
    levelled = np.empty_like(signal)
    for k in np.flatnonzero(lengths).tolist():
        between = levelled[:, knots[k] : knots[k + 1]]
        np.multiply(slopes[:, k : k + 1], steps[: lengths[k]], out=between)
        between += levels[:, k : k + 1]
        np.subtract(signal[:, knots[k] : knots[k + 1]], between, out=between)
    return levelled


def _is_smooth(levels: Signal) -> bool:
    """Whether a cubic through the two levels on either side tells a level, (n_leads, n_knots), better than a line.

    It does where a patient breathes, and does not where an electrode comes loose.
    """
    near = levels[:, 1:-3] + levels[:, 3:-1]
    middle, far = levels[:, 2:-2], levels[:, :-4] + levels[:, 4:]
    return bool(np.square(middle - (4 * near - far) / 6).sum() < np.square(middle - near / 2).sum())


def median_of(signal: Signal, rate: float, beats: Samples) -> tuple[NDArray[np.float32], int, int]:
    """Median of beats, aligned as they are given.

    `signal`: (n_leads, n_samples), float32, mV. `rate`: Hz. `beats`, (n_beats,), int64: samples to lay on each other.
    Returns `beat`: (n_leads, (PAST + FUTURE) * rate), float32, mV; `centre`: where the beats' samples lie in it;
    `n_beats`: how many entered it: those wholly inside the recording, or all where fewer than three are.
    """
    past, future = round(PAST * rate), round(FUTURE * rate)
    inside = beats[(beats >= past) & (beats + future <= signal.shape[1])]
    if len(inside) < min(3, len(beats)):
        inside = beats
        signal = pad_edges(signal, past, future)
        inside = inside + past
    chosen = inside[spread_over(len(inside), _MOST_BEATS)]
    stack = sliding_window_view(signal, past + future, axis=1)[:, chosen - past]
    return median_of_beats(stack), past, len(chosen)
