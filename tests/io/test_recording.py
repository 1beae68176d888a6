"""A recording in memory: read from a file of any format, or made from an array with every argument checked."""

import numpy as np
import pytest

from ecg.io import formats
from ecg.io.errors import RecordingError
from ecg.io.folders import find_headers
from ecg.io.formats import read
from ecg.io.header import Header, read_header
from ecg.io.recording import Recording, signal_files, to_millivolts
from ecg.io.stored import check_length
from ecg.leads import LEADS
from format_files import STORED, integers, muse_xml
from tiny import heart_like, write_recording

SIGNAL = np.sin(np.arange(12 * 1000).reshape(12, 1000) / 30)


def test_a_challenge_recording_has_what_its_header_says(tmp_path):
    path = write_recording(tmp_path, "A0001", heart_like(2, seed=1))
    with path.open("a") as file:
        file.write("# Measurement: qrs_ms 92\n# Statement: pr_ms 160\n# Note: qt_ms 400\n")
    header, recording = read_header(path), read(path)
    assert (recording.name, recording.format, recording.path) == ("A0001", "Challenge", path)
    assert (recording.age, recording.sex, recording.labels) == (header.age, header.sex, header.labels)
    assert recording.device.measurements == {"qrs_ms": 92}
    assert recording.device.statements == ("pr_ms 160",)
    assert recording.notes == ("qt_ms 400",)
    assert recording.signal.dtype == np.float32 and recording.signal.shape[0] == 12
    np.testing.assert_array_equal(recording.signal, read(path).signal)


def test_a_clinical_recording_has_the_device_s_words(tmp_path):
    (tmp_path / "a.xml").write_bytes(muse_xml(integers(200, leads=STORED)))
    recording = read(tmp_path / "a.xml")
    assert (recording.name, recording.format) == ("a", "GE MUSE XML")
    assert recording.device.statements
    assert repr(recording) == "Recording(a: 8 leads, 2 s at 500 Hz, GE MUSE XML)"


@pytest.mark.parametrize(("factor", "unit"), [(1, "mV"), (1000, "uV")])
def test_an_array_is_taken_in_mv_or_uv(factor, unit):
    recording = Recording.from_array(SIGNAL * factor, 500, unit=unit, age=61, sex="Male")
    np.testing.assert_allclose(recording.signal, SIGNAL, atol=1e-6)
    assert recording.signal.dtype == np.float32
    assert (recording.sampling_frequency, recording.age, recording.sex) == (500.0, 61.0, "Male")


def test_infinite_samples_are_missing_and_the_array_stays_as_it_was():
    signal = SIGNAL.astype(np.float32)
    signal[3, 5] = np.inf
    given = signal.copy()
    assert np.isnan(Recording.from_array(signal, 500).signal[3, 5])
    np.testing.assert_array_equal(signal, given)


@pytest.mark.parametrize(
    ("signal", "rate", "options", "message"),
    [
        (SIGNAL.T, 500, {}, r"found shape \(1000, 12\); pass signal\.T"),
        (SIGNAL[:8], 500, {}, r"expected shape \(12, n_samples\), .*NaN for an absent one, found shape \(8, 1000\)"),
        (SIGNAL[0], 500, {}, r"found shape \(1000,\)"),
        (SIGNAL, 0, {}, "expected a sampling frequency of 50 to 5000 Hz, found 0 Hz"),
        (SIGNAL, float("nan"), {}, "found nan Hz"),
        (SIGNAL, "fast", {}, "expected numbers .* found 'fast'"),
        (SIGNAL, 5000, {}, r"at least 1 s \(5000 samples\), found 1000 samples"),
        (SIGNAL, 500, {"unit": "V"}, "expected the unit 'mV' or 'uV', found 'V'"),
        (SIGNAL, 500, {"age": 121}, "an age of 0 to 120 years, or NaN, found 121"),
        (SIGNAL, 500, {"age": -1}, "an age of 0 to 120 years"),
        (SIGNAL, 500, {"sex": "f"}, "found 'f'"),
        (SIGNAL.astype(complex), 500, {}, "real numbers, found dtype complex128"),
        (SIGNAL.astype(str), 500, {}, "real numbers"),
        (np.full((12, 1000), np.nan), 500, {}, "expected a signal, found no lead that ever changes"),
        (np.ones((12, 1000)), 500, {}, "no lead that ever changes"),
    ],
)
def test_every_argument_is_checked_and_the_error_says_what_was_found(signal, rate, options, message):
    with pytest.raises(RecordingError, match=message):
        Recording.from_array(signal, rate, **options)


