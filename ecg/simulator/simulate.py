"""Simulated 12-lead ECGs whose truth is known.

Recording k of a seed is always the same, however many are asked for. What the labels mean is in
`ecg.simulator.diagnoses`, how hearts are drawn in `ecg.simulator.draws`, the train of beats in `ecg.simulator.rhythm`,
the model of the heart in `ecg.simulator.dipole`, that of noise in `ecg.simulator.noise`.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ecg.arrays import Array, Rng
from ecg.simulator import dipole as heart
from ecg.simulator.diagnoses import DIAGNOSES, STATEMENTS, Parameters, diagnosis_of, labels_of
from ecg.simulator.dipole import Beat, Wave
from ecg.simulator.draws import draw_parameters
from ecg.simulator.noise import Noise, add_noise, draw_noise
from ecg.simulator.rhythm import Train, beat_train
from ecg.simulator.statements import draw_statement

_DRAWS = 100  # of a heart, before a diagnosis counts as impossible in a recording of this length
SETS = {"challenge": DIAGNOSES, "statements": (*DIAGNOSES, *STATEMENTS)}
_REVERSED_ARMS = 0.01  # share of recordings; a rare mistake, and labels are of the heart


@dataclass(frozen=True)
class Simulated:
    """A simulated recording and the truth about it."""

    signal: Array  # (12, n_samples), float32, mV: leads in the order of `ecg.leads.LEADS`
    sampling_frequency: float  # Hz
    labels: tuple[str, ...]  # SNOMED CT codes
    age: float  # years
    sex: str  # "Female" or "Male"
    parameters: Parameters  # everything the heart was made from, with the train of beats
    # What was added, among it whether the arm electrodes are swapped; the labels are those of the heart.
    noise: Noise = field(default_factory=Noise)


def simulate(
    rng: Rng,
    diagnosis: str | None = None,
    sampling_frequency: float = 500,
    seconds: float = 10,
    noise: Noise | None = None,
    comorbidity: bool = True,
) -> Simulated:
    """Draw a heart with a diagnosis and record it.

    `diagnosis`: abbreviation or SNOMED CT code out of the scored classes, or one of `STATEMENTS`; drawn from the former
    if left out. `sampling_frequency`: 100 to 1000 Hz. `seconds`: length. `noise`: ordinary noise is drawn if left out,
    and rarely (1 %) swapped arm electrodes; `Noise()` is none. `comorbidity`: whether other diagnoses may join the one
    asked for. Raises ValueError for a diagnosis, sampling frequency or length that can't be had.
    """
    check(sampling_frequency, seconds)
    name = str(rng.choice(DIAGNOSES)) if diagnosis is None else diagnosis_of(diagnosis)
    # Noise has its own generator, so that the heart depends neither on it nor on the sampling frequency.
    noise_rng = np.random.default_rng(rng.integers(2**63, size=2))
    if noise is None:
        noise = replace(draw_noise(noise_rng), reversed_arms=bool(noise_rng.random() < _REVERSED_ARMS))
    for _ in range(_DRAWS):
        drawn = draw_statement(rng, name) if name in STATEMENTS else draw_parameters(rng, name, seconds, comorbidity)
        parameters, train = lay_down(drawn, rng, seconds)
        if name not in ("PAC", "PVC") or getattr(parameters, name.lower()):  # they may have found no room
            return record(parameters, rng, sampling_frequency, seconds, noise, noise_rng, train)
    raise ValueError(f"seconds: expected a recording long enough for {name}, found {seconds:g} s")


def record(
    parameters: Parameters,
    rng: Rng,
    sampling_frequency: float = 500,
    seconds: float = 10,
    noise: Noise | None = None,
    noise_rng: Rng | None = None,
    train: Train | None = None,
) -> Simulated:
    """Record the heart with these parameters; without `noise` the signal is clean.

    Premature beats that find no room are left out, and the labels say so. With `train` the beats are laid down already.
    """
    check(sampling_frequency, seconds)
    if train is None:
        parameters, train = lay_down(parameters, rng, seconds)
    n_samples = round(seconds * sampling_frequency)
    sources = np.zeros((12, n_samples))
    waves: dict[tuple[str, float | None, int], list[Wave]] = {}
    for beat in train.beats:
        key = (beat.origin, beat.pr, beat.form)
        if key not in waves:
            waves[key] = _waves(parameters, beat)
        breath = 1 + 0.06 * float(np.interp(beat.time, *train.fluctuation))
        heart.add_waves(sources, sampling_frequency, beat.time, waves[key], breath)
    for onset in parameters.blocked_p:
        heart.add_waves(sources, sampling_frequency, onset, _p_waves(parameters, 0.0, ectopic=True))
    for onset in train.dropped_p:
        heart.add_waves(sources, sampling_frequency, onset, _p_waves(parameters, 0.0, ectopic=False))
    for onset in train.lost_spikes:
        heart.add_waves(sources, sampling_frequency, onset, _before_ventricles(parameters, parameters.pr))
    atrial = {"fibrillation": heart.fibrillation, "flutter": heart.flutter}.get(parameters.rhythm)
    if atrial is not None:
        rate = parameters.atrial_rate / 60
        sources[:3] += atrial(rng, n_samples, sampling_frequency, rate, parameters.atrial_amplitude)
    signal = heart.leads_of_sources(sources)
    if noise is not None:
        signal = add_noise(signal, sampling_frequency, noise, noise_rng or rng)
    heard, labels, age = signal.astype(np.float32), labels_of(parameters), float(parameters.age)
    return Simulated(heard, float(sampling_frequency), labels, age, parameters.sex, parameters, noise or Noise())


def lay_down(parameters: Parameters, rng: Rng, seconds: float) -> tuple[Parameters, Train]:
    """The beats of a heart, and its parameters with those that lie in the recording."""
    train = beat_train(parameters, rng, seconds)
    inside = tuple(beat for beat in train.beats if 0 <= beat.time < seconds)
    blocked = tuple(onset for onset in train.blocked_p if 0 <= onset < seconds)
    dropped, lost = (tuple(x for x in each if 0 <= x < seconds) for each in (train.dropped_p, train.lost_spikes))
    pac, pvc = (sum(beat.origin == origin for beat in inside) for origin in ("atrial", "ventricular"))
    parameters = replace(parameters, beats=inside, blocked_p=blocked, dropped_p=dropped, lost_spikes=lost)
    return replace(parameters, pac=pac + len(blocked), pvc=pvc), train


def check(sampling_frequency: float, seconds: float) -> None:
    """ValueError for a sampling frequency or a length that can not be had."""
    if not 100 <= sampling_frequency <= 1000:
        raise ValueError(f"sampling frequency: expected 100 to 1000 Hz, found {sampling_frequency:g}")
    if not (math.isfinite(seconds) and seconds * sampling_frequency >= 1):
        raise ValueError(f"seconds: expected a length of at least one sample, found {seconds:g}")


def qrs_of(p: Parameters, beat: Beat) -> tuple[list[Wave], float]:
    """The waves of the QRS complex of one kind of beat, and its duration, s."""
    if beat.origin == "ventricular":
        form = p.pvc_forms[beat.form]
        return heart.qrs_waves(form.shape, form.qrs, form.axis, form.voltage, local=p.local_rows[:6]), form.qrs
    if beat.origin == "atrial" and beat.form == 1:  # the right bundle is the slower one to recover
        p = replace(p, qrs_shape="RBBB+LAFB" if p.qrs_shape == "LAFB" else "RBBB", qrs=p.qrs + 0.04)
    return p.qrs_waves(), p.qrs


def _p_waves(p: Parameters, pr: float, ectopic: bool) -> list[Wave]:
    return heart.local_activity(heart.p_waves(pr, p.p_amplitude, ectopic=ectopic), p.local_rows[7:])


def _waves(p: Parameters, beat: Beat) -> list[Wave]:
    """P, pacing spikes, QRS, ST and T of one kind of beat."""
    qrs, duration = qrs_of(p, beat)
    qt = p.qt - max(0.0, p.qrs - 0.1) + max(0.0, duration - 0.1)
    waves = [*qrs, p.t_wave(qt)]
    if duration > 0.11:  # bundle branch block, ventricular beats
        usual = heart.qrs_waves("normal", 0.09, 45, p.voltage, p.depth)
        waves += heart.secondary_t_waves(qt, duration, heart.wave_area(qrs) - heart.wave_area(usual))
    else:
        waves.append(heart.st_wave(qt, duration, np.array(p.st)))
    if any(p.injury) and beat.origin != "ventricular":
        waves.append(heart.injury_wave(qt, duration, np.array(p.injury)))
    if any(p.u_wave):
        waves.append(heart.u_wave(qt, np.array(p.u_wave)))
    if any(p.pr_segment) and beat.pr is not None:
        waves.append(heart.pr_segment_wave(np.array(p.pr_segment)))
    if beat.origin == "paced":
        waves += _before_ventricles(p, beat.pr)
    elif beat.pr is not None:
        waves += _p_waves(p, beat.pr, ectopic=beat.origin == "atrial")
    elif p.retrograde is not None:
        waves += _p_waves(p, -p.retrograde, ectopic=True)
    return waves


def _before_ventricles(p: Parameters, pr: float | None) -> list[Wave]:
    """P wave and pacing spikes of a paced heart."""
    waves = [] if pr is None else _p_waves(p, pr, ectopic=False)
    waves.append(heart.pacing_spike(p.spike))
    if p.atrial_spike and pr is not None:
        waves.append(heart.pacing_spike(p.spike, pr))
    return waves


def simulate_recording(
    seed: int,
    k: int,
    diagnosis: str | None = None,
    sampling_frequency: float = 500,
    seconds: float = 10,
    diagnoses: str = "challenge",
) -> Simulated:
    """Recording k (1, 2, ...) of a seed; without a diagnosis all of a set ("challenge", "statements") take turns."""
    names = SETS[diagnoses]
    name = names[(k - 1) % len(names)] if diagnosis is None else diagnosis
    return simulate(np.random.default_rng([seed, k]), name, sampling_frequency, seconds)
