"""Recordings for training: read and preprocessed once, kept in one memory-mapped file."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import joblib
import numpy as np
from numpy.typing import NDArray

import helper_code
from ecg.method import Method
from ecg.progress import progress, say
from ecg.simulator import simulate_recording
from evaluate_model import encode_labels

_SIMULATION_SEED = 2020
# Below this a pool of processes takes longer to start than it saves.
_RECORDINGS_PER_WORKER = 100


@dataclass(frozen=True)
class Entry:
    """What is known of one recording beside its signal."""

    recording_id: str
    database: str
    fold: int  # 0 where the data folder names none
    labels: tuple[str, ...]
    demographics: tuple[float, ...]
    seconds: float
    targets: tuple[float, ...]  # what the method is taught
    digest: str  # of the signal in mV: equal for recordings that hold the same samples
    start: int
    n_samples: int


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
        As the method is taught.
    unused : int
        Recordings beside these that the method is not trained on.
    """

    def __init__(self, entries: list[Entry], signals: NDArray[np.float32], classes: tuple[str, ...],
                 unused: int = 0, n_simulated: int = 0) -> None:
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
        flat = self._signals[entry.start:entry.start + 12 * entry.n_samples]
        return flat.reshape(12, entry.n_samples)

    def demographics(self, index: int) -> NDArray[np.float32]:
        """Features of the patient, shape (n_features,), float32."""
        return np.array(self.entries[index].demographics, dtype=np.float32)


def build_dataset(method: Method, data_folder: Path, cache_folder: Path, *, workers: int,
                  limit: int | None = None, resume: bool = False) -> tuple[Dataset, list[str]]:
    """Read every recording below a folder that the method can be trained on.

    Parameters
    ----------
    method : Method
    data_folder : Path
        Challenge recordings, in it or in folders below it. An optional ``folds.csv`` (record, database, fold) in it
        says which fold (1, 2, ...; 0 for none) a recording belongs to, so that a patient's recordings stay together.
    cache_folder : Path
        Where the preprocessed signals go. They are used again when nothing has changed, so that a training that was
        killed does not read everything anew.
    workers : int
        Processes that read at once.
    limit : int, optional
        Only this many recordings, spread evenly over all of them.
    resume : bool
        Use what was read before, or refuse.

    Returns
    -------
    tuple of Dataset and list of str
        The recordings that take part, and a sentence for each one that does not although it should.

    Raises
    ------
    helper_code.RecordingError
        If the folder has no recordings, ``folds.csv`` can't be used, or `resume` is refused.
    """
    folds = read_folds(data_folder)
    headers = sorted(map(Path, helper_code.find_recordings(data_folder)), key=lambda path: (path.stem, str(path)))
    if not headers:
        raise helper_code.RecordingError(f"{data_folder}: expected Challenge recordings (.hea), found none")
    if limit is not None and limit < len(headers):
        headers = [headers[k] for k in np.linspace(0, len(headers) - 1, limit).round().astype(int)]
    placed = sum(header.stem in folds for header in headers)
    if folds and not placed:
        raise helper_code.RecordingError(f"{data_folder / 'folds.csv'}: expected names of recordings such as "
                                         f"{headers[0].stem}, found none of them (first: {next(iter(folds))})")
    if placed < len(headers) and folds:
        say(f"folds.csv places {placed} of {len(headers)} recordings; the others are placed without regard to patients")
    fingerprint = _fingerprint(method, headers, folds)
    index_file, signal_file = cache_folder / "index.json", cache_folder / "signals.f32"
    stored = _read_index(index_file, signal_file)
    if stored is not None and stored["fingerprint"] == fingerprint:
        say(f"Using the {len(stored['entries'])} preprocessed recordings in {cache_folder}")
        entries = [Entry(**{**row, "labels": tuple(row["labels"]), "demographics": tuple(row["demographics"]),
                            "targets": tuple(row["targets"])})
                   for row in stored["entries"]]
        dataset = Dataset(entries, _open_signals(signal_file), method.classes, stored["unused"], stored["simulated"])
        return dataset, stored["problems"]
    if resume:
        found = "none" if stored is None else "one with another method, other data or another --limit"
        raise helper_code.RecordingError(f"{cache_folder}: expected a stopped training on these recordings, found "
                                         f"{found}; leave --resume out to train anew")
    if stored is not None:
        say(f"Reading anew: what {cache_folder} holds is of another method, other data or another --limit")
    cache_folder.mkdir(parents=True, exist_ok=True)
    index_file.unlink(missing_ok=True)
    entries, problems, unused, n_simulated = _write_cache(method, headers, folds, data_folder, signal_file, workers)
    if not entries:
        raise helper_code.RecordingError(
            f"{data_folder}: expected recordings with at least one of the scored diagnoses, "
            f"found none among {len(headers)}" + "".join(f"\n  {problem}" for problem in problems[:5])
        )
    stored = {"fingerprint": fingerprint, "entries": [asdict(entry) for entry in entries], "problems": problems,
              "unused": unused, "simulated": n_simulated}
    helper_code.write_file(index_file, json.dumps(stored))
    return Dataset(entries, _open_signals(signal_file), method.classes, unused, n_simulated), problems


