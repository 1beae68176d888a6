"""What real recordings have beside the heart: wander, interference, muscle, clipping, a lead off, swapped arms.

Everything keeps Einthoven's and Goldberger's equations: noise arises at the nine electrodes and reaches the leads
through the recorder's own subtractions, so that one bad arm electrode disturbs six leads and, by a third, the others.
All signals are shape (12, n_samples) in the order of `ecg.leads.LEADS`, mV; nothing is changed in place.
"""

from dataclasses import dataclass

import numpy as np

from ecg.arrays import Array, Rng
from ecg.leads import LEADS, twelve_leads
from ecg.simulator.dipole import leads_of_electrodes

_INDEPENDENT = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]


@dataclass(frozen=True)
class Noise:
    """What to add to a clean recording; `Noise()` is nothing at all."""

    # `wander`, `muscle`, `powerline`: standard deviation per electrode of baseline wander and of muscle noise, and
    # amplitude of the powerline, mV.
    wander: float = 0.0
    muscle: float = 0.0
    powerline: float = 0.0
    powerline_frequency: float = 50.0  # 50 or 60 Hz
    clip: float | None = None  # largest absolute voltage that the recorder can show, mV
    # One of I, II, V1..V6 that shows a flat line; limb leads follow from I and II, as recorders compute them.
    lead_off: str | None = None
    reversed_arms: bool = False  # the electrodes of the two arms are swapped


def draw_noise(rng: Rng) -> Noise:
    """The noise of an ordinary recording. Faults that falsify it (clipping, lead off, arms) are left to the caller."""
    return Noise(
        wander=rng.uniform(0.01, 0.08),
        muscle=rng.uniform(0.002, 0.015) * (2.0 if rng.random() < 0.15 else 1.0),
        powerline=rng.uniform(0.002, 0.015) if rng.random() < 0.3 else 0.0,
        powerline_frequency=float(rng.choice([50.0, 60.0])),
    )


def add_noise(signal: Array, sampling_frequency: float, noise: Noise, rng: Rng) -> Array:
    """Add everything that `noise` asks for, in the order in which it arises. ValueError for an unknown lead."""
    if noise.reversed_arms:
        signal = reverse_arms(signal)
    about = rng, signal.shape[1], sampling_frequency
    if noise.wander:
        signal = signal + baseline_wander(*about, noise.wander)
    if noise.muscle:
        signal = signal + muscle_noise(*about, noise.muscle)
    if noise.powerline:
        signal = signal + powerline_interference(*about, noise.powerline, noise.powerline_frequency)
    if noise.clip is not None:
        signal = clip(signal, noise.clip)
    if noise.lead_off is not None:
        signal = take_lead_off(signal, noise.lead_off)
    return signal


def baseline_wander(rng: Rng, n_samples: int, sampling_frequency: float, deviation: float) -> Array:
    """Slow drift of the electrodes (1/f up to 0.5 Hz) and breathing, shape (12, n_samples), mV.

    `deviation` is the standard deviation at an electrode, mV, taken over a minute or the recording if that is longer.
    """
    n_long = max(n_samples, int(60 * sampling_frequency))
    frequencies = np.fft.rfftfreq(n_long, 1 / sampling_frequency)
    shape = np.where((frequencies >= 0.03) & (frequencies <= 0.5), 1 / np.maximum(frequencies, 0.03), 0.0)
    drift = _shaped_noise(rng, 9, shape, n_long)[:, :n_samples]
    times = np.arange(n_samples) / sampling_frequency
    breathing = np.sin(2 * np.pi * rng.uniform(0.15, 0.4) * times + rng.uniform(0, 2 * np.pi))
    return leads_of_electrodes(deviation * (0.8 * drift + 0.8 * rng.normal(0, 1, (9, 1)) * breathing))


def muscle_noise(rng: Rng, n_samples: int, sampling_frequency: float, deviation: float) -> Array:
    """Muscle noise (broad band around 20 to 150 Hz, in slow bursts), shape (12, n_samples), mV."""
    frequencies = np.fft.rfftfreq(n_samples, 1 / sampling_frequency)
    shape = (frequencies / 20) / (1 + (frequencies / 20) ** 2) / (1 + (frequencies / 150) ** 4)
    noise = _shaped_noise(rng, 9, shape, n_samples)
    times = np.arange(n_samples) / sampling_frequency
    rates, phases = rng.uniform(0.05, 0.5, (9, 1)), rng.uniform(0, 2 * np.pi, (9, 1))
    bursts = 1 + 0.5 * np.sin(2 * np.pi * rates * times + phases)
    return leads_of_electrodes(deviation * bursts * noise)


def powerline_interference(
    rng: Rng, n_samples: int, sampling_frequency: float, amplitude: float, powerline_frequency: float
) -> Array:
    """50 or 60 Hz with a little third harmonic, in step at all electrodes, shape (12, n_samples), mV.

    What lies at or above half the sampling frequency is left out: the recorder's filter has removed it.
    """
    times = np.arange(n_samples) / sampling_frequency
    coupling = rng.uniform(0.3, 1.0, (9, 1)) * np.where(rng.random((9, 1)) < 0.5, -1, 1)
    hum = np.zeros(n_samples)
    for harmonic, share in ((1, 1.0), (3, 0.15)):
        phase = rng.uniform(0, 2 * np.pi)
        if harmonic * powerline_frequency < sampling_frequency / 2:
            hum += share * np.sin(2 * np.pi * harmonic * powerline_frequency * times + phase)
    return leads_of_electrodes(amplitude * coupling * hum)


def clip(signal: Array, limit: float) -> Array:
    """Saturate the measured leads I, II, V1..V6 at +-`limit` mV; the others are computed from these."""
    return twelve_leads(np.clip(signal[_INDEPENDENT], -limit, limit))


def take_lead_off(signal: Array, lead: str) -> Array:
    """Flatten one of I, II, V1..V6 to 0 mV; leads computed from it follow. ValueError for another name."""
    measured = [LEADS[k] for k in _INDEPENDENT]
    if lead not in measured:
        raise ValueError(f"lead off: expected one of {', '.join(measured)}, found {lead!r}")
    independent = signal[_INDEPENDENT].copy()
    independent[measured.index(lead)] = 0
    return twelve_leads(independent)


def reverse_arms(signal: Array) -> Array:
    """Swap the arm electrodes: I turns over, II and III change places, and so do aVR and aVL."""
    independent = signal[_INDEPENDENT].copy()
    independent[0], independent[1] = -signal[LEADS.index("I")], signal[LEADS.index("III")]
    return twelve_leads(independent)


def _shaped_noise(rng: Rng, n_channels: int, shape: Array, n_samples: int) -> Array:
    """Gaussian noise with the given amplitude spectrum and standard deviation 1, shape (n_channels, n_samples)."""
    white = rng.normal(0, 1, (n_channels, len(shape))) + 1j * rng.normal(0, 1, (n_channels, len(shape)))
    noise = np.fft.irfft(white * shape, n_samples)
    power = 2 * np.sum(shape[1:] ** 2) * 2 / n_samples**2
    return noise / np.sqrt(max(power, 1e-30))
