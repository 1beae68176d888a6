"""Measures of a set of predictions: calibration, classes, and intervals of a metric and of a difference."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaluate_model
import team_code
from ecg.labels.diagnoses import CHALLENGE_2020
from ecg.scoring import statistics as report

CLASSES = team_code.CLASSES
WEIGHTS = evaluate_model.load_weights(classes=CLASSES)[1]


def some_answers(n_recordings=300, seed=0, error=0.05):
    rng = np.random.default_rng(seed)
    labels = rng.random((n_recordings, 24)) < 0.08
    return labels, rng.random((n_recordings, 24)), labels ^ (rng.random((n_recordings, 24)) < error)


def by_definition(labels, probabilities, n_bins=15):
    """Guo et al. 2017, eq. 2 and 3, bin by bin."""
    total = 0.0
    for m in range(1, n_bins + 1):
        inside = (probabilities > (m - 1) / n_bins) & (probabilities <= m / n_bins)
        if m == 1:
            inside |= probabilities == 0
        if inside.any():
            total += inside.mean() * abs(labels[inside].mean() - probabilities[inside].mean())
    return total


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    st.lists(
        st.tuples(st.booleans(), st.one_of(st.floats(0, 1), st.integers(0, 15).map(lambda m: m / 15))),
        min_size=1,
        max_size=60,
    )
)
def test_the_calibration_error_is_the_sum_over_bins_of_its_definition(pairs):
    labels = np.array([label for label, _ in pairs])
    probabilities = np.array([probability for _, probability in pairs])
    found = report.calibration_error(labels, probabilities)
    assert found == pytest.approx(by_definition(labels, probabilities), abs=1e-12)
    assert 0 <= found <= 1


@pytest.mark.parametrize(
    ("labels", "probabilities", "expected"),
    [
        ([0, 0, 0, 1], [0.25, 0.25, 0.25, 0.25], 0.0),
        ([1, 1, 0, 0], [0.9, 0.9, 0.1, 0.1], 0.1),
        ([1, 0, 0, 0], [0.9, 0.9, 0.1, 0.1], 0.25),  # half of them off by 0.4, half by 0.1
        ([0, 1], [1.0, 0.0], 1.0),
        ([0, 1], [0.50, 0.52], 0.01),  # one bin: (7/15, 8/15]
        ([0, 1], [0.46, 0.48], 0.49),  # two bins: up to 7/15 and from there
    ],
)
def test_the_calibration_error_of_small_numbers(labels, probabilities, expected):
    assert report.calibration_error(np.array(labels, bool), np.array(probabilities)) == pytest.approx(expected)


def test_true_probabilities_are_calibrated_and_overconfident_ones_are_not():
    rng = np.random.default_rng(0)
    probabilities = rng.random((3000, 24))
    labels = rng.random((3000, 24)) < probabilities
    assert report.calibration_error(labels, probabilities) < 0.01
    assert report.calibration_error(labels, (probabilities > 0.5).astype(float)) == pytest.approx(0.25, abs=0.01)


def test_all_measures_can_be_stored_as_json_also_where_they_are_not_defined():
    labels, probabilities, outputs = some_answers(20)
    scores = report.measure(labels, probabilities, outputs, CHALLENGE_2020)
    assert json.loads(json.dumps(scores)) == scores
    assert scores["calibration_error"] == round(report.calibration_error(labels, probabilities), 4)
    nothing = report.measure(labels & False, probabilities, outputs & False, CHALLENGE_2020)
    assert nothing["auroc"] is None and nothing["sensitivity"] is None
    by_class = report.measure_classes(labels & False, probabilities, outputs & False, CHALLENGE_2020)
    assert json.loads(json.dumps(by_class)) == by_class
    assert by_class["AF"]["auprc"] is None and by_class["AF"]["positives"] == 0


def test_the_table_by_class_has_the_scorers_numbers_for_every_class():
    labels, probabilities, outputs = some_answers(200)
    table = report.measure_classes(labels, probabilities, outputs, CHALLENGE_2020)
    scores = evaluate_model.compute_scores(WEIGHTS, labels, outputs, probabilities, CLASSES)
    printed = {line.split()[1]: line.split()[2:] for line in evaluate_model.format_class_table(scores).splitlines()[1:]}
    assert list(table)[:5] == ["IAVB", "AF", "AFL", "Brady", "CRBBB/RBBB"]
    assert set(table) == set(printed) and len(table) == 24
    names = ("auroc", "auprc", "f_measure", "sensitivity", "specificity")
    for name, (*expected, support) in printed.items():
        assert table[name]["positives"] == int(support)
        assert [table[name][key] for key in names] == pytest.approx(list(map(float, expected)), abs=6e-4)
    column = CLASSES.index("164889003")
    assert table["AF"]["calibration_error"] == pytest.approx(
        by_definition(labels[:, column], probabilities[:, column]), abs=1e-4
    )


def test_the_interval_holds_the_metric_and_narrows_with_more_recordings():
    labels, _, outputs = some_answers(400)
    whole = evaluate_model.compute_challenge_metric(WEIGHTS, labels, outputs, CLASSES)
    low, high = report.bootstrap_interval(labels, outputs, CHALLENGE_2020)
    few_low, few_high = report.bootstrap_interval(labels[:40], outputs[:40], CHALLENGE_2020)
    assert low < whole < high
    assert high - low < 0.6 * (few_high - few_low)


def test_the_interval_is_that_of_the_scorers_metric_on_every_draw():
    labels, _, outputs = some_answers(30)
    rng = np.random.default_rng(5)
    metrics = []
    for _ in range(50):
        rows = rng.integers(0, 30, 30)
        metrics.append(evaluate_model.compute_challenge_metric(WEIGHTS, labels[rows], outputs[rows], CLASSES))
    found = report.bootstrap_interval(labels, outputs, CHALLENGE_2020, repeats=50, seed=5)
    assert found == pytest.approx(np.percentile(metrics, [2.5, 97.5]), abs=1e-12)


def test_recordings_that_are_all_normal_have_a_metric_of_zero_on_every_draw():
    labels = np.zeros((5, 24), dtype=bool)
    labels[:, CLASSES.index(evaluate_model.NORMAL_CLASS)] = True
    assert report.bootstrap_interval(labels, ~labels, CHALLENGE_2020, repeats=20) == (0.0, 0.0)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(st.integers(0, 1000), st.floats(0, 0.3), st.floats(0, 0.3))
def test_a_difference_turns_its_sign_when_the_methods_change_places_and_is_zero_between_equals(seed, one, another):
    labels, _, first = some_answers(25, seed, one)
    second = labels ^ (np.random.default_rng(seed + 1).random(labels.shape) < another)
    value, low, high = report.difference_interval(labels, first, second, CHALLENGE_2020, repeats=60)
    turned = report.difference_interval(labels, second, first, CHALLENGE_2020, repeats=60)
    assert turned == pytest.approx((-value, -high, -low), abs=1e-12)
    assert low <= high
    assert report.difference_interval(labels, first, first, CHALLENGE_2020, repeats=60) == (0.0, 0.0, 0.0)


def test_a_difference_is_that_of_the_metrics_and_surer_than_two_separate_intervals():
    labels, _, first = some_answers(200, error=0.04)
    second = first ^ (np.random.default_rng(9).random(first.shape) < 0.01)  # mostly the same answers
    value, low, high = report.difference_interval(labels, first, second, CHALLENGE_2020)
    one, other = (
        evaluate_model.compute_challenge_metric(WEIGHTS, labels, outputs, CLASSES) for outputs in (first, second)
    )
    assert value == pytest.approx(one - other)
    assert 0 < low < value < high
    own_low, own_high = report.bootstrap_interval(labels, first, CHALLENGE_2020)
    assert high - low < 0.7 * (own_high - own_low)
