"""The second system: its signal path, its network, its thresholds, and a training of a few seconds."""

import json
import pickle
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.inference import predict as prediction
from ecg.labels.diagnoses import CHALLENGE_2020
from ecg.methods import butteam as but
from ecg.methods.butteam import BUTNet, butteam
from ecg.model_folder import folder as model_folder
from ecg.training import member as training
from ecg.training.dataset import Dataset, Entry
from ecg.training.options import MemberOptions
from evaluate_model import compute_observed_score

CLASSES, WEIGHTS = CHALLENGE_2020.classes, CHALLENGE_2020.weights
CPU = torch.device("cpu")


# --- The way in ---


def sine(frequency, sampling_frequency, seconds=10):
    time = np.arange(int(seconds * sampling_frequency)) / sampling_frequency
    return np.tile(np.sin(2 * np.pi * frequency * time).astype(np.float32), (12, 1))


@pytest.mark.parametrize("sampling_frequency", [100, 125, 257, 300, 500, 1000])
def test_ten_hertz_comes_out_in_place_and_in_units_of_a_fifth_of_a_millivolt(sampling_frequency):
    signal = but.preprocess(sine(10, sampling_frequency), sampling_frequency)
    assert signal.shape == (12, 1250)
    assert signal.dtype == np.float32
    # Linear interpolation between 100 or 125 points a second loses up to (2 pi 10 / rate)^2 / 8 of the size.
    error = np.abs(signal - 5 * sine(10, 125))[:, 13:-13].max()
    assert error < 5 * 0.055


@pytest.mark.parametrize("sampling_frequency", [257, 500, 1000])
def test_forty_hertz_comes_through(sampling_frequency):
    signal = but.preprocess(sine(40, sampling_frequency), sampling_frequency)
    assert np.abs(signal[:, 63:-63]).max() > 5 * 0.95


@pytest.mark.parametrize("sampling_frequency", [500, 1000])
def test_two_hundred_hertz_does_not_come_through(sampling_frequency):
    signal = but.preprocess(sine(200, sampling_frequency), sampling_frequency)
    assert np.abs(signal[:, 63:-63]).max() < 5 * 1e-4


def test_grid_has_the_step_of_its_rate():
    ramp = np.tile(np.arange(5000, dtype=np.float32), (12, 1)) / 1000
    signal = but.preprocess(ramp, 500.0)
    np.testing.assert_allclose(signal[:, 10:-10], np.tile(np.arange(1250) * 0.004 * 5, (12, 1))[:, 10:-10], atol=1e-4)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.floats(50, 2000), st.floats(1, 3))
def test_any_rate_and_length_gives_finite_samples_of_the_right_number(sampling_frequency, seconds):
    n_samples = int(np.ceil(sampling_frequency * seconds))
    recording = np.random.default_rng(0).normal(size=(12, n_samples)).astype(np.float32)
    recording[3], recording[5, :7] = np.nan, np.nan
    signal = but.preprocess(recording, sampling_frequency)
    assert signal.shape == (12, int(n_samples * 125.0 / sampling_frequency))
    assert signal.shape[1] >= 64
    assert np.isfinite(signal).all()


def test_a_recording_shorter_than_the_filter_is_no_error():
    assert but.preprocess(sine(10, 500, seconds=0.1), 500).shape == (12, 12)


# --- Augmentation ---


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(125, 2000))
def test_jitter_keeps_within_its_bounds_and_its_input(seed, n_samples):
    recording = np.random.default_rng(1).uniform(0.5, 1, (12, n_samples)).astype(np.float32)
    before = recording.copy()
    item = but.augment(recording, np.random.default_rng(seed))
    np.testing.assert_array_equal(recording, before)
    assert item.dtype == np.float32
    assert n_samples / 1.1 - 1 < item.shape[1] <= n_samples * 1.1
    assert item.min() >= 0.5 / 1.2 - 1e-6
    assert item.max() <= 1.2 + 1e-6
    np.testing.assert_array_equal(item, but.augment(recording, np.random.default_rng(seed)))


