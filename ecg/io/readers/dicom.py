"""DICOM waveform objects: 12-lead ECG, General ECG (16 and 32 bits) and Ambulatory ECG (PS3.3 A.34, C.10.9)."""

from __future__ import annotations

import io
import math
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecg.arrays import Array
from ecg.io.device_words import measured, without_signatures
from ecg.io.errors import RecordingError, import_optional, problem, shown
from ecg.io.files import StrPath, read_file
from ecg.io.readers.dates import date_of, time_of
from ecg.io.readers.philips import read_philips
from ecg.io.stored import DeviceReport, Identity, Stored, check_together, make_stored
from ecg.leads import LEADS, STANDARD_NAMES

LARGEST_FILE = 32 << 20  # bytes, deflated and inflated: half an hour of twelve leads at 500 Hz
IMPLICIT, EXPLICIT, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
_ECG_CLASSES = tuple(f"1.2.840.10008.5.1.4.1.1.9.1.{number}" for number in (1, 2, 3, 4))
_PDF_CLASS = "1.2.840.10008.5.1.4.1.1.104.1"
_MOST_READS = 50_000  # pieces that the parser may take from a file
_START = 4096  # bytes in which a file without preamble must name a UID
_LONGEST_VALUE = 4096  # bytes of anything but samples
# What pydicom raises, by trial with damaged files, when a file is not what it says it is.
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError, RuntimeError,
               EOFError, AssertionError, struct.error)  # fmt: skip
_ONE_AT_A_TIME = threading.Lock()  # silencing warnings is for the whole process
# Lead numbers of SCP-ECG (EN 1064, 5.6.3), which the codes of DICOM's scheme SCPECG and of MDC (2:n) share.
LEAD_NUMBERS = dict(zip((1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), LEADS, strict=True))
_CODED_LEAD = re.compile(r"(?:5\.6\.3-9-|2:)(\d{1,3})", re.ASCII)
_NAMED_LEAD = re.compile(r"(?:lead\s+)?(III|II|I|aVR|aVL|aVF|V[1-6])(?!\w)", re.IGNORECASE | re.ASCII)
_MILLIVOLTS = {"nv": 1e-6, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "mv": 1.0, "v": 1e3}
_TYPES = {"8 SB": "<i1", "8 UB": "<u1", "16 SS": "<i2", "16 US": "<u2", "32 SL": "<i4", "32 UL": "<u4"}
_IDENTIFIERS = (
    "AccessionNumber", "StudyID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "OtherPatientIDs",
    "OtherPatientNames", "PatientAddress", "PatientTelephoneNumbers", "PatientBirthName", "PatientMotherBirthName",
    "InstitutionName", "InstitutionAddress", "StationName", "DeviceSerialNumber", "ReferringPhysicianName",
    "PerformingPhysicianName", "NameOfPhysiciansReadingStudy", "OperatorsName", "RequestingPhysician",
    "CurrentPatientLocation", "PatientInstitutionResidence", "AdmissionID", "MedicalRecordLocator",
)  # fmt: skip


def is_dicom(start: bytes) -> bool:
    """Whether a file that begins like this is a DICOM file (PS3.10, 7.1), also without its preamble and "DICM".

    The preamble is left out by old devices and some archives; then the first elements must lead to a UID of DICOM.
    """
    return start[128:132] == b"DICM" or any(_names_a_uid(start[:_START], implicit) for implicit in (False, True))


def _names_a_uid(data: bytes, implicit: bool) -> bool:
    """Whether data elements of groups 2 and 8, one behind the other, lead to a UID of DICOM's own root."""
    place, before = 0, -1
    while place + 8 <= len(data):
        group, element = struct.unpack_from("<HH", data, place)
        tag = group << 16 | element
        if group not in (2, 8) or tag <= before:
            return False
        begin, size, kind = _element(data, place, implicit)
        if not implicit and not kind.isalpha():
            return False
        if data[begin : begin + min(size, 64)].startswith(b"1.2.840.10008."):
            return True
        place, before = begin + size, tag
    return False


