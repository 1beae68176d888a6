"""A set of one's own through everything: trained, stored, run, scored, adapted; and what is not trained by mistake."""

import csv
import io
import json
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import torch

import driver
import evaluate_model
import team_code
import train_model
from ecg.decisions.adaptation import Decided, fit_adaptation
from ecg.decisions.thresholds import f1_thresholds
from ecg.io.errors import RecordingError
from ecg.io.label_tables import read_label_table
from ecg.labels.diagnoses import load_diagnoses
from ecg.methods.base import build_method
from ecg.model_folder.folder import load_model, save_adapted
from ecg.model_folder.model import ModelError
from ecg.networks.boosted_trees import BoostedTrees
from ecg.scoring.challenge import compute_f_measure
from ecg.training.adapt_model import compare
from ecg.training.dataset import build_dataset
from ecg.training.folds import assign_folds
from ecg.training.trainer import train
from tiny import fit_boosted_trees, heart_like, quick, tiny, write_recording

CODES = ["FAST", "SLOW", "NEVER"]


def run(module, *words, check=0):
    """Run a command in this process with the tiny method as its default: what it printed, and what it said."""
    printed, said = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(said):
        patch.setitem(team_code.METHODS, "tiny", tiny)
        patch.setattr(team_code, "DEFAULT_METHOD", "tiny")
        assert module.main(list(map(str, words))) == check, said.getvalue()
    return printed.getvalue(), said.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Recordings whose headers hold other codes, a set of one's own, a table of its codes, and a model of it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "data").mkdir()
    (folder / "own.csv").write_text("code,name\n" + "".join(f"{code},{code.lower()} one\n" for code in CODES))
    lines = ["record,codes,patient"]
    for k in range(24):
        write_recording(folder / "data", f"R{k:02d}", heart_like(2, seed=k) * (1 + k % 2), dx="164889003")
        lines.append(f"R{k:02d},{CODES[k % 2]};ODD,p{k // 2}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    words = ["--diagnoses", folder / "own.csv", "--labels", folder / "labels.csv", "--epochs", 2, "--members", 1]
    said = run(train_model, folder / "data", folder / "model", *words, "--workers", 1)[1]
    return folder, said


def test_training_says_what_the_set_lacks_and_what_has_no_positive(place):
    _, said = place
    assert "Codes that own does not have (recordings): ODD (24)" in said
    assert "No recording has NEVER: of a diagnosis without positives nothing is learned" in said
    assert "validation f measure" in said and "challenge metric" not in said


def test_the_model_folder_carries_its_set(place, tmp_path):
    folder, _ = place
    model = load_model(folder / "model", {"tiny": tiny}, torch.device("cpu"))
    assert model.method.diagnoses == load_diagnoses(folder / "own.csv")
    config = json.loads((folder / "model" / "config.json").read_text())
    assert config["classes"] == CODES
    assert "challenge_metric" not in config["members"][0]["validation"]["all"]
    with pytest.raises(ModelError, match="expected a model of the diagnoses ptb-xl, found one of own"):
        model.require(load_diagnoses("ptb-xl"))
    config["diagnoses"]["table"].append("FAST,again")
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"config\.json: diagnoses: expected each code once, found FAST twice"):
        load_model(tmp_path, {"tiny": tiny}, torch.device("cpu"))


def test_the_driver_writes_the_codes_of_the_set_and_the_scorer_reads_them(place, tmp_path):
    folder, _ = place
    run(driver, folder / "model", folder / "data", tmp_path / "out", "--workers", 1)
    assert (tmp_path / "out" / "R00.csv").read_text().splitlines()[1] == ",".join(CODES)
    words = folder / "labels.csv", tmp_path / "out"
    printed, _ = run(evaluate_model, *words, "--diagnoses", folder / "own.csv")
    assert printed.splitlines()[0] == "AUROC,AUPRC,Accuracy,F-measure"
    _, said = run(evaluate_model, *words, check=2)
    assert "expected columns of the set of diagnoses challenge-2020" in said


def test_an_adapted_model_without_rewards_decides_at_thresholds_of_its_own(place, tmp_path):
    folder, _ = place
    model = load_model(folder / "model", {"tiny": tiny}, torch.device("cpu"))
    rng = np.random.default_rng(0)
    labels = rng.random((200, 3)) < (0.1, 0.5, 0.0)
    scores = np.clip(0.3 * labels + 0.5 * rng.random((200, 3)), 0, 1)
    fitted = fit_adaptation(labels, scores, 1.0).with_thresholds(labels, scores)
    save_adapted(folder / "model", tmp_path / "adapted", fitted, model.definitions, {"recordings": 200}, model)
    adapted = load_model(tmp_path / "adapted", {"tiny": tiny}, torch.device("cpu"))
    decided = np.array([adapted.decide(row[np.newaxis])[0] for row in scores])
    assert np.array_equal(decided, fitted.apply(scores) >= fitted.thresholds)
    decided = {None: Decided(scores >= 0.5, scores)}
    compared = compare(labels, decided, np.arange(200) % 5, model.method.diagnoses)
    assert compared.metric_name == "f measure" and compared.gain > 0


