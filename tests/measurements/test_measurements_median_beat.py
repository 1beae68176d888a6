"""Beats are sorted by shape; the median beat is that of the ones which stand for the recording."""

from dataclasses import replace

import numpy as np
import pytest

from ecg.measurements import median_beat
from ecg.measurements.median_beat import FUTURE, PAST, _premature, level_baseline, median_of, rough_onset, sort_beats
from ecg.simulator.diagnoses import Parameters
from ecg.simulator.noise import Noise
from ecg.simulator.simulate import record
from ecg.simulator.truth import truth_of

RATE = 250.0
HEALTHY = Parameters(50, "Male", respiration=0.25)


def _shapes(order, seed=0):
    """A signal with narrow (0) and wide (1) complexes in this order, and their middles."""
    rng = np.random.default_rng(seed)
    narrow, wide = rng.normal(0, 1, (12, 1)), rng.normal(0, 1, (12, 1))
    signal = rng.normal(0, 0.01, (12, 250 * (len(order) + 1)))
    middles = 200 + 220 * np.arange(len(order))
    at = np.arange(signal.shape[1])
    for middle, shape in zip(middles, order, strict=True):
        bump = np.exp(-0.5 * ((at - middle) / (12 if shape else 4)) ** 2)
        signal += (wide if shape else narrow) * bump
    return signal.astype(np.float32), middles.astype(np.int64)


@pytest.mark.parametrize("order", [[0, 0, 1, 0, 0, 0], [0, 1] * 5, [1, 0] * 5, [0, 0, 1] * 4])
def test_two_shapes_make_two_classes_and_the_narrow_one_is_dominant(order):
    signal, middles = _shapes(order)
    classes = sort_beats(signal, RATE, middles)
    order = np.array(order)
    assert len(set(classes.of_beat)) == 2
    np.testing.assert_array_equal(classes.of_beat == classes.dominant, order == 0)
    np.testing.assert_array_equal(classes.ectopic, order == 1)


@pytest.mark.parametrize(("before", "after"), [(31, 41), (29, 41), (31, 39)])
def test_a_beat_that_an_end_cuts_off_shows_no_shape_of_its_own(before, after):
    signal, middles = _shapes([1, 0, 0, 0, 0, 1])
    first, last = middles[0] - before, middles[-1] + after  # 0.12 s before the beat and 0.16 s behind it are looked at
    classes = sort_beats(signal[:, first:last], RATE, middles - first)
    others = classes.of_beat != classes.dominant
    assert others.tolist() == [before == 31, False, False, False, False, after == 41]


def test_beats_of_a_class_are_laid_on_each_other():
    signal, middles = _shapes([0] * 12)
    jitter = np.random.default_rng(1).integers(-6, 7, len(middles))
    moved = sort_beats(signal, RATE, middles + jitter).positions - middles
    assert np.ptp(moved) < 0.3  # samples


def test_a_single_beat_is_a_class():
    signal, middles = _shapes([0])
    classes = sort_beats(signal, RATE, middles)
    assert classes.of_beat.tolist() == [0] and classes.dominant == 0 and not classes.ectopic.any()


def test_premature_beats_are_ectopic_also_with_the_usual_shape():
    simulated = record(replace(HEALTHY, pac=2, rr_range=0.02), np.random.default_rng(3), RATE, 10)
    truth = truth_of(simulated)
    inside = (truth.r_samples > 30) & (truth.r_samples < 2450)
    early = np.array(truth.kinds)[inside] == "ectopic"
    classes = sort_beats(simulated.signal, RATE, np.rint(truth.r_samples[inside]).astype(np.int64))
    assert early.sum() == 2
    np.testing.assert_array_equal(classes.ectopic, early)


def test_the_median_is_that_of_the_windows():
    signal = np.random.default_rng(0).normal(size=(12, 3000)).astype(np.float32)
    beats = np.array([50, 400, 900, 1300, 1800, 2990])
    past, future = round(PAST * RATE), round(FUTURE * RATE)
    beat, centre, n_beats = median_of(signal, RATE, beats)
    inside = beats[1:-1]
    expected = np.median([signal[:, b - past : b + future] for b in inside], axis=0)
    np.testing.assert_allclose(beat, expected, rtol=1e-6)
    assert (centre, n_beats) == (past, 4)


@pytest.mark.parametrize(("first", "last", "n_inside"), [(0, 0, 5), (-1, 0, 4), (0, 1, 4), (-1, 1, 3)])
def test_a_beat_that_just_fits_into_the_recording_enters_the_median(first, last, n_inside):
    past, future = round(PAST * RATE), round(FUTURE * RATE)
    beats = np.array([past + first, 400, 600, 800, 1200 - future + last])
    assert median_of(np.zeros((12, 1200), np.float32), RATE, beats)[2] == n_inside


@pytest.mark.parametrize(("n_inside", "n_beats"), [(3, 3), (2, 4), (1, 3)])
def test_cut_beats_enter_the_median_where_fewer_than_three_are_whole(n_inside, n_beats):
    signal = np.random.default_rng(0).normal(size=(2, 1200)).astype(np.float32)
    beats = np.array([10, 400, 600, 800, 1190])[: n_inside + 1] if n_inside > 2 else np.array([10, 400, 600, 1190])
    beats = beats if n_inside > 1 else beats[[0, 1, 3]]
    beat, centre, used = median_of(signal, RATE, beats)
    assert used == n_beats
    chosen = beats[1:] if n_inside > 2 else beats
    np.testing.assert_allclose(beat[:, centre], np.median(signal[:, chosen], axis=1), atol=1e-6)


