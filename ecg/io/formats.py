"""All formats that ECGs come in: which one a file is, by its content, and which files of a folder are recordings."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ecg.arrays import Array
from ecg.io.device_statements import StatementTable
from ecg.io.device_words import measurements_of
from ecg.io.errors import RecordingError, problem, shown
from ecg.io.files import StrPath, is_dangling, read_file
from ecg.io.folders import is_header, walk
from ecg.io.header import load_header, read_header
from ecg.io.readers.aecg import is_aecg, read_aecg
from ecg.io.readers.cardiosoft import is_cardiosoft, read_cardiosoft
from ecg.io.readers.dicom import is_dicom, read_dicom
from ecg.io.readers.edf import is_edf, read_edf
from ecg.io.readers.ishne import is_ishne, read_ishne
from ecg.io.readers.kardia import is_kardia, read_kardia
from ecg.io.readers.mfer import is_mfer, read_mfer
from ecg.io.readers.mortara import is_mortara, read_mortara
from ecg.io.readers.muse import is_muse, read_muse
from ecg.io.readers.philips import is_philips, read_philips
from ecg.io.readers.schiller import is_schiller, read_schiller
from ecg.io.readers.scp_ecg import is_scp_ecg, read_scp_ecg
from ecg.io.readers.tables import TABLE_SUFFIXES, is_sidecar, is_table, read_table
from ecg.io.readers.xml_files import root_name
from ecg.io.recording import Recording, read_recording, require_signal, to_millivolts
from ecg.io.stored import DeviceReport, Stored, make_header
from ecg.leads import LEADS

START = 4096  # bytes by which a format is told
CHALLENGE = "Challenge"  # the format of a header with its signal file


@dataclass(frozen=True)
class Format:
    """A format."""

    name: str  # for people
    # By which a folder's files are taken for recordings; which format it is the content tells.
    suffixes: tuple[str, ...]
    is_it: Callable[[bytes], bool]  # whether a file that begins with these bytes (up to `START`) is of this format
    # From a path to a `Stored`; RecordingError for everything wrong with the file.
    read: Callable[[StrPath], Stored]


# In the order in which they are tried; none takes what is another's.
FORMATS: tuple[Format, ...] = (
    Format("DICOM", (".dcm", ".dicom"), is_dicom, read_dicom),
    Format("SCP-ECG", (".scp",), is_scp_ecg, read_scp_ecg),
    Format("EDF", (".edf", ".bdf"), is_edf, read_edf),
    Format("ISHNE Holter", (".ecg",), is_ishne, read_ishne),
    Format("GE MUSE XML", (".xml",), is_muse, read_muse),
    Format("Philips SierraECG XML", (".xml",), is_philips, read_philips),
    Format("HL7 aECG", (".xml", ".aecg"), is_aecg, read_aecg),
    Format("GE CardioSoft XML", (".xml",), is_cardiosoft, read_cardiosoft),
    Format("Schiller XML", (".xml",), is_schiller, read_schiller),
    Format("Mortara ELI XML", (".xml",), is_mortara, read_mortara),
    Format("MFER", (".mwf", ".mfer", ".mfr"), is_mfer, read_mfer),
    Format("AliveCor Kardia JSON", (".json",), is_kardia, read_kardia),
    Format("table of samples", TABLE_SUFFIXES, is_table, read_table),
)
SUFFIXES: tuple[str, ...] = tuple(dict.fromkeys(suffix for one in FORMATS for suffix in one.suffixes))
# What else has these suffixes, or none, is no recording: it is taken for one only if its content is.
_COMMON_SUFFIXES = ("", ".json", *TABLE_SUFFIXES)
_PICTURE_SUFFIXES = (".pdf", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif")
_PICTURES = {b"%PDF-": "PDF", b"\x89PNG\r\n": "PNG", b"\xff\xd8\xff": "JPEG", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_PICTURES |= {b"BM": "BMP", b"GIF8": "GIF"}
# What stands in a data set that was cloned and not fetched.
_POINTER = re.compile(rb"\.?(?:\./|\.\./|/)*(?:\.git/)?annex/objects/|version https://git-lfs\.github\.com/")


def format_of(path: StrPath) -> Format | None:
    """The format of a file by its first bytes; None where it is none of `FORMATS`. RecordingError if unreadable."""
    start = read_file(path, START)
    return next((one for one in FORMATS if one.is_it(start)), None)


def _picture_kind(start: bytes) -> str | None:
    """The kind of picture that a file is which begins like this ("PDF", "PNG", ...); None where it is none."""
    return next((kind for magic, kind in _PICTURES.items() if start.startswith(magic)), None)


def _describe_unknown(start: bytes) -> str:
    """What a file is that begins like this and is of no known format; "" where that can't be told."""
    if not start:
        return "an empty file"
    if kind := _picture_kind(start):
        return f"a picture ({kind}), not a signal: digitise it first"
    if _POINTER.match(start):
        return "a pointer of git-annex or Git LFS: its content was not fetched"
    if name := root_name(start):
        return f"XML with the root element {shown(name)}"
    return ""


