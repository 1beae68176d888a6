"""How fast the project is, against a straightforward reference measured in the same run.

The two sides of each measurement take turns, and the median of all turns counts. docs/performance.md says what each
side does, and what the columns mean.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from pathlib import Path

import torch

from ecg.io.files import write_file
from ecg.runtime.command import leave, run_command
from ecg.studies.benchmark import cases
from ecg.studies.benchmark.cases import Options, Report
from ecg.studies.benchmark.measure import Machine

MEASUREMENTS: dict[str, tuple[Callable[[Path, Options, Machine], Report], ...]] = {
    "driver": (cases.measure_driver, cases.measure_growth),
    "preprocessing": (cases.measure_preprocessing,),
    "training": (cases.measure_training, cases.measure_training_on_gpu, cases.compare_seeds),
    "scoring": (cases.measure_scoring,),
    "thresholds": (cases.measure_thresholds,),
    "measurements": (cases.measure_measurements,),
}
TABLE_HEAD = """\
| what | recordings | reference, s | project, s | ratio | target | over the lower bound \
| peak memory, MB: reference, project | same result |
|---|---|---|---|---|---|---|---|---|"""
MEASURED = "## Measured\n"


def format_page(text: str, command: str, machine: Machine, report: Report) -> str:
    """A page whose text, up to what was measured, is that of an earlier page."""
    where = f"By `{command}` on {time.strftime('%Y-%m-%d')}. The times are those of this machine: {machine.describe()}"
    table = "\n".join([TABLE_HEAD, *(row.format() for row in report.rows)])
    return text.partition(MEASURED)[0] + "\n\n".join([MEASURED.rstrip(), where, table, *report.notes]) + "\n"


def main(words: Sequence[str] | None = None) -> int:
    return run_command("ecg benchmark", lambda: _benchmark(words), "nothing was written")


def _benchmark(words: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="ecg benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("what", nargs="?", choices=[*MEASUREMENTS, "all"], default="all", help="what to measure (default: all)")
    add("--records", type=int, metavar="N", help="recordings (default: each measurement's own number)")
    add("--repeats", type=int, metavar="N", default=5, help="turns of each side (default: %(default)s)")
    add("--seed", type=int, default=2020, help="random seed (default: %(default)s)")
    models_help = "whose weights to use, may be repeated (default: the shipped model)"
    add("--model", type=Path, action="append", metavar="FOLDER", help=models_help)
    seeds_help = "with training: also train with N seeds both ways and compare the networks' challenge metric"
    add("--seeds", type=int, metavar="N", default=0, help=seeds_help)
    output_help = "page to write, docs/performance.md say; what it says before its section Measured is kept"
    add("--output", type=Path, metavar="FILE", help=output_help)
    arguments = parser.parse_args(words)
    for name, least in (("records", 1), ("repeats", 1), ("seed", 0), ("seeds", 0)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise ValueError(f"--{name} {value}: expected a whole number from {least} up")
    if arguments.seeds and arguments.what not in ("training", "all"):
        raise ValueError(f"--seeds {arguments.seeds}: expected it with training, found {arguments.what}")
    output = arguments.output
    if output is not None and not output.absolute().parent.is_dir():
        raise ValueError(f"--output {output}: expected a folder to write to, found none")
    models = arguments.model or [Path(__file__).resolve().parents[2] / "model"]
    for model in models:
        if not (model / "config.json").is_file():
            raise ValueError(f"--model {model}: expected the folder of a trained model, found no config.json in it")
    options = Options(arguments.records, arguments.repeats, arguments.seed, tuple(models), arguments.seeds)
    machine, report = Machine.measure(torch.device("cpu")), Report()
    print(machine.describe(), TABLE_HEAD, sep="\n\n", flush=True)
    for what, measurements in MEASUREMENTS.items():
        for measurement in measurements if arguments.what in (what, "all") else ():
            # Without progress lines: they are for users, and there would be hundreds.
            with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, redirect_stderr(io.StringIO()):
                found = measurement(Path(folder), options, machine)
            for row in found.rows:
                print(row.format(), flush=True)
            report.rows.extend(found.rows)
            report.notes.extend(found.notes)
    print("", *report.notes, sep="\n")
    if output is not None:
        text = output.read_text() if output.exists() else "# How fast it is\n\n"
        command = " ".join(["ecg benchmark", *(sys.argv[1:] if words is None else words)])
        write_file(output, format_page(text, command, machine, report))
    return 0


if __name__ == "__main__":
    leave(main())
