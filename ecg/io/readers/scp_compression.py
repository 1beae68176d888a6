"""How SCP-ECG packs samples: Huffman codes, differences, decimation outside the QRS complexes, subtracted beats.

EN 1064:2005+A1 (SCP-ECG 2.x), clauses 5.5 (Huffman tables), 5.7 (zones) and annex C (the methods of compression).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ecg.arrays import Ints

_LONGEST_PREFIX = 16  # bits; those of the standard's own table have 10
_LONGEST_RAW = 16  # bits of a number that follows its prefix
_PADDING = _LONGEST_PREFIX + _LONGEST_RAW


@dataclass(frozen=True)
class Code:
    """One row of a Huffman table."""

    prefix: str  # the bits by which the code is known, as "0" and "1"
    # Bits of the number in two's complement that follows the prefix; 0 where the code itself stands for `value`.
    n_raw: int = 0
    value: int = 0  # what the code stands for; or, where it switches, the number of the table to go on with, from 1
    switches: bool = False


def default_table() -> tuple[Code, ...]:
    """The standard's own table: n ones, a zero and the sign for -8 to 8, prefixes of ten bits for 8 and 16 raw bits."""
    codes = [Code("0")]
    for size in range(1, 9):
        codes += [Code("1" * size + "0" + sign, value=value) for sign, value in (("0", size), ("1", -size))]
    return (*codes, Code("1" * 9 + "0", n_raw=8), Code("1" * 10, n_raw=16))


