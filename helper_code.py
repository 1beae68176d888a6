"""Challenge files in and out: find recordings, parse headers, read signals in mV, write and read the output files.

Made for the files of the PhysioNet/CinC Challenges 2020 and 2021: a WFDB header (`.hea`) beside a MATLAB file (`.mat`,
levels 4 and 5, variable `val`) or a WFDB signal file (`.dat`, any format). All that is wrong with such a file becomes a
`RecordingError` whose message names the file, what was expected and what was found.

The names from `is_number` on have the meaning that they have in the 2021 Challenge's helper code.
"""

from __future__ import annotations

import codecs
import math
import os
import re
import struct
import sys
import tempfile
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

# "np", "os" and "sys" are here because the organisers' scripts get them through `from helper_code import *`.
__all__ = [  # noqa: RUF022 (by subject, not by letter)
    "LEADS", "twelve_leads", "six_leads", "four_leads", "three_leads", "two_leads", "lead_sets", "sort_leads",
    "SCORED_CLASSES", "DATABASES", "get_database",
    "Header", "RecordingError", "parse_header", "read_header", "read_recording", "to_millivolts",
    "find_headers", "find_challenge_files", "load_header", "load_recording", "choose_leads",
    "get_recording_id", "get_leads", "get_num_leads", "get_frequency", "get_num_samples", "get_adc_gains",
    "get_baselines", "get_age", "get_sex", "get_labels",
    "write_file", "save_outputs", "load_outputs", "is_number", "is_finite_number", "is_integer", "np", "os", "sys",
]  # fmt: skip

LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
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

# Hz. The methods are made for 100 to 1000; a figure outside these bounds is a broken header, not an ECG.
LOWEST_FREQUENCY, HIGHEST_FREQUENCY = 50.0, 5000.0
DEFAULT_GAIN = 200.0  # ADC units per mV where the header gives none (WFDB's rule, header(5))
LONGEST_HEADER = 1 << 20  # bytes; real ones have 1 or 2 kB


_STANDARD_NAMES = {lead.lower(): lead for lead in LEADS}
_MILLIVOLTS = {"": 1.0, "mv": 1.0, "uv": 1e-3, "\u00b5v": 1e-3, "\u03bcv": 1e-3, "v": 1e3}  # with both micro signs
# What a WFDB format writes where a sample is missing (signal(5)); -32768 for those not named here.
_MISSING_SAMPLE = {"80": -128, "508": -128, "310": -512, "311": -512, "212": -2048}
_MISSING_SAMPLE |= {"24": -(2**23), "524": -(2**23), "32": -(2**31)}

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RECORD_LINE = re.compile(rf"(\S+)\s+(\d{{1,6}})(?:\s+({_NUMBER})(?:/\S*)?)?(?:\s+(\d{{1,12}})(?!\S))?(?!\S)", re.ASCII)
_FORMAT = re.compile(r"\d{1,3}(?:x\d{1,3})?(?::\d{1,4})?(?:\+\d{1,9})?", re.ASCII)  # samples per frame, skew, offset
_GAIN = re.compile(rf"({_NUMBER})?(?:\(({_NUMBER})\))?(?:/(\S*))?", re.ASCII)
_COMMENT = re.compile(r"#\s*(age|sex|dx)\s*:(.*)", re.IGNORECASE | re.ASCII)

# What wfdb raises, by trial with random bytes, when a file is not what it says it is.
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError, RuntimeError)


class RecordingError(ValueError):
    """A header or recording that can't be used; the message names the file, what was expected, what was found."""


def _error(source: object, expected: str, found: object) -> RecordingError:
    """The error with its message in the one form that all of them have."""
    return RecordingError(f"{source}: expected {expected}, found {found}")


def _shown(text: str) -> str:
    """Text from a file, quoted and short enough for a message."""
    return repr(text if len(text) <= 80 else text[:77] + "...")


