"""Challenge files in and out: find recordings, parse headers, read signals in mV, write and read the output files.

Made for the files of the PhysioNet/CinC Challenges 2020 and 2021: a WFDB header (`.hea`) beside a MATLAB file (`.mat`,
levels 4 and 5, variable `val`) or a WFDB signal file (`.dat`, any format). All that is wrong with such a file becomes a
`RecordingError` whose message names the file, what was expected and what was found.

The names from `is_number` on have the meaning that they have in the 2021 Challenge's helper code.
"""

from __future__ import annotations

import codecs
import contextlib
import math
import os
import re
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ecg.header import LEADS, LONGEST_HEADER, Header, RecordingError, parse_header, problem, shown
from ecg.signal_files import load_dat, load_mat, read_file

# "np", "os" and "sys" are here because the organisers' scripts get them through `from helper_code import *`.
__all__ = [  # noqa: RUF022 (by subject, not by letter)
    "LEADS", "twelve_leads", "six_leads", "four_leads", "three_leads", "two_leads", "lead_sets", "sort_leads",
    "SCORED_CLASSES", "DATABASES", "get_database",
    "Header", "RecordingError", "parse_header", "read_header", "read_recording", "to_millivolts", "describe_failure",
    "find_headers", "find_recordings", "find_challenge_files", "load_header", "load_recording", "choose_leads",
    "get_recording_id", "get_leads", "get_num_leads", "get_frequency", "get_num_samples", "get_adc_gains",
    "get_baselines", "get_age", "get_sex", "get_labels",
    "write_file", "remove_leftovers", "save_outputs", "load_outputs",
    "is_number", "is_finite_number", "is_integer", "np", "os", "sys",
]  # fmt: skip

twelve_leads = LEADS
six_leads = LEADS[:6]
four_leads = ("I", "II", "III", "V2")
three_leads = ("I", "II", "V2")
two_leads = ("I", "II")
lead_sets = (twelve_leads, six_leads, four_leads, three_leads, two_leads)

# SNOMED CT code: (abbreviation, full name), the 27 classes that the 2020 Challenge scores (its dx_mapping_scored.csv).
SCORED_CLASSES: dict[str, tuple[str, str]] = {
    "270492004": ("IAVB", "1st degree av block"),
    "164889003": ("AF", "atrial fibrillation"),
    "164890007": ("AFL", "atrial flutter"),
    "426627000": ("Brady", "bradycardia"),
    "713427006": ("CRBBB", "complete right bundle branch block"),
    "713426002": ("IRBBB", "incomplete right bundle branch block"),
    "445118002": ("LAnFB", "left anterior fascicular block"),
    "39732003": ("LAD", "left axis deviation"),
    "164909002": ("LBBB", "left bundle branch block"),
    "251146004": ("LQRSV", "low qrs voltages"),
    "698252002": ("NSIVCB", "nonspecific intraventricular conduction disorder"),
    "10370003": ("PR", "pacing rhythm"),
    "284470004": ("PAC", "premature atrial contraction"),
    "427172004": ("PVC", "premature ventricular contractions"),
    "164947007": ("LPR", "prolonged pr interval"),
    "111975006": ("LQT", "prolonged qt interval"),
    "164917005": ("QAb", "qwave abnormal"),
    "47665007": ("RAD", "right axis deviation"),
    "59118001": ("RBBB", "right bundle branch block"),
    "427393009": ("SA", "sinus arrhythmia"),
    "426177001": ("SB", "sinus bradycardia"),
    "426783006": ("NSR", "sinus rhythm"),
    "427084000": ("STach", "sinus tachycardia"),
    "63593006": ("SVPB", "supraventricular premature beats"),
    "164934002": ("TAb", "t wave abnormal"),
    "59931005": ("TInv", "t wave inversion"),
    "17338001": ("VPB", "ventricular premature beats"),
}

# The letters that a record's name begins with: the database it comes from.
DATABASES: dict[str, str] = {
    "A": "CPSC",
    "Q": "CPSC-Extra",
    "I": "INCART",
    "S": "PTB",
    "HR": "PTB-XL",
    "E": "G12EC",
    "JS": "Chapman-Ningbo",
}

