"""Conventions: prior odds by Bayes' rule, definitions that weigh labels down, and the habit with sinus rhythm."""

import csv
import math
from dataclasses import replace
from importlib.resources import files
from itertools import product

import numpy as np
import pytest
from scipy.special import expit, logit

from ecg.decisions.conventions import CONTRADICTED, CONVENTIONS, IMPLIED, ConventionTable, Limit, convention
from ecg.decisions.expected_score import highest_expected_score
from ecg.labels.diagnoses import CHALLENGE_2020

CLASSES, WEIGHTS = CHALLENGE_2020.classes, CHALLENGE_2020.weights
AF, NSR, SB, STACH, LAD, IAVB = "164889003", "426783006", "426177001", "427084000", "39732003", "270492004"


def column(code):
    return CLASSES.index(code)


def moved(name, probabilities, measured, priors=0.1):
    given = np.full((1, 24), 0.05)
    for code, value in probabilities.items():
        given[0, column(code)] = value
    return convention(name, CLASSES).moved(given, np.full((1, 24), priors), measured)


def test_prior_odds_move_a_probability_as_bayes_says():
    (found,) = moved("ptb-xl", {AF: 0.3}, {}, priors=0.2)
    there = 0.0693  # PTB-XL: 1,514 of 21,837
    expected = expit(logit(0.3) + logit(there) - logit(0.2))
    assert found[column(AF)] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("prior", "taken"), [(0.0, 0.002), (0.001, 0.002), (0.99, 0.98), (1.0, 0.98)])
def test_no_prior_of_the_training_data_is_taken_for_less_or_more_than_the_bounds(prior, taken):
    found = convention("ptb-xl", CHALLENGE_2020.classes)
    probabilities = np.full((1, len(CHALLENGE_2020.classes)), 0.3)
    one, other = (found.moved(probabilities, np.full_like(probabilities, each), {}) for each in (prior, taken))
    np.testing.assert_array_equal(one, other)


def test_the_clinical_convention_goes_half_the_way_for_each_database():
    found = moved("clinical", {AF: 0.3}, {}, priors=0.2)
    shares = [0.1775, 0.0443, 0.0693, 0.0551, 0.1737, 0.002]  # Ningbo wrote no fibrillation: the rarest that counts
    expected = expit(logit(0.3) + 0.5 * (logit(shares) - logit(0.2)))
    np.testing.assert_allclose(found[:, column(AF)], expected, rtol=1e-3)


def test_shares_are_the_published_counts():
    counts = {"CPSC": (1221, 6877), "Georgia": (570, 10344), "Chapman_Shaoxing": (1780, 10247)}
    text = files("ecg.decisions").joinpath("data", "clinical.csv").read_text()
    row = next(row for row in csv.DictReader(text.splitlines()) if row["code"] == AF)
    for name, (count, size) in counts.items():
        assert float(row[name]) == pytest.approx(count / size, abs=5e-5)


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_a_convention_knows_every_class_of_the_challenge(name):
    found = convention(name, CLASSES)
    assert np.isfinite(found.priors).all()
    assert found.priors.shape[1] == 24


@pytest.mark.parametrize(
    ("code", "measured", "value", "shift"),
    [
        (SB, "heart_rate_bpm", 59.0, 0.0),
        (SB, "heart_rate_bpm", 60.0, -CONTRADICTED),
        (STACH, "heart_rate_bpm", 100.0, -CONTRADICTED),
        (STACH, "heart_rate_bpm", 101.0, 0.0),
        (LAD, "qrs_axis_deg", -31.0, 0.0),
        (LAD, "qrs_axis_deg", -29.0, -CONTRADICTED),
        (LAD, "qrs_axis_deg", 120.0, -CONTRADICTED),
        (IAVB, "pr_ms", 201.0, 0.0),
        (IAVB, "pr_ms", 199.0, -CONTRADICTED),
        (NSR, "heart_rate_bpm", 60.0, 0.0),
        (NSR, "heart_rate_bpm", 59.0, -CONTRADICTED),
        (LAD, "qrs_axis_deg", math.nan, 0.0),
    ],
)
def test_a_definition_weighs_down_what_the_measurement_contradicts(code, measured, value, shift):
    plain = replace(convention("clinical", CLASSES), sinus=(), rhythms=())
    given, priors = np.full((1, 24), 0.3), np.full((1, 24), 0.1)
    without = plain.moved(given, priors, {})[:, column(code)]
    found = plain.moved(given, priors, {measured: value})[:, column(code)]
    np.testing.assert_allclose(logit(found) - logit(without), shift, atol=1e-9)
    assert not np.isclose(shift, 0) or np.allclose(found, without)