def test_nothing_is_trained_on_no_labels(place, tmp_path):
    folder, _ = place
    own, words = load_diagnoses(folder / "own.csv"), (tmp_path / "cache",)
    with pytest.raises(
        RecordingError, match="scored diagnoses of own, found none, but 164889003 of the set challenge-2020"
    ):
        build_dataset(tiny(own), folder / "data", *words, workers=1)
    table = read_label_table(folder / "labels.csv", own.column_of)
    with pytest.raises(RecordingError, match=r"labels\.csv: expected codes of challenge-2020, found none, but ODD, "):
        build_dataset(tiny(), folder / "data", *words, workers=1, statements=table)


def test_a_model_of_another_set_is_no_start(place, tmp_path):
    folder, _ = place
    start = load_model(folder / "model", {"tiny": tiny}, torch.device("cpu"))
    with pytest.raises(ValueError, match="expected a model of the diagnoses challenge-2020, found one of own"):
        train(tiny(), folder / "data", tmp_path / "model", quick(start=start))


def test_a_patient_is_in_one_fold_and_a_given_fold_counts_for_all_recordings_of_the_patient(place, tmp_path):
    folder, _ = place
    own = load_diagnoses(folder / "own.csv")
    table = read_label_table(folder / "labels.csv", own.column_of)
    dataset, _ = build_dataset(tiny(own), folder / "data", tmp_path / "cache", workers=1, statements=table)
    folds = dataset.split(range(24), 5, seed=1)
    assert np.array_equal(folds[::2], folds[1::2]) and len(set(folds)) == 5
    given = [0, 4] + [0] * 22
    folds = dataset.split(range(24), 5, seed=1, given=given)
    assert folds[0] == folds[1] == 3 and np.array_equal(folds[::2], folds[1::2])
    apart = assign_folds(dataset.labels, ["a"] * 24, [0] * 24, 5, 1, [""] * 24)
    assert np.array_equal(apart, assign_folds(dataset.labels, ["a"] * 24, [0] * 24, 5, 1))


@pytest.mark.parametrize("name", ["challenge-2021", "ptb-xl", "ptb-xl-superclasses"])
@pytest.mark.parametrize("method", ["hybrid", "robust", "zhao", "butteam:width=4"])
def test_every_method_is_built_for_every_set(name, method):
    built = build_method(method, team_code.METHODS, load_diagnoses(name))
    assert built.classes == load_diagnoses(name).classes
    probabilities = np.full((2, 10, len(built.classes)), 0.3)
    probabilities[..., 0] = 0.9
    thresholds = np.full((2, len(built.classes)), 0.5)
    labels = np.stack([built.decision.decide(each, row) for each, row in zip(probabilities, thresholds, strict=True)])
    combined, scores = built.decision.combine(labels, probabilities, thresholds)
    assert combined[:, 0].all() and scores.shape == combined.shape == (10, len(built.classes))


def test_thresholds_of_the_highest_f1_are_those_of_all_that_there_are():
    rng = np.random.default_rng(0)
    labels, scores = rng.random((40, 6)) < 0.2, np.round(rng.random((40, 6)), 1)
    labels[:, 3] = False
    found = f1_thresholds(labels, scores)
    assert found[3] == 0.5
    best = [max(compute_f_measure(labels, scores >= t)[1][k] for t in np.arange(-0.05, 1.1, 0.1)) for k in range(6)]
    assert compute_f_measure(labels, scores >= found)[1][labels.any(axis=0)] == pytest.approx(
        np.array(best)[labels.any(axis=0)]
    )


def test_trees_take_classes_with_few_positives_and_none():
    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=(60, 5)).astype(np.float32), np.zeros((60, 4), np.float32)
    targets[:2, 1], targets[:5, 2], targets[:, 3] = 1, 1, 1
    trees = BoostedTrees(4, 10)
    fit_boosted_trees(trees, features, targets, seed=0)
    found = torch.sigmoid(trees(torch.from_numpy(features))).numpy().mean(axis=0)
    np.testing.assert_allclose(found, [0, 2 / 60, 5 / 60, 1], atol=0.05)


def test_the_history_names_the_metric_of_the_set(place):
    folder, _ = place
    with open(folder / "model" / "history.csv", newline="") as file:
        assert {"member", "f_measure"} <= set(next(csv.reader(file)))
