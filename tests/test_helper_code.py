"""Signals, finding files, outputs and the 2021 names. Run: pytest tests/test_helper_code.py

Headers are in test_header.py, faulty files in test_helper_code_faults.py.
"""

import csv
import math
import os
import stat
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

import helper_code
from header_files import (
    NAMES,
    assert_agrees_with_wfdb,
    header_text,
    random_signals,
    signal_lines,
    wfdb_header,
    write_recording,
)
from helper_code import LEADS, RecordingError, parse_header, read_recording, to_millivolts

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


# ---- signals ---------------------------------------------------------------------------------------------------------


def test_converts_by_gain_and_baseline_of_each_lead():
    text = "x 2 500\nx.mat 16+24 1000(500)/mV 16 0 0 0 0 V6\nx.mat 16+24 200(-20)/mV 16 0 0 0 0 AVR\n"
    raw = np.array([[500, 1500, -500], [-20, 180, -220]], np.int16)
    millivolts = to_millivolts(raw, parse_header(text))
    assert millivolts.shape == (12, 3) and millivolts.dtype == np.float32
    assert millivolts[LEADS.index("V6")].tolist() == [0.0, 1.0, -1.0]
    assert millivolts[LEADS.index("aVR")].tolist() == [0.0, 1.0, -1.0]
    missing = np.isnan(millivolts).all(axis=1)
    assert [lead for lead, absent in zip(LEADS, missing, strict=True) if not absent] == ["aVR", "V6"]


def test_does_not_overflow_int16_when_the_baseline_is_taken_off():
    header = parse_header("x 1 500\nx.mat 16+24 1000(30000)/mV 16 0 0 0 0 I\n")
    assert to_millivolts(np.array([[-32000]], np.int16), header)[0, 0] == np.float32(-62.0)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_marks_missing_samples_with_nan(dtype):
    header = parse_header("x 1 500\nx.mat 16+24 1000/mV 16 0 0 0 0 I\n")
    millivolts = to_millivolts(np.array([[-32768, -32767, 0, 32767]], dtype), header)[0]
    assert np.isnan(millivolts).tolist() == [True, False, False, False]
    assert millivolts[1:] == pytest.approx([-32.767, 0.0, 32.767])


def test_marks_missing_samples_of_a_narrow_format_in_both_ways():
    header = parse_header("x 1 500\nx.mat 212 1000/mV 12 0 0 0 0 I\n")
    millivolts = to_millivolts(np.array([[-32768, -2048, -2047]], np.int16), header)[0]
    assert np.isnan(millivolts).tolist() == [True, True, False]


def test_non_finite_samples_become_nan_and_fractions_stay():
    header = parse_header("x 1 500\nx.mat 16+24 1000/mV 16 0 0 0 0 I\n")
    millivolts = to_millivolts(np.array([[np.inf, -np.inf, np.nan, 1e300, 0.5]]), header)[0]
    assert np.isnan(millivolts).tolist() == [True, True, True, True, False]
    assert millivolts[4] == np.float32(0.0005)


@given(order=st.permutations(range(12)), case=st.sampled_from([str.upper, str.lower, str]))
@settings(max_examples=30)
def test_leads_shuffled_give_the_same_millivolts(order, case):
    raw = random_signals(n_samples=20)
    gains = [f"{100 * (i + 1)}({i})/mV" for i in range(12)]
    expected = to_millivolts(raw, parse_header(_header_of(range(12), gains, str)))
    assert np.array_equal(to_millivolts(raw[order], parse_header(_header_of(order, gains, case))), expected)


def _header_of(order, gains, case):
    lines = [signal_lines(gains[i], [case(LEADS[i])])[0] for i in order]
    return "\n".join(["A0001 12 500", *lines])


def test_lead_named_twice_is_kept_once_if_identical_and_refused_otherwise():
    text = "x 2 500\nx.mat 16+24 1000/mV 16 0 0 0 0 II\nx.mat 16+24 1000/mV 16 0 0 0 0 ii\n"
    raw = np.array([[1, -32768, 3]] * 2, np.int16)
    row = to_millivolts(raw, parse_header(text))[1]
    assert np.array_equal(row, np.float32([0.001, np.nan, 0.003]), equal_nan=True)
    raw[1, 2] = 4
    with pytest.raises(RecordingError, match="lead II once, found it twice with different samples"):
        to_millivolts(raw, parse_header(text))


