"""Measurements of recordings as a table: what `ecg measure` does."""

import codecs
import csv
import json
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecg.examination.examine_folder import Candidates, Run, RunOptions
from ecg.examination.journal import step_key
from ecg.io.files import is_same_file, whole_file, write_file
from ecg.io.formats import read
from ecg.io.inputs import Paths, expand_inputs
from ecg.io.recording import Recording
from ecg.measurements.export import COLUMNS, annotations_of, as_json, row_of
from ecg.measurements.measure import measure
from ecg.measurements.types import Measurements

HEADER = ("record", *COLUMNS, "problem")
EXTENSION = "ecgm"  # of the annotation files


@dataclass(frozen=True)
class MeasureOptions(RunOptions):
    """How recordings are measured, beside how they are gone over."""

    # Folder for a WFDB annotation file of each recording that could be measured, `<record>.ecgm`, in the same folders
    # below it as the recordings.
    beats: Path | None = None
    json_file: Path | None = None  # file for one JSON object per line and recording, with the median beat


def measure_folder(recordings: Paths, output: Path, options: MeasureOptions | None = None) -> tuple[int, list[str]]:
    """Write a table of the measurements of recordings, in their order.

    A recording that can't be measured gets a row with its name and the reason. Each file is written whole or not at
    all. What is done stands in a journal beside the table, ``.<table>.jsonl``, from which a later run goes on; the run
    that finds the recordings of all shards there writes the table.

    `recordings`: as of `expand_inputs`. `output`: the table (CSV, UTF-8). Returns `n_measured`: those that an earlier
    run has measured included; `problems`: a sentence for each recording that could not be measured. Raises ValueError
    if there are no recordings, or if one would be replaced; OSError if something can't be written.
    """
    options = options or MeasureOptions()
    beats, json_file = options.beats, options.json_file
    files = [file for file in (output, json_file) if file is not None]
    found = list(expand_inputs(recordings))
    _check(files, [each.path for each in found])

    def marks(name: str) -> list[Path]:
        return [] if beats is None else [beats / f"{name}.{EXTENSION}"]

    def work(path: Path) -> _Measured:
        recording = read(path)
        measured = measure(recording.signal, recording.sampling_frequency)
        content = as_json(measured) if json_file else {}
        return _Measured(row_of(measured), content, _annotation_file(measured, recording) if beats else b"")

    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
    candidates = [Candidates(each.name, (each.path,)) for each in found]
    step = step_key("examination", HEADER, json_file is not None, beats is not None)
    run = Run(candidates, output.with_name(f".{output.name}"), step, options, marks)
    n_measured = len(run.kept)
    problems: list[str] = []
    for each in run.progress(run.examined(work), "Measuring"):
        said = each.name, " ".join(each.problems)
        name, problem = ("".join(c if c.isprintable() else "_" for c in text) for text in said)
        result = each.result or _Measured([""] * len(COLUMNS), {"problem": problem}, b"")
        for file in marks(each.name):
            if each.result is None:
                file.unlink(missing_ok=True)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                write_file(file, result.marks)
        line = json.dumps({"record": name, **result.content}, allow_nan=False) if json_file else ""
        run.note(each, [[name, *result.row, problem], line])
        n_measured += each.result is not None
        problems += each.problems
    values = run.values()
    if values is not None:
        with ExitStack() as opened:
            texts = [codecs.getwriter("utf-8")(opened.enter_context(whole_file(file))) for file in files]
            table = csv.writer(texts[0], lineterminator="\n")
            table.writerow(HEADER)
            for row, line in values:
                table.writerow(row)
                if json_file:
                    texts[1].write(f"{line}\n")
    return n_measured, problems


def _check(files: list[Path], recordings: list[str]) -> None:
    """ValueError where a file can't be written or is a recording."""
    for file in files:
        if file.is_dir():
            raise ValueError(f"{file}: expected a file to write, found a folder")
        for path in recordings:
            if is_same_file(file, path):
                raise ValueError(f"{path}: expected a file to write, found a recording")
    if len(set(files)) < len(files):
        raise ValueError(f"{files[0]}: expected one file for the table and another for JSON, found the same")


@dataclass(frozen=True)
class _Measured:
    """A row of the table, the content of a JSON object, and an annotation file."""

    row: list[str]
    content: dict[str, Any]
    marks: bytes


def _annotation_file(measurements: Measurements, recording: Recording) -> bytes:
    """The bytes of a WFDB annotation file."""
    rate, n_samples = recording.sampling_frequency, recording.signal.shape[1]
    samples, symbols, notes = annotations_of(measurements, rate, n_samples)
    if not samples:
        return bytes(2)  # the end mark alone, which wfdb reads but does not write
    import numpy as np
    import wfdb

    with tempfile.TemporaryDirectory() as folder:  # wfdb takes no names with spaces or letters outside ASCII
        wfdb.wrann("record", EXTENSION, np.array(samples), symbols, aux_note=notes, fs=rate, write_dir=folder)
        return Path(folder, f"record.{EXTENSION}").read_bytes()
