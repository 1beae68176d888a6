"""How far a disturbance moves each measurement from that of the same recording without it."""

import math
from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter

import numpy as np

from ecg.arrays import Array, Floats, Rng, Signal
from ecg.leads import LEADS, fill_missing, twelve_leads
from ecg.measurements import Measurements, measure
from ecg.simulator.dipole import leads_of_electrodes
from ecg.studies.markdown_tables import table

Disturb = Callable[[Signal, float, Rng], Signal]
"""``(signal, sampling_frequency, rng) -> signal``: float32 (12, n_samples) in mV, finite; a new array."""

_ELECTRODES = ("RA", "LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6")
_INDEPENDENT = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]
_LIMIT = 5.0  # mV, where a recorder saturates


def _at_electrode(name: str, wave: Array) -> Signal:
    """What a voltage (n_samples,) at one electrode adds to the leads, (12, n_samples)."""
    electrodes = np.zeros((len(_ELECTRODES), len(wave)))
    electrodes[_ELECTRODES.index(name)] = wave
    return leads_of_electrodes(electrodes).astype(np.float32)


def _seconds(signal: Signal, rate: float) -> Floats:
    return np.arange(signal.shape[1]) / rate


def _mains(signal: Signal, rate: float, rng: Rng, *, hertz: float, leads: str) -> Signal:
    """0.3 mV in the eight stored leads alike, at one electrode, or in one lead."""
    hum = (0.3 * np.sin(2 * np.pi * (hertz * _seconds(signal, rate) + rng.random()))).astype(np.float32)
    if leads == "all":
        return twelve_leads(signal[_INDEPENDENT] + hum)
    if leads in _ELECTRODES[:3]:
        return signal + _at_electrode(leads, hum)
    disturbed = signal.copy()
    disturbed[LEADS.index(leads)] += hum
    return disturbed


def _wander(signal: Signal, rate: float, rng: Rng) -> Signal:
    """1 mV of breathing at 0.15 to 0.35 Hz and of drift at 0.05 Hz, in each of the nine electrodes otherwise."""
    times, shape = _seconds(signal, rate), (len(_ELECTRODES), 1)
    fast = np.sin(2 * np.pi * (rng.uniform(0.15, 0.35) * times + rng.random(shape)))
    slow = np.sin(2 * np.pi * (0.05 * times + rng.random(shape)))
    drift = leads_of_electrodes(fast + slow)
    return signal + (drift / np.abs(drift).max(axis=1, keepdims=True).max()).astype(np.float32)


def _steps(signal: Signal, rate: float, rng: Rng, *, electrode: str) -> Signal:
    """Three contacts lost and found: steps of 1 to 4 mV that decay within 1 s."""
    times, wave = _seconds(signal, rate), np.zeros(signal.shape[1])
    for start in rng.uniform(0.05, 0.95, 3) * times[-1]:
        size = rng.uniform(1, 4) * rng.choice([-1, 1])
        wave += np.where(times >= start, size * np.exp(-np.clip(times - start, 0, None) / 0.3), 0)
    return signal + _at_electrode(electrode, wave)


def _bursts(signal: Signal, rate: float, rng: Rng, *, electrode: str) -> Signal:
    """Two bursts of 1 s, broad-band, 1 mV RMS."""
    times, wave = _seconds(signal, rate), np.zeros(signal.shape[1])
    for start in rng.uniform(0.05, 0.85, 2) * times[-1]:
        wave += ((times >= start) & (times < start + 1)) * rng.normal(0, 1, len(times))
    return signal + _at_electrode(electrode, wave)


def _saturated(signal: Signal, rate: float, rng: Rng, *, lead: str) -> Signal:
    """A lead at the recorder's limit for 3 s."""
    times, start = _seconds(signal, rate), rng.uniform(0.05, 0.65) * signal.shape[1] / rate
    disturbed = signal.copy()
    disturbed[LEADS.index(lead), (times >= start) & (times < start + 3)] = _LIMIT
    return disturbed


