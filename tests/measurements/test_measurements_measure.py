"""Whole recordings against the simulator, against cardiologists, and against themselves."""

import csv
import dataclasses
import importlib
import math
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ecg.io.recording import read_recording
from ecg.leads import LEADS
from ecg.measurements import Measurements, measure
from ecg.measurements.median_beat import PAST
from ecg.simulator.diagnoses import Parameters
from ecg.simulator.noise import Noise
from ecg.simulator.simulate import record, simulate_recording
from ecg.simulator.truth import truth_of

SHARED = Path(__file__).resolve().parents[3] / "shared"
HEALTHY = Parameters(50, "Male", respiration=0.25)
ORDINARY = Noise(wander=0.04, muscle=0.006)
INTERVALS = ("p_ms", "pr_ms", "qrs_ms", "qt_ms")


def _measured(changes=None, sampling_frequency=500.0, seconds=10.0, noise=ORDINARY, seed=0):
    simulated = record(
        replace(HEALTHY, **(changes or {})), np.random.default_rng(seed), sampling_frequency, seconds, noise
    )
    return simulated, measure(simulated.signal, sampling_frequency)


@pytest.fixture(scope="module")
def healthy():
    return _measured()


def test_a_class_is_paced_of_which_half_of_the_beats_have_a_spike():
    module = importlib.import_module("ecg.measurements.measure")
    of_beat = np.array([0, 0, 1, 1, 1, 2, 2, 2, 3])
    ectopic = np.array([False, False, False, True, True, True, True, False, True])
    distance = np.array([5, np.inf, 5, np.inf, np.inf, 5, 5, np.inf, np.inf])
    expected = ("paced", "paced", "dominant", "ectopic", "ectopic", "paced", "paced", "paced", "ectopic")
    assert module._kinds(of_beat, ectopic, distance) == expected


@pytest.mark.parametrize(
    ("gaps", "interval"), [([], math.nan), ([500], 1.0), ([400, 600], 0.9), ([300, 400, 500, 500, 600], 0.8)]
)
def test_waves_are_looked_for_up_to_the_lower_quartile_of_the_intervals(monkeypatch, gaps, interval):
    module = importlib.import_module("ecg.measurements.measure")
    monkeypatch.setattr(module, "median_of", lambda signal, rate, beats: (signal, 7, len(beats)))
    monkeypatch.setattr(module, "boundaries", lambda beat, rate, rr: (beat.tolist(), rate, rr))
    beats = 100 + np.cumsum([0, *gaps])
    prepared = SimpleNamespace(
        signal=np.arange(12.0), on=np.arange(12) % 5 == 0, beats=beats, usable=np.arange(len(beats)) > 0
    )
    found = module.outline(prepared)
    assert (found.centre, found.n_beats) == (7, len(gaps))
    leads, rate, rr = found.found
    assert (leads, rate) == ([0.0, 5.0, 10.0], 500.0)
    assert rr == pytest.approx(interval, nan_ok=True)


@pytest.mark.parametrize(("likely", "found"), [(0.49, False), (0.5, False), (0.51, True)])
def test_p_waves_are_measured_where_they_are_likelier_than_not(monkeypatch, healthy, likely, found):
    module = importlib.import_module("ecg.measurements.measure")
    monkeypatch.setattr(module, "probability", lambda numbers: likely)
    measured = measure(healthy[0].signal, 500.0)
    assert (measured.has_p_waves, math.isfinite(measured.pr_ms)) == (found, found)


def test_blocked_p_waves_are_looked_for_from_where_the_beats_are_laid_on_each_other(monkeypatch):
    asked = []
    module = importlib.import_module("ecg.measurements.measure")
    monkeypatch.setattr(module, "count_blocked", lambda *given: asked.append(given) or 0)
    wide = simulate_recording(1, 1, "LBBB")
    measured = measure(wide.signal, wide.sampling_frequency)
    assert [each.qrs_peak for *_, each in asked] == [PAST * 500] != [measured.median_beat.marks.qrs_peak]


