"""Beats sorted by the shape of their QRS complexes, and the median of those of one shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ecg.measurements.qrs import box

Signal = NDArray[np.float32]
Samples = NDArray[np.int64]

_BEFORE, _AFTER = 0.08, 0.12  # s around the largest deflection that a shape is compared in
_LAG = 0.04  # s, largest shift of a beat against another
_ALIKE = 0.88  # correlation over all leads from which two complexes have the same shape
_MOST_CLASSES = 8
_MOST_LEADERS = 40
_MOST_BEATS = 200  # more make no better median
_PREMATURE = 0.85  # of the interval that neighbours have
PAST, FUTURE = 0.45, 0.75  # s, the most that a median beat shows before and after the largest deflection


@dataclass(frozen=True)
class Classes:
    """Beats by shape.

    Attributes
    ----------
    samples : ndarray, shape (n_beats,), int64
        The beats, moved so that those of one class lie on each other.
    of_beat : ndarray, shape (n_beats,), int64
        Class of each beat.
    dominant : int
        The class that stands for the recording.
    ectopic : ndarray, shape (n_beats,), bool
        Beats that come from elsewhere: of another shape than the dominant one, or early.
    """

    samples: Samples
    of_beat: Samples
    dominant: int
    ectopic: NDArray[np.bool_]


def sort_beats(signal: Signal, rate: float, beats: Samples) -> Classes:
    """Sort beats into classes of like QRS shape, by the correlation over all leads at the best shift.

    Parameters
    ----------
    signal : ndarray, shape (n_leads, n_samples), float32, mV
    rate : float
        Hz.
    beats : ndarray, shape (n_beats,), int64
        Samples of the largest deflections, ascending; one at least.
    """
    step = 2  # half of the samples tell as much about the shape
    smooth = box(signal, 5)[:, ::step].astype(np.float32)
    before, after, lag = (round(span * rate / step) for span in (_BEFORE, _AFTER, _LAG))
    margin = before + after + lag
    smooth = np.pad(smooth, ((0, 0), (margin, margin)), mode="edge")
    starts = beats // step + margin - before
    windows = sliding_window_view(smooth, before + after, axis=1).transpose(1, 0, 2)  # (positions, n_leads, window)

    of_beat = np.full(len(beats), -1)
    shift = np.zeros(len(beats), dtype=np.int64)
    for label in range(_MOST_CLASSES):
        rest = np.flatnonzero(of_beat < 0)
        if len(rest) == 0:
            break
        some = rest[np.unique(np.linspace(0, len(rest) - 1, min(len(rest), _MOST_LEADERS)).astype(int))]
        alike = np.stack([_correlate(windows, starts[some], _normalised(windows[starts[k]]), lag)[0] for k in some])
        template = windows[starts[some[np.argmax((alike > _ALIKE).sum(axis=1) + 0.5 * alike.mean(axis=1))]]]
        likeness, lags = _correlate(windows, starts[rest], _normalised(template), lag)
        members = likeness > _ALIKE
        if members.sum() > 2:  # once more with the mean shape, which has less noise
            template = windows[(starts[rest] + lags)[members][:_MOST_BEATS]].mean(axis=0)
            likeness, lags = _correlate(windows, starts[rest], _normalised(template), lag)
            members = likeness > _ALIKE
        if not members.any() or label == _MOST_CLASSES - 1:
            members = np.ones(len(rest), dtype=bool)
        of_beat[rest[members]] = label
        shift[rest[members]] = lags[members]

    early = _premature(beats / rate)
    dominant = _dominant(of_beat, early, smooth, starts + before)
    ectopic = (of_beat != dominant) | early
    return Classes(beats + step * shift, of_beat, dominant, ectopic)


def _normalised(window: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = window - window.mean(axis=-1, keepdims=True)
    return centred / max(float(np.sqrt((centred**2).sum())), 1e-9)


def _correlate(
    windows: NDArray[np.float32], starts: Samples, template: NDArray[np.float32], lag: int
) -> tuple[NDArray[np.float32], Samples]:
    """Best correlation of each beat with a template and the shift that has it."""
    lags = np.arange(-lag, lag + 1)
    likeness = np.empty((len(lags), len(starts)), dtype=np.float32)
    for k, shift in enumerate(lags):
        shifted = windows[starts + shift]
        shifted = shifted - shifted.mean(axis=-1, keepdims=True)
        size = np.sqrt(np.einsum("blw,blw->b", shifted, shifted))
        likeness[k] = np.tensordot(shifted, template, axes=((1, 2), (0, 1))) / np.maximum(size, 1e-9)
    best = likeness.argmax(axis=0)
    return likeness[best, np.arange(len(starts))], lags[best]


def _premature(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Beats that interrupt a regular rhythm: early, the rhythm around them being regular."""
    early = np.zeros(len(times), dtype=bool)
    if len(times) < 4:
        return early
    intervals = np.diff(times)
    usual = np.array([np.median(intervals[max(0, k - 4) : k + 5]) for k in range(len(intervals))])
    ratio = intervals / usual
    if np.median(np.abs(ratio - 1)) > 0.08:  # irregular throughout, as in fibrillation
        return early
    following = np.append(ratio[1:], 1.0)
    early[1:] = (ratio < _PREMATURE) & (following > ratio + 0.1)
    return early


