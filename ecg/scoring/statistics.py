"""Scores of a set of predictions, as numbers that can be stored and compared.

Labels and outputs are (n_recordings, n_classes), bool, probabilities and scores of that shape, float64. The columns are
the classes of the set of diagnoses.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ecg.arrays import Bools, Floats
from ecg.labels.diagnoses import Diagnoses
from ecg.scoring import challenge

Scores = dict[str, float | int | None]
"""Ready for JSON: rounded to 4 digits, None where a measure is not defined."""

SUPERCLASSES = ("auroc_superclasses", "auprc_superclasses")
_CALIBRATION_BINS = 15


def metric_name(diagnoses: Diagnoses) -> str:
    """The measure that decides between models of a set: "challenge_metric" with reward weights, or else "f_measure"."""
    return "f_measure" if diagnoses.weights is None else "challenge_metric"


def main_metric(labels: Bools, outputs: Bools, diagnoses: Diagnoses) -> float:
    """The value of what `metric_name` names; labels and outputs (n_recordings, n_classes)."""
    if diagnoses.weights is None:
        return challenge.compute_f_measure(labels, outputs)[0]
    classes, normal = diagnoses.classes, str(diagnoses.normal)
    return challenge.compute_challenge_metric(diagnoses.weights, labels, outputs, classes, normal)


def measure(labels: Bools, probabilities: Floats, outputs: Bools, diagnoses: Diagnoses) -> Scores:
    """The measures of one set of recordings; None where a measure is not defined.

    Returns the number of recordings; challenge metric (where the set has reward weights), macro AUROC, AUPRC (average
    precision) and F-measure as the Challenge's scorer gives them; sensitivity, specificity and calibration error pooled
    over all (recording, class) pairs; AUROC and AUPRC of the superclasses that a set has.
    """
    auroc, auprc, _, _ = challenge.compute_auc(labels, probabilities)
    superclasses = {}
    if groups := list(diagnoses.superclasses.values()):
        areas = challenge.compute_superclass_auc(labels, probabilities, groups)
        superclasses = dict(zip(SUPERCLASSES, areas, strict=True))
    positives, negatives = labels.sum(), (~labels).sum()
    values = {
        metric_name(diagnoses): main_metric(labels, outputs, diagnoses),
        "auroc": auroc,
        "auprc": auprc,
        "f_measure": challenge.compute_f_measure(labels, outputs)[0],
        "sensitivity": (labels & outputs).sum() / positives if positives else np.nan,
        "specificity": (~labels & ~outputs).sum() / negatives if negatives else np.nan,
        "calibration_error": calibration_error(labels, probabilities),
        **superclasses,
    }
    return {"recordings": len(labels), **_rounded(values)}


def measure_classes(labels: Bools, probabilities: Floats, outputs: Bools, diagnoses: Diagnoses) -> dict[str, Scores]:
    """The measures of each class, in the order of tables.

    Returns by abbreviation ("AF"; "CRBBB/RBBB" where the Challenge takes two for one): number of recordings with the
    class, AUROC, AUPRC, F-measure, sensitivity, specificity and calibration error.
    """
    values: dict[str, Sequence[float] | Floats] = {}
    _, _, values["auroc"], values["auprc"] = challenge.compute_auc(labels, probabilities)
    _, values["f_measure"] = challenge.compute_f_measure(labels, outputs)
    values["sensitivity"], values["specificity"] = challenge.compute_sensitivity_specificity(labels, outputs)
    values["calibration_error"] = [calibration_error(*each) for each in zip(labels.T, probabilities.T, strict=True)]
    scores: dict[str, Scores] = {}
    for k in diagnoses.by_name:
        measured = _rounded({name: column[k] for name, column in values.items()})
        scores[diagnoses.rows[k].abbreviation] = {"positives": int(labels[:, k].sum()), **measured}
    return scores


def _rounded(values: Mapping[str, float]) -> Scores:
    return {name: round(float(value), 4) if np.isfinite(value) else None for name, value in values.items()}


def calibration_error(labels: Bools, probabilities: Floats) -> float:
    """Expected calibration error: how far probabilities are from the share of positives they stand for.

    The sum over 15 bins of equal width of ``n_bin / n * |share of positives - mean probability|`` (Naeini et al. 2015;
    bins ``((m - 1) / 15, m / 15]`` as in Guo et al. 2017, eq. 3). Each label is an event of its own here, so it is the
    probability of the label that is compared, not that of the more probable answer.
    From 0 to 1, nan without recordings; also of single classes.
    """
    if not labels.size:
        return float("nan")
    edges = np.arange(1, _CALIBRATION_BINS) / _CALIBRATION_BINS
    bins = np.searchsorted(edges, probabilities.ravel(), side="left")
    gaps = np.bincount(bins, weights=labels.ravel() - probabilities.ravel())
    return float(np.abs(gaps).sum() / labels.size)


def log_loss(labels: Bools, probabilities: Floats) -> float:
    """Mean of ``-log(p)`` over recordings and classes, nan without any; p: probability of the truth, at least 1e-15."""
    if not labels.size:
        return float("nan")
    return float(-np.log(np.maximum(np.where(labels, probabilities, 1 - probabilities), 1e-15)).mean())


def bootstrap_interval(
    labels: Bools, outputs: Bools, diagnoses: Diagnoses, *, repeats: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of `main_metric` over recordings drawn with replacement: 2.5th and 97.5th percentile."""
    low, high = np.percentile(_bootstrap(labels, [outputs], diagnoses, repeats, seed)[0], [2.5, 97.5])
    return float(low), float(high)


