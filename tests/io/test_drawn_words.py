"""Words and tables drawn at random: dates, ages, leads, times, statements, labels of records, as they were noted.

`PYTHONPATH=.:tests python tests/io/test_drawn_words.py` notes it anew: read what has changed before you commit it.
"""

import datetime
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest

from drawing import Draw
from drawn_files import MAKERS, text_of_a_table
from ecg.io import challenge_2021
from ecg.io.device_statements import COMMON_TABLE, load_statements
from ecg.io.device_words import number_of, without_signatures
from ecg.io.errors import RecordingError
from ecg.io.files import read_rows
from ecg.io.folders import get_database
from ecg.io.header import Header
from ecg.io.label_tables import read_label_table
from ecg.io.readers.dates import date_of, known_age, time_of, years_between
from ecg.io.readers.lead_labels import lead_of, notes_on
from ecg.io.readers.table_times import rate_of, unit_of_time
from ecg.io.recording import Recording, to_millivolts
from ecg.io.stored import check_together, make_header

GOLDEN = Path(__file__).with_name("drawn_words.json")


def dates(draw):
    year, month, day = (
        draw.of("1953", "2022", "1999", "0000", "53"),
        draw.of("05", "12", "01", "13", "2"),
        draw.of("08", "28", "31", "9"),
    )
    text = draw.of(
        f"{year}-{month}-{day}",
        f"{year}{month}{day}",
        f"{month}-{day}-{year}",
        f"{month}/{day}/{year}",
        f"{year}/{month}/{day}",
    )
    text = draw.of("", " ") + text + draw.of("", "T10:00", " later")
    clock = draw.of("14:05:59", "140559.123", "1405", "25:00:00", "23:59", "x", "", "9:05", "23:59:60")
    return {f"{text}|{clock}": f"{date_of(text)} {time_of(text, clock)}"}


def ages(draw):
    years = draw.of(math.nan, math.nan, 0.0, -0.1, 71.5, 120.0, 120.5, 300.0)
    days = (
        datetime.date(1961, 11, 20),
        datetime.date(1900, 1, 1),
        datetime.date(1904, 1, 1),
        datetime.date(1869, 12, 31),
    )
    days += (
        datetime.date(1870, 1, 1),
        datetime.date(2022, 11, 21),
        datetime.date(9999, 12, 31),
        datetime.date(1901, 1, 1),
    )
    birth = draw.of(None, *days, days[0], days[0])
    when = draw.of(
        None,
        *(datetime.datetime(2022, month, day, 23) for month, day in ((11, 19), (11, 20), (11, 21), (1, 30), (12, 1))),
    )
    return {f"{years} {birth} {when}": f"{known_age(years, birth, when)} {years_between(birth, when)}"}


def leads(draw):
    name = draw.of(
        "I", "II", "3", "1", "aVR", "V6", "V7", "avf", "D2", "DIII", "MLII", "LA-RA", "ll-ra", "LL-LA", "Resp", ""
    )
    before = draw.of("", "", "ECG ", "EKG:", "Lead ", "lead-", "MDC_ECG_LEAD_", "ECG -", "Derivación ", "ableitung")
    label = (
        draw.of("", " ")
        + before
        + draw.of(name, name.upper(), " ".join(name))
        + draw.of("", "", "-REF", " ref", "_WCT", ".", " x")
    )
    return {label: [lead_of(label), *notes_on([label, "II"])]}


def times(draw):
    pairs = (
        (0.002, "s"),
        (2.0, "ms"),
        (2000.0, "us"),
        (2e6, "ns"),
        (0.002, ""),
        (2.0, ""),
        (1.0, ""),
        (0.1, ""),
        (3.2, "ms"),
        (1, "s"),
    )
    step, unit = draw.of(*pairs)
    values = np.arange(draw.of(300, 1000)) * step + draw.of(0, 1.7e9)
    values = draw.of(values, values, values, values, np.round(values, 2), np.round(values, 3), values[::-1])
    values[20] += draw.of(0, 0, 0, 0, 0.5 * step, 1.5 * step)
    said = draw.of(None, None, 500.0, 504.0, 506.0)
    try:
        rate, notes = rate_of(values, unit, said, "x.csv")
        found = [rate and round(rate, 6), *notes]
    except RecordingError as error:
        found = str(error)
    return {f"{values.size} {step} {values[0]:g} {values[20] - values[0]:.6g} {values[2]:.6g} {unit} {said}": found}


