"""Recordings from one format to another: what `ecg convert` does."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ecg.examination.anonymous import anonymous, write_checked
from ecg.io.device_statements import StatementTable, load_statements
from ecg.io.errors import RecordingError, problem
from ecg.io.files import remove_leftovers, write_file
from ecg.io.folders import is_header
from ecg.io.formats import CHALLENGE, find_ignored, find_recordings, format_of, read_any
from ecg.io.recording import describe_failure, to_millivolts
from ecg.io.stored import Identity, Stored
from ecg.io.writers.aecg_writer import write_aecg
from ecg.io.writers.dicom_writer import write_dicom
from ecg.io.writers.exports import NOBODY, write_challenge, write_csv, write_edf
from ecg.runtime.progress import progress, say

REPORTS = "device_reports.csv"
_MEASUREMENTS = (
    "heart_rate_bpm",
    "p_ms",
    "pr_ms",
    "qrs_ms",
    "qt_ms",
    "qtc_ms",
    "p_axis_deg",
    "qrs_axis_deg",
    "t_axis_deg",
)
_COLUMNS = (
    "record",
    "format",
    "maker",
    "model",
    "sampling_frequency_hz",
    "seconds",
    "age",
    "sex",
    *_MEASUREMENTS,
    "codes",
    "statements",
)
_IDENTITY_COLUMNS = ("patient_name", "patient_id", "birth_date", "acquired", "identifiers")


def convert_recordings(
    given: Path,
    output: Path,
    to: str,
    *,
    labels: str | None = None,
    keep_identity: bool = False,
    anonymize: bool = False,
) -> tuple[int, list[str], list[str]]:
    """Convert a file, or every recording of a folder and those below it.

    Parameters
    ----------
    given, output : Path
    to : {"challenge", "dicom", "edf", "csv", "aecg"}
    labels : str, optional
        As for `load_statements`: take diagnoses from the device's statements.
    keep_identity : bool
        Also write names, identifiers and dates.
    anonymize : bool
        Leave out free text too; a file that still holds anything identifying is not kept.

    Returns
    -------
    n_converted : int
    problems : list of str
        A sentence for each recording that could not be converted.
    summary : list of str
        What else there is to say.

    Raises
    ------
    RecordingError
        If there is nothing to convert.
    ValueError
        If the output folder is that of the input, or in it.
    """
    table = load_statements(labels) if labels else None
    paths = _paths(given)
    _require_apart(given, output)
    output.mkdir(parents=True, exist_ok=True)
    remove_leftovers(output)
    conversion = Conversion(output, to, table, keep_identity, anonymize)
    problems: list[str] = []
    for path in progress(paths, len(paths), "Converting"):
        try:
            conversion.convert(path)
        except (RecordingError, ValueError, ArithmeticError) as error:  # none costs the others theirs
            problems.append(describe_failure(path, error))
            say(problems[-1])
    write_file(output / REPORTS, conversion.reports())
    if given.is_dir() and (ignored := list(find_ignored(given))):
        kinds = Counter(Path(name).suffix.lower() or "no suffix" for name in ignored)
        counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(kinds.items()))
        say(f"{len(ignored)} files are no recordings and were not looked at ({counts})")
    return len(paths) - len(problems), problems, list(conversion.summary())


def _paths(given: Path) -> list[Path]:
    paths = list(map(Path, find_recordings(given))) if given.is_dir() else [given]
    if not paths or not (given.is_dir() or given.is_file()):
        raise problem(given, "an ECG file or a folder with some", "none")
    return paths


def _require_apart(given: Path, output: Path) -> None:
    """ValueError if what is written could replace a recording, or be taken for one of the input by the next run."""
    folder, place = (given if given.is_dir() else given.parent).resolve(), output.resolve()
    if place == folder or (given.is_dir() and folder in place.parents):
        raise ValueError(f"{output}: expected a folder outside that of the recordings, found one in it")


class Conversion:
    """One run of the command: converts recordings one by one and remembers what the table of reports needs.

    Parameters
    ----------
    output : path
        An existing folder.
    to : str
        "challenge", "dicom", "edf" or "csv".
    table : StatementTable or None
        Gives diagnoses; without it only those are written that the files have.
    keep_identity : bool
        Write names, identifiers and dates too.
    anonymize : bool
        Leave out free text too, and check what was written (`ecg.examination.anonymous`).
    """

    def __init__(
        self, output: Path, to: str, table: StatementTable | None, keep_identity: bool, anonymize: bool = False
    ) -> None:
        self.output, self.to, self.table, self.keep_identity = output, to, table, keep_identity
        self.anonymize = anonymize
        self.rows: list[dict[str, object]] = []
        self.unknown: Counter[str] = Counter()
        self.n_withheld = 0
        self.sources: dict[str, Path] = {}

    def convert(self, path: Path) -> None:
        """Convert one recording. Raises RecordingError where it can't be read or written in the wanted format."""
        stored = read_any(path)
        kind = None if is_header(path) else format_of(path)
        name = kind.name if kind else CHALLENGE
        # An output's name has to stand in a header, where white space ends it.
        stored = replace(stored, header=replace(stored.header, recording_id=_bare(stored.header.recording_id)))
        earlier = self.sources.setdefault(stored.header.recording_id, path)
        if earlier != path:
            raise problem(path, f"one recording named {stored.header.recording_id}", f"{earlier} before it")
        to_millivolts(stored.samples, stored.header, path)  # refuses what has no usable lead
        if not self.keep_identity and not self.anonymize:
            stored = self._without_identity(stored)
        stored = self._with_labels(stored)
        identity = stored.identity if self.keep_identity else NOBODY
        if self.anonymize:
            original, stored = stored, anonymous(stored)
            write_checked(self.output, original, stored, lambda folder, one: self._write(folder, one, name, NOBODY))
        else:
            self._write(self.output, stored, name, identity)
        self.rows.append(self._row(stored, name))

    def _write(self, folder: Path, stored: Stored, name: str, identity: Identity) -> None:
        if self.to == "challenge":
            write_challenge(folder, stored, list(_comments(stored, name, identity)))
        elif self.to == "csv":
            write_csv(folder, stored, to_millivolts(stored.samples, stored.header))
        else:
            {"dicom": write_dicom, "edf": write_edf, "aecg": write_aecg}[self.to](folder, stored, identity)

    def _without_identity(self, stored: Stored) -> Stored:
        """The same without statements that hold a name or an identifier of the file."""
        kept = tuple(one for one in stored.device.statements if not _holds(one, stored.identity))
        self.n_withheld += len(stored.device.statements) - len(kept)
        return replace(stored, device=replace(stored.device, statements=kept), identity=NOBODY)

    def _with_labels(self, stored: Stored) -> Stored:
        if self.table is None:
            return stored
        labels = list(stored.header.labels)
        for statement in stored.device.statements:
            codes = self.table.codes_of(statement)
            if codes is None:
                self.unknown[statement] += 1
            labels += codes or ()
        return replace(stored, header=replace(stored.header, labels=tuple(dict.fromkeys(labels))))

    def _row(self, stored: Stored, name: str) -> dict[str, object]:
        header, device, identity = stored.header, stored.device, stored.identity
        row: dict[str, object] = {
            "record": header.recording_id,
            "format": name,
            "maker": device.maker,
            "model": device.model,
            "sampling_frequency_hz": f"{header.sampling_frequency:.12g}",
            "seconds": f"{stored.samples.shape[1] / header.sampling_frequency:.12g}",
            "age": "" if math.isnan(header.age) else f"{header.age:g}",
            "sex": header.sex,
            "codes": ";".join(header.labels),
            "statements": " | ".join(device.statements),
        }
        row |= {key: f"{device.measurements[key]:.12g}" for key in _MEASUREMENTS if key in device.measurements}
        if self.keep_identity:
            row |= {
                "patient_name": identity.name,
                "patient_id": identity.patient_id,
                "birth_date": identity.birth_date or "",
                "acquired": device.acquired or "",
                "identifiers": " | ".join(f"{key}: {value}" for key, value in identity.others.items()),
            }
        return row

    def reports(self) -> str:
        """The CSV file of what the devices said, one row a recording."""
        text = io.StringIO()
        columns = _COLUMNS + (_IDENTITY_COLUMNS if self.keep_identity else ())
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def summary(self) -> Iterator[str]:
        """Lines for the end of the run."""
        if self.n_withheld:
            yield f"{self.n_withheld} statements hold a name or an identifier and were left out"
        if self.unknown:
            yield "statements without a code in the table, which gave no label:"
            for statement, count in sorted(self.unknown.items(), key=lambda item: (-item[1], item[0])):
                yield f"  {count:5d}  {statement}"


