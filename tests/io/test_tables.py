"""CSV, NPY, NPZ and Parquet with what they don't say beside them."""

import json
import struct
import zipfile
from itertools import product

import numpy as np
import pytest

import helper_code
from ecg.io.errors import RecordingError
from ecg.io.readers.table_text import find_layout
from ecg.io.readers.tables import is_table, read_table
from ecg.leads import LEADS
from format_files import asked_for_little_memory

MILLIVOLTS = np.round(np.random.default_rng(3).normal(0, 0.4, (3, 1000)), 3)
ADC = np.random.default_rng(4).integers(-2000, 2000, (3, 1000))
SAID = {"sampling_frequency": 500, "unit": "mV", "leads": ["I", "II", "V1"]}


def beside(folder, **facts):
    (folder / "x.json").write_text(json.dumps(facts))


def csv(folder, samples, headings=None, delimiter=",", times=None, end="\n"):
    columns = list(samples) if times is None else [times, *samples]
    lines = [] if headings is None else [delimiter.join(headings)]
    lines += [delimiter.join(f"{x:g}" for x in row) for row in zip(*columns, strict=True)]
    (folder / "x.csv").write_text(end.join(lines) + end)
    return folder / "x.csv"


def assert_read(stored, millivolts=MILLIVOLTS, rows=(0, 1, 6), rate=500):
    assert stored.header.sampling_frequency == rate
    np.testing.assert_allclose(
        helper_code.to_millivolts(stored.samples, stored.header)[list(rows)], millivolts, atol=1e-6
    )


@pytest.mark.parametrize("transposed", [False, True])
def test_an_array_with_a_sidecar(tmp_path, transposed):
    np.save(tmp_path / "x.npy", MILLIVOLTS.T if transposed else MILLIVOLTS)
    beside(tmp_path, **SAID, age=61, sex="female")
    stored = read_table(tmp_path / "x.npy")
    assert_read(stored)
    assert (stored.header.age, stored.header.sex, stored.header.recording_id) == (61, "Female", "x")


def test_an_array_with_options(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(MILLIVOLTS * 1000).astype(np.float32))
    stored = read_table(tmp_path / "x.npy", sampling_frequency=500, unit="uV", leads=("ECG I", "II", "V1"))
    assert stored.header.leads == ("I", "II", "V1")
    assert_read(stored)


@pytest.mark.parametrize(("dtype", "kept"), [("<i2", np.int16), (">i4", np.int32), ("i8", np.int32), ("u2", np.int32)])
def test_integers_stay_integers(tmp_path, dtype, kept):
    samples = np.abs(ADC).astype(dtype)
    np.save(tmp_path / "x.npy", samples)
    stored = read_table(tmp_path / "x.npy", sampling_frequency=500, adc_gain=400, leads=SAID["leads"])
    assert stored.samples.dtype == kept
    np.testing.assert_array_equal(stored.samples, samples)
    assert_read(stored, samples / 400)


@pytest.mark.parametrize("value", [2**31 - 1, 1 - 2**31, 2**31, -(2**31), 2**40])
@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_integers_of_64_bits_stay_integers_as_far_as_32_bits_go(tmp_path, value, dtype):
    samples = np.abs(ADC).astype(dtype)
    samples[1, 7] = value % 2**64 if dtype == "u8" else value
    np.save(tmp_path / "x.npy", samples)
    stored = read_table(tmp_path / "x.npy", sampling_frequency=500, adc_gain=1e6, leads=SAID["leads"])
    is_small = abs(int(samples[1, 7])) < 2**31
    assert stored.samples.dtype == (np.int32 if is_small else np.float64)
    np.testing.assert_allclose(stored.samples, samples if is_small else samples / 1e6, rtol=1e-12)


