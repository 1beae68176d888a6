"""The check that knows nothing of how statements are made finds what must not stand together, and nothing else."""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from ecg.interpretation.contradictions import contradictions
from ecg.interpretation.statement_list import statement_list

RHYTHMS = [20, 21, 22, 27, 33, 34, 35, 38, 39, 42, *range(50, 57), 63, 64, 65, 70, *range(72, 77)]
PACED = range(180, 185)
HIDDEN = [128, 142, 143, 145, 147, *range(160, 167)]
NAMES = ("heart_rate_bpm", "pr_ms", "qrs_ms", "qrs_axis_deg", "qtc_fridericia_ms")


@dataclass
class Said:
    code: int
    evidence: str = "because"


def found(*codes, age=60.0, definitions="clinical", **values):
    measured = SimpleNamespace(**(dict.fromkeys(NAMES, math.nan) | values))
    return contradictions([Said(code) for code in codes], measured, age=age, definitions=definitions)


def pairs(some, others):
    return [(a, b) for a in some for b in others if a != b]


NOT_TOGETHER = [
    *pairs([*RHYTHMS, *PACED], [*RHYTHMS, *PACED]),
    *pairs([23], [code for code in [*RHYTHMS, *PACED] if code not in (20, 21, 22)]),
    *pairs([104, 105, 106, 108], [104, 105, 106, 108]),
    *pairs([107], [104, 105, 106, 108]),
    *pairs([102], [101, 104]),
    *pairs(range(83, 89), range(83, 89)),
    *pairs(PACED, HIDDEN),
    *pairs([104], HIDDEN),
    *pairs(range(120, 124), range(120, 124)),
    (148, 149),
    *pairs([1], [21, 22, 30, 82, 106, 121, 147]),
]
TOGETHER = [(1, 20), (1, 23), (1, 228), (20, 23), (30, 20), (60, 50), (101, 106), (106, 147), (121, 142), (148, 104),
            (107, 147), (84, 20), (145, 160)]  # fmt: skip


def test_what_must_not_stand_together():
    for one, other in NOT_TOGETHER:
        if not {one, other} <= statement_list().keys():
            continue
        words = found(one, other)
        assert any(" beside " in each for each in words), (one, other)
    for one, other in TOGETHER:
        assert not any(" beside " in each for each in found(one, other)), (one, other)
    assert found(20, 20) and not found(20)


@pytest.mark.parametrize("rhythm", [50, 51, *range(70, 77), *PACED])
@pytest.mark.parametrize("code", [80, 82])
def test_no_pr_statement_beside_a_rhythm_without_one(code, rhythm):
    pr = {80: 100.0, 82: 250.0}[code]
    assert any("beside" in each for each in found(code, rhythm, pr_ms=pr, heart_rate_bpm=110.0))
    assert not found(code, 30, pr_ms=pr)
    assert any("without a PR interval" in each for each in found(code))


# Code, number, lowest and highest value beside it; then the convention and the age.
NUMBERS = [
    (20, "heart_rate_bpm", 58, 102, "clinical", 60), (20, "heart_rate_bpm", 48, 102, "ptb-xl", 60),
    (21, "heart_rate_bpm", 98, None, "clinical", 60), (22, "heart_rate_bpm", None, 62, "clinical", 60),
    (42, "heart_rate_bpm", None, 62, "clinical", 60), (55, "heart_rate_bpm", 98, None, "clinical", 60),
    (80, "pr_ms", None, 130, "clinical", 60), (82, "pr_ms", 190, None, "clinical", 60),
    (104, "qrs_ms", 110, None, "clinical", 60), (106, "qrs_ms", 110, None, "clinical", 16),
    (104, "qrs_ms", 80, None, "clinical", 15), (106, "qrs_ms", 80, None, "clinical", 3),
    (105, "qrs_ms", None, 130, "clinical", 60), (107, "qrs_ms", 100, None, "clinical", 60),
    (107, "qrs_ms", 70, None, "clinical", 8), (120, "qrs_axis_deg", 85, 180, "clinical", 60),
    (121, "qrs_axis_deg", -95, -25, "clinical", 60), (121, "qrs_axis_deg", -95, 5, "ptb-xl", 60),
    (122, "qrs_axis_deg", -180, -85, "clinical", 60), (148, "qtc_fridericia_ms", 435, None, "clinical", 60),
    (149, "qtc_fridericia_ms", None, 405, "clinical", 60),
]  # fmt: skip


@pytest.mark.parametrize(("code", "name", "low", "high", "definitions", "age"), NUMBERS)
def test_the_number_beside_a_statement(code, name, low, high, definitions, age):
    def said(value):
        return any(f"beside {name}" in each for each in found(code, age=age, definitions=definitions, **{name: value}))

    inside = (low or 0) + 0.5 if high is None else high - 0.5
    assert not said(inside) and not said(math.nan)
    for limit, away in ((low, -0.1), (high, 0.1)):
        if limit is not None:
            assert not said(float(limit)) and (said(limit + away) or abs(limit) == 180)


def test_a_child_may_have_another_rate():
    assert found(21, age=17.9, heart_rate_bpm=80.0) == [] != found(21, age=18.0, heart_rate_bpm=80.0)


def test_every_statement_has_evidence_and_a_secondary_one_its_primary():
    measured = SimpleNamespace(**dict.fromkeys(NAMES, math.nan))
    assert contradictions([Said(20, "")], measured) != []
    assert any("without a statement that it may accompany" in each for each in found(226))
    assert found(226, 147) == []
