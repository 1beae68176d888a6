"""GE MUSE RestingECG XML, as MUSE exports it and MAC electrocardiographs write it."""

import math
import re
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg.io import device_words
from ecg.io.errors import problem, shown
from ecg.io.files import StrPath
from ecg.io.readers import xml_files as xml
from ecg.io.readers.dates import date_of, time_of
from ecg.io.stored import DeviceReport, Identity, Stored, check_together, make_stored
from ecg.leads import STANDARD_NAMES

_MOST_SAMPLES = 1 << 23  # of a lead; a file of the largest size has fewer
_MICROVOLTS = {"MICROVOLTS": 1.0, "MILLIVOLTS": 1000.0, "NANOVOLTS": 1e-3}
_YEARS = {"YEARS": 1.0, "MONTHS": 1 / 12, "WEEKS": 7 / 365.25, "DAYS": 1 / 365.25, "HOURS": 0.0}


def is_muse(start: bytes) -> bool:
    """Whether a file that begins like this is GE MUSE XML."""
    return xml.root_name(start).lower() == "restingecg"


def read_muse(path: StrPath) -> Stored:
    """Read a GE MUSE RestingECG file: the rhythm waveform, wherever it stands; mostly I, II, V1 to V6."""
    path = Path(path)
    root = xml.read_xml(path)
    if root.tag.lower() != "restingecg":
        raise problem(path, "a RestingECG element", shown(root.tag))
    waveform, others = _rhythm(root, path)
    frequency = xml.number_of(xml.text_of(waveform, "SampleBase"))
    exponent = xml.number_of(xml.text_of(waveform, "SampleExponent") or "0")
    if not abs(exponent) <= 6:
        raise problem(path, "a SampleExponent of -6 to 6", shown(xml.text_of(waveform, "SampleExponent")))
    lead_data = waveform.findall("LeadData")
    leads, gains, rows = [], [], []
    for data in lead_data:
        leads.append(_name(data))
        gains.append(_gain(data, path))
        rows.append(_lead(data, path))
    check_together(path, leads, (_name(data) for other in others for data in other.iterfind("LeadData")))
    spans = {(len(row), _start(data, path)) for row, data in zip(rows, lead_data, strict=True)}
    if len(spans) > 1:
        raise problem(path, "leads of one length and start", f"several (samples, start in ms): {sorted(spans)}")
    samples = np.array(rows, dtype=np.int16) if rows else np.empty((0, 0), dtype=np.int16)
    patient, test = root.find("PatientDemographics"), root.find("TestDemographics")
    acquired = time_of(xml.text_of(test, "AcquisitionDate"), xml.text_of(test, "AcquisitionTime"))
    birth = date_of(xml.text_of(patient, "DateofBirth"))
    years = _YEARS.get(xml.text_of(patient, "AgeUnits").upper() or "YEARS", math.nan)
    age = xml.number_of(xml.text_of(patient, "PatientAge")) * years
    sex = {"male": "Male", "female": "Female"}.get(xml.text_of(patient, "Gender").lower(), "Unknown")
    measured = root.find("RestingECGMeasurements")
    measurements = device_words.measured("muse", lambda tag: xml.text_of(measured, tag))
    statements, signatures = _statements(root)
    name = " ".join(filter(None, (xml.text_of(patient, "PatientLastName"), xml.text_of(patient, "PatientFirstName"))))
    device = DeviceReport("GE", xml.text_of(test, "AcquisitionDevice"), acquired, measurements, statements)
    identity = Identity(name, xml.text_of(patient, "PatientID"), birth, signatures | _others(root))
    rate = frequency * 10.0**exponent
    return make_stored(path, leads, rate, samples, gains, None, device, identity, age=age, sex=sex)


def _name(data: xml.Element) -> str:
    label = xml.text_of(data, "LeadID")
    return STANDARD_NAMES.get(label.lower(), label)