def _zeros(signal: Signal, rate: float, rng: Rng, *, leads: tuple[str, ...]) -> Signal:
    disturbed = signal.copy()
    disturbed[[LEADS.index(lead) for lead in leads]] = 0
    return disturbed


def _only(signal: Signal, rate: float, rng: Rng, *, lead: str) -> Signal:
    disturbed = np.full_like(signal, np.nan)
    disturbed[LEADS.index(lead)] = signal[LEADS.index(lead)]
    return disturbed


DISTURBANCES: dict[str, Disturb] = {
    "mains 50 Hz, 0.3 mV, all leads": partial(_mains, hertz=50.0, leads="all"),
    "mains 60 Hz, 0.3 mV, all leads": partial(_mains, hertz=60.0, leads="all"),
    "mains 50 Hz, 0.3 mV, right arm": partial(_mains, hertz=50.0, leads="RA"),
    "mains 60 Hz, 0.3 mV, V3": partial(_mains, hertz=60.0, leads="V3"), "baseline wander, 1 mV": _wander,
    "loose V2: steps": partial(_steps, electrode="V2"), "loose V2: bursts": partial(_bursts, electrode="V2"),
    "loose right arm: steps": partial(_steps, electrode="RA"),
    "loose right arm: bursts": partial(_bursts, electrode="RA"),
    "V4 saturated for 3 s": partial(_saturated, lead="V4"), "II saturated for 3 s": partial(_saturated, lead="II"),
    "V1 zero": partial(_zeros, leads=("V1",)), "I zero": partial(_zeros, leads=("I",)),
    "limb leads zero": partial(_zeros, leads=LEADS[:6]), "lead II alone": partial(_only, lead="II"),
}  # fmt: skip

_COLUMNS: dict[str, Callable[[Measurements], float]] = {
    "rate, 1/min": attrgetter("heart_rate_bpm"), "ectopic beats": attrgetter("n_ectopic"),
    "P, ms": attrgetter("p_ms"), "PR, ms": attrgetter("pr_ms"), "QRS, ms": attrgetter("qrs_ms"),
    "QT, ms": attrgetter("qt_ms"), "QRS axis, degrees": attrgetter("qrs_axis_deg"),
    "T axis, degrees": attrgetter("t_axis_deg"),
    "R in V5, µV": lambda found: 1e3 * float(found.amplitudes.r[LEADS.index("V5")]),
}  # fmt: skip


def disturbed_table(recordings: Iterable[tuple[Signal, float]]) -> str:
    """Error of each measurement under each disturbance: mean ± standard deviation, and how many cells are lost.

    `recordings`: float32 (12, n_samples) in mV, NaN where missing, and Hz; III, aVR, aVL and aVF are computed from I
    and II. The k-th is disturbed with seed k.
    """
    errors: dict[tuple[str, str], list[float]] = {(d, c): [] for d in DISTURBANCES for c in _COLUMNS}
    for seed, (signal, rate) in enumerate(recordings):
        whole = twelve_leads(fill_missing(signal)[_INDEPENDENT])
        clean = measure(whole, rate)
        for disturbance, disturb in DISTURBANCES.items():
            found = measure(disturb(whole, rate, np.random.default_rng(seed)), rate)
            for column, value in _COLUMNS.items():
                if math.isfinite(value(clean)):
                    error = value(found) - value(clean)
                    errors[disturbance, column].append((error + 180) % 360 - 180 if "axis" in column else error)
    rows = ([name, *(_cell(np.array(errors[name, column])) for column in _COLUMNS)] for name in DISTURBANCES)
    return table(["", *_COLUMNS], rows, "--:")


def _cell(errors: Floats) -> str:
    known = errors[np.isfinite(errors)]
    if not len(known):
        return "empty"
    lost = f" ({len(errors) - len(known)} empty)" if len(known) < len(errors) else ""
    return f"{known.mean():.1f} ± {known.std():.1f}{lost}"
