"""The Challenge score of a folder of outputs: the 2020 measures, as functions on arrays and as a command.

    python evaluate_model.py labels outputs                              # print the scores
    python evaluate_model.py labels outputs scores.csv                   # write them to a file
    python evaluate_model.py labels outputs scores.csv class_scores.csv  # and the scores of each class to another

`labels` is a folder of header files (`A0001.hea`, ...), `outputs` a folder with one CSV file (`A0001.csv`) for each.
In the functions, labels and binary outputs are (n_recordings, n_classes) flags and scalar outputs floats of that shape.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

import helper_code
from ecg.signal_files import read_file
from helper_code import SCORED_CLASSES, write_file

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
StrPath = str | os.PathLike[str]

NORMAL_CLASS = "426783006"
# The three classes that the Challenge scores as one with another class (code: code of the representative).
EQUIVALENT_CLASSES: dict[str, str] = {"59118001": "713427006", "63593006": "284470004", "17338001": "427172004"}

TRUE_SPELLINGS = frozenset(("1", "True", "true", "T", "t"))  # all that the official 2020 scorer takes for positive
FALSE_SPELLINGS = frozenset(("0", "False", "false", "F", "f"))
DX_LINE = re.compile(r"^[ \t]*#[ \t]*Dx[ \t]*:([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
FILES_NAMED = 20  # in one warning; the others are counted


class EvaluationError(ValueError):
    """A file or folder that can't be scored; the message names it, what was expected and what was found."""


@dataclass(frozen=True)
class Scores:
    """All measures of one set of outputs, by the official scorer's names; nan where undefined."""

    classes: tuple[str, ...]
    overall: dict[str, float]  # AUROC, AUPRC, Accuracy, F-measure, Fbeta-measure, Gbeta-measure, Challenge metric
    by_class: dict[str, FloatArray]  # AUROC, AUPRC, F-measure, Sensitivity, Specificity; shape (n_classes,)
    support: NDArray[np.intp]  # number of recordings with the class


# Classes and rewards.


def load_weights(
    path: StrPath | None = None, classes: Sequence[str] | None = None
) -> tuple[tuple[str, ...], FloatArray]:
    """Read the table of rewards of the challenge metric, with equivalent codes merged (27 codes give 24 classes).

    Parameters
    ----------
    path : path, optional
        A CSV table with the same codes along its first row and first column; `weights.csv` beside this file.
    classes : sequence of str, optional
        Representative codes in the order wanted; the order of the table if left out.

    Returns
    -------
    classes : tuple of str
    weights : ndarray, shape (n_classes, n_classes), float64
        Reward for output j on a recording with label i.

    Raises
    ------
    EvaluationError
        If the table is not square, named the same along both sides, finite, and the same for equivalent classes, or
        lacks a class that is asked for.
    """
    path = Path(__file__).resolve().with_name("weights.csv") if path is None else path
    rows = [[cell.strip() for cell in line.split(",")] for line in _read_text(path).splitlines() if line.strip()]
    names = [row[0] for row in rows[1:]]
    if not names or any(len(row) != len(rows) for row in rows) or names != rows[0][1:] or len(set(names)) != len(names):
        raise EvaluationError(
            f"{path}: expected a square table with the same distinct codes in one order along both sides, "
            f"found rows {names} and columns {rows[0][1:] if rows else []}"
        )
    table = np.array([[_parse_number(cell) for cell in row[1:]] for row in rows[1:]], dtype=np.float64)  # None: nan
    if not np.isfinite(table).all():
        raise EvaluationError(f"{path}: expected finite numbers, found something else")
    names = [EQUIVALENT_CLASSES.get(name, name) for name in names]
    first = [names.index(name) for name in names]
    if not np.array_equal(table, table[np.ix_(first, first)]):
        raise EvaluationError(f"{path}: expected the same rewards for equivalent classes, found different ones")
    wanted = tuple(dict.fromkeys(names)) if classes is None else tuple(classes)
    if not set(wanted) <= set(names):
        raise EvaluationError(
            f"{path}: expected a row for each class, found none for {sorted(set(wanted) - set(names))}"
        )
    picked = [names.index(code) for code in wanted]
    return wanted, table[np.ix_(picked, picked)]


