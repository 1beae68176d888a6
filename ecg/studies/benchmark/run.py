"""The speed benchmark: measurements in turn, printed as a table and written into a page."""

import io
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path

import torch

from ecg.io.files import write_file
from ecg.studies.benchmark import cases
from ecg.studies.benchmark.cases import Options, Report
from ecg.studies.benchmark.folder_cost import measure_folder
from ecg.studies.benchmark.measure import Machine

MEASUREMENTS: dict[str, tuple[Callable[[Path, Options, Machine], Report], ...]] = {
    "driver": (cases.measure_driver, cases.measure_growth),
    "folder": (measure_folder,),
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


def run_benchmark(what: str, options: Options, page: Path | None, command: str) -> None:
    """Print a table, and write it into a page.

    `what`: one of `MEASUREMENTS`, or "all". `page`: what it says before its section Measured is kept. `command`: for
    the page.
    """
    if page is not None and not page.absolute().parent.is_dir():
        raise ValueError(f"--output {page}: expected a folder to write to, found none")
    for model in options.models:
        if not (model / "config.json").is_file():
            raise ValueError(f"--model {model}: expected the folder of a trained model, found no config.json in it")
    machine, report = Machine.measure(torch.device("cpu")), Report()
    print(machine.describe(), TABLE_HEAD, sep="\n\n", flush=True)
    for measurement in (each for name, several in MEASUREMENTS.items() if what in (name, "all") for each in several):
        # Without progress lines: they are for users, and there would be hundreds.
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, redirect_stderr(io.StringIO()):
            found = measurement(Path(folder), options, machine)
        for row in found.rows:
            print(row.format(), flush=True)
        report.rows.extend(found.rows)
        report.notes.extend(found.notes)
    print("", *report.notes, sep="\n")
    if page is not None:
        text = page.read_text() if page.exists() else "# How fast it is\n\n"
        write_file(page, format_page(text, command, machine, report))


def format_page(text: str, command: str, machine: Machine, report: Report) -> str:
    """A page with new figures and the text of an earlier page before them."""
    where = f"By `{command}` on {time.strftime('%Y-%m-%d')}. The times are those of this machine: {machine.describe()}"
    table = "\n".join([TABLE_HEAD, *(row.format() for row in report.rows)])
    return text.partition(MEASURED)[0] + "\n\n".join([MEASURED.rstrip(), where, table, *report.notes]) + "\n"
