"""Interpret 12-lead ECGs: statements of the AHA/ACC/HRS list with certainty and evidence.

examples:
  ecg interpret recordings statements.csv
  ecg interpret recordings statements.json --definitions ptb-xl
  ecg interpret patient.dcm statements.csv --model model --model model/statements
  ecg interpret recordings statements.csv --criteria-only

The table has a row for each statement: record, code, statement, certainty (definite, probable or possible; what they
are worth is in docs/statements.md), probability (empty where measurements alone say it) and evidence. What is acute
comes first. It is research software, not a medical device.

exit status: 0 all recordings interpreted, 1 some could not be, 2 it could not begin or not go on, 130 stopped with
Ctrl-C.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ecg.runtime.command import leave, run_command


def main(words: Sequence[str] | None = None) -> int:
    return run_command("ecg interpret", lambda: _interpret(words), "nothing was written")


def _interpret(words: Sequence[str] | None) -> int:
    from ecg.decisions.conventions import CONVENTIONS, DEFAULT
    from ecg.inference.interpret_recordings import NO_DEVICE, interpret_recordings, write_table
    from ecg.io.formats import find_recordings
    from ecg.methods.registry import find_methods
    from ecg.model_folder.folder import load_model
    from ecg.runtime.device import pick_device
    from ecg.runtime.progress import progress, say

    parser = argparse.ArgumentParser(
        prog="ecg interpret", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", type=Path, help="a recording, or a folder of recordings in any format")
    parser.add_argument("output", type=Path, help="table to write (.csv or .json)")
    parser.add_argument(
        "--model",
        type=Path,
        action="append",
        metavar="FOLDER",
        help="folder of a trained model; may be given twice (default: the shipped ones)",
    )
    parser.add_argument("--criteria-only", action="store_true", help="measured criteria alone, without a model")
    help_text = "; ".join(f"{name}: {words}" for name, words in CONVENTIONS.items())
    parser.add_argument("--definitions", choices=[*CONVENTIONS], default=DEFAULT, help=help_text)
    parser.add_argument("--device", default="auto", help="as of driver.py (default: %(default)s)")
    parser.add_argument(
        "--allow-failures", action="store_true", help="exit with 0 even if some could not be interpreted"
    )
    arguments = parser.parse_args(words)
    if arguments.output.suffix.lower() not in (".csv", ".json"):
        raise ValueError(f"{arguments.output}: expected a name that ends in .csv or .json")
    if arguments.criteria_only and arguments.model:
        raise ValueError("--criteria-only --model: expected one of them, found both")
    folders = [] if arguments.criteria_only else arguments.model or shipped_models()
    device = pick_device(arguments.device)
    models = [load_model(folder, find_methods(), device) for folder in folders]
    source = arguments.recordings
    paths = [Path(each) for each in find_recordings(source)] if source.is_dir() else [source]
    if not paths:
        raise ValueError(f"{source}: expected recordings, found none")
    found = interpret_recordings(paths, models, arguments.definitions)
    done = write_table(arguments.output, progress(found, len(paths), "Interpreting"), arguments.definitions)
    problems = [each.problem for each in done if each.problem]
    for problem in problems:
        say(problem)
    acute = sum(any(one.acute for one in each.statements) for each in done)
    print(
        f"{len(done) - len(problems)} recordings interpreted ({acute} with an acute statement), {len(problems)} could "
        f"not be; statements in {arguments.output}. {NO_DEVICE}"
    )
    return 1 if problems and not arguments.allow_failures else 0


def shipped_models() -> list[Path]:
    """The models that come with the package, as far as they are there."""
    root = Path(__file__).resolve().parents[2] / "model"
    return [folder for folder in (root, root / "statements") if (folder / "config.json").exists()]


if __name__ == "__main__":
    leave(main())
