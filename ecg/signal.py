"""Signal pieces that methods share: fill what is missing, change the rate, cut into windows. numpy and scipy only."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import butter, firwin, sosfilt, sosfilt_zi

from helper_code import LEADS

# Output samples that one matrix product makes for all leads: few of its matrix's entries are zero, and it is so small
# that no BLAS gives it to several threads, which on a busy machine can take seconds.
_TILE = 32
_I, _II, _III, _AVR, _AVL, _AVF = (LEADS.index(name) for name in ("I", "II", "III", "aVR", "aVL", "aVF"))


def fill_missing(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replace what is missing by what is known of it.

    Missing samples are interpolated linearly within their lead. A missing limb lead follows from two others
    (Einthoven: I + III = II; Goldberger: aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2). What is still
    missing becomes zero, which is what a disconnected electrode's lead shows.

    Parameters
    ----------
    signal : ndarray, shape (12, n_samples), float32, mV
        Leads in the order of `helper_code.LEADS`; NaN where missing.

    Returns
    -------
    ndarray, shape (12, n_samples), float32, mV
        Without NaN. The argument is never changed.
    """
    missing = np.isnan(signal)
    if not missing.any():
        return signal
    signal = signal.copy()
    grid = np.arange(signal.shape[1])
    lost = np.asarray(missing.all(axis=1))
    for lead in np.flatnonzero(missing.any(axis=1) & ~lost):
        known = ~missing[lead]
        signal[lead, ~known] = np.interp(grid[~known], grid[known], signal[lead, known])
    _derive_limb_leads(signal, lost)
    signal[lost] = 0
    return signal


def _derive_limb_leads(signal: NDArray[np.float32], lost: NDArray[np.bool_]) -> None:
    """Fill the lost ones of the six limb leads in place where two known ones determine the frontal plane."""
    # Each row writes a limb lead as a combination of I and II.
    basis = np.zeros((6, 2))
    basis[[_I, _II, _III]] = (1, 0), (0, 1), (-1, 1)
    basis[[_AVR, _AVL, _AVF]] = (-0.5, -0.5), (1, -0.5), (-0.5, 1)
    known = np.flatnonzero(~lost[:6])
    if lost[:6].any() and len(known) >= 2:
        frontal = np.linalg.lstsq(basis[known], signal[known], rcond=None)[0]
        derived = np.flatnonzero(lost[:6])
        signal[derived] = basis[derived] @ frontal
        lost[:6] = False


@lru_cache(maxsize=16)
def _antialias_filter(up: int, down: int) -> NDArray[np.float32]:
    # Ten periods of the lower rate on either side: the transition is a tenth of its Nyquist frequency wide.
    rate = max(up, down)
    taps = firwin(20 * rate + 1, 1 / rate, window=("kaiser", 5.0))
    # Each output sample uses every up-th tap: those must sum to the same, or a lead's offset would come out rippled.
    for phase in range(up):
        taps[phase::up] /= up * taps[phase::up].sum()
    single: NDArray[np.float32] = taps.astype(np.float32)
    return single


