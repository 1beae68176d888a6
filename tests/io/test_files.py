"""Files written whole or not at all, and read with errors that name them."""

import os
import time

import pytest

from ecg.io import files
from ecg.io.errors import RecordingError
from ecg.io.files import is_same_file, read_file, read_text, remove_leftovers, whole_file, write_file


def test_a_file_is_replaced_in_one_step(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    write_file(path, "old")
    before = path.stat().st_ino
    steps = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(files.os, name, lambda *given, name=name, real=real: steps.append(name) or real(*given))
    with whole_file(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
        assert len(list(tmp_path.iterdir())) == 2
    assert steps == ["fsync", "replace"]
    assert path.read_text() == "new" and path.stat().st_ino != before
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.csv"
    write_file(path, b"old")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"ne", "w"])
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_is_written(tmp_path):
    before = os.umask(0o022)
    try:
        write_file(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path):
    with pytest.raises(OSError, match="can't be written") as caught:
        write_file(tmp_path / "nowhere" / "a.csv", "x")
    assert caught.value.filename == str(tmp_path / "nowhere" / "a.csv")


def test_leftovers_of_the_last_minute_may_live(tmp_path):
    old, young, other = (tmp_path / name for name in (f".{'a' * 32}.part", f".{'b' * 32}.part", ".mine.part"))
    for file in (old, young, other):
        file.touch()
    for file in (old, other):
        os.utime(file, (time.time() - 61,) * 2)
    os.utime(young, (time.time() - 50,) * 2)
    remove_leftovers(tmp_path)
    assert set(tmp_path.iterdir()) == {young, other}


def test_no_more_is_read_than_is_asked_for(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert [read_file(tmp_path / "a", most) for most in (0, 3, 5, 9)] == [b"", b"123", b"12345", b"12345"]
    assert read_text(tmp_path / "a", 5) == "12345"
    with pytest.raises(RecordingError, match="a text of at most 4 bytes, found more"):
        read_text(tmp_path / "a", 4)


def test_text_is_utf_8_or_else_latin_1(tmp_path):
    for data, text in ((b"\xef\xbb\xbfGr\xc3\xb6\xc3\x9fe", "Größe"), (b"Gr\xf6\xdfe", "Größe")):
        (tmp_path / "a").write_bytes(data)
        assert read_text(tmp_path / "a", 99) == text


def test_whether_two_paths_lead_to_one_file(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").touch()
    assert is_same_file(tmp_path / "a", tmp_path / "b")
    assert not is_same_file(tmp_path / "a", tmp_path / "c") and not is_same_file(tmp_path / "a", tmp_path / "d")