# What a WFDB format writes where a sample is missing (signal(5)); -32768 for those not named here.
_MISSING_SAMPLE = {"80": -128, "508": -128, "310": -512, "311": -512, "212": -2048}
_MISSING_SAMPLE |= {"24": -(2**23), "524": -(2**23), "32": -(2**31)}

# ---- headers ---------------------------------------------------------------------------------------------------------


def load_header(header_file: str | os.PathLike[str]) -> str:
    """The text of a header: UTF-8, else Latin-1, without byte order mark. Raises RecordingError if it can't be read."""
    data = read_file(header_file, LONGEST_HEADER + 1)
    if len(data) > LONGEST_HEADER:
        raise problem(header_file, f"a header of at most {LONGEST_HEADER} bytes", "more")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_header(header_file: str | os.PathLike[str]) -> Header:
    """Read and parse a header file. Raises RecordingError for everything wrong with it."""
    return parse_header(load_header(header_file), os.fspath(header_file))


# ---- signals ---------------------------------------------------------------------------------------------------------


def read_recording(header_file: str | os.PathLike[str]) -> tuple[Header, np.ndarray]:
    """Read a header and the recording it describes.

    The signal file is the one that the header names, in the header's folder; where that is absent, the file with the
    header file's own name and `.mat`, then `.dat`.

    Parameters
    ----------
    header_file : path
        The `.hea` file.

    Returns
    -------
    header : Header
    recording : ndarray, shape (12, n_samples), float32, mV
        As of `to_millivolts`.

    Raises
    ------
    RecordingError
        For everything wrong with either file, for recordings of less than one second, and for those without any signal
        (each lead has one value all the time, or none).
    """
    path = Path(header_file)
    text = load_header(path)
    header = parse_header(text, str(path))
    files = {name: path.with_name(name) for name in dict.fromkeys(header.file_names)}
    if not any(map(os.path.lexists, files.values())):
        own = [path.with_suffix(suffix) for suffix in (".mat", ".dat") if os.path.lexists(path.with_suffix(suffix))]
        files = dict.fromkeys(files, own[0]) if own else files
    first = files[header.file_names[0]]
    raw = load_mat(first, header) if first.suffix.lower() == ".mat" else load_dat(text, str(path), files)
    if raw.shape[1] < header.sampling_frequency:
        raise problem(first, f"at least 1 s ({header.sampling_frequency:g} samples)", f"{raw.shape[1]} samples")
    millivolts = to_millivolts(raw, header, path)
    if not any(np.fmax.reduce(lead) > np.fmin.reduce(lead) for lead in millivolts):  # they pass over NaN
        raise problem(first, "a signal", "no lead that ever changes")
    return header, millivolts


def describe_failure(header_file: str | os.PathLike[str], error: Exception) -> str:
    """A sentence on why a recording could not be used, which names the recording whatever file the error is about."""
    text = str(error) if isinstance(error, RecordingError) else f"{type(error).__name__}: {error}"
    return text if text.startswith(os.fspath(Path(header_file).with_suffix(""))) else f"{header_file}: {text}"


