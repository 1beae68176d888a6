"""The image's steps without Docker, and the three commands without a network."""

import fnmatch
import re
import shutil
import subprocess
import venv
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from commands import ENVIRONMENT, ROOT, can_unshare, drop_file_rights, write_recordings

# Instead of an empty network namespace, where the machine allows none: every connection is refused.
NO_SOCKETS = """
import socket
def refuse(*_):
    raise AssertionError("a connection was tried")
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = socket.getaddrinfo = refuse
"""


def requirements() -> list[Requirement]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line.split(" #")[0]) for line in lines if line and not line.startswith("#")]


def is_ignored(path: str) -> bool:
    """By .dockerignore: patterns from the root, `**/` at any depth; what lies in an ignored folder is too."""
    patterns = (ROOT / ".dockerignore").read_text().split()
    parts = path.split("/")
    return any(
        fnmatch.fnmatchcase(parts[0], pattern)
        or (pattern.startswith("**/") and any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts))
        for pattern in patterns
    )


def copy_image(folder: Path) -> None:
    """COPY ./ /physionet."""
    for path in (each for top in ROOT.iterdir() if not is_ignored(top.name) for each in (top, *top.rglob("*"))):
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and not is_ignored(name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / name)


def make_environment(folder: Path) -> Path:
    """An environment that holds requirements.txt with its dependencies, and nothing else.

    Not installed again, which would take minutes and a network: links to the installed copies, whose versions are those
    of requirements.txt (another test sees to that). Returns its Python.
    """
    venv.create(folder, with_pip=False)
    [site] = folder.glob("lib/python3*/site-packages")
    wanted, seen = [requirement.name for requirement in requirements()], set()
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        installed = metadata.distribution(name)
        for top in {file.parts[0] for file in installed.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(installed.locate_file(top))))
        needed = map(Requirement, installed.requires or ())
        wanted += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return folder / "bin" / "python"


def test_what_is_installed_is_what_requirements_txt_pins():
    for requirement in requirements():
        installed = metadata.version(requirement.name).split("+")[0]  # torch's CPU build is 2.13.0+cpu
        assert str(requirement.specifier) == f"=={installed}", requirement.name


def test_the_image_holds_what_is_run_and_not_what_is_not(tmp_path):
    copy_image(tmp_path)
    names = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert {
        "Dockerfile",
        "requirements.txt",
        "train_model.py",
        "driver.py",
        "team_code.py",
        "helper_code.py",
        "evaluate_model.py",
        "weights.csv",
        "model",
        "ecg",
    } <= names
    assert not names & {".git", ".venv", "tests", "demo", ".pytest_cache"}
    assert not list(tmp_path.rglob("__pycache__"))


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The image's folder and its Python, and recordings that may only be read."""
    place = tmp_path_factory.mktemp("image")
    copy_image(place / "physionet")
    python = make_environment(place / "environment")
    write_recordings(place / "data", 6)
    for path in [*(place / "data").iterdir(), place / "data"]:
        path.chmod(0o555)
    (place / "refusing").mkdir()
    (place / "refusing" / "sitecustomize.py").write_text(NO_SOCKETS)
    return place, python


@pytest.mark.slow
def test_the_images_three_commands_run_without_a_network_on_data_that_may_only_be_read(image):
    """The Challenge's own command lines, from the image's folder, with the shipped method; one epoch."""
    place, python = image
    within = ["unshare", "-rn"] if can_unshare("-rn") else []
    environment = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("PYTHON")}
    if not within:
        environment["PYTHONPATH"] = str(place / "refusing")
    for words in (
        ["train_model.py", "../data", "../model", "--folds", "1", "--epochs", "1"],
        ["driver.py", "../model", "../data", "../outputs"],
        ["evaluate_model.py", "../data", "../outputs", "../scores.csv"],
    ):
        done = subprocess.run(
            [*within, python, *words],
            cwd=place / "physionet",
            env=environment,
            text=True,
            capture_output=True,
            preexec_fn=drop_file_rights,
        )
        assert done.returncode == 0, done.stderr
    assert len(list((place / "outputs").glob("*.csv"))) == 6
    assert (place / "scores.csv").read_text().startswith("AUROC,AUPRC,Accuracy")


def test_the_network_is_really_away(image):
    place, python = image
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    within = ["unshare", "-rn"] if can_unshare("-rn") else []
    environment = {**ENVIRONMENT, "PYTHONPATH": "" if within else str(place / "refusing")}
    done = subprocess.run([*within, python, "-c", code], env=environment, capture_output=True, text=True)
    assert re.search("Network is unreachable|a connection was tried", done.stderr)


def test_the_image_needs_no_package_that_only_the_tests_have(image):
    _, python = image
    done = subprocess.run([python, "-c", "import pytest"], capture_output=True, text=True)
    assert "No module named 'pytest'" in done.stderr
