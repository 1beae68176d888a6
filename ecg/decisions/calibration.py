"""From the scores of networks to probabilities that hold: Platt scaling, class by class."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from ecg.arrays import Bools, Floats

_CLOSEST = 1e-6  # scores are kept this far from 0 and 1
# Weight of the prior that a score is right as it is, in units of recordings' log-likelihood: a class with few positives
# hardly moves. Chosen by cross-validation, see docs/history/experiments.md.
PRIOR = 1.0


@dataclass(frozen=True)
class Calibration:
    """A straight line between log-odds for each class (Platt 1999): ``p = expit(slope * logit(score) + intercept)``."""

    slopes: Floats  # `slopes`, `intercepts`: (n_classes,), float64
    intercepts: Floats

    def apply(self, scores: Floats) -> Floats:
        """Calibrated probabilities of scores, both (..., n_classes), float64."""
        probabilities: Floats = expit(self.slopes * log_odds(scores) + self.intercepts)
        return probabilities


def fit_calibration(labels: Bools, scores: Floats, prior: float = PRIOR) -> Calibration:
    """Fit to recordings that no network was trained on.

    Penalised maximum likelihood: ``prior / 2 * ((slope - 1)**2 + intercept**2)`` is added to the negative
    log-likelihood, so that a class keeps its scores where there is little to learn from.

    `labels`: (n_recordings, n_classes), bool. `scores`: (n_recordings, n_classes), float64. Slopes are above 0: the
    order of recordings stays.
    """
    lines = np.array([_fit_class(labels[:, k], log_odds(scores[:, k]), prior) for k in range(labels.shape[1])])
    return Calibration(lines[:, 0], lines[:, 1])


def _fit_class(label: Bools, log_odds: Floats, prior: float) -> Floats:
    signs = np.where(label, 1.0, -1.0)

    def penalised_loss(line: Floats) -> tuple[float, Floats]:
        margins = signs * (line[0] * log_odds + line[1])
        away = line - (1.0, 0.0)
        pull = -signs * expit(-margins)
        gradient = np.array([pull @ log_odds, pull.sum()]) + prior * away
        return float(np.logaddexp(0, -margins).sum() + prior / 2 * away @ away), gradient

    found = minimize(penalised_loss, (1.0, 0.0), jac=True, method="L-BFGS-B", bounds=[(0.05, 20.0), (None, None)])
    line: Floats = found.x
    return line


def log_odds(scores: Floats) -> Floats:
    """Natural logarithm of the odds of scores from 0 to 1, of their shape; finite, as 1e-6 is kept from both ends."""
    odds: Floats = logit(np.clip(scores, _CLOSEST, 1 - _CLOSEST))
    return odds