class Table:
    """A Huffman table, ready to be looked up. Raises ValueError where its rows can't be a prefix code."""

    def __init__(self, codes: Sequence[Code]) -> None:
        for code in codes:
            if not 1 <= len(code.prefix) <= _LONGEST_PREFIX or not 0 <= code.n_raw <= _LONGEST_RAW:
                raise ValueError(f"a code with a prefix of {len(code.prefix)} bits and {code.n_raw} more")
            if code.n_raw and (code.value or code.switches):
                raise ValueError("a code with both raw bits and a base value")
            if code.switches and not 1 <= code.value <= 255:
                raise ValueError(f"a switch to table {code.value}")
        # Sorted, a prefix stands right before what it is a prefix of.
        for one, other in pairwise(sorted(code.prefix for code in codes)):
            if other.startswith(one):
                raise ValueError(f"the code {one}, with which the code {other} begins")
        self.codes = codes
        self.width = max((len(code.prefix) for code in codes), default=1)

    @cached_property
    def lookup(self) -> NDArray[np.int16]:
        """The code that each possible `width` bits begin with, -1 for none."""
        found = np.full(1 << self.width, -1, dtype=np.int16)
        for i, code in enumerate(self.codes):
            free = self.width - len(code.prefix)
            start = int(code.prefix, 2) << free
            found[start : start + (1 << free)] = i
        return found

    @cached_property
    def steps(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """For each code, and at the end for none: the bits that it takes, and the table that it switches to or 0."""
        lengths = [len(code.prefix) + code.n_raw for code in self.codes]
        targets = [code.value if code.switches else 0 for code in self.codes]
        return np.array([*lengths, 0], np.uint8), np.array([*targets, 0], np.uint8)


def decode_huffman(data: bytes, tables: Sequence[Table], n_samples: int) -> Ints:
    """Decode one lead, (n_samples,), int64; the most significant bit of `data` is the first.

    It starts with the first table, and ends after so many samples, whatever bits are left. Raises ValueError if bits
    are no code or end too early, or a code switches to a missing table.
    """
    n_bits = 8 * len(data)
    stream = _Bits(data)
    # What each table would find at each place: a sample then takes no more than a look-up and an addition.
    found: dict[int, tuple[bytes, bytes]] = {}
    table, place = 0, 0
    places: list[int] = []
    stretches = [(0, 0)]  # from which sample on which table holds
    while len(places) < n_samples:
        if table not in found:
            codes = tables[table].lookup[stream.windows(tables[table].width)]
            bits, switches = tables[table].steps
            found[table] = bits[codes].tobytes() + bytes(_PADDING), switches[codes].tobytes() + bytes(_PADDING)
        steps, targets = found[table]
        while len(places) < n_samples and not targets[place] and steps[place]:
            places.append(place)
            place += steps[place]
        if place > n_bits or (len(places) < n_samples and place == n_bits):
            raise ValueError(f"the end of the data after {max(len(places) - (place > n_bits), 0)} samples")
        if len(places) == n_samples:
            break
        if not steps[place]:
            raise ValueError(f"bits that are no code after {len(places)} samples")
        table, place = targets[place] - 1, place + steps[place]
        if table >= len(tables):
            raise ValueError(f"a switch to table {table + 1} of {len(tables)}")
        stretches.append((len(places), table))
    at, used = np.array(places, dtype=np.int32), np.array([table for _, table in stretches])
    table_of = np.repeat(used, np.diff([start for start, _ in stretches] + [n_samples]))
    values = np.empty(n_samples, dtype=np.int64)
    for table in np.unique(table_of):
        values[table_of == table] = stream.values(tables[table], at[table_of == table])
    return values


class _Bits:
    """A string of bits that is read at any place."""

    def __init__(self, data: bytes) -> None:
        self._bytes = np.frombuffer(data + bytes(_PADDING // 8 + 8), dtype=np.uint8).astype(np.int32)
        self._n_bits = 8 * len(data)

    def read(self, places: NDArray[np.int32], width: int) -> NDArray[np.int32]:
        """The `width` bits (at most 16) from each place on, as numbers."""
        first, shift = places >> 3, places & 7
        word = np.zeros(len(places), dtype=np.int32)
        for i in range(3):
            word = word << 8 | self._bytes[first + i]
        return word >> (24 - width - shift) & ((1 << width) - 1)

    def windows(self, width: int) -> NDArray[np.int32]:
        """The `width` bits from every place on."""
        return self.read(np.arange(self._n_bits, dtype=np.int32), width)

    def values(self, table: Table, places: NDArray[np.int32]) -> Ints:
        found = table.lookup[self.read(places, table.width)]
        values = np.array([code.value for code in table.codes], dtype=np.int64)[found]
        for i, code in enumerate(table.codes):
            if code.n_raw:
                chosen = found == i
                raw = self.read(places[chosen] + len(code.prefix), code.n_raw)
                values[chosen] = raw - (raw >> (code.n_raw - 1) << code.n_raw)  # two's complement
        return values


def undo_differences(values: Ints, order: int) -> Ints:
    """Samples from their differences of this order (0, 1 or 2); the first `order` samples stand as they are."""
    if order == 2 and len(values) > 1:
        # The slope from the first sample to the second is what the second differences start from.
        values = np.concatenate([values[:1], np.cumsum(np.concatenate([values[1:2] - values[:1], values[2:]]))])
    return np.cumsum(values) if order else values


@dataclass(frozen=True)
class Beat:
    """A QRS complex and its zones, as half-open ranges of samples from the lead's start."""

    subtracted: range  # where the reference beat was subtracted; empty for a beat of another type
    reference_start: int  # the sample of the reference beat that belongs to the first one of `subtracted`
    protected: range  # where nothing was decimated


def count_stored(n_samples: int, beats: Sequence[Beat], factor: int) -> int:
    """How many samples are stored of a lead that is decimated by `factor` outside the protected zones."""
    starts, ends = _gaps(n_samples, beats)
    n_means, n_left = np.divmod(ends - starts, factor)
    return n_samples - int((ends - starts - n_means - n_left).sum())


def undo_decimation(stored: Ints, n_samples: int, beats: Sequence[Beat], factor: int) -> Ints:
    """Interpolate what was decimated by `factor`, and smooth it; from (count_stored(...),) to (n_samples,), int64.

    Outside the protected zones each stored sample stands for `factor` ones: straight lines join them, level before the
    first and behind the last; what is left over at the end of a gap is stored as it is. Then a mean of three, which
    crosses neither a protected zone nor the ends of a subtracted one, takes off the corners (annex C).
    """
    starts, ends = _gaps(n_samples, beats)
    n_means = (ends - starts) // factor
    is_mean = np.zeros(n_samples + 1, dtype=np.int64)
    is_mean[starts] += 1
    is_mean[starts + n_means * factor] -= 1
    is_between = np.cumsum(is_mean[:-1]) > 0  # samples that means stand for
    nth = np.arange(n_means.sum()) - np.repeat(np.cumsum(n_means) - n_means, n_means)
    centres = np.repeat(starts, n_means) + nth * factor + factor // 2
    # Each stored sample has its own place, and they are stored in the order of these.
    kept = np.flatnonzero(~is_between)
    order = np.argsort(np.concatenate([kept, centres]), kind="stable")
    placed = np.empty(len(order), dtype=np.int64)
    placed[order] = stored
    samples = np.empty(n_samples, dtype=np.int64)
    samples[kept] = placed[: len(kept)]
    means = placed[len(kept) :]
    if len(means):
        # Level to either end of a gap, so that no line leads across a zone.
        last = np.cumsum(n_means)[n_means > 0] - 1
        first = last + 1 - n_means[n_means > 0]
        knots = np.concatenate([centres, centres[first] - factor // 2, centres[last] + factor - factor // 2 - 1])
        knots, at = np.unique(knots, return_index=True)
        lines = np.interp(np.flatnonzero(is_between), knots, np.concatenate([means, means[first], means[last]])[at])
        samples[is_between] = np.rint(lines)
    return _smoothed(samples, starts, ends, beats)


def _smoothed(samples: Ints, starts: Ints, ends: Ints, beats: Sequence[Beat]) -> Ints:
    """A mean of three in the gaps, but not across the ends of a subtracted zone."""
    inner = np.zeros(len(samples) + 2, dtype=np.int64)
    inner[starts] += 1
    inner[ends] -= 1
    is_inner = np.cumsum(inner)[: len(samples)] > 0
    is_inner[[0, -1]] = False
    for beat in beats:
        for place in (beat.subtracted.start, beat.subtracted.stop) if beat.subtracted else ():
            is_inner[max(place - 1, 0) : max(place + 1, 0)] = False
    places = np.flatnonzero(is_inner)
    total = samples[places - 1] + samples[places] + samples[places + 1]
    smooth = samples.copy()
    smooth[places] = np.sign(total) * ((np.abs(total) + 1) // 3)  # to the nearest
    return smooth


def _gaps(n_samples: int, beats: Sequence[Beat]) -> tuple[Ints, Ints]:
    """Starts and ends of the ranges between the protected zones."""
    free = np.ones(n_samples + 2, dtype=bool)
    free[[0, -1]] = False
    for beat in beats:
        free[1 + max(beat.protected.start, 0) : 1 + max(beat.protected.stop, 0)] = False
    edges = np.flatnonzero(np.diff(free.view(np.int8)))
    return edges[::2], edges[1::2]


def add_reference_beats(residual: Ints, reference: Ints, beats: Sequence[Beat]) -> Ints:
    """Add the reference beat where it was subtracted, as far as it and the lead reach; both in the same unit."""
    samples = residual.copy()
    for beat in beats:
        before = max(0, -beat.subtracted.start, -beat.reference_start)  # what lies ahead of either
        start, first = beat.subtracted.start + before, beat.reference_start + before
        length = min(beat.subtracted.stop - start, len(samples) - start, len(reference) - first)
        if length > 0:
            samples[start : start + length] += reference[first : first + length]
    return samples
