"""From a recording to its measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ecg.leads import LEADS, fill_missing
from ecg.measurements.delineation import boundaries, delineate
from ecg.measurements.intervals import amplitudes, axis, corrected_qt
from ecg.measurements.lead_reversal import suspected_swap
from ecg.measurements.median_beat import Classes, level_baseline, median_of, rough_onset, sort_beats
from ecg.measurements.p_waves import FEWEST_BEATS, evidence, probability
from ecg.measurements.qrs import find_complexes, find_spikes, without_spikes
from ecg.measurements.quality import assess_quality
from ecg.measurements.types import Amplitudes, Beats, Measurements, MedianBeat, Quality
from ecg.signal.resampling import resample

RATE = 500.0  # Hz, at which everything is measured
_LIMIT = 1000.0  # mV, no electrode has more; the squares of larger numbers would not be finite
_PACED_WITHIN = 0.12  # s from the spike to the largest deflection
_FLAT = 0.005  # mV, range of a lead without a signal


@dataclass(frozen=True)
class Prepared:
    """A recording whose beats are found and sorted.

    Attributes
    ----------
    signal : ndarray, shape (12, n_samples), float32, mV
        At `RATE`, without pacing spikes, the level before each QRS complex at 0.
    on : ndarray, shape (12,), bool
        Leads with a signal.
    spikes : ndarray, shape (n_spikes,), int64
        Samples of the pacing spikes.
    classes : Classes
    usable : ndarray, shape (n_beats,), bool
        Beats that stand for the recording: of the dominant class, and not early.
    """

    signal: NDArray[np.float32]
    on: NDArray[np.bool_]
    spikes: NDArray[np.int64]
    classes: Classes
    usable: NDArray[np.bool_]


def prepare(given: NDArray[np.float32], sampling_frequency: float) -> Prepared | None:
    """Find and sort the beats of a recording; None where there are none. The arguments are those of `measure`."""
    filled = fill_missing(given)
    at_rate = resample(filled - filled.mean(axis=1, keepdims=True), sampling_frequency, RATE)
    on = np.ptp(at_rate, axis=1) > _FLAT
    spikes = find_spikes(at_rate[on], RATE)
    clean = without_spikes(at_rate, RATE, spikes)
    found = find_complexes(clean[on], RATE)
    if len(found) == 0:
        return None
    classes = sort_beats(clean[on], RATE, found)
    usable = classes.of_beat == classes.dominant
    if (usable & ~classes.ectopic).any():
        usable &= ~classes.ectopic
    onset = rough_onset(clean[on], RATE, classes.samples[usable])
    levelled = level_baseline(clean, RATE, classes.samples + onset)
    return Prepared(levelled, on, spikes, classes, usable)


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
    quality = assess_quality(given, sampling_frequency)
    nothing = Beats(np.zeros(0, dtype=np.int64), ())
    if given.shape[1] < 0.5 * sampling_frequency:
        return _unmeasured(quality, nothing)
    prepared = prepare(given, sampling_frequency)
    if prepared is None:
        return _unmeasured(quality, nothing)
    classes, on = prepared.classes, prepared.on
    used = classes.samples[prepared.usable]
    beat, centre, n_used = median_of(prepared.signal, RATE, used)
    intervals = np.diff(classes.samples) / RATE
    shortest = float(np.percentile(intervals, 25)) if len(intervals) else math.nan
    found = boundaries(beat[on], RATE, shortest)
    has_p = False
    if n_used >= FEWEST_BEATS:
        p_at = found[0][:2] - centre
        has_p = probability(evidence(prepared.signal[on], RATE, used, *p_at, found[1][:2], intervals)) > 0.5
    marks, lead_marks = delineate(beat, on, RATE, found, has_p)
    beat[~on] = np.nan
    median_beat = MedianBeat(beat, RATE, n_used, marks, lead_marks)

    kinds = _kinds(classes, prepared.spikes)
    samples = np.rint(_positions(classes, prepared.spikes) * (sampling_frequency / RATE)).astype(np.int64)
    normal = np.array([kind != "ectopic" for kind in kinds])
    nn = 1e3 * intervals[normal[1:] & normal[:-1]]
    heart_rate = _heart_rate(classes.samples, given.shape[1] * RATE / sampling_frequency)
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
        t_axis_deg=axis(beat, marks.t_onset, marks.t_offset),
        n_beats=len(kinds),
        n_ectopic=kinds.count("ectopic"),
        rr_sd_ms=float(np.std(nn, ddof=1)) if len(nn) > 1 else math.nan,
        rmssd_ms=_rmssd(intervals, normal),
        has_p_waves=math.isfinite(marks.p_onset),
        amplitudes=amplitudes(beat, RATE, marks),
        quality=replace(quality, suspected_swap=suspected_swap(median_beat)),
        beats=Beats(np.clip(samples, 0, given.shape[1] - 1), kinds),
        median_beat=median_beat,
    )


def _spike_distance(classes: Classes, spikes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Samples from the last pacing spike to each beat, a large number where none is near."""
    far = round(10 * RATE)
    distance = np.full(len(classes.samples), far)
    if len(spikes):
        last = np.searchsorted(spikes, classes.samples + round(0.02 * RATE)) - 1
        distance = np.where(last >= 0, classes.samples - spikes[np.maximum(last, 0)], far)
    return np.where(distance < _PACED_WITHIN * RATE, distance, far)


def _kinds(classes: Classes, spikes: NDArray[np.int64]) -> tuple[str, ...]:
    """Paced is a class of beats of which half at least have a spike just before."""
    near = _spike_distance(classes, spikes) < round(10 * RATE)
    labels = np.unique(classes.of_beat)
    paced = {label for label in labels if near[classes.of_beat == label].mean() >= 0.5}
    return tuple(
        "paced" if label in paced else "ectopic" if early else "dominant"
        for label, early in zip(classes.of_beat, classes.ectopic, strict=True)
    )


def _positions(classes: Classes, spikes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The largest deflections; halfway from the spike in paced beats, whose slow complex begins with it."""
    distance = _spike_distance(classes, spikes)
    return classes.samples - np.where(distance < round(10 * RATE), distance / 2, 0)


def _heart_rate(beats: NDArray[np.int64], n_samples: float) -> float:
    """60 / median RR interval of the beats that the recording shows from P to T; of all where these are too few."""
    whole = beats[(beats >= 0.3 * RATE) & (beats <= n_samples - 0.5 * RATE)]
    intervals = np.diff(whole if len(whole) > 2 else beats) / RATE
    return 60 / float(np.median(intervals)) if len(intervals) else math.nan


def _rmssd(intervals: NDArray[np.float64], normal: NDArray[np.bool_]) -> float:
    """Root mean square difference of neighbouring intervals between normal beats, ms."""
    between = normal[1:] & normal[:-1]
    changes = np.diff(intervals)[between[1:] & between[:-1]]
    return 1e3 * float(np.sqrt(np.mean(changes**2))) if len(changes) else math.nan


def _unmeasured(quality: Quality, beats: Beats) -> Measurements:
    nan = math.nan
    missing = np.full(len(LEADS), np.nan, dtype=np.float32)
    return Measurements(*[nan] * 10, 0, 0, nan, nan, False, Amplitudes(*[missing] * 7), quality, beats, None)
