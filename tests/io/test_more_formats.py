"""CardioSoft, Schiller, Mortara ELI, Kardia, MFER, SierraECG within DICOM; what is no ECG."""

import re

import numpy as np
import pytest

from ecg.io.errors import RecordingError
from ecg.io.formats import FORMATS, find_ignored, find_recordings, format_of, read_any
from ecg.leads import LEADS
from format_files import STORED, dicom_file, dicom_group, integers, millivolts, muse_xml, philips_xml
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


def read(folder, data, name="a.bin"):
    (folder / name).write_bytes(data)
    return read_any(folder / name)


@pytest.mark.parametrize("name", FILES)
def test_samples_scale_and_report(tmp_path, name):
    stored = read(tmp_path, FILES[name])
    assert format_of(tmp_path / "a.bin").name == name
    assert [one.name for one in FORMATS if one.is_it(FILES[name][:4096])] == [name]
    n_leads = 6 if "Kardia" in name else 12
    assert stored.header.leads == LEADS[:n_leads] and stored.header.sampling_frequency == 500
    assert np.array_equal(stored.samples, SAMPLES[:n_leads]) and stored.samples.dtype == np.int16
    np.testing.assert_allclose(millivolts(stored)[:n_leads], SAMPLES[:n_leads] * 0.005, rtol=1e-6, atol=1e-9)
    assert str(stored.device.acquired) == "2022-11-20 14:05:59"
    assert stored.identity.patient_id == "PID7734421"
    if n_leads == 12:
        assert (stored.header.age, stored.header.sex) == (71, "Female")
        assert "Zwiebelmann" in stored.identity.name and str(stored.identity.birth_date) == "1951-03-29"
    if "CardioSoft" in name or "Mortara" in name:
        assert stored.device.statements == ("Sinus bradycardia",)
        assert (stored.device.measurements["heart_rate_bpm"], stored.device.measurements["pr_ms"]) == (48, 138)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [0, 2, 7])
@pytest.mark.parametrize("block", [1, 100, 1000])
def test_mfer_arrangements(tmp_path, order, kind, block):
    stored = read(tmp_path, mfer_file(SAMPLES, order=order, kind=kind, block=block))
    np.testing.assert_allclose(millivolts(stored), SAMPLES * 0.005, rtol=1e-5, atol=1e-7)


