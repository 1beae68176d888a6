"""QRS complexes and pacing spikes are found where they are, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from ecg.measurements.qrs import _accept, _level, box, find_complexes, find_spikes, without_spikes
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


# ---- which humps are complexes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "heights", "sharpness", "accepted"),
    [
        # a share of 0.35 of the level
        ((1, 2, 3), (1, 0.36, 1), None, "012"),
        ((1, 2, 3), (1, 0.34, 1), None, "02"),
        # a P wave: 0.28 s before something higher, and below 0.65 of it
        ((1, 1.27), (0.64, 1), None, "1"),
        ((1, 1.29), (0.64, 1), None, "01"),
        ((1, 1.27), (0.66, 1), None, "01"),
        ((0.5, 1, 1.27), (1, 0.64, 1), None, "02"),
        # the T wave of a complex before the first sample: within 0.42 s, and not 0.3 as sharp as the others
        ((0.41, 1, 2), (1, 1, 1), (0.29, 1, 1), "12"),
        ((0.43, 1, 2), (1, 1, 1), (0.29, 1, 1), "012"),
        ((0.41, 1, 2), (1, 1, 1), (0.31, 1, 1), "012"),
        ((0.41, 1, 2), (0.3, 1, 1), (0.29, 1, 1), "12"),
        ((0.3, 0.41, 2), (0.3, 1, 1), (1, 0.16, 1), "2"),
        # a T wave: within 0.36 s and half as high
        ((1, 1.35, 2), (1, 0.49, 1), None, "02"),
        ((1, 1.37, 2), (1, 0.49, 1), None, "012"),
        ((1, 1.35, 2), (1, 0.51, 1), None, "012"),
        # or within 0.42 s, 0.7 as high and blunt
        ((1, 1.41, 2), (1, 0.69, 1), (1, 0.41, 1), "02"),
        ((1, 1.43, 2), (1, 0.69, 1), (1, 0.41, 1), "012"),
        ((1, 1.41, 2), (1, 0.71, 1), (1, 0.41, 1), "012"),
        ((1, 1.41, 2), (1, 0.69, 1), (1, 0.43, 1), "012"),
        # or within 0.5 s, half as high, and with nothing for long after it
        ((1, 1.49, 2.73), (1, 0.49, 1), None, "02"),
        ((1, 1.49, 2.7), (1, 0.49, 1), None, "012"),
        ((1, 1.51, 2.9), (1, 0.49, 1), None, "012"),
        ((1, 1.49, 2.73), (1, 0.51, 1), None, "012"),
        ((1, 1.49), (1, 0.49), None, "0"),
        # each is compared with the last that was accepted
        ((1, 1.3, 1.6, 2.2), (1, 0.4, 0.4, 1), None, "023"),
        # a smaller one where an interval is 1.6 times as long as usual: the highest above 0.2 of the level
        ((1, 2, 3, 3.8, 4.7, 5.7), (1, 1, 1, 0.3, 1, 1), None, "012345"),
        ((1, 2, 3, 3.8, 4.55, 5.55), (1, 1, 1, 0.3, 1, 1), None, "01245"),
        ((1, 2, 3, 3.8, 4.7, 5.7), (1, 1, 1, 0.19, 1, 1), None, "01245"),
        ((1, 2, 3, 3.8, 4.1, 5, 6), (1, 1, 1, 0.25, 0.3, 1, 1), None, "012456"),
        # 0.36 s after and 0.3 s before a complex
        ((1, 2, 3, 3.35, 5, 6), (1, 1, 1, 0.3, 1, 1), None, "01245"),
        ((1, 2, 3, 3.37, 5, 6), (1, 1, 1, 0.3, 1, 1), None, "012345"),
        ((1, 2, 3, 4.71, 5, 6), (1, 1, 1, 0.3, 1, 1), None, "01245"),
        ((1, 2, 3, 4.69, 5, 6), (1, 1, 1, 0.3, 1, 1), None, "012345"),
        ((1, 2.2, 3), (1, 0.3, 1), None, "02"),  # not with two complexes alone
    ],
)
def test_a_hump_is_a_complex_by_its_height_its_sharpness_and_what_is_near_it(times, heights, sharpness, accepted):
    times, heights = np.array(times, dtype=np.float64), np.array(heights, dtype=np.float64)
    sharpness = np.ones(len(times)) if sharpness is None else np.array(sharpness)
    found = _accept(times, heights, np.ones(len(times)), sharpness)
    assert "".join(map(str, np.flatnonzero(found))) == accepted


def test_the_level_is_the_median_of_the_highest_humps_of_five_blocks_of_two_seconds():
    times = np.arange(0.5, 14, 1.0)
    heights = np.tile([1.0, 0.0], 7) * np.repeat([5, 1, 4, 2, 7, 3, 6], 2)
    # Blocks have 5 1 4 2 7 3 6, mirrored at the ends: 4 1 | 5 1 4 ..., 7 3 6 | 3 7.
    assert _level(times, heights).tolist() == np.repeat([4.0, 2, 4, 3, 4, 3, 6], 2).tolist()
    assert _level(np.array([0.5, 1.9, 2.1]), np.array([3.0, 1.0, 8.0])).tolist() == [3.0, 3.0, 8.0]


@pytest.mark.parametrize(
    ("at", "beside", "height", "found"),
    [
        *[(250, 250 + apart, 0.26, True) for apart in (-21, -4, 4, 21)],  # samples of 2 ms
        *[(250, 250 + apart, 0.26, False) for apart in (-20, -5, 5, 20)],
        *[(250, 250 + apart, 0.24, True) for apart in (-20, -5, 5, 20)],  # a quarter of it
        (5, 250, 0.9, True),
        (1, 250, 0.9, True),
        (498, 250, 0.9, True),
    ],
)
def test_a_spike_is_compared_with_what_lies_8_to_40_ms_from_it(at, beside, height, found):
    signal = np.zeros((2, 500), np.float32)
    signal[0, at], signal[1, beside] = 1, height
    assert (at in find_spikes(signal, 500.0)) == found


@pytest.mark.parametrize(("height", "n_spikes"), [(0.074, 0), (0.076, 1)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_smallest_spike_bends_by_0_15_mv(height, n_spikes, sign):
    signal = np.zeros((2, 500), np.float32)
    signal[1, 250] = sign * height
    assert len(find_spikes(signal, 500.0)) == n_spikes
