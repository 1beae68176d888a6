"""The measures of the 2020 Challenge, as functions on arrays.

Labels and binary outputs are (n_recordings, n_classes) flags, scalar outputs are floats of that shape.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg.arrays import Bools, Floats
from ecg.io.errors import RecordingError
from ecg.io.files import StrPath, read_file
from ecg.labels.classes import NORMAL_CLASS
from ecg.labels.diagnoses import CHALLENGE_2020, DEFAULT, Diagnoses, DiagnosesError, read_weights


class EvaluationError(ValueError):
    """A file or folder that can't be scored; the message names it, what was expected and what was found."""


@dataclass(frozen=True)
class Scores:
    """All measures of one set of outputs, by the official scorer's names; nan where undefined."""

    classes: tuple[str, ...]
    overall: dict[str, float]  # AUROC, AUPRC, Accuracy, F-measure, Fbeta-measure, Gbeta-measure, Challenge metric
    by_class: dict[str, Floats]  # AUROC, AUPRC, F-measure, Sensitivity, Specificity; shape (n_classes,)
    support: NDArray[np.intp]  # number of recordings with the class


def load_weights(
    path: StrPath | None = None, classes: Sequence[str] | None = None, diagnoses: Diagnoses = CHALLENGE_2020
) -> tuple[tuple[str, ...], Floats]:
    """Read the table of rewards of the challenge metric, with equivalent codes merged (27 codes give 24 classes).

    `path`: a CSV table with the same codes along its first row and first column; that of the set of diagnoses.
    `classes`: codes of the set in the order wanted; the order of the table if left out. `diagnoses`: their set. Returns
    `weights`, (n_classes, n_classes), float64: reward for output j on a recording with label i. Raises EvaluationError
    if the table is not square, named the same along both sides, finite, and the same for equivalent classes, or lacks a
    class that is asked for.
    """
    lines = diagnoses.weights_table if path is None else read_text(path).splitlines()
    source = diagnoses.weights_source if path is None else os.fspath(path)
    try:
        names, table = read_weights(lines, source, diagnoses)
    except DiagnosesError as error:
        raise EvaluationError(str(error)) from None
    wanted = names if classes is None else tuple(classes)
    if not set(wanted) <= set(names):
        found = f"none for {sorted(set(wanted) - set(names))}"
        raise EvaluationError(f"{source}: expected a row for each class, found {found}")
    picked = [names.index(code) for code in wanted]
    return wanted, table[np.ix_(picked, picked)]


def _as_flags(labels: ArrayLike, outputs: ArrayLike) -> tuple[Bools, Bools]:
    labels, outputs = np.asarray(labels), np.asarray(outputs)
    if labels.ndim != 2 or labels.shape != outputs.shape:
        shapes = f"{labels.shape} and {outputs.shape}"
        raise ValueError(f"expected labels and outputs of one shape (n_recordings, n_classes), found {shapes}")
    for array in (labels, outputs):
        # Probabilities turned into flags would be positive nearly everywhere, without a word.
        if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
            raise ValueError("expected labels and binary outputs of 0 and 1, found other values")
    return labels.astype(bool, copy=False), outputs.astype(bool, copy=False)


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient with nan where the denominator is 0."""
    quotient = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def _mean(values: Floats) -> float:
    """Mean over the classes that have a value, nan where none has."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _count(labels: Bools, outputs: Bools, weights: Floats | None = None) -> list[Floats]:
    """True positives, false positives, false negatives and true negatives of each class, recordings weighted."""
    weights = np.ones(len(labels)) if weights is None else weights
    cases = labels & outputs, ~labels & outputs, labels & ~outputs, ~labels & ~outputs
    return [np.einsum("r,rk->k", weights, case) for case in cases]


