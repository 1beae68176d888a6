"""All that can be wrong with a recording becomes a RecordingError. Run: pytest tests/test_helper_code_faults.py"""

import io
import os
import re
import struct
import zlib

import numpy as np
import pytest
import scipy.sparse
import wfdb
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

import helper_code
from ecg.io.header import LONGEST_HEADER
from format_files import asked_for_little_memory
from helper_code import LEADS, Header, RecordingError, parse_header, read_recording

RAW = np.random.default_rng(1).integers(-2000, 2000, (12, 600)).astype(np.int16)


def header_text(record_line="A0001 12 500 600", file_name="A0001.mat", format_="16+24"):
    signals = [f"{file_name} {format_} 1000/mV 16 0 0 0 0 {lead}" for lead in LEADS]
    return "\n".join([record_line, *signals, "#Age: 74\n"])


def mat_bytes(value, name="val", **options):
    file = io.BytesIO()
    savemat(file, {name: value}, **options)
    content = file.getvalue()
    # The text at the start of level 5 has the time in it, and tests should not.
    return content if options.get("format") == "4" else b"MATLAB 5.0 MAT-file".ljust(116) + content[116:]


def mat4_head(kind=30, n_rows=12, n_columns=600, is_complex=0, name=b"val\0"):
    return struct.pack("<5i", kind, n_rows, n_columns, is_complex, len(name)) + name


@pytest.fixture
def header_file(tmp_path):
    """A recording without fault, whose files the tests break."""
    (tmp_path / "A0001.hea").write_text(header_text())
    (tmp_path / "A0001.mat").write_bytes(mat_bytes(RAW, format="4"))
    return tmp_path / "A0001.hea"


def assert_refused(header_file, message):
    with pytest.raises(RecordingError, match=message) as caught:
        read_recording(header_file)
    assert "A0001" in str(caught.value)


def test_the_recording_that_gets_broken_here_is_readable(header_file):
    header, millivolts = read_recording(header_file)
    assert np.array_equal(millivolts, (RAW / 1000.0).astype(np.float32)) and header.age == 74


# ---- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".hea", ".mat"])
def test_file_that_is_missing_a_folder_or_a_pipe(header_file, suffix):
    file = header_file.with_suffix(suffix)
    file.unlink()
    assert_refused(header_file, rf"A0001\{suffix}: expected a file, found none")
    file.symlink_to(file.with_name("absent"))
    assert_refused(header_file, rf"A0001\{suffix}: expected a file, found a link to something that is not there")
    file.unlink()
    file.mkdir()
    assert_refused(header_file, rf"A0001\{suffix}: expected a file, found something else")
    file.rmdir()
    os.mkfifo(file)  # opening one for reading would wait for ever
    assert_refused(header_file, rf"A0001\{suffix}: expected a file, found something else")


@pytest.mark.parametrize("suffix", [".hea", ".mat", ".dat"])
def test_file_that_may_not_be_read(header_file, suffix, monkeypatch):
    header_file.write_text(header_text(file_name="A0001.dat" if suffix == ".dat" else "A0001.mat", format_="16"))
    header_file.with_suffix(".dat").write_bytes(RAW.T.tobytes())
    forbidden = header_file.with_suffix(suffix)

    def refusing(really_open):  # file modes do not bind root, who runs tests in containers
        def refusing_open(file, *arguments, **options):
            if str(file) == str(forbidden):
                raise PermissionError(13, "Permission denied", str(file))
            return really_open(file, *arguments, **options)

        return refusing_open

    monkeypatch.setattr("builtins.open", refusing(open))
    monkeypatch.setattr("os.open", refusing(os.open))
    assert_refused(header_file, rf"A0001\{suffix}: expected a readable file, found Permission denied")


def test_disk_that_fails_while_the_file_is_read(header_file, monkeypatch):
    def failing_fromfile(*_arguments, **_options):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(np, "fromfile", failing_fromfile)
    assert_refused(header_file, r"A0001\.mat: expected a readable file, found Input/output error")


