"""Signal pieces that methods share: fill what is missing, change the rate, cut into windows. numpy and scipy only."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, resample_poly

from helper_code import LEADS

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
    taps = _antialias_filter(up, down)
    # scipy ends the whole process where there is nothing to reflect.
    padding = "antireflect" if signal.shape[1] > 1 else "edge"
    return np.asarray(resample_poly(signal, up, down, axis=1, window=taps, padtype=padding), dtype=np.float32)


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