def _index_classes(classes: Sequence[str]) -> dict[str, int]:
    """Column of each scored code, with the equivalent codes at their representative's column."""
    columns = {EQUIVALENT_CLASSES.get(code, code): column for column, code in enumerate(classes)}
    if len(columns) != len(classes):
        raise ValueError(f"expected distinct classes without equivalent ones, found {', '.join(classes)}")
    return columns | {code: columns[other] for code, other in EQUIVALENT_CLASSES.items() if other in columns}


def encode_labels(codes: Iterable[Iterable[str]], classes: Sequence[str]) -> BoolArray:
    """Turn the diagnosis codes of each recording into a row of flags, shape (n_recordings, n_classes).

    Codes that `classes` lacks are ignored; an equivalent code counts as its representative.
    """
    columns = _index_classes(classes)
    codes = list(codes)
    labels = np.zeros((len(codes), len(classes)), dtype=bool)
    cells = [(i, columns[code]) for i, row in enumerate(codes) for code in row if code in columns]
    labels[[i for i, _ in cells], [k for _, k in cells]] = True
    return labels


# Measures.


def _as_flags(labels: ArrayLike, outputs: ArrayLike) -> tuple[BoolArray, BoolArray]:
    labels, outputs = np.asarray(labels), np.asarray(outputs)
    if labels.ndim != 2 or labels.shape != outputs.shape:
        shapes = f"{labels.shape} and {outputs.shape}"
        raise ValueError(f"expected labels and outputs of one shape (n_recordings, n_classes), found {shapes}")
    for array in (labels, outputs):
        # Probabilities turned into flags would be positive nearly everywhere, without a word.
        if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
            raise ValueError("expected labels and binary outputs of 0 and 1, found other values")
    return labels.astype(bool, copy=False), outputs.astype(bool, copy=False)


def _divide(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient with nan where the denominator is 0."""
    quotient = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def _mean(values: FloatArray) -> float:
    """Mean over the classes that have a value, nan where none has."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _count(labels: BoolArray, outputs: BoolArray, weights: FloatArray | None = None) -> list[FloatArray]:
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

    Parameters
    ----------
    weights : array-like, shape (n_classes, n_classes), float
        As from `load_weights`.
    labels, outputs : array-like, shape (n_recordings, n_classes), bool
        Truth and binary outputs.
    classes : sequence of str
        Code of each column.
    normal_class : str
        The class that the inactive classifier always gives.

    Returns
    -------
    float
        (observed - inactive) / (correct - inactive), each from `compute_observed_score`; 0 where the denominator is 0.
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


def compute_auc(labels: ArrayLike, outputs: ArrayLike) -> tuple[float, float, FloatArray, FloatArray]:
    """Areas under the receiver operating characteristic and precision-recall curves.

    Every distinct score is a threshold. The first area is by trapezoids; the second is the sum of the precisions
    weighted by the steps of recall.

    Parameters
    ----------
    labels : array-like, shape (n_recordings, n_classes), bool
        Truth.
    outputs : array-like, shape (n_recordings, n_classes), float
        Scores, none nan.

    Returns
    -------
    auroc, auprc : float
        Means over the classes that have a value.
    auroc_classes, auprc_classes : ndarray, shape (n_classes,), float64
        nan for a class without positives, and the AUROC of a class without negatives.
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


def compute_accuracy(labels: ArrayLike, outputs: ArrayLike) -> float:
    """Fraction of recordings with every class right; nan without recordings."""
    labels, outputs = _as_flags(labels, outputs)
    return float(np.mean((labels == outputs).all(axis=1))) if len(labels) else math.nan


def compute_f_measure(labels: ArrayLike, outputs: ArrayLike) -> tuple[float, FloatArray]:
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


def compute_sensitivity_specificity(labels: ArrayLike, outputs: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Sensitivity and specificity of each class, nan for a class without positives or without negatives."""
    tp, fp, fn, tn = _count(*_as_flags(labels, outputs))
    return _divide(tp, tp + fn), _divide(tn, tn + fp)


def compute_scores(
    weights: ArrayLike, labels: ArrayLike, outputs: ArrayLike, scalar_outputs: ArrayLike, classes: Sequence[str]
) -> Scores:
    """All measures at once; arguments as in `compute_challenge_metric` and `compute_auc`."""
    overall: dict[str, float] = {}
    by_class: dict[str, FloatArray] = {}
    overall["AUROC"], overall["AUPRC"], by_class["AUROC"], by_class["AUPRC"] = compute_auc(labels, scalar_outputs)
    overall["Accuracy"] = compute_accuracy(labels, outputs)
    overall["F-measure"], by_class["F-measure"] = compute_f_measure(labels, outputs)
    overall["Fbeta-measure"], overall["Gbeta-measure"] = compute_beta_measures(labels, outputs)
    overall["Challenge metric"] = compute_challenge_metric(weights, labels, outputs, classes)
    by_class["Sensitivity"], by_class["Specificity"] = compute_sensitivity_specificity(labels, outputs)
    return Scores(tuple(classes), overall, by_class, np.asarray(np.count_nonzero(np.asarray(labels), axis=0)))


# Files.


def _read_text(path: StrPath) -> str:
    try:
        return read_file(path).decode("utf-8-sig")
    except helper_code.RecordingError as error:
        raise EvaluationError(str(error)) from None
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path}: expected UTF-8 text, found a byte that is not at {error.start}") from None