def test_a_header_that_comes_in_pieces_is_read_whole(header_file, monkeypatch):
    """Some network file systems give less at once than is asked for."""
    header_file.write_text(header_text())
    read = os.read
    monkeypatch.setattr("os.read", lambda descriptor, n: read(descriptor, min(n, 7)))
    assert helper_code.load_header(header_file) == header_text()


def test_header_of_absurd_size(header_file):
    header_file.write_bytes(b"#" * (LONGEST_HEADER + 1))
    assert_refused(header_file, r"A0001\.hea: expected a text of at most 1048576 bytes, found more")


# ---- the MATLAB file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["4", "5"])
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (RAW[:8], "12 signals x 600 samples, found 8 x 600"),
        (RAW[:, :599], "12 signals x 600 samples, found 12 x 599"),
        (RAW[:, :599].T, "12 signals x 600 samples, found 599 x 12"),
        (RAW.reshape(24, 300), "12 signals x 600 samples, found 24 x 300"),
        (RAW.reshape(-1), "12 signals x 600 samples, found 1 x 7200"),
        (RAW * 1j, "real numbers, found (a )?complex"),
        ("text", "real numbers, found (text|a complex, text or sparse one)"),
    ],
)
def test_matrix_of_another_size_or_kind(header_file, format_, value, found):
    header_file.with_suffix(".mat").write_bytes(mat_bytes(value, format=format_))
    assert_refused(header_file, rf"A0001\.mat: expected .*{found}")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (np.array([[1, "a"]], dtype=object), "cells"),
        ({"a": 1}, "a struct"),
        (scipy.sparse.eye_array(12, 600), "a sparse one"),
        (np.ones((12, 600), dtype=bool), "complex or logical ones"),
        (np.zeros((12, 600, 1, 2)), r"shape \(12, 600, 1, 2\)"),
        (np.zeros((12, 0)), r"shape \(12, 0\)"),
    ],
)
def test_level_5_variable_that_is_no_matrix_of_numbers(header_file, value, found):
    header_file.with_suffix(".mat").write_bytes(mat_bytes(value))
    assert_refused(header_file, rf"A0001\.mat: expected a matrix .*found {found}")


@pytest.mark.parametrize("format_", ["4", "5"])
def test_file_without_the_variable(header_file, format_):
    header_file.with_suffix(".mat").write_bytes(mat_bytes(RAW, "signal", format=format_))
    assert_refused(header_file, r"A0001\.mat: expected a.* matrix 'val'.*, found none")


@pytest.mark.parametrize("n_bytes", [0, 1, 3])
def test_file_that_is_empty_or_almost(header_file, n_bytes):
    header_file.with_suffix(".mat").write_bytes(b"\x1e\0\0"[:n_bytes])
    assert_refused(header_file, rf"A0001\.mat: expected a MATLAB file, found {n_bytes} bytes")


@pytest.mark.parametrize("options", [{"format": "4"}, {"format": "5"}, {"format": "5", "do_compression": True}])
@pytest.mark.parametrize("kept", [0.001, 0.01, 0.5, 0.999])
def test_file_that_is_cut_short(header_file, options, kept):
    whole = mat_bytes(RAW, **options)
    header_file.with_suffix(".mat").write_bytes(whole[: int(len(whole) * kept)])
    assert_refused(header_file, r"A0001\.mat: expected")


def test_hdf5_file_of_matlab_7_3(header_file):
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\0\2IM"
    header_file.with_suffix(".mat").write_bytes(head + b"\x89HDF\r\n\x1a\n" + bytes(500))
    assert_refused(header_file, r"A0001\.mat: expected a MATLAB file of level 4 to 7.2, found 'MATLAB 7.3 MAT-file,'")


