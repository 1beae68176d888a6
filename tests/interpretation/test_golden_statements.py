"""All numbers that criteria ask for and all statements of two dozen simulated hearts, as they were noted.

`python tests/interpretation/test_golden_statements.py` notes them anew: read what has changed before you commit it.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from ecg.interpretation import interpret
from ecg.interpretation.quantities import quantities_of
from ecg.labels.diagnoses import CHALLENGE_2020, load_diagnoses
from ecg.measurements import measure
from ecg.simulator.noise import Noise
from ecg.simulator.simulate import simulate

GOLDEN = Path(__file__).with_name("golden_statements.json")
CLASSES = {"challenge": CHALLENGE_2020.classes, "ptb-xl": load_diagnoses("ptb-xl").classes}
HEARTS = (
    *("NSR", "AF", "AFL", "CRBBB", "LBBB", "LAnFB", "LQRSV", "NSIVCB", "PR", "PAC", "PVC", "LQT", "QAb", "SA", "SB"),
    *("STach", "TInv", "STEMI-anterior", "STEMI-inferior", "ischaemia-lateral", "LVH", "RVH", "WPW", "AVB3", "VT"),
    *("LPFB", "pericarditis", "STEMI-posterior", "hypokalaemia", "MobitzI", "MobitzII", "AVB2to1"),
)


def measured(name, scale=1.0):
    number = HEARTS.index(name)
    made = simulate(np.random.default_rng([88, number]), name, 500, 10, Noise(muscle=0.004), comorbidity=False)
    return measure(made.signal * np.float32(scale), 500.0), 20.0 + 3 * number, ("Male", "Female", "Unknown")[number % 3]


def opinions(name):
    """What two models might say: likely for a few classes, unlikely for most."""
    rng = np.random.default_rng([99, HEARTS.index(name)])
    return {
        key: dict(zip(codes, (rng.uniform(size=len(codes)) ** 4).tolist(), strict=True))
        for key, codes in CLASSES.items()
    }


def found(name, scale=1.0):
    measurements, age, sex = measured(name, scale)
    said = {}
    for definitions in ("clinical", "ptb-xl"):
        for source, given in (("criteria", None), ("models", opinions(name))):
            statements = interpret(measurements, age, sex, given, definitions)
            said[f"{definitions}, {source}"] = [f"{each.code} {each.certainty}" for each in statements]
    numbers = {key: each.value for key, each in quantities_of(measurements, age, sex).items()}
    return {"numbers": numbers, "said": said}


@pytest.mark.parametrize("name", HEARTS)
def test_numbers_and_statements_are_those_that_were_noted(name):
    golden, now = json.loads(GOLDEN.read_text())[name], found(name)
    assert now["said"] == golden["said"]
    assert set(now["numbers"]) == set(golden["numbers"])
    for key, value in golden["numbers"].items():
        expected = np.nan if value is None else value
        assert now["numbers"][key] == pytest.approx(expected, rel=0.02, abs=0.012, nan_ok=True), key


def as_noted(name):
    now = found(name)
    if found(name, 1 + 1e-5)["said"] != now["said"]:
        raise ValueError(f"{name}: a number so near its limit that the processor decides; simulate another heart")
    numbers = {key: None if np.isnan(value) else round(float(value), 3) for key, value in now["numbers"].items()}
    return {**now, "numbers": numbers}


if __name__ == "__main__":
    GOLDEN.write_text(
        "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(as_noted(name))}" for name in HEARTS) + "\n}\n"
    )
