"""The decision by expected score against brute force and against what it claims to be."""

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import team_code
from ecg.decisions.expected_score import adjust_odds, expected_score, highest_expected_score
from evaluate_model import compute_observed_score, load_weights

WEIGHTS = load_weights(classes=team_code.CLASSES)[1]


def expected_ratio(probabilities, outputs, weights):
    """Of one recording, straight from the definition."""
    inside, union = 0.0, 0.0
    for i, p in enumerate(probabilities):
        union += 1 if outputs[i] else p
        inside += sum(p * weights[i, j] for j in range(len(outputs)) if outputs[j])
    return inside / union


@st.composite
def beliefs(draw, n_classes=4):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = rng.uniform(0, 0.5, (n_classes, n_classes))
    weights = (weights + weights.T) / 2
    np.fill_diagonal(weights, 1)
    return rng.uniform(0.001, 0.999, (draw(st.integers(1, 6)), n_classes)), weights


@given(beliefs())
def test_no_single_class_could_be_added_for_more_and_few_sets_are_better_at_all(problem):
    probabilities, weights = problem
    outputs = highest_expected_score(probabilities, weights)
    assert outputs.any(axis=1).all()
    for row, chosen in zip(probabilities, outputs, strict=True):
        reached = expected_ratio(row, chosen, weights)
        for index in np.flatnonzero(~chosen):
            more = chosen.copy()
            more[index] = True
            assert expected_ratio(row, more, weights) <= reached + 1e-12
        best = max(
            expected_ratio(row, np.array(subset), weights)
            for subset in product((False, True), repeat=len(row))
            if any(subset)
        )
        assert reached >= 0.9 * best


def test_the_greedy_set_is_the_best_of_all_sets_nearly_always():
    rng = np.random.default_rng(0)
    probabilities = rng.beta(0.3, 0.7, (300, 6)).clip(1e-6, 1 - 1e-6)
    weights = WEIGHTS[-6:, -6:]
    outputs = highest_expected_score(probabilities, weights)
    subsets = [np.array(subset) for subset in product((False, True), repeat=6) if any(subset)]
    best = [max(expected_ratio(row, subset, weights) for subset in subsets) for row in probabilities]
    reached = [expected_ratio(row, chosen, weights) for row, chosen in zip(probabilities, outputs, strict=True)]
    assert np.mean(np.isclose(best, reached)) > 0.97
    assert np.mean(reached) > 0.999 * np.mean(best)


@given(st.lists(st.integers(0, 23), min_size=1, max_size=4, unique=True))
def test_labels_that_are_certain_are_given_back(present):
    probabilities = np.zeros((1, 24))
    probabilities[0, present] = 1
    assert set(np.flatnonzero(highest_expected_score(probabilities, WEIGHTS)[0])) == set(present)


def test_it_scores_more_than_any_shared_threshold_where_the_probabilities_are_true():
    rng = np.random.default_rng(1)
    prevalence = rng.uniform(0.02, 0.3, 24)
    probabilities = rng.beta(prevalence, 1 - prevalence, (4000, 24))
    labels = rng.random(probabilities.shape) < probabilities
    reached = compute_observed_score(WEIGHTS, labels, highest_expected_score(probabilities, WEIGHTS))
    for threshold in np.arange(0.05, 1, 0.05):
        assert reached > compute_observed_score(WEIGHTS, labels, probabilities >= threshold)


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_moved_probabilities_keep_their_order_and_have_one_half_at_the_threshold(first, second, threshold):
    moved = adjust_odds(np.array([[first], [second], [threshold]]), np.array([threshold]))[:, 0]
    assert np.isclose(moved[2], 0.5)
    assert (moved[0] > moved[1]) == (first > second) or np.isclose(moved[0], moved[1])
    odds = first / (1 - first) * (1 - threshold) / threshold
    assert np.isclose(moved[0], odds / (1 + odds))


def test_probabilities_of_zero_and_one_stay_finite():
    moved = adjust_odds(np.array([[0.0, 1.0]]), np.array([1.0, 0.0]))
    assert np.isfinite(moved).all()
    assert moved[0, 0] < 1e-6
    assert moved[0, 1] > 1 - 1e-6


@given(beliefs())
def test_the_expected_score_of_labels_is_the_ratio_that_chose_them(problem):
    probabilities, weights = problem
    outputs = highest_expected_score(probabilities, weights)
    found = expected_score(probabilities, outputs, weights)
    wanted = [expected_ratio(row, chosen, weights) for row, chosen in zip(probabilities, outputs, strict=True)]
    np.testing.assert_allclose(found, wanted)


def test_without_weights_a_class_is_given_from_one_half_up_in_the_mean_of_the_places():
    places = np.array([[[0.5, 0.2, 0.9]], [[0.5, 0.7, 0.2]]])
    assert highest_expected_score(places, None).tolist() == [[True, False, True]]
    assert highest_expected_score(places[0], None).tolist() == [[True, False, True]]
    assert highest_expected_score(np.array([[0.499, 0.501]]), None).tolist() == [[False, True]]


def test_a_recording_gets_a_label_also_where_every_reward_is_negative():
    probabilities = np.array([[0.2, 0.1, 0.3], [0.0, 0.0, 0.0]])
    found = highest_expected_score(probabilities, -np.ones((3, 3)))
    assert found.sum(axis=1).tolist() == [1, 1]
