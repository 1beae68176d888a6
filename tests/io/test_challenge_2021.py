"""The helper functions of the 2021 Challenge that open files."""

import struct
import zlib

import numpy as np
import pytest

from ecg.io import challenge_2021
from ecg.io.errors import RecordingError
from header_files import header_text, random_signals, write_recording


def test_a_recording_is_the_whole_matrix_or_the_leads_that_are_asked_for_and_may_be_changed(tmp_path):
    raw = random_signals()
    header_file = write_recording(tmp_path, raw)
    raw.T.tofile(tmp_path / "A0001.dat")
    text = header_file.read_text()
    for name in ("A0001.mat", "A0001.dat"):
        for header in (None, text):
            recording = challenge_2021.load_recording(tmp_path / name, header)
            np.testing.assert_array_equal(recording, raw)
            recording[:] = 0
        some = challenge_2021.load_recording(tmp_path / name, text, ["V6", "X", "I"])
        np.testing.assert_array_equal(some, [raw[11], np.zeros(600), raw[0]])
        some[:] = 0
    assert challenge_2021.lead_sets[-1] == challenge_2021.two_leads == ("I", "II")
    assert [len(leads) for leads in challenge_2021.lead_sets] == [12, 6, 4, 3, 2]


def test_a_recording_that_is_not_as_the_header_says_is_refused(tmp_path):
    write_recording(tmp_path, random_signals())
    with pytest.raises(RecordingError, match="expected 12 signals x 5000 samples, found 12 x 600"):
        challenge_2021.load_recording(tmp_path / "A0001.mat", header_text())


def level_4(values, digits, name=b"val\0", is_complex=0, rows=None):
    """A matrix of level 4; the first of the four digits says the order of bytes, the third the type."""
    order, kind = "<>"[int(digits[0])], ("f8", "f4", "i4", "i2", "u2", "u1")[int(digits[2])]
    shape = values.shape if rows is None else (rows, values.shape[1])
    head = struct.pack(f"{order}5i", int(digits), *shape, is_complex, len(name))
    return head + name + values.astype(order + kind).tobytes("F")


def element(order, kind, data):
    return struct.pack(f"{order}2I", kind, len(data)) + data + bytes(-len(data) % 8)


def level_5(values, order="<", stored="i2", name=b"val", marks=10, is_packed=False, kind=None):
    """A matrix of level 5, whose numbers are stored in any type."""
    numbers = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 9, "i8": 12, "u8": 13}
    parts = [(6, struct.pack(f"{order}2I", marks, 0)), (5, struct.pack(f"{order}2i", *values.shape)), (1, name)]
    parts.append((kind or numbers[stored], values.astype(order + stored).tobytes("F")))
    matrix = element(order, 14, b"".join(element(order, *part) for part in parts))
    packed = zlib.compress(matrix)
    matrix = struct.pack(f"{order}2I", 15, len(packed)) + packed if is_packed else matrix
    return b"MATLAB 5.0".ljust(124) + (b"\0\1IM" if order == "<" else b"\1\0MI") + matrix


SMALL = np.arange(1, 25).reshape(4, 6)


def load(folder, data):
    (folder / "a.mat").write_bytes(data)
    return challenge_2021.load_recording(folder / "a.mat")


@pytest.mark.parametrize("kind", range(6))
@pytest.mark.parametrize("order", "01")
def test_matrices_of_level_4_in_every_type_and_order(tmp_path, order, kind):
    before = level_4(SMALL + 1, f"{order}000", name=b"other\0")
    found = load(tmp_path, before + level_4(SMALL, f"{order}0{kind}0"))
    assert np.array_equal(found, SMALL) and found.dtype == ("f8", "f4", "i4", "i2", "u2", "u1")[kind]


@pytest.mark.parametrize("stored", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("is_packed", [False, True])
def test_matrices_of_level_5_in_every_type_and_order(tmp_path, order, stored, is_packed):
    other = level_5(SMALL + 1, order, "u2", name=b"others", is_packed=not is_packed)
    found = load(tmp_path, other + level_5(SMALL, order, stored, is_packed=is_packed)[128:])
    assert np.array_equal(found, SMALL) and found.dtype == stored


NO_REAL_NUMBERS = {1: "cells", 2: "a struct", 3: "an object", 4: "text", 5: "a sparse one",
                   10 | 0x800: "complex or logical ones", 9 | 0x200: "complex or logical ones"}  # fmt: skip
REAL = "a matrix 'val' of real numbers, found "
MATRICES = {
    **{REAL + said: level_5(SMALL, marks=marks) for marks, said in NO_REAL_NUMBERS.items()},
    REAL + "a complex, text or sparse one": level_4(SMALL, "0001"),
    "384 bytes for 4 x 6 samples, found 192": level_4(SMALL, "0000", is_complex=1),
    "144 bytes for 12 x 6 samples, found 48": level_4(SMALL, "0030", rows=12),
    "a MATLAB file with a matrix 'val', found none": level_5(SMALL, name=b"ecg"),
    "4 x 6 samples, found 24 bytes of type 3": level_5(SMALL, stored="i1", kind=3),
    "4 x 6 samples, found 48 bytes of type 8": level_5(SMALL, kind=8),
    "a matrix of signals x samples, found shape (0, 6)": level_4(SMALL[:0], "0000"),
    "192 bytes of data (and at most 192), found 100": level_5(SMALL, stored="f8")[: 128 + 8 + 16 + 16 + 16 + 8 + 100],
}


@pytest.mark.parametrize("message", MATRICES)
def test_what_is_wrong_with_a_matrix_is_said(tmp_path, message):
    with pytest.raises(RecordingError) as caught:
        load(tmp_path, MATRICES[message])
    assert str(caught.value).endswith(f"a.mat: expected {message}")


def test_damage_in_compressed_data_is_told_in_the_words_of_zlib(tmp_path):
    with pytest.raises(zlib.error) as given:
        zlib.decompressobj().decompress(b"no stream", 8)
    with pytest.raises(RecordingError) as caught:
        load(tmp_path, level_5(SMALL)[:128] + struct.pack("<2I", 15, 9) + b"no stream")
    assert str(caught.value).endswith(f"a.mat: expected compressed data, found damage ({given.value})")
