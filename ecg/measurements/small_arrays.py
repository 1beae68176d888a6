"""Operations on small arrays, without the checks and conversions that numpy's own spend most of their time on."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEW = 16  # beats; more are sorted faster sample by sample


def median(values: NDArray[np.floating], axis: int = -1) -> NDArray[np.floating]:
    """As `numpy.median`, of finite numbers. `values`: finite; at least one along `axis`."""
    if axis != -1:
        return _middle(np.moveaxis(np.sort(values, axis=axis), axis, 0))
    ordered, n = np.sort(values), values.shape[-1]
    middle: NDArray[np.floating] = (ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2
    return middle


def mean(values: NDArray[np.floating], axis: int = -1, *, keepdims: bool = False) -> NDArray[np.floating]:
    """As `numpy.mean`; at least one along `axis`."""
    total: NDArray[np.floating] = values.sum(axis, keepdims=keepdims)
    return total / values.shape[axis]


def clip(values: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """As `numpy.clip`."""
    clipped: NDArray[Any] = np.minimum(np.maximum(values, low), high)
    return clipped


def median_of_beats(beats: NDArray[np.floating]) -> NDArray[np.floating]:
    """Median over the second axis, (n_leads, n_beats, n_samples) to (n_leads, n_samples), of finite numbers."""
    n_beats = beats.shape[1]
    if n_beats > _FEW:
        return median(beats, axis=1)
    # Few are put in order fastest by exchanges, of all samples at a time.
    rows = list(beats.swapaxes(0, 1))
    for low, high in _exchanges(n_beats):
        rows[low], rows[high] = np.minimum(rows[low], rows[high]), np.maximum(rows[low], rows[high])
    return _middle(rows)


@lru_cache(maxsize=_FEW)
def _exchanges(count: int) -> list[tuple[int, int]]:
    """Pairs to bring in order, one after the other, so that the middle of `count` numbers is in its place.

    Batcher's odd-even merge sort (Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M), without what does not
    reach the middle.
    """
    pairs = []
    top = 1 << max(count - 1, 1).bit_length() - 1
    merged = top
    while merged:
        last, first, apart = top, 0, merged
        while True:
            pairs += [(k, k + apart) for k in range(count - apart) if k & merged == first]
            if last == merged:
                break
            apart, last, first = last - merged, last // 2, merged
        merged //= 2
    wanted, kept = {(count - 1) // 2, count // 2}, []
    for pair in reversed(pairs):
        if wanted & set(pair):
            wanted |= set(pair)
            kept.append(pair)
    return kept[::-1]


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
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(np.int64)


def without_line(part: NDArray[np.floating]) -> NDArray[np.float64]:
    """Take off the line between first and last sample, along the last axis: a wave on its own base line."""
    first, last = part[..., :1], part[..., -1:]
    share = np.arange(part.shape[-1]) / max(part.shape[-1] - 1, 1)
    return part - (first * (1 - share) + last * share)