def _element(data: bytes, place: int, implicit: bool) -> tuple[int, int, bytes]:
    """Where the value of the element at a place begins, its length, and its VR ("" where they are implicit)."""
    kind, size = struct.unpack_from("<2sH", data[: place + 8].ljust(place + 8, b"\0"), place + 4)
    if implicit:
        return place + 8, int.from_bytes(data[place + 4 : place + 8], "little"), b""
    if kind in (b"OB", b"OW", b"UN", b"UT", b"SQ"):
        return place + 12, int.from_bytes(data[place + 8 : place + 12], "little"), kind
    return place + 8, size, kind


def read_dicom(path: StrPath) -> Stored:
    """Read an ECG from a DICOM file: of its multiplex groups the original one with the most samples."""
    path = Path(path)
    data = read_file(path, LARGEST_FILE, f"a DICOM file of at most {LARGEST_FILE >> 20} MiB")
    if not is_dicom(data):
        raise problem(path, "a DICOM file ('DICM' after 128 bytes)", shown(data[128:132].decode("latin-1")))
    if data[128:132] != b"DICM":
        data = bytes(128) + b"DICM" + data
    syntax, start = _transfer_syntax(data, path)
    content = _inflated(data[start:], path) if syntax == DEFLATED else data[start:]
    del data
    if (inside := _philips_inside(content)) is not None:
        return read_philips(path, inside)
    filereader = import_optional("pydicom.filereader", path, "a DICOM file")
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on values that break the standard; they would show identifiers
        try:
            budget = _Budget(path)
            dataset = filereader.read_dataset(_Bounded(content, budget), syntax == IMPLICIT, True)
            return _stored(_Object(dataset, budget, filereader), path)
        except RecordingError:
            raise
        except _UNREADABLE as error:
            raise problem(path, "a whole DICOM file", f"damage ({type(error).__name__})") from error


def _philips_inside(content: bytes) -> bytes | None:
    """The SierraECG XML that a DICOM object without waveforms of its own holds; None where it holds none.

    Philips' archives wrap it in private elements, of which nothing public is known: it is found by its root element.
    """
    for encoding in ("utf-8", "utf-16-le"):
        start, end = ("<restingecgdata".encode(encoding), "</restingecgdata>".encode(encoding))
        place, last = content.find(start), content.rfind(end)
        if 0 <= place < last:
            return content[place : last + len(end)].decode(encoding, errors="replace").encode()
    return None


# ---- the file --------------------------------------------------------------------------------------------------------
def _transfer_syntax(data: bytes, path: Path) -> tuple[str, int]:
    """The transfer syntax that the file meta information (group 2, explicit VR) names, and where the rest begins.

    Without that information it is told by the first element, which has a VR in letters or none.
    """
    place, syntax = 132, ""
    if data[place : place + 2] == b"\x08\0":
        syntax = EXPLICIT if data[place + 4 : place + 6].isalpha() else IMPLICIT
    while data[place : place + 2] == b"\2\0":
        begin, size, _ = _element(data, place, implicit=False)
        if data[place + 2 : place + 4] == b"\x10\0":
            syntax = data[begin : begin + size][:64].rstrip(b"\0 ").decode("latin-1")
        place = begin + size
    if syntax not in (IMPLICIT, EXPLICIT, DEFLATED):
        raise problem(path, "a little-endian transfer syntax without image compression", shown(syntax) or "none")
    return syntax, place


def _inflated(data: bytes, path: Path) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(data, LARGEST_FILE + 1)
    except zlib.error as error:
        raise problem(path, "deflated data", f"damage ({error})") from error
    if len(content) > LARGEST_FILE:
        raise problem(path, f"at most {LARGEST_FILE >> 20} MiB when inflated", "more")
    return content


