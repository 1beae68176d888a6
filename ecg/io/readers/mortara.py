"""Mortara ELI XML (root ECG with CHANNEL elements), as ELI electrocardiographs export it.

No specification is public. Names of attributes and their meaning are those that three public readers agree on.
"""

import math
import re
from pathlib import Path

import numpy as np

from ecg.io import device_words
from ecg.io.errors import problem, shown
from ecg.io.files import StrPath
from ecg.io.readers import xml_files as xml
from ecg.io.readers.dates import date_of, time_of
from ecg.io.readers.lead_labels import lead_of
from ecg.io.stored import DeviceReport, Identity, Stored, as_small_integers, make_stored

_NO_IDENTITY = re.compile("f?(?:age|sex|gender|race|height|weight|ht|wt)(?![a-z])", re.IGNORECASE)


def is_mortara(start: bytes) -> bool:
    """Whether a file that begins like this is Mortara ELI XML."""
    return xml.root_name(start) == "ECG"


def read_mortara(path: StrPath) -> Stored:
    """Read the channels of a Mortara ELI file; the typical cycle is not read."""
    path = Path(path)
    root = xml.read_xml(path)
    channels = root.findall("CHANNEL")
    if not channels:
        raise problem(path, "CHANNEL elements, as Mortara ELI XML has them", "none")
    for channel in channels:
        said = tuple(channel.get(name, "").upper() for name in ("BITS", "FORMAT", "ENCODING"))
        if said != ("16", "SIGNED", "BASE64"):
            raise problem(path, "signed samples of 16 bits in Base64", shown(" ".join(said)))
    labels = [channel.get("NAME", "") for channel in channels]
    frequencies = {xml.number_of(channel.get("SAMPLE_FREQ", "")) for channel in channels}
    if len(frequencies) > 1:
        raise problem(path, "one SAMPLE_FREQ of all channels", ", ".join(f"{rate:g}" for rate in frequencies))
    samples = as_small_integers([_samples(channel, path) for channel in channels], path)
    gains = [xml.number_of(channel.get("UNITS_PER_MV", "")) for channel in channels]
    offsets = [xml.number_of(channel.get("OFFSET") or "0") for channel in channels]
    patient = _Patient(root)
    acquired = time_of(root.get("ACQUISITION_TIME", "")[:8], root.get("ACQUISITION_TIME", "")[8:])
    age = xml.number_of(patient.value("age"))
    sex = {"m": "Male", "f": "Female"}.get(patient.value("sex").lower()[:1], "Unknown")
    source = root.find("SOURCE")
    said_of = {} if source is None else source.attrib
    places = [one for one in (root, root.find("TYPICAL_CYCLE")) if one is not None]
    numbers = device_words.measurements_of(
        (name, place.get(key, ""))
        for name, keys in device_words.names_of("mortara").items()
        for key in keys
        for place in places
    )
    statements, signatures = device_words.without_signatures(_statements(root))
    maker, model = said_of.get("MANUFACTURER", "Mortara"), said_of.get("MODEL", "")
    device = DeviceReport(maker, model, acquired, numbers, statements)
    names = " ".join(filter(None, (patient.value("name"), patient.value("last"), patient.value("first"))))
    identifiers = {key: text for key, text in said_of.items() if "SERIAL" in key or "ID" in key or "NAME" in key}
    others = {label: text for label, text in patient.others.items() if not _NO_IDENTITY.match(label)}
    identity = Identity(names, patient.value("id"), date_of(patient.value("dob")), others | identifiers | signatures)
    leads, rate, baselines = [lead_of(label) or label for label in labels], frequencies.pop(), [-o for o in offsets]
    return make_stored(path, leads, rate, samples, gains, baselines, device, identity, age=age, sex=sex, labels=labels)


def _samples(channel: xml.Element, path: Path) -> np.ndarray:
    lead = f"channel {shown(channel.get('NAME', ''))}"
    content = xml.base64_of(channel.get("DATA", ""), path, lead)
    n_samples = xml.number_of(channel.get("DURATION", ""))
    if len(content) % 2 or (not math.isnan(n_samples) and len(content) != 2 * n_samples):
        raise problem(path, f"{n_samples:g} samples in {lead}", f"{len(content)} bytes")
    return np.frombuffer(content, "<i2")


class _Patient:
    """The demographic fields, which each hospital names for itself ("Last:", "FName:&,", "ID&ID:", "Age&yr")."""

    def __init__(self, root: xml.Element) -> None:
        fields = root.iterfind("DEMOGRAPHIC_FIELDS/DEMOGRAPHIC_FIELD")
        self.others = {field.get("LABEL", ""): field.get("VALUE", "").strip("'\" ") for field in fields}
        self.others = {label: text for label, text in self.others.items() if text}

    def value(self, name: str) -> str:
        """What stands in the field whose label begins like this; "" where none does."""
        own = (text for label, text in self.others.items() if label.lower().lstrip("f").startswith(name.lstrip("f")))
        return next(own, "")


def _statements(root: xml.Element) -> list[str]:
    lines = []
    for tag in ("STATEMENT", "DIAGNOSIS_STATEMENT", "DIAGNOSIS", "INTERPRETATION"):
        for element in root.iter(tag):
            lines.append(" ".join((element.get("TEXT") or element.get("DESCRIPTION") or xml.text_of(element)).split()))
    return list(dict.fromkeys(filter(None, lines)))
