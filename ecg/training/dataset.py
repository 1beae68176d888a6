"""Recordings for training: read and preprocessed once, kept in one memory-mapped file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ecg.arrays import Floats32, Ints
from ecg.examination.examine import Examination
from ecg.examination.examine_folder import Candidates, examine_folder
from ecg.examination.journal import key_of, step_key
from ecg.io.device_statements import StatementTable
from ecg.io.errors import RecordingError, problem
from ecg.io.files import write_file
from ecg.io.folders import get_database, is_header
from ecg.io.formats import find_recordings, read
from ecg.io.header import load_header, parse_header
from ecg.io.label_tables import Labels, LabelTable
from ecg.io.recording import Recording
from ecg.io.sources import files_of
from ecg.labels.classes import encode_labels
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.methods.base import Method
from ecg.methods.reduced_leads import lead_problem, masked_features
from ecg.runtime.parallel import WorkerDiedError, map_in_processes
from ecg.runtime.progress import progress, say
from ecg.simulator.simulate import simulate_recording
from ecg.training.folds import Folds, assign_folds, read_folds
from ecg.training.label_gaps import found_instead

_SIMULATION_SEED = 2020
_LOOKED_AT = 100  # headers, for the length of recordings
_MEMORY, _MEMORY_OF_EACH = 0.7e9, 14e3  # bytes, as measured with 43,096 recordings and 12,848 simulated ones


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
    patient: str = ""  # where the labels say
    n_masked: int = 0  # sets of leads whose features follow those of all leads


class Dataset:
    """Preprocessed recordings in the order of their names, then simulated ones.

    The first `n_recorded` entries are no simulated ones, which are there to be trained on and for nothing else.
    `labels`, (n_recordings, n_classes), bool, are as the Challenge scores them; `targets`, of the same shape, float32,
    are the method's. `unused` counts recordings that the method is not trained on; `unknown` counts, for codes that the
    set of diagnoses lacks, the recordings that have them, the most frequent first.
    """

    def __init__(
        self,
        entries: list[Entry],
        signals: Floats32,
        diagnoses: Diagnoses = CHALLENGE_2020,
        unused: int = 0,
        n_simulated: int = 0,
        unknown: dict[str, int] | None = None,
    ) -> None:
        self.entries = entries
        self.n_recorded = len(entries) - n_simulated
        self.unused, self.unknown = unused, unknown or {}
        self.labels = encode_labels([entry.labels for entry in entries], diagnoses.classes, diagnoses)
        self.targets = np.array([entry.targets for entry in entries], dtype=np.float32)
        self._signals = signals

    def __len__(self) -> int:
        return len(self.entries)

    def with_labels_of(self, diagnoses: Diagnoses) -> Dataset:
        """The same recordings with the labels of another set of diagnoses."""
        simulated = len(self) - self.n_recorded
        return Dataset(self.entries, self._signals, diagnoses, self.unused, simulated, self.unknown)

    def split(self, rows: Sequence[int] | Ints, n_folds: int, seed: int, given: list[int] | None = None) -> Ints:
        """`assign_folds` of some recordings; `given` folds in place of those that came with the data."""
        entries = [self.entries[row] for row in rows]
        databases, patients = [entry.database for entry in entries], [entry.patient for entry in entries]
        given = [entry.fold for entry in entries] if given is None else given
        return assign_folds(self.labels[list(rows)], databases, given, n_folds, seed, patients)

    def signal(self, index: int) -> Floats32:
        """Preprocessed recording, shape (12, n_samples), float32, in the method's units."""
        entry = self.entries[index]
        return self._signals[entry.start : entry.start + 12 * entry.n_samples].reshape(12, entry.n_samples)

    def features(self, index: int) -> Floats32:
        """What is known beside the signal, shape (n_features,), float32."""
        entry = self.entries[index]
        end = entry.start + 12 * entry.n_samples
        return self._signals[end : end + entry.n_features]

    def digest(self, rows: Ints) -> str:
        """Of all that a training can see of some recordings: samples, rate, features, labels, folds, in their order."""
        known = [astuple(replace(self.entries[row], start=0)) for row in rows]
        digest = hashlib.sha256(json.dumps(known).encode())
        for row in rows:
            digest.update(self.features(row).tobytes() + self.masked_features(row).tobytes())
        return digest.hexdigest()

    def masked_features(self, index: int) -> Floats32:
        """The same of fewer leads, (n_sets, n_features), float32, one row for each of `Training.masked_leads`."""
        entry = self.entries[index]
        start = entry.start + 12 * entry.n_samples + entry.n_features
        flat = self._signals[start : start + entry.n_masked * entry.n_features]
        return flat.reshape(entry.n_masked, entry.n_features)


