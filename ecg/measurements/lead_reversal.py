"""Limb electrodes that seem exchanged, from the median beat.

When two of the electrodes on the right arm (RA), left arm (LA) and left leg (LL) are exchanged, the limb leads change
places and signs; the chest leads stay as they are, because Wilson's central terminal is the mean of all three. So the
chest leads, which see the same dipole, tell which arrangement of the three electrodes is the right one: the idea of
Kors and van Herpen 2001 (Am J Cardiol 88:396-399), who reconstruct leads from each other. Batchvarov et al. 2007
(Europace 9:1081-1090) review the patterns. An exchange of the right arm and the right leg (RL, the reference) shows
itself by a nearly flat lead II, for then both of its electrodes are on legs. In dextrocardia with electrodes in their
usual places the chest leads turn round with the limb leads, V5 and V6 are mainly negative as lead I is, and nothing is
suspected.
"""

import math
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from ecg.leads import LEADS
from ecg.measurements.small_arrays import without_line
from ecg.measurements.types import MedianBeat

# Each arrangement says which limb's potential the electrodes RA, LA and LL really show, as indices of these.
ARRANGEMENTS: tuple[tuple[int, ...], ...] = tuple(permutations(range(3)))
AS_NAMED = ARRANGEMENTS.index((0, 1, 2))
# Only two electrodes are likely to be exchanged at a time.
EXCHANGES: dict[str, int] = {
    "RA-LA": ARRANGEMENTS.index((1, 0, 2)),
    "RA-LL": ARRANGEMENTS.index((2, 1, 0)),
    "LA-LL": ARRANGEMENTS.index((0, 2, 1)),
}

# Fitted by `ecg benchmark fit-lead-reversal DATA` on PTB-XL folds 1 to 8 (as published, taken for correct).
# Per wave: what lead I and the frontal plane's vertical, (2 II - I) / sqrt(3), are on average in terms of V1..V6.
FROM_CHEST: NDArray[np.float64] = np.array(
    [
        [[-0.509, 0.569, -0.096, -0.113, 0.319, 0.763], [0.443, -0.904, 0.392, 0.785, 0.44, 0.49]],  # P
        [[-0.679, 0.291, 0.055, -0.091, 0.029, 0.371], [0.409, -0.351, 0.109, 0.216, -0.142, 0.399]],  # QRS
        [[-0.469, 0.291, -0.021, -0.08, 0.133, 0.377], [0.221, -0.092, 0.14, 0.049, -0.112, 0.656]],  # ST and T
    ]
)
# Per wave: weights of `features_of`.
WEIGHTS: NDArray[np.float64] = np.array(
    [
        [0.543, 0.072, -0.047, 0.076, -2.425],
        [1.556, -0.204, -0.661, -0.294, -1.425],
        [0.513, 0.192, -0.455, -0.436, -0.951],
    ]
)
# How much more likely, in log odds, than the arrangement as named an exchange must be: 99.85 % of the recordings of
# folds 1 to 8 are below, and 99.95 % for the exchanges with the leg, which change less.
MARGINS: dict[str, float] = {"RA-LA": 0.32, "RA-LL": 0.81, "LA-LL": 6.04}

_SMALL = (0.004, 0.02, 0.02)  # mV, mean over the wave: no direction in what is much less
_FLOOR = 0.03  # share of a wave's energy that no combination of chest leads explains
_FLAT = 0.1  # of the larger of leads I and III, RMS of QRS and T; lead II of 3,864 real recordings has 0.14 or more
_CHEST = [LEADS.index(lead) for lead in ("V1", "V2", "V3", "V4", "V5", "V6")]
_I, _II, _III = (LEADS.index(lead) for lead in ("I", "II", "III"))
_USED = [_I, _II, *_CHEST]
_LIMBS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # RA, LA and LL against RA, in terms of leads I and II


def _frontal_plane(arrangement: tuple[int, ...]) -> NDArray[np.float64]:
    right, left, leg = _LIMBS[list(arrangement)]
    return np.stack([left - right, (2 * leg - left - right) / np.sqrt(3)])


PLANES: NDArray[np.float64] = np.stack([_frontal_plane(arrangement) for arrangement in ARRANGEMENTS])
"""The frontal plane, lateral and vertical, in terms of leads I and II as recorded, shape (6 arrangements, 2, 2)."""
_PLANE_SQUARES = (PLANES.transpose(0, 2, 1) @ PLANES).reshape(-1, 4)


