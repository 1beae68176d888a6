"""Compare two ECGs of a patient: measured changes and the comparison statements of the AHA/ACC/HRS list.

examples:
  ecg compare before.dcm after.dcm changes.csv
  ecg compare before.hea after.hea changes.html
  ecg compare recordings patients.csv changes.json

With a folder, the table says whose the recordings are: a row for each with the columns `record` and `patient`, a
patient's earlier recordings first; each is compared with the one before it. A name that ends in .html gives a page with
both median beats over one another. It is research software, not a medical device.

exit status: 0 all compared, 1 some could not be, 2 it could not begin or not go on, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecg.runtime.command import leave, run_command

if TYPE_CHECKING:
    from ecg.report.comparison_page import Pair


def main(words: Sequence[str] | None = None) -> int:
    return run_command("ecg compare", lambda: _compare(words), "nothing was written")


def _compare(words: Sequence[str] | None) -> int:
    from ecg.commands.interpret import shipped_models
    from ecg.decisions.conventions import CONVENTIONS, DEFAULT
    from ecg.inference.interpret_recordings import NO_DEVICE, interpret_recordings
    from ecg.interpretation.comparison import Ecg, compare
    from ecg.io.files import write_file
    from ecg.methods.registry import find_methods
    from ecg.model_folder.folder import load_model
    from ecg.report.comparison_page import Pair, comparison_page
    from ecg.runtime.device import pick_device
    from ecg.runtime.progress import say

    parser = argparse.ArgumentParser(
        prog="ecg compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, help="the earlier recording, or a folder of recordings")
    parser.add_argument("after", type=Path, help="the later recording, or the table of patients")
    parser.add_argument("output", type=Path, help="file to write (.csv, .json or .html)")
    parser.add_argument("--definitions", choices=[*CONVENTIONS], default=DEFAULT, help="as of ecg interpret")
    parser.add_argument("--model", type=Path, action="append", metavar="FOLDER", help="as of ecg interpret")
    parser.add_argument("--device", default="auto", help="as of driver.py (default: %(default)s)")
    arguments = parser.parse_args(words)
    writers = {".csv": _csv, ".json": _json, ".html": comparison_page}
    kind = arguments.output.suffix.lower()
    if kind not in writers:
        raise ValueError(f"{arguments.output}: expected a name that ends in .csv, .json or .html")
    wanted = (
        list(pairs_of(arguments.before, arguments.after))
        if arguments.before.is_dir()
        else [(arguments.before, arguments.after)]
    )
    models = [
        load_model(folder, find_methods(), pick_device(arguments.device))
        for folder in arguments.model or shipped_models()
    ]
    paths = list(dict.fromkeys(path for pair in wanted for path in pair))
    found = dict(zip(paths, interpret_recordings(paths, models, arguments.definitions), strict=True))
    problems = [each.problem for each in found.values() if each.problem]
    pairs = []
    for first, second in wanted:
        sides = [Ecg(one.measured, one.statements) for one in (found[first], found[second]) if one.measured is not None]
        if len(sides) == 2:
            pairs.append(Pair((first.stem, second.stem), sides[0], sides[1], compare(*sides)))
    for problem in problems:
        say(problem)
    if pairs:
        write_file(arguments.output, writers[kind](pairs))
    print(f"{len(pairs)} of {len(wanted)} pairs compared; written to {arguments.output}. {NO_DEVICE}")
    return 0 if len(pairs) == len(wanted) else 1


def pairs_of(folder: Path, table: Path) -> Iterator[tuple[Path, Path]]:
    """Each recording of a folder with the patient's next one, as a table of patients has them in order.

    Raises
    ------
    ValueError
        If the table lacks a column, names a recording that is not there, or has no patient with two recordings.
    """
    from ecg.io.formats import find_recordings

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


def _csv(pairs: Sequence[Pair]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["before", "after", "code", "statement", "evidence", "changes"])
    for pair in pairs:
        changes = ", ".join(change.words for change in pair.found.changes)
        for row in pair.found.statements or [("", "no comparison statement holds", "")]:
            writer.writerow([*pair.names, *row, changes])
    return text.getvalue()


def _json(pairs: Sequence[Pair]) -> str:
    rows = [
        {
            "before": pair.names[0],
            "after": pair.names[1],
            "statements": [
                {"code": code, "statement": words, "evidence": evidence}
                for code, words, evidence in pair.found.statements
            ],
            "changes": {
                each.name: {key: _or_none(getattr(each, key)) for key in ("before", "after", "difference")}
                for each in pair.found.changes
            },
            "new": pair.found.new,
            "gone": pair.found.gone,
        }
        for pair in pairs
    ]
    return json.dumps(rows, indent=1) + "\n"


def _or_none(value: float) -> float | None:
    return round(value, 1) if value == value else None  # NaN is not JSON


if __name__ == "__main__":
    leave(main())
