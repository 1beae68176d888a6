"""What happens at the bedside: the measurements are those without it, or there are none."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ecg.leads import LEADS, twelve_leads
from ecg.measurements import measure
from ecg.measurements.features import features_of
from ecg.measurements.loose_electrodes import LIMB_FAULTS, disturbed_leads, flattened
from ecg.simulator.diagnoses import Parameters
from ecg.simulator.dipole import leads_of_electrodes
from ecg.simulator.noise import Noise
from ecg.simulator.simulate import record
from ecg.studies.disturbed_measurements import DISTURBANCES

RATE = 500.0
HEALTHY = Parameters(50, "Male", respiration=0.25)
INTERVALS = ("p_ms", "pr_ms", "qrs_ms", "qt_ms")
INDEPENDENT = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]


@cache
def clean():
    made = record(HEALTHY, np.random.default_rng(0), RATE, 10, Noise(wander=0.04, muscle=0.006))
    signal = made.signal.astype(np.float32)
    return signal, measure(signal, RATE)


def alike(found, expected, milliseconds, degrees):
    for name in INTERVALS:
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=milliseconds), name
    for name in ("qrs_axis_deg", "t_axis_deg"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=degrees), name
    assert found.heart_rate_bpm == pytest.approx(expected.heart_rate_bpm, abs=0.3)
    assert found.n_ectopic == expected.n_ectopic


@pytest.mark.parametrize("hertz", [49.8, 50.0, 60.0])
@pytest.mark.parametrize("millivolts", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("leads", ["all", "V3", "RA"])
def test_mains_changes_nothing_that_is_measured(hertz, millivolts, leads):
    signal, expected = clean()
    hum = (millivolts * np.sin(2 * np.pi * hertz * np.arange(signal.shape[1]) / RATE + 1)).astype(np.float32)
    if leads == "all":
        disturbed = twelve_leads(signal[INDEPENDENT] + hum)
    elif leads == "RA":
        disturbed = signal + LIMB_FAULTS[0][:, np.newaxis] * hum
    else:
        disturbed = signal.copy()
        disturbed[LEADS.index(leads)] += hum
    found = measure(disturbed, RATE)
    alike(found, expected, 5, 3)
    np.testing.assert_allclose(found.amplitudes.r, expected.amplitudes.r, atol=0.05)
    assert set(found.quality.mains_in) >= {"V3" if leads == "V3" else "II"}
    if leads == "V3":
        assert found.quality.mains_in == ("V3",)
    else:
        assert found.quality.mains_uv == pytest.approx(1e3 * millivolts, rel=0.7)


def test_without_mains_nothing_is_filtered():
    assert clean()[1].quality.mains_in == ()


@pytest.mark.parametrize("name", [name for name in DISTURBANCES if "mains" not in name and "alone" not in name])
def test_disturbances_change_little(name):
    signal, expected = clean()
    found = measure(DISTURBANCES[name](signal, RATE, np.random.default_rng(3)), RATE)
    if name == "limb leads zero":
        assert math.isnan(found.qrs_axis_deg) and math.isnan(found.t_axis_deg)
        assert found.pr_ms == pytest.approx(expected.pr_ms, abs=10)
    elif name == "loose right arm: bursts":  # reaches all leads but one
        alike(replace(found, n_ectopic=0), expected, 8, 6)
    else:
        alike(found, expected, 8, 6)


def test_a_loose_arm_is_a_fault_of_fixed_proportions():
    for electrode in range(3):
        made = leads_of_electrodes(np.eye(9)[:, electrode : electrode + 1])[:, 0]
        np.testing.assert_allclose(LIMB_FAULTS[electrode], made, atol=1e-6)


@pytest.mark.parametrize("others", [np.nan, 0.0])
def test_one_lead_tells_what_one_lead_can(others):
    signal, expected = clean()
    alone = np.full_like(signal, others)
    alone[1] = signal[1]
    found = measure(alone, RATE)
    assert found.heart_rate_bpm == pytest.approx(expected.heart_rate_bpm, abs=0.3)
    for name in ("pr_ms", "qrs_ms", "qt_ms"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=25), name
    assert all(math.isnan(angle) for angle in (found.p_axis_deg, found.qrs_axis_deg, found.t_axis_deg))
    for name in ("p", "q", "r", "s", "t", "st_j", "st_60"):
        values = getattr(found.amplitudes, name)
        assert np.isfinite(values[1]) and np.isnan(np.delete(values, 1)).all(), name
    assert found.quality.leads_off == tuple(lead for lead in LEADS if lead != "II")
    assert found.quality.suspected_swap == ""


def _beats(times, seconds):
    """A plain beat at each time, (12, n) at 500 Hz."""
    at = np.arange(round(seconds * RATE)) / RATE
    lead = sum(
        np.exp(-0.5 * ((at - t) / 0.012) ** 2) + 0.2 * np.exp(-0.5 * ((at - t - 0.28) / 0.04) ** 2) for t in times
    )
    return np.outer(np.linspace(0.4, 1.2, 12), lead).astype(np.float32)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("count", [12, 13])
def test_the_rate_of_a_bigeminy_is_the_mean_rate_wherever_it_is_cut(first, count):
    intervals = [(0.5, 1.1)[(first + k) % 2] for k in range(count - 1)]
    times = 0.4 + np.concatenate([[0], np.cumsum(intervals)])
    found = measure(_beats(times, times[-1] + 0.6), RATE)
    assert found.n_beats == count
    assert found.heart_rate_bpm == pytest.approx(75, abs=0.3)


def test_a_gap_in_the_recording_is_no_pause():
    times = 0.4 + 0.8 * np.arange(12)
    signal = _beats(times, 10)
    signal[:, round(3.0 * RATE) : round(5.4 * RATE)] = np.nan
    found = measure(signal, RATE)
    assert found.heart_rate_bpm == pytest.approx(75, abs=0.3)
    assert found.rr_sd_ms < 5


@pytest.mark.parametrize("pr", [None, 0.16])
def test_no_pr_where_the_ventricles_are_paced(pr):
    paced = replace(HEALTHY, rhythm="paced", pr=pr, qrs_shape="RV", qrs=0.15, qtc=0.45, spike=1.5)
    found = measure(record(paced, np.random.default_rng(0), RATE).signal.astype(np.float32), RATE)
    assert set(found.beats.kinds) == {"paced"}
    assert math.isnan(found.pr_ms)
    assert math.isfinite(found.qrs_ms)


def test_the_networks_see_the_same_measurements():
    signal, expected = clean()
    hum = 0.3 * np.sin(2 * np.pi * 50 * np.arange(signal.shape[1]) / RATE).astype(np.float32)
    found, wanted = features_of(measure(signal + hum, RATE)), features_of(expected)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    assert np.isclose(found, wanted, rtol=0.05, atol=0.03, equal_nan=True).mean() > 0.97


@pytest.mark.parametrize("off", [(), (0, 2)])
@pytest.mark.parametrize(("moved", "found"), [((6,), True), ((6, 7), False), ((11,), True)])
def test_one_chest_lead_that_jumps_is_disturbed_and_two_are_the_hearts_doing(off, moved, found):
    rate, beats = 250.0, 200 + 220 * np.arange(6)
    signal = np.random.default_rng(0).normal(0, 0.01, (12, 1600)).astype(np.float32)
    for beat in beats:
        signal[:, beat - 3 : beat + 4] += 1
    for lead in moved:
        signal[lead, beats[3] + 20 : beats[3] + 60] += 3
    on = np.ones(12, dtype=bool)
    on[list(off)] = False
    disturbed = np.zeros((12, 6), dtype=bool)
    disturbed[on] = disturbed_leads(signal[on], rate, beats, on)
    expected = np.zeros((12, 6), dtype=bool)
    expected[list(moved), 3] = found
    np.testing.assert_array_equal(disturbed, expected)


@pytest.mark.parametrize(
    ("n_leads", "n_beats", "found"), [(12, 3, True), (12, 2, False), (7, 4, True), (6, 4, False), (7, 3, True)]
)
def test_three_beats_of_seven_leads_tell_which_lead_is_disturbed(n_leads, n_beats, found):
    beats = 200 + 220 * np.arange(n_beats)
    signal = np.random.default_rng(0).normal(0, 0.01, (n_leads, 220 * n_beats + 300)).astype(np.float32)
    signal[-1, beats[1] + 20 : beats[1] + 60] += 3
    on = np.arange(12) >= 12 - n_leads
    disturbed = disturbed_leads(signal, 250.0, beats, on)
    assert disturbed.shape == (n_leads, n_beats)
    assert np.argwhere(disturbed).tolist() == ([[n_leads - 1, 1]] if found else [])


@pytest.mark.parametrize(("after", "found"), [(-85, False), (-70, True), (100, True), (124, False)])
def test_a_beat_is_looked_at_from_0_3_s_before_to_0_44_s_after_its_largest_deflection(after, found):
    beats = 200 + 220 * np.arange(6)  # at 250 Hz
    signal = np.random.default_rng(0).normal(0, 0.01, (12, 1600)).astype(np.float32)
    signal[6, beats[3] + after : beats[3] + after + 8] += 3
    disturbed = disturbed_leads(signal, 250.0, beats, np.ones(12, dtype=bool))
    assert np.argwhere(disturbed).tolist() == ([[6, 3]] if found else [])


@pytest.mark.parametrize("beat", [0, 20, 500, 990, 999])
def test_a_disturbed_lead_is_flat_around_its_beat_also_at_an_end(beat):
    signal = np.ones((3, 1000), np.float32)
    disturbed = np.array([[False], [True], [False]])
    calm = flattened(signal, 250.0, np.array([beat]), disturbed)
    assert calm[1, beat] == 0 and (calm[[0, 2]] == 1).all() and (signal == 1).all()
    zeros = np.flatnonzero(calm[1] == 0)
    whole = np.arange(beat - 75, beat + 111)  # from 0.3 s before to 0.44 s after
    np.testing.assert_array_equal(zeros, whole[(whole >= 0) & (whole < 1000)])
