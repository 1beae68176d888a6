"""Parts of a validation: the recordings that validate, the databases, and disturbed recordings."""

import hashlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ecg.io.errors import RecordingError
from ecg.io.recording import Recording
from ecg.labels.diagnoses import CHALLENGE_2020
from ecg.studies import cross_validation as study
from ecg.studies.cross_validation import Options, Split, Validation, hold_out_split, validation_part
from tiny import changed, random_dataset, tiny

CLASSES = CHALLENGE_2020.classes
DATABASES = ["A", "A", "A", "A", "B", "B", "C"]


def validation(tmp_path, split, *, folds=None, **options):
    """A validation of seven recordings that are not trained on; answers tell their rows."""
    dataset = random_dataset(len(DATABASES))
    folds = folds or [0] * len(DATABASES)
    dataset.entries = [
        replace(entry, database=name, fold=fold)
        for entry, name, fold in zip(dataset.entries, DATABASES, folds, strict=True)
    ]
    made = object.__new__(Validation)
    made.label, made.method, made.builders = "tiny", tiny(), {}
    made.options = Options(tmp_path, tmp_path, split, **options)
    made.folder, made.dataset, made.entries = tmp_path, dataset, dataset.entries
    made.databases = np.array(DATABASES)
    made.device = "cpu"
    made.splits = made._make_splits()
    return made


def answers(split, name, suffix, disturb):
    rows = split.test
    return {
        "rows": rows,
        "probabilities": np.outer(rows, np.ones(24)),
        "outputs": np.outer(rows % 2 == 1, np.ones(24, bool)),
    }


@pytest.mark.parametrize(("split", "inside"), [("folds", DATABASES), ("databases", []), ("hold-out", ["A"])])
def test_predictions_tell_which_databases_were_trained_on(tmp_path, monkeypatch, split, inside):
    made = validation(tmp_path, split, folds=[1, 2, 3, 4, 1, 2, 3], n_folds=3)
    monkeypatch.setattr(made, "_answers", answers)
    found = made.predictions("6 leads, V1")
    tested = found.probabilities[:, 0].astype(int)
    assert sorted(tested) == ([3, 4, 5, 6] if split == "hold-out" else list(range(7)))
    assert found.records.tolist() == [made.entries[row].recording_id for row in tested]
    assert found.databases.tolist() == [DATABASES[row] for row in tested]
    assert found.in_database.tolist() == [DATABASES[row] in inside for row in tested]
    np.testing.assert_array_equal(found.labels, made.dataset.labels[tested])
    np.testing.assert_array_equal(found.outputs[:, 5], tested % 2 == 1)
    assert (tmp_path / "predictions-6-leads-V1.npz").exists()


