"""Writes SCP-ECG files in every way that the standard packs them. Shares no code with the reader."""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

# Rows: prefix, raw bits behind it, value, table to switch to.
Row = tuple[str, int, int, int | None]
# The standard's table, row by row as it is printed: bits of the prefix, of the whole code, base value, base code.
PRINTED = [
    (1, 1, 0, 0), (3, 3, 1, 1), (3, 3, -1, 5), (4, 4, 2, 3), (4, 4, -2, 11), (5, 5, 3, 7), (5, 5, -3, 23),
    (6, 6, 4, 15), (6, 6, -4, 47), (7, 7, 5, 31), (7, 7, -5, 95), (8, 8, 6, 63), (8, 8, -6, 191), (9, 9, 7, 127),
    (9, 9, -7, 383), (10, 10, 8, 255), (10, 10, -8, 767), (10, 18, 0, 511), (10, 26, 0, 1023),
]  # fmt: skip
STANDARD: list[Row] = [("".join(str(c >> i & 1) for i in range(p)), n - p, v, None) for p, n, v, c in PRINTED]
# Small values, and a way over to large ones and back.
SWITCHING: list[list[Row]] = [
    [("0", 0, 0, None), ("10", 0, 1, None), ("110", 0, -1, None), ("1110", 0, 0, 2), ("1111", 4, 0, None)],
    [("00", 0, 0, 1), ("01", 16, 0, None), ("1", 8, 0, None)],
]
LEAD_NUMBERS = {"I": 1, "II": 2, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64}
LEAD_NUMBERS |= {f"V{i}": i + 2 for i in range(1, 7)}


@dataclass
class Beat:
    """Zones of a beat in samples of the recording, counted from 1 and with their last ones."""

    kind: int
    begin: int
    fiducial: int
    end: int
    keep: int = 0
    keep_end: int = 0