def build_dataset(
    method: Method,
    data_folder: Path,
    cache_folder: Path,
    *,
    workers: int | None = None,
    limit: int | None = None,
    statements: Labels | None = None,
    resume: bool = False,
    shape_only: Collection[str] = (),
) -> tuple[Dataset, list[str]]:
    """Read every recording below a folder that the method can be trained on.

    - `data_folder`: recordings, in it or in folders below it. An optional ``folds.csv`` (record, database, fold)
      in it says which fold (1, 2, ...; 0 for none) a recording belongs to, so that a patient's recordings stay
      together.
    - `cache_folder`: where the preprocessed signals go. They are used again when nothing has changed, so that a
      training that was killed does not read everything again.
    - `workers`: processes that read at once, one a core if left out.
    - `limit`: only this many recordings, spread evenly over all of them.
    - `statements`: as for `read`: labels for recordings in clinical formats; or a table of records. Its codes
      replace those of headers. Its folds and patients count where ``folds.csv`` says nothing.
    - `resume`: use what was read before, or refuse.
    - `shape_only`: databases in which the size of recordings is invented: nothing is learned from it.

    Returns the recordings that take part, and a sentence for each one that does not although it should. Raises
    RecordingError if the folder has no recordings, ``folds.csv`` can't be used, or `resume` is refused.
    """
    workers = workers or os.cpu_count() or 1
    folds = read_folds(data_folder)
    headers = sorted(map(Path, find_recordings(data_folder)), key=lambda path: (path.stem, str(path)))
    if not headers:
        raise problem(data_folder, "recordings", "none")
    table = statements if isinstance(statements, LabelTable) else None
    if table is not None:
        if lacking := table.check({header.stem for header in headers}):
            say(lacking)
        codes = Counter(code for each in table.codes.values() for code in each)
        if not codes.keys() & method.diagnoses.column_of.keys():
            raise RecordingError(f"{table.path}: expected codes of {found_instead(method.diagnoses, codes)}")
    if limit is not None and limit < len(headers):
        headers = [headers[k] for k in np.linspace(0, len(headers) - 1, limit).round().astype(int)]
    placed = sum(header.stem in folds for header in headers)
    if folds and not placed:
        found = f"none of them (first: {next(iter(folds))})"
        raise problem(data_folder / "folds.csv", f"names of recordings such as {headers[0].stem}", found)
    if placed < len(headers) and folds:
        say(f"folds.csv places {placed} of {len(headers)} recordings; the others are placed without regard to patients")
    fingerprint = _fingerprint(method, headers, folds, statements, shape_only)
    index_file, signal_file = cache_folder / "preprocessed.json", cache_folder / "preprocessed.f32"
    stored = _read_index(index_file, signal_file)
    if stored is not None and stored["fingerprint"] == fingerprint:
        say(f"Using the {len(stored['entries'])} preprocessed recordings in {cache_folder}")
        rows = stored["entries"]
        entries = [Entry(**row | {"labels": tuple(row["labels"]), "targets": tuple(row["targets"])}) for row in rows]
        counts = stored["unused"], stored["simulated"], stored["unknown"]
        return Dataset(entries, _open_signals(signal_file), method.diagnoses, *counts), stored["problems"]
    if resume:
        found = "none" if stored is None else "one with another method, other data or another limit"
        raise problem(cache_folder, "a stopped training on these recordings", f"{found}; train anew without resume")
    if stored is not None:
        say(f"Reading anew: what {cache_folder} holds is of another method, other data or another limit")
    cache_folder.mkdir(parents=True, exist_ok=True)
    index_file.unlink(missing_ok=True)
    signal_file.unlink(missing_ok=True)  # for the space that it takes
    _say_what_is_needed(method, headers, cache_folder)
    with open(signal_file, "wb") as file:
        cache = _CacheWriter(file, signal_file, method, table, shape_only)
        in_words = statements if isinstance(statements, StatementTable) else None
        problems, unused = _write_recorded(cache, in_words, headers, folds, data_folder, workers)
        n_simulated = round(method.training.simulated_share * len(cache.entries))
        _write_simulated(cache, n_simulated, workers)
        cache.finish()
    entries = cache.entries
    unknown = dict(cache.unknown.most_common())
    if not entries:
        raise RecordingError(
            f"{data_folder}: expected recordings with at least one of the scored diagnoses of "
            f"{found_instead(method.diagnoses, cache.unknown)} among {len(headers)} recordings"
            + "".join(f"\n  {problem}" for problem in problems[:5])
        )
    stored = {"fingerprint": fingerprint, "entries": [asdict(entry) for entry in entries], "problems": problems}
    stored |= {"unused": unused, "simulated": n_simulated, "unknown": unknown}
    write_file(index_file, json.dumps(stored))
    return Dataset(entries, _open_signals(signal_file), method.diagnoses, unused, n_simulated, unknown), problems