@lru_cache(maxsize=16)
def _resampling_tiles(up: int, down: int) -> tuple[int, list[tuple[int, NDArray[np.float32]]]]:
    """The filter as small matrices: output samples in a period, and (first input, matrix) for each tile of a period.

    The filter repeats itself every `up` output samples. A tile of neighbouring output samples is a product of the
    inputs that it depends on, (n_leads, n_inputs), and a matrix (n_inputs, n_outputs).
    """
    taps = up * _antialias_filter(up, down)
    half = len(taps) // 2
    period = up * max(1, round(_TILE / up))
    tiles = []
    for outputs in np.array_split(np.arange(period), max(1, period // _TILE)):
        first, last = -((half - outputs[0] * down) // up), (outputs[-1] * down + half) // up
        at = outputs * down - np.arange(first, last + 1)[:, np.newaxis] * up + half
        matrix = np.where((at >= 0) & (at < len(taps)), taps[np.clip(at, 0, len(taps) - 1)], 0)
        tiles.append((int(first), matrix.astype(np.float32)))
    return period, tiles


def resample(signal: NDArray[np.float32], fs_in: float, fs_out: float) -> NDArray[np.float32]:
    """Change the sampling frequency behind a linear-phase anti-alias filter.

    Parameters
    ----------
    signal : ndarray, shape (n_leads, n_samples), float32
        Finite. Beyond its ends each lead is taken to go on as its own mirror image through the end point, so that
        neither an offset nor a slope makes a step there.
    fs_in, fs_out : float
        Sampling frequencies, Hz.

    Returns
    -------
    ndarray, shape (n_leads, ceil(n_samples * fs_out / fs_in)), float32
    """
    ratio = Fraction(fs_out / fs_in).limit_denominator(4096)
    if ratio == 1:
        return signal
    up, down = ratio.numerator, ratio.denominator
    # scipy's resample_poly does the same, lead by lead and sample by sample; as matrix products it takes a third.
    period, tiles = _resampling_tiles(up, down)
    n_leads, n_samples = signal.shape
    n_outputs = -(-n_samples * up // down)
    n_periods, step = -(-n_outputs // period), period // up * down
    before, reach = -tiles[0][0], max(first + len(matrix) for first, matrix in tiles)
    length = before + (n_periods - 1) * step + reach
    after = min(before + 1, length - before - n_samples)  # what is further from the end has no part in any output
    mirrored = np.pad(signal, ((0, 0), (before, after)), mode="reflect", reflect_type="odd")
    inputs = sliding_window_view(pad_right(mirrored, length), before + reach, axis=1)[:, ::step].transpose(1, 0, 2)
    outputs = np.empty((n_leads, n_periods, period), dtype=np.float32)
    column = 0
    for first, matrix in tiles:
        columns = slice(column, column + matrix.shape[1])
        outputs[:, :, columns] = (inputs[:, :, before + first:before + first + len(matrix)] @ matrix).swapaxes(0, 1)
        column = columns.stop
    return np.ascontiguousarray(outputs.reshape(n_leads, -1)[:, :n_outputs])


@lru_cache(maxsize=16)
def _band_filter(low: float, high: float, sampling_frequency: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Second-order sections, and their state after a constant 1, (n_sections, 1, 2)."""
    high_pass = butter(3, low, "highpass", fs=sampling_frequency, output="sos")
    low_pass = butter(6, high, "lowpass", fs=sampling_frequency, output="sos")
    sections = np.vstack([high_pass, low_pass])
    return sections, sosfilt_zi(sections)[:, np.newaxis]


def band_pass(signal: NDArray[np.float32], low: float, high: float, sampling_frequency: float) -> NDArray[np.float32]:
    """Keep a band, without shifting anything in time (Butterworth, order 3 below and 6 above, forward and backward).

    Parameters
    ----------
    signal : ndarray, shape (n_leads, n_samples), float32
        Finite. A constant offset leaves no trace, not even at the ends.
    low, high : float
        Hz; half of the power passes there each way.
    sampling_frequency : float
        Hz, more than twice `high`.

    Returns
    -------
    ndarray, shape (n_leads, n_samples), float32
    """
    # scipy's sosfiltfilt does the same, but works the state out anew each time, which takes a fifth of it.
    sections, settled = _band_filter(low, high, sampling_frequency)
    # Half a second of mirror image at either end, less where the recording is shorter.
    padding = min(int(sampling_frequency / 2), signal.shape[1] - 1)
    filtered = np.pad(signal, ((0, 0), (padding, padding)), mode="reflect", reflect_type="odd").astype(np.float64)
    for _ in range(2):  # forward, then backward
        filtered = sosfilt(sections, filtered, axis=1, zi=settled * filtered[:, :1])[0][:, ::-1]
    return np.ascontiguousarray(filtered[:, padding:padding + signal.shape[1]], dtype=np.float32)


def pad_right(signal: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """Zero-pad (n_leads, n) on the right to at least `n_samples`."""
    short = n_samples - signal.shape[1]
    return np.pad(signal, ((0, 0), (0, short))) if short > 0 else signal


def even_windows(n_samples: int, window: int, min_overlap: int) -> list[slice]:
    """Lay windows evenly from the first sample to the last.

    Parameters
    ----------
    n_samples, window : int
        Length of the recording and of a window, in samples.
    min_overlap : int
        Samples that neighbours share at least.

    Returns
    -------
    list of slice
        ``ceil((n_samples - window) / (window - min_overlap)) + 1`` windows, one where the recording is no longer
        than a window (METHODS of Zhao et al.: overlap 256 of 4096, spread evenly).
    """
    if n_samples <= window:
        return [slice(0, n_samples)]
    count = -(-(n_samples - window) // (window - min_overlap)) + 1
    starts = np.linspace(0, n_samples - window, count).astype(int)
    return [slice(int(start), int(start) + window) for start in starts]
