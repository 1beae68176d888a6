"""Anonymous recordings: the facts that stay, the facts that go, and the search for them in the written file."""

import datetime
import re

import numpy as np
import pytest

from ecg.examination.anonymous import anonymous, identifying_texts, write_checked
from ecg.io.errors import RecordingError
from ecg.io.stored import DeviceReport, Identity, Stored, make_header

SAMPLES = np.random.default_rng(1).integers(-900, 900, (3, 500)).astype(np.int16)
WHO = Identity("Muster^Eva", "PID7", datetime.date(1931, 3, 29), {"ward": "Q17-Z", "initials": "EM", "room": "12"})
WHEN = datetime.datetime(2022, 11, 20, 14, 5, 59)


def stored(name="a", identity=WHO, age=61.0, **device):
    report = DeviceReport(**{"maker": "GE", "model": "MAC55", "acquired": WHEN} | device)
    header = make_header(f"{name}.x", ("I", "Pressure", "V2"), 500, SAMPLES, [200.0, 1.0, 100.0], age=age, sex="Female")
    return Stored(header, SAMPLES, report, identity)


@pytest.mark.parametrize(
    ("age", "said"), [(0, 0), (89, 89), (90, 90), (90.5, 90), (91, 90), (120, 90), (np.nan, np.nan)]
)
def test_who_is_older_than_90_is_90(age, said):
    assert anonymous(stored(age=age)).header.age == pytest.approx(said, nan_ok=True)


def test_leads_measurements_and_the_year_stay_and_all_else_goes():
    statements = ("Sinus rhythm", "Seen by Eva", "Compare with 1999", "Atrial fibrillation, as Dr. MUSTER says")
    device = {"measurements": {"qrs_ms": 92.0}, "statements": statements}
    found = anonymous(stored(**device))
    assert found.header.leads == ("I", "V2") and found.header.adc_gains == (200.0, 100.0)
    assert np.array_equal(found.samples, SAMPLES[[0, 2]]) and found.header.notes == ()
    assert found.device.acquired == datetime.datetime(2022, 1, 1)
    assert (found.device.maker, found.device.measurements) == ("GE", {"qrs_ms": 92.0})
    assert found.device.statements == ("Sinus rhythm",)
    assert (found.identity.name, found.identity.patient_id, found.identity.others) == ("", "", {})
    assert anonymous(stored(acquired=None)).device.acquired is None


def test_texts_that_identify():
    texts = identifying_texts(stored())
    assert {"muster", "eva", "pid7", "q17-z", "1931-03-29", "19310329", "29.03.1931", "20221120", "20-nov-2022"} <= set(
        texts
    )
    assert "em" not in texts and "12" not in texts  # two letters stand everywhere


@pytest.mark.parametrize(
    ("name", "kept"), [("ecg_17", True), ("Muster_1931", False), ("pid7", False), ("mustermann", True)]
)
def test_a_name_that_identifies_becomes_one_of_the_samples(name, kept):
    found = anonymous(stored(name)).header.recording_id
    assert found == name if kept else re.fullmatch("record_[0-9a-f]{12}", found)


def test_a_model_that_holds_a_name_is_left_out():
    assert anonymous(stored(model="Eva 3")).device.model == ""


def writes(text):
    def write(folder, one):
        (folder / f"{one.header.recording_id}.txt").write_bytes(one.samples.tobytes() + text)

    return write


@pytest.mark.parametrize("text", [b"Eva", "muster".encode("utf-16-le"), b" 29.03.1931", b"x PID7 ", b"20-Nov-2022"])
def test_what_is_written_is_searched_and_not_kept(tmp_path, text):
    original = stored()
    with pytest.raises(RecordingError, match=r"found 1 of them \(nothing was kept\)") as caught:
        write_checked(tmp_path, original, anonymous(original), writes(b" " + text + b" "))
    assert list(tmp_path.iterdir()) == [] and b"Eva" not in str(caught.value).encode()


def test_what_holds_nothing_is_kept(tmp_path):
    original = stored()
    write_checked(tmp_path, original, anonymous(original), writes(b" Evaluation of 1931 "))
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("name", "where", "is_kept"),
    [("Gerold", "samples", False), ("Gerda", "samples", True), ("Gerda", "text", False), ("Bo", "text", True)],
)
def test_short_names_are_not_looked_for_among_the_samples(tmp_path, name, where, is_kept):
    original = stored(identity=Identity(name))
    real = anonymous(original)

    def write(folder, one):
        samples = one.samples.any()
        found = f" {name} ".encode() if where == "text" or samples else b""
        (folder / "a.txt").write_bytes(found)

    if is_kept:
        write_checked(tmp_path, original, real, write)
        assert (tmp_path / "a.txt").exists()
    else:
        with pytest.raises(RecordingError, match="nothing was kept"):
            write_checked(tmp_path, original, real, write)
        assert list(tmp_path.iterdir()) == []


def test_a_text_in_a_files_name_is_found(tmp_path):
    original = stored()
    with pytest.raises(RecordingError, match="found 1 of them"):
        write_checked(
            tmp_path, original, anonymous(original), lambda folder, one: (folder / "Eva.txt").write_bytes(b"")
        )