def test_a_healthy_heart(healthy):
    simulated, found = healthy
    truth = truth_of(simulated)
    for name in INTERVALS:
        assert getattr(found, name) == pytest.approx(getattr(truth, name), abs=10), name
    assert found.qrs_axis_deg == pytest.approx(truth.qrs_axis_deg, abs=6)
    assert found.heart_rate_bpm == pytest.approx(75, abs=1)
    assert found.n_beats in (len(truth.r_samples) - 1, len(truth.r_samples))
    assert found.n_ectopic == 0 and found.has_p_waves
    assert set(found.beats.kinds) == {"dominant"} and found.beats.samples.dtype == np.int64
    beat = found.median_beat
    assert beat.signal.shape[0] == 12 and beat.signal.dtype == np.float32 and len(beat.lead_marks) == 12
    onset = round(beat.marks.qrs_onset)
    assert np.abs(beat.signal[:, onset - 12 : onset - 3]).max() < 0.05
    order = dataclasses.astuple(beat.marks)
    assert list(order) == sorted(order)


@pytest.mark.parametrize(
    "changes",
    [
        {"pr": 0.26},
        {"pr": 0.12},
        {"qrs": 0.16, "qrs_shape": "LBBB"},
        {"qrs": 0.15, "qrs_shape": "RBBB"},
        {"qtc": 0.5},
        {"rate": 45.0},
        {"rate": 130.0},
        {"axis": -50.0, "qrs_shape": "LAFB"},
        {"axis": 120.0, "qrs_shape": "vertical"},
    ],
    ids=lambda changes: " ".join(f"{name}={value}" for name, value in changes.items()),
)
def test_intervals_and_axis_follow_the_heart(changes):
    simulated, found = _measured(changes)
    truth = truth_of(simulated)
    for name in INTERVALS:
        assert getattr(found, name) == pytest.approx(getattr(truth, name), abs=20), name
    assert abs((found.qrs_axis_deg - truth.qrs_axis_deg + 180) % 360 - 180) < 8
    assert found.heart_rate_bpm == pytest.approx(changes.get("rate", 75), abs=1.5)


@pytest.mark.slow
def test_differences_over_many_hearts():
    differences = {name: [] for name in INTERVALS}
    found_beats = true_beats = 0
    for k in range(1, 61):
        simulated = simulate_recording(97, k, seconds=8)
        truth, found = truth_of(simulated), measure(simulated.signal, 500.0)
        for name, values in differences.items():
            values.append(getattr(found, name) - getattr(truth, name))
        whole = truth.r_samples[(truth.r_samples > 50) & (truth.r_samples < 3950)]
        apart = np.abs(found.beats.samples[:, np.newaxis] - whole)
        true_beats += len(whole)
        found_beats += int((apart.min(axis=0) <= 25).sum())
    assert found_beats >= 0.99 * true_beats
    for name, values in differences.items():
        values = np.array(values)[np.isfinite(values)]
        assert len(values) > 30
        assert abs(values.mean()) < 5 and np.percentile(np.abs(values), 90) < 15, name


@pytest.mark.parametrize("block", [3, 4])
def test_no_p_in_flutter_and_no_flutter_in_the_qrs(block):
    flutter = {"rhythm": "flutter", "pr": None, "atrial_rate": 250.0, "atrial_amplitude": 0.3, "block": block}
    simulated, found = _measured(flutter | {"rate": 250.0 / block, "qtc": 0.38})
    truth = truth_of(simulated)
    assert not found.has_p_waves and math.isnan(found.pr_ms)
    assert found.qrs_axis_deg == pytest.approx(truth.qrs_axis_deg, abs=8)
    assert found.qrs_ms == pytest.approx(truth.qrs_ms, abs=12)


def test_no_p_where_the_ventricle_alone_is_paced():
    _, found = _measured({"rhythm": "paced", "pr": None, "qrs_shape": "RV", "qrs": 0.15, "qtc": 0.45})
    assert not found.has_p_waves


def test_no_p_in_fibrillation():
    _, found = _measured({"rhythm": "fibrillation", "pr": None, "rr_range": 0.15, "rate": 90.0})
    assert not found.has_p_waves
    assert math.isnan(found.p_ms) and math.isnan(found.pr_ms) and math.isnan(found.p_axis_deg)
    assert np.isnan(found.amplitudes.p).all()
    assert math.isfinite(found.qrs_ms) and found.n_ectopic == 0
    assert found.rmssd_ms > 100


def test_paced_beats_are_called_so():
    paced = {"rhythm": "paced", "pr": None, "qrs_shape": "LBBB", "qrs": 0.16, "spike": 1.5}
    _, found = _measured(paced)
    assert set(found.beats.kinds) == {"paced"} and found.n_ectopic == 0


