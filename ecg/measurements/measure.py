"""From a recording to its measurements."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ecg.leads import FLAT, LEADS, fill_missing
from ecg.measurements.atrial_waves import SPAN, PeriodicWaves, periodic_waves
from ecg.measurements.blocked_p import after_pauses, count_blocked
from ecg.measurements.delineation import Boundaries, boundaries, delineate
from ecg.measurements.intervals import amplitudes, axis, corrected_qt, mean_rate
from ecg.measurements.lead_reversal import suspected_swap
from ecg.measurements.loose_electrodes import disturbed_leads, flattened, limb_faults
from ecg.measurements.median_beat import Classes, level_baseline, median_of, rough_onset, sort_beats
from ecg.measurements.p_waves import FEWEST_BEATS, evidence, probability
from ecg.measurements.qrs import centre_of_complex, find_complexes, find_spikes, largest_deflections, without_spikes
from ecg.measurements.quality import assess_quality, leads_with_mains
from ecg.measurements.small_arrays import median, quantile
from ecg.measurements.types import Amplitudes, Beats, Measurements, MedianBeat, Quality, WaveMarks
from ecg.signal.filtering import without_mains
from ecg.signal.resampling import resample
from ecg.signal.windows import block_means

RATE = 500.0  # Hz, at which everything is measured
_SHORTEST = 0.5  # s, less shows no beat
_LIMIT = 1000.0  # mV, no electrode has more; the squares of larger numbers would not be finite
# Of folds 1 to 8 of PTB-XL this leaves 98 % of the sinus rhythms their P waves, and 2 % of fibrillation and flutter.
_P_WAVES_FROM = 0.5
_CUT = 0.08  # s from an end of the recording: the beat may be cut, and its position wrong
_PACED_WITHIN = 0.12  # s from the spike to the largest deflection
_ATRIAL_WITHIN = 0.35  # s from a spike of the atria to it: PR interval and half of the complex
_REFRACTORY = 0.3  # s after a beat: no spike can excite the ventricles
_CAPTURED, _MOST_SPIKES = 0.3, 3.0  # share of paced beats, spikes a beat: artefacts that look like spikes are more


@dataclass(frozen=True)
class Prepared:
    """A recording whose beats are found and sorted."""

    # (12, n_samples), float32, mV: at `RATE`, without pacing spikes, the level before each QRS complex at 0.
    signal: NDArray[np.float32]
    on: NDArray[np.bool_]  # (12,), bool: leads with a signal
    spikes: NDArray[np.int64]  # (n_spikes,), int64: samples of the pacing spikes
    beats: NDArray[np.int64]  # (n_beats,), int64: samples of the beats; those of one class lie on each other
    classes: Classes
    # (n_beats,), bool: beats that stand for the recording: of the dominant class, not early, and with all electrodes in
    # place.
    usable: NDArray[np.bool_]


def prepare(given: NDArray[np.float32], sampling_frequency: float) -> Prepared | None:
    """Find and sort the beats of a recording; None where there are none. The arguments are those of `measure`."""
    filled = fill_missing(given)
    at_rate = resample(filled - filled.mean(axis=1, keepdims=True), sampling_frequency, RATE)
    on = np.ptp(at_rate, axis=1) > FLAT
    if not on.any():
        return None
    spikes = find_spikes(at_rate if on.all() else at_rate[on], RATE)
    clean = without_spikes(at_rate, RATE, spikes)
    # Every second sample tells as well where the complexes are and how they look.
    coarse = block_means(clean if on.all() else clean[on], 2)
    throughout = np.arange(0, coarse.shape[1], round(0.35 * RATE / 2))
    loose = bool(disturbed_leads(coarse, RATE / 2, throughout, on).any())
    found = find_complexes(coarse, RATE / 2, limb_faults(on) if loose else None)
    if len(found) == 0:
        return None
    disturbed = (
        disturbed_leads(coarse, RATE / 2, found, on) if loose else np.zeros((len(coarse), len(found)), dtype=bool)
    )
    if disturbed.any():
        coarse = flattened(coarse, RATE / 2, found, disturbed)
        found = largest_deflections(coarse, RATE / 2, found)
    classes = sort_beats(coarse, RATE / 2, found, disturbed)
    beats = np.clip(np.rint(2 * classes.positions).astype(np.int64), 0, clean.shape[1] - 1)
    usable = classes.of_beat == classes.dominant
    if (usable & ~classes.ectopic).any():
        usable &= ~classes.ectopic
    calm = usable & ~disturbed.any(axis=0)
    if int(calm.sum()) >= min(FEWEST_BEATS, int(usable.sum())):
        usable = calm
    return Prepared(_levelled(clean, on, beats, usable), on, spikes, beats, classes, usable)


def _levelled(
    signal: NDArray[np.float32], on: NDArray[np.bool_], beats: NDArray[np.int64], usable: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The signal with the level before each QRS complex at 0."""
    return level_baseline(signal, RATE, beats + rough_onset(signal[on], RATE, beats[usable]))


