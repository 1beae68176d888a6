"""Numbers that stand for leads, units, types and ages in clinical formats: every one of them, as the standards say."""

import binascii
import datetime
import struct

import numpy as np
import pytest
from test_ishne import ishne

import scp_writer
from ecg.io.device_words import measurements_of
from ecg.io.errors import RecordingError
from ecg.io.formats import read_any
from ecg.io.header import parse_header
from ecg.io.readers.dates import date_of, known_age, time_of
from ecg.io.readers.dicom import read_dicom
from ecg.io.readers.ishne import read_ishne
from ecg.io.readers.mfer import read_mfer
from ecg.io.readers.muse import read_muse
from ecg.io.readers.scp_ecg import read_scp_ecg
from ecg.io.readers.tables import read_table
from ecg.io.stored import as_small_integers
from ecg.leads import LEADS
from format_files import (
    SECRETS,
    STORED,
    aecg_xml,
    coded,
    dicom_file,
    dicom_group,
    integers,
    millivolts,
    muse_xml,
    philips_xml,
)
from more_format_files import (
    FILES,
    SAMPLES,
    cardiosoft_xml,
    definition,
    kardia_json,
    mfer_file,
    mortara_xml,
    schiller_xml,
)

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


def test_unknown_dates_in_ishne(tmp_path):
    data = bytearray(ishne())
    data[132:144] = struct.pack("<6h", -9, -9, -9, 0, 0, 0)  # of birth, and of the recording
    data[8:10] = struct.pack("<H", binascii.crc_hqx(bytes(data[10:527]), 0xFFFF))
    stored = read_ishne(in_file(tmp_path, "a.ecg", bytes(data)))
    assert (stored.identity.birth_date, stored.device.acquired) == (None, None) and np.isnan(stored.header.age)


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


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_each_kind_of_ecg_in_dicom(tmp_path, number):
    sop = f"1.2.840.10008.5.1.4.1.1.9.1.{number}"
    path = dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES), sop=sop, Modality="OT")
    assert np.array_equal(read_dicom(path).samples, SAMPLES)


@pytest.mark.parametrize(
    ("age", "years"), [("061Y", 61), ("018M", 1.5), ("026W", 0.4983), ("100D", 0.2738), ("120Y", 120), ("121Y", np.nan)]
)
def test_units_of_an_age_in_dicom(tmp_path, age, years):
    path = dicom_file(tmp_path / "a.dcm", dicom_group(integers(400)), PatientAge=age)
    assert read_dicom(path).header.age == pytest.approx(years, rel=1e-3, nan_ok=True)


@pytest.mark.parametrize(
    ("unit", "years"),
    [("YEARS", 7), ("MONTHS", 7 / 12), ("WEEKS", 0.1342), ("DAYS", 0.01916), ("HOURS", 0), ("MOONS", 71), ("", 7)],
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


@pytest.mark.parametrize("spelt", [str, str.upper, str.lower])
def test_capitals_in_the_names_of_leads_say_nothing(tmp_path, spelt):
    names = [spelt(lead) for lead in LEADS]
    files = {
        "muse": muse_xml(SAMPLES, leads=names),
        "philips": philips_xml(SAMPLES, compression="Uncompressed", labels=" ".join(names)),
        "cardiosoft": cardiosoft_xml(SAMPLES, leads=names),
        "schiller": schiller_xml(SAMPLES, leads=names),
        "mortara": mortara_xml(SAMPLES, leads=names),
    }
    for name, data in files.items():
        stored = read_any(in_file(tmp_path, f"{name}.xml", data))
        assert (stored.header.leads, stored.notes) == (LEADS, ()), name
        assert np.array_equal(stored.samples, SAMPLES), name


@pytest.mark.parametrize(
    ("value", "unit", "rate"),
    [("0.0039", "s", 256.410256), ("3.9", "ms", 256.410256), ("7800", "us", 128.205128), ("0.0078125", "s", 128),
     ("0.003", "s", 333.333333), ("0.002000002", "s", 499.9995)],
)  # fmt: skip
def test_increments_of_time_give_rates_that_are_not_whole(tmp_path, value, unit, rate):
    data = aecg_xml(SAMPLES, increment=(value, unit))
    assert read_any(in_file(tmp_path, "a.xml", data)).header.sampling_frequency == rate


@pytest.mark.parametrize("rate", [256.4, 499.99])
def test_rates_that_are_not_whole_stay_so(tmp_path, rate):
    dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES, fs=rate))
    files = {
        "muse.xml": muse_xml(SAMPLES, leads=LEADS, fs=rate),
        "philips.xml": philips_xml(SAMPLES, compression="Uncompressed", fs=rate, duration=1000 * 1000 / rate),
        "cardiosoft.xml": cardiosoft_xml(SAMPLES, fs=rate),
        "mortara.xml": mortara_xml(SAMPLES, fs=rate),
        "kardia.json": kardia_json(SAMPLES[:6], fs=rate),
        "mfer.mwf": mfer_file(SAMPLES, rate=bytes([0, 256 - 2]) + round(100 * rate).to_bytes(4, "little")),
    }
    for path in [tmp_path / "a.dcm", *(in_file(tmp_path, name, data) for name, data in files.items())]:
        header = read_any(path).header
        assert (header.sampling_frequency, header.n_samples) == (rate, SAMPLES.shape[1]), path.name


