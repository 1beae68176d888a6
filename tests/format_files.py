"""Small files of clinical formats, written by the tests themselves: one ECG, one identity, every field filled."""

from __future__ import annotations

import base64
import resource
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest

import helper_code
from ecg.io.readers.dicom import EXPLICIT
from ecg.leads import LEADS
from tiny import heart_like

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("defusedxml")
FORMATS_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "formats"
STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
# Whatever says whose recording it is; none of these may come out of a conversion.
SECRETS = {
    "last": "Zwiebelmann",
    "first": "Quirina",
    "middle": "Xanthippe",
    "id": "PID7734421",
    "birth": "1951-03-29",
    "doctor": "Dr. Wolpertinger",
    "technician": "Fidibus",
    "order": "ORD-55512",
    "hospital": "St. Ungefug Spital",
    "room": "Room Q17-Z",
    "other": "OTH-998877",
    "address": "Irrweg 13",
    "phone": "0900-424242",
    "uid": "1.2.840.77345.99",
}
PULSE = np.repeat([0, 1, 0], [50, 100, 50])  # at 500 Hz, mV


def integers(gain: float, seconds: float = 2, fs: float = 500, leads: tuple[str, ...] = LEADS) -> np.ndarray:
    """A simulated ECG in ADC units, (n_leads, n_samples), int16."""
    signal = heart_like(seconds, fs)[[LEADS.index(lead) for lead in leads]]
    return np.rint(signal * gain).astype(np.int16)


def millivolts(stored) -> np.ndarray:
    return helper_code.to_millivolts(stored.samples, stored.header)


@contextmanager
def little_memory() -> Iterator[None]:
    """Fails where the process grows by 200 MB or more within."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200e3  # kB


@contextmanager
def asked_for_little_memory() -> Iterator[None]:
    """Fails where Python asks for 100 MB or more within, whether or not it fills them."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


# ---- GE MUSE ---------------------------------------------------------------------------------------------------------