def read_any(path: StrPath) -> Stored:
    """Read a recording in any of `FORMATS`, or Challenge files by their header (`.hea`).

    Raises RecordingError for everything wrong with it, for unknown formats, and where another file of the folder would
    give a recording of the same name.
    """
    path = Path(path)
    if is_header(path):
        return read_challenge(path)
    kind = format_of(path)
    if kind is None and path.suffix.lower() in TABLE_SUFFIXES and not _describe_unknown(read_file(path, START)):
        kind = FORMATS[-1]  # it says what is wrong with the table
    if kind is None:
        if path.suffix.lower() == ".json" and is_sidecar(path):
            raise problem(path, f"the table that it describes ({path.stem}.csv or the like) beside it", "none")
        expected = "an ECG (" + ", ".join(one.name for one in FORMATS) + ")"
        # Not the first bytes, as elsewhere: they may be a patient's name.
        raise problem(path, expected, _describe_unknown(read_file(path, START)) or "another content")
    suffixes = (".hea", *SUFFIXES, *map(str.upper, SUFFIXES))
    siblings = [path.with_name(path.stem + suffix) for suffix in suffixes]
    if others := [one.name for one in siblings if one.name != path.name and is_recording(one)]:
        raise problem(path, f"one recording named {path.stem} in its folder", f"{', '.join(others)} beside it")
    return kind.read(path)


def read_challenge(header_file: StrPath) -> Stored:
    """Read Challenge files: the twelve leads in ADC units, and what `ecg convert` wrote of the device's report.

    Raises RecordingError as of `read_recording`.
    """
    path = Path(header_file)
    header, millivolts = read_recording(path)
    at = {lead: header.leads.index(lead) for lead in header.leads if lead in LEADS}
    gains = np.array([[header.adc_gains[i]] for i in at.values()])
    baselines = np.array([[header.baselines[i]] for i in at.values()])
    rows = millivolts[[LEADS.index(lead) for lead in at]].astype(np.float64)
    units = rows * gains + baselines  # float32 mV are exact enough for integers of 23 bits
    missing = np.isnan(units)
    whole = np.rint(np.where(missing, 0, units))
    if np.abs(np.where(missing, 0, units) - whole).max() > 0.01 or np.abs(whole).max() >= 2**23:
        samples: Array = rows
        gains, baselines = np.ones_like(gains), np.zeros_like(baselines)
    else:
        kind = np.int16 if np.abs(whole).max() < 2**15 else np.int32
        samples = np.where(missing, np.iinfo(kind).min, whole).astype(kind)
    scale = gains[:, 0].tolist(), baselines[:, 0].tolist()
    new = make_header(path, list(at), header.sampling_frequency, samples, *scale, age=header.age, sex=header.sex)
    device, notes = _said_in(load_header(path))
    header = replace(new, labels=header.labels, notes=(*header.notes, *notes))
    return Stored(header, samples, device)


def _said_in(text: str) -> tuple[DeviceReport, tuple[str, ...]]:
    """The device's report and the notes that `ecg convert` wrote into the comments of a header."""
    said = re.findall(r"^# ?(Measurement|Statement|Note): (.*\S)", text, re.MULTILINE)
    measured = (value.partition(" ") for kind, value in said if kind == "Measurement")
    device = DeviceReport(
        measurements=measurements_of((name, number) for name, _, number in measured),
        statements=tuple(value for kind, value in said if kind == "Statement"),
    )
    return device, tuple(value for kind, value in said if kind == "Note")


