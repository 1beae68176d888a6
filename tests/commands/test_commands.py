"""The three commands as a user runs them: in processes of their own, from another folder, on good and bad input."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import driver
import helper_code
import team_code
import train_model
from ecg.commands import simulate
from tiny import heart_like, write_recording

ROOT = Path(team_code.__file__).parent
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
ENVIRONMENT.pop("PYTHONUNBUFFERED", None)  # what is printed is kept back, as for most users


def run(*words, cwd, script=None, check=None):
    command = [sys.executable, *([ROOT / script] if script else []), *map(str, words)]
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    if check is not None:
        assert done.returncode == check, done.stderr
    return done


def bytes_of(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path(folder).iterdir())}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Simulated recordings and a model trained on some of them by the command, read-only as the Challenge has it."""
    place = tmp_path_factory.mktemp("place")
    for name, records, seed in (("data", "12", "7"), ("input", "6", "8")):
        assert simulate.main([str(place / name), "--records", records, "--seed", seed]) == 0
    for path in (place / "data").iterdir():
        path.chmod(0o444)
    (place / "data").chmod(0o555)
    run("data", "model", "--folds", 1, "--epochs", 1, "--device", "cpu", cwd=place, script="train_model.py", check=0)
    return place


def test_train_drive_and_score_from_another_folder(place):
    run(place / "model", place / "input", place / "output", cwd="/", script="driver.py", check=0)
    for header in sorted((place / "input").glob("*.hea")):
        name, classes, labels, scores = helper_code.load_outputs(place / "output" / f"{header.stem}.csv")
        assert name == header.stem
        assert list(classes) == list(team_code.CLASSES)
        assert sum(labels) >= 1
        assert np.isfinite(np.asarray(scores, dtype=float)).all()
    scored = run(place / "input", place / "output", cwd="/", script="evaluate_model.py", check=0)
    assert "Challenge metric" in scored.stdout


@pytest.mark.slow
def test_the_model_folder_can_be_moved_and_gives_the_same_bytes_twice(place, tmp_path):
    run(place / "model", place / "input", tmp_path / "one", cwd=place, script="driver.py", check=0)
    moved = tmp_path / "elsewhere"
    (place / "model").rename(moved)
    try:
        run(moved, place / "input", tmp_path / "two", cwd="/", script="driver.py", check=0)
        run(moved, place / "input", tmp_path / "two", cwd="/", script="driver.py", check=0)
    finally:
        moved.rename(place / "model")
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


@pytest.mark.slow
def test_retraining_on_other_data_changes_what_the_driver_writes(place, tmp_path):
    run(
        place / "input",
        tmp_path / "model",
        "--folds",
        1,
        "--epochs",
        1,
        "--device",
        "cpu",
        cwd=place,
        script="train_model.py",
        check=0,
    )
    run(place / "model", place / "input", tmp_path / "one", cwd=place, script="driver.py", check=0)
    run(tmp_path / "model", place / "input", tmp_path / "two", cwd=place, script="driver.py", check=0)
    assert not set(bytes_of(tmp_path / "one").values()) & set(bytes_of(tmp_path / "two").values())


@pytest.mark.slow
def test_one_bad_recording_costs_the_others_nothing(place, tmp_path):
    data = tmp_path / "data"
    write_recording(data, "A0001", heart_like(seed=1))
    write_recording(data, "A0002", heart_like(seed=2)).with_suffix(".mat").write_bytes(b"not a recording")
    write_recording(data, "A0003", heart_like(seed=3))
    done = run(place / "model", data, tmp_path / "out", cwd=place, script="driver.py", check=1)
    assert "A0002" in done.stderr
    assert "2 recordings classified, 1 could not be" in done.stdout
    _, _, labels, scores = helper_code.load_outputs(tmp_path / "out" / "A0002.csv")
    assert not any(labels)
    assert not any(map(float, scores))
    for name in ("A0001", "A0003"):
        assert any(helper_code.load_outputs(tmp_path / "out" / f"{name}.csv")[2])
    run(place / "model", data, tmp_path / "out", "--allow-failures", cwd=place, script="driver.py", check=0)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("train_model.py", ("nowhere", "m")),
        ("train_model.py", ("empty", "m")),
        ("train_model.py", ("data", "m", "--folds", "11")),
        ("train_model.py", ("data", "m", "--epochs", "0")),
        ("driver.py", ("nowhere", "input", "out")),
        ("driver.py", ("model", "nowhere", "out")),
        ("driver.py", ("model", "empty", "out")),
        ("driver.py", ("model", "input", "out", "--workers", "0")),
        ("driver.py", ("model", "input", "out", "--device", "abacus")),
        ("driver.py", ("model", "input", "input/SIM00001.hea")),
    ],
)
def test_what_can_not_be_done_is_said_in_a_sentence_with_exit_status_2(place, script, words, monkeypatch, capsys):
    (place / "empty").mkdir(exist_ok=True)
    monkeypatch.chdir(place)
    assert {"driver.py": driver, "train_model.py": train_model}[script].main(list(words)) == 2
    said = capsys.readouterr().err
    assert re.search(rf"^({script}|Error): .*(expected|found|exists|Invalid value)", said, re.MULTILINE)
    assert not (place / "m" / "config.json").exists()
    assert not (place / "out").exists()


