"""Simulated hearts as they were noted: parameters, beats, labels, truth and voltages; labels on both sides of limits.

`python tests/simulator/test_golden_hearts.py` notes them anew: read what has changed before you commit it.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from ecg.leads import LEADS
from ecg.simulator.diagnoses import CODES, DIAGNOSES, STATEMENTS, Parameters, Ventricular, labels_of
from ecg.simulator.draws import healthy
from ecg.simulator.simulate import simulate
from ecg.simulator.statements import _DRAWS, _shows
from ecg.simulator.truth import truth_of

GOLDEN = Path(__file__).with_name("golden_hearts.json")
MANY_KINDS = ("AF", "AFL", "Brady", "IAVB", "LPR", "LAnFB", "PAC", "PR", "PVC", "QAb", "SA", "TInv", "STach")
HEARTS = [*DIAGNOSES, *STATEMENTS, *(f"{name} {k}" for k in (2, 3) for name in MANY_KINDS)]
HEARTS += [f"{name} {k}" for k in (4, 5, 6) for name in ("PAC", "PVC")]
LAID_DOWN = ("local", "beats", "blocked_p", "dropped_p", "lost_spikes")
DEFAULTS = asdict(Parameters(age=0, sex=""))
SHOWN = [LEADS.index(lead) for lead in ("I", "II", "V1", "V3", "V6")]
WITH_CRITERIA = [name for name in STATEMENTS if name.split("-")[0] in (
    "STEMI", "ischaemia", "LVH", "RVH", "LPFB", "pericarditis")]  # fmt: skip
NAMES = {code: name for name, code in CODES.items()}
SHAPES = ("normal", "vertical", "nonspecific", "LBBB", "LAFB", "RBBB", "RBBB+LAFB", "inferior Q", "anterior Q", "WPW")


def heart(name):
    """A heart with ordinary noise at some rate and length: what it was made from, and what a recorder shows."""
    number = HEARTS.index(name)
    rate, seconds = (500, 250, 100, 1000)[number % 4], (10, 7, 14)[number % 3]
    made = simulate(np.random.default_rng([61, number]), name.partition(" ")[0], rate, seconds)
    p, truth = made.parameters, truth_of(made)
    rest, kinds = asdict(p), "".join(kind[0] for kind in truth.kinds)
    weights = np.random.default_rng(63).random(made.signal.shape[1])
    quarters = np.array_split(made.signal[SHOWN].astype(np.float64) * weights, 4, axis=1)
    return {
        "drawn": {key: rest[key] for key in rest if key not in LAID_DOWN and rest[key] != DEFAULTS[key]},
        "local": np.ravel(p.local)[::8].tolist(),
        "beats": [beat.time for beat in p.beats],
        "origins": " ".join(f"{beat.origin[:5]}{beat.form or ''}" for beat in p.beats),
        "pr": [beat.pr for beat in p.beats[:5]],
        "alone": [list(p.blocked_p), list(p.dropped_p), list(p.lost_spikes)],
        "labels": [NAMES.get(code, code) for code in made.labels],
        "noise": [made.noise.wander, made.noise.muscle, made.noise.powerline, made.noise.powerline_frequency],
        "truth": {**asdict(truth), "r_samples": truth.r_samples[:2].tolist(), "kinds": kinds},
        "mv": [(quarter.mean(axis=1) * 100).tolist() for quarter in quarters],
    }


def near_limits(number):
    """A heart most of whose numbers lie at a limit, or just beside it."""
    rng = np.random.default_rng([62, number])

    def one_of(*values):
        return values[rng.integers(len(values))]

    wide = one_of(0.0, 0.0, 0.2, -0.3, 0.4)
    return Parameters(
        age=50,
        sex=one_of("Female", "Male"),
        rhythm=one_of(*["sinus"] * 6, "fibrillation", "flutter", "junction", "paced", "svt", "vt", "escape"),
        rate=one_of(59.9, 60.0, 80.0, 100.0, 100.1),
        rr_range=one_of(0.05, 0.05, 0.12, 0.121),
        pr=one_of(None, 0.16, 0.2, 0.201),
        pr_codes=one_of(("IAVB",), ("LPR",), ("IAVB", "LPR")),
        qrs_shape=one_of(*SHAPES),
        qrs=one_of(0.09, 0.1, 0.1099, 0.11, 0.1101, 0.1199, 0.12, 0.14),
        axis=one_of(-90.1, -90.0, -60.0, -45.0, -44.9, -30.1, -30.0, 0.0, 45.0, 90.0, 90.1, 180.0, 180.1),
        voltage=one_of(0.3, 0.49, 0.51, 0.8, 1.2, 1.8),
        depth=one_of(0.2, 0.6, 1.0, 1.6),
        qtc=one_of(0.41, 0.4499, 0.45, 0.4599, 0.46),
        t_axis=one_of(45.0, 45.0, -60.0, 170.0),
        t_amplitude=one_of(0.0, 0.05, 0.15, 0.3),
        t_back=one_of(-0.2, wide, wide / 2),
        tab_beside_tinv=one_of(False, True),
        pac=one_of(0, 0, 1),
        pvc=one_of(0, 0, 2),
        pvc_forms=(Ventricular(),),
        conduction=one_of(*["1:1"] * 4, "MobitzI"),
        atrial_rate=one_of(55.0, 80.0, 110.0),
        statement=one_of("", "", "", "VT", "LVH", "AVB3"),
    )


def shown_near_limits(name):
    """Whether hearts drawn for a statement, changed a little or much, meet its criteria: 1 or 0 for each."""
    found = ""
    for number in range(16):
        rng = np.random.default_rng([64, number])
        p = healthy(rng)
        p = replace(p, **_DRAWS[name](rng, p), statement=name)
        size, turn = rng.uniform(-0.2, 1.2), rng.uniform(-30, 30)
        changes = {"injury": tuple(size * each for each in p.injury), "t_back": p.t_back * rng.uniform(-0.5, 1.5)}
        changes |= {"voltage": p.voltage * rng.uniform(0.35, 1.1), "axis": p.axis + turn}
        changes |= {"depth": p.depth * rng.uniform(0.3, 1.6), "t_amplitude": p.t_amplitude * rng.uniform(-0.2, 1.2)}
        some = rng.permutation(list(changes))[: rng.integers(0, 5)]
        found += str(int(_shows(replace(p, **{key: changes[key] for key in some}), name)))
    return found


def names_near_limits():
    return [" ".join(NAMES.get(code, code) for code in labels_of(near_limits(number))) for number in range(320)]


def assert_close(found, expected, where):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_close(found[key], value, f"{where}, {key}")
    elif isinstance(expected, list):
        assert isinstance(found, (list, tuple)), where
        assert len(found) == len(expected), where
        for k, value in enumerate(expected):
            assert_close(found[k], value, f"{where}, {k}")
    elif isinstance(expected, float) or isinstance(found, float):
        close = pytest.approx(float("nan") if expected is None else expected, rel=0.001, abs=0.0011, nan_ok=True)
        assert found == close, where
    else:
        assert found == expected, where


@pytest.mark.parametrize("name", HEARTS)
def test_a_heart_is_the_one_that_was_noted(name):
    assert_close(heart(name), json.loads(GOLDEN.read_text())[name], name)


def test_labels_on_both_sides_of_each_limit_are_those_that_were_noted():
    assert names_near_limits() == json.loads(GOLDEN.read_text())["labels near limits"]


def test_criteria_of_statements_are_met_by_the_hearts_that_were_noted():
    noted = json.loads(GOLDEN.read_text())["shown near limits"]
    assert {name: shown_near_limits(name) for name in WITH_CRITERIA} == noted
    assert all("0" in each and "1" in each for each in noted.values())


def test_a_heart_of_which_nothing_is_said_is_the_one_that_was_noted():
    assert rounded(DEFAULTS) == json.loads(GOLDEN.read_text())["defaults"]


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(each) for each in value]
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, 3)
    return value


if __name__ == "__main__":
    noted = {name: rounded(heart(name)) for name in HEARTS}
    noted |= {"labels near limits": names_near_limits(), "defaults": rounded(DEFAULTS)}
    noted["shown near limits"] = {name: shown_near_limits(name) for name in WITH_CRITERIA}
    lines = (f"{json.dumps(name)}: {json.dumps(each)}" for name, each in noted.items())
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
