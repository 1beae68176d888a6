"""ecg.convert: integers and gains come through, reports, labels, exit statuses; no name or identifier gets out."""

import csv
import datetime
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import helper_code
from commands import ENVIRONMENT, ROOT, write_recordings
from ecg.commands import convert
from ecg.examination.convert_folder import ConvertOptions, _holds, _row, _summary, convert_recordings
from ecg.io.errors import RecordingError
from ecg.io.formats import find_recordings, read, read_any, read_challenge
from ecg.io.stored import DeviceReport, Identity, Stored, make_header
from ecg.io.writers.dicom_writer import write_dicom
from ecg.io.writers.exports import as_integers, write_challenge, write_edf
from ecg.leads import LEADS
from format_files import SECRETS, STORED, aecg_xml, dicom_file, dicom_group, integers, millivolts, muse_xml, philips_xml
from more_format_files import mortara_xml
from tiny import heart_like, write_recording

pydicom = pytest.importorskip("pydicom")
edfio = pytest.importorskip("edfio")
SAMPLES = integers(200)


@pytest.fixture(scope="module")
def hospital_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hospital")
    (folder / "muse.xml").write_bytes(muse_xml(integers(1000 / 4.88, leads=STORED)))
    (folder / "aecg.xml").write_bytes(aecg_xml(SAMPLES, scale=("5", "uV")))
    (folder / "old.xml").write_bytes(philips_xml(SAMPLES, version="1.03", encoding="utf-8"))
    (folder / "new.xml").write_bytes(philips_xml(SAMPLES))
    dicom_file(folder / "dicom.dcm", dicom_group(SAMPLES, sensitivity="5"))
    return folder


@pytest.fixture
def hospital(hospital_once, tmp_path):
    """A folder with one recording of each format, and who they are all over them."""
    return shutil.copytree(hospital_once, tmp_path / "in")