@pytest.mark.parametrize(
    ("intervals", "early"),
    [
        ([1, 1, 0.84, 1.16, 1], [3]),
        ([1, 1, 0.86, 1.14, 1], []),
        ([1, 1, 0.8, 0.85, 1], []),  # the next interval is not longer by a tenth
        ([1, 1, 0.8, 0.95, 1], [3]),
        ([1, 0.8, 1], [2]),
        ([1, 1, 1, 0.8], [4]),
        ([0.8, 1], []),  # too few to say
        ([1, 0.7, 1.2, 0.8, 1.3, 0.6, 1.2], []),  # irregular throughout
    ],
)
def test_a_beat_is_premature_that_comes_early_in_a_regular_rhythm(intervals, early):
    times = np.cumsum([0.3, *intervals])
    assert np.flatnonzero(_premature(times)).tolist() == early


def test_beats_cut_off_enter_where_there_are_no_others():
    signal = np.random.default_rng(0).normal(size=(12, 300)).astype(np.float32)
    beat, centre, n_beats = median_of(signal, RATE, np.array([40]))
    assert n_beats == 1
    np.testing.assert_array_equal(beat[:, centre], signal[:, 40])


def test_a_line_between_the_knots_is_taken_off():
    t = np.arange(3000)
    heart = record(HEALTHY, np.random.default_rng(0), 250, 12).signal
    onsets = np.arange(150, 2900, 200)
    wander = np.interp(t, [0, 1000, 2000, 2999], [0, 0.5, -0.2, 0.1])[np.newaxis]
    inner = slice(200, 2800)
    plain = level_baseline(heart, RATE, onsets)[:, inner]
    wandering = level_baseline((heart + wander).astype(np.float32), RATE, onsets)[:, inner]
    assert np.abs(plain - wandering).max() < 0.1 * np.ptp(wander)


@pytest.mark.parametrize(("size", "curved"), [(1.0, True), (0.05, False)])
def test_a_baseline_that_wanders_far_is_followed_by_a_curve(size, curved):
    """Breathing between beats 1 s apart: straight lines would leave a tenth of 1 mV."""
    t, onsets = np.arange(5000) / 500, np.arange(250, 5000, 500)
    wander = (size * np.sin(2 * np.pi * 0.2 * t + np.linspace(0, 2, 12)[:, np.newaxis])).astype(np.float32)
    left = level_baseline(wander, 500.0, onsets)[:, 750:4250]
    knots = onsets - 10
    lines = np.array([np.interp(np.arange(5000), knots, row[knots]) for row in wander])[:, 750:4250]
    straight = np.abs(wander[:, 750:4250] - lines).max()
    assert straight > 0.15 * size
    assert np.abs(left).max() == pytest.approx(straight, rel=0.1) if not curved else np.abs(left).max() < 0.3 * straight


def test_a_baseline_that_jumps_is_followed_by_lines():
    onsets = np.arange(250, 5000, 500)
    jump = np.zeros((12, 5000), np.float32)
    jump[:, 2500:] = 2.0
    left = level_baseline(jump, 500.0, onsets)
    far = np.r_[300:2200, 2800:4700]
    assert np.abs(left[:, far]).max() < 1e-5  # a spline would swing for beats to either side


def test_the_rough_onset_lies_before_the_complex():
    simulated = record(replace(HEALTHY, qrs=0.1), np.random.default_rng(0), 500, noise=Noise(muscle=0.005))
    peaks = np.rint(truth_of(simulated).r_samples).astype(np.int64)[1:-1]
    onsets = np.array([beat.time * 500 for beat in simulated.parameters.beats])[1:-1]
    assert -0.03 * 500 <= rough_onset(simulated.signal, 500.0, peaks) - np.mean(onsets - peaks) <= 0.02 * 500


@pytest.mark.parametrize(
    ("n_beats", "deviation", "curved"), [(4, 0.2, False), (5, 0.2, True), (5, 0.101, True), (5, 0.099, False)]
)
def test_the_curve_is_for_five_beats_at_least_whose_levels_differ_by_a_tenth_of_a_millivolt(n_beats, deviation, curved):
    knots = 490 + 500 * np.arange(n_beats)
    times = np.arange(500 * (n_beats + 1)) / 500
    wander = np.sin(2 * np.pi * 0.2 * times + np.linspace(0, 0.2, 12)[:, np.newaxis])
    wander *= deviation / np.median(wander[:, knots].std(axis=1))
    left = level_baseline(wander.astype(np.float32), 500.0, knots + 10)
    between = slice(knots[0], knots[-1])
    lines = np.array([np.interp(np.arange(len(times)), knots, row[knots]) for row in wander])
    straight = np.abs(wander - lines)[:, between].max()
    assert (np.abs(left[:, between]).max() < 0.8 * straight) == curved


def test_how_many_beats_are_compared_at_a_time_changes_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    signal, middles = _shapes(rng.integers(0, 2, 20))
    disturbed = rng.random((12, 20)) < 0.2
    for lead, beat in np.argwhere(disturbed):
        signal[lead, middles[beat] - 100 : middles[beat] + 100] = 0
    found = []
    for at_once in (7, 20):
        monkeypatch.setattr(median_beat, "_AT_ONCE", at_once)
        windows = median_beat._Windows(signal, RATE, middles, step=2, lag=0.04, disturbed=disturbed)
        found.append(windows.match(windows.at(np.arange(5))))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
