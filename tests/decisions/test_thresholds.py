"""Threshold searches against brute force and against the scorer itself."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.decisions.thresholds import class_gains, coordinate_ascent, f1_thresholds, scores_at, shared_threshold
from evaluate_model import compute_observed_score


def at_least(probabilities, thresholds):
    return probabilities >= thresholds


def above(probabilities, thresholds):
    return probabilities > thresholds


def at_least_or_most_probable(probabilities, thresholds):
    outputs = probabilities >= thresholds
    outputs[np.arange(len(outputs)), probabilities.argmax(axis=1)] = True
    return outputs


RULES = [at_least, above, at_least_or_most_probable]


@st.composite
def problems(draw):
    """Labels, probabilities (coarse, so that many are equal), symmetric weights, and a start on the same grid."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_recordings, n_classes = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    labels = rng.random((n_recordings, n_classes)) < 0.4
    probabilities = rng.integers(0, 6, (n_recordings, n_classes)) / 5
    weights = rng.uniform(0, 0.5, (n_classes, n_classes))
    weights = (weights + weights.T) / 2
    np.fill_diagonal(weights, 1)
    return labels, probabilities, weights, rng.integers(0, 6, n_classes) / 5


@settings(deadline=None, derandomize=True)
@given(problems(), st.data())
def test_gain_of_a_class_is_the_difference_of_the_scorers_sums(problem, data):
    labels, outputs, weights = problem[0], problem[1] > 0.5, problem[2]
    index = data.draw(st.integers(0, labels.shape[1] - 1))
    gains = class_gains(labels, outputs, weights, index)
    for row, gain in enumerate(gains):
        on, off = outputs[[row]].copy(), outputs[[row]].copy()
        on[:, index], off[:, index] = True, False
        expected = compute_observed_score(weights, labels[[row]], on) - compute_observed_score(
            weights, labels[[row]], off
        )
        assert gain == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("strict", [False, True])
def test_score_of_a_threshold_is_the_sum_of_the_gains_it_lets_through(strict):
    rng = np.random.default_rng(3)
    gains, probabilities, tried = rng.normal(size=40), rng.integers(0, 6, 40) / 5, np.arange(-1, 13) / 10
    expected = [gains[probabilities > t if strict else probabilities >= t].sum() for t in tried]
    np.testing.assert_allclose(scores_at(tried, gains, probabilities, strict=strict), expected, atol=1e-12)


@pytest.mark.parametrize("decide", RULES)
@settings(deadline=None, derandomize=True)
@given(problem=problems(), passes=st.integers(1, 3), gridded=st.booleans())
def test_ascent_never_lowers_the_score(decide, problem, passes, gridded):
    labels, probabilities, weights, start = problem
    candidates = np.arange(6) / 5 if gridded else None
    found = coordinate_ascent(labels, probabilities, weights, decide, start, candidates=candidates, passes=passes)
    before = compute_observed_score(weights, labels, decide(probabilities, start))
    assert compute_observed_score(weights, labels, decide(probabilities, found)) >= before - 1e-9
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("decide", RULES)
@settings(deadline=None, derandomize=True)
@given(problem=problems())
def test_exact_candidates_find_the_best_threshold_of_a_class(decide, problem):
    """The first class is searched with the others at their start: brute force over a finer grid does no better."""
    labels, probabilities, weights, start = problem

    def score(threshold):
        return compute_observed_score(weights, labels, decide(probabilities, np.append(threshold, start[1:])))

    found = coordinate_ascent(labels, probabilities, weights, decide, start)[0]
    assert score(found) == pytest.approx(max(score(t) for t in np.linspace(0, 1, 21)), abs=1e-9)


@pytest.mark.parametrize("decide", RULES)
def test_one_class_is_solved_as_by_brute_force(decide):
    rng = np.random.default_rng(5)
    for _ in range(50):
        labels, probabilities = rng.random((9, 1)) < 0.5, rng.integers(0, 8, (9, 1)) / 7
        weights = np.eye(1)
        found = coordinate_ascent(labels, probabilities, weights, decide, rng.random(1))
        best = max(
            compute_observed_score(weights, labels, decide(probabilities, np.array([t]))) for t in np.linspace(0, 1, 29)
        )
        assert compute_observed_score(weights, labels, decide(probabilities, found)) == pytest.approx(best)


