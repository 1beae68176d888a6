"""Numbers of the evaluation report: curves, what each error costs, thresholds against the score.

Labels and outputs are (n_recordings, n_classes), bool, scores of that shape, float64; of one class (n_recordings,).
"""

from dataclasses import dataclass

import numpy as np
from sklearn import metrics

from ecg.arrays import Bools, Floats, Ints
from ecg.labels.diagnoses import Diagnoses
from ecg.scoring.challenge import compute_observed_score
from ecg.scoring.statistics import main_metric, observed_scores

CALIBRATION_BINS = 10
_POINTS = 80  # of a drawn curve


def roc_curve(labels: Bools, scores: Floats) -> tuple[Floats, Floats]:
    """False positive rate and sensitivity of a class at every threshold, (0, 0) to (1, 1); empty where undefined."""
    if labels.all() or not labels.any():
        return np.zeros(0), np.zeros(0)
    false, true, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    return false, true


def precision_recall_curve(labels: Bools, scores: Floats) -> tuple[Floats, Floats]:
    """Recall and precision at every threshold, from the highest score down; empty without positives."""
    if not labels.any():
        return np.zeros(0), np.zeros(0)
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    return recall[-2::-1], precision[-2::-1]  # the last one belongs to no threshold


def thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """At most 80 points of a curve, spread evenly over its length on the paper."""
    if len(x) <= _POINTS:
        return x, y
    length = np.append(0.0, np.cumsum(np.hypot(np.diff(x), np.diff(y))))
    chosen = np.unique(np.searchsorted(length, np.linspace(0, length[-1], _POINTS)).clip(0, len(x) - 1))
    return x[chosen], y[chosen]


def calibration_curve(labels: Bools, scores: Floats) -> tuple[Floats, Floats, Ints]:
    """Mean score, share of positives and number of recordings in each tenth of the scores' range that has any."""
    bins = np.clip((scores * CALIBRATION_BINS).astype(np.int64), 0, CALIBRATION_BINS - 1)
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    some = counts > 0
    means = np.bincount(bins, scores, CALIBRATION_BINS)[some] / counts[some]
    shares = np.bincount(bins, labels.astype(np.float64), CALIBRATION_BINS)[some] / counts[some]
    return means, shares, counts[some]


@dataclass(frozen=True)
class Costs:
    """What errors take from the challenge metric; without reward weights each error costs one."""

    recordings: Floats  # (n_recordings,): the score of its labels less that of its outputs: what the recording loses
    # `missed`, `added`: (n_recordings, n_classes): what the metric would gain if this label alone were given as well,
    # or this output alone were left out; 0 where there is no such error, below 0 where the error earns more than it
    # costs.
    missed: Floats
    added: Floats
    # (n_classes, n_classes): row: a label that was missed, column: an output that was added on the same recordings; the
    # credit lost between the two, summed over recordings, ``(1 - w_ij) / |labels or outputs|``.
    confusion: Floats
    counts: Ints  # (n_classes, n_classes), int64: on how many recordings


def costs_of(labels: Bools, outputs: Bools, diagnoses: Diagnoses) -> Costs:
    """Costs in units of the challenge metric, so that all of `recordings` sum to 1 less the metric."""
    weights = diagnoses.weights
    missing, extra = labels & ~outputs, outputs & ~labels
    counts = np.einsum("ri,rj->ij", missing.astype(np.int64), extra.astype(np.int64))
    if weights is None:
        missed, added = missing.astype(np.float64), extra.astype(np.float64)
        return Costs((missed + added).sum(axis=1), missed, added, counts.astype(np.float64), counts)
    inactive = np.zeros_like(labels)
    inactive[:, diagnoses.column_of[str(diagnoses.normal)]] = True
    scale = (compute_observed_score(weights, labels, labels) - compute_observed_score(weights, labels, inactive)) or 1.0
    credit = np.einsum("ri,ij->rj", labels.astype(np.float64), weights)
    union = np.maximum((labels | outputs).sum(axis=1), 1)[:, np.newaxis]
    got = (credit * outputs).sum(axis=1, keepdims=True)
    best = (credit * labels).sum(axis=1) / np.maximum(labels.sum(axis=1), 1)
    without = (got - credit) / np.maximum(union - 1, 1) - got / union
    pairs = np.einsum("ri,rj->ij", missing / union, extra.astype(np.float64))
    return Costs(
        recordings=(best - got[:, 0] / union[:, 0]) / scale,
        missed=np.where(missing, credit / union, 0.0) / scale,
        added=np.where(extra, without, 0.0) / scale,
        confusion=pairs * (1 - weights) / scale,
        counts=counts,
    )


def shared_threshold_curve(labels: Bools, scores: Floats, diagnoses: Diagnoses) -> tuple[Floats, Floats]:
    """`main_metric` where every class at or above one threshold is given, and always the most probable one."""
    thresholds = np.arange(1, 100) / 100
    most = np.zeros_like(labels)
    most[np.arange(len(scores)), scores.argmax(axis=1)] = True
    return thresholds, np.array([main_metric(labels, (scores >= t) | most, diagnoses) for t in thresholds])


def class_threshold_curve(
    k: int, labels: Bools, outputs: Bools, scores: Floats, diagnoses: Diagnoses
) -> tuple[Floats, Floats]:
    """Challenge metric where class `k` is given at or above a threshold and the others as they are.

    Without reward weights it is the F-measure of the class.
    """
    weights, thresholds = diagnoses.weights, np.arange(1, 100) / 100
    if weights is None:
        above = scores[:, [k]] >= thresholds
        with_it = labels[:, [k]]
        return thresholds, 2 * (above & with_it).sum(axis=0) / np.maximum(above.sum(axis=0) + with_it.sum(), 1)
    variants = []
    for given in (False, True):
        changed = outputs.copy()
        changed[:, k] = given
        variants.append(observed_scores(labels, changed, weights))
    inactive = np.zeros_like(labels)
    inactive[:, diagnoses.column_of[str(diagnoses.normal)]] = True
    none = compute_observed_score(weights, labels, inactive)
    best = compute_observed_score(weights, labels, labels)
    order = np.argsort(scores[:, k])
    # With a threshold between two neighbours in rank, those below go without the class and those above with it.
    below = np.append(0.0, np.cumsum(variants[0][order]))
    above = np.append(0.0, np.cumsum(variants[1][order]))
    place = np.searchsorted(scores[order, k], thresholds, side="left")
    totals = below[place] + above[-1] - above[place]
    return thresholds, (totals - none) / (best - none) if best != none else np.zeros_like(totals)