def is_recording(path: StrPath) -> bool:
    """Whether a file is one that a scan of its folder takes for a recording.

    By its suffix: a Challenge header, or one of `SUFFIXES`. Tables of samples, JSON files and files without a suffix
    are taken only if their content is of a known format; tables also where a sidecar stands beside them.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (*_COMMON_SUFFIXES, ".hea", *SUFFIXES):
        return False
    if is_dangling(path):
        return suffix != ""
    if not path.is_file():
        return False
    if suffix not in _COMMON_SUFFIXES or (suffix in TABLE_SUFFIXES and path.with_suffix(".json").is_file()):
        return True
    try:
        kind = format_of(path)
    except RecordingError:
        return False
    return kind is not None if suffix else kind not in (None, FORMATS[-1])


def find_recordings(folder: StrPath) -> Iterator[str]:
    """Yield the paths of the recordings in a folder and below, sorted in each folder, files before subfolders.

    Of Challenge recordings it is the header's path (`.hea`, also of an absent one whose `.mat` or `.dat` is there);
    else files of which `is_recording` holds. Of several files that would give a recording of the same name a Challenge
    header is taken and the rest passed over; without one the first is taken, and `read_any` refuses it and names the
    others.

    So that nothing is left out without a word, these are given too, and `read_any` says what is wrong with them: links
    that lead nowhere, sidecars without their table, pictures (scanned pages) without a recording of their name. What is
    hidden is passed over. Links to folders are followed, each folder once. All else is what `find_ignored` gives.
    """
    for place, files in walk(folder):
        for name in sorted(_recordings_in(place, files).values()):
            yield os.path.join(place, name)


def find_ignored(folder: StrPath) -> Iterator[str]:
    """Yield the paths of the files that belong to no recording in a folder and below: texts, archives and the like."""
    for place, files in walk(folder):
        taken = _recordings_in(place, files)
        rest = [name for name in files if os.path.splitext(name)[0] not in taken]
        signals = _signal_files(place, files) if rest else ()
        yield from (os.path.join(place, name) for name in rest if name.lower() not in signals)


def _recordings_in(place: str, files: list[str]) -> dict[str, str]:
    """The files of one folder that `find_recordings` gives, by their names without suffix."""
    parts = [(name, *os.path.splitext(name)) for name in files]
    names = {stem: name for name, stem, _ in parts if is_header(name)}
    for _, stem, suffix in parts:
        if suffix.lower() == ".mat":
            names.setdefault(stem, f"{stem}.hea")
    others = [(name, stem) for name, stem, _ in parts if stem not in names]
    for name, stem in others:
        if stem not in names and is_recording(os.path.join(place, name)):
            names[stem] = name
    for name, stem in others:
        if stem not in names and _is_unread(Path(place, name)):
            names[stem] = name
    lost = [(name, stem) for name, stem in others if stem not in names and name.lower().endswith(".dat")]
    signals = _signal_files(place, files) if lost else ()
    return names | {stem: f"{stem}.hea" for name, stem in lost if name.lower() not in signals}


def _is_unread(path: Path) -> bool:
    """Whether a file is a sidecar or a picture; of those with a recording of their name nobody asks."""
    suffix = path.suffix.lower()
    if suffix not in (".json", *_PICTURE_SUFFIXES):
        return False
    try:
        return is_sidecar(path) if suffix == ".json" else _picture_kind(read_file(path, START)) is not None
    except RecordingError:
        return False


def _signal_files(place: str, files: list[str]) -> set[str]:
    """Names, in lower case, of the signal files that the headers of a folder name."""
    names: set[str] = set()
    for name in filter(is_header, files):
        try:
            names.update(file.rpartition("/")[2].lower() for file in read_header(os.path.join(place, name)).file_names)
        except RecordingError:  # is said where the recording is read
            continue
    return names


def read(path: StrPath, statements: StatementTable | None = None) -> Recording:
    """Read a recording, whose path is one that `find_recordings` gives, in any format.

    `statements` adds the codes of the device's statements to the labels (not of Challenge files, whose labels are
    codes). Raises RecordingError as of `read_any` and `read_recording`.
    """
    path = Path(path)
    if is_header(path):
        header, millivolts = read_recording(path)
        device, notes = _said_in(load_header(path))
        header, name = replace(header, notes=(*header.notes, *notes)), CHALLENGE
    else:
        stored = read_any(path)
        kind = format_of(path)
        header, device, name = stored.header, stored.device, kind.name if kind else CHALLENGE
        if statements is not None:
            codes = [code for each in device.statements for code in statements.codes_of(each) or ()]
            header = replace(header, labels=tuple(dict.fromkeys([*header.labels, *codes])))
        millivolts = to_millivolts(stored.samples, header, path)
        require_signal(millivolts, path)
    facts = (header.age, header.sex, header.labels, device, header.notes, name, path)
    return Recording(millivolts, header.sampling_frequency, path.stem, *facts)
