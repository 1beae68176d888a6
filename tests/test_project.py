"""The frame around the code: what is pinned, what the image does, which way the imports go."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {"ecg.header": 1, "ecg.signal_files": 1, "helper_code": 1, "evaluate_model": 2, "ecg.method": 3,
          "ecg.butteam": 5, "team_code": 6, "train_model": 7, "driver": 7}
MODULES = [*ROOT.glob("*.py"), *(ROOT / "ecg").glob("*.py")]


@pytest.mark.parametrize("file", ["requirements.txt", "tests/requirements.txt"])
def test_every_requirement_is_pinned_and_gives_its_reason(file):
    lines = [line for line in (ROOT / file).read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[\w-]+==\d[\w.]* +# \w.{3,}", line), line


def test_the_dockerfile_keeps_the_official_lines_and_installs_before_it_copies_the_code():
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    official = ["RUN mkdir /physionet", "COPY ./ /physionet", "WORKDIR /physionet"]
    assert [line for line in lines if line in official] == official
    install = next(k for k, line in enumerate(lines) if "pip install" in line)
    assert install < lines.index("COPY ./ /physionet")
    assert lines[0].startswith("FROM python:3.11")


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def floor_of(module):
    return FLOORS.get(module, 4 if module.startswith("ecg") else None)


def imports_at_load(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_imports_only_from_its_own_floor_and_those_below(path):
    floor = floor_of(name_of(path))
    known = {name_of(other) for other in MODULES}
    for module in imports_at_load(path):
        if module in known and module != "ecg":
            assert floor_of(module) <= floor, f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("module", ["helper_code", "evaluate_model"])
def test_the_two_lowest_rooms_do_without_torch(module):
    assert not any(name.split(".")[0] == "torch" for name in imports_at_load(ROOT / f"{module}.py"))


@pytest.mark.parametrize("path", [path for path in MODULES if floor_of(name_of(path)) in (3, 4)], ids=name_of)
def test_the_engine_knows_no_method_by_name(path):
    code = path.read_text()
    words = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(ast.parse(code))
                  if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))}
    assert not [word for word in words if isinstance(word, str) and word not in docstrings
                and re.search(r"zhao|butteam", word, re.IGNORECASE)]