@pytest.mark.parametrize("format_", ["4", "5"])
def test_huge_matrix_is_refused_unread(header_file, format_, monkeypatch):
    """A small file can say that it holds gigabytes: a bomb of zeros that compression makes small, or a plain lie."""
    if format_ == "5":
        content = mat_bytes(np.zeros((12, 10**6), np.int16), do_compression=True)
        assert len(content) < 10**5
        found = "12 signals x 600 samples, found 12 x 1000000"
    else:
        content = mat4_head(n_columns=2**31 - 1)
        found = "51539607528 bytes for 12 x 2147483647 samples, found 0"
    header_file.with_suffix(".mat").write_bytes(content)
    for load in ("fromfile", "frombuffer"):
        monkeypatch.setattr(np, load, lambda *_, **__: pytest.fail("loaded before it was checked"))
    assert_refused(header_file, rf"A0001\.mat: expected {found}")


@pytest.mark.parametrize("do_compression", [False, True])
def test_no_room_is_made_for_bytes_that_are_not_there(header_file, do_compression):
    content = bytearray(mat_bytes(RAW, do_compression=do_compression))
    if do_compression:
        struct.pack_into("<I", content, 132, 2**32 - 8)
    else:
        struct.pack_into("<i", content, content.index(struct.pack("<2i", 12, 600)) + 4, 10**8)
        struct.pack_into("<I", content, content.index(b"val") + 8, 24 * 10**8)
    header_file.with_suffix(".mat").write_bytes(content)
    header_file.write_text(header_text("A0001 12 500"))
    with asked_for_little_memory():
        if do_compression:  # all that it needs is there
            assert read_recording(header_file)[1].shape == (12, 600)
        else:
            assert_refused(header_file, r"A0001\.mat: expected 2400000000 bytes of data")


def test_compressed_data_that_is_longer_than_the_matrix_is_not_inflated(header_file):
    """The size of the matrix may be the expected one while what is packed inside says it has two gigabytes."""
    plain = mat_bytes(RAW)[128:]
    position = plain.index(struct.pack("<2I", 3, RAW.nbytes))
    lie = plain[: position + 4] + struct.pack("<I", 2**31) + bytes(10**6)
    packed = zlib.compress(lie)
    head = mat_bytes(RAW)[:128] + struct.pack("<2I", 15, len(packed))
    header_file.with_suffix(".mat").write_bytes(head + packed)
    assert_refused(header_file, r"A0001\.mat: expected 2147483648 bytes of data \(and at most 57600\), found 0")


def test_negative_sizes_in_a_level_5_file(header_file):
    content = mat_bytes(RAW)
    assert content.count(struct.pack("<2i", *RAW.shape)) == 1
    for sizes in ((-12, 600), (12, -600), (-12, -600)):
        damaged = content.replace(struct.pack("<2i", *RAW.shape), struct.pack("<2i", *sizes))
        header_file.with_suffix(".mat").write_bytes(damaged)
        assert_refused(header_file, r"A0001\.mat: expected a matrix of signals x samples, found shape \(-?12, -?600\)")
        with pytest.raises(RecordingError, match="expected a matrix of signals x samples"):
            helper_code.load_recording(header_file.with_suffix(".mat"))


@pytest.mark.parametrize(
    "head",
    [
        mat4_head(n_rows=-12),  # scipy's reader would go back in the file, for ever
        mat4_head(n_columns=-600),
        mat4_head(name=b""),
        mat4_head(kind=60),
        mat4_head(kind=130),
        mat4_head(kind=33),
        mat4_head(kind=2030),
        struct.pack("<5i", 30, 12, 600, 0, -4) + b"val\0",
        struct.pack("<5i", 30, 12, 600, 0, 2**31 - 1) + b"val\0",
        struct.pack("<5i", 30, -1, 1, 0, 6) + b"other\0",
    ],
)
def test_level_4_file_with_nonsense_in_its_head(header_file, head):
    header_file.with_suffix(".mat").write_bytes(head + RAW.tobytes(order="F") * 2)
    assert_refused(header_file, r"A0001\.mat: expected a MATLAB file with a matrix 'val', found none")


