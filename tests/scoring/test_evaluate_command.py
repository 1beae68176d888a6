"""The scorer as a command: its files, its words, its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scorer_cases import write_case, write_record

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = json.loads((Path(__file__).resolve().parents[1] / "golden" / "scorer_golden.json").read_text())


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    return {seed: write_case(seed, folder / str(seed)) for seed in (0, 2)}


def run_command(*arguments, folder=None):
    command = [sys.executable, str(ROOT / "evaluate_model.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60, check=False)


def test_command_writes_both_files_from_another_folder(cases, tmp_path):
    labels, outputs = cases[0]
    run = run_command(labels, outputs, "scores.csv", "classes.csv", "--classes", folder=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    names, values = (tmp_path / "scores.csv").read_text().splitlines()
    assert names == "AUROC,AUPRC,Accuracy,F-measure,Fbeta-measure,Gbeta-measure,Challenge metric"
    golden = GOLDEN[0]
    keys = ("auroc", "auprc", "accuracy", "f_measure", "f_beta", "g_beta", "challenge")
    assert values == ",".join(f"{golden[key]:.3f}" for key in keys)
    classes = (tmp_path / "classes.csv").read_text().splitlines()
    assert classes[0] == "Classes," + ",".join(golden["classes"])
    for line, name, key in zip(classes[1:], ("AUROC", "AUPRC", "F-measure"), ("auroc", "auprc", "f"), strict=True):
        assert line == f"{name}," + ",".join(f"{value:.3f}" for value in golden[f"{key}_classes"])
    table = [line.split() for line in run.stdout.splitlines()]
    assert table[0] == ["Code", "Class", "AUROC", "AUPRC", "F-measure", "Sensitivity", "Specificity", "Support"]
    assert [row[0] for row in table[1:]] == golden["classes"]
    assert table[5][:3] == ["713427006", "CRBBB/RBBB", f"{golden['auroc_classes'][4]:.3f}"]
    assert {path.name for path in tmp_path.iterdir()} == {"scores.csv", "classes.csv"}


def test_command_prints_the_text_of_the_file(cases, tmp_path):
    labels, outputs = cases[2]
    printed = run_command(labels, outputs, folder=tmp_path)
    run_command(labels, outputs, tmp_path / "scores.csv")
    assert printed.stdout.rstrip("\n") == (tmp_path / "scores.csv").read_text()
    assert f",{GOLDEN[2]['challenge']:.3f}\n" in printed.stdout
    assert printed.stderr.startswith("warning: ")


def test_command_prints_nan_as_the_official_scorer_does(tmp_path):
    labels, outputs = write_record(tmp_path)
    run = run_command(labels, outputs, tmp_path / "scores.csv", tmp_path / "classes.csv")
    assert run.returncode == 0
    assert (tmp_path / "classes.csv").read_text().splitlines()[1].startswith("AUROC,nan,nan,")
    assert (tmp_path / "scores.csv").read_text().splitlines()[1] == "nan,1.000,1.000,1.000,1.000,1.000,1.000"


def test_help_has_an_example():
    run = run_command("--help")
    assert run.returncode == 0
    assert "python evaluate_model.py labels outputs" in run.stdout


def assert_fails(run, *words):
    assert run.returncode == 2, run.stderr
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    assert len(run.stderr.splitlines()) == 1
    for word in ("evaluate_model.py: ", "expected", "found", *words):
        assert str(word) in run.stderr


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (lambda labels, outputs: (labels / "A0001.hea").write_text("A0001 12 500 5000\n#Age: 3\n"), "labels/A0001.hea"),
        (lambda labels, outputs: (labels / "A0001.hea").write_bytes(b"\xff\xfe#Dx: 1\n"), "labels/A0001.hea"),
        (lambda labels, outputs: (outputs / "A0001.csv").write_bytes(b"#A\n\xff\xfe,1\n"), "outputs/A0001.csv"),
        (lambda labels, outputs: (outputs / "A0001.csv").unlink(), "outputs/A0001.csv"),
        (lambda labels, outputs: (labels / "A0001.hea").unlink(), "labels: expected header files"),
    ],
)
def test_command_names_the_bad_file(tmp_path, fault, name):
    labels, outputs = write_record(tmp_path)
    write_record(tmp_path, "A0002")
    if "header files" in name:
        (labels / "A0002.hea").unlink()
    fault(labels, outputs)
    assert_fails(run_command(labels, outputs, tmp_path / "scores.csv"), name)
    assert not (tmp_path / "scores.csv").exists()


def test_command_names_an_output_that_is_a_folder(tmp_path):
    labels, outputs = write_record(tmp_path)
    (outputs / "A0001.csv").unlink()
    (outputs / "A0001.csv").mkdir()
    assert_fails(run_command(labels, outputs), "outputs/A0001.csv")


def test_command_names_a_wrong_folder(tmp_path):
    labels, outputs = write_record(tmp_path)
    assert_fails(run_command(tmp_path / "nowhere", outputs), "nowhere")
    assert_fails(run_command(labels, labels / "A0001.hea"), "A0001.hea")
    assert_fails(run_command(labels, outputs, tmp_path / "nowhere" / "scores.csv"), "nowhere/scores.csv")


INTERRUPTED = """
import os, runpy, signal, sys
import ecg.scoring.challenge
ecg.scoring.challenge.read_file = lambda path: os.kill(os.getpid(), signal.SIGINT)
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def test_interrupted_command_ends_with_130_and_no_traceback(tmp_path):
    labels, outputs = write_record(tmp_path)
    words = [ROOT / "evaluate_model.py", labels, outputs, tmp_path / "scores.csv"]
    run = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *words], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert (run.returncode, run.stderr) == (130, "evaluate_model.py: stopped; nothing was written\n")
    assert not (tmp_path / "scores.csv").exists()


def test_a_pipe_in_place_of_an_output_does_not_keep_the_command_waiting(tmp_path):
    labels, outputs = write_record(tmp_path)
    (outputs / "A0001.csv").unlink()
    os.mkfifo(outputs / "A0001.csv")
    run = subprocess.run(
        [sys.executable, ROOT / "evaluate_model.py", labels, outputs], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 2
    assert run.stderr.endswith("A0001.csv: expected a file, found something else\n")


def test_import_is_light():
    heavy = (
        "import evaluate_model, sys; print([m for m in ('torch', 'wfdb', 'scipy.io', 'pandas') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout == "[]\n"
