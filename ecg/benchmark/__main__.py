"""How fast it is, against a plain reference measured in the same run.

Each measurement compares a plain reference with the project: the two take turns, and the median of all turns counts.

- driver: recordings classified by five networks, reading files and writing outputs included, models already loaded.
  Plain is what the published code does: one recording after another, scipy reads the file, each lead is resampled by
  itself, five networks one after another in float32. It takes every fourth recording, and its time counts four times.
  The project is `driver.py` without options.
- preprocessing: a recording in mV to the network's input, on one core. Plain is the same filter lead by lead.
- training: one epoch over recordings that have been read before. Plain is the published loop: in every epoch every item
  is read from its file, resampled lead by lead with linear interpolation and cropped when its batch is due, in float32.
  The project reads and preprocesses each recording once; the cost of that is given below the table.
- scoring: labels and outputs of as many recordings as the Challenge had with a scored diagnosis, from files to all
  measures. Plain is loops over recordings and classes.
- thresholds: Plain is one pass over 24 classes with the metric recomputed for each step of 0.01; one class is timed and
  the time multiplied by 24. The project makes the same pass, then another from there in which each class gets the best
  of all its distinct scores. (That pass alone, from the start, can end a little below the grid's: what is best for one
  class, the others as they stand, need not be for those that follow.)

Recordings are simulated (`ecg.simulator`, 12 leads, 10 s at 500 Hz unless another length is given); the input of
scoring and of the threshold search is drawn at random. Networks have the weights of the model folders named with
`--model`, members repeated up to five; a method without one gets random weights with batch norm fitted to the
recordings, whose probabilities lie near the thresholds.

"Over the bound" is the project's time over a lower bound for the machine: multiply-adds of all that the network (or
filter) does over the rate measured for a square matrix product in the precision used, and bytes of the input over the
rate measured for a copy in memory. "Peak memory" is the largest resident memory (VmHWM) of a process that does only
this once, Python and its packages included.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from ecg.benchmark.cases import (
    Driver,
    Growth,
    Preprocessing,
    Scoring,
    Thresholds,
    Training,
    TrainingOnGPU,
    compare_seeds,
)
from ecg.benchmark.measure import Machine, Measured, Measurement, Options, Row, run
from ecg.io.files import write_file
from ecg.runtime.command import run_command

MEASUREMENTS: dict[str, tuple[type[Measurement], ...]] = {
    "driver": (Driver, Growth),
    "preprocessing": (Preprocessing,),
    "training": (Training, TrainingOnGPU),
    "scoring": (Scoring,),
    "thresholds": (Thresholds,),
}
COLUMNS = (
    "what",
    "recordings",
    "plain, s",
    "project, s",
    "ratio",
    "target",
    "over the bound",
    "peak memory, MB: plain, project",
    "same result",
)


def format_row(row: Row, measured: Measured) -> str:
    """A line of the table."""
    before, after = row.scale * measured.seconds[row.reference], measured.seconds[row.project]
    target = "–" if row.target is None else f"{row.target:g}"
    peaks = f"{measured.peaks[row.reference]:.0f}, {measured.peaks[row.project]:.0f}"
    return (
        "| "
        + " | ".join(
            [
                row.what,
                f"{row.n_recordings}",
                f"{before:.3g}",
                f"{after:.3g}",
                f"{before / after:.2f}",
                target,
                f"{after / row.floor:.1f}",
                peaks,
                row.check,
            ]
        )
        + " |"
    )


def format_page(command: str, machine: Machine, lines: Sequence[str], notes: Sequence[str]) -> str:
    """The whole page: what is measured and how, where and when, the table."""
    where = f"By `{command}` on {time.strftime('%Y-%m-%d')}. The times are those of this machine: {machine.describe()}"
    parts = ["# Performance", page_text(), "## Measured", where, _table(lines), *notes]
    return "\n\n".join(parts) + "\n"


def page_text() -> str:
    """What is measured and how: this module's own description, without its first line."""
    return (__doc__ or "").partition("\n\n")[2].strip()


def _table(lines: Sequence[str]) -> str:
    return "\n".join(["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|", *lines])


def main(words: Sequence[str] | None = None) -> int:
    return run_command("python -m ecg.benchmark", lambda: _benchmark(words), "nothing was written")


def _benchmark(words: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m ecg.benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what", nargs="?", choices=[*MEASUREMENTS, "all"], default="all", help="what to measure (default: %(default)s)"
    )
    parser.add_argument("--records", type=int, metavar="N", help="recordings (default: each measurement's own number)")
    parser.add_argument("--repeats", type=int, metavar="N", default=5, help="turns of each side (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=2020, help="of everything that is random (default: %(default)s)")
    parser.add_argument(
        "--model",
        type=Path,
        action="append",
        metavar="FOLDER",
        help="whose weights to use, may be repeated (default: the shipped model)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        default=0,
        help="with training: also train with N seeds both ways and compare how good the networks are",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write the page, docs/performance.md say")
    arguments = parser.parse_args(words)
    for name, least in (("records", 1), ("repeats", 1), ("seed", 0), ("seeds", 0)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise ValueError(f"--{name} {value}: expected a whole number from {least} up")
    if arguments.seeds and arguments.what not in ("training", "all"):
        raise ValueError(f"--seeds {arguments.seeds}: expected it with training, found {arguments.what}")
    if arguments.output is not None and not arguments.output.absolute().parent.is_dir():
        raise ValueError(f"--output {arguments.output}: expected a folder to write to, found none")
    models = arguments.model or [Path(__file__).resolve().parents[2] / "model"]
    for model in models:
        if not (model / "config.json").is_file():
            raise ValueError(f"--model {model}: expected the folder of a trained model, found no config.json in it")
    options = Options(arguments.records, arguments.repeats, arguments.seed, tuple(models))
    chosen = [kind for what, kinds in MEASUREMENTS.items() if arguments.what in (what, "all") for kind in kinds]
    machine = Machine.measure(torch.device("cpu"))
    print(machine.describe(), _table([]), sep="\n\n", flush=True)
    lines, notes = [], []
    for kind in chosen:
        if kind is TrainingOnGPU and not torch.cuda.is_available():
            notes.append("Training on a GPU: not measured, no GPU here.")
            continue
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            measurement = kind(Path(folder), options)
            measured = run(measurement)
            rows = [format_row(row, measured) for row in measurement.rows(measured, machine)]
            print(*rows, sep="\n", end="\n" * bool(rows), flush=True)
            lines += rows
            notes += measurement.notes(measured)
    if arguments.seeds:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            notes.append(compare_seeds(Path(folder), options, arguments.seeds))
    print("", *notes, sep="\n")
    if arguments.output is not None:
        command = " ".join(["python -m ecg.benchmark", *(sys.argv[1:] if words is None else words)])
        write_file(arguments.output, format_page(command, machine, lines, notes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
