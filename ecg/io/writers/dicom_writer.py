"""A recording written as a DICOM ECG (PS3.3 A.34). Nothing of the identity, unless it is handed in."""

import datetime
import hashlib
import math
import struct
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ecg.io.device_words import names_of
from ecg.io.errors import import_optional, problem
from ecg.io.files import write_file
from ecg.io.readers.dicom import EXPLICIT, LEAD_NUMBERS
from ecg.io.stored import Identity, Stored
from ecg.io.writers.exports import NOBODY, as_integers, missing_value
from ecg.labels.classes import SCORED_CLASSES

_UNITS = {"ms": "milliseconds", "deg": "degrees", "uV": "microvolt", "/min": "per minute"}


def write_dicom(folder: Path, stored: Stored, identity: Identity = NOBODY) -> Path:
    """Write a DICOM ECG: 12-lead ECG where its limits hold, else General, General 32-bit or Ambulatory ECG.

    UIDs are made of the recording's name and samples, so that the same recording has the same ones again. Without an
    identity the dates, which must be there, are 1900-01-01. Raises RecordingError where no ECG object allows for its
    number of leads or its rate.
    """
    stored = as_integers(stored)
    path = folder / f"{stored.header.recording_id}.dcm"
    pydicom = import_optional("pydicom", path, "DICOM")
    new = pydicom.Dataset
    dataset = new()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = _sop_class(stored, path)
    for name, part in (("Study", "study"), ("Series", "series"), ("SOP", "instance")):
        setattr(dataset, f"{name}InstanceUID", _uid(stored, part))
    dataset.StudyID = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.Modality = "ECG"
    dataset.Manufacturer, dataset.ManufacturerModelName = _text(stored.device.maker), _text(stored.device.model)
    _set_dates(dataset, stored.device.acquired if identity is not NOBODY else None)
    dataset.PatientName, dataset.PatientID = _text(identity.name), _text(identity.patient_id)
    dataset.PatientBirthDate = f"{identity.birth_date:%Y%m%d}" if identity.birth_date else ""
    dataset.PatientSex = {"Female": "F", "Male": "M"}.get(stored.header.sex, "")
    if not math.isnan(age := stored.header.age):
        dataset.PatientAge = f"{round(12 * age):03d}M" if age < 2 else f"{int(age):03d}Y"
    if identity is NOBODY:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = "Names, identifiers and dates left out"
    dataset.AcquisitionContextSequence = []
    dataset.WaveformSequence = [_group(stored, new)]
    if annotations := list(_annotations(stored, new)):
        dataset.WaveformAnnotationSequence = annotations
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    buffer = pydicom.filebase.DicomBytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    write_file(path, buffer.getvalue())
    return path


def _text(text: str, most: int = 64) -> str:
    """Text as an element may hold it: on one line, no backslashes (they separate values), not too long."""
    return "".join(letter if letter.isprintable() else " " for letter in text.replace("\\", "/"))[:most].strip()


def _set_dates(dataset: Any, when: datetime.datetime | None) -> None:
    dataset.StudyDate, dataset.StudyTime = (f"{when:%Y%m%d}", f"{when:%H%M%S}") if when else ("", "")
    moment = when or datetime.datetime(1900, 1, 1)
    dataset.ContentDate, dataset.ContentTime = f"{moment:%Y%m%d}", f"{moment:%H%M%S}"
    dataset.AcquisitionDateTime = f"{moment:%Y%m%d%H%M%S}"


def _code(new: Any, scheme: str, value: str, meaning: str) -> list[Any]:
    """A sequence of one code."""
    item = new()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, _text(meaning)
    if scheme == "SCPECG":
        item.CodingSchemeVersion = "1.3"
    return [item]


