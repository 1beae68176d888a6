"""SCP-ECG files (EN 1064, ISO 11073-91064), versions 1 to 3: sections 0 to 8 and 11.

Clauses 5.3 to 5.11 and 5.14 of EN 1064:2005+A1 lay out sections 0 to 8 and 11; a number's first byte is its least
significant one. How samples are packed is in scp_compression.py.
"""

import binascii
import datetime
import math
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecg.arrays import Array, Ints
from ecg.io.device_words import without_signatures
from ecg.io.errors import problem
from ecg.io.files import StrPath, decoded, read_file
from ecg.io.readers import scp_compression as packing
from ecg.io.readers.dates import day_or_none, moment_or_none
from ecg.io.stored import DeviceReport, Identity, Stored, check_frequency, check_length, make_stored

# Lead data have lengths of 16 bits, so that real files stay far below these bounds.
_LONGEST_FILE = 1 << 25  # bytes
_LONGEST_LEAD, _MOST_SAMPLES = 1 << 20, 1 << 23  # samples, and those of all leads together
_MOST_LEADS, _MOST_BEATS, _MOST_TABLES = 64, 1000, 16
_HIGHEST_FACTOR = 16  # of decimation; the standard has 4

_LEADS = {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF", 65: "-aVR", 16: "X", 17: "Y", 18: "Z"}
_LEADS |= {number + 2: f"V{number}" for number in range(1, 8)} | {66: "V8", 67: "V9", 68: "V8R", 69: "V9R"}
_LEADS |= {number + 8: f"V{number}R" for number in range(2, 8)} | {19: "CC5", 20: "CM5"}
_MAKERS = (
    "", "Burdick", "Cambridge", "Compumed", "Datamed", "Fukuda", "Hewlett-Packard", "Marquette", "Mortara",
    "Nihon Kohden", "Okin", "Quinton", "Siemens", "Spacelabs", "Telemed", "Hellige", "Esaote", "Schiller",
    "Picker-Schwarzer", "Elettronica Trentina", "Zwönitz",
)  # fmt: skip
_YEARS = {0: 1.0, 1: 1.0, 2: 1 / 12, 3: 7 / 365.25, 4: 1 / 365.25, 5: 1 / 8766}  # of an age by its unit's code
_NOT_MEASURED = (29999, 29998, 19999)  # not computed, rejected, not there
_OTHER_IDENTIFIERS = {
    3: "second last name", 13: "reason for the recording", 16: "institution", 18: "department",
    20: "referring physician", 21: "confirming physician", 22: "technician", 23: "room", 30: "free text",
    31: "sequence number", 35: "history",
}  # fmt: skip


def is_scp_ecg(start: bytes) -> bool:
    """Whether these first bytes of a file are those of an SCP-ECG record: section 0, which points to itself first."""
    if len(start) < 32 or start[8:10] != b"\0\0":
        return False
    length = struct.unpack_from("<I", start, 10)[0]
    first = struct.unpack_from("<HI", start, 22)
    return start[16:22] == b"SCPECG" or (26 <= length < 1 << 16 and first == (0, length))


def read_scp_ecg(path: StrPath) -> Stored:
    """Read an SCP-ECG file; samples are int16, or int32 where they do not fit.

    Where leads were not recorded at the same time, -32768 (-2**31) stands where a lead has nothing; an int16 sample
    that is -32768 itself counts as missing too. Raises RecordingError for everything wrong with the file; sections with
    a wrong checksum are refused, too.
    """
    sections = _split(read_file(path, _LONGEST_FILE, f"a file of at most {_LONGEST_FILE} bytes"), path)
    facts = _read_facts(sections[1]) if 1 in sections else {}
    leads, samples, unit, interval = _read_samples(sections, path)
    sex = {b"\1": "Male", b"\2": "Female"}.get(facts.get(8, b"")[:1], "Unknown")
    maker, model = _device(facts.get(14, b""))
    measurements = _read_measurements(sections[7]) if 7 in sections else {}
    said = [text for number in (8, 11) if number in sections for text in _read_statements(sections[number])]
    statements, signatures = without_signatures(dict.fromkeys(said))
    acquired = moment_or_none(_date(facts.get(25, b"")), facts.get(26, b"")[:3])
    device = DeviceReport(maker, model, acquired, measurements, statements)
    identity, age = _identity(facts, signatures), _age(facts)
    rate, gains = 1e6 / interval, [1e6 / unit] * len(leads)
    return make_stored(path, leads, rate, samples, gains, None, device, identity, age=age, sex=sex)


class _Section:
    """The content of a section, read from its start to its end; what is not there is a RecordingError."""

    def __init__(self, number: int, content: bytes, version: int, path: StrPath) -> None:
        self.number, self.version, self.source = number, version, f"{os.fspath(path)}: section {number}"
        self._content, self._place = content, 0

    @property
    def left(self) -> int:
        return len(self._content) - self._place

    def take(self, n_bytes: int) -> bytes:
        if n_bytes > self.left:
            raise problem(self.source, f"{n_bytes} bytes from byte {self._place + 16} on", self.left)
        self._place += n_bytes
        return self._content[self._place - n_bytes : self._place]

    def numbers(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def single(self, layout: str) -> int:
        return self.numbers(layout)[0]


def _split(data: bytes, path: StrPath) -> dict[int, _Section]:
    """The sections that are read here by their numbers, with lengths and checksums found right (clause 5.3)."""
    if not is_scp_ecg(data[:32]):
        raise problem(path, "an SCP-ECG record", "none")
    checksum, length = struct.unpack_from("<HI", data)
    if not 32 <= length <= len(data):
        raise problem(path, f"a record of at most the file's {len(data)} bytes", f"one of {length}")
    if binascii.crc_hqx(data[2:length], 0xFFFF) != checksum:
        raise problem(path, f"the record's checksum (CRC-CCITT) {checksum}", binascii.crc_hqx(data[2:length], 0xFFFF))
    data = data[:length]
    pointers = _section(data, 0, 6, struct.unpack_from("<I", data, 10)[0], path)
    sections: dict[int, _Section] = {}
    while pointers.left >= 10:
        number, length, index = pointers.numbers("HII")
        if number in (*range(1, 9), 11) and length > 16 and number not in sections:
            sections[number] = _section(data, number, index - 1, length, path)  # the first byte has the index 1
    return sections


def _section(data: bytes, number: int, start: int, length: int, path: StrPath) -> _Section:
    source = f"{os.fspath(path)}: section {number}"
    if start < 6 or length < 16 or start + length > len(data):
        raise problem(source, f"a place within the {len(data)} bytes", f"{length} bytes from byte {start} on")
    checksum, found, own_length, _, version = struct.unpack_from("<HHIBB", data, start)
    if (found, own_length) != (number, length):
        raise problem(source, f"its header with a length of {length}", f"section {found} with {own_length}")
    computed = binascii.crc_hqx(data[start + 2 : start + length], 0xFFFF)
    if computed != checksum:
        raise problem(source, f"its checksum (CRC-CCITT) {checksum}", computed)
    return _Section(number, data[start + 16 : start + length], version, path)


# ---- samples ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Packed:
    """Sections 5 and 6: the leads as they are packed."""

    source: str
    unit: int  # nV
    interval: int  # between stored samples, microseconds
    order: int  # of the differences
    is_bimodal: bool
    leads: tuple[bytes, ...]

    def has_one_less(self, starts: Sequence[int], lengths: Sequence[int], tables: Sequence[packing.Table]) -> bool:
        """Whether all leads hold one sample less than these lengths say."""
        if self.is_bimodal:
            return False
        if not tables:
            return all(len(data) == 2 * (length - 1) for data, length in zip(self.leads, lengths, strict=True))
        # Where bits are packed the number of samples can't be seen. Leads that begin with 1 may be cut files.
        whole = [_holds(data, tables, n) for data, n in zip(self.leads, lengths, strict=True) if not any(starts)]
        return not all(whole)

    def unpack(self, i: int, lead: str, n_samples: int, tables: Sequence[packing.Table]) -> Ints:
        data = self.leads[i]
        if tables:
            try:
                values = packing.decode_huffman(data, tables, n_samples)
            except ValueError as error:
                raise problem(self.source, f"{n_samples} samples of lead {lead}", error) from error
        elif len(data) < 2 * n_samples:
            raise problem(self.source, f"{n_samples} samples of lead {lead}", f"{len(data)} bytes")
        else:
            values = np.frombuffer(data, "<i2", n_samples).astype(np.int64)
        samples = packing.undo_differences(values, self.order)
        _check_range(samples, lead, self.source)
        return samples


def _holds(data: bytes, tables: Sequence[packing.Table], n_samples: int) -> bool:
    try:
        packing.decode_huffman(data, tables, n_samples)
    except ValueError:
        return False
    return True


def _check_range(samples: Ints, lead: str, source: object) -> None:
    highest = int(np.abs(samples).max(initial=0))
    if highest >= 2**31:
        raise problem(source, f"samples of lead {lead} within 32 bits", highest)


def _read_samples(sections: Mapping[int, _Section], path: StrPath) -> tuple[tuple[str, ...], Array, int, int]:
    """Sections 2 to 6: leads, their samples, the unit in nV and the interval between samples in microseconds."""
    for number, content in ((3, "leads"), (6, "rhythm data")):
        if number not in sections:
            raise problem(path, f"a section {number} ({content})", "none")
    tables = _read_tables(sections[2]) if 2 in sections else ()
    leads, starts, lengths, is_subtracted = _read_leads(sections[3])
    packed = _read_packed(sections[6], len(leads))
    # Some writers count from 0 to N, with N samples (Contec; the standard counts from 1 to N).
    if packed.has_one_less(starts, lengths, tables):
        lengths = [length - 1 for length in lengths]
    reference = None
    if is_subtracted or packed.is_bimodal:
        for number, content in ((4, "QRS locations"), (5, "the reference beat")):
            if number not in sections:
                raise problem(path, f"a section {number} ({content}), which section 6 is packed with", "none")
        reference = _read_packed(sections[5], len(leads))
    interval = reference.interval if reference is not None and packed.is_bimodal else packed.interval
    factor, rest = divmod(packed.interval, interval)
    if rest or not 1 <= factor <= _HIGHEST_FACTOR or (reference is not None and reference.interval != interval):
        found = f"one of {packed.interval}" + (f" and one of {reference.interval} µs" if reference else " µs")
        raise problem(path, "intervals between samples in sections 5 and 6 that go together", found)
    first, end = min(starts), max(start + n for start, n in zip(starts, lengths, strict=True))
    check_frequency(path, 1e6 / interval)
    check_length(path, end - first, 1e6 / interval)
    if end - first > _LONGEST_LEAD or (end - first) * len(leads) > _MOST_SAMPLES:
        bounds = f"at most {_LONGEST_LEAD} samples in a lead and {_MOST_SAMPLES} together"
        raise problem(path, bounds, f"{len(leads)} leads of {end - first}")
    unit = packed.unit if reference is None or not is_subtracted else math.gcd(packed.unit, reference.unit)
    zones = _read_zones(sections[4]) if reference is not None else None
    unpacked = []
    for i, (lead, start, n_samples) in enumerate(zip(leads, starts, lengths, strict=True)):
        beats = zones.beats(start) if zones is not None else []
        n_stored = packing.count_stored(n_samples, beats, factor) if packed.is_bimodal else n_samples
        samples = packed.unpack(i, lead, n_stored, tables)
        if packed.is_bimodal and factor > 1:
            samples = packing.undo_decimation(samples, n_samples, beats, factor)
        samples = samples * (packed.unit // unit)
        if reference is not None and zones is not None and is_subtracted:
            beat = reference.unpack(i, lead, zones.reference_length(interval), tables)
            samples = packing.add_reference_beats(samples, beat * (reference.unit // unit), beats)
        _check_range(samples, lead, path)
        unpacked.append(samples.astype(np.int32))
    fits = all(lead.min() >= -(2**15) and lead.max() < 2**15 for lead in unpacked)
    dtype: type[np.signedinteger[Any]] = np.int16 if fits else np.int32
    together = np.full((len(leads), end - first), np.iinfo(dtype).min, dtype=dtype)
    for row, start, lead_samples in zip(together, starts, unpacked, strict=True):
        row[start - first : start - first + len(lead_samples)] = lead_samples
    return leads, together, unit, interval


def _read_tables(section: _Section) -> tuple[packing.Table, ...]:
    """Section 2 (clause 5.5): the Huffman tables; none means that samples are stored as numbers of 16 bits."""
    n_tables = section.single("H")
    if n_tables == 19999:
        return (packing.Table(packing.default_table()),)
    if n_tables > _MOST_TABLES:
        raise problem(section.source, f"at most {_MOST_TABLES} Huffman tables", n_tables)
    tables = []
    for number in range(1, n_tables + 1):
        codes = []
        for _ in range(section.single("H")):
            n_prefix, n_bits, mode, value, code = section.numbers("BBBhI")
            if not 1 <= n_prefix <= min(n_bits, 32) or mode > 1 or code >> n_prefix:
                raise problem(section.source, f"codes in table {number}", f"{n_prefix} of {n_bits} bits, mode {mode}")
            prefix = f"{code:0{n_prefix}b}"[::-1]  # the first bit of a code is the lowest one of its number
            codes.append(packing.Code(prefix, n_bits - n_prefix, value, switches=mode == 0))
        try:
            tables.append(packing.Table(codes))
        except ValueError as error:
            raise problem(section.source, f"a Huffman table {number} that can be decoded", error) from error
    return tuple(tables)


def _read_leads(section: _Section) -> tuple[tuple[str, ...], list[int], list[int], bool]:
    """Section 3 (clause 5.6): names, first samples and lengths of the leads; whether reference beats are subtracted."""
    n_leads, flags = section.numbers("BB")
    if n_leads > _MOST_LEADS:
        raise problem(section.source, f"at most {_MOST_LEADS} leads", n_leads)
    rows = [section.numbers("IIB") for _ in range(n_leads)]
    if not rows or any(start > end for start, end, _ in rows):
        raise problem(section.source, "leads that end after they begin", [row[:2] for row in rows][:12])
    names = tuple(_LEADS.get(number, f"SCP lead {number}") for _, _, number in rows)
    return names, [start for start, _, _ in rows], [end - start + 1 for start, end, _ in rows], bool(flags & 1)


def _read_packed(section: _Section, n_leads: int) -> _Packed:
    """Section 5 or 6 (clauses 5.8 and 5.9)."""
    unit, interval, order, is_bimodal = section.numbers("HHBB")
    if not unit or not interval or order > 2:
        found = f"{unit} nV, {interval} µs, differences of order {order}"
        raise problem(section.source, "a unit, an interval and differences of order 0 to 2", found)
    lengths = section.numbers(f"{n_leads}H")
    data = tuple(section.take(length) for length in lengths)
    return _Packed(section.source, unit, interval, order, section.number == 6 and bool(is_bimodal), data)


@dataclass(frozen=True)
class _Zones:
    """Section 4: places are numbers of samples, in the numbering in which section 3 has the leads' first samples."""

    milliseconds: int  # of the reference beat
    fiducial: int  # the reference beat's sample, from 1, that lies at each beat's fiducial point
    rows: tuple[tuple[int, ...], ...]  # type, start, fiducial point and end of subtraction, start and end of protection

    def reference_length(self, interval: int) -> int:
        return round(self.milliseconds * 1000 / interval)

    def beats(self, start: int) -> list[packing.Beat]:
        """For a lead that begins with this sample. Only beats of the reference beat's own type, 0, are subtracted."""
        return [
            packing.Beat(
                range(begin - start, end + 1 - start) if type_ == 0 else range(0),
                self.fiducial - 1 - (fiducial - begin),
                range(keep - start, keep_end + 1 - start) if keep_end else range(0),
            )
            for type_, begin, fiducial, end, keep, keep_end in self.rows
        ]


def _read_zones(section: _Section) -> _Zones:
    """Section 4 (clause 5.7)."""
    milliseconds, fiducial, n_beats = section.numbers("HHH")
    if n_beats > _MOST_BEATS:
        raise problem(section.source, f"at most {_MOST_BEATS} beats", n_beats)
    subtracted = [section.numbers("HIII") for _ in range(n_beats)]
    # In versions 1.0 and 1.1 what is subtracted is protected, and not written again.
    is_old = section.version in (10, 11) and section.left < 8 * n_beats
    protected = [(row[1], row[3]) if is_old else section.numbers("II") for row in subtracted]
    rows = tuple((*one, *other) for one, other in zip(subtracted, protected, strict=True))
    return _Zones(milliseconds, fiducial, rows)


# ---- patient and device ----------------------------------------------------------------------------------------------
def _read_facts(section: _Section) -> dict[int, bytes]:
    """Section 1 (clause 5.4): the values by their tags, of each the first one."""
    facts: dict[int, bytes] = {}
    while section.left >= 3:
        tag, length = section.numbers("BH")
        if tag == 255:
            break
        facts.setdefault(tag, section.take(length))
    return facts


def _text(data: bytes) -> str:
    """Text that ends with a zero: UTF-8, else Latin-1."""
    return decoded(data.split(b"\0")[0]).strip()


def _date(data: bytes) -> datetime.date | None:
    return day_or_none(*struct.unpack("<HBB", data[:4])) if len(data) >= 4 else None


def _age(facts: Mapping[int, bytes]) -> float:
    """Years as written, NaN where nothing is."""
    if len(facts.get(4, b"")) >= 3:
        value, unit = struct.unpack_from("<HB", facts[4])
        if value and unit in _YEARS:
            return value * _YEARS[unit]
    return math.nan


def _device(data: bytes) -> tuple[str, str]:
    """Maker and model of the acquiring device (tag 14)."""
    if len(data) < 14:
        return "", ""
    # Behind the fixed fields: length and text of the program's revision; serial number, software, SCP software, maker.
    texts = data[36 + data[35] :].split(b"\0") if len(data) > 35 else []
    maker = _text(texts[3]) if len(texts) > 3 else ""
    return maker or (_MAKERS[data[7]] if data[7] < len(_MAKERS) else ""), _text(data[8:14])


def _identity(facts: Mapping[int, bytes], signatures: Mapping[str, str]) -> Identity:
    others = {name: _text(facts[tag]) for tag, name in _OTHER_IDENTIFIERS.items() if tag in facts}
    others = {name: text for name, text in others.items() if text} | dict(signatures)
    name = " ".join(filter(None, (_text(facts.get(tag, b"")) for tag in (1, 0))))
    return Identity(name, _text(facts.get(2, b"")), _date(facts.get(5, b"")), others)


def _is_measured(value: int) -> bool:
    return value > 0 and value not in _NOT_MEASURED


def _read_measurements(section: _Section) -> dict[str, float]:
    """Section 7 (clause 5.10): those of the reference beat (or of the first one), ms, degrees and 1/min."""
    n_beats, n_spikes, rr, _ = section.numbers("BBHH")
    found: dict[str, float] = {}

    rows = [section.numbers("5H3h") for _ in range(min(n_beats, section.left // 16))]
    if rows:
        p_onset, p_offset, qrs_onset, qrs_offset, t_offset, *axes = rows[0]
        spans = {"p_ms": (p_onset, p_offset), "pr_ms": (p_onset, qrs_onset)}
        spans |= {"qrs_ms": (qrs_onset, qrs_offset), "qt_ms": (qrs_onset, t_offset)}
        for name, (start, end) in spans.items():
            if start <= end and not {start, end} & set(_NOT_MEASURED):
                found[name] = float(end - start)
        for name, axis in zip(("p_axis_deg", "qrs_axis_deg", "t_axis_deg"), axes, strict=True):
            if abs(axis) <= 360:  # 999 and more: not measured
                found[name] = float(axis)
    rate = 0
    # Earlier versions end before this.
    if section.left >= 10 * n_spikes + 2:
        section.take(10 * n_spikes)
        n_types = section.single("H")
        if section.left >= n_types + 6 and n_types not in _NOT_MEASURED:
            section.take(n_types)
            rate, _, qtc = section.numbers("3H")
            if _is_measured(qtc):
                found["qtc_ms"] = float(qtc)
    if _is_measured(rate):
        found["heart_rate_bpm"] = float(rate)
    elif _is_measured(rr):
        found["heart_rate_bpm"] = 60000 / rr
    return found


def _read_statements(section: _Section) -> list[str]:
    """Sections 8 and 11 (clauses 5.11 and 5.14): the interpretation as text, or as the standard's codes."""
    *_, n_statements = section.numbers("BHBBBBBB")
    statements = []
    for _ in range(n_statements):
        _, length = section.numbers("BH")
        data = section.take(length)
        parts = data[1:].split(b"\0") if section.number == 11 else [data]  # in section 11 a type stands first
        statements.append(" ".join(filter(None, map(_text, parts))))
    return [text for text in statements if text]
