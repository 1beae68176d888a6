"""Heart rate of a recording, by a simple detector of QRS complexes."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, find_peaks, sosfiltfilt

QRS_BAND = (5.0, 20.0)  # Hz, most of a QRS complex's energy and little of P and T (Thakor et al. 1984)
REFRACTORY = 0.25  # s, no heart beats again so soon


def heart_rate(signal: NDArray[np.float32], sampling_frequency: float) -> float:
    """Sixty seconds over the median interval between QRS complexes.

    Complexes are peaks of the slope of all leads together, smoothed over 0.1 s.

    `signal`, (n_leads, n_samples), float32: in any units; finite. `sampling_frequency`: Hz, above 40. Returns beats per
    minute; nan where there are fewer than three complexes.
    """
    if signal.shape[1] < sampling_frequency:
        return float("nan")
    sections = butter(3, QRS_BAND, "bandpass", fs=sampling_frequency, output="sos")
    slope = np.sqrt((np.diff(sosfiltfilt(sections, signal, axis=1), axis=1) ** 2).mean(axis=0))
    width = max(round(0.1 * sampling_frequency), 1)
    smooth = np.convolve(slope, np.ones(width) / width, "same")
    high = np.percentile(smooth, 98)
    peaks, _ = find_peaks(
        smooth, height=0.35 * high, prominence=0.25 * high, distance=max(round(REFRACTORY * sampling_frequency), 1)
    )
    if len(peaks) < 3 or high <= 0:
        return float("nan")
    return float(60 * sampling_frequency / np.median(np.diff(peaks)))