# ---- who and when ----------------------------------------------------------------------------------------------------

RECORDED = datetime.datetime(2022, 11, 20, 12, 0)


@pytest.mark.parametrize("day", [(1900, 1, 1), (1899, 12, 30), (1899, 12, 31), (1901, 1, 1), (1904, 1, 1),
                                 (1869, 12, 31), (1800, 1, 1), (1, 1, 1), (9999, 9, 9), (9999, 12, 31)])  # fmt: skip
def test_placeholders_of_a_date_of_birth(day):
    age, notes = known_age(np.nan, datetime.date(*day), RECORDED)
    assert np.isnan(age) and notes == ("age unknown: the date of birth is a placeholder",)
    assert known_age(61.0, datetime.date(*day), RECORDED) == (61.0, ())


@pytest.mark.parametrize(
    ("birth", "years", "said"),
    [((1904, 1, 2), 118, None), ((1903, 11, 21), 118, None), ((1902, 11, 20), 120, None),
     ((1901, 11, 20), np.nan, "121 years"),
     ((2022, 11, 20), 0, None), ((2022, 11, 21), np.nan, "after the recording")],
)  # fmt: skip
def test_ages_from_dates_of_birth(birth, years, said):
    age, notes = known_age(np.nan, datetime.date(*birth), RECORDED)
    assert age == pytest.approx(years, nan_ok=True)
    assert (said is None and not notes) or said in notes[0]


@pytest.mark.parametrize(
    ("text", "day"),
    [("1953-05-08", (1953, 5, 8)), ("19530508", (1953, 5, 8)), ("05-08-1953", (1953, 5, 8)), ("5/8/1953", (1953, 5, 8)),
     (" 1953-05-08T10:00", (1953, 5, 8)), ("08.05.1953", None), ("1953-13-08", None), ("", None)],
)  # fmt: skip
def test_dates(text, day):
    assert date_of(text) == (day and datetime.date(*day))


def test_times_of_day():
    found = [time_of("2022-11-20", text) for text in ("14:05:59", "140559.123", "14:05", "", "25:00")]
    clocks = [(14, 5, 59), (14, 5, 59), (14, 5, 0), (0, 0, 0), (0, 0, 0)]
    assert found == [datetime.datetime(2022, 11, 20, *clock) for clock in clocks]
    assert time_of("", "14:05:59") is None


def test_the_first_of_two_ages_in_a_header_counts():
    lines = [
        "A 1 500 1000",
        "A.mat 16+24 1000/mV 16 0 0 0 0 I",
        "#Age: 61",
        "#Age: 7",
        "#Sex: F",
        "#Sex: M",
        "#Dx: 1",
        "#Dx: 2",
    ]
    header = parse_header("\n".join(lines))
    assert (header.age, header.sex, header.labels) == (61, "Female", ("1", "2"))


def test_devices(tmp_path):
    group = dicom_group(integers(400))
    assert read_dicom(dicom_file(tmp_path / "a.dcm", group)).device.maker == "Mortara"
    unknown = read_dicom(dicom_file(tmp_path / "b.dcm", group, Manufacturer="Unknown")).device
    assert (unknown.maker, unknown.model) == ("", "ELI250")
    mortara = read_any(in_file(tmp_path, "c.xml", FILES["Mortara ELI XML"]))
    assert (mortara.device.maker, mortara.device.model) == ("MORTARA", "ELI250")
    assert mortara.identity.others["ACQUIRING_DEVICE_SERIAL_NUMBER"] == SECRETS["other"]


def test_what_is_said_of_a_patient_in_scp_ecg(tmp_path):
    tags = {3: "second last name", 13: "reason for the recording", 16: "institution", 18: "department",
            20: "referring physician", 21: "confirming physician", 22: "technician", 23: "room", 30: "free text",
            31: "sequence number", 35: "history"}  # fmt: skip
    values = {0: "Last", 1: "First", 2: "ID", **{tag: f"of {tag}" for tag in tags}}
    facts = b"".join(struct.pack("<BH", tag, len(text) + 1) + text.encode() + b"\0" for tag, text in values.items())
    recording = scp_writer.Recording({"I": SIGNAL[0]}, others={1: facts + b"\xff\0\0"})
    identity = read_scp_ecg(in_file(tmp_path, "a.scp", recording.to_bytes())).identity
    assert (identity.name, identity.patient_id) == ("First Last", "ID")
    assert identity.others == {name: f"of {tag}" for tag, name in tags.items()}