def _bare(name: str) -> str:
    """A record's name without white space and what does not print, and no comment sign at its start."""
    return re.sub("^#", "_", "".join(c if c.isprintable() and not c.isspace() else "_" for c in name))


def _holds(statement: str, identity: Identity) -> bool:
    """Whether a statement holds a part of the patient's name (two letters or more) or an identifier (four or more)."""
    forms = ("%Y-%m-%d", "%Y%m%d", "%m-%d-%Y", "%d.%m.%Y", "%m/%d/%Y")
    dates = [identity.birth_date.strftime(form) for form in forms] if identity.birth_date else []
    needles = [(part, 2) for part in re.split(r"[\s^,=]+", identity.name)]
    needles += [(text, 4) for text in (identity.patient_id, *identity.others.values(), *dates)]
    text = " ".join(statement.casefold().split())
    for needle, least in needles:
        word = " ".join(needle.casefold().split())
        if len(re.sub(r"\W", "", word)) >= least and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text):
            return True
    return False


def _comments(stored: Stored, name: str, identity: Identity) -> Iterator[str]:
    """What the device said, as lines of a header."""
    device = stored.device
    yield f"Source: {name}"
    if device.maker or device.model:
        yield f"Device: {' '.join(filter(None, (device.maker, device.model)))}"
    for key, value in device.measurements.items():
        yield f"Measurement: {key} {value:.12g}"
    for statement in device.statements:
        yield f"Statement: {statement}"
    for note in stored.notes:
        yield f"Note: {note}"
    if identity is not NOBODY:
        yield f"Patient name: {identity.name}"
        yield f"Patient id: {identity.patient_id}"
        yield f"Birth date: {identity.birth_date or ''}"
        yield f"Acquired: {device.acquired or ''}"
        for what, text in identity.others.items():
            yield f"Identifier: {what}: {text}"
