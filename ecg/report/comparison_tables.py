"""Comparisons of recordings as tables, and which recordings of a folder are compared."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ecg.io.formats import find_recordings
from ecg.report.comparison_page import Pair

_STATEMENT, _CHANGE = ("code", "statement", "evidence"), ("before", "after", "difference")


def pairs_of(folder: Path, table: Path) -> Iterator[tuple[Path, Path]]:
    """Each recording of a folder with the patient's next one, as a table of patients has them in order.

    Raises ValueError if the table lacks a column, names a recording that is not there, or has no patient with two
    recordings.
    """
    by_name = {Path(path).stem: Path(path) for path in find_recordings(folder)}
    with open(table, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if not {"record", "patient"} <= set(reader.fieldnames or ()):
            found = ", ".join(reader.fieldnames or ()) or "none"
            raise ValueError(f"{table}: expected the columns record and patient, found {found}")
        rows = [(row["record"], row["patient"]) for row in reader]
    last: dict[str, Path] = {}
    n_pairs = 0
    for record, patient in rows:
        if record not in by_name:
            raise ValueError(f"{table}: expected recordings of {folder}, found {record!r}, which is not there")
        if patient in last:
            n_pairs += 1
            yield last[patient], by_name[record]
        last[patient] = by_name[record]
    if not n_pairs:
        raise ValueError(f"{table}: expected a patient with two recordings, found none")


def changes_as_csv(pairs: Sequence[Pair]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["before", "after", "code", "statement", "evidence", "changes"])
    for pair in pairs:
        changes = ", ".join(change.words for change in pair.found.changes)
        rows: list[tuple[object, ...]] = [*pair.found.statements]
        for row in rows or [("", "no comparison statement holds", "")]:
            writer.writerow([*pair.names, *row, changes])
    return text.getvalue()


def changes_as_json(pairs: Sequence[Pair]) -> str:
    rows = [
        {
            "before": pair.names[0],
            "after": pair.names[1],
            "statements": [dict(zip(_STATEMENT, one, strict=True)) for one in pair.found.statements],
            "changes": {
                each.name: {key: _or_none(getattr(each, key)) for key in _CHANGE} for each in pair.found.changes
            },
            "new": pair.found.new,
            "gone": pair.found.gone,
        }
        for pair in pairs
    ]
    return json.dumps(rows, indent=1) + "\n"


def _or_none(value: float) -> float | None:
    return round(value, 1) if value == value else None  # NaN is not JSON
