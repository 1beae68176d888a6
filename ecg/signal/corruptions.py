"""Faults of hospitals and devices, to see what a model makes of a recording that has one."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from ecg.arrays import Signal
from ecg.leads import fill_missing
from ecg.signal.resampling import resample

Disturbance = Callable[[Signal, float], tuple[Signal, float]]
"""``(signal, sampling_frequency) -> (signal, sampling_frequency)``: float32 (12, n_samples) in mV, NaN where missing,
and Hz. Without randomness; the argument is never changed."""

AS_RECORDED = "as recorded"
_POWERLINE = 60.0  # Hz
_RECORDER = 500.0  # Hz, of a recorder that is fast enough for powerline interference to reach its files


def _as_recorded(signal: Signal, sampling_frequency: float) -> tuple[Signal, float]:
    return signal, sampling_frequency


def _gain(signal: Signal, sampling_frequency: float, *, factor: float) -> tuple[Signal, float]:
    return signal * np.float32(factor), sampling_frequency


def _offset(signal: Signal, sampling_frequency: float, *, millivolts: float) -> tuple[Signal, float]:
    return signal + np.float32(millivolts), sampling_frequency


def _powerline(signal: Signal, sampling_frequency: float, *, millivolts: float) -> tuple[Signal, float]:
    """A sine of the powerline frequency and this amplitude, phase 0 at the first sample, on all leads.

    A file of 100 Hz can't hold 60 Hz: written into it they would be 40 Hz, which is another fault. Such a recording is
    taken to 500 Hz first, so that every recording has the interference it is said to have.
    """
    if sampling_frequency <= 2 * _POWERLINE:
        signal, sampling_frequency = _resampled(signal, sampling_frequency, to=_RECORDER)
    seconds = np.arange(signal.shape[1]) / sampling_frequency
    return signal + (millivolts * np.sin(2 * np.pi * _POWERLINE * seconds)).astype(np.float32), sampling_frequency


def _lead_off(signal: Signal, sampling_frequency: float) -> tuple[Signal, float]:
    """One of the leads that show something is zero throughout, and all others are as they were.

    Which one is drawn by the samples themselves, so that it is the same for every method and in every run.
    """
    shows = [lead for lead, samples in enumerate(signal) if len(np.unique(samples[~np.isnan(samples)])) > 1]
    draw = np.random.default_rng(list(hashlib.sha256(signal.tobytes()).digest()))
    disturbed = signal.copy()
    disturbed[draw.choice(shows)] = 0
    return disturbed, sampling_frequency


def _resampled(signal: Signal, sampling_frequency: float, *, to: float) -> tuple[Signal, float]:
    # What is missing is filled in first, as every method does anyway: a filter can't be run over gaps.
    return resample(fill_missing(signal), sampling_frequency, to), to


DISTURBANCES: Mapping[str, Disturbance] = {
    AS_RECORDED: _as_recorded,
    "gain x 4.88": partial(_gain, factor=4.88),  # headers of Georgia's recordings said 4880 per mV for 1000
    "gain / 4.88": partial(_gain, factor=1 / 4.88),
    "offset 1 mV": partial(_offset, millivolts=1.0),
    "powerline 60 Hz, 0.1 mV": partial(_powerline, millivolts=0.1),
    "a lead off": _lead_off,
    "300 Hz": partial(_resampled, to=300.0),
}