def test_jitter_changes_four_recordings_of_five_and_each_lead_by_itself():
    ones = np.ones((12, 1000), dtype=np.float32)
    rng = np.random.default_rng(2)
    items = [but.augment(ones, rng) for _ in range(500)]
    scaled = [item for item in items if not np.array_equal(item, np.ones_like(item))]
    assert len(scaled) / 500 == pytest.approx(0.8, abs=0.05)
    assert np.mean([item.shape[1] != 1000 for item in items]) == pytest.approx(0.8, abs=0.05)
    factors = np.array([item[:, 0] for item in scaled])
    assert all(len(np.unique(row)) == 12 for row in factors)
    assert np.mean(factors < 1) == pytest.approx(0.5, abs=0.03)
    assert factors.min() == pytest.approx(1 / 1.2, abs=0.01)
    assert factors.max() == pytest.approx(1.2, abs=0.01)


def test_stretched_beats_are_further_apart():
    recording = sine(1, 125)
    rng = np.random.default_rng(3)
    lengths = set()
    for _ in range(20):
        item = but.augment(recording, rng)
        stretch = item.shape[1] / 1250
        crossings = np.flatnonzero((item[0, :-1] < 0) & (item[0, 1:] >= 0))
        assert np.diff(crossings).mean() == pytest.approx(125 * stretch, rel=0.005)
        lengths.add(item.shape[1])
    assert len(lengths) > 10


# --- Chunks ---


@settings(deadline=None, derandomize=True)
@given(st.integers(125, 200_000))
def test_chunks_cover_the_recording_and_share_five_seconds(n_samples):
    recording = np.arange(n_samples, dtype=np.float32)[None]
    chunks = but.cut_chunks(recording)
    assert chunks[0][0, 0] == 0
    assert chunks[-1][0, -1] == n_samples - 1
    for chunk, following in pairwise(chunks):
        assert chunk.shape[1] == 90 * 125
        assert chunk[0, -1] - following[0, 0] == 5 * 125 - 1
    assert max(chunk.shape[1] for chunk in chunks) <= butteam().input.window
    if n_samples <= 105 * 125:
        assert len(chunks) == 1
    else:
        assert len(chunks) == (n_samples - 625) // (11250 - 625)


def test_longest_chunk_is_the_method_s_window():
    longest = max(but.cut_chunks(np.zeros((1, n), dtype=np.float32))[-1].shape[1] for n in range(13_000, 33_000))
    assert longest == butteam().input.window


def test_a_diagnosis_of_any_chunk_counts():
    np.testing.assert_array_equal(but.maximum(np.array([[0.1, 0.9], [0.3, 0.2]])), [0.3, 0.9])


# --- The network ---


@pytest.mark.parametrize(("width", "n_parameters"), [(48, 6_810_936), (30, 2_665_464), (12, 429_648)])
def test_parameter_counts_are_the_published_ones(width, n_parameters):
    assert sum(parameter.numel() for parameter in BUTNet(width=width).parameters()) == n_parameters


def test_without_global_skips_the_levels_take_two_outputs():
    network = BUTNet(width=4, global_skips=False)
    assert [level.units[0].conv.in_channels for level in network.levels] == [4, 8, 16, 24, 32, 40]
    assert network.final.conv.in_channels == 48
    assert network(torch.zeros(2, 12, 200), torch.tensor([200, 100])).shape == (2, 24)


def small_network(**settings):
    """Width 3, its batch-norm statistics and biases far from those of a fresh one, where zeros would stay zeros."""
    torch.manual_seed(0)
    network = BUTNet(width=3, **settings)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith(("bias", "running_mean")):
                tensor.normal_()
    return network.eval()


NETWORKS = {skips: small_network(global_skips=skips) for skips in (True, False)}


