"""The text of headers in every dialect. Run: pytest tests/test_header.py"""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import helper_code
from header_files import NAMES, assert_agrees_with_wfdb, header_text, signal_lines, wfdb_header
from helper_code import LEADS, Header, RecordingError, parse_header, to_millivolts

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"


GEORGIA = header_text(
    "E00001.mat 12 500 5000 05-May-2020 11:50:55", ("#Age: 78", "#Sex: Male", "#Dx: 426783006"), name="E00001.mat"
)
RE_RELEASE = header_text(
    "JS00001 12 500 5000",
    ("# Age: 85", "# Sex: Male", "# Dx: 164889003,59118001"),
    gain="1000.0(0)/mV",
    format_="16x1+24",
)


def test_parses_2020_dialect_with_mat_in_the_record_name_and_date():
    header = parse_header(GEORGIA)
    assert header == Header(
        recording_id="E00001", sampling_frequency=500.0, n_samples=5000, leads=LEADS, adc_gains=(1000.0,) * 12,
        baselines=(0.0,) * 12, file_names=("E00001.mat",) * 12, formats=("16+24",) * 12, age=78.0, sex="Male",
        labels=("426783006",),
    )  # fmt: skip


def test_parses_2021_dialect_with_parenthesised_baseline_and_spaced_comments():
    header = parse_header(RE_RELEASE)
    assert (header.age, header.sex, header.labels) == (85.0, "Male", ("164889003", "59118001"))
    assert (header.adc_gains, header.baselines) == ((1000.0,) * 12, (0.0,) * 12)
    assert header.formats == ("16x1+24",) * 12


@pytest.mark.parametrize(
    ("field", "zero", "gain", "baseline"),
    [
        ("1000/mV", "0", 1000.0, 0.0),
        ("1000.0(0)/mV", "0", 1000.0, 0.0),
        ("1000/mv", "0", 1000.0, 0.0),
        ("200(-12)/mV", "7", 200.0, -12.0),
        ("200/mV", "1024", 200.0, 1024.0),  # ADC zero stands in for the baseline
        ("200", "0", 200.0, 0.0),
        ("4880/mV", "0", 4880.0, 0.0),
        ("1e3/mV", "0", 1000.0, 0.0),
        ("-1000/mV", "0", -1000.0, 0.0),
        ("1/uV", "0", 1000.0, 0.0),
        ("1/\u00b5V", "0", 1000.0, 0.0),
        ("1000000/V", "0", 1000.0, 0.0),
        ("/mV", "3", 200.0, 3.0),  # absent: WFDB's 200
        ("(5)/mV", "3", 200.0, 5.0),
    ],
)
def test_reads_gain_and_baseline(field, zero, gain, baseline):
    header = parse_header(header_text(gain=field, zero=zero))
    assert header.adc_gains == pytest.approx((gain,) * 12, rel=1e-12)
    assert header.baselines == (baseline,) * 12


def test_absent_gain_with_lead_name_next_or_nothing_at_all():
    header = parse_header("x 3 500\nx.dat 16 V1\nx.dat 16\nx.dat 16 100/mV 16 0 0 0 0 V2\n")
    assert header.leads == ("V1", "", "V2")
    assert header.adc_gains == (200.0, 200.0, 100.0)
    assert header.n_samples is None


@pytest.mark.parametrize(
    "gain", ["0/mV", "0.0(0)/mV", "0", "1000/mmHg", "mV", "abc/mV", "1000mV", "1e999/mV", "nan/mV", "1(1e999)/mV"]
)
def test_refuses_gain_of_a_standard_lead_that_makes_no_sense(gain):
    with pytest.raises(RecordingError, match=r"A0001\.hea: expected a non-zero gain .* for lead I, found"):
        parse_header(header_text(gain=gain), "A0001.hea")


def test_gain_of_a_signal_that_is_no_lead_does_not_matter():
    text = "x 2 500 5000\n" + "\n".join(signal_lines(leads=["II"]) + signal_lines("0/bpm", ["RESP"])) + "\n"
    header = parse_header(text)
    assert header.adc_gains[0] == 1000 and math.isnan(header.adc_gains[1])
    raw = np.ones((2, 10), np.int16)
    assert np.isnan(to_millivolts(raw, header)).all(axis=1).tolist() == [lead != "II" for lead in LEADS]


