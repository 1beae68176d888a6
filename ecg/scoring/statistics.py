"""Scores of a set of predictions, as numbers that can be stored and compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ecg.arrays import Bools, Floats
from ecg.labels.classes import NORMAL_CLASS, SCORED_CLASSES, class_name
from ecg.scoring.challenge import (
    compute_auc,
    compute_challenge_metric,
    compute_f_measure,
    compute_sensitivity_specificity,
)

Scores = dict[str, float | int | None]
"""Ready for JSON: rounded to 4 digits, None where a measure is not defined."""

_CALIBRATION_BINS = 15


def measure(labels: Bools, probabilities: Floats, outputs: Bools, classes: tuple[str, ...], weights: Floats) -> Scores:
    """The Challenge's measures of one set of recordings.

    Parameters
    ----------
    labels, outputs : ndarray, shape (n_recordings, n_classes), bool
    probabilities : ndarray, shape (n_recordings, n_classes), float64
    classes : tuple of str
    weights : ndarray, shape (n_classes, n_classes)

    Returns
    -------
    dict
        Number of recordings, challenge metric, macro AUROC, AUPRC and F-measure as the Challenge's scorer gives them;
        sensitivity, specificity and calibration error pooled over all (recording, class) pairs. None where a measure
        is not defined.
    """
    auroc, auprc, _, _ = compute_auc(labels, probabilities)
    f_measure, _ = compute_f_measure(labels, outputs)
    positives, negatives = labels.sum(), (~labels).sum()
    values = {
        "challenge_metric": compute_challenge_metric(weights, labels, outputs, classes),
        "auroc": auroc,
        "auprc": auprc,
        "f_measure": f_measure,
        "sensitivity": (labels & outputs).sum() / positives if positives else np.nan,
        "specificity": (~labels & ~outputs).sum() / negatives if negatives else np.nan,
        "calibration_error": calibration_error(labels, probabilities),
    }
    return {"recordings": len(labels), **_rounded(values)}


def measure_classes(
    labels: Bools, probabilities: Floats, outputs: Bools, classes: tuple[str, ...]
) -> dict[str, Scores]:
    """The measures of each class, in the Challenge's order of classes.

    Parameters
    ----------
    labels, outputs : ndarray, shape (n_recordings, n_classes), bool
    probabilities : ndarray, shape (n_recordings, n_classes), float64
    classes : tuple of str

    Returns
    -------
    dict
        By abbreviation ("AF"; "CRBBB/RBBB" where the Challenge takes two for one): number of recordings with the class,
        AUROC, AUPRC, F-measure, sensitivity, specificity and calibration error.
    """
    _, _, auroc, auprc = compute_auc(labels, probabilities)
    _, f_measure = compute_f_measure(labels, outputs)
    sensitivity, specificity = compute_sensitivity_specificity(labels, outputs)
    order = list(SCORED_CLASSES)
    table = {}
    for k in sorted(range(len(classes)), key=lambda k: order.index(classes[k])):
        table[class_name(classes[k])] = {
            "positives": int(labels[:, k].sum()),
            **_rounded(
                {
                    "auroc": auroc[k],
                    "auprc": auprc[k],
                    "f_measure": f_measure[k],
                    "sensitivity": sensitivity[k],
                    "specificity": specificity[k],
                    "calibration_error": calibration_error(labels[:, k], probabilities[:, k]),
                }
            ),
        }
    return table


def _rounded(values: Mapping[str, float]) -> Scores:
    return {name: round(float(value), 4) if np.isfinite(value) else None for name, value in values.items()}


def calibration_error(labels: Bools, probabilities: Floats) -> float:
    """Expected calibration error: how far probabilities are from the share of positives they stand for.

    The sum over 15 bins of equal width of ``n_bin / n * |share of positives - mean probability|`` (Naeini et al. 2015;
    bins ``((m - 1) / 15, m / 15]`` as in Guo et al. 2017, eq. 3). Each label is an event of its own here, so it is the
    probability of the label that is compared, not that of the more probable answer.

    Parameters
    ----------
    labels : ndarray, bool
    probabilities : ndarray of the same shape, float64

    Returns
    -------
    float
        From 0 to 1; nan without recordings.
    """
    if not labels.size:
        return float("nan")
    edges = np.arange(1, _CALIBRATION_BINS) / _CALIBRATION_BINS
    bins = np.searchsorted(edges, probabilities.ravel(), side="left")
    gaps = np.bincount(bins, weights=labels.ravel() - probabilities.ravel())
    return float(np.abs(gaps).sum() / labels.size)


def log_loss(labels: Bools, probabilities: Floats) -> float:
    """Mean over all pairs of recording and class of ``-log(p)`` of what is true, natural logarithm, p 1e-15 at least.

    Parameters
    ----------
    labels : ndarray, bool
    probabilities : ndarray of the same shape, float64

    Returns
    -------
    float
        nan without recordings.
    """
    if not labels.size:
        return float("nan")
    return float(-np.log(np.maximum(np.where(labels, probabilities, 1 - probabilities), 1e-15)).mean())


def bootstrap_interval(
    labels: Bools, outputs: Bools, classes: tuple[str, ...], weights: Floats, *, repeats: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the challenge metric over recordings drawn with replacement (percentile bootstrap).

    Parameters
    ----------
    labels, outputs : ndarray, shape (n_recordings, n_classes), bool
    classes : tuple of str
    weights : ndarray, shape (n_classes, n_classes)
    repeats, seed : int

    Returns
    -------
    tuple of float
        2.5th and 97.5th percentile.
    """
    low, high = np.percentile(_bootstrap(labels, [outputs], classes, weights, repeats, seed)[0], [2.5, 97.5])
    return float(low), float(high)