def test_second_variable_of_the_same_name_is_not_loaded(header_file):
    """The first one is checked, so the first one must be the one that is loaded."""
    other = mat_bytes(np.zeros((12, 999), np.int16))[128:]
    for options, tail in (({"format": "5"}, other), ({"format": "4"}, mat4_head(n_columns=1) + bytes(24))):
        header_file.with_suffix(".mat").write_bytes(mat_bytes(RAW, **options) + tail)
        assert read_recording(header_file)[1].shape == (12, 600)


def test_recording_of_less_than_a_second(header_file):
    header_file.write_text(header_text("A0001 12 500 499"))
    header_file.with_suffix(".mat").write_bytes(mat_bytes(RAW[:, :499], format="4"))
    assert_refused(header_file, r"A0001\.mat: expected at least 1 s \(500 samples\), found 499 samples")
    header_file.write_text(header_text("A0001 12 500 500"))
    header_file.with_suffix(".mat").write_bytes(mat_bytes(RAW[:, :500], format="4"))
    assert read_recording(header_file)[1].shape == (12, 500)


# ---- the WFDB file ---------------------------------------------------------------------------------------------------


@pytest.fixture
def dat_header_file(tmp_path):
    (tmp_path / "A0001.hea").write_text(header_text(file_name="A0001.dat", format_="16"))
    RAW.T.astype("<i2").tofile(tmp_path / "A0001.dat")
    return tmp_path / "A0001.hea"


@pytest.mark.parametrize("n_samples", [599, 601, 6000])
def test_wfdb_file_with_another_number_of_samples(dat_header_file, n_samples):
    dat_header_file.write_text(header_text(f"A0001 12 500 {n_samples}", "A0001.dat", "16"))
    assert_refused(dat_header_file, rf"A0001\.dat: expected {n_samples} samples as in the header, found 600")


@pytest.mark.parametrize(
    ("format_", "found"),
    [
        ("999", "KeyError"),
        ("516", "expected samples in WFDB format 516"),  # FLAC
        ("16x5", "expected 3000 samples as in the header, found 600"),
        ("16+99999", "expected samples in WFDB format|expected 600 samples"),
        ("212", "expected 600 samples as in the header, found 800"),
    ],
)
def test_wfdb_file_that_is_not_in_the_format_it_should_have(dat_header_file, format_, found):
    dat_header_file.write_text(header_text(file_name="A0001.dat", format_=format_))
    assert_refused(dat_header_file, rf"A0001\.dat: .*({found})")


def test_wfdb_file_that_is_empty_a_folder_or_missing(dat_header_file):
    file = dat_header_file.with_suffix(".dat")
    file.write_bytes(b"")
    assert_refused(dat_header_file, r"A0001\.dat: expected samples, found an empty file")
    file.unlink()
    assert_refused(dat_header_file, r"A0001\.dat: expected a file, found none")
    file.mkdir()
    assert_refused(dat_header_file, r"A0001\.dat: expected a file, found something else")


def test_one_of_two_wfdb_files_is_missing(dat_header_file):
    lines = header_text(file_name="A0001.dat", format_="16").splitlines()
    lines[12] = lines[12].replace("A0001.dat", "A0001x.dat")
    dat_header_file.write_text("\n".join(lines))
    assert_refused(dat_header_file, r"A0001x\.dat: expected a file, found none")


def test_wfdb_file_that_is_cut_short(dat_header_file):
    file = dat_header_file.with_suffix(".dat")
    whole = file.read_bytes()
    for n_bytes in (1, 23, 24, len(whole) - 1, len(whole) - 24):
        file.write_bytes(whole[:n_bytes])
        assert_refused(dat_header_file, r"A0001\.dat: expected")


# ---- any bytes -------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    ["A0001", " ", "\n", "\r", "12", "500", "/", "#", "Age:", "Dx:", "\u017fex: F", "1000/mV", "(0)", "16+24", "x.mat",
     "I", "\0", "\x85", "-1", "nan", "1e999", "9" * 5000, "#Sex:", "\ud800", "\u0661", "."]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES, max_size=60).map("".join)))
