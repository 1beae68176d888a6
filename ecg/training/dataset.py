"""Recordings for training: read and preprocessed once, kept in one memory-mapped file."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ecg.examination.examine import Examination
from ecg.examination.examine_folder import Candidates, examine_folder
from ecg.examination.journal import key_of, step_key
from ecg.io.device_statements import StatementTable
from ecg.io.errors import RecordingError
from ecg.io.files import write_file
from ecg.io.folders import get_database
from ecg.io.formats import find_recordings, read
from ecg.io.recording import Recording
from ecg.io.sources import files_of
from ecg.labels.classes import encode_labels
from ecg.methods.base import Input, Method
from ecg.runtime.parallel import WorkerDiedError, map_in_processes
from ecg.runtime.progress import progress, say
from ecg.simulator.simulate import simulate_recording
from ecg.training.folds import read_folds

_SIMULATION_SEED = 2020


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one recording beside its signal."""

    recording_id: str
    database: str
    fold: int  # 0 where the data folder names none
    labels: tuple[str, ...]
    seconds: float
    targets: tuple[float, ...]  # the method's training targets
    digest: str  # of the signal in mV: equal for recordings that hold the same samples
    start: int  # of the signal among the stored values, the features follow it
    n_samples: int
    n_features: int


class Dataset:
    """Preprocessed recordings in the order of their names, then simulated ones.

    Attributes
    ----------
    entries : list of Entry
    n_recorded : int
        Entries before the simulated ones, which are there to be trained on and for nothing else.
    labels : ndarray, shape (n_recordings, n_classes), bool
        As the Challenge scores them.
    targets : ndarray, shape (n_recordings, n_classes), float32
        The method's training targets.
    unused : int
        Recordings beside these that the method is not trained on.
    """

    def __init__(
        self,
        entries: list[Entry],
        signals: NDArray[np.float32],
        classes: tuple[str, ...],
        unused: int = 0,
        n_simulated: int = 0,
    ) -> None:
        self.entries = entries
        self.n_recorded = len(entries) - n_simulated
        self.unused = unused
        self.labels = encode_labels([entry.labels for entry in entries], classes)
        self.targets = np.array([entry.targets for entry in entries], dtype=np.float32)
        self._signals = signals

    def __len__(self) -> int:
        return len(self.entries)

    def signal(self, index: int) -> NDArray[np.float32]:
        """Preprocessed recording, shape (12, n_samples), float32, in the method's units."""
        entry = self.entries[index]
        flat = self._signals[entry.start : entry.start + 12 * entry.n_samples]
        return flat.reshape(12, entry.n_samples)

    def features(self, index: int) -> NDArray[np.float32]:
        """What is known beside the signal, shape (n_features,), float32."""
        entry = self.entries[index]
        end = entry.start + 12 * entry.n_samples
        return self._signals[end : end + entry.n_features]