@dataclass
class Recording:
    """What to write: samples by lead, and how to pack them."""

    leads: dict[str, np.ndarray]
    starts: dict[str, int] = field(default_factory=dict)  # 1 where left out
    interval: int = 2000
    unit: int = 2500
    order: int = 2
    tables: list[list[Row]] | str | None = "standard"
    beats: list[Beat] = field(default_factory=list)
    reference: dict[str, np.ndarray] | None = None
    reference_unit: int = 2500
    fiducial: int = 1
    is_subtracted: bool = False
    factor: int = 1  # above 1: bimodal
    version: int = 20
    others: dict[int, bytes] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        numbers = [LEAD_NUMBERS[lead] for lead in self.leads]
        starts = [self.starts.get(lead, 1) for lead in self.leads]
        rows = [
            struct.pack("<IIB", start, start + len(x) - 1, number)
            for start, x, number in zip(starts, self.leads.values(), numbers, strict=True)
        ]
        sections = dict(self.others)
        if self.tables == "standard":
            sections[2] = struct.pack("<H", 19999)
        elif self.tables is not None:
            sections[2] = struct.pack("<H", len(self.tables)) + b"".join(map(_packed_table, self.tables))
        sections[3] = struct.pack("<BB", len(rows), self.is_subtracted | 4 | len(rows) << 3 & 0xFF) + b"".join(rows)
        if self.reference is not None:
            length = len(next(iter(self.reference.values())))
            zones = [struct.pack("<HIII", b.kind, b.begin, b.fiducial, b.end) for b in self.beats]
            if self.version > 11:
                zones += [struct.pack("<II", b.keep, b.keep_end) for b in self.beats]
            head = struct.pack("<HHH", length * self.interval // 1000, self.fiducial, len(self.beats))
            sections[4] = head + b"".join(zones)
            data = [self._pack(self.reference[lead]) for lead in self.leads]
            sections[5] = _packed_leads(self.reference_unit, self.interval, self.order, 0, data)
        stored = [self._pack(self.stored(lead)) for lead in self.leads]
        interval = self.interval * self.factor
        sections[6] = _packed_leads(self.unit, interval, self.order, int(self.factor > 1), stored)
        return seal(assemble(sections, self.version))

    def stored(self, lead: str) -> np.ndarray:
        """The lead's samples without the reference beats, decimated where no zone protects them."""
        start, samples = self.starts.get(lead, 1), self.leads[lead].astype(int)
        if self.is_subtracted:
            for beat in self.beats:
                for place in range(beat.begin, beat.end + 1) if beat.kind == 0 else ():
                    of_beat = int(self.reference[lead][self.fiducial - 1 + place - beat.fiducial])
                    samples[place - start] -= self.reference_unit * of_beat // self.unit
        kept = {place - start for b in self.beats if b.keep_end for place in range(b.keep, b.keep_end + 1)}
        if self.factor == 1:
            return samples
        packed, gap = [], []
        for i, sample in enumerate(samples):
            if i in kept:
                packed, gap = [*packed, *self._means(gap), sample], []
            else:
                gap.append(sample)
        return np.array([*packed, *self._means(gap)])

    def _means(self, gap: list[int]) -> list[int]:
        whole = len(gap) // self.factor * self.factor
        means = [round(sum(gap[i : i + self.factor]) / self.factor) for i in range(0, whole, self.factor)]
        return [*means, *gap[whole:]]

    def _pack(self, samples: np.ndarray) -> bytes:
        values = [int(x) for x in samples]
        for _ in range(self.order):
            values = [values[0], *(b - a for a, b in pairwise(values))]
        if self.order == 2:  # the first two samples stand as they are
            values[1] = int(samples[1])
        if self.tables is None:
            return struct.pack(f"<{len(values)}h", *values)
        return encode(values, [STANDARD] if self.tables == "standard" else self.tables)


def encode(values: list[int], tables: list[list[Row]]) -> bytes:
    """Huffman codes, one after the other, filled up with zeros."""
    bits, table = [], 0
    for value in values:
        code = _code(value, tables[table])
        if code is None:
            prefix, _, _, target = next(row for row in tables[table] if row[3] is not None)
            bits.append(prefix)
            table = target - 1
            code = _code(value, tables[table])
        bits.append(code)
    string = "".join(bits)
    string += "0" * (-len(string) % 8)
    return bytes(int(string[i : i + 8], 2) for i in range(0, len(string), 8))


def _code(value: int, table: list[Row]) -> str | None:
    for prefix, raw, base, target in table:
        if target is None and raw == 0 and base == value:
            return prefix
    for prefix, raw, _, target in sorted(table, key=lambda row: row[1]):
        if target is None and raw and -(1 << raw - 1) <= value < 1 << raw - 1:
            return prefix + format(value & (1 << raw) - 1, f"0{raw}b")
    return None


def _packed_table(table: list[Row]) -> bytes:
    rows = [
        struct.pack("<BBBhI", len(prefix), len(prefix) + raw, target is None, base if target is None else target,
                    sum(1 << i for i, bit in enumerate(prefix) if bit == "1"))
        for prefix, raw, base, target in table
    ]  # fmt: skip
    return struct.pack("<H", len(rows)) + b"".join(rows)


def _packed_leads(unit: int, interval: int, order: int, is_bimodal: int, data: list[bytes]) -> bytes:
    lengths = struct.pack(f"<{len(data)}H", *map(len, data))
    return struct.pack("<HHBB", unit, interval, order, is_bimodal) + lengths + b"".join(data)


def assemble(sections: dict[int, bytes], version: int) -> bytes:
    """The whole record, checksums left zero."""
    pointers, bodies = b"", b""
    place = 6 + 16 + 120
    for number in range(1, 12):
        content = sections.get(number)
        if content is None:
            pointers += struct.pack("<HII", number, 0, 0)
            continue
        body = struct.pack("<HHIBB6x", 0, number, 16 + len(content), version, version) + content
        pointers += struct.pack("<HII", number, len(body), place + 1)
        place += len(body)
        bodies += body
    pointers = struct.pack("<HII", 0, 16 + 120, 7) + pointers
    head = struct.pack("<HHIBB6s", 0, 0, 16 + 120, version, version, b"SCPECG")
    return struct.pack("<HI", 0, place) + head + pointers + bodies


def seal(data: bytes) -> bytes:
    """The record with checksums put right wherever its pointers lead; damage stays what it is."""
    record = bytearray(data)
    for i in range(22, min(len(record) - 10, 6 + 16 + 120), 10):
        _, length, index = struct.unpack_from("<HII", record, i)
        if length >= 16 and index >= 7 and index - 1 + length <= len(record):
            start, end = index - 1, index - 1 + length
            struct.pack_into("<H", record, start, binascii.crc_hqx(bytes(record[start + 2 : end]), 0xFFFF))
    length = struct.unpack_from("<I", record, 2)[0] if len(record) >= 6 else 0
    if length <= len(record) and len(record) >= 2:
        struct.pack_into("<H", record, 0, binascii.crc_hqx(bytes(record[2:length]), 0xFFFF))
    return bytes(record)
