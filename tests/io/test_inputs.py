"""What a user names as recordings: one file, several, a folder, a pattern, a list in a text file."""

import os

import numpy as np
import pytest

from ecg.io.errors import RecordingError
from ecg.io.inputs import as_recording, expand_inputs
from tiny import heart_like, write_recording


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Challenge recordings a/A1, a/A2 and a/deep/A3, a table b/T1.csv with its sidecar, and a file that is none."""
    place = tmp_path_factory.mktemp("inputs")
    for name in ("a/A1", "a/A2", "a/deep/A3"):
        write_recording((place / name).parent, name[-2:], heart_like(2, seed=1))
    (place / "b").mkdir()
    (place / "b/T1.csv").write_text("I,II\n" + "1,2\n" * 600)
    (place / "b/T1.json").write_text("{}")
    (place / "b/notes.md").write_text("not a recording\n")
    return place


@pytest.fixture
def found(place, monkeypatch):
    """From inputs, as typed in that folder, to the paths and names found."""
    monkeypatch.chdir(place)
    return lambda *given: [(os.path.relpath(each.path), each.name) for each in expand_inputs(given)]


@pytest.mark.parametrize("given", ["a/A1.hea", "a/A1.mat", "a/A1"])
def test_each_file_of_a_challenge_recording_and_its_name_stand_for_its_header(found, given):
    assert found(given) == [("a/A1.hea", "A1")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a"], ["a/A1.hea A1", "a/A2.hea A2", "a/deep/A3.hea deep/A3"]),
        (["a/A2.hea", "a/A1.hea"], ["a/A2.hea A2", "a/A1.hea A1"]),
        (["a/A1.mat", "a", "a/A1.hea"], ["a/A1.hea A1", "a/A2.hea A2", "a/deep/A3.hea deep/A3"]),
        (["a/deep", "b"], ["a/deep/A3.hea a/deep/A3", "b/T1.csv b/T1"]),
        (["a/*"], ["a/A1.hea A1", "a/A2.hea A2", "a/deep/A3.hea deep/A3"]),
        (["**/*.hea"], ["a/A1.hea A1", "a/A2.hea A2", "a/deep/A3.hea deep/A3"]),
        (["b/*"], ["b/T1.csv T1"]),
    ],
)
def test_inputs_are_expanded_in_order_each_file_once(found, given, expected):
    assert [f"{path} {name}" for path, name in found(*given)] == expected


@pytest.mark.parametrize("name", ["list.txt", "RECORDS", "some.lst"])
def test_a_list_gives_paths_relative_to_its_own_folder(found, place, name, monkeypatch):
    lines = ["# of two wards", "", "A1", f"{place}/a/A2.mat", "../b", "  deep/*.hea  "]
    (place / "a" / name).write_text("\r\n".join(lines), newline="")
    expected = [("a/A1.hea", "a/A1"), ("a/A2.hea", "a/A2"), ("b/T1.csv", "b/T1"), ("a/deep/A3.hea", "a/deep/A3")]
    try:
        assert found(f"a/{name}") == expected
    finally:
        (place / "a" / name).unlink()


def test_names_that_are_numbers_are_a_list_and_rows_of_samples_are_a_table(found, place, tmp_path):
    for name in ("100", "101"):
        write_recording(tmp_path, name, heart_like(2, seed=1))
    (tmp_path / "RECORDS").write_text("100\n101\n")
    (tmp_path / "samples.txt").write_text("0.1,0.2\n" * 600)
    assert [each.name for each in expand_inputs(tmp_path / "RECORDS")] == ["100", "101"]
    assert [each.name for each in expand_inputs(tmp_path / "samples.txt")] == ["samples"]


def test_every_wrong_input_is_named_before_anything_is_done(found, place, tmp_path):
    (tmp_path / "list.txt").write_text("# one\nnone.dcm\nlist.txt\nno*.dcm\n")
    with pytest.raises(ValueError, match="expected a recording") as raised:
        expand_inputs(["a/A1", "nowhere", tmp_path / "list.txt"])
    lines = str(raised.value).splitlines()
    assert [line.partition(": expected")[0] for line in lines] == [
        "nowhere",
        f"{tmp_path}/list.txt, line 2: {tmp_path}/none.dcm",
        f"{tmp_path}/list.txt, line 4: {tmp_path}/no*.dcm",
    ]


def test_a_long_list_of_wrong_entries_is_cut(tmp_path):
    (tmp_path / "list.txt").write_text("".join(f"none-{k}\n" for k in range(30)))
    with pytest.raises(ValueError, match=r"line 10: .*\nand 20 more$"):
        expand_inputs(tmp_path / "list.txt")


@pytest.mark.parametrize("given", [["b/empty"], ["b/empty.txt"], []])
def test_inputs_without_a_recording_are_an_error(found, place, given):
    (place / "b/empty").mkdir(exist_ok=True)
    (place / "b/empty.txt").write_text("# nothing\n")
    with pytest.raises(ValueError, match="expected recordings, found none"):
        found(*given)


def test_an_array_comes_with_its_rate_and_anything_else_without_one(place):
    array = heart_like(2, seed=1) * 1000
    recording = as_recording(array, 500, "uV")
    np.testing.assert_allclose(recording.signal, array / 1000, atol=1e-6)
    assert as_recording(recording) is recording
    for path in (place / "a/A1.hea", place / "a/A1.mat", str(place / "a/A1")):
        assert as_recording(path).path == place / "a/A1.hea"
    expected = "recording: expected an array with its sampling_frequency in Hz, or a Recording or path without one"
    for given, rate, found in (
        (array, None, "ndarray and sampling_frequency=None"),
        (recording, 500, "Recording and sampling_frequency=500"),
        (str(place / "a/A1"), 500, "str and sampling_frequency=500"),
    ):
        with pytest.raises(RecordingError) as raised:
            as_recording(given, rate)
        assert str(raised.value) == f"{expected}, found {found}"
