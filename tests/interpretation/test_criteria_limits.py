"""The limits of the criteria, written down here from the sources and not from the table; each one from both sides.

Surawicz 2009 (conduction), Rautaharju 2009 (ST, T, QT), Hancock 2009 (hypertrophy), Mason 2007 (the list), Thygesen
2018 (infarction), Peguero 2017; PTB-XL's own limits where a line says so.
"""

import math
import re

import pytest

from ecg.interpretation.criteria import all_criteria, verdict_on
from ecg.interpretation.quantities import Quantity
from ecg.interpretation.statement_list import read_table

# A line: code (+ modifiers) [convention] [sex] [ages from-to]: quantity relation limit +- margin, ...
# Without a convention, sex or age it holds for all conventions and sexes, and for adults.
MAKES = """
20 clinical: p_waves >= 1, rate >= 60 +- 2, rate <= 100 +- 2
20 ptb-xl: p_waves >= 1, rate <= 100 +- 2
21: rate > 100 +- 2, p_waves >= 1
21+305: rate > 150 +- 2, p_waves >= 1
22 clinical: rate < 60 +- 2, p_waves >= 1
22 ptb-xl: rate < 50 +- 2, p_waves >= 1
22+305: rate < 40 +- 2, p_waves >= 1
23 0-: rr_range > 120 +- 20, p_waves >= 1
30 0-: early >= 1
60 0-: early >= 1
50 0-: p_waves <= 0, rr_variation >= 0.1 +- 0.02
50+346: p_waves <= 0, rr_variation >= 0.1 +- 0.02, rate > 100 +- 2
50+347: p_waves <= 0, rr_variation >= 0.1 +- 0.02, rate < 50 +- 2
56: rate > 150 +- 2, qrs < 120 +- 0, p_waves <= 0, rr_variation < 0.05 +- 0.01
76: rate > 100 +- 2, qrs >= 120 +- 10, p_waves <= 0, rr_variation < 0.1 +- 0.02
181 0-: paced_share >= 0.5 +- 0.1
80: pr < 120 +- 10
82: pr > 200 +- 10
82+305: pr > 300 +- 10
104 16-: qrs >= 120 +- 10, broad_r_lateral >= 1, no_q_lateral >= 1
104 4-16: qrs >= 100 +- 10, broad_r_lateral >= 1, no_q_lateral >= 1
106 16-: qrs >= 120 +- 10, rsr_v1 >= 1, s_lateral >= 1
106 4-16: qrs >= 100 +- 10, rsr_v1 >= 1, s_lateral >= 1
105 clinical 16-: qrs >= 110 +- 10, qrs < 120 +- 10, rsr_v1 >= 1
105 ptb-xl 16-: qrs < 120 +- 10, rsr_v1 >= 1
107 16-: qrs > 110 +- 10
101 clinical 16-: axis <= -45 +- 5, axis >= -90 +- 5, qr_avl >= 1, rpt_aVL >= 45 +- 5, qrs < 120 +- 10
101 ptb-xl 16-: axis <= -30 +- 5, axis >= -90 +- 5, qr_avl >= 1, rpt_aVL >= 45 +- 5, qrs < 120 +- 10
102 16-: axis >= 90 +- 5, rs_lateral >= 1, qr_inferior >= 1, qrs < 120 +- 10
108 16-: pr < 120 +- 10, qrs > 110 +- 10, delta >= 1
121 clinical: axis < -30 +- 5, axis >= -90 +- 5
121 ptb-xl: axis < 0 +- 5, axis >= -90 +- 5
121+306: axis < -30 +- 5, axis >= -45 +- 0
121+305: axis < -45 +- 0, axis >= -90 +- 5
120: axis > 90 +- 5, axis <= 180 +- 0
120+306: axis > 90 +- 5, axis <= 120 +- 0
120+305: axis > 120 +- 0, axis <= 180 +- 0
122: axis < -90 +- 5
125: limb_peak_to_peak < 0.5 +- 0.05
125: chest_peak_to_peak < 1.0 +- 0.1
128: r_V3 <= 0.3 +- 0.05
140: p_terminal_mv <= -0.1 +- 0.02, p_terminal_ms >= 40 +- 5
141: p_II > 0.25 +- 0.03
141: p_initial_V1 > 0.15 +- 0.03
142 35-: sokolow_lyon > 3.5 +- 0.2
142: r_aVL > 1.1 +- 0.1
142 Male: cornell > 2.8 +- 0.2
142 Unknown: cornell > 2.8 +- 0.2
142 Female: cornell > 2.0 +- 0.2
142: cornell_product > 244 +- 15
142 Male: peguero >= 2.8 +- 0.2
142 Unknown: peguero >= 2.8 +- 0.2
142 Female: peguero >= 2.3 +- 0.2
143: r_V1 > 0.6 +- 0.1, r_to_s_V1 > 1 +- 0.1, axis > 90 +- 5
143: r_v1_s_v5 > 1.05 +- 0.1, axis > 90 +- 5
148 Male: qtc >= 450 +- 15
148 Female: qtc >= 460 +- 15
148 Unknown: qtc >= 460 +- 15
148+305: qtc > 500 +- 15
149: qtc <= 390 +- 15
83 0-: blocked_p >= 2, pause < 1.9 +- 0.03
84 0-: blocked_p >= 2, pause >= 1.9 +- 0.03, pause < 2.15 +- 0.03
85 0-: blocked_p >= 2, blocked_share >= 0.8
86 0-: blocked_p >= 2
86 0-: blocked_p >= 1, rr_variation > 0.15
88: rate < 56 +- 2, p_waves <= 0, rr_variation < 0.05 +- 0.01
186 0-: lost_spikes >= 2
145+362: st_depression >= 2
145+363: st_elevation >= 2, qrs < 120 +- 0
147+367: t_inversion >= 2
147+366: t_low >= 2
160: q_anterior >= 2
165: q_anteroseptal >= 2
161: q_inferior >= 2
163: q_lateral >= 2
162: broad_r_v1 >= 1
155: j_point >= 2, qrs < 120 +- 10
202: coved_v1 >= 1
"""
NEEDS = """
21: rate > 100 +- 2
22: rate < 60 +- 2
42 0-: rate < 60 +- 2
38 0-: rate <= 60 +- 2
55 0-: rate > 100 +- 2
76: rate > 100 +- 2
76: qrs >= 120 +- 10
70: rate > 100 +- 2
70: qrs >= 120 +- 10
80: pr < 120 +- 10
82: pr > 200 +- 10
104 16-: qrs >= 120 +- 10
104 4-16: qrs >= 100 +- 10
104 0-4: qrs >= 90 +- 10
106 16-: qrs >= 120 +- 10
106 4-16: qrs >= 100 +- 10
106 0-4: qrs >= 90 +- 10
105 16-: qrs < 120 +- 10
105 4-16: qrs < 100 +- 10
105 0-4: qrs < 90 +- 10
107 16-: qrs > 110 +- 10
107 8-16: qrs > 90 +- 10
107 0-8: qrs > 80 +- 10
101 clinical 16-: axis <= -45 +- 5
101 ptb-xl 16-: axis <= -30 +- 5
101 16-: axis >= -90 +- 5
102 16-: axis >= 90 +- 5
108 16-: pr < 120 +- 20
121 clinical: axis < -30 +- 5
121 ptb-xl: axis < 0 +- 5
121: axis >= -90 +- 5
120: axis > 90 +- 5
122: axis < -90 +- 5
125: low_voltage_excess < 0 +- 0.1
128: r_V3 <= 0.3 +- 0.1
140 0-: p_waves >= 1
141 0-: p_waves >= 1
148 Male: qtc >= 450 +- 15
148 Female: qtc >= 460 +- 15
148 Unknown: qtc >= 460 +- 15
149: qtc <= 390 +- 15
125 0-: age >= 18
142 0-: age >= 18
143 0-: age >= 18
"""
_LINE = re.compile(r"(\d+)((?:\+\d+)*)(?: (clinical|ptb-xl))?(?: (Male|Female|Unknown))?(?: (\d+)-(\d*))?: (.*)")
_CONDITION = re.compile(r"(\w+) (<=|>=|<|>) (-?[\d.]+)(?: \+- ([\d.]+))?")
AGES = (0.5, 3.9, 4, 7.9, 8, 15.9, 16, 17.9, 18, 34.9, 35, 60, 100)  # either side of every limit of age
PEOPLE = [(age, sex, one) for age in AGES for sex in ("Male", "Female", "Unknown") for one in ("clinical", "ptb-xl")]
NAMES = {row["quantity"] for row in read_table("criteria.csv")}