@dataclass(frozen=True)
class Header:
    """What a header says.

    Attributes
    ----------
    recording_id : str
        The record's name; a trailing `.mat`, `.dat` or `.hea` is dropped.
    sampling_frequency : float
        Hz.
    n_samples : int or None
        Per lead; None where the header does not say.
    leads : tuple of str
        In file order; the twelve leads in standard spelling, others as written.
    adc_gains, baselines : tuple of float
        ADC units per mV, and ADC units at 0 mV. The gain of a signal that is none of the twelve leads may be NaN.
    file_names, formats : tuple of str
        Per signal, as written ("A0001.mat", "16+24").
    age : float
        Years, 0 to 110; NaN where unknown. PTB-XL's 300 (90 or older) is 90.
    sex : str
        "Female", "Male" or "Unknown".
    labels : tuple of str
        SNOMED CT codes of the Dx line in their order, without empties and doubles.
    """

    recording_id: str
    sampling_frequency: float
    n_samples: int | None
    leads: tuple[str, ...]
    adc_gains: tuple[float, ...]
    baselines: tuple[float, ...]
    file_names: tuple[str, ...]
    formats: tuple[str, ...]
    age: float
    sex: str
    labels: tuple[str, ...]


class _Signal(NamedTuple):
    """One signal line."""

    lead: str
    gain: float
    baseline: float
    file_name: str
    format: str
    numbers: tuple[str, ...]  # those that are there of ADC resolution, ADC zero, initial value, checksum, block size


# ---- headers ---------------------------------------------------------------------------------------------------------


def parse_header(text: str, source: str = "header") -> Header:
    """Parse the text of a header, in any dialect of the 2020 and 2021 Challenges.

    Lines are told apart by what they are, never by their number: those with `#` are comments, the first other one is
    the record line, the rest are signal lines. Dates are ignored. By WFDB's rules (header(5)) an absent gain means 200
    ADC units per mV, absent units mean mV, and a baseline not given in parentheses is the ADC zero field, or else 0.
    Unlike in WFDB, a gain of zero and a missing sampling frequency are errors: their defaults would be guesses.

    Parameters
    ----------
    text : str
        The header.
    source : str
        What error messages call it, usually its path.

    Raises
    ------
    RecordingError
        Where the text is not a header of a single-segment recording that can be used.
    """
    record_line, signal_lines, comments = _split_header(text, source)
    match = _RECORD_LINE.match(record_line)
    if match is None or match[3] is None:
        raise _error(source, "a record line with a sampling frequency such as 'A0001 12 500 5000'", _shown(record_line))
    name, n_signals, frequency, n_samples = match[1], int(match[2]), float(match[3]), int(match[4] or 0) or None
    if re.fullmatch(r".*/\d+", name):
        raise _error(source, "a record of one segment", f"the multi-segment record {_shown(name)}")
    _check_bare_name(name, "record name", source)
    if n_signals == 0 or n_signals != len(signal_lines):
        raise _error(source, f"{max(n_signals, 1)} signal lines", len(signal_lines))
    if not LOWEST_FREQUENCY <= frequency <= HIGHEST_FREQUENCY:
        bounds = f"{LOWEST_FREQUENCY:g} to {HIGHEST_FREQUENCY:g} Hz (the methods are made for 100 to 1000 Hz)"
        raise _error(source, f"a sampling frequency of {bounds}", f"{frequency:g} Hz")
    signals = [_parse_signal_line(line, source) for line in signal_lines]
    leads, gains, baselines, file_names, formats, _ = zip(*signals, strict=True)
    age, sex = comments["age"][0] if comments["age"] else "", comments["sex"][0].lower() if comments["sex"] else ""
    return Header(
        recording_id=re.sub(r"\.(mat|dat|hea)$", "", name, flags=re.IGNORECASE),
        sampling_frequency=frequency,
        n_samples=n_samples,
        leads=leads,
        adc_gains=gains,
        baselines=baselines,
        file_names=file_names,
        formats=formats,
        age=_clean_age(float(age)) if is_finite_number(age) else math.nan,
        sex={"f": "Female", "female": "Female", "m": "Male", "male": "Male"}.get(sex, "Unknown"),
        # What is not a number ("Unknown") is no SNOMED CT code.
        labels=tuple(dict.fromkeys(re.findall(r"(?<![^,;\s])\d+(?![^,;\s])", ",".join(comments["dx"]), re.ASCII))),
    )