def test_a_missing_sample_is_nan(tmp_path):
    samples = MILLIVOLTS.copy()
    samples[1, 5] = np.inf
    np.save(tmp_path / "x.npy", samples)
    beside(tmp_path, **SAID)
    assert np.isnan(read_table(tmp_path / "x.npy").samples[1, 5])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_of_one_array_may_say_all_itself(tmp_path, save):
    save(tmp_path / "x.npz", ecg=MILLIVOLTS, **SAID)
    assert_read(read_table(tmp_path / "x.npz"))


def test_an_archive_of_other_files_is_told_to_be_one(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("ward/a.csv", "I,II\n0,1\n")
    with pytest.raises(
        RecordingError, match=r"x\.zip: expected arrays .*, found a ZIP archive of other files: unpack it"
    ):
        read_table(tmp_path / "x.zip")


def test_npz_of_an_array_for_each_lead(tmp_path):
    np.savez(tmp_path / "x.npz", V1=MILLIVOLTS[2], I=MILLIVOLTS[0], II=MILLIVOLTS[1], unit="mV")
    stored = read_table(tmp_path / "x.npz", sampling_frequency=500)
    assert stored.header.leads == ("V1", "I", "II")
    assert_read(stored)


@pytest.mark.parametrize("names", [("II",), ("ecg",), ("II", "V1"), ("II", "ecg"), ("ecg", "x")])
@pytest.mark.parametrize("n_dimensions", [1, 2])
def test_arrays_of_an_npz_file_are_leads_by_their_names_or_one_of_all_leads(tmp_path, names, n_dimensions):
    array = MILLIVOLTS[1] if n_dimensions == 1 else MILLIVOLTS
    np.savez(tmp_path / "x.npz", **dict.fromkeys(names, array))
    said = {"leads": SAID["leads"]} if names == ("ecg",) else {}
    if n_dimensions == (2 if names == ("ecg",) else 1) and names != ("ecg", "x"):
        stored = read_table(tmp_path / "x.npz", sampling_frequency=500, unit="mV", **said)
        assert stored.header.leads == tuple(said.get("leads", [name for name in names if name != "ecg"]))
        assert np.array_equal(stored.samples, array.reshape(-1, 1000) if said else [array] * len(stored.header.leads))
        return
    shapes = ", ".join(f"{name} {array.shape}" for name in names)
    expected = f"one array, or one of each lead under its name, all of one length, found '{shapes}'"
    if names == ("ecg",):
        expected = "a table of signals x samples, found shape (1000,)"
    with pytest.raises(RecordingError) as caught:
        read_table(tmp_path / "x.npz", sampling_frequency=500, unit="mV", **said)
    assert str(caught.value).endswith(f"x.npz: expected {expected}")


def test_an_array_of_an_npz_file_that_is_no_lead_is_left_out_with_a_note(tmp_path):
    np.savez(tmp_path / "x.npz", I=MILLIVOLTS[0], Resp=MILLIVOLTS[1])
    stored = read_table(tmp_path / "x.npz", sampling_frequency=500, unit="mV")
    assert stored.header.leads == ("I",)
    assert stored.notes == ("left out, none of the twelve leads: 'Resp'",)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_with_headings_that_say_all(tmp_path, delimiter, end):
    headings = ["time (s)", "I (mV)", "II [mV]", "V1_mV"]
    stored = read_table(csv(tmp_path, MILLIVOLTS, headings, delimiter, np.arange(1000) / 500, end))
    assert stored.header.leads == ("I", "II", "V1")
    assert_read(stored)


def test_csv_of_numbers_alone_with_a_sidecar(tmp_path):
    path = csv(tmp_path, MILLIVOLTS)
    beside(tmp_path, **SAID)
    assert_read(read_table(path))


@pytest.mark.parametrize(("scale", "heading"), [(1, "t"), (1000, "Time"), (1000, "time_ms"), (1, "time (sec)")])
@pytest.mark.parametrize("rate", [100, 257, 500, 1000])
def test_times_give_the_rate_in_s_or_ms(tmp_path, rate, scale, heading):
    times = np.round(np.arange(1000) / rate * scale, 4)
    path = csv(tmp_path, MILLIVOLTS, [heading, "I", "II", "V1"], times=times)
    if heading == "Time" and rate == 1000:  # 0, 1, 2, ...: ms, or numbers of samples
        with pytest.raises(RecordingError, match=r"the sampling frequency .*the column of times counts samples"):
            read_table(path, unit="mV")
        return
    stored = read_table(path, unit="mV")
    assert_read(stored, rate=rate)
    is_assumed = heading in ("t", "Time")
    assert stored.notes == (
        (f"times without a unit are taken for {'s' if scale == 1 else 'ms'}",) if is_assumed else ()
    )


def test_decimal_commas(tmp_path):
    path = csv(tmp_path, MILLIVOLTS, ["I", "II", "V1"], ";")
    path.write_text(path.read_text().replace(".", ","))
    assert is_table(path.read_bytes()[:4096])
    assert_read(read_table(path, unit="mV", sampling_frequency=500))


def test_decimal_commas_in_the_times_alone(tmp_path):
    path = csv(tmp_path, ADC, ["time (s)", "I", "II", "V1"], ";", times=np.arange(1000) / 500)
    path.write_text(path.read_text().replace(".", ","))
    stored = read_table(path, unit="uV")
    assert stored.header.sampling_frequency == 500
    np.testing.assert_array_equal(stored.samples, ADC)


def test_an_empty_field_is_a_missing_sample(tmp_path):
    rows = ["I,II,V1", *["0.5,,-0.25", ",0.125,", "0.5,0.5,0.5"] * 100]
    (tmp_path / "x.csv").write_text("\n".join(rows))
    samples = read_table(tmp_path / "x.csv", unit="mV", sampling_frequency=100).samples
    np.testing.assert_array_equal(samples[:, :3], [[0.5, np.nan, 0.5], [np.nan, 0.125, 0.5], [-0.25, np.nan, 0.5]])


def test_csv_of_integers_keeps_them(tmp_path):
    path = csv(tmp_path, ADC, ["", "I (uV)", "II (uV)", "V1 (uV)"], times=np.arange(1000))
    stored = read_table(path, sampling_frequency=500)
    assert stored.samples.dtype == np.int32
    np.testing.assert_array_equal(stored.samples, ADC)
    assert set(stored.header.adc_gains) == {1000}


def test_columns_that_are_no_leads_are_left_out(tmp_path):
    samples = np.vstack([MILLIVOLTS, MILLIVOLTS[:1]])
    stored = read_table(csv(tmp_path, samples, ["I", "II", "V1", "Resp"]), unit="mV", sampling_frequency=500)
    assert stored.header.leads == ("I", "II", "V1")


HEADINGS = ["I", "II", "V1"]


def lines(samples=MILLIVOLTS, mark=".", delimiter=","):
    return [delimiter.join(f"{x:.3f}".replace(".", mark) for x in row) for row in samples.T]


def clock(seconds, form):
    minutes, seconds = divmod(seconds, 60)
    return form.format(h=int(9 + minutes // 60), m=int(minutes % 60), s=seconds)


TIMES = np.arange(1000) / 500
TEXTS = {
    "two heading lines in single quotes (PhysioBank ATM)": [
        "'Elapsed time','i','ii','v1'", "'hh:mm:ss.mmm','mV','mV','mV'",
        *(f"'{clock(t, '{m}:{s:06.3f}')}',{line}" for t, line in zip(TIMES, lines(), strict=True))],
    "a line of units": ["time,I,II,V1", "s,mV,mV,mV",
                        *(f"{t:.3f},{line}" for t, line in zip(TIMES, lines(), strict=True))],
    "comment lines": ["# recorded 2024", "% by hand", "I,II,V1", *lines()],
    "blank lines": ["", "I,II,V1", "", "", *lines(), ""],
    "a heading line that ends in a comma": ["I,II,V1,", *lines()],
    "lines that end in a comma": ["I,II,V1", *(line + "," for line in lines())],
    "all lines end in a comma": [line + "," for line in ("I,II,V1", *lines())],
    "a lead a line": [",".join(f"{x:.3f}" for x in row) for row in MILLIVOLTS],
    "a lead a line behind its name": [f"{lead}," + ",".join(f"{x:.3f}" for x in row)
                                      for lead, row in zip(HEADINGS, MILLIVOLTS, strict=True)],
    "a time of day": ["time,I,II,V1", *(f"{clock(t, '{h:02}:{m:02}:{s:06.3f}')},{line}"
                                         for t, line in zip(TIMES, lines(), strict=True))],
    "date and time": ["timestamp;I;II;V1", *(f"2024-05-01 {clock(t, '{h:02}:{m:02}:{s:06.3f}')};{line}"
                                             for t, line in zip(TIMES, lines(delimiter=";"), strict=True))],
    "quoted decimal commas": ['"I","II","V1"', *('"' + line + '"' for line in lines(mark=",", delimiter='","'))],
    "quoted": ['"I";"II";"V1"', *('"' + line + '"' for line in lines(delimiter='";"'))],
    "tabs and decimal commas": ["I\tII\tV1", *lines(mark=",", delimiter="\t")],
    "semicolons and decimal commas": ["I;II;V1", *lines(mark=",", delimiter=";")],
    "bars": ["I|II|V1", *lines(delimiter="|")],
    "spaces": ["  I   II  V1", *("  " + line for line in lines(delimiter="   "))],
    "Excel's own first line": ["sep=;", "I;II;V1", *lines(mark=",", delimiter=";")],
    "Excel's own first line, of a tab": ["sep=\t", "I\tII\tV1", *lines(delimiter="\t")],
    "column numbers as headings (pandas)": ["0,1,2", *lines()],
    "column numbers from 1": ["1;2;3", *lines(delimiter=";")],
    "row and column numbers (pandas)": [",0,1,2", *(f"{i},{line}" for i, line in enumerate(lines()))],
    "row names without a heading (R)": ["I II V1", *(f"{i + 1} {line}" for i, line in enumerate(lines(delimiter=" ")))],
    "row names without a heading, tabs and units (R)": [
        "I (mV)\tII (mV)\tV1 (mV)", *(f"{i + 1}\t{line}" for i, line in enumerate(lines(delimiter="\t")))],
    "sample numbers": ["sample #,I,II,V1", *(f"{i},{line}" for i, line in enumerate(lines()))],
    "times that count": ["time,I,II,V1", *(f"{i},{line}" for i, line in enumerate(lines()))],
    "times rounded to 10 ms": ["time,I,II,V1", *(f"{int(t * 100) / 100:.2f},{line}"
                                                 for t, line in zip(TIMES, lines(), strict=True))],
    "times in microseconds": ["timestamp,I,II,V1",
                              *(f"{t * 1e6:.0f},{line}" for t, line in zip(TIMES, lines(), strict=True))],
    "seconds since 1970": ["time,I,II,V1",
                           *(f"{1.7e9 + t:.3f},{line}" for t, line in zip(TIMES, lines(), strict=True))],
}  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("kind", TEXTS)
def test_tables_as_people_have_them(tmp_path, kind, encoding):
    (tmp_path / "x.csv").write_bytes("\r\n".join(TEXTS[kind]).encode(encoding))
    beside(tmp_path, **SAID)
    assert is_table((tmp_path / "x.csv").read_bytes()[:4096])
    assert_read(read_table(tmp_path / "x.csv"))


@pytest.mark.parametrize("word", ["NA", "", "nan", "NULL", "-", "n/a"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_words_for_a_missing_sample(tmp_path, word, place):
    rows = [line.split(",") for line in lines()]
    rows[7][place] = word
    (tmp_path / "x.csv").write_text("\n".join(["I,II,V1", *map(",".join, rows)]))
    samples = read_table(tmp_path / "x.csv", unit="mV", sampling_frequency=500).samples
    expected = MILLIVOLTS.copy()
    expected[place, 7] = np.nan
    np.testing.assert_allclose(samples, expected)


def test_times_that_count_samples_give_no_rate(tmp_path):
    for first in (0, 1):
        path = csv(tmp_path, MILLIVOLTS, ["time", "I (mV)", "II (mV)", "V1 (mV)"], times=np.arange(1000) + first)
        with pytest.raises(
            RecordingError, match=r"sampling frequency .* found none .the column of times counts samples"
        ):
            read_table(path)
        for rate in (250, 1000):
            assert_read(read_table(path, sampling_frequency=rate), rate=rate)
    path = csv(tmp_path, MILLIVOLTS, ["time (ms)", "I (mV)", "II (mV)", "V1 (mV)"], times=np.arange(1000))
    assert_read(read_table(path), rate=1000)


TIMES_REFUSED = {
    "a gap": (np.where(TIMES < 1, TIMES, TIMES + 0.1), 500),
    "another rate": (TIMES, 250),
    "falling": (TIMES[::-1], 500),
    "constant": (np.zeros(1000), 500),
    "no rate of an ECG": (TIMES * 30, None),
    "rounded, and no rate beside it": (np.floor(TIMES * 100) / 100, None),
}


@pytest.mark.parametrize("kind", TIMES_REFUSED)
def test_times_that_go_with_no_rate_are_refused(tmp_path, kind):
    times, rate = TIMES_REFUSED[kind]
    path = csv(tmp_path, MILLIVOLTS, ["time", "I", "II", "V1"], times=times)
    with pytest.raises(RecordingError, match=r"x.csv: expected .*(times|sampling_frequency)"):
        read_table(path, unit="mV", sampling_frequency=rate)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["I,II,V1", "1.5,2.5,3.5", "1.5,2.5"] * 3, "lines of numbers"),
        (["I,II,V1", *["1.5,2.5,3.5"] * 600, "1.5,2.5"], "3 fields in each line, found 2 in '1.5,2.5'"),
        (["I,II,V1", *["1.5,2.5,3.5"] * 600, "1.5,2.5,3.5,4.5"], "Expected 3 fields in line"),
        (["I,II,V1", *["1.5,2.5,3.5"] * 600, "1.5,error,3.5"], "numbers .*, found 'error'"),
        (["I;II;V1", *["1,5;2,5;3,5"] * 600, "1.5;2.5;3.5"], "numbers .one decimal mark in all of them., found '1.5'"),
        (["I,II", *["1.5,2.5,3.5"] * 600], "2 columns, as in the first line, found 3"),
    ],
)
def test_lines_that_are_not_as_the_others_are_refused(tmp_path, rows, said):
    (tmp_path / "x.csv").write_text("\n".join(rows))
    with pytest.raises(RecordingError, match=f"x.csv: expected .*{said}"):
        read_table(tmp_path / "x.csv", unit="mV", sampling_frequency=500)


def test_a_first_line_that_counts_the_columns_is_told_from_samples():
    ends = ["3", "0.5", "0,5", "1e-3"]
    for first, *others in product(["0", "1", "2", "0.5"], ends, ends, ends):
        layout = find_layout([first, *others])
        is_numbered = first in ("0", "1") and "3" not in others
        assert (layout.is_numbered, layout.headings) == (is_numbered, [first] if is_numbered else []), (first, others)
    for first, is_numbered in (
        ("0;1", True), ("1;2", True), ("0;2", False), ("2;3", False), ("1;1", False), ("0;1;2", True), ("1;2;3", True),
        (";0", True), (";1", True), (";0;1", True), (";1;2", True), (";2", False), (";2;3", False), ("1;2;4", False),
    ):  # fmt: skip
        for n_lines in (1, 3):
            layout = find_layout([first, *[";".join("7" * (first.count(";") + 1))] * n_lines])
            assert layout.is_numbered == is_numbered and layout.n_headings == is_numbered, (first, n_lines)


def test_one_column_of_decimal_commas(tmp_path):
    (tmp_path / "x.csv").write_text("II\n" + "\n".join(["0,5", "-0,25"] * 300))
    stored = read_table(tmp_path / "x.csv", unit="mV", sampling_frequency=500)
    np.testing.assert_allclose(stored.samples[0, :2], [0.5, -0.25])


@pytest.mark.parametrize(("first", "noted"), [("0,1,2", True), ("1,2,3", True), ("0,1,3", False), ("I,II,V1", False)])
def test_a_first_line_of_numbers_of_columns_is_noted(tmp_path, first, noted):
    path = csv(tmp_path, MILLIVOLTS)
    path.write_text(f"{first}\n{path.read_text()}")
    stored = read_table(path, unit="mV", sampling_frequency=500, leads=SAID["leads"])
    note = "the first line (0, 1, 2, ...) is taken for numbers of columns"
    assert stored.notes == ((note,) if noted else ())
    assert stored.samples.shape == (3, 1001 if first == "0,1,3" else 1000)


@pytest.mark.parametrize(
    ("headings", "names"),
    [("I;II;V1", ["I", "II", "V1"]), ('"I";"II";"V1"', ["I", "II", "V1"]), ("'I';'II';'V1'", ["I", "II", "V1"]),
     ('"I";"II";"V1\'"', ["I", "II", "V1'"]), ("'I';II;\"V1\"", ["'I'", "II", "V1"])],
)  # fmt: skip
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_quotes_are_apostrophes_only_where_there_are_no_others(headings, names, quote):
    lines = [headings, *[f"{quote}1{quote};{quote}2{quote};{quote}3{quote}"] * 3]
    layout = find_layout(lines)
    text = "".join(lines)
    if "'" in text and '"' in text and quote == "'":  # what is quoted so is then no number
        assert layout is None
    elif "'" in headings and '"' not in headings and quote == '"':
        assert (layout.quote, layout.headings) == ('"', ["'I'", "'II'", "'V1'"])
    else:
        assert (layout.quote, layout.headings) == ("'" if "'" in text and '"' not in text else '"', names)


SIDECARS = {
    '{"sampling_frequency": "500"}': "a number as sampling_frequency, found \"'500'\"",
    '{"sampling_frequency": true}': "a number as sampling_frequency, found 'True'",
    '{"adc_gain": [1000]}': "a number as adc_gain, found '[1000]'",
    '{"adc_gain": false}': "a number as adc_gain, found 'False'",
    '{"age": "61"}': "a number as age, found \"'61'\"",
    '{"age": null}': "a number as age, found 'None'",
    '{"age": true}': "a number as age, found 'True'",
    '{"unit": 1}': "a text as unit, found '1'",
    '{"sex": 2}': "a text as sex, found '2'",
    '{"sex": null}': "a text as sex, found 'None'",
    '{"leads": "I, II"}': "a list of names as leads, found \"'I, II'\"",
    '{"leads": ["I", 2]}': "a list of names as leads, found \"['I', 2]\"",
    '["I", "II"]': "a JSON object of at most 65536 bytes, found something else",
    "500": "a JSON object of at most 65536 bytes, found something else",
}


@pytest.mark.parametrize("text", SIDECARS)
def test_what_is_wrong_in_a_sidecar_is_said(tmp_path, text):
    np.save(tmp_path / "x.npy", MILLIVOLTS)
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(RecordingError) as caught:
        read_table(tmp_path / "x.npy", **SAID)
    assert str(caught.value) == f"{tmp_path}/x.json: expected {SIDECARS[text]}"


@pytest.mark.parametrize("end", ["\n", " \n", "\t\n", ",\n"])
def test_one_column_without_a_heading_is_a_lead(tmp_path, end):
    (tmp_path / "x.csv").write_text("".join(f"{value}{end}" for value in MILLIVOLTS[1]))
    stored = read_table(tmp_path / "x.csv", unit="mV", sampling_frequency=500, leads=["II"])
    assert_read(stored, MILLIVOLTS[1:2], rows=[1])
    assert stored.notes == ()


def test_columns_that_are_left_out_are_named(tmp_path):
    samples = np.vstack([MILLIVOLTS, MILLIVOLTS[:1]])
    stored = read_table(csv(tmp_path, samples, ["DI", "II", "V1", "Resp"]), unit="mV", sampling_frequency=500)
    assert stored.notes == ("DI is taken for lead I", "left out, none of the twelve leads: 'Resp'")


@pytest.mark.parametrize(("age", "known"), [(0, True), (120, True), (121, False), (-1, False), (999, False)])
def test_an_age_that_is_none_is_unknown_with_a_note(tmp_path, age, known):
    np.save(tmp_path / "x.npy", MILLIVOLTS)
    beside(tmp_path, **SAID, age=age)
    stored = read_table(tmp_path / "x.npy")
    assert (stored.header.age == age) == known
    assert stored.notes == (() if known else (f"age unknown: {age} years is no age",))


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "time_s": np.arange(1000) / 500,
        "note": ["x"] * 1000,
        "I (mV)": MILLIVOLTS[0],
        "II (mV)": MILLIVOLTS[1],
        "V1 (mV)": MILLIVOLTS[2],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    assert is_table((tmp_path / "x.parquet").read_bytes()[:4096])
    assert_read(read_table(tmp_path / "x.parquet"))


def test_a_missing_package_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "x.parquet").write_bytes(b"PAR1" * 9)
    with pytest.raises(RecordingError, match=r"pyarrow for Parquet files, found none; .* pip install '\.\[formats\]'"):
        read_table(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("scale", "unit"), [(1e-3, "V"), (1, "mV"), (1000, "uV, or ADC units of some 1000 per mV")], ids=["V", "mV", "uV"]
)
def test_the_unit_is_never_guessed_and_the_likely_one_is_named(tmp_path, scale, unit):
    np.save(tmp_path / "x.npy", MILLIVOLTS * scale)
    beside(tmp_path, sampling_frequency=500, leads=SAID["leads"])
    with pytest.raises(
        RecordingError, match=f'"unit": "mV" in x.json.* found none; .* from peak to peak looks like {unit}$'
    ):
        read_table(tmp_path / "x.npy")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"leads": None}, 'the leads in their order .* in x.json'),
        ({"sampling_frequency": None}, "the sampling frequency in Hz"),
        ({"sampling_frequency": "fast"}, "x.json: expected a number as sampling_frequency"),
        ({"sampling_frequency": True}, "a number as sampling_frequency"),
        ({"sampling_frequency": 1e308}, "a sampling frequency of 50 to 5000 Hz"),
        ({"unit": "furlong"}, "uV, mV or V as the unit, found 'furlong'"),
        ({"unit": 5}, "a text as unit"),
        ({"adc_gain": 0}, "ADC units per mV as adc_gain"),
        ({"leads": "I II V1"}, "a list of names as leads"),
        ({"leads": ["I", "II"]}, r"2 signals \('I, II'\), found shape \(3, 1000\)"),
        ({"leads": ["X", "Y", "Z"]}, "some of the leads"),
        ({"leads": ["I", "I", "II"]}, None),
    ],
)  # fmt: skip
def test_what_is_wrong_beside_it_is_said(tmp_path, facts, said):
    np.save(tmp_path / "x.npy", MILLIVOLTS)
    beside(tmp_path, **{k: v for k, v in (SAID | facts).items() if v is not None})
    if said is None:
        stored = read_table(tmp_path / "x.npy")
        with pytest.raises(RecordingError, match="lead I once"):
            helper_code.to_millivolts(stored.samples, stored.header)
        return
    with pytest.raises(RecordingError, match=said):
        read_table(tmp_path / "x.npy")


