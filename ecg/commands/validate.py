"""Compares methods on recordings they were not trained on: by fold, by database, or both in one run.

    ecg validate data out --hold-out --method zhao --method butteam --epochs 12
    ecg validate data out --leave-one-database-out
    ecg validate data out --folds 5 --method butteam:width=12,augmentation=false

All methods see the same training and test recordings. Thresholds and epochs are chosen on a validation part inside the
training part. Writes for each method `predictions.npz` and every trained network as a model folder, and for all of them
`table.md`: by database, the first method against each other one, by class, and with `--disturbed` what each loses where
recordings have a fault. A stopped run continues.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from ecg.io.files import write_file
from ecg.io.label_tables import add_label_options, load_labels
from ecg.labels.diagnoses import DEFAULT, Diagnoses, load_diagnoses
from ecg.leads import parse_leads
from ecg.methods.base import build_method
from ecg.methods.reduced_leads import on_leads
from ecg.methods.registry import find_methods
from ecg.runtime.command import leave, run_command
from ecg.studies import markdown_tables as tables
from ecg.studies.cross_validation import Options, Validation
from ecg.studies.predictions import Predictions


def main(words: Sequence[str] | None = None) -> int:
    return run_command("ecg validate", lambda: _validate(words), "the same command continues from there")


def _validate(words: Sequence[str] | None) -> int:
    methods_by_name = find_methods()
    parser = argparse.ArgumentParser(
        prog="ecg validate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of Challenge recordings")
    parser.add_argument("output", type=Path, help="folder for predictions and the table")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--folds", type=int, default=5, metavar="K", help="K-fold cross-validation (default: %(default)s)")
    how.add_argument("--leave-one-database-out", action="store_true", help="predict each database from the others")
    how.add_argument(
        "--hold-out",
        action="store_true",
        help="train on the largest database, predict its last fold and every other database",
    )
    parser.add_argument(
        "--disturbed",
        action="store_true",
        help="also disturb the test recordings and say what is lost: wrong gain, interference, a lead off ...",
    )
    parser.add_argument(
        "--method",
        action="append",
        metavar="NAME[:SETTING=VALUE,...]",
        help=f"may be repeated; of {', '.join(methods_by_name)} (default: all of them)",
    )
    parser.add_argument(
        "--members", type=int, default=1, metavar="N", help="networks trained on each split (default: %(default)s)"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs of each network (default: as published)")
    add_label_options(parser)
    parser.add_argument(
        "--leads", metavar="12|6|4|3|2|NAMES", help="as of train_model.py (default: all that are there)"
    )
    parser.add_argument("--seed", type=int, default=2020, help="random seed (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:<number> (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes that read recordings (default: %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="use only N recordings, to try things out")
    arguments = parser.parse_args(words)
    for name, least in (("epochs", 1), ("members", 1), ("folds", 2), ("limit", 1), ("workers", 1)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise ValueError(f"--{name} {value}: expected a whole number from {least} up")
    chosen = arguments.method or list(methods_by_name)
    diagnoses = load_diagnoses(arguments.diagnoses or DEFAULT)
    leads = parse_leads(arguments.leads) if arguments.leads else None
    methods = {label: on_leads(build_method(label, methods_by_name, diagnoses), leads) for label in chosen}
    split: Literal["folds", "databases", "hold-out"] = (
        "databases" if arguments.leave_one_database_out else "hold-out" if arguments.hold_out else "folds"
    )
    options = Options(
        arguments.data,
        arguments.output,
        split,
        arguments.folds,
        arguments.members,
        arguments.epochs,
        arguments.limit,
        arguments.seed,
        arguments.workers,
        arguments.device,
        load_labels(arguments.labels, diagnoses.column_of, arguments.least_likelihood) if arguments.labels else None,
    )
    runs, results = {}, {}
    for label, method in methods.items():
        runs[label] = Validation(label, method, methods_by_name, options)
        results[label] = runs[label].predictions()
    text = _format(results, diagnoses)
    print(text, end="", flush=True)
    write_file(arguments.output / "table.md", text)
    if arguments.disturbed:
        disturbed = {label: run.disturbed_predictions(results[label]) for label, run in runs.items()}
        more = "\n## Disturbed recordings\n\n" + tables.format_disturbed(disturbed, diagnoses)
        print(more, end="")
        write_file(arguments.output / "table.md", text + more)
    return 0


def _format(results: Mapping[str, Predictions], diagnoses: Diagnoses) -> str:
    sections = [tables.format_databases(results, diagnoses)]
    sections.append("## The least sure tenth left out\n\n" + tables.format_least_sure(results, diagnoses))
    if len(results) > 1:
        sections.append("## Differences\n\n" + tables.format_differences(results, diagnoses))
    for label, result in results.items():
        for part, names in tables.parts(results.values()).items():
            sections.append(f"## By class: {label}, {part}\n\n" + tables.format_classes(result, names, diagnoses))
    return "\n".join(sections)


if __name__ == "__main__":
    leave(main())
