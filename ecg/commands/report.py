"""Write a report that people read: recordings on ECG paper with findings and measurements, or a model judged.

examples:
  ecg report model recordings report
  ecg report model recordings report --shard 3/16   (16 of these, then the same with --resume alone)
  ecg report --evaluation labels outputs report
  ecg report --evaluation labels outputs other_outputs report

exit status: 0 all recordings have a page, 1 some could not be judged (their rows say why; not with --evaluation),
2 it could not begin or not go on, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ecg.labels.diagnoses import DEFAULT, load_diagnoses
from ecg.runtime.command import leave, run_command
from ecg.runtime.shards import WHOLE, add_shard_option, parse_shard

NAME = "ecg report"


def main(words: Sequence[str] | None = None) -> int:
    return run_command(
        NAME, lambda: _report(words), "files written so far are whole, the same command with --resume writes the rest"
    )


def _report(words: Sequence[str] | None) -> int:
    arguments = _parse(words)
    if arguments.evaluation:
        from ecg.report.evaluation import evaluation_report

        labels, *outputs, report = map(Path, arguments.folders)
        diagnoses = load_diagnoses(arguments.diagnoses)
        evaluation_report(labels, outputs, report, note=arguments.note, diagnoses=diagnoses)
        print(f"Open {report / 'index.html'} in a browser")
        return 0
    from ecg.inference.run_folder import READERS
    from ecg.methods.registry import find_methods
    from ecg.model_folder.folder import load_model
    from ecg.report.recordings import Options, report_folder
    from ecg.runtime.device import pick_device

    shard = parse_shard(arguments.shard)
    if arguments.single and shard != WHOLE:
        raise ValueError("--single --shard: expected one of them, found both; one file is written by one process")
    model_folder, recordings, report = map(Path, arguments.folders)
    options = Options(arguments.layout, arguments.attribution, arguments.pdf, arguments.single, arguments.note)
    model = load_model(model_folder, find_methods(), pick_device(arguments.device))
    outcome = report_folder(
        model,
        recordings,
        report,
        options,
        workers=arguments.workers or READERS,
        resume=arguments.resume,
        deterministic=arguments.deterministic,
        shard=shard,
    )
    then = f"open {report / 'index.html'} in a browser"
    if shard != WHOLE:
        then = "when all shards are done, the same command with --resume and without --shard writes the index"
    print(f"{outcome.judged_before + outcome.judged} recordings judged, {len(outcome.problems)} could not be; {then}")
    return 1 if outcome.problems and not arguments.allow_failures else 0


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=NAME, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folders",
        nargs="+",
        metavar="FOLDER",
        help="MODEL RECORDINGS REPORT, recordings in any format that driver.py reads; "
        "with --evaluation LABELS OUTPUTS [OUTPUTS2] REPORT",
    )
    parser.add_argument("--evaluation", action="store_true", help="judge the model: outputs against labels")
    parser.add_argument(
        "--attribution",
        action="store_true",
        help="show where the network looked, for up to three findings of each recording; takes about "
        "a second per finding",
    )
    parser.add_argument("--pdf", action="store_true", help="also a printable A4 page of each recording")
    parser.add_argument("--single", action="store_true", help="one self-contained file, up to 50 recordings")
    parser.add_argument(
        "--layout",
        choices=("3x4", "6x2", "12x1"),
        default="3x4",
        help="of the leads, which a page shows first (default: %(default)s)",
    )
    parser.add_argument(
        "--diagnoses", default=DEFAULT, help="with --evaluation: as of evaluate_model.py (default: %(default)s)"
    )
    parser.add_argument("--note", default="", help="a sentence for the top of each page")
    parser.add_argument("--resume", action="store_true", help="keep what an earlier run has finished, write the rest")
    parser.add_argument("--device", default="auto", help="as of driver.py (default: %(default)s)")
    parser.add_argument("--workers", type=int, metavar="N", default=0, help="as of driver.py")
    parser.add_argument("--deterministic", action="store_true", help="as of driver.py")
    add_shard_option(parser)
    parser.add_argument(
        "--allow-failures", action="store_true", help="exit with 0 even if some recordings could not be judged"
    )
    arguments = parser.parse_args(words)
    if arguments.evaluation:
        for name in ("attribution", "pdf", "single", "layout", "resume", "deterministic", "shard", "allow_failures"):
            if getattr(arguments, name) != parser.get_default(name):
                option = f"--{name.replace('_', '-')}"
                raise ValueError(f"--evaluation {option}: expected one of them, found both; {option} is for recordings")
    most = 4 if arguments.evaluation else 3
    if not 3 <= len(arguments.folders) <= most:
        expected = "LABELS OUTPUTS [OUTPUTS2] REPORT" if arguments.evaluation else "MODEL RECORDINGS REPORT"
        raise ValueError(f"expected {expected}, found {len(arguments.folders)} folders")
    if arguments.workers < 0:
        raise ValueError(f"--workers {arguments.workers}: expected a whole number from 1 up")
    if arguments.single and arguments.pdf:
        raise ValueError("--single --pdf: expected one of them, found both; a printable page is a file of its own")
    return arguments


if __name__ == "__main__":
    leave(main())