@pytest.mark.parametrize("script", ["train_model.py", "driver.py", "evaluate_model.py"])
def test_help_says_what_every_argument_is_with_an_example(script):
    done = run("--help", cwd="/", script=script, check=0)
    assert re.search(rf"examples:\s+python {script} \w+ \w+", done.stdout, re.IGNORECASE)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_training_that_is_stopped_goes_on_to_the_model_of_an_undisturbed_one(place, tmp_path, stop):
    words = ("data", tmp_path / "model", "--folds", "1", "--epochs", "3", "--device", "cpu", "--limit", "10")
    undisturbed = (*words[:1], tmp_path / "undisturbed", *words[2:])
    with subprocess.Popen(
        [sys.executable, ROOT / "train_model.py", *map(str, words)],
        cwd=place,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        for line in process.stderr:
            if "epoch 1/3: loss" in line:
                deadline = time.monotonic() + 60
                while not (tmp_path / "model/.training-state/member-1.ckpt").exists() and time.monotonic() < deadline:
                    time.sleep(0.01)
                process.send_signal(stop)
                break
        said = process.stderr.read()
        assert "Traceback" not in said
    assert process.returncode == (130 if stop == signal.SIGINT else -signal.SIGKILL), said
    assert not (tmp_path / "model/config.json").exists()
    again = run(*words, cwd=place, script="train_model.py", check=0)
    assert "continuing after epoch" in again.stderr
    run(*undisturbed, cwd=place, script="train_model.py", check=0)
    assert bytes_of(tmp_path / "model") == bytes_of(tmp_path / "undisturbed")


ENDS_BADLY = """
import atexit, os, sys
from joblib import Parallel, delayed
from ecg.runtime.command import leave

class Library:
    def __del__(self):
        os.abort()

kept = Library()
atexit.register(print, "tidied")
print("written", sum(Parallel(2)(delayed(abs)(k) for k in range(4))))
leave(3)
"""


def test_a_command_ends_with_its_status_where_a_library_would_abort_the_interpreter_s_end():
    done = run("-c", ENDS_BADLY, cwd=ROOT, check=3)
    assert done.stdout == "written 6\ntidied\n"
    assert run("-c", ENDS_BADLY.replace("leave(3)", "sys.exit(3)"), cwd=ROOT).returncode == -signal.SIGABRT


LEAVES = "from ecg.runtime.command import leave; print(1); leave({status})"


def test_what_could_not_be_printed_is_not_lost_in_silence():
    command = [sys.executable, "-c", LEAVES.format(status=0)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 120 and "No space left" in done.stderr


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_a_command_without_an_output_or_error_stream_ends_with_its_status(closed):
    command = f'{sys.executable} -c "{LEAVES.format(status=3)}" {closed}'
    assert subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, shell=True).returncode == 3


STOPPED_TWICE = """
import os, signal, sys, threading, time
from ecg.runtime.command import leave

def stop_again():
    while sys._current_frames()[threading.main_thread().ident].f_code.co_name != "_shutdown":  # where it waits for this
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)

threading.Thread(target=stop_again).start()
leave(130)
"""


def test_who_stops_a_command_twice_does_not_wait_for_its_threads():
    done = run("-c", STOPPED_TWICE, cwd=ROOT, check=130)
    assert done.stderr == ""


SCRIPTS = [path for path in sorted([*ROOT.glob("*.py"), *ROOT.glob("ecg/**/*.py")]) if "__main__" in path.read_text()]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_leaves_that_way(path):
    assert path.read_text().endswith('if __name__ == "__main__":\n    leave(main())\n')


def test_the_shipped_model_says_what_it_is_and_classifies_in_a_fresh_folder(place, tmp_path):
    config = json.loads((ROOT / "model" / "config.json").read_text())
    assert config["method"] in team_code.METHODS
    assert sum(path.stat().st_size for path in (ROOT / "model").glob("*.safetensors")) <= 20_000_000
    assert driver.main([*map(str, (ROOT / "model", place / "input", tmp_path / "out")), "--workers", "1"]) == 0
    assert len(list((tmp_path / "out").glob("*.csv"))) == 6


def test_the_former_name_of_members_still_works(monkeypatch):
    given = []
    monkeypatch.setattr(team_code, "training_code", lambda *_, members, **__: given.append(members))
    for word in ("--members", "--folds"):
        monkeypatch.setattr("sys.argv", ["train_model.py", "data", "model", word, "3"])
        assert train_model.main() == 0
    assert given == [3, 3]
