"""Calibrated probabilities: what a fit finds, what it leaves alone, and how a model folder holds it."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

import team_code
from ecg.commands import calibrate
from ecg.decisions.calibration import Calibration, fit_calibration
from ecg.model_folder.folder import load_model
from ecg.model_folder.model import ModelError
from ecg.runtime.device import pick_device
from ecg.scoring.statistics import calibration_error
from ecg.training.trainer import train
from tiny import heart_like, quick, tiny, write_recording


def drawn(slope, intercept, n=4000, seed=0):
    """Scores whose true probability lies on a line between log-odds, and labels drawn from it."""
    rng = np.random.default_rng(seed)
    scores = expit(rng.normal(-1, 2, (n, 1)))
    return rng.random((n, 1)) < expit(slope * logit(scores) + intercept), scores


@pytest.mark.parametrize(("slope", "intercept"), [(0.1, 0.5), (0.5, -1.0), (1.0, 0.0), (2.0, 0.7), (6.0, 1.0)])
def test_the_line_that_the_labels_were_drawn_from_is_found(slope, intercept):
    labels, scores = drawn(slope, intercept)
    found = fit_calibration(labels, scores)
    assert found.slopes[0] == pytest.approx(slope, rel=0.12)
    assert found.intercepts[0] == pytest.approx(intercept, abs=0.15)
    fresh_labels, fresh = drawn(slope, intercept, seed=1)
    assert calibration_error(fresh_labels, found.apply(fresh)) < 0.04


@pytest.mark.parametrize("prior", [0.5, 20.0])
def test_the_fit_is_at_the_lowest_penalised_loss(prior):
    rng = np.random.default_rng(0)
    scores = expit(rng.normal(0, 2, (60, 1)))
    labels = rng.random((60, 1)) < expit(0.4 * logit(scores) + 1.5)
    found = fit_calibration(labels, scores, prior)

    def loss(slope, intercept):
        p = expit(slope * logit(scores) + intercept)
        return -np.log(np.where(labels, p, 1 - p)).sum() + prior / 2 * ((slope - 1) ** 2 + intercept**2)

    slope, intercept = found.slopes[0], found.intercepts[0]
    for step in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)):
        assert loss(slope + step[0], intercept + step[1]) > loss(slope, intercept)


def test_without_recordings_and_with_an_immovable_prior_scores_stay_as_they_are():
    labels, scores = drawn(0.4, -2.0, n=200)
    for found in (fit_calibration(labels[:0], scores[:0]), fit_calibration(labels, scores, prior=1e9)):
        np.testing.assert_allclose(found.apply(scores), scores, atol=1e-6)


def test_a_class_without_positives_moves_down_and_stays_finite():
    scores = np.full((50, 1), 0.2)
    found = fit_calibration(np.zeros((50, 1), dtype=bool), scores)
    assert 0 < found.apply(scores)[0, 0] < 0.1


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.floats(0.05, 20), st.floats(-5, 5))
def test_calibration_keeps_the_order_and_the_bounds(scores, slope, intercept):
    line = Calibration(np.array([slope]), np.array([intercept]))
    found = line.apply(np.sort(scores)[:, np.newaxis])[:, 0]
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibration")
    for number in range(12):
        dx = team_code.CLASSES[number % 3]
        write_recording(folder / "data", f"HR{number:05d}", heart_like(2, seed=number), dx=dx)
    train(tiny(), folder / "data", folder / "model", quick(members=2))
    return folder


def load(folder):
    return load_model(folder, {"tiny": tiny}, pick_device("cpu"))


def test_a_trained_model_is_calibrated_on_what_its_members_were_not_trained_on(place):
    found = load(place / "model").calibration
    assert found.slopes.shape == found.intercepts.shape == (24,)
    assert not np.allclose(found.intercepts, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored.popitem(),
        lambda stored: stored.update({team_code.CLASSES[0]: [1.0]}),
        lambda stored: stored.update({team_code.CLASSES[0]: [-1.0, 0.0]}),
        lambda stored: stored.update({team_code.CLASSES[0]: [1.0, float("nan")]}),
        lambda stored: stored.update({team_code.CLASSES[0]: "none"}),
    ],
)
def test_a_damaged_calibration_is_refused(place, tmp_path, change):
    shutil.copytree(place / "model", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    change(config["calibration"])
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"config.json: calibration.*: expected .*, found"):
        load(tmp_path / "model")


def test_the_command_gives_a_model_the_calibration_that_its_training_would_have(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    shutil.copytree(place / "model", tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    written = file.read_text()
    config = json.loads(written)
    del config["calibration"]
    file.write_text(json.dumps(config))
    assert load(tmp_path / "model").calibration is None
    assert calibrate.main([str(tmp_path / "model"), str(place / "data")]) == 0
    found = json.loads(file.read_text())
    for code, line in json.loads(written)["calibration"].items():
        assert found["calibration"][code] == pytest.approx(line, abs=1e-3)
    assert {**found, "calibration": 0} == {**config, "calibration": 0}
    assert "calibration error there" in capsys.readouterr().out


def test_other_recordings_than_those_of_the_training_are_refused(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    for number in range(12):
        dx = team_code.CLASSES[3 + number % 2]
        write_recording(tmp_path / "data", f"HR{number:05d}", heart_like(2, seed=50 + number), dx=dx)
    before = (place / "model" / "config.json").read_bytes()
    assert calibrate.main([str(place / "model"), str(tmp_path / "data")]) == 2
    assert "expected the recordings that trained" in capsys.readouterr().err
    assert (place / "model" / "config.json").read_bytes() == before


def test_scores_that_are_the_wrong_way_round_keep_their_order():
    rng = np.random.default_rng(5)
    labels = rng.random((400, 1)) < 0.5
    scores = np.where(labels, 0.2, 0.8) + rng.uniform(-0.1, 0.1, (400, 1))
    found = fit_calibration(labels, scores)
    assert found.slopes[0] == pytest.approx(0.05)
    assert (np.argsort(found.apply(scores)[:, 0]) == np.argsort(scores[:, 0])).all()
