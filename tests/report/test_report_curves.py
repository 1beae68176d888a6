"""Numbers of the evaluation report against the scorer's own and against brute force."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from ecg.labels.classes import CLASSES
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.report.curves import (
    calibration_curve,
    class_threshold_curve,
    costs_of,
    precision_recall_curve,
    roc_curve,
    shared_threshold_curve,
    thinned,
)
from ecg.scoring.challenge import (
    compute_auc,
    compute_challenge_metric,
    compute_observed_score,
    load_weights,
)

WEIGHTS = load_weights(classes=CLASSES)[1]


@pytest.fixture(scope="module")
def reported():
    rng = np.random.default_rng(0)
    labels = rng.random((80, 24)) < 0.1
    scores = np.round(np.clip(0.4 * labels + rng.random((80, 24)) * 0.6, 0, 1), 2)
    return labels, scores, scores > 0.55


def test_without_reward_weights_each_error_costs_one_and_thresholds_are_scored_by_f(reported):
    labels, scores, outputs = reported
    plain = Diagnoses("plain", ("code", *map(str, CLASSES)))
    costs = costs_of(labels, outputs, plain)
    assert np.array_equal(costs.recordings, (labels != outputs).sum(axis=1))
    assert np.array_equal(costs.missed - costs.added, labels * 1.0 - outputs)
    assert costs.counts[2, 5] == costs.confusion[2, 5] == sum((labels & ~outputs)[:, 2] & (outputs & ~labels)[:, 5])
    thresholds, found = class_threshold_curve(3, labels, outputs, scores, plain)
    expected = [f1_score(labels[:, 3], scores[:, 3] >= t, zero_division=0) for t in thresholds]
    np.testing.assert_allclose(found, expected)


def test_the_curves_have_the_scorers_areas(reported):
    labels, scores, _ = reported
    _, _, auroc, auprc = compute_auc(labels, scores)
    for k in range(24):
        x, y = roc_curve(labels[:, k], scores[:, k])
        assert np.trapezoid(y, x) == pytest.approx(auroc[k])
        recall, precision = precision_recall_curve(labels[:, k], scores[:, k])
        assert np.sum(np.diff(recall, prepend=0) * precision) == pytest.approx(auprc[k])


def test_curves_without_positives_are_empty():
    none = np.zeros(5, dtype=bool)
    assert len(roc_curve(none, np.arange(5.0))[0]) == len(precision_recall_curve(none, np.arange(5.0))[0]) == 0
    assert len(roc_curve(~none, np.arange(5.0))[0]) == 0  # nor is there a rate of false positives without negatives
    assert precision_recall_curve(~none, np.arange(5.0))[1].tolist() == [1.0] * 5


def test_a_thinned_curve_keeps_its_ends_and_stays_on_the_curve():
    x = np.linspace(0, 1, 5000)
    thin_x, thin_y = thinned(x, x**3)
    assert len(thin_x) <= 80
    assert (thin_x[0], thin_x[-1]) == (0, 1)
    np.testing.assert_allclose(thin_y, thin_x**3)


def test_a_thinned_curve_has_its_points_where_its_length_is():
    x = np.concatenate([np.linspace(0, 0.01, 5000), np.linspace(0.01, 1, 500)])
    assert np.diff(thinned(x, x)[0]).max() < 2 / 80


def test_a_thinned_curve_has_as_many_points_where_it_rises_as_where_it_goes_across():
    up, level = np.linspace(0, 1, 2000), np.ones(2000)
    thin_x, thin_y = thinned(np.concatenate([0 * up, up]), np.concatenate([up, level]))
    assert np.hypot(np.diff(thin_x), np.diff(thin_y)).max() < 1.1 * 2 / 79
    assert abs(np.count_nonzero(thin_x == 0) - np.count_nonzero(thin_y == 1)) <= 2


def test_calibration_counts_every_recording_once(reported):
    labels, scores, _ = reported
    means, shares, counts = calibration_curve(labels[:, 3], scores[:, 3])
    assert counts.sum() == 80
    assert (means * counts).sum() == pytest.approx(scores[:, 3].sum())
    assert (shares * counts).sum() == pytest.approx(labels[:, 3].sum())


def test_a_score_between_two_tenths_is_of_the_upper_one():
    scores = np.array([0.0, 0.05, 0.1, 0.1999, 0.5, 0.95, 1.0])
    means, shares, counts = calibration_curve(np.array([0, 1, 1, 0, 1, 0, 1], dtype=bool), scores)
    assert counts.tolist() == [2, 2, 1, 2]
    np.testing.assert_allclose(means, [0.025, 0.14995, 0.5, 0.975])
    np.testing.assert_allclose(shares, [0.5, 0.5, 1.0, 0.5])


@pytest.mark.parametrize("n", [79, 80, 81])
def test_a_curve_of_eighty_points_is_not_thinned(n):
    x = np.linspace(0, 1, n) ** 2
    assert (len(thinned(x, x)[0]) < n) == (n > 80)


def metric(labels, outputs):
    return compute_challenge_metric(WEIGHTS, labels, outputs, CLASSES)


def test_the_recordings_lose_what_is_missing_to_a_full_score(reported):
    labels, _, outputs = reported
    assert costs_of(labels, outputs, CHALLENGE_2020).recordings.sum() == pytest.approx(1 - metric(labels, outputs))


def test_an_error_costs_what_the_metric_gains_without_it(reported):
    labels, _, outputs = reported
    costs = costs_of(labels, outputs, CHALLENGE_2020)
    rng = np.random.default_rng(1)
    for kind, errors in (("missed", labels & ~outputs), ("added", outputs & ~labels)):
        found = getattr(costs, kind)
        assert not found[~errors].any()
        for r, k in rng.permutation(np.argwhere(errors))[:20]:
            mended = outputs.copy()
            mended[r, k] = labels[r, k]
            assert found[r, k] == pytest.approx(metric(labels, mended) - metric(labels, outputs), abs=1e-12)


def test_the_confusion_sums_lost_credit_over_recordings_with_both_errors(reported):
    labels, _, outputs = reported
    costs = costs_of(labels, outputs, CHALLENGE_2020)
    normal = np.zeros_like(labels)
    normal[:, CLASSES.index("426783006")] = True
    scale = compute_observed_score(WEIGHTS, labels, labels) - compute_observed_score(WEIGHTS, labels, normal)
    counts, lost = np.zeros((24, 24), dtype=int), np.zeros((24, 24))
    for truth, given in zip(labels, outputs, strict=True):
        for i in np.flatnonzero(truth & ~given):
            for j in np.flatnonzero(given & ~truth):
                counts[i, j] += 1
                lost[i, j] += (1 - WEIGHTS[i, j]) / (truth | given).sum() / scale
    assert counts.any()
    np.testing.assert_array_equal(costs.counts, counts)
    np.testing.assert_allclose(costs.confusion, lost, atol=1e-12)


def test_the_curve_of_one_threshold_is_brute_force(reported):
    labels, scores, _ = reported
    thresholds, metrics = shared_threshold_curve(labels, scores, CHALLENGE_2020)
    outputs = scores >= thresholds[41]
    outputs[np.arange(80), scores.argmax(axis=1)] = True
    assert metrics[41] == pytest.approx(metric(labels, outputs))


@pytest.mark.parametrize("k", [0, 7, 14])
def test_the_curve_of_a_class_is_brute_force(reported, k):
    labels, scores, outputs = reported
    thresholds, metrics = class_threshold_curve(k, labels, outputs, scores, CHALLENGE_2020)
    for place in (0, 30, 54, 55, 98):
        changed = outputs.copy()
        changed[:, k] = scores[:, k] >= thresholds[place]
        assert metrics[place] == pytest.approx(metric(labels, changed))


def test_a_recording_without_labels_and_outputs_costs_nothing():
    nothing = np.zeros((1, 24), dtype=bool)
    costs = costs_of(nothing, nothing, CHALLENGE_2020)
    assert not costs.recordings.any()
    assert not costs.added.any()