def written(lines, person):
    """The criteria of some lines that hold for a person: code, modifiers and conditions."""
    age, sex, convention = person
    for line in lines.strip().splitlines():
        code, modifiers, definitions, its_sex, low, high, rest = _LINE.fullmatch(line).groups()
        if (
            definitions in (None, convention)
            and its_sex in (None, sex)
            and float(low or 18) <= age < float(high or 999)
        ):
            conditions = (_CONDITION.fullmatch(part).groups() for part in rest.split(", "))
            each = [(name, relation, float(limit), float(margin or 0)) for name, relation, limit, margin in conditions]
            yield int(code), tuple(map(int, modifiers.split("+")[1:])), frozenset(each)


def in_the_table(roles, person):
    """The same of the table."""
    age, sex, convention = person
    for code, criteria in all_criteria().items():
        for one in criteria:
            holds = [each for each in one.conditions if each.definitions in ("", convention)]
            applies = [each for each in holds if each.applies(age, sex)]
            if one.role in roles and applies and len(applies) == len(holds):
                conditions = frozenset((each.quantity, each.relation, each.limit, each.margin) for each in applies)
                yield code, one.modifiers, conditions


@pytest.mark.parametrize("person", PEOPLE, ids=str)
def test_the_table_has_these_criteria_and_no_other(person):
    assert sorted(in_the_table(("makes", "says"), person), key=repr) == sorted(written(MAKES, person), key=repr)
    assert sorted(in_the_table(("needs",), person), key=repr) == sorted(written(NEEDS, person), key=repr)


