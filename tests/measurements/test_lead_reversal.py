"""Exchanged limb electrodes are found, and nothing is suspected where they are in their places."""

import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg.io.recording import read_recording
from ecg.leads import LEADS, twelve_leads
from ecg.measurements import lead_reversal, measure
from ecg.measurements.lead_reversal import AS_NAMED, EXCHANGES, features_of, suspected_swap
from ecg.measurements.types import MedianBeat, WaveMarks
from ecg.simulator.diagnoses import Parameters
from ecg.simulator.dipole import DOWER, leads_of_vectors
from ecg.simulator.noise import Noise, add_noise, reverse_arms
from ecg.simulator.simulate import record, simulate
from ecg.studies.lead_reversal import exchange, fit_from_chest, fit_weights

ROOT = Path(__file__).resolve().parents[2]
LUDB = ROOT.parent / "shared" / "data" / "ludb-odd.tar.xz"
INDEPENDENT = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]


def suspected(signal, fs=500.0):
    return measure(signal.astype(np.float32), fs).quality.suspected_swap


def simulated(seed, diagnosis="NSR"):
    return simulate(np.random.default_rng(seed), diagnosis, comorbidity=False).signal


DIAGNOSES = ("NSR", "AF", "AFL", "LBBB", "CRBBB", "LAD", "RAD", "IAVB", "PVC", "LQRSV", "TInv", "QAb")


@pytest.fixture(scope="module")
def hearts():
    return [simulated(seed, diagnosis) for diagnosis in DIAGNOSES for seed in range(3)]


def test_nothing_is_suspected_where_electrodes_are_in_their_places(hearts):
    assert sum(suspected(signal) != "" for signal in hearts) <= 1


@pytest.mark.parametrize(("name", "least"), [("RA-LA", 0.94), ("RA-LL", 0.85), ("RA-RL", 1.0)])
def test_exchanged_electrodes_are_found(hearts, name, least):
    assert np.mean([suspected(exchange(signal, name)) == name for signal in hearts]) >= least


def test_a_lead_between_the_legs_is_flat_in_spite_of_noise(hearts):
    rng = np.random.default_rng(0)
    noisy = [add_noise(exchange(signal, "RA-RL"), 500.0, Noise(muscle=0.006, wander=0.03), rng) for signal in hearts]
    assert np.mean([suspected(signal) == "RA-RL" for signal in noisy]) >= 0.75


def test_an_exchange_twice_is_none_and_arms_are_exchanged_as_the_simulator_does_it():
    signal = simulated(0)
    for name in EXCHANGES:
        np.testing.assert_allclose(exchange(exchange(signal, name), name), signal, atol=1e-5)
    np.testing.assert_allclose(exchange(signal, "RA-LA"), reverse_arms(signal), atol=1e-5)


@pytest.mark.parametrize("name", [*EXCHANGES, "RA-RL"])
def test_an_exchange_keeps_einthoven_and_goldberger(name):
    exchanged = exchange(simulated(1), name)
    np.testing.assert_allclose(exchanged, twelve_leads(exchanged[INDEPENDENT]), atol=1e-5)
    moved = np.abs(exchanged[6:] - simulated(1)[6:]).max()
    assert (moved > 0.05) == (name == "RA-RL")  # only the reference moves Wilson's central terminal


@pytest.mark.parametrize("seed", range(5))
def test_dextrocardia_is_not_taken_for_exchanged_arms(seed):
    signal = simulated(seed)
    frank = np.linalg.lstsq(DOWER, signal[INDEPENDENT].astype(np.float64), rcond=None)[0]
    frank[0] *= -1  # the mirrored heart
    mirrored = twelve_leads(DOWER @ frank)
    assert mirrored[0].max() < -mirrored[0].min()  # lead I upside down, as with exchanged arms
    assert suspected(mirrored) == ""
    assert suspected(exchange(signal, "RA-LA")) == "RA-LA"


def test_missing_leads_are_no_reason_to_suspect_anything():
    signal = exchange(simulated(0), "RA-LA")
    for missing in (["V6"], ["V1", "V2", "V3"], list(LEADS[1:]), list(LEADS[6:])):
        partial = signal.copy()
        partial[[LEADS.index(lead) for lead in missing]] = np.nan
        assert suspected(partial) == ""


def test_limb_leads_that_follow_from_others_are_enough():
    signal = exchange(simulated(0), "RA-LA")
    signal[2:6] = np.nan
    assert suspected(signal) == "RA-LA"


def test_without_marks_of_qrs_nothing_is_suspected():
    nowhere = WaveMarks(*[float("nan")] * 9)
    beat = MedianBeat(np.random.default_rng(0).normal(size=(12, 500)).astype(np.float32), 500.0, 1, nowhere, (), 225.0)
    assert features_of(beat) is None
    assert suspected_swap(beat) == ""


