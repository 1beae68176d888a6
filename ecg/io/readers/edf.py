"""EDF, EDF+ and BDF files, whose signals are leads by their labels.

Kemp et al. 1992 and Kemp & Olivan 2003 (edfplus.info); BDF is BioSemi's variant with samples of 24 bits. edfio reads
them, after a look at all that it trusts.
"""

import datetime
import io
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecg.io.errors import RecordingError, import_optional, problem, shown
from ecg.io.files import StrPath, open_file, read_file
from ecg.io.readers.dates import day_or_none, moment_or_none
from ecg.io.readers.lead_labels import lead_of
from ecg.io.stored import DeviceReport, Identity, Stored, check_frequency, check_length, make_stored

_PER_MILLIVOLT = {"uv": 1e3, "µv": 1e3, "μv": 1e3, "mv": 1.0, "v": 1e-3, "nv": 1e6}
_LARGEST_BDF = 1 << 28  # bytes; edfio takes eight times as much memory for them
_LARGEST_MENDED = 1 << 28  # bytes of a file that is loaded as a whole because its header needs mending
_NO_NUL = bytes.maketrans(b"\0", b" ")
# What edfio raises where header fields are no numbers, by trial with damaged files.
_UNREADABLE = (ValueError, TypeError, ArithmeticError, LookupError, OSError, AttributeError, UnboundLocalError)


def is_edf(start: bytes) -> bool:
    """Whether these first bytes of a file are those of an EDF, EDF+ or BDF file."""
    start = start[:256].translate(_NO_NUL)
    if start[:8] not in (b"0       ", b"\xffBIOSEMI"):
        return False
    numbers = [_number(start[184:192]), _number(start[252:256])]
    return None not in numbers and numbers[0] == 256 * (numbers[1] + 1)  # type: ignore[operator]


def read_edf(path: StrPath) -> Stored:
    """Read the ECG leads of an EDF, EDF+ or BDF file. Needs edfio.

    Signals whose labels mean none of the twelve leads are left out, annotations too. Samples are int16, int32 from BDF.
    Raises RecordingError if the file is damaged or cut, the recording is discontinuous (EDF+D), or leads differ in
    their rates or are not in volts.
    """
    edfio = import_optional("edfio", path, "EDF and BDF files")
    head, mended = _check_header(path)
    is_bdf = head[:1] == b"\xff"
    try:
        source = Path(path) if head == mended else _with_header(path, mended)
        if is_bdf:
            edf = edfio.read_bdf(source, header_encoding="latin-1")
        else:
            edf = edfio.read_edf(source, lazy_load_data=head == mended, header_encoding="latin-1")
        return _to_stored(edf, mended[:256], path)
    except RecordingError:
        raise
    except _UNREADABLE as error:
        raise problem(path, "an EDF or BDF file", f"{type(error).__name__} ({error})") from error


def _mended(header: bytes) -> bytes:
    """A header as the specification has it: spaces where a writer leaves NUL, points for decimal commas in numbers.

    MNE reads such files too (its pull requests 8577 and 10754).
    """
    header = header.translate(_NO_NUL)
    n_signals = len(header) // 256 - 1
    first = 256 + 104 * n_signals  # physical minima, then maxima
    for begin, end in ((244, 252), (first, first + 16 * n_signals)):
        header = header[:begin] + header[begin:end].replace(b",", b".") + header[end:]
    return header


def _with_header(path: StrPath, header: bytes) -> io.BytesIO:
    """The file's content behind another header of the same length."""
    if (size := os.path.getsize(path)) > _LARGEST_MENDED:
        limit = f"a header without NUL and decimal commas in a file of more than {_LARGEST_MENDED} bytes"
        raise problem(path, limit, f"one with, of {size} bytes")
    return io.BytesIO(header + read_file(path)[len(header) :])


def _check_header(path: StrPath) -> tuple[bytes, bytes]:
    """The header as it stands and mended, found to go together with the file's size: edfio would warn only."""
    with open_file(path) as file:
        raw = file.read(256)
        start = raw.translate(_NO_NUL)
        if not is_edf(start):
            raise problem(path, "an EDF or BDF file", shown(start[:8].decode("latin-1")) if start else "an empty file")
        if start[192:197] in (b"EDF+D", b"BDF+D"):
            found = f"a discontinuous one ({start[192:197].decode()})"
            raise problem(path, "a continuous recording (EDF, EDF+C)", found)
        n_signals, n_records = _number(start[252:256]) or 0, _number(start[236:244])
        raw += file.read(256 * n_signals)
        fields = raw[256:].translate(_NO_NUL)[216 * n_signals : 224 * n_signals]
        lengths = [_number(fields[i : i + 8]) for i in range(0, 8 * n_signals, 8)]
        size = os.fstat(file.fileno()).st_size
    if not lengths or any(length is None for length in lengths):
        raise problem(path, "lengths of signals", shown(fields.decode("latin-1")))
    width = 3 if start[:1] == b"\xff" else 2
    needed = 256 * (n_signals + 1) + (n_records or 0) * width * sum(filter(None, lengths))
    if not n_records or needed != size:
        raise problem(path, f"{needed} bytes for {n_records or 'a number of'} data records", size)
    if width == 3 and size > _LARGEST_BDF:
        raise problem(path, f"a BDF file of at most {_LARGEST_BDF} bytes", size)
    return raw, _mended(raw)


