"""Tables of samples: CSV, NPY, NPZ and Parquet, with what they do not say in a sidecar `<stem>.json` or in options.

    {"sampling_frequency": 500, "unit": "mV", "leads": ["I", "II", "V1"], "age": 61, "sex": "Female"}

Instead of "unit" a table of ADC units has "adc_gain", ADC units per mV. Nothing is guessed.
"""

import json
import math
import os
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from ecg.arrays import Array
from ecg.io.errors import RecordingError, import_optional, problem, shown
from ecg.io.files import StrPath, open_file, read_file
from ecg.io.header import SEXES
from ecg.io.readers.lead_labels import lead_of, notes_on
from ecg.io.readers.table_text import Layout, decode, find_layout, is_value, lines_of, read_columns, seconds_of
from ecg.io.readers.table_times import COUNTS, rate_of, unit_of_time
from ecg.io.readers.xml_files import root_name
from ecg.io.stored import Stored, check_frequency, check_length, make_header

_PER_MILLIVOLT = {"uv": 1e3, "µv": 1e3, "μv": 1e3, "mv": 1.0, "v": 1e-3}
_LARGEST_CSV, _LARGEST_SIDECAR = 1 << 28, 1 << 16  # bytes
# Of a compressed table, which may be a bomb: 30 minutes of twelve leads at 500 Hz; pyarrow takes more memory for them.
_MOST_IN_NPZ, _MOST_IN_PARQUET = 11_000_000, 7_000_000
_NPY, _ZIP, _PARQUET = b"\x93NUMPY", b"PK\x03\x04", b"PAR1"
# The whole header of a .npy file with an array of numbers or texts of at most two dimensions.
_NPY_HEADER = re.compile(
    rb"\{'descr': '(?P<dtype>[<>|=]?(?:[iuf][1248]|U\d{1,3}))', 'fortran_order': (?P<order>True|False), "
    rb"'shape': \((?P<shape>(?:\d{1,12}(?:, \d{1,12}|,)?)?)\),? ?\}\s*"
)
_START = 4096  # bytes of a file that `is_table` is given
_LONGEST_HEADING = 200  # characters
_MANY = 50  # fields of a line that alone makes a table
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".npy", ".npz", ".parquet")
# "II", "II (mV)", "V1 [uV]", "time_ms"
_HEADING = re.compile(
    r"(?P<name>.*?)[\s_]*[\[(_\s]\s*(?P<unit>[µμu]?v|mv|[mµμun]?s|sec|(?:milli|micro)?seconds)\s*[\])]?", re.IGNORECASE
)
_TIME = re.compile(
    r"t|time|times|timestamps?|(?:milli|micro|nano)?seconds|elapsed|elapsed time|zeit|tiempo|tempo|temps|datetime",
    re.IGNORECASE,
)
_INDEX = re.compile(r"|index|samples?(?: ?(?:#|no\.?|number|index))?|unnamed: 0|row|#|n", re.IGNORECASE)
# Errors of numpy and pyarrow on damaged files, found by trial.
_UNREADABLE = (
    ValueError, TypeError, LookupError, ArithmeticError, OSError, MemoryError, EOFError, RuntimeError, AttributeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class _Table:
    """What a file itself says; None where it does not say."""

    samples: Array  # (n_signals, n_samples) or the other way round
    labels: list[str] | None = None
    sampling_frequency: float | None = None
    unit: str | None = None
    notes: tuple[str, ...] = ()
    counts: bool = False  # a column of times that counts samples


def is_table(start: bytes) -> bool:
    """Whether these first bytes of a file are those of an NPY, NPZ or Parquet file, or of lines of numbers.

    Lines as of `table_text.find_layout`. A table whose first column is "record" is one about recordings, as
    `ecg measure` writes it, whatever their names.
    """
    if start.startswith((_NPY, _ZIP, _PARQUET)):
        return True
    lines = lines_of(decode(start))
    if "\0" in "".join(lines) or root_name(start):
        return False
    if len(start) >= _START:  # the last line may be cut; one that is longer than this is cut at a field
        lines = lines[:-1] if len(lines) > 1 else [re.sub(r"[^\t;|,]*$", "", lines[0])[:-1]] if lines else []
        if len(lines) == 1 and len(re.split(r"[\t;|,]", lines[0])) < _MANY:
            return False
    elif len(lines) < 2:
        return False
    layout = find_layout(lines)
    return layout is not None and layout.headings[:1] != ["record"] and (layout.n_headings < len(lines))


def is_sidecar(path: StrPath) -> bool:
    """Whether a JSON file is one that describes a table, as `read_table` takes it."""
    try:
        facts = json.loads(read_file(path, _LARGEST_SIDECAR))
    except (RecordingError, ValueError, RecursionError):
        return False
    return isinstance(facts, dict) and bool({"sampling_frequency", "adc_gain", "leads"} & set(facts))


def read_table(
    path: StrPath,
    sampling_frequency: float | None = None,
    unit: str | None = None,
    leads: Sequence[str] | None = None,
    adc_gain: float | None = None,
) -> Stored:
    """Read a CSV, NPY, NPZ or Parquet file; integers stay as they are, others are float64, mV.

    A CSV file has a sample a line, or a lead a line. Its first line may name the leads, each with its unit ("II (mV)";
    or a second line has the units), and a column "time" gives the rate. An array is (n_signals, n_samples) or the other
    way round. An NPZ file has one array, or one for each lead under its name, and may hold `sampling_frequency`, `unit`
    and `leads` too. A Parquet file is as CSV.

    The options go before what the sidecar says: Hz; "uV", "mV" or "V"; names in the table's order; ADC units per mV.
    Raises RecordingError for everything wrong with the file or its sidecar; where rate, unit or leads are said nowhere,
    or twice and differently. Without a unit it says which one the amplitude looks like.
    """
    options = {"sampling_frequency": sampling_frequency, "unit": unit, "leads": leads, "adc_gain": adc_gain}
    facts = _read_sidecar(path) | {name: value for name, value in options.items() if value is not None}
    start = read_file(path, 4096)
    try:
        if start.startswith(_NPY):
            with open_file(path) as file:
                table = _Table(_load_npy(file, path, size=os.fstat(file.fileno()).st_size))
        elif start.startswith(_ZIP):
            table = _read_npz(path)
        elif start.startswith(_PARQUET):
            table = _read_parquet(path, facts.get("sampling_frequency"))
        else:
            table = _read_csv(path, facts.get("sampling_frequency"))
        with np.errstate(all="ignore"):  # infinities and the like become missing samples, or are refused
            return _to_stored(table, facts, path)
    except RecordingError:
        raise
    except _UNREADABLE as error:
        raise problem(path, "a table of samples", f"{type(error).__name__} ({shown(str(error))})") from error


# ---- what a table does not say ---------------------------------------------------------------------------------------
def _read_sidecar(path: StrPath) -> dict[str, Any]:
    sidecar = Path(path).with_suffix(".json")
    if not os.path.lexists(sidecar):
        return {}
    data = read_file(sidecar, _LARGEST_SIDECAR + 1)
    try:
        facts = json.loads(data) if len(data) <= _LARGEST_SIDECAR else None
    except (ValueError, RecursionError) as error:
        raise problem(sidecar, "JSON", error) from error
    if not isinstance(facts, dict):
        raise problem(sidecar, f"a JSON object of at most {_LARGEST_SIDECAR} bytes", "something else")
    for name in ("sampling_frequency", "adc_gain", "age"):
        if name in facts and (isinstance(facts[name], bool) or not isinstance(facts[name], int | float)):
            raise problem(sidecar, f"a number as {name}", shown(repr(facts[name])))
    for name in ("unit", "sex"):
        if name in facts and not isinstance(facts[name], str):
            raise problem(sidecar, f"a text as {name}", shown(repr(facts[name])))
    names = facts.get("leads", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise problem(sidecar, "a list of names as leads", shown(repr(names)))
    return facts


def _to_stored(table: _Table, facts: Mapping[str, Any], path: StrPath) -> Stored:
    sidecar = f"in {Path(path).with_suffix('.json').name}"
    samples = table.samples
    if samples.ndim != 2 or 0 in samples.shape:
        raise problem(path, "a table of signals x samples", f"shape {samples.shape}")
    labels = facts.get("leads", table.labels)
    if labels is None:
        raise problem(path, f'the leads in their order ("leads": ["I", "II", ...] {sidecar})', "none")
    leads = [lead_of(label) or label for label in labels]
    if table.labels is not None and [lead_of(label) or label for label in table.labels] != leads:
        raise problem(path, f"leads {', '.join(leads)}, as was said", f"{', '.join(table.labels)} in the file")
    if len(leads) not in samples.shape:
        raise problem(path, f"{len(leads)} signals ({shown(', '.join(leads))})", f"shape {samples.shape}")
    samples = samples if samples.shape[0] == len(leads) else samples.T
    rate = _agreed("sampling_frequency", table.sampling_frequency, facts, path)
    if rate is None:
        found = f"none ({COUNTS})" if table.counts else "none"
        raise problem(path, f'the sampling frequency in Hz ("sampling_frequency": 500 {sidecar})', found)
    check_frequency(path, rate)
    check_length(path, samples.shape[1], rate)
    if "adc_gain" in facts:
        gain = float(facts["adc_gain"])
        if gain == 0 or not math.isfinite(gain):
            raise problem(path, "ADC units per mV as adc_gain", f"{gain:g}")
    else:
        unit = _agreed("unit", table.unit, facts, path)
        if unit is None:
            advice = f'the unit of the samples ("unit": "mV" {sidecar}, or in headings such as "II (mV)")'
            raise problem(path, advice, f"none; {_likely_unit(samples)}")
        if str(unit).lower() not in _PER_MILLIVOLT:
            raise problem(path, "uV, mV or V as the unit", shown(str(unit)))
        gain = _PER_MILLIVOLT[str(unit).lower()]
    stored, gain = _stored_samples(samples, gain)
    sex = SEXES.get(str(facts.get("sex", "")).lower(), "Unknown")
    age = float(facts.get("age", math.nan))
    notes = (*notes_on(list(labels)), *table.notes)
    return Stored(make_header(path, leads, rate, stored, [gain] * len(leads), age=age, sex=sex, notes=notes), stored)


def _agreed(name: str, in_file: Any, facts: Mapping[str, Any], path: StrPath) -> Any:
    """What the file or the facts say, or both as long as they say the same."""
    said = facts.get(name)
    if in_file is None or said is None:
        return in_file if said is None else said
    is_number = isinstance(said, int | float)
    if not (math.isclose(in_file, said, rel_tol=1e-3) if is_number else in_file.lower() == said.lower()):
        raise problem(path, f"the {name} {said}, as was said", f"{in_file} in the file")
    return said


def _stored_samples(samples: Array, gain: float) -> tuple[Array, float]:
    """Integers in 16 or 32 bits with their gain, else float64 in mV with a gain of 1."""
    if samples.dtype.kind in "iu":
        for dtype in (np.int16, np.int32):
            # Wider ones stay in 32 bits even where they would fit: there -32768 is a sample, not a missing one.
            if np.can_cast(samples.dtype, dtype) or (dtype == np.int32 and np.abs(samples.astype(float)).max() < 2**31):
                return np.ascontiguousarray(samples, dtype=dtype), gain
    values = np.array(samples, dtype=np.float64, order="C")
    values /= gain
    values[~np.isfinite(values)] = np.nan
    return values, 1.0


def _likely_unit(samples: Array) -> str:
    """What the amplitude looks like: heartbeats have one to a few mV from peak to peak."""
    finite = samples[:, : 1 << 18].astype(np.float64)
    finite[~np.isfinite(finite)] = np.nan
    if np.isnan(finite).all():
        return "no sample tells which"
    heights = [np.nanmax(row) - np.nanmin(row) for row in finite if not np.isnan(row).all()]
    height = float(np.median(heights))
    unit = "V" if height < 0.05 else "mV" if height < 50 else "uV, or ADC units of some 1000 per mV"
    return f"{height:.4g} from peak to peak looks like {unit}"


# ---- the files -------------------------------------------------------------------------------------------------------
def _read_csv(path: StrPath, said: float | None) -> _Table:
    text = decode(read_file(path, _LARGEST_CSV, f"a CSV file of at most {_LARGEST_CSV} bytes"))
    if "\0" in text:
        raise problem(path, "text", "zero bytes")
    lines = lines_of(text)
    layout = find_layout(lines)
    if layout is None:
        raise problem(path, "lines of numbers behind at most one line of headings and one of units", "others")
    table = _from_text(read_columns(lines, layout, path), layout, said, path)
    samples = table.samples
    if samples.size and (samples == np.rint(samples)).all() and np.abs(samples).max() < 2**31:  # NaN is not even itself
        table = replace(table, samples=samples.astype(np.int32))
    return table


def _from_text(columns: list[Array], layout: Layout, said: float | None, path: StrPath) -> _Table:
    if layout.has_labels:  # a lead a line, behind its name
        return _Table(np.stack(_numbers(columns[1:], path)).T, [str(label) for label in columns[0]])
    if not layout.headings:
        times = seconds_of(columns[0]) if columns[0].dtype == object else None
        rate, notes = (None, ()) if times is None else rate_of(times, "s", said, path)
        return _Table(np.stack(_numbers(columns[times is not None :], path)), None, rate, notes=notes)
    if len(layout.headings) != len(columns):
        raise problem(path, f"{len(layout.headings)} columns, as in the first line", len(columns))
    table = _from_columns(columns, layout.headings, layout.units, said, path)
    numbered = ("the first line (0, 1, 2, ...) is taken for numbers of columns",) if layout.is_numbered else ()
    return replace(table, notes=numbered + table.notes)


def _numbers(columns: Sequence[Array], path: StrPath) -> list[Array]:
    """The columns as they are; RecordingError where one has text."""
    for column in columns:
        if column.dtype == object:
            text = next((value for value in column if isinstance(value, str) and not is_value(value)), column[0])
            raise problem(path, "numbers (one decimal mark in all of them)", shown(str(text)))
    return list(columns)


def _from_columns(
    columns: Sequence[Array], headings: Sequence[str], units: Sequence[str], said: float | None, path: StrPath
) -> _Table:
    """Leads, units and rate from the headings and from the column of times.

    Where some headings are leads, columns that are none are left out; where none is, only times and row numbers are.
    """
    named: list[tuple[str, Array]] = []
    others: list[tuple[str, Array]] = []
    found: set[str] = set()
    notes: tuple[str, ...] = ()
    rate, counts = None, False
    for i, (heading, column) in enumerate(zip(headings, columns, strict=True)):
        match = _HEADING.fullmatch(heading[:_LONGEST_HEADING])
        name, unit = (match["name"], match["unit"].lower()) if match else (heading, "")
        unit = units[i].lower() if not unit and i < len(units) else unit
        if lead_of(name) is not None and unit in ("", *_PER_MILLIVOLT):
            named.append((name, column))
            found.add(unit)
        elif _TIME.fullmatch(name) and unit_of_time(unit) is not None:
            clock = seconds_of(column) if column.dtype == object else None
            unit = "s" if clock is not None else unit_of_time(unit or name) or ""
            rate, notes = rate_of(column if clock is None else clock, unit, said, path)
            counts = rate is None
        elif not _INDEX.fullmatch(name):
            others.append((name, column))
    if len(found) > 1:
        raise problem(path, "one unit in all headings", ", ".join(sorted(unit or "none" for unit in found)))
    labels = [name for name, _ in named] or None
    left_out = [name for name, _ in others] if named else []
    columns = _numbers([column for _, column in named or others], path)
    samples = np.stack(columns) if columns else np.empty((0, 0))
    unit = found.pop() or None if found else None
    return _Table(samples, labels, rate, unit, (*notes, *notes_on(left_out)), counts)


def _load_npy(file: IO[bytes], path: StrPath, most: float = math.inf, size: float = math.inf) -> Array:
    """One array of numbers or texts of at most so many values (numpy.lib.format), never of objects.

    `size` is that of the file in bytes, where it is known.

    Not by numpy, which evaluates the header as Python and makes room for all that it declares before it looks for it.
    """
    start = file.read(10)
    if not start.startswith(_NPY) or len(start) < 10:
        raise problem(path, "an array of numpy", shown(start.decode("latin-1")))
    start += file.read(2) if start[6] > 1 else b""  # versions 2 and 3 have a length of four bytes
    header = file.read(min(int.from_bytes(start[8:], "little"), 4096))
    match = _NPY_HEADER.fullmatch(header)
    if match is None:
        raise problem(path, "an array of numbers", shown(header.decode("latin-1")))
    dtype = np.dtype(match["dtype"].decode())
    shape = tuple(map(int, match["shape"].replace(b",", b" ").split()))
    n_values = math.prod(shape)
    if n_values > most:
        raise problem(path, f"at most {most:g} values", n_values)
    data = file.read(int(min(n_values * dtype.itemsize, size)))  # it would make room for all that is declared
    if len(data) != n_values * dtype.itemsize or dtype.itemsize == 0:
        raise problem(path, f"{n_values} values of {dtype.itemsize} bytes", f"{len(data)} bytes")
    values = np.frombuffer(data, dtype).reshape(shape, order="F" if match["order"] == b"True" else "C")
    return values.astype(dtype.newbyteorder("="), copy=False)


def _read_npz(path: StrPath) -> _Table:
    arrays: dict[str, Array] = {}
    with open_file(path) as file, zipfile.ZipFile(file) as archive:
        if not any(info.filename.endswith(".npy") for info in archive.infolist()):
            raise problem(path, "arrays of numpy", "a ZIP archive of other files: unpack it first")
        for info in archive.infolist():
            is_packed = info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            if is_packed or not info.filename.endswith(".npy"):
                raise problem(path, "arrays of numpy, stored or deflated", shown(info.filename))
            with archive.open(info) as member:
                most = _MOST_IN_NPZ - sum(array.size for array in arrays.values())
                arrays[info.filename.removesuffix(".npy")] = _load_npy(member, path, most)
    said = {name: arrays.pop(name).tolist() for name in ("sampling_frequency", "unit", "leads") if name in arrays}
    rate, unit, leads = said.get("sampling_frequency"), said.get("unit"), said.get("leads")
    kinds = ((rate, int | float | None), (unit, str | None), (leads, list | None))
    if not all(isinstance(value, kind) for value, kind in kinds):
        raise problem(path, "a number, a text and texts as sampling_frequency, unit and leads", shown(str(said)))
    if any(array.dtype.kind == "U" for array in arrays.values()):
        raise problem(path, "arrays of numbers", "texts")
    if len(arrays) == 1 and lead_of(next(iter(arrays))) is None:
        return _Table(next(iter(arrays.values())), None if leads is None else list(map(str, leads)), rate, unit)
    named = {name: array for name, array in arrays.items() if lead_of(name) is not None}
    if not named or len({array.shape for array in named.values()}) > 1 or next(iter(named.values())).ndim != 1:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        expected = "one array, or one of each lead under its name, all of one length"
        raise problem(path, expected, shown(found) if found else "none")
    left_out = notes_on([name for name in arrays if name not in named])
    return _Table(np.stack(list(named.values())), list(named), rate, unit, left_out)


def _read_parquet(path: StrPath, said: float | None) -> _Table:
    pyarrow, parquet = (import_optional(name, path, "Parquet files") for name in ("pyarrow", "pyarrow.parquet"))
    with open_file(path):  # refuses what is no file
        pass
    limits = {"thrift_string_size_limit": 1 << 20, "thrift_container_size_limit": 1 << 16}
    with parquet.ParquetFile(path, memory_map=False, pre_buffer=False, **limits) as file:
        about, schema = file.metadata, file.schema_arrow
        n_values = about.num_rows * about.num_columns
        groups = [about.row_group(i) for i in range(about.num_row_groups)]
        n_bytes = sum(group.column(i).total_uncompressed_size for group in groups for i in range(group.num_columns))
        if not 0 <= n_values <= _MOST_IN_PARQUET or n_bytes > 16 * _MOST_IN_PARQUET:
            raise problem(path, f"at most {_MOST_IN_PARQUET} values", f"{n_values} in {n_bytes} bytes")
        is_number = [pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind) for kind in schema.types]
        names = [name for name, chosen in zip(schema.names, is_number, strict=True) if chosen]
        if len(set(schema.names)) < len(schema.names):
            raise problem(path, "columns with different names", shown(", ".join(schema.names)))
        columns = [file.read(columns=[name], use_threads=False).column(0).to_numpy() for name in names]
    table = _from_columns(columns, names, (), said, path)
    del columns
    pyarrow.default_memory_pool().release_unused()  # as much again as the table, which pyarrow would keep
    return table
