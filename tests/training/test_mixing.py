"""Training items mixed in pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta as beta_distribution

from ecg.training.mixing import mixed


def batch(rng, lengths, n_classes=4):
    signals = [rng.normal(0, 10 ** rng.uniform(-2, 1), (12, n)).astype(np.float32) for n in lengths]
    features = [rng.normal(size=5).astype(np.float32) for _ in lengths]
    targets = rng.integers(0, 2, (len(lengths), n_classes)).astype(np.float32)
    return signals, features, targets


def shares(targets, found):
    """The share of itself in each item, from targets that are unit vectors."""
    own = (targets * found).sum(axis=1)
    return own[own < 1]  # others are mixed with themselves


@given(st.integers(0, 500), st.lists(st.integers(20, 90), min_size=1, max_size=9))
def test_an_item_keeps_its_size_and_is_as_long_as_the_longer_one(seed, lengths):
    rng = np.random.default_rng(seed)
    signals, features, targets = batch(rng, lengths)
    found, _, _ = mixed((signals, features, targets), 0.4, rng)
    for before, after in zip(signals, found, strict=True):
        assert after.dtype == np.float32
        assert before.shape[1] <= after.shape[1] <= max(lengths)
        np.testing.assert_allclose(after.std(axis=1), before.std(axis=1), rtol=1e-3)


@given(st.integers(0, 500), st.integers(2, 9))
def test_one_share_holds_for_signals_features_and_targets_and_is_at_least_one_half(seed, n_items):
    rng = np.random.default_rng(seed)
    # Each item is a sine of its own, and its features and targets are its number.
    time, one_hot = np.arange(400) / 400, np.eye(n_items, dtype=np.float32)
    signals = [
        np.tile(np.sqrt(2) * np.sin(2 * np.pi * (k + 1) * time), (12, 1)).astype(np.float32) for k in range(n_items)
    ]
    found, features, targets = mixed((signals, list(one_hot), one_hot), 0.4, rng)
    np.testing.assert_allclose(features, targets, rtol=1e-6)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    own = shares(one_hot, targets)
    assert (own >= 0.5).all()
    assert np.ptp(own, axis=0) < 1e-6 if len(own) else True
    for signal, target in zip(found, targets, strict=True):
        parts = [float(signal[0] @ other[0]) / 400 for other in signals]
        np.testing.assert_allclose(parts, target / np.sqrt((target**2).sum()), atol=1e-4)


def test_an_item_is_mixed_with_one_that_has_targets_in_the_same_classes():
    rng = np.random.default_rng(3)
    signals, features, targets = batch(rng, [50] * 40)
    targets[:15, 2:] = np.nan
    for _ in range(20):
        _, _, found = mixed((signals, features, targets), 0.4, rng)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(targets))


def test_each_item_is_mixed_into_one_other():
    rng = np.random.default_rng(4)
    signals, features, _ = batch(rng, [50] * 20)
    targets = np.eye(20, dtype=np.float32)
    _, _, found = mixed((signals, features, targets), 0.4, rng)
    np.testing.assert_allclose(found.sum(axis=0), 1, rtol=1e-6)
    assert ((found > 0).sum(axis=1) == 2).sum() >= 15


def test_shares_are_those_of_the_beta_distribution():
    rng = np.random.default_rng(5)
    signals, features, _ = batch(rng, [20] * 2)
    targets = np.eye(2, dtype=np.float32)
    drawn = np.concatenate([shares(targets, mixed((signals, features, targets), 0.4, rng)[2])[:1] for _ in range(4000)])
    # Half of the pairs are mixed with themselves; of the others the larger part counts.
    assert len(drawn) == pytest.approx(2000, abs=150)
    for level in (0.6, 0.8, 0.95):
        expected = 1 - 2 * beta_distribution(0.4, 0.4).cdf(1 - level)
        assert (drawn < level).mean() == pytest.approx(expected, abs=0.04)


def test_a_lead_without_signal_stays_without_and_gives_nothing():
    rng = np.random.default_rng(6)
    signals, features, targets = batch(rng, [50] * 2)
    signals[0][3] = 0
    for _ in range(10):
        found, _, _ = mixed((signals, features, targets), 0.4, rng)
        assert not found[0][3].any()
        correlation = np.corrcoef(found[1][3], signals[1][3])[0, 1]
        assert correlation == pytest.approx(1, abs=1e-5)