def words(draw):
    unit = draw.of("milli", "micro", "nano", "m", "µ", "n", "", "k") + draw.of(
        "s", "sec", "secs", "seconds", "second", "S", "v"
    )
    number = (
        draw.of("-", "+", "") + draw.of("12", "1.5", ".5", "1.", "1,5", "x", "") + draw.of("", "e3", "E-2", "e", " bpm")
    )
    names = (
        "Confirmed by X",
        "unconfirmed",
        "*** Reviewed",
        "Confirmedly",
        "over-read by X",
        "Electronically signed",
        "Referred",
    )
    name = draw.of(
        *names, "Overread", "ORDERED BY", "Interpreted by", "Not confirmed", "Edited: no", "a sign", "Interpretation"
    )
    record = draw.of("A", "Q", "I", "S", "HR", "E", "JS", "JSX", "a", "") + draw.of("0001", "1", "x", "")
    return {
        f"{unit}|{number}|{name}|{record}": [
            unit_of_time(unit),
            repr(number_of(number)),
            *without_signatures([name, "AF"]),
            get_database(record),
        ]
    }


def statements(draw):
    rows = read_rows(COMMON_TABLE, 1 << 22)[1]
    one, other = (draw.of(*rows)["statement"] for _ in range(2))
    text = draw.of(
        one,
        f"{one} with {other}",
        f"{one} and {other}",
        f"{one}, {other}",
        f"{one}: because, of; {other}",
        f"no {one}",
        f"({draw.of('SB', 'x1')}) {one}.",
        f"{one} with something",
        f"with {one}",
        f"{one}; {other} with x",
    )
    text = draw.of(text, text.upper(), "  ".join(text.split(" ")))
    return {text: load_statements("common").codes_of(text)}


def labels(draw):
    known = {"NORM", "SR", "IMI", "164889003"}
    text = text_of_a_table(draw)
    least = draw.of(0, 0, 35, 50, 100)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_text(text)
        try:
            table = read_label_table(path, known, least)
            found = [table.codes, table.folds, table.patients, table.is_ptb_xl, table.digest()[:8]]
        except RecordingError as error:
            return {f"{least}\n{text}": str(error).replace(folder, "folder")}
    records = draw.some([*table.codes, *draw.of([], [], ["1", "HR00001", "00002_lr", "A7"])])
    records = draw.of(list(table.codes), [*table.codes, "A8"], ["A8", *records])
    try:
        found.append(table.check(records))
    except RecordingError as error:
        found.append(str(error))
    return {f"{least} {' '.join(records)}\n{text}": [*found[:-1], found[-1].replace(folder, "folder")]}


def helpers(draw):
    """The functions of the Challenge's helper code."""
    files = MAKERS["challenge"](draw)
    text = files[".hea"].decode()
    wanted = draw.of(("I", "II"), ("V6", "aVF", "V1"), ("Resp", "II"))
    number = draw.of("1", "2.0", "1.5", "nan", "inf", "x", None, 3, 1e400, True)
    code = challenge_2021
    found = [
        code.is_number(number),
        code.is_finite_number(number),
        code.is_finite_number(number) and code.is_integer(number),
    ]
    mixed = draw.shuffled(["V1", "aVR", "X", "I", "A", "II"])
    found.append(" ".join(code.sort_leads(mixed)))
    try:
        found += [
            code.get_recording_id(text),
            " ".join(code.get_leads(text)),
            code.get_num_leads(text),
            code.get_frequency(text),
        ]
        found += [
            code.get_num_samples(text),
            str(code.get_adc_gains(text, wanted).tolist()),
            str(code.get_baselines(text, wanted).tolist()),
        ]
        found += [repr(code.get_age(text)), code.get_sex(text), " ".join(code.get_labels(text))]
        rows = np.arange(5)[np.newaxis] + 10 * np.arange(1, 1 + code.get_num_leads(text))[:, np.newaxis]
        found.append(code.choose_leads(rows, text, wanted)[:, 1].tolist())
    except RecordingError as error:
        found.append(str(error))
    return {f"{number} {' '.join(mixed)} {' '.join(wanted)}": found}


def arrays(draw):
    """Recordings made of arrays."""
    shape = draw.of(*[(12, 1000)] * 8, (12, 499), (1000, 12), (12,), (8, 1000))
    kind = draw.of("f8", "f4", "i2", "u1", "f8", "f4", "i2", "u1", "c16", "U1")
    samples = draw.rng.integers(0, 100, shape).astype(kind)
    if samples.dtype.kind == "f" and samples.ndim == 2:
        samples[..., 5:9] = draw.of(np.inf, np.nan, 1e30)
    if draw.of(*[False] * 5, True):
        samples[:] = samples.flat[0]
    rate, unit = draw.of(500, 500.0, "500", 1000, 500, 500, 49.9, "x"), draw.of(*["mV", "uV"] * 4, "V")
    facts = {
        "unit": unit,
        "age": draw.of(71, math.nan, 0, 120, 120.5, -1, None, "60"),
        "sex": draw.of("Male", "Female", "Unknown", "m"),
    }
    try:
        made = Recording.from_array(samples, rate, **facts, name="name 1")
        found = [
            repr(made),
            made.age if made.age == made.age else None,
            made.sex,
            made.signal[0, 3:11].tolist(),
            str(made.signal.dtype),
        ]
        found[3] = [None if x != x else round(x, 4) for x in found[3]]
    except RecordingError as error:
        found = str(error)
    return {f"{shape} {kind} {rate!r} {facts}": found}


