"""Kills, full disks, read-only folders, dying workers, little memory, Ctrl-C: whole or absent; a rerun continues."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import driver
import helper_code
import team_code
import train_model
from commands import (
    ENVIRONMENT,
    ROOT,
    can_unshare,
    command,
    drop_file_rights,
    modes_can_bind,
    run,
    visible_bytes,
    write_recordings,
)
from ecg.inference import computing
from ecg.training.dataset import build_dataset
from ecg.training.options import TrainingOptions
from ecg.training.trainer import train
from tiny import heart_like, quick, tiny, write_recording

N_RECORDINGS = 12


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Recordings, a tiny model of them, and its outputs for them in an undisturbed run."""
    place = tmp_path_factory.mktemp("place")
    write_recordings(place / "data", N_RECORDINGS)
    train(tiny(), place / "data", place / "model", quick())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(team_code.METHODS, "tiny", tiny)
        assert driver.main([str(place / name) for name in ("model", "data", "out")]) == 0
    return place


# --- Kills


@pytest.mark.slow
@pytest.mark.parametrize("name", ["driver", "train_model"])
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path, name):
    write_recordings(tmp_path / "data", 5)
    if name == "driver":
        train(tiny(), tmp_path / "data", tmp_path / "model", quick())
        words, at_least = (1, tmp_path / "model", tmp_path / "data", tmp_path / "out", "--workers", 1), 15
    else:
        words, at_least = (
            (3, tmp_path / "data", tmp_path / "out", "--folds", 1, "--epochs", 2, "--device", "cpu", "--workers", 1),
            5,
        )
    script = Path(__file__).resolve().parents[1] / "kill_everywhere.py"
    done = subprocess.run(
        [sys.executable, script, name, tmp_path / "out", *map(str, words)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= at_least


def test_a_temporary_file_that_another_process_has_just_renamed_stops_nobody(tmp_path):
    (tmp_path / f".{'a' * 32}.part").symlink_to(tmp_path / "gone")  # found in the folder, and no longer there
    helper_code.remove_leftovers(tmp_path)


def test_temporary_files_that_a_kill_left_are_removed_by_a_later_run_but_not_those_in_the_making(place, tmp_path):
    old, new, other = (tmp_path / name for name in (f".{'a' * 32}.part", f".{'b' * 32}.part", ".mine.part"))
    for file in (old, new, other):
        file.write_text("half")
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    helper_code.remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([new, other])


# --- Disks


# Runs a command with a small disk mounted on $DISK, and copies what is on it to $SAVED before it is gone again.
ON_SMALL_DISK = 'mount -t tmpfs -o size=$SIZE none "$DISK" && "$@"; status=$?; cp -a "$DISK" "$SAVED"; exit $status'


@pytest.mark.slow
@pytest.mark.skipif(not can_unshare("-rm"), reason="this machine allows no mounts of one's own")
@pytest.mark.parametrize(("name", "spare"), [("driver", 0), ("train_model", -50), ("train_model", 12)])
def test_a_full_disk_ends_in_a_sentence_and_leaves_whole_files(place, tmp_path, name, spare):
    disk, saved = tmp_path / "disk", tmp_path / "saved"
    disk.mkdir()
    said = r"can't be written: No space left on device: '\S*"
    if name == "driver":  # every output takes one page of 4 kB
        size, words, said = "32k", (place / "model", place / "data", disk), said + r"HR\d+\.csv'"
    else:  # too small for the recordings, or for what is written after them
        headers = map(helper_code.read_header, sorted(map(str, (place / "data").rglob("*.hea"))))
        needed = sum(header.n_samples / header.sampling_frequency for header in headers) * 12 * 4 * 257
        size, words = f"{needed // 1024 + spare:.0f}k", (place / "data", disk, "--folds", 1, "--epochs", 1)
        said = said + "training-state/" if spare > 0 else r"expected \S+ MB free, found "
    within = ["unshare", "-rm", "sh", "-c", ON_SMALL_DISK, "sh", *command(name, *words)]
    environment = {**ENVIRONMENT, "SIZE": size, "DISK": str(disk), "SAVED": str(saved)}
    done = subprocess.run(within, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert re.search(rf"^{name}\.py: .*{said}", done.stderr, re.M), done.stderr
    assert "Traceback" not in done.stderr
    found = visible_bytes(saved)
    if name == "driver":
        assert 3 <= len(found) < N_RECORDINGS
        assert found.items() <= visible_bytes(place / "out").items()
        run("driver", place / "model", place / "data", saved, "--resume", check=0)
        assert visible_bytes(saved) == visible_bytes(place / "out")
    else:
        assert set(found) <= {".training-state/preprocessed.f32", ".training-state/preprocessed.json"}
        run(name, place / "data", saved, "--folds", 1, "--epochs", 1, check=0)
        assert visible_bytes(saved) == visible_bytes(place / "model")


@pytest.mark.parametrize("file", ["member-1.ckpt", "preprocessed.json", "config.json", ".safetensors"])
def test_a_disk_that_is_full_later_in_training_loses_no_finished_epoch(place, tmp_path, monkeypatch, file):
    write = helper_code.write_file

    def full(path, data):
        if str(path).endswith(file):
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
                write(path, data)
        write(path, data)

    arguments = {"members": 1, "epochs": 1, "workers": 1, "device": "cpu"}
    with monkeypatch.context() as patch:
        for module in ("model_folder.folder", "training.member", "training.dataset"):
            patch.setattr(f"ecg.{module}.write_file", full)
        with pytest.raises(OSError, match=rf"can't be written: No space left on device: '.*{re.escape(file)}'"):
            train(tiny(), place / "data", tmp_path / "model", TrainingOptions(**arguments))
    assert not (tmp_path / "model" / "config.json").exists()
    assert not list(tmp_path.rglob("*.part"))
    train(tiny(), place / "data", tmp_path / "model", TrainingOptions(**arguments))
    assert visible_bytes(tmp_path / "model") == visible_bytes(place / "model")


@pytest.mark.slow
@pytest.mark.skipif(not modes_can_bind(), reason="file modes bind nobody here: root with rights that can't be dropped")
def test_a_read_only_output_folder_is_said_before_any_work(place, tmp_path):
    folder = tmp_path / "sealed"
    folder.mkdir(mode=0o555)
    words = {"driver": (place / "model", place / "data", folder), "train_model": (place / "data", folder)}
    for name, arguments in words.items():
        done = run(name, *arguments, check=2, preexec_fn=drop_file_rights)
        assert re.search(rf"^{name}\.py: .*Permission denied: '{folder}.*'$", done.stderr, re.M), done.stderr
        assert "Classifying" not in done.stderr
        assert "Reading" not in done.stderr


@pytest.mark.parametrize("command_", [driver, train_model])
def test_an_output_folder_that_can_not_be_made_is_said(place, tmp_path, monkeypatch, capsys, command_):
    (tmp_path / "file").touch()
    monkeypatch.setitem(team_code.METHODS, "tiny", tiny)
    words = [place / "data", tmp_path / "file" / "out"]
    monkeypatch.setattr("sys.argv", list(map(str, ["", *([place / "model"] if command_ is driver else []), *words])))
    assert command_.main() == 2
    assert re.search(
        rf"^{command_.__name__}\.py: {tmp_path}/file.*: expected a folder .*, found a file",
        capsys.readouterr().err,
        re.M,
    )


# --- A worker that dies


def kill_own_worker(signal_, fs):
    """Preprocessing that ends the worker process that gets to a recording of 3 s."""
    if signal_.shape[1] == 3 * fs:
        os.kill(os.getpid(), signal.SIGKILL)
    return tiny().input.preprocess(signal_, fs)


def test_a_recording_that_ends_the_process_that_reads_it_costs_training_no_other(place, tmp_path):
    expected, _ = build_dataset(tiny(), place / "data", tmp_path / "one", workers=1)
    shutil.copytree(place / "data", tmp_path / "data")
    write_recording(tmp_path / "data", "DEADLY", heart_like(3))
    found, problems = build_dataset(tiny(preprocess=kill_own_worker), tmp_path / "data", tmp_path / "two", workers=2)
    assert [problem.split(": ")[0] for problem in problems] == [str(tmp_path / "data" / "DEADLY.hea")]
    assert found.entries == expected.entries
    assert all(np.array_equal(found.signal(k), expected.signal(k)) for k in range(len(expected)))


# --- Memory


@pytest.mark.slow
def test_the_driver_gets_by_with_a_gigabyte(tmp_path):
    """The shipped network, recordings of 10 s and one of 2 minutes at 1000 Hz, four readers.

    The limit is on data (RLIMIT_DATA: all private writable memory, touched or not), which is stricter than a limit on
    resident memory; one on address space (RLIMIT_AS) would also count the code of torch's libraries.
    """
    write_recordings(tmp_path / "in", 6, seconds=10)
    write_recording(tmp_path / "in", "LONG", heart_like(120, fs=1000), fs=1000)
    run(
        "driver.py",
        ROOT / "model",
        tmp_path / "in",
        tmp_path / "out",
        "--workers",
        4,
        "--device",
        "cpu",
        check=0,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (10**9, 10**9)),
    )
    assert len(visible_bytes(tmp_path / "out")) == 7


@pytest.mark.parametrize(
    "want", [lambda *_, **__: np.empty(2**60, np.uint8), lambda *_, **__: torch.empty(2**60)], ids=["numpy", "torch"]
)
def test_want_of_memory_ends_in_a_sentence(place, tmp_path, monkeypatch, capsys, want):
    monkeypatch.setitem(team_code.METHODS, "tiny", tiny)
    monkeypatch.setattr(computing, "predict", want)
    monkeypatch.setattr("sys.argv", ["driver.py", *map(str, (place / "model", place / "data", tmp_path / "out"))])
    assert driver.main() == 2
    assert "driver.py: expected enough memory, found too little" in capsys.readouterr().err


# --- Ctrl-C


def interrupt(words, when):
    """Start a command, send it SIGINT as a terminal does when `when(process)` is true; its status and what it said."""
    process = subprocess.Popen(
        words, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while process.poll() is None and not when(process):
        time.sleep(0.002)
    assert process.poll() is None, process.stderr.read()
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert "Traceback" not in said
    return process.returncode, said


def test_ctrl_c_while_torch_is_loaded_ends_with_130_and_no_traceback(tmp_path):
    def loads_torch(process):
        return "libtorch" in Path(f"/proc/{process.pid}/maps").read_text()

    status, said = interrupt(command("driver.py", ROOT / "model", tmp_path, tmp_path / "out"), loads_torch)
    assert (status, said.startswith("driver.py: stopped")) == (130, True)


@pytest.mark.slow
def test_ctrl_c_while_classifying_ends_with_130_and_whole_outputs_and_resume_classifies_the_rest(place, tmp_path):
    write_recordings(tmp_path / "in", 60)
    words = ("driver", place / "model", tmp_path / "in", tmp_path / "out")
    status, said = interrupt(command(*words), lambda _: len(list(tmp_path.glob("out/*.csv"))) >= 3)
    assert status == 130
    assert "driver.py: stopped; outputs written so far are whole, the same command with --resume" in said
    for output in tmp_path.glob("out/*.csv"):
        assert len(helper_code.load_outputs(output)[1]) == 24
    run(*words, "--resume", check=0)
    assert len(visible_bytes(tmp_path / "out")) == 60
