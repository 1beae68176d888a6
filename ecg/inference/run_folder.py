"""A model run over a folder of recordings: one output file each, whatever state the recordings are in."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ecg.inference.fast_cpu import make_fast
from ecg.inference.predict import Batching, Item, batching, predict
from ecg.inference.run_notes import Note, begin, take_up
from ecg.io.files import is_same_file, remove_leftovers
from ecg.io.formats import find_recordings, read_signal
from ecg.io.recording import describe_failure
from ecg.methods.base import Method
from ecg.model_folder.folder import Model
from ecg.runtime.device import fastest_dtype
from ecg.runtime.parallel import map_ahead
from ecg.runtime.progress import progress, say
from ecg.runtime.shards import WHOLE, Shard, places_of_groups
from ecg.scoring.output_files import load_outputs, save_outputs

READERS = max(1, (os.cpu_count() or 1) // 2)  # threads; with more than that the networks' threads get slower


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
    shard: Shard = WHOLE,
    see_members: Callable[[str, NDArray[np.float64]], None] | None = None,
) -> Outcome:
    """Write ``<record>.csv`` for every recording below a folder, or for a shard of them.

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
        hardware has it, and on other CPUs in float32 by fewer multiplications.
    shard : Shard
        Which of the recordings, the rest being left to other processes with the same output folder. All shards
        together write what one process does, to the same bytes.
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
    note: Note = {"model": _digest(model), "computed": str(compute)}
    earlier = take_up(output_folder, note, shard) if resume else None
    shares = _Shares(input_folder, compute.batching.n_recordings, output_folder)
    total = shares.count(shard)
    finished: set[int] = set()
    n_finished = 0
    if earlier is not None:
        for place, number, group in shares.groups(shard):
            # All or none: a recording that has shared a batch is judged again with the same group, to the same bytes.
            if shares.has_no_twins(place, group) and all(
                _is_finished(path, output_folder, model.method.classes, earlier.of(place)) for path in group
            ):
                finished.add(number)
                n_finished += len(group)
    output_folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(output_folder)
    begin(output_folder, note, shard, earlier)
    outcome = Outcome(judged_before=n_finished)
    if resume:
        say(f"{n_finished} finished outputs are kept, {total - n_finished} recordings are left")
    say(f"Computing {compute}; {compute.batching.at_once} at a time, {workers} threads read ahead")
    numbered = ((number, path) for _, number, group in shares.groups(shard) if number not in finished for path in group)
    read = _read_all(model.method, numbered, workers)
    results = _judge(model, read, output_folder, compute, see_members)
    doing = "Judging" if shard == WHOLE else f"Judging shard {shard}"
    for problem in progress(results, total - n_finished, doing):
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
    def dtype(self) -> torch.dtype:
        return torch.float32 if self.deterministic else fastest_dtype(self.device)

    @property
    def makes_fast(self) -> bool:
        return not self.deterministic and self.device.type == "cpu"

    def __str__(self) -> str:
        precision = "bfloat16" if self.dtype == torch.bfloat16 else "float32"
        how = " by Toom-Cook convolutions" if self.makes_fast and self.dtype == torch.float32 else ""
        return f"{self.batching} in {precision}{how} on {self.device.type}"

    def probabilities(self, model: Model, items: Iterable[Item]) -> Iterator[tuple[Any, NDArray[np.float64]]]:
        networks = make_fast(model.method, model.networks, self.dtype) if self.makes_fast else model.networks
        return predict(
            model.method,
            networks,
            items,
            self.device,
            autocast=self.dtype == torch.bfloat16 and not self.makes_fast,
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
    """Of all that outputs depend on: method, settings, weights (by checksum), thresholds, adaptation, convention."""
    config = model.config
    members = [(row["sha256"], row["thresholds"]) for row in config["members"]]
    parts = [config["format"], config["method"], config["settings"], config["classes"], members, model.definitions]
    if model.method.leads is not None:
        parts.append(model.method.leads)
    if model.adaptation is not None:
        parts.append(config["adaptation"])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class _Shares:
    """The recordings below a folder in groups, within which they may share batches, and who has which group."""

    def __init__(self, input_folder: Path, size: int, output_folder: Path | None = None) -> None:
        self.input_folder, self.size, self.output_folder = input_folder, size, output_folder
        self.sizes: list[int] = []
        self.places = places_of_groups(self._names())
        self.groups_at = Counter(self.places)
        if not self.places:
            raise ValueError(f"{input_folder}: expected recordings, found none")

    def count(self, shard: Shard) -> int:
        return sum(size for size, place in zip(self.sizes, self.places, strict=True) if shard.has(place))

    def has_no_twins(self, place: int, group: list[Path]) -> bool:
        """Whether each recording of a group is the only one of its name; others are judged and named in every run."""
        return self.groups_at[place] == 1 and len({path.stem for path in group}) == len(group)

    def groups(self, shard: Shard) -> Iterator[tuple[int, int, list[Path]]]:
        """Place, number and recordings of each group of a shard."""
        for number, (place, group) in enumerate(zip(self.places, self._all(), strict=False)):
            if shard.has(place):
                yield place, number, group

    def _all(self) -> Iterator[list[Path]]:
        paths = map(Path, find_recordings(self.input_folder))
        while group := list(islice(paths, self.size)):
            yield group

    def _names(self) -> Iterator[list[str]]:
        for group in self._all():
            self.sizes.append(len(group))
            if self.output_folder is not None:
                for path in group:
                    _require_other_file(path, self.output_folder)
            yield [path.stem for path in group]


def recordings_of_shard(model: Model, input_folder: Path, shard: Shard, deterministic: bool = False) -> Iterator[Path]:
    """The recordings that `run_folder` judges as this shard, in its order."""
    shares = _Shares(input_folder, _Computing(model.device, deterministic).batching.n_recordings)
    for *_, group in shares.groups(shard):
        yield from group


def _is_finished(header: Path, output_folder: Path, classes: tuple[str, ...], oldest: float) -> bool:
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
    items = (
        replace(
            result.item or unread, key=replace(result, item=result.item and replace(result.item, signal=unread.signal))
        )
        for result in results
    )
    for result, probabilities in compute.probabilities(model, items):
        if not result.error and result.item is not None:
            if see_members is not None:
                see_members(result.path.stem, probabilities)
            _save(output_folder, result.path.stem, classes, *model.decide(probabilities, result.item.features))
        elif not result.is_duplicate:
            _save(output_folder, result.path.stem, classes, nothing.astype(bool), nothing)
        yield result.error


def _read_all(method: Method, recordings: Iterable[tuple[int, Path]], workers: int) -> Iterator[_ReadResult]:
    """Read recordings with the numbers of their groups, in order; of those with one name the first that can be read."""

    def read(numbered: tuple[int, Path]) -> _ReadResult:
        number, path = numbered
        try:
            header, signal = read_signal(path)
            prepared = method.input.preprocess(signal, header.sampling_frequency)
            return _ReadResult(path, Item(None, prepared, method.input.features(header, signal), number))
        except Exception as error:  # one recording must never cost the others their results, whatever it triggers
            return _ReadResult(path, error=describe_failure(path, error))

    readable: set[str] = set()
    for result in map_ahead(read, recordings, workers=workers, ahead=4 * workers):
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