def limits(draw):
    """What the header of a recording in a clinical format must be."""
    rate = draw.of(50, 100, 500.5, 5000, 50, 100, 500.5, 5000, 49.99, 5000.01, math.nan)
    n_samples = int(draw.of(rate, 1800 * rate, 2 * rate, 2 * rate) if rate == rate else 100) + draw.of(-1, 0, 0, 1)
    names = draw.of(*[("I", "II"), ("V6", "Resp")] * 4, ("Resp",), ())
    gains = [
        draw.of(200.0, -400.0, 200.0, 0.0, math.inf, math.nan) if name == "Resp" or draw.of(False, True) else 200
        for name in names
    ]
    baselines = draw.of(None, [draw.of(0.0, 12.0, math.nan) for _ in names])
    kind = draw.of("i2", "i4", "f8")
    facts = {
        "age": draw.of(math.nan, 71.0, 121.0),
        "sex": draw.of("Male", "Unknown"),
        "birth": draw.of(None, datetime.date(1951, 3, 29)),
    }
    facts["acquired"] = draw.of(None, datetime.datetime(2022, 11, 20))
    samples = np.lib.stride_tricks.as_strided(np.zeros(1, kind), (len(names), n_samples), (0, 0))
    try:
        header = make_header("x/y.z", names, rate, samples, gains, baselines, **facts, notes=("A note", "A note"))
        found = [
            header.recording_id,
            header.n_samples,
            header.formats,
            header.file_names,
            repr(header.age),
            header.sex,
            header.notes,
        ]
        found += [list(map(repr, header.adc_gains)), list(map(repr, header.baselines))]
    except RecordingError as error:
        found = str(error)
    elsewhere = draw.some(["I", "aVR", "Resp", "V6", "aVR"])
    try:
        check_together("y.z", names, elsewhere)
        together = True
    except RecordingError as error:
        together = str(error)
    said = f"{rate} {n_samples} {names} {gains} {baselines} {kind} {' '.join(map(str, facts.values()))} {elsewhere}"
    return {said: [found, together]}


def markers(draw):
    """Which integers are missing samples, by the format of their lead."""
    formats = [
        draw.of("16", "16+24", "212", "310", "311", "80", "508", "24", "524", "32", "16x2", "8") for _ in range(2)
    ]
    formats[1] = draw.of(formats[0], formats[1])
    values = [0, -128, -512, -2048, -32768, -(2**23), -(2**31), 2**31 - 1]
    raw = np.array([values, values], draw.of("i4", "f8"))
    raw[1, 0] = np.nan if raw.dtype == np.float64 else 5
    header = Header(
        "a",
        500.0,
        8,
        ("I", "V6"),
        (1.0, draw.of(1.0, -2.0)),
        (0.0, draw.of(0.0, 3.0)),
        ("x",) * 2,
        tuple(formats),
        math.nan,
        "Unknown",
        (),
    )
    rows = to_millivolts(raw, header)[[0, 11]]
    return {
        f"{formats} {raw.dtype} {header.adc_gains[1]} {header.baselines[1]}": [
            [None if x != x else x for x in row] for row in rows.tolist()
        ]
    }


COUNTS = {
    dates: 60,
    ages: 80,
    leads: 90,
    times: 80,
    words: 60,
    statements: 80,
    labels: 60,
    helpers: 40,
    arrays: 60,
    limits: 80,
    markers: 40,
}


def told(function):
    found = {}
    for i in range(COUNTS[function]):
        for given, result in function(Draw(i, *function.__name__.encode())).items():
            found[f"{i}: {given}"] = json.loads(json.dumps(result))
    return found


@pytest.mark.parametrize("function", COUNTS, ids=lambda function: function.__name__)
def test_what_is_made_of_any_words_is_what_was_noted(function):
    noted = json.loads(GOLDEN.read_text())[function.__name__]
    for given, result in told(function).items():
        assert result == noted[given], given


if __name__ == "__main__":
    parts = []
    for function in COUNTS:
        rows = (
            f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"
            for key, value in told(function).items()
        )
        parts.append(f'"{function.__name__}": {{\n' + ",\n".join(rows) + "\n}")
    GOLDEN.write_text("{\n" + ",\n".join(parts) + "\n}\n")
