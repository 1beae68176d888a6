"""What a loose electrode adds to the leads, and which beats it disturbs.

A voltage that arises at one electrode reaches the leads in fixed proportions, for the recorder subtracts electrodes
from each other (Kligfield et al. 2007, J Am Coll Cardiol 49:1109-1127): that of a chest electrode is in one lead alone,
that of an arm or leg in most leads. The heart's own voltages have no such fixed proportions.
"""

import numpy as np
from numpy.typing import NDArray

from ecg.arrays import Signal
from ecg.leads import twelve_leads
from ecg.measurements.small_arrays import mean, median
from ecg.signal.windows import block_means

# I, II and V1..V6 of 1 mV at the right arm, the left arm and the left leg; Wilson's central terminal is their mean.
_INDEPENDENT = np.array([[-1, -1, *[-1 / 3] * 6], [1, 0, *[-1 / 3] * 6], [0, 1, *[-1 / 3] * 6]])
LIMB_FAULTS = twelve_leads(_INDEPENDENT.T).T.astype(np.float32)
"""What 1 mV at the right arm, the left arm or the left leg adds to the leads, shape (3, 12), mV."""

_FEWEST_LEADS = 7  # the limb leads have only two dimensions, of which a fault takes one
_BEFORE, _AFTER = 0.30, 0.44  # s around the largest deflection: from P to T
_BLOCK = 0.02  # s
_CALM = 0.1  # mV, RMS change that is never a fault
_MORE = 2.0  # times as much as the lead usually changes
_OTHERS = 0.3  # quantile over the leads: so many are not reached by a single fault
_SPARED = 3  # leads, and beats: fewer say nothing


def limb_faults(on: NDArray[np.bool_]) -> Signal | None:
    """`LIMB_FAULTS` in the leads that are on; None for leads too few to tell a fault from the heart."""
    return LIMB_FAULTS[:, on] if np.count_nonzero(on) >= _FEWEST_LEADS else None


def disturbed_leads(signal: Signal, rate: float, beats: NDArray[np.int64], on: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which leads are disturbed in which beats, (n_leads, n_beats): they change much more than usual, others don't.

    Where several chest leads do it is the heart's doing, as in a beat from elsewhere.

    `signal`: (n_leads, n_samples), float32, mV. `rate`: Hz. `beats`, (n_beats,), int64: samples of the largest
    deflections. `on`, (12,), bool: which leads these are.
    """
    length = round(_BLOCK * rate)
    power = np.square(np.diff(block_means(signal, length), axis=1, append=0))
    power[:, -1:] = 0
    around = np.arange(round(-_BEFORE * rate / length), round(_AFTER * rate / length) + 1)
    size = np.sqrt(mean(power.take(beats[:, np.newaxis] // length + around, axis=1, mode="clip")))
    if len(signal) < _FEWEST_LEADS or len(beats) < _SPARED:
        return np.zeros(size.shape, dtype=bool)
    usual = median(size)[:, np.newaxis]
    more = size / (usual + 1e-3)
    others = np.maximum(np.sort(more, axis=0)[int(_OTHERS * len(more))], 1)
    found: NDArray[np.bool_] = (more > _MORE * others) & (size > usual + _CALM)
    n_limb = np.count_nonzero(on[:6])
    return found & (np.count_nonzero(~found, axis=0) >= _SPARED) & (np.count_nonzero(found[n_limb:], axis=0) <= 1)


def flattened(signal: Signal, rate: float, beats: NDArray[np.int64], disturbed: NDArray[np.bool_]) -> Signal:
    """The signal with each lead at 0 around the beats in which it is disturbed."""
    calm = signal.copy()
    for lead, beat in np.argwhere(disturbed):
        first, last = beats[beat] - round(_BEFORE * rate), beats[beat] + round(_AFTER * rate)
        calm[lead, max(0, first) : last + 1] = 0
    return calm
