"""How good a recording is as a recording: leads off, leads at the recorder's limit, noise, mains, baseline wander.

The kinds of disturbance are from the requirements for recorders (Kligfield et al. 2007, J Am Coll Cardiol 49:1109-1127;
IEC 60601-2-25) and from the PhysioNet/Computing in Cardiology Challenge 2011 (Silva et al. 2011, Comput Cardiol
38:273-276). The standards fix no way to estimate them from a recording; the estimates are defined in `assess_quality`.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.signal import butter, sosfilt_zi

from ecg.leads import LEADS
from ecg.measurements.small_arrays import mean, median
from ecg.measurements.types import Quality
from ecg.signal.filtering import forward_and_backward

_FLAT_WINDOW, _FLAT_RANGE = 2.0, 0.01  # s, mV: every heart beats at least once in 2 s and shows in every lead
_RUN, _LONG_RUN, _LIMIT = 0.010, 0.5, 0.5  # s, s, mV
_WINDOW = 0.1  # s: 5 periods of 50 Hz, 6 of 60 Hz; short enough to lie between two QRS complexes
MAINS_UV = 20.0  # powerline interference of a larger amplitude is taken off a lead before it is measured
_NOISE_BAND = (35.0, 150.0)  # Hz: above what P and T waves hold
_QUARTILE = 0.25
_FEW_BLOCKS = 200
_BLOCK = 0.1  # s: baseline wander is looked at in steps of this
_WANDER = 0.7  # Hz: below the fundamental of a rhythm of 42/min
_LOW_PASS = butter(2, _WANDER, fs=1 / _BLOCK, output="sos")  # worked out once, not for each recording
_SETTLED = sosfilt_zi(_LOW_PASS)[:, np.newaxis]


def assess_quality(signal: NDArray[np.float32], sampling_frequency: float) -> Quality:
    """Quality of a recording; `suspected_swap` is left empty, it needs the median beat.

    A lead is off where in at least half of the recording (in windows of 2 s) it has no samples or varies by less than
    10 µV. It is saturated where it stays at its own highest or lowest value, more than 0.5 mV away from its median, for
    10 ms or longer at least twice (no wave of the heart has the same flat top twice), or once for 0.5 s.

    Noise is what lies between 35 Hz and 150 Hz (or 0.45 of the sampling frequency) beside mains. Its power is taken in
    windows of 0.1 s; the lower quartile over the windows stands for the lead, because QRS complexes, which hold the
    same frequencies, do not reach into a quarter of the windows up to 200 beats per minute. Mains is the amplitude of a
    sine of 50 or 60 Hz in the same windows, less the neighbouring frequencies at 40 and 70 Hz. Baseline wander is the
    standard deviation of the lead below 0.7 Hz.

    `signal`, (12, n_samples), float32, mV: leads in the order of `LEADS`; NaN where missing. `sampling_frequency`: Hz.
    Noise, mains and baseline are medians over the leads that are on, in µV; NaN without such a lead, without a window
    of 0.1 s, and mains also below a sampling frequency of 150 Hz.
    """
    whole = not np.isnan(signal).any()
    on, noise, mains = _noise_and_mains_of_all(signal, sampling_frequency, whole)
    levels = np.full(3, np.nan)
    if on.any():
        heard = signal if on.all() else signal[on]
        levels[:] = 1000 * noise, 1000 * _median(mains), 1000 * _wander(heard, sampling_frequency, whole)
    at_limit = np.flatnonzero(on)[_are_saturated(signal[on], sampling_frequency, whole)]
    return Quality(
        leads_off=tuple(LEADS[k] for k in np.flatnonzero(~on)),
        saturated=tuple(LEADS[k] for k in at_limit),
        noise_uv=float(levels[0]),
        mains_uv=float(levels[1]),
        baseline_uv=float(levels[2]),
        suspected_swap="",
        mains_in=_loud(mains),
    )


def leads_with_mains(signal: NDArray[np.float32], sampling_frequency: float) -> tuple[str, ...]:
    """`mains_in` of `assess_quality` alone; the arguments are the same."""
    return _loud(_noise_and_mains_of_all(signal, sampling_frequency, not np.isnan(signal).any())[2])


def _noise_and_mains_of_all(
    signal: NDArray[np.float32], sampling_frequency: float, whole: bool
) -> tuple[NDArray[np.bool_], float, NDArray[np.floating]]:
    """Which leads are on, and `_noise_and_mains` of these; NaN for the others."""
    on, noise, mains = ~_are_off(signal, sampling_frequency, whole), math.nan, np.full(len(signal), np.nan)
    if on.any():
        noise, mains[on] = _noise_and_mains(signal if on.all() else signal[on], sampling_frequency)
    return on, noise, mains


def _loud(mains: NDArray[np.floating]) -> tuple[str, ...]:
    return tuple(LEADS[k] for k in np.flatnonzero(1000 * mains > MAINS_UV))


def _are_off(signal: NDArray[np.float32], sampling_frequency: float, whole: bool) -> NDArray[np.bool_]:
    """Which leads have no samples or stay flat in at least half of the windows, shape (n_leads,)."""
    if signal.shape[1] == 0:
        return np.ones(len(signal), dtype=bool)
    windows = _windows(signal, min(round(_FLAT_WINDOW * sampling_frequency), signal.shape[1]))
    highest, lowest = _extremes(whole)
    spans = highest.reduce(windows, axis=2) - lowest.reduce(windows, axis=2)
    return np.asarray(np.mean(spans >= _FLAT_RANGE, axis=1) <= 0.5)


def _extremes(whole: bool) -> tuple[np.ufunc, np.ufunc]:
    """Maximum and minimum. Where a sample is missing they pass over NaN, and take several times as long."""
    return (np.maximum, np.minimum) if whole else (np.fmax, np.fmin)


def _are_saturated(signal: NDArray[np.float32], sampling_frequency: float, whole: bool) -> NDArray[np.bool_]:
    """Which leads stay at their extremes for a while, shape (n_leads,)."""
    short, long = max(3, round(_RUN * sampling_frequency)), round(_LONG_RUN * sampling_frequency)
    found = np.zeros(len(signal), dtype=bool)
    if not signal.size:
        return found
    for extreme in _extremes(whole):
        limits = extreme.reduce(signal, axis=1)
        at_limit = signal == limits[:, np.newaxis]
        for k in np.flatnonzero(np.count_nonzero(at_limit, axis=1) >= 2 * short):
            places = np.flatnonzero(at_limit[k])
            lengths = np.diff(np.flatnonzero(np.diff(places, prepend=-2, append=places[-1] + 2) > 1))
            if np.count_nonzero(lengths >= short) >= 2 or lengths.max() >= long:
                found[k] |= abs(limits[k] - np.nanmedian(signal[k])) > _LIMIT
    return found


@dataclass(frozen=True)
class _Spectrum:
    """What `_noise_and_mains` needs to know of the frequencies of a window."""

    length: int  # of a window, samples
    # (n_frequencies,), float32: mean square (mV^2) of a frequency relative to its squared coefficient in the
    # differences' spectrum.
    scale: NDArray[np.float32]
    mains: list[int]  # `mains`, `beside`: where 50 and 60 Hz are, and 40 and 70 Hz
    beside: list[int]
    band: NDArray[np.float32]  # (n_frequencies,), float32: 1 where noise is looked for, 0 elsewhere


@lru_cache(maxsize=16)
def _spectrum(sampling_frequency: float) -> _Spectrum:
    length = round(_WINDOW * sampling_frequency)
    frequencies = np.arange(length // 2 + 1) * sampling_frequency / max(length, 1)
    gain = 2 * np.sin(np.pi * np.maximum(frequencies, 1.0) / sampling_frequency)
    at = [int(np.argmin(np.abs(frequencies - hertz))) for hertz in (50, 60, 40, 70)]
    band = (frequencies >= _NOISE_BAND[0]) & (frequencies <= min(_NOISE_BAND[1], 0.45 * sampling_frequency))
    scale = 2 / np.square(max(length, 1) * gain)
    return _Spectrum(length, scale.astype(np.float32), at[:2], at[2:], band.astype(np.float32))


def _noise_and_mains(signal: NDArray[np.float32], sampling_frequency: float) -> tuple[float, NDArray[np.floating]]:
    """RMS of noise, median over the leads, and amplitude of mains in each lead, mV."""
    spectrum = _spectrum(sampling_frequency)
    # The difference between neighbouring samples turns the slopes of T waves and wander into a constant, so that they
    # do not leak into the higher frequencies of a window.
    windows = _windows(signal[:, 1:] - signal[:, :-1], spectrum.length)
    mains: NDArray[np.floating] = np.full(len(signal), np.nan)
    if windows.shape[1] == 0:
        return math.nan, mains
    values = rfft(windows, axis=2)
    power = np.square(values.real)
    power += np.square(values.imag)
    power *= spectrum.scale
    if sampling_frequency >= 150:
        beside = mean(power[:, :, spectrum.beside])
        above = np.stack([power[:, :, at] - beside for at in spectrum.mains])
        mains = np.sqrt(2 * np.maximum(_quantile(above, 0.5).max(axis=0), 0))
        power[:, :, spectrum.mains] = beside[:, :, np.newaxis]
    if not spectrum.band.any():
        return math.nan, mains
    return _median(np.sqrt(_quantile(power @ spectrum.band, _QUARTILE))), mains


def _wander(signal: NDArray[np.float32], sampling_frequency: float, whole: bool) -> float:
    """Standard deviation below 0.7 Hz, mV, median over the leads."""
    blocks = _windows(signal, max(1, round(_BLOCK * sampling_frequency)))
    n_blocks, length = blocks.shape[1:]
    if n_blocks < 2:
        return math.nan
    each = np.full(length, 1 / length, dtype=np.float32)  # a product with it is a mean of each block, in less time
    if whole:
        level = blocks @ each
    else:
        known = np.isfinite(blocks)
        with np.errstate(invalid="ignore", divide="ignore"):
            level = (np.where(known, blocks, np.float32(0)) @ each) / (known @ each)
        for lead in level:  # rows are views
            missing = np.isnan(lead)
            if missing.any() and not missing.all():
                lead[missing] = np.interp(np.flatnonzero(missing), np.flatnonzero(~missing), lead[~missing])
    slow = level @ _low_pass(n_blocks) if n_blocks <= _FEW_BLOCKS else _filtered(level)
    return _median(slow.std(axis=1))


def _filtered(level: NDArray[np.floating]) -> NDArray[np.float64]:
    """What lies below 0.7 Hz in means of blocks, (n_leads, n_blocks)."""
    return forward_and_backward(level, _LOW_PASS, _SETTLED, min(30, level.shape[1] - 1))


@lru_cache(maxsize=16)
def _low_pass(n_blocks: int) -> NDArray[np.float32]:
    """`_filtered` as a matrix, which takes less time."""
    return _filtered(np.eye(n_blocks)).astype(np.float32)


def _windows(signal: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Windows side by side, shape (n_leads, n_windows, length); what is left at the end is dropped."""
    n_windows = signal.shape[1] // length
    return signal[:, : n_windows * length].reshape(len(signal), n_windows, length)


def _quantile(values: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Along the last axis and past NaN; NaN where there is nothing else."""
    ordered = np.sort(values, axis=-1)  # NaN last
    count = np.isfinite(ordered).sum(axis=-1, keepdims=True)
    if count.min() == values.shape[-1]:
        return ordered[..., int(share * (values.shape[-1] - 1))]
    place = np.floor(share * np.maximum(count - 1, 0)).astype(int)
    return np.take_along_axis(ordered, place, axis=-1)[..., 0]


def _median(values: NDArray[np.floating]) -> float:
    """Past NaN; NaN where there is nothing else."""
    finite = values[np.isfinite(values)]
    return float(median(finite)) if finite.size else math.nan
