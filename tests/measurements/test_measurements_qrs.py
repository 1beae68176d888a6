"""QRS complexes and pacing spikes are found where they are, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from ecg.measurements.qrs import box, find_complexes, find_spikes, without_spikes
from ecg.simulator.diagnoses import Parameters
from ecg.simulator.noise import Noise, add_noise
from ecg.simulator.simulate import record
from ecg.simulator.truth import truth_of

RATE = 250.0
HEALTHY = Parameters(50, "Male", respiration=0.25)


def _recorded(parameters, seed=0, seconds=10, noise=None):
    return record(parameters, np.random.default_rng(seed), RATE, seconds, noise or Noise(muscle=0.005, wander=0.03))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rate": 38.0},
        {"rate": 170.0, "qtc": 0.38},
        {"voltage": 0.35, "depth": 0.5},
        {"t_amplitude": 1.2, "t_back": -0.8, "voltage": 0.9},
        {"rhythm": "fibrillation", "pr": None, "rr_range": 0.18, "rate": 95.0},
        {"rhythm": "flutter", "pr": None, "atrial_rate": 290.0, "block": 4, "atrial_amplitude": 0.2},
        {"qrs_shape": "LBBB", "qrs": 0.17},
        {"pvc": 3},
    ],
    ids=["normal", "slow", "fast", "low", "large T", "fibrillation", "flutter", "LBBB", "ectopic"],
)
def test_every_complex_is_found_once(changes):
    simulated = _recorded(replace(HEALTHY, **changes))
    true = truth_of(simulated).r_samples
    found = find_complexes(simulated.signal, RATE)
    found, true = (at[(at > 0.2 * RATE) & (at < 9.8 * RATE)] for at in (found, true))  # not cut off
    assert len(found) == len(true)
    assert np.abs(found - true).max() <= 0.075 * RATE  # wide complexes have no one middle


def _drawn(at, sizes, seconds, width=0.010):
    """Waves of a standard deviation of `width` seconds, in 12 leads."""
    times = np.arange(round(seconds * RATE)) / RATE
    waves = np.exp(-0.5 * ((times - np.array(at)[:, np.newaxis]) / width) ** 2)
    return (np.linspace(0.5, 1.5, 12)[:, np.newaxis] * (np.array(sizes) @ waves)).astype(np.float32)


@pytest.mark.parametrize("ahead", [0.22, 0.27])
def test_a_large_p_wave_after_a_pause_is_no_complex(ahead):
    beats = np.delete(np.arange(0.5, 12, 0.8), 6)
    signal = _drawn(beats, np.ones(len(beats)), 12)
    signal += _drawn(beats - ahead, np.full(len(beats), 0.5), 12, width=0.020)
    np.testing.assert_allclose(find_complexes(signal, RATE) / RATE, beats, atol=0.02)


@pytest.mark.parametrize("backwards", [False, True])
def test_large_complexes_at_the_other_end_hide_no_small_ones(backwards):
    beats = np.arange(0.3, 19.9, 0.65)
    sizes = np.where((beats > 15.5) | (beats < 0.5), 4.0, 1.0)
    signal = _drawn(beats, sizes, 20)
    found = find_complexes(signal[:, ::-1].copy() if backwards else signal, RATE) / RATE
    found = np.sort(20 - found) if backwards else found
    np.testing.assert_allclose(found[found < 10], beats[beats < 10], atol=0.02)


@pytest.mark.parametrize("seed", range(4))
def test_noise_alone_has_no_complexes(seed):
    rng = np.random.default_rng(seed)
    noise = add_noise(np.zeros((12, 2500)), RATE, Noise(wander=0.08, muscle=0.02, powerline=0.01), rng)
    assert len(find_complexes(noise.astype(np.float32), RATE)) == 0
    assert len(find_complexes(rng.normal(0, 0.05, (12, 2500)).astype(np.float32), RATE)) == 0


def test_one_noisy_lead_hides_nothing():
    simulated = _recorded(HEALTHY)
    expected = find_complexes(simulated.signal, RATE)
    spoilt = simulated.signal.copy()
    spoilt[7] = np.random.default_rng(1).normal(0, 1, spoilt.shape[1])
    found = find_complexes(spoilt, RATE)
    assert len(found) == len(expected)
    assert np.abs(found - expected).max() <= 0.02 * RATE


def test_no_leads_and_few_samples_have_no_complexes():
    assert len(find_complexes(np.zeros((0, 2500), np.float32), RATE)) == 0
    assert len(find_complexes(np.ones((12, 3), np.float32), RATE)) == 0


def test_spikes_are_found_where_the_pacemaker_fires_and_bridged():
    paced = replace(HEALTHY, rhythm="paced", pr=None, qrs_shape="LBBB", qrs=0.16, spike=2.0)
    simulated = record(paced, np.random.default_rng(0), 500, noise=Noise(muscle=0.005))
    spikes = find_spikes(simulated.signal, 500.0)
    expected = np.array([beat.time - 0.010 for beat in simulated.parameters.beats]) * 500
    assert len(spikes) == len(expected)
    assert np.abs(spikes - expected).max() <= 1
    clean = without_spikes(simulated.signal, 500.0, spikes)
    assert np.abs(np.diff(clean, n=2, axis=1)).max() < 0.4 * np.abs(np.diff(simulated.signal, n=2, axis=1)).max()
    far = np.abs(np.arange(clean.shape[1])[:, np.newaxis] - spikes).min(axis=1) > 4
    np.testing.assert_array_equal(clean[:, far], simulated.signal[:, far])


@pytest.mark.parametrize("rate", [500.0, 1000.0])
@pytest.mark.parametrize("at", [0, 1, 0.004, 0.006, 0.3, -0.007, -0.006, -0.003, -1])
def test_a_spike_is_bridged_within_6_ms_as_far_as_the_recording_goes(rate, at):
    n_samples = round(0.6 * rate)
    place = at if isinstance(at, int) else round(at * rate)
    place %= n_samples
    reach = round(0.006 * rate)
    first, last = max(0, place - reach), min(n_samples - 1, place + reach)
    signal = np.random.default_rng(0).normal(size=(2, n_samples)).astype(np.float32)
    given = signal.copy()
    bridged = without_spikes(signal, rate, np.array([place]))
    for lead, expected in zip(bridged, given, strict=True):
        expected = expected.astype(np.float64)
        expected[first : last + 1] = np.interp(np.arange(first, last + 1), [first, last], expected[[first, last]])
        np.testing.assert_allclose(lead, expected, atol=1e-6)
    np.testing.assert_array_equal(signal, given)


def test_a_heart_alone_has_no_spikes():
    simulated = record(replace(HEALTHY, voltage=2.5), np.random.default_rng(0), 500, noise=Noise(muscle=0.01))
    assert len(find_spikes(simulated.signal, 500.0)) == 0


@pytest.mark.parametrize(("beside", "n_spikes"), [(0.0, 1), (0.2, 1), (0.3, 0)])
def test_a_spike_is_four_times_as_steep_as_what_is_around_it(beside, n_spikes):
    signal = np.zeros((12, 500), np.float32)
    signal[:, 250] = 1
    signal[:, 235] = beside  # 30 ms before
    assert find_spikes(signal, 500.0).tolist() == [250] * n_spikes


@pytest.mark.parametrize("length", [3, 5, 21])
def test_box_is_a_moving_average(length):
    x = np.random.default_rng(0).normal(size=60)
    np.testing.assert_allclose(box(x, length), np.convolve(x, np.ones(length) / length, mode="same"), atol=1e-12)