def build_dataset(
    method: Method,
    data_folder: Path,
    cache_folder: Path,
    *,
    workers: int,
    limit: int | None = None,
    statements: StatementTable | None = None,
    resume: bool = False,
) -> tuple[Dataset, list[str]]:
    """Read every recording below a folder that the method can be trained on.

    Parameters
    ----------
    method : Method
    data_folder : Path
        Recordings, in it or in folders below it. An optional ``folds.csv`` (record, database, fold) in it
        says which fold (1, 2, ...; 0 for none) a recording belongs to, so that a patient's recordings stay together.
    cache_folder : Path
        Where the preprocessed signals go. They are used again when nothing has changed, so that a training that was
        killed does not read everything anew.
    workers : int
        Processes that read at once.
    limit : int, optional
        Only this many recordings, spread evenly over all of them.
    statements : StatementTable, optional
        As for `read_signal`: labels for recordings in clinical formats.
    resume : bool
        Use what was read before, or refuse.

    Returns
    -------
    tuple of Dataset and list of str
        The recordings that take part, and a sentence for each one that does not although it should.

    Raises
    ------
    RecordingError
        If the folder has no recordings, ``folds.csv`` can't be used, or `resume` is refused.
    """
    folds = read_folds(data_folder)
    headers = sorted(map(Path, find_recordings(data_folder)), key=lambda path: (path.stem, str(path)))
    if not headers:
        raise RecordingError(f"{data_folder}: expected recordings, found none")
    if limit is not None and limit < len(headers):
        headers = [headers[k] for k in np.linspace(0, len(headers) - 1, limit).round().astype(int)]
    placed = sum(header.stem in folds for header in headers)
    if folds and not placed:
        raise RecordingError(
            f"{data_folder / 'folds.csv'}: expected names of recordings such as "
            f"{headers[0].stem}, found none of them (first: {next(iter(folds))})"
        )
    if placed < len(headers) and folds:
        say(f"folds.csv places {placed} of {len(headers)} recordings; the others are placed without regard to patients")
    fingerprint = _fingerprint(method, headers, folds, statements)
    index_file, signal_file = cache_folder / "index.json", cache_folder / "signals.f32"
    stored = _read_index(index_file, signal_file)
    if stored is not None and stored["fingerprint"] == fingerprint:
        say(f"Using the {len(stored['entries'])} preprocessed recordings in {cache_folder}")
        entries = [
            Entry(
                **{
                    **row,
                    "labels": tuple(row["labels"]),
                    "targets": tuple(row["targets"]),
                }
            )
            for row in stored["entries"]
        ]
        dataset = Dataset(entries, _open_signals(signal_file), method.classes, stored["unused"], stored["simulated"])
        return dataset, stored["problems"]
    if resume:
        found = "none" if stored is None else "one with another method, other data or another limit"
        raise RecordingError(
            f"{cache_folder}: expected a stopped training on these recordings, found {found}; train anew without resume"
        )
    if stored is not None:
        say(f"Reading anew: what {cache_folder} holds is of another method, other data or another limit")
    cache_folder.mkdir(parents=True, exist_ok=True)
    index_file.unlink(missing_ok=True)
    with open(signal_file, "wb") as file:
        cache = _CacheWriter(file, signal_file, method)
        problems, unused = _write_recorded(cache, statements, headers, folds, data_folder, workers)
        n_simulated = round(method.training.simulated_share * len(cache.entries))
        _write_simulated(cache, n_simulated, workers)
        cache.finish()
    entries = cache.entries
    if not entries:
        raise RecordingError(
            f"{data_folder}: expected recordings with at least one of the scored diagnoses, "
            f"found none among {len(headers)}" + "".join(f"\n  {problem}" for problem in problems[:5])
        )
    stored = {
        "fingerprint": fingerprint,
        "entries": [asdict(entry) for entry in entries],
        "problems": problems,
        "unused": unused,
        "simulated": n_simulated,
    }
    write_file(index_file, json.dumps(stored))
    return Dataset(entries, _open_signals(signal_file), method.classes, unused, n_simulated), problems


def _read_index(index_file: Path, signal_file: Path) -> dict[str, Any] | None:
    """What was stored of an earlier reading, None where that is not there or not whole."""
    try:
        stored: dict[str, Any] = json.loads(index_file.read_bytes())
        n_values = sum(12 * entry["n_samples"] + entry["n_features"] for entry in stored["entries"])
        whole = signal_file.stat().st_size == 4 * n_values
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None
    return stored if whole else None


def _open_signals(signal_file: Path) -> NDArray[np.float32]:
    return np.memmap(signal_file, dtype=np.float32, mode="r")


def _fingerprint(
    method: Method,
    headers: list[Path],
    folds: dict[str, tuple[str, int]],
    statements: StatementTable | None,
) -> str:
    words = statements.digest() if statements is not None else ""
    step = step_key("training", method.name, method.settings, sorted(folds.items()), words)
    return key_of(step, (stamp for header in headers for stamp in (str(header), files_of(header).stamp)))


