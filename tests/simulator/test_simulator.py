"""Simulated recordings: labels follow from the heart, everybody reads the files, the same seed gives the same bytes."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.commands.simulate import main
from ecg.report.plotting import plot_recording, title_of
from ecg.simulator.diagnoses import CODES, DIAGNOSES, Parameters, Ventricular, diagnosis_of, labels_of
from ecg.simulator.draws import draw_parameters
from ecg.simulator.noise import Noise
from ecg.simulator.simulate import Simulated, qrs_of, record, simulate, simulate_recording
from ecg.simulator.write import write_recording
from helper_code import LEADS, SCORED_CLASSES, read_recording

ROOT = Path(__file__).resolve().parents[2]
NAMES = {code: name for code, (name, _) in SCORED_CLASSES.items()}
repeatable = settings(deadline=None, derandomize=True, max_examples=25)


def names_of(parameters):
    return {NAMES[code] for code in labels_of(parameters)}


HEALTHY = Parameters(50, "Male")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"NSR"}),
        ({"rate": 59.0}, {"SB"}),
        ({"rate": 60.0}, {"NSR"}),
        ({"rate": 101.0}, {"STach"}),
        ({"rr_range": 0.13}, {"SA"}),
        ({"rr_range": 0.13, "rate": 52.0}, {"SA", "SB"}),
        ({"rhythm": "junction", "rate": 45.0, "pr": None}, {"Brady"}),
        ({"rhythm": "fibrillation", "pr": None}, {"AF"}),
        ({"rhythm": "fibrillation", "pr": None, "rate": 50.0}, {"AF", "Brady"}),
        ({"rhythm": "flutter", "pr": None}, {"AFL"}),
        ({"rhythm": "paced", "qrs_shape": "LBBB", "qrs": 0.16, "axis": -80.0}, {"PR"}),
        ({"pr": 0.2}, {"NSR"}),
        ({"pr": 0.21}, {"NSR", "IAVB", "LPR"}),
        ({"pr": 0.21, "pr_codes": ("IAVB",)}, {"NSR", "IAVB"}),
        ({"pr": 0.19, "pr_codes": ("IAVB",)}, {"NSR"}),
        ({"pac": 2}, {"NSR", "PAC"}),
        ({"pvc": 1}, {"NSR", "PVC"}),
        ({"axis": -50.0}, {"NSR", "LAD"}),
        ({"axis": -31.0}, {"NSR", "LAD"}),
        ({"axis": -30.0}, {"NSR"}),
        ({"axis": -50.0, "qrs_shape": "LAFB"}, {"NSR", "LAD", "LAnFB"}),
        ({"axis": -40.0, "qrs_shape": "LAFB"}, {"NSR", "LAD"}),
        ({"axis": 91.0, "qrs_shape": "vertical"}, {"NSR", "RAD"}),
        ({"qrs_shape": "LBBB", "qrs": 0.13}, {"NSR", "LBBB"}),
        ({"qrs_shape": "RBBB", "qrs": 0.13}, {"NSR", "CRBBB"}),
        ({"qrs_shape": "RBBB", "qrs": 0.115}, {"NSR", "IRBBB"}),
        ({"qrs_shape": "RBBB+LAFB", "qrs": 0.13, "axis": -60.0}, {"NSR", "CRBBB", "LAnFB", "LAD"}),
        ({"qrs_shape": "nonspecific", "qrs": 0.12}, {"NSR", "NSIVCB"}),
        ({"qtc": 0.449}, {"NSR"}),
        ({"qtc": 0.451}, {"NSR", "LQT"}),
        ({"qtc": 0.451, "sex": "Female"}, {"NSR"}),
        ({"voltage": 0.49, "t_amplitude": 0.12}, {"NSR", "LQRSV"}),
        ({"qrs_shape": "inferior Q", "qrs": 0.1, "axis": 10.0}, {"NSR", "QAb"}),
        ({"qrs_shape": "anterior Q", "qrs": 0.1}, {"NSR", "QAb"}),
        ({"t_amplitude": 0.02, "t_back": 0.0}, {"NSR", "TAb"}),
        ({"t_amplitude": -0.3, "t_back": 0.0}, {"NSR", "TInv"}),
        ({"t_back": 0.4}, {"NSR", "TInv"}),
        ({"t_back": 0.4, "tab_beside_tinv": True}, {"NSR", "TInv", "TAb"}),
        ({"tab_beside_tinv": True}, {"NSR"}),
    ],
)
def test_labels_follow_from_the_parameters(changes, expected):
    assert names_of(replace(HEALTHY, **changes)) == expected


@pytest.mark.parametrize("diagnosis", DIAGNOSES)
def test_every_diagnosis_can_be_asked_for(diagnosis):
    for k in range(8):
        simulated = simulate(np.random.default_rng([11, k]), diagnosis)
        assert CODES[diagnosis] in simulated.labels
        assert simulated.labels == labels_of(simulated.parameters)
        assert simulated.signal.shape == (12, 5000)
        assert simulated.signal.dtype == np.float32
        assert 0.2 < np.ptp(simulated.signal, axis=1).max() < 12
        assert simulated.sex in ("Female", "Male")
        assert 16 <= simulated.age <= 92


def test_comorbidity_can_be_left_out_and_joins_otherwise():
    alone = [names_of(draw_parameters(np.random.default_rng(k), "LQT", comorbidity=False)) for k in range(30)]
    joined = [names_of(draw_parameters(np.random.default_rng(k), "LQT")) for k in range(30)]
    assert all(names - {"TAb"} == {"LQT", "NSR"} for names in alone)
    assert sum(len(names) > 2 for names in joined) >= 8


def test_all_classes_are_about_as_frequent():
    drawn = [names_of(draw_parameters(np.random.default_rng([5, k]), DIAGNOSES[k % 24])) for k in range(480)]
    counts = {name: sum(name in names for names in drawn) for name in DIAGNOSES}
    del counts["NSR"]  # underlies half of the others
    assert min(counts.values()) >= 20
    assert max(counts.values()) <= 110


@pytest.mark.parametrize(("first", "second"), [("IAVB", "LPR"), ("LPR", "IAVB"), ("TInv", "TAb")])
def test_codes_stand_beside_each_other_in_about_a_third(first, second):
    turns = [first, second] if second == "LPR" or first == "LPR" else [first]
    drawn = [names_of(draw_parameters(np.random.default_rng([6, k]), turns[k % len(turns)])) for k in range(300)]
    both = [second in names for names in drawn if first in names]
    assert 0.2 < np.mean(both) < 0.5


def test_tachycardia_reaches_175_and_its_p_waves_lie_after_the_t_waves_before_them():
    drawn = [draw_parameters(np.random.default_rng([6, k]), "STach", comorbidity=False) for k in range(300)]
    rates = np.array([p.rate for p in drawn])
    assert rates.min() > 101
    assert 160 < rates.max() < 177
    assert np.percentile(rates, 25) < 118
    for p in drawn:
        p_peak = 60 / p.rate - p.pr + 0.05
        assert p_peak > 0.8 * p.qt + 0.02  # T peaks at 0.8 QT


def ectopic_runs(parameters):
    origins = "".join("." if beat.origin == "sinus" else beat.origin[0] for beat in parameters.beats)
    return origins, re.findall("[av]+", origins)


@pytest.mark.parametrize(("pattern", "length"), [("single", 1), ("couplets", 2), ("runs", 3)])
@pytest.mark.parametrize("origin", ["pac", "pvc"])
def test_premature_beats_come_in_their_pattern(pattern, length, origin):
    parameters = replace(HEALTHY, pattern=pattern, **{origin: 6})
    parameters = record(parameters, np.random.default_rng(1), seconds=30).parameters
    _, runs = ectopic_runs(parameters)
    assert len(runs) >= 6 // length - 1  # the last ones may find no room
    assert set(runs[:-1]) <= {{"pac": "a", "pvc": "v"}[origin] * length}
    assert len(runs[-1]) <= length
    times = np.array([beat.time for beat in parameters.beats])
    assert np.diff(times).min() > parameters.qt


def test_in_bigeminy_every_second_beat_is_premature():
    parameters = record(replace(HEALTHY, pattern="bigeminy", pvc=5), np.random.default_rng(1), seconds=20).parameters
    origins, _ = ectopic_runs(parameters)
    assert ".v.v.v.v.v." in origins
    assert origins.count("v") == 5


def test_a_blocked_atrial_beat_is_a_p_wave_and_a_pause_without_a_complex():
    changes = {"pac": 2, "rr_range": 0.001}
    blocked = record(replace(HEALTHY, pac_blocked=1.0, **changes), np.random.default_rng(1))
    parameters = blocked.parameters
    assert parameters.pac == len(parameters.blocked_p) == 2
    assert "PAC" in names_of(parameters)
    assert {beat.origin for beat in parameters.beats} == {"sinus"}
    times = np.array([beat.time for beat in parameters.beats])
    assert (np.diff(times) > 1.2 * 60 / parameters.rate).sum() == 2
    for onset in parameters.blocked_p:  # the sinus node begins anew with it
        following = times[times > onset + parameters.pr][0] - parameters.pr
        assert (following - onset) / (60 / parameters.rate) == pytest.approx(1.05, abs=0.01)
    lead_ii, fs = blocked.signal[LEADS.index("V1")], blocked.sampling_frequency
    for onset in parameters.blocked_p:
        start = round(onset * fs)
        before = times[times < onset][-1]
        usual = round((onset - before + times[0 if before != times[0] else 1]) * fs)
        assert np.abs(lead_ii[start : start + 50] - lead_ii[usual : usual + 50]).max() > 0.02


def test_an_aberrant_atrial_beat_is_wide():
    parameters = record(replace(HEALTHY, pac=2, pac_aberrant=1.0), np.random.default_rng(1)).parameters
    early = [beat for beat in parameters.beats if beat.origin == "atrial"]
    assert [beat.form for beat in early] == [1, 1]
    assert qrs_of(parameters, early[0])[1] >= 0.12
    assert names_of(parameters) == {"NSR", "PAC"}  # of two beats, not of the heart


def test_premature_ventricular_beats_have_two_shapes_in_some():
    two = (Ventricular("RV", -60.0), Ventricular("LV", 120.0))
    parameters = record(replace(HEALTHY, pvc=6, pvc_forms=two), np.random.default_rng(1), seconds=25).parameters
    assert {beat.form for beat in parameters.beats if beat.origin == "ventricular"} == {0, 1}
    drawn = [draw_parameters(np.random.default_rng([6, k]), "PVC") for k in range(60)]
    assert 5 < sum(len(p.pvc_forms) == 2 for p in drawn) < 30


def test_arms_are_swapped_rarely_and_the_labels_stay_those_of_the_heart():
    swapped = 0
    for k in range(150):
        simulated = simulate(np.random.default_rng([6, k]), "NSR", 100, 1, comorbidity=False)
        swapped += simulated.noise.reversed_arms
        assert simulated.labels == labels_of(simulated.parameters)
    assert 1 <= swapped <= 5


def test_beats_tell_what_was_laid_down():
    parameters = draw_parameters(np.random.default_rng(3), "PVC", comorbidity=False)
    parameters = replace(parameters, pvc=2, pac=1, pattern="single")
    parameters = record(parameters, np.random.default_rng(0), seconds=12).parameters
    times = [beat.time for beat in parameters.beats]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < 12
    origins = [beat.origin for beat in parameters.beats]
    assert (origins.count("ventricular"), origins.count("atrial")) == (2, 1)
    assert all((beat.pr is None) == (beat.origin == "ventricular") for beat in parameters.beats)


def test_premature_beats_without_room_are_not_labelled():
    simulated = record(replace(HEALTHY, pvc=3), np.random.default_rng(0), seconds=1)
    assert "PVC" not in {NAMES[code] for code in simulated.labels}


def test_a_recording_too_short_for_the_diagnosis_is_refused():
    with pytest.raises(ValueError, match="long enough for PVC, found 1 s"):
        simulate(np.random.default_rng(0), "PVC", seconds=1)


@pytest.mark.parametrize(
    ("name", "expected"), [("af", "AF"), ("164889003", "AF"), ("RBBB", "CRBBB"), ("17338001", "PVC")]
)
def test_diagnosis_may_be_an_abbreviation_or_a_code(name, expected):
    assert diagnosis_of(name) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"diagnosis": "flu"}, "expected one of IAVB, AF.*found 'flu'"),
        ({"sampling_frequency": 50}, "expected 100 to 1000 Hz, found 50"),
        ({"sampling_frequency": float("nan")}, "expected 100 to 1000 Hz, found nan"),
        ({"seconds": 0}, "at least one sample, found 0"),
    ],
)
def test_what_can_not_be_simulated_is_said(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate(np.random.default_rng(0), **arguments)


def test_the_heart_depends_neither_on_noise_nor_on_the_sampling_frequency():
    def heart(fs, noise=None):
        return simulate(np.random.default_rng(21), "AF", fs, 10, noise)

    slow, fast = heart(250, Noise()), heart(500, Noise())
    assert slow.parameters == fast.parameters == heart(500).parameters
    np.testing.assert_allclose(slow.signal, fast.signal[:, ::2], atol=0.05)
    assert np.abs(fast.signal - heart(500).signal).max() > 0.005


@repeatable
@given(
    fs=st.sampled_from([100, 128.5, 250, 257, 360, 500, 1000]),
    seconds=st.floats(1.1, 20),
    gain=st.floats(50, 5000),
    baseline=st.integers(-2000, 2000),
    leads=st.permutations(LEADS).flatmap(lambda order: st.integers(1, 12).map(lambda n: tuple(order[:n]))),
    dialect=st.sampled_from(["2020", "2021"]),
    file_format=st.sampled_from(["mat", "dat"]),
    seed=st.integers(0, 1000),
)
def test_any_file_is_read_back(tmp_path_factory, fs, seconds, gain, baseline, leads, dialect, file_format, seed):
    gain = float(f"{gain:g}")  # what the header can hold
    folder = tmp_path_factory.mktemp("any")
    simulated = simulate(np.random.default_rng(seed), "NSR", fs, seconds)
    header_file = write_recording(
        folder, "A0001", simulated, dialect=dialect, gain=gain, baseline=baseline, leads=leads, file_format=file_format
    )
    header, signal = read_recording(header_file)
    assert header.recording_id == "A0001"
    assert header.sampling_frequency == fs
    assert header.leads == leads
    assert header.labels == simulated.labels
    assert (header.age, header.sex) == (simulated.age, simulated.sex)
    rows = [LEADS.index(lead) for lead in leads]
    expected = np.clip(simulated.signal[rows], (-32767 - baseline) / gain, (32767 - baseline) / gain)
    np.testing.assert_allclose(signal[rows], expected, atol=0.51 / gain + 1e-5)
    assert np.isnan(np.delete(signal, rows, axis=0)).all()


@repeatable
@given(seed=st.integers(0, 10_000), gain=st.sampled_from([200, 1000, 4880]), baseline=st.integers(-500, 500))
def test_einthoven_and_goldberger_hold_to_one_unit_in_the_file(tmp_path_factory, seed, gain, baseline):
    from scipy.io import loadmat

    folder = tmp_path_factory.mktemp("units")
    simulated = simulate(np.random.default_rng(seed), seconds=4)
    write_recording(folder, "A0001", simulated, gain=gain, baseline=baseline)
    i, ii, iii, avr, avl, avf = loadmat(folder / "A0001.mat")["val"][:6].astype(float) - baseline
    assert np.abs(iii - (ii - i)).max() <= 1
    assert np.abs(avr + (i + ii) / 2).max() <= 1
    assert np.abs(avl - (i - ii / 2)).max() <= 1
    assert np.abs(avf - (ii - i / 2)).max() <= 1
    assert np.abs(avr + avl + avf).max() <= 1


@pytest.mark.parametrize("file_format", ["mat", "dat"])
def test_wfdb_and_scipy_read_the_same_samples(tmp_path, file_format):
    import wfdb
    from scipy.io import loadmat

    simulated = simulate_recording(7, 1)
    write_recording(tmp_path, "A0001", simulated, file_format=file_format)
    wfdb_record = wfdb.rdrecord(str(tmp_path / "A0001"), physical=False)
    assert wfdb_record.sig_name == list(LEADS)
    assert [c % 65536 for c in wfdb_record.checksum] == wfdb_record.calc_checksum()
    np.testing.assert_array_equal(wfdb_record.d_signal.T, np.rint(simulated.signal.astype(float) * 1000))
    if file_format == "mat":
        np.testing.assert_array_equal(loadmat(tmp_path / "A0001.mat")["val"], wfdb_record.d_signal.T)


def test_headers_are_those_of_the_two_challenges(tmp_path):
    simulated = simulate_recording(7, 2)
    old = write_recording(tmp_path / "a", "A0001", simulated).read_text().splitlines()
    new = write_recording(tmp_path / "b", "A0001", simulated, dialect="2021", gain=500, baseline=-3)
    new = new.read_text().splitlines()
    assert old[0] == "A0001 12 500 5000 01-Jan-2020 12:00:00"
    assert old[1].startswith("A0001.mat 16+24 1000/mV 16 0 ")
    assert old[1].endswith(" 0 I")
    assert old[13] == f"#Age: {simulated.age:.0f}"
    assert old[15] == f"#Dx: {','.join(simulated.labels)}"
    assert new[0] == "A0001 12 500 5000"
    assert new[1].startswith("A0001.mat 16x1+24 500.0(-3)/mV 16 0 ")
    assert new[13] == f"# Age: {simulated.age:.0f}"


def test_missing_samples_and_overflow_can_be_written(tmp_path):
    signal = np.zeros((12, 500), np.float32)
    signal[3, 1], signal[4, 2] = np.nan, 100.0
    simulated = Simulated(signal, 500.0, (), 40.0, "Male", HEALTHY)
    _, read = read_recording(write_recording(tmp_path, "A0001", simulated))
    assert np.isnan(read[3, 1])
    assert np.isnan(read).sum() == 1
    assert read[4, 2] == pytest.approx(32.767)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dialect": "2019"}, "A0001: expected dialect 2020 or 2021, found '2019'"),
        ({"file_format": "edf"}, "A0001: expected file format mat or dat, found 'edf'"),
        ({"gain": 0}, "A0001: expected a positive gain, found 0"),
        ({"leads": ("I", "X")}, "A0001: expected leads out of I, II.*found X"),
        ({"leads": ()}, "A0001: expected leads.*found none"),
    ],
)
def test_what_can_not_be_written_is_said(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_recording(tmp_path, "A0001", simulate_recording(1, 1), **arguments)
    assert not list(tmp_path.iterdir())


def run(*arguments):
    command = [sys.executable, "-m", "ecg", "simulate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("[!.]*"))}


def test_the_command_writes_the_same_bytes_every_time(tmp_path):
    for name in ("a", "b"):
        done = run(tmp_path / name, "--records", 5, "--seed", 7, "--dialect", 2021)
        assert (done.returncode, done.stderr) == (0, "")
    first = contents(tmp_path / "a")
    assert sorted(first) == sorted(f"SIM{k:05d}.{suffix}" for k in range(1, 6) for suffix in ("hea", "mat"))
    assert first == contents(tmp_path / "b")


def test_recording_k_does_not_depend_on_how_many_there_are(tmp_path):
    assert main([str(tmp_path / "few"), "--records", "3", "--seed", "7"]) == 0
    assert main([str(tmp_path / "many"), "--records", "6", "--seed", "7"]) == 0
    few, many = contents(tmp_path / "few"), contents(tmp_path / "many")
    assert few == {name: data for name, data in many.items() if name in few}
    assert main([str(tmp_path / "other"), "--records", "3", "--seed", "8"]) == 0
    assert contents(tmp_path / "other") != few


def test_the_command_takes_diagnosis_frequency_length_and_plots(tmp_path):
    command = [str(tmp_path), "--records", "1", "--diagnosis", "AFL", "--fs", "257", "--seconds", "4", "--plots"]
    assert main(command) == 0
    header, signal = read_recording(tmp_path / "SIM00001.hea")
    assert CODES["AFL"] in header.labels
    assert header.sampling_frequency == 257
    assert signal.shape == (12, 1028)
    assert (tmp_path / "SIM00001.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main([str(tmp_path / "x"), "--diagnosis", "flu"]) == 2
    assert "found 'flu'" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file"), "--records", "1"]) == 2
    assert "file" in capsys.readouterr().err
    assert main([str(tmp_path / "x"), "--records", "0"]) == 2
    assert not (tmp_path / "x").exists()


def test_plots_cope_with_short_recordings_and_missing_leads(tmp_path):
    signal = np.zeros((12, 700), np.float32)
    signal[4] = np.nan
    signal[7, 100:200] = np.nan
    plot_recording(signal, 500, tmp_path / "short.png", title_of("A0001", ("164889003", "1")))
    assert (tmp_path / "short.png").stat().st_size > 10_000
    assert title_of("A0001", ("164889003", "1")) == "A0001: AF"