def test_the_last_fold_is_that_of_the_largest_database():
    databases, folds = np.array(["A", "A", "A", "B", "B"]), np.array([0, 1, 1, 0, 2])
    split = hold_out_split(databases, folds)
    assert (split.training.tolist(), split.test.tolist()) == ([0], [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("given", "tested"), [([1, 2, 3, 9, 0, 0, 0], 1), ([1] * 7, None), ([0] * 7, None), ([1, 1, 2, 2, 0, 0, 0], 2)]
)
def test_a_hold_out_takes_the_given_folds_where_there_are_two(tmp_path, monkeypatch, given, tested):
    asked = []
    real = study.Dataset.split
    monkeypatch.setattr(study.Dataset, "split", lambda *words: asked.append(words[2:]) or real(*words))
    made = validation(tmp_path, "hold-out", folds=given, seed=5)
    assert asked == [(max(given) if tested else 10, 5)]
    if tested:
        assert sum(DATABASES[row] == "A" for row in made.splits[0].test) == tested


def test_given_folds_are_numbered_anew_and_one_of_them_validates():
    dataset = random_dataset(60)
    dataset.entries = [replace(entry, fold=(3, 5, 9)[k % 3]) for k, entry in enumerate(dataset.entries)]
    part = validation_part(dataset, np.arange(10, 60), seed=1)
    assert len({dataset.entries[10 + k].fold for k in np.flatnonzero(part)}) == 1
    assert 15 <= part.sum() <= 18


def test_a_recording_is_read_again_from_the_file_with_its_samples(tmp_path, monkeypatch):
    made = validation(tmp_path, "folds", n_folds=2, workers=1)
    signals = {f"{folder}/T000.hea": np.full((12, 600), size, np.float32) for size, folder in enumerate("abc", 1)}

    def read(path):
        name = f"{path.parent.name}/{path.name}"
        if name.startswith("a"):
            raise RecordingError("broken")
        return Recording(signals[name], 500.0, age=33, sex="Male")

    digest = hashlib.sha256(signals["c/T000.hea"].tobytes()).hexdigest()
    made.dataset.entries[0] = replace(made.entries[0], digest=digest)
    monkeypatch.setattr(study, "find_recordings", lambda data: [f"x/{name}" for name in reversed(signals)])
    monkeypatch.setattr(study, "read", read)
    monkeypatch.setattr(study, "Examination", lambda recording, given: SimpleNamespace(
        prepared=recording.signal, features=(recording.sampling_frequency, recording.age, recording.sex)))  # fmt: skip
    [(signal, facts)] = made._disturbed_inputs(np.array([0]), lambda signal, rate: (2 * signal, rate / 2))
    assert signal.max() == 6 and facts == (250.0, 33, "Male")
    del signals["c/T000.hea"]
    with pytest.raises(
        RecordingError, match=r"T000\.hea: expected the samples that were there when this command began"
    ):
        list(made._disturbed_inputs(np.array([0]), lambda signal, rate: (signal, rate)))


def test_recordings_without_a_label_are_not_tested_and_what_is_stored_is_taken(tmp_path, monkeypatch):
    made, asked = validation(tmp_path, "folds", n_folds=2), []
    made.dataset.labels[2] = False

    def train(method, dataset, split, folder, options, device):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        asked.append("trained")

    monkeypatch.setattr(study, "_key", lambda *words: "split-1")
    monkeypatch.setattr(study, "train_split", train)
    monkeypatch.setattr(study, "load_model", lambda *words: "model")
    monkeypatch.setattr(study, "predict_rows", lambda model, rows, inputs: asked.append(list(rows)) or {"rows": rows})
    split = Split("one", np.array([0, 1]), np.array([2, 3, 6]))
    for suffix in ("", "-hum", "-hum"):
        assert made._answers(split, "hum", suffix, None)["rows"].tolist() == [3, 6]
    assert asked == ["trained", [3, 6], [3, 6]]
    assert {path.name for path in tmp_path.iterdir()} == {"split-1", "split-1.npz", "split-1-hum.npz"}


@pytest.mark.parametrize("split", ["folds", "databases", "hold-out"])
def test_simulated_recordings_are_neither_tested_nor_counted_for_what_no_recording_has(
    tmp_path, monkeypatch, capsys, split
):
    recorded, asked = random_dataset(20), []
    entries = [replace(entry, database="AB"[k % 2]) for k, entry in enumerate(recorded.entries)]
    simulated = [replace(entry, labels=CLASSES, database="simulated", fold=9) for entry in entries[:9]]
    dataset = study.Dataset([*entries, *simulated], recorded._signals, n_simulated=9, unknown={"1234": 2})

    def build(method, data, cache, **how):
        used = method.training.use_for_training(np.zeros(24, bool), 0.1)
        asked.append((data, cache, used, how))
        return dataset, ["x.hea: broken"]

    monkeypatch.setattr(study, "build_dataset", build)
    method = changed(tiny(), use_for_training=lambda labels, seconds: False)
    labels = object()
    options = Options(tmp_path / "data", tmp_path, split, n_folds=2, limit=7, workers=1, labels=labels, device="cpu")
    found = Validation("tiny:a=1,b=2", method, {}, options)
    how = {"workers": 1, "limit": 7, "statements": labels}
    assert asked == [(tmp_path / "data", tmp_path / "tiny-a=1-b=2" / "cache", True, how)]
    assert all(sorted([*each.training, *each.test]) == list(range(20)) for each in found.splits)
    names = [row.abbreviation for row in method.diagnoses.rows[3:]]
    assert capsys.readouterr().err.splitlines() == [
        "Left out: x.hea: broken",
        "Codes that challenge-2020 does not have (recordings): 1234 (2)",
        f"No recording has {', '.join(names)}: of a diagnosis without positives nothing is learned",
    ]