def compute_observed_score(weights: ArrayLike, labels: ArrayLike, outputs: ArrayLike) -> float:
    """Unnormalised challenge score, summed over the recordings.

    A recording adds `weights[i, j] / max(|labels or outputs|, 1)` for each label i and each output j that it has
    (Perez Alday et al. 2020, doi:10.1088/1361-6579/abc960).
    """
    labels, outputs = _as_flags(labels, outputs)
    shares = outputs / np.maximum(np.count_nonzero(labels | outputs, axis=1), 1)[:, np.newaxis]
    # Not a matrix product: so small a one, given to several threads of a busy machine, takes seconds, not milliseconds.
    confusion = np.einsum("ri,rj->ij", labels.astype(np.float64), shares)
    return float(np.sum(np.asarray(weights, dtype=np.float64) * confusion))


def compute_challenge_metric(
    weights: ArrayLike, labels: ArrayLike, outputs: ArrayLike, classes: Sequence[str], normal_class: str = NORMAL_CLASS
) -> float:
    """Challenge metric: 1 for the labels themselves, 0 for the normal class on every recording.

    `weights`, (n_classes, n_classes): as from `load_weights`. `labels` and `outputs`, (n_recordings, n_classes), bool:
    truth and binary outputs. `classes`: code of each column. `normal_class`: the class that the inactive classifier
    always gives. Returns (observed - inactive) / (correct - inactive), each from `compute_observed_score`; 0 where the
    denominator is 0.
    """
    if normal_class not in classes:
        raise ValueError(f"expected the normal class {normal_class} among the classes, found {', '.join(classes)}")
    labels, outputs = _as_flags(labels, outputs)
    inactive_outputs = np.zeros_like(labels)
    inactive_outputs[:, list(classes).index(normal_class)] = True
    observed = compute_observed_score(weights, labels, outputs)
    correct = compute_observed_score(weights, labels, labels)
    inactive = compute_observed_score(weights, labels, inactive_outputs)
    return (observed - inactive) / (correct - inactive) if correct != inactive else 0.0


def compute_auc(labels: ArrayLike, outputs: ArrayLike) -> tuple[float, float, Floats, Floats]:
    """Areas under the receiver operating characteristic and precision-recall curves.

    Every distinct score is a threshold. The first area is by trapezoids; the second is the sum of the precisions
    weighted by the steps of recall.

    `labels`, (n_recordings, n_classes), bool: truth. `outputs`, (n_recordings, n_classes): scores, none nan. Returns
    `auroc` and `auprc`: means over the classes that have a value; `auroc_classes` and `auprc_classes`, (n_classes,),
    float64: nan for a class without positives, and the AUROC of a class without negatives.
    """
    labels, _ = _as_flags(labels, labels)
    scores = np.asarray(outputs, dtype=np.float64)
    if scores.shape != labels.shape or np.isnan(scores).any():
        raise ValueError(f"expected outputs of shape {labels.shape} without nan, found shape {scores.shape} or nan")
    auroc, auprc = np.full(labels.shape[1], np.nan), np.full(labels.shape[1], np.nan)
    for k in np.flatnonzero(labels.any(axis=0)):
        order = np.argsort(-scores[:, k])
        ranked = scores[order, k]
        # Recordings of one score pass the threshold together: keep the counts at the last of each run of ties.
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        true_positives = np.cumsum(labels[order, k])[ends]
        false_positives = ends + 1 - true_positives
        recall_steps = np.diff(true_positives / true_positives[-1], prepend=0.0)
        auprc[k] = np.sum(recall_steps * true_positives / (ends + 1))
        if false_positives[-1]:
            specificity = np.append(1.0, 1.0 - false_positives / false_positives[-1])
            auroc[k] = np.sum(recall_steps * (specificity[1:] + specificity[:-1])) / 2
    return _mean(auroc), _mean(auprc), auroc, auprc


def compute_superclass_auc(
    labels: ArrayLike, outputs: ArrayLike, groups: Sequence[Sequence[int]]
) -> tuple[float, float]:
    """The areas of `compute_auc` where each group of columns is a class.

    It has all labels of the group; its score is 1 - product of (1 - score), the probability that any is there if they
    are independent, which ranks better than the highest score.
    """
    above = np.stack([np.asarray(labels)[:, group].any(axis=1) for group in groups], axis=1)
    without = 1 - np.clip(np.asarray(outputs, dtype=np.float64), 0, 1)
    some = np.stack([1 - without[:, group].prod(axis=1) for group in groups], axis=1)
    return compute_auc(above, some)[:2]