@pytest.mark.parametrize(
    ("comment", "age"),
    [
        ("#Age: 74", 74.0), ("# Age: 74", 74.0), ("#AGE:74", 74.0), ("#  age : 60.5", 60.5), ("#Age: 0", 0.0),
        ("#Age: 300", 90.0), ("#Age: 116", 116.0), ("#Age: 121", math.nan), ("#Age: 999", math.nan),
        ("#Age: NaN", math.nan), ("#Age: -1", math.nan), ("#Age:", math.nan),
        ("#Age: Unknown", math.nan), ("#Age: inf", math.nan), ("#Hx: Age: 5", math.nan), ("#", math.nan),
    ],
)  # fmt: skip
def test_reads_age(comment, age):
    header = parse_header(header_text(comments=(comment,)))
    assert header.age == pytest.approx(age, nan_ok=True)
    assert header.sex == "Unknown" and header.labels == ()


@pytest.mark.parametrize(
    ("value", "sex"),
    [
        ("F", "Female"), ("female", "Female"), ("Female", "Female"), ("M", "Male"), ("male", "Male"), ("Male", "Male"),
        ("NaN", "Unknown"), ("Unknown", "Unknown"), ("", "Unknown"), ("x", "Unknown"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["#Sex:", "# Sex: ", "#SEX :"])
def test_reads_sex(key, value, sex):
    assert parse_header(header_text(comments=(key + value,))).sex == sex


@pytest.mark.parametrize(
    ("comments", "labels"),
    [
        (["#Dx: 59118001"], ["59118001"]),
        (["# Dx: 59118001,426783006"], ["59118001", "426783006"]),
        (["#dx:284470004, 59118001 ,284470004,"], ["284470004", "59118001"]),
        (["#Dx: ,,1,,2,"], ["1", "2"]),
        (["#Dx: 1;2 3,\t4;;5.0"], ["1", "2", "3", "4", "5"]),
        (["#Dx: x1,2x,3-4,5.5,6"], ["6"]),
        (["#Dx:"], []),
        (["#Dx: Unknown"], []),
        ([], []),
        (["#Dx: 1", "#Rx: 7", "#Dx: 2"], ["1", "2"]),
    ],
)
def test_reads_labels(comments, labels):
    text = header_text(comments=comments)
    assert list(parse_header(text).labels) == helper_code.get_labels(text) == labels


def test_header_means_the_same_in_any_line_order_and_with_any_line_ends():
    lines = GEORGIA.strip().split("\n")
    expected = parse_header(GEORGIA)
    record, signals, comments = lines[0], lines[1:13], lines[13:]
    for variant in (
        [*comments[::-1], record, *signals],
        [record, comments[1], *signals, comments[2], comments[0]],
        [record, "", *signals, "", "# \x85 a comment", *comments, ""],
    ):
        for end in ("\n", "\r\n", "\r"):
            assert parse_header("\ufeff" + end.join(variant)) == expected


def test_reads_header_bytes_with_byte_order_mark_crlf_and_latin_1(tmp_path):
    file = tmp_path / "E00001.hea"
    for encoded in (GEORGIA.encode("utf-8-sig"), (GEORGIA + "#Hx: Mu\u00f1oz \x85\n").encode("latin-1")):
        file.write_bytes(encoded.replace(b"\n", b"\r\n"))
        assert helper_code.read_header(file) == parse_header(GEORGIA)


@pytest.mark.parametrize(
    ("line", "frequency", "n_samples"),
    [
        ("A0001 12 500 5000", 500.0, 5000),
        ("A0001 12 257.5 462600", 257.5, 462600),
        ("A0001 12 500/1000 5000 12:00:00 01/02/2020", 500.0, 5000),
        ("A0001 12 500/1000(7) 5000", 500.0, 5000),
        ("A0001\t12\t300", 300.0, None),
        ("A0001 12 500 0", 500.0, None),
        ("A0001 12 500 12-May-2020 12:33:59", 500.0, None),
    ],
)
def test_reads_record_line(line, frequency, n_samples):
    header = parse_header(header_text(line))
    assert (header.recording_id, header.sampling_frequency, header.n_samples) == ("A0001", frequency, n_samples)


@pytest.mark.parametrize(("frequency", "is_usable"), [(50, True), (5000, True), (49.99, False), (5000.1, False)])
@pytest.mark.parametrize("per_frame", [1, 2])
def test_the_rate_of_the_leads_is_from_50_to_5000_hz(frequency, is_usable, per_frame):
    text = header_text(f"A0001 12 {frequency / per_frame!r} 5000", format_=f"16x{per_frame}")
    if is_usable:
        assert parse_header(text).sampling_frequency == frequency
    else:
        with pytest.raises(RecordingError, match=f"found {frequency:g} Hz"):
            parse_header(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a record line, found none"),
        ("#Age: 5\n", "expected a record line, found none"),
        ("A0001\n", "expected a record line with a sampling frequency"),
        (header_text("A0001 12"), "expected a record line with a sampling frequency"),
        (header_text("A0001 12 fast 5000"), "expected a record line with a sampling frequency"),
        (header_text("A0001 0 500 5000"), "expected 1 signal lines, found 12"),
        (header_text("A0001 8 500 5000"), "expected 8 signal lines, found 12"),
        (header_text("A0001 13 500 5000"), "expected 13 signal lines, found 12"),
        ("A0001 0 500 5000\n", "expected 1 signal lines, found 0"),
        (header_text("A0001 12 0 5000"), "100 to 1000 Hz.*found 0 Hz"),
        (header_text("A0001 12 49.9 5000"), "found 49.9 Hz"),
        (header_text("A0001 12 1e5 5000"), "found 100000 Hz"),
        (header_text("A0001 12 -500 5000"), "found -500 Hz"),
        ("A0001/3 12 500 5000\na 2000\n~ 1000\nb 500\n", "the multi-segment record 'A0001/3'"),
        (header_text("../A0001 12 500 5000"), "record name that stays in the header.s folder"),
        (
            header_text(name="../A0001.mat"),
            r"signal file name that stays in the header.s folder, found '\.\./A0001\.mat'",
        ),
        (header_text(name="/etc/passwd"), "signal file name that stays in the header.s folder"),
        (header_text(name=".."), "signal file name that stays in the header.s folder"),
        (header_text(name="a\\..\\b.mat"), "signal file name that stays in the header.s folder"),
        (header_text(name="c:\\b.mat"), "signal file name that stays in the header.s folder"),
        (header_text(name="a\0b.mat"), "signal file name that stays in the header.s folder"),
        (header_text(name="x" * 300), "signal file name that stays in the header.s folder"),
        (header_text(format_="16:99999999"), "expected a signal line"),
        ("A0001 1 500 5000\nA0001.mat\n", "expected a signal line"),
    ],
)
def test_refuses_header_and_says_what_it_found(text, message):
    with pytest.raises(RecordingError, match=rf"^A0001\.hea: .*{message}"):
        parse_header(text, "A0001.hea")


CODES = st.lists(st.sampled_from(sorted(helper_code.SCORED_CLASSES)), max_size=5, unique=True)


@given(
    name=NAMES,
    frequency=st.one_of(st.integers(50, 5000), st.floats(50, 5000)),
    n_samples=st.integers(1, 10**6),
    order=st.permutations(LEADS),
    gain=st.floats(0.1, 1e5),
    baseline=st.integers(-32768, 32767),
    age=st.integers(0, 110),
    sex=st.sampled_from(["Female", "Male", "Unknown"]),
    codes=CODES,
    old=st.booleans(),
)
@settings(max_examples=50)
def test_header_fields_round_trip_in_both_dialects(
    name, frequency, n_samples, order, gain, baseline, age, sex, codes, old
):
    mark = "#" if old else "# "
    field = f"{gain!r}/mv" if old else f"{gain!r}({baseline})/mV"
    lines = [f"{name} 12 {frequency!r} {n_samples}"]
    if old:
        lines = [f"{name}.mat 12 {frequency!r} {n_samples} 12-May-2020 12:33:59"]
    lines += signal_lines(field, order, f"{name}.mat", "16+24" if old else "16x1+24", str(baseline) if old else "0")
    lines += [f"{mark}Age: {age}", f"{mark}Sex: {sex}", f"{mark}Dx: {','.join(codes)}"]
    header = parse_header("\n".join(lines))
    assert header == Header(
        name, float(frequency), n_samples, tuple(order), (gain,) * 12, (float(baseline),) * 12, (f"{name}.mat",) * 12,
        ("16+24" if old else "16x1+24",) * 12, float(age), sex, tuple(codes),
    )  # fmt: skip


@given(
    frequency=st.sampled_from(["500", "257", "360.5", "500/250", "1000/1000(0)"]),
    n_samples=st.integers(1, 10**6),
    gains=st.lists(
        st.sampled_from(["1000/mV", "1000.0(0)/mV", "4880(-5)/mv", "0.5/uV", "200", "1e3(12)/mV", "/mV", "-100/mV"]),
        min_size=12,
        max_size=12,
    ),
    zero=st.integers(-1000, 1000),
    tail=st.sampled_from(["", " 12:33:59", " 12:33:59 12/05/2020"]),
)
@settings(max_examples=60)
def test_agrees_with_wfdb_on_headers_that_wfdb_accepts(tmp_path_factory, frequency, n_samples, gains, zero, tail):
    path = tmp_path_factory.mktemp("wfdb") / "A0001.hea"
    lines = [f"A0001 12 {frequency} {n_samples}{tail}"]
    lines += [signal_lines(gain, [lead], zero=zero)[0] for gain, lead in zip(gains, LEADS, strict=True)]
    path.write_text("\n".join(lines))
    theirs = wfdb_header(path)
    assert theirs is not None
    assert_agrees_with_wfdb(path, theirs)


def test_wfdb_refuses_the_georgia_header_that_we_accept(tmp_path):
    path = tmp_path / "E00001.hea"
    path.write_text(GEORGIA)
    assert wfdb_header(path) is None
    assert helper_code.read_header(path).recording_id == "E00001"


@pytest.mark.parametrize("name", ["records500/00001", "ge/b_medians", "records500\\00001"])
def test_a_record_name_may_have_a_folder(name):
    file = name + ".mat"
    header = parse_header(header_text(f"{name} 12 500 5000", name=file))
    assert header.recording_id == name[-9:].lstrip("\\/").split("/")[-1].split("\\")[-1]
    assert header.file_names == (file.replace("\\", "/"),) * 12


def test_several_samples_in_a_frame_give_the_rate_of_the_leads():
    header = parse_header(
        "r 3 50 500\nr.dat 16x10 1000/mV 16 0 0 0 0 I\nr.dat 16x10 1000/mV 16 0 0 0 0 II\n"
        "r.dat 16 1/mmHg 16 0 0 0 0 ABP\n"
    )
    assert (header.sampling_frequency, header.n_samples) == (500, 5000)
    assert header.notes == ("left out, none of the twelve leads: 'ABP'",)
    with pytest.raises(RecordingError, match=r"one sampling frequency of all leads, found \[1, 10\] samples a frame"):
        parse_header("r 2 50 500\nr.dat 16x10 1000/mV 16 0 0 0 0 I\nr.dat 16 1000/mV 16 0 0 0 0 II\n")


@pytest.mark.parametrize(
    ("comment", "notes"),
    [("#Age: 61", ()), ("#Age: NaN", ()), ("#Age: 300", ("age 300 is 90 or older",)),
     ("#Age: -1", ("age unknown: -1 years is no age",)), ("#Age: 121", ("age unknown: 121 years is no age",)),
     ("#Age: 120", ()), ("#Age: Unknown", ()), ("#Age: 6 months", ("age unknown: '6 months' is no number",))],
)  # fmt: skip
def test_what_is_assumed_of_an_age_is_noted(comment, notes):
    assert parse_header(header_text(comments=(comment,))).notes == notes


def test_leads_of_other_languages_and_of_the_trunk_are_noted():
    text = "x 3 500\n" + "".join(f"x.mat 16+24 1000/mV 16 0 0 0 0 {label}\n" for label in ("DI", "MLII", "V1"))
    header = parse_header(text)
    assert header.leads == ("I", "II", "V1")
    assert header.notes == ("DI is taken for lead I", "MLII is taken for lead II (limb electrodes on the trunk)")
