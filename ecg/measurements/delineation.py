"""Onsets, peaks and offsets of P, QRS and T in a median beat, of all leads together and of each lead.

The definitions are those of the CSE working party and of AHA/ACC/HRS 2007 (part I): global intervals run from the
earliest onset to the latest offset in any lead of the simultaneously recorded leads. The network has learned where
cardiologists put them, the second earliest and second latest so that one lead does not decide.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ecg.measurements.boundary_network import CENTRE, N_SAMPLES, RATE, allowed, boundary_logits, read_boundaries
from ecg.measurements.types import WaveMarks

Floats = NDArray[np.float32]
Positions = NDArray[np.float64]

_SMALLEST = {"p": 0.015, "qrs": 0.03, "t": 0.03}  # mV, spatial (RMS over the leads); a smaller wave is not measured
_SMALLEST_IN_LEAD = {"p": 0.02, "qrs": 0.04, "t": 0.04}  # mV
_LEAD_BEYOND = 0.012  # s, how far a lead's wave may reach beyond that of all leads
_VAGUE_T = 0.080  # s between the quartiles of where the T wave may end: it has no end to be seen
_WAVES = ("p", "qrs", "t")


def boundaries(beat: Floats, rate: float, rr: float) -> tuple[Positions, Positions, Positions, Positions]:
    """Where the network puts the boundaries.

    Parameters
    ----------
    beat : ndarray, shape (n_leads, n_samples), float32, mV
        Leads with a signal.
    rate : float
        Hz; an even multiple of the network's.
    rr : float
        The RR interval, s: neighbouring beats are not looked at. NaN where there is none.

    Returns
    -------
    whole, spread : ndarray, shape (6,), float64
        For all leads together, samples of `beat`: position, and distance of the quartiles of where it may be.
    leads, lead_spread : ndarray, shape (6, n_leads), float64
        For each lead.
    """
    step = round(rate / RATE)
    coarse = beat[:, : N_SAMPLES * step].reshape(len(beat), N_SAMPLES, step).mean(axis=2)
    whole, leads = boundary_logits(coarse)
    may_be = allowed()
    if math.isfinite(rr):
        seconds = (np.arange(N_SAMPLES) - CENTRE) / RATE
        may_be[:2] &= seconds > -max(rr - 0.16, 0.1)
        may_be[4:] &= seconds < max(rr - 0.06, 0.15)
    position, spread = read_boundaries(whole, may_be)
    lead_position, lead_spread = read_boundaries(leads, may_be[:, np.newaxis])
    return step * position, step * spread, step * lead_position, step * lead_spread


def delineate(
    beat: Floats, on: NDArray[np.bool_], rate: float, found: tuple[Positions, ...], has_p: bool
) -> tuple[WaveMarks, tuple[WaveMarks, ...]]:
    """Marks of all leads together and of each.

    Parameters
    ----------
    beat : ndarray, shape (n_leads, n_samples), float32, mV
    on : ndarray, shape (n_leads,), bool
        Leads with a signal; the others have no marks.
    rate : float
        Hz.
    found : tuple
        What `boundaries` gave for the leads that are on.
    has_p : bool
        Whether there are P waves.
    """
    whole, spread, of_leads, _ = found
    size = np.sqrt((beat[on] ** 2).mean(axis=0))
    marks: dict[str, float] = {}
    measured = {"p": has_p, "qrs": True, "t": spread[5] < _VAGUE_T * rate}
    for wave, name in enumerate(_WAVES):
        onset, offset = whole[2 * wave], whole[2 * wave + 1]
        peak = math.nan
        if measured[name] and offset - onset > 0.01 * rate:
            first, last = max(0, round(onset)), min(beat.shape[1] - 1, round(offset))
            part = beat[on, first : last + 1]
            size = np.sqrt(((part - _line(part)) ** 2).mean(axis=0))
            if size.max() > _SMALLEST[name]:
                peak = float(first + size.argmax())
        known = math.isfinite(peak)
        marks |= {f"{name}_onset": float(onset) if known else math.nan, f"{name}_peak": peak}
        marks[f"{name}_offset"] = float(offset) if known else math.nan
    together = WaveMarks(**marks)

    lead_marks = []
    row = 0
    for lead in range(len(beat)):
        of_lead = dict.fromkeys(marks, math.nan)
        if on[lead]:
            for wave, name in enumerate(_WAVES):
                beyond = _LEAD_BEYOND * rate
                onset = max(of_leads[2 * wave, row], marks[f"{name}_onset"] - beyond)
                offset = min(of_leads[2 * wave + 1, row], marks[f"{name}_offset"] + beyond)
                if offset - onset > 0.01 * rate:  # False for NaN
                    first, last = max(0, round(onset)), min(beat.shape[1] - 1, round(offset))
                    part = beat[lead : lead + 1, first : last + 1]
                    height = np.abs(part - _line(part))[0]
                    if height.max() > _SMALLEST_IN_LEAD[name]:
                        of_lead[f"{name}_onset"], of_lead[f"{name}_offset"] = float(onset), float(offset)
                        of_lead[f"{name}_peak"] = float(first + height.argmax())
            row += 1
        lead_marks.append(WaveMarks(**of_lead))
    return together, tuple(lead_marks)


def _line(part: Floats) -> Floats:
    """The straight line between the ends of each row."""
    return np.linspace(part[:, 0], part[:, -1], part.shape[1], axis=1)
