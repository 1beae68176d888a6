"""Tables of samples as text: which delimiter, quotes, decimal mark and headings a file has, and its columns."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ecg.arrays import Array, Floats
from ecg.io.errors import problem, shown
from ecg.io.files import StrPath, decoded
from ecg.io.readers.lead_labels import lead_of

_DELIMITERS = ("\t", ";", "|", ",", " ", "")  # the last: one column
_LOOKED_AT = 20  # lines
_LONGEST_FIELD = 64  # characters of a number or a time
_MISSING = ("", "-", "--", "?", "na", "n/a", "#n/a", "nan", "null", "none")
_NUMBER = re.compile(r"[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d{1,3})?|[-+]?inf", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{2}(?:[.,]\d{1,9})?)", re.ASCII)  # also within a date and time
_MOMENT = re.compile(r"\[?[\dTZ:/ .+-]*\d:\d[\dTZ:/ .+-]*(?:,\d+)?\]?", re.ASCII)
_UNIT = re.compile(r"[µμun]?v|mv|[µμumn]?s|sec(?:onds)?|adu|nu|hh:mm:ss\S*|mm:ss\S*|sample interval|", re.IGNORECASE)
_ENCODINGS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))


@dataclass(frozen=True)
class Layout:
    """How the lines of a table are to be read."""

    delimiter: str
    quote: str
    n_columns: int
    n_headings: int  # lines
    headings: list[str]  # empty where there are none
    units: list[str]  # of the columns, where a line of its own says them
    is_numbered: bool  # headings are 0, 1, 2, ... or 1, 2, 3, ...
    has_labels: bool  # each line begins with the name of a lead

    def fields(self, line: str) -> list[str]:
        return _fields(line, self.delimiter, self.quote)


def decode(data: bytes) -> str:
    """Text in UTF-8, UTF-16 (also without byte order mark), else Latin-1."""
    for mark, encoding in _ENCODINGS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    if b"\0" in data[:200]:  # every other byte of digits in UTF-16
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", errors="replace")
    return decoded(data)


def lines_of(text: str) -> list[str]:
    """The lines that are no comments (# or %), not empty, and not Excel's "sep=;"."""
    lines = text.replace("\r", "\n").split("\n")
    kept = [line for line in lines if line.strip() and line.lstrip()[0] not in "#%"]
    return kept[1:] if kept and re.fullmatch('"?sep=.?"?', kept[0].strip()) else kept


def find_layout(lines: Sequence[str]) -> Layout | None:
    """The layout of a table that begins with these lines; None where they are no table of samples.

    Lines of numbers, behind up to two lines of headings of which the second has units. Of several delimiters that would
    do, the one with as many headings as columns is taken, then the first of tab, semicolon, bar, comma and space.
    """
    sample = list(lines[:_LOOKED_AT])
    quote = "'" if any("'" in line for line in sample) and not any('"' in line for line in sample) else '"'
    found = [layout for mark in _DELIMITERS if (layout := _layout(sample, mark, quote))]
    return min(found, key=lambda one: one.n_headings > 0 and len(one.headings) != one.n_columns, default=None)


def _layout(lines: Sequence[str], delimiter: str, quote: str) -> Layout | None:
    rows = [_fields(line, delimiter, quote) for line in lines]
    n_headings = next((i for i, row in enumerate(rows) if _is_data(row)), len(rows))
    data = rows[n_headings:]
    widths = {len(row) for row in data}
    if len(widths) != 1 or not all(map(_is_data, data)):
        return None
    (width,) = widths
    if delimiter.strip(" ") and width == 1:  # no such delimiter
        return None
    units: list[str] = []
    if n_headings == 2 and all(_matches(_UNIT, field) for field in rows[1]):
        units = rows[1]
    elif n_headings > 1:
        return None
    headings = rows[0] if n_headings else []
    has_labels = all(lead_of(row[0]) is not None for row in data)
    is_numbered = not headings and len(data) > 1 and _counts(data)
    if is_numbered:
        headings, n_headings = data[0], 1
    if len(headings) == width + 1 and not headings[-1]:  # a heading line that ends with the delimiter
        headings = headings[:-1]
    if headings and len(headings) == width - 1 and delimiter in "\t ":  # R gives the column of row names no heading
        headings = ["", *headings]
    return Layout(delimiter, quote, width, n_headings, headings, units[:width], is_numbered, has_labels)


def _fields(line: str, delimiter: str, quote: str) -> list[str]:
    if delimiter in ("", " "):
        fields = line.split() if delimiter else [line]
        return [field.strip().strip(quote).strip() for field in fields]
    try:
        reader = csv.reader([line], delimiter=delimiter, quotechar=quote, skipinitialspace=True)
        return [field.strip() for field in next(reader)]
    except (csv.Error, StopIteration):  # a field of more than 128 KiB
        return line.split(delimiter)


def _is_data(row: Sequence[str]) -> bool:
    """Whether a line is one of samples: numbers, or nothing, behind a time or the name of a lead."""
    first, *others = row
    is_first = is_value(first) or _matches(_MOMENT, first) or (others and lead_of(first) is not None)
    return bool(is_first) and all(map(is_value, others)) and any(row)


def is_value(field: str) -> bool:
    """Whether a field is a number, with a decimal point or comma, or says that there is none."""
    return _matches(_NUMBER, field) or field.lower() in _MISSING


def _matches(pattern: re.Pattern[str], field: str) -> bool:
    """Whether a field matches; none that is too long, on which a pattern would take its time."""
    return len(field) <= _LONGEST_FIELD and pattern.fullmatch(field) is not None


def _counts(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line numbers the columns, as pandas writes a table without names: 0, 1, 2, ..."""
    first = list(rows[0])
    numbers = first[1:] if first[0] == "" else first  # pandas' index has no heading
    if len(numbers) == 1 and first[0] != "" and not all(re.search("[.,e]", row[0]) for row in rows[1:]):
        return False
    n = len(numbers)
    return numbers in (list(map(str, range(n))), list(map(str, range(1, n + 1))))


def read_columns(lines: Sequence[str], layout: Layout, path: StrPath) -> list[Array]:
    """The columns: numbers, float64 or int64 with NaN where there are none; text (object) where they are none.

    Raises RecordingError where a line has another number of fields; ValueError where pandas can't take it.
    """
    import pandas

    data = lines[layout.n_headings :]
    rows = map(layout.fields, data[:_LOOKED_AT])
    # A time of day may have a comma where the samples have points; a number in the first column says as much as others.
    has_commas = any("," in field for row in rows for i, field in enumerate(row) if i or is_value(field))
    frame = pandas.read_csv(
        io.StringIO("\n".join(data)),
        sep={"": "\x01", " ": r"\s+"}.get(layout.delimiter, layout.delimiter),
        header=None,
        decimal="," if has_commas else ".",
        quotechar=layout.quote,
        skipinitialspace=True,
        na_values=list(_MISSING),
        low_memory=False,
    )
    # Where a line has too few fields, pandas takes the last ones for missing.
    for i in np.flatnonzero(frame.iloc[:, -1].isna().to_numpy()).tolist():
        if len(fields := layout.fields(data[i])) != layout.n_columns:
            raise problem(path, f"{layout.n_columns} fields in each line", f"{len(fields)} in {shown(data[i])}")
    values = (frame.iloc[:, i].to_numpy() for i in range(frame.shape[1]))
    columns = [each if each.dtype.kind in "iuf" else each.astype(object) for each in values]
    if not layout.headings or len(layout.headings) < len(columns):
        while len(columns) > 1 and columns[-1].dtype.kind == "f" and np.isnan(columns[-1]).all():
            columns.pop()  # lines that end with the delimiter
    return columns


def seconds_of(column: Iterable[object]) -> Floats | None:
    """Seconds of a column of times of day ("0:00.010", "10:30:00.004", with or without a date); None for others."""
    return np.array(list(_unwrapped(column))) if all(_CLOCK.search(str(text)) for text in column) else None


def _unwrapped(column: Iterable[object]) -> Iterator[float]:
    before, days = 0.0, 0
    for text in column:
        match = _CLOCK.search(str(text))
        assert match is not None
        hours, minutes, seconds = match.groups()
        now = int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))
        days += now < before - 43200  # midnight
        before = now
        yield now + days * 86400