def to_millivolts(recording: np.ndarray, header: Header, source: object = None) -> np.ndarray:
    """Convert ADC units to mV and put the leads in order.

    Parameters
    ----------
    recording : ndarray, shape (n_signals, n_samples), real
        Raw ADC units, in the header's order. Samples are missing where they are not finite or have the value by which
        the lead's WFDB format says so (-32768 for 16-bit formats and MATLAB files).
    header : Header
        Of this recording.
    source : object
        What errors name, the recording's id if None.

    Returns
    -------
    ndarray, shape (12, n_samples), float32, mV
        In the order of `LEADS`; NaN where a sample is missing, a whole row of NaN where the lead is missing. Other
        signals are ignored.

    Raises
    ------
    RecordingError
        Where the number of signals is not the header's, where none of the twelve leads is there, or where one is there
        twice with different samples.
    """
    name = source or header.recording_id
    if recording.ndim != 2 or recording.shape[0] != len(header.leads):
        raise problem(name, f"{len(header.leads)} signals ({', '.join(header.leads)})", f"shape {recording.shape}")
    if not set(LEADS) & set(header.leads):
        raise problem(name, f"some of the leads {', '.join(LEADS)}", shown(", ".join(header.leads)))
    millivolts = np.full((len(LEADS), recording.shape[1]), np.nan, dtype=np.float32)
    for i, lead in enumerate(header.leads):
        if lead not in LEADS:
            continue
        row = _convert(recording[i], header.adc_gains[i], header.baselines[i], header.formats[i])
        if lead in header.leads[:i] and not np.array_equal(row, millivolts[LEADS.index(lead)], equal_nan=True):
            raise problem(name, f"lead {lead} once", "it twice with different samples")
        millivolts[LEADS.index(lead)] = row
    return millivolts


def _convert(raw: np.ndarray, gain: float, baseline: float, format_: str) -> np.ndarray:
    """One lead from ADC units to float32 mV."""
    marker = _MISSING_SAMPLE.get(re.split(r"\D", format_)[0], -32768)
    missing = raw == marker
    if marker > -32768:  # a MATLAB copy of a record in a narrow format marks missing samples in the 16-bit way
        missing |= raw == -32768
    with np.errstate(over="ignore", invalid="ignore"):
        millivolts: np.ndarray = ((raw.astype(np.float64) - baseline) / gain).astype(np.float32)
    millivolts[missing | ~np.isfinite(millivolts)] = np.nan
    return millivolts


# ---- finding and writing files ---------------------------------------------------------------------------------------


