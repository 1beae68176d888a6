"""MFER, Medical waveform Format Encoding Rules (ISO 22077-1; lead codes of part 3-1), of Japanese systems (.mwf).

A file is a row of definitions: a tag, a length, a value. Waveform data are sequences x channels x blocks of samples;
physical value = (sample + offset) x sensitivity. Written after public descriptions of the rules; no real file was seen.
"""

import datetime
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ecg.arrays import Array
from ecg.io.errors import problem, shown
from ecg.io.files import StrPath, read_file
from ecg.io.stored import DeviceReport, Identity, Stored, as_small_integers, check_frequency, make_stored

_LARGEST_FILE = 1 << 25  # bytes
_MOST_CHANNELS = 64
_LEADS = {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF", 65: "-aVR"}
_LEADS |= {number + 2: f"V{number}" for number in range(1, 8)} | {66: "V8", 67: "V9"}
_TYPES = {0: "i2", 1: "u2", 2: "i4", 3: "u1", 5: "i1", 6: "u4", 7: "f4", 8: "f8"}
_ORDER, _BLOCK, _CHANNELS, _SEQUENCES, _WAVEFORM, _LEAD, _TYPE = 0x01, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0A
_INTERVAL, _SENSITIVITY, _OFFSET, _PACKING, _MISSING, _MAKER, _DATA = 0x0B, 0x0C, 0x0D, 0x0E, 0x12, 0x17, 0x1E
_CHANNEL, _PREAMBLE, _GROUP, _END = 0x3F, 0x40, 0x67, 0x80
_NAME, _PATIENT, _AGE, _SEX, _TIME = 0x81, 0x82, 0x83, 0x84, 0x85
_TEXTS = {0x15: "information", 0x16: "note", 0x86: "message", 0x87: "identifier"}
_OF_CHANNELS = (_BLOCK, _SEQUENCES, _WAVEFORM, _LEAD, _TYPE, _INTERVAL, _SENSITIVITY, _OFFSET, _MISSING)
_MEAN_BEAT = 9  # kind of waveform


def is_mfer(start: bytes) -> bool:
    """Whether these first bytes of a file are those of an MFER file that begins with its preamble."""
    return start[:1] == b"\x40" and start[2:6] == b"MFR "


def read_mfer(path: StrPath) -> Stored:
    """Read the first frame of waveforms that is no mean beat.

    Raises RecordingError for everything wrong with it; for compressed data, and where channels differ in their rates.
    """
    path = Path(path)
    data = read_file(path, _LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE or not is_mfer(data):
        raise problem(path, f"an MFER file of at most {_LARGEST_FILE >> 20} MiB", "another or a larger one")
    file = _File(path)
    file.walk(data, None)
    if file.frame is None:
        raise problem(path, "waveform data", "none")
    channels = [file.channel(i) for i in range(file.n_channels)]
    rows = _rows(file.frame, channels, file)
    rates = {_rate(one, file) for one in channels}
    if len(rates) > 1:
        found = ", ".join(f"{rate:g} Hz" for rate in sorted(rates))
        raise problem(path, "one sampling frequency of all channels", found)
    leads = [_LEADS.get(file.number(one.get(_LEAD, b"")[:2]), "unknown lead") for one in channels]
    scales = [_scale(one, file) for one in channels]
    if all(row.dtype.kind in "iu" for row in rows):
        samples = as_small_integers(rows, path)
        gains = [1 / scale if scale else 0.0 for scale, _ in scales]
        baselines = [-offset for _, offset in scales]
    else:
        samples = np.array([(row + offset) * scale for row, (scale, offset) in zip(rows, scales, strict=True)])
        gains, baselines = [1.0] * len(rows), [0.0] * len(rows)
    age, birth = file.age()
    sex = {1: "Male", 2: "Female"}.get(file.number(file.facts.get(_SEX, b"")[:1]), "Unknown")
    others = {name: text for tag, name in _TEXTS.items() if (text := file.text(tag))}
    device = DeviceReport(file.text(_MAKER), acquired=file.moment())
    identity = Identity(file.text(_NAME), file.text(_PATIENT), birth, others)
    return make_stored(path, leads, rates.pop(), samples, gains, baselines, device, identity, age=age, sex=sex)


@dataclass
class _File:
    """What was defined so far, for all channels and for single ones."""

    path: Path
    order: str = ">"
    n_channels: int = 1
    common: dict[int, bytes] = field(default_factory=dict)
    own: dict[int, dict[int, bytes]] = field(default_factory=dict)
    facts: dict[int, bytes] = field(default_factory=dict)
    frame: bytes | None = None

    def walk(self, data: bytes, channel: int | None, depth: int = 0) -> None:
        for tag, number, value in self._definitions(data):
            if tag in (_CHANNEL, _GROUP):
                if depth > 3:
                    raise problem(self.path, "definitions nested less deeply", "deeper ones")
                self.walk(value, number if tag == _CHANNEL else channel, depth + 1)
            elif tag == _ORDER:
                self.order = "<" if value == b"\1" else ">"
            elif tag == _CHANNELS:
                self.n_channels = self.number(value[:4])
                if not 1 <= self.n_channels <= _MOST_CHANNELS:
                    raise problem(self.path, f"1 to {_MOST_CHANNELS} channels", self.n_channels)
            elif tag == _PACKING and self.number(value[:2]):
                raise problem(self.path, "waveform data without compression", f"kind {self.number(value[:2])}")
            elif tag in _OF_CHANNELS:
                (self.common if channel is None else self.own.setdefault(channel, {}))[tag] = value
            elif tag == _DATA and self.frame is None:
                if self.number(self.common.get(_WAVEFORM, b"")[:2]) != _MEAN_BEAT:
                    self.frame = value
            else:
                self.facts.setdefault(tag, value)

    def _definitions(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Tag, number of the channel (of a channel's definitions) and value, one after the other."""
        place = 0
        while place < len(data):
            tag, number = data[place], 0
            place += 1
            if tag == 0:
                continue
            if tag == _END:
                return
            if tag == _CHANNEL:  # seven bits a byte, the last one has a 0 before them
                while place < len(data):
                    number = (number << 7 | data[place] & 0x7F) & 0xFFFF
                    place += 1
                    if not data[place - 1] & 0x80:
                        break
            size = data[place] if place < len(data) else 0
            place += 1
            if size > 0x84 or size == 0x80:
                raise problem(self.path, f"the length of definition {tag:#x} in up to four bytes", f"{size:#x}")
            if size > 0x80:
                size, place = int.from_bytes(data[place : place + size - 0x80], "big"), place + size - 0x80
            if place + size > len(data):
                raise problem(self.path, f"{size} bytes of definition {tag:#x}", max(len(data) - place, 0))
            yield tag, number, data[place : place + size]
            place += size

    def channel(self, number: int) -> dict[int, bytes]:
        return {**self.common, **self.own.get(number, {})}

    def number(self, value: bytes, signed: bool = False) -> int:
        return int.from_bytes(value, "little" if self.order == "<" else "big", signed=signed)

    def text(self, tag: int) -> str:
        data = self.facts.get(tag, b"").rstrip(b"\0 ")[:1000]
        for encoding in ("utf-8", "shift_jis"):
            try:
                return data.decode(encoding).strip()
            except UnicodeDecodeError:
                continue
        return data.decode("latin-1").strip()

    def moment(self) -> datetime.datetime | None:
        value = self.facts.get(_TIME, b"")
        try:
            return datetime.datetime(*struct.unpack(self.order + "H5B", value[:7]))
        except (struct.error, ValueError):
            return None

    def age(self) -> tuple[float, datetime.date | None]:
        """Years, then days beyond them, then the date of birth."""
        value = self.facts.get(_AGE, b"")
        years = float(value[0]) if value and value[0] != 0xFF else math.nan
        try:
            return years, datetime.date(*struct.unpack(self.order + "HBB", value[3:7]))
        except (struct.error, ValueError):
            return years, None


def _exponential(value: bytes, file: _File) -> tuple[int, float]:
    """A unit, and a number that is written as exponent and integer."""
    if not 3 <= len(value) <= 6:
        return -1, math.nan
    exponent = int.from_bytes(value[1:2], "big", signed=True)
    return value[0], file.number(value[2:], signed=True) * 10.0**exponent if abs(exponent) < 20 else math.nan


def _rate(channel: dict[int, bytes], file: _File) -> float:
    """Hz: the interval has the unit 0 for Hz, 1 for s."""
    unit, value = _exponential(channel.get(_INTERVAL, b""), file)
    rate = {0: value, 1: 1 / value if value else math.nan}.get(unit, math.nan)
    check_frequency(file.path, rate)
    return float(f"{rate:.9g}")


def _scale(channel: dict[int, bytes], file: _File) -> tuple[float, float]:
    """mV of a unit, and what is added to samples; NaN where the channel has no voltage."""
    unit, volts = _exponential(channel.get(_SENSITIVITY, b""), file)
    kind = np.dtype(file.order + _TYPES.get(file.number(channel.get(_TYPE, b"")[:1]), "i2"))
    raw = channel.get(_OFFSET, b"")
    offset = float(np.frombuffer(raw, kind)[0]) if len(raw) == kind.itemsize else 0.0
    return (float(f"{volts * 1000:.12g}"), offset) if unit == 0 else (math.nan, math.nan)


def _rows(data: bytes, channels: list[dict[int, bytes]], file: _File) -> list[Array]:
    """The samples of the channels, in the file's numbers."""
    kinds, blocks = [], []
    for channel in channels:
        code = file.number(channel.get(_TYPE, b"")[:1])
        if code not in _TYPES:
            raise problem(file.path, "samples as numbers of 8, 16 or 32 bits", f"type {code}")
        kinds.append(np.dtype(file.order + _TYPES[code]))
        blocks.append(file.number(channel.get(_BLOCK, b"\1")[:4]))
    width = sum(kind.itemsize * block for kind, block in zip(kinds, blocks, strict=True))
    n_sequences, rest = divmod(len(data), width) if width else (0, 0)
    said = file.number(file.common.get(_SEQUENCES, b"")[:4])
    if not n_sequences or rest or said not in (0, n_sequences):
        found = f"{len(data)} bytes for {said or 'any number of'} sequences of {width}"
        raise problem(file.path, "waveform data of whole sequences", shown(found))
    frames = np.frombuffer(data, np.uint8).reshape(n_sequences, width)
    rows, place = [], 0
    for channel, kind, block in zip(channels, kinds, blocks, strict=True):
        end = place + kind.itemsize * block
        row = np.ascontiguousarray(frames[:, place:end]).view(kind).ravel().astype(kind.newbyteorder("="))
        missing = channel.get(_MISSING, b"")
        if len(missing) == kind.itemsize and (is_missing := row == np.frombuffer(missing, kind)[0]).any():
            row = np.where(is_missing, np.nan, row.astype(np.float64))
        rows.append(row)
        place = end
    return rows