def muse_xml(
    samples: np.ndarray,
    *,
    encoding="ISO-8859-1",
    per_bit="4.88",
    units="MICROVOLTS",
    order=("Median", "Rhythm"),
    leads=STORED,
    crc=lambda data: zlib.crc32(data),
    fs=500,
    prolog='<!DOCTYPE RestingECG SYSTEM "restecg.dtd">',
    offset=0,
    statements=(
        ("Sinus bradycardia", "with 1st degree A-V block"),
        ("Left axis deviation",),
        ("Confirmed by {doctor} on {birth}",),
    ),
) -> bytes:
    waveforms = {"Rhythm": samples, "Median": samples[:, :300] // 2}
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n{prolog}\n<RestingECG>'
    text += (
        "<PatientDemographics><PatientID>{id}</PatientID><PatientAge>71</PatientAge><AgeUnits>YEARS</AgeUnits>"
        "<DateofBirth>03-29-1951</DateofBirth><Gender>FEMALE</Gender><PatientLastName>{last}</PatientLastName>"
        "<PatientFirstName>{first}</PatientFirstName></PatientDemographics><TestDemographics><AcquisitionDevice>MAC55"
        "</AcquisitionDevice><AcquisitionDate>11-20-2022</AcquisitionDate><AcquisitionTime>14:05:59</AcquisitionTime>"
        "<OverreaderLastName>{doctor}</OverreaderLastName><LocationName>{room}</LocationName><SiteName>{hospital}"
        "</SiteName><AcquisitionTechID>{technician}</AcquisitionTechID></TestDemographics><Order><RequisitionNumber>"
        "{order}</RequisitionNumber></Order>"
    ).format(**SECRETS)
    text += (
        "<RestingECGMeasurements><VentricularRate>48</VentricularRate><PRInterval>138</PRInterval><QRSDuration>96"
        "</QRSDuration><QTInterval>452</QTInterval><QTCorrected>403</QTCorrected><PAxis>51</PAxis><RAxis>-20</RAxis>"
        "<TAxis>40</TAxis></RestingECGMeasurements><Diagnosis><Modality>RESTING</Modality>"
    )
    for line in statements:
        for i, part in enumerate(line):
            end = "<StmtFlag>ENDSLINE</StmtFlag>" if i == len(line) - 1 else ""
            text += (
                f"<DiagnosisStatement>{end}<StmtText>{escape(part.format(**SECRETS))}</StmtText></DiagnosisStatement>"
            )
    text += "</Diagnosis>"
    for kind in order:
        text += f"<Waveform><WaveformType>{kind}</WaveformType><SampleBase>{fs}</SampleBase>"
        text += "<SampleExponent>0</SampleExponent>"
        for lead, row in zip(leads, waveforms[kind], strict=True):
            data = row.astype("<i2").tobytes()
            text += (
                f"<LeadData><LeadByteCountTotal>{len(data)}</LeadByteCountTotal><LeadTimeOffset>"
                f"{offset if lead == 'V1' else 0}"
                f"</LeadTimeOffset><LeadSampleCountTotal>{row.size}</LeadSampleCountTotal><LeadAmplitudeUnitsPerBit>{per_bit}"
                f"</LeadAmplitudeUnitsPerBit><LeadAmplitudeUnits>{units}</LeadAmplitudeUnits><LeadID>{lead}</LeadID>"
                f"<LeadSampleSize>2</LeadSampleSize><LeadDataCRC32>{crc(data)}</LeadDataCRC32><WaveFormData>"
                f"{base64.encodebytes(data).decode()}</WaveFormData></LeadData>"
            )
        text += "</Waveform>"
    return (text + "</RestingECG>").encode(encoding)


# ---- HL7 aECG --------------------------------------------------------------------------------------------------------


def aecg_xml(
    samples: np.ndarray,
    *,
    scale=("2.5", "uV"),
    origin=("0", "uV"),
    increment=("0.002", "s"),
    leads=LEADS,
    kind="RHYTHM",
    before="",
    prefix="MDC_ECG_LEAD_",
    age='<value value="71" unit="a"/>',
    value_type="SLIST_PQ",
) -> bytes:
    def series(tag: str, code: str, samples: np.ndarray, inside: str = "") -> str:
        text = f'<{tag}><id extension="{SECRETS["uid"]}"/><code code="{code}"/><effectiveTime>'
        text += '<low value="20221120140559"/>'
        text += (
            "</effectiveTime><author><seriesAuthor><manufacturedSeriesDevice><manufacturerModelName>ELI250"
            "</manufacturerModelName></manufacturedSeriesDevice><manufacturerOrganization><name>Mortara</name>"
            "</manufacturerOrganization></seriesAuthor></author><component><sequenceSet><component><sequence>"
            '<code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS"><head value="20221120140559"/>'
            f'<increment value="{increment[0]}" unit="{increment[1]}"/></value></sequence></component>'
        )
        for lead, row in zip(leads, samples, strict=True):
            text += (
                f'<component><sequence><code code="{prefix}{lead.upper()}"/><value xsi:type="{value_type}"><origin '
                f'value="{origin[0]}" unit="{origin[1]}"/><scale value="{scale[0]}" unit="{scale[1]}"/><digits>'
                f"{' '.join(map(str, row.tolist()))}</digits></value></sequence></component>"
            )
        return f"{text}</sequenceSet></component>{inside}</{tag}>"

    def annotation(code: str, value: str) -> str:
        return f'<component><annotation><code code="{code}"/>{value}</annotation></component>'

    of_a_lead = annotation(
        "MDC_ECG_TIME_PD_QT",
        '<value xsi:type="PQ" value="999" unit="ms"/><support><supportingROI>'
        '<component><boundary><code code="MDC_ECG_LEAD_V1"/></boundary></component></supportingROI>'
        "</support>",
    )
    numbers = "".join(
        annotation(code, f'<value xsi:type="PQ" value="{value}" unit="{unit}"/>')
        for code, value, unit in (
            ("MDC_ECG_HEART_RATE", 48, "/min"),
            ("MDC_ECG_TIME_PD_PR", 148, "ms"),
            ("MDC_ECG_TIME_PD_QRS", 0.12, "s"),
            ("MDC_ECG_TIME_PD_QT", 420, "ms"),
            ("MDC_ECG_TIME_PD_QTc", 443, "ms"),
            ("MDC_ECG_ANGLE_QRS_FRONT", -61, "deg"),
        )
    )
    texts = "".join(
        annotation("MDC_ECG_INTERPRETATION_STATEMENT", f'<value xsi:type="ST">{line}</value>')
        for line in ("(SB) SINUS BRADYCARDIA, V-rate&lt;50, ", f"Seen before in {SECRETS['last']}")
    )
    median = series("derivedSeries", "REPRESENTATIVE_BEAT", np.tile(samples[:, :100], 30))
    annotated = f"<subjectOf><annotationSet>{of_a_lead}{numbers}{texts}</annotationSet></subjectOf>"
    rhythm = series("series", kind, samples, f"{annotated}<derivation>{median}</derivation>")
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/'
    )
    text += (
        'XMLSchema-instance"><id root="{uid}"/><componentOf><timepointEvent><componentOf><subjectAssignment><subject>'
    )
    text += (
        '<trialSubject><id root="2.16" extension="{id}"/><subjectDemographicPerson><name><family>{last}</family><given>'
        '{first}</given></name><administrativeGenderCode code="F"/><birthTime value="19510329"/>'
        "</subjectDemographicPerson>"
        "</trialSubject></subject><responsibleParty><trialInvestigator><investigatorPerson><name>{doctor}</name>"
        "</investigatorPerson></trialInvestigator></responsibleParty></subjectAssignment></componentOf></timepointEvent>"
        '</componentOf><controlVariable><relatedObservation><code code="21612-7"/>AGE</relatedObservation>'
        "</controlVariable>"
    )
    text = text.format(**SECRETS).replace("AGE", age)
    return f"{text}<component>{before}</component><component>{rhythm}</component></AnnotatedECG>".encode()


