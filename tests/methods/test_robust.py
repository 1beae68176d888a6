"""The default method: what its inputs don't depend on, its padding, its training items and its thresholds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import helper_code
import team_code
from ecg.measurements.heart_rate import heart_rate
from ecg.methods import robust
from ecg.methods.base import Batch
from ecg.signal.filtering import band_pass
from ecg.simulator.simulate import simulate_recording
from tiny import heart_like

METHOD = robust.robust()
FS = team_code.SAMPLING_FREQUENCY


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = METHOD.build_network()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):  # as after training: not the identity, so that padding would show
            torch.nn.init.uniform_(module.bias, -0.5, 0.5, generator=torch.Generator().manual_seed(1))
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5, generator=torch.Generator().manual_seed(2))
    return network.eval()


def logits(network, *signals):
    longest = max(signal.shape[1] for signal in signals)
    stacked = np.stack([np.pad(signal, ((0, 0), (0, longest - signal.shape[1]))) for signal in signals])
    lengths = torch.tensor([signal.shape[1] for signal in signals])
    with torch.inference_mode():
        batch = Batch(torch.from_numpy(stacked), lengths, torch.full((len(signals), 5), 0.5))
        return METHOD.forward(network, batch).numpy()


def beating(rate, fs=500, seconds=10):
    """Complexes of 0.1 s at a rate per minute with a broad T wave, in all leads, mV."""
    time = np.arange(int(seconds * fs)) / fs
    phase = (time - 0.3) % (60 / rate)
    qrs = np.exp(-0.5 * ((phase - 0.1) / 0.015) ** 2)
    t_wave = 0.25 * np.exp(-0.5 * ((phase - 0.3) / 0.04) ** 2)
    return np.tile(qrs + t_wave, (12, 1)).astype(np.float32)


# --- The way in


def with_powerline(signal, fs, frequency=60, amplitude=0.1):
    hum = amplitude * np.sin(2 * np.pi * frequency * np.arange(signal.shape[1]) / fs)
    return (signal + hum).astype(np.float32)


@given(offset=st.floats(-5, 5), seed=st.integers(0, 100))
def test_a_baseline_offset_leaves_no_trace(offset, seed):
    signal = heart_like(3, seed=seed)
    shifted = METHOD.input.preprocess((signal + np.float32(offset)).astype(np.float32), 500)
    np.testing.assert_allclose(shifted, METHOD.input.preprocess(signal, 500), atol=1e-4)


@pytest.mark.parametrize(("frequency", "left"), [(50, 0.25), (60, 0.04)])
def test_little_of_of_powerline_interference_is_left(frequency, left):
    signal = heart_like(10)
    rest = METHOD.input.preprocess(with_powerline(signal, 500, frequency), 500) - METHOD.input.preprocess(signal, 500)
    assert np.abs(rest[:, 257:-257]).max() < left * 0.1


@pytest.mark.parametrize("fs", [100, 257, 300, 1000])
def test_the_input_hardly_depends_on_the_sampling_frequency(fs):
    time = np.arange(0, 10, 1 / 5000)
    wave = np.stack([np.sin(2 * np.pi * (3 + lead) * time) for lead in range(12)])

    def sampled(rate):
        return METHOD.input.preprocess(wave[:, :: int(5000 / rate)].astype(np.float32), 5000 / int(5000 / rate))

    one, other = sampled(500), sampled(fs)
    n = min(one.shape[1], other.shape[1]) - 300
    difference = one[:, 300:n] - other[:, 300:n]
    assert np.abs(difference).max() < (0.05 if fs in (100, 500, 1000) else 0.2)  # 257 and 300 divide 5000 unevenly


def test_the_band_passes_its_middle_without_shift_and_stops_what_is_outside():
    time = np.arange(4096) / FS
    tones = np.stack([np.sin(2 * np.pi * f * time) for f in (0.1, 10, 30, 100)]).astype(np.float32)
    slow, ten, thirty, fast = band_pass(tones, 1, 45, FS)[:, 500:-500]
    np.testing.assert_allclose(ten, tones[1, 500:-500], atol=0.01)
    np.testing.assert_allclose(thirty, tones[2, 500:-500], atol=0.02)
    assert max(np.abs(slow).max(), np.abs(fast).max()) < 0.01


@pytest.mark.parametrize("n_samples", [1, 2, 60, 257])
def test_the_shortest_recordings_pass(network, n_samples):
    signal = heart_like(2)[:, :n_samples]
    windows = METHOD.input.windows(METHOD.input.preprocess(signal, 500))
    assert all(np.isfinite(logits(network, window)).all() for window in windows)


# --- Standardised leads and the amplitude beside them


def standardise(signal):
    values, amplitudes = robust.standardise(torch.from_numpy(signal[np.newaxis]), torch.tensor([signal.shape[1]]))
    return values[0].numpy(), amplitudes[0].numpy()


def test_leads_have_mean_zero_and_deviation_one_and_a_lead_that_is_off_stays_flat():
    signal = METHOD.input.preprocess(heart_like(10, seed=2), 500)
    signal[3] = 0
    signal[4] = 1e-4 * np.random.default_rng(0).standard_normal(signal.shape[1])
    values, amplitudes = standardise(signal)
    others = np.delete(np.arange(12), [3, 4])
    np.testing.assert_allclose(values[others].mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(values[others].std(axis=1), 1, atol=0.02)
    assert not values[3].any()
    assert values[4].std() < 0.1
    assert amplitudes[2] == 1


@settings(max_examples=30)
@given(gain=st.floats(0.02, 50), seed=st.integers(0, 50))
def test_the_signal_does_not_depend_on_the_gain_and_an_implausible_one_is_unknown(gain, seed):
    signal = METHOD.input.preprocess(heart_like(3, seed=seed), 500)
    values, amplitudes = standardise(signal)
    scaled, scaled_amplitudes = standardise(signal * np.float32(gain))
    np.testing.assert_allclose(scaled, values, atol=1e-3)
    median = np.sort(signal[:6].std(axis=1).astype(float))[2]  # the lower of the two middle ones, as torch has it
    octaves = np.log2(median * gain / robust.TYPICAL_LIMB_LEAD)
    if abs(abs(octaves) - robust.PLAUSIBLE_OCTAVES) > 0.01:
        assert scaled_amplitudes[2] == (abs(octaves) < robust.PLAUSIBLE_OCTAVES)
    if scaled_amplitudes[2] == amplitudes[2] == 1:
        np.testing.assert_allclose(scaled_amplitudes[:2] - amplitudes[:2], np.log2(gain), atol=1e-3)
    if scaled_amplitudes[2] == 0:
        assert not scaled_amplitudes.any()


def test_logits_are_the_same_at_all_implausible_gains(network):
    signal = METHOD.input.preprocess(heart_like(10), 500)
    far = logits(network, signal * np.float32(30), signal * np.float32(0.01))
    np.testing.assert_allclose(far[0], far[1], atol=1e-3)


# --- Padding


@settings(max_examples=15)
@given(lengths=st.lists(st.integers(robust.SHORTEST, 700), min_size=2, max_size=4), seed=st.integers(0, 1000))
def test_what_a_recording_shares_a_batch_with_does_not_matter(network, lengths, seed):
    rng = np.random.default_rng(seed)
    signals = [rng.standard_normal((12, length)).astype(np.float32) for length in lengths]
    together = logits(network, *signals)
    for signal, row in zip(signals, together, strict=True):
        np.testing.assert_allclose(logits(network, signal)[0], row, atol=1e-4)


# --- Training items


def test_training_items_are_crops_with_leads_off_and_wrong_gains_drawn_from_the_generator():
    long = (np.arange(12)[:, None] + 1 + np.arange(5000) / 1e4).astype(np.float32)
    items = [METHOD.training.augment(long, np.random.default_rng(seed)) for seed in range(300)]
    assert {item.shape for item in items} == {(12, robust.TRAINING_WINDOW)}
    off = np.mean([(item == 0).all(axis=1) for item in items], axis=0)
    assert ((off > 0.01) & (off < 0.12)).all()
    steps = np.array([np.diff(item[~(item == 0).all(axis=1)][0, :2])[0] / 1e-4 for item in items])
    assert 0.15 < np.mean(~np.isclose(steps, 1, rtol=0.02)) < 0.45
    assert steps.min() > 0.09
    assert steps.max() < 10.1
    np.testing.assert_array_equal(items[7], METHOD.training.augment(long, np.random.default_rng(7)))
    assert METHOD.training.augment(long[:, :50], np.random.default_rng(0)).shape == (12, robust.SHORTEST)
    assert (long == (np.arange(12)[:, None] + 1 + np.arange(5000) / 1e4).astype(np.float32)).all()


def test_an_unscored_code_trains_the_class_it_stands_for_and_is_scored_as_nothing():
    codes, signal = ("164884008", "426783006"), METHOD.input.preprocess(beating(80), 500)
    found = dict(zip(METHOD.classes, METHOD.training.make_targets(codes, signal), strict=True))
    assert {code: value for code, value in found.items() if value} == {"426783006": 1, "427172004": 1}
    assert helper_code.SCORED_CLASSES["427172004"][0] == "PVC"
    assert team_code.zhao().training.make_targets(codes, signal).sum() == 1


@pytest.mark.parametrize(
    ("rate", "codes", "target"),
    [
        (55, ("426783006",), 0.5),
        (65, ("426783006",), 0),
        (55, ("164889003",), 0),
        (55, ("426783006", "426177001"), 1),
    ],
)
def test_slow_sinus_rhythm_has_half_a_bradycardia_as_target(rate, codes, target):
    targets = METHOD.training.make_targets(codes, METHOD.input.preprocess(beating(rate), 500))
    assert targets[METHOD.classes.index("426177001")] == target
    assert targets.sum() == sum(team_code.zhao().training.make_targets(codes, beating(rate))) + target * (target == 0.5)


@pytest.mark.parametrize("rate", [40, 58, 75, 110, 160])
@pytest.mark.parametrize("fs", [100, 257, 500])
def test_heart_rate_is_that_of_the_beats(rate, fs):
    assert heart_rate(beating(rate, fs), fs) == pytest.approx(rate, rel=0.02)


def test_heart_rate_of_simulated_sinus_rhythm_is_measured_through_noise():
    wrong = 0
    for seed in range(40):
        simulated = simulate_recording(seed, 1, ("NSR", "SB", "STach", "LAD")[seed % 4])
        measured = heart_rate(METHOD.input.preprocess(simulated.signal, 500), FS)
        wrong += not abs(measured - simulated.parameters.rate) < 0.08 * simulated.parameters.rate
    assert wrong <= 2


@pytest.mark.parametrize("signal", [np.zeros((12, 2570)), np.ones((12, 100)), np.zeros((12, 1))])
def test_there_is_no_heart_rate_without_beats(signal):
    assert np.isnan(heart_rate(signal.astype(np.float32), FS))


# --- Thresholds and members


def test_members_decide_together_from_the_mean_of_what_they_believe():
    rng = np.random.default_rng(3)
    probabilities = rng.random((3, 40, 24))
    half = np.full((3, 24), 0.5)
    labels, scores = METHOD.decision.combine(np.zeros((3, 40, 24), bool), probabilities, half)
    np.testing.assert_allclose(scores, probabilities.mean(axis=0))
    assert np.array_equal(labels, METHOD.decision.decide(probabilities.mean(axis=0), half[0]))
    one, _ = METHOD.decision.combine(np.zeros((1, 40, 24), bool), probabilities[:1], half[:1] * 0.6)
    assert np.array_equal(one, METHOD.decision.decide(probabilities[0], half[0] * 0.6))


def test_thresholds_don_t_follow_the_validation_recordings():
    rng = np.random.default_rng(4)
    for share in (0.05, 0.9):
        found = METHOD.decision.search_thresholds(rng.random((50, 24)) < share, rng.random((50, 24)), np.eye(24))
        assert (found == 0.5).all()


def test_every_place_of_the_crop_is_drawn_also_the_last():
    n = robust.TRAINING_WINDOW
    recording = np.tile(np.arange(1.0, n + 3, dtype=np.float32), (12, 1))  # two samples more than a crop
    firsts = set()
    for seed in range(60):
        item = robust.augment(recording, np.random.default_rng(seed))
        lead = item[np.flatnonzero(item.any(axis=1))[0]].astype(np.float64)
        assert item.shape == (12, n)
        firsts.add(round(float(lead[0] * (n - 1) / (lead[-1] - lead[0]))))  # whatever the gain
    assert firsts == {1, 2, 3}