@dataclass(frozen=True)
class Outline:
    """The median beat of a recording and where its waves may begin and end."""

    beat: NDArray[np.float32]  # (12, n_samples), float32, mV
    centre: int  # where the beats' samples lie in it
    n_beats: int  # beats that it is the median of
    found: Boundaries


def outline(prepared: Prepared) -> Outline:
    """Take the median beat and look for the boundaries."""
    beat, centre, n_beats = median_of(prepared.signal, RATE, prepared.beats[prepared.usable])
    intervals = np.diff(prepared.beats) / RATE
    shorter = quantile(intervals, 0.25) if len(intervals) else math.nan
    return Outline(beat, centre, n_beats, boundaries(beat[prepared.on], RATE, shorter))


def periodic_waves_from(prepared: Prepared, outlined: Outline, first: int | None = None) -> PeriodicWaves:
    """Periodic waves in `SPAN` from a sample on; in the middle of the recording if none is given."""
    length = round(SPAN * RATE)
    if first is None:
        first = max(0, (prepared.signal.shape[1] - length) // 2)
    beats = prepared.beats[(prepared.beats >= first) & (prepared.beats < first + length)] - first
    marks = outlined.found.whole - outlined.centre
    return periodic_waves(prepared.signal[prepared.on, first : first + length], RATE, beats, marks)


def p_wave_evidence(
    prepared: Prepared, outlined: Outline, periodic: PeriodicWaves, fewest: int = FEWEST_BEATS
) -> NDArray[np.float64] | None:
    """What `p_waves.evidence` says of a recording; None where there are fewer beats."""
    if outlined.n_beats < fewest:
        return None
    marks, spread = outlined.found.whole - outlined.centre, outlined.found.spread[:2]
    signal, beats = prepared.signal[prepared.on], prepared.beats
    return evidence(signal, RATE, beats[prepared.usable], marks, spread, np.diff(beats) / RATE, periodic)


def _without_flutter(prepared: Prepared, outlined: Outline) -> Prepared:
    """The recording without its flutter waves, which are taken off `SPAN` by `SPAN`."""
    signal = prepared.signal.copy()
    length = round(SPAN * RATE)
    for first in range(0, signal.shape[1], length):
        waves = periodic_waves_from(prepared, outlined, first).waves
        if waves is not None:
            signal[prepared.on, first : first + length] -= waves
    return replace(prepared, signal=_levelled(signal, prepared.on, prepared.beats, prepared.usable))


def measure(signal: NDArray[np.float32], sampling_frequency: float) -> Measurements:
    """Measure an ECG as an electrocardiograph does.

    `signal`, (12, n_samples), float32, mV: leads in the order of `LEADS`; NaN where missing. `sampling_frequency`: Hz.
    What can't be measured is NaN; no content of the signal raises.
    """
    return _measure(signal, sampling_frequency)


def measure_for_classifier(signal: NDArray[np.float32], sampling_frequency: float) -> Measurements:
    """As `measure`, in less time, without what no classifier takes.

    Of the quality there are the leads with mains alone; exchanged electrodes, blocked P waves and spikes that excite
    nothing are not looked for.
    """
    return _measure(signal, sampling_frequency, for_classifier=True)


_NOT_ASSESSED = Quality((), (), math.nan, math.nan, math.nan, "")


def _measure(signal: NDArray[np.float32], sampling_frequency: float, *, for_classifier: bool = False) -> Measurements:
    given = signal.astype(np.float32, copy=False)
    gaps = np.zeros(signal.shape[1], dtype=bool)
    if not np.abs(given).max(initial=0) <= _LIMIT:  # NaN also
        given = np.clip(given, -_LIMIT, _LIMIT)
        given[~np.isfinite(signal)] = np.nan
        absent = np.isnan(given).all(axis=1, keepdims=True)
        if absent.any():  # III, aVR, aVL and aVF follow from I and II
            given = np.where(absent, fill_missing(given), given)
        gaps = np.asarray(np.isnan(given).all(axis=0))
    if for_classifier:
        quality = replace(_NOT_ASSESSED, mains_in=leads_with_mains(given, sampling_frequency))
    else:
        quality = assess_quality(given, sampling_frequency)
    given = _without_mains(given, sampling_frequency, quality.mains_in)
    prepared = prepare(given, sampling_frequency) if given.shape[1] >= _SHORTEST * sampling_frequency else None
    if prepared is None:
        return _unmeasured(quality)
    classes, beats, on = prepared.classes, prepared.beats, prepared.on
    outlined = outline(prepared)
    periodic = periodic_waves_from(prepared, outlined)
    for_p = p_wave_evidence(prepared, outlined, periodic)
    has_p = for_p is not None and probability(for_p) > _P_WAVES_FROM
    if periodic.waves is not None and not has_p:
        prepared = _without_flutter(prepared, outlined)
        outlined = outline(prepared)
    beat, centre = outlined.beat, outlined.centre
    marks, lead_marks = delineate(beat, on, RATE, outlined.found, has_p)
    blocked = lost = 0
    if not for_classifier:
        blocked, lost = _blocked(prepared, outlined, periodic, marks, has_p), _lost_spikes(prepared)
    beat[~on] = np.nan
    median_beat = MedianBeat(beat, RATE, outlined.n_beats, marks, lead_marks, float(centre))

    ectopic = classes.ectopic if has_p else classes.of_beat != classes.dominant  # what is early in fibrillation?
    intervals = np.diff(beats) / RATE
    at = np.minimum(beats * sampling_frequency / RATE, len(gaps) - 1).astype(np.int64)
    heard = np.diff(np.cumsum(gaps)[at]) == 0
    spike_distance = _spike_distance(beats, prepared.spikes)
    kinds = _kinds(classes.of_beat, ectopic, spike_distance)
    r_peaks = _r_peaks(prepared, median_beat, centre, spike_distance)
    shift = float(median((r_peaks - beats)[prepared.usable]))
    median_beat = replace(median_beat, r_peak=centre + shift)
    samples = np.rint(r_peaks * (sampling_frequency / RATE)).astype(np.int64)
    normal = np.array([kind != "ectopic" for kind in kinds])
    between_normal = normal[1:] & normal[:-1] & heard
    nn = 1e3 * intervals[between_normal]
    heart_rate = _heart_rate(beats, heard, prepared.signal.shape[1])
    dominant_is_paced = "paced" in {kinds[k] for k in np.flatnonzero(classes.of_beat == classes.dominant)}
    ms = 1e3 / RATE
    qt = (marks.t_offset - marks.qrs_onset) * ms
    bazett, fridericia = corrected_qt(qt, heart_rate)
    return Measurements(
        heart_rate_bpm=heart_rate,
        p_ms=(marks.p_offset - marks.p_onset) * ms,
        pr_ms=math.nan if dominant_is_paced else (marks.qrs_onset - marks.p_onset) * ms,
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
        rmssd_ms=_rmssd(intervals, between_normal),
        has_p_waves=math.isfinite(marks.p_onset),
        amplitudes=amplitudes(beat, RATE, marks),
        quality=quality if for_classifier else replace(quality, suspected_swap=suspected_swap(median_beat)),
        beats=Beats(np.clip(samples, 0, given.shape[1] - 1), kinds, lost, blocked),
        median_beat=median_beat,
    )


def _blocked(prepared: Prepared, outlined: Outline, periodic: PeriodicWaves, marks: WaveMarks, has_p: bool) -> int:
    """Blocked P waves."""
    late = None
    if not has_p and periodic.waves is None:
        late = after_pauses(prepared.beats, RATE, prepared.usable)
    if late is not None:
        return _blocked_in_wenckebach(replace(prepared, usable=late), periodic)
    marks, on = replace(marks, qrs_peak=float(outlined.centre)), prepared.on
    return count_blocked(prepared.signal[on], RATE, prepared.beats, outlined.beat[on], marks)


def _blocked_in_wenckebach(late: Prepared, periodic: PeriodicWaves) -> int:
    """Blocked P waves of a recording whose usable beats are those after pauses; 0 where these show no P waves."""
    outlined = outline(late)
    for_p = p_wave_evidence(late, outlined, periodic, fewest=1)
    if for_p is None or not probability(for_p) > _P_WAVES_FROM:
        return 0
    marks, _ = delineate(outlined.beat, late.on, RATE, outlined.found, has_p=True)
    marks = replace(marks, qrs_peak=float(outlined.centre))
    return count_blocked(late.signal[late.on], RATE, late.beats, outlined.beat[late.on], marks)


def _without_mains(
    signal: NDArray[np.float32], sampling_frequency: float, leads: tuple[str, ...]
) -> NDArray[np.float32]:
    """Take mains off some leads; off all limb leads if off one, so that they keep Einthoven's law."""
    humming = np.isin(LEADS, leads)
    humming[:6] |= humming[:6].any()
    if not humming.any():
        return signal
    signal = fill_missing(signal).copy()
    signal[humming] = without_mains(signal[humming], sampling_frequency)
    return signal


def _spike_distance(beats: NDArray[np.int64], spikes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Samples from the last pacing spike to each beat, infinite where none is near."""
    if len(spikes) == 0:
        return np.full(len(beats), np.inf)
    last = np.searchsorted(spikes, beats + round(0.02 * RATE)) - 1
    distance = np.where(last >= 0, (beats - spikes[last]).astype(np.float64), np.inf)
    return np.where(distance < _PACED_WITHIN * RATE, distance, np.inf)


def _lost_spikes(prepared: Prepared) -> int:
    """Spikes that could excite the ventricles and don't; 0 where few do, as artefacts may look like spikes."""
    spikes, beats = prepared.spikes, prepared.beats
    captured = np.isfinite(_spike_distance(beats, spikes))
    if np.count_nonzero(captured) < max(2, _CAPTURED * len(beats)) or len(spikes) > _MOST_SPIKES * len(beats):
        return 0
    apart = (beats - spikes[:, np.newaxis]) / RATE  # s from each spike to each beat
    busy = ((apart > -_REFRACTORY) & (apart < _ATRIAL_WITHIN)).any(axis=1)
    seen = spikes < prepared.signal.shape[1] - _ATRIAL_WITHIN * RATE
    return int(np.count_nonzero(~busy & seen))


def _kinds(
    of_beat: NDArray[np.int64], ectopic: NDArray[np.bool_], spike_distance: NDArray[np.float64]
) -> tuple[str, ...]:
    """Paced is a class of beats of which half at least have a spike just before."""
    near = np.isfinite(spike_distance)
    paced = {label for label in np.unique(of_beat) if near[of_beat == label].mean() >= 0.5}
    return tuple(
        "paced" if label in paced else "ectopic" if early else "dominant"
        for label, early in zip(of_beat, ectopic, strict=True)
    )


def _r_peaks(
    prepared: Prepared, median_beat: MedianBeat, centre: int, spike_distance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Samples of the R peaks: of the dominant class the median over the leads, of others the largest deflection.

    In a wide complex the leads disagree about which deflection is the R wave: there the R peak stays within 20 ms of
    the middle of the complex. A paced one begins with its spike, which is the sharpest deflection of many leads: its R
    peak is put about halfway between both, but no more than 44 ms before that of the complex.
    """
    peaks = np.array([marks.qrs_peak for marks in median_beat.lead_marks])
    known = np.isfinite(peaks)
    paced = np.isfinite(spike_distance)
    peak = float(median(peaks[known])) if known.any() else float(centre)
    if known.any() and not paced[prepared.usable].any():
        middle = centre_of_complex(median_beat.signal[known], RATE, centre)
        peak = float(np.clip(peak, middle - 0.02 * RATE, middle + 0.02 * RATE))
    dominant = prepared.classes.of_beat == prepared.classes.dominant
    position = prepared.beats.astype(np.float64) + np.where(dominant, peak - centre, 0.0)
    ahead = np.minimum(0.5 * (spike_distance + position - prepared.beats), 0.044 * RATE)
    return position - np.where(paced, ahead, 0.0)


def _heart_rate(beats: NDArray[np.int64], heard: NDArray[np.bool_], n_samples: int) -> float:
    """Mean rate of the intervals without a gap in the recording (`heard`), without a beat that an end may have cut."""
    whole = (beats >= _CUT * RATE) & (beats < n_samples - _CUT * RATE)
    if np.count_nonzero(whole) < 3:
        whole[:] = True
    used = whole[1:] & whole[:-1] & heard
    return mean_rate(np.diff(beats)[used] / RATE)


def _rmssd(intervals: NDArray[np.float64], between: NDArray[np.bool_]) -> float:
    """Root mean square difference of neighbouring intervals that are both `between` normal beats, ms."""
    changes = np.diff(intervals)[between[1:] & between[:-1]]
    return 1e3 * float(np.sqrt(np.mean(changes**2))) if len(changes) else math.nan


def _unmeasured(quality: Quality) -> Measurements:
    """What there is to say where no beat was found."""
    missing = np.full(len(LEADS), np.nan, dtype=np.float32)
    return Measurements(
        heart_rate_bpm=math.nan,
        p_ms=math.nan,
        pr_ms=math.nan,
        qrs_ms=math.nan,
        qt_ms=math.nan,
        qtc_bazett_ms=math.nan,
        qtc_fridericia_ms=math.nan,
        p_axis_deg=math.nan,
        qrs_axis_deg=math.nan,
        t_axis_deg=math.nan,
        n_beats=0,
        n_ectopic=0,
        rr_sd_ms=math.nan,
        rmssd_ms=math.nan,
        has_p_waves=False,
        amplitudes=Amplitudes(*[missing] * 7),
        quality=quality,
        beats=Beats(np.zeros(0, dtype=np.int64), ()),
        median_beat=None,
    )