@example("A 1 500\nx 16 1000/mV I\n#\u017fex: F")
@example("A 1 " + "9" * 5000 + "\nx 16 1000/mV I\n")
@example("A 1 500\nx 16 1000/mV " + "9" * 5000 + " I\n#Age: " + "9" * 5000)
def test_any_text_is_a_header_or_a_recording_error(text):
    try:
        header = parse_header(text)
    except RecordingError as error:
        assert str(error).startswith("header: expected ") and ", found " in str(error)
    else:
        assert isinstance(header, Header) and len(header.leads) == len(header.adc_gains) > 0


@given(st.lists(st.tuples(st.integers(0, 700), PIECES), min_size=1, max_size=4))
def test_any_damage_to_a_header_leaves_a_header_or_a_recording_error(damage):
    text = header_text()
    for position, piece in damage:
        text = text[:position] + piece + text[position + 2 :]
    try:
        header = parse_header(text)
    except RecordingError:
        return
    assert isinstance(header, Header) and len(header.leads) == len(header.formats) > 0


@given(st.binary(max_size=300))
def test_any_bytes_as_header_file_are_a_header_or_a_recording_error(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("bytes") / "A0001.hea"
    file.write_bytes(data)
    try:
        assert helper_code.read_header(file).leads
    except RecordingError as error:
        assert str(error).startswith(str(file))


SOUND = [mat_bytes(RAW[:, :60], **options) for options in ({"format": "4"}, {}, {"do_compression": True})]
SHORT_HEADER = header_text("A0001 12 50 60")


def read_bytes(folder, suffix, data):
    """What a recording of 1 s at 50 Hz with these bytes as signal file gives: an array or a RecordingError."""
    (folder / "A0001.hea").write_text(SHORT_HEADER.replace("x.mat", f"x{suffix}"))
    (folder / f"A0001{suffix}").write_bytes(data)
    try:
        millivolts = read_recording(folder / "A0001.hea")[1]
    except RecordingError as error:
        assert re.search(r"A0001\S*: expected .*, found ", str(error), re.DOTALL)
    else:
        assert millivolts.shape == (12, 60) and millivolts.dtype == np.float32


@given(st.binary(max_size=400))
@example(b"\0" * 400)
@example(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"\x0f\0\0\0\xff\xff\xff\xff")
@settings(max_examples=200)
def test_any_bytes_as_matlab_file_are_an_array_or_a_recording_error(tmp_path_factory, data):
    read_bytes(tmp_path_factory.getbasetemp(), ".mat", data)


@given(
    st.sampled_from(SOUND),
    st.lists(st.tuples(st.integers(0, 260) | st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6),
)
@settings(max_examples=400)
def test_any_damage_to_a_matlab_file_leaves_an_array_or_a_recording_error(tmp_path_factory, sound, damage):
    data = bytearray(sound)
    for position, value in damage:
        data[position % len(data)] = value
    read_bytes(tmp_path_factory.getbasetemp(), ".mat", bytes(data))


@given(st.binary(min_size=1, max_size=2000))
@settings(max_examples=30)
def test_any_bytes_as_wfdb_file_are_an_array_or_a_recording_error(tmp_path_factory, data):
    read_bytes(tmp_path_factory.mktemp("dat"), ".dat", data)


def test_wfdb_raises_what_is_caught_from_it(dat_header_file, monkeypatch):
    """The list of what wfdb may raise must hold what it does raise when its own reading fails."""
    for error in (ValueError("x"), KeyError("x"), IndexError("x"), TypeError("x"), MemoryError(), ZeroDivisionError()):

        def failing(*_arguments, _error=error, **_options):
            raise _error

        monkeypatch.setattr(wfdb, "rdrecord", failing)
        assert_refused(dat_header_file, rf"A0001\.dat: expected samples .* format 16, found {type(error).__name__}")
