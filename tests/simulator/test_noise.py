"""Noise and faults: each is what it says, and none breaks Einthoven's law."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import periodogram

from ecg.leads import twelve_leads
from ecg.simulator import noise
from ecg.simulator.noise import Noise
from helper_code import LEADS

repeatable = settings(deadline=None, derandomize=True, max_examples=30)


def clean(n_samples=2000):
    return twelve_leads(np.random.default_rng(0).normal(0, 0.5, (8, n_samples)))


def assert_einthoven(signal):
    i, ii, iii, avr, avl, avf = signal[:6]
    np.testing.assert_allclose(iii, ii - i, atol=1e-9)
    np.testing.assert_allclose([avr, avl, avf], [-(i + ii) / 2, i - ii / 2, ii - i / 2], atol=1e-9)


noises = st.builds(
    Noise,
    wander=st.floats(0, 0.3),
    muscle=st.floats(0, 0.1),
    powerline=st.floats(0, 0.2),
    powerline_frequency=st.sampled_from([50.0, 60.0]),
    clip=st.none() | st.floats(0.1, 5),
    lead_off=st.none() | st.sampled_from(["I", "II", "V1", "V6"]),
    reversed_arms=st.booleans(),
)


@repeatable
@given(mixture=noises, fs=st.sampled_from([100, 257, 500]), n_samples=st.integers(1, 3000), seed=st.integers(0, 99))
def test_every_mixture_keeps_the_lead_laws_and_the_argument(mixture, fs, n_samples, seed):
    signal = clean(n_samples)
    before = signal.copy()
    noisy = noise.add_noise(signal, fs, mixture, np.random.default_rng(seed))
    assert noisy.shape == signal.shape
    assert np.isfinite(noisy).all()
    assert_einthoven(noisy)
    np.testing.assert_array_equal(signal, before)


def test_no_noise_changes_nothing():
    signal = clean()
    np.testing.assert_array_equal(noise.add_noise(signal, 500, Noise(), np.random.default_rng(0)), signal)


def test_wander_is_slow_and_has_its_size():
    v1 = noise.baseline_wander(np.random.default_rng(1), 60_000, 500, 0.1)[LEADS.index("V1")]
    frequencies, power = periodogram(v1, 500)
    assert power[frequencies <= 0.6].sum() > 0.99 * power.sum()
    sizes = [noise.baseline_wander(np.random.default_rng(k), 30_000, 500, 0.1)[6:].std() for k in range(20)]
    assert np.mean(sizes) == pytest.approx(0.1 * np.hypot(0.8, 0.8 / np.sqrt(2)) * np.sqrt(4 / 3), rel=0.15)


def test_muscle_noise_is_fast_and_has_its_size():
    v1 = noise.muscle_noise(np.random.default_rng(1), 60_000, 1000, 0.02)[LEADS.index("V1")]
    frequencies, power = periodogram(v1, 1000)
    assert power[(frequencies > 5) & (frequencies < 300)].sum() > 0.95 * power.sum()
    assert v1.std() == pytest.approx(0.02 * np.sqrt(4 / 3 * 1.125), rel=0.15)


@pytest.mark.parametrize("frequency", [50.0, 60.0])
def test_powerline_interference_is_a_line_at_its_frequency(frequency):
    hum = noise.powerline_interference(np.random.default_rng(1), 5000, 500, 0.1, frequency)[LEADS.index("V3")]
    frequencies, power = periodogram(hum, 500)
    assert frequencies[power.argmax()] == pytest.approx(frequency, abs=0.1)


def test_powerline_interference_beyond_the_recorders_band_is_not_seen():
    assert not noise.powerline_interference(np.random.default_rng(1), 1000, 100, 0.1, 60.0).any()


def test_clipping_bounds_the_measured_leads():
    clipped = noise.clip(clean(), 0.4)
    assert np.abs(clipped[[0, 1, *range(6, 12)]]).max() == 0.4


@pytest.mark.parametrize("lead", ["I", "II", "V4"])
def test_a_lead_off_is_flat(lead):
    flat = noise.take_lead_off(clean(), lead)
    assert not flat[LEADS.index(lead)].any()
    assert flat[LEADS.index("V5")].any()


def test_a_computed_lead_can_not_come_off():
    with pytest.raises(ValueError, match=r"expected one of I, II, V1.*found 'aVR'"):
        noise.take_lead_off(clean(), "aVR")


def test_reversed_arms_turn_lead_one_and_swap_its_neighbours():
    signal = clean()
    swapped = noise.reverse_arms(signal)
    leads = {lead: swapped[k] for k, lead in enumerate(LEADS)}
    for lead, other, sign in (("I", "I", -1), ("II", "III", 1), ("aVR", "aVL", 1), ("aVF", "aVF", 1), ("V2", "V2", 1)):
        np.testing.assert_allclose(leads[lead], sign * signal[LEADS.index(other)], atol=1e-12)
    np.testing.assert_allclose(noise.reverse_arms(swapped), signal, atol=1e-12)


def test_drawn_noise_never_hides_or_falsifies_the_heart():
    for seed in range(50):
        drawn = noise.draw_noise(np.random.default_rng(seed))
        assert 0 < drawn.wander < 0.1
        assert 0 < drawn.muscle < 0.05
        assert drawn.powerline < 0.05
        assert (drawn.clip, drawn.lead_off, drawn.reversed_arms) == (None, None, False)
