"""Losses against numpy formulas and against the scorer."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.methods.butteam import fit_challenge_metric_loss, fit_weighted_cross_entropy
from ecg.networks import losses
from evaluate_model import compute_observed_score, load_weights

WEIGHTS = load_weights()[1]


def random_batch(seed, n_items=12, n_classes=24):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_items, n_classes)) * 3, rng.random((n_items, n_classes)) < 0.15


def by_hand(logits, labels, positive, negative):
    """The published formula, averaged over items and classes, one number after another."""
    total = 0.0
    for i, c in np.ndindex(logits.shape):
        p = 1 / (1 + np.exp(-logits[i, c]))
        total += positive[c] * np.log(p) if labels[i, c] else negative[c] * np.log(1 - p)
    return -total / logits.size


def test_binary_cross_entropy_is_the_mean_of_the_formula():
    logits, labels = random_batch(1)
    ones = np.ones(24)
    loss = losses.binary_cross_entropy(torch.tensor(logits), torch.tensor(labels.astype(float)))
    assert float(loss) == pytest.approx(by_hand(logits, labels, ones, ones))


def test_weighted_cross_entropy_is_the_formula():
    logits, labels = random_batch(2)
    rng = np.random.default_rng(3)
    positive, negative = rng.uniform(0, 9, 24), rng.uniform(0, 2, 24)
    loss = losses.weighted_cross_entropy(*map(torch.tensor, (logits, labels.astype(float), positive, negative)))
    assert float(loss) == pytest.approx(by_hand(logits, labels, positive, negative))


def test_class_weights_come_from_the_training_labels_and_leave_out_classes_of_one_kind():
    _, training = random_batch(4, n_items=200)
    training[:, 5], training[:, 9] = False, True
    n_positive = training.sum(axis=0)
    one_kind = (n_positive == 0) | (n_positive == 200)
    assert one_kind.sum() == 2
    positive = np.array([0 if out else 200 / n for n, out in zip(np.maximum(n_positive, 1), one_kind, strict=True)])
    negative = np.array([0 if out else 200 / (200 - min(n, 199)) for n, out in zip(n_positive, one_kind, strict=True)])
    logits, labels = random_batch(5)
    labels[0, 5], labels[0, 9] = True, False
    loss = fit_weighted_cross_entropy(training, WEIGHTS)
    value = loss(torch.tensor(logits, dtype=torch.float32), torch.tensor(labels.astype(np.float32)))
    assert float(value) == pytest.approx(by_hand(logits, labels, positive, negative), rel=1e-5)


def test_weighted_cross_entropy_stays_finite_far_out():
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    ones = torch.ones(2)
    loss = losses.weighted_cross_entropy(logits, torch.tensor([[0.0, 1.0]]), ones, ones)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(200)
    assert torch.isfinite(logits.grad).all()


@settings(deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), density=st.sampled_from([0.0, 0.05, 0.2, 1.0]))
def test_on_decisions_the_challenge_loss_is_the_scorers_sum(seed, density):
    rng = np.random.default_rng(seed)
    labels, outputs = rng.random((20, 24)) < 0.08, rng.random((20, 24)) < density
    loss = losses.challenge_metric_loss(
        torch.tensor(outputs.astype(float)), torch.tensor(labels.astype(float)), torch.tensor(WEIGHTS)
    )
    # The same terms, added up in another order.
    assert float(loss) == pytest.approx(-compute_observed_score(WEIGHTS, labels, outputs), rel=1e-13, abs=1e-13)


def test_on_decisions_the_challenge_loss_equals_a_sum_of_exact_fractions():
    labels, outputs = np.eye(4, dtype=bool), np.ones((4, 4), dtype=bool)
    weights = np.full((4, 4), 0.25) + 0.75 * np.eye(4)
    args = (outputs.astype(float), labels.astype(float), weights)
    assert float(losses.challenge_metric_loss(*map(torch.tensor, args))) == -1.75  # 4 recordings, (1 + 3 * 0.25) / 4
    assert compute_observed_score(weights, labels, outputs) == 1.75


def test_gradient_of_the_challenge_loss_is_that_of_finite_differences():
    rng = np.random.default_rng(8)
    probabilities = torch.tensor(rng.uniform(0.1, 0.9, (4, 24)), requires_grad=True)
    targets = torch.tensor((rng.random((4, 24)) < 0.1).astype(float))
    weights = torch.tensor(WEIGHTS)
    assert torch.autograd.gradcheck(lambda p: losses.challenge_metric_loss(p, targets, weights), probabilities)


def test_fitted_challenge_loss_takes_logits():
    logits, labels = random_batch(9)
    loss = fit_challenge_metric_loss(labels, WEIGHTS)
    value = loss(torch.tensor(logits, dtype=torch.float32), torch.tensor(labels.astype(np.float32)))
    probabilities = 1 / (1 + np.exp(-logits))
    union = np.where(labels, 1, probabilities)
    shares = probabilities / np.maximum(union.sum(axis=1), 1)[:, None]
    assert float(value) == pytest.approx(-(WEIGHTS * (labels.T @ shares)).sum(), rel=1e-5)


def test_cross_entropy_with_the_metric_is_the_one_less_a_share_of_the_other():
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(5, 24, generator=generator)
    targets = (torch.rand(5, 24, generator=generator) < 0.2).float()
    score = 0.0
    for p, t in zip(torch.sigmoid(logits).double(), targets.double(), strict=True):
        union = max(float((t + p - t * p).sum()), 1.0)
        score += sum(float(t[i] * p[j]) * WEIGHTS[i, j] for i in range(24) for j in range(24)) / union
    expected = float(losses.binary_cross_entropy(logits, targets)) - 0.25 * score / 5
    weights = torch.from_numpy(WEIGHTS).float()
    found = losses.cross_entropy_with_challenge_metric(logits, targets, weights, 0.25)
    assert float(found) == pytest.approx(expected, rel=1e-4)