class _CacheWriter:
    """Writes preprocessed signals one after another into one file, and keeps what is known of each."""

    def __init__(self, file: BinaryIO, path: Path, method: Method) -> None:
        self.file, self.path, self.method = file, path, method
        self.entries: list[Entry] = []
        self.n_values = 0

    def targets(self, prepared: _Prepared) -> NDArray[np.float32]:
        return self.method.training.make_targets(prepared.recording.labels, prepared.signal)

    def add(self, name: str, database: str, fold: int, prepared: _Prepared) -> None:
        signal = np.ascontiguousarray(prepared.signal)
        self.entries.append(
            Entry(
                name,
                database,
                fold,
                prepared.recording.labels,
                prepared.seconds,
                tuple(map(float, self.targets(prepared))),
                prepared.digest,
                self.n_values,
                signal.shape[1],
                len(prepared.features),
            )
        )
        self._write(signal.data)
        self._write(np.ascontiguousarray(prepared.features).data)
        self.n_values += signal.size + len(prepared.features)

    def finish(self) -> None:
        self._write(b"")
        os.fsync(self.file.fileno())

    def _write(self, data: bytes | memoryview) -> None:
        try:
            self.file.write(data)
            self.file.flush()
        except OSError as error:  # it does not name the file
            raise OSError(error.errno, f"can't be written: {error.strerror}", str(self.path)) from error


def _write_recorded(
    cache: _CacheWriter,
    statements: StatementTable | None,
    headers: list[Path],
    folds: dict[str, tuple[str, int]],
    data_folder: Path,
    workers: int,
) -> tuple[list[str], int]:
    """Add the recordings that can be trained on; what is wrong with others, and how many are not used."""
    problems: list[str] = []
    paths: dict[str, Path] = {}
    names: dict[str, str] = {}  # by the digest of the samples
    unused = 0

    def prepare(path: Path) -> _Prepared:
        return _preprocessed(cache.method.input, read(path, statements))

    candidates = [Candidates(path.stem, (str(path),)) for path in headers]
    for each in progress(examine_folder(candidates, prepare, workers=workers), len(headers), "Reading"):
        path, name, prepared = each.path, each.name, each.result
        if prepared is None:
            problems += each.problems
        elif not cache.method.training.use_for_training(cache.targets(prepared) > 0, prepared.seconds):
            unused += 1
        elif name in paths:
            problems.append(f"{path}: another recording of this name was read from {paths[name].parent}")
        elif prepared.digest in names:
            problems.append(f"{path}: same samples as {names[prepared.digest]}")
        else:
            paths[name], names[prepared.digest] = path, name
            cache.add(name, *folds.get(name, (_database(path, data_folder), 0)), prepared)
    return problems, unused


def _write_simulated(cache: _CacheWriter, n_recordings: int, workers: int) -> None:
    simulate, numbers = partial(_simulate, cache.method.input), range(1, n_recordings + 1)
    simulated = map_in_processes(simulate, numbers, workers=workers, ahead=8 * workers)
    for _, prepared in progress(simulated, n_recordings, "Simulating") if numbers else ():
        if isinstance(prepared, WorkerDiedError):
            raise prepared
        cache.add(prepared.recording.name, "simulated", 0, prepared)


@dataclass(frozen=True)
class _Prepared:
    """One recording, read and preprocessed."""

    recording: Recording  # without its signal
    signal: NDArray[np.float32]  # in the method's units
    seconds: float
    digest: str  # of the signal in mV
    features: NDArray[np.float32]


def _preprocessed(input_: Input, recording: Recording) -> _Prepared:
    examined = Examination(recording, input_)
    signal, rate = recording.signal, recording.sampling_frequency
    digest = hashlib.sha256(signal.tobytes()).hexdigest()
    without_signal = replace(recording, signal=signal[:, :0])
    return _Prepared(without_signal, examined.prepared, signal.shape[1] / rate, digest, examined.features)


def _simulate(input_: Input, number: int) -> _Prepared:
    made = simulate_recording(_SIMULATION_SEED, number)
    name, signal = f"simulated-{number:05d}", made.signal.astype(np.float32)
    return _preprocessed(
        input_, Recording(signal, made.sampling_frequency, name, made.age, made.sex, labels=made.labels)
    )


def _database(path: Path, data_folder: Path) -> str:
    """By the record's name, or else by the folder it lies in."""
    database = get_database(path.stem)
    return path.parent.name if database == "unknown" and path.parent != data_folder else database
