"""Numbers that stand for leads, units, types and ages in clinical formats: every one of them, as the standards say."""

import binascii
import struct

import numpy as np
import pytest
from test_ishne import ishne

import scp_writer
from ecg.io.readers.dicom import read_dicom
from ecg.io.readers.ishne import read_ishne
from ecg.io.readers.mfer import read_mfer
from ecg.io.readers.muse import read_muse
from ecg.io.readers.scp_ecg import read_scp_ecg
from ecg.leads import LEADS
from format_files import STORED, coded, dicom_file, dicom_group, integers, millivolts, muse_xml
from more_format_files import SAMPLES, mfer_file

SIGNAL = np.random.default_rng(1).integers(-3000, 3000, (12, 600)).astype(np.int16)
NUMBERS = (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8)  # I, II, III, aVR, aVL, aVF, V1 to V6 in EN 1064


def in_file(folder, name, data):
    (folder / name).write_bytes(data)
    return folder / name


def test_leads_of_ishne(tmp_path):
    codes = (5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
    stored = read_ishne(in_file(tmp_path, "a.ecg", ishne(SIGNAL, codes, (2500,) * 12)))
    assert stored.header.leads == LEADS
    np.testing.assert_array_equal(stored.samples, SIGNAL)
    others = read_ishne(in_file(tmp_path, "b.ecg", ishne(SIGNAL[:8], (5, 2, 3, 4, 17, 18, 19, 20), (2500,) * 8)))
    assert others.header.leads == ("I", "X", "Y", "Z", "ES", "AS", "AI", "ISHNE lead 20")


def test_fields_of_ishne_end_where_they_end(tmp_path):
    data = bytearray(ishne())
    data[28:68], data[68:108], data[108:128] = b"A" * 40, b"B" * 40, b"C" * 20
    data[232:272] = b"D" * 40
    data[8:10] = struct.pack("<H", binascii.crc_hqx(bytes(data[10:527]), 0xFFFF))
    stored = read_ishne(in_file(tmp_path, "a.ecg", bytes(data)))
    assert (stored.identity.name, stored.identity.patient_id) == ("A" * 40 + " " + "B" * 40, "C" * 20)
    assert stored.device.model == "D" * 40


def test_leads_of_scp_ecg(tmp_path):
    leads = dict(zip(LEADS, SIGNAL, strict=True))
    assert [scp_writer.LEAD_NUMBERS[lead] for lead in LEADS] == list(NUMBERS)
    stored = read_scp_ecg(in_file(tmp_path, "a.scp", scp_writer.Recording(leads).to_bytes()))
    assert stored.header.leads == LEADS
    np.testing.assert_array_equal(stored.samples, SIGNAL)


@pytest.mark.parametrize(
    ("value", "unit", "years"),
    [
        (61, 0, 61),
        (61, 1, 61),
        (18, 2, 1.5),
        (52, 3, 0.997),
        (100, 4, 0.2738),
        (8766, 5, 1),
        (0, 1, np.nan),
        (5, 6, np.nan),
    ],
)
def test_units_of_an_age_in_scp_ecg(tmp_path, value, unit, years):
    facts = struct.pack("<BHHB", 4, 3, value, unit) + b"\xff\0\0"
    recording = scp_writer.Recording({"I": SIGNAL[0]}, others={1: facts})
    stored = read_scp_ecg(in_file(tmp_path, "a.scp", recording.to_bytes()))
    assert stored.header.age == pytest.approx(years, rel=1e-3, nan_ok=True)


@pytest.mark.parametrize(("byte", "sex"), [(0, "Unknown"), (1, "Male"), (2, "Female"), (9, "Unknown")])
def test_sex_in_scp_ecg(tmp_path, byte, sex):
    recording = scp_writer.Recording({"I": SIGNAL[0]}, others={1: struct.pack("<BHB", 8, 1, byte) + b"\xff\0\0"})
    assert read_scp_ecg(in_file(tmp_path, "a.scp", recording.to_bytes())).header.sex == sex


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("code", "kind"), [(0, "i2"), (1, "u2"), (2, "i4"), (3, "u1"), (5, "i1"), (6, "u4"), (7, "f4"), (8, "f8")]
)
def test_types_of_samples_in_mfer(tmp_path, order, code, kind):
    samples = (np.arange(12 * 500).reshape(12, 500) % 100).astype(kind)
    data = mfer_file(samples, order=order).replace(b"\x0a\x01\0", bytes([0x0A, 1, code]))
    old = samples.astype(order + "i2").tobytes()
    start = data.index(b"\x1e\x84")
    content = np.ascontiguousarray(samples.astype(order + kind)).tobytes()
    data = data[: start + 2] + len(content).to_bytes(4, "big") + content + b"\x80"
    assert len(old) == 12 * 500 * 2
    stored = read_mfer(in_file(tmp_path, "a.mwf", data))
    np.testing.assert_allclose(millivolts(stored), samples * 0.005, rtol=1e-6)
    assert stored.header.leads == LEADS