@pytest.mark.parametrize(("share", "is_flat"), [(0.099, True), (0.101, False)])
@pytest.mark.parametrize("larger", ["I", "III"])
def test_lead_ii_is_flat_below_a_tenth_of_the_larger_of_i_and_iii(share, is_flat, larger):
    wave = np.hanning(81).astype(np.float32)
    smaller = share - 1
    i, iii = (1.0, smaller) if larger == "I" else (smaller, 1.0)
    beat = np.full((12, 300), np.nan, np.float32)  # the others are not needed
    beat[[LEADS.index("I"), LEADS.index("III")]] = 0
    beat[LEADS.index("I"), 100:181], beat[LEADS.index("III"), 100:181] = i * wave, iii * wave
    nan = float("nan")
    for marks in (
        WaveMarks(nan, nan, nan, 100, 120, 140, nan, 160, 180),
        WaveMarks(nan, nan, nan, 100, 140, 180, *[nan] * 3),
    ):
        assert (suspected_swap(MedianBeat(beat, 500.0, 3, marks, (marks,) * 12, 120.0)) == "RA-RL") == is_flat


@pytest.mark.parametrize("upside_down", [(), ("I", "V5", "V6"), ("I", "V5"), ("I", "V6"), ("V5", "V6")])
@pytest.mark.parametrize(("name", "margin"), [("RA-LA", 0.32), ("RA-LL", 0.81), ("LA-LL", 6.04)])
def test_an_exchange_has_to_win_by_its_margin_and_one_with_the_leg_also_in_a_heart_that_is_not_mirrored(
    monkeypatch, name, margin, upside_down
):
    marks = WaveMarks(*[float("nan")] * 3, 20, 25, 30, *[float("nan")] * 3)
    beat = np.ones((12, 60), np.float32)
    beat[[LEADS.index(lead) for lead in upside_down]] = -1
    beat[LEADS.index("III")] = 2 - beat[0]  # lead II, their sum, is not flat
    mirrored = upside_down == ("I", "V5", "V6")
    for ahead in (margin - 0.01, margin + 0.01):
        features = np.zeros((6, 3, 5))
        features[EXCHANGES[name], 0, 0] = (ahead + 2) / lead_reversal.WEIGHTS[0, 0]
        features[AS_NAMED, 0, 0] = 2 / lead_reversal.WEIGHTS[0, 0]
        monkeypatch.setattr(lead_reversal, "features_of", lambda beat, features=features: features)
        expected = name if ahead > margin and (name == "RA-LA" or not mirrored) else ""
        assert suspected_swap(MedianBeat(beat, 500.0, 9, marks, (marks,) * 12, 25.0)) == expected


def test_without_p_waves_qrs_and_t_decide():
    parameters = Parameters(60, "Male", rhythm="junction", pr=None, rate=55.0)
    signal = record(parameters, np.random.default_rng(0), noise=Noise(muscle=0.005)).signal
    beat = measure(exchange(signal, "RA-LA"), 500.0).median_beat
    marks = replace(beat.marks, p_onset=float("nan"), p_offset=float("nan"))
    assert suspected_swap(replace(beat, marks=marks)) == "RA-LA"


def test_the_amplitude_of_the_recording_does_not_matter():
    beat = measure(simulated(2), 500.0).median_beat
    one, ten = features_of(beat), features_of(replace(beat, signal=10 * beat.signal))
    np.testing.assert_allclose(one[..., 4], ten[..., 4], atol=1e-6)


def test_the_fit_finds_the_lead_field_of_the_simulator_and_weights_that_tell_arrangements_apart(monkeypatch):
    beats = [measure(simulated(seed), 500.0).median_beat for seed in range(25)]
    from_chest = fit_from_chest(beats)
    monkeypatch.setattr(lead_reversal, "FROM_CHEST", from_chest)
    vectors = np.random.default_rng(0).normal(size=(50, 3)) * [1, 1, 0.5]
    leads = leads_of_vectors(vectors)
    frontal = np.stack([leads[0], (2 * leads[1] - leads[0]) / np.sqrt(3)])
    assert np.corrcoef(from_chest[1][0] @ leads[6:], frontal[0])[0, 1] > 0.9
    features = np.stack([features_of(beat) for beat in beats])
    scores = np.einsum("nawf,wf->na", features, fit_weights(features))
    assert (scores.argmax(axis=1) == AS_NAMED).mean() > 0.9


@pytest.mark.slow
@pytest.mark.skipif(not LUDB.exists(), reason="the recordings of LUDB are not here")
def test_arm_reversal_in_real_recordings(tmp_path):
    numbers = range(1, 60, 2)
    wanted = {f"ludb/{k}.{suffix}" for k in numbers for suffix in ("hea", "dat")}
    with tarfile.open(LUDB) as archive:
        archive.extractall(tmp_path, [member for member in archive if member.name in wanted], filter="data")
    false, found = 0, 0
    for k in numbers:
        header, signal = read_recording(tmp_path / "ludb" / f"{k}.hea")
        false += suspected(signal, header.sampling_frequency) == "RA-LA"
        found += suspected(exchange(signal, "RA-LA"), header.sampling_frequency) == "RA-LA"
    assert false <= 1
    assert found >= 28