def test_ectopic_beats_are_counted_and_kept_out():
    simulated, found = _measured({"pvc": 3, "rr_range": 0.01, "qrs": 0.09})
    truth = truth_of(simulated)
    assert found.n_ectopic == truth.kinds.count("ectopic") == 3
    assert found.qrs_ms == pytest.approx(90, abs=12)
    assert found.rr_sd_ms < 15 and found.rmssd_ms < 15
    assert found.median_beat.n_beats <= found.n_beats - 3


@pytest.mark.parametrize("sampling_frequency", [250.0, 257.0, 360.0, 1000.0])
def test_the_sampling_frequency_does_not_matter(healthy, sampling_frequency):
    _, reference = healthy
    _, found = _measured(sampling_frequency=sampling_frequency)
    for name in INTERVALS:
        assert getattr(found, name) == pytest.approx(getattr(reference, name), abs=10), name
    times = found.beats.samples / sampling_frequency
    assert np.abs(times - reference.beats.samples / 500.0).max() < 0.012
    assert found.heart_rate_bpm == pytest.approx(reference.heart_rate_bpm, abs=0.5)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_gain_scales_amplitudes_and_nothing_else(healthy, factor):
    simulated, reference = healthy
    found = measure(simulated.signal * np.float32(factor), 500.0)
    for name in INTERVALS:
        assert getattr(found, name) == pytest.approx(getattr(reference, name), abs=3), name
    np.testing.assert_allclose(found.amplitudes.r, factor * reference.amplitudes.r, atol=0.03)
    assert found.qrs_axis_deg == pytest.approx(reference.qrs_axis_deg, abs=2)


def test_offsets_do_not_matter(healthy):
    simulated, reference = healthy
    offsets = np.linspace(-200, 200, 12, dtype=np.float32)[:, np.newaxis]
    found = measure(simulated.signal + offsets, 500.0)
    for name in INTERVALS:
        assert getattr(found, name) == pytest.approx(getattr(reference, name), abs=2), name
    np.testing.assert_array_equal(found.beats.samples, reference.beats.samples)


@pytest.mark.parametrize("shift", [1, 77, 300])
def test_a_later_start_moves_the_beats_and_nothing_else(healthy, shift):
    simulated, reference = healthy
    found = measure(simulated.signal[:, shift:], 500.0)
    for name in INTERVALS:
        assert getattr(found, name) == pytest.approx(getattr(reference, name), abs=6), name
    expected = reference.beats.samples[reference.beats.samples >= shift + 50] - shift
    assert np.abs(found.beats.samples[-len(expected) :] - expected).max() <= 3


@pytest.mark.parametrize("sampling_frequency", [100.0, 500.0])
def test_beats_at_an_end_lie_inside_the_recording(sampling_frequency):
    simulated, reference = _measured(sampling_frequency=sampling_frequency)
    first, last = reference.beats.samples[1], reference.beats.samples[-2]
    at_ends = set()
    for cut in range(-2, 3):
        part = simulated.signal[:, first + cut : last + cut]
        samples = measure(part, sampling_frequency).beats.samples
        assert samples.min() >= 0 and samples.max() < part.shape[1]
        at_ends |= {samples.min() == 0, samples.max() == part.shape[1] - 1}
    assert True in at_ends  # or else nothing was tried


@pytest.mark.parametrize("off", [["V1"], ["V2", "V6"], ["I"], list(LEADS[:6])], ids=" ".join)
@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_leads_that_are_off(healthy, off, value):
    simulated, reference = healthy
    rows = [LEADS.index(lead) for lead in off]
    signal = simulated.signal.copy()
    signal[rows] = value
    found = measure(signal, 500.0)
    assert found.n_beats == reference.n_beats
    for name in ("pr_ms", "qrs_ms", "qt_ms"):
        assert getattr(found, name) == pytest.approx(getattr(reference, name), abs=20), name
    derived = off == ["I"]  # follows from the other limb leads
    assert np.isnan(found.amplitudes.r[rows]).all() != derived
    if derived:
        assert found.qrs_axis_deg == pytest.approx(reference.qrs_axis_deg, abs=1)
    assert list(found.quality.leads_off) == ([] if derived and math.isnan(value) else off)  # a lead not in the file
    assert np.isfinite(np.delete(found.amplitudes.r, rows)).all()


