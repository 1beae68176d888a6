"""Whole interpretations of drawn numbers around the limits, and what contradicts and changes between them, as noted.

`PYTHONPATH=. python tests/interpretation/test_golden_interpretations.py` notes them anew: read what has changed before
you commit it.
"""

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from ecg.interpretation import contradictions, doubts, interpret
from ecg.interpretation.comparison import Ecg, compare
from ecg.interpretation.criteria import all_criteria
from ecg.interpretation.interpret import Statement
from ecg.interpretation.quantities import Quantity
from ecg.interpretation.statement_list import read_table, statement_list, words_of
from ecg.labels.diagnoses import load_diagnoses
from ecg.measurements.types import Amplitudes, Beats, Measurements, MedianBeat, Quality, WaveMarks

GOLDEN = Path(__file__).with_name("golden_interpretations.json")
DRAWN = [f"drawn {k}" for k in range(120)]
CALM = [f"calm {k}" for k in range(36)]  # normal ECGs, or nearly
AGES = (math.nan, 0.5, 3.9, 4, 8, 15.9, 16, 17.9, 18, 34, 35, 60, *[60] * 8)
USUAL = {"age": 60, "rate": 72, "pr": 160, "qrs": 92, "qtc": 425, "axis": 40, "p_ms": 100, "p_waves": 1}
USUAL |= {"rpt_aVL": 30, "r_V1": 0.3, "r_V3": 0.7, "r_to_s_V1": 0.4, "limb_peak_to_peak": 1.2, "p_II": 0.1}
USUAL |= {"chest_peak_to_peak": 2.4, "low_voltage_excess": 0.7, "rr_variation": 0.04, "no_q_lateral": 1}
PROBABILITIES = (
    *(0.0, 0.099, 0.149, 0.151, 0.199, 0.201, 0.29, 0.299, 0.301, 0.349, 0.351, 0.499, 0.501, 0.6, 0.799, 0.801, 0.95),
    *(1.0, math.nan),
)
SETS = {name: load_diagnoses(name).classes for name in ("challenge-2020", "ptb-xl")}
CODES = [code for code, term in statement_list().items() if term.kind in ("primary", "secondary")]


@cache
def conditions():
    """All conditions of the criteria, by quantity."""
    found = {}
    for group in all_criteria().values():
        for each in (condition for one in group for condition in one.conditions):
            found.setdefault(each.quantity, []).append(each)
    return found


def near(rng, condition, towards):
    """A number around a limit: about as far from it as the margin, more often where the condition is met."""
    if math.isnan(condition.limit):
        return 0.0
    side = -1 if condition.relation in ("<", "<=") else 1
    steps = [-1, 0, 0, 1] if condition.margin == 0 else [-2, -1, -0.5, 0, 0.5, 1, 1.5, 2]
    step = rng.choice([*steps, *[each for each in steps for _ in range(towards) if each >= 0]])
    return float(condition.limit + side * step * (condition.margin or 1))


def calm(name):
    """As `drawn`: what a model takes for normal, with little beside it that is measured or said."""
    rng = np.random.default_rng([57, int(name.split()[1])])
    values = {quantity: float(USUAL.get(quantity, 0)) for quantity in conditions()}
    beside = {
        "rate": (57, 99, 101.5),
        "rr_range": (110, 130, 150),
        "early": (1,),
        "axis": (-34, -40, 93),
        "ectopic": (1,),
    }
    for quantity in rng.choice([*beside], rng.integers(0, 3)):
        values[quantity] = float(rng.choice(beside[quantity]))
    said = dict.fromkeys(SETS["ptb-xl"], 0.01) | {"NORM": float(rng.choice([0.45, 0.6, 0.9, 0.9])), "SR": 0.9}
    for label in rng.choice(["SARRH", "SARRH", "PAC", "PVC", "LVH", "NDT", "STE_", "SBRAD"], rng.integers(0, 4)):
        said[str(label)] = float(rng.choice([0.16, 0.4, 0.4, 0.9]))
    return rng, values, 60.0, "Female", {"ptb-xl": said}, str(rng.choice(["clinical", "ptb-xl"]))


def drawn(name):
    """Measurements, quantities around their limits, age, sex, what models say, convention."""
    rng = np.random.default_rng([55, int(name.split()[1])])
    values = {quantity: float(USUAL.get(quantity, 0)) for quantity in conditions()}
    for quantity, rows in conditions().items():
        if rng.random() < 0.12:
            values[quantity] = near(rng, rows[rng.integers(len(rows))], 0)
    if rng.random() < 0.2:
        values["rate"] = float(rng.choice([38, 39.4, 40, 101, 149, 150, 151, 160]))
    for code in rng.choice([*all_criteria()], 2).tolist():  # two statements whose criteria are nearly met
        rows = all_criteria()[code]
        for each in rows[rng.integers(len(rows))].conditions:
            values[each.quantity] = near(rng, each, 2)
    values["axis"] = min(values["axis"], 180.0)
    if rng.random() < 0.4:
        values[str(rng.choice([*values]))] = math.nan
    if rng.random() < 0.3 or not 0 <= values["p_waves"] <= 1:
        values["p_waves"] = float(rng.choice([0, 1]))
    age, sex = float(rng.choice(AGES)), str(rng.choice(["Male", "Female", "Unknown"]))
    values["age"] = age if math.isfinite(age) else 50.0
    opinions = {}
    for key, classes in SETS.items():
        if rng.random() < 0.6:
            said = dict.fromkeys(classes, 0.01) | dict.fromkeys(rng.choice(classes, 2).tolist(), 0.9)
            said |= {str(each): float(rng.choice(PROBABILITIES)) for each in rng.choice(classes, 8)}
            opinions[key] = said
    return rng, values, age, sex, opinions, str(rng.choice(["clinical", "clinical", "ptb-xl"]))