@pytest.mark.parametrize("global_skips", [True, False])
@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    lengths=st.lists(st.integers(64, 700), min_size=1, max_size=4),
    more=st.integers(0, 300),
    seed=st.integers(0, 2**32 - 1),
)
def test_padding_does_not_change_the_logits(global_skips, lengths, more, seed):
    network, rng = NETWORKS[global_skips], np.random.default_rng(seed)
    items = [rng.normal(size=(12, n)).astype(np.float32) for n in lengths]
    stacked = np.stack([np.pad(item, ((0, 0), (0, max(lengths) + more - item.shape[1]))) for item in items])
    with torch.inference_mode():
        together = network(torch.from_numpy(stacked), torch.tensor(lengths))
        alone = torch.cat([network(torch.from_numpy(item)[None], torch.tensor([item.shape[1]])) for item in items])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_maximum_is_over_a_64th_of_the_length():
    network = small_network()
    seen = []
    network.final.register_forward_hook(lambda module, args, output: seen.append(output))
    lengths = [64, 127, 128, 640, 700]
    with torch.inference_mode():
        logits = network(torch.randn(5, 12, 1500), torch.tensor(lengths))
    [final] = seen
    assert final.shape[2] == 1500 // 64
    features = torch.stack([row[:, : n // 64].amax(dim=1) for row, n in zip(final, lengths, strict=True)])
    torch.testing.assert_close(logits, network.fc(features))
    for row, n in zip(final, lengths, strict=True):
        assert row[:, : n // 64].amax() > 0
        assert not row[:, n // 64 :].any()


def test_every_sample_of_an_item_counts_and_none_beyond():
    network = small_network()
    lengths, signal = torch.tensor([256]), torch.randn(1, 12, 512)
    with torch.inference_mode():
        features = network(signal, lengths)
        signal[:, :, 256 + 3 :] = 100  # the first convolution looks three samples further, at what a batch has zero
        torch.testing.assert_close(network(signal, lengths), features)
        signal[:, :, 255] = 100
        assert not torch.allclose(network(signal, lengths), features)


def test_first_weights_are_xavier():
    network = BUTNet(width=12)
    for name, weight in network.named_parameters():
        if weight.ndim > 1:
            fan = (weight.shape[0] + weight.shape[1]) * weight[0, 0].numel()
            bound = np.sqrt(6 / fan)
            assert float(weight.detach().abs().max()) == pytest.approx(bound, rel=0.02), name
        elif name.endswith("bias"):
            assert not weight.any(), name


def test_fresh_networks_don_t_share_weights():
    build = butteam(width=4).build_network
    first, second = build(), build()
    assert all(a.data_ptr() != b.data_ptr() for a, b in zip(first.parameters(), second.parameters(), strict=True))


# --- Thresholds and voting ---


@pytest.fixture
def few_points(monkeypatch):
    monkeypatch.setattr(but, "RANDOM_POINTS", 20)
    monkeypatch.setattr(but, "ITERATIONS", 1)


def small_problem():
    rng = np.random.default_rng(4)
    labels = rng.random((80, 3)) < [0.2, 0.5, 0.3]
    probabilities = 1 / (1 + np.exp(-(rng.normal(size=(80, 3)) + 2 * labels - 2)))
    return labels, probabilities, np.array([[1, 0.4, 0.3], [0.4, 1, 0.5], [0.3, 0.5, 1]])


def score(problem, thresholds, decide=but.decide):
    labels, probabilities, weights = problem
    return compute_observed_score(weights, labels, decide(probabilities, thresholds))


@pytest.mark.usefixtures("few_points")
def test_bayesian_search_is_deterministic_and_no_worse_than_its_random_points(monkeypatch):
    problem = small_problem()
    found = but.bayesian_search(*problem)
    np.testing.assert_array_equal(found, but.bayesian_search(*problem))  # nor does it draw from global state
    assert ((found >= 0) & (found <= 1)).all()
    monkeypatch.setattr(but, "ITERATIONS", 0)
    assert score(problem, found) >= score(problem, but.bayesian_search(*problem))


@pytest.mark.usefixtures("few_points")
def test_coordinate_search_is_no_worse_than_the_best_random_point(monkeypatch):
    problem = small_problem()
    found = but.coordinate_search(*problem)
    monkeypatch.setattr(but, "ITERATIONS", 0)
    start = but.bayesian_search(*problem)
    assert score(problem, found) > score(problem, start)
    grid = np.linspace(0, 1, 41)
    for index in range(3):
        for value in grid:
            assert score(problem, np.r_[found[:index], value, found[index + 1 :]]) <= score(problem, found) + 1e-9


@pytest.mark.usefixtures("few_points")
def test_search_starts_from_the_best_of_its_random_points(monkeypatch):
    problem, tried = small_problem(), []
    monkeypatch.setattr(but, "ITERATIONS", 0)
    best = but.bayesian_search(*problem, decide=lambda p, t: tried.append(t) or but.decide(p, t))
    tried = tried[:20]  # what follows is the comparison with coordinate ascent
    np.testing.assert_array_equal(best, max(tried, key=partial(score, problem)))


@pytest.mark.parametrize(("search", "steps"), [(but.bayesian_search, [50, 0]), (but.coordinate_search, [0])])
def test_as_many_points_and_steps_are_tried_as_were_published(monkeypatch, search, steps):
    asked = []

    class Optimizer:
        def __init__(self, score, cube, **options):
            asked.append((dict(cube), options))
            self.res = [
                {"target": score(**each), "params": each}
                for each in ({"000": 0.5, "001": 0.4, "002": x} for x in (1, 0.6))
            ]

        def maximize(self, **numbers):
            asked.append(numbers)

    monkeypatch.setattr("bayes_opt.BayesianOptimization", Optimizer)
    problem = small_problem()
    best = max(([0.5, 0.4, 1], [0.5, 0.4, 0.6]), key=lambda point: score(problem, np.array(point)))
    found = search(*problem)
    if search is but.bayesian_search:
        assert found.tolist() == best
    else:
        assert score(problem, found) >= score(problem, np.array(best))
    options = {"random_state": 1, "verbose": 0, "allow_duplicate_points": True}
    assert asked[::2] == [(dict.fromkeys(("000", "001", "002"), (0.0, 1.0)), options)] * len(steps)
    assert asked[1::2] == [{"init_points": 250, "n_iter": n} for n in steps]


def test_both_searches_are_told_apart_in_what_is_said(monkeypatch, capsys):
    problem, points = small_problem(), np.array([[0.1, 0.2, 0.3], [0.6, 0.5, 0.4]])
    monkeypatch.setattr(but, "_optimize", lambda *words: points[0])
    monkeypatch.setattr(but, "coordinate_search", lambda *words: points[1])
    assert but.bayesian_search(*problem).tolist() == points[0].tolist()
    first, second = (f"{score(problem, point):.1f}" for point in points)
    assert first != second
    assert capsys.readouterr().err.splitlines() == [
        "Searching thresholds by Bayesian optimisation, which takes a minute or two",
        f"Observed challenge score on the validation recordings: {first} by Bayesian optimisation, "
        f"{second} by coordinate ascent from the same start",
    ]


@pytest.mark.usefixtures("few_points")
def test_search_without_labels_is_no_error():
    labels, probabilities, weights = small_problem()
    for search in but.SEARCHES.values():
        assert search(np.zeros_like(labels), probabilities, weights).shape == (3,)


def test_decision_is_strictly_above_the_threshold_and_may_be_empty():
    outputs = but.decide(np.array([[0.5, 0.2], [0.6, 0.3]]), np.array([0.5, 0.3]))
    assert outputs.tolist() == [[False, False], [True, False]]


def test_half_of_the_members_decide():
    three = np.array([[[1, 1, 0]], [[1, 0, 0]], [[0, 0, 0]]], dtype=bool)
    labels, scores = but.majority(three, np.arange(9).reshape(3, 1, 3) / 10, np.full((3, 3), 0.5))
    assert labels.tolist() == [[True, False, False]]
    np.testing.assert_allclose(scores, [[0.3, 0.4, 0.5]])
    assert but.majority(three[:2], np.zeros((2, 1, 3)), np.full((2, 3), 0.5))[0].tolist() == [[True, True, False]]
    assert but.majority(three[:1], np.zeros((1, 1, 3)), np.full((1, 3), 0.5))[0].tolist() == three[0].tolist()


# --- The method ---


def test_schedule_is_the_published_one():
    first, second = butteam().training.stages
    assert [first.learning_rate(epoch / 60) for epoch in (0, 29, 30, 49, 50, 59)] == [1, 1, 0.1, 0.1, 0.01, 0.01]
    assert [second.learning_rate(epoch / 35) for epoch in (0, 14, 15, 24, 25, 34)] == [1, 1, 0.1, 0.1, 0.01, 0.01]
    assert (first.epochs, second.epochs) == (60, 35)
    assert (first.select, second.select, second.average_epochs) == ("last", "average", 5)
    group = second.make_optimizer(BUTNet(width=2).parameters()).param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-3, (0.9, 0.999), 1e-5)


def test_settings_rebuild_the_method_from_json():
    changed = butteam(
        width=12, augmentation=False, global_skips=False, challenge_loss=False, threshold_search="coordinate"
    )
    rebuilt = butteam(**json.loads(json.dumps(changed.settings)))
    assert rebuilt.settings == changed.settings
    assert rebuilt.decision.search_thresholds is but.coordinate_search
    assert rebuilt.training.stages[1].make_loss is but.fit_weighted_cross_entropy
    assert rebuilt.training.stages[1].epochs == 35
    assert not rebuilt.build_network().global_skips
    recording = sine(1, 125)
    assert rebuilt.training.augment(recording, np.random.default_rng(0)) is recording
    with pytest.raises(ValueError, match="threshold_search 'grid': expected one of bayesian, coordinate"):
        butteam(threshold_search="grid")


def test_long_recordings_are_left_out_of_training_and_unlabelled_ones_kept():
    keep = butteam().training.use_for_training
    assert keep(np.zeros(24, dtype=bool), 124.9)
    assert not keep(np.ones(24, dtype=bool), 125.0)


def test_reading_functions_can_be_sent_to_worker_processes():
    method = butteam()
    assert pickle.loads(pickle.dumps((method.input.preprocess, method.input.features))) == (
        but.preprocess,
        but.no_features,
    )


def tiny_dataset():
    """24 recordings of two kinds: slow (SB) and fast (STach) sines with noise, of different lengths."""
    rng = np.random.default_rng(5)
    entries, signals, start = [], [], 0
    for number in range(24):
        n_samples = int(rng.integers(200, 400))
        beat = np.sin(2 * np.pi * (1 + 2 * (number % 2)) * np.arange(n_samples) / 125)
        signal = (beat + rng.normal(scale=0.1, size=(12, n_samples))).astype(np.float32)
        code = ("426177001", "427084000")[number % 2]
        targets = tuple(float(name == code) for name in CLASSES)
        entries.append(
            Entry(f"A{number:04d}", "CPSC", 0, (code,), n_samples / 125, targets, f"{number}", start, n_samples, 0)
        )
        signals.append(signal.ravel())
        start += signal.size
    return Dataset(entries, np.concatenate(signals))


def train(method, seed=1):
    rows = np.arange(24)
    return training.train_member(
        method,
        tiny_dataset(),
        rows[rows % 4 > 0],
        rows[rows % 4 == 0],
        MemberOptions(epochs=2, seed=seed, number=0, device=CPU),
    )


@pytest.fixture
def method(few_points):
    return butteam(width=4, threshold_search="coordinate")


def test_training_runs_both_stages_and_depends_on_its_seed_only(method):
    first, second, other = train(method), train(method), train(method, seed=2)
    assert [row["stage"] for row in first.history] == ["wce", "challenge"]
    assert first.history == second.history
    assert all(torch.equal(first.state[key], second.state[key]) for key in first.state)
    np.testing.assert_array_equal(first.thresholds, second.thresholds)
    assert not torch.equal(first.state["fc.weight"], other.state["fc.weight"])


@pytest.mark.parametrize(
    "changes",
    [{"augmentation": False}, {"global_skips": False}, {"challenge_loss": False}, {"threshold_search": "bayesian"}],
    ids=str,
)
@pytest.mark.usefixtures("few_points")
def test_each_comparison_trains(changes):
    member = train(butteam(**{"width": 4, "threshold_search": "coordinate"} | changes))
    assert len(member.history) == 2
    assert np.isfinite(member.probabilities).all()


def test_model_folder_gives_back_the_trained_member(method, tmp_path):
    member = train(method)
    model_folder.save_model(tmp_path, method, [member, member], {"recordings": 24}, [{}, {}])
    model = model_folder.load_model(tmp_path, {"butteam": butteam}, CPU)
    assert model.method.settings == method.settings
    np.testing.assert_array_equal(model.thresholds, [member.thresholds] * 2)
    dataset = tiny_dataset()
    items = [prediction.Item(row, dataset.signal(row), dataset.features(row)) for row in member.rows]
    for (_, probabilities), expected in zip(
        prediction.predict(model.method, model.networks, items, CPU), member.probabilities, strict=True
    ):
        np.testing.assert_allclose(probabilities, [expected, expected], atol=1e-6)
        labels, scores = model.decide(probabilities)
        np.testing.assert_array_equal(labels, probabilities[0] > member.thresholds)
        np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_long_recording_is_predicted_in_chunks(method):
    network = method.build_network().eval()
    recording = np.random.default_rng(6).normal(size=(12, 33_000)).astype(np.float32)
    items = [prediction.Item(0, recording, np.empty(0, np.float32))]
    [(_, probabilities)] = prediction.predict(method, [network], items, CPU)
    with torch.inference_mode():
        alone = [
            network(torch.from_numpy(part)[None].contiguous(), torch.tensor([part.shape[1]]))
            for part in (recording[:, :11_250], recording[:, 10_625:21_875], recording[:, 21_250:])
        ]
    expected = torch.sigmoid(torch.cat(alone).double()).amax(dim=0).numpy()
    np.testing.assert_allclose(probabilities[0], expected, atol=1e-5)