@pytest.mark.parametrize("decide", RULES)
def test_ascent_on_a_grid_ends_where_no_single_change_helps(decide):
    rng = np.random.default_rng(6)
    labels, probabilities = rng.random((60, 3)) < 0.4, rng.integers(0, 11, (60, 3)) / 10
    weights = np.array([[1, 0.4, 0.2], [0.4, 1, 0.3], [0.2, 0.3, 1]])
    grid = np.arange(11) / 10
    found = coordinate_ascent(labels, probabilities, weights, decide, np.full(3, 0.5), candidates=grid, passes=50)
    scores = {
        t: compute_observed_score(weights, labels, decide(probabilities, np.array(t))) for t in product(grid, repeat=3)
    }
    reached = scores[tuple(found)]
    assert reached > scores[(0.5, 0.5, 0.5)]
    for index, value in product(range(3), grid):
        neighbour = [*found[:index], value, *found[index + 1 :]]
        assert scores[tuple(neighbour)] <= reached + 1e-9


def test_of_equal_thresholds_the_nearest_to_the_start_is_kept():
    labels, probabilities = np.array([[True], [False]]), np.array([[0.9], [0.1]])
    weights = np.eye(1)
    # A recording without labels earns nothing whatever the output: everything up to 0.9 is equally good.
    found = coordinate_ascent(labels, probabilities, weights, at_least, np.array([0.3]), candidates=np.arange(11) / 10)
    assert found[0] == 0.3
    found = coordinate_ascent(labels, probabilities, weights, at_least, np.array([0.97]), candidates=np.arange(11) / 10)
    assert found[0] == 0.9


def test_the_start_is_not_changed():
    start = np.array([0.9, 0.9])
    coordinate_ascent(np.eye(2, dtype=bool), np.full((2, 2), 0.5), np.eye(2), at_least, start)
    assert start.tolist() == [0.9, 0.9]


def test_shared_threshold_is_the_first_of_the_best():
    rng = np.random.default_rng(7)
    labels, probabilities = rng.random((50, 3)) < 0.4, rng.random((50, 3))
    weights, grid = np.eye(3), np.arange(11) / 10

    def score(labels, outputs):
        return compute_observed_score(weights, labels, outputs)

    threshold, best = shared_threshold(labels, probabilities, score, at_least, grid)
    scores = [score(labels, probabilities >= t) for t in grid]
    assert (threshold, best) == (grid[int(np.argmax(scores))], max(scores))
    assert shared_threshold(labels, probabilities, lambda *_: 1.0, at_least, grid)[0] == 0.0


def test_a_threshold_of_f1_lies_halfway_between_the_scores_that_it_parts():
    labels = np.array([[False], [False], [True], [True]])
    found = f1_thresholds(labels, np.array([[0.1], [0.2], [0.6], [0.9]]))
    assert found == pytest.approx([0.4])
    assert f1_thresholds(labels[:2], np.array([[0.1], [0.2]])) == pytest.approx([0.5])
    assert f1_thresholds(~labels[:2], np.array([[0.7], [0.8]])) == pytest.approx([0.0])


def test_of_equally_good_f1_thresholds_the_nearest_to_one_half_is_taken():
    scores = np.array([[0.1, 0.9], [0.3, 0.7], [0.45, 0.55], [0.8, 0.2]])
    labels = np.array([[1, 0], [0, 0], [0, 0], [1, 0]], dtype=bool)
    assert f1_thresholds(labels, scores).tolist() == [0.625, 0.5]  # 2 of 4 given or 1 of 1: F1 of 2 / 3 either way


def test_a_class_that_is_never_right_is_given_to_nobody():
    rng = np.random.default_rng(0)
    labels = np.tile([True, False], (30, 1))
    probabilities = rng.uniform(0.2, 0.9, (30, 2))
    found = coordinate_ascent(labels, probabilities, np.eye(2), at_least, np.full(2, 0.5))
    assert found[1] == 1.0
    assert at_least(probabilities, found).tolist() == labels.tolist()
