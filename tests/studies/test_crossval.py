"""Splits that never let a test recording into training, the tables they end in, and the networks that are kept."""

import io
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import helper_code
import team_code
from ecg.commands import validate as command
from ecg.inference.run_folder import ClassifyOptions, run_folder
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.methods.base import build_method
from ecg.model_folder.folder import load_model
from ecg.signal.corruptions import AS_RECORDED, DISTURBANCES
from ecg.studies import cross_validation as crossval
from ecg.studies import markdown_tables as tables
from ecg.studies.cross_validation import (
    Options,
    Split,
    Validation,
    database_splits,
    fold_splits,
    hold_out_split,
    train_split,
    validation_part,
)
from ecg.studies.predictions import Predictions
from ecg.training import member
from ecg.training.dataset import Dataset
from ecg.training.folds import assign_folds
from tiny import CODES, heart_like, random_dataset, tiny, write_databases, write_recording

CPU = torch.device("cpu")


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


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.integers(1, 10), min_size=12, max_size=60), st.integers(2, 12))
def test_recordings_of_one_given_fold_are_never_on_both_sides(given_folds, n_folds):
    databases = ["A"] * len(given_folds)
    folds = assign_folds(np.zeros((len(databases), 24), bool), databases, given_folds, n_folds, seed=0)
    numbers = np.array(given_folds)
    for split in [*fold_splits(folds, n_folds), hold_out_split(np.array(databases), folds)]:
        assert not set(numbers[split.training]) & set(numbers[split.test])


def test_test_recordings_take_no_part_in_training_thresholds_or_choice_of_epoch(monkeypatch, tmp_path):
    dataset = random_dataset()
    seen = []
    real = crossval.train_member
    monkeypatch.setattr(
        crossval,
        "train_member",
        lambda method, dataset, inside, outside, options: (
            seen.extend([*inside, *outside]) or real(method, dataset, inside, outside, options)
        ),
    )
    split = Split("a", np.arange(20), np.arange(20, 30))
    options = Options(tmp_path, tmp_path, "folds", epochs=1, seed=0)
    train_split(tiny(), dataset, split, tmp_path / "model", options, CPU)
    assert sorted(seen) == list(range(20))
    model = load_model(tmp_path / "model", {"tiny": tiny}, CPU)
    assert model.config["training"] == {
        "split": "a",
        "recordings": 20,
        "simulated": 0,
        "databases": {"Test": 20},
        "epochs": 1,
        "seed": 0,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nobody", "expected one of .*butteam, zhao, found 'nobody'"),
        ("zhao:depth=3", "expected settings out of age_mask, challenge_stage, found 'depth'"),
        ("zhao:age_mask=False", "expected true or false for age_mask, found 'False'"),
        ("zhao:age_mask", "expected true or false"),
        ("butteam:width=abc", "expected a value of type int for width"),
        ("butteam:width=12.5", "expected a value of type int for width"),
        ("butteam:width=true", "expected a value of type int for width"),
        ("butteam:width=0", "expected a whole number from 1 up"),
        ("butteam:threshold_search=guess", "expected one of bayesian, coordinate"),
    ],
)
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


@pytest.mark.parametrize(
    ("n_given", "share"), [(1, 1 / 8), (2, 1 / 2), (3, 1 / 3), (7, 1 / 7), (8, 1 / 8), (9, 2 / 9), (16, 1 / 8)]
)
def test_as_many_given_folds_validate_as_make_up_to_eight_parts(n_given, share):
    entries = random_dataset(3).entries
    dataset = Dataset([replace(entries[k % 3], fold=1 + k % n_given) for k in range(9 * 112)], np.zeros(0, np.float32))
    part = validation_part(dataset, np.arange(9 * 112), seed=1)
    assert part.mean() == pytest.approx(share, abs=0.002 if n_given == 1 else 1e-9)


@pytest.mark.parametrize(("given", "n_folds"), [([0, 0], 10), ([1, 1], 10), ([0, 1], 10), ([1, 2], 2), ([3, 0], 3)])
def test_held_out_is_the_last_given_fold_or_a_tenth_where_there_are_not_two(given, n_folds):
    dataset = random_dataset(60)
    dataset.entries = [replace(entry, fold=given[k % 2]) for k, entry in enumerate(dataset.entries)]
    asked = []
    stand_in = SimpleNamespace(
        options=Options(Path(), Path(), "hold-out", seed=3),
        entries=dataset.entries,
        databases=np.array(["Test"] * 60),
        dataset=SimpleNamespace(split=lambda rows, *more: asked.append(more) or dataset.split(rows, *more)),
    )
    Validation._make_splits(stand_in)
    assert asked == [(n_folds, 3)]


