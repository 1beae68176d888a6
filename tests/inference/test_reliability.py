"""Long runs in small."""

import os
from multiprocessing import Lock, Value

import torch

from commands import write_recordings
from ecg.inference import run_folder as driving
from ecg.inference.computing import Computing
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
    # Shared with the workers.
    lock, counts = Lock(), {name: Value("i", 0) for name in ("read", "written", "taken", "ahead", "waiting")}
    read, save, note = driving.read, driving.save_outputs, driving.Run.note

    def counting_read(path):
        with lock:
            counts["read"].value += 1
            for most, done in (("ahead", "written"), ("waiting", "taken")):
                counts[most].value = max(counts[most].value, counts["read"].value - counts[done].value)
        return read(path)

    def counting_save(*arguments):
        with lock:
            counts["written"].value += 1
        save(*arguments)

    def counting_note(*arguments):
        with lock:
            counts["taken"].value += 1
        note(*arguments)

    monkeypatch.setattr(driving, "read", counting_read)
    monkeypatch.setattr(driving, "save_outputs", counting_save)
    monkeypatch.setattr(driving.Run, "note", counting_note)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    model = load_model(tmp_path / "model", {"tiny": tiny}, pick_device("cpu"))
    outcome = driving.run_folder(model, tmp_path / "many", tmp_path / "out", ClassifyOptions(workers=2))
    assert (outcome.classified, outcome.problems) == (300, [])
    assert len(list((tmp_path / "out").glob("*.csv"))) == 300
    assert "Classifying: 100% 300/300" in capsys.readouterr().err
    size = Computing(torch.device("cpu"), deterministic=False).group_size(300)
    assert 0 < counts["ahead"].value <= 2 * size  # each of two workers has read a group, and not yet written it
    assert counts["waiting"].value < 300 / 2  # what the workers have finished is taken, before they go on
