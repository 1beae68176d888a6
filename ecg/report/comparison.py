"""Comparisons of ECGs of one patient: which recordings of a folder, what changed as tables, and as a page."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecg.interpretation.comparison import Comparison, Ecg
from ecg.io.files import as_csv, read_rows
from ecg.io.formats import find_recordings
from ecg.report import figures
from ecg.report.pages import printable, render_single, with_digits

_STATEMENT, _CHANGE = ("code", "statement", "evidence"), ("before", "after", "difference")


@dataclass(frozen=True)
class Pair:
    """Two recordings of one patient and what changed between them."""

    names: tuple[str, str]
    before: Ecg
    after: Ecg
    found: Comparison


def pairs_of(folder: Path, table: Path) -> Iterator[tuple[Path, Path]]:
    """Each recording of a folder with the patient's next one, as a table of patients has them in order.

    Raises ValueError if the table lacks a column, names a recording that is not there, or has no patient with two
    recordings.
    """
    by_name = {Path(path).stem: Path(path) for path in find_recordings(folder)}
    fields, rows = read_rows(table, 1 << 30)
    if not {"record", "patient"} <= set(fields):
        raise ValueError(f"{table}: expected the columns record and patient, found {', '.join(fields) or 'none'}")
    last: dict[str, Path] = {}
    n_pairs = 0
    for record, patient in ((row["record"], row["patient"]) for row in rows):
        if record not in by_name:
            raise ValueError(f"{table}: expected recordings of {folder}, found {record!r}, which is not there")
        if patient in last:
            n_pairs += 1
            yield last[patient], by_name[record]
        last[patient] = by_name[record]
    if not n_pairs:
        raise ValueError(f"{table}: expected a patient with two recordings, found none")


def changes_as_csv(pairs: Sequence[Pair]) -> str:
    lines: list[list[object]] = [["before", "after", "code", "statement", "evidence", "changes"]]
    for pair in pairs:
        changes = ", ".join(change.words for change in pair.found.changes)
        rows: list[tuple[object, ...]] = [*pair.found.statements]
        lines += [[*pair.names, *row, changes] for row in rows or [("", "no comparison statement holds", "")]]
    return as_csv(lines)


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


def comparison_page(pairs: Sequence[Pair], note: str = "") -> str:
    """The page as HTML with everything in it."""
    shown = [_shown(one) for one in pairs]
    return render_single("comparison.html", "ECG comparison", scripts=[], note=note, pairs=shown)


def _shown(pair: Pair) -> dict[str, Any]:
    beats = pair.before.measured.median_beat, pair.after.measured.median_beat
    return {
        "before": printable(pair.names[0]),
        "after": printable(pair.names[1]),
        "found": pair.found,
        "rows": [
            (each.name, *(with_digits(value, 0, each.unit) for value in (each.before, each.after, each.difference)))
            for each in pair.found.changes
        ],
        "picture": figures.median_beat(beats[1], beats[0]) if beats[0] is not None and beats[1] is not None else None,
    }
