"""A model run over a folder of recordings: one output file each, whatever state the recordings are in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ecg.arrays import Signal
from ecg.examination.examine import Examination
from ecg.examination.examine_folder import Examined, Run, RunOptions, by_name
from ecg.examination.journal import step_key
from ecg.inference.computing import Computing
from ecg.inference.predict import Item
from ecg.io.files import is_same_file, remove_leftovers
from ecg.io.formats import read
from ecg.io.inputs import Paths, expand_inputs
from ecg.methods.reduced_leads import lead_problem
from ecg.model_folder.model import Model
from ecg.runtime.parallel import map_ahead
from ecg.runtime.progress import say
from ecg.scoring.output_files import save_outputs

WRITERS = 4


@dataclass(frozen=True)
class ClassifyOptions(RunOptions):
    """How a model is run over recordings, beside how they are gone over."""

    deterministic: bool = False  # as of `Computing`


@dataclass
class Outcome:
    """What came of a folder: recordings classified now and before, and a sentence for each that could not be."""

    classified: int = 0
    classified_before: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, result: Classified) -> None:
        self.classified += result.is_classified
        self.problems += result.examined.problems


def run_folder(model: Model, recordings: Paths, output_folder: Path, options: ClassifyOptions | None = None) -> Outcome:
    """Write ``<record>.csv`` for every recording, or for a shard of them.

    A recording that can't be classified gets an output without positive labels and with zero scores; the others are not
    affected. Each file is written whole or not at all. Of several recordings of one name the first that can be read is
    classified.

    `recordings`: as of `expand_inputs`. Raises ValueError if there are no recordings, or if an output would replace
    one; OSError if an output can't be written.
    """
    options = options or ClassifyOptions()
    step = step_of(model, options)
    run = start(model, recordings, output_folder, options, output_folder / ".run", step)
    outcome = Outcome(classified_before=len(run.kept))
    for result in classify(model, run, output_folder, options):
        outcome.add(result)
        run.note(result.examined)
    return outcome


def start(
    model: Model,
    recordings: Paths,
    output_folder: Path,
    options: ClassifyOptions,
    journal: Path,
    step: str,
    files: Callable[[str], list[Path]] = lambda name: [],
) -> Run:
    """A run over recordings, in groups that may share batches.

    `model`, `recordings`, `output_folder`, `options`: as of `run_folder`. `journal`, `step`, `files`: as of `Run`;
    `files` beside the outputs.
    """
    paths = [found.path for found in expand_inputs(recordings)]
    for path in paths:
        _require_other_file(Path(path), output_folder)
    output_folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(output_folder)

    def written(name: str) -> list[Path]:
        return [output_folder / f"{name}.csv", *files(name)]

    candidates = by_name(paths)
    size = Computing(model.device, options.deterministic).group_size(len(candidates))
    return Run(candidates, journal, step, options, written, size)


@dataclass(frozen=True)
class Ready:
    """What the networks need of a recording, and what a caller wants of its examination."""

    signal: NDArray[np.float32]
    features: NDArray[np.float32]
    beside: Any = None
    refusal: str = ""  # why there is nothing for the networks


@dataclass(frozen=True)
class Classified:
    """What came of one recording."""

    examined: Examined[Ready]  # without what the networks took; its problems say why there are no labels
    # (n_members, n_classes), float64: probabilities; (0, n_classes) where the recording could not be classified, and
    # then there is no label and every score is zero.
    members: NDArray[np.float64]
    labels: NDArray[np.bool_]  # (n_classes,), bool
    scores: NDArray[np.float64]  # (n_classes,), float64

    @property
    def name(self) -> str:
        return self.examined.name

    @property
    def is_classified(self) -> bool:
        return len(self.members) > 0


def classify(
    model: Model,
    run: Run,
    output_folder: Path,
    options: ClassifyOptions,
    beside: Callable[[Examination], Any] = lambda examination: None,
    finish: Callable[[Classified], Any] = lambda classified: classified,
) -> Iterator[Any]:
    """Write the output of each recording that is left, and yield what `finish` makes of it; in order, with progress.

    On a CPU the process that reads a group of recordings does all of this with them. A GPU is used by this process.

    `model`, `output_folder`, `options`: as of `run_folder`. `run`: as of `start`. `beside`: what else is wanted of an
    examination (`Ready.beside`); computed in a worker process. `finish`: for each recording that is classified.
    """
    compute = Computing(model.device, options.deterministic)
    how = "each with networks of its own" if compute.in_workers else f"{compute.batching.at_once} at a time"
    say(f"Computing {compute}; {options.workers} processes read, {how}")
    method, classes = model.method, model.method.classes
    ready = cache(partial(compute.ready, model))

    def prepare(path: Path) -> Ready:
        recording, network_input = read(path), method.input
        if refusal := lead_problem(method, recording.signal):  # it can be measured and drawn all the same
            network_input = replace(method.input, preprocess=_nothing, features=_no_features)
        examination = Examination(recording, network_input)
        more = beside(examination)  # first: what it measures is measured in full, and once
        return Ready(examination.prepared, examination.features, more, refusal)

    def through_networks(
        examined: Iterable[Examined[Ready]], groups: Iterable[int]
    ) -> Iterator[tuple[Examined[Ready], NDArray[np.float64]]]:
        items = (_item(group, _with_refusal(each)) for group, each in zip(groups, examined, strict=False))
        return compute.probabilities(ready(), items)

    nothing = np.zeros(len(classes))

    def write(result: tuple[Examined[Ready], NDArray[np.float64]]) -> Any:
        each, members = result
        labels, scores = nothing > 0, nothing
        if each.result is not None and len(members):
            labels, scores = model.decide(members, each.result.features)
        save_outputs(output_folder / f"{each.name}.csv", _printable(each.name), classes, labels, scores)
        return finish(Classified(each, members, labels, scores))

    if compute.in_workers:
        written = run.examined_in_groups(prepare, lambda examined: map(write, through_networks(examined, repeat(0))))
    else:
        examined = through_networks(run.examined(prepare), (group for group, _ in run.left))
        # Threads that write wait for the disk, and nobody waits for them.
        written = map_ahead(write, examined, workers=WRITERS, ahead=8 * WRITERS)
    yield from run.progress(written, "Classifying")


def _with_refusal(each: Examined[Ready]) -> Examined[Ready]:
    if each.result is None or not each.result.refusal:
        return each
    return replace(each, problems=(*each.problems, f"{each.path}: {each.result.refusal}"))


def _nothing(signal: Signal, sampling_frequency: float) -> Signal:  # noqa: ARG001
    return signal[:, :0].copy()


def _no_features(examination: Examination) -> Signal:  # noqa: ARG001
    return np.empty(0, np.float32)


def step_of(model: Model, options: ClassifyOptions, layer: str = "inference", *arguments: object) -> str:
    """What the results of a run depend on beside the recordings, as of `step_key`."""
    computed = str(Computing(model.device, options.deterministic))
    return step_key(layer, torch.__version__, _digest(model), computed, *arguments)


def _item(group: int, examined: Examined[Ready]) -> Item:
    """For the networks; its key leaves behind what is not needed any more when the probabilities are there."""
    ready = examined.result
    if ready is None:
        return Item(examined, np.empty((12, 0), np.float32), np.empty(0, np.float32), group)
    key = replace(examined, result=replace(ready, signal=ready.signal[:, :0].copy()))
    return Item(key, ready.signal, ready.features, group)


def _require_other_file(recording: Path, output_folder: Path) -> None:
    """ValueError if the output of a recording would take its place: tables of samples are .csv files too."""
    output = output_folder / f"{recording.stem}.csv"
    if recording.suffix.lower() == ".csv" and is_same_file(output, recording):
        raise ValueError(
            f"{output_folder}: expected another folder than that of the recordings, found {recording}, which an output "
            "would replace"
        )


def _digest(model: Model) -> str:
    """Of all that outputs depend on: method, settings, weights (by checksum), thresholds, adaptation, convention."""
    config = model.config
    members = [(row["sha256"], row["thresholds"]) for row in config["members"]]
    parts = [
        config["format"],
        config["method"],
        config["settings"],
        config["classes"],
        members,
        model.definitions,
        config.get("conventions"),
    ]
    if model.method.leads is not None:
        parts.append(model.method.leads)
    if model.method.training.masked_leads:
        parts.append("masked leads")
    if model.adaptation is not None:
        parts.append(config["adaptation"])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _printable(stem: str) -> str:
    """A record's name for the first line of its output: file names may hold characters that this line can't."""
    return "".join("_" if character == "," or not character.isprintable() else character for character in stem)