class _Budget:
    """How many pieces the parser may still take, over all sequences of a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.left = path, _MOST_READS

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise problem(self.path, "a DICOM file of fewer elements", f"more than {_MOST_READS // 3}")


class _Bounded(io.BytesIO):
    """Bytes that the parser may take only so many pieces of: a file of nothing but empty elements takes no memory."""

    def __init__(self, data: bytes, budget: _Budget) -> None:
        super().__init__(data)
        self.budget, self.head = budget, b""
        self.is_little_endian, self.is_implicit_VR = True, True  # pydicom sets them on what it reads from

    def read(self, size: int | None = -1, /) -> bytes:
        self.budget.spend()
        # A character set is split at once: one of megabytes would become a list of millions.
        if size is not None and size > _LONGEST_VALUE and self.head[:4] == b"\x08\0\x05\0":
            raise problem(self.budget.path, "the name of a character set", f"{size} bytes")
        data = super().read(size)
        if size == 8:
            self.head = data
        return data


class _Object:
    """A data set whose elements are taken one by one, so that none is turned into something enormous."""

    def __init__(self, dataset: Any, budget: _Budget, filereader: Any) -> None:
        self.dataset, self.budget, self.filereader = dataset, budget, filereader

    def _raw(self, keyword: str) -> Any:
        return self.dataset.get_item(keyword) if keyword in self.dataset else None

    def content(self, keyword: str) -> bytes:
        """The bytes of an element as they stand in the file."""
        value = getattr(self._raw(keyword), "value", b"")
        return value if isinstance(value, bytes) else b""

    def text(self, keyword: str) -> str:
        """The value as text; "" where absent, empty or too long."""
        raw = self._raw(keyword)
        if raw is None or raw.VR == "SQ" or (isinstance(raw.value, bytes) and len(raw.value) > _LONGEST_VALUE):
            return ""
        value = self.dataset.get(keyword)
        return "" if value is None else str(value).strip()

    def number(self, keyword: str, default: float = math.nan) -> float:
        text = self.text(keyword)
        return float(text) if text else default

    def integer(self, keyword: str) -> int:
        number = self.number(keyword)
        return int(number) if number.is_integer() else -1

    def items(self, keyword: str) -> Iterator[_Object]:
        """The items of a sequence."""
        raw = self._raw(keyword)
        value = getattr(raw, "value", None)
        if isinstance(value, bytes):
            source = _Bounded(value, self.budget)
            encoding = self.dataset._character_set if hasattr(self.dataset, "_character_set") else "iso8859"
            value = self.filereader.read_sequence(source, raw.is_implicit_VR, True, len(value), encoding)
        for item in value if value is not None and not isinstance(value, str) else ():
            yield _Object(item, self.budget, self.filereader)

    def code(self, keyword: str) -> tuple[str, str]:
        """Value and meaning of the first code in a sequence."""
        first = next(self.items(keyword), None)
        return ("", "") if first is None else (first.text("CodeValue"), first.text("CodeMeaning"))


# ---- the ECG ---------------------------------------------------------------------------------------------------------
def _stored(dataset: _Object, path: Path) -> Stored:
    kind = dataset.text("SOPClassUID")
    if kind == _PDF_CLASS or dataset.text("MIMETypeOfEncapsulatedDocument") == "application/pdf":
        raise problem(path, "an ECG", "a picture (PDF within DICOM), not a signal: digitise it first")
    if kind not in _ECG_CLASSES and dataset.text("Modality") != "ECG":
        expected = "an ECG (12-lead, General or Ambulatory ECG storage)"
        raise problem(path, expected, shown(kind) if kind else "no SOP class")
    group, others = _rhythm(dataset, path)
    samples = _samples(group, path)
    leads, gains, baselines, bits = [], [], [], []
    for channel in group.items("ChannelDefinitionSequence"):
        leads.append(_lead(channel))
        bits.append(channel.integer("WaveformBitsStored") if channel.text("WaveformBitsStored") else 0)
        gain, baseline = _scale(channel)
        if leads[-1] in STANDARD_NAMES.values() and not math.isfinite(gain * baseline):
            value, unit = channel.text("ChannelSensitivity"), channel.code("ChannelSensitivityUnitsSequence")[0]
            found = shown(f"{value} {unit}".strip() or "none")
            raise problem(path, f"a sensitivity in uV or mV of lead {leads[-1]}", found)
        gains.append(gain)
        baselines.append(baseline)
    elsewhere = [_lead(channel) for one in others for channel in one.items("ChannelDefinitionSequence")]
    check_together(path, leads, elsewhere)
    if len(leads) != len(samples):
        raise problem(path, f"{len(samples)} channel definitions", len(leads))
    samples, notes = _from_bits_stored(samples, group, bits, leads, path)
    samples = _mark_padding(samples, group, gains)
    birth, age = date_of(dataset.text("PatientBirthDate")), _age(dataset.text("PatientAge"))
    sex = {"M": "Male", "F": "Female"}.get(dataset.text("PatientSex"), "Unknown")
    measurements, statements, signatures = _annotations(dataset)
    identifiers = {keyword: text for keyword in _IDENTIFIERS if (text := dataset.text(keyword))} | signatures
    maker, model = dataset.text("Manufacturer"), dataset.text("ManufacturerModelName")
    device = DeviceReport("" if maker == "Unknown" else maker, model, _acquired(dataset), measurements, statements)
    identity = Identity(dataset.text("PatientName"), dataset.text("PatientID"), birth, identifiers)
    rate = group.number("SamplingFrequency")
    return make_stored(path, leads, rate, samples, gains, baselines, device, identity, age=age, sex=sex, notes=notes)


def _rhythm(dataset: _Object, path: Path) -> tuple[_Object, list[_Object]]:
    """The original multiplex group with the most samples, and other original ones; a median beat is derived."""
    groups = list(dataset.items("WaveformSequence"))
    if not groups:
        raise problem(path, "a waveform sequence", "none")
    original = [group for group in groups if group.text("WaveformOriginality") == "ORIGINAL"]
    unsaid = [group for group in groups if not group.text("WaveformOriginality")]
    named = [group for group in unsaid if "MEDIAN" not in group.text("MultiplexGroupLabel").upper()]
    if not (original or named):
        found = ", ".join(group.text("MultiplexGroupLabel") or "DERIVED" for group in groups)
        raise problem(path, "an original multiplex group (the rhythm)", shown(found))
    longest = max(original or named, key=lambda group: len(group.content("WaveformData")))
    return longest, [group for group in original or named if group is not longest]


def _samples(group: _Object, path: Path) -> Array:
    """ADC units, (n_channels, n_samples), int16 or int32."""
    bits, interpretation = group.integer("WaveformBitsAllocated"), group.text("WaveformSampleInterpretation")
    kind = _TYPES.get(f"{bits} {interpretation}")
    if kind is None:
        raise problem(path, "samples as integers of 8, 16 or 32 bits", f"{bits} bits, {shown(interpretation)}")
    n_channels, n_samples = group.integer("NumberOfWaveformChannels"), group.integer("NumberOfWaveformSamples")
    data = group.content("WaveformData")
    n_bytes = n_channels * n_samples * bits // 8
    if n_channels < 1 or n_samples < 1 or not n_bytes <= len(data) <= n_bytes + 1:  # filled up to an even length
        raise problem(path, f"{n_channels} channels of {n_samples} samples of {bits} bits", f"{len(data)} bytes")
    stored = np.frombuffer(data, kind, count=n_channels * n_samples).reshape(n_samples, n_channels).T
    if kind == "<u4" and stored.max() > np.iinfo(np.int32).max:
        raise problem(path, "samples below 2**31", int(stored.max()))
    kind_here = np.int16 if kind[2] == "1" or kind == "<i2" else np.int32
    return np.array(stored, dtype=kind_here, order="C")  # a copy, also of one channel: padding is marked in it


def _from_bits_stored(
    samples: Array, group: _Object, bits: Sequence[int], leads: Sequence[str], path: Path
) -> tuple[Array, tuple[str, ...]]:
    """Samples that have fewer bits than their places, as 12 of 16 (PS3.3 C.10.9.1.4.1).

    The sign is the highest bit stored. Some writers leave the bits above it 0 for negative samples too.
    """
    signed = group.text("WaveformSampleInterpretation").startswith("S")
    padding = int.from_bytes(group.content("WaveformPaddingValue")[: samples.itemsize], "little", signed=signed)
    extended = []
    for row, n_bits, lead in zip(samples, bits, leads, strict=True):
        if not 0 < n_bits < group.integer("WaveformBitsAllocated"):
            continue
        half = 1 << n_bits - 1
        values = row.astype(np.int64)
        right = ((values & 2 * half - 1) ^ half) - half if signed else values & 2 * half - 1
        wrong = (right != values) & (values != padding)
        if (wrong & ((values < 0) | (values >= 2 * half) | (not signed))).any():
            raise problem(path, f"samples of {n_bits} bits in lead {lead}", int(values[wrong][0]))
        if wrong.any():
            row[wrong] = right[wrong]
            extended.append(lead)
    if not extended:
        return samples, ()
    return samples, (f"the highest bit stored is taken for the sign in {', '.join(extended)}",)


def _mark_padding(samples: Array, group: _Object, gains: list[float]) -> Array:
    """Padding as the missing samples that they are: -32768 in 16 bits, -2**31 in 32.

    Some writers give 0, or another value that an ECG takes all the time, as the padding value. Then only what stands in
    all channels at the end is padding.
    """
    raw = group.content("WaveformPaddingValue")
    bits, interpretation = group.integer("WaveformBitsAllocated"), group.text("WaveformSampleInterpretation")
    if len(raw) < bits // 8:
        return samples
    value = int.from_bytes(raw[: bits // 8], "little", signed=interpretation.startswith("S"))
    padding = samples == value
    if any(abs(value / gain) < 10 for gain in gains if math.isfinite(gain)):  # mV: some ECG may be there
        others = np.flatnonzero(~padding.all(axis=0))
        padding[:, : others[-1] + 1 if others.size else 0] = False
    samples[padding] = np.iinfo(samples.dtype).min
    return samples


def _lead(channel: _Object) -> str:
    """The lead of a channel by its code, else by its label or the code's meaning."""
    code, meaning = channel.code("ChannelSourceSequence")
    if match := _CODED_LEAD.fullmatch(code):
        return LEAD_NUMBERS.get(int(match[1]), meaning or code)
    for text in (channel.text("ChannelLabel"), meaning):
        if match := _NAMED_LEAD.match(text):
            return STANDARD_NAMES[match[1].lower()]
    return meaning or channel.text("ChannelLabel") or code


