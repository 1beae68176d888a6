"""What the measurements of a recording consist of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class WaveMarks:
    """Boundaries and peaks of P, QRS and T in samples of the median beat; NaN where the wave can't be measured."""

    p_onset: float
    p_peak: float
    p_offset: float
    qrs_onset: float
    qrs_peak: float
    qrs_offset: float
    t_onset: float
    t_peak: float
    t_offset: float


@dataclass(frozen=True)
class MedianBeat:
    """The beat that stands for a recording.

    `signal`, (12, n_samples), float32, mV, is sample by sample the median of `n_beats` beats of the dominant class. The
    level just before the QRS complex is 0; NaN in leads that are missing. `sampling_frequency` is in Hz. `marks` are
    those of all leads together: from the earliest onset to the latest offset; `lead_marks` are one per lead. `r_peak`
    is where the R peaks (`Beats.samples`) of the beats lie in it, samples.
    """

    signal: NDArray[np.float32]
    sampling_frequency: float
    n_beats: int
    marks: WaveMarks
    lead_marks: tuple[WaveMarks, ...]
    r_peak: float


@dataclass(frozen=True)
class Beats:
    """The beats of a recording.

    `samples`, (n_beats,), int64, are the positions of the R peaks, in samples of the recording at its own sampling
    frequency. `kinds` are "dominant", "ectopic" or "paced", one per beat. `n_lost_spikes` counts the pacing
    spikes without a QRS complex after them, where other spikes capture. `n_blocked_p` counts the RR intervals with a
    blocked P wave half way.
    """

    samples: NDArray[np.int64]
    kinds: tuple[str, ...]
    n_lost_spikes: int = 0
    n_blocked_p: int = 0


@dataclass(frozen=True)
class Amplitudes:
    """Amplitudes in the median beat relative to the level at the QRS onset.

    Each is (12,), float32, mV, one per lead; NaN where not measurable. Q and S are negative or 0, R is positive or 0; P
    and T have a sign. `st_j` is the level at the QRS offset (J point), `st_60` that 60 ms later.
    """

    p: NDArray[np.float32]
    q: NDArray[np.float32]
    r: NDArray[np.float32]
    s: NDArray[np.float32]
    t: NDArray[np.float32]
    st_j: NDArray[np.float32]
    st_60: NDArray[np.float32]


@dataclass(frozen=True)
class Quality:
    """What is wrong with a recording as a recording.

    `leads_off` are without a signal, `saturated` ones stay at the limit of the recorder for a while. `noise_uv` is
    high-frequency noise, RMS; `mains_uv` the amplitude of the 50 or 60 Hz component, the larger of the two;
    `baseline_uv` the baseline wander below 0.7 Hz, RMS: all in µV, medians over the leads that are on. `suspected_swap`
    names limb electrodes that seem exchanged: "", "RA-LA", "RA-LL", "LA-LL" or "RA-RL". `mains_in` are leads with 50 or
    60 Hz above 20 µV; the measurements are those without it.
    """

    leads_off: tuple[str, ...]
    saturated: tuple[str, ...]
    noise_uv: float
    mains_uv: float
    baseline_uv: float
    suspected_swap: str
    mains_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measurements:
    """What an electrocardiograph prints about a recording; NaN is what can't be measured.

    Attributes
    ----------
    heart_rate_bpm : float
        Beats per minute: 60 / the mean RR interval, s, over the recording.
    p_ms, pr_ms, qrs_ms, qt_ms : float
        Global intervals of the median beat, ms. No PR where the ventricles are paced.
    qtc_bazett_ms, qtc_fridericia_ms : float
        QT corrected for the rate, ms.
    p_axis_deg, qrs_axis_deg, t_axis_deg : float
        Directions of the net areas in the frontal plane, degrees, (-180, 180].
    n_beats, n_ectopic : int
        Beats found, and those of them that are ectopic.
    rr_sd_ms, rmssd_ms : float
        Standard deviation of the intervals between successive dominant beats, and root mean square of the differences
        of neighbouring ones, ms.
    has_p_waves : bool
        Whether P waves were found that belong to the QRS complexes.
    amplitudes : Amplitudes
    quality : Quality
    beats : Beats
    median_beat : MedianBeat or None
        None where no beat was found.

    Examples
    --------
    >>> import ecg
    >>> measured = ecg.measure(ecg.simulate("SB", seed=3))
    >>> bool(measured.heart_rate_bpm < 60), measured.has_p_waves, measured.n_ectopic
    (True, True, 0)
    """

    heart_rate_bpm: float
    p_ms: float
    pr_ms: float
    qrs_ms: float
    qt_ms: float
    qtc_bazett_ms: float
    qtc_fridericia_ms: float
    p_axis_deg: float
    qrs_axis_deg: float
    t_axis_deg: float
    n_beats: int
    n_ectopic: int
    rr_sd_ms: float
    rmssd_ms: float
    has_p_waves: bool
    amplitudes: Amplitudes
    quality: Quality
    beats: Beats
    median_beat: MedianBeat | None