def _say_what_is_needed(method: Method, headers: list[Path], cache_folder: Path) -> None:
    """Disk and memory for this many recordings; OSError where the disk has less."""
    some = [_seconds(headers[k]) for k in np.linspace(0, len(headers) - 1, min(len(headers), _LOOKED_AT)).astype(int)]
    count = len(headers) * (1 + method.training.simulated_share)
    disk = count * float(np.mean(some)) * 12 * 4 * method.input.sampling_frequency
    free = shutil.disk_usage(cache_folder).free
    memory = _MEMORY + _MEMORY_OF_EACH * count
    say(
        f"The preprocessed recordings will take about {disk / 1e6:,.0f} MB in {cache_folder} "
        f"({free / 1e6:,.0f} MB free), and the work about {memory / 1e6:,.0f} MB of memory beside the networks"
    )
    if disk > free:
        found = f"expected {disk / 1e6:,.0f} MB free, found {free / 1e6:,.0f} MB"
        raise OSError(errno.ENOSPC, found, str(cache_folder))


def _seconds(header: Path) -> float:
    """Length of a recording as far as its header says, else the usual 10 s."""
    try:
        said = parse_header(load_header(header), str(header)) if is_header(header) else None
    except RecordingError:
        said = None
    return said.n_samples / said.sampling_frequency if said is not None and said.n_samples else 10.0


def _read_index(index_file: Path, signal_file: Path) -> dict[str, Any] | None:
    """The stored result of an earlier reading; None if it is missing or not whole."""
    try:
        stored: dict[str, Any] = json.loads(index_file.read_bytes())
        n_values = sum(12 * row["n_samples"] + row["n_features"] * (1 + row["n_masked"]) for row in stored["entries"])
        whole = signal_file.stat().st_size == 4 * n_values
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None
    return stored if whole else None


def _open_signals(signal_file: Path) -> Floats32:
    return np.memmap(signal_file, dtype=np.float32, mode="r")


def _fingerprint(
    method: Method, headers: list[Path], folds: Folds, statements: Labels | None, shape_only: Collection[str]
) -> str:
    words = "" if statements is None else statements.digest()
    of_method = method.name, method.settings, method.diagnoses.as_json(), method.leads, method.training.masked_leads
    step = step_key("training", *of_method, sorted(folds.items()), words, *sorted(shape_only))
    return key_of(step, (stamp for header in headers for stamp in (str(header), files_of(header).stamp)))


