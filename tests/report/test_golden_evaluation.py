"""Evaluation reports as they were noted: every number and word of the page, which pages there are, and what they say.

`python tests/report/test_golden_evaluation.py` notes them anew: read what has changed before you commit it.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from ecg.io.recording import Recording
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.measurements import measure
from ecg.report import evaluation
from ecg.scoring.output_files import save_outputs
from report_pages import order_of, plain
from tiny import heart_like

GOLDEN = Path(__file__).with_name("golden_evaluation.json")
PLAIN = Diagnoses("plain", ("code,name", "aa,first one", "bb,second one", "cc,third one"))
NAMES = [f"{'A' if k % 3 else 'HR'}{k:04d}" for k in range(14)]


def write_case(folder, diagnoses):
    """Labels of headers, and two folders of outputs, the second one with more errors."""
    rng, n = np.random.default_rng([81, len(diagnoses.classes)]), len(diagnoses.classes)
    labels = rng.random((len(NAMES), n)) < 2.2 / n
    labels[np.arange(len(NAMES)), rng.integers(n, size=len(NAMES))] = True
    (folder / "labels").mkdir()
    for name, row in zip(NAMES, labels, strict=True):
        codes = ",".join(np.array(diagnoses.classes)[row])
        (folder / "labels" / f"{name}.hea").write_text(f"{name} 12 500 1000\n#Dx: {codes}\n")
    for which, wrong in (("a", 0.12), ("b", 0.14)):
        (folder / which).mkdir()
        outputs = labels ^ (rng.random(labels.shape) < wrong)
        scores = np.round(0.4 * outputs + 0.2 * labels + rng.uniform(0, 0.4, labels.shape), 3)
        for name, given, likely in zip(NAMES, outputs, scores, strict=True):
            save_outputs(folder / which / f"{name}.csv", name, diagnoses.classes, given, likely)


def report(patch, folder, diagnoses, outputs):
    """What the report of a case says; one recording can't be read, and all others look alike."""
    write_case(folder, diagnoses)
    signal = heart_like(2)
    measured, said = measure(signal, 500), []

    def read(path):
        if path.stem == "A0004":
            raise ValueError("expected a signal, found none")
        return Recording(signal, 500.0, path.stem, 70.0, "Male")

    patch.setattr(evaluation, "read", read)
    patch.setattr(evaluation, "measure", lambda signal, rate: measured)
    patch.setattr(evaluation, "say", said.append)
    patch.setattr(evaluation, "COSTLIEST", 8)
    evaluation.evaluation_report(
        folder / "labels", [folder / each for each in outputs], folder / "report", note="A note.", diagnoses=diagnoses
    )
    html = (folder / "report" / "index.html").read_text()
    first = order_of(folder / "report")[0][0]
    page = (folder / "report" / "pages" / first).read_text()
    lines = [line for line in plain(page) if "probability}" in line or "threshold" in line.lower() or "Outputs" in line]
    shades = "".join(re.findall(r'class="shade-(\d)"', html))
    found = {
        "page": plain(html),
        "shades": shades,
        "paths": [each[:60] + each[-60:] for each in re.findall(r'class="line [^"]*" d="([^"]*)"', html)][::7],
        "labels": re.findall(r'aria-label="([^"]*)"', html)[-12:],
        "links": re.findall(r'<th scope="row"><a href="(pages/[^"]*)"', html),
        "order": order_of(folder / "report"),
        "first": lines,
        "said": said,
    }
    return json.loads(json.dumps(found).replace(str(folder), "FOLDER"))


CASES = {"two answers": (CHALLENGE_2020, "ab"), "one answer": (PLAIN, "a"), "two without rewards": (PLAIN, "ba")}


def found_now(name):
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        return report(patch, Path(folder), *CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_an_evaluation_says_what_was_noted(name):
    assert found_now(name) == json.loads(GOLDEN.read_text())[name]


if __name__ == "__main__":
    noted = {name: found_now(name) for name in CASES}
    GOLDEN.write_text(json.dumps(noted, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.exit()