def _warn(files: Iterable[str], message: str) -> None:
    """Name the files, if there are any, on stderr."""
    names = list(dict.fromkeys(files))
    more = f" and {len(names) - FILES_NAMED} more" if len(names) > FILES_NAMED else ""
    if names:
        print(f"warning: {', '.join(names[:FILES_NAMED])}{more}: {message}", file=sys.stderr)


def _check_folder(folder: StrPath, content: str) -> None:
    if not os.path.isdir(folder):
        raise EvaluationError(f"{os.fspath(folder)}: expected a folder {content}, found none")


def find_headers(labels_folder: StrPath) -> list[str]:
    """Paths of the header files in a folder and below; EvaluationError for none, or two of one name."""
    _check_folder(labels_folder, "of header files")
    headers: dict[str, str] = {}
    for path in helper_code.find_headers(labels_folder):
        other = headers.setdefault(os.path.basename(path), path)
        if other != path:
            raise EvaluationError(f"{path}: expected one header of this name, found {other} as well")
    if not headers:
        raise EvaluationError(f"{os.fspath(labels_folder)}: expected header files (*.hea), found none")
    return list(headers.values())


def find_outputs(outputs_folder: StrPath, header_files: Sequence[str]) -> list[str]:
    """Path of the output file `<record>.csv` of each header file; EvaluationError where one is missing."""
    _check_folder(outputs_folder, "of output files")
    folder = os.fspath(outputs_folder)
    present = set(os.listdir(folder))
    names = [os.path.basename(path)[: -len(".hea")] + ".csv" for path in header_files]
    start = os.path.join(folder, "")
    missing = [start + name for name in names if name not in present]
    if missing:
        found = f"found none for {len(missing)}"
        raise EvaluationError(f"{missing[0]}: expected an output file for each of the {len(names)} headers, {found}")
    return [start + name for name in names]


def load_labels(header_files: Iterable[StrPath], classes: Sequence[str]) -> BoolArray:
    """Read the `#Dx` lines of header files, shape (n_recordings, n_classes); EvaluationError where one has none."""
    codes = []
    for path in header_files:
        try:
            text = helper_code.load_header(path)
        except helper_code.RecordingError as error:
            raise EvaluationError(str(error)) from None
        # From the line of the first comment on: looking through the signal lines takes as long as reading the file.
        lines = DX_LINE.findall(text, text.rfind("\n", 0, text.find("#")) + 1)
        if not lines:
            raise EvaluationError(f"{path}: expected a line '#Dx: ...' with the diagnoses, found none")
        codes.append(re.split(r"[,;\s]+", ",".join(lines)))
    return encode_labels(codes, classes)


