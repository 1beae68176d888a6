"""The code that a stored result depends on: of its layer and those below, and the entry's own from methods up."""

import os
import re
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from ecg.examination import journal

ROOT = Path(journal.__file__).resolve().parents[2]
LAYERS = journal._LAYERS


def test_layers_are_in_the_order_in_which_they_import_each_other():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    levels = [re.findall(r"\w+", line) for line in contracts[0]["layers"]][::-1]
    level_of = {name: number for number, names in enumerate(levels) for name in names}
    found = [level_of[layer.removesuffix(".py")] for layer in LAYERS]
    assert found == sorted(found)
    left_out = set(level_of) - {layer.removesuffix(".py") for layer in LAYERS}
    assert left_out == {"__main__", "commands", "interface", "studies", "resources"}  # nothing is stored of these


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a file in each layer, some of them below, beside the entry's own code."""
    for layer in (*LAYERS, "commands", "examination"):
        file = tmp_path / "ecg" / (layer if layer.endswith(".py") else f"{layer}/below/code.html")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(layer)
    monkeypatch.setattr(journal, "__file__", str(tmp_path / "ecg" / "examination" / "journal.py"))
    (tmp_path / "team_code.py").write_text("1")
    monkeypatch.setitem(sys.modules, "team_code", SimpleNamespace(__file__=str(tmp_path / "team_code.py")))
    yield tmp_path
    journal.code_version.cache_clear()


def versions():
    journal.code_version.cache_clear()
    return {layer: journal.code_version(layer) for layer in LAYERS}


def changed_by(file, change):
    before = versions()
    change(file)
    after = versions()
    return [layer for layer in LAYERS if before[layer] != after[layer]]


@pytest.mark.parametrize("layer", ["runtime", "leads.py", "examination", "report"])
def test_a_change_counts_in_its_own_layer_and_above(package, layer):
    file = package / "ecg" / (layer if layer.endswith(".py") else f"{layer}/below/code.html")
    expected = list(LAYERS[LAYERS.index(layer) :])
    assert changed_by(file, lambda file: file.write_text("2")) == expected
    if not layer.endswith(".py"):
        assert changed_by(file, lambda file: file.rename(file.with_name("other.py"))) == expected


def test_the_entrys_own_code_counts_from_methods_up(package, monkeypatch):
    file = package / "team_code.py"
    expected = ["methods", "model_folder", "inference", "training", "report"]
    assert changed_by(file, lambda file: file.write_text("2")) == expected
    assert changed_by(file, lambda _: monkeypatch.delitem(sys.modules, "team_code")) == expected


def test_what_is_compiled_or_no_part_of_a_layer_counts_for_nothing(package):
    for name in ("ecg/io/code.pyc", "ecg/commands/new.py", "ecg/new.py"):
        assert changed_by(package / name, lambda file: file.write_text("2")) == []
    assert changed_by(package / "ecg/io/new.txt", lambda file: file.write_text("2")) == list(
        LAYERS[LAYERS.index("io") :]
    )
    assert changed_by(package / "ecg/io/empty", os.mkdir) == []