def _split_header(text: str, source: str) -> tuple[str, list[str], dict[str, list[str]]]:
    """Record line, signal lines, and the values of the comments that matter."""
    content: list[str] = []
    comments: dict[str, list[str]] = {"age": [], "sex": [], "dx": []}
    # Not str.splitlines: it also cuts at characters such as \x85, which stand inside Latin-1 comments.
    for line in re.split(r"[\r\n]+", text.removeprefix("\ufeff")):
        line = line.strip()
        if line.startswith("#"):
            if match := _COMMENT.match(line):
                comments[match[1].lower()].append(match[2].strip())
        elif line:
            content.append(line)
    if not content:
        raise _error(source, "a record line", "none")
    return content[0], content[1:], comments


def _parse_signal_line(line: str, source: str) -> _Signal:
    """File name, format, gain(baseline)/units, up to five integers, description."""
    fields = line.split()
    if len(fields) < 2 or not _FORMAT.fullmatch(fields[1]):
        raise _error(source, "a signal line such as 'A0001.mat 16+24 1000/mV 16 0 0 0 0 I'", _shown(line))
    file_name, format_, *rest = fields
    _check_bare_name(file_name, "signal file name", source)
    # The lead may follow the format at once: then the gain is absent.
    gain_field = rest.pop(0) if rest and rest[0].lower() not in _STANDARD_NAMES else ""
    numbers: list[str] = []
    while rest and len(numbers) < 5 and re.fullmatch(r"-?\d{1,12}", rest[0], re.ASCII):
        numbers.append(rest.pop(0))
    lead = " ".join(rest)
    lead = _STANDARD_NAMES.get(lead.lower(), lead)
    match = _GAIN.fullmatch(gain_field)
    gain = baseline = math.nan
    if match is not None:
        gain = float(match[1] or DEFAULT_GAIN) / _MILLIVOLTS.get((match[3] or "").lower(), math.nan)
        baseline = float(match[2] or (numbers[1] if len(numbers) > 1 else 0))
    if gain == 0 or not math.isfinite(gain) or not math.isfinite(baseline):
        if lead in LEADS:
            raise _error(source, f"a non-zero gain such as 1000/mV for lead {lead}", _shown(gain_field))
        gain = baseline = math.nan  # a breathing or pressure channel, which nobody asks for
    return _Signal(lead, gain, baseline, file_name, format_, tuple(numbers))


def _check_bare_name(name: str, what: str, source: str) -> None:
    """Refuse names that lead out of the header's folder: they become paths."""
    if not name.isprintable() or re.search(r"[/\\]", name) or name in (".", "..") or len(name) > 200:
        raise _error(source, f"a {what} without a folder", _shown(name))


def _clean_age(years: float) -> float:
    """Into 0 to 110, with PTB-XL's 300 as 90; NaN where negative."""
    return math.nan if years < 0 else 90.0 if years == 300 else min(years, 110.0)


def load_header(header_file: str | os.PathLike[str]) -> str:
    """The text of a header: UTF-8, else Latin-1, without byte order mark. Raises RecordingError if it can't be read."""
    with _open_file(Path(header_file)) as file:
        data = file.read(LONGEST_HEADER + 1)
    if len(data) > LONGEST_HEADER:
        raise _error(header_file, f"a header of at most {LONGEST_HEADER} bytes", "more")
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
        For everything wrong with either file, and for recordings of less than one second.
    """
    path = Path(header_file)
    text = load_header(path)
    header = parse_header(text, str(path))
    files = {name: path.with_name(name) for name in header.file_names}
    if not any(map(os.path.lexists, files.values())):
        own = [path.with_suffix(suffix) for suffix in (".mat", ".dat") if os.path.lexists(path.with_suffix(suffix))]
        files = dict.fromkeys(files, own[0]) if own else files
    first = files[header.file_names[0]]
    raw = _load_mat(first, header) if first.suffix.lower() == ".mat" else _load_dat(text, str(path), files)
    if raw.shape[1] < header.sampling_frequency:
        raise _error(first, f"at least 1 s ({header.sampling_frequency:g} samples)", f"{raw.shape[1]} samples")
    return header, to_millivolts(raw, header)


def to_millivolts(recording: np.ndarray, header: Header) -> np.ndarray:
    """Convert ADC units to mV and put the leads in order.

    Parameters
    ----------
    recording : ndarray, shape (n_signals, n_samples), real
        Raw ADC units, in the header's order. Samples are missing where they are not finite or have the value by which
        the lead's WFDB format says so (-32768 for 16-bit formats and MATLAB files).
    header : Header
        Of this recording.

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
    name = header.recording_id
    if recording.ndim != 2 or recording.shape[0] != len(header.leads):
        raise _error(name, f"{len(header.leads)} signals ({', '.join(header.leads)})", f"shape {recording.shape}")
    if not set(LEADS) & set(header.leads):
        raise _error(name, f"some of the leads {', '.join(LEADS)}", _shown(", ".join(header.leads)))
    millivolts = np.full((len(LEADS), recording.shape[1]), np.nan, dtype=np.float32)
    for i, lead in enumerate(header.leads):
        if lead not in LEADS:
            continue
        row = _convert(recording[i], header.adc_gains[i], header.baselines[i], header.formats[i])
        if lead in header.leads[:i] and not np.array_equal(row, millivolts[LEADS.index(lead)], equal_nan=True):
            raise _error(name, f"lead {lead} once", "it twice with different samples")
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


