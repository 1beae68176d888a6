"""A recording written as HL7 aECG (PORT_MT020001). Nothing of the identity, unless it is handed in."""

import datetime
import hashlib
import math
import uuid
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np

from ecg.io.device_words import names_of
from ecg.io.errors import problem
from ecg.io.files import write_file
from ecg.io.stored import Identity, Stored
from ecg.io.writers.exports import NOBODY, as_integers, missing_value
from ecg.leads import LEADS

_XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"
_CODES = "2.16.840.1.113883.6.24"  # MDC, ISO/IEEE 11073-10101


def write_aecg(folder: Path, stored: Stored, identity: Identity = NOBODY) -> Path:
    """Write an HL7 aECG of one rhythm series, with the integers of the recording.

    Identifiers are made of the recording's name and samples. The standard wants a date: 1900-01-01 where none is.
    Raises RecordingError where samples are missing, which digits can't mark; a lead missing as a whole is left out.
    """
    stored = as_integers(stored)
    header, samples = stored.header, stored.samples
    path = folder / f"{header.recording_id}.aecg"
    missing = np.equal(samples, missing_value(samples))
    kept = [i for i in np.flatnonzero(~missing.all(axis=1)).tolist() if header.leads[i] in LEADS]
    if not kept or missing[kept].any():
        raise problem(path, "a recording without missing samples, which aECG can't mark", "some")
    when = stored.device.acquired or datetime.datetime(1900, 1, 1)
    when = when if identity is not NOBODY else datetime.datetime(when.year, 1, 1)
    own = uuid.uuid5(uuid.NAMESPACE_OID, f"{header.recording_id} {hashlib.sha256(samples.tobytes()).hexdigest()}")
    root = Element("AnnotatedECG", {"xmlns": "urn:hl7-org:v3"})
    SubElement(root, "id", root=str(own))
    SubElement(root, "code", code="93000", codeSystem="2.16.840.1.113883.6.12")
    _time(root, when)
    _subject(root, stored, identity)
    if not math.isnan(header.age):
        observation = SubElement(SubElement(root, "controlVariable"), "relatedObservation")
        SubElement(observation, "code", code="21612-7", codeSystem="2.16.840.1.113883.6.1")
        SubElement(observation, "value", {_XSI: "PQ", "value": f"{header.age:g}", "unit": "a"})
    series = SubElement(SubElement(root, "component"), "series")
    SubElement(series, "id", root=str(uuid.uuid5(own, "series")))
    SubElement(series, "code", code="RHYTHM", codeSystem="2.16.840.1.113883.5.4")
    _time(series, when)
    author = SubElement(SubElement(series, "author"), "seriesAuthor")
    SubElement(SubElement(author, "manufacturedSeriesDevice"), "manufacturerModelName").text = stored.device.model
    SubElement(SubElement(author, "manufacturerOrganization"), "name").text = stored.device.maker
    sequences = SubElement(SubElement(series, "component"), "sequenceSet")
    value = _sequence(sequences, "TIME_ABSOLUTE", "2.16.840.1.113883.5.4", "GLIST_TS")
    SubElement(value, "head", value=f"{when:%Y%m%d%H%M%S}")
    SubElement(value, "increment", value=np.format_float_positional(1 / header.sampling_frequency), unit="s")
    for i in kept:
        value = _sequence(sequences, f"MDC_ECG_LEAD_{header.leads[i].upper()}", _CODES, "SLIST_PQ")
        microvolts = 1000 / header.adc_gains[i]
        SubElement(value, "origin", value=f"{0.0 - header.baselines[i] * microvolts:.12g}", unit="uV")
        SubElement(value, "scale", value=f"{microvolts:.12g}", unit="uV")
        SubElement(value, "digits").text = " ".join(map(str, samples[i].tolist()))
    _annotate(series, stored)
    write_file(path, b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="utf-8"))
    return path


def _time(parent: Element, when: datetime.datetime) -> None:
    SubElement(SubElement(parent, "effectiveTime"), "low", value=f"{when:%Y%m%d%H%M%S}")


def _sequence(parent: Element, code: str, system: str, kind: str) -> Element:
    sequence = SubElement(SubElement(parent, "component"), "sequence")
    SubElement(sequence, "code", code=code, codeSystem=system)
    return SubElement(sequence, "value", {_XSI: kind})


def _subject(root: Element, stored: Stored, identity: Identity) -> None:
    parent = root
    for tag in ("componentOf", "timepointEvent", "componentOf", "subjectAssignment", "subject", "trialSubject"):
        parent = SubElement(parent, tag)
    SubElement(parent, "id", root="2.25", extension=identity.patient_id)
    person = SubElement(parent, "subjectDemographicPerson")
    SubElement(person, "name").text = identity.name
    code = {"Female": "F", "Male": "M"}.get(stored.header.sex, "UN")
    SubElement(person, "administrativeGenderCode", code=code, codeSystem="2.16.840.1.113883.5.1")
    if identity.birth_date:
        SubElement(person, "birthTime", value=f"{identity.birth_date:%Y%m%d}")


def _annotate(series: Element, stored: Stored) -> None:
    device = stored.device
    found = [
        (codes[0], {_XSI: "PQ", "value": f"{device.measurements[name]:.12g}", "unit": name.rpartition("_")[2]}, "")
        for name, codes in names_of("aecg").items()
        if name in device.measurements
    ]
    found += [("MDC_ECG_INTERPRETATION_STATEMENT", {_XSI: "ST"}, text) for text in device.statements]
    if not found:
        return
    annotations = SubElement(SubElement(series, "subjectOf"), "annotationSet")
    for code, attributes, text in found:
        annotation = SubElement(SubElement(annotations, "component"), "annotation")
        SubElement(annotation, "code", code=code, codeSystem=_CODES)
        SubElement(annotation, "value", attributes).text = "".join(one if one.isprintable() else " " for one in text)
