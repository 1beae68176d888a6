"""Networks of every make, made ready for a CPU, are the same functions."""

import pytest
import torch
from torch import nn

from ecg.inference.fast_cpu import (
    ChannelsLastConv1d,
    ChannelsLastMaxPool1d,
    _is_same,
    _with_channels_last,
    fold_batch_norms,
    make_fast,
)
from tiny import TinyNet, tiny


class Places(nn.Module):
    """A maximum and where it was."""

    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool1d(2, return_indices=True)

    def forward(self, x):
        highest, places = self.pool(x)
        return highest + places


class Nested(nn.Module):
    """Parts that are used twice or may be absent."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(12, 12, 5, padding=2, groups=3), nn.BatchNorm1d(12)
        self.absent = None
        self.inner = nn.ModuleDict({"a": nn.Sequential(nn.Conv1d(12, 12, 1, bias=False), nn.BatchNorm1d(12))})
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, x):
        x = self.norm(self.conv(x))
        return self.scale * self.inner["a"](self.inner["a"](x))


def norm(features=8, **options):
    return nn.BatchNorm1d(features, **options)


# Each with the convolutions, norms and maxima that stay as they are.
NETWORKS = {
    "stride and padding": (lambda: nn.Sequential(nn.Conv1d(12, 8, 7, 3, 2), norm()), (0, 0, 0)),
    "dilation": (lambda: nn.Sequential(nn.Conv1d(12, 8, 3, dilation=4), norm(eps=0.1)), (0, 0, 0)),
    "dilation, padding and stride": (lambda: nn.Sequential(nn.Conv1d(12, 8, 3, 2, 5, 3)), (0, 0, 0)),
    "groups without bias": (lambda: nn.Sequential(nn.Conv1d(12, 8, 5, groups=4, bias=False), norm()), (0, 0, 0)),
    "a size that is even": (lambda: nn.Sequential(nn.Conv1d(12, 8, 4), norm(affine=False)), (0, 0, 0)),
    "padding of one length": (lambda: nn.Sequential(nn.Conv1d(12, 8, 3, padding="same"), norm()), (1, 0, 0)),
    "padding by reflection": (
        lambda: nn.Sequential(nn.Conv1d(12, 8, 3, padding=1, padding_mode="reflect"), norm()), (1, 0, 0)),
    "a norm of the batch": (
        lambda: nn.Sequential(nn.Conv1d(12, 8, 3), norm(track_running_stats=False)), (0, 1, 0)),
    "a norm after something else": (lambda: nn.Sequential(nn.Conv1d(12, 8, 3), nn.ReLU(), norm()), (0, 1, 0)),
    "a norm first": (lambda: nn.Sequential(norm(12), nn.Conv1d(12, 8, 3)), (0, 1, 0)),
    "two norms": (lambda: nn.Sequential(nn.Conv1d(12, 8, 3), norm(), norm()), (0, 1, 0)),
    "maxima": (
        lambda: nn.Sequential(
            nn.MaxPool1d(3, 2, 1), nn.MaxPool1d((4,), (3,), (2,), (2,)), nn.MaxPool1d(3, ceil_mode=True)),
        (0, 0, 0)),
    "maxima and their places": (lambda: nn.Sequential(Places(), nn.MaxPool1d(2)), (0, 0, 1)),
    "nested": (Nested, (0, 0, 0)),
}  # fmt: skip


def built(build):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = build()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                for value in (module.weight, module.bias, module.running_mean):
                    if value is not None:
                        nn.init.uniform_(value, -1, 1)
                if module.running_var is not None:
                    nn.init.uniform_(module.running_var, 0.2, 2)
        return network.eval(), torch.randn(2, 12, 70)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_any_make_is_the_same_function_and_the_given_one_stays(name):
    build, stays = NETWORKS[name]
    network, x = built(build)
    before = [(key, value.clone()) for key, value in network.state_dict().items()]
    with torch.inference_mode():
        expected = network(x)
        fast = _with_channels_last(fold_batch_norms(network), torch.float32)
        torch.testing.assert_close(fast(x), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network(x), expected, rtol=0, atol=0)
    kinds = [type(module) for module in fast.modules()]
    n_left = tuple(kinds.count(kind) for kind in (nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d))
    assert n_left == stays
    assert any(kind in (ChannelsLastConv1d, ChannelsLastMaxPool1d) for kind in kinds) or stays[0]
    assert [key for key, _ in before] == list(network.state_dict())
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in before)


class Unlike(TinyNet):
    """A norm between whose convolution and itself something happens that no module says."""

    def forward(self, signal, demographics):
        x = self.bn(self.conv(signal).relu()).mean(dim=2)
        return self.fc(torch.cat([x, demographics], dim=1))


def test_norms_are_folded_in_all_members_or_in_none():
    for build, n_norms in ((TinyNet, 0), (Unlike, 1)):
        method = tiny(build_network=build)
        networks = [built(build)[0] for _ in range(3)]
        fast = make_fast(method, networks, torch.float32)
        assert [sum(isinstance(each, nn.BatchNorm1d) for each in one.modules()) for one in fast] == [n_norms] * 3
        assert all(isinstance(each.conv, ChannelsLastConv1d) for each in fast)
    assert make_fast(tiny(), [], torch.float32) == []


class Constant(nn.Module):
    """Whose logits are known."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, signal, demographics):
        return self.logits[None] + 0 * signal.sum()


@pytest.mark.parametrize(
    ("logits", "others", "is_same"),
    [
        ([0.0, 0.0], [0.0, 0.0009], True),
        ([0.0, 0.0], [0.0, -0.0011], False),
        ([10.0, 0.0], [10.0105, 0.0], True),
        ([-10.0, 0.0], [-10.0105, 0.0], True),
        ([10.0, 0.0], [10.0115, 0.0], False),
        ([10.0, 0.0], [10.0, 0.005], False),
        ([0.0, 0.0], [0.0, float("nan")], False),
    ],
)
def test_a_network_is_the_same_where_each_logit_is_within_a_thousandth(logits, others, is_same):
    assert _is_same(tiny(), Constant(logits), Constant(others)) == is_same


def test_where_folding_changes_a_network_each_one_is_kept_as_it_is(monkeypatch):
    monkeypatch.setattr("ecg.inference.fast_cpu._is_same", lambda *given: False)
    method, x = tiny(), torch.randn(2, 12, 64)
    networks = [nn.Sequential(nn.Conv1d(12, 3, 5), nn.BatchNorm1d(3)).eval() for _ in range(2)]
    for network, fast in zip(networks, make_fast(method, networks, torch.float32), strict=True):
        torch.testing.assert_close(fast(x), network(x))
        assert isinstance(fast[1], nn.BatchNorm1d)
