"""XML and JSON files with fields drawn at random: each unit, absent and broken values, parts in another order."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from drawing import Draw, element, joined


def muse(draw: Draw) -> bytes:
    leads = draw.of(("I", "II", "V1"), ("i", "ii", "v6"), ("II", "V5", "V3R"), rare=(("V3R",), ()))
    fs, exponent = draw.of(("100", "0"), ("1", "2"), ("1000", "-1"), ("100", ""), rare=(("100", "7"), ("49", "0")))
    scale = draw.of(
        ("4.88", "MICROVOLTS"),
        ("0.005", "Millivolts"),
        ("2500", "NANOVOLTS"),
        rare=(("5", "VOLTS"), ("", "MICROVOLTS"), ("1001", "MICROVOLTS"), ("0.009", "MICROVOLTS")),
    )

    def waveform(kind: str, rows: np.ndarray, leads: Sequence[str]) -> str:
        text = (
            element("WaveformType", kind) + element("SampleBase", fs) + draw.maybe(element("SampleExponent", exponent))
        )
        (offset, start), later = draw.of((0, 0), (0, 0), (4, 0), (0, 8)), draw.of(0, rare=(4,))
        for i, (lead, row) in enumerate(zip(leads, rows, strict=True)):
            data = row.astype("<i2").tobytes()
            crc = draw.of(zlib.crc32(data), zlib.crc32(data) - 2**32, "", rare=(1, "x"))
            inside = element("LeadID", lead) + element("LeadAmplitudeUnitsPerBit", scale[0])
            inside += element("LeadAmplitudeUnits", scale[1]) + element("LeadDataCRC32", crc)
            inside += draw.maybe(element("LeadSampleCountTotal", draw.of(row.size, "", rare=(row.size + 1, -1, "1.5"))))
            inside += draw.maybe(element("LeadByteCountTotal", draw.of(len(data), rare=(len(data) - 2, "many"))))
            inside += draw.maybe(element("LeadSampleSize", draw.of("2", rare=("4",))))
            inside += element("LeadTimeOffset", offset) + element("LeadOffsetFirstSample", start + (i and later))
            text += element("LeadData", inside + element("WaveFormData", base64.encodebytes(data).decode()))
        return element("Waveform", text)

    rows = draw.integers(len(leads), draw.of(150, 130, rare=(99,)))
    waveforms = [waveform(draw.of("Rhythm", "rhythm", rare=("Other",)), rows, leads)]
    waveforms += draw.some([waveform("Median", rows[:, :60], leads)])
    others = leads if draw.of(True, rare=(False,)) else ("aVF", "V2", "X")[: len(leads)]
    waveforms += draw.some([waveform("Rhythm", rows[:, :50], others)])
    year, month, day = draw.date()
    age = draw.maybe(element("PatientAge", draw.of("71", "10", "0", "", rare=("130", "-1"))))
    units = ("YEARS", "Months", "WEEKS", "DAYS", "HOURS", "")
    patient = [
        age + draw.maybe(element("AgeUnits", draw.of(*units, rare=("DECADES",)))),
        element("DateofBirth", draw.of(f"{month:02}-{day:02}-{year}", f"{year}-{month:02}-{day:02}", "")),
        element("Gender", draw.of("MALE", "FEMALE", "female", rare=("M", "OTHER"))),
        element("PatientLastName", "Last"),
        element("PatientFirstName", "First"),
        element("PatientID", "P 1"),
    ]
    year, month, day, *clock = draw.moment()
    test = [
        element("AcquisitionDevice", "MAC55"),
        element("AcquisitionDate", f"{month:02}-{day:02}-{year}"),
        element("AcquisitionTime", "{:02}:{:02}:{:02}".format(*clock)),
        element("RoomID", "R 1"),
        element("OverreaderLastName", "Over"),
        element("Priority", "low"),
    ]
    names = (
        "VentricularRate",
        "PDuration",
        "PRInterval",
        "QRSDuration",
        "QTInterval",
        "QTCorrected",
        "PAxis",
        "RAxis",
        "TAxis",
    )
    measured = [element(name, draw.number()) for name in names]
    parts = [
        element("PatientDemographics", "".join(draw.shuffled(draw.some(patient)))),
        element("TestDemographics", "".join(draw.some(test))),
        element("Order", element("OrderNumber", "O 1") + element("Note", "none")),
        element("RestingECGMeasurements", "".join(draw.some(measured))),
    ]
    for tag, first in (("Diagnosis", []), ("OriginalDiagnosis", ["As it was"])):
        lines = ""
        for text in first + draw.statements():
            flag = draw.maybe(element("StmtFlag", draw.of("ENDSLINE", "endsline ", "OTHER")))
            lines += element(
                "DiagnosisStatement", draw.of(flag + element("StmtText", text), element("StmtText", text) + flag)
            )
        parts.append(draw.maybe(element(tag, lines)))
    return f"<RestingECG>{''.join(draw.shuffled(parts) + draw.shuffled(waveforms))}</RestingECG>".encode()


def with_pulse(draw: Draw, rows: np.ndarray, gain: float) -> np.ndarray:
    """Perhaps a calibration pulse at the end, or nearly one."""
    pulse = np.repeat([0, gain, 0], [10, draw.of(20, 20, 20, 10, 40, 9, 41), draw.of(10, 0)])
    last = np.round(np.tile(pulse, (len(rows), 1))).astype(int)
    last[0] += int(draw.of(0, 0, 0, 0.024 * gain, 0.03 * gain))
    last[:, -1] += int(draw.of(*[0] * 7, 0.5 * gain))
    return np.concatenate([rows, last], axis=1) if draw.of(True, True, True, False) else rows


def aecg(draw: Draw) -> bytes:
    leads = draw.of(("I", "II", "V1"), ("I", "AVF"), ("II", "X", "V4"), rare=(("X",), ()))
    unit, step = draw.of(
        ("uV", 5.0), ("mV", 0.005), ("nV", 2500.0), ("V", 5e-6), ("uV", -5.0), rare=(("", 5.0), ("mV", 2.0))
    )
    gain = 1 / (step * {"uV": 1e-3, "mV": 1.0, "nV": 1e-6, "V": 1e3, "": 1e-3}[unit])
    origin = draw.of(
        'value="0" unit="mV"',
        'value="0" unit="mV"',
        'value="0"',
        'value="50" unit="uV"',
        'value="-2500" unit="nV"',
        "",
        rare=('value="1" unit="m"',),
    )
    time = draw.of(
        ("0.01", "s"), ("10", "ms"), ("10000", "us"), ("4", "ms"), rare=(("0", "s"), ("0.01", ""), ("1", "s"))
    )

    def sequences(rows: np.ndarray, leads: Sequence[str]) -> str:
        kind = draw.of("TIME_ABSOLUTE", "TIME_RELATIVE", rare=("TIME",))
        increment = f'<value><head/><increment value="{time[0]}" unit="{time[1]}"/></value>'
        parts = [f'<sequence><code code="{kind}"/>{increment}</sequence>']
        for lead, row in zip(leads, rows, strict=True):
            digits = element("digits", joined(row, draw.of(" ", "\n", ", ")))
            kind = draw.of("SLIST_PQ", "x:SLIST_PQ", rare=("SLIST_TS",))
            value = f'<value type="{kind}"><origin {origin}/><scale value="{step:.12g}" unit="{unit}"/>{digits}</value>'
            parts.append(f'<sequence><code code="MDC_ECG_LEAD_{lead}"/>{value}</sequence>')
        return element("component", element("sequenceSet", "".join(element("component", part) for part in parts)))

    def annotations(first: str) -> str:
        codes = (
            "HEART_RATE",
            "TIME_PD_P",
            "TIME_PD_PR",
            "TIME_PD_PQ",
            "TIME_PD_QRS",
            "TIME_PD_QT",
            "TIME_PD_QTc",
            "TIME_PD_QTcB",
            "ANGLE_P_FRONT",
            "ANGLE_QRS_FRONT",
            "ANGLE_T_FRONT",
        )
        text = ""
        for code in draw.some([*codes, "TIME_PD_QT"]):
            support = draw.of("", "", '<support><a><code code="MDC_ECG_LEAD_V1"/></a></support>')
            value = f'<value value="{first}{draw.number()}" unit="{draw.of("ms", "ms", "s")}"/>'
            text += element("annotation", f'<code code="MDC_ECG_{code}"/>{value}{support}')
        for line in draw.statements():
            code = draw.of("MDC_ECG_INTERPRETATION_STATEMENT", "MDC_ECG_RHY", "MDC_ECG_OTHER")
            value = draw.of(element("value", line), f'<value displayName="{line}"/>', f'<value code="{line}"/>')
            text += element("annotation", f'<code code="{code}"/>{draw.of(value, "")}')
        return element("subjectOf", element("annotationSet", draw.of(text, element("annotation", text))))

    def moment() -> str:
        value = "{:04}{:02}{:02}{:02}{:02}{:02}".format(*draw.moment())
        return element("effectiveTime", draw.maybe(f'<{draw.of("low", "center")} value="{value}.000"/>'))

    rows = draw.integers(len(leads), draw.of(150, 120, rare=(99, 40)))
    rows[:1, 3] = draw.edge()
    rows = with_pulse(draw, rows, gain)
    if draw.of(False, False, False, True) and len(rows):
        rows = rows.astype(float) + draw.of(0.5, 40000.0)
    about = draw.maybe(element("manufacturedSeriesDevice", element("manufacturerModelName", "Model 1")))
    about += draw.maybe(element("manufacturerOrganization", element("name", "Maker 1")))
    code = draw.of('<code code="RHYTHM"/>', "", rare=('<code code="OTHER"/>',))
    text = f"{code}{moment()}<author>{element('seriesAuthor', about)}</author>"
    sets = [sequences(rows, leads)]
    others = leads if draw.of(True, rare=(False,)) else ("V6", "V2", "X")[: len(leads)]
    sets += draw.some([sequences(rows[:, :40], others)])
    series = text + "".join(draw.shuffled(sets)) + draw.maybe(annotations(""))
    series += draw.maybe(element("derivation", element("derivedSeries", annotations("1"))))
    year, month, day = draw.date()
    person = element("name", draw.of("Last, First", "<family>Last</family><given>First</given>", ""))
    person += f'<administrativeGenderCode code="{draw.of("M", "F", rare=("UN",))}"/>'
    person += draw.maybe(f'<birthTime value="{year}{month:02}{day:02}"/>')
    subject = draw.of('<id root="2.16" extension="P 1"/>', '<id root="P 2"/>', "")
    subject = element("trialSubject", subject + element("subjectDemographicPerson", person))
    unit = draw.of("a", "mo", "wk", "d", rare=("h",))
    age = f'<code code="{draw.of("21612-7", rare=("1",))}"/>'
    age += f'<value value="{draw.of(71, 10, 0, rare=(130,))}" unit="{unit}"/>'
    age = draw.maybe(element("controlVariable", element("relatedObservation", age)))
    parts = [element("component", element("series", series)), age, element("title", "T 1")]
    return f"<AnnotatedECG>{moment()}{subject}{''.join(draw.shuffled(parts))}</AnnotatedECG>".encode()


def cardiosoft(draw: Draw) -> bytes:
    leads = draw.of(("I", "II", "V1"), ("DI", "ECG II"), ("II", "X", "MLII"), rare=(("X",), ()))
    unit, step = draw.of(
        ("uVperLsb", 5), ("mVperLsb", 0.0025), ("nVperLsb", 4880), rare=(("mV", 1), ("uVperLsb", 0.001))
    )
    rows = draw.integers(len(leads), draw.of(150, 130, rare=(99,)))
    rows[:1, 3] = draw.edge()
    separator = draw.of(", ", ",", " ", rare=("_",))
    strip = element("SampleRate", draw.of(100, 125, rare=(49, "x")))
    strip += f'<Resolution units="{unit}">{step}</Resolution>'
    for lead, row in zip(leads, rows, strict=True):
        strip += f'<WaveformData lead="{lead}">\n {joined(row, separator)}{draw.of("", ",")}\n</WaveformData>'
    strip = draw.of(element("StripData", strip), element("Strip", element("StripData", strip)), rare=("",))
    year, month, day = draw.date()
    born = element("Day", day) + element("Month", month) + element("Year", year)
    born = draw.of(born, f"{year}-{month:02}-{day:02}", "")
    units = draw.of(
        *(f' units="{unit}"' for unit in ("years", "Months", "weeks", "days", "")), "", rare=(' units="h"',)
    )
    age = f"<Age{units}>{draw.of(71, 10, 0, '', rare=(130, -1))}</Age>"
    gender = draw.of("MALE", "FEMALE", "female", rare=("M", ""))
    patient = [
        element("PID", "P 1"),
        element("Name", element("GivenName", "First") + element("FamilyName", "Last")),
        age,
        element("BirthDateTime", born),
        element("Gender", gender),
        element("Height", 180),
        element("Room", "R 1"),
    ]
    tags = ("Year", "Month", "Day", "Hour", "Minute", "Second")
    when = "".join(draw.shuffled([element(tag, number) for tag, number in zip(tags, draw.moment(), strict=True)]))
    lines = [element("Diagnosis", "".join(element("DiagnosisText", line) for line in draw.statements()))]
    lines.append(element("Conclusion", "".join(element("ConclusionText", line) for line in draw.statements())))
    names = (
        "VentricularRate",
        "PDuration",
        "PQInterval",
        "QRSDuration",
        "QTInterval",
        "QTCInterval",
        "PAxis",
        "RAxis",
        "TAxis",
    )
    measured = [element(name, draw.number()) for name in names]
    physician = element("Physician", element("FamilyName", "Doctor"))
    parts = [
        draw.maybe(element("ObservationDateTime", when)),
        element("ObservationType", "RestECG"),
        draw.maybe(element("DeviceType", "CASE")),
        element("PatientInfo", "".join(draw.some(patient))),
        element("Interpretation", "".join(draw.shuffled(lines)) + physician),
        element("RestingECGMeasurements", "".join(draw.some(measured))),
        strip,
        element("UserDefined", element("Label", "L 1")),
    ]
    return f"<CardiologyXML>{''.join(draw.shuffled(parts))}</CardiologyXML>".encode()


def schiller(draw: Draw) -> bytes:
    leads = draw.of(("I", "II", "V1"), ("DI", "ECG II"), ("II", "X", "MLII"), rare=(("X",), ()))
    unit, step = draw.of(("UV", 5), ("mV", 0.0025), ("NV", 4880), rare=(("V", 1), ("UV", 0.001)))
    rows = draw.integers(len(leads), draw.of(150, 130, rare=(99,)))
    rows[:1, 3] = draw.edge()

    def wave(kind: str) -> str:
        exponent = draw.of("1", "0", "", rare=("2", "-1"))
        rate = element("value", draw.of(100, 125, rare=(49, "x"))) + element("exponent", exponent)
        text = element("type", kind) + element("resolution", element("samplerate", rate) + element("yres", amplitude))
        for lead, row in zip(leads, rows, strict=True):
            text += element("channel", element("name", lead) + element("data", f"{joined(row, ',')}{draw.of('', ',')}"))
        return element("wavedata", text)

    amplitude = element("unitperbit", step) + element("units", unit)
    kinds = draw.of(
        ("ECG_AVERAGES", "ECG_RHYTHMS"), ("ecg_rhythms",), rare=(("ECG_AVERAGES",), ("ECG_RHYTHMS",) * 2, ())
    )
    year, month, day = draw.date()
    gender = draw.of("MALE", "FEMALE", "f", rare=("x", ""))
    patient = [
        element("id", "P 1"),
        element("lastname", "Last"),
        element("firstname", "First"),
        element("birthdate", f"{year}{month:02}{day:02}"),
        element("gender", gender),
    ]
    when = draw.moment()
    moment = element("date", "{:04}{:02}{:02}".format(*when[:3])) + element("time", "{:02}{:02}{:02}".format(*when[3:]))
    text = element("patdata", "".join(draw.some(patient)))
    text += element("examdescript", draw.maybe(element("startdatetime", moment)) + draw.maybe(element("user", "U 1")))
    text += element("eventdata", element("event", "".join(wave(kind) for kind in kinds)))
    return element("x.SchillerEDI", text).encode()


def mortara(draw: Draw) -> bytes:
    leads = draw.of(("I", "II", "V1"), ("DI", "ECG II"), ("II", "X", "MLII"), rare=(("X",), ()))
    rows = draw.integers(len(leads), draw.of(150, 130, rare=(99,)))
    rate, gain, offset = draw.of(100, 125, rare=(49, "x")), draw.of(200, 400, rare=(0, "")), draw.of(0, 12, "", -5)
    channels = ""
    for i, (lead, row) in enumerate(zip(leads, rows, strict=True)):
        data = base64.b64encode(row.astype("<i2").tobytes()[: draw.of(None, rare=(-1,))]).decode()
        duration = draw.of(f'DURATION="{row.size}"', "", rare=('DURATION="149"',))
        said = f'BITS="{draw.of(16, rare=(12,))}" FORMAT="{draw.of("SIGNED", "Signed")}" ENCODING="BASE64"'
        own = draw.of(rate, rare=(150,)) if i else rate
        place = "" if offset == "" and i else f'OFFSET="{offset}"'
        said += f' UNITS_PER_MV="{gain}" SAMPLE_FREQ="{own}" {place} {duration}'
        channels += f'<CHANNEL NAME="{lead}" {said} DATA="{data}"/>'
    year, month, day = draw.date()
    sexes = draw.of(("Sex", "MALE"), ("FSex:&amp;s", "FEMALE"), ("Sex", "f"), rare=(("Gender", "M"),))
    birth = draw.of(f"{month:02}/{day:02}/{year}", f"{year}-{month:02}-{day:02}")
    fields = [
        ("Last:", "'Last'"),
        ("FName:&amp;,", "First"),
        ("First", "Second"),
        ("ID&amp;ID:", " P 1 "),
        sexes,
        ("Age&amp;yr", draw.of("71", "10", "", rare=("130", "old"))),
        ("DOB:", birth),
        ("Room:", "R 1"),
        ("Height", "180"),
        ("Weighting", "W 1"),
    ]
    inside = "".join(
        f'<DEMOGRAPHIC_FIELD LABEL="{one}" VALUE="{two}"/>' for one, two in draw.shuffled(draw.some(fields))
    )
    names = (
        "VENT_RATE",
        "PR_INT",
        "PR_DURATION",
        "QRS_DURATION",
        "QT_INT",
        "QTC_INT",
        "QTC_INTERVAL",
        "P_AXIS",
        "QRS_AXIS",
        "T_AXIS",
    )
    own, typical = ([f'{name}="{draw.number()}"' for name in names if draw.of(True, False)] for _ in range(2))
    source = draw.some(['MANUFACTURER="Maker 1"', 'MODEL="Model 1"', 'ACQUIRING_DEVICE_SERIAL_NUMBER="S 1"'])
    lines = ""
    for line in draw.statements():
        lines += draw.of(
            f'<STATEMENT TEXT="{line}"/>', element("DIAGNOSIS", line), f'<STATEMENT DESCRIPTION="{line}"/>'
        )
    time = draw.maybe('ACQUISITION_TIME="{:04}{:02}{:02}{:02}{:02}{:02}"'.format(*draw.moment()))
    parts = [
        element("DEMOGRAPHIC_FIELDS", inside),
        draw.maybe(f"<SOURCE {' '.join(source)}/>"),
        draw.maybe(f"<TYPICAL_CYCLE {' '.join(typical)}/>"),
        element("INTERPRETATIONS", lines),
    ]
    return f"<ECG {time} {' '.join(own)}>{''.join(draw.shuffled(parts))}{channels}</ECG>".encode()


def kardia(draw: Draw) -> bytes:
    leads = draw.of(("leadI",), ("leadI", "leadII", "AVF"), ("leadI", "X"), rare=(("X",), ()))
    rows = draw.integers(len(leads), draw.of(150, 130, rare=(99,)))
    rows[:1, 3] = draw.edge()
    samples = {lead: row.tolist() for lead, row in zip(leads, rows, strict=True)}
    if draw.of(False, rare=(True,)):
        samples[leads[0] if leads else "leadI"] = draw.of([1, "2"], "12", [True] * 150)
    raw = {"frequency": draw.of(100, 125.0, rare=(49, "100", None, True)), "samples": samples}
    raw["amplitudeResolution"] = draw.of(5000, 500.0, rare=(0, "5", None, 2e6))
    said: dict[str, Any] = {
        "data": draw.of({"raw": raw, "enhanced": {}}, rare=({"enhanced": raw}, [])),
        "heartRate": draw.of(48, 61.5, rare=("48", True)),
        "algorithmDetermination": draw.of("normal", " afib ", "", rare=(3,)),
        "patientID": draw.of("P 1", rare=(5,)),
        "recordedAt": "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}+01:00".format(*draw.moment()),
        "deviceInfo": draw.of({"hardwareType": "kardia_6l", "serialNumber": "S 1"}, {}, rare=("x",)),
        "qtMeasurement": draw.of({"qt": {"Value": 420}, "qtcb": {"Value": 443}}, {"qtcb": {"Value": 430.5}}, {}),
        "id": "E 1",
        "note": draw.of("N 1", "", None),
        "data12L": {},
    }
    dropped = draw.of("data12L", rare=("data",))
    kept = {key: value for key, value in said.items() if key != dropped and (key == "data" or draw.of(1, 1, 1, 0))}
    kept |= {"recordedAt": said["recordedAt"], "algorithmDetermination": said["algorithmDetermination"]}
    return draw.of(b"", b"\xef\xbb\xbf") + json.dumps(kept).encode()