def load_outputs(output_files: Sequence[StrPath], classes: Sequence[str]) -> tuple[BoolArray, FloatArray]:
    """Read output files: comment lines (#), then a line each of codes, binary outputs and scalar outputs.

    As in the official 2020 scorer, codes come in any order, codes that `classes` lacks are ignored, a class that the
    file lacks is negative with score 0, equivalent codes are merged (binary: any, scalar: mean of those that are not
    nan), a score that is nan or no number is 0, and a file with fewer than three lines of data, or with lines of
    different length, is all negative. Files of the last two kinds are named on stderr. EvaluationError for a file
    that can't be read.

    The official scorer knows only the spellings 1, True, true, T and t, and takes `1.0` for negative. Here outputs of
    which none has such a spelling, but some have `1.0`, were plainly written as floats: there `1.0` is positive. Where
    the spellings are mixed the official reading stands. Either way it is said on stderr.

    Parameters
    ----------
    output_files : sequence of path
        One file for each recording.
    classes : sequence of str
        Codes of the columns wanted.

    Returns
    -------
    binary_outputs : ndarray, shape (n_recordings, n_classes), bool
    scalar_outputs : ndarray, shape (n_recordings, n_classes), float64
    """
    files = [os.fspath(path) for path in output_files]
    index = _index_classes(classes)
    columns_of: dict[str, NDArray[np.intp]] = {}  # nearly always one line of codes for all files
    rows, columns, binary_lines, scalar_lines, malformed = [], [], [], [], []
    for i, path in enumerate(files):
        lines = [line for line in _read_text(path).splitlines() if line.strip() and line.lstrip()[0] != "#"]
        if len(lines) < 3 or len({line.count(",") for line in lines}) > 1:
            malformed.append(path)
            continue
        if lines[0] not in columns_of:
            columns_of[lines[0]] = np.array([index.get(code.strip(), -1) for code in lines[0].split(",")])
        rows.append(i)
        columns.append(columns_of[lines[0]])
        binary_lines.append(lines[1])
        scalar_lines.append(lines[2])
    _warn(malformed, "expected lines of codes, binary outputs and scores of one length; counted as all negative")
    if not rows:
        return np.zeros((len(files), len(classes)), dtype=bool), np.zeros((len(files), len(classes)))

    # From here on all cells of all files are one flat list, so that odd files need no second way of reading.
    cell_rows, cell_columns = np.repeat(rows, [len(row) for row in columns]), np.concatenate(columns)
    cells, n_cells = cell_rows * len(classes) + cell_columns, len(files) * len(classes)
    binary = _parse_binary(",".join(binary_lines).split(","), files, cell_rows)
    scalar = _parse_scalar(",".join(scalar_lines).split(","), files, cell_rows)
    known = cell_columns >= 0
    binary_outputs = np.bincount(cells[known & binary], minlength=n_cells) > 0
    known &= ~np.isnan(scalar)
    sums = np.bincount(cells[known], scalar[known], n_cells)
    scalar_outputs = sums / np.maximum(np.bincount(cells[known], minlength=n_cells), 1)
    scalar_outputs[np.isnan(scalar_outputs)] = 0.0  # the mean of opposite infinities
    return binary_outputs.reshape(len(files), -1), scalar_outputs.reshape(len(files), -1)


def _parse_binary(words: list[str], files: list[str], rows: NDArray[np.intp]) -> BoolArray:
    values = {word: _parse_number(word) for word in set(words)}
    positive = {word for word in values if word.strip() in TRUE_SPELLINGS}
    ones = {word for word in values if values[word] == 1} - positive
    zeros = {word for word in values if values[word] == 0 or word.strip() in FALSE_SPELLINGS}
    as_floats = not positive
    reading = "counted as positive (the official scorer: negative)" if as_floats else "beside 1: counted as negative"
    _warn(_files_with(ones, words, files, rows), f"expected binary outputs 0 or 1; {reading}")
    others = set(values) - positive - ones - zeros
    _warn(_files_with(others, words, files, rows), "expected binary outputs 0 or 1; counted as negative")
    if as_floats:
        positive |= ones
    return np.fromiter(map(positive.__contains__, words), dtype=bool, count=len(words))


