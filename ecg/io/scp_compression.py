"""How SCP-ECG packs samples: Huffman codes, differences, decimation outside the QRS complexes, subtracted beats.

EN 1064:2005+A1 (SCP-ECG 2.x), clauses 5.5 (Huffman tables), 5.7 (zones) and annex C (the methods of compression).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_LONGEST_PREFIX = 16  # bits; those of the standard's own table have 10
_LONGEST_RAW = 16  # bits of a number that follows its prefix
_SWITCH = 0x80  # marks, in a table of steps, codes that choose another table instead of a value
_PADDING = _LONGEST_PREFIX + _LONGEST_RAW


@dataclass(frozen=True)
class Code:
    """One row of a Huffman table.

    Attributes
    ----------
    prefix : str
        The bits by which the code is known, as "0" and "1".
    n_raw : int
        Bits of the number in two's complement that follows the prefix; 0 where the code itself stands for `value`.
    value : int
        What the code stands for; or, where it switches, the number of the table to go on with, from 1.
    switches : bool
    """

    prefix: str
    n_raw: int = 0
    value: int = 0
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
    def steps(self) -> NDArray[np.uint8]:
        """Bits that each code takes, with the mark of those that switch; 0 at the end, for no code."""
        return np.array([len(c.prefix) + c.n_raw + (_SWITCH if c.switches else 0) for c in self.codes] + [0], np.uint8)


def decode_huffman(data: bytes, tables: Sequence[Table], n_samples: int) -> NDArray[np.int64]:
    """Decode one lead; it starts with the first table, and ends after so many samples, whatever bits are left.

    Parameters
    ----------
    data : bytes
        The most significant bit is the first.
    tables : sequence of Table
    n_samples : int

    Returns
    -------
    ndarray, shape (n_samples,), int64

    Raises
    ------
    ValueError
        Where bits are no code or end too early, or where a code switches to a table that is not there.
    """
    n_bits = 8 * len(data)
    stream = _Bits(data)
    # What each table would take at each place: a lead then needs no more than one addition a sample.
    steps_of: dict[int, bytes] = {}
    table, place = 0, 0
    places: list[int] = []
    stretches = [(0, 0)]  # from which sample on which table holds
    while len(places) < n_samples:
        if table not in steps_of:
            found = tables[table].lookup[stream.windows(tables[table].width)]
            steps_of[table] = tables[table].steps[found].tobytes() + bytes(_PADDING)
        steps = steps_of[table]
        while len(places) < n_samples:
            step = steps[place]
            if not 0 < step < _SWITCH:
                break
            places.append(place)
            place += step
        if place > n_bits or (len(places) < n_samples and place == n_bits):
            raise ValueError(f"the end of the data after {max(len(places) - (place > n_bits), 0)} samples")
        if len(places) == n_samples:
            break
        if step == 0:
            raise ValueError(f"bits that are no code after {len(places)} samples")
        code = tables[table].codes[stream.at(tables[table], place)]
        place += step - _SWITCH
        table = code.value - 1
        if not 0 <= table < len(tables):
            raise ValueError(f"a switch to table {code.value} of {len(tables)}")
        stretches.append((len(places), table))
    values = np.empty(n_samples, dtype=np.int64)
    for (start, table), (end, _) in pairwise([*stretches, (n_samples, 0)]):
        if start < end:
            values[start:end] = stream.values(tables[table], np.array(places[start:end]))
    return values


class _Bits:
    """A string of bits that is read at any place."""

    def __init__(self, data: bytes) -> None:
        self._bytes = np.frombuffer(data + bytes(_PADDING // 8 + 8), dtype=np.uint8).astype(np.int64)
        self._n_bits = 8 * len(data)

    def read(self, places: NDArray[np.int64], width: int) -> NDArray[np.int64]:
        """The `width` bits (at most 16) from each place on, as numbers."""
        first, shift = places >> 3, places & 7
        word = np.zeros(len(places), dtype=np.int64)
        for i in range(3):
            word = word << 8 | self._bytes[first + i]
        return word >> (24 - width - shift) & ((1 << width) - 1)

    def windows(self, width: int) -> NDArray[np.int64]:
        """The `width` bits from every place on."""
        return self.read(np.arange(self._n_bits), width)

    def at(self, table: Table, place: int) -> int:
        return int(table.lookup[self.read(np.array([place]), table.width)[0]])

    def values(self, table: Table, places: NDArray[np.int64]) -> NDArray[np.int64]:
        found = table.lookup[self.read(places, table.width)]
        values = np.array([code.value for code in table.codes], dtype=np.int64)[found]
        for i, code in enumerate(table.codes):
            if code.n_raw:
                chosen = found == i
                raw = self.read(places[chosen] + len(code.prefix), code.n_raw)
                values[chosen] = raw - (raw >> (code.n_raw - 1) << code.n_raw)  # two's complement
        return values


def undo_differences(values: NDArray[np.int64], order: int) -> NDArray[np.int64]:
    """Samples from their differences of this order (0, 1 or 2); the first `order` samples stand as they are."""
    if order == 2 and len(values) > 1:
        # The slope from the first sample to the second is what the second differences start from.
        values = np.concatenate([values[:1], np.cumsum(np.concatenate([values[1:2] - values[:1], values[2:]]))])
    return np.cumsum(values) if order else values


@dataclass(frozen=True)
class Beat:
    """A QRS complex and its zones, as half-open ranges of samples from the lead's start.

    Attributes
    ----------
    subtracted : range
        Where the reference beat was subtracted; empty for a beat of another type.
    reference_start : int
        The sample of the reference beat that belongs to the first one of `subtracted`.
    protected : range
        Where nothing was decimated.
    """

    subtracted: range
    reference_start: int
    protected: range


def count_stored(n_samples: int, beats: Sequence[Beat], factor: int) -> int:
    """How many samples are stored of a lead that is decimated by `factor` outside the protected zones."""
    gaps = _gaps(n_samples, beats)
    return n_samples - sum(end - start - (end - start) // factor - (end - start) % factor for start, end in gaps)


def undo_decimation(stored: NDArray[np.int64], n_samples: int, beats: Sequence[Beat], factor: int) -> NDArray[np.int64]:
    """Interpolate what was decimated, and smooth it.

    Outside the protected zones each stored sample stands for `factor` ones: straight lines join them, level before the
    first and behind the last; what is left over at the end of a gap is stored as it is. Then a mean of three, which
    crosses neither a protected zone nor the ends of a subtracted one, takes off the corners (annex C).

    Parameters
    ----------
    stored : ndarray, shape (count_stored(...),), int64
    n_samples : int
        Of the lead.
    beats : sequence of Beat
    factor : int
        Of the decimation.

    Returns
    -------
    ndarray, shape (n_samples,), int64
    """
    samples = np.empty(n_samples, dtype=np.int64)
    gaps = _gaps(n_samples, beats)
    taken = done = 0
    for start, end in [*gaps, (n_samples, n_samples)]:
        samples[done:start] = stored[taken : taken + start - done]
        taken += start - done
        n_means, n_left = divmod(end - start, factor)
        if n_means:
            means = stored[taken : taken + n_means]
            centres = np.arange(n_means) * factor + factor // 2
            line = np.interp(np.arange(n_means * factor), centres, means)
            samples[start : end - n_left] = np.rint(line)
        samples[end - n_left : end] = stored[taken + n_means : taken + n_means + n_left]
        taken += n_means + n_left
        done = end
    cuts = sorted(
        {place for beat in beats if beat.subtracted for place in (beat.subtracted.start, beat.subtracted.stop)}
    )
    smooth = samples.copy()
    for start, end in gaps:
        first, last = max(start - 1, 0), min(end + 1, n_samples)
        inner = cuts[bisect_right(cuts, first) : bisect_left(cuts, last)]
        for one, other in pairwise([first, *inner, last]):
            if other - one > 2:
                total = samples[one : other - 2] + samples[one + 1 : other - 1] + samples[one + 2 : other]
                smooth[one + 1 : other - 1] = np.sign(total) * ((np.abs(total) + 1) // 3)  # to the nearest
    return smooth


def _gaps(n_samples: int, beats: Sequence[Beat]) -> list[tuple[int, int]]:
    """The ranges between the protected zones."""
    free = np.ones(n_samples + 2, dtype=bool)
    free[[0, -1]] = False
    for beat in beats:
        free[1 + max(beat.protected.start, 0) : 1 + max(beat.protected.stop, 0)] = False
    edges = np.flatnonzero(np.diff(free.view(np.int8)))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def add_reference_beats(
    residual: NDArray[np.int64], reference: NDArray[np.int64], beats: Sequence[Beat]
) -> NDArray[np.int64]:
    """Add the reference beat where it was subtracted, as far as it and the lead reach; both in the same unit."""
    samples = residual.copy()
    for beat in beats:
        before = max(0, -beat.subtracted.start, -beat.reference_start)  # what lies ahead of either
        start, first = beat.subtracted.start + before, beat.reference_start + before
        length = min(beat.subtracted.stop - start, len(samples) - start, len(reference) - first)
        if length > 0:
            samples[start : start + length] += reference[first : first + length]
    return samples
