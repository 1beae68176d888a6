"""What is wrong with a recording as a recording: found where it was put, and only there."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ecg.leads import LEADS
from ecg.measurements.quality import assess_quality
from ecg.simulator.noise import Noise, add_noise, clip, take_lead_off
from ecg.simulator.simulate import simulate


def clean(seed=0, diagnosis="NSR", fs=500.0):
    return simulate(np.random.default_rng(seed), diagnosis, fs, noise=Noise(), comorbidity=False).signal


def noisy(noise, seed=0, fs=500.0, diagnosis="NSR"):
    added = add_noise(clean(seed, diagnosis, fs), fs, noise, np.random.default_rng(seed))
    return added.astype(np.float32)


def test_a_clean_recording_has_nothing_wrong():
    quality = assess_quality(clean(), 500.0)
    assert (quality.leads_off, quality.saturated, quality.suspected_swap) == ((), (), "")
    assert quality.noise_uv < 1
    assert quality.mains_uv < 1
    assert quality.baseline_uv < 30  # what a heart itself has below 0.7 Hz


@pytest.mark.parametrize("fs", [250.0, 257.0, 500.0, 1000.0])
@pytest.mark.parametrize("diagnosis", ["NSR", "STach", "AF", "LBBB"])
def test_noise_of_a_known_size_is_measured(fs, diagnosis):
    # White noise has the same power at every frequency: the band's share of it is known.
    sigma = 0.02
    signal = clean(1, diagnosis, fs) + np.random.default_rng(2).normal(0, sigma, (12, int(10 * fs)))
    share = (min(150, 0.45 * fs) - 35) / (fs / 2)
    expected = 1000 * sigma * math.sqrt(share)
    assert assess_quality(signal.astype(np.float32), fs).noise_uv == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("hertz", [50.0, 60.0])
@pytest.mark.parametrize("fs", [250.0, 500.0, 1000.0])
def test_mains_of_a_known_amplitude_is_measured_beside_muscle_noise_and_does_not_count_as_noise(hertz, fs):
    signal = noisy(Noise(muscle=0.005), 3, fs)
    hum = 0.03 * np.sin(2 * np.pi * hertz * np.arange(signal.shape[1]) / fs + 0.3)
    before, after = assess_quality(signal, fs), assess_quality((signal + hum).astype(np.float32), fs)
    assert before.mains_uv < 3
    assert after.mains_uv == pytest.approx(30, rel=0.1)
    assert after.noise_uv == pytest.approx(before.noise_uv, rel=0.3)


@pytest.mark.parametrize(("fs", "is_told"), [(100, False), (149, False), (150, True)])
def test_mains_can_not_be_told_at_a_low_sampling_frequency(fs, is_told):
    assert math.isfinite(assess_quality(clean(fs=fs), float(fs)).mains_uv) == is_told
    assert assess_quality(clean(fs=100), 100.0).noise_uv >= 0


def test_wander_of_a_known_size_is_measured():
    times = np.arange(5000) / 500
    wander = 0.2 * np.sin(2 * np.pi * 0.3 * times)
    found = assess_quality((clean() + wander).astype(np.float32), 500.0).baseline_uv
    assert found == pytest.approx(1000 * 0.2 / math.sqrt(2), rel=0.1)


def test_samples_that_are_missing_are_no_wander():
    wander = 0.2 * np.sin(2 * np.pi * 0.3 * np.arange(5000) / 500)
    signal = (clean() + wander + 2).astype(np.float32)  # far from 0 mV
    gap = signal.copy()
    gap[:, 2000:2300] = np.nan
    expected = assess_quality(signal, 500.0).baseline_uv
    assert assess_quality(gap, 500.0).baseline_uv == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("lead", ["I", "II", "V1", "V6"])
def test_a_lead_that_is_off_is_named_and_disturbs_no_other(lead):
    quality = assess_quality(take_lead_off(noisy(Noise(muscle=0.005)), lead).astype(np.float32), 500.0)
    assert quality.leads_off == (lead,)
    assert quality.noise_uv > 1


@pytest.mark.parametrize(("from_second", "is_off"), [(8.0, False), (3.0, True)])
def test_a_lead_is_off_when_it_is_missing_or_flat_for_half_of_the_time(from_second, is_off):
    for value in (np.nan, 0.3):
        signal = clean().copy()
        signal[7, int(500 * from_second) :] = value
        assert assess_quality(signal, 500.0).leads_off == (("V2",) if is_off else ())


@pytest.mark.parametrize("seed", range(4))
def test_leads_that_reach_the_limit_are_named(seed):
    signal = noisy(Noise(wander=0.05, muscle=0.01), seed)
    limit = 0.75 * np.abs(signal[[0, 1, *range(6, 12)]]).max()
    clipped = clip(signal, limit).astype(np.float32)
    reached = [LEADS[k] for k in (0, 1, *range(6, 12)) if (np.abs(clipped[k]) == np.float32(limit)).sum() > 60]
    assert reached
    assert set(reached) <= set(assess_quality(clipped, 500.0).saturated)
    assert assess_quality(signal, 500.0).saturated == ()


@pytest.mark.parametrize("off", [(), ("I",), ("V1", "V6"), ("II", "V2", "V3")])
def test_a_saturated_lead_has_its_own_name_beside_leads_that_are_off(off):
    signal = noisy(Noise(wander=0.05, muscle=0.01), 0).astype(np.float32)
    signal[[LEADS.index(lead) for lead in off]] = 0
    for lead in ("aVL", "V4"):
        signal[LEADS.index(lead), 1000:1600] = 9.0
    found = assess_quality(signal, 500.0)
    assert (found.leads_off, found.saturated) == (off, ("aVL", "V4"))


@pytest.mark.parametrize("fs", [250.0, 500.0, 1000.0])
@pytest.mark.parametrize(
    ("stays", "height", "found"),
    [
        ([0.51], 3.0, True),  # s at the top, mV
        ([0.49], 3.0, False),
        ([0.012, 0.012], 3.0, True),
        ([0.012], 3.0, False),
        ([0.007, 0.007, 0.007], 3.0, False),
        ([0.51], -3.0, True),
        ([0.51], 0.45, False),
    ],
)
def test_a_lead_is_saturated_where_it_stays_at_an_end_for_long_or_again(fs, stays, height, found):
    signal = np.random.default_rng(5).uniform(-0.01, 0.01, (12, int(10 * fs))).astype(np.float32)
    for number, seconds in enumerate(stays):
        first = int((2 + 2 * number) * fs)
        signal[7, first : first + round(seconds * fs)] = height
    assert assess_quality(signal, fs).saturated == (("V2",) if found else ())


@pytest.mark.parametrize(
    ("fs", "stays", "height", "found"),
    [
        (500.0, [5, 5], 3.0, True),  # 10 ms twice
        (500.0, [5, 4], 3.0, False),
        (250.0, [3, 3], 3.0, True),  # three samples at least
        (250.0, [2, 2, 2], 3.0, False),
        (1000.0, [10, 9], 3.0, False),
        (500.0, [250], 3.0, True),  # or 0.5 s once
        (500.0, [249], 3.0, False),
        (500.0, [250], 0.5, False),
        (500.0, [250], 0.51, True),
        (500.0, [250], -0.51, True),
    ],
)
def test_the_shortest_stays_at_the_limit_in_samples(fs, stays, height, found):
    signal = np.zeros((12, int(10 * fs)), np.float32)
    signal[:, ::7] = 0.01
    for number, count in enumerate(stays):
        first = len(signal[0]) - count if number == 1 else int((1 + 2 * number) * fs)  # one of them at the very end
        signal[7, first : first + count] = height
    assert assess_quality(signal, fs).saturated == (("V2",) if found else ())


@pytest.mark.parametrize(
    ("seconds", "flat", "is_off"),
    [(10, 2, False), (10, 3, True), (8, 2, True), (8, 1, False), (9, 2, True), (1, 1, True)],
)
@pytest.mark.parametrize(("height", "shows"), [(0.01, True), (0.0099, False)])
def test_a_lead_is_off_that_is_flat_in_half_of_the_windows_of_two_seconds(seconds, flat, is_off, height, shows):
    signal = np.zeros((12, 500 * seconds), np.float32)
    signal[:, ::50] = height
    signal[4, : 1000 * flat] = 1.0
    expected = ("aVL",) if is_off and shows else () if shows else LEADS
    assert assess_quality(signal, 500.0).leads_off == expected


def test_coarse_steps_and_held_samples_at_an_end_are_no_saturation():
    signal = np.round(clean() / 0.005).astype(np.float32) * np.float32(0.005)
    signal[:, :40] = signal.max(axis=1, keepdims=True) + 0.1
    assert assess_quality(signal, 500.0).saturated == ()


@given(
    st.integers(1, 800),
    st.sampled_from([50.0, 100.0, 257.0, 500.0, 5000.0]),
    st.sampled_from(["nan", "zero", "huge", "step", "noise", "gaps"]),
)
@settings(max_examples=60)
def test_it_never_raises_and_never_answers_infinity(n_samples, fs, kind):
    rng = np.random.default_rng(n_samples)
    signal = rng.normal(0, 1, (12, n_samples)).astype(np.float32)
    if kind == "nan":
        signal[:] = np.nan
    elif kind == "zero":
        signal[:] = 0
    elif kind == "huge":
        signal *= 1000
    elif kind == "step":
        signal[:, n_samples // 2 :] += 500
    elif kind == "gaps":
        signal[rng.random(signal.shape) < 0.3] = np.nan
    quality = assess_quality(signal, fs)
    for value in (quality.noise_uv, quality.mains_uv, quality.baseline_uv):
        assert math.isnan(value) or 0 <= value < 1e9
    if kind in ("nan", "zero"):
        assert quality.leads_off == LEADS


def test_no_samples_at_all_is_all_leads_off():
    assert assess_quality(np.zeros((12, 0), dtype=np.float32), 500.0).leads_off == LEADS


@given(arrays(np.float32, (12, 300), elements=st.floats(-5, 5, width=32) | st.just(float("nan"))))
@settings(max_examples=25)
def test_levels_do_not_depend_on_the_sign_and_the_order_of_the_leads(signal):
    one, other = assess_quality(signal, 100.0), assess_quality(-signal[::-1].copy(), 100.0)
    for name in ("noise_uv", "mains_uv", "baseline_uv"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-3, abs=1e-2, nan_ok=True)


def test_mains_is_what_goes_beyond_the_mean_of_the_frequencies_beside_it():
    seconds = np.arange(5000) / 500
    hum, beside = (amplitude * np.sin(2 * np.pi * hertz * seconds) for amplitude, hertz in ((0.1, 50), (0.08, 40)))
    quality = assess_quality(np.tile(hum + beside, (12, 1)).astype(np.float32), 500.0)
    assert quality.mains_uv == pytest.approx(1000 * math.sqrt(0.1**2 - 0.08**2 / 2), rel=0.02)
