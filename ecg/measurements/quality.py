"""How good a recording is as a recording: leads off, leads at the recorder's limit, noise, mains, baseline wander.

The kinds of disturbance are those that recorders are asked to detect or to withstand (Kligfield et al. 2007, J Am Coll
Cardiol 49:1109-1127; IEC 60601-2-25) and that the PhysioNet/Computing in Cardiology Challenge 2011 asked for (Silva et
al. 2011, Comput Cardiol 38:273-276). The standards fix no way to estimate them from a recording; the estimates are
defined in `assess_quality`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.signal import butter, sosfilt_zi

from ecg.leads import LEADS
from ecg.measurements.small_arrays import median
from ecg.measurements.types import Quality
from ecg.signal.filtering import forward_and_backward

_FLAT_WINDOW, _FLAT_RANGE = 2.0, 0.01  # s, mV: every heart beats at least once in 2 s and shows in every lead
_RUN, _LONG_RUN, _LIMIT = 0.010, 0.5, 0.5  # s, s, mV
_WINDOW = 0.1  # s: 5 periods of 50 Hz, 6 of 60 Hz; short enough to lie between two QRS complexes
MAINS_UV = 20.0  # powerline interference of a larger amplitude is taken off a lead before it is measured
_NOISE_BAND = (35.0, 150.0)  # Hz: above what P and T waves hold
_QUARTILE = 0.25
_BLOCK = 0.1  # s: baseline wander is looked at in steps of this
_WANDER = 0.7  # Hz: below the fundamental of a rhythm of 42/min
_LOW_PASS = butter(2, _WANDER, fs=1 / _BLOCK, output="sos")  # worked out once, not for each recording
_SETTLED = sosfilt_zi(_LOW_PASS)[:, np.newaxis]


def assess_quality(signal: NDArray[np.float32], sampling_frequency: float) -> Quality:
    """Quality of a recording; `suspected_swap` is left empty, it needs the median beat.

    A lead is off where in at least half of the recording (in windows of 2 s) it has no samples or varies by less than
    10 µV. It is saturated where it stays at its own highest or lowest value, more than 0.5 mV away from its median,
    for 10 ms or longer at least twice (no wave of the heart has the same flat top twice), or once for 0.5 s.

    Noise is what lies between 35 Hz and 150 Hz (or 0.45 of the sampling frequency) beside mains. Its power is taken in
    windows of 0.1 s; the lower quartile over the windows stands for the lead, because QRS complexes, which hold the
    same frequencies, do not reach into a quarter of the windows up to 200 beats per minute. Mains is the amplitude of a
    sine of 50 or 60 Hz in the same windows, less the neighbouring frequencies at 40 and 70 Hz. Baseline wander is the
    standard deviation of the lead below 0.7 Hz.

    Parameters
    ----------
    signal : ndarray, shape (12, n_samples), float32, mV
        Leads in the order of `LEADS`; NaN where missing.
    sampling_frequency : float
        Hz.

    Returns
    -------
    Quality
        Noise, mains and baseline are medians over the leads that are on, in µV; NaN without such a lead, without a
        window of 0.1 s, and mains also below a sampling frequency of 150 Hz.
    """
    on = ~_are_off(signal, sampling_frequency)
    levels = np.full(3, np.nan)
    mains = np.full(len(signal), np.nan)
    if on.any():
        heard = signal[on]
        noise, mains[on] = _noise_and_mains(heard, sampling_frequency)
        levels[:] = 1000 * noise, 1000 * _median(mains), 1000 * _wander(heard, sampling_frequency)
    at_limit = [k for k in np.flatnonzero(on) if _is_saturated(signal[k], sampling_frequency)]
    return Quality(
        leads_off=tuple(LEADS[k] for k in np.flatnonzero(~on)),
        saturated=tuple(LEADS[k] for k in at_limit),
        noise_uv=float(levels[0]),
        mains_uv=float(levels[1]),
        baseline_uv=float(levels[2]),
        suspected_swap="",
        mains_in=tuple(LEADS[k] for k in np.flatnonzero(1000 * mains > MAINS_UV)),
    )


def _are_off(signal: NDArray[np.float32], sampling_frequency: float) -> NDArray[np.bool_]:
    """Which leads have no samples or stay flat in at least half of the windows, shape (n_leads,)."""
    if signal.shape[1] == 0:
        return np.ones(len(signal), dtype=bool)
    windows = _windows(signal, min(round(_FLAT_WINDOW * sampling_frequency), signal.shape[1]))
    spans = np.fmax.reduce(windows, axis=2) - np.fmin.reduce(windows, axis=2)  # they pass over NaN
    return np.asarray(np.mean(spans >= _FLAT_RANGE, axis=1) <= 0.5)


def _is_saturated(lead: NDArray[np.float32], sampling_frequency: float) -> bool:
    """Whether a lead, shape (n_samples,), stays at its extremes for a while."""
    short, long = max(3, round(_RUN * sampling_frequency)), round(_LONG_RUN * sampling_frequency)
    for limit in (np.fmax.reduce(lead), np.fmin.reduce(lead)):
        at_limit = lead == limit
        if np.count_nonzero(at_limit) < 2 * short:
            continue
        places = np.flatnonzero(at_limit)
        lengths = [len(run) for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)]
        if sum(length >= short for length in lengths) >= 2 or max(lengths) >= long:
            return bool(abs(limit - np.nanmedian(lead)) > _LIMIT)
    return False


def _noise_and_mains(signal: NDArray[np.float32], sampling_frequency: float) -> tuple[float, NDArray[np.floating]]:
    """RMS of noise, median over the leads, and amplitude of mains in each lead, mV."""
    length = round(_WINDOW * sampling_frequency)
    # The difference between neighbouring samples turns the slopes of T waves and wander into a constant, so that they
    # do not leak into the higher frequencies of a window.
    windows = _windows(np.diff(signal, axis=1), length)
    if windows.shape[1] == 0:
        return math.nan, np.full(len(signal), np.nan)
    spectrum = rfft(windows, axis=2)
    frequencies = np.arange(spectrum.shape[2]) * sampling_frequency / length
    gain = 2 * np.sin(np.pi * np.maximum(frequencies, 1.0) / sampling_frequency)
    # Mean square of each frequency, mV^2.
    power = (np.square(spectrum.real) + np.square(spectrum.imag)) * (2 / np.square(length * gain))
    at = {hertz: int(np.argmin(np.abs(frequencies - hertz))) for hertz in (40, 50, 60, 70)}
    mains: NDArray[np.floating] = np.full(len(signal), np.nan)
    if sampling_frequency >= 150:
        beside = (power[:, :, at[40]] + power[:, :, at[70]]) / 2
        above = np.stack([power[:, :, at[hertz]] - beside for hertz in (50, 60)])
        mains = np.sqrt(2 * np.maximum(_quantile(above, 0.5).max(axis=0), 0))
        power[:, :, [at[50], at[60]]] = beside[:, :, np.newaxis]
    band = (frequencies >= _NOISE_BAND[0]) & (frequencies <= min(_NOISE_BAND[1], 0.45 * sampling_frequency))
    noise = np.sqrt(_quantile(power @ band.astype(np.float64), _QUARTILE)) if band.any() else np.array([np.nan])
    return _median(noise), mains


def _wander(signal: NDArray[np.float32], sampling_frequency: float) -> float:
    """Standard deviation below 0.7 Hz, mV, median over the leads."""
    blocks = _windows(signal, max(1, round(_BLOCK * sampling_frequency)))
    known = np.isfinite(blocks)
    each = np.ones(blocks.shape[2])  # a product with it is a sum over each block, in less time
    counts = known @ each
    with np.errstate(invalid="ignore", divide="ignore"):
        level = np.where(known, blocks, np.float64(0)) @ each / counts
    n_blocks = level.shape[1]
    if n_blocks < 2:
        return math.nan
    for lead in level[(counts == 0).any(axis=1)]:  # rows are views
        missing = np.isnan(lead)
        if not missing.all():
            lead[missing] = np.interp(np.flatnonzero(missing), np.flatnonzero(~missing), lead[~missing])
    return _median(forward_and_backward(level, _LOW_PASS, _SETTLED, min(30, n_blocks - 1)).std(axis=1))


def _windows(signal: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Windows side by side, shape (n_leads, n_windows, length); what is left at the end is dropped."""
    n_windows = signal.shape[1] // length
    return signal[:, : n_windows * length].reshape(len(signal), n_windows, length)


def _quantile(values: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Along the last axis and past NaN; NaN where there is nothing else."""
    ordered = np.sort(values, axis=-1)  # NaN last
    count = np.isfinite(ordered).sum(axis=-1, keepdims=True)
    place = np.floor(share * np.maximum(count - 1, 0)).astype(int)
    return np.take_along_axis(ordered, place, axis=-1)[..., 0]


def _median(values: NDArray[np.floating]) -> float:
    """Past NaN; NaN where there is nothing else."""
    finite = values[np.isfinite(values)]
    return float(median(finite)) if finite.size else math.nan
