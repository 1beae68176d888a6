"""What each format says of a recording, field by field: another value in the file is another value in what is read."""

import re

import pytest

from ecg.io.formats import read_any
from format_files import STORED, aecg_xml, dicom_file, dicom_group, integers, muse_xml, philips_xml
from more_format_files import cardiosoft_xml, kardia_json, mortara_xml, schiller_xml

SAMPLES = integers(200, 1)
FILES = {
    "muse": muse_xml(integers(200, 1, leads=STORED), order=("Rhythm",)),
    "aecg": aecg_xml(SAMPLES),
    "philips": philips_xml(SAMPLES, encoding="utf-8"),
    "cardiosoft": cardiosoft_xml(SAMPLES),
    "schiller": schiller_xml(SAMPLES),
    "mortara": mortara_xml(SAMPLES),
    "kardia": kardia_json(SAMPLES[:6]),
}
DAY = 1 / 365.25

# Format; the text that is replaced, everywhere; the new text; a field; its value when the changed file is read.
CASES = [
    ("muse", ">FEMALE<", ">MALE<", "header.sex", "Male"),
    ("muse", ">FEMALE<", ">OTHER<", "header.sex", "Unknown"),
    ("muse", "PatientAge>71", "PatientAge>35", "header.age", 35),
    ("muse", "<PatientAge>71</PatientAge><AgeUnits>YEARS", "<PatientAge>10</PatientAge><AgeUnits>WEEKS", "header.age",
     70 * DAY),
    ("muse", "<PatientAge>71</PatientAge><AgeUnits>YEARS", "<PatientAge>100</PatientAge><AgeUnits>DAYS", "header.age",
     100 * DAY),
    ("muse", ">4.88<(.*?)>MICROVOLTS<", r">4880<\1>NANOVOLTS<", "gain", 1000 / 4.88),
    ("muse", ">4.88<(.*?)>MICROVOLTS<", r">0.005<\1>MILLIVOLTS<", "gain", 200),
    ("muse", "<SampleBase>500(.*?)<SampleExponent>0", r"<SampleBase>5000\1<SampleExponent>-1", "rate", 500),
    ("muse", "Time>14:05:59", "Time>08:00:01", "device.acquired", "2022-11-20 08:00:01"),
    ("muse", "<AcquisitionDate>11-20-2022", "<AcquisitionDate>02-03-2021", "device.acquired", "2021-02-03 14:05:59"),
    ("muse", "VentricularRate>48", "VentricularRate>61", "device.heart_rate_bpm", 61),
    ("muse", "PRInterval>138", "PRInterval>152", "device.pr_ms", 152),
    ("muse", "QRSDuration>96", "QRSDuration>88", "device.qrs_ms", 88),
    ("muse", "QTInterval>452", "QTInterval>401", "device.qt_ms", 401),
    ("muse", "QTCorrected>403", "QTCorrected>411", "device.qtc_ms", 411),
    ("muse", "PAxis>51", "PAxis>-7", "device.p_axis_deg", -7),
    ("muse", "RAxis>-20", "RAxis>95", "device.qrs_axis_deg", 95),
    ("muse", "TAxis>40", "TAxis>-3", "device.t_axis_deg", -3),
    ("aecg", 'Code code="F"', 'Code code="M"', "header.sex", "Male"),
    ("aecg", 'Code code="F"', 'Code code="UN"', "header.sex", "Unknown"),
    ("aecg", 'value="71" unit="a"', 'value="10" unit="wk"', "header.age", 70 * DAY),
    ("aecg", 'value="71" unit="a"', 'value="100" unit="d"', "header.age", 100 * DAY),
    ("aecg", '<value value="71" unit="a"/>(.*)', r"\1", "header.age", 71),
    ("aecg", '19510329(.*)<value value="71" unit="a"/>', r"19511120\1", "header.age", 71),  # that day
    ("aecg", '19510329(.*)<value value="71" unit="a"/>', r"19511121\1", "header.age", 70),
    ("aecg", '19510329(.*)<value value="71" unit="a"/>', r"19511220\1", "header.age", 70),
    ("aecg", 'scale value="2.5" unit="uV"', 'scale value="5000" unit="nV"', "gain", 200),
    ("aecg", 'scale value="2.5" unit="uV"', 'scale value="0.005" unit="mV"', "gain", 200),
    ("aecg", 'origin value="0" unit="uV"', 'origin value="5000" unit="nV"', "baseline", -2),
    ("aecg", 'increment value="0.002" unit="s"', 'increment value="4" unit="ms"', "rate", 250),
    ("aecg", 'increment value="0.002" unit="s"', 'increment value="4000" unit="us"', "rate", 250),
    ("aecg", 'value="148" unit="ms"', 'value="0.152" unit="s"', "device.pr_ms", 152),
    ("aecg", 'value="0.12" unit="s"', 'value="88" unit="ms"', "device.qrs_ms", 88),
    ("aecg", 'value="48" unit="/min"', 'value="61" unit="/min"', "device.heart_rate_bpm", 61),
    ("aecg", 'value="420" unit="ms"', 'value="401" unit="ms"', "device.qt_ms", 401),
    ("aecg", 'value="443" unit="ms"', 'value="411" unit="ms"', "device.qtc_ms", 411),
    ("aecg", 'value="-61" unit="deg"', 'value="95" unit="deg"', "device.qrs_axis_deg", 95),
    ("aecg", "20221120140559", "20210203080001", "device.acquired", "2021-02-03 08:00:01"),
    ("philips", "<sex>Female", "<sex>Male", "header.sex", "Male"),
    ("philips", "<sex>Female", "<sex>Unspecified", "header.sex", "Unknown"),
    ("philips", "<dateofbirth>1951-03-29</dateofbirth>", "<years>35</years>", "header.age", 35),
    ("philips", ' resolution="5"', ' resolution="2.5"', "gain", 400),
    ("philips", 'signaloffset="0"', 'signaloffset="12"', "baseline", 12),
    ("philips", 'time="14:05:59"', 'time="08:00:01"', "device.acquired", "2022-11-20 08:00:01"),
    ("philips", ">PageWriter<", ">TC50<", "device.model", "TC50"),
    ("philips", "heartrate>41", "heartrate>61", "device.heart_rate_bpm", 61),
    ("philips", "print>144", "print>152", "device.pr_ms", 152),
    ("philips", "qrsdur>102", "qrsdur>88", "device.qrs_ms", 88),
    ("philips", "qtint>564", "qtint>401", "device.qt_ms", 401),
    ("philips", "qtcb>466", "qtcb>411", "device.qtc_ms", 411),
    ("philips", "pfrontaxis>19", "pfrontaxis>-7", "device.p_axis_deg", -7),
    ("philips", "qrsfrontaxis>-85", "qrsfrontaxis>95", "device.qrs_axis_deg", 95),
    ("philips", "tfrontaxis>Failed", "tfrontaxis>-3", "device.t_axis_deg", -3),
    ("cardiosoft", ">FEMALE<", ">MALE<", "header.sex", "Male"),
    ("cardiosoft", ">FEMALE<", "><", "header.sex", "Unknown"),
    ("cardiosoft", 'Age units="years">71', 'Age units="weeks">10', "header.age", 70 * DAY),
    ("cardiosoft", 'Age units="years">71', 'Age units="days">100', "header.age", 100 * DAY),
    ("cardiosoft", '<Age units="years">71</Age>', "", "header.age", 71),
    ("cardiosoft", 'uVperLsb">5<', 'nVperLsb">2500<', "gain", 400),
    ("cardiosoft", 'uVperLsb">5<', 'mVperLsb">0.0025<', "gain", 400),
    ("cardiosoft", "<Hour>14", "<Hour>8", "device.acquired", "2022-11-20 08:05:59"),
    ("cardiosoft", "<Day>20</Day><Month>11", "<Day>3</Day><Month>2", "device.acquired", "2022-02-03 14:05:59"),
    ("cardiosoft", ">CASE<", ">MAC 5<", "device.model", "MAC 5"),
    ("cardiosoft", '"BPM">48', '"BPM">61', "device.heart_rate_bpm", 61),
    ("cardiosoft", '"ms">138', '"ms">152', "device.pr_ms", 152),
    ("schiller", ">FEMALE<", ">MALE<", "header.sex", "Male"),
    ("schiller", ">FEMALE<", ">x<", "header.sex", "Unknown"),
    ("schiller", ">19510329<", ">19870101<", "header.age", 35),
    ("schiller", "unitperbit>5<", "unitperbit>2.5<", "gain", 400),
    ("schiller", "unitperbit>5</unitperbit><units>UV", "unitperbit>0.0025</unitperbit><units>MV", "gain", 400),
    ("schiller", "<time>140559", "<time>080001", "device.acquired", "2022-11-20 08:00:01"),
    ("mortara", "FEMALE", "MALE", "header.sex", "Male"),
    ("mortara", "FEMALE", "?", "header.sex", "Unknown"),
    ("mortara", 'VALUE="71"', 'VALUE="35"', "header.age", 35),
    ("mortara", 'UNITS_PER_MV="200"', 'UNITS_PER_MV="400"', "gain", 400),
    ("mortara", 'OFFSET="0"', 'OFFSET="12"', "baseline", -12),
    ("mortara", 'TIME="20221120140559', 'TIME="20210203080001', "device.acquired", "2021-02-03 08:00:01"),
    ("mortara", 'MODEL="ELI250"', 'MODEL="ELI280"', "device.model", "ELI280"),
    ("mortara", 'VENT_RATE="48"', 'VENT_RATE="61"', "device.heart_rate_bpm", 61),
    ("mortara", 'PR_INT="138"', 'PR_INT="152"', "device.pr_ms", 152),
    ("mortara", 'QRS_DURATION="96"', 'QRS_DURATION="88"', "device.qrs_ms", 88),
    ("kardia", '"heartRate": 48', '"heartRate": 61', "device.heart_rate_bpm", 61),
    ("kardia", '"Value": 420', '"Value": 401', "device.qt_ms", 401),
    ("kardia", '"amplitudeResolution": 5000', '"amplitudeResolution": 2500', "gain", 400),
    ("kardia", "T14:05:59", "T08:00:01", "device.acquired", "2022-11-20 08:00:01"),
    ("kardia", '"bradycardia"', '"normal"', "device.statements", ("normal",)),
]  # fmt: skip


