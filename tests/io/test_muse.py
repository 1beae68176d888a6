"""GE MUSE XML: the rhythm waveform wherever it stands, its scale and checksums, encodings, what the device said."""

import numpy as np
import pytest

from ecg.io.errors import RecordingError
from ecg.io.readers.muse import is_muse, read_muse
from ecg.leads import LEADS
from format_files import FORMATS_FOLDER, SECRETS, STORED, integers, millivolts, muse_xml

SAMPLES = integers(1000 / 4.88, leads=STORED)


@pytest.fixture
def read(tmp_path):
    def read(data):
        (tmp_path / "a.xml").write_bytes(data)
        return read_muse(tmp_path / "a.xml")

    return read


@pytest.mark.parametrize("order", [("Median", "Rhythm"), ("Rhythm", "Median"), ("Rhythm",)])
def test_the_rhythm_is_found_wherever_it_stands(read, order):
    stored = read(muse_xml(SAMPLES, order=order))
    assert np.array_equal(stored.samples, SAMPLES) and stored.samples.dtype == np.int16
    assert stored.header.leads == STORED and stored.header.sampling_frequency == 500


def test_the_longest_of_several_rhythms_is_taken(read):
    two = muse_xml(SAMPLES, order=("Median", "Rhythm")).replace(b">Median<", b">Rhythm<")
    assert np.array_equal(read(two).samples, SAMPLES)


@pytest.mark.parametrize("is_edited", [True, False])
def test_statements_are_those_that_were_edited_else_the_device_s_own(read, is_edited):
    data = muse_xml(SAMPLES, statements=(("Sinus rhythm",),))
    original = data[data.index(b"<Diagnosis>") : data.index(b"</Diagnosis>") + 12]
    original = original.replace(b"Diagnosis>", b"OriginalDiagnosis>").replace(b"Sinus rhythm", b"Atrial flutter")
    at = data.index(b"<Diagnosis>")
    given = data[:at] + original + (data[at:] if is_edited else data[data.index(b"</Diagnosis>") + 12 :])
    assert read(given).device.statements == ("Sinus rhythm" if is_edited else "Atrial flutter",)


def test_leads_recorded_one_after_the_other_are_refused(read):
    data = muse_xml(SAMPLES, order=("Rhythm", "Median")).replace(b">Median<", b">Rhythm<")
    first, second = data[: data.rindex(b"<Waveform>")], data[data.rindex(b"<Waveform>") :]
    with pytest.raises(RecordingError, match="leads that were recorded together, found 'III apart from I, II"):
        read(first + second.replace(b"<LeadID>V1<", b"<LeadID>III<"))


