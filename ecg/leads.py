"""The twelve leads: their names, and what Einthoven's and Goldberger's equations say of the limb leads."""

from collections.abc import Callable

import numpy as np

from ecg.arrays import Bools, Floats, Floats32

LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
# Those of the 2021 Challenge.
LEAD_SETS: dict[int, tuple[str, ...]] = {
    12: LEADS,
    6: LEADS[:6],
    4: ("I", "II", "III", "V2"),
    3: ("I", "II", "V2"),
    2: ("I", "II"),
}
STANDARD_NAMES = {lead.lower(): lead for lead in LEADS}
# Each row writes a limb lead, in the order of `LEADS`, as a combination of I and II.
_OF_I_AND_II = np.array([(1, 0), (0, 1), (-1, 1), (-0.5, -0.5), (1, -0.5), (-0.5, 1)])
FLAT = 0.005  # mV, range of a lead that shows nothing
_FOLLOWS = 0.008  # mV: stored leads are rounded, to 5 µV in some databases
_SHOWS = 0.1  # mV, range that no rounding of two leads gives to their difference


def parse_leads(text: str) -> tuple[str, ...]:
    """Leads by the number of a set of the 2021 Challenge, or by name: "2", "I,II,V5"; in the order of `LEADS`.

    Raises ValueError if it is neither.
    """
    if text.strip().isdecimal() and int(text) in LEAD_SETS:
        return LEAD_SETS[int(text)]
    names = [STANDARD_NAMES.get(name.strip().lower(), "") for name in text.split(",")]
    if "" in names or len(set(names)) != len(names):
        numbers = ", ".join(map(str, LEAD_SETS))
        raise ValueError(f"leads: expected one of {numbers}, or different names such as I,II,V2, found {text!r}")
    return tuple(lead for lead in LEADS if lead in names)


def fill_missing(signal: Floats32) -> Floats32:
    """Replace what is missing by what is known of it; same shape, float32, mV, without NaN, the argument never changed.

    Missing samples are interpolated linearly within their lead. A missing limb lead follows from two others (Einthoven:
    I + III = II; Goldberger: aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2), and a flat lead too if the
    others are inconsistent with it. Then missing leads become zero, like the lead of a disconnected electrode.

    `signal`, (12, n_samples), float32, mV: leads in the order of `ecg.leads.LEADS`, or the six limb leads alone; NaN
    where missing.
    """
    missing = np.isnan(signal)
    if not missing.any():
        return _without_flat_limb_lead(signal, np.ones(6, dtype=bool))
    signal = signal.copy()
    grid = np.arange(signal.shape[1])
    lost = np.asarray(missing.all(axis=1))
    for lead in np.flatnonzero(missing.any(axis=1) & ~lost):
        known = ~missing[lead]
        signal[lead, ~known] = np.interp(grid[~known], grid[known], signal[lead, known])
    there = ~lost[:6]
    signal = _without_flat_limb_lead(signal, there)
    if not there.all() and np.count_nonzero(there) >= 2:
        signal[:6][~there] = _limb_leads_from(signal, there, ~there)
        lost[:6] = False
    signal[lost] = 0
    return signal


def _without_flat_limb_lead(signal: Floats32, there: Bools) -> Floats32:
    """The signal with a limb lead that alone is flat as the others have it that are `there`, (6,)."""
    some = signal[:6, :: max(1, signal.shape[1] // 100)]
    if not some.size or not (np.ptp(some, axis=1) <= FLAT).any():  # nearly always
        return signal
    flat = there & (np.ptp(signal[:6], axis=1) <= FLAT)
    others = there & ~flat
    # An electrode that is off makes more than one flat, and what the device made of the others is not known.
    if np.count_nonzero(flat) != 1 or np.count_nonzero(others) < 2:
        return signal
    found = _limb_leads_from(signal, others, flat)
    if np.ptp(found) > _SHOWS:
        signal = signal.copy()
        signal[:6][flat] = found
    return signal


def _limb_leads_from(signal: Floats32, known: Bools, wanted: Bools) -> Floats:
    """Limb leads, (n_wanted, n_samples), from two or more known ones."""
    frontal = np.linalg.lstsq(_OF_I_AND_II[known], signal[:6][known], rcond=None)[0]
    found: Floats = _OF_I_AND_II[wanted] @ frontal
    return found


def twelve_leads(independent: np.ndarray) -> np.ndarray:
    """Twelve leads from the eight independent ones, by Einthoven's and Goldberger's equations.

    `independent`, (8, n_samples), mV: leads I, II, V1..V6. Returns (12, n_samples), mV: leads I, II, III, aVR, aVL,
    aVF, V1..V6.
    """
    return np.concatenate([independent[:2], _limb_leads(independent[0], independent[1]), independent[2:]])


def through_independent(signal: Floats32, linear: Callable[[Floats32], Floats32]) -> Floats32:
    """Filter leads; where III, aVR, aVL and aVF follow from I and II, compute them from the filtered I and II.

    `signal`, (12 or 6, n_samples), float32, mV: all leads, or the limb leads alone; finite. `linear`: a linear filter
    that treats each lead alike, (n_leads, n_samples) to (n_leads, n), float32. Returns (12 or 6, n), float32, mV:
    ``linear(signal)``, but for a few microvolts in the computed leads.
    """
    if not np.abs(_limb_leads(signal[0], signal[1]) - signal[2:6]).max(initial=0) <= _FOLLOWS:
        return linear(signal)
    filtered = linear(np.concatenate([signal[:2], signal[6:]]))
    return np.concatenate([filtered[:2], _limb_leads(filtered[0], filtered[1]), filtered[2:]])


def _limb_leads(i: Floats32, ii: Floats32) -> Floats32:
    """III, aVR, aVL and aVF, (4, n_samples)."""
    half_i, half_ii = i / 2, ii / 2
    return np.stack([ii - i, -half_i - half_ii, i - half_ii, ii - half_i])
