"""Measurements of every recording below a folder, as a table: what `ecg measure` does."""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
import os
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from ecg.examination.parts import Parts
from ecg.io.files import is_same_file, write_file
from ecg.io.formats import read_signal
from ecg.io.inputs import Paths, expand_inputs
from ecg.io.recording import describe_failure
from ecg.measurements.export import COLUMNS, annotations_of, as_json, row_of
from ecg.measurements.measure import measure
from ecg.measurements.types import Measurements
from ecg.runtime.parallel import map_ahead
from ecg.runtime.progress import progress, say
from ecg.runtime.shards import WHOLE, Shard
from ecg.runtime.threads import limit_blas_threads

HEADER = ("record", *COLUMNS, "problem")
EXTENSION = "ecgm"  # of the annotation files


@dataclass(frozen=True)
class _Job:
    """One recording, and what is wanted of it beside the row."""

    path: str
    name: str
    beats_file: str | None
    wants_json: bool


@dataclass(frozen=True)
class _Result:
    """A row of the table, its JSON object, and what was wrong with the recording ("" if nothing)."""

    row: list[str]
    json_line: str
    problem: str


def measure_folder(
    recordings: Paths,
    output: Path,
    *,
    beats: Path | None = None,
    json_file: Path | None = None,
    workers: int = 1,
    shard: Shard = WHOLE,
) -> tuple[int, list[str]]:
    """Write a table of the measurements of every recording below a folder, in the order of `expand_inputs`.

    A recording that can't be measured gets a row with its name and the reason. Each file is written whole or not at
    all, and memory does not grow with the number of recordings.

    Parameters
    ----------
    recordings : path or iterable of paths
        As of `expand_inputs`.
    output : Path
        The table (CSV, UTF-8).
    beats : Path, optional
        Folder for a WFDB annotation file of each recording that could be measured, `<record>.ecgm`, in the same
        folders below it as the recordings.
    json_file : Path, optional
        File for one JSON object per line and recording, with the median beat.
    workers : int
        Processes.
    shard : Shard
        Measure only these recordings, into a part of each file (`ecg.examination.parts`). The shard that finds all
        parts there makes the files of them, to the bytes of one process.

    Returns
    -------
    n_measured : int
    problems : list of str
        A sentence for each recording that could not be measured.

    Raises
    ------
    ValueError
        If the input leads to no recordings, or if a recording would be replaced.
    OSError
        If something can't be written.
    """
    for file in (output, json_file):
        if file is not None and file.is_dir():
            raise ValueError(f"{file}: expected a file to write, found a folder")
    if output == json_file:
        raise ValueError(f"{output}: expected one file for the table and another for JSON, found the same")
    total = 0
    names = hashlib.sha256(repr(HEADER).encode())
    for found in expand_inputs(recordings):
        total += 1
        names.update(os.fsencode(f"{found.name}{os.path.splitext(found.path)[1]}\0"))
        if any(file is not None and is_same_file(file, found.path) for file in (output, json_file)):
            raise ValueError(f"{found.path}: expected a file to write, found a recording")
    wanted = [file for file in (output, json_file) if file is not None]
    parts = [Parts(file, shard, names.hexdigest(), n_first=int(file == output)) for file in wanted]
    for file in wanted:
        file.parent.mkdir(parents=True, exist_ok=True)
    own = sum(shard.has(place) for place in range(total))
    n_measured, problems = 0, []
    with ExitStack() as files:
        in_utf8 = codecs.getwriter("utf-8")
        opened = [in_utf8(files.enter_context(each.written())) for each in parts]
        table, lines = csv.writer(opened[0], lineterminator="\n"), opened[1] if len(opened) > 1 else None
        table.writerow(HEADER)
        results = _results(_jobs(recordings, beats, json_file is not None, shard), workers)
        for result in progress(results, own, "Measuring" if shard == WHOLE else f"Measuring shard {shard}"):
            table.writerow(result.row)
            if lines is not None:
                lines.write(result.json_line)
            if result.problem:
                problems.append(result.problem)
                say(result.problem)
            else:
                n_measured += 1
    for each in parts:
        each.join()
    return n_measured, problems


def _jobs(recordings: Paths, beats: Path | None, wants_json: bool, shard: Shard) -> Iterator[_Job]:
    for place, found in enumerate(expand_inputs(recordings)):
        if not shard.has(place):
            continue
        beats_file = None if beats is None else str(beats / f"{found.name}.{EXTENSION}")
        yield _Job(found.path, found.name, beats_file, wants_json)


def _results(jobs: Iterator[_Job], workers: int) -> Iterator[_Result]:
    if workers == 1:
        yield from map(_measure_file, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_ignore_interrupt) as pool:
        try:
            yield from map_ahead(
                lambda job: pool.submit(_measure_file, job).result(), jobs, workers=workers, ahead=4 * workers
            )
        except BrokenProcessPool as error:
            raise MemoryError(f"a process that measures was ended from outside: {error}") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _ignore_interrupt() -> None:
    """Ctrl-C goes to every process of the command; the first one ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _measure_file(job: _Job) -> _Result:
    limit_blas_threads()  # each process has a core of its own, and waits for none of the others
    name = "".join(character if character.isprintable() else "_" for character in job.name)
    try:
        header, millivolts = read_signal(job.path)
        measurements = measure(millivolts, header.sampling_frequency)
        row, content = row_of(measurements), as_json(measurements) if job.wants_json else {}
        marks = None
        if job.beats_file is not None:
            marks = _annotation_file(measurements, header.sampling_frequency, millivolts.shape[1])
    except Exception as error:  # one recording must never cost the others their results, whatever it triggers
        problem = describe_failure(job.path, error)
        shown = "".join(character if character.isprintable() else "_" for character in problem)
        content = {"problem": shown} if job.wants_json else {}
        return _Result([name, *[""] * len(COLUMNS), shown], _json_line(name, content), problem)
    if marks is not None and job.beats_file is not None:  # what can't be written ends the command
        Path(job.beats_file).parent.mkdir(parents=True, exist_ok=True)
        write_file(job.beats_file, marks)
    return _Result([name, *row, ""], _json_line(name, content), "")


def _json_line(name: str, content: dict[str, object]) -> str:
    return json.dumps({"record": name, **content}, allow_nan=False) + "\n"


def _annotation_file(measurements: Measurements, sampling_frequency: float, n_samples: int) -> bytes:
    """The bytes of a WFDB annotation file."""
    samples, symbols, notes = annotations_of(measurements, sampling_frequency, n_samples)
    if not samples:
        return bytes(2)  # the end mark alone, which wfdb reads but does not write
    import numpy as np
    import wfdb

    with tempfile.TemporaryDirectory() as folder:  # wfdb takes no names with spaces or letters outside ASCII
        wfdb.wrann(
            "record", EXTENSION, np.array(samples), symbols, aux_note=notes, fs=sampling_frequency, write_dir=folder
        )
        return Path(folder, f"record.{EXTENSION}").read_bytes()