def test_millivolts_are_units_per_bit_and_absent_leads_stay_absent(read):
    signal = millivolts(read(muse_xml(SAMPLES)))
    assert np.allclose(signal[LEADS.index("V3")], SAMPLES[4] * 0.00488, atol=1e-6)
    assert np.isnan(signal[[LEADS.index(lead) for lead in ("III", "aVR", "aVL", "aVF")]]).all()
    in_millivolts = millivolts(read(muse_xml(SAMPLES, per_bit="0.00488", units="MILLIVOLTS")))
    assert np.allclose(in_millivolts, signal, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-8", "UTF-16", "windows-1252"])
@pytest.mark.parametrize("prolog", ['<!DOCTYPE RestingECG SYSTEM "restecg.dtd">', "", "<!-- <AnnotatedECG> -->"])
def test_encodings_and_prologs(read, encoding, prolog):
    data = muse_xml(SAMPLES, encoding=encoding, prolog=prolog, statements=(("Größe: µV",),))
    assert is_muse(data[:4096])
    assert read(data).device.statements == ("Größe: µV",)


@pytest.mark.parametrize("said", ["utf-16", "UTF-16", "Utf-16LE"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_a_declaration_of_utf_16_on_text_in_utf_8_is_passed_over(read, start, said):
    data = muse_xml(SAMPLES, encoding="utf-8", statements=(("Größe",),))
    stored = read(start + data.replace(b'encoding="utf-8"', f'encoding="{said}"'.encode()))
    assert np.array_equal(stored.samples, SAMPLES) and stored.device.statements == ("Größe",)


def test_what_the_device_said_and_whose_recording_it_is(read):
    stored = read(muse_xml(SAMPLES))
    assert stored.device.measurements == {
        "heart_rate_bpm": 48,
        "pr_ms": 138,
        "qrs_ms": 96,
        "qt_ms": 452,
        "qtc_ms": 403,
        "p_axis_deg": 51,
        "qrs_axis_deg": -20,
        "t_axis_deg": 40,
    }
    assert stored.device.statements == ("Sinus bradycardia with 1st degree A-V block", "Left axis deviation")
    assert (stored.device.maker, stored.device.model, str(stored.device.acquired)) == (
        "GE",
        "MAC55",
        "2022-11-20 14:05:59",
    )
    assert (stored.header.age, stored.header.sex, stored.header.labels) == (71, "Female", ())
    assert (
        stored.identity.name == f"{SECRETS['last']} {SECRETS['first']}" and stored.identity.patient_id == SECRETS["id"]
    )
    assert SECRETS["doctor"] in stored.identity.others["signature 1"]
    assert not [word for word in SECRETS.values() if word in repr(stored)]


def test_capital_letters_say_nothing(read):
    data = given = muse_xml(SAMPLES).replace(b"03-29-1951", b"")  # which gives the age as well
    for word in (
        b"MICROVOLTS",
        b"YEARS",
        b"FEMALE",
        b"Rhythm",
        b"ENDSLINE",
        *(f">{lead}<".encode() for lead in STORED),
    ):
        assert word in data
        data = data.replace(word, word.lower())
    stored, expected = read(data), read(given)
    assert stored.header == expected.header and stored.header.age == 71
    assert stored.device == expected.device and np.array_equal(stored.samples, expected.samples)


def test_the_age_follows_from_the_dates_where_it_is_not_given(read):
    assert read(muse_xml(SAMPLES).replace(b"<PatientAge>71</PatientAge>", b"")).header.age == 71
    assert read(muse_xml(SAMPLES).replace(b">YEARS<", b">MONTHS<")).header.age == pytest.approx(71 / 12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crc": lambda data: 1}, r"a CRC-32 of \d+ in lead 'I', found '1'"),
        ({"order": ("Median",)}, "a waveform of type Rhythm, found 'Median'"),
        ({"units": "POTATOES"}, "an amplitude such as 4.88 MICROVOLTS a bit, found '4.88 POTATOES'"),
        ({"per_bit": "0"}, "an amplitude such as"),
        ({"fs": 5}, "a sampling frequency of 50 to 5000 Hz, found 5 Hz"),
        ({"offset": 2500}, "leads of one length and start"),
        ({"leads": ("A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8")}, "some of the leads I, II"),
    ],
)
def test_what_is_wrong_is_said(read, change, message):
    with pytest.raises(RecordingError, match=f"a.xml: expected {message}"):
        read(muse_xml(SAMPLES, **change))


@pytest.mark.parametrize("crc", [lambda data: "", lambda data: __import__("zlib").crc32(data) - 2**32])
def test_an_absent_checksum_and_a_negative_one_are_fine(read, crc):
    assert np.array_equal(read(muse_xml(SAMPLES, crc=crc)).samples, SAMPLES)


def test_a_lost_sample_is_noticed_without_a_checksum(read):
    data = muse_xml(SAMPLES, crc=lambda data: "").replace(
        b"<LeadSampleCountTotal>1000", b"<LeadSampleCountTotal>1001", 9
    )
    with pytest.raises(RecordingError, match="2002 bytes in lead"):
        read(data)


@pytest.mark.parametrize(
    ("number", "values"), [(1, (48, 138, 96, 452, 403)), (2, (65, 184, 100, 420, 437)), (3, (59, 164, 106, 436, 432))]
)
def test_real_files(number, values):
    path = FORMATS_FOLDER / f"muse-{number}.xml"
    if not path.exists():
        pytest.skip("without the real files")
    stored = read_muse(path)  # each lead's CRC-32 is checked
    assert stored.samples.shape == (8, 5000) and stored.header.leads == STORED
    names = ("heart_rate_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms")
    assert tuple(stored.device.measurements[name] for name in names) == values
    # Its own rate of QRS complexes from the device, against those in lead V5 by a threshold on the slope.
    assert 0.5 < np.nanmax(np.abs(millivolts(stored))) < 5
