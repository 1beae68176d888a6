"""Files written whole or not at all, and read with errors that name them."""

import os
import time

import pytest

from ecg.io import files
from ecg.io.errors import RecordingError
from ecg.io.files import (
    is_same_file,
    open_file,
    read_file,
    read_rows,
    read_text,
    remove_leftovers,
    whole_file,
    write_file,
)


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


def unusual(folder):
    """Paths that lead to no file, each with what is said of it."""
    (folder / "file").write_text("12345")
    (folder / "folder").mkdir()
    (folder / "link").symlink_to("nowhere")
    (folder / "round").symlink_to("round")
    os.mkfifo(folder / "pipe")
    nothing = "expected a file, found none"
    return {
        "absent": nothing,
        "file/below": nothing,
        "absent/below": nothing,
        "folder": "expected a file, found something else",
        "pipe": "expected a file, found something else",
        "link": "expected a file, found a link to something that is not there",
        "round": "expected a file, found a link to something that is not there",
    }


def test_what_is_no_file_is_named_by_what_it_is(tmp_path):
    for name, message in unusual(tmp_path).items():
        with pytest.raises(RecordingError) as caught:
            read_file(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {message}"
        with pytest.raises(RecordingError) as caught, open_file(tmp_path / name):
            pass
        assert str(caught.value) == f"{tmp_path / name}: {message}"


def test_a_file_may_have_as_many_bytes_as_is_said_and_no_more(tmp_path):
    unusual(tmp_path)
    path = tmp_path / "file"
    assert read_file(path, 5, "five bytes") == b"12345"
    assert read_file(path, 4) == b"1234"
    with pytest.raises(RecordingError) as caught:
        read_file(path, 4, "four bytes")
    assert str(caught.value) == f"{path}: expected four bytes, found more"
    assert read_text(path, 5) == "12345"
    with pytest.raises(RecordingError) as caught:
        read_text(path, 4)
    assert str(caught.value) == f"{path}: expected a text of at most 4 bytes, found more"


def test_headings_of_a_table_may_have_spaces_around_them(tmp_path):
    (tmp_path / "a.csv").write_text("\ufeff one , two\n 1 ,2\n3\n", encoding="utf-8")
    assert read_rows(tmp_path / "a.csv", 99) == (
        ["one", "two"],
        [{"one": " 1 ", "two": "2"}, {"one": "3", "two": None}],
    )
