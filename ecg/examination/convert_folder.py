"""Recordings from one format to another: what `ecg convert` does."""

import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from ecg.examination.anonymous import anonymous, found_in, identifying_texts, write_checked
from ecg.examination.examine_folder import Run, RunOptions, by_name
from ecg.examination.journal import step_key
from ecg.io.device_statements import StatementTable, load_statements
from ecg.io.device_words import MEASUREMENTS
from ecg.io.files import as_csv, remove_leftovers, write_file
from ecg.io.folders import is_header
from ecg.io.formats import CHALLENGE, format_of, read_any
from ecg.io.inputs import Paths, expand_inputs
from ecg.io.recording import to_millivolts
from ecg.io.stored import Identity, Stored
from ecg.io.writers.aecg_writer import write_aecg
from ecg.io.writers.dicom_writer import write_dicom
from ecg.io.writers.exports import NOBODY, header_comments, write_challenge, write_csv, write_edf
from ecg.io.writers.scp_writer import write_scp

REPORTS = "device_reports.csv"
_COLUMNS = (
    *("record", "format", "maker", "model", "sampling_frequency_hz", "seconds", "age", "sex"),
    *(*MEASUREMENTS, "codes", "statements"),
)
_SUFFIXES = {"challenge": (".hea", ".mat"), "dicom": (".dcm",), "edf": (".edf", ".bdf"), "csv": (".csv", ".json")}
_SUFFIXES |= {"aecg": (".aecg",), "scp": (".scp",)}
_IDENTITY_COLUMNS = ("patient_name", "patient_id", "birth_date", "acquired", "identifiers")


@dataclass(frozen=True)
class ConvertOptions(RunOptions):
    """How recordings are converted, beside how they are gone over."""

    to: str = "challenge"  # one of "challenge", "dicom", "edf", "csv", "aecg", "scp"
    labels: str | None = None  # as for `load_statements`: take diagnoses from the device's statements
    keep_identity: bool = False  # also write names, identifiers and dates
    # Leave out free text too; a file that still holds anything identifying is not kept (`examination.anonymous`).
    anonymize: bool = False


def convert_recordings(
    recordings: Paths, output: Path, options: ConvertOptions | None = None
) -> tuple[int, list[str], list[str]]:
    """Convert recordings, and write a table of what the devices said of them.

    Of several recordings of one name the first that can be read is converted. What is done stands in a journal in the
    output folder, ``.run.jsonl``, from which a later run goes on.

    `recordings`: as of `expand_inputs`. `output`: folder. Returns `problems`: a sentence for each recording that could
    not be converted; `summary`: what else there is to say. Raises RecordingError if there is nothing to convert;
    ValueError if the output folder is that of a recording, or above or below one that was given; where the identity is
    both to be kept and to be left out.
    """
    options = options or ConvertOptions()
    if options.anonymize and options.keep_identity:
        raise ValueError("anonymize: expected it without keep_identity, found both")
    table = load_statements(options.labels) if options.labels else None
    paths = [found.path for found in expand_inputs(recordings)]
    _require_apart(recordings, paths, output)
    output.mkdir(parents=True, exist_ok=True)
    remove_leftovers(output)
    suffixes = _SUFFIXES[options.to]
    step = step_key("examination", options.to, options.keep_identity, options.anonymize, table and table.digest())

    def files(name: str) -> list[Path]:
        return [file for suffix in suffixes if (file := output / f"{name}{suffix}").exists()]

    run = Run(by_name(paths, lambda path: _bare(Path(path).stem)), output / ".run", step, options, files)
    n_converted = len(run.kept)
    problems: list[str] = []
    for each in run.progress(run.examined(partial(_convert, output, options, table)), "Converting"):
        run.note(each, each.result and asdict(each.result))
        n_converted += each.result is not None
        problems += each.problems
    values = run.values()
    if values is None:
        return n_converted, problems, []
    unknown: Counter[str] = Counter()
    n_withheld, rows = 0, []
    for one in filter(None, values):
        rows.append(one["row"])
        unknown.update(one["unknown"])
        n_withheld += one["n_withheld"]
    write_file(output / REPORTS, _as_table(rows, options.keep_identity))
    if options.anonymize:  # the journal has the names that the input's files have
        for journal in output.glob(".run*.jsonl"):
            journal.unlink()
    return n_converted, problems, list(_summary(n_withheld, unknown))