@pytest.mark.parametrize("measured", ["heart_rate_bpm", "qrs_axis_deg", "qrs_ms"])
@pytest.mark.parametrize(("above", "below"), [(50.0, 90.0), (50.0, math.inf), (-math.inf, 90.0)])
def test_a_value_at_a_limit_lies_beyond_it_but_a_rate_at_one_of_two_is_normal(measured, above, below):
    limit = Limit(0, measured, above, below, implied=True)
    normal = measured == "heart_rate_bpm" and math.isfinite(above + below)
    for value in (-1e3, 49.9, 50.0, 50.1, 89.9, 90.0, 90.1, 1e3):
        inside = above < value < below or (normal and value in (50.0, 90.0))
        for has_p in (0.0, 1.0, None):
            given = {measured: value} if has_p is None else {measured: value, "has_p_waves": has_p}
            assert limit.shift(given) == ((IMPLIED if has_p else 0.0) if inside else -CONTRADICTED), (value, has_p)
            assert replace(limit, implied=False).shift(given) == (0.0 if inside else -CONTRADICTED)
    assert limit.shift({}) == limit.shift({measured: math.nan}) == 0.0


@pytest.mark.parametrize(
    ("measured", "shift"),
    [
        ({"heart_rate_bpm": 70.0}, -CONTRADICTED),
        ({"heart_rate_bpm": 70.0, "pr_ms": math.nan}, -CONTRADICTED),
        ({"heart_rate_bpm": math.nan}, 0.0),
        ({}, 0.0),
        ({"heart_rate_bpm": 70.0, "pr_ms": 210.0}, 0.0),
    ],
)
def test_without_a_pr_interval_there_is_none_to_be_long(measured, shift):
    assert Limit(0, "pr_ms", 200.0, math.inf, implied=False).shift(measured) == shift


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_priors_are_those_of_the_table_within_bounds(name):
    text = files("ecg.decisions").joinpath("data", f"{name}.csv").read_text()
    for row in csv.DictReader(text.splitlines()):
        shares = [float(value) for key, value in row.items() if key[0].isupper()]
        if row["code"] in CLASSES:
            expected = [min(max(share, 0.002), 0.98) for share in shares]
            assert convention(name, CLASSES).priors[:, column(row["code"])].tolist() == expected
    few = ConventionTable(1.0, False, {"a": {"x": 0.0, "y": 1.0}, "b": {"x": 0.5, "y": 0.99}}, {}).for_classes("abc")
    np.testing.assert_array_equal(few.priors, [[0.002, 0.5, np.nan], [0.98, 0.98, np.nan]])


def test_a_slow_rate_with_p_waves_speaks_for_sinus_bradycardia():
    without = moved("clinical", {SB: 0.3}, {"heart_rate_bpm": 50.0, "has_p_waves": 0.0})
    found = moved("clinical", {SB: 0.3}, {"heart_rate_bpm": 50.0, "has_p_waves": 1.0})
    assert (found[:, column(SB)] > without[:, column(SB)]).all()


def test_ptb_xl_has_no_definitions_and_writes_sinus_rhythm_beside_others():
    plain = moved("ptb-xl", {NSR: 0.9, SB: 0.9}, {})
    np.testing.assert_array_equal(plain, moved("ptb-xl", {NSR: 0.9, SB: 0.9}, {"heart_rate_bpm": 80.0}))
    alone, beside = (moved("clinical", {NSR: 0.9, AF: other}, {})[:, column(NSR)] for other in (0.01, 0.95))
    assert (beside < alone / 3).all()


def test_labels_maximise_the_mean_expected_score_over_the_databases():
    rng = np.random.default_rng(1)
    weights = WEIGHTS[:4, :4]
    for _ in range(20):
        places = rng.uniform(size=(3, 1, 4))
        found = highest_expected_score(places, weights)[0]

        def expected(outputs, places=places):
            credit = ((places[:, 0] @ weights) * outputs).sum(axis=1)
            return (credit / (outputs.sum() + (places[:, 0] * ~outputs).sum(axis=1))).mean()

        best = max(expected(np.array(each)) for each in product([False, True], repeat=4) if any(each))
        assert expected(found) >= 0.98 * best  # greedy


def test_one_place_gives_the_labels_of_a_plain_decision():
    probabilities = np.random.default_rng(2).uniform(size=(30, 24)) ** 2
    plain = highest_expected_score(probabilities, WEIGHTS)
    np.testing.assert_array_equal(highest_expected_score(probabilities[np.newaxis], WEIGHTS), plain)
    np.testing.assert_array_equal(highest_expected_score(np.stack([probabilities] * 3), WEIGHTS), plain)


def test_an_unknown_convention_is_named():
    with pytest.raises(ValueError, match="definitions 'muse': expected one of clinical, ptb-xl"):
        convention("muse", CLASSES)


def test_classes_of_different_databases_are_refused():
    table = ConventionTable(0.5, True, {"a": {"X": 0.1, "Y": 0.2}, "b": {"Y": 0.1, "X": 0.2}}, {})
    with pytest.raises(ValueError, match="prevalences") as caught:
        table.for_classes(("a", "b"))
    assert str(caught.value) == "prevalences.b: expected one of each of ['X', 'Y'], found ['Y', 'X']"
    assert table.for_classes(("a", "c")).priors.shape == (2, 2)