def find_headers(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the paths of the headers in a folder and below, sorted in each folder, headers before subfolders.

    What is hidden is skipped. Links to folders are followed, but each folder is entered once, so that loops end.
    """
    return _find_headers(os.fspath(folder), set(), with_absent=False)


def find_recordings(folder: str | os.PathLike[str]) -> Iterator[str]:
    """As `find_headers`, and in each folder also the paths of headers that are absent though their `.mat` is there."""
    return _find_headers(os.fspath(folder), set(), with_absent=True)


def _find_headers(folder: str, entered: set[tuple[int, int]], with_absent: bool) -> Iterator[str]:
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in entered:
        return
    entered.add((status.st_dev, status.st_ino))
    headers, folders = _list_folder(folder, with_absent)
    start = os.path.join(folder, "")
    for name in headers:
        yield start + name
    for name in folders:
        yield from _find_headers(os.path.join(folder, name), entered, with_absent)


def _list_folder(folder: str, with_absent: bool) -> tuple[list[str], list[str]]:
    """Names of the headers and of the folders in a folder, sorted."""
    headers, folders, signal_files = [], [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                folders.append(entry.name)
            elif entry.name.endswith(".hea"):
                headers.append(entry.name)
            elif with_absent and entry.name.endswith(".mat"):
                signal_files.append(entry.name)
    absent = {name.removesuffix(".mat") + ".hea" for name in signal_files}.difference(headers)
    return sorted([*headers, *absent]), sorted(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False


def find_challenge_files(
    data_directory: str | os.PathLike[str], recursive: bool = False
) -> tuple[list[str], list[str]]:
    """Paths of the headers that have a recording (`.mat`, else `.dat`) of their name beside them, and of these.

    Sorted. One flat folder as in the Challenge; with `recursive` those below it too.
    """
    folder = os.fspath(data_directory)
    flat = (os.path.join(folder, name) for name in sorted(os.listdir(folder)) if re.fullmatch(r"[^.].*\.hea", name))
    header_files, recording_files = [], []
    for header_file in find_headers(folder) if recursive else flat:
        root = header_file.removesuffix(".hea")
        recordings = [root + suffix for suffix in (".mat", ".dat") if os.path.isfile(root + suffix)]
        if recordings and os.path.isfile(header_file):
            header_files.append(header_file)
            recording_files.append(recordings[0])
    return header_files, recording_files


def get_database(recording_id: str) -> str:
    """The database that a record's name belongs to ("HR00001": "PTB-XL"), or "unknown"."""
    match = re.match(r"([A-Z]+)\d", recording_id, re.ASCII)
    return DATABASES.get(match[1], "unknown") if match else "unknown"


def write_file(path: str | os.PathLike[str], data: str | bytes | memoryview) -> None:
    """Write a file whole or not at all: a temporary file in the same folder, to the disk, renamed. Text as UTF-8.

    Raises
    ------
    OSError
        Where it can't be written; it names the file itself, not the temporary one.
    """
    # Not tempfile.mkstemp: nobody else can read its files, and the outputs are for others to read.
    temporary = Path(path).with_name(f".{uuid.uuid4().hex}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, f"can't be written: {error.strerror}", os.fspath(path)) from error
    finally:
        # A folder that has become read-only would raise here, over the error that says so.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove temporary files of `write_file` that a kill left in a folder; those of the last minute may live."""
    for file in Path(folder).glob(".*.part"):
        if re.fullmatch(r"\.[0-9a-f]{32}\.part", file.name) and time.time() - file.stat().st_mtime > 60:
            file.unlink(missing_ok=True)


# ---- the 2021 helper's names -----------------------------------------------------------------------------------------


def is_number(x: object) -> bool:
    """Whether x is a number or the text of one, NaN and infinity included."""
    try:
        float(x)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def is_finite_number(x: object) -> bool:
    """Whether x is a finite number or the text of one."""
    return is_number(x) and math.isfinite(float(x))  # type: ignore[arg-type]


def is_integer(x: object) -> bool:
    """Whether x is a whole number or the text of one ("2.0" is)."""
    return is_number(x) and float(x).is_integer()  # type: ignore[arg-type]


def sort_leads(leads: Sequence[str]) -> tuple[str, ...]:
    """The twelve leads that are among `leads`, in standard order, then the others in their order."""
    return tuple(lead for lead in LEADS if lead in leads) + tuple(lead for lead in leads if lead not in LEADS)


def load_recording(
    recording_file: str | os.PathLike[str],
    header: str | None = None,
    leads: Sequence[str] | None = None,
    key: str = "val",
) -> np.ndarray:
    """The raw recording, (n_signals, n_samples), ADC units.

    With the header's text it is checked against that; with `leads` too, it is cut down to these by `choose_leads`. A
    WFDB file needs the header's text, or the header file beside it.
    """
    path = Path(recording_file)
    if path.suffix.lower() == ".mat":
        recording = load_mat(path, parse_header(header) if header else None, key)
    else:
        text = header or load_header(path.with_suffix(".hea"))
        recording = load_dat(text, "header", dict.fromkeys(parse_header(text).file_names, path))
    # What comes out of a file's bytes can't be changed in place, and callers may want to.
    return choose_leads(recording, header, leads) if header and leads else np.require(recording, requirements="W")


def choose_leads(recording: np.ndarray, header: str, leads: Sequence[str]) -> np.ndarray:
    """The rows of these leads in this order, (len(leads), n_samples), zeros where the header does not have the lead."""
    available = get_leads(header)
    chosen = np.zeros((len(leads), recording.shape[1]), recording.dtype)
    for i, lead in enumerate(leads):
        if lead in available:
            chosen[i] = recording[available.index(lead)]
    return chosen


def get_recording_id(header: str) -> str:
    """The record's name, without a trailing `.mat`."""
    return parse_header(header).recording_id


def get_leads(header: str) -> tuple[str, ...]:
    """The leads in file order."""
    return parse_header(header).leads


def get_num_leads(header: str) -> int:
    """The number of signals."""
    return len(parse_header(header).leads)


def get_frequency(header: str) -> float:
    """The sampling frequency, Hz."""
    return parse_header(header).sampling_frequency


def get_num_samples(header: str) -> int | None:
    """The number of samples per lead, None where the header does not say."""
    return parse_header(header).n_samples


def get_adc_gains(header: str, leads: Sequence[str]) -> np.ndarray:
    """ADC units per mV of these leads, float64 (len(leads),), NaN where the header does not have the lead."""
    parsed = parse_header(header)
    return _of_leads(parsed.adc_gains, parsed.leads, leads)


def get_baselines(header: str, leads: Sequence[str]) -> np.ndarray:
    """ADC units at 0 mV of these leads, float64 (len(leads),), NaN where the header does not have the lead."""
    parsed = parse_header(header)
    return _of_leads(parsed.baselines, parsed.leads, leads)


def _of_leads(values: Sequence[float], available: Sequence[str], leads: Sequence[str]) -> np.ndarray:
    return np.array([values[available.index(lead)] if lead in available else math.nan for lead in leads])


def get_age(header: str) -> float:
    """Years, NaN where unknown."""
    return parse_header(header).age


def get_sex(header: str) -> str:
    """Female, Male or Unknown."""
    return parse_header(header).sex


def get_labels(header: str) -> list[str]:
    """The codes of the Dx line."""
    return list(parse_header(header).labels)


def save_outputs(
    output_file: str | os.PathLike[str],
    recording_id: str,
    classes: Sequence[str],
    labels: Sequence[int] | Sequence[bool] | np.ndarray,
    probabilities: Sequence[float] | np.ndarray,
) -> None:
    """Write one recording's output in the Challenge's format: lines of `#id`, classes, labels, scores.

    Labels are written as 0 and 1, because the 2020 scorer takes "1.0" for negative; scores with the fewest digits that
    read back as the same float32. All three may be empty (a recording that failed).

    Raises
    ------
    ValueError
        For lengths that differ, labels other than 0 and 1, scores that are not finite, names with commas or line ends.
    """
    if not len(classes) == len(labels) == len(probabilities):
        raise problem(output_file, f"{len(classes)} labels and scores", f"{len(labels)} and {len(probabilities)}")
    for name in (recording_id, *classes):
        if re.search(r"[\r\n,]", name):
            raise problem(output_file, "names without commas and line ends", shown(name))
    for label in labels:
        if label not in (0, 1):
            raise problem(output_file, "labels 0 and 1", label)
    scores = np.asarray(probabilities, dtype=np.float32)
    if not np.isfinite(scores).all():
        raise problem(output_file, "finite scores", scores[~np.isfinite(scores)][0])
    fields = (classes, (str(int(label)) for label in labels), (np.format_float_positional(x, trim="-") for x in scores))
    write_file(output_file, "".join(f"{line}\n" for line in (f"#{recording_id}", *map(",".join, fields))))


def load_outputs(
    output_file: str | os.PathLike[str],
) -> tuple[str, tuple[str, ...], tuple[int, ...], tuple[float, ...]]:
    """Read an output file: recording id, classes, labels (0 or 1), scores.

    Labels may be written in all the ways that the 2020 and 2021 scorers know; a score may be NaN.

    Raises
    ------
    ValueError
        Where it is not an output file; the message names the file.
    """
    lines = [line.strip() for line in load_header(output_file).splitlines()]
    if len(lines) < 4 or not lines[0].startswith("#"):
        raise problem(output_file, "'#id' and lines of classes, labels and scores", f"{len(lines)} lines")
    classes, labels, scores = ([field.strip() for field in line.split(",")] if line else [] for line in lines[1:4])
    if not len(classes) == len(labels) == len(scores):
        raise problem(output_file, f"{len(classes)} labels and scores", f"{len(labels)} and {len(scores)}")
    values = {"1": 1, "1.0": 1, "true": 1, "t": 1, "0": 0, "0.0": 0, "false": 0, "f": 0}
    for label in labels:
        if label.lower() not in values:
            raise problem(output_file, "labels 0 and 1", shown(label))
    for score in scores:
        if not is_number(score):
            raise problem(output_file, "numbers as scores", shown(score))
    return lines[0][1:].strip(), tuple(classes), tuple(values[x.lower()] for x in labels), tuple(map(float, scores))
