"""WFDB files as people have them: frames, folders in names, capitals; written here byte by byte."""

import numpy as np
import pytest

import evaluate_model
import helper_code
from ecg.io.errors import RecordingError
from ecg.io.formats import find_recordings, read, read_any
from ecg.leads import LEADS

RAW = np.random.default_rng(5).integers(-2000, 2000, (12, 1000)).astype("<i2")


def write(folder, name="r", file="r.dat", header="r.hea", record=None, leads=LEADS, raw=RAW):
    lines = [record or f"{name} {len(leads)} 500 {raw.shape[1]}"]
    lines += [f"{file} 16 1000/mV 16 0 0 0 0 {lead}" for lead in leads]
    (folder / header).write_text("\n".join([*lines, "#Age: 61", "#Sex: Female", "#Dx: 426783006", ""]))
    (folder / file.replace("\\", "/").rpartition("/")[2]).write_bytes(raw.T.tobytes())
    return folder / header


def assert_read(header_file, rate=500, expected=RAW / 1000):
    recording = read(header_file)
    assert recording.sampling_frequency == rate
    np.testing.assert_allclose(recording.signal[: len(expected)], expected, atol=1e-6)


@pytest.mark.parametrize("per_frame", [2, 10])
@pytest.mark.parametrize("of_pressure", [1, 2, 4, 20])
def test_leads_with_several_samples_in_a_frame(tmp_path, per_frame, of_pressure):
    n_frames = RAW.shape[1] // per_frame
    frames = RAW.reshape(12, n_frames, per_frame).swapaxes(0, 1).reshape(n_frames, -1)
    pressure = np.full((n_frames, of_pressure), 80)
    np.hstack([frames, pressure]).astype("<i2").tofile(tmp_path / "r.dat")
    lines = [f"r 13 {500 / per_frame:g} {n_frames}"]
    lines += [f"r.dat 16x{per_frame} 1000/mV 16 0 0 0 0 {lead}" for lead in LEADS]
    (tmp_path / "r.hea").write_text("\n".join([*lines, f"r.dat 16x{of_pressure} 1/mmHg 16 0 0 0 0 ABP"]))
    assert_read(tmp_path / "r.hea")


@pytest.mark.parametrize("name", ["records500/00001", "ge/b_medians", "a/b/c", "records500\\00001"])
def test_names_with_a_folder_and_the_signal_file_beside_the_header(tmp_path, name):
    assert_read(write(tmp_path, name, f"{name}.dat", "r.hea"))


def test_a_signal_file_in_a_folder_below(tmp_path):
    header_file = write(tmp_path, "signals/r", "signals/r.dat")
    (tmp_path / "signals").mkdir()
    (tmp_path / "r.dat").rename(tmp_path / "signals" / "r.dat")
    assert_read(header_file)


@pytest.mark.parametrize("named", ["R.DAT", "r.dat", "R.dat"])
def test_suffixes_in_capitals(tmp_path, named):
    write(tmp_path, "R", named, "R.HEA")
    (tmp_path / named).rename(tmp_path / "R.DAT")
    assert list(find_recordings(tmp_path)) == [str(tmp_path / "R.HEA")]
    assert_read(tmp_path / "R.HEA")
    assert read_any(tmp_path / "R.HEA").header.recording_id == "R"
    assert helper_code.find_challenge_files(tmp_path)[0] == [str(tmp_path / "R.HEA")]
    helper_code.save_outputs(tmp_path / "R.csv", "R", ["426783006"], [1], [0.5])
    assert evaluate_model.find_headers(tmp_path) == [str(tmp_path / "R.HEA")]
    assert evaluate_model.evaluate_model(tmp_path, tmp_path).overall["Accuracy"] == 1


@pytest.mark.parametrize("leads", [("DI", "DII", *LEADS[6:]), ("MLI", "MLII", *LEADS[6:])])
def test_leads_by_other_names(tmp_path, leads):
    rows = [0, 1, *range(6, 12)]
    recording = read(write(tmp_path, leads=leads, raw=RAW[rows]))
    np.testing.assert_allclose(recording.signal[rows], RAW[rows] / 1000, atol=1e-6)
    assert len(recording.notes) == 2


def test_a_signal_file_without_its_header_is_named(tmp_path):
    write(tmp_path)
    write(tmp_path, "b", "other.dat", "b.hea")
    (tmp_path / "lost.dat").write_bytes(b"12")
    found = [path.removeprefix(f"{tmp_path}/") for path in find_recordings(tmp_path)]
    assert found == ["b.hea", "lost.hea", "r.hea"]
    with pytest.raises(RecordingError, match=r"lost.hea: expected a file, found none"):
        read_any(tmp_path / "lost.hea")


def packed(samples, format_):
    """Samples of ten bits, three in four bytes (signal(5)); the last group is filled up with zeros."""
    filled = np.append(samples, np.zeros(-samples.size % 3, int)).reshape(-1, 3).astype(np.int64) & 0x3FF
    one, two, three = filled.T
    if format_ == "311":
        return (one | two << 10 | three << 20).astype("<u4").tobytes()
    pairs = [one << 1 | (three & 0x1F) << 11, two << 1 | (three >> 5) << 11]
    return np.stack(pairs, axis=1).astype("<u2").tobytes()


@pytest.mark.parametrize("format_", ["310", "311"])
@pytest.mark.parametrize(("n_leads", "n_samples"), [(1, 500), (1, 501), (2, 500), (2, 501), (2, 502), (3, 500)])
def test_samples_of_ten_bits_with_a_last_group_that_is_not_full(tmp_path, format_, n_leads, n_samples):
    samples = np.random.default_rng(7).integers(-511, 512, (n_leads, n_samples))
    (tmp_path / "r.dat").write_bytes(packed(samples.T.ravel(), format_))
    lines = [f"r {n_leads} 500 {n_samples}"]
    lines += [f"r.dat {format_} 100/mV 10 0 0 0 0 {lead}" for lead in LEADS[:n_leads]]
    (tmp_path / "r.hea").write_text("\n".join(lines))
    assert_read(tmp_path / "r.hea", expected=samples / 100)
