"""95 % intervals are those of the 2.5th and the 97.5th percentile over the same draws."""

import numpy as np
import pytest

from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.scoring.challenge import compute_auc, compute_challenge_metric, compute_f_measure
from ecg.scoring.statistics import auroc_interval, bootstrap_interval, difference_interval


def test_the_interval_of_an_area_is_that_of_the_scorers_areas_on_every_draw():
    rng = np.random.default_rng(3)
    labels = rng.random((40, 5)) < (0.3, 0.5, 0.05, 0.0, 1.0)
    scores = np.round(rng.random((40, 5)), 1) + 0.3 * labels  # with ties
    draws = np.random.default_rng(0)
    areas = [compute_auc(labels[rows], scores[rows])[0] for rows in draws.integers(0, 40, (200, 40))]
    expected = tuple(np.percentile(areas, [2.5, 97.5]))
    assert auroc_interval(labels, scores, repeats=200) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(auroc_interval(labels & False, scores, repeats=5)).all()


def test_without_rewards_the_interval_is_that_of_the_mean_f_of_the_classes_that_a_draw_has():
    rng = np.random.default_rng(2)
    labels = rng.random((20, 4)) < (0.4, 0.2, 0.05, 0.0)
    outputs = labels ^ (rng.random(labels.shape) < (0.2, 0.2, 0.0, 0.0))
    draws = np.random.default_rng(0).integers(0, 20, (100, 20))
    expected = np.percentile([compute_f_measure(labels[rows], outputs[rows])[0] for rows in draws], [2.5, 97.5])
    plain = Diagnoses("plain", ("code", "1", "2", "3", "4"))
    assert bootstrap_interval(labels, outputs, plain, repeats=100) == pytest.approx(tuple(expected), abs=1e-12)


def test_the_interval_of_a_difference_is_that_of_the_scorers_metrics_on_every_draw():
    rng = np.random.default_rng(1)
    labels = rng.random((30, 24)) < 0.2
    first, second = (labels ^ (rng.random(labels.shape) < share) for share in (0.02, 0.1))
    weights, classes = CHALLENGE_2020.weights, CHALLENGE_2020.classes
    draws, differences = np.random.default_rng(5), []
    for _ in range(60):
        rows = draws.integers(0, 30, 30)
        one, other = (compute_challenge_metric(weights, labels[rows], x[rows], classes) for x in (first, second))
        differences.append(one - other)
    _, low, high = difference_interval(labels, first, second, CHALLENGE_2020, repeats=60, seed=5)
    assert (low, high) == pytest.approx(tuple(np.percentile(differences, [2.5, 97.5])), abs=1e-12)