def test_refuses_recording_without_any_of_the_twelve_leads():
    text = "x 2 500\nx.mat 16+24 1000/mV 16 0 0 0 0 MCL1\nx.mat 16+24 1000/mV 16 0 0 0 0 V7\n"
    with pytest.raises(RecordingError, match=r"expected some of the leads .* found 'MCL1, V7'"):
        to_millivolts(np.zeros((2, 600), np.int16), parse_header(text))


@pytest.mark.parametrize("format_", ["4", "5"])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<i4", "<f4", "<f8", "u1"])
@pytest.mark.parametrize("compressed", [False, True])
def test_reads_what_scipy_writes_as_matlab_file(tmp_path, format_, dtype, compressed):
    raw = (np.abs(random_signals()) % 200).astype(dtype)
    header_file = write_recording(tmp_path, raw)
    contents = {"other": np.arange(3.0), "val": raw, "more": "text"}
    savemat(tmp_path / "A0001.mat", contents, format=format_, do_compression=compressed and format_ == "5")
    header, millivolts = read_recording(header_file)
    assert np.array_equal(millivolts, (raw / 1000.0).astype(np.float32))
    stored = helper_code.load_recording(tmp_path / "A0001.mat")
    assert np.array_equal(stored, raw) and stored.dtype.isnative and stored.flags.writeable
    assert header.n_samples == 600


@pytest.mark.parametrize("options", [{"format": "4"}, {"format": "5"}, {"format": "5", "do_compression": True}])
def test_reads_variable_of_another_name(tmp_path, options):
    raw = random_signals()
    savemat(tmp_path / "x.mat", {"v": raw[:3], "signal": raw}, **options)
    assert np.array_equal(helper_code.load_recording(tmp_path / "x.mat", key="signal"), raw)


def test_reads_big_endian_level_4_file(tmp_path):
    raw = random_signals()
    header_file = write_recording(tmp_path, raw)
    head = np.array([1030, *raw.shape, 0, 4], ">i4").tobytes() + b"val\0"
    (tmp_path / "A0001.mat").write_bytes(head + raw.astype(">i2").tobytes(order="F"))
    assert np.array_equal(read_recording(header_file)[1], (raw / 1000.0).astype(np.float32))


def test_turns_a_transposed_matrix_back(tmp_path):
    raw = random_signals()
    header_file = write_recording(tmp_path, raw)
    for format_ in ("4", "5"):
        savemat(tmp_path / "A0001.mat", {"val": raw.T}, format=format_)
        assert np.array_equal(read_recording(header_file)[1], (raw / 1000.0).astype(np.float32))


@pytest.mark.parametrize(
    ("fmt", "n_signals", "n_samples"),
    [(fmt, *shape) for fmt in ("16", "24", "32", "80", "212") for shape in ((12, 600), (3, 601), (1, 601))]
    + [(fmt, 8, 601) for fmt in ("508", "516", "524")],  # FLAC holds eight
)
def test_reads_what_wfdb_writes_as_signal_file(tmp_path, fmt, n_signals, n_samples):
    raw = np.cumsum(random_signals(n_signals, n_samples) % 3 - 1, axis=1).clip(-120, 120)
    raw[:, 7] = raw[:, 8]
    wfdb.wrsamp(
        "rec1", fs=500, units=["mV"] * n_signals, sig_name=list(LEADS[:n_signals]), d_signal=raw.T.astype(np.int64),
        fmt=[fmt] * n_signals, adc_gain=[40.0] * n_signals, baseline=[3] * n_signals, write_dir=str(tmp_path),
    )  # fmt: skip
    header, millivolts = read_recording(tmp_path / "rec1.hea")
    assert header.n_samples == n_samples
    assert np.array_equal(millivolts[:n_signals], ((raw - 3) / 40.0).astype(np.float32))
    assert np.isnan(millivolts[n_signals:]).all()
    assert np.array_equal(helper_code.load_recording(tmp_path / "rec1.dat"), raw)


def test_reads_packed_format_whose_last_group_is_filled_up(tmp_path):
    """Two samples of format 212 take three bytes; with an odd number there may be room for one more sample."""
    raw = random_signals(1, 601)
    wfdb.wrsamp("r", fs=500, units=["mV"], sig_name=["I"], d_signal=raw.T.astype(np.int64), fmt=["212"],
                adc_gain=[1000.0], baseline=[0], write_dir=str(tmp_path))  # fmt: skip
    content = (tmp_path / "r.dat").read_bytes()
    (tmp_path / "r.dat").write_bytes(content.ljust(903, b"\0"))
    assert np.array_equal(read_recording(tmp_path / "r.hea")[1][0], (raw[0] / 1000.0).astype(np.float32))