@contextmanager
def _open_file(path: Path) -> Iterator[BinaryIO]:
    """Open for reading; what the system has against it becomes RecordingError. Folders, pipes, devices are refused."""
    try:
        if not path.is_file():
            raise _error(path, "a file", "something else" if os.path.lexists(path) else "none")
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise _error(path, "a readable file", error.strerror or error) from error


def _load_mat(path: Path, header: Header | None, key: str = "val") -> np.ndarray:
    """The matrix `key` of a MATLAB file, (n_signals, n_samples), checked against the header before it is loaded.

    Levels 4 to 7.2 are read here, as far as matrices of real numbers go (MathWorks, MAT-File Format), and not by scipy:
    on damaged files scipy 1.17.1 loops for ever (level 4) or crashes the process (level 5).
    """
    with _open_file(path) as file:
        start = file.read(4)
        file.seek(0)
        if len(start) < 4:
            raise _error(path, "a MATLAB file", f"{len(start)} bytes")
        # A zero among the first four bytes is how MATLAB tells level 4 from level 5.
        shape, values = (_read_mat4 if 0 in start else _read_mat5)(file, path, header, key)
    stored = values.astype(values.dtype.newbyteorder("="), copy=False).reshape(shape, order="F")
    return stored.T if header is not None and shape[0] != len(header.leads) else stored


def _read_mat4(file: BinaryIO, path: Path, header: Header | None, key: str) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and values, column by column, of a matrix in a file of level 4."""
    size = os.fstat(file.fileno()).st_size
    while len(head := file.read(20)) == 20:
        order = "<" if 0 <= int.from_bytes(head[:4], "little", signed=True) < 5000 else ">"
        kind, n_rows, n_columns, is_complex, name_length = struct.unpack(f"{order}5i", head)
        digits = f"{kind:04d}"  # byte order, 0, type of number, kind of matrix
        if not re.fullmatch("[01]0[0-5][0-2]", digits) or min(n_rows, n_columns) < 0 or not 1 <= name_length <= 256:
            break
        name = file.read(name_length).rstrip(b"\0").decode("latin-1")
        dtype = np.dtype(order + ("f8", "f4", "i4", "i2", "u2", "u1")[int(digits[2])])
        n_bytes = n_rows * n_columns * dtype.itemsize * (2 if is_complex else 1)
        if n_bytes > size - file.tell():
            raise _error(path, f"{n_bytes} bytes for {n_rows} x {n_columns} samples", max(size - file.tell(), 0))
        if name == key:
            if is_complex or digits[3] != "0":
                raise _error(path, f"a matrix {key!r} of real numbers", "a complex, text or sparse one")
            _check_shape((n_rows, n_columns), header, path)
            return (n_rows, n_columns), np.fromfile(file, dtype, count=n_rows * n_columns)
        file.seek(n_bytes, os.SEEK_CUR)
    raise _error(path, f"a MATLAB file with a matrix {key!r}", "none")


def _read_mat5(file: BinaryIO, path: Path, header: Header | None, key: str) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and values, column by column, of a matrix in a file of level 5, compressed (level 7) or not."""
    head = file.read(128)
    order = {b"\0\1IM": "<", b"\1\0MI": ">"}.get(head[124:])
    if order is None:
        raise _error(path, "a MATLAB file of level 4 to 7.2", _shown(head[:20].decode("latin-1")))
    while len(tag := file.read(8)) == 8:
        kind, n_bytes = struct.unpack(f"{order}2I", tag)
        end = file.tell() + n_bytes
        take: Callable[[int], bytes] = file.read
        if kind == 15:  # compressed
            take = _inflating(file.read(n_bytes), path)
            kind, _ = struct.unpack(f"{order}2I", take(8).ljust(8))
        if kind != 14:  # no matrix
            break
        flags, dimensions, name = (_read_element(take, order, path)[1] for _ in range(3))
        if name.decode("latin-1") == key:
            (marks,) = struct.unpack(f"{order}I", flags[:4].ljust(4))
            if not 6 <= marks & 0xFF <= 15 or marks & 0xA00:  # double to uint64; neither complex nor logical
                others = {1: "cells", 2: "a struct", 3: "an object", 4: "text", 5: "a sparse one"}
                found = others.get(marks & 0xFF, "complex or logical ones")
                raise _error(path, f"a matrix {key!r} of real numbers", found)
            n_dimensions = len(dimensions) // 4
            shape = struct.unpack(f"{order}{n_dimensions}i", dimensions[: 4 * n_dimensions])
            _check_shape(shape, header, path)
            # Numbers may be stored in a smaller type than the matrix has in MATLAB.
            kind, values = _read_element(take, order, path, 8 * math.prod(shape))
            types = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
            if kind not in types or len(values) != math.prod(shape) * int(types[kind][1]):
                raise _error(path, f"{shape[0]} x {shape[1]} samples", f"{len(values)} bytes of type {kind}")
            return shape, np.frombuffer(values, order + types[kind])
        file.seek(end)
    raise _error(path, f"a MATLAB file with a matrix {key!r}", "none")


