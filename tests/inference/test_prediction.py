"""Prediction: faster networks are the same networks, and what a recording gets depends on nothing but itself."""

import re
import subprocess
import sys
from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import driver
import helper_code
import team_code
from commands import ENVIRONMENT, ROOT, visible_bytes, write_recordings
from ecg.examination.examine import Examination
from ecg.examination.examine_folder import Examined
from ecg.inference import computing
from ecg.inference import predict as prediction
from ecg.inference.fast_cpu import ChannelsLastConv1d, ChannelsLastMaxPool1d, fold_batch_norms, make_fast
from ecg.inference.predict import SOMEBODY, Item, make_batch, predict
from ecg.inference.run_folder import ClassifyOptions, Ready, _item, run_folder
from ecg.methods.butteam import butteam
from ecg.methods.robust import robust
from ecg.networks.toom_cook import ToomCookConv1d
from ecg.runtime import device
from ecg.runtime.device import training_autocast
from ecg.simulator.simulate import simulate_recording
from ecg.training.trainer import train
from tiny import TinyNet, quick, tiny, write_recording

CPU = torch.device("cpu")


METHODS = {"zhao": team_code.zhao, "robust": robust, "butteam": partial(butteam, width=12), "tiny": tiny}


def items_of(method, seconds, seed=0):
    """Preprocessed noise as recordings of a woman of 60, one of each length."""
    rng = np.random.default_rng(seed)
    signals = [rng.normal(0, 0.3, (12, int(500 * length))).astype(np.float32) for length in seconds]
    examined = [Examination(replace(SOMEBODY, signal=signal), method.input) for signal in signals]
    return [Item(k, each.prepared, each.features) for k, each in enumerate(examined)]