def _require_apart(given: Paths, paths: list[str], output: Path) -> None:
    """ValueError if what is written could replace a recording, or be taken for one of the input by the next run."""
    place = output.resolve()
    given = [given] if isinstance(given, (str, os.PathLike)) else list(given)
    inputs = {Path(one).resolve() for one in given if os.path.isdir(one)}
    if place in {Path(path).resolve().parent for path in paths} or inputs & {place, *place.parents}:
        raise ValueError(f"{output}: expected a folder outside that of the recordings, found one in it")


@dataclass(frozen=True)
class _Converted:
    """A row of the table of reports, statements without a code, and how many statements were left out."""

    row: dict[str, object]
    unknown: list[str]
    n_withheld: int


def _convert(output: Path, options: ConvertOptions, table: StatementTable | None, path: Path) -> _Converted:
    """Convert one recording. Raises RecordingError where it can't be read or written in the wanted format."""
    stored = read_any(path)
    kind = None if is_header(path) else format_of(path)
    name = kind.name if kind else CHALLENGE
    # An output's name has to stand in a header, where white space ends it.
    stored = replace(stored, header=replace(stored.header, recording_id=_bare(stored.header.recording_id)))
    to_millivolts(stored.samples, stored.header, path)  # refuses what has no usable lead
    n_statements = len(stored.device.statements)
    if not options.keep_identity and not options.anonymize:
        stored = _without_identity(stored)
    n_withheld = n_statements - len(stored.device.statements)
    stored, unknown = _with_labels(stored, table)
    identity = stored.identity if options.keep_identity else NOBODY
    if options.anonymize:
        original, stored = stored, anonymous(stored)
        words = identifying_texts(original)
        unknown = [one for one in unknown if not found_in(one, words) and not _holds(one, original.identity)]
        n_withheld = n_statements - len(stored.device.statements)
        write_checked(output, original, stored, lambda folder, one: _write(options.to, folder, one, name, NOBODY))
    else:
        _write(options.to, output, stored, name, identity)
    return _Converted(_row(stored, name, options.keep_identity), unknown, n_withheld)


def _write(to: str, folder: Path, stored: Stored, name: str, identity: Identity) -> None:
    if to == "challenge":
        write_challenge(folder, stored, list(header_comments(stored, name, identity)))
    elif to == "csv":
        write_csv(folder, stored, to_millivolts(stored.samples, stored.header))
    else:
        writers = {"dicom": write_dicom, "edf": write_edf, "aecg": write_aecg, "scp": write_scp}
        writers[to](folder, stored, identity)


def _without_identity(stored: Stored) -> Stored:
    """The same without statements that hold a name or an identifier of the file."""
    kept = tuple(one for one in stored.device.statements if not _holds(one, stored.identity))
    return replace(stored, device=replace(stored.device, statements=kept), identity=NOBODY)


def _with_labels(stored: Stored, table: StatementTable | None) -> tuple[Stored, list[str]]:
    """With the codes of the device's statements, and the statements that have none."""
    if table is None:
        return stored, []
    codes = {statement: table.codes_of(statement) for statement in stored.device.statements}
    labels = [*stored.header.labels, *(code for each in codes.values() for code in each or ())]
    unknown = [statement for statement, each in codes.items() if each is None]
    return replace(stored, header=replace(stored.header, labels=tuple(dict.fromkeys(labels)))), unknown


def _row(stored: Stored, name: str, keep_identity: bool) -> dict[str, object]:
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
    row |= {key: f"{device.measurements[key]:.12g}" for key in MEASUREMENTS if key in device.measurements}
    if keep_identity:
        row |= {
            "patient_name": identity.name,
            "patient_id": identity.patient_id,
            "birth_date": str(identity.birth_date or ""),
            "acquired": str(device.acquired or ""),
            "identifiers": " | ".join(f"{key}: {value}" for key, value in identity.others.items()),
        }
    return row


def _as_table(rows: list[dict[str, object]], keep_identity: bool) -> str:
    """The CSV file of what the devices said, one row a recording."""
    columns = _COLUMNS + (_IDENTITY_COLUMNS if keep_identity else ())
    return as_csv([columns, *([row.get(column, "") for column in columns] for row in rows)])


def _summary(n_withheld: int, unknown: Counter[str]) -> Iterator[str]:
    """Lines for the end of the run."""
    if n_withheld:
        yield f"{n_withheld} statements hold a name or an identifier and were left out"
    if unknown:
        yield "statements without a code in the table, which gave no label:"
        for statement, count in sorted(unknown.items(), key=lambda item: (-item[1], item[0])):
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
