"""Of two recordings of one name the first that can be read counts."""

import pytest
import torch

import team_code
from ecg.inference.run_folder import ClassifyOptions, run_folder
from ecg.model_folder.folder import load_model
from ecg.training.trainer import train
from tiny import heart_like, quick, tiny, write_recording


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    place = tmp_path_factory.mktemp("names")
    for k in range(6):
        write_recording(place / "data", f"HR{k:05d}", heart_like(2, seed=k), dx=("426783006", "426177001")[k % 2])
    train(tiny(), place / "data", place / "model", quick())
    return load_model(place / "model", {"tiny": tiny}, torch.device("cpu"))


@pytest.mark.parametrize("broken", ["a", "b"])
def test_a_broken_recording_does_not_hide_a_good_one_of_its_name(model, tmp_path, broken):
    for folder in ("a", "b"):
        write_recording(tmp_path / "data" / folder, "X00001", heart_like(2, seed=3))
    (tmp_path / "data" / broken / "X00001.mat").write_bytes(b"broken")
    outcome = run_folder(model, tmp_path / "data", tmp_path / "out", ClassifyOptions(workers=1))
    assert len(outcome.problems) == 1
    assert f"{broken}/X00001" in outcome.problems[0]
    text = (tmp_path / "out" / "X00001.csv").read_text().splitlines()
    assert len(text[1].split(",")) == len(team_code.CLASSES)
    assert any(float(score) > 0 for score in text[3].split(","))
