"""The truth about a simulated recording is what its clean signal shows."""

from dataclasses import replace

import numpy as np
import pytest

from ecg.simulator.diagnoses import DIAGNOSES, Parameters, Ventricular
from ecg.simulator.noise import Noise
from ecg.simulator.simulate import record, simulate
from ecg.simulator.truth import truth_of

HEALTHY = Parameters(50, "Male", respiration=0.25)


@pytest.mark.parametrize("diagnosis", [name for name in DIAGNOSES if name != "PR"])  # a spike is larger than R
def test_r_peaks_lie_where_the_leads_of_the_clean_signal_are_largest(diagnosis):
    simulated = simulate(np.random.default_rng(4), diagnosis, noise=Noise(), comorbidity=False)
    truth = truth_of(simulated)
    assert len(truth.r_samples) == len(truth.kinds) >= 5
    onsets = np.array([beat.time for beat in simulated.parameters.beats]) * simulated.sampling_frequency
    for onset, sample in zip(onsets, truth.r_samples, strict=False):
        first, last = round(onset), round(onset) + 80
        if last < simulated.signal.shape[1]:
            # The atrial waves under the complex and the T wave after it move the largest sample of some leads.
            largest = first + np.median(np.abs(simulated.signal[:, first:last]).argmax(axis=1))
            assert abs(largest - sample) <= 12


def test_a_beat_counts_whose_peak_lies_before_the_last_sample():
    simulated = record(HEALTHY, np.random.default_rng(2), 250, 6)
    peaks = truth_of(simulated).r_samples
    last = int(np.ceil(peaks[3]))
    assert last - 1 < peaks[3] < last
    for n_samples, n_beats in ((last, 3), (last + 1, 4)):
        cut = truth_of(replace(simulated, signal=simulated.signal[:, :n_samples]))
        assert cut.r_samples.tolist() == peaks[:n_beats].tolist() and len(cut.kinds) == n_beats


def test_intervals_and_axis_are_those_that_the_signal_was_made_from():
    truth = truth_of(
        record(replace(HEALTHY, pr=0.18, qrs=0.1, qtc=0.4, rate=60.0, axis=-200.0), np.random.default_rng(0))
    )
    assert (truth.p_ms, truth.pr_ms, truth.qrs_ms, truth.qt_ms) == pytest.approx((100, 180, 100, 400))
    assert truth.qrs_axis_deg == pytest.approx(160)


def test_the_signal_is_silent_between_p_and_qrs_and_after_t():
    simulated = record(replace(HEALTHY, pr=0.22, rr_range=0.001), np.random.default_rng(0), 1000)
    truth = truth_of(simulated)
    onset = round(simulated.parameters.beats[2].time * 1000)
    largest = np.abs(simulated.signal).max(axis=0)
    before_p, p = largest[onset - 260 : onset - 220].max(), largest[onset - 220 : onset - 220 + round(truth.p_ms)].max()
    between = largest[onset - 220 + round(truth.p_ms) : onset].max()
    assert before_p < 0.05 * p
    assert between < 0.5 * p  # the feet of P and QRS
    assert largest[onset : onset + round(truth.qrs_ms)].max() > 5 * p
    after_t = largest[onset + round(truth.qt_ms) + 60 : onset + round(truth.qt_ms) + 100].max()
    assert after_t < 0.05 * largest[onset + round(truth.qrs_ms) + 40 : onset + round(truth.qt_ms)].max()


@pytest.mark.parametrize(
    ("changes", "kind", "has_p"),
    [
        ({}, "dominant", True),
        ({"rhythm": "fibrillation", "pr": None}, "dominant", False),
        ({"rhythm": "flutter", "pr": None}, "dominant", False),
        ({"rhythm": "junction", "pr": None, "rate": 45.0}, "dominant", False),
        ({"rhythm": "junction", "pr": None, "rate": 45.0, "retrograde": 0.12}, "dominant", False),
        ({"rhythm": "paced", "qrs_shape": "LBBB", "qrs": 0.15, "pr": None}, "paced", False),
        ({"rhythm": "paced", "qrs_shape": "LBBB", "qrs": 0.15, "pr": 0.16}, "paced", True),
    ],
)
def test_kinds_of_beats_and_p_waves_follow_the_rhythm(changes, kind, has_p):
    truth = truth_of(record(replace(HEALTHY, **changes), np.random.default_rng(1)))
    assert set(truth.kinds) == {kind}
    assert np.isfinite([truth.p_ms, truth.pr_ms]).all() == has_p


def test_premature_beats_are_ectopic():
    simulated = record(replace(HEALTHY, pvc=2, pac=2), np.random.default_rng(1), seconds=15)
    assert [beat.origin for beat in simulated.parameters.beats].count("atrial") == 2
    assert truth_of(simulated).kinds.count("ectopic") == 4


def test_r_peaks_of_two_shapes_of_premature_beats_lie_where_each_is_largest():
    forms = (Ventricular("RV", -60.0, 0.17), Ventricular("LV", 120.0, 0.13))
    simulated = record(replace(HEALTHY, pvc=6, pvc_forms=forms), np.random.default_rng(1), seconds=25)
    truth = truth_of(simulated)
    onsets = np.array([beat.time for beat in simulated.parameters.beats]) * simulated.sampling_frequency
    for onset, sample in zip(onsets, truth.r_samples, strict=False):
        largest = round(onset) + np.median(np.abs(simulated.signal[:, round(onset) :][:, :80]).argmax(axis=1))
        assert abs(largest - sample) <= 4


def test_blocked_atrial_beats_are_none_of_the_beats():
    simulated = record(replace(HEALTHY, pac=2, pac_blocked=1.0), np.random.default_rng(1))
    assert len(simulated.parameters.blocked_p) == 2
    assert set(truth_of(simulated).kinds) == {"dominant"}


def test_a_retrograde_p_wave_follows_the_complex():
    junction = replace(HEALTHY, rhythm="junction", pr=None, rate=45.0)
    hidden = record(junction, np.random.default_rng(0), 1000)
    shown = record(replace(junction, retrograde=0.12), np.random.default_rng(0), 1000)
    difference = np.abs(shown.signal - hidden.signal).max(axis=0)
    onset = round(hidden.parameters.beats[2].time * 1000)
    assert difference[onset + 120 : onset + 220].max() > 0.05
    assert difference[onset - 200 : onset + 100].max() < 0.005


def test_the_truth_says_that_the_arms_are_swapped():
    heart = np.random.default_rng(0)
    truth = truth_of(record(HEALTHY, heart, noise=Noise(reversed_arms=True)))
    assert truth.reversed_arms
    assert truth.qrs_axis_deg == pytest.approx(HEALTHY.axis)
    assert not truth_of(record(HEALTHY, heart)).reversed_arms