def _inflating(compressed: bytes, path: Path) -> Callable[[int], bytes]:
    """A function that gives the next n bytes of what is compressed, and inflates no more than that."""
    inflater = zlib.decompressobj()
    rest = compressed

    def take(n: int) -> bytes:
        nonlocal rest
        try:
            data = inflater.decompress(rest, n) if n else b""
        except zlib.error as error:
            raise _error(path, "compressed data", f"damage ({error})") from error
        rest = inflater.unconsumed_tail
        return data

    return take


def _read_element(take: Callable[[int], bytes], order: str, path: Path, most: int = 256) -> tuple[int, bytes]:
    """Type and content of one data element of level 5, of `most` bytes at the most."""
    tag = take(8).ljust(8, b"\0")
    kind, n_bytes = struct.unpack(f"{order}2I", tag)
    if kind >> 16:  # small: size, type and content in eight bytes
        return kind & 0xFFFF, tag[4 : 4 + (kind >> 16)]
    content = take(n_bytes) if n_bytes <= most else b""
    if len(content) != n_bytes:
        raise _error(path, f"{n_bytes} bytes of data (and at most {most})", len(content))
    take(-n_bytes % 8)  # filled up to a multiple of eight
    return kind, content


def _check_shape(shape: tuple[int, ...], header: Header | None, path: Path) -> None:
    """Refuse what is neither the header's (n_signals, n_samples) nor, where that is unambiguous, its transpose."""
    if len(shape) != 2 or min(shape) < 1:
        raise _error(path, "a matrix of signals x samples", f"shape {shape}")
    if header is None:
        return
    n_signals, n_samples = len(header.leads), header.n_samples
    as_described = [size for size, other in (shape, shape[::-1]) if other == n_signals]
    if not any(n_samples in (None, size) for size in as_described):
        raise _error(path, f"{n_signals} signals x {n_samples or 'any number of'} samples", f"{shape[0]} x {shape[1]}")


