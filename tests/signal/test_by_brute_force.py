"""Resampling, windows and blocks against the plainest way to compute them, sample by sample."""

import numpy as np
import pytest
from scipy.signal import filtfilt, iirnotch

from ecg.leads import LEADS
from ecg.signal.corruptions import DISTURBANCES
from ecg.signal.filtering import forward_and_backward, without_mains
from ecg.signal.resampling import antialias_filter, resample, resampling_ratio
from ecg.signal.windows import block_means, even_windows, pad_edges


def resampled(row, up, down):
    """One lead: zeros between its samples, filtered, every `down`-th kept; beyond its ends its mirror image."""
    taps = antialias_filter(up, down).astype(np.float64) * up
    half, n = len(taps) // 2, len(row)

    def sample(k):
        if n == 1:
            return row[0]
        turns, k = divmod(k, 2 * (n - 1))
        level = row[0] + 2 * (row[-1] - row[0]) * turns
        return level + (row[k] - row[0] if k < n else 2 * (row[-1] - row[0]) - (row[2 * (n - 1) - k] - row[0]))

    out = []
    for m in range(-(-n * up // down)):
        first, last = -((half - m * down) // up), (m * down + half) // up
        out.append(sum(taps[m * down - k * up + half] * sample(k) for k in range(first, last + 1)))
    return np.array(out)


@pytest.mark.parametrize(
    ("fs_in", "fs_out", "n"),
    [(100, 300, 40), (300, 100, 95), (500, 257, 60), (250, 500, 33), (1000, 257, 90), (128, 100, 64), (100, 257, 2),
     (500, 499.9, 30), (360.5, 500, 25), (500, 300, 7)],
)  # fmt: skip
def test_resampling_is_filtering_between_zeros_and_mirror_images(fs_in, fs_out, n):
    signal = np.random.default_rng(n).normal(0.3, 1, (2, n)).astype(np.float32)
    up, down = resampling_ratio(fs_in, fs_out)
    expected = np.array([resampled(row.astype(np.float64), up, down) for row in signal])
    found = resample(signal, fs_in, fs_out)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize(
    ("fs_in", "fs_out", "ratio"),
    [(500, 257, (257, 500)), (250, 500, (2, 1)), (257, 257, (1, 1)), (1000, 100, (1, 10)), (4095, 4096, (4096, 4095)),
     (333.3, 100, (1000, 3333)), (500, 499.9, (4095, 4096))],
)  # fmt: skip
def test_the_ratio_of_two_rates_is_in_lowest_terms_of_4096_at_most(fs_in, fs_out, ratio):
    assert resampling_ratio(fs_in, fs_out) == ratio


@pytest.mark.parametrize(("n", "window", "overlap", "starts"), [
    (100, 100, 20, [0]), (101, 100, 20, [0, 1]), (180, 100, 20, [0, 80]), (181, 100, 20, [0, 40, 81]),
    (99, 100, 20, [0]), (1, 100, 20, [0]), (300, 100, 50, [0, 50, 100, 150, 200]), (10, 4, 0, [0, 3, 6]),
])  # fmt: skip
def test_windows_are_laid_evenly(n, window, overlap, starts):
    assert even_windows(n, window, overlap) == [slice(start, min(start + window, n)) for start in starts]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 10, 11])
def test_blocks_are_averaged_and_what_is_left_over_is_dropped(length):
    signal = np.random.default_rng(length).normal(size=(3, 10)).astype(np.float32)
    found = block_means(signal, length)
    expected = [[row[k : k + length].mean() for k in range(0, 10 - length + 1, length)] for row in signal]
    np.testing.assert_allclose(found, np.array(expected).reshape(3, -1), atol=1e-6)
    assert found.dtype == np.float32 and not np.shares_memory(found, signal)


@pytest.mark.parametrize(("before", "after"), [(0, 0), (2, 0), (0, 3), (4, 1)])
def test_the_edges_are_repeated(before, after):
    signal = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(pad_edges(signal, before, after), np.pad(signal, ((0, 0), (before, after)), "edge"))


@pytest.mark.parametrize("fs", [90.0, 120.0, 140.0, 500.0])
@pytest.mark.parametrize("n", [2, 5, 10, 11, 400])
def test_mains_are_taken_off_as_by_scipys_filters(fs, n):
    signal = np.random.default_rng(n).normal(2, 1, (2, n)).astype(np.float32)
    expected = signal.astype(np.float64)
    for mains in (50.0, 60.0):
        if mains < 0.45 * fs:
            expected = filtfilt(*iirnotch(mains, mains / 2, fs=fs), expected, axis=1, padlen=min(9, n - 1))
    found = without_mains(signal, fs)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_filter_runs_forward_and_then_backward():
    sections = np.array([[0.5, 0, 0, 1, -0.5, 0]])  # y[n] = x[n] / 2 + y[n - 1] / 2
    settled = np.array([[[0.5, 0.0]]])
    signal = np.array([[1.0, 2.0, 4.0, 3.0]])
    row = [0.0, 1.0, 2.0, 4.0, 3.0, 2.0]  # one sample of mirror image at either end
    for _ in range(2):
        level, passed = row[0], []
        for value in row:
            level = value / 2 + level / 2
            passed.append(level)
        row = passed[::-1]
    np.testing.assert_allclose(forward_and_backward(signal, sections, settled, 1), [row[1:5]])


def test_the_disturbances_are_these():
    signal = np.zeros((12, 250), np.float32)
    signal[LEADS.index("V2"), 20:40] = 1
    said = {}
    for name, disturb in DISTURBANCES.items():
        disturbed, rate = disturb(signal, 250.0)
        said[name] = (
            rate,
            disturbed.shape[1],
            round(float(disturbed[7].max()), 2),
            round(float(disturbed[0].max()), 2),
        )
    assert said == {
        "as recorded": (250, 250, 1, 0),
        "gain x 4.88": (250, 250, 4.88, 0),
        "gain / 4.88": (250, 250, 0.2, 0),
        "offset 1 mV": (250, 250, 2, 1),
        "powerline 60 Hz, 0.1 mV": (250, 250, 1.1, 0.1),
        "a lead off": (250, 250, 0, 0),
        "300 Hz": (300, 300, said["300 Hz"][2], 0),
    }
    for rate, kept in ((120.0, 500), (120.5, 120.5)):
        assert DISTURBANCES["powerline 60 Hz, 0.1 mV"](signal, rate)[1] == kept
