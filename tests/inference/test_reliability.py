"""Long runs in small."""

import os
from multiprocessing import Lock, Value

import torch

from commands import write_recordings
from ecg.inference import run_folder as driving
from ecg.inference.predict import batching
from ecg.inference.run_folder import ClassifyOptions
from ecg.model_folder.folder import load_model
from ecg.runtime.device import pick_device
from ecg.training.trainer import train
from tiny import quick, tiny


def test_many_recordings_are_read_only_so_far_ahead_and_counted_truly(tmp_path, monkeypatch, capsys):
    """Of 300 recordings no more than a few are in memory at once, however much faster reading is than the network."""
    write_recordings(tmp_path / "few", 5)
    train(tiny(), tmp_path / "few", tmp_path / "model", quick())
    for number in range(300):
        folder = tmp_path / "many" / f"ward{number // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        for suffix in (".hea", ".mat"):
            os.link(tmp_path / "few" / f"HR{number % 5:05d}{suffix}", folder / f"W{number:05d}{suffix}")
    lock, counts = Lock(), {name: Value("i", 0) for name in ("read", "written", "ahead")}  # shared with the workers
    read, save = driving.read, driving.save_outputs

    def counting_read(path):
        with lock:
            counts["read"].value += 1
            counts["ahead"].value = max(counts["ahead"].value, counts["read"].value - counts["written"].value)
        return read(path)

    def counting_save(*arguments):
        with lock:
            counts["written"].value += 1
        save(*arguments)

    monkeypatch.setattr(driving, "read", counting_read)
    monkeypatch.setattr(driving, "save_outputs", counting_save)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    model = load_model(tmp_path / "model", {"tiny": tiny}, pick_device("cpu"))
    outcome = driving.run_folder(model, tmp_path / "many", tmp_path / "out", ClassifyOptions(workers=2))
    assert (outcome.classified, outcome.problems) == (300, [])
    assert len(list((tmp_path / "out").glob("*.csv"))) == 300
    assert "Classifying: 100% 300/300" in capsys.readouterr().err
    plan = batching(torch.device("cpu"))
    assert 0 < counts["ahead"].value <= 4 * 2 + (2 * plan.at_once + 1) * plan.n_recordings < 300 / 2