def metric_interval(labels: Bools, outputs: Bools, diagnoses: Diagnoses) -> tuple[float, float, float]:
    """`main_metric`, which in `measure` is rounded, and its `bootstrap_interval`."""
    return main_metric(labels, outputs, diagnoses), *bootstrap_interval(labels, outputs, diagnoses)


def auroc_interval(labels: Bools, scores: Floats, *, repeats: int = 1000, seed: int = 0) -> tuple[float, float]:
    """The same of the macro AUROC; nan where no class has positives and negatives."""
    rng, n_recordings = np.random.default_rng(seed), len(labels)
    draws = (rng.integers(0, n_recordings, n_recordings) for _ in range(repeats))
    counts = np.array([np.bincount(rows, minlength=n_recordings) for rows in draws])
    areas = []
    for k in np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0)):
        order = np.argsort(-scores[:, k])
        ranked, drawn = scores[order, k], counts[:, order]
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), n_recordings - 1)  # of runs of ties
        positives, negatives = (np.cumsum(drawn * (labels[order, k] == x), axis=1)[:, ends] for x in (True, False))
        # Negatives above a run of ties count against its positives, those in it by half.
        above = np.pad(negatives, ((0, 0), (1, 0)))
        lost = (np.diff(positives, axis=1, prepend=0) * (above[:, 1:] + above[:, :-1])).sum(axis=1) / 2
        pairs = positives[:, -1] * negatives[:, -1]
        areas.append(np.where(pairs > 0, 1 - lost / np.maximum(pairs, 1), np.nan))
    known = np.array(areas).reshape(len(areas), repeats)
    known = known[:, ~np.isnan(known).all(axis=0)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.percentile(np.nanmean(known, axis=0), [2.5, 97.5])
    return float(low), float(high)


def difference_interval(
    labels: Bools, first: Bools, second: Bools, diagnoses: Diagnoses, *, repeats: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """`main_metric` of the first outputs less that of the second on the same recordings, with its 95 % interval.

    Both are scored on the same draws of recordings (paired percentile bootstrap), so that what makes a draw easy or
    hard for both cancels. Returns the difference, 2.5th and 97.5th percentile.
    """
    whole = [main_metric(labels, outputs, diagnoses) for outputs in (first, second)]
    drawn = _bootstrap(labels, [first, second], diagnoses, repeats, seed)
    low, high = np.percentile(drawn[0] - drawn[1], [2.5, 97.5])
    return whole[0] - whole[1], float(low), float(high)


def _bootstrap(labels: Bools, outputs: list[Bools], diagnoses: Diagnoses, repeats: int, seed: int) -> Floats:
    """`main_metric` of each of the outputs on the same draws of recordings, (n_outputs, repeats)."""
    rng, n_recordings = np.random.default_rng(seed), len(labels)
    weights = diagnoses.weights
    if weights is None:
        draws = (rng.integers(0, n_recordings, n_recordings) for _ in range(repeats))
        counts = np.array([np.bincount(rows, minlength=n_recordings) for rows in draws], dtype=np.float64)
        drawn = np.full((len(outputs), repeats), np.nan)
        for metrics, given in zip(drawn, outputs, strict=True):
            right, either = counts @ (labels & given), counts @ (labels.astype(np.float64) + given)
            f = np.divide(2 * right, either, out=np.full(either.shape, np.nan), where=either > 0)
            known = ~np.isnan(f)
            np.divide(np.nansum(f, axis=1), known.sum(axis=1), out=metrics, where=known.any(axis=1))
        return drawn
    # The metric is a ratio of sums over recordings, so a draw needs no more than to add its recordings up.
    inactive = np.zeros_like(labels)
    inactive[:, diagnoses.column_of[str(diagnoses.normal)]] = True
    each = np.stack([observed_scores(labels, given, weights) for given in (labels, inactive, *outputs)], axis=1)
    sums = np.array([each[rng.integers(0, n_recordings, n_recordings)].sum(axis=0) for _ in range(repeats)])
    best, none = sums[:, 0], sums[:, 1]
    metrics = np.zeros((len(outputs), repeats))
    return np.divide(sums[:, 2:].T - none, best - none, out=metrics, where=best != none)


def observed_scores(labels: Bools, outputs: Bools, weights: Floats) -> Floats:
    """What each recording adds to `evaluate_model.compute_observed_score`, (n_recordings,)."""
    credit = np.einsum("ri,ij->rj", labels.astype(np.float64), weights)
    return (credit * outputs).sum(axis=1) / np.maximum((labels | outputs).sum(axis=1), 1)
