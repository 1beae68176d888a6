"""Onsets, peaks and offsets of P, QRS and T in a median beat, of all leads together and of each lead.

The definitions are those of the CSE working party and of AHA/ACC/HRS 2007 (part I): global intervals run from the
earliest onset to the latest offset in any lead of the simultaneously recorded leads; here from the second earliest to
the second latest, so that one lead does not decide. The network has learned where cardiologists put them, in each lead
and in all leads together. P and T waves are small in many leads and are taken from the latter; the QRS complex, which
shows in every lead, from the former.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg.arrays import Floats32
from ecg.measurements.boundary_network import (
    CENTRE,
    N_SAMPLES,
    RATE,
    allowed,
    boundary_logits,
    cumulated,
    quantile,
    read_boundaries,
)
from ecg.measurements.small_arrays import clip, mean, without_line
from ecg.measurements.types import WaveMarks
from ecg.signal.windows import block_means

Positions = NDArray[np.float64]

# Of P, QRS and T:
_SMALLEST = (0.015, 0.03, 0.03)  # mV, RMS over the leads; a smaller wave is not measured
_SMALLEST_IN_LEAD = (0.02, 0.04, 0.04)  # mV
_SHORTEST = 0.010  # s
_LEAD_BEYOND = 0.012  # s, how far a lead's wave may reach beyond that of all leads
_FEWEST_LEADS = 6  # from which on these tell where the QRS complex of all of them begins and ends
_NEAR = 0.080  # s
_EARLY = 0.305  # quantile of where a lead's QRS onset may be, and counted from the end, of where its offset may be
_VAGUE_T = 0.050  # s between the quartiles of where the T wave may end: it has no end to be seen


@dataclass(frozen=True)
class Boundaries:
    """Where P, QRS and T begin and end, each wave's onset and offset in turn, in samples of the median beat."""

    # `whole`, `spread`: (6,), float64: for all leads together: position, and the distance of the quartiles of where the
    # network sees it.
    whole: Positions
    spread: Positions
    leads: Positions  # (6, n_leads), float64: position in each lead


def boundaries(beat: Floats32, rate: float, rr: float) -> Boundaries:
    """Where the network puts the boundaries.

    `beat`, (n_leads, n_samples), float32, mV: leads with a signal. `rate`: Hz; a multiple of the network's. `rr`: the
    RR interval, s: neighbouring beats are not looked at. NaN where there is none.
    """
    step = round(rate / RATE)
    whole, leads = boundary_logits(block_means(beat, step))
    may_be = allowed()
    if math.isfinite(rr):
        seconds = (np.arange(N_SAMPLES) - CENTRE) / RATE
        may_be[:2] &= seconds > -max(rr - 0.16, 0.1)
        may_be[3] &= seconds < max(rr - 0.2, 0.08)  # a T wave and the onset of the next complex must have room
        may_be[4:] &= seconds < max(rr - 0.06, 0.15)
    below = cumulated(np.concatenate([whole[:, np.newaxis], leads], axis=1), may_be[:, np.newaxis])
    middles, of_whole = quantile(below, 0.5), below[:, 0]
    middle, of_leads, spread = middles[:, 0], middles[:, 1:], quantile(of_whole, 0.75) - quantile(of_whole, 0.25)
    if len(beat) >= _FEWEST_LEADS:
        middle[2:4] = _complex_of_leads(leads[2:4], may_be[2:4], middle[2:4])
    return Boundaries(step * middle, step * spread, step * of_leads)


def _complex_of_leads(leads: Floats32, may_be: NDArray[np.bool_], whole: Positions) -> tuple[float, float]:
    """Onset and offset of the QRS complex of all leads: the second earliest and the second latest of the leads.

    `leads`, (2, n_leads, N_SAMPLES), float32: logits of onset and offset. `may_be`: (2, N_SAMPLES), bool. `whole`,
    (2,), float64: what the network says of all leads together, samples: further away nothing is looked for.
    """
    places = []
    for logits, may, at, share in zip(leads, may_be, whole.tolist(), (_EARLY, 1 - _EARLY), strict=True):
        first, last = max(0, math.floor(at - _NEAR * RATE) + 1), math.ceil(at + _NEAR * RATE)
        near = slice(first, last)
        places.append(first + np.sort(read_boundaries(logits[:, near], may[near], share)))
    return float(places[0][1]), float(places[1][-2])


def delineate(
    beat: Floats32, on: NDArray[np.bool_], rate: float, found: Boundaries, has_p: bool
) -> tuple[WaveMarks, tuple[WaveMarks, ...]]:
    """Marks of all leads together and of each.

    - `beat`: (n_leads, n_samples), float32, mV.
    - `on`, (n_leads,), bool: leads with a signal; the others have no marks.
    - `rate`: Hz.
    - `found`: of the leads that are on.
    - `has_p`: whether there are P waves.
    """
    n_leads = len(beat)
    whole = np.full((3, 3), np.nan)  # P, QRS, T by onset, peak, offset
    leads = np.full((3, 3, n_leads), np.nan)
    beyond, shortest = _LEAD_BEYOND * rate, _SHORTEST * rate
    measured = (has_p, True, found.spread[5] < _VAGUE_T * rate)
    for k in range(3):
        onset, offset = found.whole[2 * k : 2 * k + 2]
        if not (measured[k] and offset - onset > shortest):
            continue
        first, last = max(0, round(onset - beyond)), min(beat.shape[1] - 1, round(offset + beyond))
        at = np.arange(first, last + 1)
        part = beat[on, first : last + 1]

        inside = slice(round(onset) - first, round(offset) - first + 1)
        height = np.abs(without_line(part[:, inside]))
        size = np.sqrt(mean(height**2, axis=0))
        if size.max() < _SMALLEST[k]:
            continue
        whole[k] = onset, at[inside][size.argmax()], offset

        # The same lead by lead: each its own ends, its own line between them, and the largest distance from that.
        onsets, offsets = np.maximum(found.leads[2 * k], first), np.minimum(found.leads[2 * k + 1], last)
        rows = np.arange(len(part))
        from_, to = (clip(np.rint(ends).astype(int) - first, 0, len(at) - 1) for ends in (onsets, offsets))
        share = (at - first - from_[:, np.newaxis]) / np.maximum(to - from_, 1)[:, np.newaxis]
        begin, end = part[rows, from_][:, np.newaxis], part[rows, to][:, np.newaxis]
        height = np.where((share >= 0) & (share <= 1), np.abs(part - begin - share * (end - begin)), 0)
        known = (offsets - onsets > shortest) & (height.max(axis=1) > _SMALLEST_IN_LEAD[k])
        leads[k][:, on] = np.where(known, [onsets, at[height.argmax(axis=1)], offsets], np.nan)
    lead_marks = tuple(WaveMarks(*marks) for marks in leads.reshape(9, n_leads).T.tolist())
    return WaveMarks(*whole.ravel().tolist()), lead_marks
