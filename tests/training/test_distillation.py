"""Distillation: what the one network is taught, that it is stored as its own model, and who can be its teacher."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import team_code
from ecg.commands import distill as command
from ecg.decisions.adaptation import Adaptation
from ecg.examination.examine import Examination
from ecg.inference.predict import Item, predict
from ecg.io.formats import read
from ecg.methods.base import demographic_features
from ecg.methods.hybrid import hybrid
from ecg.model_folder.folder import load_model
from ecg.training import distillation
from ecg.training.dataset import build_dataset
from ecg.training.distillation import TEACHERS_SHARE, distill
from ecg.training.trainer import train
from tiny import heart_like, quick, tiny, write_recording

CPU = torch.device("cpu")
CODES = ("426783006", "426177001", "427084000")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("distillation")
    for k in range(15):
        write_recording(place / "data", f"HR{k:05d}", heart_like(3, seed=k), dx=CODES[k % 3])
    train(tiny(), place / "data", place / "teacher", quick(members=2))
    return place


@pytest.fixture(autouse=True)
def few_simulated(monkeypatch):
    monkeypatch.setattr(distillation, "SIMULATED_SHARE", 0.2)


def teacher_of(place):
    return load_model(place / "teacher", {"tiny": tiny}, CPU)


def age_alone(examination):
    return demographic_features(examination)[:1]


def test_targets_are_labels_and_the_ensembles_probabilities_in_equal_parts(place, tmp_path, monkeypatch):
    seen = {}

    def remember(method, dataset, training_rows, validation_rows, options):
        seen.update(dataset=dataset, training=training_rows, validation=validation_rows)
        raise RuntimeError("seen")

    monkeypatch.setattr(distillation, "train_member", remember)
    teacher = teacher_of(place)
    with pytest.raises(RuntimeError, match="seen"):
        distill(teacher, tiny(simulated_share=0.3, features=age_alone), place / "data", tmp_path / "student", quick())
    dataset = seen["dataset"]
    assert dataset.n_recorded == 15
    assert len(dataset) == 18
    assert sorted([*seen["training"], *seen["validation"]]) == list(range(18))
    assert set(seen["validation"]) <= set(range(15))
    method = teacher.method
    examined = Examination(read(place / "data" / "HR00004.hea"), method.input)
    assert np.array_equal(dataset.features(4), examined.features)  # all that the teacher has
    item = Item(0, examined.prepared, examined.features)
    [(_, members)] = predict(method, teacher.networks, [item], CPU)
    label = np.array([code == CODES[1] for code in team_code.CLASSES])
    wanted = (1 - TEACHERS_SHARE) * label + TEACHERS_SHARE * members.mean(axis=0)
    np.testing.assert_allclose(dataset.targets[4], wanted, atol=0.01)  # batches in bfloat16 where there is
    assert np.array_equal(dataset.labels[4], label)


def test_the_distilled_network_is_a_model_of_its_own(place, tmp_path):
    teacher = teacher_of(place)
    distill(teacher, tiny(), place / "data", tmp_path / "student", quick())
    student = load_model(tmp_path / "student", {"tiny": tiny}, CPU)
    assert len(student.networks) == 1
    assert student.config["training"]["distilled_from"] == [row["sha256"] for row in teacher.config["members"]]
    assert student.config["training"]["recordings"] == 15
    assert sorted(path.name.split("-")[0] for path in (tmp_path / "student").iterdir()) == [
        "config.json",
        "history.csv",
        "member",
    ]


def test_a_teacher_with_other_preprocessing_is_refused(place, tmp_path):
    with pytest.raises(ValueError, match="preprocessing of hybrid, found tiny"):
        distill(teacher_of(place), hybrid(measurements=False), place / "data", tmp_path / "s", quick())
    assert not (tmp_path / "s").exists()


def test_an_adapted_teacher_is_refused(place, tmp_path):
    adapted = replace(teacher_of(place), adaptation=Adaptation(np.eye(24), np.zeros(24)))
    with pytest.raises(ValueError, match="expected a model that is not adapted, found an adapted one"):
        distill(adapted, tiny(), place / "data", tmp_path / "student", quick())
    assert not (tmp_path / "student").exists()


def test_the_ensembles_own_folder_is_refused(place, capsys):
    words = ["--model", str(place / "teacher"), str(place / "data"), str(place / "teacher")]
    assert command.main(words) == 2
    assert "expected another folder than that of the ensemble" in capsys.readouterr().err


# --- Half labels


def test_a_recording_whose_only_label_counts_half_is_trained_on(tmp_path):
    method = hybrid(measurements=False)
    time = np.arange(2500) / 250
    slow = np.tile(np.exp(-0.5 * (((time - 0.3) % 1.2 - 0.1) / 0.015) ** 2), (12, 1)).astype(np.float32)  # 50/min
    write_recording(tmp_path / "data", "HR00001", slow, fs=250, dx="426783006")
    write_recording(tmp_path / "data", "HR00002", heart_like(3), dx="426177001")
    method = replace(method, training=replace(method.training, simulated_share=0.0))
    dataset, problems = build_dataset(method, tmp_path / "data", tmp_path / "cache", workers=1)
    assert [entry.recording_id for entry in dataset.entries] == ["HR00001", "HR00002"]
    assert problems == []
    normal = team_code.CLASSES.index("426783006")
    assert dataset.targets[0, normal] == 0.5
    assert dataset.labels[0, normal]
    stored = json.loads((tmp_path / "cache" / "preprocessed.json").read_text())
    assert stored["unused"] == 0