def test_a_gap_is_no_beat(healthy):
    simulated, reference = healthy
    signal = simulated.signal.copy()
    signal[:, 2000:2600] = np.nan
    found = measure(signal, 500.0)
    outside = [s for s in reference.beats.samples.tolist() if not 1950 < s < 2650]
    assert set(outside) <= {s + d for s in found.beats.samples.tolist() for d in range(-3, 4)}
    assert not any(2020 < s < 2580 for s in found.beats.samples.tolist())
    assert found.qrs_ms == pytest.approx(reference.qrs_ms, abs=6)


def _nothing(found):
    assert found.n_beats == 0 and found.median_beat is None and len(found.beats.samples) == 0
    for field in dataclasses.fields(Measurements):
        value = getattr(found, field.name)
        if isinstance(value, float):
            assert math.isnan(value), field.name


@pytest.mark.parametrize("sampling_frequency", [100.0, 500.0, 1000.0])
def test_without_beats_nothing_is_invented(sampling_frequency):
    rng = np.random.default_rng(0)
    shape = (12, round(10 * sampling_frequency))
    for signal in (np.zeros(shape), np.full(shape, np.nan), np.full(shape, 3.0), rng.normal(0, 0.03, shape)):
        _nothing(measure(signal.astype(np.float32), sampling_frequency))
    _nothing(measure(np.ones((12, 1), np.float32), sampling_frequency))
    _nothing(measure(np.zeros((12, 0), np.float32), sampling_frequency))


def test_a_second_has_no_rate_and_no_pr():
    simulated = record(HEALTHY, np.random.default_rng(2), 500, 1, ORDINARY)
    found = measure(simulated.signal, 500.0)
    assert math.isnan(found.pr_ms) and math.isnan(found.rr_sd_ms)


strange = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e30, -1e30, 32.767, 1e-30]) | st.floats(-5, 5, width=32)


@given(
    arrays(np.float32, st.tuples(st.just(12), st.integers(0, 60)), elements=strange),
    st.integers(1, 20),
    st.integers(0, 2**31),
)
@settings(max_examples=30, deadline=None)
def test_nothing_raises(pattern, repeats, seed):
    noise = np.random.default_rng(seed).normal(0, 0.01, (12, pattern.shape[1] * repeats)).astype(np.float32)
    measure(np.tile(pattern, repeats) + noise, 100.0)


def test_the_same_recording_gives_the_same_bytes(healthy):
    simulated, reference = healthy
    again = measure(simulated.signal, 500.0)
    assert again.median_beat.signal.tobytes() == reference.median_beat.signal.tobytes()
    assert dataclasses.astuple(again.median_beat.marks) == dataclasses.astuple(reference.median_beat.marks)
    assert again.qt_ms == reference.qt_ms


def test_the_argument_is_not_changed(healthy):
    simulated, _ = healthy
    signal = simulated.signal.copy()
    signal[3, 100:200] = np.nan
    before = signal.copy()
    measure(signal, 500.0)
    np.testing.assert_array_equal(signal, before)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the recordings are not here")
def test_cardiologists_agree(tmp_path):
    with open(SHARED / "reference" / "ludb_truth.csv", newline="") as file:
        truths = list(csv.DictReader(file))[::4]
    with tarfile.open(SHARED / "data" / "ludb-odd.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    differences = {name: [] for name in INTERVALS}
    for truth in truths:
        header, signal = read_recording(tmp_path / "ludb" / f"{truth['record']}.hea")
        found = measure(signal, header.sampling_frequency)
        for name, values in differences.items():
            values.append(getattr(found, name) - float(truth[name] or "nan"))
    for name, largest in zip(INTERVALS, (15, 12, 15, 35), strict=True):
        values = np.array(differences[name])[np.isfinite(differences[name])]
        assert len(values) >= 15
        assert abs(np.median(values)) < 8 and np.percentile(np.abs(values), 80) < largest, name


def test_limb_leads_that_follow_from_two_others_are_not_off():
    signal = simulate_recording(3, 1, "NSR").signal.astype(np.float32)
    eight = signal.copy()
    eight[2:6] = np.nan
    found, expected = measure(eight, 500), measure(signal, 500)
    assert found.quality.leads_off == ()
    assert found.qrs_ms == pytest.approx(expected.qrs_ms, abs=1)
    eight[0] = np.nan  # one limb lead alone tells nothing of the others
    assert measure(eight, 500).quality.leads_off == ("I", "III", "aVR", "aVL", "aVF")
