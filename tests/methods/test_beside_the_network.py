"""What is fitted beside a network of the default method, and what is left of a recording without its size."""

import numpy as np
import pytest
import torch

import team_code
from ecg.measurements.features import FEATURES, SIZES
from ecg.methods import hybrid, robust
from ecg.networks import feature_network
from ecg.networks.feature_network import fit_feature_network
from ecg.networks.random_convolutions import fit_random_convolutions
from ecg.networks.tree_fitting import fit_trees_of_class

IN_MV = [5 + k for k, name in enumerate(FEATURES) if name.endswith("_mv")]
SIZE = 5 + FEATURES.index(SIZES[0])


def test_the_learning_rate_of_the_network_on_measurements_ends_near_zero(monkeypatch):
    schedules = []
    real = feature_network.OneCycleLR
    monkeypatch.setattr(feature_network, "OneCycleLR", lambda *a, **b: schedules.append(real(*a, **b)) or schedules[-1])
    features = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    network = feature_network.FeatureNetwork(3, 2)
    fit_feature_network(network, features, (features[:, :2] > 0).astype(np.float32), seed=1)
    assert schedules[0].last_epoch == schedules[0].total_steps
    assert schedules[0].get_last_lr()[0] < 1e-2 * feature_network._LEARNING_RATE


def features_of_five():
    """Measured; of a wrong gain; without any amplitude; with the other amplitudes alone; measured."""
    features = np.random.default_rng(0).normal(size=(5, 5 + len(FEATURES))).astype(np.float32)
    features[1, SIZE] = np.nan
    features[2, IN_MV] = np.nan
    features[3, IN_MV[:-1]] = np.nan
    assert SIZE not in IN_MV[-1:]
    return features


@pytest.mark.parametrize(("rows", "usable"), [(range(5), [0, 2, 4]), ([1, 3], [1, 3]), ([2], [2])])
@pytest.mark.parametrize("convolutions", [True, False])
def test_parts_are_fitted_to_recordings_of_a_likely_size_and_convolutions_to_all(rows, usable, convolutions):
    features = features_of_five()[list(rows)]
    targets = np.arange(len(features) * 3, dtype=np.float32).reshape(-1, 3)
    network = hybrid.SignalAndMeasurements(0.25, 3, convolutions=convolutions)
    fits = hybrid.fit_beside_network(network, features, targets, 7, lambda: iter(()), averaged=2)
    kept = [list(rows).index(row) for row in usable]
    for k, fit in enumerate(fits[:3]):
        assert fit.func is fit_trees_of_class and fit.args[0] is network.trees and fit.args[1] == k
    assert fits[3].func is fit_feature_network and fits[3].args[0] is network.feature_network
    for fit in fits[:4]:
        given, wanted, seed = fit.args[-3:]
        np.testing.assert_array_equal(given, features[kept])
        np.testing.assert_array_equal(wanted, targets[kept])
        assert seed == 7
    assert len(fits) == 4 + convolutions
    if convolutions:
        assert fits[4].func is fit_random_convolutions and fits[4].args[0] is network.convolutions
        np.testing.assert_array_equal(fits[4].args[2], targets)
        assert fits[4].args[3] == 7


@pytest.mark.parametrize("averaged", [1, 2, 3])
def test_convolutions_see_the_first_window_as_the_network_does(averaged):
    rng = np.random.default_rng(1)
    signals = [rng.normal(0, 0.1, (12, n)).astype(np.float32) for n in (9001, 4096, 100)]
    before = [signal.copy() for signal in signals]
    network = hybrid.SignalAndMeasurements(0.25, 2, convolutions=True)
    fit = hybrid.fit_beside_network(
        network, features_of_five(), np.zeros((5, 2), np.float32), 0, lambda: iter(signals), averaged
    )[-1]
    found = [signal.numpy() for signal in fit.args[1]()]
    for given, signal, unchanged in zip(found, signals, before, strict=True):
        window = np.pad(signal, ((0, 0), (0, max(128 - signal.shape[1], 0))))[:, :4096]
        whole, _ = robust.standardise(torch.from_numpy(window)[None], torch.tensor([window.shape[1]]))
        n = window.shape[1] // averaged * averaged
        expected = whole[0, :, :n].numpy().reshape(12, -1, averaged).mean(axis=2)
        np.testing.assert_allclose(given[0], expected, atol=1e-5)
        np.testing.assert_array_equal(signal, unchanged)
    batch = robust.base.Batch(
        torch.from_numpy(signals[1])[None], torch.tensor([4096]), torch.zeros(1, 5 + len(FEATURES))
    )
    seen = []
    hybrid.forward(lambda *words: seen.append(words) or words[0], batch, averaged=averaged)
    np.testing.assert_allclose(seen[0][0][0], found[1][0], atol=1e-5)
    assert seen[0][2].tolist() == [4096 // averaged] and seen[0][3] is batch.features and seen[0][1].shape == (1, 8)


def test_without_its_size_a_recording_is_far_too_small_and_has_no_amplitudes():
    features = features_of_five()[0]
    signal = np.random.default_rng(2).normal(0, 0.108, (12, 600)).astype(np.float32)
    found, missing = hybrid.without_size(signal, features)
    np.testing.assert_allclose(found, signal / 64)
    np.testing.assert_array_equal(np.isnan(missing), np.isin(np.arange(len(features)), IN_MV))
    assert not np.isnan(features).any()
    for gain in (0.1, 1, 10):  # as much as training draws
        _, amplitudes = robust.standardise(torch.from_numpy(gain * found)[None], torch.tensor([600]))
        assert not amplitudes.any()


def test_the_part_that_sees_the_signal_alone_is_a_method_of_its_own():
    method = hybrid.hybrid(width=0.25, averaged=3)
    whole = hybrid.SignalAndMeasurements(0.25)
    other, [network] = method.signal_part([whole, torch.nn.ReLU()])
    assert network is whole.network and other.signal_part is None
    assert other.settings == {"width": 0.25, "measurements": False, "averaged": 3, "convolutions": False}
    assert other.diagnoses == method.diagnoses and other.training.prepare is None


def test_each_method_gives_its_network_what_that_takes():
    rng = np.random.default_rng(3)
    signal = torch.from_numpy(rng.normal(0, 0.1, (2, 12, 300)).astype(np.float32))
    lengths, features = torch.tensor([300, 300]), torch.from_numpy(rng.random((2, 5)).astype(np.float32))
    batch = robust.base.Batch(signal, lengths, features)
    seen = {}
    for name, builder in team_code.METHODS.items():
        seen[name] = []
        builder().forward(lambda *words, name=name: seen[name].append(words) or words[0], batch)
    standardised, amplitudes = robust.standardise(signal, lengths)
    beside = torch.cat([features, amplitudes], dim=1)
    halves = (standardised[:, :, ::2] + standardised[:, :, 1::2]) / 2
    expected = {
        "zhao": (signal, features),
        "butteam": (signal, lengths),
        "robust": (standardised, beside, lengths),
        "hybrid": (halves, beside, lengths // 2, features),
    }
    assert set(seen) == set(expected)
    for name, words in expected.items():
        [found] = seen[name]
        assert len(found) == len(words)
        for one, other in zip(found, words, strict=True):
            torch.testing.assert_close(one, other)