# ---- Philips ---------------------------------------------------------------------------------------------------------


def lzw(data: bytes) -> bytes:
    """LZW with codes of ten bits: the encoder for the reader's decoder."""
    table = {bytes([value]): value for value in range(256)}
    codes, current = [], b""
    for value in data:
        longer = current + bytes([value])
        if longer in table:
            current = longer
            continue
        codes.append(table[current])
        if len(table) < 1023:
            table[longer] = len(table)
        current = bytes([value])
    codes += [table[current], 1023]
    bits = "".join(f"{code:010b}" for code in codes)
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def xli(samples: np.ndarray) -> bytes:
    """The twelve leads as XLI packs them: limb leads as differences, second differences, high and low bytes, LZW."""
    leads = samples.astype(np.int64)
    half = np.vectorize(lambda value: int(value / 2))  # towards zero
    one, two, three, aVR, aVL, aVF = leads[:6]
    augmented = [-aVR - half(one + two), half(one - three) - aVL, half(two + three) - aVF]
    leads = np.vstack([one, two, two - one - three, *augmented, leads[6:]])
    packed = b""
    for row in leads:
        second = row[2:] - 2 * row[1:-1] + row[:-2]
        numbers = np.concatenate([row[:2], 64 - second[1:], [64]])
        content = np.concatenate(
            [numbers.astype(np.int16).view(np.uint16) >> 8, numbers.astype(np.int16).view(np.uint16) & 255]
        )
        data = lzw(content.astype(np.uint8).tobytes())
        packed += len(data).to_bytes(4, "little") + b"\1\0" + int(-second[0]).to_bytes(2, "little", signed=True) + data
    return packed


