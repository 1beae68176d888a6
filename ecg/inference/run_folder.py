"""A model run over a folder of recordings: one output file each, whatever state the recordings are in."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ecg.inference.fast_cpu import make_fast
from ecg.inference.predict import Batching, Item, batching, predict
from ecg.io.files import is_same_file, remove_leftovers, write_file
from ecg.io.formats import find_recordings, read_signal
from ecg.io.outputs import load_outputs, save_outputs
from ecg.io.recording import describe_failure
from ecg.methods.base import Method
from ecg.model_folder.folder import Model
from ecg.runtime.device import has_fast_bfloat16
from ecg.runtime.parallel import map_ahead
from ecg.runtime.progress import progress, say

READERS = max(1, (os.cpu_count() or 1) // 2)  # threads; with more than that the networks' threads get slower
RUN_FILE = ".run.json"  # in the output folder: which model its outputs are of, and how they were computed


@dataclass
class Outcome:
    """What came of a folder: recordings judged now and before, and a sentence for each one that could not be."""

    judged: int = 0
    judged_before: int = 0
    problems: list[str] = field(default_factory=list)


def run_folder(
    model: Model,
    input_folder: Path,
    output_folder: Path,
    *,
    workers: int,
    resume: bool = False,
    deterministic: bool = False,
    see_members: Callable[[str, NDArray[np.float64]], None] | None = None,
) -> Outcome:
    """Write ``<record>.csv`` for every recording below a folder.

    A recording that can't be judged gets an output without positive labels and with zero scores; the others are not
    affected. Each file is written whole or not at all.

    Parameters
    ----------
    model : Model
    input_folder, output_folder : Path
    workers : int
        Threads that read and preprocess while the network runs.
    resume : bool
        Keep the outputs that an earlier run with the same model has finished. A recording is judged anew if its output
        is older than its files, and if it could not be judged before.
    deterministic : bool
        Compute in float32, window by window, with the networks as they were trained; otherwise in bfloat16 where the
        hardware has it.
    see_members : callable, optional
        Is given each recording's name and its members' probabilities, (n_members, n_classes), before its output is
        written.

    Returns
    -------
    Outcome

    Raises
    ------
    ValueError
        If the input folder is no folder or holds no recordings, if an output would replace a recording, or if there is
        no run to resume with this model and this way of computing.
    OSError
        If an output can't be written.
    """
    if not input_folder.is_dir():
        raise ValueError(f"{input_folder}: expected a folder of recordings, found no folder")
    compute = _Computing(model.device, deterministic)
    note = {"model": _digest(model), "computed": str(compute)}
    oldest = _check_run(note, output_folder) if resume else None
    total = 0
    finished: set[str] = set()
    for _, group in _batch_groups(input_folder, compute.batching.n_recordings):
        total += len(group)
        for path in group:
            _require_other_file(path, output_folder)
        # All or none: a recording that has shared a batch is judged again with the same group, to the same bytes.
        if oldest is not None and all(
            _is_finished(path, output_folder, model.method.classes, oldest) for path in group
        ):
            finished.update(path.stem for path in group)
    if not total:
        raise ValueError(f"{input_folder}: expected recordings, found none")
    output_folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(output_folder)
    if oldest is None:
        write_file(output_folder / RUN_FILE, json.dumps(note) + "\n")
    outcome = Outcome(judged_before=len(finished))
    if resume:
        say(f"{len(finished)} finished outputs are kept, {total - len(finished)} recordings are left")
    say(f"Computing {compute}; {compute.batching.at_once} at a time, {workers} threads read ahead")
    groups = _batch_groups(input_folder, compute.batching.n_recordings)
    read = _read_all(model.method, groups, workers, finished)
    results = _judge(model, read, output_folder, compute, see_members)
    for problem in progress(results, total - len(finished), "Judging"):
        if problem:
            outcome.problems.append(problem)
            say(problem)
        else:
            outcome.judged += 1
    return outcome


@dataclass(frozen=True)
class _Computing:
    """The way from windows to probabilities; its name says all that their bytes depend on beside model and machine."""

    device: torch.device
    deterministic: bool

    @property
    def batching(self) -> Batching:
        return batching(self.device, self.deterministic)

    @property
    def in_bfloat16(self) -> bool:
        return not self.deterministic and has_fast_bfloat16(self.device)

    def __str__(self) -> str:
        return f"{self.batching} in {'bfloat16' if self.in_bfloat16 else 'float32'} on {self.device.type}"

    def probabilities(self, model: Model, items: Iterable[Item]) -> Iterator[tuple[Any, NDArray[np.float64]]]:
        prepared = self.in_bfloat16 and self.device.type == "cpu"
        networks = make_fast(model.method, model.networks) if prepared else model.networks
        return predict(
            model.method,
            networks,
            items,
            self.device,
            autocast=self.in_bfloat16 and not prepared,
            deterministic=self.deterministic,
        )


def _require_other_file(recording: Path, output_folder: Path) -> None:
    """ValueError if the output of a recording would take its place: tables of samples are .csv files too."""
    output = output_folder / f"{recording.stem}.csv"
    if recording.suffix.lower() == ".csv" and is_same_file(output, recording):
        raise ValueError(
            f"{output_folder}: expected another folder than that of the recordings, found {recording}, which an output "
            "would replace"
        )


def _digest(model: Model) -> str:
    """Of all that outputs depend on: method, settings, weights (by checksum), thresholds."""
    config = model.config
    members = [(row["sha256"], row["thresholds"]) for row in config["members"]]
    parts = [config["format"], config["method"], config["settings"], config["classes"], members]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _batch_groups(input_folder: Path, size: int) -> Iterator[tuple[int, list[Path]]]:
    """The headers below a folder in numbered groups of so many, within which recordings may share batches."""
    headers = map(Path, find_recordings(input_folder))
    for number in count():
        group = list(islice(headers, size))
        if not group:
            return
        yield number, group


def _check_run(note: dict[str, str], output_folder: Path) -> int:
    """When the run in the output folder was started, ns; ValueError if it has left another note."""
    path = output_folder / RUN_FILE
    mend = "run without resume to judge every recording"
    try:
        stored, started = json.loads(path.read_bytes()), path.stat().st_mtime_ns
    except FileNotFoundError:
        raise ValueError(f"{output_folder}: expected outputs of a run to resume, found none; {mend}") from None
    except ValueError as error:
        raise ValueError(f"{path}: expected what an earlier run has noted, found no JSON ({error}); {mend}") from error
    mend += ", or name another output folder"
    if not isinstance(stored, dict) or stored.get("model") != note["model"]:
        raise ValueError(f"{output_folder}: expected outputs of this model, found those of another; {mend}")
    if stored != note:
        raise ValueError(
            f"{output_folder}: expected outputs computed from {note['computed']}, found those from "
            f"{stored.get('computed', 'an earlier version')}; use the same device and deterministic setting, "
            f"or {mend}"
        )
    return started


def _is_finished(header: Path, output_folder: Path, classes: tuple[str, ...], oldest: int) -> bool:
    """Whether the output is whole, of a recording that could be judged, and no older than the run and the recording."""
    output = output_folder / f"{header.stem}.csv"
    try:
        written = output.stat().st_mtime_ns
        if written < oldest:
            return False
        for file in (header, header.with_suffix(".mat"), header.with_suffix(".dat")):
            if file.exists() and file.stat().st_mtime_ns > written:
                return False
        recording_id, found, _, scores = load_outputs(output)
    except (OSError, ValueError):
        return False
    return recording_id == _printable(header.stem) and found == classes and any(scores)


@dataclass(frozen=True)
class _ReadResult:
    """One recording as it was read: preprocessed, or the reason why it can't be judged."""

    path: Path
    item: Item | None = None
    error: str = ""
    is_duplicate: bool = False  # another recording of this name has the output


