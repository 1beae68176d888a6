"""Which recordings validate which member: a patient in one fold only, every class in every fold where it can be."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from ecg.arrays import Bools, Ints
from ecg.io.errors import RecordingError
from ecg.io.files import read_rows
from ecg.io.formats import find_recordings


def assign_folds(
    labels: Bools, databases: list[str], given: list[int], n_folds: int, seed: int, patients: Sequence[str] = ()
) -> Ints:
    """Split recordings into folds.

    `labels`: (n_recordings, n_classes), bool. `databases`: each database is split on its own (Zhao et al. 2020,
    published code), so that every fold holds a part of each. `given`: fold numbers from 1 up that came with the data,
    because they keep a patient's recordings together; 0 for none. Fold k of them becomes fold ``(k - 1) mod n_folds``.
    `patients`: of each recording, "" where not known. A patient's recordings in a database go into one fold: that of
    one of them where it is given. Returns (n_recordings,), int64: 0 to n_folds - 1. Where nothing is given the split is
    by iterative multilabel stratification (Sechidis et al. 2011); a database smaller than `n_folds` is dealt out one by
    one.
    """
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold  # here: prediction has no use for scikit-learn

    numbers = np.asarray(given, dtype=np.int64)
    folds = np.where(numbers > 0, (numbers - 1) % n_folds, -1)
    names = np.asarray(databases)
    known = [f"{name}\0{who}" if who else "" for name, who in zip(databases, patients, strict=bool(patients))]
    first = np.arange(len(labels))  # of the patient's recordings
    if any(known):
        seen: dict[str, int] = {}
        order = np.argsort(folds < 0, kind="stable").tolist()  # those with a fold come first
        for row in order:
            first[row] = seen.setdefault(known[row], row) if known[row] else row
        folds = np.where(folds < 0, folds[first], folds)
        everyone = range(len(labels))
        labels = np.array([labels[first == row].any(axis=0) if first[row] == row else labels[row] for row in everyone])
    for database in sorted(set(databases)):
        rows = np.flatnonzero((names == database) & (folds < 0) & (first == np.arange(len(labels))))
        if len(rows) < n_folds:
            folds[rows] = np.arange(len(rows)) % n_folds
            continue
        splitter = MultilabelStratifiedKFold(n_splits=n_folds, shuffle=True, random_state=seed)
        for fold, (_, held_out) in enumerate(splitter.split(rows, labels[rows].astype(int))):
            folds[rows[held_out]] = fold
    return folds[first] if any(known) else folds


Folds = dict[str, tuple[str, int]]


def read_folds(data_folder: Path) -> Folds:
    """``{record: (database, fold)}`` from the data folder's ``folds.csv``, empty where there is none.

    Raises RecordingError if the file lacks a column or a fold is no whole number from 0 up.
    """
    path = data_folder / "folds.csv"
    if not path.exists():
        return {}
    fields, rows = read_rows(path, 1 << 30)
    if not {"record", "database", "fold"} <= set(fields):
        raise RecordingError(f"{path}: expected the columns record, database, fold; found {', '.join(fields)}")
    for row in rows:
        if not (row["fold"] or "").isdecimal():
            found = f"expected a fold of 0, 1, 2, ...; found {row['fold']!r}"
            raise RecordingError(f"{path}: record {row['record']}: {found}")
    return {row["record"]: (row["database"], int(row["fold"])) for row in rows}


def in_folds(data_folder: Path, folds: Collection[int]) -> list[Path]:
    """The recordings in these folds of the data folder's ``folds.csv``, all of the folder where no fold is named."""
    placed = read_folds(data_folder)
    paths = map(Path, find_recordings(data_folder))
    return [path for path in paths if not folds or (path.stem in placed and placed[path.stem][1] in folds)]