def test_these_are_said_whatever_a_model_says():
    said = {(code, one.modifiers) for code, each in all_criteria().items() for one in each if one.role == "says"}
    assert said == {(145, (363,)), (86, ()), (88, ())}


def verdict(code, age=60.0, sex="Male", convention="clinical", **values):
    quantities = {name: Quantity(math.nan, "") for name in NAMES}
    quantities |= {name: Quantity(value, f"{name} {value:g}") for name, value in (values | {"age": age}).items()}
    return verdict_on(code, quantities, age, sex, convention)


@pytest.mark.parametrize(
    ("code", "name", "values", "states"),
    [
        (82, "pr", (189.9, 190, 190.1, 200, 210, 210.1), ("no", "no", "near", "near", "near", "met")),
        (80, "pr", (109.9, 110, 120, 129.9, 130, 130.1), ("met", "near", "near", "near", "no", "no")),
        (148, "qtc", (434.9, 435, 450, 464.9, 465), ("no", "near", "near", "near", "met")),
        (149, "qtc", (375, 375.1, 390, 405, 405.1), ("met", "near", "near", "near", "no")),
        (107, "qrs", (100, 100.1, 120, 120.1), ("no", "near", "near", "met")),
        (121, "axis", (-50, -35.1, -35, -27, -25.1, -25), ("met", "met", "near", "near", "near", "no")),
        (120, "axis", (85, 85.1, 95, 95.1, 180), ("no", "near", "near", "met", "met")),
        (142, "sokolow_lyon", (3.3, 3.31, 3.7, 3.71), ("no", "near", "near", "met")),
        (128, "r_V3", (0.25, 0.26, 0.35, 0.36), ("met", "near", "near", "no")),
    ],
)
def test_a_number_is_beyond_its_limit_within_the_error_or_not(code, name, values, states):
    words = {"no": "not met", "near": "borderline", "met": "met"}
    found = [verdict(code, **{name: value}).state for value in values]
    assert found == [words[state] for state in states]
    assert verdict(code).state == "unknown"


