"""What a measurement of a simulated recording should find: the simulator has laid every wave down and knows."""

import math
from dataclasses import dataclass

import numpy as np

from ecg.arrays import Floats
from ecg.simulator.dipole import P_DURATION, Beat, sample_leads
from ecg.simulator.simulate import Simulated, qrs_of


@dataclass(frozen=True)
class Truth:
    """The true values of a simulated recording, without what noise and faults do to it."""

    # (n_beats,), float64: R peaks in samples: the median over the leads of where each has its largest deflection in the
    # QRS complex.
    r_samples: Floats
    # Per beat: "dominant", "ectopic" (premature, of atrial or ventricular origin) or "paced". A blocked premature beat
    # of the atria has a P wave alone and is none of them.
    kinds: tuple[str, ...]
    # `p_ms`, `pr_ms`: P duration and PR interval of the dominant beats, ms; NaN without P waves before the complexes
    # (fibrillation, flutter, junctional rhythm with or without retrograde P waves, pacing of the ventricle alone,
    # third-degree block); PR also where it changes (Mobitz I).
    p_ms: float
    pr_ms: float
    qrs_ms: float  # QRS duration of the dominant beats, ms
    # QT interval of the dominant beats, ms, to where the tangent to the T wave's steepest fall meets the line.
    qt_ms: float
    qrs_axis_deg: float  # frontal axis of the heart's QRS area, degrees in (-180, 180]
    # The arm electrodes are swapped: the signal shows another axis, and another R peak in some leads, than the heart.
    reversed_arms: bool


def truth_of(simulated: Simulated) -> Truth:
    """The true values of a recording of `ecg.simulator.simulate` or `record`."""
    p = simulated.parameters
    peaks: dict[tuple[str, int], float] = {}
    for beat in p.beats:
        if (beat.origin, beat.form) not in peaks:
            peaks[beat.origin, beat.form] = _peak_time(simulated, beat)
    times = [beat.time + peaks[beat.origin, beat.form] for beat in p.beats]
    samples = np.array(times, dtype=np.float64) * simulated.sampling_frequency
    inside = samples <= simulated.signal.shape[1] - 1  # the last beat may begin before the end and peak after it
    origins = [beat.origin for beat, kept in zip(p.beats, inside, strict=True) if kept]
    usual = {True: "paced", False: "dominant"}[p.rhythm == "paced"]
    return Truth(
        r_samples=samples[inside],
        kinds=tuple("ectopic" if origin in ("atrial", "ventricular") else usual for origin in origins),
        p_ms=math.nan if p.pr is None else 1000 * P_DURATION,
        pr_ms=math.nan if p.pr is None or p.conduction == "MobitzI" else 1000 * p.pr,
        qrs_ms=1000 * p.qrs,
        qt_ms=1000 * p.qt,
        qrs_axis_deg=180 - (180 - p.axis) % 360,
        reversed_arms=simulated.noise.reversed_arms,
    )


def _peak_time(simulated: Simulated, beat: Beat) -> float:
    """From the onset of a QRS complex to its R peak, s."""
    waves, duration = qrs_of(simulated.parameters, beat)
    return float(np.median(np.abs(sample_leads(waves, duration)).argmax(axis=1))) / 1000
