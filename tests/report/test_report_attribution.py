"""Attribution: it adds up to what it explains, and what it marks matters more than anything else of the same size."""

import numpy as np
import pytest
import torch
from torch import nn

from commands import ROOT
from ecg.examination.examine import Examination
from ecg.io.formats import read
from ecg.methods.registry import find_methods
from ecg.model_folder.folder import load_model
from ecg.report.attribution import Attribution, attribute, in_bins
from ecg.report.figures import MARKED, marked
from ecg.simulator.simulate import simulate_recording
from ecg.simulator.write import write_recording
from tiny import TinyNet, heart_like, tiny

CPU = torch.device("cpu")
DEMOGRAPHICS = np.array([0.6, 1, 1, 0, 1], dtype=np.float32)


def network_of(kind=TinyNet, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind().eval()


class Linear(nn.Module):
    """Logits that are weighted sums of the samples, another weight for each lead and class."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(24, 12))

    def forward(self, signal, demographics):
        return torch.einsum("kl,bln->bk", self.weight, signal) + demographics.sum(dim=1, keepdim=True)


def test_of_a_linear_network_it_is_weight_times_input():
    network, signal = network_of(Linear), heart_like(4, 257)
    (found,) = attribute(tiny(build_network=Linear), [network], signal, DEMOGRAPHICS, [5], CPU)
    expected = network.weight[5].detach().numpy()[:, np.newaxis] * signal
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-6)
    assert found.values.shape == signal.shape  # without the padding of the window
    assert found.baseline_logit == pytest.approx(float(DEMOGRAPHICS.sum()), rel=1e-5)


def test_it_adds_up_to_the_change_of_the_logit_over_the_members():
    networks = [network_of(seed=seed) for seed in range(3)]
    signal = 1000 * heart_like(6, 257)
    for found in attribute(tiny(), networks, signal, DEMOGRAPHICS, [0, 7, 23], CPU):
        assert found.shortfall < 0.03
        assert abs(found.logit - found.baseline_logit) > 0.01


def test_the_shortfall_is_a_share_of_the_change():
    values = np.ones((12, 10), dtype=np.float32)
    assert Attribution(0, values, 257, 100.0, 0.0).shortfall == pytest.approx(0.2)


def test_networks_and_threads_are_as_before():
    network = network_of()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    threads = torch.get_num_threads()
    attribute(tiny(), [network], heart_like(2, 257), DEMOGRAPHICS, [1], CPU)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.get_num_threads() == threads


def test_a_method_whose_network_sees_something_else_is_refused():
    for other in (lambda signal: signal[:, :, 5:], lambda signal: signal[:, :6]):
        method = tiny(forward=lambda network, batch, other=other: network(other(batch.signal), batch.features))
        with pytest.raises(ValueError, match="expected a network input of shape"):
            attribute(method, [network_of()], heart_like(2, 257), DEMOGRAPHICS, [1], CPU)


def test_bins_sum_what_is_in_them():
    values = np.random.default_rng(0).normal(size=(12, 1003)).astype(np.float32)
    bins = in_bins(values, 250, 0.04)
    assert bins.shape == (12, 101)
    np.testing.assert_allclose(bins[:, 3], values[:, 30:40].sum(axis=1), rtol=1e-4)
    np.testing.assert_allclose(bins.sum(), values.sum(), rtol=1e-3)


def test_a_tenth_is_marked_and_nothing_that_speaks_against():
    bins = np.random.default_rng(0).normal(size=(12, 250)).astype(np.float32)
    chosen = marked(bins)
    assert chosen.sum() == round(MARKED * bins.size)
    assert bins[chosen].min() >= bins[~chosen].max()
    assert not marked(-np.abs(bins)).any()


def logits_without(method, network, signal, masks, demographics=DEMOGRAPHICS):
    """Logits with bins of the network's input at zero, a row for each mask (12, n_bins) of what to keep."""
    from ecg.methods.base import Batch

    given = {}

    class Keep(nn.Module):
        def forward(self, *words):
            given["words"] = words
            return torch.zeros(1, 24)

    batch = Batch(
        torch.from_numpy(signal[np.newaxis]),
        torch.tensor([signal.shape[1]]),
        torch.from_numpy(demographics[np.newaxis]),
    )
    method.forward(Keep(), batch)
    x, *rest = given["words"]
    rate = method.input.sampling_frequency * x.shape[2] / signal.shape[1]  # of what may be means of samples
    of_sample = (np.arange(x.shape[2]) / rate / 0.04 + 1e-9).astype(int)
    rows = []
    for mask in masks:
        kept = torch.from_numpy(mask[:, np.minimum(of_sample, mask.shape[1] - 1)])
        with torch.inference_mode():
            rows.append(network(x * kept[None], *rest)[0].numpy())
    return np.array(rows)


def falls(method, network, signal, k, demographics=DEMOGRAPHICS, repeats=5):
    """How far the logit falls without the marked bins, and without as many others, the mean over some draws."""
    (found,) = attribute(method, [network], signal, demographics, [k], CPU)
    chosen = marked(in_bins(found.values, found.sampling_frequency, 0.04))
    rng = np.random.default_rng(0)
    others = [rng.permutation(chosen.ravel()).reshape(chosen.shape) for _ in range(repeats)]
    logits = logits_without(method, network, signal, [~chosen, *(~other for other in others)], demographics)[:, k]
    return found.logit - logits[0], found.logit - logits[1:].mean()


@pytest.mark.parametrize("seed", range(3))
def test_without_what_it_marks_the_logit_falls_more_than_without_as_much_at_random(seed):
    network, signal = network_of(seed=seed), 1000 * heart_like(15.9, 257, seed=seed)
    signal = np.pad(signal, ((0, 0), (0, 4096 - signal.shape[1])))
    (most, *_) = attribute(tiny(), [network], signal, DEMOGRAPHICS, [0], CPU)
    assert most.shortfall < 0.05
    for k in (2, 11):
        by_marked, by_random = falls(tiny(), network, signal, k)
        assert by_marked > by_random


@pytest.mark.slow
@pytest.mark.parametrize("diagnosis", ["AF", "LBBB", "PVC"])
def test_the_shipped_model_is_explained_and_masking_shows_it(diagnosis, tmp_path):
    model = load_model(ROOT / "model", find_methods(), CPU)
    path = write_recording(tmp_path, "A0001", simulate_recording(3, 1, diagnosis))
    examined = Examination(read(path), model.method.input)
    prepared, demographics = examined.prepared, examined.features
    method, (network, *_) = model.method.signal_part(model.networks)
    logits = logits_without(method, network, prepared, [np.ones((12, 250), bool)], demographics)[0]
    k = int(logits.argmax())
    (found,) = attribute(model.method, model.networks[:1], prepared, demographics, [k], CPU)
    assert found.logit == pytest.approx(float(logits[k]), abs=1e-3)
    assert found.shortfall < 0.05
    by_marked, by_random = falls(method, network, prepared, k, demographics, repeats=3)
    assert by_marked > max(3 * by_random, 0.2)


def test_the_network_is_given_all_that_the_method_knows_of_the_first_window():
    seen = []

    class Noting(nn.Module):
        def forward(self, signal, lengths, features, *, again):
            seen.append((len(signal), lengths.tolist(), features.tolist(), again.tolist()))
            return signal.sum(dim=2).repeat(1, 2)

    method = tiny(forward=lambda network, batch: network(*batch, again=batch.lengths))
    attribute(method, [Noting()], heart_like(2, 257), DEMOGRAPHICS, [1], CPU)
    length = method.input.windows(heart_like(2, 257))[0].shape[1]
    assert length not in (0, 1, 12)
    assert seen == [(n, [length] * n, [DEMOGRAPHICS.tolist()] * n, [length] * n) for n, *_ in seen]
    assert {n for n, *_ in seen} == {8, 2}  # points of the path, then the two ends
