"""Decision thresholds: searches that maximise the challenge metric on a validation fold.

With everything but one class fixed, the observed score is a sum over recordings of a gain for those that get the
class. Sorted by probability, running sums of the gains give the score of every possible threshold of that class in
one pass, instead of one evaluation of the metric for each.
"""

from collections.abc import Callable

import numpy as np

from ecg.arrays import Bools, Floats

Decide = Callable[[Floats, Floats], Bools]


def f1_thresholds(labels: Bools, probabilities: Floats, weights: Floats | None = None) -> Floats:
    """For each class the threshold with the highest F1, of equally good ones the nearest to one half.

    `labels`: (n_recordings, n_classes), bool. `probabilities`: (n_recordings, n_classes), float64. `weights`: not used:
    this is for sets of diagnoses without reward weights. Returns (n_classes,), float64: one half for a class without
    positives.
    """
    thresholds = np.full(labels.shape[1], 0.5)
    for k in np.flatnonzero(labels.any(axis=0)):
        tried = _every_distinct_split(probabilities[:, k])
        right = scores_at(tried, labels[:, k].astype(np.float64), probabilities[:, k])
        given = scores_at(tried, np.ones(len(labels)), probabilities[:, k])
        f1 = 2 * right / (given + labels[:, k].sum())
        best = np.flatnonzero(f1 >= f1.max() - 1e-12)
        thresholds[k] = tried[best[np.argmin(np.abs(tried[best] - 0.5))]]
    return thresholds


def class_gains(labels: Bools, outputs: Bools, weights: Floats, index: int) -> Floats:
    """What each recording adds to the observed score by having class `index` in its output rather than not.

    `labels` and `outputs`, (n_recordings, n_classes), bool: `outputs[:, index]` is not looked at. `weights`:
    (n_classes, n_classes), float64. Returns (n_recordings,), float64: in units of the observed score: sum over i in L,
    j in R of w_ij / |L u R|.
    """
    credit = labels @ weights
    without = outputs.copy()
    without[:, index] = False
    union = np.maximum((labels | without).sum(axis=1), 1)
    observed = (credit * without).sum(axis=1)
    return (observed + credit[:, index]) / np.maximum(union + ~labels[:, index], 1) - observed / union


def scores_at(thresholds: Floats, gains: Floats, probabilities: Floats, *, strict: bool = False) -> Floats:
    """Summed gain of the recordings at or above each threshold, or strictly above it: (n_thresholds,)."""
    order = np.argsort(probabilities, kind="stable")
    below = np.searchsorted(probabilities[order], thresholds, side="right" if strict else "left")
    running = np.concatenate([[0.0], np.cumsum(gains[order])])
    return running[-1] - running[below]


def shared_threshold(
    labels: Bools, probabilities: Floats, score: Callable[[Bools, Bools], float], decide: Decide, candidates: Floats
) -> tuple[float, float]:
    """The one threshold for all classes with the highest score.

    - `labels`: (n_recordings, n_classes), bool.
    - `probabilities`: (n_recordings, n_classes), float64.
    - `score`: ``(labels, outputs) -> float``.
    - `decide`: ``(probabilities, thresholds) -> outputs``.
    - `candidates`: (n_candidates,).

    Returns threshold and score; the first of equals.
    """
    n_classes = labels.shape[1]
    scores = [score(labels, decide(probabilities, np.full(n_classes, t))) for t in candidates]
    best = int(np.argmax(scores))
    return float(candidates[best]), float(scores[best])


def coordinate_ascent(
    labels: Bools,
    probabilities: Floats,
    weights: Floats,
    decide: Decide,
    start: Floats,
    *,
    candidates: Floats | None = None,
    passes: int = 1,
) -> Floats:
    """Improve one class's threshold after another, the others fixed.

    - `labels`: (n_recordings, n_classes), bool.
    - `probabilities`: (n_recordings, n_classes), float64.
    - `weights`: (n_classes, n_classes), float64.
    - `decide`: ``(probabilities, thresholds) -> outputs``; a class it outputs at threshold infinity (the most
      probable one, say) stays on.
    - `start`: (n_classes,).
    - `candidates`: thresholds tried for each class; without it every distinct probability of the class is, which
      is exact.
    - `passes`: passes over the classes at the most; it ends earlier when a pass changes nothing.

    Returns (n_classes,), float64: of equally good thresholds the one nearest to where the class stood. The observed
    score never falls.
    """
    thresholds = np.array(start, dtype=np.float64)
    always = decide(probabilities, np.full(labels.shape[1], np.inf))
    # Whether a probability at its threshold counts is the rule's business: ask it.
    tied = np.full(labels.shape[1], 0.5)
    strict = not decide(tied[np.newaxis], tied).all()
    for _ in range(passes):
        before = thresholds.copy()
        for index in range(labels.shape[1]):
            free = ~always[:, index]
            gains = class_gains(labels, decide(probabilities, thresholds), weights, index)[free]
            scores = probabilities[free, index]
            tried = candidates if candidates is not None else _every_distinct_split(scores)
            tried = np.append(tried, thresholds[index])
            total = scores_at(tried, gains, scores, strict=strict)
            best = np.flatnonzero(total >= total.max() - 1e-12)
            thresholds[index] = tried[best[np.argmin(np.abs(tried[best] - thresholds[index]))]]
        if np.array_equal(before, thresholds):
            break
    return thresholds


def _every_distinct_split(scores: Floats) -> Floats:
    # Halfway between neighbours: as far as can be from the scores it was chosen on.
    distinct = np.unique(scores)
    return np.concatenate([[0.0], (distinct[:-1] + distinct[1:]) / 2, [1.0]])