def measurements(rng, values):
    """Numbers as in `values`, with what may be wrong with the recording."""
    leads = [("V1", "V6") if rng.random() < 0.06 else () for _ in range(2)]
    noise = [float(rng.choice([5, 5, 5, 5, 5, each])) for each in (16, 21, 260)]
    quality = Quality(*leads, *noise, str(rng.choice(["", "", "", "", "", "RA-LA"])))
    rows = [np.full(12, 0.9 if name == "r" else 0.0, np.float32) for name in "pqrst"]
    levels = [rng.choice([-0.12, 0, 0, 0.03, 0.12, 0.25], 12).astype(np.float32) for _ in range(2)]
    marks = WaveMarks(*[math.nan] * 9)
    n_beats = int(rng.choice([0, 1, 2, 3, 10, 12], p=[0.03, 0.03, 0.03, 0.03, 0.44, 0.44]))
    return Measurements(
        heart_rate_bpm=values["rate"], p_ms=100.0, pr_ms=values["pr"], qrs_ms=values["qrs"], qt_ms=400.0,
        qtc_bazett_ms=values["qtc"], qtc_fridericia_ms=values["qtc"], p_axis_deg=50.0, qrs_axis_deg=values["axis"],
        t_axis_deg=float(rng.choice([40, 170, -170])), n_beats=n_beats, n_ectopic=0, rr_sd_ms=20.0, rmssd_ms=20.0,
        has_p_waves=values["p_waves"] == 1, amplitudes=Amplitudes(*rows, *levels), quality=quality,
        beats=Beats(np.arange(n_beats) * 400, ("dominant",) * n_beats),
        median_beat=MedianBeat(np.zeros((12, 9), np.float32), 500.0, n_beats, marks, (marks,) * 12, 4.0),
    )  # fmt: skip


def interpretation(name, scale=1.0):
    rng, values, age, sex, opinions, definitions = (calm if name in CALM else drawn)(name)
    measured = measurements(rng, values)
    opinions = {
        key: {label: probability * scale for label, probability in said.items()} for key, said in opinions.items()
    }
    if name in CALM[12:]:
        measured = replace(measured, quality=Quality((), (), 5.0, 5.0, 5.0, ""))
    counting = {row["quantity"] for row in read_table("lead_limits.csv")}

    def quantities_of(_, age, sex, left_out=()):
        assert (age, sex) == (age_given, sex_given)
        gone = counting if left_out else ()
        leads = dict.fromkeys(counting, ("I", "V6"))
        return {
            key: Quantity(0.0 if key in gone else each, f"{key} {each:g}", leads.get(key, ()))
            for key, each in values.items()
        }

    age_given, sex_given = age, sex
    with patch("ecg.interpretation.interpret.quantities_of", quantities_of):
        statements = interpret(measured, age, sex, opinions, definitions)
    return measured, statements, (age, definitions)


def in_words(each):
    probability = "" if math.isnan(each.probability) else f" {each.probability:.2f}"
    acute = f" !{each.acute}" if each.acute else ""
    return f"{each.code} {each.certainty}{probability}: {each.statement} ({each.evidence}){acute}"


def found(name, scale=1.0):
    measured, statements, (age, definitions) = interpretation(name, scale)
    names = CALM if name in CALM else DRAWN
    before = interpretation(names[names.index(name) - 1], scale)
    changed = compare(Ecg(before[0], before[1]), Ecg(measured, statements))
    rng = np.random.default_rng([56, int(name.split()[1])])
    more = [Statement(int(code), words_of(int(code)), "definite", 1.0, "so it is") for code in rng.choice(CODES, 2)]
    said = {
        "statements": [in_words(each) for each in statements],
        "doubts": doubts(statements, measured),
        "contradictions": contradictions([*statements, *more], measured, age=age, definitions=definitions),
        "changes": [each.words for each in changed.changes if abs(each.difference) > 0],
        "differences": [round(each.difference, 2) for each in changed.changes if abs(each.difference) > 0],
        "compared": [f"{code} {words}: {why}" for code, words, why in changed.statements],
        "new": changed.new,
        "gone": changed.gone,
    }
    return {key: each for key, each in said.items() if each}


@pytest.mark.parametrize("name", [*DRAWN, *CALM])
def test_what_is_said_of_numbers_around_the_limits_is_what_was_noted(name):
    assert found(name) == json.loads(GOLDEN.read_text())[name]


def as_noted(name):
    now = found(name)
    if not found(name, 1 - 1e-9) == now == found(name, 1 + 1e-9):
        raise ValueError(f"{name}: a probability so near its limit that the processor decides; draw another")
    return now


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(as_noted(name), ensure_ascii=False)}" for name in [*DRAWN, *CALM])
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
