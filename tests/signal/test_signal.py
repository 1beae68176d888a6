"""Filling in what is missing, changing the rate, laying windows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import sosfiltfilt

from ecg.leads import fill_missing, through_independent, twelve_leads
from ecg.signal.filtering import band_filter, band_pass, without_mains
from ecg.signal.resampling import resample
from ecg.signal.windows import even_windows, pad_right
from helper_code import LEADS

RATES = [100, 125, 250, 257, 300, 360, 500, 1000]


def sine(frequency: float, fs: float, seconds: float = 10) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * fs)) / fs).astype(np.float32)


def decibels(signal: np.ndarray, reference: np.ndarray) -> float:
    return 20 * np.log10(signal.std() / reference.std())


@pytest.mark.parametrize("fs", RATES)
def test_a_10_hz_sine_comes_out_at_257_hz_within_one_percent_of_the_true_one(fs):
    resampled = resample(sine(10, fs)[None], fs, 257)[0]
    expected = np.sin(2 * np.pi * 10 * np.arange(len(resampled)) / 257)
    assert abs(len(resampled) - 2570) <= 1
    # The last one or two lie after the last sample that was given.
    known = np.arange(len(resampled)) / 257 <= (int(10 * fs) - 1) / fs
    assert known.sum() >= 2567
    assert np.abs(resampled - expected)[known].max() < 0.01


@pytest.mark.parametrize(("fs", "tone"), [(500, 200), (500, 160), (1000, 200), (1000, 400), (360, 170)])
def test_a_tone_above_the_new_nyquist_frequency_is_at_least_40_db_down(fs, tone):
    original = sine(tone, fs)
    inner = resample(original[None], fs, 257)[0, 100:-100]
    assert decibels(inner, original) < -40


@pytest.mark.parametrize("fs", RATES)
def test_an_offset_stays_what_it_is_from_the_first_to_the_last_sample(fs):
    constant = np.full((12, int(2 * fs)), 1.25, dtype=np.float32)
    assert np.abs(resample(constant, fs, 257) - 1.25).max() < 1e-5


def test_resampling_to_the_same_rate_changes_nothing():
    signal = np.random.default_rng(1).normal(size=(12, 700)).astype(np.float32)
    assert np.array_equal(resample(signal, 257, 257), signal)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.floats(100, 1000), st.integers(0, 2**32 - 1))
def test_resampling_is_linear_and_keeps_the_duration_at_any_rate(fs, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 2, int(1.5 * fs))).astype(np.float32)
    both = resample(a + 2 * b, fs, 257)
    assert abs(both.shape[1] - 257 * a.shape[1] / fs) <= 2
    assert both.dtype == np.float32
    np.testing.assert_allclose(both, resample(a, fs, 257) + 2 * resample(b, fs, 257), atol=1e-4)


def limb_leads(rng: np.random.Generator, n_samples: int = 300) -> np.ndarray:
    signal = rng.normal(size=(12, n_samples))
    i, ii = signal[0], signal[1]
    signal[2:6] = ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2
    return signal.astype(np.float32)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.sets(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 1000))
def test_missing_limb_leads_follow_from_any_two_that_are_there(lost, seed):
    signal = limb_leads(np.random.default_rng(seed))
    damaged = signal.copy()
    damaged[list(lost)] = np.nan
    np.testing.assert_allclose(fill_missing(damaged), signal, atol=1e-4)


def test_a_lead_that_nothing_is_known_of_becomes_zero_and_the_others_stay():
    signal = limb_leads(np.random.default_rng(2))
    damaged = signal.copy()
    damaged[LEADS.index("V3")] = np.nan
    filled = fill_missing(damaged)
    assert not filled[LEADS.index("V3")].any()
    others = [k for k in range(12) if LEADS[k] != "V3"]
    assert np.array_equal(filled[others], signal[others])


def test_one_limb_lead_alone_determines_no_other():
    damaged = np.full((12, 50), np.nan, dtype=np.float32)
    damaged[1] = 1
    assert np.array_equal(fill_missing(damaged)[[0, 2, 3, 4, 5]], np.zeros((5, 50)))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.permutations(range(6)), st.integers(0, 3), st.floats(-2, 2), st.integers(0, 1000))
def test_a_limb_lead_that_alone_is_flat_follows_from_the_others(order, n_lost, level, seed):
    signal = limb_leads(np.random.default_rng(seed))
    damaged = signal.copy()
    damaged[order[0]] = level
    damaged[order[1 : 1 + n_lost]] = np.nan
    before = damaged.copy()
    np.testing.assert_allclose(fill_missing(damaged), signal, atol=1e-4)
    np.testing.assert_array_equal(damaged, before)


def test_of_an_electrode_that_is_off_nothing_is_made_up():
    signal = limb_leads(np.random.default_rng(3))
    signal[0] = 0  # and the device derived the others from it
    signal[2:6] = np.outer((1, -0.5, -0.5, 1), signal[1])
    rounded = np.round(signal / 0.005) * np.float32(0.005)
    np.testing.assert_array_equal(fill_missing(rounded), rounded)
    two = limb_leads(np.random.default_rng(4))
    two[[0, 4]] = 0
    np.testing.assert_array_equal(fill_missing(two), two)
    chest = limb_leads(np.random.default_rng(5))
    chest[LEADS.index("V2")] = 0
    np.testing.assert_array_equal(fill_missing(chest), chest)


def test_gaps_are_bridged_in_a_straight_line_and_the_argument_is_left_alone():
    signal = np.tile(np.arange(20, dtype=np.float32), (12, 1))
    damaged = signal.copy()
    damaged[3, 5:9] = np.nan
    before = damaged.copy()
    np.testing.assert_allclose(fill_missing(damaged), signal)
    np.testing.assert_array_equal(damaged, before)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.integers(1, 60_000), st.integers(300, 5000))
def test_windows_cover_every_sample_with_enough_overlap_and_no_more_windows_than_needed(n_samples, window):
    windows = even_windows(n_samples, window, 256)
    assert windows[0].start == 0
    assert windows[-1].stop == n_samples
    if n_samples <= window:
        assert len(windows) == 1
        return
    steps = np.diff([part.start for part in windows])
    assert all(part.stop - part.start == window for part in windows)
    assert steps.max() <= window - 256
    assert steps.max() - steps.min() <= 1
    assert (len(windows) - 2) * (window - 256) + window < n_samples


def test_the_longest_published_recording_takes_121_windows():
    assert len(even_windows(462_600, 4096, 256)) == 121


def test_padding_adds_zeros_on_the_right_only():
    signal = np.ones((12, 5), dtype=np.float32)
    padded = pad_right(signal, 8)
    assert np.array_equal(padded[:, :5], signal)
    assert padded.shape == (12, 8)
    assert not padded[:, 5:].any()
    assert pad_right(signal, 3) is signal


def test_limb_leads_that_follow_from_two_others_are_computed_after_a_filter():
    rng = np.random.default_rng(0)
    twelve = twelve_leads(rng.normal(0, 1, (8, 700)).astype(np.float32))
    calls = []

    def linear(leads):
        calls.append(len(leads))
        return resample(leads, 500.0, 257.0)

    np.testing.assert_allclose(through_independent(twelve, linear), resample(twelve, 500.0, 257.0), atol=1e-5)
    np.testing.assert_allclose(through_independent(twelve[:6], linear), resample(twelve[:6], 500.0, 257.0), atol=1e-5)
    assert calls == [8, 2]
    rounded = np.round(twelve / 0.00488) * np.float32(0.00488)
    np.testing.assert_allclose(through_independent(rounded, linear), resample(rounded, 500.0, 257.0), atol=0.012)
    off = twelve.copy()
    off[4] = 0  # aVL does not follow
    np.testing.assert_array_equal(through_independent(off, linear), resample(off, 500.0, 257.0))
    assert calls == [8, 2, 8, 12]


@pytest.mark.parametrize(
    ("mains", "fs", "left"), [(50, 110, 1.0), (50, 112, 0.0), (60, 132, 1.0), (60, 135, 0.0), (60, 500, 0.0)]
)
def test_a_notch_is_cut_where_the_sampling_frequency_leaves_room_for_it(mains, fs, left):
    sine = np.sin(2 * np.pi * mains * np.arange(20 * fs) / fs + 0.3).astype(np.float32)[np.newaxis]
    middle = without_mains(sine, fs)[0, 8 * fs : 12 * fs]
    assert middle.std() * np.sqrt(2) == pytest.approx(left, abs=0.05)


@pytest.mark.parametrize("n_samples", [2, 3, 127, 128, 129, 130, 1000])  # half a second is 128
def test_a_band_is_kept_as_by_scipy_with_half_a_second_of_mirror_image_or_what_there_is(n_samples):
    signal = np.random.default_rng(n_samples).normal(size=(3, n_samples)).astype(np.float32)
    sections, _ = band_filter(1.0, 45.0, 257.0)
    expected = sosfiltfilt(sections, signal.astype(np.float64), axis=1, padlen=min(128, n_samples - 1))
    np.testing.assert_allclose(band_pass(signal, 1.0, 45.0, 257.0), expected, rtol=1e-5, atol=1e-6)