@pytest.mark.parametrize(
    ("format_", "missing"),
    [
        ("16", [-32768]),
        ("16+24", [-32768]),
        ("80", [-128, -32768]),  # a MATLAB copy of a narrow format marks samples in the 16-bit way
        ("212", [-2048, -32768]),
        ("212x2", [-2048, -32768]),
        ("310", [-512, -32768]),
        ("311", [-512, -32768]),
        ("508", [-128, -32768]),
        ("24", [-(2**23)]),
        ("524", [-(2**23)]),
        ("32", [-(2**31)]),
        ("61", [-32768]),
    ],
)
@pytest.mark.parametrize("beside", ["16", "212", "32"])
def test_each_format_has_its_own_mark_of_a_missing_sample_whatever_the_others_have(format_, missing, beside):
    marks = [-128, -512, -2048, -32768, -(2**23), -(2**31)]
    samples = np.array([[*marks, 7], [0] * 7], np.int32)
    header = Header(
        "x", 500.0, 7, ("V1", "I"), (1000.0,) * 2, (0.0,) * 2, ("x",) * 2, (format_, beside), 60.0, "Male", ()
    )
    found = to_millivolts(samples, header)
    lead = found[LEADS.index("V1")]
    assert [mark for mark, value in zip(marks, lead, strict=False) if np.isnan(value)] == [
        m for m in marks if m in missing
    ]
    assert lead[-1] == np.float32(0.007) and (found[0] == 0).all() and np.isnan(found[1]).all()


def test_each_lead_has_its_gain_and_baseline_and_long_recordings_are_converted_whole():
    samples = np.arange(3 * 20_000, dtype=np.int32).reshape(3, -1)
    header = Header("x", 500.0, None, ("V6", "II", "Pleth"), (100.0, -250.0, np.nan), (5.0, -7.0, np.nan), ("x",) * 3,
                    ("32",) * 3, 60.0, "Male", ())  # fmt: skip
    found = to_millivolts(samples, header)
    np.testing.assert_allclose(found[11], (samples[0] - 5.0) / 100, rtol=1e-6)
    np.testing.assert_allclose(found[1], (samples[1] + 7.0) / -250, rtol=1e-6)
    assert np.isnan(np.delete(found, [1, 11], axis=0)).all()


@pytest.mark.parametrize("rate", [50.0, 500.0])
def test_a_recording_lasts_from_one_second_to_half_an_hour(rate):
    for n_samples, is_usable in (
        (rate - 1, False),
        (rate, True),
        (1800 * rate, True),
        (1800 * rate + 1, False),
    ):
        if is_usable:
            check_length("x", int(n_samples), rate)
        else:
            with pytest.raises(RecordingError, match=r"at least 1 s|at most 30 minutes"):
                check_length("x", int(n_samples), rate)


@pytest.mark.parametrize(
    ("there", "named", "found"),
    [
        (["a.mat", "a.dat", "b.dat"], ["b.dat"], ["b.dat"]),
        (["a.mat", "a.dat"], ["b.dat"], ["a.mat"]),  # the header's own name, MATLAB first
        (["a.dat", "c.mat"], ["b.dat"], ["a.dat"]),
        (["a.mat", "B.DAT"], ["b.dat"], ["B.DAT"]),
        (["a.mat", "b.dat"], ["b.dat", "c.dat"], ["b.dat", "c.dat"]),  # one is there, the other is missing
        (["a.mat"], ["b.dat", "c.dat"], ["a.mat", "a.mat"]),
        (["b.dat"], ["below/b.dat"], ["b.dat"]),
        ([], ["b.dat"], ["b.dat"]),
    ],
)
def test_a_signal_file_is_looked_for_by_its_name_then_by_the_headers(tmp_path, there, named, found):
    for name in there:
        (tmp_path / name).touch()
    header = Header("a", 500.0, None, ("I",) * len(named), (1.0,), (0.0,), tuple(named), ("16",), 60.0, "Male", ())
    assert signal_files(tmp_path / "a.hea", header) == {
        name: tmp_path / file for name, file in zip(named, found, strict=True)
    }


