"""Statements: free of contradictions whatever goes in, true to the number beside them, certain where all agree."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.interpretation import contradictions, doubts, interpret
from ecg.interpretation.criteria import Verdict
from ecg.interpretation.interpret import (
    CERTAINTIES,
    LIMITS,
    Policy,
    Statement,
    _rank,
    _Reader,
    _secondary,
    certainty_of,
    probabilities_of_codes,
)
from ecg.interpretation.quantities import Quantity
from ecg.interpretation.statement_list import read_table, statement_list
from ecg.labels.diagnoses import CHALLENGE_2020, load_diagnoses
from ecg.measurements import measure
from ecg.simulator.noise import Noise
from ecg.simulator.simulate import simulate

CLASSES = {"challenge": CHALLENGE_2020.classes, "ptb-xl": load_diagnoses("ptb-xl").classes}
SINUS = {"challenge": {"426783006": 0.95}, "ptb-xl": {"SR": 0.95}}


@pytest.fixture(scope="module")
def measured():
    one = simulate(np.random.default_rng(3), "NSR", noise=Noise(), comorbidity=False)
    found = measure(one.signal, 500)
    assert found.has_p_waves
    return replace(found, pr_ms=160.0, qrs_axis_deg=40.0, qrs_ms=90.0, qtc_fridericia_ms=420.0)


def said(measured, opinions=None, definitions="clinical", age=60.0, sex="Female"):
    return {each.code: each for each in interpret(measured, age, sex, opinions, definitions)}


def drawn_opinions(seed):
    """Opinions of no, one or two models: mostly likely, anything, or mostly unlikely."""
    rng = np.random.default_rng(seed)
    names = [name for name in sorted(CLASSES) if rng.random() < 0.7]
    power = rng.choice([0.3, 1.0, 3.0])
    return {
        name: dict(zip(CLASSES[name], (rng.uniform(size=len(CLASSES[name])) ** power).tolist(), strict=True))
        for name in names
    }


def numbers(low, high):
    return st.one_of(st.floats(low, high), st.just(math.nan))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    numbers(20, 250),
    numbers(60, 400),
    numbers(60, 220),
    numbers(250, 650),
    numbers(-180, 180),
    st.booleans(),
    numbers(0, 100),
    st.sampled_from(["Female", "Male", "Unknown"]),
    st.sampled_from(["clinical", "ptb-xl"]),
)
def test_no_interpretation_contradicts_itself_or_a_number(
    measured, seed, rate, pr, qrs, qtc, axis, has_p, age, sex, definitions
):
    changed = replace(
        measured,
        heart_rate_bpm=rate,
        pr_ms=pr if has_p else math.nan,
        qrs_ms=qrs,
        qtc_fridericia_ms=qtc,
        qrs_axis_deg=axis,
        has_p_waves=has_p,
    )
    found = interpret(changed, age, sex, drawn_opinions(seed), definitions)
    assert contradictions(found, changed, age=age, definitions=definitions) == []
    assert found
    for each in found:
        assert each.evidence
        assert each.statement
        assert each.certainty in CERTAINTIES
    acute = [bool(each.acute) for each in found]
    assert acute == sorted(acute, reverse=True)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("heart_rate_bpm", 59.0, 22),
        ("heart_rate_bpm", 60.0, 20),
        ("heart_rate_bpm", 100.0, 20),
        ("heart_rate_bpm", 101.0, 21),
        ("qrs_axis_deg", -36.0, 121),
        ("qrs_axis_deg", 96.0, 120),
        ("qrs_axis_deg", -120.0, 122),
        ("pr_ms", 215.0, 82),
        ("pr_ms", 105.0, 80),
        ("qtc_fridericia_ms", 480.0, 148),
        ("qtc_fridericia_ms", 370.0, 149),
    ],
)
def test_a_measured_limit_makes_its_statement_with_and_without_a_model(measured, field, value, code):
    changed = replace(measured, **{field: value})
    assert code in said(changed)
    assert code in said(changed, SINUS)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("qrs_axis_deg", 20.0, "39732003"),
        ("heart_rate_bpm", 74.0, "426177001"),
        ("pr_ms", math.nan, "270492004"),
        ("qrs_ms", 95.0, "164909002"),
        ("qrs_ms", 95.0, "713427006"),
        ("qtc_fridericia_ms", 410.0, "111975006"),
    ],
)
def test_no_probability_makes_a_statement_against_its_number(measured, field, value, code):
    changed = replace(measured, **{field: value})
    opinions = {"challenge": {"426783006": 0.5, code: 0.99}}
    term = {"39732003": 121, "426177001": 22, "270492004": 82, "164909002": 104, "713427006": 106, "111975006": 148}
    assert term[code] not in said(changed, opinions)


def test_definitions_decide_what_slow_and_left_are(measured):
    slow, left = replace(measured, heart_rate_bpm=55.0), replace(measured, qrs_axis_deg=-15.0)
    opinions = {"challenge": {"426783006": 0.9, "39732003": 0.8}}
    assert 22 in said(slow, SINUS)
    assert 20 in said(slow, SINUS, "ptb-xl")
    assert 121 not in said(left, opinions)
    assert said(left, opinions, "ptb-xl")[121].certainty == "definite"


@pytest.mark.parametrize(
    ("rate", "clinical", "ptb_xl"),
    [(49.4, 22, 22), (49.6, 22, 20), (59.4, 22, 20), (59.6, 20, 20), (100.4, 20, 20), (100.6, 21, 21)],
)
def test_the_rate_as_it_is_printed_says_which_sinus_rhythm_it_is(measured, rate, clinical, ptb_xl):
    changed = replace(measured, heart_rate_bpm=rate)
    for opinions in (None, SINUS):
        assert clinical in said(changed, opinions)
        assert ptb_xl in said(changed, opinions, "ptb-xl")


@pytest.mark.parametrize(("age", "code"), [(17.9, 20), (18.0, 22), (math.nan, 22)])
def test_from_18_years_on_the_rate_makes_a_bradycardia(measured, age, code):
    assert code in said(replace(measured, heart_rate_bpm=50.0), age=age)
    slow = {"challenge": {"426783006": 0.5, "426177001": 0.9}}
    assert 22 in said(replace(measured, heart_rate_bpm=50.0), slow, age=age)


STATES = ("met", "borderline", "not met", "unknown")


@pytest.mark.parametrize("decided_by", ["both", "measurement", "model"])
@pytest.mark.parametrize("state", STATES)
def test_each_certainty_begins_at_its_limit(decided_by, state):
    policy = Policy(decided_by, "possible", (0.55, 0.4, 0.2))
    verdict = Verdict(state, True)
    if decided_by == "measurement" and state in ("not met", "unknown"):
        assert certainty_of(policy, verdict, 0.99) is None
        return
    limits = LIMITS["model" if decided_by == "model" or state == "unknown" else state]
    limits = (0.55, 0.4, 0.2) if limits is LIMITS["met"] else limits
    lowest = "possible" if decided_by == "measurement" and state == "met" else None
    below = [*CERTAINTIES[1:], lowest]
    for word, limit, next_word in zip(CERTAINTIES, limits, below, strict=True):
        assert certainty_of(policy, verdict, limit) == word
        assert certainty_of(policy, verdict, limit - 1e-9) == next_word
    assert certainty_of(policy, replace(verdict, allowed=False), 0.99) is None
    said_always = certainty_of(policy, replace(verdict, always=True), 0.0)
    assert said_always == "possible"
    probable = replace(policy, floor="probable")
    assert certainty_of(probable, replace(verdict, always=True), 0.0) == "probable"


@pytest.mark.parametrize(
    ("decided_by", "words"),
    [("measurement", ["definite", None]), ("both", ["possible", None]), ("model", [None, None])],
)
def test_without_a_model_only_a_criterion_that_is_met_makes_a_statement(decided_by, words):
    policy = Policy(decided_by, "possible", LIMITS["met"])
    assert [certainty_of(policy, Verdict(state, True), None) for state in STATES] == [words[0], None, None, None]


def test_of_two_statements_the_more_certain_stays_then_the_more_probable():
    def one(certainty, probability):
        return Statement(50, "", certainty, probability, "")

    order = [("possible", 0.9), ("probable", 0.2), ("probable", 0.4), ("probable", math.nan), ("probable", 0.6)]
    order += [("definite", 0.1)]
    ranks = [_rank(one(*each)) for each in order]
    assert ranks == sorted(ranks) and len(set(ranks)) == len(ranks)
    assert _rank(one("possible", math.nan)) == _rank(one("possible", 0.5))


@pytest.mark.parametrize(
    ("probability", "state", "certainty"),
    [(0.9, 40.0, None), (0.9, -52.0, "definite"), (0.35, -52.0, "probable"), (0.01, -52.0, "probable")],
)
def test_certainty_says_whether_model_and_criterion_agree(measured, probability, state, certainty):
    found = said(replace(measured, qrs_axis_deg=state), {"challenge": {"426783006": 0.9, "39732003": probability}})
    assert (found[121].certainty if 121 in found else None) == certainty


def test_within_the_error_of_the_measurement_a_statement_is_less_certain(measured):
    opinions = {"challenge": {"426783006": 0.9, "270492004": 0.6}}
    assert said(replace(measured, pr_ms=204.0), opinions)[82].certainty == "probable"
    assert said(replace(measured, pr_ms=240.0), opinions)[82].certainty == "definite"
    assert 82 not in said(replace(measured, pr_ms=185.0), opinions)


@pytest.mark.parametrize(("likely", "code"), [("426783006", 20), ("427084000", 21), ("426177001", 22)])
def test_a_child_has_the_sinus_rhythm_that_the_model_says_whatever_the_rate(measured, likely, code):
    said_by_model = {"model": {"426783006": 0.2, "427084000": 0.2, "426177001": 0.2} | {likely: 0.9}}
    for rate in (50.0, 80.0, 120.0):
        assert code in said(replace(measured, heart_rate_bpm=rate), said_by_model, age=5.0)


def test_a_child_has_no_statement_of_adult_limits(measured):
    changed = replace(measured, heart_rate_bpm=130.0, qrs_axis_deg=110.0, qtc_fridericia_ms=470.0)
    assert set(said(changed, age=5.0)) == {20}


def test_a_normal_ecg_stands_alone_and_gives_way_to_what_is_certain(measured):
    opinions = {"challenge": {"426783006": 0.98}, "ptb-xl": {"NORM": 0.9, "SR": 0.98, "LVH": 0.31}}
    calm = replace(measured, heart_rate_bpm=70.0, qtc_fridericia_ms=420.0)
    assert set(said(calm, opinions)) == {1, 20}
    assert set(said(replace(calm, heart_rate_bpm=52.0), opinions)) == {2, 22}
    assert set(said(replace(calm, heart_rate_bpm=35.0), opinions)) == {22}  # acute
    assert 1 not in said(calm, {**opinions, "ptb-xl": {"NORM": 0.9, "SR": 0.98, "IMI": 0.9}})


@pytest.mark.parametrize(("probability", "codes"), [(0.9, {1, 20}), (0.6, {1, 20}), (0.4, {20, 142})])
def test_only_a_normal_ecg_that_is_more_than_possible_goes_before_what_is_possible(measured, probability, codes):
    opinions = {"challenge": {"426783006": 0.98}, "ptb-xl": {"NORM": probability, "SR": 0.98, "LVH": 0.36}}
    assert set(said(measured, opinions)) == codes


def test_pacing_leaves_no_statement_of_qrs_and_st(measured):
    opinions = {"challenge": {"10370003": 0.9, "164909002": 0.9, "164934002": 0.9, "39732003": 0.9}}
    found = said(replace(measured, qrs_ms=160.0, qrs_axis_deg=-60.0, has_p_waves=False, pr_ms=math.nan), opinions)
    assert set(found) == {121, 181}


def test_secondary_statements_stand_beside_their_primary_one_only(measured):
    ischaemia = {"challenge": {"426783006": 0.9}, "ptb-xl": {"SR": 0.9, "ISC_": 0.9}}
    assert 226 not in said(measured, ischaemia)
    found = said(measured, {**ischaemia, "challenge": {"426783006": 0.9, "164934002": 0.9}})
    assert found[226].statement == "Consider ischemia"
    assert "T-wave abnormality" in found[226].evidence


def test_without_a_heart_beat_an_ecg_is_uninterpretable():
    (only,) = interpret(measure(np.zeros((12, 5000), np.float32), 500), 60, "Male")
    assert (only.code, only.certainty) == (4, "definite")


def test_a_loose_or_exchanged_electrode_is_stated(measured):
    quality = replace(measured.quality, leads_off=("V3",), suspected_swap="RA-LA")
    found = said(replace(measured, quality=quality))
    assert "V3" in found[12].evidence
    assert "RA and LA" in found[10].evidence


@pytest.mark.parametrize(
    ("changes", "opinions", "words"),
    [
        ({"heart_rate_bpm": 34.0}, SINUS, "BELOW 40"),
        ({"heart_rate_bpm": 170.0}, SINUS, "ABOVE 150"),
        ({"qtc_fridericia_ms": 530.0}, SINUS, "QTc"),
        ({}, {"challenge": {"426783006": 0.9}, "ptb-xl": {"SR": 0.9, "3AVB": 0.6}}, "COMPLETE AV BLOCK"),
        (
            {"heart_rate_bpm": 180.0, "qrs_ms": 170.0, "has_p_waves": False, "pr_ms": math.nan, "rr_sd_ms": 4.0},
            {"challenge": {"164890007": 0.7}},
            "VENTRICULAR TACHYCARDIA",
        ),
    ],
)
def test_what_is_acute_comes_first_in_words_that_stand_out(measured, changes, opinions, words):
    first = interpret(replace(measured, **changes), 60, "Male", opinions)[0]
    assert words in first.acute


@pytest.mark.parametrize(
    ("changes", "beats", "words"),
    [
        ({"heart_rate_bpm": 55.0}, {"n_blocked_p": 2}, "SECOND-DEGREE AV BLOCK"),
        ({"heart_rate_bpm": 55.0, "rr_sd_ms": 200.0}, {"n_blocked_p": 1}, "SECOND-DEGREE AV BLOCK"),
        ({"heart_rate_bpm": 42.0, "has_p_waves": False, "pr_ms": math.nan, "rr_sd_ms": 3.0}, {}, "COMPLETE AV BLOCK"),
        ({}, {"n_lost_spikes": 2}, "PACEMAKER"),
        ({"heart_rate_bpm": 170.0, "has_p_waves": False, "pr_ms": math.nan, "rr_sd_ms": 1.0}, {}, "RATE ABOVE 150"),
    ],
)
@pytest.mark.parametrize("opinions", [None, {"challenge": {"426783006": 0.9}, "ptb-xl": {"2AVB": 0.01, "3AVB": 0.01}}])
def test_what_is_measured_as_acute_is_said_whatever_the_model_says(measured, changes, beats, words, opinions):
    changed = replace(measured, **changes, beats=replace(measured.beats, **beats))
    assert any(each.acute.startswith(words) for each in interpret(changed, 60, "Male", opinions))
    calm = replace(measured, heart_rate_bpm=70.0, rr_sd_ms=20.0, beats=replace(measured.beats, n_blocked_p=1))
    calm = replace(calm, beats=replace(calm.beats, n_lost_spikes=1))
    assert not any(each.acute for each in interpret(calm, 60, "Male", opinions))


@pytest.mark.parametrize(
    ("intervals", "blocked", "code", "evidence"),
    [
        ([400, 400, 690] * 3, 3, 83, "3 P waves without a QRS complex after them, pauses of 1.73 times"),
        ([400, 400, 800] * 3, 3, 84, "3 P waves without a QRS complex after them, pauses of 2.00 times"),
        ([400, 400, 900] * 3, 3, 86, "3 P waves without a QRS complex after them"),
        ([800] * 9, 9, 85, "in 9 of 9 RR intervals"),
        ([800] * 9, 8, 85, "in 8 of 9 RR intervals"),
        ([800] * 9, 7, 86, "7 P waves without"),
        ([400, 400, 690] * 3, 1, None, ""),
    ],
)
def test_pauses_tell_the_kinds_of_second_degree_block(measured, intervals, blocked, code, evidence):
    samples = np.cumsum([100, *intervals])
    beats = replace(measured.beats, samples=samples, kinds=("dominant",) * len(samples), n_blocked_p=blocked)
    changed = replace(measured, beats=beats, n_beats=len(samples), pr_ms=230.0, rr_sd_ms=20.0)
    said = {each.code: each for each in interpret(changed, 60, "Male")}
    assert [each for each in said if 80 <= each <= 88 or each == 23] == ([code] if code else [23, 82])
    if code:
        assert (said[code].certainty, bool(said[code].acute)) == ("possible", True)
        assert evidence in said[code].evidence


def test_st_elevation_is_said_whatever_the_model_says(measured):
    st_j = measured.amplitudes.st_j.copy()
    st_j[[6, 7, 8, 9]] = 0.0, 0.31, 0.35, 0.22
    raised = replace(measured, qrs_ms=95.0, amplitudes=replace(measured.amplitudes, st_j=st_j))
    normal = {"challenge": {"426783006": 0.99}, "ptb-xl": {"NORM": 0.95, "SR": 0.99, "STE_": 0.001}}
    first = interpret(raised, 60, "Male", normal)[0]
    assert (first.code, first.statement) == (145, "ST deviation, elevation, leads V2, V3, V4")
    assert "ST 0.35 mV in V3" in first.evidence
    assert first.acute
    # Its mirror image beside it doesn't hide it.
    st_j[[2, 5]] = -0.2
    both = replace(raised, amplitudes=replace(measured.amplitudes, st_j=st_j, st_60=st_j))
    assert interpret(both, 60, "Male", normal)[0].statement == first.statement
    # In a wide complex the ST segment follows from the QRS complex.
    assert not any(each.acute for each in interpret(replace(raised, qrs_ms=150.0), 60, "Male", normal))


@pytest.mark.parametrize(
    ("age", "sex", "lead", "limit"),
    [
        (60, "Male", "V2", 0.2),
        (30, "Male", "V2", 0.25),
        (60, "Female", "V2", 0.15),
        (30, "Female", "V2", 0.15),
        (60, "Male", "II", 0.1),
        (60, "Unknown", "V2", 0.2),
    ],
)
def test_limits_of_st_elevation_are_those_of_the_universal_definition(measured, age, sex, lead, limit):
    pair = {"V2": [7, 8], "II": [1, 5]}[lead]
    for value, expected in ((limit - 0.01, False), (limit + 0.01, True)):
        st_j = np.zeros(12, np.float32)
        st_j[pair] = value
        raised = replace(measured, qrs_ms=95.0, amplitudes=replace(measured.amplitudes, st_j=st_j))
        assert (
            145 in said(raised, age=age, sex=sex) and "elevation" in said(raised, age=age, sex=sex)[145].statement
        ) == (expected)


def test_probabilities_of_two_models_meet_in_log_odds():
    found, _ = probabilities_of_codes({"challenge": {"164889003": 0.9}, "ptb-xl": {"AFIB": 0.5}})
    assert found[50] == pytest.approx(0.75)  # odds of 9 and 1: their geometric mean is 3
    both, _ = probabilities_of_codes({"challenge": {"270492004": 0.5, "164947007": 0.2}})
    assert both[82] == pytest.approx(0.6)
    assert probabilities_of_codes({"challenge": {"164889003": math.nan}})[0] == {}


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_of_the_map_is_one_of_its_set(name):
    mapped = {row["class"] for row in read_table("classes.csv") if row["set"] == name}
    assert mapped <= set(CLASSES[name])
    if name == "challenge":
        assert set(CLASSES[name]) - mapped == {"164917005"}  # the list has no statement of Q waves alone


@pytest.mark.parametrize(("diagnosis", "code"), [("AF", 50), ("LBBB", 104), ("SB", 22), ("STach", 21), ("LAD", 121)])
def test_measurements_alone_find_what_was_simulated(diagnosis, code):
    found = 0
    for seed in range(6):
        one = simulate(np.random.default_rng(seed), diagnosis, comorbidity=False)
        found += code in said(measure(one.signal, one.sampling_frequency), age=60.0)
    assert found >= 4


def test_p_waves_make_a_sinus_rhythm_that_no_model_contradicts(measured):
    unlikely = {"challenge": {"426783006": 0.05, "164889003": 0.02}}
    assert said(measured, unlikely)[20].certainty == "probable"
    without = replace(measured, has_p_waves=False, pr_ms=math.nan, rr_sd_ms=5.0)
    assert said(without, unlikely)[27].certainty == "possible"
    assert doubts(interpret(measured, 60, "Male", unlikely), measured) == []
    assert any("rhythm" in each for each in doubts(interpret(without, 60, "Male", unlikely), without))


@pytest.mark.parametrize(
    ("probability", "has_p", "certainty"),
    [(0.31, True, "probable"), (0.49, True, "probable"), (0.51, True, "definite"), (0.85, False, "probable"),
     (0.6, False, "probable"), (0.4, False, "possible")],
)  # fmt: skip
def test_how_certain_sinus_rhythm_is_by_model_and_p_waves(measured, probability, has_p, certainty):
    changed = replace(measured, has_p_waves=has_p, pr_ms=160.0 if has_p else math.nan)
    assert said(changed, {"challenge": {"426783006": probability}})[20].certainty == certainty


@pytest.mark.parametrize(
    ("rate", "qrs", "code", "certainty"),
    [(170.0, 90.0, 56, "probable"), (151.0, 90.0, 56, "possible"), (130.0, 150.0, 76, "probable")],
)
def test_a_tachycardia_without_p_waves_is_what_is_measured_where_no_model_knows_the_rhythm(
    measured, rate, qrs, code, certainty
):
    without_p = replace(measured, heart_rate_bpm=rate, qrs_ms=qrs, rr_sd_ms=3.0, has_p_waves=False, pr_ms=np.nan)
    found = said(without_p, {"model": {"164889003": 0.1, "426783006": 0.2}})
    assert found[code].certainty == certainty
    slow = said(replace(without_p, heart_rate_bpm=90.0, qrs_ms=90.0), {"model": {"164889003": 0.1, "426783006": 0.2}})
    assert slow[27].certainty == "possible"  # an unclear rhythm stays one


@pytest.mark.parametrize(("has_p", "certainty"), [(False, "definite"), (True, "probable")])
def test_p_waves_make_fibrillation_less_certain(measured, has_p, certainty):
    changed = replace(measured, has_p_waves=has_p, rr_sd_ms=150.0)
    assert said(changed, {"challenge": {"164889003": 0.95}})[50].certainty == certainty


def test_the_leads_of_a_right_bundle_branch_block_say_nothing_of_st_and_t(measured):
    st_j = np.zeros(12, np.float32)
    st_j[[6, 7, 8]] = 0.4
    changed = replace(measured, qrs_ms=118.0, amplitudes=replace(measured.amplitudes, st_j=st_j))
    likely = {"challenge": {"426783006": 0.9, "713427006": 0.9}}
    assert 145 in said(changed, {"challenge": {"426783006": 0.9}})
    assert 106 in said(changed, likely) and 145 not in said(changed, likely)
    beside = replace(changed, amplitudes=replace(measured.amplitudes, st_j=np.roll(st_j, 1) * (np.arange(12) > 7)))
    assert 145 not in said(beside, likely)  # V3 and V4
    lower = st_j.copy()
    lower[[1, 5]] = 0.3
    changed = replace(changed, amplitudes=replace(measured.amplitudes, st_j=lower))
    assert said(changed, likely)[145].statement.endswith("leads II, aVF")


@pytest.mark.parametrize("code", sorted(statement_list()))
def test_coved_st_in_v1_may_be_brugada_beside_what_the_list_allows(code):
    statement = statement_list()[code]
    term = statement_list()[202]
    for coved in (0.0, 1.0):
        numbers = {"coved_v1": Quantity(coved, "ST 0.30 mV in V1, falling")}
        reader = _Reader(60.0, "Male", "clinical", {}, {}, numbers)
        found = _secondary({code: statement}, reader)
        assert [each.code for each in found] == [202] * (coved > 0 and code in term.accompanies)
        assert all((each.certainty, each.evidence) == ("possible", numbers["coved_v1"].words) for each in found)
