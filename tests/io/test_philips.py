"""Philips SierraECG XML: XLI against an encoder of the tests' own, the calibration pulse, and the real files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecg.io.errors import RecordingError
from ecg.io.readers.aecg import read_aecg
from ecg.io.readers.calibration_pulse import without_pulse
from ecg.io.readers.philips import _lzw, is_philips, read_philips
from ecg.leads import LEADS
from format_files import FORMATS_FOLDER, PULSE, SECRETS, integers, lzw, millivolts, philips_xml, xli

SAMPLES = integers(200)
WITH_PULSE = np.hstack([SAMPLES, np.tile(PULSE * 200, (12, 1)).astype(np.int16)])


@pytest.fixture
def read(tmp_path):
    def read(data):
        (tmp_path / "a.xml").write_bytes(data)
        return read_philips(tmp_path / "a.xml")

    return read


@pytest.mark.parametrize("version", ["1.03", "1.04"])
@pytest.mark.parametrize("compression", ["XLI", "Uncompressed"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-8"])
@pytest.mark.parametrize("samples", [SAMPLES, WITH_PULSE], ids=["as it is", "with a pulse"])
def test_versions_compressions_encodings_and_the_pulse(read, version, compression, encoding, samples):
    data = philips_xml(samples, version=version, compression=compression, encoding=encoding)
    stored = read(data)
    assert is_philips(data[:4096])
    assert np.array_equal(stored.samples, SAMPLES) and stored.samples.dtype == np.int16
    assert stored.header.leads == LEADS and stored.header.sampling_frequency == 500
    assert set(stored.header.adc_gains) == {200.0}
    assert stored.notes == ("the last 0.4 s are a calibration pulse and were cut off",) * (samples is WITH_PULSE)


@given(data=st.binary(max_size=5000) | st.binary(max_size=3).map(lambda piece: piece * 3000))
@settings(max_examples=50)
def test_lzw_undoes_what_the_encoder_did(data):
    assert _lzw(lzw(data) if data else b"\xff\xc0", len(data), "file") == data


@given(hnp.arrays(np.int16, (12, 200), elements=st.integers(-3000, 3000)))
@settings(max_examples=20)
def test_any_samples_come_through_xli(tmp_path_factory, samples):
    path = tmp_path_factory.mktemp("xli") / "a.xml"
    path.write_bytes(philips_xml(samples, fs=100))
    assert np.array_equal(read_philips(path).samples, samples)


def test_the_zero_is_where_the_file_says(read):
    data = philips_xml(SAMPLES, encoding="utf-8").replace(b'signaloffset="0"', b'signaloffset="-17"')
    stored = read(data)
    assert set(stored.header.baselines) == {-17.0}
    np.testing.assert_allclose(millivolts(stored), (SAMPLES + 17) / 200, atol=1e-6)


def test_a_duration_that_no_binary_number_is_loses_no_sample(read):
    assert 1.001 * 1000 < 1001
    samples = np.hstack([SAMPLES, SAMPLES])[:, :1001]
    assert np.array_equal(read(philips_xml(samples, compression="Uncompressed", fs=1000)).samples, samples)


def test_further_channels_without_labels_are_passed_over(read):
    assert np.array_equal(read(philips_xml(SAMPLES, data=xli(SAMPLES) + xli(SAMPLES)[:400])).samples, SAMPLES)


def test_what_the_device_said_and_whose_recording_it_is(read):
    for version in ("1.03", "1.04"):
        stored = read(philips_xml(SAMPLES, version=version))
        assert stored.device.measurements == {
            "heart_rate_bpm": 41,
            "pr_ms": 144,
            "qrs_ms": 102,
            "qt_ms": 564,
            "qtc_ms": 466,
            "p_axis_deg": 19,
            "qrs_axis_deg": -85,
        }
        assert (
            stored.device.statements[0] == "Sinus bradycardia, rate< 50"
            and stored.device.statements[-1] == "ABNORMAL ECG"
        )
        assert (stored.header.age, stored.header.sex, stored.device.model) == (71, "Female", "PageWriter")
        assert stored.identity.name == f"{SECRETS['last']} {SECRETS['first']} {SECRETS['middle']}"
        assert {SECRETS["room"], SECRETS["other"], SECRETS["order"]} <= set(stored.identity.others.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"compression": "ZIP"}, "waveforms uncompressed or compressed by XLI, found 'ZIP'"),
        ({"resolution": "0"}, "a resolution of 0.01 to 1000 µV, found '0'"),
        ({"data": b""}, "12 channels of XLI, found 0 and 0 bytes"),
        ({"data": xli(SAMPLES)[:5000]}, "12 channels of XLI, found"),
        ({"duration": 4000}, "2000 samples in channel 1, found 2000 bytes"),
        ({"duration": 1000}, "1000 bytes in a channel, found more"),
        ({"duration": 10**9}, "a durationperchannel of up to 60000 ms"),
        ({"labels": "I I I"}, "labels of at most 16 different leads"),
        ({"labels": "V1 V2"}, "the leads I, II, III, aVR, aVL, aVF in XLI, found none"),
        ({"fs": 20000, "duration": 50}, "a sampling frequency of 50 to 5000 Hz"),
    ],
)
def test_what_is_wrong_is_said(read, change, message):
    with pytest.raises(RecordingError, match=f"a.xml: expected {message}"):
        read(philips_xml(SAMPLES, **change))


def test_a_few_bytes_that_unpack_to_gigabytes_are_refused(read):
    bomb = lzw(b"\0" * 300_000)
    channel = len(bomb).to_bytes(4, "little") + b"\1\0\0\0" + bomb
    with pytest.raises(RecordingError, match="60000 bytes in a channel, found more"):
        read(philips_xml(SAMPLES, data=channel * 12, duration=60000))


# ---- the calibration pulse -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ending",
    [
        np.tile(PULSE * 100, (12, 1)),  # 0.5 mV
        np.vstack([np.tile(PULSE * 200, (11, 1)), np.zeros((1, 200))]),  # not in all leads
        np.tile(np.tile(PULSE * 200, 2), (12, 1)),  # two of them
        np.tile(np.repeat([0, 200, 0], [50, 300, 50]), (12, 1)),  # too long
        np.tile(np.repeat([0, 200, 0], [50, 100, 800]), (12, 1)),  # too early
    ],
)
def test_what_is_no_calibration_pulse_stays(ending):
    samples = np.hstack([SAMPLES, ending.astype(np.int16)])
    assert np.array_equal(without_pulse(samples, 200, 500)[0], samples)


def test_the_pulse_is_found_at_any_rate_and_place():
    at_250 = np.hstack([SAMPLES[:, :640], np.tile(np.repeat([0, 500, 0], [10, 50, 100]), (12, 1)).astype(np.int16)])
    assert np.array_equal(without_pulse(at_250, 500, 250)[0], SAMPLES[:, :640])


@pytest.mark.parametrize(("length", "is_pulse"), [(49, False), (50, True), (200, True), (201, False)])
def test_a_pulse_lasts_from_a_tenth_of_a_second_to_four_tenths(length, is_pulse):
    ending = np.tile(np.repeat([0, 200, 0], [50, length, 50]), (12, 1)).astype(np.int16)
    assert len(without_pulse(np.hstack([SAMPLES, ending]), 200, 500)[1]) == is_pulse


@pytest.mark.parametrize(("off", "is_pulse"), [(5, True), (6, False)])
@pytest.mark.parametrize("place", [10, 100, 180])  # before, in and behind it
def test_a_pulse_is_within_25_microvolts_of_its_shape_in_every_lead(place, off, is_pulse):
    ending = np.tile(np.repeat([0, 200, 0], [50, 100, 50]), (12, 1)).astype(np.int16)
    ending[7, place] += off
    assert len(without_pulse(np.hstack([SAMPLES, ending]), 200, 500)[1]) == (is_pulse or place == 10)


# ---- real files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "n_samples", "values"), [("1.03", 5264, (41, 151, 135, 476)), ("1.04", 5300, (41, 144, 102, 564))]
)
def test_real_files(version, n_samples, values):
    path = FORMATS_FOLDER / f"philips-{version}.xml"
    if not path.exists():
        pytest.skip("without the real files")
    stored = read_philips(path)
    # The last sample before zeros, the pulse (5350 to 5449 of 5500) and zeros again, seen by eye.
    assert stored.samples.shape == (12, n_samples)
    measured = stored.device.measurements
    assert tuple(measured[name] for name in ("heart_rate_bpm", "pr_ms", "qrs_ms", "qt_ms")) == values
    one, two, three, aVR, aVL, aVF = stored.samples[:6].astype(int)
    assert np.abs(one + three - two).max() <= 2 and np.abs(aVR + aVL + aVF).max() <= 4


def test_philips_own_conversion_to_aecg_has_the_same_samples():
    path = FORMATS_FOLDER / "aecg-from-philips.xml"
    if not path.exists():
        pytest.skip("without the real files")
    ours, theirs = read_philips(FORMATS_FOLDER / "philips-1.04.xml"), read_aecg(path)
    difference = theirs.samples.astype(int) - ours.samples
    assert np.abs(difference).max() <= 4 and np.abs(difference.mean(axis=1)).max() < 0.5
    assert np.allclose(millivolts(ours), millivolts(theirs), atol=0.0201)
