"""The Challenge score of a folder of outputs."""

import os
import re
import sys
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ecg.arrays import Bools, Floats
from ecg.io import folders
from ecg.io.errors import RecordingError
from ecg.io.files import StrPath
from ecg.io.header import load_header
from ecg.io.label_tables import read_label_table
from ecg.labels.classes import encode_labels
from ecg.labels.diagnoses import CHALLENGE_2020, DEFAULT, Diagnoses, clean_code, closest, index_classes, set_of
from ecg.scoring.challenge import EvaluationError, Scores, compute_scores, load_weights, parse_number, read_text

TRUE_SPELLINGS = frozenset(("1", "True", "true", "T", "t"))  # all that the official 2020 scorer takes for positive
FALSE_SPELLINGS = frozenset(("0", "False", "false", "F", "f"))
DX_LINE = re.compile(r"^[ \t]*#[ \t]*Dx[ \t]*:([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
FILES_NAMED = 20  # in one warning; the others are counted


def _warn(files: Iterable[str], message: str) -> None:
    """Name the files, if there are any, on stderr."""
    names = list(dict.fromkeys(files))
    more = f" and {len(names) - FILES_NAMED} more" if len(names) > FILES_NAMED else ""
    if names:
        print(f"warning: {', '.join(names[:FILES_NAMED])}{more}: {message}", file=sys.stderr)


def _check_folder(folder: StrPath, content: str) -> None:
    if not os.path.isdir(folder):
        raise EvaluationError(f"{os.fspath(folder)}: expected a folder {content}, found none")


def check_place(file: StrPath) -> None:
    """EvaluationError where there is no folder to write a file to."""
    _check_folder(os.path.dirname(os.path.abspath(file)), f"to write {os.fspath(file)} to")


def find_headers(labels_folder: StrPath) -> list[str]:
    """Paths of the header files in a folder and below; EvaluationError for none, or two of one name."""
    _check_folder(labels_folder, "of header files")
    headers: dict[str, str] = {}
    for path in folders.find_headers(labels_folder):
        other = headers.setdefault(os.path.basename(path), path)
        if other != path:
            raise EvaluationError(f"{path}: expected one header of this name, found {other} as well")
    if not headers:
        raise EvaluationError(f"{os.fspath(labels_folder)}: expected header files (*.hea), found none")
    return list(headers.values())


def find_outputs(outputs_folder: StrPath, header_files: Sequence[str]) -> list[str]:
    """Path of the output file `<record>.csv` of each header file; EvaluationError where one is missing."""
    names = [os.path.basename(path)[: -len(".hea")] + ".csv" for path in header_files]
    present, start = set(_list_outputs(outputs_folder)), os.path.join(os.fspath(outputs_folder), "")
    missing = [start + name for name in names if name not in present]
    if missing:
        found = f"found none for {len(missing)}"
        raise EvaluationError(f"{missing[0]}: expected an output file for each of the {len(names)} headers, {found}")
    return [start + name for name in names]


def _list_outputs(outputs_folder: StrPath) -> list[str]:
    _check_folder(outputs_folder, "of output files")
    return os.listdir(os.fspath(outputs_folder))


def load_labels(
    header_files: Iterable[StrPath], classes: Sequence[str], diagnoses: Diagnoses = CHALLENGE_2020
) -> Bools:
    """Read the `#Dx` lines of header files, shape (n_recordings, n_classes); EvaluationError where one has none."""
    codes = []
    for path in header_files:
        try:
            text = load_header(path)
        except RecordingError as error:
            raise EvaluationError(str(error)) from None
        # From the line of the first comment on: looking through the signal lines takes as long as reading the file.
        lines = DX_LINE.findall(text, text.rfind("\n", 0, text.find("#")) + 1)
        if not lines:
            raise EvaluationError(f"{path}: expected a line '#Dx: ...' with the diagnoses, found none")
        codes.append(list(map(clean_code, re.split(r"[,;\s]+", ",".join(lines)))))
    return encode_labels(codes, classes, diagnoses)


def load_labelled(
    table_file: StrPath, outputs_folder: StrPath, classes: Sequence[str], diagnoses: Diagnoses
) -> tuple[list[str], Bools]:
    """The output files of a folder and their labels from a table, see `ecg.io.label_tables.read_label_table`.

    EvaluationError where an output has no row, or a record of one's own table no output.
    """
    try:
        table = read_label_table(table_file, diagnoses.column_of)
    except RecordingError as error:
        raise EvaluationError(str(error)) from None
    names = sorted(name[: -len(".csv")] for name in _list_outputs(outputs_folder) if name.endswith(".csv"))
    rows = [table.codes.get(table.key(name)) for name in names]
    folder = os.fspath(outputs_folder)
    if not names or None in rows:
        found = f"none for {names[rows.index(None)]}" if names else f"no outputs in {folder}"
        raise EvaluationError(f"{os.fspath(table_file)}: expected a row for each output in {folder}, found {found}")
    missing = sorted(set(table.codes) - set(names))
    if missing and not table.is_ptb_xl:
        wanted = f"an output file for each of the {len(table.codes)} records of {os.fspath(table_file)}"
        first = os.path.join(folder, f"{missing[0]}.csv")
        raise EvaluationError(f"{first}: expected {wanted}, found none for {len(missing)}")
    files = [os.path.join(folder, f"{name}.csv") for name in names]
    return files, encode_labels([row for row in rows if row is not None], classes, diagnoses)


def load_outputs(
    output_files: Sequence[StrPath], classes: Sequence[str], diagnoses: Diagnoses = CHALLENGE_2020
) -> tuple[Bools, Floats]:
    """Read output files: comment lines (#), then a line each of codes, binary outputs and scalar outputs.

    The rules are those of the official 2020 scorer. Codes come in any order, and unknown codes are ignored. A class
    without a column is negative with score 0. Equivalent codes are merged (binary: any, scalar: mean without nan). A
    score that is nan or no number is 0. A file with fewer than three lines of data, or with lines of different length,
    is all negative. Files of the last two kinds are named on stderr. EvaluationError for a file that can't be read.

    The official scorer knows only the spellings 1, True, true, T and t, and takes `1.0` for negative. Here outputs of
    which none has such a spelling, but some have `1.0`, were evidently written as floats: there `1.0` is positive.
    Where the spellings are mixed the official reading stands. Either way it is said on stderr.

    All sets but `challenge-2020` go by the official 2021 scorer: equivalent codes may be joined by `|`, `1.0` is
    positive, and a score that is not finite is 0.

    `output_files`: one file for each recording. `classes`: codes of the columns wanted. `diagnoses`: their set. Raises
    EvaluationError if a file can't be read, or outputs have the columns of another set. Returns `binary_outputs`:
    (n_recordings, n_classes), bool; `scalar_outputs`: (n_recordings, n_classes), float64.
    """
    files = [os.fspath(path) for path in output_files]
    by_2020, index = diagnoses.name == DEFAULT, index_classes(classes, diagnoses)
    columns_of: dict[str, NDArray[np.intp]] = {}  # nearly always one line of codes for all files
    rows, columns, binary_lines, scalar_lines, malformed = [], [], [], [], []
    for i, path in enumerate(files):
        lines = [line for line in read_text(path).splitlines() if line.strip() and line.lstrip()[0] != "#"]
        if len(lines) < 3 or len({line.count(",") for line in lines}) > 1:
            malformed.append(path)
            continue
        if lines[0] not in columns_of:
            names = [code.strip() for code in lines[0].split(",")]
            _check_columns(path, names, diagnoses)
            columns_of[lines[0]] = np.array([_column(name, index, joined=not by_2020) for name in names])
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
    binary = _parse_binary(",".join(binary_lines).split(","), files, cell_rows, by_2020)
    scalar = _parse_scalar(",".join(scalar_lines).split(","), files, cell_rows)
    if not by_2020:
        scalar[~np.isfinite(scalar)] = 0.0
    known = cell_columns >= 0
    binary_outputs = np.bincount(cells[known & binary], minlength=n_cells) > 0
    known &= ~np.isnan(scalar)
    sums = np.bincount(cells[known], scalar[known], n_cells)
    scalar_outputs = sums / np.maximum(np.bincount(cells[known], minlength=n_cells), 1)
    scalar_outputs[np.isnan(scalar_outputs)] = 0.0  # the mean of opposite infinities
    return binary_outputs.reshape(len(files), -1), scalar_outputs.reshape(len(files), -1)


def _column(name: str, index: dict[str, int], *, joined: bool) -> int:
    """The column of a code, or of the first known one of several that are joined; -1 where there is none."""
    codes = [name, *name.split("|")] if joined else [name]
    return next((index[code] for code in codes if code in index), -1)


def _check_columns(path: str, names: list[str], diagnoses: Diagnoses) -> None:
    """EvaluationError where outputs are evidently those of a model for another set of diagnoses."""
    codes = {code for name in names for code in (name, *name.split("|"))}
    other = set_of(names)
    if codes & set(diagnoses.column_of) and (other is None or set(other.classes) == set(diagnoses.classes)):
        return
    best = other or closest(codes)
    found = f"those of the set {best.name}" if codes & set(best.column_of) else f"others ({', '.join(names)[:80]})"
    raise EvaluationError(f"{path}: expected columns of the set of diagnoses {diagnoses.name}, found {found}")


def _parse_binary(words: list[str], files: list[str], rows: NDArray[np.intp], by_2020: bool) -> Bools:
    values = {word: parse_number(word) for word in set(words)}
    positive = {word for word in values if word.strip() in TRUE_SPELLINGS or (not by_2020 and values[word] == 1)}
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


def _parse_scalar(words: list[str], files: list[str], rows: NDArray[np.intp]) -> Floats:
    try:
        return np.fromiter(map(float, words), dtype=np.float64, count=len(words))
    except ValueError:
        values = {word: parse_number(word) for word in set(words)}
    strange = {word for word in values if values[word] is None}
    _warn(_files_with(strange, words, files, rows), "expected a number as score; counted as 0")
    scores = {word: 0.0 if value is None else value for word, value in values.items()}
    return np.array([scores[word] for word in words])


def _files_with(strange: set[str], words: list[str], files: list[str], rows: NDArray[np.intp]) -> list[str]:
    """The files with one of the strange words, and the word."""
    if not strange:
        return []
    return [f"{files[row]} ('{word.strip()}')" for word, row in zip(words, rows, strict=True) if word in strange]


def evaluate_model(labels: StrPath, outputs_folder: StrPath, diagnoses: Diagnoses = CHALLENGE_2020) -> Scores:
    """Score a folder of output files.

    `labels`: a folder of headers, or a table of records and their codes. Raises EvaluationError or OSError, which name
    what is wrong.
    """
    classes, weights = load_weights(diagnoses=diagnoses) if diagnoses.weights_table else (diagnoses.classes, None)
    if os.path.isfile(labels):
        output_files, truth = load_labelled(labels, outputs_folder, classes, diagnoses)
    else:
        header_files = find_headers(labels)
        output_files = find_outputs(outputs_folder, header_files)
        truth = load_labels(header_files, classes, diagnoses)
    if not truth.any():
        _warn([os.fspath(labels)], f"expected diagnoses of the set {diagnoses.name}, found none of them")
    return compute_scores(weights, truth, *load_outputs(output_files, classes, diagnoses), classes, diagnoses)


def format_scores(scores: Scores) -> str:
    """Text of the file of scores: names and values. Like the official scorer's, it ends without a line end."""
    return ",".join(scores.overall) + "\n" + ",".join(f"{value:.3f}" for value in scores.overall.values())


def format_class_scores(scores: Scores) -> str:
    """Text of the file of class scores, a line each of codes, AUROC, AUPRC and F-measure, as the official scorer's."""
    lines = [["Classes", *scores.classes]]
    lines += [[name, *(f"{v:.3f}" for v in scores.by_class[name])] for name in ("AUROC", "AUPRC", "F-measure")]
    return "\n".join(map(",".join, lines))


def format_class_table(scores: Scores, diagnoses: Diagnoses = CHALLENGE_2020) -> str:
    """Table for the eye, with a row for each class."""
    lines = [f"{'Code':<10} {'Class':<11}" + "".join(f"{name:>13}" for name in (*scores.by_class, "Support"))]
    for code, support, *values in zip(scores.classes, scores.support, *scores.by_class.values(), strict=True):
        numbers = "".join(f"{value:13.3f}" for value in values)
        lines.append(f"{code:<10} {diagnoses[code].abbreviation:<11}{numbers}{support:13d}")
    return "\n".join(lines)
