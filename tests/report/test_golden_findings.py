"""What a page says of drawn numbers, classes and statements, as it was noted.

`PYTHONPATH=. python tests/report/test_golden_findings.py` notes it anew: read what has changed before you commit it.
"""

import json
import math
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from ecg.interpretation import Statement
from ecg.interpretation.statement_list import words_of
from ecg.labels.diagnoses import load_diagnoses
from ecg.measurements.types import Amplitudes, Beats, Measurements, Quality
from ecg.report.findings import compare, doubt, findings, measurement_rows, not_said, summary

GOLDEN = Path(__file__).with_name("golden_findings.json")
DRAWN = [f"drawn {k}" for k in range(60)]
NEAR = {
    "heart_rate_bpm": (59.4, 59.5, 59.6, 60, 80, 100, 100.4, 100.6),
    "p_ms": (90, 120, 120.4, 120.6, 121),
    "pr_ms": (119.4, 119.6, 120, 160, 200, 200.6),
    "qrs_ms": (88, 110, 110.4, 110.6),
    "qt_ms": (380, 600),
    "qtc_bazett_ms": (389, 389.6, 450, 450.6, 460, 460.4, 461),
    "qtc_fridericia_ms": (389.4, 390, 450.4, 451, 459, 460.6),
    "p_axis_deg": (-1, -0.6, -0.4, 0, 75, 75.6),
    "qrs_axis_deg": (-31, -30.4, -30, 0, 90, 90.6, -170),
    "t_axis_deg": (-100, 40),
    "rr_sd_ms": (0, 12.5, 300),
    "rmssd_ms": (10,),
}
AGES = (math.nan, 0.0, 17.9, 18.0, 50.0)
CODES = (1, 20, 50, 82, 106, 145, 161)


def rows(rng):
    numbers = {key: math.nan if rng.random() < 0.1 else float(rng.choice(values)) for key, values in NEAR.items()}
    nothing = np.full(12, np.nan, np.float32)
    measured = Measurements(
        **numbers, n_beats=9, n_ectopic=0, has_p_waves=True, amplitudes=Amplitudes(*[nothing] * 7),
        quality=Quality((), (), 5.0, 2.0, 20.0, ""), beats=Beats(np.arange(9), ("dominant",) * 9), median_beat=None,
    )  # fmt: skip
    age, sex = float(rng.choice(AGES)), str(rng.choice(["Male", "Female", "Unknown"]))
    said = [f"{row.name}: {row.value} ({row.range}) {row.verdict}" for row in measurement_rows(measured, age, sex)]
    sourced = sum(bool(row.source) for row in measurement_rows(measured, age, sex))
    return {"who": f"{sex}, {age:g}", "numbers": said, "sourced": sourced}


def classes(rng):
    diagnoses = load_diagnoses(str(rng.choice(["challenge-2020", "challenge-2021", "ptb-xl-superclasses"])))
    n = len(diagnoses.classes)
    probabilities = np.round(rng.uniform(size=n) ** 3, 2)
    labels = rng.random(n) < probabilities
    limits = None if rng.random() < 0.3 else np.round(np.clip(probabilities + rng.uniform(-0.2, 0.2, n), 0, 1), 3)
    found = findings(diagnoses, labels, probabilities, limits, bool(rng.random() < 0.5))
    known = [*diagnoses.column_of, *diagnoses.column_of, "164865005", "429622005", "1234567890123456789012345", "x"]
    header = rng.choice(known, rng.integers(0, 7)).tolist()
    compared = compare(found, header, diagnoses)
    shown = [each for each in found if each.found or each.close][:6] + found[:2]
    return {
        "set": diagnoses.name,
        "found": [[each if each == each else None for each in (*astuple(row), row.close)] for row in shown],
        "header": header,
        "compared": None if compared is None else astuple(compared),
    }


def statements(rng):
    said = [
        Statement(code, words_of(code), str(rng.choice(["definite", "probable", "possible"])), 0.5, "so it is")
        for code in rng.permutation(CODES)[: rng.integers(0, 6)].tolist()
    ]
    reasons = ["a reason"] * int(rng.integers(0, 3))
    return {"codes": [f"{each.code} {each.certainty}" for each in said], "summary": summary(said),
            "doubt": [len(reasons), doubt(reasons, said)]}  # fmt: skip


def found(name):
    number = int(name.split()[1])
    return (rows, classes, statements)[number % 3](np.random.default_rng([22, number]))


@pytest.mark.parametrize("name", DRAWN)
def test_a_page_says_what_was_noted(name):
    assert json.loads(json.dumps(found(name))) == json.loads(GOLDEN.read_text())[name]


@pytest.mark.parametrize(("name", "n"), [("challenge-2020", 24), ("ptb-xl", 71)])
def test_a_page_says_what_a_model_can_not_say(name, n):
    assert not_said(load_diagnoses(name)) == (
        f"The model knows {n} classes; all else is measured by published criteria, less exactly. Nothing is said of "
        "pericarditis, embolism, electrolytes, drugs or genetic disease. No statement, or sinus "
        "rhythm alone, does not mean a normal ECG."
    )


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(found(name), ensure_ascii=False)}" for name in DRAWN)
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
