"""`classify` gives probabilities: scores are calibrated, but not those that are probabilities already."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from ecg.decisions.adaptation import Adaptation
from ecg.decisions.calibration import Calibration
from ecg.examination.examine import Examination
from ecg.inference.classifier import Classifier
from ecg.inference.interpret_recordings import Ready, opinions_of
from ecg.inference.predict import Item
from ecg.inference.run_folder import ClassifyOptions, run_folder
from ecg.io.errors import RecordingError
from ecg.io.recording import Recording
from ecg.methods.reduced_leads import lead_problem
from ecg.model_folder.folder import load_model
from ecg.scoring.output_files import load_outputs
from report_pages import write_model
from tiny import heart_like, tiny, write_recording

CALIBRATION = Calibration(np.full(24, 0.5), np.linspace(-1, 1, 24))
ADAPTATION = Adaptation(np.eye(24) * 1.5, np.linspace(1, -1, 24))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    model = load_model(write_model(tmp_path_factory.mktemp("model"), 2), {"tiny": tiny}, torch.device("cpu"))
    return Classifier(**{field.name: getattr(model, field.name) for field in fields(model)})


def probabilities(model):
    found = model.classify(heart_like(2), 500)
    assert list(found.probabilities) == list(model.method.classes)
    return np.array(list(found.probabilities.values()))


def opinion(model):
    """What goes into an interpretation."""
    recording = Recording.from_array(heart_like(2), 500)
    examined = Examination(recording, model.method.input)
    item = Item(None, examined.prepared, examined.features)
    (found,) = opinions_of([Ready(recording, None, [item], "")], [model], "clinical")
    return np.array(list(found["model 0"].values()))


@pytest.mark.parametrize("read", [probabilities, opinion])
def test_scores_are_calibrated_unless_they_are_probabilities_already(plain, read):
    scores = read(plain)
    calibrated = replace(plain, calibration=CALIBRATION)
    np.testing.assert_allclose(read(calibrated), CALIBRATION.apply(scores))
    assert not np.allclose(read(calibrated), scores, atol=0.01)
    moved = replace(plain.method, decision=replace(plain.method.decision, moves_scores=True))
    np.testing.assert_array_equal(read(replace(calibrated, method=moved)), scores)
    np.testing.assert_allclose(read(replace(calibrated, adaptation=ADAPTATION)), ADAPTATION.apply(scores))


def test_what_is_said_of_one_recording_is_what_the_driver_writes(plain, tmp_path):
    paths = [write_recording(tmp_path / "in", f"A{k}", heart_like(2 + 5 * k, seed=k)) for k in range(4)]
    for model in (plain, plain.on_leads(("I", "II"))):
        run_folder(model, tmp_path / "in", tmp_path / "out", ClassifyOptions(workers=1, deterministic=True))
        for path in paths:
            _, classes, labels, scores = load_outputs(tmp_path / "out" / f"{path.stem}.csv")
            found = model.classify(path)
            assert found.labels == tuple(code for code, flag in zip(classes, labels, strict=True) if flag)
            assert list(found.probabilities.items()) == [
                (code, pytest.approx(score, abs=1e-6)) for code, score in zip(classes, scores, strict=True)
            ]
            assert found.names == {code: found.diagnoses[code].abbreviation for code in found.labels}


def test_leads_that_the_model_needs_and_a_recording_lacks_are_named(plain):
    signal = heart_like(2)
    signal[6:] = np.nan
    plain.on_leads(("I", "V2")).classify(heart_like(2), 500)
    for model in (plain, plain.on_leads(("I", "V2"))):
        with pytest.raises(RecordingError, match="recording: expected ") as found:
            model.classify(signal, 500)
        assert str(found.value) == f"recording: {lead_problem(model.method, signal)}"


def test_all_that_is_wrong_with_the_recordings_of_one_name_is_said(plain, tmp_path, capsys):
    place = tmp_path / "in"
    write_recording(place / "a", "A1", heart_like(2)).with_suffix(".mat").write_bytes(b"")
    write_recording(place / "b", "A1", heart_like(2)[:2], leads=("I", "II"))
    write_recording(place / "c", "A1", heart_like(2))
    write_recording(place / "c", "A2", heart_like(2))
    model = plain.on_leads(("I", "V2"))
    outcome = run_folder(model, place, tmp_path / "out", ClassifyOptions(workers=1, deterministic=True))
    damaged, left_out, lacking = outcome.problems
    assert damaged.startswith(f"{place}/a/A1.mat: expected")
    assert left_out == f"{place}/c/A1.hea: expected one recording of this name, found another before; left out"
    assert lacking.startswith(f"{place}/b/A1.hea: expected") and "V2" in lacking
    assert (outcome.classified, outcome.classified_before) == (1, 0)
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"{place}")] == outcome.problems
    _, _, labels, scores = load_outputs(tmp_path / "out" / "A1.csv")
    assert not any(labels) and not any(scores)
    again = run_folder(model, place, tmp_path / "out", ClassifyOptions(workers=1, deterministic=True, resume=True))
    assert (again.classified, again.classified_before, again.problems) == (0, 1, outcome.problems)


def test_an_array_in_microvolts_is_the_same_recording(plain):
    signal = heart_like(2)
    first, second = plain.classify(signal, 500), plain.classify(1000 * signal, 500, unit="uV")
    assert first.labels == second.labels
    assert dict(first.probabilities) == pytest.approx(dict(second.probabilities), abs=1e-5)