def test_recordings_are_found_folder_by_folder_in_the_order_of_the_alphabet(tmp_path):
    for name in (
        "b/2.hea",
        "b/1.hea",
        "a/9.hea",
        "a/c/1.HEA",
        "z.hea",
        "c.hea",
        ".hidden/1.hea",
        "b/.1.hea",
        "a/x.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    found = [path.removeprefix(f"{tmp_path}/") for path in find_headers(tmp_path)]
    assert found == ["c.hea", "z.hea", "a/9.hea", "a/c/1.HEA", "b/1.hea", "b/2.hea"]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (0, np.int16),
        (32767, np.int16),
        (-32767, np.int16),
        (32768, np.int32),
        (-32768, np.int32),
        (2**23 - 1, np.int32),
        (2**23, np.float64),
        (0.009, np.int16),
        (0.011, np.float64),
    ],
)
def test_samples_of_a_challenge_file_are_whole_numbers_as_far_as_they_are(monkeypatch, value, dtype):
    scale = {"adc_gains": (1.0, np.nan, 2.0), "baselines": (10.0, np.nan, 0.0)}
    files = {"file_names": ("a.mat",) * 3, "formats": ("16",) * 3}
    header = Header("a", 500.0, 500, ("V1", "Pleth", "I"), **scale, **files, age=60.0, sex="Male", labels=("1",))
    millivolts = np.full((12, 500), np.nan, np.float32)
    millivolts[6], millivolts[0] = 0, np.arange(500) % 7
    millivolts[6, 3], millivolts[6, 4] = value - 10.0, np.nan
    monkeypatch.setattr(formats, "read_recording", lambda path: (header, millivolts))
    monkeypatch.setattr(formats, "load_header", lambda path: "")
    stored = formats.read_challenge("a.hea")
    assert stored.samples.dtype == dtype and stored.header.leads == ("V1", "I")
    if dtype == np.float64:
        np.testing.assert_array_equal(stored.samples, millivolts[[6, 0]])
        assert (stored.header.adc_gains, stored.header.baselines) == ((1.0, 1.0), (0.0, 0.0))
    else:
        assert stored.samples[0, 3] == round(value) and stored.samples[0, 4] == np.iinfo(dtype).min
        assert (stored.samples[1] == 2 * (np.arange(500) % 7)).all() and stored.samples[0, 0] == 10
        assert (stored.header.adc_gains, stored.header.baselines) == ((1.0, 2.0), (10.0, 0.0))


@pytest.mark.parametrize(("n_samples", "is_read"), [(499, False), (500, True)])
def test_a_challenge_recording_lasts_a_second_at_least(tmp_path, n_samples, is_read):
    path = write_recording(tmp_path, "A1", heart_like(2)[:, :n_samples])
    if is_read:
        assert read(path).signal.shape == (12, 500)
    else:
        with pytest.raises(RecordingError, match="at least 1 s"):
            read(path)


@pytest.mark.parametrize("value", [0, 7, -32768])
def test_a_file_in_which_no_lead_ever_changes_is_refused_in_any_format(tmp_path, value):
    flat = np.full((8, 1000), value)
    (tmp_path / "a.xml").write_bytes(muse_xml(flat))
    (tmp_path / "b.csv").write_text("I,II\n" + f"{value},{value}\n" * 1000)
    (tmp_path / "b.json").write_text('{"sampling_frequency": 500, "unit": "uV"}')
    for name in ("a.xml", "b.csv"):
        with pytest.raises(RecordingError) as caught:
            read(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: expected a signal, found no lead that ever changes"
