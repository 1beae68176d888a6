"""Schiller XML (root ...SchillerEDI), as SEMA exports it.

No specification is public. Names of elements and units are those that two public converters use.
"""

import math
from pathlib import Path

from ecg.io.errors import problem, shown
from ecg.io.files import StrPath
from ecg.io.readers import xml_files as xml
from ecg.io.readers.dates import date_of, time_of
from ecg.io.readers.lead_labels import lead_of
from ecg.io.stored import DeviceReport, Identity, Stored, as_small_integers, check_frequency, make_stored

_MICROVOLTS = {"uv": 1.0, "mv": 1000.0, "nv": 1e-3}


def is_schiller(start: bytes) -> bool:
    """Whether a file that begins like this is Schiller XML."""
    return xml.root_name(start).lower().endswith("schilleredi")


def read_schiller(path: StrPath) -> Stored:
    """Read the rhythm (ECG_RHYTHMS) of a Schiller file; the mean beats are not read."""
    path = Path(path)
    root = xml.read_xml(path)
    waves = root.findall("eventdata/event/wavedata")
    rhythms = [wave for wave in waves if xml.text_of(wave, "type").upper() == "ECG_RHYTHMS"]
    if len(rhythms) != 1:
        kinds = ", ".join(xml.text_of(wave, "type") for wave in waves)
        raise problem(path, "one wavedata of type ECG_RHYTHMS", shown(kinds) if kinds else "no wavedata")
    wave = rhythms[0]
    if (exponent := xml.text_of(wave, "resolution/samplerate/exponent")) not in ("", "0", "1"):
        raise problem(path, "a samplerate without an exponent", shown(exponent))
    frequency = xml.number_of(xml.text_of(wave, "resolution/samplerate/value"))
    check_frequency(path, frequency)
    per_bit, unit = xml.text_of(wave, "resolution/yres/unitperbit"), xml.text_of(wave, "resolution/yres/units")
    microvolts = xml.number_of(per_bit) * _MICROVOLTS.get(unit.lower(), math.nan)
    if not 0.01 <= microvolts <= 1000:
        raise problem(path, "an amplitude such as 5 uV a bit", shown(f"{per_bit} {unit}"))
    channels = wave.findall("channel")
    labels = [xml.text_of(channel, "name") for channel in channels]
    rows = [xml.digits_in(xml.data_of(channel, "data").strip(" \t\r\n,"), frequency, path) for channel in channels]
    samples = as_small_integers(rows, path)
    patient = root.find("patdata")
    acquired = time_of(*(xml.text_of(root, f"examdescript/startdatetime/{what}") for what in ("date", "time")))
    sex = {"m": "Male", "f": "Female"}.get(xml.text_of(patient, "gender").lower()[:1], "Unknown")
    names = " ".join(filter(None, (xml.text_of(patient, tag) for tag in ("lastname", "firstname"))))
    others = {
        element.tag: text
        for place in ("patdata", "examdescript")
        for element in root.iterfind(f"{place}//*")
        if element.tag not in ("gender", "birthdate", "date", "time") and (text := xml.text_of(element))
    }
    device = DeviceReport("Schiller", acquired=acquired)
    identity = Identity(names, xml.text_of(patient, "id"), date_of(xml.text_of(patient, "birthdate")), others)
    leads, gains = [lead_of(label) or label for label in labels], [1000 / microvolts] * len(labels)
    return make_stored(path, leads, frequency, samples, gains, None, device, identity, sex=sex, labels=labels)
