"""A recording written as SCP-ECG (EN 1064:2005+A1), version 2. Nothing of the identity, unless it is handed in."""

import binascii
import datetime
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg.io.errors import problem
from ecg.io.files import write_file
from ecg.io.readers.dicom import LEAD_NUMBERS
from ecg.io.recording import to_millivolts
from ecg.io.stored import DeviceReport, Identity, Stored
from ecg.io.writers.exports import NOBODY
from ecg.leads import LEADS

_NUMBERS = {lead: number for number, lead in LEAD_NUMBERS.items()}
_VERSION = 20
_LONGEST = 32767  # samples of 16 bits, for the bytes of a lead are counted in 16 bits
_ROUNDED = 1000  # nV a bit of what is not whole steps of one size
_NOT_MEASURED = 29999
_LONGEST_TEXT = 500  # bytes of a field or statement


def write_scp(folder: Path, stored: Stored, identity: Identity = NOBODY) -> Path:
    """Write an SCP-ECG file, uncompressed: the leads, the device's measurements in whole ms, and its statements.

    Integers of 16 bits with one gain and no offset stay as they are; all else is rounded to 1 µV. The standard wants a
    date: 1900-01-01 where none is, the year alone without an identity. Raises RecordingError where samples are missing,
    which SCP-ECG can't mark (a lead missing as a whole is left out), for more than 32,767 samples, and for rates
    without a whole number of microseconds from sample to sample.
    """
    header = stored.header
    path = folder / f"{header.recording_id}.scp"
    interval = round(1e6 / header.sampling_frequency)
    if abs(interval * header.sampling_frequency - 1e6) > 1:
        expected = "a sampling frequency with a whole number of µs between samples"
        raise problem(path, expected, f"{header.sampling_frequency:g} Hz")
    leads, samples, unit = _samples(stored, path)
    if samples.shape[1] > _LONGEST:
        raise problem(path, f"at most {_LONGEST} samples, as SCP-ECG can hold", samples.shape[1])
    rows = [struct.pack("<IIB", 1, samples.shape[1], _NUMBERS[lead]) for lead in leads]
    flags = 4 | len(leads) << 3 & 0xFF  # recorded at the same time
    sizes = struct.pack(f"<{len(leads)}H", *[2 * samples.shape[1]] * len(leads))
    when = stored.device.acquired or datetime.datetime(1900, 1, 1)
    when = when if identity is not NOBODY else datetime.datetime(when.year, 1, 1)
    sections = {
        1: b"".join(struct.pack("<BH", tag, len(value)) + value for tag, value in _facts(stored, identity, when)),
        3: struct.pack("<BB", len(leads), flags) + b"".join(rows),
        6: struct.pack("<HHBB", unit, interval, 0, 0) + sizes + samples.astype("<i2").tobytes(),
        7: _measurements(stored.device),
        8: _statements(stored.device, when),
    }
    write_file(path, _together({number: content for number, content in sections.items() if content}))
    return path


def _samples(stored: Stored, path: Path) -> tuple[list[str], NDArray[np.int16], int]:
    """The leads that are there, their samples, (n_leads, n_samples), and nV a bit."""
    header = stored.header
    millivolts = to_millivolts(stored.samples, header, path)
    there = [lead for lead, row in zip(LEADS, millivolts, strict=True) if not np.isnan(row).all()]
    kept = [LEADS.index(lead) for lead in there]
    if np.isnan(millivolts[kept]).any():
        raise problem(path, "a recording without missing samples, which SCP-ECG can't mark", "some")
    at = [header.leads.index(lead) for lead in there]
    units = {1e6 / header.adc_gains[i] for i in at}
    unit = units.pop()
    is_whole = abs(unit - round(unit)) < 1e-6 * unit and 1 <= round(unit) < 2**16
    if stored.samples.dtype == np.int16 and not units and is_whole and not any(header.baselines[i] for i in at):
        return there, stored.samples[at].astype(np.int16), round(unit)
    steps = np.rint(millivolts[kept].astype(np.float64) * (1e6 / _ROUNDED))
    if np.abs(steps).max() >= 2**15:
        raise problem(path, "samples of up to 32.767 mV", f"{np.abs(millivolts[kept]).max():g} mV")
    return there, steps.astype(np.int16), _ROUNDED