def _group(stored: Stored, new: Any) -> Any:
    """The multiplex group: scale and name of each channel, and the samples."""
    header, samples = stored.header, stored.samples
    wide = samples.dtype == np.int32
    group = new()
    group.WaveformOriginality, group.MultiplexGroupLabel = "ORIGINAL", "RHYTHM"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = samples.shape
    group.SamplingFrequency = f"{header.sampling_frequency:.12g}"
    group.ChannelDefinitionSequence = []
    numbers = {lead: number for number, lead in LEAD_NUMBERS.items()}
    for lead, gain, baseline in zip(header.leads, header.adc_gains, header.baselines, strict=True):
        channel = new()
        channel.ChannelLabel = _text(lead, 16)
        source = ("MDC", f"2:{numbers[lead]}", f"Lead {lead}") if lead in numbers else ("SCPECG", "5.6.3-9-0", lead)
        channel.ChannelSourceSequence = _code(new, *source)  # the latter: unspecified
        if math.isfinite(gain):
            channel.ChannelSensitivity = f"{1000 / gain:.10g}"
            channel.ChannelSensitivityUnitsSequence = _code(new, "UCUM", "uV", _UNITS["uV"])
            channel.ChannelSensitivityCorrectionFactor = "1"
            channel.ChannelBaseline = f"{0.0 - baseline * 1000 / gain:.10g}"
        channel.ChannelSampleSkew = "0"
        channel.WaveformBitsStored = 32 if wide else 16
        group.ChannelDefinitionSequence.append(channel)
    group.WaveformBitsAllocated = 32 if wide else 16
    group.WaveformSampleInterpretation = "SL" if wide else "SS"
    group.add_new("WaveformPaddingValue", "OW", struct.pack("<i" if wide else "<h", missing_value(samples)))
    group.add_new("WaveformData", "OW", samples.T.astype("<i4" if wide else "<i2").tobytes())
    return group


def _annotations(stored: Stored, new: Any) -> Iterator[Any]:
    """Statements, diagnoses (SNOMED CT) and measurements, all of the whole group."""

    def annotation(number: int) -> Any:
        item = new()
        item.ReferencedWaveformChannels, item.AnnotationGroupNumber = [1, 0], number
        return item

    for text in stored.device.statements:
        item = annotation(0)
        item.UnformattedTextValue = _text(text, 1024)
        yield item
    for label in stored.header.labels:
        item = annotation(0)
        item.ConceptNameCodeSequence = _code(new, "DCM", "121071", "Finding")
        item.ConceptCodeSequence = _code(new, "SCT", label[:16], SCORED_CLASSES.get(label, ("", label))[1])
        yield item
    for name, (scheme, value, meaning, unit) in names_of("dicom_code").items():
        if name in stored.device.measurements:
            item = annotation(1)
            item.ConceptNameCodeSequence = _code(new, scheme, value, meaning)
            item.MeasurementUnitsCodeSequence = _code(new, "UCUM", unit, _UNITS[unit])
            item.NumericValue = f"{stored.device.measurements[name]:.10g}"
            yield item


def _uid(stored: Stored, part: str) -> str:
    """A UID below 2.25 (a UUID as a number, PS3.5 B.2), always the same for the same recording."""
    digest = hashlib.sha256(f"{part} {stored.header.recording_id} ".encode() + stored.samples.tobytes()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def _sop_class(stored: Stored, path: Path) -> str:
    """The first of the ECG objects whose limits hold (PS3.3 A.34.3 to A.34.5 and A.34.13)."""
    n_leads, n_samples = stored.samples.shape
    rate, wide = stored.header.sampling_frequency, stored.samples.dtype == np.int32
    common = n_leads <= 24 and 200 <= rate <= 1000
    limits: Mapping[str, bool] = {
        "1.2.840.10008.5.1.4.1.1.9.1.1": not wide and common and n_leads <= 13 and n_samples <= 16384,
        "1.2.840.10008.5.1.4.1.1.9.1.2": not wide and common,
        "1.2.840.10008.5.1.4.1.1.9.1.4": wide and common,
        "1.2.840.10008.5.1.4.1.1.9.1.3": not wide and n_leads <= 12 and 50 <= rate <= 1000,
    }
    for uid, holds in limits.items():
        if holds:
            return uid
    expected = "a recording that a DICOM ECG object allows (200 to 1000 Hz, at most 24 leads)"
    raise problem(path, expected, f"{n_leads} leads at {rate:g} Hz in {32 if wide else 16} bits")
