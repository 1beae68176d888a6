"""Networks beside the same sums written plainly, and what is fitted to classes with few recordings."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from torch.nn import functional

from ecg.measurements.features import FEATURES
from ecg.methods.hybrid import N_DEMOGRAPHICS, SignalAndMeasurements, select_classes
from ecg.networks import feature_network, random_convolutions
from ecg.networks.boosted_trees import BoostedTrees
from ecg.networks.but_net import BUTNet
from ecg.networks.feature_network import FeatureNetwork, fit_feature_network
from ecg.networks.masking import masked_mean, masks_at_levels
from ecg.networks.random_convolutions import RandomConvolutions
from ecg.networks.se_resnet import SEResNet
from tiny import fit_boosted_trees


def drawn(build, seed=0):
    """A network in evaluation mode through which signals keep their size; no weight or statistic of it is 0 or 1."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build().eval()
        for name, value in network.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1)
            elif value.is_floating_point() and value.ndim > 1:
                value.normal_(0, (2 / value[0].numel()) ** 0.5)
            elif value.is_floating_point():
                value.normal_(1 if name.endswith("weight") else 0, 0.2)
    return network


def random_signal(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Weights:
    """Convolutions, batch norms and linear layers by the names of their weights."""

    def __init__(self, network):
        self.state = network.state_dict()

    def conv(self, name, x, stride=1):
        weight = self.state[f"{name}.weight"]
        return functional.conv1d(x, weight, self.state.get(f"{name}.bias"), stride, weight.shape[2] // 2)

    def norm(self, name, x):
        mean, variance, weight, bias = (
            self.state[f"{name}.{each}"][:, None] for each in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    def linear(self, name, x):
        return functional.linear(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))


@pytest.mark.parametrize("global_skips", [True, False])
def test_the_network_of_vicar_is_that_of_their_figure(global_skips):
    network = drawn(lambda: BUTNet(width=3, n_classes=5, global_skips=global_skips))
    signal, w = random_signal(2, 12, 640), Weights(network)

    def unit(name, x):
        return w.norm(f"{name}.bn", w.conv(f"{name}.conv", x)).relu()

    def halved(x):
        return torch.maximum(x[:, :, 0 : x.shape[2] // 2 * 2 : 2], x[:, :, 1::2])

    gate = x = unit("gate", signal)
    for level in range(6):
        first = unit(f"levels.{level}.units.0", x)
        last = unit(f"levels.{level}.units.2", unit(f"levels.{level}.units.1", first))
        x = torch.cat([halved(each) for each in ((gate, last, first) if global_skips else (last, first))], dim=1)
        gate = (gate[:, :, 0 : gate.shape[2] // 2 * 2 : 2] + gate[:, :, 1::2]) / 2
    expected = w.linear("fc", unit("final", x).amax(dim=2))
    with torch.inference_mode():
        found = network(signal, torch.tensor([640, 640]))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("lengths", [None, (900, 331), (333, 900)])
def test_the_network_of_zhao_is_that_of_their_figure_on_each_item_by_itself(lengths):
    network = drawn(lambda: SEResNet(n_classes=5, n_features=8, width=0.25))
    signal, beside, w = random_signal(2, 12, 900), random_signal(2, 8, seed=2), Weights(network)

    def alone(x, features):
        x = w.norm("bn1", w.conv("conv1", x, 2)).relu()
        padded = functional.pad(x, (1, 1), value=-math.inf)
        x = torch.stack([padded[:, :, k : k + x.shape[2] : 2] for k in range(3)]).amax(dim=0)
        for level in range(1, 5):
            for block in (0, 1):
                name, stride = f"layer{level}.{block}", 2 if level > 1 and block == 0 else 1
                out = w.norm(f"{name}.bn1", w.conv(f"{name}.conv1", x, stride)).relu()
                out = w.norm(f"{name}.bn2", w.conv(f"{name}.conv2", out))
                gate = w.linear(f"{name}.se.fc.2", w.linear(f"{name}.se.fc.0", out.mean(dim=2)).relu()).sigmoid()
                if f"{name}.downsample.0.weight" in w.state:
                    x = w.norm(f"{name}.downsample.1", w.conv(f"{name}.downsample.0", x, stride))
                x = (out * gate[:, :, None] + x).relu()
        return w.linear("fc", torch.cat([w.linear("fc1", features), x.mean(dim=2)], dim=1))

    given = lengths or (900, 900)
    for item, length in zip(signal, given, strict=True):
        item[:, length:] = 0
    with torch.inference_mode():
        found = network(signal, beside, None if lengths is None else torch.tensor(lengths))
        each = [alone(signal[k : k + 1, :, :n], beside[k : k + 1]) for k, n in enumerate(given)]
    torch.testing.assert_close(found, torch.cat(each), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("round_up", [True, False])
def test_masks_halve_as_the_signal_does(round_up):
    lengths = [100, 7, 1, 64, 99]
    masks = masks_at_levels(torch.tensor(lengths), 100, 4, round_up=round_up)
    n = 100
    assert len(masks) == 5
    for mask in masks:
        assert mask.shape == (5, 1, n)
        assert mask[:, 0].tolist() == [[k < length for k in range(n)] for length in lengths]
        lengths, n = ([math.ceil(x / 2) if round_up else x // 2 for x in each] for each in (lengths, [n]))
        [n] = n
    for nothing in (None, torch.tensor([100, 100])):
        assert masks_at_levels(nothing, 100, 3, round_up=round_up) == [None] * 4
    values = torch.tensor([[[1.0, 3.0, 0.0, 0.0]], [[2.0, 4.0, 6.0, 8.0]]])
    assert masked_mean(values, torch.arange(4) < torch.tensor([[[2]], [[4]]])).tolist() == [[2.0], [5.0]]


# --- Features


def test_a_feature_network_is_its_layers_on_standardised_features_and_flags():
    network = drawn(lambda: FeatureNetwork(4, 3))
    network.spread.copy_(torch.tensor([0.5, 2.0, 1.0, 10.0]))
    network.says_missing.copy_(torch.tensor([1.0, 0.0, 1.0, 0.0]))
    features = 4 * random_signal(9, 4)
    features[0, 0] = features[1, 1] = features[2, 2] = features[3, 3] = features[4] = math.nan
    features[5], features[6] = 1e6, -1e6
    state = {key: value.numpy() for key, value in network.state_dict().items()}
    x = (features.numpy() - state["centre"]) / state["spread"]
    x = np.hstack([np.nan_to_num(np.clip(x, -3, 3)), np.isnan(features.numpy()) * np.float32([1, 0, 1, 0])])
    for k in (1, 5):
        x = x @ state[f"layers.{k}.weight"].T + state[f"layers.{k}.bias"]
        mean, variance, weight, bias = (
            state[f"layers.{k + 1}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
        )
        x = np.maximum((x - mean) / np.sqrt(variance + 1e-5) * weight + bias, 0)
    expected = x @ state["layers.9.weight"].T + state["layers.9.bias"]
    with torch.inference_mode():
        np.testing.assert_allclose(network(features), expected, rtol=1e-3, atol=1e-3)


def test_features_are_standardised_by_their_percentiles_and_flagged_where_often_missing(monkeypatch):
    monkeypatch.setattr(feature_network, "_EPOCHS", 1)
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(400, 5)) * [1, 10, 1, 1, 0] + [0, 5, 0, 0, 7]).astype(np.float32)
    features[:2, 0], features[:1, 1], features[:, 3] = np.nan, np.nan, np.nan  # 0.5 %, less, and all
    network = FeatureNetwork(5, 2)
    fit_feature_network(network, features, (features[:, :2] > 0).astype(np.float32), seed=0)
    expected = [np.nanmedian(features[:, k]) for k in (0, 1, 2)]
    np.testing.assert_allclose(network.centre, [*expected, 0, 7], rtol=1e-5)
    percentiles = [np.diff(np.nanpercentile(features[:, k], (10, 90)))[0] / 2.563 for k in (0, 1, 2)]
    np.testing.assert_allclose(network.spread, [*percentiles, 1e-6, 1e-6], rtol=1e-5)
    assert network.says_missing.tolist() == [1, 0, 0, 1, 0]
    assert not network.layers[1].weight.requires_grad


# --- Few recordings of a class


@pytest.mark.parametrize("n_half", [0, 1, 4])
@pytest.mark.parametrize("n_positive", [0, 1, 2, 3, 60])
def test_of_a_class_with_fewer_than_three_recordings_the_share_alone_is_told(n_positive, n_half):
    targets = np.zeros((60, 1), dtype=np.float32)
    targets[:n_positive] = 1
    if n_positive < 60:
        targets[n_positive : n_positive + n_half] = 0.5
    features = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    features[:, 0] += 9 * targets[:, 0]
    trees = BoostedTrees(1, 4)
    fit_boosted_trees(trees, features, targets, seed=0)
    count = targets.sum()
    is_constant = count < 3 or count == 60
    share = logit((count + 0.25) / 60.5)
    assert (trees.baseline.item() == pytest.approx(share, rel=1e-5)) == is_constant
    assert bool(trees.leaf.any()) != is_constant

    weights, log_odds = random_convolutions._fit_map(features.astype(np.float64), targets)
    sure = int((targets > 0.5).sum())  # what counts half is no recording of the class here
    is_constant = sure < 3 or sure == 60
    assert (log_odds[0] == pytest.approx(logit((sure + 0.25) / 60.5))) == is_constant
    assert bool(weights.any()) != is_constant and weights.shape == (1, 3)


def test_log_odds_of_recordings_left_out_are_those_of_fits_without_each():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(40, 3))
    targets = (features[:, :1] + rng.normal(0, 1, (40, 1)) > 0).astype(np.float32)

    def ridge(x, y):
        """Weights and level of a ridge regression; its penalty is that of all recordings."""
        centred = x - x.mean(axis=0)
        weights = np.linalg.solve(centred.T @ centred + 0.3 * 3 * np.eye(3), centred.T @ (y - y.mean()))
        return weights, y.mean() - x.mean(axis=0) @ weights

    left_out = np.array([
        features[k] @ w + level
        for k in range(40)
        for w, level in [ridge(np.delete(features, k, axis=0), np.delete(targets[:, 0], k))]
    ])  # fmt: skip
    weights, log_odds = random_convolutions._fit_map(features, targets)
    whole, level = ridge(features, targets[:, 0])
    slope = weights[0, 0] / whole[0]
    np.testing.assert_allclose(weights[0], slope * whole, rtol=1e-6)
    intercept = log_odds[0] - slope * level
    # The line on the left-out values that makes the labels most likely, but for a weak prior on its slope.
    size = left_out.std()

    def loss(slope, intercept):
        p = expit(slope * left_out + intercept)
        return -np.log(np.where(targets[:, 0] > 0, p, 1 - p)).sum() + (slope * size) ** 2 / 20

    for step in (0.05 * slope, -0.05 * slope):
        assert loss(slope + step, intercept) > loss(slope, intercept)
    for step in (0.05, -0.05):
        assert loss(slope, intercept + step) > loss(slope, intercept)


def test_shares_are_counts_of_places_above_less_those_below(monkeypatch):
    part = RandomConvolutions(3, 2)
    rng = np.random.default_rng(2)
    part.kernels.copy_(torch.from_numpy(random_convolutions._draw_kernels(3, rng)))
    part.thresholds.copy_(torch.from_numpy(rng.normal(0, 3, part.thresholds.shape)))
    lengths = [120, 77, 33]
    signal = random_signal(3, 3, 120)
    for item, length in zip(signal, lengths, strict=True):
        item[:, length:] = 0
    signal[1, 2] = 0.005
    signal[1, 2, 77:] = 0
    found = part.shares(signal, torch.tensor(lengths)).numpy()
    scales, at_each = ((1, 2), (2, 2), (4, 4), (8, 4), (16, 4)), 42
    for k in rng.integers(0, 5 * at_each, 40):
        scale = k // at_each
        dilation, stride = scales[scale]
        kernel = part.kernels[k].numpy()
        for row, length in enumerate(lengths):
            padded = np.pad(signal[row].numpy(), ((0, 0), (4 * dilation, 4 * dilation)))
            places = range(0, length, stride)
            values = [(kernel * padded[:, place : place + 8 * dilation + 1 : dilation]).sum() for place in places]
            for q in range(4):
                column = 4 * scale * at_each + q * at_each + k % at_each
                share = np.sign(np.array(values) - part.thresholds[column].item()).mean()
                is_off = row == 1 and kernel[2].any()
                assert found[row, column] == pytest.approx(math.nan if is_off else share, abs=1e-4, nan_ok=True)
                if not is_off:
                    assert abs(found[row, column]) <= 1
    standardised = part.standardise(torch.from_numpy(found))
    assert not standardised.isnan().any()


@pytest.mark.parametrize("of_log_odds", [True, False])
@pytest.mark.parametrize("convolutions", [True, False])
def test_parts_have_the_same_say(of_log_odds, convolutions):
    network = drawn(lambda: SignalAndMeasurements(0.25, 5, of_log_odds, convolutions))
    network.trees.feature.random_(0, len(FEATURES), generator=torch.Generator().manual_seed(0))
    signal, lengths = random_signal(2, 12, 300), torch.tensor([300, 300])
    features, beside = random_signal(2, N_DEMOGRAPHICS + len(FEATURES)), random_signal(2, 8)
    with torch.inference_mode():
        parts = [network.network(signal, beside, lengths), network.trees(features), network.feature_network(features)]
        parts += [network.convolutions(signal, lengths)] if convolutions else []
        found = network(signal, beside, lengths, features).numpy()
    logits = np.stack([part.numpy() for part in parts])
    expected = logits.mean(axis=0) if of_log_odds else logit(np.clip(expit(logits).mean(axis=0), 1e-6, 1 - 1e-6))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert logits.std(axis=1).min() > 1e-3
    columns = [3, 0]
    fewer = SignalAndMeasurements(0.25, 2, of_log_odds, convolutions).eval()
    fewer.load_state_dict(select_classes(network.state_dict(), columns))
    with torch.inference_mode():
        np.testing.assert_allclose(fewer(signal, beside, lengths, features), found[:, columns], rtol=1e-4, atol=1e-4)
