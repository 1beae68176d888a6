"""The train of beats of a simulated recording: rhythm, premature beats and the pauses after them."""

import math
from dataclasses import dataclass, field

import numpy as np

from ecg.arrays import Array, Rng
from ecg.simulator.diagnoses import Parameters
from ecg.simulator.dipole import Beat, rr_fluctuation

_MARGIN = 2.0  # s simulated before the first and after the last sample
_LAST = 0.4  # s before the end: a premature beat that begins later would not be seen whole


@dataclass(frozen=True)
class Train:
    """Beats from before the first sample to after the last."""

    beats: list[Beat]  # in the order of time
    blocked_p: list[float]  # onsets of premature P waves without a QRS complex after them, s
    fluctuation: tuple[Array, Array]  # times (s) and values of the fluctuation of RR
    dropped_p: list[float] = field(default_factory=list)  # onsets of sinus P waves that are not conducted, s
    lost_spikes: list[float] = field(default_factory=list)  # as of `Parameters`


def beat_train(p: Parameters, rng: Rng, seconds: float) -> Train:
    """The beats of a heart; premature beats that find no room are left out."""
    mean = 60 / p.rate
    fluctuation = rr_fluctuation(rng, seconds, p.respiration, 0.1 if p.rr_range > 0.12 else 0.5)
    onsets = [-_MARGIN - rng.uniform(0, mean)]
    while onsets[-1] < seconds + _MARGIN:
        if p.rhythm == "fibrillation":
            # Independent draws, skewed to the right, with a floor that the refractory AV node sets.
            floor = 0.55 * mean
            shape = ((mean - floor) / p.rr_range) ** 2
            interval = floor + rng.gamma(shape, (mean - floor) / shape)
        elif p.rhythm == "flutter":
            interval = 60 / p.atrial_rate * float(p.block or rng.integers(2, 5))
        else:
            interval = mean + p.rr_range * float(np.interp(onsets[-1], *fluctuation))
        onsets.append(onsets[-1] + interval)

    if p.conduction != "1:1":
        return _with_block(p, rng, onsets, seconds, fluctuation)
    early = _choose_early(p, rng, onsets, seconds)
    coupling = {"atrial": rng.uniform(0.6, 0.78), "ventricular": rng.uniform(0.5, 0.68)}
    train = Train([], [], fluctuation)
    delay = 0.0
    for k, onset in enumerate(onsets):
        if p.captured and k % (p.captured + 1) == p.captured:
            train.lost_spikes.append(onset + delay)
            continue
        train.beats.append(Beat(onset + delay, p.rhythm, p.pr))
        if k not in early:
            continue
        origin, count = early[k]
        interval = mean if p.rhythm == "fibrillation" else onsets[k + 1] - onset
        if origin == "atrial" and p.pr is not None and count == 1 and rng.random() < p.pac_blocked:
            # So early, on the T wave, that the AV node is still refractory.
            ahead = min(p.pr + 0.75 * p.qt, 0.85 * interval)
            time = onset + delay + ahead - p.pr
            if time < seconds - _LAST:
                train.blocked_p.append(time)
                delay += ahead + 1.05 * interval - (onsets[k + 1] - onset)
            continue
        last, ahead = 0.0, 0.0  # of the premature beats, after the beat before them
        for beat in range(count):
            form = _form(p, rng, origin)
            wide = p.pvc_forms[form].qrs if origin == "ventricular" else p.qrs
            repolarised = p.qt + (max(0.0, wide - 0.1) - max(0.0, p.qrs - 0.1) if beat else 0.0) + 0.02
            ahead = last + min(max(coupling[origin] * interval, repolarised), 0.88 * interval)
            time = onset + delay + ahead
            if time >= seconds - _LAST:
                break
            train.beats.append(Beat(time, origin, None if origin == "ventricular" else p.pr, form))
            last = ahead
        if last:
            # An atrial beat resets the sinus node. A ventricular one does not: the pause is compensatory.
            in_step = max(2, math.ceil(last / interval + 0.8)) * interval
            following = last + 1.05 * interval if origin == "atrial" else in_step
            delay += following - (onsets[k + 1] - onset)
    return train


# How much later than the P wave before it each one is conducted, s, in Mobitz I: the steps get smaller.
_WENCKEBACH = (0.0, 0.08, 0.05, 0.03)


def _with_block(
    p: Parameters, rng: Rng, onsets: list[float], seconds: float, fluctuation: tuple[Array, Array]
) -> Train:
    """The beats of a heart whose P waves are not all conducted; `onsets` are those of its ventricular rate."""
    if p.conduction == "none":
        train = Train([Beat(onset, p.rhythm) for onset in onsets], [], fluctuation)
        first = -_MARGIN + rng.uniform(0, 1)
        train.dropped_p.extend(np.arange(first, seconds + _MARGIN, 60 / p.atrial_rate).tolist())
        return train
    train = Train([], [], fluctuation)
    time = onsets[0]
    while time < seconds + _MARGIN:
        n_conducted = {"MobitzI": int(rng.integers(2, 5)), "MobitzII": int(rng.integers(2, 4))}.get(p.conduction, 1)
        pr = p.pr or 0.0
        for k in range(n_conducted + 1):
            if k == n_conducted:
                train.dropped_p.append(time)
            else:
                pr += _WENCKEBACH[k] if p.conduction == "MobitzI" else 0.0
                train.beats.append(Beat(time + pr, p.rhythm, pr))
            time += 60 / p.atrial_rate + p.rr_range * float(np.interp(time, *fluctuation))
    return train


def _form(p: Parameters, rng: Rng, origin: str) -> int:
    if origin == "ventricular":
        return int(rng.integers(len(p.pvc_forms)))
    return int(p.qrs < 0.11 and rng.random() < p.pac_aberrant)


def _choose_early(p: Parameters, rng: Rng, onsets: list[float], seconds: float) -> dict[int, tuple[str, int]]:
    """After which beats premature ones come: where these start, and how many in a row.

    In bigeminy every second beat is premature; otherwise two others lie between, and the places are random.
    """
    length = {"couplets": 2, "runs": 3}.get(p.pattern, 1)
    groups: list[tuple[str, int]] = []
    for origin, count in (("atrial", p.pac), ("ventricular", p.pvc)):
        groups += [(origin, min(length, count - first)) for first in range(0, count, length)]
    if not groups:
        return {}
    n_origins = len(dict(groups))
    last = seconds - _LAST - n_origins * length * 60 / p.rate
    possible = [k for k, onset in enumerate(onsets) if 0 <= onset <= last]  # a pause moves all that follows
    if p.pattern == "bigeminy":
        start = int(rng.integers(max(1, len(possible) - 2 * len(groups) + 1)))
        places = possible[start : start + len(groups)]
    else:
        places = []
        for k in rng.permutation(possible):
            if len(places) < len(groups) and all(abs(k - other) > 1 for other in places):
                places.append(int(k))
    # One of each origin first, or there might be no place left for one of them.
    firsts = [next(group for group in groups if group[0] == origin) for origin in dict(groups)]
    rest = list(groups)
    for group in firsts:
        rest.remove(group)
    order = [firsts[k] for k in rng.permutation(len(firsts))] + [rest[k] for k in rng.permutation(len(rest))]
    return dict(zip(sorted(places), order, strict=False))
