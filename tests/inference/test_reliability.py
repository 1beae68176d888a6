"""Long runs in small."""

import os
import threading

import torch

import helper_code
from commands import write_recordings
from ecg.inference import run_folder as driving
from ecg.inference.predict import batching
from ecg.model_folder.folder import load_model
from ecg.runtime.device import pick_device
from ecg.training.trainer import train
from tiny import quick, tiny


def test_many_recordings_are_read_only_so_far_ahead_and_counted_truly(tmp_path, monkeypatch, capsys):
    """Of 1,500 recordings no more than a few are in memory at once, however much faster reading is than the network."""
    write_recordings(tmp_path / "few", 5)
    train(tiny(), tmp_path / "few", tmp_path / "model", quick())
    for number in range(1500):
        folder = tmp_path / "many" / f"ward{number // 500}"
        folder.mkdir(parents=True, exist_ok=True)
        for suffix in (".hea", ".mat"):
            os.link(tmp_path / "few" / f"HR{number % 5:05d}{suffix}", folder / f"W{number:05d}{suffix}")
    lock, counts = threading.Lock(), {"read": 0, "written": 0, "ahead": 0}
    read, save = helper_code.read_recording, helper_code.save_outputs

    def counting_read(path):
        with lock:
            counts["read"] += 1
            counts["ahead"] = max(counts["ahead"], counts["read"] - counts["written"])
        return read(path)

    def counting_save(*arguments):
        with lock:
            counts["written"] += 1
        save(*arguments)

    monkeypatch.setattr(driving, "read_signal", counting_read)
    monkeypatch.setattr(driving, "save_outputs", counting_save)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    model = load_model(tmp_path / "model", {"tiny": tiny}, pick_device("cpu"))
    outcome = driving.run_folder(model, tmp_path / "many", tmp_path / "out", workers=2)
    assert (outcome.classified, outcome.problems) == (1500, [])
    assert len(list((tmp_path / "out").glob("*.csv"))) == 1500
    assert "Classifying: 100% 1500/1500" in capsys.readouterr().err
    plan = batching(torch.device("cpu"))
    assert counts["ahead"] <= 4 * 2 + (2 * plan.at_once + 1) * plan.n_recordings < 1500 / 2
