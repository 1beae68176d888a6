"""What comes back of what `import ecg` writes, simulates and hands on."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import ecg
from ecg import interface
from ecg.inference import interpret_recordings
from ecg.io.stored import DeviceReport
from ecg.simulator.simulate import simulate_recording

PEOPLE = [(61.0, "Male"), (np.nan, "Unknown"), (0.5, "Female"), (95.0, "Female")]
REPORT = DeviceReport("GE", "MAC55", None, {"qrs_ms": 92.0}, ("Sinus rhythm", "Atrial fibrillation"))


def recording(gaps=True, **changes):
    signal = ecg.simulate("AF", seed=7, sampling_frequency=250, seconds=4).signal.copy()
    if gaps:
        signal[7] = np.nan
        signal[3, 100:120] = np.nan
    given = {"labels": ("164889003", "426783006"), "notes": ("a note",), "device": REPORT, "format": "DICOM"}
    return ecg.Recording(signal, 250.0, "given", **{**given, **changes})


@pytest.mark.parametrize("suffix", [".hea", ".csv", ".dcm", ".edf"])
def test_what_is_written_comes_back(tmp_path, suffix):
    people = {".edf": PEOPLE[1:2], ".dcm": PEOPLE[:2], ".csv": PEOPLE[1:3]}.get(suffix, PEOPLE)
    for age, sex in people:  # an EDF file says nothing of a person
        given = recording(gaps=suffix != ".edf", age=age, sex=sex)
        path = ecg.write(given, tmp_path / "new" / f"copy{suffix}")
        found = ecg.read(path)
        np.testing.assert_allclose(found.signal, given.signal, atol=1e-4 if suffix == ".edf" else 1e-6)
        assert (found.name, found.sampling_frequency, found.sex) == ("copy", 250.0, sex)
        assert found.age == pytest.approx(age, nan_ok=True)
        assert found.labels == (given.labels if suffix == ".hea" else ())
        if suffix in (".hea", ".csv"):
            by_statements = ecg.read(path, labels="common")
            assert by_statements.labels == (given.labels if suffix == ".hea" else ())


def test_the_header_says_what_the_device_said(tmp_path):
    path = ecg.write(recording(age=61.0, sex="Male"), tmp_path / "a.hea")
    lines = path.read_text().splitlines()
    assert lines[0] == "a 11 250 1000"
    assert [line.split()[-1] for line in lines[1:12]] == [lead for lead in ecg.leads.LEADS if lead != "V2"]
    assert lines[12:] == [
        *("#Age: 61", "#Sex: Male", "#Dx: 164889003,426783006", "#Rx: Unknown", "#Hx: Unknown", "#Sx: Unknown"),
        *("#Source: DICOM", "#Device: GE MAC55", "#Measurement: qrs_ms 92", "#Statement: Sinus rhythm"),
        *("#Statement: Atrial fibrillation", "#Note: a note"),
    ]


@pytest.mark.parametrize(("suffix", "shown"), [(".mat", ".mat"), ("", "none"), (".HEA", ".HEA")])
def test_another_suffix_is_refused_and_nothing_made(tmp_path, suffix, shown):
    path = tmp_path / "new" / f"a{suffix}"
    with pytest.raises(ecg.RecordingError) as found:
        ecg.write(recording(), path)
    assert str(found.value) == f"{path}: expected one of the suffixes .hea, .dcm, .edf, .csv, found {shown}"
    assert not path.parent.exists()


@pytest.mark.parametrize("diagnosis", ["AF", "164889003", None])
def test_what_is_simulated_is_what_the_simulator_makes(diagnosis):
    found = ecg.simulate(diagnosis, seed=5, sampling_frequency=300, seconds=3)
    made = simulate_recording(5, 1, diagnosis, 300, 3)
    np.testing.assert_array_equal(found.signal, made.signal.astype(np.float32))
    assert (found.name, found.format) == (f"{diagnosis or 'simulated'}-5", "simulated")
    assert (found.sampling_frequency, found.age, found.sex, found.labels) == (300, made.age, made.sex, made.labels)
    assert {ecg.simulate("SB", seed=seed, seconds=1).sex for seed in range(4)} == {"Female", "Male"}


def test_ten_seconds_at_500_hz_are_simulated_where_nothing_is_said():
    found = ecg.simulate("SB")
    assert (found.name, found.signal.shape, found.sampling_frequency) == ("SB-1", (12, 5000), 500)


def test_a_folder_is_read_in_order_with_its_errors_and_labels_by_statements(tmp_path):
    for name in ("b/2", "a/1", "c/3"):
        ecg.write(recording(age=70.0), tmp_path / f"{name}.csv")
    (tmp_path / "b" / "2.csv").write_text("nothing")
    found = list(ecg.read_all(tmp_path, errors="return"))
    assert [type(each).__name__ for each in found] == ["Recording", "RecordingError", "Recording"]
    assert [found[0].name, found[2].name] == ["1", "3"]
    several = ecg.read_all([tmp_path / "c", tmp_path / "a"], labels="common")
    assert [each.name for each in several] == ["3", "1"]
    with pytest.raises(ecg.RecordingError, match="2"):
        list(ecg.read_all(tmp_path))


def test_labels_are_taken_from_the_table_that_is_given(tmp_path, monkeypatch):
    path, own, asked = ecg.write(recording(), tmp_path / "a.hea"), tmp_path / "own.csv", []
    own.write_text("statement,code\nStolperherz,426177001\nSinus rhythm,\n")
    monkeypatch.setattr(interface.formats, "read", lambda path, statements: asked.append(statements))
    for labels in (own, "common", None):
        ecg.read(path, labels=labels)
        list(ecg.read_all(tmp_path / "a.hea", labels=labels))
    for mine, common, none in (asked[::2], asked[1::2]):
        assert mine.codes_of("Stolperherz") == ("426177001",) and mine.codes_of("Sinus rhythm") == ()
        assert common.codes_of("Stolperherz") is None and common.codes_of("Sinus rhythm") == ("426783006",)
        assert none is None


def test_statements_are_made_with_the_models_and_definitions_that_are_given(monkeypatch):
    asked = []
    monkeypatch.setattr(interpret_recordings, "interpret_recording", lambda *given: asked.append(given[1:]))
    monkeypatch.setattr(interface, "_shipped", lambda: ["shipped"])
    given = recording()
    ecg.interpret(given)
    ecg.interpret(given, models=(), definitions="ptb-xl")
    ecg.interpret(given.signal, 250, models=["mine"])
    assert asked == [(["shipped"], "clinical"), ((), "ptb-xl"), (["mine"], "clinical")]


def test_a_comparison_is_of_the_earlier_with_the_later_and_needs_both_measured():
    slow, fast = (ecg.interpret(ecg.simulate(rhythm, seed=3), models=()) for rhythm in ("SB", "STach"))
    assert ecg.compare(slow, fast).changes[0].difference == pytest.approx(
        fast.measured.heart_rate_bpm - slow.measured.heart_rate_bpm
    )
    unmeasured = replace(slow, measured=None)
    for pair in ((unmeasured, fast), (slow, unmeasured)):
        with pytest.raises(
            ValueError, match="compare: expected two interpretations with measurements, found one without"
        ):
            ecg.compare(*pair)


def test_arrays_are_measured_in_their_unit_and_at_their_rate():
    given = recording(gaps=False)
    first = ecg.measure(given)
    for measured in (ecg.measure(given.signal, 250), ecg.measure(1000 * given.signal, 250, unit="uV")):
        assert measured.heart_rate_bpm == pytest.approx(first.heart_rate_bpm)
        np.testing.assert_allclose(measured.amplitudes.r, first.amplitudes.r, atol=1e-3)
    assert ecg.measure(given.signal, 125).heart_rate_bpm == pytest.approx(first.heart_rate_bpm / 2, rel=0.05)


def test_the_shipped_models_are_those_that_are_there(monkeypatch, tmp_path):
    from ecg import resources

    monkeypatch.setattr(resources, "_CHECKOUT", tmp_path)
    assert resources.shipped_models() == []
    for folder in ("model", "model/statements"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").touch()
    assert resources.shipped_models() == [tmp_path / "model", tmp_path / "model" / "statements"]
    loaded = []
    monkeypatch.setattr(
        "ecg.inference.classifier.load_model", lambda folder: loaded.append(folder) or SimpleNamespace()
    )
    monkeypatch.setattr(interface, "shipped_models", resources.shipped_models)
    assert len(interface._shipped.__wrapped__()) == 2 and loaded == resources.shipped_models()
