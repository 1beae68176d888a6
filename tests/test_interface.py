"""`import ecg`: quick to import, checked arguments, examples that run, and a page about it that is current."""

import doctest
import os
import subprocess
import sys

import numpy as np
import pytest

import ecg
from api_page import api_page
from commands import ROOT

NAMES = [name for name in ecg.__all__ if name != "__version__"]


def test_importing_it_loads_neither_torch_nor_numpy():
    code = "import sys, ecg; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "scipy", "click"} & set(done.stdout.split())


def test_measuring_loads_no_torch():
    code = "import sys, ecg; ecg.measure(ecg.simulate('SB', seed=1)); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "ecg.measurements.measure" in done.stdout and "torch" not in done.stdout.split()


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_examples_that_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    thing = getattr(ecg, name)
    # Not of its attributes: methods of classes are looked at with these.
    finder = doctest.DocTestFinder(recurse=False)
    [test] = finder.find(thing, name, globs={})
    assert test.examples, name
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test).failed == 0


def test_the_page_is_made_from_the_docstrings():
    assert (ROOT / "docs" / "api.md").read_text() == api_page()


def test_a_recording_an_array_and_a_path_are_measured_alike(tmp_path):
    recording = ecg.simulate("SB", seed=3)
    path = ecg.write(recording, tmp_path / "new" / "a.hea")
    by_path, by_array = ecg.measure(path), ecg.measure(recording.signal.tolist(), 500)
    for measured in (by_path, by_array, ecg.measure(os.fspath(path.with_suffix(".mat")))):
        assert measured.qrs_ms == pytest.approx(ecg.measure(recording).qrs_ms, abs=0.5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((np.zeros((12, 5000)),), "an array with its sampling_frequency in Hz"),
        ((ecg.simulate(seed=1), 500), "Recording or path without one, found Recording and sampling_frequency=500"),
        ((np.ones((5000, 12)), 500), r"pass signal\.T"),
        ((np.full((12, 5000), np.nan), 500), "no lead that ever changes"),
        (("nowhere.dcm",), "nowhere.dcm: expected a file, found none"),
    ],
)
def test_what_can_not_be_measured_or_classified_is_said(words, message):
    model = ecg.load_model(device="cpu")
    for function in (ecg.measure, model.classify):
        with pytest.raises(ecg.RecordingError, match=message):
            function(*words)


def test_one_model_classifies_alike_what_is_written_and_read_again(tmp_path):
    recording, model = ecg.simulate("AF", seed=8), ecg.load_model(device="cpu")
    first = model.classify(recording)
    for suffix in (".hea", ".csv", ".dcm", ".edf"):
        again = model.classify(ecg.write(recording, tmp_path / f"{suffix[1:]}{suffix}"))
        assert again.labels == first.labels, suffix


def test_a_folder_or_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(ecg.RecordingError, match="found a folder; read_all reads those in it"):
        ecg.read(tmp_path)
    with pytest.raises(ecg.RecordingError, match=r"one of the suffixes \.hea, \.dcm, \.edf, \.csv, found \.xml"):
        ecg.write(ecg.simulate(seed=1), tmp_path / "a.xml")
    with pytest.raises(ValueError, match="expected 'raise' or 'return', found 'ignore'"):
        ecg.read_all(tmp_path, errors="ignore")


def test_errors_are_raised_or_returned(tmp_path):
    for seed in (1, 2):
        ecg.write(ecg.simulate(seed=seed), tmp_path / f"{seed}.hea")
    (tmp_path / "1.mat").write_bytes(b"")
    with pytest.raises(ecg.RecordingError, match=r"1\.mat"):
        list(ecg.read_all(tmp_path))
    error, recording = ecg.read_all(tmp_path, errors="return")
    assert isinstance(error, ecg.RecordingError) and recording.name == "2"
    assert [each.name for each in ecg.read_all([tmp_path / "2.mat"])] == ["2"]