def difference_interval(
    labels: Bools,
    first: Bools,
    second: Bools,
    classes: tuple[str, ...],
    weights: Floats,
    *,
    repeats: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Challenge metric of the first outputs less that of the second on the same recordings, with its 95 % interval.

    Both are scored on the same draws of recordings (paired percentile bootstrap), so that what makes a draw easy or
    hard for both cancels.

    Parameters
    ----------
    labels, first, second : ndarray, shape (n_recordings, n_classes), bool
    classes : tuple of str
    weights : ndarray, shape (n_classes, n_classes)
    repeats, seed : int

    Returns
    -------
    tuple of float
        The difference, 2.5th and 97.5th percentile.
    """
    whole = [compute_challenge_metric(weights, labels, outputs, classes) for outputs in (first, second)]
    drawn = _bootstrap(labels, [first, second], classes, weights, repeats, seed)
    low, high = np.percentile(drawn[0] - drawn[1], [2.5, 97.5])
    return whole[0] - whole[1], float(low), float(high)


def _bootstrap(
    labels: Bools, outputs: list[Bools], classes: tuple[str, ...], weights: Floats, repeats: int, seed: int
) -> Floats:
    """Challenge metric of each of the outputs on the same draws of recordings, (n_outputs, repeats)."""
    # The metric is a ratio of sums over recordings, so a draw needs no more than to add its recordings up.
    inactive = np.zeros_like(labels)
    inactive[:, classes.index(NORMAL_CLASS)] = True
    each = np.stack([observed_scores(labels, given, weights) for given in (labels, inactive, *outputs)], axis=1)
    rng = np.random.default_rng(seed)
    sums = np.array([each[rng.integers(0, len(labels), len(labels))].sum(axis=0) for _ in range(repeats)])
    best, none = sums[:, 0], sums[:, 1]
    metrics = np.zeros((len(outputs), repeats))
    return np.divide(sums[:, 2:].T - none, best - none, out=metrics, where=best != none)


def observed_scores(labels: Bools, outputs: Bools, weights: Floats) -> Floats:
    """What each recording adds to `evaluate_model.compute_observed_score`, (n_recordings,)."""
    credit = np.einsum("ri,ij->rj", labels.astype(np.float64), weights)
    return (credit * outputs).sum(axis=1) / np.maximum((labels | outputs).sum(axis=1), 1)
