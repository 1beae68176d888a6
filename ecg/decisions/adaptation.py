"""A model's scores adapted to one hospital: its prior odds and its conventions of labelling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from ecg.arrays import Bools, Floats, Ints
from ecg.decisions.calibration import log_odds
from ecg.decisions.expected_score import highest_expected_score
from ecg.decisions.thresholds import f1_thresholds
from ecg.scoring.statistics import log_loss

# From strong to weak: of equally good ones the strongest is taken. Infinite: nothing is fitted.
PENALTIES = (math.inf, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0)
# How strongly the change of the prior odds is held to 0, and a weight between two classes, relative to a class's own
# slope: prior odds are what differs most between hospitals, and of the weights there are 23 for each slope. Chosen by
# cross-validation on fold 1 of PTB-XL and on Chapman-Ningbo, see docs/history/experiments.md.
PRIOR_ODDS, BETWEEN_CLASSES = 0.1, 30.0
_SMALLEST_SLOPE = 0.05


@dataclass(frozen=True)
class Adaptation:
    """A linear map of the log-odds of all classes: ``p = expit(logit(scores) @ weights + intercepts)``."""

    # (n_classes, n_classes), float64: row: a class's score that goes in; column: the class whose probability comes out.
    # The diagonal is above 0.
    weights: Floats
    intercepts: Floats  # (n_classes,), float64
    # (n_classes,), float64: of the probabilities; where the diagnoses have no reward weights.
    thresholds: Floats | None = None
    # The convention whose scores go in; None for the scores of the method's own decision.
    definitions: str | None = None

    def apply(self, scores: Floats) -> Floats:
        """Adapted probabilities of scores, both (..., n_classes), float64."""
        probabilities: Floats = expit(log_odds(scores) @ self.weights + self.intercepts)
        return probabilities

    def decide(self, probabilities: Floats, rewards: Floats | None) -> Bools:
        """Labels of adapted probabilities, both (n_recordings, n_classes); rewards (n_classes, n_classes)."""
        if self.thresholds is None:
            return highest_expected_score(probabilities, rewards)
        return probabilities >= self.thresholds

    def with_thresholds(self, labels: Bools, scores: Floats) -> Adaptation:
        """The same with the thresholds of the highest F1 on these recordings, both (n_recordings, n_classes)."""
        return replace(self, thresholds=f1_thresholds(labels, self.apply(scores)))


def fit_adaptation(labels: Bools, scores: Floats, penalty: float) -> Adaptation:
    """Fit to a hospital's labelled recordings, none of which the model was trained on.

    For each class a logistic regression on the log-odds of all classes, with a Gaussian prior around the scores as they
    are (maximum a posteriori; Bishop 2006, section 4.5). The negative log-likelihood is summed over recordings and
    ``penalty / 2 * ((slope - 1)**2 + 0.1 * shift**2 + 30 * sum(between**2))`` is added for each class: its own slope,
    the intercept where all log-odds are at their means, and the weights of the other classes. There the intercept is
    the change of the prior odds, whatever the weights are.

    `labels`: (n_recordings, n_classes), bool. `scores`, (n_recordings, n_classes), float64: one recording at least.
    `penalty`: above 0, in units of recordings' log-likelihood. Slopes are above 0.
    """
    n_classes = labels.shape[1]
    if math.isinf(penalty):
        return Adaptation(np.eye(n_classes), np.zeros(n_classes))
    signs = np.where(labels, 1.0, -1.0)
    given = log_odds(scores)
    means = given.mean(axis=0)
    centred = given - means
    strength = np.full((n_classes + 1, n_classes), penalty * BETWEEN_CLASSES)  # the last row: shifts
    strength[np.arange(n_classes), np.arange(n_classes)] = penalty
    strength[-1] = penalty * PRIOR_ODDS
    lowest = np.full_like(strength, -np.inf)
    np.fill_diagonal(lowest, _SMALLEST_SLOPE - 1)

    def penalised_loss(flat: Floats) -> tuple[float, Floats]:
        change = flat.reshape(strength.shape)
        margins = signs * (given + centred @ change[:-1] + change[-1])
        pull = -signs * expit(-margins)
        gradient = np.vstack([centred.T @ pull, pull.sum(axis=0)]) + strength * change
        loss = np.logaddexp(0, -margins).sum() + (strength * change**2).sum() / 2
        return float(loss), gradient.ravel()

    found = minimize(
        penalised_loss,
        np.zeros(strength.size),
        jac=True,
        method="L-BFGS-B",
        bounds=[(low, None) for low in lowest.ravel()],
        options={"maxiter": 1000, "maxfun": 2000, "ftol": 1e-10, "gtol": 1e-5},
    )
    change = found.x.reshape(strength.shape)
    return Adaptation(np.eye(n_classes) + change[:-1], change[-1] - means @ change[:-1])


def choose_penalty(labels: Bools, scores: Floats, folds: Ints) -> float:
    """The penalty of `PENALTIES` with the lowest cross-validated log-loss.

    `labels`: (n_recordings, n_classes), bool. `scores`: (n_recordings, n_classes), float64. `folds`, (n_recordings,):
    two different ones at least.
    """

    def held_out(penalty: float) -> float:
        adapted = np.empty_like(scores)
        for fold in np.unique(folds):
            out = folds == fold
            adapted[out] = fit_adaptation(labels[~out], scores[~out], penalty).apply(scores[out])
        return log_loss(labels, adapted)

    return PENALTIES[int(np.argmin([held_out(penalty) for penalty in PENALTIES]))]


@dataclass(frozen=True)
class Decided:
    """What a model says of recordings by one of its decisions."""

    outputs: Bools  # (n_recordings, n_classes), bool
    scores: Floats  # (n_recordings, n_classes), float64

    def of(self, rows: Bools) -> Decided:
        """The same of some recordings."""
        return Decided(self.outputs[rows], self.scores[rows])


def choose(labels: Bools, decided: Mapping[str | None, Decided], folds: Ints) -> tuple[str | None, float]:
    """The decision whose scores have the lowest log-loss, and the penalty of a fit to these, as `choose_penalty`.

    `labels`: (n_recordings, n_classes), bool. `decided`: by the name of a convention; None for the method's own
    decision. The first of equally good ones is taken. `folds`: (n_recordings,).
    """
    name = min(decided, key=lambda each: log_loss(labels, decided[each].scores))
    return name, choose_penalty(labels, decided[name].scores, folds)


def adapt_to(
    labels: Bools, decided: Mapping[str | None, Decided], name: str | None, penalty: float, rewards: Floats | None
) -> Adaptation | None:
    """The fit that `choose` has chosen, with thresholds without rewards; None where a convention alone is the choice.

    `labels` and `decided`: as of `choose`. `name` and `penalty`: what it returns. `rewards`: (n_classes, n_classes),
    float64.
    """
    if math.isinf(penalty) and name is not None:
        return None
    fitted = replace(fit_adaptation(labels, decided[name].scores, penalty), definitions=name)
    return fitted if rewards is not None else fitted.with_thresholds(labels, decided[name].scores)


def cross_validate(
    labels: Bools, decided: Mapping[str | None, Decided], folds: Ints, rewards: Floats | None = None
) -> tuple[Floats, Bools]:
    """Each recording's adapted scores and labels where its fold had no part in the fit, nor in any choice.

    `labels` and `decided`: as of `choose`. `folds`, (n_recordings,): three different ones at least: the choice is by
    cross-validation over those that are not held out. `rewards`, (n_classes, n_classes), float64: without them
    thresholds are chosen, among the others too. Scores are float64, labels bool.
    """
    adapted, outputs = np.empty(labels.shape), np.zeros_like(labels)
    for fold in np.unique(folds):
        out = folds == fold
        rest = {name: each.of(~out) for name, each in decided.items()}
        name, penalty = choose(labels[~out], rest, folds[~out])
        fitted = adapt_to(labels[~out], rest, name, penalty, rewards)
        if fitted is None:
            adapted[out], outputs[out] = decided[name].scores[out], decided[name].outputs[out]
        else:
            adapted[out] = fitted.apply(decided[name].scores[out])
            outputs[out] = fitted.decide(adapted[out], rewards)
    return adapted, outputs
