"""From a recording to its measurements."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ecg.header import LEADS
from ecg.measurements.delineation import delineate, qrs_boundaries
from ecg.measurements.intervals import amplitudes, axis, corrected_qt
from ecg.measurements.median_beat import level_baseline, median_of, sort_beats
from ecg.measurements.qrs import find_complexes, find_spikes, without_spikes
from ecg.measurements.types import Amplitudes, Beats, Measurements, MedianBeat, Quality, WaveMarks
from ecg.signal import fill_missing, resample

RATE = 500.0  # Hz, at which everything is measured
_LIMIT = 1000.0  # mV, no electrode has more; the squares of larger numbers would not be finite
_FLAT = 0.005  # mV, range of a lead without a signal


def measure(signal: NDArray[np.float32], sampling_frequency: float) -> Measurements:
    """Measure an ECG as an electrocardiograph does.

    Parameters
    ----------
    signal : ndarray, shape (12, n_samples), float32, mV
        Leads in the order of `LEADS`; NaN where missing.
    sampling_frequency : float
        Hz.

    Returns
    -------
    Measurements
        NaN where something can't be measured; no content of the signal raises.
    """
    given = np.where(np.isfinite(signal), np.clip(signal, -_LIMIT, _LIMIT), np.nan).astype(np.float32)
    quality = _quality(given, sampling_frequency)
    nothing = Beats(np.zeros(0, dtype=np.int64), ())
    if given.shape[1] < 0.5 * sampling_frequency:
        return _unmeasured(quality, nothing)
    filled = fill_missing(given)
    at_rate = resample(filled - filled.mean(axis=1, keepdims=True), sampling_frequency, RATE)
    on = np.ptp(at_rate, axis=1) > _FLAT
    spikes = find_spikes(at_rate[on], RATE)
    clean = without_spikes(at_rate, RATE, spikes)
    found = find_complexes(clean[on], RATE)
    if len(found) == 0:
        return _unmeasured(quality, nothing)
    classes = sort_beats(clean[on], RATE, found)
    is_dominant = classes.of_beat == classes.dominant
    usable = is_dominant & ~classes.ectopic if (is_dominant & ~classes.ectopic).any() else is_dominant
    rough, centre, _ = median_of(clean, RATE, classes.samples[usable])
    onset, offset = qrs_boundaries(rough[on], RATE, centre)
    levelled = level_baseline(clean, RATE, classes.samples + round(onset - centre))
    beat, centre, n_used = median_of(levelled, RATE, classes.samples[usable])
    intervals = np.diff(classes.samples) / RATE
    marks = delineate(beat[on], RATE, centre, float(np.median(intervals)) * RATE if len(intervals) else math.nan)
    beat[~on] = np.nan
    median_beat = MedianBeat(beat, RATE, n_used, marks, (marks,) * len(LEADS))

    gap = np.array(
        [np.min(np.where(r - spikes > -10, r - spikes, 1e9)) if len(spikes) else 1e9 for r in classes.samples]
    )
    paced = gap < 0.12 * RATE
    kinds = tuple("paced" if p else "ectopic" if e else "dominant" for p, e in zip(paced, classes.ectopic, strict=True))
    samples = np.rint(classes.samples * (sampling_frequency / RATE)).astype(np.int64)
    beats = Beats(np.clip(samples, 0, given.shape[1] - 1), kinds)
    heart_rate = 60 / float(np.mean(intervals)) if len(intervals) else math.nan
    normal = ~classes.ectopic
    nn = intervals[normal[1:] & normal[:-1]] * 1e3
    ms = 1e3 / RATE
    qt = (marks.t_offset - marks.qrs_onset) * ms
    bazett, fridericia = corrected_qt(qt, heart_rate)
    return Measurements(
        heart_rate_bpm=heart_rate,
        p_ms=(marks.p_offset - marks.p_onset) * ms,
        pr_ms=(marks.qrs_onset - marks.p_onset) * ms,
        qrs_ms=(marks.qrs_offset - marks.qrs_onset) * ms,
        qt_ms=qt,
        qtc_bazett_ms=bazett,
        qtc_fridericia_ms=fridericia,
        p_axis_deg=axis(beat, marks.p_onset, marks.p_offset),
        qrs_axis_deg=axis(beat, marks.qrs_onset, marks.qrs_offset),
        t_axis_deg=axis(beat, marks.qrs_offset, marks.t_offset),
        n_beats=len(samples),
        n_ectopic=int(sum(kind == "ectopic" for kind in kinds)),
        rr_sd_ms=float(np.std(nn, ddof=1)) if len(nn) > 1 else math.nan,
        rmssd_ms=float(np.sqrt(np.mean(np.diff(nn) ** 2))) if len(nn) > 1 else math.nan,
        has_p_waves=math.isfinite(marks.p_onset),
        amplitudes=amplitudes(beat, RATE, marks),
        quality=quality,
        beats=beats,
        median_beat=median_beat,
    )


def _quality(signal: NDArray[np.float32], sampling_frequency: float) -> Quality:
    return Quality((), (), math.nan, math.nan, math.nan, "")


def _unmeasured(quality: Quality, beats: Beats) -> Measurements:
    nan = math.nan
    missing = np.full(len(LEADS), np.nan, dtype=np.float32)
    return Measurements(*[nan] * 10, 0, 0, nan, nan, False, Amplitudes(*[missing] * 7), quality, beats, None)