def test_settings_reach_the_method():
    settings = build_method("zhao:age_mask=false,challenge_stage=true", team_code.METHODS).settings
    assert settings == {"age_mask": False, "challenge_stage": True}


def disturbed_hold_out(data, out):
    """Exit status of a validation of one epoch, with a table of disturbed recordings."""
    words = ["--hold-out", "--disturbed", "--epochs", "1", "--device", "cpu", "--workers", "1"]
    return command.main([str(data), str(out), *words])


def first_cells(text):
    """First cell of every row of the tables in a text, by the table's heading (the first has none)."""
    found = {}
    for section in text.split("\n## "):
        rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
        found[section.splitlines()[0] if found else ""] = [row[0] for row in rows[2:]]
    return found


METHODS = {"tiny": tiny, "smaller batches": lambda: tiny(name="smaller batches", batch_size=4)}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A hold-out run of two methods with disturbed recordings: its folder, its words, and what it printed."""
    folder = tmp_path_factory.mktemp("measured")
    write_databases(folder / "data", HR=16, A=3, Q=3, JS=4, S=3)
    words = [str(folder / "data"), str(folder / "out"), "--hold-out", "--disturbed", "--epochs", "1", "--device", "cpu"]
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(team_code, "METHODS", METHODS)
        assert command.main(words) == 0
    return folder, words, printed.getvalue()


def test_the_command_writes_one_file_with_all_tables(measured):
    folder, _, printed = measured
    assert (folder / "out" / "table.md").read_text() == printed
    sections = first_cells(printed)
    groups = [
        "CPSC",
        "CPSC-Extra",
        "Chapman-Ningbo",
        "PTB",
        "PTB-XL",
        "CPSC + CPSC-Extra",
        "CPSC + CPSC-Extra + Chapman-Ningbo",
        "all but PTB-XL",
    ]
    assert sections.pop("") == [group for group in groups for _ in METHODS]
    assert sections.pop("The least sure tenth left out") == [group for group in groups for _ in METHODS]
    assert sections.pop("Differences") == groups
    assert sections.pop("Disturbed recordings") == list(DISTURBANCES)
    assert list(sections) == [
        f"By class: {method}, {part}" for method in METHODS for part in ("PTB-XL", "all but PTB-XL")
    ]
    for names in sections.values():
        assert len(names) == 24 and names[:2] == ["IAVB", "AF"]


def test_every_database_and_pool_counts_its_own_recordings(measured):
    printed = measured[2]
    rows = [line.strip("| ").split(" | ") for line in printed.split("\n## ")[0].splitlines()]
    assert [int(row[2]) for row in rows[2::2]] == [3, 3, 4, 3, int(rows[10][2]), 6, 10, 13]
    left_out = printed.split("\n## By class: tiny, all but PTB-XL\n\n")[1].split("\n\n")[0].splitlines()
    assert sum(int(line.split(" | ")[1]) for line in left_out[2:]) == 13  # one diagnosis each


def test_a_second_run_trains_and_classifies_nothing_and_says_the_same(measured, monkeypatch, capsys):
    _, words, printed = measured
    monkeypatch.setattr(team_code, "METHODS", METHODS)
    monkeypatch.setattr(crossval, "train_member", None)
    monkeypatch.setattr(crossval, "predict_rows", None)
    assert command.main(words) == 0
    assert capsys.readouterr().out == printed


def test_recordings_read_again_as_they_are_get_the_same_answers_to_the_last_bit_and_disturbed_ones_others(measured):
    folder = measured[0] / "out" / "tiny"
    stored = np.load(folder / "predictions.npz")
    assert stored["labels"].shape == stored["outputs"].shape == (len(stored["records"]), 24)
    undisturbed = np.load(folder / "predictions-as-recorded.npz")
    for key in stored.files:
        assert np.array_equal(stored[key], undisturbed[key]), key
    assert stored["in_database"].tolist() == [name.startswith("HR") for name in stored["records"]]
    files = {path.name: np.load(path) for path in folder.glob("predictions-*.npz")}
    assert len(files) == len(DISTURBANCES)
    assert len({found["probabilities"].tobytes() for found in files.values()}) == len(DISTURBANCES)
    assert all(np.array_equal(found["records"], stored["records"]) for found in files.values())


def test_the_kept_network_classifies_a_folder_as_it_was_measured(measured, tmp_path):
    folder = measured[0]
    [kept] = [path for path in (folder / "out" / "tiny").glob("split-*") if path.is_dir()]
    run_folder(
        load_model(kept, METHODS, CPU), folder / "data", tmp_path, ClassifyOptions(workers=1, deterministic=True)
    )
    stored = np.load(folder / "out" / "tiny" / "predictions.npz")
    assert len(stored["records"]) > 13
    for record, outputs, probabilities in zip(*map(stored.get, ("records", "outputs", "probabilities")), strict=True):
        _, classes, labels, scores = helper_code.load_outputs(tmp_path / f"{record}.csv")
        assert classes == team_code.CLASSES
        assert list(map(bool, labels)) == outputs.tolist()
        assert list(scores) == pytest.approx(probabilities.tolist(), abs=1e-6)


def test_a_run_stopped_before_its_network_was_kept_goes_on_without_another_epoch(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    data = str(write_databases(tmp_path / "data", HR=14))
    words = ["--hold-out", "--epochs", "1", "--device", "cpu", "--workers", "1"]
    assert command.main([data, str(tmp_path / "not stopped"), *words]) == 0
    expected = capsys.readouterr().out

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(crossval, "save_model", stop)
        assert command.main([data, str(tmp_path / "out"), *words]) == 130
    assert [path.suffix for path in (tmp_path / "out" / "tiny").glob("split-*")] == [".ckpt"]
    monkeypatch.setattr(member._MemberTraining, "_run_epoch", None)
    capsys.readouterr()
    assert command.main([data, str(tmp_path / "out"), *words]) == 0
    assert capsys.readouterr().out == expected
    assert not list((tmp_path / "out" / "tiny").glob("*.ckpt"))


def test_a_network_that_answers_otherwise_than_when_it_was_trained_is_not_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    words = [
        str(write_databases(tmp_path / "data", HR=14)),
        str(tmp_path / "out"),
        "--hold-out",
        "--epochs",
        "1",
        "--device",
        "cpu",
        "--workers",
        "1",
    ]
    assert command.main(words) == 0
    monkeypatch.setattr(team_code, "METHODS", {"tiny": lambda: tiny(preprocess=lambda signal, fs: -signal)})
    assert command.main([*words, "--disturbed"]) == 2
    assert "expected the kept networks to answer as they did" in capsys.readouterr().err


def test_a_signal_that_two_databases_hold_is_never_both_trained_on_and_predicted(tmp_path, monkeypatch):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    data = write_databases(tmp_path / "data", HR=14, A=2)
    for k in range(14):
        write_recording(data, f"Q{k:04d}", helper_code.read_recording(data / f"HR{k:05d}.hea")[1], dx=CODES[k % 3])
    assert (
        command.main(
            [str(data), str(tmp_path / "out"), "--hold-out", "--epochs", "1", "--device", "cpu", "--workers", "1"]
        )
        == 0
    )
    names = np.load(tmp_path / "out" / "tiny" / "predictions.npz")["records"].tolist()
    assert sum(name.startswith(("HR", "Q")) for name in names) <= 2  # the tested tenth of fourteen
    assert {"A00000", "A00001"} <= set(names)


@pytest.mark.parametrize("first", ["bad", "same samples as another"])
def test_of_two_recordings_with_one_name_the_one_that_was_classified_is_disturbed(tmp_path, monkeypatch, first):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    data = write_databases(tmp_path / "data", HR=14, A=2)
    write_recording(data / "deeper", "A00001", heart_like(2, seed=77))
    if first == "bad":
        (data / "A00001.mat").write_bytes(b"junk")
    else:
        write_recording(data, "A00001", helper_code.read_recording(data / "A00000.hea")[1])
    assert disturbed_hold_out(data, tmp_path / "out") == 0
    plain, again = (np.load(tmp_path / "out" / "tiny" / f"predictions{suffix}.npz") for suffix in ("", "-as-recorded"))
    assert "A00001" in plain["records"]
    assert np.array_equal(plain["probabilities"], again["probabilities"])


def test_a_recording_that_changes_meanwhile_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    data = write_databases(tmp_path / "data", HR=14, A=2)
    real = crossval.train_split
    monkeypatch.setattr(
        crossval,
        "train_split",
        lambda *words, **more: (real(*words, **more), write_recording(data, "A00001", heart_like(2, seed=77))),
    )
    assert disturbed_hold_out(data, tmp_path / "out") == 2
    assert "A00001.hea: expected the samples that were there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("how", "last"),
    [
        (["--leave-one-database-out"], ["CPSC", "CPSC-Extra", "PTB-XL", "CPSC + CPSC-Extra", "all"]),
        (["--folds", "2"], ["CPSC", "CPSC-Extra", "PTB-XL", "CPSC + CPSC-Extra", "all"]),
    ],
)
def test_all_databases_together_have_a_row_where_all_are_tested_alike(tmp_path, monkeypatch, capsys, how, last):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    data = write_databases(tmp_path / "data", HR=10, A=6, Q=6)
    assert (
        command.main([str(data), str(tmp_path / "out"), "--epochs", "1", "--device", "cpu", "--workers", "1", *how])
        == 0
    )
    sections = first_cells(capsys.readouterr().out)
    assert sections.pop("The least sure tenth left out") == last
    assert sections == {"": last, "By class: tiny, all": sections["By class: tiny, all"]}
    kept = [path for path in (tmp_path / "out" / "tiny").glob("split-*") if path.is_dir()]
    assert len(kept) == (3 if how[0].startswith("--leave") else 2)


def made_up(n_recordings, database, inside, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.random((n_recordings, 24)) < 0.1
    return Predictions(
        records=np.array([f"{database}{k:03d}" for k in range(n_recordings)]),
        databases=np.array([database] * n_recordings),
        in_database=np.array([inside] * n_recordings),
        labels=labels,
        probabilities=rng.random((n_recordings, 24)),
        outputs=labels ^ (rng.random((n_recordings, 24)) < 0.1),
        classes=team_code.CLASSES,
    )


def arrays(result):
    return {key: value for key, value in vars(result).items() if key != "classes"}


def joined(*results):
    both = {key: np.concatenate([arrays(result)[key] for result in results]) for key in arrays(results[0])}
    return Predictions(**both, classes=team_code.CLASSES)


def test_a_pool_is_of_left_out_databases_only_and_the_same_row_does_not_come_twice():
    first = joined(made_up(5, "Chapman-Ningbo", True), made_up(4, "CPSC", False), made_up(4, "CPSC-Extra", False))
    assert tables.parts([first]) == {
        "Chapman-Ningbo": ["Chapman-Ningbo"],
        "all but Chapman-Ningbo": ["CPSC", "CPSC-Extra"],
    }
    own = {"CPSC": ["CPSC"], "CPSC-Extra": ["CPSC-Extra"], "Chapman-Ningbo": ["Chapman-Ningbo"]}
    assert tables.groups([first]) == {**own, "all but Chapman-Ningbo": ["CPSC", "CPSC-Extra"]}
    assert tables.groups([joined(first, made_up(2, "PTB", False))]) == {
        **own,
        "PTB": ["PTB"],
        "CPSC + CPSC-Extra": ["CPSC", "CPSC-Extra"],
        "all but Chapman-Ningbo": ["CPSC", "CPSC-Extra", "PTB"],
    }
    assert tables.parts([made_up(5, "PTB", True)]) == {"all": ["PTB"]}
    assert tables.groups([made_up(5, "PTB", True)]) == {"PTB": ["PTB"]}


def test_differences_match_recordings_by_name():
    first = made_up(40, "A", True)
    order = np.random.default_rng(1).permutation(40)[:30]
    shuffled = replace(first, **{key: values[order] for key, values in arrays(first).items()})
    [line] = tables.format_differences({"a": first, "b": shuffled}, CHALLENGE_2020).splitlines()[2:]
    assert line == "| A | b | 30 | +0.000 (+0.000 to +0.000) |"
    nothing = replace(shuffled, outputs=shuffled.outputs & False)
    [line] = tables.format_differences({"a": first, "b": nothing}, CHALLENGE_2020).splitlines()[2:]
    assert line.startswith("| A | b | 30 | +0.") and "(+0." in line


def test_a_disturbance_loses_what_the_metric_falls():
    result = made_up(40, "A", True)
    perfect = replace(result, outputs=result.labels)
    text = tables.format_disturbed(
        {"m": {AS_RECORDED: perfect, "same": replace(perfect), "worse": result}}, CHALLENGE_2020
    )
    undisturbed, same, worse = (line.strip("| ").split(" | ") for line in text.splitlines()[2:])
    assert undisturbed[:2] == [AS_RECORDED, "1.000"]
    assert same == ["same", "1.000", "+0.000 (+0.000 to +0.000)"]
    metric, loss = float(worse[1]), float(worse[2].split()[0])
    assert 0 < metric < 1
    assert metric + loss == pytest.approx(1, abs=0.0011)


def test_another_question_in_the_same_folder_gets_its_own_answer(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    for number in range(20):
        name = f"HR{number:05d}" if number < 12 else f"A{number:04d}"
        write_recording(tmp_path / "data", name, heart_like(2, seed=number))
    words = [str(tmp_path / "data"), "--epochs", "1", "--device", "cpu", "--workers", "1"]
    for how in (["--hold-out"], ["--leave-one-database-out"], ["--limit", "14", "--folds", "2"], ["--folds", "2"]):
        assert command.main([*words, str(tmp_path / "shared"), *how]) == 0
        shared = capsys.readouterr().out
        assert command.main([*words, str(tmp_path / "own" / how[0]), *how]) == 0
        assert capsys.readouterr().out == shared


def test_one_network_trained_with_masked_leads_is_tested_on_each_set_of_leads(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    for number in range(16):
        name = f"HR{number:05d}" if number < 12 else f"A{number:04d}"
        write_recording(tmp_path / "data", name, heart_like(2, seed=number), dx=f"{CODES[number % 2]},12345")
    words = [
        str(tmp_path / "data"),
        str(tmp_path / "out"),
        "--hold-out",
        "--epochs",
        "1",
        "--device",
        "cpu",
        "--workers",
        "1",
    ]
    assert command.main([*words, "--leads", "any"]) == 0
    said = capsys.readouterr()
    assert "Codes that challenge-2020 does not have (recordings): 12345 (16)" in said.err
    assert "No recording has" in said.err
    table = said.out.split("\n\n")[0]
    for count in (12, 6, 4, 3, 2):
        assert table.count(f"| tiny, {count} leads |") == 2  # in the database trained on, and in the other one
    folder = tmp_path / "out" / "tiny"
    assert len([path for path in folder.iterdir() if (path / "config.json").exists()]) == 1
    found = {n: Predictions.load(folder / f"predictions-{n}-leads.npz").probabilities for n in (6, 4, 3, 2)}
    twelve = Predictions.load(folder / "predictions.npz").probabilities
    np.testing.assert_allclose(found[6], found[2], atol=1e-4)
    np.testing.assert_allclose(found[4], found[3], atol=1e-4)
    assert np.abs(found[6] - found[4]).max() > 1e-3 and np.abs(found[4] - twelve).max() > 1e-3


def test_labels_of_another_set_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    write_recording(tmp_path / "data", "A0001", heart_like(2))
    assert command.main([str(tmp_path / "data"), str(tmp_path / "out"), "--diagnoses", "ptb-xl"]) == 2
    found = "expected recordings to test on with a diagnosis of ptb-xl, found none, but 426783006 of the set challenge"
    assert found in capsys.readouterr().err


def test_superclasses_have_columns_of_their_own():
    own = Diagnoses("own", ("code,superclass", "a,X", "b,X", "c,Y"))
    labels = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    scores = np.array([[0.9, 0.1, 0.2], [0.8, 0.1, 0.3], [0.1, 0.2, 0.7], [0.2, 0.1, 0.1]])
    result = Predictions(
        *(np.array(["x"] * 4) for _ in range(2)), np.full(4, True), labels, scores, scores > 0.5, "abc"
    )
    head, _, row = (line.split(" | ") for line in tables.format_databases({"m": result}, own).splitlines())
    assert head[-2:] == ["AUROC of superclasses", "AUPRC of superclasses |"]
    assert row[-2:] == ["1.000", "1.000 |"] and row[4].startswith("0.") and " to " in row[4]


@pytest.mark.parametrize("words", [("--epochs", "0"), ("--folds", "1"), ("--limit", "-1"), ("--workers", "0")])
def test_numbers_out_of_range_are_refused(tmp_path, capsys, words):
    assert command.main([str(tmp_path), str(tmp_path / "out"), *words]) == 2
    assert f"Invalid value for '{words[0]}': {words[1]}" in capsys.readouterr().err


def test_a_wrong_path_ends_with_a_sentence(tmp_path, capsys):
    assert command.main([str(tmp_path / "nowhere"), str(tmp_path / "out"), "--method", "zhao"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_least_sure_tenth_is_left_out():
    probabilities = np.zeros((20, 24))
    probabilities[:, 0] = np.linspace(0.55, 0.99, 20)
    labels = np.zeros((20, 24), dtype=bool)
    labels[:2, 1] = labels[2:, 0] = True  # wrong where it is least sure
    result = Predictions(
        records=np.array([f"T{k}" for k in range(20)]),
        databases=np.full(20, "Test"),
        in_database=np.full(20, True),
        labels=labels,
        probabilities=probabilities,
        outputs=probabilities > 0.5,
        classes=team_code.CLASSES,
    )
    row = tables.format_least_sure({"tiny": result}, CHALLENGE_2020).splitlines()[-1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[4] == "18"
    assert cells[5].startswith("1.000")
    assert float(cells[3].split()[0]) < 0.99
