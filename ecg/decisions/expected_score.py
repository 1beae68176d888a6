"""From probabilities to the set of labels that can expect the highest challenge score."""

import numpy as np
from scipy.special import expit, logit

from ecg.arrays import Bools, Floats

_CLOSEST = 1e-6  # probabilities are kept this far from 0 and 1


def adjust_odds(probabilities: Floats, thresholds: Floats) -> Floats:
    """Probabilities moved, class by class, so that the threshold becomes one half.

    ``p' / (1 - p') = p / (1 - p) * (1 - t) / t``: what Bayes' rule does for another prior odds.

    `probabilities`: (..., n_classes), float64. `thresholds`, float64: of a shape that goes with that of
    `probabilities`: (n_classes,), or one for each pair. Returns (n_recordings, n_classes), float64.
    """
    inner = np.clip(probabilities, _CLOSEST, 1 - _CLOSEST)
    moved: Floats = expit(logit(inner) - logit(np.clip(thresholds, _CLOSEST, 1 - _CLOSEST)))
    return moved


def mean_of_moved(probabilities: Floats, thresholds: Floats) -> Floats:
    """The mean over members of what `adjust_odds` makes of each one's probabilities.

    `probabilities`: (n_members, n_recordings, n_classes), float64. `thresholds`: (n_members, n_classes), float64.
    Returns (n_recordings, n_classes), float64.
    """
    mean: Floats = adjust_odds(probabilities, thresholds[:, np.newaxis]).mean(axis=0)
    return mean


def highest_expected_score(probabilities: Floats, weights: Floats | None) -> Bools:
    """Labels that greedily maximise the expected challenge score, one at least.

    The score of outputs R where the labels are L is ``sum over i in L, j in R of w_ij / |L u R|`` (Perez Alday et al.
    2020, eq. 1). With independent labels of probability p, numerator and denominator of R expect ``sum over j in R of
    (p W)_j`` and ``|R| + sum over i not in R of p_i``; the class that raises their ratio most joins R until none does.

    `probabilities`, (n_recordings, n_classes) or (n_places, n_recordings, n_classes), float64: of several places, such
    as hospitals with prior odds of their own, the mean of the expected scores counts. `weights`, (n_classes,
    n_classes), float64: without weights each class of one half or more is given, whatever the others are. Returns
    (n_recordings, n_classes), bool.
    """
    if weights is None:
        return (probabilities if probabilities.ndim == 2 else probabilities.mean(axis=0)) >= 0.5
    places = probabilities if probabilities.ndim == 3 else probabilities[np.newaxis]
    credit = places @ weights
    outputs = np.zeros_like(places[0], dtype=bool)
    gained = np.zeros(places.shape[:2])
    union = places.sum(axis=2)
    rows = np.arange(len(outputs))
    for step in range(outputs.shape[1]):
        ratios = ((gained[..., np.newaxis] + credit) / (union[..., np.newaxis] + 1 - places)).mean(axis=0)
        ratios[outputs] = -np.inf
        best = ratios.argmax(axis=1)
        now = (gained / union).mean(axis=0) if step else np.full(len(rows), -np.inf)
        joins = ratios[rows, best] > now
        if not joins.any():
            break
        outputs[rows[joins], best[joins]] = True
        gained[:, joins] += credit[:, rows[joins], best[joins]]
        union[:, joins] += 1 - places[:, rows[joins], best[joins]]
    return outputs


def expected_score(probabilities: Floats, outputs: Bools, weights: Floats | None) -> Floats:
    """What a recording's labels can expect, as `highest_expected_score` counts it: how sure they are.

    `probabilities`: (n_recordings, n_classes), float64. `outputs`: (n_recordings, n_classes), bool. `weights`,
    (n_classes, n_classes), float64: without weights a label that is right counts 1 and any other 0. Returns
    (n_recordings,), float64: about 0 where nothing is given or right, about 1 where one label is certain.
    """
    credit = ((probabilities if weights is None else probabilities @ weights) * outputs).sum(axis=1)
    union = outputs.sum(axis=1) + (probabilities * ~outputs).sum(axis=1)
    score: Floats = credit / np.maximum(union, _CLOSEST)
    return score
