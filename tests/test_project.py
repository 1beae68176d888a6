"""The frame around the code: pinned packages, the image, the direction of imports."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ecg.runtime.extras import INSTALLED_BY

ROOT = Path(__file__).resolve().parent.parent
MODULES = [*ROOT.glob("*.py"), *(ROOT / "ecg").rglob("*.py")]


@pytest.mark.parametrize("file", ["requirements.txt", "tests/requirements.txt"])
def test_every_requirement_is_pinned_and_gives_its_reason(file):
    lines = [line for line in (ROOT / file).read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[\w-]+==\d[\w.]* +# \w.{3,}", line), line


def test_an_installed_package_needs_what_is_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [
        line.split()[0].split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if line[0] != "#"
    ]
    pins = {canonicalize_name(name): version for name, version in lines}
    extras = project["optional-dependencies"].values()
    needed = [Requirement(line) for part in (project["dependencies"], *extras) for line in part]
    assert {canonicalize_name(each.name) for each in needed} == set(pins)
    for each in needed:
        assert each.specifier.contains(pins[canonicalize_name(each.name)]), each


def test_the_extra_that_a_missing_package_is_said_to_be_in_has_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].items()
    needed = {Requirement(line).name.lower(): f"'.[{name}]'" for name, lines in extras for line in lines}
    assert needed == {name: words for name, words in INSTALLED_BY.items() if words.startswith("'.[")}


def test_the_dockerfile_keeps_the_official_lines_and_installs_before_it_copies_the_code():
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    official = ["RUN mkdir /physionet", "COPY ./ /physionet", "WORKDIR /physionet"]
    assert [line for line in lines if line in official] == official
    install = next(k for k, line in enumerate(lines) if "pip install" in line)
    assert install < lines.index("COPY ./ /physionet")
    assert lines[0].startswith("FROM python:3.11")


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(code, name, *, at_load):
    """Modules of the project that a module imports, in all its functions or only where it is loaded."""
    tree = ast.parse(code)
    known = {name_of(path) for path in MODULES}
    for node in tree.body if at_load else ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [each if each in known else node.module for each in found]
        else:
            continue
        yield from (each for each in found if each in known and each != name)


def lint_imports(folder):
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_a_module_imports_only_from_its_own_layer_and_lower_ones():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("io/header.py", "from ecg.signal.windows import pad_right"),
        ("signal/windows.py", "import helper_code"),
        ("training/trainer.py", "def f():\n    import team_code"),
        ("methods/base.py", "from ecg.methods import robust"),
        ("unplaced.py", ""),
    ],
)
def test_a_crossed_layer_is_seen(tmp_path, module, code):
    shutil.copytree(ROOT / "ecg", tmp_path / "ecg", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "ecg" / module).open("a") as file:
        file.write(f"\n\n{code}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout


def test_every_package_says_what_belongs_there():
    folders = {path.parent for path in MODULES if path.parent != ROOT}
    for folder in folders:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), folder


@pytest.mark.parametrize("module", ["helper_code", "evaluate_model"])
def test_headers_and_scores_need_no_torch(module):
    seen, left = set(), [module]
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        path = next(path for path in MODULES if name_of(path) == name)
        code = path.read_text()
        assert not re.search(r"^(import|from) torch", code, re.MULTILINE), name
        left += imports_of(code, name, at_load=True)
    assert len(seen) > 5


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in MODULES
        if path.parent != ROOT and not name_of(path).startswith(("ecg.methods", "ecg.studies.benchmark"))
    ],
    ids=name_of,
)
def test_what_runs_the_methods_knows_none_by_name(path):
    code = path.read_text()
    words = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    docstrings = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(ast.parse(code))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
    }
    assert not [
        word
        for word in words
        if isinstance(word, str) and word not in docstrings and re.search(r"zhao|butteam", word, re.IGNORECASE)
    ]


def test_the_driver_loads_nothing_that_prediction_has_no_use_for():
    code = "import sys, team_code, ecg.inference.run_folder; team_code.load_model('model'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    unused = {"sklearn", "pandas", "matplotlib", "bayes_opt", "iterstrat", "joblib", "wfdb", "ecg.training.member"}
    assert not (unused | {"torch._dynamo"}) & set(done.stdout.split())  # PyTorch's compiler, a second
