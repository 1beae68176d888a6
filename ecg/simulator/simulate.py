"""Simulated 12-lead ECGs whose truth is known.

Recording k of a seed is always the same, however many are asked for. What the labels mean is in
`ecg.simulator.diagnoses`, the model of the heart in `ecg.simulator.dipole`, that of noise in `ecg.simulator.noise`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ecg.simulator import dipole as heart
from ecg.simulator.diagnoses import DIAGNOSES, Parameters, diagnosis_of, draw_parameters, labels_of
from ecg.simulator.dipole import Beat, Wave
from ecg.simulator.noise import Noise, add_noise, draw_noise

_MARGIN = 2.0  # s simulated before the first and after the last sample


@dataclass(frozen=True)
class Simulated:
    """A simulated recording and the truth about it.

    Attributes
    ----------
    signal : ndarray, shape (12, n_samples), float32, mV
        Leads in the order of `ecg.leads.LEADS`.
    sampling_frequency : float
        Hz.
    labels : tuple of str
        SNOMED CT codes.
    age : float
        Years.
    sex : str
        "Female" or "Male".
    parameters : Parameters
        Everything the heart was made from, with the train of beats.
    """

    signal: np.ndarray
    sampling_frequency: float
    labels: tuple[str, ...]
    age: float
    sex: str
    parameters: Parameters


def simulate(
    rng: np.random.Generator,
    diagnosis: str | None = None,
    sampling_frequency: float = 500,
    seconds: float = 10,
    noise: Noise | None = None,
    comorbidity: bool = True,
) -> Simulated:
    """Draw a heart with a diagnosis and record it.

    Parameters
    ----------
    rng : numpy.random.Generator
    diagnosis : str, optional
        Abbreviation or SNOMED CT code out of the scored classes; drawn if left out.
    sampling_frequency : float
        100 to 1000 Hz.
    seconds : float
        Length, s.
    noise : Noise, optional
        Ordinary noise is drawn if left out; `Noise()` is none.
    comorbidity : bool
        Whether other diagnoses may join the one asked for.

    Raises
    ------
    ValueError
        For a diagnosis, sampling frequency or length that can't be had.
    """
    _check(sampling_frequency, seconds)
    name = str(rng.choice(DIAGNOSES)) if diagnosis is None else diagnosis_of(diagnosis)
    # Noise has a generator of its own, so that the heart depends neither on it nor on the sampling frequency.
    noise_rng = np.random.default_rng(rng.integers(2**63, size=2))
    noise = draw_noise(noise_rng) if noise is None else noise
    parameters = draw_parameters(rng, name, seconds, comorbidity)
    result = record(parameters, rng, sampling_frequency, seconds, noise, noise_rng)
    if name in ("PAC", "PVC") and not getattr(result.parameters, name.lower()):
        raise ValueError(f"seconds: expected a recording long enough for {name}, found {seconds:g} s")
    return result


def record(
    parameters: Parameters,
    rng: np.random.Generator,
    sampling_frequency: float = 500,
    seconds: float = 10,
    noise: Noise | None = None,
    noise_rng: np.random.Generator | None = None,
) -> Simulated:
    """Record the heart with these parameters; without `noise` the signal is clean.

    Premature beats that find no room are left out, and the labels say so.
    """
    _check(sampling_frequency, seconds)
    beats, fluctuation = _beat_train(parameters, rng, seconds)
    inside = tuple(beat for beat in beats if 0 <= beat.time < seconds)
    parameters = replace(
        parameters,
        beats=inside,
        pac=sum(beat.origin == "atrial" for beat in inside),
        pvc=sum(beat.origin == "ventricular" for beat in inside),
    )
    n_samples = round(seconds * sampling_frequency)
    dipole = np.zeros((3, n_samples))
    waves: dict[tuple[str, float | None], list[Wave]] = {}
    for beat in beats:
        key = (beat.origin, beat.pr)
        if key not in waves:
            waves[key] = _waves(parameters, beat)
        breath = 1 + 0.06 * float(np.interp(beat.time, *fluctuation))
        heart.add_waves(dipole, sampling_frequency, beat.time, waves[key], breath)
    atrial = {"fibrillation": heart.fibrillation, "flutter": heart.flutter}.get(parameters.rhythm)
    if atrial is not None:
        dipole += atrial(rng, n_samples, sampling_frequency, parameters.atrial_rate / 60, parameters.atrial_amplitude)
    signal = heart.leads_of_vectors(dipole.T)
    if noise is not None:
        signal = add_noise(signal, sampling_frequency, noise, rng if noise_rng is None else noise_rng)
    return Simulated(
        signal=signal.astype(np.float32),
        sampling_frequency=float(sampling_frequency),
        labels=labels_of(parameters),
        age=float(parameters.age),
        sex=parameters.sex,
        parameters=parameters,
    )


def _check(sampling_frequency: float, seconds: float) -> None:
    if not 100 <= sampling_frequency <= 1000:
        raise ValueError(f"sampling frequency: expected 100 to 1000 Hz, found {sampling_frequency:g}")
    if not (math.isfinite(seconds) and seconds * sampling_frequency >= 1):
        raise ValueError(f"seconds: expected a length of at least one sample, found {seconds:g}")


def _beat_train(
    p: Parameters, rng: np.random.Generator, seconds: float
) -> tuple[list[Beat], tuple[np.ndarray, np.ndarray]]:
    """All beats from before the first sample to after the last, and the fluctuation (times, values) of RR."""
    mean = 60 / p.rate
    fluctuation = heart.rr_fluctuation(rng, seconds, p.respiration, 0.1 if p.rr_range > 0.12 else 0.5)
    onsets = [-_MARGIN - rng.uniform(0, mean)]
    while onsets[-1] < seconds + _MARGIN:
        if p.rhythm == "fibrillation":
            # Independent draws, skewed to the right, with a floor that the refractory AV node sets.
            floor = 0.55 * mean
            shape = ((mean - floor) / p.rr_range) ** 2
            interval = floor + rng.gamma(shape, (mean - floor) / shape)
        elif p.rhythm == "flutter":
            interval = 60 / p.atrial_rate * float(p.block or rng.integers(2, 5))
        else:
            interval = mean + p.rr_range * float(np.interp(onsets[-1], *fluctuation))
        onsets.append(onsets[-1] + interval)

    early = _choose_early(p, rng, onsets, seconds)
    coupling = {"atrial": rng.uniform(0.6, 0.78), "ventricular": rng.uniform(0.5, 0.68)}
    beats: list[Beat] = []
    delay = 0.0
    for k, onset in enumerate(onsets):
        beats.append(Beat(onset + delay, p.rhythm, p.pr))
        origin = early.get(k)
        if origin is None:
            continue
        interval = mean if p.rhythm == "fibrillation" else onsets[k + 1] - onset
        ahead = min(max(coupling[origin] * interval, p.qt + 0.02), 0.88 * interval)
        time = onset + delay + ahead
        if time < seconds - 0.4:
            beats.append(Beat(time, origin, None if origin == "ventricular" or p.pr is None else p.pr))
            # An atrial beat resets the sinus node. A ventricular one does not: the pause is compensatory.
            following = ahead + 1.05 * interval if origin == "atrial" else 2 * interval
            delay += following - (onsets[k + 1] - onset)
    return beats, fluctuation


def _choose_early(p: Parameters, rng: np.random.Generator, onsets: list[float], seconds: float) -> dict[int, str]:
    """After which beats a premature one comes, and where it starts; never after two beats in a row."""
    wanted = ["atrial"] * (p.pac > 0) + ["ventricular"] * (p.pvc > 0)
    if not wanted:
        return {}
    mean = 60 / p.rate
    last = seconds - 0.4 - len(wanted) * mean  # a pause moves all that follows
    places: list[int] = []
    for k in rng.permutation([k for k, onset in enumerate(onsets) if 0 <= onset <= last]):
        if len(places) < p.pac + p.pvc and all(abs(k - other) > 1 for other in places):
            places.append(int(k))
    rest = ["atrial"] * (p.pac - 1) + ["ventricular"] * (p.pvc - 1)
    origins = list(rng.permutation(wanted)) + list(rng.permutation(rest))
    return {k: str(origin) for k, origin in zip(sorted(places), origins, strict=False)}


def qrs_of(p: Parameters, beat: Beat) -> tuple[list[Wave], float]:
    """The waves of the QRS complex of one kind of beat, and its duration, s."""
    if beat.origin == "ventricular":
        return heart.qrs_waves(p.pvc_shape, p.pvc_qrs, p.pvc_axis, p.pvc_voltage), p.pvc_qrs
    return heart.qrs_waves(p.qrs_shape, p.qrs, p.axis, p.voltage, p.depth, np.array(p.variation)), p.qrs


def _waves(p: Parameters, beat: Beat) -> list[Wave]:
    """P, pacing spikes, QRS, ST and T of one kind of beat."""
    qrs, duration = qrs_of(p, beat)
    qt = p.qt - max(0.0, p.qrs - 0.1) + max(0.0, duration - 0.1)
    waves = [*qrs, heart.t_wave(qt, p.t_vector)]
    if duration > 0.11:  # bundle branch block, ventricular beats
        usual = heart.qrs_waves("normal", 0.09, 45, p.voltage, p.depth)
        change = heart.wave_area(qrs) - heart.wave_area(usual)
        waves += heart.secondary_t_waves(qt, duration, change)
    if beat.pr is not None:
        waves += heart.p_waves(beat.pr, p.p_amplitude, ectopic=beat.origin == "atrial")
    if beat.origin == "paced":
        waves.append(heart.pacing_spike(p.spike))
        if p.atrial_spike and beat.pr is not None:
            waves.append(heart.pacing_spike(p.spike, beat.pr))
    return waves


def simulate_recording(
    seed: int, k: int, diagnosis: str | None = None, sampling_frequency: float = 500, seconds: float = 10
) -> Simulated:
    """Recording k (1, 2, ...) of a seed; without a diagnosis all of them take turns."""
    name = DIAGNOSES[(k - 1) % len(DIAGNOSES)] if diagnosis is None else diagnosis
    return simulate(np.random.default_rng([seed, k]), name, sampling_frequency, seconds)