def test_every_condition_of_a_criterion_counts_and_one_criterion_is_enough():
    good = {"qrs": 150.0, "rsr_v1": 1.0, "s_lateral": 1.0}
    assert verdict(106, **good).state == "met"
    assert verdict(106, **(good | {"qrs": 115.0})).state == "borderline"
    for name in ("rsr_v1", "s_lateral"):
        assert verdict(106, **(good | {name: 0.0})).state == "not met"
        assert verdict(106, **(good | {name: math.nan})).state == "unknown"
    one_of_two = verdict(142, r_aVL=1.5, sokolow_lyon=2.0)
    assert (one_of_two.state, one_of_two.name, one_of_two.evidence[0]) == ("met", "R in aVL", "r_aVL 1.5")


def test_what_a_statement_needs_is_asked_for_up_to_its_margin_and_must_be_measured():
    assert [verdict(82, pr=pr).allowed for pr in (190.1, 190, math.nan)] == [True, False, False]
    assert [verdict(120, axis=axis).allowed for axis in (85.1, 85)] == [True, False]
    assert [verdict(125, age=age, low_voltage_excess=-0.2).allowed for age in (18.0, 17.9)] == [True, False]


def test_the_last_criterion_that_is_met_gives_the_modifiers():
    assert verdict(82, pr=320.0).modifiers == (305,) and verdict(82, pr=250.0).modifiers == ()
    assert verdict(121, axis=-60.0).modifiers == (305,) and verdict(121, axis=-40.0).modifiers == (306,)
    assert verdict(82, pr=305.0).modifiers == ()  # within the error of 300 ms


def test_an_unknown_age_is_that_of_an_adult():
    assert verdict(142, age=math.nan, sokolow_lyon=4.0).state == "met"
    assert verdict(142, age=30.0, sokolow_lyon=4.0).state == "unknown"


@pytest.mark.parametrize(
    ("sokolow_lyon", "peguero", "state", "name"),
    [
        (3.8, 3.1, "met", "Peguero-Lo Presti"),
        (3.8, 2.7, "met", "Sokolow-Lyon"),
        (3.4, 3.1, "met", "Peguero-Lo Presti"),
        (3.4, 2.7, "borderline", "Sokolow-Lyon"),
        (3.0, 2.7, "borderline", "Peguero-Lo Presti"),
        (3.0, 2.0, "not met", ""),
    ],
)
def test_of_criteria_that_are_met_the_last_has_its_name_said_and_of_borderline_ones_the_first(
    sokolow_lyon, peguero, state, name
):
    low = {"r_aVL": 0.5, "cornell": 1.0, "cornell_product": 90.0}
    found = verdict(142, sokolow_lyon=sokolow_lyon, peguero=peguero, **low)
    assert (found.state, found.name) == (state, name)


@pytest.mark.parametrize("code", sorted(all_criteria()))
def test_a_criterion_that_is_not_met_says_what_was_looked_at(code):
    numbers = dict.fromkeys(sorted(NAMES), 1000.0)
    for given in (numbers, {name: -value for name, value in numbers.items()}, dict.fromkeys(numbers, 0.0)):
        found = verdict(code, **given)
        assert found.state == "unknown" or found.evidence
