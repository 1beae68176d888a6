"""The twelve leads: their names, and what Einthoven's and Goldberger's equations say of the limb leads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
STANDARD_NAMES = {lead.lower(): lead for lead in LEADS}
_I, _II, _III, _AVR, _AVL, _AVF = (LEADS.index(name) for name in ("I", "II", "III", "aVR", "aVL", "aVF"))


def fill_missing(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replace what is missing by what is known of it.

    Missing samples are interpolated linearly within their lead. A missing limb lead follows from two others
    (Einthoven: I + III = II; Goldberger: aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2). What is still
    missing becomes zero, which is what a disconnected electrode's lead shows.

    Parameters
    ----------
    signal : ndarray, shape (12, n_samples), float32, mV
        Leads in the order of `ecg.leads.LEADS`; NaN where missing.

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


def twelve_leads(independent: np.ndarray) -> np.ndarray:
    """Twelve leads from the eight independent ones, by Einthoven's and Goldberger's equations.

    Parameters
    ----------
    independent : ndarray, shape (8, n_samples), mV
        Leads I, II, V1..V6.

    Returns
    -------
    ndarray, shape (12, n_samples), mV
        Leads I, II, III, aVR, aVL, aVF, V1..V6.
    """
    i, ii = independent[0], independent[1]
    limb = np.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2])
    return np.concatenate([limb, independent[2:]])