def _facts(stored: Stored, identity: Identity, when: datetime.datetime) -> Iterator[tuple[int, bytes]]:
    """Section 1: tags and values."""
    header, device = stored.header, stored.device
    if identity is not NOBODY:
        yield 0, _text(identity.name)
        yield 2, _text(identity.patient_id)
        if identity.birth_date:
            yield 5, struct.pack("<HBB", *identity.birth_date.timetuple()[:3])
    else:
        yield 2, b"\0"  # the standard wants one
    if header.age >= 1:
        yield 4, struct.pack("<HB", int(header.age), 1)  # years
    elif header.age > 0:
        yield 4, struct.pack("<HB", max(1, round(header.age * 365.25)), 4)  # days
    if header.sex != "Unknown":
        yield 8, b"\1" if header.sex == "Male" else b"\2"
    model = device.model.encode("ascii", "replace")[:6].ljust(6, b"\0")
    # A cart of another maker than those with a number; then version, language, what it can do, texts.
    fixed = struct.pack("<3HBB6s5B16xB", 0, 0, 0, 0, 255, model, _VERSION, 0xA0, 0, 0xC0, 0, 1) + b"\0"
    yield 14, fixed + b"\0\0ecg\0" + _text(device.maker)
    yield 25, struct.pack("<HBB", when.year, when.month, when.day)
    yield 26, bytes([when.hour, when.minute, when.second])
    yield 255, b""


def _measurements(device: DeviceReport) -> bytes:
    """Section 7: one beat, whose P wave begins at 0 ms."""
    found = device.measurements
    if not found:
        return b""

    def at(*names: str) -> int:
        known = all(0 <= found.get(name, -1) < _NOT_MEASURED / 2 for name in names)
        return round(sum(found[name] for name in names)) if known else _NOT_MEASURED

    axes = [round(found.get(f"{wave}_axis_deg", 999)) for wave in ("p", "qrs", "t")]
    places = (0 if "pr_ms" in found else _NOT_MEASURED, at("p_ms"), at("pr_ms"), at("pr_ms", "qrs_ms"))
    beat = struct.pack("<5H3h", *places, at("pr_ms", "qt_ms"), *axes)
    rate, qtc = at("heart_rate_bpm"), at("qtc_ms")
    return struct.pack("<BBHH", 1, 0, *[_NOT_MEASURED] * 2) + beat + struct.pack("<H3HBH", 0, rate, 0, qtc, 0, 0)


def _statements(device: DeviceReport, when: datetime.datetime) -> bytes:
    """Section 8: the interpretation, unconfirmed."""
    lines = [_text(line) for line in device.statements[:255]]
    head = struct.pack("<BHBBBBBB", 0, *when.timetuple()[:6], len(lines))
    rows = [struct.pack("<BH", i + 1, len(line)) + line for i, line in enumerate(lines)]
    return head + b"".join(rows) if lines else b""


def _text(text: str) -> bytes:
    return text.replace("\0", " ").encode()[:_LONGEST_TEXT].decode(errors="ignore").encode() + b"\0"


def _together(sections: dict[int, bytes]) -> bytes:
    """The record: checksum, length, section 0 with pointers to all others, and these, each of an even length."""
    bodies, pointers = b"", b""
    place = 6 + 16 + 120
    for number in range(1, 12):
        content = sections.get(number, b"")
        body = _section(number, content + b"\0" * (len(content) % 2)) if content else b""
        pointers += struct.pack("<HII", number, len(body), place + len(bodies) + 1 if body else 0)
        bodies += body
    data = _section(0, struct.pack("<HII", 0, 16 + 120, 7) + pointers, b"SCPECG") + bodies
    data = struct.pack("<I", 6 + len(data)) + data
    return struct.pack("<H", binascii.crc_hqx(data, 0xFFFF)) + data


def _section(number: int, content: bytes, reserved: bytes = bytes(6)) -> bytes:
    data = struct.pack("<HIBB6s", number, 16 + len(content), _VERSION, _VERSION, reserved) + content
    return struct.pack("<H", binascii.crc_hqx(data, 0xFFFF)) + data