@pytest.mark.parametrize(
    ("format_", "packed"),
    [
        ("8", lambda raw: np.diff(raw, axis=1, prepend=-3).astype("i1")),  # differences from the header's initial value
        ("61", lambda raw: raw.astype(">i2")),
        ("160", lambda raw: (raw + 32768).astype("<u2")),
        ("16x1:0+0", lambda raw: raw.astype("<i2")),
    ],
)
def test_reads_formats_packed_by_hand(tmp_path, format_, packed):
    raw = np.cumsum(random_signals() % 3 - 1, axis=1)
    packed(raw).T.tofile(tmp_path / "A0001.dat")
    text = header_text("A0001 12 500 600", name="A0001.dat", format_=format_)
    (tmp_path / "A0001.hea").write_text(text)
    assert np.array_equal(read_recording(tmp_path / "A0001.hea")[1], (raw / 1000.0).astype(np.float32))


@pytest.mark.parametrize("fmt", ["16", "24", "32", "80", "212"])
def test_missing_samples_of_a_wfdb_file_become_nan(tmp_path, fmt):
    signal = np.linspace(-1.0, 1.0, 600)[:, np.newaxis]
    signal[[0, 5, 599]] = np.nan
    wfdb.wrsamp(
        "rec1", fs=500, units=["mV"], sig_name=["II"], p_signal=signal, fmt=[fmt], write_dir=str(tmp_path)
    )  # fmt: skip
    row = read_recording(tmp_path / "rec1.hea")[1][1]
    assert np.flatnonzero(np.isnan(row)).tolist() == [0, 5, 599]
    assert np.nanmax(np.abs(row - signal[:, 0])) < 0.02


def test_reads_wfdb_file_whose_header_wfdb_refuses(tmp_path):
    raw = random_signals()
    raw.T.astype("<i2").tofile(tmp_path / "E00001.dat")
    text = header_text("E00001.mat 12 500 600 05-May-2020 11:50:55", name="E00001.dat", format_="16")
    (tmp_path / "E00001.hea").write_text(text)
    assert wfdb_header(tmp_path / "E00001.hea") is None
    assert np.array_equal(read_recording(tmp_path / "E00001.hea")[1], (raw / 1000.0).astype(np.float32))


def test_reads_record_of_two_signal_files(tmp_path):
    raw = random_signals()
    raw[:8].T.astype("<i2").tofile(tmp_path / "b.dat")
    raw[8:].T.astype("<i2").tofile(tmp_path / "a.dat")
    lines = signal_lines(leads=LEADS[:8], name="b.dat", format_="16") + signal_lines(
        leads=LEADS[8:], name="a.dat", format_="16"
    )
    (tmp_path / "r.hea").write_text("\n".join(["r 12 500 600", *lines]))
    assert np.array_equal(read_recording(tmp_path / "r.hea")[1], (raw / 1000.0).astype(np.float32))


def test_where_the_named_file_is_absent_the_one_of_the_header_files_name_is_read(tmp_path):
    raw = random_signals()
    header_file = write_recording(tmp_path, raw)
    expected = read_recording(header_file)[1]
    renamed = header_file.rename(tmp_path / "renamed.hea")
    (tmp_path / "A0001.mat").rename(tmp_path / "renamed.mat")
    assert np.array_equal(read_recording(renamed)[1], expected)
    (tmp_path / "renamed.mat").unlink()
    raw.T.astype("<i2").tofile(tmp_path / "renamed.dat")  # no MATLAB header in it, so no offset of 24 bytes
    assert np.array_equal(read_recording(renamed)[1], expected)


def test_reads_header_without_number_of_samples(tmp_path):
    raw = random_signals()
    header_file = write_recording(tmp_path, raw)
    header_file.write_text(header_text("A0001 12 500"))
    for stored in (raw, raw.T):
        savemat(tmp_path / "A0001.mat", {"val": stored}, format="4")
        assert np.array_equal(read_recording(header_file)[1], (raw / 1000.0).astype(np.float32))