@pytest.mark.parametrize("text", ["[" * 50_000, "{", "[]", "null", '{"age": ' + "9" * 5000 + "}", "x" * 100_000])
def test_a_sidecar_that_is_none_is_refused(tmp_path, text):
    np.save(tmp_path / "x.npy", MILLIVOLTS)
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(RecordingError, match=r"x.json: expected "):
        read_table(tmp_path / "x.npy")


def test_file_and_options_must_agree(tmp_path):
    path = csv(tmp_path, MILLIVOLTS, ["time_s", "I (mV)", "II (mV)", "V1 (mV)"], times=np.arange(1000) / 500)
    for wrong in ({"sampling_frequency": 250}, {"unit": "uV"}, {"leads": ["I", "V1", "II"]}):
        with pytest.raises(RecordingError, match=r"as was said, found .* in the file"):
            read_table(path, **wrong)


def npy(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


HEADER = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }"
BAD = {
    "objects": npy(HEADER % ("|O", "(3,)"), b"cos\nsystem\n(S'echo'\ntR."),
    "huge": npy(HEADER % ("<f8", "(999999999999, 12)")),
    "huge text": npy(HEADER % ("<U999", "(999999999999,)")),
    "nested": npy("(" * 4000),
    "expression": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (9**9**9,), }"),
    "cut": npy(HEADER % ("<f8", "(3, 1000)"), bytes(80)),
    "three dimensions": npy(HEADER % ("<f8", "(3, 10, 100)"), bytes(24000)),
    "no size": npy(HEADER % ("<f8", "(0, 12)")),
    "complex": npy(HEADER % ("<c8", "(3, 1000)"), bytes(24000)),
    "no zip": b"PK\x03\x04" + bytes(100),
    "no parquet": b"PAR1" + bytes(100) + b"PAR1",
    "text": b"Dear colleague,\nthe recording is on page 2\n",
    "ragged": b"I,II\n1,2\n1,2,3\n",
    "headings alone": b"I,II,V1\n",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_table_is_refused(tmp_path, kind):
    (tmp_path / "x.bin").write_bytes(BAD[kind])
    with pytest.raises(RecordingError, match=r"x.bin: expected .*, found "):
        read_table(tmp_path / "x.bin", sampling_frequency=500, unit="mV", leads=SAID["leads"])