def test_what_is_said_of_a_patient_in_mfer(tmp_path):
    texts = {0x15: "information", 0x16: "note", 0x86: "message", 0x87: "identifier"}
    more = b"".join(definition(tag, f"of {tag}".encode()) for tag in texts)
    data = mfer_file(SAMPLES)
    stored = read_mfer(in_file(tmp_path, "a.mwf", data[:34] + more + data[34:]))
    assert stored.identity.others == {name: f"of {tag}" for tag, name in texts.items()}
    assert (stored.identity.name, stored.identity.patient_id) == (SECRETS["last"], SECRETS["id"])
    assert (stored.header.age, str(stored.identity.birth_date)) == (71, "1951-03-29")


@pytest.mark.parametrize("n_spikes", [0, 3])
def test_the_rate_in_scp_ecg_stands_behind_the_spikes(tmp_path, n_spikes):
    beat = struct.pack("<5H3h", 10, 110, 160, 250, 560, 44, -61, 86)
    section = struct.pack("<BBHH", 1, n_spikes, 29999, 29999) + beat + bytes(10 * n_spikes)
    section += struct.pack("<HBB", 2, 0, 1) + struct.pack("<3HBH", 48, 0, 443, 0, 0)
    recording = scp_writer.Recording({"I": SIGNAL[0]}, others={7: section})
    found = read_scp_ecg(in_file(tmp_path, "a.scp", recording.to_bytes())).device.measurements
    assert found == {"p_ms": 100, "pr_ms": 150, "qrs_ms": 90, "qt_ms": 400, "p_axis_deg": 44, "qrs_axis_deg": -61,
                     "t_axis_deg": 86, "qtc_ms": 443, "heart_rate_bpm": 48}  # fmt: skip


def test_other_leads_of_scp_ecg(tmp_path):
    leads = {
        "I": 1,
        "-aVR": 65,
        "X": 16,
        "Y": 17,
        "Z": 18,
        "V7": 9,
        "V8": 66,
        "V9": 67,
        "V2R": 10,
        "V7R": 15,
        "CC5": 19,
        "CM5": 20,
    }
    recording = scp_writer.Recording(dict(zip(LEADS, SIGNAL, strict=True)), tables=None, order=0)
    data = bytearray(recording.to_bytes())
    _, _, index = struct.unpack_from("<HII", data, 22 + 30)
    for k, number in enumerate(leads.values()):
        data[index - 1 + 16 + 2 + 9 * k + 8] = number
    stored = read_scp_ecg(in_file(tmp_path, "a.scp", scp_writer.seal(bytes(data))))
    assert stored.header.leads == tuple(leads)


@pytest.mark.parametrize(
    ("lowest", "highest", "kind"), [(-32767, 32767, np.int16), (-32768, 0, np.int32), (0, 32768, np.int32)]
)
def test_integers_are_small_where_none_of_them_means_missing(lowest, highest, kind):
    found = as_small_integers([np.array([lowest, highest]), np.array([0, 1])], "a.x")
    assert found.dtype == kind and found.tolist() == [[lowest, highest], [0, 1]]
    with pytest.raises(RecordingError, match="leads of one length"):
        as_small_integers([np.array([1]), np.array([0, 1])], "a.x")
    assert as_small_integers([], "a.x").shape == (0, 0)


def files_of_amplitude(folder, microvolts):
    files = {
        "muse": muse_xml(integers(400, leads=STORED), per_bit=f"{microvolts:g}"),
        "cardiosoft": cardiosoft_xml(SAMPLES, resolution=f"{microvolts:g}"),
        "schiller": schiller_xml(SAMPLES, per_bit=f"{microvolts:g}"),
        "philips": philips_xml(SAMPLES, compression="Uncompressed", resolution=f"{microvolts:g}"),
    }
    return [in_file(folder, f"{name}.xml", data) for name, data in files.items()]


@pytest.mark.parametrize("microvolts", [-5, 0, 0.009, 1001])
def test_amplitudes_that_no_recorder_has(tmp_path, microvolts):
    for path in files_of_amplitude(tmp_path, microvolts):
        with pytest.raises(RecordingError, match=f"{path.name}: expected .*(amplitude|[Rr]esolution)"):
            read_any(path)


@pytest.mark.parametrize("microvolts", [0.01, 1000])
def test_the_lowest_and_the_highest_amplitude(tmp_path, microvolts):
    for path in files_of_amplitude(tmp_path, microvolts):
        stored = read_any(path)
        assert stored.header.adc_gains == pytest.approx([1000 / microvolts] * len(stored.samples)), path.name


@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions_of_npy(tmp_path, version):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, SIGNAL, version=(version, 0))
    stored = read_table(tmp_path / "a.npy", sampling_frequency=500, unit="uV", leads=LEADS)
    assert np.array_equal(stored.samples, SIGNAL)


def test_of_a_measurement_under_several_names_the_best_name_that_has_a_number_counts():
    pairs = [("qrs_ms", "---"), ("qrs_ms", "90"), ("qrs_ms", "100"), ("p_ms", "")]
    assert measurements_of(pairs) == {"qrs_ms": 90.0}