def philips_xml(
    samples: np.ndarray,
    *,
    version="1.04",
    compression="XLI",
    encoding="utf-16",
    resolution="5",
    data=None,
    duration=None,
    labels="I II III aVR aVL aVF V1 V2 V3 V4 V5 V6",
    fs=500,
) -> bytes:
    packed = data if data is not None else xli(samples) if compression == "XLI" else samples.astype("<i2").tobytes()
    milliseconds = samples.shape[1] * 1000 // fs if duration is None else duration
    new = version == "1.04"
    tag = "resolution" if new else "signalresolution"
    signal = f"<samplingrate>{fs}</samplingrate><{tag}>{resolution}</{tag}>"
    attributes = (
        f'compression="{compression}" numberofleads="12" leadlabels="{labels}" bitspersample="16" '
        f'samplespersecond="{fs}" '
        f'resolution="{resolution}" signaloffset="0"'
        if new
        else f'compressflag="{compression == "XLI"}" compressmethod="{compression}" nbitspersample="16"'
    )
    age = "<age><dateofbirth>{birth}</dateofbirth></age>" if new else "<age><years>71</years></age>"
    text = f'<?xml version="1.0" encoding="{encoding}"?><restingecgdata xmlns="http://www3.medical.philips.com">'
    text += (
        (
            "<documentinfo><documentname>{uid}.xml</documentname><editor>{doctor}</editor></documentinfo><userdefines><userdefine>"
            "<label>x</label><value>{other}</value></userdefine></userdefines><orderinfo><ordernumber>{order}</ordernumber>"
            '</orderinfo><dataacquisition date="2022-11-20" time="14:05:59"><machine>PageWriter</machine>'
            "<acquirer><operatorid>"
            "{technician}</operatorid><room>{room}</room><institutionname>{hospital}</institutionname></acquirer>"
            "<signalcharacteristics>SIGNAL<bitspersample>16</bitspersample></signalcharacteristics></dataacquisition><patient>"
            "<generalpatientdata><patientid>{id}</patientid><MRN>{other}</MRN><name><lastname>{last}</lastname><firstname>{first}"
            f"</firstname><middlename>{{middle}}</middlename></name>{age}<sex>Female</sex></generalpatientdata></patient>"
        )
        .format(**SECRETS)
        .replace("SIGNAL", signal)
    )
    measured = "globalmeasurements" if new else "interpretationmeasurements"
    names = ("print", "qrsdur", "qtint", "qtcb") if new else ("meanprint", "meanqrsdur", "meanqtint", "meanqtc")
    values = (144, 102, 564, 466)
    numbers = "".join(f"<{name}>{value}</{name}>" for name, value in zip(names, values, strict=True))
    text += (
        f"<interpretations><interpretation><{measured}><heartrate>41</heartrate>{numbers}<pfrontaxis>19</pfrontaxis>"
        f"<qrsfrontaxis>-85</qrsfrontaxis><tfrontaxis>Failed</tfrontaxis></{measured}>"
        f"<mdsignatureline>Confirmed by {SECRETS['doctor']}</mdsignatureline><severity>- ABNORMAL ECG -</severity>"
        "<statement><leftstatement>Sinus bradycardia</leftstatement><rightstatement>rate&lt; 50"
        "</rightstatement></statement>"
        f"<statement><leftstatement>Compared with {SECRETS['other']}</leftstatement><rightstatement/></statement>"
        f'</interpretation></interpretations><waveforms><parsedwaveforms dataencoding="Base64" {attributes} '
        f'durationperchannel="{milliseconds}">{base64.encodebytes(packed).decode()}</parsedwaveforms></waveforms></restingecgdata>'
    )
    return text.encode(encoding)


# ---- DICOM -----------------------------------------------------------------------------------------------------------


