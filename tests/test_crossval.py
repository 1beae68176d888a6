"""Splits that never let a test recording into training, and the table they end in."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import evaluate_model
import team_code
from ecg import crossval, report
from ecg.crossval import Split, database_splits, fold_splits, hold_out_split, run_split, validation_part
from ecg.method import build_method
from tiny import heart_like, random_dataset, tiny, write_recording

WEIGHTS = evaluate_model.load_weights(classes=team_code.CLASSES)[1]


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 4)), min_size=10, max_size=60))
def test_every_recording_is_predicted_once_and_never_by_a_network_that_saw_it(rows):
    databases = np.array([name for name, _ in rows])
    folds = np.array([fold for _, fold in rows])
    for splits in (fold_splits(folds, 5), database_splits(databases)):
        assert sorted(np.concatenate([split.test for split in splits])) == list(range(len(rows)))
        for split in splits:
            assert sorted([*split.training, *split.test]) == list(range(len(rows)))


def test_the_hold_out_split_trains_on_the_largest_database_without_its_last_fold():
    databases = np.array(["A"] * 6 + ["B"] * 3)
    folds = np.array([0, 0, 1, 1, 2, 2, 0, 1, 2])
    split = hold_out_split(databases, folds)
    assert split.training.tolist() == [0, 1, 2, 3]
    assert split.test.tolist() == [4, 5, 6, 7, 8]


def test_test_recordings_take_no_part_in_training_thresholds_or_choice_of_epoch(monkeypatch):
    dataset = random_dataset()
    seen = []
    real = crossval.train_member
    monkeypatch.setattr(crossval, "train_member", lambda method, dataset, inside, outside, **more: (
        seen.extend([*inside, *outside]) or real(method, dataset, inside, outside, **more)))
    split = Split("a", np.arange(20), np.arange(20, 30))
    test, probabilities, outputs = run_split(tiny(), dataset, split, epochs=1, seed=0, device=torch.device("cpu"),
                                             checkpoint=None)
    assert sorted(seen) == list(range(20))
    assert test.tolist() == list(range(20, 30))
    assert probabilities.shape == outputs.shape == (10, 24)


def test_the_interval_holds_the_metric_and_narrows_with_more_recordings():
    rng = np.random.default_rng(0)
    labels = rng.random((400, 24)) < 0.08
    outputs = labels ^ (rng.random((400, 24)) < 0.05)
    whole = evaluate_model.compute_challenge_metric(WEIGHTS, labels, outputs, team_code.CLASSES)
    low, high = report.bootstrap_interval(labels, outputs, team_code.CLASSES, WEIGHTS)
    few_low, few_high = report.bootstrap_interval(labels[:40], outputs[:40], team_code.CLASSES, WEIGHTS)
    assert low < whole < high
    assert high - low < 0.6 * (few_high - few_low)


@pytest.mark.parametrize(("text", "complaint"), [
    ("nobody", "expected one of zhao, butteam, found 'nobody'"),
    ("zhao:depth=3", "expected settings out of age_mask, challenge_stage, found 'depth'"),
    ("zhao:age_mask=False", "expected true or false for age_mask, found 'False'"),
    ("zhao:age_mask", "expected true or false"),
    ("butteam:width=abc", "expected a value of type int for width"),
    ("butteam:width=12.5", "expected a value of type int for width"),
    ("butteam:width=true", "expected a value of type int for width"),
    ("butteam:width=0", "expected a whole number from 1 up"),
    ("butteam:threshold_search=guess", "expected one of bayesian, coordinate"),
])
def test_a_method_or_setting_that_there_is_not_is_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        build_method(text, team_code.METHODS)


@pytest.mark.parametrize("n_given", [0, 1, 2, 3, 5, 8, 9, 10])
def test_about_an_eighth_or_one_given_fold_validates_and_no_fold_is_torn(n_given):
    dataset = random_dataset(160)
    folds = np.array([2 + 3 * (k % n_given) if n_given else 0 for k in range(160)])
    dataset.entries = [replace(entry, fold=int(fold)) for entry, fold in zip(dataset.entries, folds, strict=True)]
    rows = np.arange(10, 160)
    part = validation_part(dataset, rows, seed=1)
    assert part.shape == (150,)
    assert 15 <= part.sum() <= 150 * max(2 / 9, 1 / max(n_given, 2)) + 1
    if n_given > 1:
        assert not set(folds[rows[part]]) & set(folds[rows[~part]])


def test_settings_reach_the_method():
    settings = build_method("zhao:age_mask=false,challenge_stage=true", team_code.METHODS).settings
    assert settings == {"age_mask": False, "challenge_stage": True}


def test_the_command_writes_predictions_and_a_table_and_a_second_run_trains_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    codes = ["426783006", "164889003", "427084000"]
    for number in range(24):
        name = f"HR{number:05d}" if number < 16 else f"A{number:04d}" if number < 20 else f"JS{number:05d}"
        write_recording(tmp_path / "data", name, heart_like(seed=number), dx=codes[number % 3])
    words = [str(tmp_path / "data"), str(tmp_path / "out"), "--hold-out", "--epochs", "1", "--device", "cpu"]
    assert crossval.main(words) == 0
    table = capsys.readouterr().out
    assert (tmp_path / "out" / "table.md").read_text() == table
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == [
        "| CPSC", "| Chapman-Ningbo", "| PTB-XL", "| all but PTB-XL"]
    stored = np.load(tmp_path / "out" / "tiny" / "predictions.npz")
    assert stored["records"].tolist()[-8:] == sorted(stored["records"].tolist()[-8:])
    assert stored["labels"].shape == stored["outputs"].shape == (len(stored["records"]), 24)
    monkeypatch.setattr(crossval, "train_member", None)
    assert crossval.main(words) == 0
    assert capsys.readouterr().out == table


def test_another_question_in_the_same_folder_gets_its_own_answer(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    for number in range(20):
        name = f"HR{number:05d}" if number < 12 else f"A{number:04d}"
        write_recording(tmp_path / "data", name, heart_like(seed=number))
    words = [str(tmp_path / "data"), "--epochs", "1", "--device", "cpu"]
    for how in (["--hold-out"], ["--leave-one-database-out"], ["--limit", "14", "--folds", "2"], ["--folds", "2"]):
        assert crossval.main([*words, str(tmp_path / "shared"), *how]) == 0
        shared = capsys.readouterr().out
        assert crossval.main([*words, str(tmp_path / "own" / how[0]), *how]) == 0
        assert capsys.readouterr().out == shared


@pytest.mark.parametrize("words", [("--epochs", "0"), ("--folds", "1"), ("--limit", "-1"), ("--workers", "0")])
def test_numbers_out_of_range_are_refused(tmp_path, capsys, words):
    assert crossval.main([str(tmp_path), str(tmp_path / "out"), *words]) == 2
    assert f"{words[0]} {words[1]}: expected a whole number" in capsys.readouterr().err


def test_a_wrong_path_ends_with_a_sentence(tmp_path, capsys):
    assert crossval.main([str(tmp_path / "nowhere"), str(tmp_path / "out"), "--method", "zhao"]) == 2
    assert "nowhere" in capsys.readouterr().err