@pytest.mark.parametrize("kind", ["mat4", "mat5", "dat"])
def test_half_an_hour_at_1000_hz_needs_less_than_four_times_its_float32_size(tmp_path, kind):
    n_samples = 30 * 60 * 1000
    raw = np.zeros((12, n_samples), np.int16)
    raw[:, ::1000] = 1  # a recording that never changes is refused
    file_name, format_ = f"A0001.{kind[:3]}", "16" if kind == "dat" else "16+24"
    (tmp_path / "A0001.hea").write_text(header_text(f"A0001 12 1000 {n_samples}", name=file_name, format_=format_))
    if kind == "dat":
        raw.tofile(tmp_path / file_name)
    else:
        savemat(tmp_path / file_name, {"val": raw}, format=kind[3])
    tracemalloc.start()  # numpy's arrays are traced too
    try:
        millivolts = read_recording(tmp_path / "A0001.hea")[1]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert millivolts.nbytes <= peak < 4 * millivolts.nbytes


@pytest.mark.skipif(not (SHARED / "data" / "unpack.py").exists(), reason="needs the real recordings")
def test_reads_real_recordings_with_plausible_amplitudes_and_agrees_with_wfdb(tmp_path):
    archive = SHARED / "data" / "other-databases.npz"
    subprocess.run([sys.executable, SHARED / "data" / "unpack.py", archive, tmp_path], check=True, capture_output=True)
    amplitudes: dict[str, list[float]] = {}
    accepted = 0
    for path in map(Path, helper_code.find_headers(tmp_path)):
        header, millivolts = read_recording(path)
        assert millivolts.shape == (12, header.n_samples) and np.isfinite(millivolts).all()
        assert header.labels and not math.isnan(header.sampling_frequency)
        amplitudes.setdefault(helper_code.get_database(header.recording_id), []).append(float(np.ptp(millivolts[1])))
        theirs = wfdb_header(path)
        if theirs is not None:
            accepted += 1
            assert_agrees_with_wfdb(path, theirs)
    assert {name: len(values) for name, values in amplitudes.items()} == {
        "CPSC": 14, "CPSC-Extra": 36, "Chapman-Ningbo": 79, "PTB": 10,
    }  # fmt: skip
    assert all(0.5 < np.median(values) < 5 for values in amplitudes.values())
    assert accepted > 0


# ---- finding and writing files ---------------------------------------------------------------------------------------


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_finds_headers_below_a_folder_in_order_once_each(tmp_path):
    touch(*(tmp_path / name for name in ("b.hea", "a.hea", "a.mat", "z/c.hea", "z/y/d.hea", ".git/e.hea", ".f.hea")))
    (tmp_path / "z" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "broken.hea").symlink_to(tmp_path / "absent")
    found = [os.path.relpath(path, tmp_path) for path in helper_code.find_headers(tmp_path)]
    assert found == ["a.hea", "b.hea", "broken.hea", "z/c.hea", "z/y/d.hea"]


def test_finds_recordings_without_a_header_too_and_ends_at_links_to_themselves(tmp_path):
    touch(*(tmp_path / name for name in ("b.hea", "b.mat", "a.mat", "z/c.mat", "z/d.dat", ".e.mat")))
    for name in ("loop", "loop.hea", "loop2.mat"):
        (tmp_path / name).symlink_to(name)
    found = [os.path.relpath(path, tmp_path) for path in helper_code.find_recordings(tmp_path)]
    assert found == ["a.hea", "b.hea", "loop.hea", "loop2.hea", "z/c.hea", "z/d.hea"]


def test_follows_a_link_to_a_folder_elsewhere(tmp_path):
    touch(tmp_path / "elsewhere" / "a.hea")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert list(helper_code.find_headers(tmp_path / "data")) == [str(tmp_path / "data" / "link" / "a.hea")]


def test_finds_pairs_in_a_flat_folder_and_below(tmp_path):
    names = "b.hea b.mat a.hea a.dat a.mat alone.hea c.hea c.dat sub/d.hea sub/d.mat .h.hea .h.mat"
    touch(*(tmp_path / name for name in names.split()))
    headers, recordings = helper_code.find_challenge_files(tmp_path)
    assert headers == [str(tmp_path / name) for name in ("a.hea", "b.hea", "c.hea")]
    assert recordings == [str(tmp_path / name) for name in ("a.mat", "b.mat", "c.dat")]
    headers, recordings = helper_code.find_challenge_files(tmp_path, recursive=True)
    assert headers[3:] == [str(tmp_path / "sub" / "d.hea")] and recordings[3:] == [str(tmp_path / "sub" / "d.mat")]