def _number(field: bytes) -> int | None:
    """A whole number from 0 up, None where there is none."""
    return int(field) if re.fullmatch(rb"\s*\d+\s*", field) else None


def _to_stored(edf: Any, start: bytes, path: StrPath) -> Stored:
    labels = [signal.label for signal in edf.signals]
    signals = [signal for signal in edf.signals if lead_of(signal.label) is not None]
    if not signals:
        raise problem(path, "signals with labels such as 'ECG II'", shown(", ".join(labels)))
    rates = {signal.sampling_frequency for signal in signals}
    if len(rates) > 1:
        found = " and ".join(f"{rate:g} Hz" for rate in sorted(rates))
        raise problem(path, "one sampling frequency of all leads", found)
    rate = _roundest(rates.pop(), edf.data_record_duration)
    check_frequency(path, rate)
    check_length(path, signals[0].samples_per_data_record * edf.num_data_records, rate)
    scales = [_scale(signal, path) for signal in signals]
    samples = np.array([signal.digital for signal in signals])
    patient, recording = edf.patient, edf.recording
    is_plus = start[192:196] in (b"EDF+", b"BDF+")
    sex = {"F": "Female", "M": "Male"}.get(patient.sex if is_plus else "", "Unknown")
    device = DeviceReport(model=_known([recording.equipment_code]) if is_plus else "", acquired=_acquired(edf, start))
    if is_plus:
        others = {
            "patient": _known(patient.additional),
            "hospital administration code": _known([recording.hospital_administration_code]),
            "technician": _known([recording.investigator_technician_code]),
            "recording": _known(recording.additional),
        }
        name, code = _known([patient.name]).replace("_", " "), _known([patient.code])
        identity = Identity(name, code, _date_or_none(patient, "birthdate"), _filled(others))
    else:  # free text
        others = {"patient": edf.local_patient_identification, "recording": edf.local_recording_identification}
        identity = Identity(others=_filled(others))
    leads, (gains, baselines) = [lead_of(signal.label) or "" for signal in signals], zip(*scales, strict=True)
    return make_stored(path, leads, rate, samples, gains, baselines, device, identity, sex=sex, labels=labels)


def _filled(others: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in others.items() if text}


def _roundest(rate: float, seconds: float) -> float:
    """The rate without what rounding the duration of a data record to eight characters did to it."""
    step = 10.0 ** (len(f"{seconds:.7f}".partition(".")[0]) - 7)  # of the last character
    return next((near for n in range(4) if abs((near := round(rate, n)) - rate) <= rate * step / seconds), rate)


def _scale(signal: Any, path: StrPath) -> tuple[float, float]:
    """ADC units per mV, and ADC units at 0 mV."""
    unit = signal.physical_dimension.strip()
    if unit.lower() not in _PER_MILLIVOLT:
        raise problem(path, f"uV, mV or V as the physical dimension of {shown(signal.label)}", shown(unit))
    low, high, lowest, highest = signal.physical_min, signal.physical_max, signal.digital_min, signal.digital_max
    if not (math.isfinite(high - low) and high != low and highest > lowest):
        found = f"{low:g} to {high:g} for {lowest} to {highest}"
        raise problem(path, f"a physical and a digital range of {shown(signal.label)}", found)
    per_unit = (highest - lowest) / (high - low)
    return per_unit * _PER_MILLIVOLT[unit.lower()], lowest - low * per_unit


def _known(texts: Sequence[str]) -> str:
    """EDF+ writes X for unknown values."""
    return " ".join(text for text in texts if text != "X")


def _date_or_none(owner: Any, name: str) -> datetime.date | None:
    try:
        return getattr(owner, name)
    except _UNREADABLE:  # an anonymised one, too
        return None


def _acquired(edf: Any, start: bytes) -> datetime.datetime | None:
    """Start of the recording; EDF+ has the year with all its digits, EDF means 1985 to 2084."""
    numbers = re.fullmatch(rb"(\d\d)\.(\d\d)\.(\d\d)(\d\d)\.(\d\d)\.(\d\d)", start[168:184])
    if numbers is None:
        return None
    day, month, year, *clock = map(int, numbers.groups())
    own = _date_or_none(edf.recording, "startdate")
    return moment_or_none(own or day_or_none(year + (1900 if year >= 85 else 2000), month, day), clock)
