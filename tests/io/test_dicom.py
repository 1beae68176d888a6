"""DICOM: scale by hand, kinds of samples, groups, leads, padding, hostile files; pydicom as the reference."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecg.io.errors import RecordingError
from ecg.io.readers.dicom import DEFLATED, EXPLICIT, IMPLICIT, is_dicom, read_dicom
from ecg.io.stored import Stored, make_header
from ecg.io.writers.dicom_writer import write_dicom
from ecg.leads import LEADS
from format_files import FORMATS_FOLDER, SECRETS, coded, dicom_file, dicom_group, integers, little_memory, millivolts

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("pydicom.data")
SAMPLES = integers(400)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, DEFLATED])
def test_transfer_syntaxes(tmp_path, syntax):
    path = dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES), syntax=syntax)
    assert is_dicom(path.read_bytes()[:4096])
    stored = read_dicom(path)
    assert np.array_equal(stored.samples, SAMPLES) and stored.samples.dtype == np.int16
    assert stored.header.leads == LEADS and stored.header.adc_gains == (400.0,) * 12


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"])
def test_other_transfer_syntaxes_are_refused(tmp_path, syntax):
    data = dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES)).read_bytes()
    old, new = EXPLICIT.encode() + b"\0", syntax.encode() + b"\0" * (len(syntax) % 2)
    field = b"UI" + struct.pack("<H", len(old)) + old
    assert data.count(field) == 1
    (tmp_path / "a.dcm").write_bytes(data.replace(field, b"UI" + struct.pack("<H", len(new)) + new))
    with pytest.raises(RecordingError, match="a little-endian transfer syntax"):
        read_dicom(tmp_path / "a.dcm")


@pytest.mark.parametrize(
    ("kind", "interpretation"),
    [("<i1", "SB"), ("<u1", "UB"), ("<i2", "SS"), ("<u2", "US"), ("<i4", "SL"), ("<u4", "UL")],
)
def test_kinds_of_samples_and_the_scale_by_hand(tmp_path, kind, interpretation):
    info = np.iinfo(kind)
    low = max(int(info.min), -(2**30))
    samples = np.random.default_rng(3).integers(low + 1, min(int(info.max), 2**30), (12, 501))
    group = dicom_group(
        samples, kind=kind, interpretation=interpretation, sensitivity="1.25", factor="1.02", baseline="-100"
    )
    stored = read_dicom(dicom_file(tmp_path / "a.dcm", group))
    assert np.array_equal(stored.samples, samples)
    expected = (samples * 1.25 * 1.02 - 100) / 1000
    assert np.allclose(millivolts(stored), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("unit", "sensitivity"), [("uV", "2.5"), ("mV", "0.0025"), ("nV", "2500"), ("V", "0.0000025")])
def test_units(tmp_path, unit, sensitivity):
    stored = read_dicom(dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES, unit=unit, sensitivity=sensitivity)))
    assert np.allclose(millivolts(stored), SAMPLES * 0.0025, atol=1e-6)


@pytest.mark.parametrize("change", [{"unit": "mm[Hg]"}, {"sensitivity": "0"}, {"sensitivity": ""}])
def test_a_channel_without_a_scale_in_volts_is_refused(tmp_path, change):
    with pytest.raises(RecordingError, match="a sensitivity in uV or mV of lead I"):
        read_dicom(dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES, **change)))


def test_the_median_beat_is_not_the_rhythm(tmp_path):
    long_median = dicom_group(np.tile(SAMPLES // 2, 4), originality="DERIVED", label="MEDIAN BEAT")
    short = dicom_group(SAMPLES[:, :600], label="OTHER")
    for groups in ([long_median, short, dicom_group(SAMPLES)], [dicom_group(SAMPLES), long_median]):
        assert np.array_equal(read_dicom(dicom_file(tmp_path / "a.dcm", *groups)).samples, SAMPLES)
    with pytest.raises(RecordingError, match=r"an original multiplex group \(the rhythm\), found 'MEDIAN BEAT'"):
        read_dicom(dicom_file(tmp_path / "a.dcm", long_median))


def test_leads_recorded_one_after_the_other_are_refused(tmp_path):
    groups = [dicom_group(SAMPLES), dicom_group(SAMPLES[:, :999])]
    for group, kept in zip(groups, (slice(0, 6), slice(6, 12)), strict=True):
        group.ChannelDefinitionSequence = group.ChannelDefinitionSequence[kept]
        group.NumberOfWaveformChannels = 6
        group.WaveformData = SAMPLES[kept, : group.NumberOfWaveformSamples].T.tobytes()
    with pytest.raises(
        RecordingError, match="leads that were recorded together, found 'V1, V2, V3, V4, V5, V6 apart from"
    ):
        read_dicom(dicom_file(tmp_path / "a.dcm", *groups))


@pytest.mark.parametrize(
    "naming",
    [
        {"sources": [coded(f"2:{n}", "?", "MDC") for n in (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8)]},
        {"sources": [coded("x", f"Lead {lead} (Einthoven)", "99X") for lead in LEADS]},
        {"sources": [coded("x", "y", "99X")] * 12, "labels": [lead.upper() for lead in LEADS]},
        {"sources": [coded("x", f"{lead}, augmented or not", "99X") for lead in LEADS]},
    ],
)
def test_leads_by_code_label_and_meaning(tmp_path, naming):
    assert read_dicom(dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES, **naming))).header.leads == LEADS


def test_an_inverted_lead_keeps_its_name(tmp_path):
    sources = [coded(f"5.6.3-9-{n}", "Lead -aVR" if n == 65 else "") for n in (1, 2, 61, 65, 63, 64, 3, 4, 5, 6, 7, 8)]
    stored = read_dicom(dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES, sources=sources)))
    assert stored.header.leads[3] == "Lead -aVR" and np.isnan(millivolts(stored)[3]).all()


def test_the_moment_is_that_of_the_acquisition_else_of_the_content_else_of_the_study(tmp_path):
    said = {}
    for year, kind in ((2023, "Study"), (2022, "Content"), (2021, "Acquisition")):
        said |= {f"{kind}Date": f"{year}0203", f"{kind}Time": "040506"}
        stored = read_dicom(dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES), AcquisitionDateTime="", **said))
        assert str(stored.device.acquired) == f"{year}-02-03 04:05:06"
    stored = read_dicom(dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES), **said))
    assert str(stored.device.acquired) == "2022-11-20 14:05:59"


def test_padding_is_missing(tmp_path):
    samples = SAMPLES.copy()
    samples[:, -5:] = samples[3, 100:200] = 9999
    expected = np.where(samples == 9999, np.nan, samples * 0.0025)
    stored = read_dicom(dicom_file(tmp_path / "a.dcm", dicom_group(samples, padding=9999)))
    assert np.allclose(millivolts(stored), expected, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize(("padding", "everywhere"), [(3999, False), (4001, True), (-3999, False), (-4001, True)])
def test_a_padding_value_that_no_ecg_takes_is_missing_everywhere(tmp_path, padding, everywhere):
    samples = np.clip(SAMPLES, -3000, 3000)  # 2.5 uV each: 10 mV are 4000
    samples[3, 40] = samples[:, -5] = samples[:, -1] = padding
    signal = millivolts(read_dicom(dicom_file(tmp_path / "a.dcm", dicom_group(samples, padding=padding))))
    assert np.isnan(signal[:, -1]).all()
    assert np.isnan(signal).sum() == (25 if everywhere else 12)


def test_a_padding_value_of_zero_is_missing_only_at_the_end_of_all_channels(tmp_path):
    samples = SAMPLES.copy()
    samples[:, 500:520] = samples[:, -7:] = samples[3, -50:] = 0
    signal = millivolts(read_dicom(dicom_file(tmp_path / "a.dcm", dicom_group(samples, padding=0))))
    assert np.isnan(signal[:, -7:]).all() and not np.isnan(signal[:, :-7]).any()


def test_what_the_device_said_and_whose_recording_it_is(tmp_path):
    stored = read_dicom(dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES)))
    assert stored.device.measurements == {"heart_rate_bpm": 48, "pr_ms": 148, "qrs_axis_deg": -61}
    assert stored.device.statements == ("Sinus bradycardia", f"Known from {SECRETS['last']}")
    assert (stored.header.age, stored.header.sex, stored.device.model) == (71, "Female", "ELI250")
    assert stored.identity.patient_id == SECRETS["id"] and SECRETS["last"] in stored.identity.name
    assert {SECRETS[name] for name in ("hospital", "room", "phone", "uid")} <= set(stored.identity.others.values())
    older = read_dicom(dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES), PatientAge="018M"))
    assert older.header.age == 1.5


def test_other_waveforms_are_refused(tmp_path):
    path = dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES), sop="1.2.840.10008.5.1.4.1.1.9.2.1", Modality="HD")
    with pytest.raises(RecordingError, match="an ECG"):
        read_dicom(path)


def test_samples_that_are_not_all_there_are_refused(tmp_path):
    path = dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RecordingError, match="12 channels of 1000 samples of 16 bits"):
        read_dicom(path)


# ---- against pydicom -------------------------------------------------------------------------------------------------


def test_pydicoms_own_example_has_pydicoms_own_values():
    path = pydicom.data.get_testdata_file("waveform_ecg.dcm", download=False)
    stored = read_dicom(path)
    expected = pydicom.dcmread(path).waveform_array(0).T / 1000  # µV
    assert np.allclose(millivolts(stored), expected, atol=1e-6)
    assert stored.samples.shape == (12, 10000) and stored.header.sampling_frequency == 1000
    assert {"pr_ms": 161, "qrs_ms": 75, "qt_ms": 368, "qtc_ms": 370}.items() <= stored.device.measurements.items()
    assert stored.device.statements == ("RITMO SINUSALE", "ECG NORMALE")


@given(
    samples=hnp.arrays(st.sampled_from([np.int16, np.int32]), (3, 300), elements=st.integers(-30000, 30000)),
    gain=st.floats(50, 2000),
    baseline=st.integers(-2000, 2000),
)
@settings(max_examples=25)
def test_what_is_written_is_read_by_both(tmp_path_factory, samples, gain, baseline):
    folder = tmp_path_factory.mktemp("dicom")
    header = make_header(
        folder / "a.x", ("I", "V1", "aVF"), 250, samples, [gain] * 3, [baseline] * 3, age=50, sex="Male"
    )
    path = write_dicom(folder, Stored(header, samples))
    assert np.array_equal(read_dicom(path).samples, samples)
    expected = (samples - baseline) / gain * 1000
    assert np.allclose(pydicom.dcmread(path).waveform_array(0).T, expected, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize(("age", "written"), [(0.5, "006M"), (1.75, "021M"), (2.0, "002Y"), (61.0, "061Y")])
def test_a_small_child_has_its_age_in_months(tmp_path, age, written):
    samples = np.arange(600, dtype=np.int16)[np.newaxis]
    header = make_header(tmp_path / "a.x", ("II",), 250, samples, [1000.0], age=age)
    path = write_dicom(tmp_path, Stored(header, samples))
    assert pydicom.dcmread(path).PatientAge == written
    assert read_dicom(path).header.age == age


def test_the_real_file_with_invalid_uids():
    path = FORMATS_FOLDER / "dicom-example.dcm"
    if not path.exists():
        pytest.skip("without the real files")
    stored = read_dicom(path)
    assert stored.samples.shape == (12, 5000) and not np.isnan(millivolts(stored)).any()  # its padding value is 0
    expected = {
        "pr_ms": 148,
        "qrs_ms": 120,
        "qt_ms": 420,
        "qtc_ms": 443,
        "p_axis_deg": 44,
        "qrs_axis_deg": -61,
        "t_axis_deg": 86,
    }
    assert stored.device.measurements == expected


# ---- hostile files ---------------------------------------------------------------------------------------------------


def preamble(syntax: str = EXPLICIT) -> bytes:
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    return bytes(128) + b"DICM" + b"\2\0\x10\0UI" + struct.pack("<H", len(uid)) + uid


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def empty_elements(n: int) -> bytes:
    tags = np.arange(n, dtype="<u4") + 0x0011_0000
    group_element = np.stack([tags >> 16, tags & 0xFFFF], axis=1).astype("<u2")
    rest = np.tile(np.frombuffer(b"LO\0\0", np.uint8), (n, 1))
    return np.hstack([group_element.view(np.uint8).reshape(n, 4), rest]).tobytes()


ITEM, SEQUENCE = b"\xfe\xff\0\xe0\xff\xff\xff\xff", b"\x00\x54\x00\x01SQ\0\0\xff\xff\xff\xff"
IS_ECG = b"\x08\0\x60\0CS\4\0ECG "
HOSTILE = {
    "nothing": preamble(),
    "no waveform": preamble() + IS_ECG,
    "10 GB declared": preamble() + IS_ECG + b"\x00\x54\x10\x10OW\0\0\xfe\xff\xff\xff" + bytes(500),
    "deflated to 300 MB": preamble(DEFLATED) + deflated(bytes(300_000_000)),
    "endless nesting": preamble() + IS_ECG + (SEQUENCE + ITEM) * 100_000,
    "endless nesting, implicit": preamble(IMPLICIT) + (b"\x00\x54\x00\x01\xff\xff\xff\xff" + ITEM) * 100_000,
    "three million empty elements": preamble() + empty_elements(3_000_000),
    "and in the waveform": preamble()
    + IS_ECG
    + b"\x00\x54\x00\x01SQ\0\0"
    + struct.pack("<I", 8_000_008)
    + ITEM
    + empty_elements(10**6),
    "three million items": preamble() + IS_ECG + SEQUENCE + b"\xfe\xff\0\xe0\0\0\0\0" * 3_000_000,
    "character sets without end": preamble()
    + b"\x08\0\x05\0UC\0\0"
    + struct.pack("<I", 20_000_000)
    + b"\\" * 20_000_000,
    "no end of numbers": preamble() + b"\x08\0\x60\0UC\0\0" + struct.pack("<I", 20_000_000) + b"1\\" * 10_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_little_memory(tmp_path, name):
    (tmp_path / "a.dcm").write_bytes(HOSTILE[name])
    with little_memory(), pytest.raises(RecordingError, match=r"a.dcm: expected .*, found"):
        read_dicom(tmp_path / "a.dcm")


def test_warnings_of_the_library_do_not_show_identifiers(tmp_path, capfd, recwarn):
    path = dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES))
    data = path.read_bytes().replace(b"1.2.840.77345.99", b"1.2.840.77345..9").replace(b"19510329", b"1951X329")
    path.write_bytes(data)
    assert np.array_equal(read_dicom(path).samples, SAMPLES)
    assert not recwarn.list and capfd.readouterr() == ("", "")


def with_bits(group, n_bits):
    for channel in group.ChannelDefinitionSequence:
        channel.WaveformBitsStored = n_bits
    return group


@pytest.mark.parametrize("n_bits", [10, 12, 15])
@pytest.mark.parametrize("is_extended", [False, True])
def test_the_sign_of_fewer_bits_than_their_place_has(tmp_path, n_bits, is_extended):
    half = 1 << n_bits - 1
    samples = np.random.default_rng(3).integers(-half, half, (12, 1000))
    written = samples if is_extended else samples & 2 * half - 1
    stored = read_dicom(dicom_file(tmp_path / "a.dcm", with_bits(dicom_group(written), n_bits)))
    assert np.array_equal(stored.samples, samples)
    assert len(stored.notes) == (0 if is_extended else 1)


@pytest.mark.parametrize("n_bits", [10, 12, 15])
def test_fewer_bits_than_their_place_without_a_sign(tmp_path, n_bits):
    samples = np.random.default_rng(3).integers(0, 1 << n_bits, (12, 1000))
    group = with_bits(dicom_group(samples, kind="<u2", interpretation="US"), n_bits)
    stored = read_dicom(dicom_file(tmp_path / "a.dcm", group))
    assert np.array_equal(stored.samples, samples) and stored.notes == ()


def test_samples_of_more_bits_than_are_stored_are_refused(tmp_path):
    for kind, interpretation, value in (("<i2", "SS", 4096), ("<i2", "SS", -2049), ("<u2", "US", 4096)):
        samples = np.zeros((12, 1000), int)
        samples[3, 7] = value
        group = with_bits(dicom_group(samples, kind=kind, interpretation=interpretation), 12)
        with pytest.raises(RecordingError, match=f"samples of 12 bits in lead aVR, found {value}"):
            read_dicom(dicom_file(tmp_path / "a.dcm", group))


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("has_meta", [False, True])
def test_files_without_the_preamble(tmp_path, syntax, has_meta):
    whole = dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES), syntax=syntax).read_bytes()
    place = 132 if has_meta else whole.index(b"\x08\0\x05\0", 132)
    (tmp_path / "a.dcm").write_bytes(whole[place:])
    assert is_dicom(whole[place:][:4096])
    assert np.array_equal(read_dicom(tmp_path / "a.dcm").samples, SAMPLES)


@pytest.mark.parametrize(
    "start", [b"\x08\0", b"\x08\0\x16\0UI\x1a\x001.2.3.4", b"\x02\0\0\0", b"1.2.840.10008.1", bytes(400)]
)
def test_other_files_are_not_taken_for_dicom_without_preamble(start):
    assert not is_dicom(start.ljust(4096, b"\0"))


@pytest.mark.parametrize(
    ("tags", "age", "note"),
    [
        ({"PatientBirthDate": "19510329"}, 71, None),
        ({"PatientBirthDate": "19000101"}, None, "placeholder"),
        ({"PatientBirthDate": "18000101"}, None, "placeholder"),
        ({"PatientBirthDate": "11111111"}, None, "placeholder"),
        ({"PatientBirthDate": "19020304"}, 120, None),
        ({"PatientBirthDate": "19010304"}, None, "121 years is no age"),
        ({"PatientBirthDate": "20230101"}, None, "after the recording"),
        ({"PatientBirthDate": "", "PatientAge": "999Y"}, None, "999 years is no age"),
        ({"PatientBirthDate": "19000101", "PatientAge": "061Y"}, 61, None),
    ],
)
def test_placeholders_of_birth_dates_and_impossible_ages(tmp_path, tags, age, note):
    stored = read_dicom(dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES), **tags))
    assert np.isnan(stored.header.age) if age is None else stored.header.age == age
    assert [note in one for one in stored.notes] == ([True] if note else [])


@pytest.mark.parametrize(("size", "is_read"), [(998, False), (999, True), (1000, True), (1002, False)])
def test_samples_may_be_filled_up_to_an_even_length(tmp_path, size, is_read):
    samples = np.clip(integers(40), -127, 127)[:1, :999]
    group = dicom_group(samples, kind="<i1", interpretation="SB")
    group["WaveformData"].value = (samples.astype("i1").tobytes() + bytes(3))[:size]  # 999 bytes become 1000
    path = dicom_file(tmp_path / "a.dcm", group)
    if is_read:
        assert np.array_equal(read_dicom(path).samples, samples)
        return
    with pytest.raises(RecordingError, match=f"expected 1 channels of 999 samples of 8 bits, found {size} bytes"):
        read_dicom(path)