def _dominant(of_beat: Samples, early: NDArray[np.bool_], smooth: Signal, centres: Samples) -> int:
    """The most frequent class; among classes almost as frequent the one of narrow complexes in time."""
    counts = np.bincount(of_beat)
    often = np.flatnonzero(counts >= max(2, 0.6 * counts.max())) if counts.max() > 1 else np.flatnonzero(counts)
    if len(often) == 1:
        return int(often[0])
    speed = np.sqrt((np.diff(smooth, axis=1) ** 2).sum(axis=0))
    ranks = []
    for label in often:
        members = np.flatnonzero(of_beat == label)[:_MOST_BEATS]
        shape = np.median(speed[centres[members][:, np.newaxis] + np.arange(-30, 31)], axis=0)
        wide = (shape > 0.2 * shape.max()).sum()
        ranks.append((early[members].mean() > 0.5, wide, -counts[label]))
    return int(often[min(range(len(often)), key=lambda k: ranks[k])])


def level_baseline(signal: Signal, rate: float, onsets: Samples) -> Signal:
    """Take off the line through the levels just before each QRS complex.

    Parameters
    ----------
    signal : ndarray, shape (n_leads, n_samples), float32, mV
    rate : float
        Hz.
    onsets : ndarray, shape (n_beats,), int64
        QRS onsets, ascending.

    Returns
    -------
    ndarray, shape (n_leads, n_samples), float32, mV
    """
    width = round(0.02 * rate)
    knots = np.clip(onsets - width, width, max(width, signal.shape[1] - width))
    total = np.cumsum(np.pad(signal, ((0, 0), (1, width))), axis=1, dtype=np.float64)
    levels = (total[:, knots + width // 2] - total[:, knots - width // 2]) / (2 * (width // 2))
    grid = np.arange(signal.shape[1])
    return np.stack([lead - np.interp(grid, knots, level) for lead, level in zip(signal, levels, strict=True)]).astype(
        np.float32
    )


def median_of(signal: Signal, rate: float, beats: Samples) -> tuple[NDArray[np.float32], int, int]:
    """Median of beats, aligned as they are given.

    Parameters
    ----------
    signal : ndarray, shape (n_leads, n_samples), float32, mV
    rate : float
        Hz.
    beats : ndarray, shape (n_beats,), int64
        Samples to lay on each other.

    Returns
    -------
    beat : ndarray, shape (n_leads, (PAST + FUTURE) * rate), float32, mV
    centre : int
        Where the beats' samples lie in it.
    n_beats : int
        How many entered it: those wholly inside the recording, or all where fewer than three are.
    """
    past, future = round(PAST * rate), round(FUTURE * rate)
    inside = beats[(beats >= past) & (beats + future <= signal.shape[1])]
    if len(inside) < min(3, len(beats)):
        inside = beats
        signal = np.pad(signal, ((0, 0), (past, future)), mode="edge")
        inside = inside + past
    chosen = inside[np.unique(np.linspace(0, len(inside) - 1, min(len(inside), _MOST_BEATS)).astype(int))]
    stack = sliding_window_view(signal, past + future, axis=1)[:, chosen - past]
    return np.median(stack, axis=1), past, len(chosen)
