"""Convolutions with fewer multiplications are the same convolutions, in prediction and in training."""

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ecg.networks.se_resnet import SEResNet
from ecg.networks.toom_cook import N_POINTS, ToomCookConv1d, is_worth_it, transforms, use_toom_cook
from ecg.runtime import device
from ecg.training import member
from ecg.training.options import MemberOptions
from tiny import random_dataset, tiny


def convolution_of(seed, *words, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Conv1d(*words, **options)


@given(n_made=st.integers(1, 9), n_taps=st.integers(1, 9), seed=st.integers(0, 99))
def test_the_transforms_make_a_filter_of_products(n_made, n_taps, seed):
    rng = np.random.default_rng(seed)
    signal, kernel = rng.normal(size=n_made + n_taps - 1), rng.normal(size=n_taps)
    to_results, from_kernel, from_signal = transforms(n_made, n_taps)
    assert len(from_signal) == n_made + n_taps - 1  # so many multiplications
    found = to_results.T @ ((from_kernel @ kernel) * (from_signal @ signal))
    np.testing.assert_allclose(found, np.correlate(signal, kernel, "valid"), rtol=1e-7, atol=1e-7)


@given(
    channels=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    size=st.integers(1, 24),
    stride=st.integers(1, 4),
    padding=st.integers(0, 9),
    n_items=st.integers(1, 3),
    extra=st.integers(0, 60),
    bias=st.booleans(),
    fixed=st.booleans(),
    turned=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_convolution_and_its_gradients_are_the_same(
    channels, size, stride, padding, n_items, extra, bias, fixed, turned, seed
):
    size = min(stride + size, (N_POINTS // 2 + 1) * stride)
    convolution = convolution_of(seed, *channels, size, stride, padding, bias=bias)
    x = torch.randn(n_items, channels[0], size + extra, generator=torch.Generator().manual_seed(seed))
    if turned:  # channels side by side in memory
        x = x.transpose(1, 2).contiguous().transpose(1, 2)
    other = ToomCookConv1d(copy.deepcopy(convolution), fixed=fixed)
    ours, theirs = x.clone().requires_grad_(not fixed), x.clone().requires_grad_(not fixed)
    found, expected = other(ours), convolution(theirs)
    close = {"rtol": 1e-3, "atol": 1e-3}  # of results of size 1; one that is wrong anywhere is far off
    torch.testing.assert_close(found, expected, **close)
    if fixed:
        return
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(seed + 1))
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-2)
    assert [name for name, _ in other.named_parameters()] == [name for name, _ in convolution.named_parameters()]
    for parameter, expected_parameter in zip(other.parameters(), convolution.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, expected_parameter.grad, rtol=1e-3, atol=2e-2)


@pytest.mark.parametrize(("size", "stride"), [(7, 1), (7, 2), (15, 2)])
def test_rounding_is_a_hundred_thousandth_of_the_results(size, stride):
    convolution = convolution_of(0, 64, 64, size, stride, size // 2, bias=False)
    x = torch.randn(4, 64, 500, generator=torch.Generator().manual_seed(0)).relu()
    with torch.inference_mode():
        exact = copy.deepcopy(convolution).double()(x.double())
        found = ToomCookConv1d(convolution, fixed=True)(x)
        assert (found - exact).norm() < 5e-5 * exact.norm()


def test_an_item_does_not_reach_its_neighbours():
    other = ToomCookConv1d(convolution_of(0, 4, 4, 7, padding=3), fixed=True)
    x = torch.randn(3, 4, 50, generator=torch.Generator().manual_seed(0))
    broken = x.clone()
    broken[1] = torch.nan
    with torch.inference_mode():
        expected, found = other(x), other(broken)
    assert torch.equal(found[[0, 2]], expected[[0, 2]])


def test_it_is_for_many_channels_and_kernels_of_some_length():
    assert is_worth_it(nn.Conv1d(64, 64, 7, padding=3))
    assert is_worth_it(nn.Conv1d(64, 128, 7, stride=2, padding=3))
    for convolution in (
        nn.Conv1d(16, 16, 7, padding=3),
        nn.Conv1d(64, 64, 1),
        nn.Conv1d(64, 64, 3, padding=1),
        nn.Conv1d(64, 64, 50),
        nn.Conv1d(64, 64, 7, dilation=2),
        nn.Conv1d(64, 64, 7, groups=2),
        nn.Conv1d(64, 64, 7, padding="same"),
        nn.Conv1d(64, 64, 7, padding=3, padding_mode="circular"),
    ):
        assert not is_worth_it(convolution)


def test_a_network_keeps_its_state_and_its_random_numbers():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SEResNet(width=0.5)
        before = torch.random.get_rng_state()
        same = use_toom_cook(copy.deepcopy(network), fixed=False)
        assert torch.equal(torch.random.get_rng_state(), before)
    expected, found = network.state_dict(), same.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert sum(isinstance(module, ToomCookConv1d) for module in same.modules()) == 15


class Wide(nn.Module):
    """Wide enough that convolutions are replaced, and as quick as the tiny network."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(12, 48, kernel_size=16, stride=16, bias=False)
        self.second = nn.Conv1d(48, 48, kernel_size=7, padding=3, bias=False)
        self.bn = nn.BatchNorm1d(48)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(48 + 5, 24)

    def forward(self, signal, demographics):
        x = self.dropout(self.bn(self.second(self.first(signal))).relu()).mean(dim=2)
        return self.fc(torch.cat([x, demographics], dim=1))


def test_without_bfloat16_a_training_gives_the_same_weights_up_to_rounding(monkeypatch):
    monkeypatch.setattr(device, "has_fast_bfloat16", lambda device: False)
    # Adam would make a whole step of a gradient that is nothing but rounding.
    [stage] = tiny().training.stages
    stage = replace(stage, make_optimizer=partial(torch.optim.SGD, lr=0.1, momentum=0.9))
    method, dataset, made = tiny(build_network=Wide, stages=(stage,)), random_dataset(), []
    toom_cook = member.use_toom_cook
    monkeypatch.setattr(member, "use_toom_cook", lambda *words, **options: made.append(toom_cook(*words, **options)))

    def train(fast):
        monkeypatch.setattr(member, "fastest_dtype", lambda device: torch.float32 if fast else torch.bfloat16)
        options = MemberOptions(2, 0, 0, torch.device("cpu"), None, "Member 1/1")
        return member.train_member(method, dataset, np.arange(24), np.arange(24, 30), options)

    plain, fast = train(False), train(True)
    assert [type(network.second) for network in made] == [ToomCookConv1d]
    assert list(fast.state) == list(plain.state)
    for name, expected in plain.state.items():
        torch.testing.assert_close(fast.state[name], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(fast.probabilities, plain.probabilities, rtol=0, atol=1e-4)