def _parse_scalar(words: list[str], files: list[str], rows: NDArray[np.intp]) -> FloatArray:
    try:
        return np.fromiter(map(float, words), dtype=np.float64, count=len(words))
    except ValueError:
        values = {word: _parse_number(word) for word in set(words)}
    strange = {word for word in values if values[word] is None}
    _warn(_files_with(strange, words, files, rows), "expected a number as score; counted as 0")
    return np.array([values[word] for word in words], dtype=np.float64)  # None becomes nan


def _parse_number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _files_with(strange: set[str], words: list[str], files: list[str], rows: NDArray[np.intp]) -> list[str]:
    """The files with one of the strange words, and the word."""
    if not strange:
        return []
    return [f"{files[row]} ('{word.strip()}')" for word, row in zip(words, rows, strict=True) if word in strange]


# The command.


def evaluate_model(labels_folder: StrPath, outputs_folder: StrPath) -> Scores:
    """Score a folder of output files against a folder of headers; EvaluationError or OSError name what is wrong."""
    classes, weights = load_weights()
    header_files = find_headers(labels_folder)
    output_files = find_outputs(outputs_folder, header_files)
    labels = load_labels(header_files, classes)
    return compute_scores(weights, labels, *load_outputs(output_files, classes), classes)


def format_scores(scores: Scores) -> str:
    """Text of the file of scores: names and values. Like the official scorer's, it ends without a line end."""
    return ",".join(scores.overall) + "\n" + ",".join(f"{value:.3f}" for value in scores.overall.values())


def format_class_scores(scores: Scores) -> str:
    """Text of the file of class scores, a line each of codes, AUROC, AUPRC and F-measure, as the official scorer's."""
    lines = [["Classes", *scores.classes]]
    lines += [[name, *(f"{v:.3f}" for v in scores.by_class[name])] for name in ("AUROC", "AUPRC", "F-measure")]
    return "\n".join(map(",".join, lines))


def format_class_table(scores: Scores) -> str:
    """Table for the eye, with a row for each class."""
    lines = [f"{'Code':<10} {'Class':<11}" + "".join(f"{name:>13}" for name in (*scores.by_class, "Support"))]
    for code, support, *values in zip(scores.classes, scores.support, *scores.by_class.values(), strict=True):
        codes = [code, *(other for other, representative in EQUIVALENT_CLASSES.items() if representative == code)]
        name = "/".join(SCORED_CLASSES[other][0] for other in codes if other in SCORED_CLASSES)
        lines.append(f"{code:<10} {name:<11}" + "".join(f"{value:13.3f}" for value in values) + f"{support:13d}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Score the outputs of a model with the measures of the PhysioNet/CinC Challenge 2020.",
        epilog="example:\n  python evaluate_model.py training_data outputs scores.csv class_scores.csv",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("labels", help="folder of header files (.hea) with the diagnoses")
    parser.add_argument("outputs", help="folder with an output file <record>.csv for each header")
    parser.add_argument("scores", nargs="?", help="file for the scores (printed if left out)")
    parser.add_argument("class_scores", nargs="?", help="file for the AUROC, AUPRC and F-measure of each class")
    parser.add_argument("--classes", action="store_true", help="print a table of all classes")
    options = parser.parse_args(arguments)
    try:
        for file in filter(None, (options.scores, options.class_scores)):
            _check_folder(os.path.dirname(os.path.abspath(file)), f"to write {file} to")
        scores = evaluate_model(options.labels, options.outputs)
        if options.scores is None:
            print(format_scores(scores))
        else:
            write_file(options.scores, format_scores(scores))
        if options.class_scores is not None:
            write_file(options.class_scores, format_class_scores(scores))
        if options.classes:
            print(format_class_table(scores))
    except (EvaluationError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