def coded(value: str, meaning: str = "", scheme: str = "SCPECG") -> list[pydicom.Dataset]:
    item = pydicom.Dataset()
    item.CodeValue, item.CodeMeaning, item.CodingSchemeDesignator = value, meaning, scheme
    return [item]


def dicom_group(
    samples: np.ndarray,
    *,
    kind="<i2",
    interpretation="SS",
    sensitivity="2.5",
    unit="uV",
    factor="1",
    baseline="0",
    originality="ORIGINAL",
    label="RHYTHM",
    sources=None,
    labels=None,
    padding=None,
    fs=500,
) -> pydicom.Dataset:
    numbers = (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8)
    group = pydicom.Dataset()
    group.WaveformOriginality, group.MultiplexGroupLabel = originality, label
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = samples.shape
    group.SamplingFrequency = str(fs)
    group.ChannelDefinitionSequence = []
    for i in range(len(samples)):
        channel = pydicom.Dataset()
        channel.ChannelSourceSequence = sources[i] if sources else coded(f"5.6.3-9-{numbers[i]}", f"Lead {LEADS[i]}")
        if labels:
            channel.ChannelLabel = labels[i]
        channel.ChannelSensitivity, channel.ChannelSensitivityUnitsSequence = sensitivity, coded(unit, scheme="UCUM")
        channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = factor, baseline
        group.ChannelDefinitionSequence.append(channel)
    size = np.dtype(kind).itemsize
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 8 * size, interpretation
    vr = "OB" if size == 1 else "OW"
    if padding is not None:
        group.add_new("WaveformPaddingValue", vr, np.array([padding, 0][: 2 if size == 1 else 1], kind).tobytes())
    group.add_new("WaveformData", vr, samples.T.astype(kind).tobytes())
    return group


def dicom_file(
    path: Path, *groups: pydicom.Dataset, syntax=EXPLICIT, sop="1.2.840.10008.5.1.4.1.1.9.1.1", **more
) -> Path:
    dataset = pydicom.Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = sop, SECRETS["uid"], "ECG"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = SECRETS["uid"] + ".1", SECRETS["uid"] + ".2"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Mortara", "ELI250"
    dataset.PatientName = f"{SECRETS['last']}^{SECRETS['first']}^{SECRETS['middle']}"
    dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = SECRETS["id"], "19510329", "F"
    dataset.OtherPatientIDs, dataset.AccessionNumber, dataset.StudyID = (
        SECRETS["other"],
        SECRETS["order"],
        SECRETS["other"],
    )
    dataset.ReferringPhysicianName = dataset.OperatorsName = SECRETS["doctor"]
    dataset.InstitutionName, dataset.StationName = SECRETS["hospital"], SECRETS["room"]
    dataset.PatientAddress, dataset.PatientTelephoneNumbers = SECRETS["address"], SECRETS["phone"]
    dataset.AcquisitionDateTime = "20221120140559"
    dataset.WaveformAnnotationSequence = []
    for text in ("Sinus bradycardia", f"Known from {SECRETS['last']}", f"Confirmed by {SECRETS['doctor']}"):
        dataset.WaveformAnnotationSequence.append(pydicom.Dataset())
        dataset.WaveformAnnotationSequence[-1].UnformattedTextValue = text
    for value, code, meaning, channels in (
        (999, "5.13.5-7", "PR Interval", [1, 3]),
        (148, "5.13.5-7", "PR Interval", [1, 0]),
        (-61, "x", "QRS Axis", [1, 0]),
        (48, "8867-4", "Heart rate", [1, 0]),
    ):
        dataset.WaveformAnnotationSequence.append(pydicom.Dataset())
        dataset.WaveformAnnotationSequence[-1].NumericValue = str(value)
        dataset.WaveformAnnotationSequence[-1].ConceptNameCodeSequence = coded(code, meaning)
        dataset.WaveformAnnotationSequence[-1].ReferencedWaveformChannels = channels
    dataset.WaveformSequence = list(groups)
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = sop, SECRETS["uid"]
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path
