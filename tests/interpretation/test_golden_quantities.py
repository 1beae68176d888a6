"""What is read off drawn beats, with all its words: QRS waves, numbers of the criteria, warnings, as they were noted.

`python tests/interpretation/test_golden_quantities.py` notes them anew: read what has changed before you commit it.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from ecg.interpretation.quantities import quantities_of, waves_of
from ecg.interpretation.recording_quality import quality_warnings
from ecg.leads import LEADS
from ecg.measurements.types import Amplitudes, Beats, Measurements, MedianBeat, Quality, WaveMarks

GOLDEN = Path(__file__).with_name("golden_quantities.json")
# Left out are those with something so near its limit that the processor decides.
DRAWN = [f"drawn {k}" for k in range(46) if k not in (18, 23)]
# QRS complexes as heights (mV) and lengths (ms) of their waves; some with a notch, a slow start, small or short waves.
SHAPES = {
    "qR": ((-0.15, 20), (1.2, 45), (-0.2, 20)),
    "qR, late": ((-0.1, 25), (0.9, 70)),
    "R": ((0.8, 90),),
    "Rs": ((1.0, 45), (-0.4, 30)),
    "rS": ((0.25, 30), (-1.1, 50)),
    "QS": ((-0.9, 80),),
    "rSR": ((0.2, 25), (-0.5, 30), (0.8, 50)),
    "rSrs": ((0.5, 30), (-0.3, 25), (0.12, 20), (-0.6, 35)),
    "Qr": ((-0.6, 40), (0.3, 30)),
    "notched R": ((0.9, 35), (0.5, 12), (1.0, 40), (-0.06, 20)),
    "slow start": ((0.0, 45), (1.1, 60), (-0.2, 20)),
    "broad R": ((0.7, 55), (-0.3, 25), (0.03, 15)),
    "small": ((0.04, 20), (-0.06, 30), (0.07, 6)),
    "r, wide S": ((0.9, 30), (-0.3, 55)),
}
GROUPS = (("I", "aVL", "V5", "V6"), ("II", "III", "aVF"), ("V1", "V2"), ("V3", "V4"), ("aVR",))


def complex_of(rng, shape, step_ms):
    parts = []
    for height, length in SHAPES[shape]:
        n = max(1, round(length * rng.uniform(0.8, 1.3) / step_ms))
        parts.append(height * rng.uniform(0.6, 1.5) * np.sin(np.pi * (np.arange(n) + 0.5) / n))
    row = np.concatenate(parts)
    if shape == "slow start":
        row += np.interp(np.arange(len(row)), (0, len(parts[0]), len(row)), (0, rng.uniform(0.05, 0.3), 0))
    return row


def drawn(name, scale=1.0):
    """Measurements of a beat that is drawn wave by wave; the other numbers are drawn by themselves."""
    rng = np.random.default_rng([66, int(name.split()[1])])
    rate = float(rng.choice([250, 500, 1000]))
    step_ms, n_samples = 1e3 / rate, int(rate * 0.9)
    onset = round(0.25 * rate)
    signal = rng.normal(0, 0.002, (12, n_samples))
    longest = 0
    for group in GROUPS:
        usual = rng.choice([*SHAPES])
        for lead in group:
            row = complex_of(rng, usual if rng.random() < 0.8 else rng.choice([*SHAPES]), step_ms)
            signal[LEADS.index(lead), onset : onset + len(row)] += row
            longest = max(longest, len(row))
        for lead, start, half in ((each, 0.08, rng.uniform(0.02, 0.06)) for each in group):
            seconds = np.arange(n_samples) / rate - start
            p = np.where((seconds > 0) & (seconds < 2 * half), np.sin(np.pi * seconds / half / 2), 0)
            late = np.where((seconds > half) & (seconds < 2 * half), rng.uniform(-0.2, 0.05), 0)
            signal[LEADS.index(lead)] += rng.uniform(-0.05, 0.3) * p + late
    if rng.random() < 0.2:
        signal[rng.integers(12)] = np.nan
    absent = rng.random(4) < 0.06  # P waves, QRS onset, QRS offset, the beat itself
    waves = WaveMarks(*(rate * np.array([0.08, 0.11, 0.08 + rng.uniform(0.04, 0.12)])), onset, onset + 5.0,
                      onset + longest + rng.integers(-2, 4), 0.5 * rate, 0.6 * rate, 0.7 * rate)  # fmt: skip
    if absent[0]:
        waves = replace(waves, p_onset=np.nan, p_peak=np.nan, p_offset=np.nan)
    if absent[1] or absent[2]:
        waves = replace(waves, **{"qrs_onset" if absent[1] else "qrs_offset": np.nan})
    kinds = tuple(rng.choice(["dominant", "ectopic", "paced"], rng.integers(1, 14), p=rng.choice(
        [(1, 0, 0), (0.7, 0.3, 0), (0.4, 0.1, 0.5)])).tolist())  # fmt: skip
    samples = np.cumsum(rng.choice([0.5, 0.7, 0.8, 0.82, 0.9, 1.3], len(kinds)) * rate).astype(np.int64)

    def mv(low, high):
        row = (rng.uniform(low, high, 12) * scale).astype(np.float32)
        return np.where(rng.random(12) < 0.04, np.float32(np.nan), row)

    def number(low, high):
        return float("nan") if rng.random() < 0.07 else float(rng.uniform(low, high)) * scale

    small, sunk = rng.choice([0.06, 0.2, 1.0, 1.0, 3.0]), rng.choice([0.0, 0.0, 0.2])
    heights = {"q": mv(-0.3, 0), "r": mv(0, 1.6) * small, "s": mv(-1.8, 0) * small, "t": mv(-0.3, 0.5)}
    levels = {"p": mv(-0.1, 0.35), "st_j": mv(-0.12, 0.3) - sunk, "st_60": mv(-0.15, 0.3) - sunk}
    swap = str(rng.choice(["", "", "RA-LA", "RA-LL", "LA-LL", "RA-RL"]))
    leads = [tuple(each for each in LEADS if rng.random() < 0.05) for _ in range(2)]
    quality = Quality(*leads, number(2, 20), number(0, 30), number(0, 400), swap)
    rates = {"heart_rate_bpm": number(30, 180), "rr_sd_ms": number(2, 250), "rmssd_ms": number(2, 250)}
    beat = MedianBeat((signal * scale).astype(np.float32), rate, len(kinds), waves, (waves,) * 12, onset + 5.0)
    return Measurements(
        p_ms=number(40, 140), pr_ms=number(90, 320), qrs_ms=number(60, 190), qt_ms=number(250, 600),
        qtc_bazett_ms=number(330, 560), qtc_fridericia_ms=number(330, 560), p_axis_deg=number(-180, 180),
        qrs_axis_deg=number(-180, 180), t_axis_deg=number(-180, 180), n_beats=len(kinds),
        n_ectopic=kinds.count("ectopic"), has_p_waves=bool(rng.random() < 0.7), **rates,
        amplitudes=Amplitudes(**heights, **levels), quality=quality,
        beats=Beats(samples, kinds, int(rng.integers(4)), int(rng.integers(4))),
        median_beat=None if absent[3] else beat,
    )  # fmt: skip


def found(name, scale=1.0):
    measured, number = drawn(name, scale), int(name.split()[1])
    age = (float("nan"), 30.0, 50.0, 17.9, 39.9, 40.0, 18.0)[number % 7]
    sex = ("Male", "Female", "Unknown")[number % 3]
    quantities = quantities_of(measured, age, sex, ("V1", "V2", "V3") if number % 4 == 3 else ())
    waves = {}
    for lead, each in waves_of(measured).items():
        values = asdict(each)
        there = [wave for wave in ("q", "r", "s", "r2") if values[f"{wave}_mv"] != 0]
        said = [f"{wave} {values[f'{wave}_mv']:.2f}/{values[f'{wave}_ms']:.0f}" for wave in there]
        waves[lead] = ", ".join([*said, f"peak {each.r_peak_ms:.0f}", *["notched"] * each.notched])
    return {
        "waves": waves,
        "numbers": {key: round(float(each.value), 3) for key, each in quantities.items()},
        "words": [
            f"{each.words} [{' '.join(each.leads)}]" if each.leads else each.words for each in quantities.values()
        ],
        "warnings": [": ".join(each) for each in quality_warnings(measured)],
    }


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_read_off_a_beat_is_what_was_noted(name):
    golden, now = json.loads(GOLDEN.read_text())[name], found(name)
    noted = {key: np.nan if value is None else value for key, value in golden["numbers"].items()}
    assert now["numbers"] == pytest.approx(noted, rel=1e-3, abs=0.002, nan_ok=True)
    assert {**now, "numbers": 0} == {**golden, "numbers": 0}


@pytest.mark.parametrize("name", DRAWN[::4])
def test_leads_that_are_left_out_count_for_st_and_t_no_more_and_for_all_else_as_before(name):
    of_st_and_t = {"st_elevation", "st_depression", "t_inversion", "t_low", "coved_v1"}
    plain, without = (quantities_of(drawn(name), 60, "Male", leads) for leads in ((), LEADS))
    for key, each in without.items():
        expected = 0 if key in of_st_and_t else plain[key].value
        assert each.value == pytest.approx(expected, nan_ok=True), key


def as_noted(name):
    now = found(name)
    for scale in (1 - 1e-5, 1 + 1e-5):
        near = found(name, scale)
        if any(near[key] != now[key] for key in ("waves", "words", "warnings")):
            raise ValueError(f"{name}: something so near its limit that the processor decides; draw another")
    return {**now, "numbers": {key: None if np.isnan(each) else each for key, each in now["numbers"].items()}}


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(as_noted(name), ensure_ascii=False)}" for name in DRAWN)
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