def compute_accuracy(labels: ArrayLike, outputs: ArrayLike) -> float:
    """Fraction of recordings with every class right; nan without recordings."""
    labels, outputs = _as_flags(labels, outputs)
    return float(np.mean((labels == outputs).all(axis=1))) if len(labels) else math.nan


def compute_f_measure(labels: ArrayLike, outputs: ArrayLike) -> tuple[float, Floats]:
    """Mean F-measure, and that of each class: nan where a class is neither in the labels nor in the outputs."""
    tp, fp, fn, _ = _count(*_as_flags(labels, outputs))
    f_classes = _divide(2 * tp, 2 * tp + fp + fn)
    return _mean(f_classes), f_classes


def compute_beta_measures(labels: ArrayLike, outputs: ArrayLike, beta: float = 2) -> tuple[float, float]:
    """F-beta and G-beta, means over classes; a recording weighs 1 / max(number of its labels, 1)."""
    labels, outputs = _as_flags(labels, outputs)
    tp, fp, fn, _ = _count(labels, outputs, 1 / np.maximum(np.count_nonzero(labels, axis=1), 1))
    f_beta = _divide((1 + beta**2) * tp, (1 + beta**2) * tp + fp + beta**2 * fn)
    return _mean(f_beta), _mean(_divide(tp, tp + fp + beta * fn))


def compute_sensitivity_specificity(labels: ArrayLike, outputs: ArrayLike) -> tuple[Floats, Floats]:
    """Sensitivity and specificity of each class, nan for a class without positives or without negatives."""
    tp, fp, fn, tn = _count(*_as_flags(labels, outputs))
    return _divide(tp, tp + fn), _divide(tn, tn + fp)


def compute_scores(
    weights: ArrayLike | None,
    labels: ArrayLike,
    outputs: ArrayLike,
    scalar_outputs: ArrayLike,
    classes: Sequence[str],
    diagnoses: Diagnoses = CHALLENGE_2020,
) -> Scores:
    """All measures that fit a set of diagnoses; arguments as in `compute_challenge_metric` and `compute_auc`.

    F-beta and G-beta are those of the Challenge 2020 alone. Without weights there is no challenge metric. Where the
    set has superclasses, their areas come last, see `compute_superclass_auc`.
    """
    overall: dict[str, float] = {}
    by_class: dict[str, Floats] = {}
    overall["AUROC"], overall["AUPRC"], by_class["AUROC"], by_class["AUPRC"] = compute_auc(labels, scalar_outputs)
    overall["Accuracy"] = compute_accuracy(labels, outputs)
    overall["F-measure"], by_class["F-measure"] = compute_f_measure(labels, outputs)
    if diagnoses.name == DEFAULT:
        overall["Fbeta-measure"], overall["Gbeta-measure"] = compute_beta_measures(labels, outputs)
    if weights is not None:
        normal = str(diagnoses.normal)
        overall["Challenge metric"] = compute_challenge_metric(weights, labels, outputs, classes, normal)
    above = [diagnoses[code].superclass for code in classes]
    if groups := [[k for k, each in enumerate(above) if each == name] for name in diagnoses.superclasses]:
        areas = compute_superclass_auc(labels, scalar_outputs, groups)
        overall["AUROC of superclasses"], overall["AUPRC of superclasses"] = areas
    by_class["Sensitivity"], by_class["Specificity"] = compute_sensitivity_specificity(labels, outputs)
    return Scores(tuple(classes), overall, by_class, np.asarray(np.count_nonzero(np.asarray(labels), axis=0)))


def parse_number(word: str) -> float | None:
    """The number that a text is, None where it is none."""
    try:
        return float(word)
    except ValueError:
        return None


def read_text(path: StrPath) -> str:
    """The text of a UTF-8 file; EvaluationError where it can't be read."""
    try:
        return read_file(path).decode("utf-8-sig")
    except RecordingError as error:
        raise EvaluationError(str(error)) from None
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path}: expected UTF-8 text, found a byte that is not at {error.start}") from None
