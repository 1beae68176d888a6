"""SCP-ECG that is written here: read back equal, packed as by the tests' own writer, refused where it can't be."""

import datetime
import struct

import numpy as np
import pytest

import scp_writer
from ecg.io.errors import RecordingError
from ecg.io.readers.scp_ecg import read_scp_ecg
from ecg.io.stored import DeviceReport, Identity, Stored, make_header
from ecg.io.writers.scp_writer import write_scp
from ecg.leads import LEADS
from format_files import millivolts

SAMPLES = np.random.default_rng(1).integers(-3000, 3000, (12, 1000)).astype(np.int16)
NUMBERS = {"heart_rate_bpm": 48.0, "p_ms": 102.0, "pr_ms": 148.0, "qrs_ms": 120.0, "qt_ms": 420.0, "qtc_ms": 443.0}
NUMBERS |= {"p_axis_deg": 44.0, "qrs_axis_deg": -61.0, "t_axis_deg": 86.0}
WHEN = datetime.datetime(2022, 11, 20, 14, 5, 59)


def stored_of(path, samples=SAMPLES, gain=400.0, baseline=0.0, rate=500, device=None, **facts):
    header = make_header(path / "a.x", LEADS, rate, samples, [gain] * 12, [baseline] * 12, **facts)
    return Stored(header, samples, device or DeviceReport())


@pytest.mark.parametrize("rate", [100, 250, 500, 1000])
@pytest.mark.parametrize("gain", [200.0, 400.0, 1000 / 4.88, 1000.0])
def test_integers_scale_and_rate_come_back(tmp_path, gain, rate):
    again = read_scp_ecg(write_scp(tmp_path, stored_of(tmp_path, gain=gain, rate=rate)))
    assert again.header.leads == LEADS and again.header.sampling_frequency == rate
    assert again.samples.dtype == np.int16 and np.array_equal(again.samples, SAMPLES)
    assert again.header.adc_gains == pytest.approx((gain,) * 12, rel=1e-12)


def test_the_record_is_that_of_the_other_writer_but_for_what_is_said(tmp_path):
    path = write_scp(tmp_path, stored_of(tmp_path))
    leads = dict(zip(LEADS, SAMPLES, strict=True))
    other = scp_writer.Recording(leads, tables=None, order=0).to_bytes()
    for number in (3, 6):
        assert section(path.read_bytes(), number) == section(other, number), number


def section(data, number):
    _, length, index = struct.unpack_from("<HII", data, 22 + 10 * number)
    return data[index - 1 + 16 : index - 1 + length].rstrip(b"\0")


def test_age_sex_device_measurements_and_statements_come_back(tmp_path):
    device = DeviceReport("Mortara", "ELI250", WHEN, NUMBERS, ("Sinus bradycardia", "Größe"))
    stored = stored_of(tmp_path, device=device, age=61, sex="Female")
    again = read_scp_ecg(write_scp(tmp_path, stored))
    assert (again.header.age, again.header.sex) == (61, "Female")
    assert (again.device.maker, again.device.model) == ("Mortara", "ELI250")
    assert again.device.measurements == NUMBERS
    assert again.device.statements == ("Sinus bradycardia", "Größe")
    assert again.device.acquired == datetime.datetime(2022, 1, 1) and again.identity.name == ""
    who = Identity("Eva Muster", "PID7", datetime.date(1961, 3, 29))
    known = read_scp_ecg(write_scp(tmp_path, stored, who))
    assert (known.identity.name, known.identity.patient_id) == ("Eva Muster", "PID7")
    assert (known.identity.birth_date, known.device.acquired) == (datetime.date(1961, 3, 29), WHEN)


@pytest.mark.parametrize(
    ("model", "back"), [("ELI250", "ELI250"), ("ELI2500", "ELI250"), ("MAC", "MAC"), ("Größe", "Gr??e"), ("", "")]
)
def test_six_letters_of_a_model_are_written(tmp_path, model, back):
    stored = stored_of(tmp_path, device=DeviceReport("Mäker", model))
    again = read_scp_ecg(write_scp(tmp_path, stored)).device
    assert (again.maker, again.model) == ("Mäker", back)


DAY = 1 / 365.25


@pytest.mark.parametrize(
    ("age", "back"),
    [(0.001, DAY), (0.5, 183 * DAY), (0.999, 365 * DAY), (1, 1), (1.999, 1), (34.9, 34), (90, 90), (120, 120)],
)
def test_ages_below_a_year_are_in_days_others_in_years(tmp_path, age, back):
    assert read_scp_ecg(write_scp(tmp_path, stored_of(tmp_path, age=age))).header.age == pytest.approx(back, rel=1e-9)


def test_the_longest_recording_that_a_lead_s_length_can_say_is_written(tmp_path):
    samples = np.resize(SAMPLES, (12, 32767))
    assert np.array_equal(read_scp_ecg(write_scp(tmp_path, stored_of(tmp_path, samples))).samples, samples)


def test_some_measurements_alone_stay_what_they_are(tmp_path):
    for name, value in NUMBERS.items():
        if name in ("p_ms", "qrs_ms", "qt_ms"):  # they need the place of P and QRS
            continue
        path = write_scp(tmp_path, stored_of(tmp_path, device=DeviceReport(measurements={name: value})))
        assert read_scp_ecg(path).device.measurements == {name: value}


def test_other_samples_are_rounded_to_a_microvolt(tmp_path):
    for stored in (
        stored_of(tmp_path, SAMPLES / 1000 + 0.0003, gain=1.0),
        stored_of(tmp_path, gain=300.1),
        stored_of(tmp_path, baseline=100.0),
        stored_of(tmp_path, SAMPLES.astype(np.int32) * 100, gain=1e5),
    ):
        again = read_scp_ecg(write_scp(tmp_path, stored))
        np.testing.assert_allclose(millivolts(again), millivolts(stored), atol=0.00051)
        assert again.header.adc_gains == (1000.0,) * 12


def test_an_absent_lead_is_left_out(tmp_path):
    samples = SAMPLES.copy()
    samples[3] = -32768
    again = read_scp_ecg(write_scp(tmp_path, stored_of(tmp_path, samples)))
    assert again.header.leads == tuple(lead for lead in LEADS if lead != "aVR")


def gap():
    samples = SAMPLES.copy()
    samples[2, 7] = -32768
    return samples


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"samples": gap()}, "without missing samples"),
        ({"samples": np.zeros((12, 32768), np.int16)}, "at most 32767 samples"),
        ({"samples": SAMPLES / 50, "gain": 1.0}, "up to 32.767 mV"),
        ({"rate": 257}, "a whole number of µs between samples, found 257 Hz"),
    ],
)
def test_what_scp_ecg_can_not_hold_is_refused(tmp_path, change, said):
    with pytest.raises(RecordingError, match=f"a.scp: expected .*{said}"):
        write_scp(tmp_path, stored_of(tmp_path, **change))
    assert not list(tmp_path.glob("*.scp"))
