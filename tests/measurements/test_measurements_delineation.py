"""Boundaries of P, QRS and T in median beats."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ecg.measurements import delineation
from ecg.measurements.atrial_waves import periodic_waves
from ecg.measurements.boundary_network import (
    CENTRE,
    N_SAMPLES,
    RATE,
    allowed,
    boundary_logits,
    network_input,
    parameters,
    read_boundaries,
)
from ecg.measurements.delineation import Boundaries, boundaries, delineate
from ecg.measurements.p_waves import evidence, probability
from ecg.training.fit_measurements import BoundaryNetwork, Example, with_leads

FINE = 500.0
ON = np.ones(12, dtype=bool)


def _beat(seed=0):
    """A drawn beat at 500 Hz with P at -100 to -60 samples from the middle, QRS at -25 to 20, T at 60 to 160."""
    t = np.arange(2 * N_SAMPLES) - 2 * CENTRE
    rng = np.random.default_rng(seed)
    beat = 0.15 * rng.uniform(0.5, 1, (12, 1)) * np.interp(t, [-100, -80, -60], [0, 1, 0])
    beat = beat + rng.uniform(0.8, 1.5, (12, 1)) * np.interp(t, [-25, 0, 20], [0, 1, 0])
    beat = beat + 0.3 * rng.uniform(0.5, 1, (12, 1)) * np.interp(t, [60, 120, 160], [0, 1, 0])
    return beat.astype(np.float32)


def _found(whole, spread=2.0):
    whole = np.array(whole, dtype=np.float64) + 2 * CENTRE
    return Boundaries(whole, np.full(6, spread), np.repeat(whole[:, np.newaxis], 12, axis=1))


DRAWN = _found([-100, -60, -25, 20, 60, 160])


def test_numpy_computes_what_torch_trained():
    network = BoundaryNetwork()
    fitted = {name: torch.from_numpy(values.copy()) for name, values in parameters().items() if "p_waves" not in name}
    network.load_state_dict(fitted)
    beat = np.random.default_rng(0).normal(0, 0.3, (12, N_SAMPLES)).astype(np.float32)
    with torch.no_grad():
        expected = network.eval()(
            torch.from_numpy(network_input(beat).swapaxes(0, 1))[None], torch.ones(1, 12, dtype=torch.bool)
        )
    for found, of_torch in zip(boundary_logits(beat), expected, strict=True):
        np.testing.assert_allclose(found, of_torch[0].numpy(), atol=2e-4)


def test_the_order_of_the_leads_does_not_matter():
    beat = _beat()
    whole, leads = boundary_logits(beat[:, ::2])
    order = np.random.default_rng(1).permutation(12)
    whole_2, leads_2 = boundary_logits(beat[order, ::2])
    np.testing.assert_allclose(whole_2, whole, atol=1e-3)
    np.testing.assert_allclose(leads_2, leads[:, order], atol=1e-3)


def test_a_boundary_is_the_median_of_its_distribution():
    everywhere = np.ones(N_SAMPLES, dtype=bool)
    certain = np.full(N_SAMPLES, -50.0)
    certain[70] = 0
    assert read_boundaries(certain, everywhere) == pytest.approx(70)
    two = np.full(N_SAMPLES, -50.0)
    two[[40, 41]] = 0
    assert read_boundaries(two, everywhere) == pytest.approx(40.5)
    within = everywhere.copy()
    within[:100] = False
    first, middle, third = (read_boundaries(np.zeros((2, N_SAMPLES)), within, share) for share in (0.25, 0.5, 0.75))
    np.testing.assert_allclose(middle, (100 + N_SAMPLES - 1) / 2)
    np.testing.assert_allclose(third - first, (N_SAMPLES - 100) / 2)


def test_boundaries_of_a_drawn_beat():
    found = boundaries(_beat(), FINE, 0.9)
    for k, expected in enumerate((-100, -60, -25, 20, 60, 160)):
        if k != 4:  # where T begins is a matter of taste
            assert abs(found.whole[k] - 2 * CENTRE - expected) < 0.02 * FINE


def _certain(at):
    """Logits of boundaries that are known to the sample, at (...) from the middle."""
    return np.where(np.arange(N_SAMPLES) == CENTRE + np.asarray(at)[..., np.newaxis], 0.0, -50.0).astype(np.float32)


@pytest.mark.parametrize("n_leads", [5, 6, 8, 12])
def test_the_complex_of_all_leads_goes_from_the_second_earliest_onset_to_the_second_latest_offset(n_leads, monkeypatch):
    whole = np.array([-60, -40, -15, 12, 40, 80])
    rng = np.random.default_rng(n_leads)
    leads = np.repeat(whole[:, np.newaxis], n_leads, axis=1)
    leads[2], leads[3] = rng.integers(-25, -5, n_leads), rng.integers(5, 25, n_leads)
    monkeypatch.setattr(delineation, "boundary_logits", lambda beat: (_certain(whole), _certain(leads)))
    found = boundaries(np.zeros((n_leads, 2 * N_SAMPLES), np.float32), FINE, 0.9)
    expected = whole.copy()
    if n_leads >= 6:  # of fewer leads the network itself is asked about all of them
        expected[2:4] = sorted(leads[2])[1], sorted(leads[3])[-2]
    np.testing.assert_allclose(found.whole / 2 - CENTRE, expected, atol=0.5)
    np.testing.assert_allclose(found.leads / 2 - CENTRE, leads, atol=0.5)


def test_what_leads_say_far_from_the_complex_of_all_of_them_does_not_count(monkeypatch):
    whole = np.array([-60, -40, -15, 12, 40, 80])
    leads = _certain(np.repeat(whole[:, np.newaxis], 12, axis=1))
    leads[2, :3, CENTRE - 41] = 9  # 104 ms before: most likely for three leads, a P wave for instance
    monkeypatch.setattr(delineation, "boundary_logits", lambda beat: (_certain(whole), leads))
    found = boundaries(np.zeros((12, 2 * N_SAMPLES), np.float32), FINE, 0.9)
    np.testing.assert_allclose(found.whole[2:4] / 2 - CENTRE, whole[2:4], atol=0.5)


def test_simulated_leads_have_boundaries_half_as_far_inside_as_real_ones():
    nowhere, on = np.zeros((2, 12, N_SAMPLES), np.float32), ON.copy()
    on[3] = False
    whole = np.arange(12.0).reshape(2, 6)
    inside = np.array([3.0, -3.0, 2.0, -2.0, 1.0, -1.0])
    real = Example(nowhere, whole, whole[:, np.newaxis] + inside * np.arange(12)[:, np.newaxis], ON)
    real.leads[0, 5] = np.nan  # marked in the other beat
    simulated = Example(nowhere, whole + 7, np.full((2, 12, 6), np.nan), on)
    (found,) = with_leads([simulated], [real])
    expected = whole[:, np.newaxis] + 7 + 0.5 * inside * np.arange(12)[:, np.newaxis]
    np.testing.assert_allclose(found.leads[:, on], expected[:, on])
    assert np.isnan(found.leads[:, 3]).all() and found.beats is nowhere


def test_the_next_beat_is_not_looked_at():
    found = boundaries(_beat(), FINE, 0.3)
    assert found.whole[5] - 2 * CENTRE <= 0.25 * FINE
    assert found.whole[0] - 2 * CENTRE >= -0.15 * FINE


def test_a_complex_leaves_room_for_the_t_wave_before_the_next_one():
    t = np.arange(2 * N_SAMPLES) - 2 * CENTRE
    wide = np.tile(np.interp(t, [-40, 0, 90], [0, 1, 0]), (12, 1)).astype(np.float32)
    offset, at_200_per_minute = (boundaries(wide, FINE, rr).whole[3] - 2 * CENTRE for rr in (0.9, 0.3))
    assert offset > 0.12 * FINE and at_200_per_minute <= 0.1 * FINE


def test_marks_and_peaks():
    marks, leads = delineate(_beat(), ON, FINE, DRAWN, has_p=True)
    middle = 2 * CENTRE
    for of in (marks, *leads):
        assert (of.p_onset, of.p_peak, of.p_offset) == (middle - 100, middle - 80, middle - 60)
        assert (of.qrs_onset, of.qrs_peak, of.qrs_offset) == (middle - 25, middle, middle + 20)
        assert (of.t_onset, of.t_peak, of.t_offset) == (middle + 60, middle + 120, middle + 160)
    assert len(leads) == 12


def test_no_p_where_there_is_none():
    marks, leads = delineate(_beat(), ON, FINE, DRAWN, has_p=False)
    assert all(math.isnan(of.p_onset) and math.isnan(of.p_peak) and math.isnan(of.p_offset) for of in (marks, *leads))
    assert math.isfinite(marks.qrs_onset)


def test_no_t_end_where_it_is_flat_or_vague():
    beat = _beat()
    beat[:, 2 * CENTRE + 40 :] = 0
    assert math.isnan(delineate(beat, ON, FINE, DRAWN, has_p=True)[0].t_offset)
    vague = _found([-100, -60, -25, 20, 60, 160], spread=60.0)
    assert math.isnan(delineate(_beat(), ON, FINE, vague, has_p=True)[0].t_offset)


@pytest.mark.parametrize("k", range(6))
def test_only_a_vague_end_leaves_the_t_wave_out(k):
    spread = np.full(6, 2.0)
    spread[k] = 60
    t_offset = delineate(_beat(), ON, FINE, replace(DRAWN, spread=spread), has_p=True)[0].t_offset
    assert math.isnan(t_offset) == (k == 5)


def test_a_lead_without_the_wave_has_no_marks_of_it():
    beat = _beat()
    beat[4, : 2 * CENTRE - 50] = 0
    marks, leads = delineate(beat, ON, FINE, DRAWN, has_p=True)
    assert math.isnan(leads[4].p_onset) and math.isfinite(leads[4].qrs_onset) and math.isfinite(leads[3].p_onset)
    assert math.isfinite(marks.p_onset)


def test_leads_that_are_off_have_no_marks():
    on = ON.copy()
    on[2] = False
    beat = _beat()
    beat[2] = np.nan
    marks, leads = delineate(beat, on, FINE, boundaries(beat[on], FINE, 0.9), has_p=True)
    assert math.isnan(leads[2].qrs_onset) and math.isfinite(leads[3].qrs_onset) and math.isfinite(marks.qrs_onset)


def test_each_boundary_is_looked_for_somewhere():
    assert allowed().shape == (6, N_SAMPLES) and allowed().any(axis=1).all()
    assert RATE * 0.448 == CENTRE


def _evidence(signal, beats, spread):
    """Of waves 55 to 105 samples before the beats."""
    signal, marks = signal.astype(np.float32), np.array([-105.0, -55, -25, 20, 60, 160])
    periodic = periodic_waves(signal, FINE, beats, marks)
    return evidence(signal, FINE, beats, marks, np.full(2, spread), np.diff(beats) / FINE, periodic)


def test_all_parts_of_a_long_recording_tell_how_much_p_waves_vary():
    signal, beats = np.random.default_rng(0).normal(0, 0.005, (12, 30_000)), np.arange(300, 30_000, 250)
    for number, beat in enumerate(beats):
        if number == len(beats) // 2:
            half = signal.copy()
        signal[:, beat - 110 : beat - 50] += 0.12 * np.exp(-0.5 * ((np.arange(60) - 30) / 10) ** 2)
    in_all, in_the_first_half = (_evidence(each, beats, spread=4.0)[1] for each in (signal, half))
    assert in_all < -3 and in_the_first_half > -0.5


def test_waves_that_repeat_are_p_waves_and_those_that_do_not_are_none():
    noise = np.random.default_rng(0).normal(0, 0.005, (12, 5000))
    beats, with_p = np.arange(300, 5000, 400), noise.copy()
    for beat in beats:
        with_p[:, beat - 110 : beat - 50] += 0.12 * np.exp(-0.5 * ((np.arange(60) - 30) / 10) ** 2)
    assert probability(_evidence(with_p, beats, spread=4.0)) > 0.9
    irregular = np.cumsum(np.random.default_rng(1).integers(250, 550, 11))
    waves = 0.1 * np.sin(2 * np.pi * 6 * np.arange(5000) / 500)
    assert probability(_evidence(noise + waves, irregular, spread=12.0)) < 0.1