def trained_like(method):
    """A network in evaluation mode whose batch norms are as after training: no identity, and right for its inputs."""
    generator = torch.Generator().manual_seed(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = method.build_network()
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
        for norm in norms:
            norm.momentum = 1
            nn.init.uniform_(norm.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(norm.bias, -0.5, 0.5, generator=generator)
        items = items_of(method, [10, 10, 10])
        batch = make_batch([item.signal for item in items], [item.features for item in items], CPU)
        with torch.no_grad():
            method.forward(network, batch)
    return network.eval()


@cache
def trained_once(name):
    """One of `METHODS` and its network, which no test changes."""
    method = METHODS[name]()
    return method, trained_like(method)


@pytest.fixture
def fast_bfloat16(monkeypatch):
    """As on a processor with bfloat16; others compute the same, slowly."""
    monkeypatch.setattr(computing, "fastest_dtype", lambda device: torch.bfloat16)


# --- Networks made ready


@given(
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    groups=st.integers(1, 3),
    size=st.integers(1, 9),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    padding=st.integers(0, 5),
    n_items=st.integers(1, 3),
    extra=st.integers(0, 30),
    bias=st.booleans(),
    turned=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_convolution_is_the_same_with_channels_side_by_side(
    channels, groups, size, stride, dilation, padding, n_items, extra, bias, turned, seed
):
    n_in, n_out = (groups * n for n in channels)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        convolution = nn.Conv1d(n_in, n_out, size, stride, padding, dilation, groups, bias)
        x = torch.randn(n_items, n_in, dilation * size + extra)
    if turned:  # channels side by side in memory, as products hand them on
        x = x.transpose(1, 2).contiguous().transpose(1, 2)
    with torch.inference_mode():
        expected = convolution(x)
        exact = ChannelsLastConv1d(convolution, torch.float32)(x)
        torch.testing.assert_close(exact, expected, rtol=1e-5, atol=1e-5)
        rough = ChannelsLastConv1d(convolution, torch.bfloat16)(x)
        assert rough.dtype == torch.float32
        torch.testing.assert_close(rough, expected, rtol=0.02, atol=0.05)


def test_rounded_kernels_keep_their_sums():
    """What a kernel makes of a constant stays exact to one rounding, not to one per tap."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        convolution = nn.Conv1d(20, 20, 15, bias=False)
    sums = convolution.weight.detach().double().sum(dim=2)
    rounded = ChannelsLastConv1d(convolution, torch.bfloat16).weight.double().sum(dim=(2, 3))
    one_by_one = convolution.weight.detach().bfloat16().double().sum(dim=2)
    assert (rounded - sums).abs().max() <= convolution.weight.abs().max() * 2**-8
    assert (rounded - sums).square().mean() < (one_by_one - sums).square().mean() / 5


@pytest.mark.parametrize("name", METHODS)
def test_a_network_without_its_batch_norms_is_the_same_function(name):
    method, network = trained_once(name)
    folded = fold_batch_norms(network)
    assert not any(isinstance(module, nn.BatchNorm1d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm1d) for module in network.modules())
    items = items_of(method, [1.5, 10, 20], seed=3)
    for (_, found), (_, expected) in zip(
        predict(method, [folded], items, CPU), predict(method, [network], items, CPU), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.05), (torch.float32, 3e-4)])
@pytest.mark.parametrize("name", METHODS)
def test_the_known_networks_are_made_fast_and_stay_close(name, dtype, tolerance):
    method, network = trained_once(name)
    fast = make_fast(method, [network], dtype)[0]
    kinds = {type(module) for module in fast.modules()}
    assert ChannelsLastConv1d in kinds
    assert (ToomCookConv1d in kinds) == (dtype == torch.float32 and name != "tiny")
    assert not kinds & {nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d}
    items = items_of(method, [1.5, 10, 20], seed=3)
    for item in items:
        batch = make_batch(method.input.windows(item.signal)[:1], [item.features], CPU)
        with torch.inference_mode():
            found, expected = method.forward(fast, batch), method.forward(network, batch)
        assert found.dtype == torch.float32
        assert 0 < (found - expected).norm() < tolerance * expected.norm()


@given(
    size=st.integers(1, 5),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    extra=st.integers(0, 30),
    ceil=st.booleans(),
    turned=st.booleans(),
    seed=st.integers(0, 99),
)
def test_pooling_is_the_same_with_channels_side_by_side(size, stride, dilation, extra, ceil, turned, seed):
    x = torch.randn(2, 3, dilation * size + extra, generator=torch.Generator().manual_seed(seed))
    if turned:
        x = x.transpose(1, 2).contiguous().transpose(1, 2)
    pool = nn.MaxPool1d(size, stride, padding=size // 2, dilation=dilation, ceil_mode=ceil)
    found = ChannelsLastMaxPool1d(pool)(x)
    assert torch.equal(found, pool(x))
    assert not turned or found.transpose(1, 2).is_contiguous()


@pytest.mark.parametrize(("size", "dtype"), [(15, torch.bfloat16), (16, torch.float32), (24, torch.float32)])
def test_sizes_that_a_library_computes_wrongly_in_bfloat16_are_not_computed_in_it(size, dtype):
    """oneDNN 3.12 with Intel AMX returns wrong sums for sizes that are multiples of 4."""
    method = tiny(build_network=partial(WithSize, size))
    network = trained_like(method)
    fast = make_fast(method, [network], torch.bfloat16)[0]
    assert fast.conv.weight.dtype == dtype
    items = items_of(method, [10, 20], seed=3)
    for item in items:
        batch = make_batch([item.signal], [item.features], CPU)
        with torch.inference_mode():
            found, expected = method.forward(fast, batch), method.forward(network, batch)
            with training_autocast(CPU, network):
                in_training = method.forward(network, batch)
        assert (found - expected).norm() < 0.01 * expected.norm()
        assert (in_training.float() - expected).norm() < 0.02 * expected.norm()


class WithSize(TinyNet):
    """A first convolution of another size."""

    def __init__(self, size):
        super().__init__()
        self.conv = nn.Conv1d(12, 8, size, stride=16, bias=False)


class NormBefore(TinyNet):
    """A batch norm that is registered right after the convolution but comes before it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(12, 12, kernel_size=16, stride=16)
        self.bn = nn.BatchNorm1d(12)
        self.fc = nn.Linear(12 + 5, len(team_code.CLASSES))

    def forward(self, signal, demographics):
        return self.fc(torch.cat([self.conv(self.bn(signal)).relu().mean(dim=2), demographics], dim=1))


class Unusual(TinyNet):
    """Convolutions of all kinds, and norms that can't be folded."""

    def __init__(self):
        super().__init__()
        self.more = nn.Sequential(
            nn.Conv1d(8, 8, 3, padding="same"),
            nn.Conv1d(8, 8, 3, dilation=2),
            nn.Conv1d(8, 8, 3, groups=2),
            nn.Conv1d(8, 8, 3, padding=1, padding_mode="reflect"),
            nn.Conv1d(8, 8, 3),
            nn.BatchNorm1d(8, track_running_stats=False),
        )

    def forward(self, signal, demographics):
        x = self.more(self.bn(self.conv(signal)).relu()).mean(dim=2)
        return self.fc(torch.cat([x, demographics], dim=1))


@pytest.mark.parametrize(("build", "counts"), [(NormBefore, (0, 1, 1)), (Unusual, (2, 1, 4))])
def test_what_can_not_be_folded_or_made_faster_stays_as_it_is(build, counts):
    method = tiny(build_network=build)
    network = trained_like(method)
    fast = make_fast(method, [network], torch.bfloat16)[0]
    kinds = [type(module) for module in fast.modules()]
    assert tuple(kinds.count(kind) for kind in (nn.Conv1d, nn.BatchNorm1d, ChannelsLastConv1d)) == counts
    items = items_of(method, [10], seed=3)
    [(_, found)], [(_, expected)] = (list(predict(method, [either], items, CPU)) for either in (fast, network))
    assert 0 < np.abs(found - expected).max() < 0.05


# --- bfloat16 and Toom-Cook


@pytest.mark.slow
@pytest.mark.parametrize(
    ("has_bfloat16", "said", "tolerance"),
    [(True, "bfloat16", 0.01), (False, "float32 by Toom-Cook convolutions", 1e-4)],
)
def test_the_shipped_model_says_the_same_when_made_fast(tmp_path, monkeypatch, capsys, has_bfloat16, said, tolerance):
    monkeypatch.setattr(computing, "fastest_dtype", lambda device: torch.bfloat16 if has_bfloat16 else torch.float32)
    n_recordings = 50
    for number in range(n_recordings):
        simulated = simulate_recording(number, 5)
        write_recording(tmp_path / "in", f"S{number:04d}", simulated.signal, fs=simulated.sampling_frequency)
    model = team_code.load_model(ROOT / "model", device="cpu")
    for name, deterministic in (("exact", True), ("fast", False)):
        run_folder(model, tmp_path / "in", tmp_path / name, ClassifyOptions(workers=1, deterministic=deterministic))
    assert re.findall(r"Computing .* in (.+) on cpu", capsys.readouterr().err) == ["float32", said]
    exact, fast = (map(helper_code.load_outputs, sorted((tmp_path / name).glob("*.csv"))) for name in ("exact", "fast"))
    differences, same, n_pairs = [], 0, 0
    for (name, _, labels, scores), (other, _, other_labels, other_scores) in zip(exact, fast, strict=True):
        assert name == other
        differences.extend(np.abs(np.asarray(scores, float) - np.asarray(other_scores, float)))
        same += int(np.sum(np.asarray(labels) == np.asarray(other_labels)))
        n_pairs += len(labels)
    assert n_pairs == 24 * n_recordings
    assert 0 < max(differences) < tolerance
    assert same / n_pairs >= 0.999


# --- A recording by itself


@pytest.mark.parametrize("name", ["zhao", "robust", "butteam"])
def test_one_by_one_neighbours_order_and_threads_change_no_bit(name):
    method, network = trained_once(name)
    items = items_of(method, [10, 3, 20, 1.3, 7, 10])
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = {}
        for item in items:
            [(key, alone[key])] = predict(method, [network], [item], CPU, deterministic=True)
        for threads, order in ((1, items), (3, items[::-1]), (2, items[3:] + items[:3])):
            torch.set_num_threads(threads)
            together = list(predict(method, [network], order, CPU, deterministic=True))
            assert [key for key, _ in together] == [item.key for item in order]
            assert all(np.array_equal(found, alone[key]) for key, found in together)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(n_threads)


@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("name", ["zhao", "robust", "butteam"])
def test_in_batches_a_recording_gets_the_same_but_for_rounding_and_threads_change_no_bit(name, dtype):
    method, network = trained_once(name)
    networks = [network] if dtype is None else make_fast(method, [network], dtype)
    items = items_of(method, [10, 3, 20, 1.3, 10.9])
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = dict(predict(method, networks, items, CPU, deterministic=True))
        together = list(predict(method, networks, items, CPU))
        torch.set_num_threads(3)
        again = list(predict(method, networks, items, CPU))
    finally:
        torch.set_num_threads(n_threads)
    assert [key for key, _ in together] == [item.key for item in items]
    # In bfloat16 a difference in the last bit may tip a rounding.
    tolerance = {None: 1e-5, torch.bfloat16: 2e-3, torch.float32: 3e-4}[dtype]
    assert all(np.allclose(found, alone[key], rtol=0, atol=tolerance) for key, found in together)
    assert all(np.array_equal(found, other) for (_, found), (_, other) in zip(together, again, strict=True))


lengths = st.lists(st.integers(100, 20_000), max_size=12)


@given(groups=st.lists(lengths, max_size=5), left_out=st.sets(st.integers(0, 4)), most=st.sampled_from([1, 9000]))
def test_windows_share_batches_within_their_company_and_none_is_lost(groups, left_out, most):
    method, features = robust(), np.zeros(5, np.float32)
    items = [
        Item((number, k), np.full((12, n), k, np.float32), features, number)
        for number, group in enumerate(groups)
        for k, n in enumerate(group)
    ]

    def groups_of(items):
        started = deque()
        groups = [
            [(recording.key, k, window.shape[1], window[0, 0]) for recording, k, window in group]
            for group in prediction._groups(method, items, started, most)
        ]
        assert [recording.key for recording in started] == [item.key for item in items]
        return groups

    groups = groups_of(items)
    expected = [
        (item.key, k, window.shape[1], item.key[1])
        for item in items
        for k, window in enumerate(method.input.windows(item.signal))
    ]
    assert sorted(row for group in groups for row in group) == expected
    for group in groups:
        longest = max(length for _, _, length, _ in group)
        assert len({key[0] for key, *_ in group}) == 1
        assert len(group) == 1 or len(group) * longest <= most
        assert all(longest - length < 512 for _, _, length, _ in group)
    without = [group for group in groups if group[0][0][0] not in left_out]
    assert groups_of([item for item in items if item.batch_group not in left_out]) == without


def test_a_recordings_windows_come_back_in_their_order():
    method = tiny(merge=lambda probabilities: probabilities[0])
    network = trained_like(method)
    [item] = items_of(method, [200])
    first = replace(item, signal=method.input.windows(item.signal)[0].copy())
    assert len(method.input.windows(item.signal)) > 1
    [(_, found)], [(_, expected)] = (list(predict(method, [network], [either], CPU)) for either in (item, first))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_batches_suit_the_device_unless_it_is_to_be_deterministic():
    cpu, gpu = (prediction.batching(torch.device(name)) for name in ("cpu", "cuda"))
    assert (gpu.n_samples // 4096, gpu.n_recordings, gpu.at_once) == (64, 320, 1)
    assert (cpu.n_samples // 4096, cpu.n_recordings, cpu.at_once) == (16, 20, torch.get_num_threads())
    for name, plan in (("cpu", cpu), ("cuda", gpu)):
        exact = prediction.batching(torch.device(name), deterministic=True)
        assert exact == prediction.Batching(1, 1, plan.at_once)
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32
    with device.repeatable_kernels(torch.device("cuda")):
        assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32) == (True, False)
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32) == before


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("autocast", [False, True])
def test_each_forward_pass_has_the_kernels_and_the_precision_that_are_asked_for(monkeypatch, deterministic, autocast):
    method, inside, seen = tiny(), [], []
    network = trained_like(method)

    def around(name):
        @contextmanager
        def block(*arguments):
            inside.append((name, *arguments))
            yield
            inside.pop()

        return block

    monkeypatch.setattr(prediction, "repeatable_kernels", around("repeatable"))
    monkeypatch.setattr(prediction, "training_autocast", around("autocast"))
    monkeypatch.setattr(prediction, "batching", lambda *_: prediction.Batching(1, 1, 1))
    network.register_forward_pre_hook(lambda *_: seen.append({*inside, torch.is_inference_mode_enabled()}))
    assert (
        len(
            list(
                predict(
                    method, [network], items_of(method, [2, 3]), CPU, deterministic=deterministic, autocast=autocast
                )
            )
        )
        == 2
    )
    expected = {True, *[("repeatable", CPU)] * deterministic, *[("autocast", CPU, network)] * autocast}
    assert seen == [expected] * 2 and not inside


def test_a_recording_is_in_its_group_whether_it_could_be_read_or_not():
    ready = Ready(np.ones((12, 30), np.float32), np.ones(2, np.float32), "beside")
    read, failed = (Examined("a", Path("a.hea"), ("1",), each, ("problem",)) for each in (ready, None))
    one, none = _item(7, read), _item(8, failed)
    assert (one.batch_group, one.signal.shape, one.features.tolist()) == (7, (12, 30), [1, 1])
    assert (one.key.name, one.key.problems, one.key.result.beside) == ("a", ("problem",), "beside")
    assert one.key.result.signal.shape == (12, 0)  # what the networks took is not kept
    assert (none.batch_group, none.signal.shape, none.features.shape, none.key) == (8, (12, 0), (0,), failed)


# --- The driver


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Recordings of several lengths and a tiny model of them."""
    place = tmp_path_factory.mktemp("place")
    write_recordings(place / "data", 5)
    write_recordings(place / "data", 3, prefix="LONG", seconds=33)
    train(tiny(), place / "data", place / "model", quick())
    return place


@pytest.fixture
def drive(place, monkeypatch, capsys):
    """`driver.main` on the tiny model: its exit status and what it said."""
    monkeypatch.setitem(team_code.METHODS, "tiny", tiny)

    def run(output, *words):
        monkeypatch.setattr("sys.argv", list(map(str, ["", place / "model", place / "data", output, *words])))
        return driver.main(), capsys.readouterr().err

    return run


def test_any_number_of_workers_gives_the_same_bytes(drive, tmp_path, fast_bfloat16):
    for workers in (1, 4):
        for words in ((), ("--deterministic",)):
            drive(tmp_path / f"{workers}{words}", "--workers", workers, *words)
    one, exact, four, four_exact = (visible_bytes(folder) for folder in sorted(tmp_path.iterdir()))
    assert len(one) == 8
    assert one == four
    assert exact == four_exact
    assert not set(one.values()) & set(exact.values())


def test_deterministic_is_the_same_bytes_for_any_threads_and_those_of_the_hook(tmp_path):
    for number, seconds in enumerate((10, 25)):
        write_recording(tmp_path / "in", f"D{number}", simulate_recording(number, 6, seconds=seconds).signal)
    words = [ROOT / "model", tmp_path / "in", tmp_path / "out", "--deterministic", "--device", "cpu", "--workers", "3"]
    threads = str(torch.get_num_threads() + 1)
    subprocess.run(
        [sys.executable, ROOT / "driver.py", *words],
        env={**ENVIRONMENT, "OMP_NUM_THREADS": threads},
        check=True,
        capture_output=True,
    )
    model = team_code.load_model(ROOT / "model", device="cpu")
    (tmp_path / "hook").mkdir()
    for path in sorted((tmp_path / "in").glob("*.hea")):
        header, recording = helper_code.load_header(path), helper_code.load_recording(path.with_suffix(".mat"))
        helper_code.save_outputs(
            tmp_path / "hook" / f"{path.stem}.csv", path.stem, *team_code.run_model(model, header, recording)
        )
    assert visible_bytes(tmp_path / "out") == visible_bytes(tmp_path / "hook")


@pytest.mark.parametrize(
    ("fast", "words", "expected"),
    [
        (True, (), "batches of up to 65536 samples in bfloat16 on cpu"),
        (True, ("--deterministic",), "single windows in float32 on cpu"),
        (False, (), "batches of up to 65536 samples in float32 by Toom-Cook convolutions on cpu"),
        (False, ("--deterministic",), "single windows in float32 on cpu"),
    ],
)
def test_the_driver_says_what_it_picked(drive, tmp_path, monkeypatch, fast, words, expected):
    monkeypatch.setattr(computing, "fastest_dtype", lambda device: torch.bfloat16 if fast else torch.float32)
    status, said = drive(tmp_path / "out", "--workers", 3, *words)
    assert status == 0
    assert [line for line in said.splitlines() if line.startswith("Computing")] == [
        f"Computing {expected}; 3 processes read, each with networks of its own"
    ]


@pytest.mark.parametrize(("before", "after"), [((), ("--deterministic",)), (("--deterministic",), ())])
def test_a_run_in_another_precision_is_not_gone_on_with(drive, tmp_path, fast_bfloat16, before, after):
    """Its outputs are made anew, to the bytes of a fresh run in the new precision."""
    assert drive(tmp_path / "out", *before)[0] == 0
    status, said = drive(tmp_path / "out", "--resume", *after)
    assert (status, "0 finished recordings are kept, 8 are left" in said) == (0, True)
    assert drive(tmp_path / "fresh", *after)[0] == 0
    assert visible_bytes(tmp_path / "out") == visible_bytes(tmp_path / "fresh")


def test_resume_classifies_a_company_again_unless_all_of_it_is_finished(drive, tmp_path, monkeypatch):
    """What has shared batches gets the same group again, so that the bytes are the same; the other groups stay."""
    monkeypatch.setattr(computing.Computing, "group_size", lambda *_: 3)
    drive(tmp_path / "whole")
    drive(tmp_path / "out")
    (tmp_path / "out" / "HR00004.csv").unlink()  # of the second group; the third is one of two
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.csv")}
    status, said = drive(tmp_path / "out", "--resume")
    assert (status, "5 finished recordings are kept, 3 are left" in said) == (0, True)
    assert visible_bytes(tmp_path / "out") == visible_bytes(tmp_path / "whole")
    changed = {name for name, ns in written.items() if (tmp_path / "out" / name).stat().st_mtime_ns != ns}
    assert changed == {"HR00003.csv", "LONG00000.csv"}