def test_a_bomb_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", ecg=np.zeros((12, 2_000_000), np.int8))
    assert (tmp_path / "x.npz").stat().st_size < 100_000
    with pytest.raises(RecordingError, match=r"at most 1.1e\+07 values, found 24000000"):
        read_table(tmp_path / "x.npz", sampling_frequency=500, unit="mV", leads=LEADS)


def test_no_room_is_made_for_values_that_are_not_there(tmp_path):
    np.save(tmp_path / "x.npy", MILLIVOLTS)
    data = (tmp_path / "x.npy").read_bytes()
    declared = data.replace(b"(3, 1000), }" + b" " * 9, b"(3, 1000000000), }   ")
    assert len(declared) == len(data) and declared != data
    (tmp_path / "x.npy").write_bytes(declared)
    with (
        asked_for_little_memory(),
        pytest.raises(RecordingError, match="3000000000 values of 8 bytes, found 24000 bytes"),
    ):
        read_table(tmp_path / "x.npy", **SAID)


def test_tables_are_known_by_their_content(tmp_path):
    assert is_table(csv(tmp_path, MILLIVOLTS).read_bytes()[:4096])
    assert is_table(csv(tmp_path, MILLIVOLTS, ["I", "II", "V1"], "\t").read_bytes()[:4096])
    for other in (
        b"",
        b"A0001 12 500 5000\nA0001.mat 16+24\n",
        b"<xml>\n<a>\n",
        b"id,label\nx,y\n",
        b"1,2\n",
        b"\0\1\2",
    ):
        assert not is_table(other)


def test_half_an_hour_is_not_too_much_for_a_parquet_file(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    samples = np.random.default_rng(1).normal(size=(2, 900_000))
    table = pyarrow.table({"I": samples[0], "II": samples[1]})
    parquet.write_table(table, tmp_path / "x.parquet", use_dictionary=False, compression="none")
    stored = read_table(tmp_path / "x.parquet", sampling_frequency=500, unit="mV")
    np.testing.assert_array_equal(stored.samples, samples)