def test_missing_folder_is_an_error(tmp_path):
    for find in (helper_code.find_challenge_files, lambda folder: list(helper_code.find_headers(folder))):
        with pytest.raises(FileNotFoundError, match="absent"):
            find(tmp_path / "absent")


def test_written_file_is_whole_readable_by_others_and_alone(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    helper_code.write_file(path, "new\r\n\u00b5")
    assert path.read_bytes() == b"new\r\n\xc2\xb5"
    helper_code.write_file(path, b"\0\xff")
    assert path.read_bytes() == b"\0\xff"
    (tmp_path / "b").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "b").stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "b"]


def test_a_reader_of_the_old_file_never_sees_the_new_one_in_the_making(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with open(path) as reader:
        helper_code.write_file(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        helper_code.write_file(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.csv"]


# ---- outputs ---------------------------------------------------------------------------------------------------------


def test_output_file_has_the_format_of_the_challenge(tmp_path):
    file = tmp_path / "A0001.csv"
    labels, scores = np.array([True, False]), [0.25, np.float32(0.1)]
    helper_code.save_outputs(file, "A0001", ["270492004", "164889003"], labels, scores)
    assert file.read_bytes() == b"#A0001\n270492004,164889003\n1,0\n0.25,0.1\n"
    assert helper_code.load_outputs(file) == ("A0001", ("270492004", "164889003"), (1, 0), (0.25, 0.1))


@given(
    st.lists(st.tuples(st.sampled_from(["1", "2", "3|4"]), st.integers(0, 1), st.floats(0, 1, width=32)), max_size=5),
    NAMES,
)
@settings(max_examples=40)
def test_outputs_round_trip_to_the_same_float32(tmp_path_factory, rows, name):
    file = tmp_path_factory.mktemp("outputs") / "out.csv"
    classes, labels, scores = zip(*rows, strict=True) if rows else ((), (), ())
    helper_code.save_outputs(file, name, classes, labels, scores)
    recording_id, classes_read, labels_read, scores_read = helper_code.load_outputs(file)
    assert (recording_id, classes_read, labels_read) == (name, classes, labels)
    assert np.array_equal(np.float32(scores_read), np.float32(scores))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("A", ["1"], [1, 0], [0.5]), "1 labels and scores, found 2 and 1"),
        (("A", ["1"], [1], [math.nan]), "finite scores, found nan"),
        (("A", ["1"], [1], [math.inf]), "finite scores, found inf"),
        (("A", ["1"], [2], [0.5]), "labels 0 and 1, found 2"),
        (("A", ["1,2"], [1], [0.5]), "names without commas and line ends"),
        (("A\nB", ["1"], [1], [0.5]), "names without commas and line ends"),
    ],
)
def test_refuses_to_write_bad_outputs(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=rf"out\.csv: expected {message}"):
        helper_code.save_outputs(tmp_path / "out.csv", *arguments)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found 0 lines"),
        ("A0001\n1\n1\n0.5\n", "'#id' and lines"),
        ("#A0001\n1,2\n1\n0.5,0.5\n", "2 labels and scores, found 1 and 2"),
        ("#A0001\n1\nyes\n0.5\n", "labels 0 and 1, found 'yes'"),
        ("#A0001\n1\n1\nhigh\n", "numbers as scores, found 'high'"),
    ],
)
def test_refuses_to_read_bad_outputs(tmp_path, text, message):
    (tmp_path / "out.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"out\.csv: expected .*{message}"):
        helper_code.load_outputs(tmp_path / "out.csv")


def test_reads_labels_in_all_spellings_of_the_scorers(tmp_path):
    spellings = ["1", "1.0", "True", "true", "T", "t", "0", "0.0", "False", "false", "F", "f"]
    columns = ",".join("x" * 12)
    lines = ("#A ", columns, ", ".join(spellings), columns.replace("x", "nan"))
    (tmp_path / "o.csv").write_bytes("\r\n".join(lines).encode())
    assert helper_code.load_outputs(tmp_path / "o.csv")[2] == (1,) * 6 + (0,) * 6


# ---- the 2021 helper's names -----------------------------------------------------------------------------------------


def test_2021_names_mean_what_they_meant():
    text = header_text(
        "A0001.mat 12 500 5000", ("#Age: 60.5", "#Sex: F", "#Dx: 1,2"), leads=LEADS[::-1], gain="500(3)/mV"
    )  # fmt: skip
    assert helper_code.get_recording_id(text) == "A0001"
    assert helper_code.get_leads(text) == LEADS[::-1]
    assert (helper_code.get_num_leads(text), helper_code.get_num_samples(text)) == (12, 5000)
    assert helper_code.get_frequency(text) == 500.0
    assert (helper_code.get_age(text), helper_code.get_sex(text)) == (60.5, "Female")
    assert helper_code.get_labels(text) == ["1", "2"]
    assert np.array_equal(helper_code.get_adc_gains(text, ("V1", "V9")), [500.0, np.nan], equal_nan=True)
    assert np.array_equal(helper_code.get_baselines(text, ("V1", "V9")), [3.0, np.nan], equal_nan=True)
    raw = np.arange(24).reshape(12, 2)
    assert helper_code.choose_leads(raw, text, ("V6", "V9", "I")).tolist() == [[0, 1], [0, 0], [22, 23]]
    assert helper_code.sort_leads(["V7", "II", "X", "I"]) == ("I", "II", "V7", "X")
    assert [len(leads) for leads in helper_code.lead_sets] == [12, 6, 4, 3, 2]


@pytest.mark.parametrize(
    ("value", "number", "finite", "integer"),
    [
        ("1", True, True, True), ("2.0", True, True, True), (2.5, True, True, False), ("nan", True, False, False),
        ("inf", True, False, False), ("x", False, False, False), (None, False, False, False), ("", False, False, False),
        (10**400, False, False, False),
    ],
)  # fmt: skip
def test_number_checks(value, number, finite, integer):
    assert helper_code.is_number(value) is number
    assert helper_code.is_finite_number(value) is finite
    assert helper_code.is_integer(value) is integer


def test_a_script_in_the_style_of_the_organisers_works(tmp_path):
    raw = random_signals()
    (tmp_path / "data").mkdir()
    write_recording(tmp_path / "data", raw)
    script = """
from helper_code import *
header_files, recording_files = find_challenge_files(sys.argv[1])
for header_file, recording_file in zip(header_files, recording_files):
    header = load_header(header_file)
    leads = sort_leads(get_leads(header))
    recording = load_recording(recording_file, header, leads)
    assert recording.shape == (12, 600) and recording.dtype == np.int16
    root, extension = os.path.splitext(os.path.split(header_file)[1])
    output_file = os.path.join(sys.argv[2], root + ".csv")
    save_outputs(output_file, get_recording_id(header), ["1"], [1], [float(np.mean(recording > 0))])
assert "torch" not in sys.modules
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, str(tmp_path / "data"), str(tmp_path)]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    expected = np.float32(np.mean(raw > 0))
    recording_id, classes, labels, scores = helper_code.load_outputs(tmp_path / "A0001.csv")
    assert (recording_id, classes, labels, np.float32(scores[0])) == ("A0001", ("1",), (1,), expected)


@pytest.mark.parametrize(
    ("recording_id", "database"),
    [
        ("A0001", "CPSC"), ("Q0001", "CPSC-Extra"), ("I0001", "INCART"), ("S0001", "PTB"), ("HR00001", "PTB-XL"),
        ("E00001", "G12EC"), ("JS00001", "Chapman-Ningbo"), ("X0001", "unknown"), ("A", "unknown"), ("", "unknown"),
        ("ABC1", "unknown"), ("100", "unknown"),
    ],
)  # fmt: skip
def test_tells_the_database_by_the_records_name(recording_id, database):
    assert helper_code.get_database(recording_id) == database


@pytest.mark.skipif(not (SHARED / "reference").exists(), reason="needs the Challenge's tables")
def test_scored_classes_are_those_of_the_challenges_table():
    with open(SHARED / "reference" / "dx_mapping_scored.csv", newline="") as file:
        table = {row["SNOMED CT Code"]: (row["Abbreviation"], row["Dx"]) for row in csv.DictReader(file)}
    assert table == helper_code.SCORED_CLASSES


def test_there_are_27_scored_classes_with_distinct_abbreviations():
    assert len(helper_code.SCORED_CLASSES) == len({short for short, _ in helper_code.SCORED_CLASSES.values()}) == 27
