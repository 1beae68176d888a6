"""The calibration pulse that some electrocardiographs write behind the recording."""

import numpy as np

from ecg.arrays import Array, Bools

_WINDOW = 1.5  # s at the end in which the pulse is looked for
_SHORTEST, _LONGEST = 0.1, 0.4  # s
_TOLERANCE = 0.025  # mV


def without_pulse(samples: Array, gain: float, sampling_frequency: float) -> tuple[Array, tuple[str, ...]]:
    """Cut off a calibration pulse at the end, and the zeros around it, and say so in a note.

    Philips electrocardiographs write 11 s of which the end is the same in all leads: 0 mV, 1 mV for 0.2 s, 0 mV. It is
    found by this shape and not by its place, because the ECG before it is not always equally long. `samples`: (n_leads,
    n_samples), in ADC units, of which `gain` are 1 mV in all leads.
    """
    if len(samples) < 2:  # a rectangle in one lead may be its electrode coming off
        return samples, ()
    millivolts = samples.astype(np.float64) / gain
    low: Bools = np.all(np.abs(millivolts) <= _TOLERANCE, axis=0)
    first = max(samples.shape[1] - int(_WINDOW * sampling_frequency), 0)
    high = np.flatnonzero((np.abs(millivolts[:, first:] - 1) <= _TOLERANCE).all(axis=0)) + first
    if not high.size:
        return samples, ()
    start, behind = high[0], high[-1] + 1
    is_one_pulse = behind - start == high.size and _SHORTEST <= high.size / sampling_frequency <= _LONGEST
    if not (is_one_pulse and start > 0 and low[start - 1] and low[behind:].all()):
        return samples, ()
    before = np.flatnonzero(~low[:start])
    end = int(before[-1]) + 1 if before.size else 0
    seconds = (samples.shape[1] - end) / sampling_frequency
    return samples[:, :end], (f"the last {seconds:.3g} s are a calibration pulse and were cut off",)