def said(stored, what):
    if what in ("gain", "baseline", "rate"):
        header = stored.header
        return {"gain": header.adc_gains[3], "baseline": header.baselines[3], "rate": header.sampling_frequency}[what]
    part, name = what.split(".")
    if part == "device" and name in stored.device.measurements:
        return stored.device.measurements[name]
    found = getattr(getattr(stored, part), name)
    return str(found) if name == "acquired" else found


@pytest.mark.parametrize(("format_", "old", "new", "what", "expected"), CASES)
def test_a_field_of_the_file_is_what_is_read(tmp_path, format_, old, new, what, expected):
    before = FILES[format_].decode("latin-1")
    after, count = re.subn(old.replace(".5", r"\.5"), new, before, flags=re.DOTALL)
    assert count and after != before
    (tmp_path / "a.bin").write_bytes(after.encode("latin-1"))
    found = said(read_any(tmp_path / "a.bin"), what)
    assert found == (expected if isinstance(expected, str | tuple) else pytest.approx(expected, rel=1e-9))


@pytest.mark.parametrize(
    ("changes", "what", "expected"),
    [
        ({"PatientSex": "M"}, "header.sex", "Male"),
        ({"PatientSex": "O"}, "header.sex", "Unknown"),
        ({"PatientAge": "046Y"}, "header.age", 46),
        ({"PatientAge": "010M"}, "header.age", 10 / 12),
        ({"PatientAge": "010W"}, "header.age", 70 * DAY),
        ({"PatientAge": "100D"}, "header.age", 100 * DAY),
        ({"PatientBirthDate": "19870101"}, "header.age", 35),
        ({"Manufacturer": "GE"}, "device.maker", "GE"),
        ({"ManufacturerModelName": "MAC 5"}, "device.model", "MAC 5"),
        ({"AcquisitionDateTime": "20210203080001"}, "device.acquired", "2021-02-03 08:00:01"),
    ],
)
def test_an_attribute_of_a_dicom_file_is_what_is_read(tmp_path, changes, what, expected):
    found = said(read_any(dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES), **changes)), what)
    assert found == (expected if isinstance(expected, str) else pytest.approx(expected, rel=1e-9))
