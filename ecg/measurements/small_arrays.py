"""Operations on small arrays, without the checks and conversions that numpy's own spend most of their time on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_FEW = 16  # beats; more are sorted faster sample by sample


def median(values: NDArray[np.floating], axis: int = -1) -> NDArray[np.floating]:
    """As `numpy.median`, of finite numbers.

    Parameters
    ----------
    values : ndarray of any shape, floating
        Finite; at least one along `axis`.
    axis : int

    Returns
    -------
    ndarray of the same dtype, without that axis
    """
    if axis != -1:
        return _middle(np.moveaxis(np.sort(values, axis=axis), axis, 0))
    ordered, n = np.sort(values), values.shape[-1]
    middle: NDArray[np.floating] = (ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2
    return middle


def median_of_beats(beats: NDArray[np.floating]) -> NDArray[np.floating]:
    """Median over the second axis, (n_leads, n_beats, n_samples) to (n_leads, n_samples), of finite numbers."""
    n_beats = beats.shape[1]
    if n_beats > _FEW:
        return median(beats, axis=1)
    # Few are sorted fastest by exchanging neighbours, of all samples at a time (odd-even transposition sort).
    rows = list(beats.swapaxes(0, 1))
    for turn in range(n_beats):
        for k in range(turn % 2, n_beats - 1, 2):
            rows[k], rows[k + 1] = np.minimum(rows[k], rows[k + 1]), np.maximum(rows[k], rows[k + 1])
    return _middle(rows)


def _middle(ordered: Sequence[NDArray[np.floating]] | NDArray[np.floating]) -> NDArray[np.floating]:
    """Mean of the two in the middle, which are one where the number is odd."""
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def quantile(values: NDArray[np.floating], share: float) -> float:
    """As `numpy.quantile`, of finite numbers, shape (n,), one at least."""
    ordered = np.sort(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (place - below) * (ordered[above] - ordered[below]))


def spread_over(count: int, most: int) -> NDArray[np.int64]:
    """Indices of `count` things, evenly spread and `most` at most, ascending."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def without_line(part: NDArray[np.floating]) -> NDArray[np.float64]:
    """Take off the line between first and last sample, along the last axis: a wave on its own base line."""
    first, last = part[..., :1], part[..., -1:]
    share = np.arange(part.shape[-1]) / max(part.shape[-1] - 1, 1)
    return part - (first * (1 - share) + last * share)