def _scale(channel: _Object) -> tuple[float, float]:
    """ADC units per mV, and ADC units at 0 mV (C.10.9.1.4); NaN where the channel doesn't say.

    Value in units = sample * sensitivity * correction factor + baseline.
    """
    unit = channel.code("ChannelSensitivityUnitsSequence")[0].lower()
    factor = channel.number("ChannelSensitivityCorrectionFactor", 1.0)
    per_sample = channel.number("ChannelSensitivity") * factor * _MILLIVOLTS.get(unit, math.nan)
    offset = channel.number("ChannelBaseline", 0.0) * _MILLIVOLTS.get(unit, math.nan)
    if not 1e-7 <= abs(per_sample) <= 10:  # mV; NaN too
        return math.nan, math.nan
    return float(f"{1 / per_sample:.12g}"), float(f"{0.0 - offset / per_sample:.12g}")


def _acquired(dataset: _Object) -> Any:
    moment = dataset.text("AcquisitionDateTime")
    others = [(dataset.text(f"{of}Date"), dataset.text(f"{of}Time")) for of in ("Acquisition", "Content", "Study")]
    return next((time_of(date, time) for date, time in [(moment[:8], moment[8:]), *others] if date), None)


def _age(text: str) -> float:
    """Years of an age string such as 046Y, 010M."""
    match = re.fullmatch(r"(\d{1,3})([YMWD])", text, re.ASCII)
    return int(match[1]) * {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}[match[2]] if match else math.nan


def _annotations(dataset: _Object) -> tuple[dict[str, float], tuple[str, ...], dict[str, str]]:
    """Measurements of all leads together, statements, and lines that name a person."""
    found: dict[str, str] = {}
    lines = []
    for annotation in dataset.items("WaveformAnnotationSequence"):
        lines.append(" ".join(annotation.text("UnformattedTextValue").split()))
        value = annotation.text("NumericValue")
        channels = re.findall(r"\d+", annotation.text("ReferencedWaveformChannels"))
        if not value or any(channel != "0" for channel in channels[1::2]):  # of single channels
            continue
        code, meaning = annotation.code("ConceptNameCodeSequence")
        meaning = re.sub(r"\s+(?:global|median|mean)\b|,.*", "", meaning.lower())
        if annotation.code("MeasurementUnitsCodeSequence")[0] == "s":
            value = f"{float(value) * 1000:g}"
        for name in (code, meaning):
            found.setdefault(name, value)
    measurements = measured("dicom", lambda name: found.get(name, ""))
    statements, signatures = without_signatures(line for line in lines if line)
    return measurements, statements, signatures
