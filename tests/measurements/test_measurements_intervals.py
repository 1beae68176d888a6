"""Corrected QT, axes and amplitudes against numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg.leads import LEADS
from ecg.measurements.heart_rate import heart_rate
from ecg.measurements.intervals import amplitudes, axis, corrected_qt, mean_rate
from ecg.measurements.measure import RATE, _heart_rate, _spike_distance
from ecg.measurements.types import WaveMarks

NAN = math.nan


@pytest.mark.parametrize(
    ("qt", "rate", "bazett", "fridericia"),
    [(400, 60, 400, 400), (360, 100, 464.8, 426.8), (440, 50, 401.7, 414.1)],
)
def test_corrected_qt(qt, rate, bazett, fridericia):
    assert corrected_qt(qt, rate) == pytest.approx((bazett, fridericia), abs=0.05)


def _beat(lateral, inferior):
    """A triangular wave whose frontal vector is (lateral, inferior) from sample 20 to 40."""
    wave = np.interp(np.arange(100), [20, 30, 40], [0, 1, 0])
    i, avf = lateral * wave, inferior * math.sqrt(3) / 2 * wave
    ii = avf + i / 2
    leads = dict.fromkeys(LEADS, np.zeros(100)) | {"I": i, "II": ii, "III": ii - i, "aVF": avf}
    return np.stack([leads[lead] for lead in LEADS]).astype(np.float32)


@given(st.integers(-179, 180), st.floats(0.05, 5))
def test_axis_is_the_direction_of_the_vector(degrees, size):
    angle = math.radians(degrees)
    found = axis(_beat(size * math.cos(angle), size * math.sin(angle)), 20, 40)
    assert -180 < found <= 180
    assert (found - degrees + 180) % 360 - 180 == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("inferior", [-1e-17, -0.0, 0.0, 1e-17])
def test_an_axis_straight_to_the_right_is_180_degrees(inferior):
    assert axis(_beat(-1.0, inferior), 20, 40) == 180


def test_axis_is_missing_without_a_wave_or_a_lead():
    beat = _beat(1, 0)
    assert math.isnan(axis(beat, NAN, 40))
    assert math.isnan(axis(np.zeros_like(beat), 20, 40))
    beat[LEADS.index("aVF")] = np.nan
    assert math.isnan(axis(beat, 20, 40))


def _marks(p=(NAN, NAN, NAN), qrs=(100.0, 125.0, 150.0), t=(NAN, NAN, NAN)):
    return WaveMarks(*p, *qrs, *t)


def test_amplitudes_of_a_drawn_beat():
    at = [0, 40, 50, 60, 99, 100, 105, 110, 120, 130, 150, 180, 220, 260, 300, 340]
    mv = [0, 0, 0.15, 0, 0, 0, -0.2, 0, 1.2, -0.4, 0.1, 0.1, 0.15, 0.4, 0, 0]
    beat = np.tile(np.interp(np.arange(350), at, mv), (12, 1)).astype(np.float32) + 0.5
    a = amplitudes(beat, 500.0, _marks(p=(40.0, 50.0, 60.0), t=(200.0, 260.0, 300.0)))
    for values, expected in zip(
        (a.p, a.q, a.r, a.s, a.t, a.st_j, a.st_60), (0.15, -0.2, 1.2, -0.4, 0.4, 0.1, 0.1), strict=True
    ):
        assert values.shape == (12,) and values.dtype == np.float32
        np.testing.assert_allclose(values, expected, atol=0.025)  # the level is the mean of five samples


@pytest.mark.parametrize(("at", "is_in"), [(39, False), (40, True), (60, True), (61, False)])
def test_a_wave_goes_from_its_onset_to_its_offset(at, is_in):
    beat = np.zeros((12, 350), np.float32)
    beat[:, at], beat[:, at + 200] = -0.2, 0.3
    found = amplitudes(beat, 500.0, _marks(p=(40.0, 50.0, 60.0), t=(240.0, 250.0, 260.0)))
    assert (found.p == np.float32(-0.2 * is_in)).all() and (found.t == np.float32(0.3 * is_in)).all()


def test_a_complex_without_r_is_one_negative_wave():
    beat = np.tile(np.interp(np.arange(350), [100, 125, 150], [0, -1, 0]), (12, 1)).astype(np.float32)
    a = amplitudes(beat, 500.0, _marks())
    np.testing.assert_allclose(a.r, 0, atol=0.03)
    np.testing.assert_allclose(a.q, -1, atol=0.03)
    np.testing.assert_array_equal(a.s, 0)
    assert np.isnan(a.p).all() and np.isnan(a.t).all()


def test_amplitudes_are_missing_where_the_lead_or_the_complex_is():
    beat = np.zeros((12, 350), np.float32)
    beat[3] = np.nan
    a = amplitudes(beat, 500.0, _marks())
    assert np.isnan(a.r[3]) and np.isnan(a.st_60[3]) and np.isfinite(np.delete(a.r, 3)).all()
    a = amplitudes(beat, 500.0, _marks(qrs=(NAN, NAN, NAN)))
    assert np.isnan(a.r).all()


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ((0.05, 1.05, 1.95, 2.85, 3.95), 60 / 0.9),  # three in the middle: what the ends may have cut is left out
        (
            (0.05, 1.05, 1.95, 3.95),
            60 / 1.2,
        ),  # two in the middle are too few: all are taken, the outer intervals by half
        ((0.5, 1.5, 2.5), 60.0),
        ((0.5,), math.nan),
    ],
)
def test_a_beat_that_an_end_may_have_cut_counts_only_where_there_are_few(at, expected):
    beats = np.rint(np.array(at) * RATE).astype(np.int64)
    heard = np.ones(len(beats) - 1, dtype=bool)
    assert _heart_rate(beats, heard, 4 * RATE) == pytest.approx(expected, rel=1e-3, nan_ok=True)
    if len(at) == 3:  # not over a gap
        assert _heart_rate(beats, np.array([True, False]), 4 * RATE) == pytest.approx(60.0)


@pytest.mark.parametrize(("first", "last", "n_intervals"), [(40, 1959, 4), (39, 1959, 3), (40, 1960, 3), (39, 1960, 2)])
def test_a_beat_less_than_80_ms_from_an_end_may_be_cut(first, last, n_intervals):
    beats = np.array([first, 500, 900, 1500, last])
    inner = {4: beats, 3: beats[1:] if first < 40 else beats[:-1], 2: beats[1:-1]}[n_intervals]
    assert _heart_rate(beats, np.ones(4, dtype=bool), 2000) == mean_rate(np.diff(inner) / RATE)


@pytest.mark.parametrize(
    ("intervals", "rate"), [([], NAN), ([0.8], 75), ([0.8, 1.2], 60), ([1.0, 0.5, 1.0], 80), ([1.0, 0.5, 0.5, 1.0], 90)]
)
def test_the_first_and_the_last_interval_count_half(intervals, rate):
    assert mean_rate(np.array(intervals)) == pytest.approx(rate, nan_ok=True)


@pytest.mark.parametrize("onset", [0, 1, 2, 3])
def test_the_level_at_an_onset_near_the_first_sample_is_the_mean_of_what_is_there(onset):
    beat = np.tile(np.arange(60, dtype=np.float32) ** 2 / 100, (12, 1))
    level = beat[0, max(0, onset - 2) : onset + 3].mean()
    found = amplitudes(beat, 500.0, _marks(qrs=(float(onset), 10.0, 20.0)))
    assert found.r == pytest.approx(np.full(12, 4.0 - level), abs=1e-5)


@pytest.mark.parametrize(
    ("spikes", "distance"),
    [
        ([], math.inf),
        ([940, 950], 50),  # samples of 2 ms: no more than 0.12 s before the beat
        ([939], math.inf),
        ([941], 59),
        ([940], math.inf),
        ([950, 1009], -9),  # a beat may lie a little before its spike, which is the sharper deflection
        ([950, 1011], 50),
    ],
)
def test_a_pacing_spike_belongs_to_the_beat_that_follows_it_at_once(spikes, distance):
    assert _spike_distance(np.array([1000]), np.array(spikes, dtype=np.int64)).tolist() == [distance]


def test_a_t_wave_without_an_onset_is_looked_for_from_60_ms_behind_the_complex_on():
    beat = np.zeros((12, 600), dtype=np.float32)
    beat[:, 260:275], beat[:, 285:300] = 0.8, 0.3  # the ST segment, then the T wave; 30 samples are 60 ms
    marks = WaveMarks(NAN, NAN, NAN, 200.0, 220.0, 250.0, NAN, 290.0, 320.0)
    assert amplitudes(beat, 500.0, marks).t == pytest.approx(np.full(12, 0.3))
    with_onset = WaveMarks(NAN, NAN, NAN, 200.0, 220.0, 250.0, 255.0, 290.0, 320.0)
    assert amplitudes(beat, 500.0, with_onset).t == pytest.approx(np.full(12, 0.8))


@pytest.mark.parametrize(("n_complexes", "rate"), [(1, NAN), (2, NAN), (3, 75.0), (4, 75.0)])
@pytest.mark.parametrize("size", [0.001, 1.0, 1000.0])
def test_a_heart_rate_needs_three_complexes_of_any_size(n_complexes, rate, size):
    times = np.arange(4 * 250) / 250
    signal = sum(np.exp(-0.5 * ((times - 0.5 - 0.8 * k) / 0.015) ** 2) for k in range(n_complexes))
    found = heart_rate(np.tile(size * signal, (12, 1)).astype(np.float32), 250.0)
    assert found == pytest.approx(rate, rel=0.02, nan_ok=True)
