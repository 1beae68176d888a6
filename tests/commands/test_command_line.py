"""The command `ecg` as people type it: help, mistakes, Ctrl-C, completion, inputs of every kind."""

import csv
import importlib
import os
import signal
import subprocess
import sys

import pytest

import ecg
from commands import ENVIRONMENT, ROOT
from ecg.__main__ import SECTIONS, main
from ecg.commands.options import say_ignored
from tiny import heart_like, write_recording

COMMANDS = [name for names in SECTIONS.values() for name in names]
SOMEWHERE = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}


def run(*words, cwd, **environment):
    return subprocess.run(
        [sys.executable, "-m", "ecg", *map(str, words)],
        cwd=cwd,
        env={**SOMEWHERE, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_file_of_a_command_is_listed_in_the_help(capsys):
    files = {path.stem for path in (ROOT / "ecg" / "commands").glob("*.py")} - {"__init__", "options"}
    assert files == set(COMMANDS)
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n  {name} " in said for name in COMMANDS) and all(f"\n{title}:" in said for title in SECTIONS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_with_an_example(capsys, name):
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: ecg {name} ")
    assert f"\n    ecg {name} " in said or name == "benchmark"


def test_help_loads_no_torch():
    code = "import sys; from ecg.__main__ import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "scipy"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mesure"], "No such command 'mesure'. (Did you mean one of: 'measure'"),
        (["measure", "in", "out.csv", "--worker", "3"], "No such option '--worker'. Did you mean '--workers'?"),
        (["convert", "in", "out", "--to", "dicon"], "'dicon' is not one of 'challenge', 'dicom', 'edf', 'csv'"),
        (["measure"], "Missing argument 'INPUT...'"),
        (["interpret", "in", "out.csv", "--criteria-only", "--model", "m"], "expected one of them, found both"),
        (["validate", "in", "out", "--folds", "3", "--hold-out"], "found several"),
    ],
)
def test_a_mistake_gets_a_suggestion_and_exit_status_2(capsys, words, said):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert said in captured.err and "Usage: ecg" in captured.err
    assert captured.out == ""


def test_the_version_is_said(capsys):
    assert main(["--version"]) == 0
    assert ecg.__version__ in capsys.readouterr().out


def test_the_shell_completes_commands_and_options(tmp_path):
    found = run(cwd=tmp_path, _ECG_COMPLETE="bash_complete", COMP_WORDS="ecg me", COMP_CWORD="1")
    assert "measure" in found.stdout
    found = run(cwd=tmp_path, _ECG_COMPLETE="bash_complete", COMP_WORDS="ecg measure --wo", COMP_CWORD="2")
    assert "--workers" in found.stdout


def test_files_folders_patterns_and_lists_are_measured_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/one", "a/two", "b/three"):
        ecg.write(ecg.simulate(seed=len(name)), tmp_path / f"{name}.hea")
    (tmp_path / "list.txt").write_text("a/one\nb\n")
    inputs = {
        ("a/one.mat",): ["one"],
        ("a/two", "b"): ["a/two", "b/three"],
        ("a/*.hea",): ["one", "two"],
        (tmp_path / "list.txt",): ["a/one", "b/three"],
    }
    for words, expected in inputs.items():
        assert main(["measure", *map(str, words), "table.csv", "--workers", "1"]) == 0
        with open(tmp_path / "table.csv", newline="") as file:
            assert [row["record"] for row in csv.DictReader(file)] == expected


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_a_sentence(tmp_path):
    words = [sys.executable, "-m", "ecg", "simulate", "out", "--records", "100000"]
    with subprocess.Popen(words, cwd=tmp_path, env=SOMEWHERE, stderr=subprocess.PIPE, text=True) as process:
        while not os.path.exists(tmp_path / "out" / "SIM00002.hea"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert said.startswith("ecg simulate: stopped; recordings written so far are whole")


@pytest.mark.parametrize(
    ("name", "output"),
    [("measure", "a.csv"), ("classify", "a"), ("interpret", "a.csv"), ("report", "a"), ("convert", "a")],
)
def test_files_of_a_folder_that_are_no_recordings_are_counted_by_kind(tmp_path, capsys, name, output):
    folder = tmp_path / "in"
    folder.mkdir()
    for file in ("notes.txt", "old.zip", "new.zip", "LICENSE"):
        (folder / file).write_text("x")
    assert main([name, str(folder), str(tmp_path / output)]) == 2
    said = capsys.readouterr().err
    assert "Not looked at: 4 files that are no recordings (1 .txt, 2 .zip, 1 without suffix)" in said
    assert "expected recordings, found none" in said


@pytest.mark.parametrize(("rank", "is_said"), [(None, True), ("0", True), ("1", False)])
def test_files_that_are_no_recordings_are_counted_in_all_folders_together(tmp_path, capsys, monkeypatch, rank, is_said):
    files = {"one": ["a.txt", "b.ZIP"], "two/below": ["c.TXT", "d"], "two": ["e.txt"]}
    for folder, names in files.items():
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            (tmp_path / folder / name).write_text("x")
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    say_ignored([tmp_path / "one" / "a.txt", str(tmp_path / "one"), tmp_path / "two"])
    expected = "Not looked at: 5 files that are no recordings (3 .txt, 1 .zip, 1 without suffix)\n"
    assert capsys.readouterr().err == (expected if is_said else "")
    say_ignored([tmp_path / "one" / "a.txt"])
    assert capsys.readouterr().err == ""


def test_a_missing_extra_is_named_with_the_command_that_installs_it(tmp_path, capsys, monkeypatch):
    # The modules come back afterwards, and the package's attribute must be the same module as before.
    monkeypatch.setattr(ecg, "report", importlib.import_module("ecg.report"))
    for module in [name for name in sys.modules if name.startswith(("ecg.report", "jinja2"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    write_recording(tmp_path / "in", "A1", heart_like(2))
    assert main(["report", str(tmp_path / "in"), str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "ecg report: expected the package jinja2, found none; install it with: pip install '.[report]'" in said
