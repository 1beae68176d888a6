"""One heart dipole and what it leaves out: the waves of a beat, the lead field, and the fluctuation of the heart rate.

The model is that of McSharry et al. 2003 (IEEE Trans Biomed Eng 50:289-294): every wave of the ECG is a Gaussian, and
the RR series has a low-frequency and a respiratory component. Three things differ. The waves are vectors, so that one
dipole makes all twelve leads (as in Sameni et al. 2007, EURASIP J Adv Signal Process 2007:43407); they lie in time
relative to the onset of the QRS complex, not in phase, so that PR, QRS and QT are what the parameters say at any rate;
and the falling half of a T wave has its own width.

A dipole in one place makes leads of rank 3, and real hearts do not: each part of the heart lies nearer to some
electrodes than to others. Each wave can therefore carry voltages at single electrodes beside its dipole (`Wave.local`).

Times are in s, voltages in mV, angles in degrees, frequencies in Hz, heart rates in beats per minute.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ecg.arrays import Array, Rng
from ecg.leads import twelve_leads

# Rows I, II, V1..V6; columns Frank X (left), Y (down), Z (back).
# Dower, Machado, Osborne 1980, Clin Cardiol 3:87-95.
DOWER = np.array([
    [0.632, -0.235, 0.059], [0.235, 1.066, -0.132], [-0.515, 0.157, -0.917], [0.044, 0.164, -1.387],
    [0.882, 0.098, -1.277], [1.213, 0.127, -0.601], [1.125, 0.127, -0.086], [0.831, 0.076, 0.230],
])  # fmt: skip

# Clinicians read the frontal plane off the limb leads, so waves are given as (lateral, inferior, back): what lead I
# sees, what aVF sees on the same scale ((II + III) / sqrt(3)), and Frank's Z. This matrix makes Frank's X, Y, Z of it.
_CLINICAL_TO_FRANK = np.linalg.inv(
    np.stack([DOWER[0], (2 * DOWER[1] - DOWER[0]) / np.sqrt(3), np.array([0.0, 0.0, 1.0])])
)

# A Gaussian has left the line for the eye about this many standard deviations from its peak.
_REACH = 2.5

P_DURATION = 0.1  # s

# Electrodes RA, LA, LL, V1..V6 to the leads I, II, V1..V6; Wilson's central terminal is the mean of the first three.
_ELECTRODES_TO_LEADS = np.zeros((8, 9))
_ELECTRODES_TO_LEADS[0, [1, 0]] = 1, -1
_ELECTRODES_TO_LEADS[1, [2, 0]] = 1, -1
_ELECTRODES_TO_LEADS[2:, 3:] = np.eye(6)
_ELECTRODES_TO_LEADS[2:, :3] = -1 / 3


def leads_of_vectors(vectors: Array) -> Array:
    """Twelve leads, shape (12, n), mV, of clinical vectors (lateral, inferior, back), shape (n, 3), mV."""
    return twelve_leads(DOWER @ _CLINICAL_TO_FRANK @ np.asarray(vectors, dtype=np.float64).T)


def leads_of_electrodes(potentials: Array) -> Array:
    """Twelve leads, shape (12, n), of the potentials of RA, LA, LL, V1..V6, shape (9, n)."""
    return twelve_leads(_ELECTRODES_TO_LEADS @ potentials)


def leads_of_sources(sources: Array) -> Array:
    """Twelve leads, shape (12, n), mV, of sources, shape (12, n): a clinical vector, then potentials of electrodes."""
    return leads_of_vectors(sources[:3].T) + leads_of_electrodes(sources[3:])


class Wave(NamedTuple):
    """A Gaussian wave; each side of the peak has its own width."""

    center: float  # s after the onset of the QRS complex
    rise: float  # s, standard deviation before the peak
    fall: float  # s, standard deviation after the peak
    vector: Array  # (lateral, inferior, back), mV
    local: Array = np.zeros(9)  # at RA, LA, LL, V1..V6 beside what the dipole makes, mV

    @property
    def source(self) -> Array:
        """The dipole, then what is local, shape (12,), mV."""
        return np.concatenate([self.vector, self.local])


@dataclass(frozen=True)
class Beat:
    """One heart beat, as the simulator laid it down."""

    time: float  # s, onset of the QRS complex
    origin: str  # "atrial" (PAC), "ventricular" (PVC) or the rhythm: "sinus", "fibrillation" and so on
    pr: float | None = None  # s, onset of P to onset of QRS; None without a P wave of its own
    form: int = 0  # of "ventricular" which of its shapes, of "atrial" 1 if conducted with aberration


# One row per component of the QRS complex: center and width (standard deviation) as fractions of the QRS duration,
# then the voltage along the mean frontal axis, across it (clockwise), and backwards, relative to the main deflection.
# Rows of the "fixed" part do not turn with the axis, and are lateral, inferior and back: the septum is activated from
# left to right and the last part of a right bundle branch block runs to the right, whatever the axis.
_ROWS = list(csv.reader(Path(__file__).with_name("qrs_shapes.csv").read_text().splitlines()))[1:]
_PARTS = {tuple(row[:2]) for row in _ROWS}
_SHAPES = {part: np.array([row[2:7] for row in _ROWS if tuple(row[:2]) == part], np.float64) for part in _PARTS}
_RBBB_CORE = 0.080  # s: the left ventricle is activated as always


def _components(shape: str, duration: float) -> tuple[Array, Array]:
    """Fixed and turning rows, shape (n, 5): center in s, width in s, three voltages."""
    if not shape.startswith("RBBB"):
        times = np.array([duration, duration, 1, 1, 1])
        return _SHAPES[shape, "fixed"] * times, _SHAPES[shape, "turning"] * times
    core = shape.removeprefix("RBBB").removeprefix("+") or "normal"
    fixed, turning = _components(core, _RBBB_CORE)
    # The free wall of the right ventricle comes last, through muscle: slow, to the right and to the front. The longer
    # it runs alone, the less there is to cancel it.
    width = (duration - _RBBB_CORE) / 2.2 / _REACH + 0.006
    size = np.clip((duration - 0.09) / 0.04, 0.5, 1.2)
    turning[:, 4] *= 1 - 0.6 * size
    # At most half of the area before it, or the mean axis would turn round.
    lateral = min(0.32 * size, 0.5 * (turning[:, 1] @ turning[:, 2]) / width)
    last = [duration - _REACH * width, width, -lateral, 0.04 * size, -0.85 * size]
    return np.vstack([fixed, last]), turning


def qrs_waves(
    shape: str,
    duration: float,
    axis: float,
    voltage: float,
    depth: float = 1.0,
    variation: Array | None = None,
    local: Array | None = None,
) -> list[Wave]:
    """The waves of a QRS complex with the clinical measures asked for.

    - `shape`: "normal", "vertical", "nonspecific", "LBBB", "LAFB", "LPFB", "RBBB", "RBBB+LAFB", "inferior Q",
      "anterior Q", "RVH", "WPW", or "RV", "LV" (where a ventricular beat starts).
    - `duration`: QRS duration, s.
    - `axis`: frontal axis, degrees: the direction of the net QRS area, atan2((II + III) / sqrt(3), I).
    - `voltage`: largest peak-to-peak voltage of the complex in a limb lead, mV.
    - `depth`: factor on the front-to-back voltages, hence on the precordial leads.
    - `variation`, (5,): factors on the size of the single components, so that no two hearts are alike.
    - `local`, (6, 9): as `local_activity` takes it.
    """
    fixed, turning = _components(shape, duration)
    factors = np.ones(5) if variation is None else np.asarray(variation, dtype=np.float64)
    fixed[:, 2:] *= factors[0]
    turning[:, 2:] *= factors[1 : 1 + len(turning), None]
    fixed[:, 4] *= depth
    turning[:, 4] *= depth

    # Turn the turning part so that the area of the whole points along the axis.
    u = np.array([np.cos(np.radians(axis)), np.sin(np.radians(axis))])
    area = turning[:, 1] @ turning[:, 2:4]
    fixed_area = fixed[:, 1] @ fixed[:, 2:4]
    across = u[0] * fixed_area[1] - u[1] * fixed_area[0]
    ratio = np.clip(across / np.hypot(*area), -0.95, 0.95)
    angle = np.radians(axis) - np.arcsin(ratio) - np.arctan2(area[1], area[0])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turning[:, 2:4] = turning[:, 2:4] @ turn

    rows = np.vstack([fixed, turning])
    waves = [Wave(row[0], row[1], row[1], row[2:]) for row in rows]
    if local is not None:
        waves = local_activity(waves, local)
        # No net area at the limb electrodes, or the axis would not be the one asked for.
        net = rows[:, 1] @ np.array([wave.local[:3] for wave in waves]) / rows[:, 1].sum()
        waves = [wave._replace(local=wave.local - np.append(net, np.zeros(6))) for wave in waves]
    scale = voltage / np.ptp(sample_leads(waves, duration)[:6], axis=1).max()
    return [wave._replace(vector=scale * wave.vector, local=scale * wave.local) for wave in waves]


def local_activity(waves: list[Wave], relative: Array) -> list[Wave]:
    """The waves with voltages at single electrodes beside their dipoles.

    `relative`, (n, 9): voltages at RA, LA, LL, V1..V6 relative to the length of the wave's vector.
    """
    return [wave._replace(local=np.linalg.norm(wave.vector) * row) for wave, row in zip(waves, relative, strict=False)]


def sample_leads(waves: list[Wave], duration: float, start: float = 0.0) -> Array:
    """Twelve leads of one set of waves, shape (12, n), mV, one sample per ms from `start` to `duration` s."""
    times = np.arange(start, duration + 0.0005, 0.001)
    return leads_of_sources(np.asarray(sum(np.outer(wave.source, _shape(times, wave)) for wave in waves)))


def _shape(times: Array, wave: Wave) -> Array:
    offset = times - wave.center
    return np.exp(-0.5 * (offset / np.where(offset < 0, wave.rise, wave.fall)) ** 2)


def wave_area(waves: list[Wave]) -> Array:
    """Time integral of the dipole over the waves, shape (3,), mV s."""
    widths = np.array([wave.rise + wave.fall for wave in waves])
    return np.asarray(np.sqrt(np.pi / 2) * (widths @ np.stack([wave.vector for wave in waves])))


def p_waves(pr: float, amplitude: float, duration: float = P_DURATION, ectopic: bool = False) -> list[Wave]:
    """Right, then left atrium; `amplitude` is about that of lead II, mV. The P wave of a PAC comes from elsewhere."""
    width = duration / (2 * _REACH + 2)
    right, left = np.array([0.18, 0.80, -0.42]), np.array([0.30, 0.48, 0.30])
    if ectopic:  # from low in the left atrium
        right, left = np.array([0.30, -0.35, 0.20]), np.array([-0.10, 0.10, -0.45])
    first = _REACH * width - pr
    return [Wave(first, width, width, amplitude * right), Wave(first + 2 * width, width, width, amplitude * left)]


def t_wave(qt: float, vector: Array, is_tented: bool = False) -> Wave:
    """The T wave: slow to rise, quicker to fall; the tangent to its steepest fall meets the line at QT."""
    rise, fall = (0.07 * qt, 0.07 * qt) if is_tented else (0.15 * qt, 0.10 * qt)
    return Wave(qt - 2 * fall, rise, fall, np.asarray(vector, dtype=np.float64))


def u_wave(qt: float, vector: Array) -> Wave:
    """The U wave, whose peak follows the end of T by about 100 ms."""
    return Wave(qt + 0.1, 0.03, 0.035, np.asarray(vector, dtype=np.float64))


def secondary_t_waves(qt: float, qrs: float, area_change: Array) -> list[Wave]:
    """ST-T change that follows from a changed QRS complex.

    Wilson's ventricular gradient (Wilson et al. 1934, Am Heart J 10:46-61): the areas of QRS and T together stay the
    same when the order of activation changes; so what a bundle branch block adds to QRS is taken off ST-T.

    `qt` and `qrs`: QT interval and QRS duration, s. `area_change`, (3,): QRS area of this beat less that of the same
    heart with normal conduction, mV s.
    """
    in_segment = 0.2
    segment = st_wave(qt, qrs, np.ones(3))
    peak = t_wave(qt, np.ones(3))
    return [
        segment._replace(vector=-in_segment * area_change / wave_area([segment])),
        peak._replace(vector=-(1 - in_segment) * area_change / wave_area([peak])),
    ]


def st_wave(qt: float, qrs: float, vector: Array) -> Wave:
    """A deviation of the ST segment, largest half way to the T wave."""
    width = 0.09 * qt
    return Wave(qrs + 1.5 * width, width, 1.6 * width, np.asarray(vector, dtype=np.float64))


def injury_wave(qt: float, qrs: float, vector: Array) -> Wave:
    """A deviation of the ST segment from the J point on, which goes over into the T wave."""
    return Wave(qrs + 0.02, 0.018, 0.22 * qt, np.asarray(vector, dtype=np.float64))


def pr_segment_wave(vector: Array) -> Wave:
    """A deviation of the PR segment, up to the onset of the QRS complex."""
    return Wave(-0.015, 0.03, 0.012, np.asarray(vector, dtype=np.float64))


def pacing_spike(voltage: float, pr: float = 0.0) -> Wave:
    """The stimulus, under a millisecond wide, 10 ms before what it excites."""
    return Wave(-pr - 0.010, 0.0004, 0.0004, voltage * np.array([0.45, -0.80, 0.40]))


def add_waves(sources: Array, sampling_frequency: float, onset: float, waves: list[Wave], gain: float = 1.0) -> None:
    """Add a beat in place.

    The recorder's anti-aliasing filter is a Gaussian of 0.35 samples, which keeps the area of a wave and widens it: it
    makes a pacing spike visible at any sampling frequency.

    `sources`, (12, n_samples), mV: as `leads_of_sources` takes them. `sampling_frequency`: Hz. `onset`: time of the
    onset of the QRS complex, s. `gain`: factor on the voltages (breathing moves the heart).
    """
    blur = 0.35 / sampling_frequency
    n_samples = sources.shape[1]
    for wave in waves:
        rise, fall = np.hypot(wave.rise, blur), np.hypot(wave.fall, blur)
        start = max(0, int(np.floor((onset + wave.center - 5 * rise) * sampling_frequency)))
        stop = min(n_samples, int(np.ceil((onset + wave.center + 5 * fall) * sampling_frequency)) + 1)
        if start >= stop:
            continue
        times = np.arange(start, stop) / sampling_frequency - onset
        size = gain * (wave.rise + wave.fall) / (rise + fall)
        sources[:, start:stop] += np.outer(size * wave.source, _shape(times, wave._replace(rise=rise, fall=fall)))


def rr_fluctuation(rng: Rng, seconds: float, respiration: float, low_to_high: float = 0.5) -> tuple[Array, Array]:
    """Fluctuation of the RR interval over a recording (over 10 s of a shorter one), peak to peak 1, mean 0.

    The spectrum has two Gaussian peaks, at 0.1 Hz (Mayer waves) and at the rate of breathing, as in McSharry et al.
    2003, equation 2, with random phases.

    `seconds`: length of the recording, s. `respiration`: breathing rate, Hz. `low_to_high`: power of the low-frequency
    peak over that of the respiratory peak. Returns `times`, (n,): from 10 s before the first sample to 10 s after the
    last, 8 values per s; `values`: (n,).
    """
    rate, seconds = 8.0, max(seconds, 10.0)
    times = np.arange(-10.0, seconds + 10.0, 1 / rate)
    n = 1 << int(np.ceil(np.log2(max(len(times), 1024))))
    frequencies = np.fft.rfftfreq(n, 1 / rate)
    low = low_to_high * np.exp(-0.5 * ((frequencies - 0.1) / 0.02) ** 2)
    high = np.exp(-0.5 * ((frequencies - respiration) / 0.02) ** 2)
    phases = rng.uniform(0, 2 * np.pi, len(frequencies))
    values = np.fft.irfft(np.sqrt(low + high) * np.exp(1j * phases), n)[: len(times)]
    inside = values[(times >= 0) & (times <= seconds)]
    values = values - inside.mean()
    return times, values / np.ptp(inside)


def fibrillation(rng: Rng, n_samples: int, sampling_frequency: float, frequency: float, amplitude: float) -> Array:
    """Fibrillatory waves as a dipole, shape (3, n_samples), mV; `amplitude` is about that of V1, mV peak to peak.

    A saw-tooth whose frequency and amplitude wander (Stridh and Sornmo 2001, IEEE Trans Biomed Eng 48:105-111), twice:
    the right atrium, which V1 sees, and the left one, which the limb leads see.
    """
    times = np.arange(n_samples) / sampling_frequency
    directions = np.array([[-0.12, 0.10, -0.75], [0.30, 0.42, 0.15]])
    dipole = np.zeros((3, n_samples))
    for direction, detune in zip(directions, (0.0, 0.35), strict=True):
        wander, sway = rng.uniform(0.1, 0.3), rng.uniform(0.3, 0.6)
        phase = 2 * np.pi * (frequency + detune) * times + rng.uniform(0, 2 * np.pi)
        phase += 0.35 / wander * np.sin(2 * np.pi * wander * times + rng.uniform(0, 2 * np.pi))
        phase += 0.5 * np.sin(2 * np.pi * 0.9 * times + rng.uniform(0, 2 * np.pi))
        size = 1 + 0.4 * np.sin(2 * np.pi * sway * times + rng.uniform(0, 2 * np.pi))
        dipole += np.outer(direction, amplitude / 2 * size * _saw_tooth(phase, 3))
    return dipole


def flutter(rng: Rng, n_samples: int, sampling_frequency: float, frequency: float, amplitude: float) -> Array:
    """Flutter waves as a dipole, shape (3, n_samples), mV; `amplitude` is about that of II, mV peak to peak.

    Typical (counter-clockwise) flutter: a saw-tooth that falls slowly and rises fast in II, III, aVF, and small
    positive waves in V1.
    """
    times = np.arange(n_samples) / sampling_frequency
    phase = 2 * np.pi * frequency * times + rng.uniform(0, 2 * np.pi)
    main, lagging = _saw_tooth(phase, 3), _saw_tooth(phase - 1.2, 2)
    return amplitude / 2 * (np.outer([-0.05, 0.95, 0.10], main) + np.outer([0.0, 0.0, 0.45], lagging))


def _saw_tooth(phase: Array, n_harmonics: int) -> Array:
    """Slow fall and fast rise, between about -1 and 1, without the harmonics that make a corner."""
    m = np.arange(1, n_harmonics + 1)
    sizes = 0.75 / m * np.exp(-0.5 * (m / n_harmonics) ** 2)
    return np.asarray(sizes @ np.sin(np.outer(m, phase)))