class _CacheWriter:
    """Writes preprocessed signals one after another into one file, and keeps what is known of each."""

    def __init__(
        self, file: BinaryIO, path: Path, method: Method, table: LabelTable | None, shape_only: Collection[str]
    ) -> None:
        self.file, self.path, self.method, self.table, self.shape_only = file, path, method, table, shape_only
        self.by_size = np.array([row.by_size for row in method.diagnoses.rows])
        self.in_parts = any(row.part for row in method.diagnoses.rows)
        self.entries: list[Entry] = []
        self.unknown: Counter[str] = Counter()
        self.n_values = 0

    def labelled(self, name: str, prepared: _Prepared) -> _Prepared:
        """The recording with the codes of the table, if there is one; codes that the set lacks are counted.

        Of two sets in one the header has the codes of the first.
        """
        if self.table is not None:
            labels = self.table.codes.get(self.table.key(name), ())
            labels = (*(prepared.recording.labels if self.in_parts else ()), *labels)
            prepared = replace(prepared, recording=replace(prepared.recording, labels=labels))
        self.unknown.update(set(prepared.recording.labels) - self.method.diagnoses.column_of.keys())
        return prepared

    def targets(self, prepared: _Prepared) -> Floats32:
        return self.method.training.make_targets(prepared.recording.labels, prepared.signal)

    def add(self, name: str, database: str, fold: int, prepared: _Prepared) -> None:
        signal, targets = prepared.signal, self.targets(prepared)
        features = [prepared.features, *prepared.masked_features]
        if database in self.shape_only:
            without_size = self.method.training.without_size
            assert without_size is not None
            features = [without_size(signal, each)[1] for each in features]
            signal, _ = without_size(signal, features[0])
            targets[self.by_size] = np.nan
        signal = np.ascontiguousarray(signal)
        patient = "" if self.table is None else self.table.patients.get(self.table.key(name), "")
        labels, learned = prepared.recording.labels, tuple(map(float, targets))
        place = self.n_values, signal.shape[1], len(features[0]), patient, len(features) - 1
        self.entries.append(Entry(name, database, fold, labels, prepared.seconds, learned, prepared.digest, *place))
        self._write(signal.data)
        self._write(np.concatenate(features).data)
        self.n_values += signal.size + len(features) * len(features[0])

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
    folds: Folds,
    data_folder: Path,
    workers: int,
) -> tuple[list[str], int]:
    """Add the recordings that can be trained on; what is wrong with others, and how many are not used."""
    problems: list[str] = []
    paths: dict[str, Path] = {}
    names: dict[str, str] = {}  # by the digest of the samples
    unused = 0

    def prepare(path: Path) -> _Prepared:
        return _preprocessed(cache.method, read(path, statements))

    candidates = [Candidates(path.stem, (str(path),)) for path in headers]
    for each in progress(examine_folder(candidates, prepare, workers=workers), len(headers), "Reading"):
        path, name = each.path, each.name
        if each.result is None:
            problems += each.problems
            continue
        prepared = cache.labelled(name, each.result)
        if not cache.method.training.use_for_training(cache.targets(prepared) > 0, prepared.seconds):
            unused += 1
        elif name in paths:
            problems.append(f"{path}: another recording of this name was read from {paths[name].parent}")
        elif prepared.digest in names:
            problems.append(f"{path}: same samples as {names[prepared.digest]}")
        else:
            paths[name], names[prepared.digest] = path, name
            given = 0 if cache.table is None else cache.table.folds.get(cache.table.key(name), 0)
            cache.add(name, *folds.get(name, (_database(path, data_folder), given)), prepared)
    return problems, unused


def _write_simulated(cache: _CacheWriter, n_recordings: int, workers: int) -> None:
    simulate, numbers = partial(_simulate, cache.method), range(1, n_recordings + 1)
    simulated = map_in_processes(simulate, numbers, workers=workers, ahead=8 * workers)
    for _, prepared in progress(simulated, n_recordings, "Simulating") if numbers else ():
        if isinstance(prepared, WorkerDiedError):
            raise prepared
        cache.add(prepared.recording.name, "simulated", 0, prepared)


@dataclass(frozen=True)
class _Prepared:
    """One recording, read and preprocessed."""

    recording: Recording  # without its signal
    signal: Floats32  # in the method's units
    seconds: float
    digest: str  # of the signal in mV
    features: Floats32
    masked_features: Floats32  # (n_sets, n_features), of fewer leads


def _preprocessed(method: Method, recording: Recording) -> _Prepared:
    if sentence := lead_problem(method, recording.signal):
        raise RecordingError(sentence)
    examined = Examination(recording, method.input)
    masked = masked_features(recording, method.input, method.training.masked_leads)
    signal, rate = recording.signal, recording.sampling_frequency
    digest = hashlib.sha256(signal.tobytes()).hexdigest()
    without_signal = replace(recording, signal=signal[:, :0].copy())
    return _Prepared(without_signal, examined.prepared, signal.shape[1] / rate, digest, examined.features, masked)


def _simulate(method: Method, number: int) -> _Prepared:
    made = simulate_recording(_SIMULATION_SEED, number)
    name, signal = f"simulated-{number:05d}", made.signal.astype(np.float32)
    recording = Recording(signal, made.sampling_frequency, name, made.age, made.sex, labels=made.labels)
    return _preprocessed(method, recording)


def _database(path: Path, data_folder: Path) -> str:
    """By the record's name, or else by the folder it lies in."""
    database = get_database(path.stem)
    return path.parent.name if database == "unknown" and path.parent != data_folder else database