def _read_index(index_file: Path, signal_file: Path) -> dict[str, Any] | None:
    """What was stored of an earlier reading, None where that is not there or not whole."""
    try:
        stored: dict[str, Any] = json.loads(index_file.read_bytes())
        n_samples = sum(entry["n_samples"] for entry in stored["entries"])
        whole = signal_file.stat().st_size == 12 * 4 * n_samples
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None
    return stored if whole else None


def _open_signals(signal_file: Path) -> NDArray[np.float32]:
    return np.memmap(signal_file, dtype=np.float32, mode="r")


def _fingerprint(method: Method, headers: list[Path], folds: dict[str, tuple[str, int]]) -> str:
    digest = hashlib.sha256(json.dumps([method.name, dict(method.settings), sorted(folds.items())]).encode())
    root = Path(helper_code.__file__).parent
    for code in sorted([*root.glob("*.py"), *(root / "ecg").glob("*.py")]):
        digest.update(code.read_bytes())  # what another version of the program has read is read anew
    for header in headers:
        for file in (header, header.with_suffix(".mat"), header.with_suffix(".dat")):
            try:
                status = os.stat(file)
            except OSError:
                continue
            digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _write_cache(method: Method, headers: list[Path], folds: dict[str, tuple[str, int]], data_folder: Path,
                 signal_file: Path, workers: int) -> tuple[list[Entry], list[str], int, int]:
    read = _each(_prepare, method, headers, workers)
    entries: list[Entry] = []
    problems: list[str] = []
    seen_names: dict[str, Path] = {}
    seen_signals: dict[str, str] = {}
    start = unused = 0
    with open(signal_file, "wb") as file:
        for path, item in zip(headers, progress(read, len(headers), "Reading"), strict=True):
            if isinstance(item, str):
                problems.append(item)
                continue
            header, signal, seconds, digest, _ = item
            targets = method.teach(header.labels, signal)
            if not method.keep(targets >= 1, seconds):
                unused += 1
                continue
            name = path.stem
            if name in seen_names:
                problems.append(f"{path}: another recording of this name was read from {seen_names[name].parent}")
                continue
            if digest in seen_signals:
                problems.append(f"{path}: same samples as {seen_signals[digest]}, left out")
                continue
            seen_names[name], seen_signals[digest] = path, name
            database, fold = folds.get(name, (_database(path, data_folder), 0))
            entries.append(_entry(name, database, fold, item, targets, start))
            _write(file, signal_file, np.ascontiguousarray(signal).data)
            start += signal.size
        numbers = range(1, round(method.simulated_share * len(entries)) + 1)
        simulated = _each(_simulate, method, numbers, workers)
        for item in progress(simulated, len(numbers), "Simulating") if numbers else ():
            if isinstance(item, str):
                raise RuntimeError(item)
            header, signal, *_ = item
            targets = method.teach(header.labels, signal)
            entries.append(_entry(header.recording_id, "simulated", 0, item, targets, start))
            _write(file, signal_file, np.ascontiguousarray(signal).data)
            start += signal.size
        _write(file, signal_file, b"")
        os.fsync(file.fileno())
    return entries, problems, unused, len(numbers)