def _judge(
    model: Model,
    results: Iterable[_ReadResult],
    output_folder: Path,
    compute: _Computing,
    see_members: Callable[[str, NDArray[np.float64]], None] | None,
) -> Iterator[str]:
    """Write the outputs; for each recording what is wrong with it, "" if nothing is."""
    classes = model.method.classes
    nothing = np.zeros(len(classes))
    unread = Item(None, np.empty((12, 0), np.float32), np.empty(0, np.float32))
    # The key leaves the signal behind, which is not needed any more when the probabilities are there.
    items = (replace(result.item or unread, key=replace(result, item=None)) for result in results)
    for result, probabilities in compute.probabilities(model, items):
        if not result.error:
            if see_members is not None:
                see_members(result.path.stem, probabilities)
            _save(output_folder, result.path.stem, classes, *model.decide(probabilities))
        elif not result.is_duplicate:
            _save(output_folder, result.path.stem, classes, nothing.astype(bool), nothing)
        yield result.error


def _read_all(
    method: Method, groups: Iterable[tuple[int, list[Path]]], workers: int, finished: set[str]
) -> Iterator[_ReadResult]:
    """Read what is not finished, in the order of the folder; of recordings with one name the first that can be read."""

    def unfinished() -> Iterator[tuple[int, Path]]:
        left = set(finished)
        for number, group in groups:
            for path in group:
                if path.stem in left:
                    left.remove(path.stem)
                else:
                    yield number, path

    def read(numbered: tuple[int, Path]) -> _ReadResult:
        number, path = numbered
        try:
            header, signal = read_signal(path)
            prepared = method.input.preprocess(signal, header.sampling_frequency)
            return _ReadResult(path, Item(None, prepared, method.input.features(header, signal), number))
        except Exception as error:  # one recording must never cost the others their results, whatever it triggers
            return _ReadResult(path, error=describe_failure(path, error))

    readable = set(finished)
    for result in map_ahead(read, unfinished(), workers=workers, ahead=4 * workers):
        path = result.path
        if path.stem not in readable:
            readable.update([path.stem] if result.item is not None else [])
            yield result
        else:
            error = result.error or f"{path}: expected one recording of this name, found another before; left out"
            yield _ReadResult(path, error=error, is_duplicate=True)


def _save(
    output_folder: Path, stem: str, classes: tuple[str, ...], labels: NDArray[np.bool_], scores: NDArray[np.float64]
) -> None:
    save_outputs(output_folder / f"{stem}.csv", _printable(stem), classes, labels, scores)


def _printable(stem: str) -> str:
    """A record's name for the first line of its output: file names may hold what that line can't."""
    return "".join("_" if character == "," or not character.isprintable() else character for character in stem)
