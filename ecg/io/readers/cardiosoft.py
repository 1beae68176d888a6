"""GE CardioSoft XML (root CardiologyXML), as CAM-USB and CASE systems export it; UK Biobank's resting ECGs have it.

No specification is public. Names of elements and units are those that public readers of UK Biobank's field 20205 use.
"""

import datetime
import math
from pathlib import Path

from ecg.io import device_words
from ecg.io.errors import problem, shown
from ecg.io.files import StrPath
from ecg.io.readers import xml_files as xml
from ecg.io.readers.dates import date_of, time_of
from ecg.io.readers.lead_labels import lead_of
from ecg.io.stored import DeviceReport, Identity, Stored, as_small_integers, check_frequency, make_stored

_MICROVOLTS = {"uvperlsb": 1.0, "mvperlsb": 1000.0, "nvperlsb": 1e-3}
_YEARS = {"": 1.0, "years": 1.0, "months": 1 / 12, "weeks": 7 / 365.25, "days": 1 / 365.25}


def is_cardiosoft(start: bytes) -> bool:
    """Whether a file that begins like this is GE CardioSoft XML."""
    return xml.root_name(start) == "CardiologyXML"


def read_cardiosoft(path: StrPath) -> Stored:
    """Read the strip of a resting ECG. A stress test, which has only its full disclosure, is refused."""
    path = Path(path)
    root = xml.read_xml(path)
    strip = next((one for place in ("StripData", "Strip/StripData") if (one := root.find(place)) is not None), None)
    if root.tag != "CardiologyXML" or strip is None:
        raise problem(path, "the StripData of a resting ECG", shown(xml.text_of(root, "ObservationType") or root.tag))
    frequency = xml.number_of(xml.text_of(strip, "SampleRate"))
    check_frequency(path, frequency)
    unit = "" if (resolution := strip.find("Resolution")) is None else resolution.get("units", "")
    microvolts = xml.number_of(xml.text_of(resolution)) * _MICROVOLTS.get(unit.lower(), math.nan)
    if not 0.01 <= microvolts <= 1000:
        raise problem(path, "a Resolution in uVperLsb", shown(f"{xml.text_of(resolution)} {unit}"))
    waveforms = strip.findall("WaveformData")
    labels = [one.get("lead", "") for one in waveforms]
    rows = [xml.digits_in(xml.data_of(one).strip(" \t\r\n,"), frequency, path) for one in waveforms]
    samples = as_small_integers(rows, path)
    patient, measured = root.find("PatientInfo"), root.find("RestingECGMeasurements")
    sex = {"male": "Male", "female": "Female"}.get(xml.text_of(patient, "Gender").lower(), "Unknown")
    texts = [root.findall(f"Interpretation/{what}/{what}Text") for what in ("Diagnosis", "Conclusion")]
    lines = (" ".join(xml.text_of(one).split()) for each in texts for one in each)
    statements, signatures = device_words.without_signatures(dict.fromkeys(filter(None, lines)))
    measurements = device_words.measured("cardiosoft", lambda tag: xml.text_of(measured, tag))
    acquired = _moment(root.find("ObservationDateTime"))
    device = DeviceReport("GE", xml.text_of(root, "DeviceType"), acquired, measurements, statements)
    identity, age = _identity(root, signatures), _age(patient)
    leads, gains = [lead_of(label) or label for label in labels], [1000 / microvolts] * len(labels)
    return make_stored(path, leads, frequency, samples, gains, None, device, identity, age=age, sex=sex, labels=labels)


def _age(patient: xml.Element | None) -> float:
    """Years; NaN where it is not written, or in another unit."""
    if patient is None or (age := patient.find("Age")) is None:
        return math.nan
    return xml.number_of(xml.text_of(age)) * _YEARS.get(age.get("units", "years").lower(), math.nan)


def _moment(element: xml.Element | None) -> datetime.datetime | None:
    """A date, and the time of day where there is one, whose parts are elements."""
    parts = [xml.text_of(element, tag).zfill(2) for tag in ("Year", "Month", "Day", "Hour", "Minute", "Second")]
    return time_of("-".join(parts[:3]), ":".join(parts[3:]))


def _identity(root: xml.Element, signatures: dict[str, str]) -> Identity:
    patient = root.find("PatientInfo")
    names = (xml.text_of(patient, f"Name/{part}Name") for part in ("Family", "Given"))
    born = _moment(None if patient is None else patient.find("BirthDateTime"))
    others = {
        element.tag: text
        for place in ("PatientInfo", "PatientVisit", "ClinicalInfo", "UserDefined", "Interpretation/Physician")
        for parent in root.iterfind(place)
        for element in parent.iter()
        if element.tag not in ("Age", "Gender", "Height", "Weight", "Race", "Year", "Month", "Day", "PaceMaker")
        and (text := xml.text_of(element))
    }
    birth = born.date() if born else date_of(xml.text_of(patient, "BirthDateTime"))
    return Identity(" ".join(filter(None, names)), xml.text_of(patient, "PID"), birth, others | signatures)