def test_mfer_definitions_in_a_group_of_a_channel_are_that_channels(tmp_path):
    data, count = re.subn(
        rb"(\x3f[\x00-\x0b])\x04(\x09\x02..)", rb"\1" + b"\x06\x67\x04" + rb"\2", mfer_file(SAMPLES), flags=re.DOTALL
    )
    assert count == 12
    stored = read(tmp_path, data)
    assert stored.header.leads == LEADS and np.array_equal(stored.samples, SAMPLES)


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("n_bytes", [1, 2, 4])
def test_mfer_has_as_many_sequences_as_it_says(tmp_path, order, n_bytes):
    data = mfer_file(SAMPLES, order={"little": "<", "big": ">"}[order], block=SAMPLES.shape[1] // 2)
    for said in (2, 3):
        counted = data.replace(b"\x0a\1\0", definition(0x06, said.to_bytes(n_bytes, order)) + b"\x0a\1\0", 1)
        if said == 2:
            assert np.array_equal(read(tmp_path, counted).samples, SAMPLES)
        else:
            with pytest.raises(RecordingError, match="whole sequences, found '24000 bytes for 3 sequences of 12000'"):
                read(tmp_path, counted)


def test_mfer_rate_in_hz_and_missing_samples(tmp_path):
    samples = SAMPLES.copy()
    samples[3, 7] = -32768
    rate = bytes([0, 0]) + (500).to_bytes(2, "little")
    stored = read(tmp_path, mfer_file(samples, rate=rate, missing=-32768))
    assert stored.header.sampling_frequency == 500
    assert np.isnan(millivolts(stored)[3, 7]) and np.isnan(millivolts(stored)).sum() == 1


def test_the_strip_in_its_other_place_and_an_offset(tmp_path):
    data = (
        cardiosoft_xml(SAMPLES)
        .replace(b"<StripData>", b"<Strip><StripData>")
        .replace(b"</StripData>", b"</StripData></Strip>")
    )
    assert np.array_equal(read(tmp_path, data).samples, SAMPLES)
    stored = read(tmp_path, mortara_xml(SAMPLES, offset=40))
    np.testing.assert_allclose(millivolts(stored), (SAMPLES + 40) / 200, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("unit", "years"), [("years", 7), ("months", 7 / 12), ("days", 7 / 365.25), ("moons", np.nan)])
def test_an_age_in_cardiosoft_has_a_unit(tmp_path, unit, years):
    data = cardiosoft_xml(SAMPLES).replace(b'<Age units="years">71', f'<Age units="{unit}">7'.encode())
    data = data.replace(b"<Year>1951</Year>", b"")
    assert read(tmp_path, data).header.age == pytest.approx(years, nan_ok=True)


def test_a_mortara_file_without_a_typical_cycle_has_the_numbers_of_its_root(tmp_path):
    cycle = b'<TYPICAL_CYCLE PR_INT="138" QRS_DURATION="96"/>'
    with_cycle = mortara_xml(SAMPLES)
    assert cycle in with_cycle
    stored = read(tmp_path, with_cycle.replace(cycle, b""))
    assert dict(stored.device.measurements) == {"heart_rate_bpm": 48.0}


def test_age_and_sex_of_a_mortara_file_are_no_identifiers(tmp_path):
    others = read(tmp_path, FILES["Mortara ELI XML"]).identity.others
    assert {"Last:", "ID&ID:", "Room:", "DOB:"} <= set(others) and not {"Sex", "Age&yr"} & set(others)


REFUSED = {
    "a stress test": (
        cardiosoft_xml(SAMPLES, strip="FullDisclosure"),
        "the StripData of a resting ECG, found 'RestECG'",
    ),
    "CardioSoft without a unit": (
        cardiosoft_xml(SAMPLES, units="furlong"),
        "a Resolution in uVperLsb, found '5 furlong'",
    ),
    "Schiller of averages": (
        schiller_xml(SAMPLES, kinds=("ECG_AVERAGES",)),
        "one wavedata of type ECG_RHYTHMS, found 'ECG_",
    ),
    "Mortara of 12 bits": (
        mortara_xml(SAMPLES, bits=12),
        "signed samples of 16 bits in Base64, found '12 SIGNED BASE64'",
    ),
    "Mortara cut": (mortara_xml(SAMPLES, duration=999), "999 samples in channel 'I', found 2000 bytes"),
    "XML of another ECG": (b"<ECG><a/></ECG>", "CHANNEL elements"),
    "Kardia without scale": (
        kardia_json(SAMPLES[:6], resolution=None),
        "an amplitudeResolution in nV, found 'None'",
    ),
    "Kardia 12L": (kardia_json(SAMPLES[:6], data={}, data12L={}), "those of a KardiaMobile 12L"),
    "Kardia of texts": (
        kardia_json(SAMPLES[:6]).replace(b'"leadI": [', b'"leadI": ["x", '),
        "a list of numbers as 'leadI'",
    ),
    "MFER of pressure": (mfer_file(SAMPLES, unit=1), "a scale for lead I"),
    "MFER of a mean beat": (mfer_file(SAMPLES, mean_beat=True), "waveform data, found none"),
    "MFER cut": (mfer_file(SAMPLES)[:-100], "bytes of definition 0x1e"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_wrong_is_said(tmp_path, kind):
    data, said = REFUSED[kind]
    with pytest.raises(RecordingError, match=rf"a\.bin: expected .*{said}"):
        read(tmp_path, data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_sierra_ecg_within_dicom(tmp_path, encoding):
    xml = philips_xml(SAMPLES, encoding="utf-8").decode().encode(encoding)
    path = dicom_file(tmp_path / "a.dcm", sop="1.2.840.10008.5.1.4.1.1.66")
    import pydicom

    dataset = pydicom.dcmread(path)
    dataset.add_new(0x20010010, "LO", "Philips")
    dataset.add_new(0x20011001, "OB", xml + b"\0" * (len(xml) % 2))
    dataset.save_as(path)
    assert np.array_equal(read_any(path).samples, SAMPLES)


def test_muse_without_a_doctype_and_with_twelve_stored_leads(tmp_path):
    for leads, prolog in ((LEADS, ""), (STORED, ""), (LEADS, '<!DOCTYPE RestingECG SYSTEM "restecg.dtd">')):
        samples = integers(1000 / 4.88, leads=leads)
        stored = read(tmp_path, muse_xml(samples, leads=leads, prolog=prolog))
        assert stored.header.leads == leads and np.array_equal(stored.samples, samples)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_the_number_of_mfer_channels_has_up_to_four_bytes(tmp_path, order, width):
    count = (12).to_bytes(width, {"<": "little", ">": "big"}[order])
    data = mfer_file(SAMPLES, order=order).replace(definition(0x05, b"\x0c"), definition(0x05, count))
    assert np.array_equal(read(tmp_path, data).samples, SAMPLES)


PICTURES = {
    "PDF": b"%PDF-1.4\n",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "JPEG": b"\xff\xd8\xff\xe0",
    "TIFF": b"II*\0",
    "GIF": b"GIF89a",
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_is_told_to_be_one(tmp_path, kind):
    with pytest.raises(RecordingError, match=rf"found a picture \({kind}\), not a signal: digitise it first$"):
        read(tmp_path, PICTURES[kind] + bytes(100), f"scan.{kind.lower()}")
    assert list(find_recordings(tmp_path)) == [str(tmp_path / f"scan.{kind.lower()}")]


def test_a_pdf_within_dicom_is_told_to_be_one(tmp_path):
    path = dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES), sop="1.2.840.10008.5.1.4.1.1.104.1")
    with pytest.raises(RecordingError, match=r"a picture \(PDF within DICOM\), not a signal: digitise it first"):
        read_any(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("root", ["com.example.edi.SomeEDI", "Something"])
def test_unknown_xml_is_named_by_its_root(tmp_path, root, encoding):
    text = f'<?xml version="1.0"?>\r\r\n<{root}>\r\r\n<a/></{root}>'
    with pytest.raises(RecordingError, match=rf"expected an ECG .*, found XML with the root element '{root}'$"):
        read(tmp_path, text.encode(encoding), "a.xml")


@pytest.mark.parametrize("pointer", [b"../.git/annex/objects/a/b/MD5E-s1--x.edf", b"/annex/objects/MD5E-s1--x.edf\n",
                                     b"version https://git-lfs.github.com/spec/v1\n"])  # fmt: skip
def test_content_that_was_not_fetched_is_named(tmp_path, pointer):
    with pytest.raises(RecordingError, match="its content was not fetched"):
        read(tmp_path, pointer, "a.edf")


def test_what_stands_in_a_folder_is_read_named_or_counted(tmp_path):
    (tmp_path / "a.mwf").write_bytes(FILES["MFER"])
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 printed page of a")
    (tmp_path / "b.json").write_bytes(FILES["AliveCor Kardia JSON"])
    (tmp_path / "lost.json").write_text('{"sampling_frequency": 500, "leads": ["I"]}')
    (tmp_path / "other.json").write_text('{"Name": "a data set"}')
    for name in ("z.edf", "y.dcm", "x.csv", "w"):
        (tmp_path / name).symlink_to("not fetched")
    (tmp_path / "free.csv").write_text("Dear colleague,\nplease look\n")
    (tmp_path / "free.json").write_text('{"sampling_frequency": 500}')
    (tmp_path / "README.txt").write_text("Read me\n")
    (tmp_path / "all.zip").write_bytes(b"PK\3\4")
    found = [path.removeprefix(f"{tmp_path}/") for path in find_recordings(tmp_path)]
    assert found == ["a.mwf", "b.json", "free.csv", "lost.json", "x.csv", "y.dcm", "z.edf"]
    ignored = [path.removeprefix(f"{tmp_path}/") for path in find_ignored(tmp_path)]
    assert ignored == ["README.txt", "all.zip", "other.json", "w"]
    for name, said in (("free.csv", "lines of numbers"), ("lost.json", "the table that it describes .*, found none"),
                       ("z.edf", "a file, found a link to something that is not there")):  # fmt: skip
        with pytest.raises(RecordingError, match=f"{name}: expected .*{said}"):
            read_any(tmp_path / name)
