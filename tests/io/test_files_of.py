"""All files of a recording are known, also where a header names them with a folder or in capitals."""

import os

import pytest

from ecg.io.sources import files_of
from tiny import heart_like, write_recording


@pytest.mark.parametrize("named", ["records500/X1.mat", "records500\\X1.mat", "X1.mat", "other/deep/X1.mat"])
def test_a_signal_file_is_part_of_the_recording_however_the_header_names_it(tmp_path, named):
    header = write_recording(tmp_path, "X1", heart_like(2, seed=1))
    header.write_text(header.read_text().replace("X1.mat", named))
    before = files_of(header)
    assert tmp_path / "X1.mat" in before.files
    (tmp_path / "X1.mat").write_bytes((tmp_path / "X1.mat").read_bytes() + b"\0")
    assert files_of(header).stamp != before.stamp


def test_a_stamp_tells_files_of_one_size_and_one_second_apart(tmp_path):
    path, other = tmp_path / "a.edf", tmp_path / "b.edf"
    moment = 1_700_000_000_000_000_000
    for each in (path, other):
        each.write_bytes(b"0")
        os.utime(each, ns=(moment, moment))
    before = files_of(path).stamp
    os.utime(path, ns=(moment, moment + 1000))
    later = files_of(path).stamp
    os.utime(path, ns=(moment, moment))
    back = files_of(path).stamp
    other.replace(path)
    assert len({before, later, back, files_of(path).stamp}) == 4  # what was written back may be another content


def test_capitals_of_the_suffixes_change_nothing(tmp_path):
    header = write_recording(tmp_path, "X1", heart_like(2, seed=1))
    header.write_text(header.read_text().replace("X1.mat", "X1.MAT"))
    capital = header.rename(tmp_path / "X1.HEA")
    (tmp_path / "X1.mat").rename(tmp_path / "X1.MAT")
    before = files_of(capital)
    (tmp_path / "X1.MAT").write_bytes(b"")
    assert files_of(capital).stamp != before.stamp


def test_a_header_that_can_not_be_read_has_files_all_the_same(tmp_path):
    (tmp_path / "bad.hea").write_text("bad 12 0 ../../\n" * 3)
    assert tmp_path / "bad.hea" in files_of(tmp_path / "bad.hea").files
