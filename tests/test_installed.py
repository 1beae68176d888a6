"""The package built as a wheel, installed into its own environment and used from another folder."""

import os
import subprocess
import sys
import sysconfig
import venv

import pytest

from commands import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with an environment in which the wheel is installed; what it needs comes from the tests' own."""
    place = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    built = ["wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", place, ROOT]
    subprocess.run([*pip, *built], check=True, capture_output=True)
    [wheel] = place.glob("*.whl")
    venv.create(place / "venv", with_pip=False)
    python = place / "venv" / "bin" / "python"
    subprocess.run(
        [*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True, capture_output=True
    )
    [packages] = (place / "venv").glob("lib/python*/site-packages")
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place


@pytest.fixture
def run(place):
    """Run a program of the environment from that folder; its output."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(program, *words, status=0):
        command = [place / "venv" / "bin" / program, *map(str, words)]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run


def test_the_interface_works_with_the_model_and_weights_in_the_package(run):
    code = """
import ecg, sys
from ecg.scoring.challenge import load_weights
import ecg.resources
assert not ecg.resources.is_checkout()
assert len(load_weights()[0]) == 24
recording = ecg.simulate("AF", seed=7)
assert "164889003" in ecg.load_model().classify(recording).labels
assert ecg.measure(recording).heart_rate_bpm > 0
assert "team_code" not in sys.modules
print(ecg.__file__)
"""
    assert "venv" in run("python", "-c", code)


def test_the_command_works_from_any_folder(run, place):
    assert "measure" in run("ecg", "--help")
    run("ecg", "simulate", "recordings", "--records", 2, "--seed", 7)
    run("ecg", "classify", "recordings", "outputs", "--device", "cpu")
    assert "Challenge metric" in run("ecg", "score", "recordings", "outputs")
    run("ecg", "measure", "recordings/SIM00001", "table.csv", "--workers", 1)
    assert (place / "table.csv").read_text().count("\n") == 2


def test_methods_of_the_package_can_be_trained_and_others_are_named(run, place):
    run("ecg", "simulate", "data", "--records", 12, "--seed", 8)
    said = run("ecg", "train", "data", "model", "--method", "zhao", status=2)
    assert "hybrid, robust, butteam" in said
    words = ("--method", "robust", "--epochs", 1, "--members", 1, "--device", "cpu", "--workers", 1)
    run("ecg", "train", "data", "model", *words)
    assert (place / "model" / "config.json").exists()
