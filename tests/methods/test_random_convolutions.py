"""Random convolutions: what they see and what they ignore, and the linear map of their results."""

import numpy as np
import pytest
import torch

from ecg.networks.random_convolutions import RandomConvolutions, _fit_map, fit_random_convolutions


def some_signals(count=120, n_samples=400, seed=0):
    """Noise in three leads; every second recording has a faster wave in the last one."""
    rng = np.random.default_rng(seed)
    signals = rng.normal(size=(count, 3, n_samples))
    fast = np.arange(count) % 2 == 1
    phase = rng.uniform(0, 6, size=(count, 1))
    signals[:, 2] += 2 * np.sin(np.arange(n_samples) * np.where(fast, 0.6, 0.3)[:, None] + phase)
    signals /= signals.std(axis=2, keepdims=True)
    targets = np.stack([fast, ~fast, np.zeros(count)], axis=1).astype(np.float32)
    return torch.from_numpy(signals.astype(np.float32)), targets


def fitted(signals, targets, seed=0):
    part = RandomConvolutions(signals.shape[1], targets.shape[1])
    fit_random_convolutions(part, lambda: iter(signals.split(1)), targets, seed)
    return part


def log_odds(part, signals):
    with torch.inference_mode():
        return part(signals, torch.full((len(signals),), signals.shape[2])).numpy()


@pytest.fixture(scope="module")
def part():
    return fitted(*some_signals())


def test_waves_of_other_recordings_are_told_apart_and_classes_without_any_keep_their_share(part):
    signals, targets = some_signals(60, seed=1)
    found = log_odds(part, signals)
    assert ((found[:, :2] > 0) == (targets[:, :2] > 0)).mean() > 0.95
    assert np.allclose(found[:, 2], np.log(0.25 / 120.25))


def test_log_odds_are_no_surer_than_recordings_left_out_bear_out():
    signals, _ = some_signals(120)
    by_chance = np.random.default_rng(5).integers(0, 2, size=(120, 1)).astype(np.float32)
    part = fitted(signals, by_chance)
    assert np.abs(log_odds(part, signals)).mean() < 1


def test_an_offset_and_padding_are_not_seen(part):
    signals, _ = some_signals(4)
    padded = torch.nn.functional.pad(signals, (0, 100))
    with torch.inference_mode():
        shares = part.shares(signals[:, :, 100:300] + 50, torch.full((4,), 200))
        level = part.shares(signals[:, :, 100:300], torch.full((4,), 200))
        alone = part(signals, torch.full((4,), 400)).numpy()
        among = part(padded, torch.full((4,), 400)).numpy()
    # But for the places at the ends, at which a kernel sees no whole wave.
    assert (shares - level).abs()[:, :168].max() <= 2 * 8 / 100  # the first scale
    np.testing.assert_allclose(among, alone, atol=1e-4)


def test_a_lead_that_is_off_has_no_say(part):
    signals, _ = some_signals(4)
    signals[:, 2] = 0
    used = (part.kernels[:, 2] != 0).any(dim=1)
    with torch.inference_mode():
        unknown = part.shares(signals, torch.full((4,), 400)).isnan()
    each = used.reshape(5, 1, -1).expand(-1, 4, -1).flatten()
    assert used.any() and not used.all()
    assert torch.equal(unknown, each.expand(4, -1))
    assert np.isfinite(log_odds(part, signals)).all()


def test_each_class_has_the_map_of_the_recordings_whose_targets_of_it_are_known():
    signals, _ = some_signals(40)
    rng = np.random.default_rng(3)
    targets = rng.integers(0, 2, size=(40, 5)).astype(np.float32)
    targets[30:, 0] = targets[::2, 1] = targets[:, 2] = targets[30:, 4] = np.nan  # columns 0 and 4 are known together
    part = fitted(signals, targets)
    with torch.inference_mode():
        lengths = torch.full((len(signals),), signals.shape[2])
        features = part.standardise(part.shares(signals, lengths)).numpy().astype(np.float64)
    for k, column in enumerate(targets.T):
        known = np.isfinite(column)
        weight, bias = _fit_map(features[known], column[known, None]) if known.any() else (np.zeros((1, 1)), 0)
        np.testing.assert_allclose(part.weight[k], np.broadcast_to(weight[0], part.weight[k].shape), atol=1e-4)
        np.testing.assert_allclose(part.bias[k], bias, atol=1e-3)
        assert known.any() == bool(part.weight[k].any())


def test_the_same_seed_gives_the_same_convolutions():
    signals, targets = some_signals(40)
    first, second, other = (fitted(signals, targets, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["kernels"], other["kernels"])
