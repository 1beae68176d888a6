"""Filters that shift nothing in time."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, iirnotch, sosfilt, sosfilt_zi


def without_mains(signal: NDArray[np.float32], sampling_frequency: float) -> NDArray[np.float32]:
    """Take powerline interference of 50 and 60 Hz off, by notches of 2 Hz (second order, forward and backward).

    `signal`, (n_leads, n_samples), float32: finite. `sampling_frequency`: Hz; a frequency that it can't hold is left
    alone. Returns (n_leads, n_samples), float32.
    """
    clean = signal.astype(np.float64)
    for mains in (50.0, 60.0):
        if mains < 0.45 * sampling_frequency:
            clean = forward_and_backward(clean, *_notch(mains, sampling_frequency), min(9, clean.shape[1] - 1))
    return clean.astype(np.float32)


@lru_cache(maxsize=16)
def _notch(hertz: float, sampling_frequency: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `band_filter`."""
    sections = np.concatenate(iirnotch(hertz, hertz / 2, fs=sampling_frequency))[np.newaxis]
    return sections, sosfilt_zi(sections)[:, np.newaxis]


@lru_cache(maxsize=16)
def band_filter(low: float, high: float, sampling_frequency: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Second-order sections of one pass of `band_pass`, and their state after a constant 1, (n_sections, 1, 2)."""
    high_pass = butter(3, low, "highpass", fs=sampling_frequency, output="sos")
    low_pass = butter(6, high, "lowpass", fs=sampling_frequency, output="sos")
    sections = np.vstack([high_pass, low_pass])
    return sections, sosfilt_zi(sections)[:, np.newaxis]


def mirrored_samples(sampling_frequency: float) -> int:
    """Mirror image that `band_pass` adds at either end, in samples: half a second, or what a shorter recording has."""
    return int(sampling_frequency / 2)


def band_pass(signal: NDArray[np.float32], low: float, high: float, sampling_frequency: float) -> NDArray[np.float32]:
    """Keep a band, without shifting anything in time (Butterworth, order 3 below and 6 above, forward and backward).

    `signal`, (n_leads, n_samples), float32: finite. A constant offset leaves no trace, not even at the ends. `low` and
    `high`: Hz; -3 dB per pass. `sampling_frequency`: Hz, more than twice `high`. Returns (n_leads, n_samples), float32.
    """
    sections, settled = band_filter(low, high, sampling_frequency)
    padding = min(mirrored_samples(sampling_frequency), signal.shape[1] - 1)
    return np.ascontiguousarray(forward_and_backward(signal, sections, settled, padding), dtype=np.float32)


def forward_and_backward(
    signal: NDArray[np.floating], sections: NDArray[np.float64], settled: NDArray[np.float64], padding: int
) -> NDArray[np.float64]:
    """Run a filter over leads in both directions, as scipy's `sosfiltfilt`, which works the state out again each time.

    `signal`, (n_leads, n_samples): finite. `sections`, (n_sections, 6), float64: second-order sections. `settled`,
    (n_sections, 1, 2), float64: their state after a constant 1: ``sosfilt_zi(sections)[:, np.newaxis]``. `padding`:
    samples by which each lead continues at either end as its mirror image through the end point; fewer than it has.
    """
    before = 2 * signal[:, :1] - signal[:, padding:0:-1]
    after = 2 * signal[:, -1:] - signal[:, -2 : -padding - 2 : -1]
    filtered = np.concatenate([before, signal, after], axis=1, dtype=np.float64)
    for _ in range(2):  # forward, then backward
        filtered = sosfilt(sections, filtered, axis=1, zi=settled * filtered[:, :1])[0][:, ::-1]
    return filtered[:, padding : padding + signal.shape[1]]
