"""The organisers' own files laid over the entry's, as the Challenge does: it must still run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import helper_code
import team_code
from commands import ENVIRONMENT
from tiny import heart_like, quick, tiny, write_recording

ROOT = Path(__file__).resolve().parent.parent

# No name of ours in it; what the organisers' test script itself needs.
HELPER_2021 = """
import os

def find_challenge_files(folder):
    roots = sorted(os.path.join(folder, name[:-4]) for name in os.listdir(folder) if name.endswith(".hea"))
    return [root + ".hea" for root in roots], [root + ".mat" for root in roots]

def load_header(path):
    with open(path) as file:
        return file.read()

def load_recording(path):
    from scipy.io import loadmat
    return loadmat(path)["val"]
"""
TEST_SCRIPT_2021 = """
import os, sys
from helper_code import *
from team_code import load_model, run_model

model_folder, data_folder, output_folder = sys.argv[1:]
model = load_model(model_folder, ("I", "II"))
for header_file, recording_file in zip(*find_challenge_files(data_folder)):
    classes, labels, probabilities = run_model(model, load_header(header_file), load_recording(recording_file))
    name = os.path.basename(header_file)[:-4] + ".csv"
    with open(os.path.join(output_folder, name), "w") as file:
        for line in ([os.path.basename(name)[:-4]], classes, map(str, labels), map(str, probabilities)):
            file.write(("#" if len(line := list(line)) == 1 else "") + ",".join(line) + "\\n")
"""
# In the style of 2020's own driver: the whole evaluation script is the organisers' too.
NOTHING_OF_OURS = "import numpy as np\n"


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    """A copy of the entry with a tiny model, and the organisers' files over it."""
    folder = tmp_path_factory.mktemp("entry")
    for name in ("team_code.py", "train_model.py", "driver.py", "weights.csv"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "ecg", folder / "ecg", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "helper_code.py").write_text(HELPER_2021)
    (folder / "evaluate_model.py").write_text(NOTHING_OF_OURS)
    (folder / "test_model.py").write_text(TEST_SCRIPT_2021)
    for number in range(6):
        write_recording(folder / "data", f"HR{number:05d}", heart_like(2, seed=number))
    from ecg.training.trainer import train

    train(tiny(), folder / "data", folder / "model", quick())
    config = folder / "model" / "config.json"
    with (folder / "team_code.py").open("a") as code:  # the tiny method in the registry
        code.write(
            f"\nimport sys\nsys.path.append({str(ROOT / 'tests')!r})\nfrom tiny import tiny\nMETHODS['tiny'] = tiny\n"
        )
    assert config.exists()
    return folder


def run(entry, script, *words):
    (entry / "out").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, str(entry / script), *map(str, words)],
        cwd=entry,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_2021_test_script_runs_the_hooks_beside_the_organisers_helper(entry):
    done = run(entry, "test_model.py", "model", "data", "out")
    assert done.returncode == 0, done.stderr
    for number in range(6):
        name, classes, labels, scores = helper_code.load_outputs(entry / "out" / f"HR{number:05d}.csv")
        assert name == f"HR{number:05d}"
        assert classes == team_code.CLASSES
        assert any(labels) and 0 < max(scores) < 1


@pytest.mark.slow
def test_driver_and_training_need_neither_of_the_two_files(entry):
    done = run(entry, "driver.py", "model", "data", "driven", "--deterministic")
    assert done.returncode == 0, done.stderr
    assert len(list((entry / "driven").glob("*.csv"))) == 6
    done = run(entry, "train_model.py", "data", "trained", "--method", "tiny", "--members", 1, "--epochs", 1)
    assert done.returncode == 0, done.stderr
    assert (entry / "trained" / "config.json").exists()