def suspected_swap(median_beat: MedianBeat) -> str:
    """Limb electrodes that seem exchanged.

    `median_beat`: with its global marks. Without a P wave (as in atrial fibrillation) QRS and T decide. Returns
    "RA-LA", "RA-LL", "LA-LL" or "RA-RL"; "" if the electrodes seem to be in their places, a needed lead is missing, or
    the QRS complex has no marks.
    """
    marks = median_beat.marks
    if not np.isfinite(marks.qrs_onset + marks.qrs_offset):
        return ""
    end = marks.t_offset if np.isfinite(marks.t_offset) else marks.qrs_offset
    i, iii = median_beat.signal[[_I, _III], round(marks.qrs_onset) : round(end) + 1]
    energies = [np.square(lead).sum() for lead in (i + iii, i, iii)]  # I + III = II, which may be missing
    if energies[0] < _FLAT**2 * max(energies[1:]):
        return "RA-RL"
    features = features_of(median_beat)
    if features is None:
        return ""
    scores = np.einsum("awf,wf->a", features, WEIGHTS)
    margins = {name: scores[k] - scores[AS_NAMED] - MARGINS[name] for name, k in EXCHANGES.items()}
    name = max(margins, key=lambda exchange: margins[exchange])
    # The vertical half of the estimate from the chest leads fails in a mirrored heart, which an exchange with the leg
    # may then fit better.
    if margins[name] <= 0 or (name != "RA-LA" and _looks_mirrored(median_beat)):
        return ""
    return name


def _looks_mirrored(median_beat: MedianBeat) -> bool:
    """Whether QRS is mainly negative in leads I, V5 and V6 alike: no exchange of limb electrodes does that."""
    onset, offset = round(median_beat.marks.qrs_onset), round(median_beat.marks.qrs_offset)
    lateral = median_beat.signal[[_I, *_CHEST[-2:]], onset : offset + 1]
    return bool((lateral.sum(axis=1) < 0).all())


def features_of(median_beat: MedianBeat) -> NDArray[np.float64] | None:
    """What the frontal plane would look like in each arrangement of the electrodes, and how well the chest leads fit.

    Returns (6, 3, 5): per arrangement and wave (P, QRS, ST and T): cosine and sine of the axis of the net area, and of
    twice that axis, all smaller where there is little area; and the logarithm of the share of the wave's energy that
    its estimate from the chest leads (`FROM_CHEST`) leaves unexplained. All 0 for a wave that is not there. None where
    leads or the marks of QRS are missing.
    """
    moments = moments_of(median_beat)
    if moments is None:
        return None
    sums, squares, lengths = moments
    frontal = (PLANES[:, np.newaxis] @ sums[:, :2, np.newaxis])[..., 0]
    sizes = np.hypot(frontal[..., 0], frontal[..., 1]) + np.array(_SMALL) * lengths
    cosine, sine = np.moveaxis(frontal / np.maximum(sizes, 1e-9)[..., np.newaxis], -1, 0)
    # Squares of what the estimate leaves over, multiplied out.
    energy = _PLANE_SQUARES @ squares[:, :2, :2].reshape(3, 4).T
    common = PLANES.reshape(-1, 4) @ (FROM_CHEST @ squares[:, 2:, :2]).reshape(3, 4).T
    estimated = (FROM_CHEST @ squares[:, 2:, 2:] * FROM_CHEST).sum(axis=(1, 2))
    left_over = np.maximum(energy - 2 * common + estimated, 0)
    unexplained = np.log(left_over / np.maximum(energy, 1e-9) + _FLOOR)
    features = np.stack([cosine, sine, cosine**2 - sine**2, 2 * cosine * sine, unexplained], axis=2)
    return np.where(lengths[:, np.newaxis] > 0, features, 0)


def moments_of(
    median_beat: MedianBeat,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]] | None:
    """Sums (3, 8) and sums of products (3, 8, 8) of leads I, II, V1..V6 over P, QRS, and ST with T; their lengths (3,).

    In mV and samples; all 0 for a wave that is not there. None where leads or the marks of QRS are missing.
    """
    signal, marks = median_beat.signal[_USED].astype(np.float64), median_beat.marks
    if not np.isfinite(signal).all() or not math.isfinite(marks.qrs_onset + marks.qrs_offset):
        return None
    sums, squares, lengths = np.zeros((3, 8)), np.zeros((3, 8, 8)), np.zeros(3, dtype=np.int64)
    bounds = ((marks.p_onset, marks.p_offset), (marks.qrs_onset, marks.qrs_offset), (marks.qrs_offset, marks.t_offset))
    for k, (onset, offset) in enumerate(bounds):
        if not offset - onset >= 4:  # NaN also
            continue
        part = signal[:, max(0, round(onset)) : round(offset) + 1]
        if k == 0:  # P lies on its own base line
            part = without_line(part)
        sums[k], squares[k], lengths[k] = part.sum(axis=1), part @ part.T, part.shape[1]
    return sums, squares, lengths