def _write(file: BinaryIO, path: Path, data: bytes | memoryview) -> None:
    try:
        file.write(data)
        file.flush()
    except OSError as error:  # it does not name the file
        raise OSError(error.errno, f"can't be written: {error.strerror}", str(path)) from error


def _entry(name: str, database: str, fold: int, prepared: _Whole, targets: NDArray[np.float32], start: int) -> Entry:
    header, signal, seconds, digest, demographics = prepared
    return Entry(name, database, fold, header.labels, tuple(map(float, demographics)), seconds,
                 tuple(map(float, targets)), digest, start, signal.shape[1])


def _each(prepare: Callable[[_Preprocess, _Demographics, Any], _Prepared], method: Method, what: Sequence[Any],
          workers: int) -> Iterator[_Prepared]:
    """What `prepare` makes of each header or number, in order, in worker processes where that is worth it."""
    workers = max(1, min(workers, len(what) // _RECORDINGS_PER_WORKER))
    done = 0
    if workers > 1:
        jobs = (joblib.delayed(prepare)(method.preprocess, method.demographics, item) for item in what)
        try:
            for prepared in joblib.Parallel(n_jobs=workers, return_as="generator")(jobs):
                yield prepared
                done += 1
        except BrokenProcessPool:
            say("A process that read recordings has died (killed, or out of memory); going on without such processes")
    for item in what[done:]:
        yield prepare(method.preprocess, method.demographics, item)


_Preprocess = Callable[[NDArray[np.float32], float], NDArray[np.float32]]
_Demographics = Callable[[helper_code.Header], NDArray[np.float32]]
_Whole = tuple[helper_code.Header, NDArray[np.float32], float, str, NDArray[np.float32]]
"""Header, preprocessed signal, seconds, digest, demographics."""
_Prepared = _Whole | str
"""That, or what is wrong with the recording."""


def _whole(preprocess: _Preprocess, demographics: _Demographics, header: helper_code.Header,
           signal: NDArray[np.float32]) -> _Whole:
    digest = hashlib.sha256(signal.tobytes()).hexdigest()
    seconds = signal.shape[1] / header.sampling_frequency
    return header, preprocess(signal, header.sampling_frequency), seconds, digest, demographics(header)


def _simulate(preprocess: _Preprocess, demographics: _Demographics, number: int) -> _Prepared:
    made = simulate_recording(_SIMULATION_SEED, number)
    header = helper_code.Header(
        f"simulated-{number:05d}", made.sampling_frequency, made.signal.shape[1], helper_code.LEADS, (1000.0,) * 12,
        (0.0,) * 12, (), (), made.age, made.sex, made.labels)
    return _whole(preprocess, demographics, header, made.signal.astype(np.float32))


def _prepare(preprocess: _Preprocess, demographics: _Demographics, path: Path) -> _Prepared:
    try:
        return _whole(preprocess, demographics, *helper_code.read_recording(path))
    except Exception as error:  # one recording must never cost the others theirs, whatever it triggers
        return helper_code.describe_failure(path, error)


def _database(path: Path, data_folder: Path) -> str:
    """By the record's name, or else by the folder it lies in."""
    database = helper_code.get_database(path.stem)
    return path.parent.name if database == "unknown" and path.parent != data_folder else database


def read_folds(data_folder: Path) -> dict[str, tuple[str, int]]:
    """``{record: (database, fold)}`` from the data folder's ``folds.csv``, empty where there is none.

    Raises
    ------
    helper_code.RecordingError
        If the file lacks a column or a fold is no whole number from 0 up.
    """
    path = data_folder / "folds.csv"
    if not path.exists():
        return {}
    with open(path, newline="", encoding="utf-8-sig") as file:  # spreadsheets put a byte order mark first
        rows = csv.DictReader(file)
        missing = {"record", "database", "fold"} - set(rows.fieldnames or ())
        if missing:
            raise helper_code.RecordingError(
                f"{path}: expected the columns record, database, fold; found {', '.join(rows.fieldnames or ())}"
            )
        folds = {}
        for row in rows:
            if not (row["fold"] or "").isdigit():
                raise helper_code.RecordingError(
                    f"{path}: record {row['record']}: expected a fold of 0, 1, 2, ...; found {row['fold']!r}"
                )
            folds[row["record"]] = (row["database"], int(row["fold"]))
    return folds
