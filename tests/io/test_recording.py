"""A recording in memory: read from a file of any format, or made from an array with every argument checked."""

import numpy as np
import pytest

from ecg.io.errors import RecordingError
from ecg.io.formats import read
from ecg.io.header import read_header
from ecg.io.recording import Recording
from format_files import STORED, integers, muse_xml
from tiny import heart_like, write_recording

SIGNAL = np.sin(np.arange(12 * 1000).reshape(12, 1000) / 30)


def test_a_challenge_recording_has_what_its_header_says(tmp_path):
    path = write_recording(tmp_path, "A0001", heart_like(2, seed=1))
    with path.open("a") as file:
        file.write("# Measurement: qrs_ms 92\n# Statement: Sinus rhythm\n# Note: V6 was absent\n")
    header, recording = read_header(path), read(path)
    assert (recording.name, recording.format, recording.path) == ("A0001", "Challenge", path)
    assert (recording.age, recording.sex, recording.labels) == (header.age, header.sex, header.labels)
    assert recording.device.measurements == {"qrs_ms": 92}
    assert recording.device.statements == ("Sinus rhythm",)
    assert recording.notes == ("V6 was absent",)
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
