"""Splits that never let a test recording into training, and the table they end in."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import evaluate_model
import team_code
from ecg import crossval, report
from ecg.crossval import Split, database_splits, fold_splits, hold_out_split, parse_method, run_split
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


@pytest.mark.parametrize(("text", "complaint"), [("nobody", "expected one of zhao"), ("zhao:depth=3", "depth")])
def test_a_method_that_there_is_not_is_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_method(text, {"zhao": team_code.zhao})


def test_settings_reach_the_method():
    settings = parse_method("zhao:age_mask=false,challenge_stage=true", {"zhao": team_code.zhao}).settings
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
    json.dumps(table)


def test_a_wrong_path_ends_with_a_sentence(tmp_path, capsys):
    assert crossval.main([str(tmp_path / "nowhere"), str(tmp_path / "out"), "--method", "zhao"]) == 2
    assert "nowhere" in capsys.readouterr().err
