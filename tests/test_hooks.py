"""The hooks of the Challenge's scripts: what they hand on, and what comes back."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import driver
import evaluate_model
import team_code
import train_model
from ecg.commands import classify, score, train
from ecg.examination.examine import Examination
from ecg.io.errors import RecordingError
from ecg.io.recording import Recording
from ecg.labels.classes import CLASSES
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.leads import LEADS
from ecg.methods.base import demographic_features
from ecg.model_folder.model import Model
from ecg.scoring.challenge import compute_challenge_metric
from ecg.training import train_folder
from tiny import tiny

CPU = torch.device("cpu")
HEADER = "X1 2 250 4\nX1.mat 16 200/mV 16 0 0 0 0 II\nX1.mat 16 100/mV 16 0 0 0 0 I\n#Age: 50\n#Sex: F\n#Dx: 1\n"


def test_training_is_handed_all_words_and_the_methods_of_the_entry(monkeypatch):
    seen = []
    monkeypatch.setattr(train_folder, "train_folder", lambda *words, **named: seen.append((words, named)))
    team_code.training_code("data", "model", epochs=3)
    train_model.training_code("data", "model", seed=4)
    entry = {"methods": team_code.METHODS, "default_method": "hybrid"}
    assert seen == [(("data", "model"), {**entry, "epochs": 3}), (("data", "model"), {**entry, "seed": 4})]
    assert list(team_code.METHODS) == ["hybrid", "robust", "butteam", "zhao"]


@pytest.mark.parametrize(
    ("leads", "looked_at"),
    [(None, None), (LEADS, None), (LEADS[::-1], None), ((), None), (("x",), None),
     (("V2", "II", "I"), ("I", "II", "V2")), (["I", "II", "x"], ("I", "II"))],
)  # fmt: skip
def test_a_model_is_loaded_for_the_leads_that_there_will_be(monkeypatch, leads, looked_at):
    model, asked = Model(tiny(), (), np.zeros((1, 24)), CPU, {}), []
    monkeypatch.setattr(team_code.folder, "load_model", lambda *words: asked.append(words) or model)
    found = team_code.load_model("folder", leads, device="cpu")
    assert found.method.leads == looked_at and (found is model) == (looked_at is None)
    driver.load_model("other", "cpu")
    assert asked == [("folder", team_code.METHODS, CPU), ("other", team_code.METHODS, CPU)]


def test_the_driver_and_the_trainer_hand_the_device_and_the_folders_on(monkeypatch):
    asked = []
    monkeypatch.setattr(team_code, "load_model", lambda *words, **named: asked.append((words, named)))
    driver.load_model("folder", "cuda:3")
    monkeypatch.setattr(team_code, "training_code", lambda *words, **named: asked.append((words, named)))
    train_model.training_code("data", "model", leads="2")
    assert asked == [(("folder",), {"device": "cuda:3"}), (("data", "model"), {"leads": "2"})]
    words = [param.name for param in driver.main.params]
    assert words[0] == "model" and words.count("model") == 1
    assert set(words[1:]) == {param.name for param in classify.main.params} - {"model"}
    assert train_model.main.params == train.main.params and evaluate_model.main.params == score.main.params


def test_a_recording_is_examined_and_decided_with_all_that_its_header_says(monkeypatch):
    raw = np.array([[100, 200, 300, 400], [10, 20, 30, 40]], dtype=np.int16)
    seen = []

    def preprocess(signal, rate):
        seen.append((signal, rate))
        return np.nan_to_num(signal)

    def by_convention(probabilities, thresholds, features, convention):
        seen.append((probabilities, features))
        return np.arange(24) % 2 == 0, np.linspace(0, 1, 24)

    method = tiny(
        preprocess=preprocess, by_convention=by_convention, masked_leads=(LEADS,), features=demographic_features
    )
    network = torch.nn.Linear(1, 1)
    model = Model(method, (network,), np.full((1, 24), 0.5), CPU, {})
    given = []

    def predict(*words, **named):
        given.append((words, named))
        return [("X1", np.full((1, 24), 0.25))]

    monkeypatch.setattr(team_code.predict, "predict", predict)
    classes, labels, scores = team_code.run_model(model, HEADER, raw)
    signal, rate = seen[0]
    assert rate == 250.0
    np.testing.assert_allclose(signal[1], [0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(signal[0], [0.1, 0.2, 0.3, 0.4])
    assert np.isnan(signal[2:]).all()
    [(words, named)] = given
    [item] = words[2]
    assert (words[0], words[1], words[3], named) == (method, (network,), CPU, {"deterministic": True})
    np.testing.assert_allclose(item.features, [0.5, 1, 1, 0, 1])
    assert item.key == "X1" and seen[1][1] is item.features
    assert classes == list(CLASSES) and labels.tolist() == [1, 0] * 12 and labels.dtype.kind == "i"
    np.testing.assert_array_equal(scores, np.linspace(0, 1, 24))
    with pytest.raises(RecordingError, match=r"^recording: expected all twelve leads, found I, II$"):
        team_code.run_model(replace(model, method=tiny()), HEADER, raw)


@pytest.mark.parametrize("age_mask", [True, False])
def test_the_mask_of_age_is_a_setting(age_mask):
    person = Recording(np.zeros((12, 1), np.float32), 500.0, age=40.0, sex="Male")
    found = Examination(person, team_code.zhao(age_mask=age_mask).input).features
    np.testing.assert_allclose(found, [0.4, age_mask, 0, 1, 1])


@pytest.mark.parametrize(("size", "best"), [(0.0, 1.0), (0.3, None), (1.0, 0.0)])
def test_the_search_begins_at_the_best_of_eleven_thresholds_for_all_classes(monkeypatch, size, best):
    rng = np.random.default_rng(5)
    labels = rng.random((40, 24)) < size
    labels[np.arange(40), rng.integers(0, 24, 40)] = True
    noise = rng.uniform(0, 0.95, (40, 24))
    probabilities = np.where(labels & (rng.random((40, 24)) < 0.7), 0.95 * noise**0.3, 0.95 * noise)
    if size == 0:
        probabilities[labels] = 0.96  # the most probable class is the only one
    begun = []
    monkeypatch.setattr(
        team_code, "coordinate_ascent", lambda *words, **named: begun.append((words, named)) or words[4]
    )
    found = team_code.constrained_grid_search(labels, probabilities, CHALLENGE_2020.weights)

    def metric(threshold):
        outputs = team_code.decide(probabilities, np.full(24, threshold))
        return compute_challenge_metric(CHALLENGE_2020.weights, labels, outputs, CLASSES, "426783006")

    expected = max(np.arange(11) / 10, key=metric)
    assert found.tolist() == [expected] * 24
    if best is not None:
        assert metric(best) == metric(expected)
    [(words, named)] = begun
    assert words[3] is team_code.decide
    np.testing.assert_array_equal(named["candidates"], np.arange(101) / 100)
    own = team_code.zhao(diagnoses=Diagnoses("own", ("code", "a", "b")))
    assert own.decision.search_thresholds.__name__ == "f1_thresholds"
