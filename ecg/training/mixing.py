"""Training items mixed in pairs (mixup, Zhang et al. 2018)."""

import numpy as np

from ecg.arrays import Bools, Floats32, Ints
from ecg.signal.windows import pad_right

Items = tuple[list[Floats32], list[Floats32], Floats32]
"""Signals, features and targets of a batch, as of `Dataset`; targets (n_items, n_classes)."""


def mixed(items: Items, beta: float, rng: np.random.Generator) -> Items:
    """Each item of a batch with another one in it, at a share that is drawn from Beta(`beta`, `beta`) for all.

    Signals are added lead by lead at equal size. The sum has the size of the larger part, so that a size that is not
    known is never half known. Features and targets are averaged with the same shares. The other item has targets in the
    same classes: what is not known of one would be lost of both.
    """
    signals, features, targets = items
    share = np.float32(rng.beta(beta, beta))
    share = max(share, 1 - share)
    others = _others(np.isfinite(targets), rng)
    sums = [_sum(signal, signals[other], share) for signal, other in zip(signals, others, strict=True)]
    means = [share * each + (1 - share) * features[other] for each, other in zip(features, others, strict=True)]
    return sums, means, share * targets + (1 - share) * targets[others]


def _others(known: Bools, rng: np.random.Generator) -> Ints:
    """For each item one of those with the same known targets, each once."""
    _, group = np.unique(known, axis=0, return_inverse=True)
    others = np.arange(len(known))
    for each in np.unique(group):
        rows = np.flatnonzero(group == each)
        others[rows] = rng.permutation(rows)
    return others


def _sum(signal: Floats32, other: Floats32, share: np.float32) -> Floats32:
    """Two recordings in one, (12, n) of the longer one, with the first one's standard deviations."""
    n_samples = max(signal.shape[1], other.shape[1])
    size, others_size = (np.maximum(each.std(axis=1, keepdims=True), np.float32(1e-9)) for each in (signal, other))
    found = share * pad_right(signal / size, n_samples) + (1 - share) * pad_right(other / others_size, n_samples)
    return found * (signal.std(axis=1, keepdims=True) / np.maximum(found.std(axis=1, keepdims=True), np.float32(1e-9)))