def _load_dat(text: str, source: str, files: Mapping[str, Path]) -> np.ndarray:
    """The signals of WFDB files, int32 (n_signals, n_samples), by wfdb; `files` has the path for each name.

    wfdb gets a header written here, without what it refuses in Challenge headers (dates, names with dots), and links to
    the signal files beside it. It is not told the length, so that it finds out how many samples there are.
    """
    import wfdb

    header = parse_header(text, source)
    paths = list(dict.fromkeys(files.values()))
    for path in paths:
        with _open_file(path) as file:
            if not file.read(1):
                raise _error(path, "samples", "an empty file")
    is_flac = header.formats[0].startswith("5")  # the length can't be seen in the size of a compressed file
    lines = [f"record {len(header.leads)} {header.sampling_frequency} {header.n_samples or '' if is_flac else ''}"]
    for line in _split_header(text, source)[1]:
        signal = _parse_signal_line(line, source)
        path = files[signal.file_name]
        # The offset of the data in a MATLAB file is not that in the plain signal file that stands in for it.
        format_ = signal.format if path.name == signal.file_name else signal.format.split("+")[0]
        lines.append(" ".join((f"signals{paths.index(path)}", format_, "200", *signal.numbers)))
    with tempfile.TemporaryDirectory() as folder:
        for i, path in enumerate(paths):
            os.symlink(path.absolute(), os.path.join(folder, f"signals{i}"))
        write_file(os.path.join(folder, "record.hea"), "\n".join(lines) + "\n")
        try:
            stored: np.ndarray = wfdb.rdrecord(os.path.join(folder, "record"), physical=False, return_res=32).d_signal.T
        except _UNREADABLE as error:
            found = f"{type(error).__name__} ({error})"
            raise _error(paths[0], f"samples in WFDB format {header.formats[0]}", found) from error
    n_samples = header.n_samples or stored.shape[1]
    # Formats that pack several samples together may fill up the last group, which looks like one more sample.
    if stored.shape[1] == n_samples + 1 and re.match("212|31[01]", header.formats[0]):
        stored = stored[:, :n_samples]
    if stored.shape[1] != n_samples:
        raise _error(paths[0], f"{n_samples} samples as in the header", stored.shape[1])
    return stored


# ---- finding and writing files ---------------------------------------------------------------------------------------


def find_headers(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the paths of the headers in a folder and below, sorted in each folder, headers before subfolders.

    What is hidden is skipped. Links to folders are followed, but each folder is entered once, so that loops end.
    """
    return _find_headers(os.fspath(folder), set())


def _find_headers(folder: str, entered: set[tuple[int, int]]) -> Iterator[str]:
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in entered:
        return
    entered.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as entries:
        visible = [(entry.is_dir(), entry.name) for entry in entries if not entry.name.startswith(".")]
    for is_folder, name in sorted(visible):
        path = os.path.join(folder, name)
        if is_folder:
            yield from _find_headers(path, entered)
        elif name.endswith(".hea") and os.path.isfile(path):
            yield path


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


def write_file(path: str | os.PathLike[str], data: str | bytes) -> None:
    """Write a file whole or not at all: a temporary file in the same folder, to the disk, renamed. Text as UTF-8."""
    # Not tempfile.mkstemp: nobody else can read its files, and the outputs are for others to read.
    temporary = Path(path).with_name(f".{uuid.uuid4().hex}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
        recording = _load_mat(path, parse_header(header) if header else None, key)
    else:
        text = header or load_header(path.with_suffix(".hea"))
        recording = _load_dat(text, "header", dict.fromkeys(parse_header(text).file_names, path))
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
        raise _error(output_file, f"{len(classes)} labels and scores", f"{len(labels)} and {len(probabilities)}")
    for name in (recording_id, *classes):
        if re.search(r"[\r\n,]", name):
            raise _error(output_file, "names without commas and line ends", _shown(name))
    for label in labels:
        if label not in (0, 1):
            raise _error(output_file, "labels 0 and 1", label)
    scores = np.asarray(probabilities, dtype=np.float32)
    if not np.isfinite(scores).all():
        raise _error(output_file, "finite scores", scores[~np.isfinite(scores)][0])
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
        raise _error(output_file, "'#id' and lines of classes, labels and scores", f"{len(lines)} lines")
    classes, labels, scores = ([field.strip() for field in line.split(",")] if line else [] for line in lines[1:4])
    if not len(classes) == len(labels) == len(scores):
        raise _error(output_file, f"{len(classes)} labels and scores", f"{len(labels)} and {len(scores)}")
    values = {"1": 1, "1.0": 1, "true": 1, "t": 1, "0": 0, "0.0": 0, "false": 0, "f": 0}
    for label in labels:
        if label.lower() not in values:
            raise _error(output_file, "labels 0 and 1", _shown(label))
    for score in scores:
        if not is_number(score):
            raise _error(output_file, "numbers as scores", _shown(score))
    return lines[0][1:].strip(), tuple(classes), tuple(values[x.lower()] for x in labels), tuple(map(float, scores))
