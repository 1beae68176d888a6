"""What pages cost beside a classification, and what more cores would gain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ecg.inference.run_folder import run_folder
from ecg.methods.registry import find_methods
from ecg.model_folder.folder import load_model
from ecg.model_folder.model import Model
from ecg.report.recordings import Options as Pages
from ecg.report.recordings import report_folder
from ecg.runtime.device import pick_device
from ecg.studies.benchmark.cases import Options, Report, simulate
from ecg.studies.benchmark.measure import Machine, ProcessorTime, Side, measure

MANY, CORES = 10_000, 16
# The half of them fills whole groups too: smaller folders have smaller groups, whose recordings cost more.
RECORDINGS = 640


@dataclass(frozen=True)
class Cost:
    """Processor time, s."""

    serial: float  # of the main process, which takes one recording after another
    total: float  # of all processes

    def each(self, half: Cost, n_recordings: int) -> Cost:
        """Of a recording, the start left out: `half` is of a run over half of `n_recordings`, this one of all."""
        n = n_recordings - n_recordings // 2
        return Cost((self.serial - half.serial) / n, (self.total - half.total) / n)

    def seconds(self, cores: int) -> float:
        """What it takes on some cores by Amdahl's law."""
        return self.serial + (self.total - self.serial) / cores


def classify(recordings: Sequence[str], output: Path, model: Model) -> Cost:
    """What driver.py does without options."""
    with ProcessorTime() as spent:
        run_folder(model, recordings, output)
    return Cost(spent.own, spent.total)


def write_report(recordings: Path, report: Path, model: Model) -> None:
    """What ``ecg report`` does without options."""
    report_folder(model, recordings, report, Pages())


def measure_folder(folder: Path, options: Options, machine: Machine) -> Report:
    """Classifying beside writing pages, with the first of the models as it is."""
    recordings, n_recordings = folder / "recordings", options.records or RECORDINGS
    paths = [str(path) for path in simulate(recordings, n_recordings, options.seed)]
    load = partial(load_model, options.models[0], find_methods(), pick_device())
    ways: list[Callable[..., object]] = [
        partial(classify, paths, folder / "outputs"),
        partial(classify, paths[: n_recordings // 2], folder / "half"),
        partial(write_report, recordings, folder / "report"),
    ]
    plain, half, pages = measure([Side(way, load) for way in ways], options.repeats)
    each: Cost = plain.result.each(half.result, n_recordings)
    times = pages.seconds / plain.seconds
    share, there = each.serial / each.total, MANY * each.seconds(CORES)
    return Report(
        notes=[
            f"Report: {n_recordings} recordings of 10 s take {plain.seconds:.2f} s to classify and "
            f"{pages.seconds:.2f} s with their pages: {times:.2f} times as long (target 2).",
            f"Cores: of {1000 * each.total:.1f} ms of processor time for a recording {1000 * each.serial:.2f} ms are "
            f"in the one process that hands out and writes: a serial share of {share:.1%} (target 5 %). "
            f"{MANY} recordings would take {there:.0f} s on {CORES} cores, by Amdahl's law.",
        ]
    )