def run(*words, check=0):
    """The command in its own process: exit status, standard output and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "ecg", "convert", *map(str, words)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == check, done.stdout + done.stderr
    return done.stdout, done.stderr


def convert_here(*words):
    """The command in this process alone: its exit status."""
    return convert.main([*map(str, words), "--workers", "1"])


def rows_of(folder):
    with open(folder / "device_reports.csv", newline="") as file:
        return {row["record"]: row for row in csv.DictReader(file)}


# ---- to Challenge files ----------------------------------------------------------------------------------------------


def test_integers_and_gains_come_through(hospital, tmp_path):
    assert convert_here(hospital, tmp_path / "out") == 0
    for path in hospital.iterdir():
        stored = read_any(path)
        header, signal = helper_code.read_recording(tmp_path / "out" / f"{path.stem}.hea")
        assert (header.leads, header.adc_gains, header.age, header.sex, header.labels) == (
            stored.header.leads,
            stored.header.adc_gains,
            71,
            "Female",
            (),
        )
        assert np.array_equal(signal, millivolts(stored), equal_nan=True)
        again = read_challenge(tmp_path / "out" / f"{path.stem}.hea")
        assert np.array_equal(again.samples, stored.samples) and again.samples.dtype == stored.samples.dtype
        assert again.device.measurements == stored.device.measurements


@given(
    samples=hnp.arrays(st.sampled_from([np.int16, np.int32]), (2, 120), elements=st.integers(-32768, 32767)),
    gain=st.floats(0.01, 1e5),
    baseline=st.integers(-3000, 3000) | st.floats(-100, 100),
)
@settings(max_examples=40)
def test_any_integers_gains_and_baselines_come_through(tmp_path_factory, samples, gain, baseline):
    folder = tmp_path_factory.mktemp("challenge")
    stored = Stored(make_header(folder / "a.x", ("II", "V5"), 100, samples, [gain] * 2, [baseline] * 2), samples)
    write_challenge(folder, stored, ["Statement: two\nlines\x00"])
    text = (folder / "a.hea").read_text()
    header = helper_code.parse_header(text)
    loaded = helper_code.load_recording({"recording": folder / "a.mat"}["recording"], text)
    assert np.array_equal(loaded, samples) and header.adc_gains == (gain, gain)
    assert header.baselines == pytest.approx((baseline, baseline), rel=1e-15)
    assert text.endswith("#Statement: two lines \n")


def test_samples_in_mv_are_written_to_the_nanovolt(tmp_path):
    samples = heart_like(2)[:3].astype(np.float64)
    samples[1, 5] = np.nan
    stored = Stored(make_header(tmp_path / "a.x", LEADS[:3], 500, samples, [1.0] * 3), samples)
    write_challenge(tmp_path, stored, [])
    signal = helper_code.read_recording(tmp_path / "a.hea")[1][:3]
    assert np.allclose(signal, samples, atol=1e-6, equal_nan=True) and np.isnan(signal[1, 5])
    assert as_integers(stored).samples.dtype == np.int32


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2147.5, -2147.5])
def test_what_no_integer_holds_in_nanovolts_is_missing(tmp_path, value):
    samples = np.zeros((2, 500))
    samples[1, 5], samples[1, 6] = value, 2147
    stored = Stored(make_header(tmp_path / "a.x", LEADS[:2], 500, samples, [1.0] * 2), samples)
    assert as_integers(stored).samples[1, 4:7].tolist() == [0, -(2**31), 2147 * 10**6]


def test_the_table_of_reports(hospital, tmp_path):
    assert convert_here(hospital, tmp_path / "out", "--labels", "common") == 0
    rows = rows_of(tmp_path / "out")
    assert set(rows) == {"aecg", "dicom", "muse", "new", "old"}
    muse = rows["muse"]
    assert (muse["format"], muse["maker"], muse["model"], muse["pr_ms"], muse["heart_rate_bpm"]) == (
        "GE MUSE XML",
        "GE",
        "MAC55",
        "138",
        "48",
    )
    assert muse["statements"] == "Sinus bradycardia with 1st degree A-V block | Left axis deviation"
    assert muse["codes"] == "426177001;270492004;39732003"  # SB, IAVB, LAD
    assert helper_code.read_header(tmp_path / "out" / "muse.hea").labels == ("426177001", "270492004", "39732003")


def test_a_hospitals_own_words_go_before_the_common_ones_and_unknown_ones_are_listed(hospital, tmp_path, capsys):
    labels = tmp_path / "labels.csv"
    labels.write_text("statement,code\nsinus BRADYCARDIA,426627000\nAbnormal ECG,\n")
    (hospital / "muse.xml").write_bytes(
        muse_xml(integers(200, leads=STORED), statements=(("Stolperherz",), ("Sinus bradycardia",)))
    )
    assert convert_here(hospital, tmp_path / "out", "--labels", labels) == 0
    assert {row["codes"] for row in rows_of(tmp_path / "out").values()} == {"426627000"}
    output = capsys.readouterr().out
    assert re.search(r"without a code in the table.*\n +1 +Stolperherz\n", output)
    assert "bradycardia" not in output.lower()


def test_unknown_statements_are_listed_from_the_commonest_and_in_the_order_of_the_alphabet_where_they_tie():
    lines = list(_summary(3, Counter({"b": 1, "c": 2, "a": 1, "d": 10})))
    assert lines[0].startswith("3 statements hold a name")
    assert [line.split() for line in lines[2:]] == [["10", "d"], ["2", "c"], ["1", "a"], ["1", "b"]]
    assert list(_summary(0, Counter())) == []


@pytest.mark.parametrize(
    ("statement", "is_found"),
    [
        ("ST as of Li", True),  # a part of a name has two letters
        ("ST as of J", False),
        ("st of LI.", True),
        ("Limb leads", False),
        ("Patient AB12", True),  # an identifier four
        ("Patient C34", False),
        ("AB123", False),
        ("Ward W-17", False),  # punctuation does not count
        ("Ward Q-178", True),
        ("born 1950-02-03", True),
        ("born 03.02.1950", True),
        ("born 02/03/1950", True),
        ("born 19500203", True),
        ("born 02-03-1950", True),
        ("born 1950", False),
    ],
)
def test_a_statement_is_withheld_that_holds_a_part_of_a_name_or_an_identifier(statement, is_found):
    who = Identity("Li^J", "AB12", datetime.date(1950, 2, 3), {"ward": "W-17", "unit": "Q-178", "bed": "C34"})
    assert bool(_holds(statement, who)) == is_found
    assert not _holds(statement, Identity())


@pytest.mark.parametrize(("age", "said"), [(61.0, "61"), (0.5, "0.5"), (np.nan, ""), (0.0, "0")])
def test_a_row_of_the_table_has_the_age_as_it_is(age, said):
    header = make_header("a.x", ("I",), 257.5, np.ones((1, 515), np.int16), [200.0], age=age)
    row = _row(Stored(header, np.ones((1, 515), np.int16)), "X", False)
    assert (row["age"], row["sampling_frequency_hz"], row["seconds"]) == (said, "257.5", "2")
    assert "patient_name" not in row


# ---- to other formats ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["dicom", "edf", "csv", "challenge", "aecg", "scp"])
def test_there_and_back(tmp_path, to):
    write_recordings(tmp_path / "in", 2)
    signal = heart_like(2)
    signal[3:6] = np.nan
    write_recording(tmp_path / "in", "no-augmented", signal)
    assert convert_here(tmp_path / "in", tmp_path / "there", "--to", to) == 0
    assert convert_here(tmp_path / "there", tmp_path / "back") == 0
    names = sorted(path.stem for path in (tmp_path / "in").glob("*.hea"))
    assert sorted(path.stem for path in (tmp_path / "back").glob("*.hea")) == names
    for name in names:
        header, original = helper_code.read_recording(tmp_path / "in" / f"{name}.hea")
        again, back = helper_code.read_recording(tmp_path / "back" / f"{name}.hea")
        assert np.allclose(back, original, atol=1e-6, equal_nan=True)
        assert (again.age, again.sex, again.sampling_frequency) == (header.age, header.sex, 500) or to == "edf"


@pytest.mark.parametrize("to", ["csv", "challenge", "aecg", "scp"])
def test_an_infant_keeps_its_months(tmp_path, to):
    header = write_recordings(tmp_path / "in", 1) / "HR00000.hea"
    header.write_text(header.read_text().replace("#Age: 60", "#Age: 0.5"))
    assert convert_here(tmp_path / "in", tmp_path / "there", "--to", to) == 0
    (file,) = find_recordings(tmp_path / "there")
    assert read(file).age == pytest.approx(0.5, abs=0.01)


def test_dicom_is_what_pydicom_reads_and_has_what_the_standard_asks_for(tmp_path):
    write_recordings(tmp_path / "in", 1)
    for folder in ("one", "two"):
        assert convert_here(tmp_path / "in", tmp_path / folder, "--to", "dicom") == 0
    assert (tmp_path / "one" / "HR00000.dcm").read_bytes() == (tmp_path / "two" / "HR00000.dcm").read_bytes()
    dataset = pydicom.dcmread(tmp_path / "one" / "HR00000.dcm")
    assert dataset.SOPClassUID == pydicom.uid.TwelveLeadECGWaveformStorage
    expected = helper_code.read_recording(tmp_path / "in" / "HR00000.hea")[1]
    assert np.allclose(dataset.waveform_array(0).T, expected * 1000, atol=1e-3)
    assert dataset.SOPInstanceUID.is_valid and dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID
    # Type 1 and 2 attributes of the modules of PS3.3 A.34.3: there, those of type 1 with a value.
    for keyword in (
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "Modality",
        "InstanceNumber",
        "ContentDate",
        "ContentTime",
        "AcquisitionDateTime",
        "WaveformSequence",
    ):
        assert dataset[keyword].value, keyword
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "ReferringPhysicianName",
        "AccessionNumber",
        "SeriesNumber",
        "Manufacturer",
        "AcquisitionContextSequence",
    ):
        assert keyword in dataset, keyword
    (finding,) = [item for item in dataset.WaveformAnnotationSequence if "ConceptCodeSequence" in item]
    assert finding.ConceptCodeSequence[0].CodeValue == "426783006"


@pytest.mark.parametrize(
    ("shape", "kind", "rate", "name"),
    [
        ((12, 5000), np.int16, 500, "TwelveLead"),
        ((12, 20000), np.int16, 500, "General"),
        ((12, 5000), np.int32, 500, "General32bit"),
        ((12, 5000), np.int16, 100, "Ambulatory"),
    ],
)
def test_the_dicom_object_fits_its_limits_and_is_valid(tmp_path, shape, kind, rate, name):
    samples = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    header = make_header(tmp_path / "a.x", LEADS, rate, samples, [1000.0] * 12, age=61, sex="Male")
    measured = dict.fromkeys(("heart_rate_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "p_axis_deg", "t_axis_deg"), 40.0)
    device = DeviceReport("GE", "MAC55", None, measured, ("Sinus rhythm, Größe",))
    path = write_dicom(tmp_path, Stored(replace(header, labels=("426783006",)), samples, device))
    assert pydicom.dcmread(path).SOPClassUID == getattr(pydicom.uid, f"{name}ECGWaveformStorage")
    (group,) = pydicom.dcmread(path).WaveformSequence
    bits = {channel.WaveformBitsStored for channel in group.ChannelDefinitionSequence}
    assert bits == {group.WaveformBitsAllocated} == {8 * np.dtype(kind).itemsize}
    if shutil.which("dciodvfy") and name != "General32bit":  # younger than the validator that Debian 12 has
        found = subprocess.run(["dciodvfy", path], capture_output=True, text=True).stderr
        assert f"{name}ECG" in found and "Error" not in found, found


def test_edf_says_that_it_cannot_mark_missing_samples(tmp_path):
    samples = SAMPLES.copy()
    samples[2, 7] = -32768
    with pytest.raises(RecordingError, match="without missing samples, which EDF can't mark"):
        write_edf(tmp_path, Stored(make_header(tmp_path / "a.x", LEADS, 500, samples, [200.0] * 12), samples))


ODD = {
    "360 Hz x 6500": (360, 6500, 1000, 0),
    "512 Hz x 3593": (512, 3593, 1000, 0),
    "499.8 Hz": (499.8, 4998, 1000, 0),
    "257 Hz x 46260": (257, 46260, 1000, 0),
    "a negative gain": (250, 2500, -1000, 0),
    "a negative gain and a baseline": (250, 2500, -204.8, 17),
    "a gain of a third": (250, 2500, 1000 / 3, 100),
}


@pytest.mark.parametrize("kind", ODD)
def test_numbers_that_need_more_than_the_eight_characters_of_an_edf_header(tmp_path, kind):
    rate, n_samples, gain, baseline = ODD[kind]
    samples = np.random.default_rng(1).integers(-3000, 3000, (12, n_samples)).astype(np.int16)
    header = make_header(tmp_path / "a.x", LEADS, rate, samples, [gain] * 12, [baseline] * 12)
    stored = read_any(write_edf(tmp_path, Stored(header, samples)))
    assert stored.header.sampling_frequency == rate and stored.samples.shape[1] == n_samples
    hundredth_of_a_bit = abs(0.01 / gain)
    np.testing.assert_allclose(millivolts(stored), (samples - baseline) / gain, rtol=1e-6, atol=hundredth_of_a_bit)


@pytest.mark.parametrize("to", ["challenge", "dicom", "edf", "csv", "aecg", "scp"])
def test_one_recording_that_cannot_be_written_costs_no_other(tmp_path, capsys, to):
    write_recordings(tmp_path / "in", 3)
    header = tmp_path / "in" / "HR00001.hea"
    header.write_text(header.read_text().replace(" 1000/mV", " 1e-300/mV"))
    status = convert_here(tmp_path / "in", tmp_path / "out", "--to", to)
    assert len(list((tmp_path / "out").glob("HR00000.*"))) == len(list((tmp_path / "out").glob("HR00002.*"))) > 0
    assert len(rows_of(tmp_path / "out")) == 3 - status
    assert ("HR00001" in capsys.readouterr().err) == bool(status)


@pytest.mark.parametrize("bad", [[], ["in"], ["in/below"], ["in", "in/below"]])
@pytest.mark.parametrize("resume", [False, True])
def test_of_two_of_one_name_the_first_that_can_be_read_counts_as_converted(tmp_path, bad, resume):
    for folder in ("in", "in/below"):
        write_recording(tmp_path / folder, "A1", heart_like(1))
    for folder in bad:
        (tmp_path / folder / "A1.mat").write_bytes(b"junk")
    write_recording(tmp_path / "in", "A2", heart_like(1))
    for number in range(1 + resume):  # what had a problem is tried again
        n_converted, problems, _ = convert_recordings(
            tmp_path / "in", tmp_path / "out", ConvertOptions(workers=1, to="csv", resume=number > 0)
        )
        assert (n_converted, len(problems)) == ((1, 2) if len(bad) == 2 else (2, 1))
        assert sorted(rows_of(tmp_path / "out")) == (["A2"] if len(bad) == 2 else ["A1", "A2"])


def test_files_that_are_no_recordings_are_counted(tmp_path, capsys):
    write_recordings(tmp_path / "in", 1)
    for name in ("README.txt", "a.zip", "b.zip"):
        (tmp_path / "in" / name).write_text("x")
    assert convert_here(tmp_path / "in", tmp_path / "out") == 0
    assert "Not looked at: 3 files that are no recordings (1 .txt, 2 .zip)" in capsys.readouterr().err


def test_wide_integers_become_bdf_with_the_same_integers(tmp_path):
    samples = SAMPLES.astype(np.int32) * 1000
    stored = Stored(make_header(tmp_path / "a.x", LEADS, 500, samples, [200000.0] * 12), samples)
    path = write_edf(tmp_path, stored)
    assert path.suffix == ".bdf"
    assert np.array_equal([signal.digital for signal in edfio.read_bdf(path).signals], samples)


# ---- exit statuses ---------------------------------------------------------------------------------------------------


def test_exit_statuses(hospital, tmp_path, capfd):
    assert convert_here(hospital, tmp_path / "out") == 0
    (hospital / "torn.xml").write_bytes(b"<RestingECG>")
    assert convert_here(hospital, tmp_path / "out") == 1
    assert re.search(r"torn.xml: expected well-formed XML", capfd.readouterr().err)
    assert convert_here(hospital, tmp_path / "out", "--allow-failures") == 0
    (tmp_path / "empty").mkdir()
    for words in ((tmp_path / "nowhere",), (tmp_path / "empty",), (hospital, "--labels", tmp_path / "none.csv")):
        assert convert_here(words[0], tmp_path / "out", *words[1:]) == 2
        assert "ecg convert: " in capfd.readouterr().err
    run(hospital / "new.xml", tmp_path / "out")


@pytest.mark.parametrize("to", ["challenge", "dicom", "edf", "csv", "aecg", "scp"])
def test_outputs_can_be_read_whatever_the_names(tmp_path, to):
    names = ["two words", "#1", "line\nend", os.fsdecode(b"latin\xe4"), "Zoë 'x' \"y\", 心"]
    for number, name in enumerate(names):
        header = write_recording(tmp_path / "in", f"A{number}", heart_like(4, seed=number))
        for suffix in (".hea", ".mat"):
            header.with_suffix(suffix).rename(header.with_name(name + suffix))
    assert convert_here(tmp_path / "in", tmp_path / "out", "--to", to) == 0
    found = {path.stem: path for path in map(Path, find_recordings(tmp_path / "out"))}
    written = ["two_words", "_1", "line_end", "latin_", "Zoë_'x'_\"y\",_心"]
    assert sorted(found) == sorted(written)
    for name, new in zip(names, written, strict=True):
        expected = read(tmp_path / "in" / f"{name}.hea").signal
        np.testing.assert_allclose(read(found[new]).signal, expected, atol=1e-6)


@pytest.mark.parametrize("below", [".", "out"])
def test_recordings_are_never_written_among_those_that_are_read(hospital, tmp_path, capfd, below):
    write_recording(hospital, "A0001", heart_like(4))
    before = {path: path.read_bytes() for path in hospital.iterdir()}
    assert convert_here(hospital, hospital / below) == 2
    assert "expected a folder outside that of the recordings" in capfd.readouterr().err
    assert convert_here(hospital / "A0001.hea", hospital) == 2
    assert {path: path.read_bytes() for path in hospital.iterdir()} == before


def test_two_recordings_of_one_name_are_not_written_over_each_other(hospital, tmp_path, capfd):
    (hospital / "sub").mkdir()
    (hospital / "sub" / "muse.xml").write_bytes(muse_xml(integers(100, leads=STORED)))
    before = read_any(hospital / "muse.xml").samples
    assert convert_here(hospital, tmp_path / "out") == 1
    assert re.search(
        r"sub/muse.xml: expected one recording of this name, found another before; left out", capfd.readouterr().err
    )
    assert np.array_equal(read_challenge(tmp_path / "out" / "muse.hea").samples, before)


# ---- names and identifiers -------------------------------------------------------------------------------------------


def leaks(data, but=()):
    """Which identifying texts are in some bytes, in any case and encoding."""
    texts = [
        data.decode("utf-8", "replace").casefold(),
        data.decode("utf-16-le", "replace").casefold(),
        data[1:].decode("utf-16-le", "replace").casefold(),
    ]
    words = [
        *SECRETS.values(),
        "19510329",
        "03-29-1951",
        "29-MAR-1951",
        "20221120",
        "2022-11-20",
        "20-NOV-2022",
        "20.11.22",
    ]
    return [word for word in words if word not in but and any(word.casefold() in text for text in texts)]


def test_the_test_files_hold_what_is_looked_for(hospital):
    found = {path.name: leaks(path.read_bytes()) for path in hospital.iterdir()}
    assert all(len(words) >= 6 for words in found.values()), found


@pytest.mark.parametrize("to", ["challenge", "dicom", "edf", "csv", "aecg", "scp"])
def test_no_name_or_identifier_gets_out(hospital, tmp_path, capfd, to):
    (hospital / "torn.dcm").write_bytes((hospital / "dicom.dcm").read_bytes()[:-9000])
    (hospital / "torn.xml").write_bytes((hospital / "muse.xml").read_bytes()[:-9000])
    (hospital / "unknown.xml").write_bytes(f"<Patient>{' '.join(SECRETS.values())}</Patient>".encode())
    assert convert_here(hospital, tmp_path / "out", "--to", to, "--labels", "common") == 1
    output, errors = capfd.readouterr()
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) >= 6
    for path in files:
        assert not leaks(path.read_bytes()), path.name
        assert not leaks(path.name.encode())
    assert not leaks((output + errors).encode())
    assert re.search(r"\d+ statements hold a name or an identifier and were left out", output)


@pytest.mark.parametrize("to", ["challenge", "dicom", "edf", "aecg", "scp"])
def test_names_are_kept_where_that_is_asked_for(hospital, tmp_path, to):
    assert convert_here(hospital, tmp_path / "out", "--to", to, "--keep-identity") == 0
    rows = rows_of(tmp_path / "out")
    for name, row in rows.items():
        assert SECRETS["last"] in row["patient_name"] and row["patient_id"] == SECRETS["id"], name
        assert row["acquired"] == "2022-11-20 14:05:59"
        (path,) = [one for one in (tmp_path / "out").glob(f"{name}.*") if one.suffix != ".mat"]
        assert {SECRETS["last"], SECRETS["id"]} <= set(leaks(path.read_bytes()))


def test_a_traceback_would_not_show_the_identity(hospital):
    stored = read_any(hospital / "muse.xml")
    assert not leaks(repr(stored).replace("2022, 11, 20", "").encode())


@pytest.mark.parametrize("to", ["challenge", "dicom", "edf", "csv", "aecg", "scp"])
def test_anonymize_leaves_no_free_text_and_of_dates_the_year(hospital, tmp_path, to):
    (hospital / "muse.xml").rename(hospital / f"{SECRETS['last']}_1951.xml")
    (hospital / "mortara.xml").write_bytes(mortara_xml(SAMPLES))
    assert convert_here(hospital, tmp_path / "out", "--to", to, "--anonymize") == 0
    files = list((tmp_path / "out").iterdir())
    assert len(files) >= 6 and not any(path.name.startswith(".") for path in files)
    for path in files:
        assert not leaks(path.read_bytes()) and not leaks(path.name.encode()), path.name
    rows = rows_of(tmp_path / "out")
    assert any(name.startswith("record_") for name in rows)
    said = {text for row in rows.values() for text in row["statements"].split(" | ") if text}
    assert said and all("Known from" not in text and "Compared with" not in text for text in said)


@pytest.mark.parametrize("to", ["challenge", "dicom", "edf", "csv", "aecg", "scp"])
@pytest.mark.parametrize("secret", ["Zwi", "Zwiebelmann", "1951-03-29", "PID7734421"])
def test_a_file_that_still_holds_something_identifying_is_not_kept(hospital, tmp_path, monkeypatch, capsys, to, secret):
    """A writer that is wrong on purpose: it puts one of the texts behind whatever it writes."""
    from ecg.examination import convert_folder

    write = convert_folder._write

    def leaking(to, folder, stored, name, identity):
        write(to, folder, stored, name, identity)
        for file in folder.iterdir():
            file.write_bytes(file.read_bytes() + f" {secret} ".encode())

    dicom = dicom_file(hospital / "dicom.dcm", dicom_group(SAMPLES, sensitivity="5"), PatientName="Zwi^Zwiebelmann")
    monkeypatch.setattr(convert_folder, "_write", leaking)
    assert convert_here(dicom, tmp_path / "out", "--to", to, "--anonymize") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["device_reports.csv"]
    error = capsys.readouterr().err
    assert "none of the original's names, identifiers and dates, found 1 of them (nothing was kept)" in error
    assert secret not in error


def test_anonymize_and_keep_identity_exclude_each_other(hospital, tmp_path, capsys):
    assert convert_here(hospital, tmp_path / "out", "--anonymize", "--keep-identity") == 2
