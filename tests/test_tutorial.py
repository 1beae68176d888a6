"""The tutorial's blocks, run in their order, in a folder that looks like the project's."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from commands import ENVIRONMENT, ROOT
from report_pages import table_of

BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "docs" / "tutorial.md").read_text(), re.MULTILINE | re.DOTALL)


def test_every_block_is_python_or_shell():
    assert BLOCKS
    assert {kind for kind, _ in BLOCKS} == {"python", "sh"}


@pytest.mark.slow
def test_the_tutorial_runs_from_its_first_block_to_its_last(tmp_path, monkeypatch):
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") and entry.name not in ("tests", "tutorial", "demo"):
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    environment = {**ENVIRONMENT, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for kind, code in BLOCKS:
        if kind == "python":
            exec(compile(code, "docs/tutorial.md", "exec"), names)
        else:
            done = subprocess.run(
                ["sh", "-e"], input=code, env=environment, capture_output=True, text=True, timeout=900
            )
            assert done.returncode == 0, code + done.stdout + done.stderr
    tutorial = Path("tutorial")
    assert len(table_of(tutorial / "report")["recordings"]) == 24
    with (tutorial / "measurements.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 24
    assert (tutorial / "model" / "config.json").is_file()
    assert "Side by side" in (tutorial / "evaluation" / "index.html").read_text()
