"""The documents: working links, a short README, a working example and citation."""

import re
import shlex

import pytest

import driver
import ecg
import evaluate_model
import team_code
import train_model
from commands import ROOT
from ecg.commands import simulate as simulator

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def anchors(text):
    """The anchors of a page's headings, made as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text()), target


# The changelog names what past versions had.
@pytest.mark.parametrize(
    "page", [page for page in DOCUMENTS if page.name != "CHANGELOG.md"], ids=lambda page: page.name
)
def test_files_and_modules_that_a_document_names_exist(page):
    words = set(re.findall(r"`((?:ecg|docs|tests)/[\w/.]+\.\w+)`", page.read_text())) - {"ecg/methods/small.py"}
    assert [word for word in words if not (ROOT / word).exists()] == []
    now = "\n".join(line for line in page.read_text().splitlines() if "at commit" not in line)
    for module in re.findall(r"python -m (ecg[\w.]*\w)", now):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_version_is_the_same_everywhere():
    version = ecg.__version__
    released = re.findall(r"^## v(\S+) - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    citation = (ROOT / "CITATION.cff").read_text()
    assert released[0][0] == version
    assert f"\nversion: {version}\ndate-released: {released[0][1]}\n" in citation


def test_the_example_of_a_method_is_trained_run_and_scored(tmp_path, monkeypatch, capsys):
    """Code and commands of docs/extending.md as they stand there, on simulated recordings."""
    text = (ROOT / "docs" / "extending.md").read_text()
    [code] = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    [commands] = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    example: dict[str, object] = {"__name__": "small"}
    exec(code, example)
    monkeypatch.setitem(team_code.METHODS, "small", example["small"])
    monkeypatch.chdir(tmp_path)
    programs = {
        "-m ecg simulate": simulator.main,
        "train_model.py": train_model.main,
        "driver.py": driver.main,
        "evaluate_model.py": evaluate_model.main,
    }
    for line in commands.splitlines():
        [program] = [name for name in programs if line.startswith(f"python {name} ")]
        words = shlex.split(line.removeprefix(f"python {program} "))
        if program in ("train_model.py", "driver.py"):
            words += ["--device", "cpu", "--workers", "1"]
        monkeypatch.setattr("sys.argv", [program, *words])
        assert programs[program]() == 0, (line, capsys.readouterr().err)
    assert len(list((tmp_path / "outputs").glob("*.csv"))) == 40
    assert "Challenge metric" in capsys.readouterr().out
    assert team_code.load_model(tmp_path / "model", device="cpu").method.settings == {"width": 16}
