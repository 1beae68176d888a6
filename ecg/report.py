"""Scores of a set of predictions, as numbers that can be stored and compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import evaluate_model


def measure(labels: NDArray[np.bool_], probabilities: NDArray[np.float64], outputs: NDArray[np.bool_],
            classes: tuple[str, ...], weights: NDArray[np.float64]) -> dict[str, float | int | None]:
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
        sensitivity and specificity pooled over all (recording, class) pairs. None where a measure is not defined.
    """
    auroc, auprc, _, _ = evaluate_model.compute_auc(labels, probabilities)
    f_measure, _ = evaluate_model.compute_f_measure(labels, outputs)
    positives, negatives = labels.sum(), (~labels).sum()
    values = {
        "challenge_metric": evaluate_model.compute_challenge_metric(weights, labels, outputs, classes),
        "auroc": auroc,
        "auprc": auprc,
        "f_measure": f_measure,
        "sensitivity": (labels & outputs).sum() / positives if positives else np.nan,
        "specificity": (~labels & ~outputs).sum() / negatives if negatives else np.nan,
    }
    rounded = {name: round(float(value), 4) if np.isfinite(value) else None for name, value in values.items()}
    return {"recordings": len(labels), **rounded}


def bootstrap_interval(labels: NDArray[np.bool_], outputs: NDArray[np.bool_], classes: tuple[str, ...],
                       weights: NDArray[np.float64], *, repeats: int = 1000, seed: int = 0) -> tuple[float, float]:
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
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(repeats):
        rows = rng.integers(0, len(labels), len(labels))
        values.append(evaluate_model.compute_challenge_metric(weights, labels[rows], outputs[rows], classes))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