@pytest.mark.parametrize(
    ("unit", "exponent", "number", "hertz"), [(0, 0, 500, 500), (0, 1, 25, 250), (1, -3, 2, 500), (1, -6, 4000, 250)]
)
def test_rates_of_mfer(tmp_path, unit, exponent, number, hertz):
    rate = bytes([unit, exponent % 256]) + number.to_bytes(2, "little")
    assert read_mfer(in_file(tmp_path, "a.mwf", mfer_file(SAMPLES, rate=rate))).header.sampling_frequency == hertz


def test_leads_of_dicom_by_number_in_both_schemes(tmp_path):
    samples = integers(400)
    for start in ("5.6.3-9-", "2:"):
        sources = [coded(f"{start}{number}", "x") for number in NUMBERS]
        stored = read_dicom(dicom_file(tmp_path / "a.dcm", dicom_group(samples, sources=sources)))
        assert stored.header.leads == LEADS
        np.testing.assert_array_equal(stored.samples, samples)


@pytest.mark.parametrize(
    ("age", "years"), [("061Y", 61), ("018M", 1.5), ("026W", 0.4983), ("100D", 0.2738), ("120Y", 120), ("121Y", np.nan)]
)
def test_units_of_an_age_in_dicom(tmp_path, age, years):
    path = dicom_file(tmp_path / "a.dcm", dicom_group(integers(400)), PatientAge=age)
    assert read_dicom(path).header.age == pytest.approx(years, rel=1e-3, nan_ok=True)


@pytest.mark.parametrize(
    ("unit", "years"),
    [("YEARS", 7), ("MONTHS", 7 / 12), ("WEEKS", 0.1342), ("DAYS", 0.01916), ("HOURS", 0), ("MOONS", 71)],
)
def test_units_of_an_age_in_muse(tmp_path, unit, years):
    data = muse_xml(integers(400, leads=STORED)).replace(
        b"<PatientAge>71</PatientAge><AgeUnits>YEARS", f"<PatientAge>7</PatientAge><AgeUnits>{unit}".encode()
    )
    assert read_muse(in_file(tmp_path, "a.xml", data)).header.age == pytest.approx(years, rel=1e-3)  # MOONS: by birth


@pytest.mark.parametrize(("units", "factor"), [("MICROVOLTS", 1), ("MILLIVOLTS", 1000), ("NANOVOLTS", 0.001)])
def test_units_of_amplitude_in_muse(tmp_path, units, factor):
    samples = integers(400, leads=STORED)
    data = muse_xml(samples, units=units, per_bit=f"{0.5 / factor:g}")
    found = millivolts(read_muse(in_file(tmp_path, "a.xml", data)))
    np.testing.assert_allclose(found[[0, 1, *range(6, 12)]], samples * 0.0005, rtol=1e-6)