def _rhythm(root: xml.Element, path: Path) -> tuple[xml.Element, list[xml.Element]]:
    """The longest rhythm waveform, and other ones; a median beat is none."""
    kinds = [xml.text_of(waveform, "WaveformType") for waveform in root.iterfind("Waveform")]
    rhythms = [one for one in root.iterfind("Waveform") if xml.text_of(one, "WaveformType").lower() == "rhythm"]
    if not rhythms:
        raise problem(path, "a waveform of type Rhythm", shown(", ".join(kinds)) if kinds else "no waveform")
    longest = max(rhythms, key=lambda one: sum(len(text.text or "") for text in one.iterfind("LeadData/WaveFormData")))
    return longest, [waveform for waveform in rhythms if waveform is not longest]


def _gain(data: xml.Element, path: Path) -> float:
    """ADC units per mV of a lead."""
    per_bit, unit = xml.text_of(data, "LeadAmplitudeUnitsPerBit"), xml.text_of(data, "LeadAmplitudeUnits")
    microvolts = xml.number_of(per_bit) * _MICROVOLTS.get(unit.upper(), math.nan)
    if not 0.01 <= microvolts <= 1000:
        raise problem(path, "an amplitude such as 4.88 MICROVOLTS a bit", shown(f"{per_bit} {unit}"))
    return 1000 / microvolts


def _lead(data: xml.Element, path: Path) -> NDArray[np.int16]:
    """The samples of a lead, checked against their number, bytes and CRC-32 where the file has these."""
    lead = f"lead {shown(xml.text_of(data, 'LeadID'))}"
    content = xml.base64_of(xml.data_of(data, "WaveFormData"), path, lead)
    n_samples = xml.count_of(data, "LeadSampleCountTotal", path, _MOST_SAMPLES)
    n_bytes = xml.count_of(data, "LeadByteCountTotal", path, 2 * _MOST_SAMPLES)
    if xml.text_of(data, "LeadSampleSize") not in ("", "2"):
        raise problem(path, f"two bytes a sample in {lead}", shown(xml.text_of(data, "LeadSampleSize")))
    expected = n_bytes if n_samples is None else 2 * n_samples
    if (expected is not None and len(content) != expected) or len(content) % 2:
        raise problem(path, f"{expected} bytes in {lead}", len(content))
    checksum = xml.text_of(data, "LeadDataCRC32")
    if checksum and xml.number_of(checksum) % 2**32 != zlib.crc32(content):
        raise problem(path, f"a CRC-32 of {zlib.crc32(content)} in {lead}", shown(checksum))
    return np.frombuffer(content, "<i2").astype(np.int16)


def _start(data: xml.Element, path: Path) -> tuple[int, int]:
    """Where a lead begins: in ms, and in samples."""
    times = [xml.count_of(data, tag, path, 10**9) or 0 for tag in ("LeadTimeOffset", "LeadOffsetFirstSample")]
    return times[0], times[1]


def _statements(root: xml.Element) -> tuple[tuple[str, ...], dict[str, str]]:
    """Lines of the interpretation (as edited, else as the device made it), and apart those that say who read it."""
    diagnosis = next((one for tag in ("Diagnosis", "OriginalDiagnosis") if (one := root.find(tag)) is not None), None)
    lines, parts = [], []
    for statement in [] if diagnosis is None else diagnosis.iterfind("DiagnosisStatement"):
        parts.append(xml.text_of(statement, "StmtText"))
        if any((flag.text or "").strip().upper() == "ENDSLINE" for flag in statement.iterfind("StmtFlag")):
            lines.append(" ".join(" ".join(parts).split()))
            parts = []
    lines = [line for line in (*lines, " ".join(" ".join(parts).split())) if line]
    return device_words.without_signatures(lines)


def _others(root: xml.Element) -> dict[str, str]:
    """Names and identifiers of the test, the order and the people around it."""
    found = {}
    for place in ("TestDemographics", "Order", "OrderInfo", "PharmaData", "PatientDemographics"):
        for element in root.iterfind(f".//{place}//*"):
            text = (element.text or "").strip()
            if text and re.search(r"Name|ID$|Number|Initials|Account|Address|Phone", element.tag):
                found[element.tag] = text
    return found
