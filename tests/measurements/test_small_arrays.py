"""What stands in for numpy's own where arrays are small: the same numbers."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import butter, sosfilt_zi, sosfiltfilt

from ecg.measurements.median_beat import level_baseline
from ecg.measurements.small_arrays import median, median_of_beats, quantile, spread_over, without_line
from ecg.signal.filtering import forward_and_backward
from ecg.signal.windows import block_means, pad_edges


def _numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 9, 10])
def test_the_median_is_that_of_numpy(count):
    values = _numbers(3, count, 5)
    for axis in range(3):
        np.testing.assert_array_equal(median(values, axis), np.median(values, axis=axis))


@pytest.mark.parametrize("count", [1, 2, 3, 8, 15, 16, 17, 40])
def test_the_median_of_beats_is_that_of_numpy_and_leaves_them_as_they_are(count):
    beats = _numbers(2, count, 7)
    given = beats.copy()
    found = median_of_beats(beats)
    np.testing.assert_array_equal(found, np.median(given, axis=1))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(beats, given)


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("count", [1, 2, 13])
def test_quantiles_are_those_of_numpy(share, count):
    values = _numbers(count).astype(np.float64)
    assert quantile(values, share) == pytest.approx(np.quantile(values, share), abs=1e-12)


@pytest.mark.parametrize(("count", "most"), [(0, 5), (1, 5), (5, 5), (6, 5), (3601, 200)])
def test_a_choice_is_spread_from_the_first_to_the_last_without_repeats(count, most):
    chosen = spread_over(count, most)
    assert len(chosen) == min(count, most)
    assert (np.diff(chosen) > 0).all()
    assert chosen[[0, -1][: len(chosen)]].tolist() == [0, count - 1][: len(chosen)]


def test_a_wave_on_its_own_base_line_begins_and_ends_at_0():
    time = np.arange(40.0)
    wave = np.sin(np.pi * time / 39)
    slanted = np.stack([wave + 0.1 * time - 3, 2 * wave])
    np.testing.assert_allclose(without_line(slanted), [wave, 2 * wave], atol=1e-12)
    assert without_line(slanted[:, :1]).tolist() == [[0], [0]]


@pytest.mark.parametrize("length", [1, 2, 10])
def test_means_of_blocks_drop_what_is_left_over(length):
    signal = _numbers(12, 1009)
    n_blocks = 1009 // length
    expected = [[lead[k * length : (k + 1) * length].mean() for k in range(n_blocks)] for lead in signal]
    np.testing.assert_allclose(block_means(signal, length), expected, atol=1e-6)


@pytest.mark.parametrize(("before", "after"), [(0, 0), (3, 4), (30, 0)])
def test_edges_are_repeated(before, after):
    signal = _numbers(3, 5)
    np.testing.assert_array_equal(
        pad_edges(signal, before, after), np.pad(signal, ((0, 0), (before, after)), mode="edge")
    )


@pytest.mark.parametrize("padding", [0, 1, 30, 99])
def test_a_filter_in_both_directions_is_that_of_scipy(padding):
    sections = butter(4, 0.1, output="sos")
    signal = _numbers(3, 100).astype(np.float64)
    found = forward_and_backward(signal, sections, sosfilt_zi(sections)[:, np.newaxis], padding)
    np.testing.assert_allclose(found, sosfiltfilt(sections, signal, axis=1, padlen=padding), atol=1e-12)


@pytest.mark.parametrize("onsets", [[200], [5, 5, 300, 700, 999], [0, 999], [-30, 1040]])
def test_the_line_through_the_levels_is_that_of_numpy(onsets):
    signal = _numbers(3, 1000).cumsum(axis=1)
    knots = np.clip(np.array(onsets) - 10, 0, 999)
    around = sliding_window_view(np.pad(signal, ((0, 0), (5, 5)), mode="edge"), 10, axis=1)
    levels = around[:, knots].mean(axis=2)
    expected = signal - np.stack([np.interp(np.arange(1000), knots, level) for level in levels])
    np.testing.assert_allclose(level_baseline(signal, 500.0, np.array(onsets)), expected, atol=1e-5)
