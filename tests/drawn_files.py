"""Files of every format with fields drawn at random: each unit, absent and broken values, parts in another order."""

from __future__ import annotations

import base64
import binascii
import io
import json
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import scipy.io

from ecg.leads import LEADS
from scp_writer import STANDARD, SWITCHING, Beat, Recording

RATE = 100  # Hz: short files are quick


class Draw:
    """Random choices."""

    def __init__(self, *seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def of(self, *usual: Any, rare: Sequence[Any] = ()) -> Any:
        """One of the usual values, or now and then one of the rare ones, which are mostly wrong."""
        values = rare if rare and self.rng.random() < 0.03 else usual
        return values[int(self.rng.integers(len(values)))]

    def maybe(self, text: str) -> str:
        return text if self.rng.random() < 0.75 else ""

    def integers(self, n_leads: int, n_samples: int = 150, largest: int = 900) -> np.ndarray:
        return self.rng.integers(-largest, largest + 1, (n_leads, n_samples))

    def edge(self) -> int:
        """A sample at an end of 16 bits, or an ordinary one."""
        return self.of(5, 5, 32767, 32768, -32767, -32768, -32769)

    def some(self, parts: Sequence[str]) -> list[str]:
        return [part for part in parts if self.rng.random() < 0.75]

    def shuffled(self, parts: Sequence[Any]) -> list[Any]:
        return [parts[i] for i in self.rng.permutation(len(parts))]

    def date(self) -> tuple[int, int, int]:
        years = self.of(1931, 1955, 1987, 2019, rare=(1866, 1900, 2031))
        return (years, 1, 1) if years == 1900 else (years, self.of(1, 3, 11, 12), self.of(1, 8, 20, 21, 28, rare=(31,)))

    def moment(self) -> tuple[int, int, int, int, int, int]:
        day = self.of((2022, 11, 20), (2021, 2, 3), (1999, 12, 31), rare=((0, 0, 0),))
        return *day, self.of(0, 8, 14, 23, rare=(25,)), self.of(0, 5, 59), self.of(0, 1, 30, 59)

    def number(self) -> str:
        return self.of("48", "138", "96.5", "-20", "452", "+7", "1e2", rare=("---", "Failed", "", "0x10", "nan", "1_0"))

    def statements(self) -> list[str]:
        lines = ("Sinus rhythm", "Left axis  deviation", "Confirmed by Dr. No", "Unconfirmed", "*** edited by X", "AF,")
        return self.shuffled(self.some(lines))


def element(tag: str, text: object) -> str:
    return f"<{tag}>{text}</{tag}>"


def joined(row: np.ndarray, separator: str = " ") -> str:
    return separator.join(map(str, row.tolist()))


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


def ishne(draw: Draw) -> bytes:
    numbers = draw.of((5, 6, 11), (11, 16), (6, 2, 0), (8, 9, 10, 12, 13, 14, 15), rare=((2,), ()))
    rows = draw.integers(len(numbers), draw.of(150, 130, rare=(99,)))
    fill = [-9] * (12 - len(numbers))
    steps = [draw.of(5000, 2500, 1000, rare=(0, -9)) for _ in numbers]
    block = draw.of(b"", b"notes")
    count = rows.shape[1]
    n_declared = draw.of(count, count * len(numbers), rare=(count + 1,))
    birth, made, (year, month, day, *clock) = draw.date(), draw.moment()[:3], draw.moment()
    head = struct.pack("<4ih", len(block), n_declared, 522, 522 + len(block), 1)
    for text, n in ((draw.of(b"First", b""), 40), (draw.of(b"L\xe4st", b"Last\0junk"), 40), (b" P 1 ", 20)):
        head += text.ljust(n, b"\0")
    head += struct.pack("<2h3h3h3h3h", draw.of(0, 1, 2), 1, *birth[::-1], day, month, year, *made[::-1], *clock)
    head += struct.pack("<h12h12h12hh", len(numbers), *numbers, *fill, *[0] * 12, *steps, *fill, 0)
    head += draw.of(b"Recorder", b"").ljust(40, b"\0") + struct.pack("<h", draw.of(100, 120, rare=(49,))) + bytes(248)
    head += block
    checksum = binascii.crc_hqx(head, 0xFFFF) ^ draw.of(0, rare=(1,))
    return (
        b"ISHNE1.0"
        + struct.pack("<H", checksum)
        + head[: draw.of(len(head), rare=(300,))]
        + rows.T.astype("<i2").tobytes()
    )


def mfer(draw: Draw) -> bytes:
    order = draw.of("<", ">")
    name = {"<": "little", ">": "big"}[order]

    def define(tag: int, value: bytes) -> bytes:
        size = len(value).to_bytes(2, "big")
        return bytes([tag]) + (b"\x82" + size if len(value) > 127 or draw.of(False, True) else size[1:]) + value

    def of_channel(number: int, value: bytes) -> bytes:
        return b"\x3f" + draw.of(bytes([number]), bytes([0x80, number])) + define(0, value)[1:]

    def number(value: int, n_bytes: int = 2) -> bytes:
        return value.to_bytes(n_bytes, name, signed=value < 0)

    numbers = draw.of((1, 2, 3), (61, 62), (63, 64, 66), (2, 65, 8), rare=((9,),))
    code, kind = draw.of(
        (0, "i2"), (2, "i4"), (1, "u2"), (5, "i1"), (3, "u1"), (6, "u4"), (7, "f4"), (8, "f8"), rare=((9, "i2"),)
    )
    n_samples, block = draw.of((150, 150), (150, 50), (120, 1), rare=((99, 99),))
    rows = draw.integers(len(numbers), n_samples, 100) + (100 if kind[0] == "u" else 0)
    data = rows.astype(order + kind).reshape(len(rows), -1, block).swapaxes(0, 1).tobytes()
    interval = draw.of(
        (1, -2, 1), (0, 0, 100), (1, -3, 8), (0, 1, 10), rare=((2, 0, 1), (1, 0, 0), (0, 0, 49), (0, 0, -100))
    )
    scale = draw.of((0, -9, 5000), (0, -6, 5), (0, -9, -2500), rare=((1, -9, 5000), (0, 25, 1), (0, 0, 0)))
    text = bytes([0x40, 0x20]) + b"MFR ".ljust(32) + define(0x01, b"\1" if order == "<" else draw.of(b"\0", b""))
    common = [
        define(0x04, number(block, 4)),
        define(0x0A, bytes([code])),
        define(0x0B, bytes([interval[0], interval[1] % 256]) + number(interval[2], draw.of(2, 4))),
        define(0x0C, bytes([scale[0], scale[1] % 256]) + number(scale[2])),
    ]
    text += define(0x05, bytes([len(numbers)])) + b"".join(draw.shuffled(common)) + bytes(draw.of(0, 3))
    text += draw.of(b"", define(0x0D, np.array(7, order + kind).tobytes()), define(0x0D, b"\1\1\1"))
    text += draw.of(b"", b"", b"", define(0x12, rows[-1, 5].astype(order + kind).tobytes()))
    text += draw.of(define(0x06, number(n_samples // block)), b"", rare=(define(0x06, b"\7\7"),))
    text += draw.of(b"", define(0x0E, b"\0\0"), rare=(define(0x0E, b"\0\1"),))
    own = [number(each) for each in numbers]
    for i, lead in enumerate(own):
        one = of_channel(i, define(0x09, lead))
        text += draw.of(one, define(0x67, one))
    if draw.of(False, rare=(True,)):
        text += of_channel(0, define(0x0B, bytes([0, 0]) + number(125)))
    if numbers[-1] == 66:  # a channel that is no lead and no voltage
        text += of_channel(2, define(0x0C, bytes([draw.of(0, 1), 247]) + number(5000)))
    year, month, day = draw.date()
    facts = [
        define(0x17, b"Maker 1 \0"),
        define(0x81, draw.of(b"Name", "名前".encode("shift_jis"))),
        define(0x82, b"P 1"),
        define(0x83, bytes([draw.of(71, 10, 255, rare=(130,)), 0, 0]) + struct.pack(order + "HBB", year, month, day)),
        define(0x84, draw.of(b"\1", b"\2", b"\0")),
        define(0x15, b"Info"),
        define(0x16, b"Note"),
        define(0x86, b"Message"),
        define(0x87, b"U 1"),
        define(0x85, struct.pack(order + "H5B", *draw.moment())),
    ]
    text += b"".join(draw.shuffled([fact for fact in facts if draw.of(1, 1, 1, 0)]))
    beat = define(0x08, number(9)) + define(0x1E, data[: len(data) // 2]) + define(0x08, number(1))
    text += draw.of(b"", beat) + define(0x1E, data[: draw.of(len(data), rare=(len(data) - 1, 0))])
    return text + draw.of(b"", define(0x1E, data[::-1])) + draw.of(b"\x80", b"\x80junk", b"")


def edf(draw: Draw) -> bytes:
    is_bdf = draw.of(False, False, True)
    labels = draw.of(("ECG I", "II", "V1"), ("EKG V1-REF", "DII"), ("II", "Resp", "MLII"), rare=(("Resp",), ()))
    n_records, n, seconds = draw.of(
        (2, 100, "1"),
        (3, 50, "0.5"),
        (2, 75, "0,75"),
        (4, 36, "0.276923"),
        (2, 100, "0.796813"),
        (1, 150, "1.5"),
        rare=((2, 49, "1"), (1, 98, "1"), (2, 100, "x")),
    )
    unit, low, high = draw.of(
        ("uV", -3200, 3200),
        ("mV", "-3,2", "3,2"),
        ("V", -0.0032, 0.0032),
        ("nV", -3.2e6, 3.2e6),
        ("uV", 3200, -3200),
        ("uV", 0, 6400),
        rare=(("mmHg", 0, 1), ("uV", 1, 1), ("uV", "x", 1)),
    )
    limits = draw.of((-32000, 32000), (-2048, 2047), (-1000, 3000), rare=((5, 5),))
    kind = draw.of("", "EDF+C", "EDF+C", rare=("EDF+D",)).replace("EDF", "BDF" if is_bdf else "EDF")
    birth = draw.of("08-MAR-1931", "X", rare=("29-FEB-1931",))
    patient = draw.of(f"P_1 {draw.of('F', 'M', 'X')} {birth} Last_First more", "X X X X", "P 1 Last")
    start = draw.of("03-FEB-2021", "X")
    recording = draw.of(f"Startdate {start} H_1 T_1 Device_1 more", "Startdate X X X X", "Ward 3")
    dates = draw.of("03.02.21", "31.12.85", "31.12.84", rare=("00.00.00", "x"))
    clock = draw.of("09.05.07", "23.59.59", rare=("25.00.00",))
    widths = (80, 80, 8, 8, 8, 44, 8, 8, 4)
    size = 256 * (len(labels) + 1)
    values = (patient, recording, dates, clock, size, kind, n_records, seconds, len(labels))
    head = b"\xffBIOSEMI" if is_bdf else b"0".ljust(8)
    head += b"".join(
        str(text).encode().ljust(width, draw.of(b" ", b" ", b"\0")) for text, width in zip(values, widths, strict=True)
    )
    lengths = [draw.of(n, rare=(n - 1,)) if i else n for i in range(len(labels))]
    for width, column in (
        (16, labels),
        (80, [""] * len(labels)),
        (8, [unit] * len(labels)),
        (8, [low] * len(labels)),
        (8, [high] * len(labels)),
        (8, [limits[0]] * len(labels)),
        (8, [limits[1]] * len(labels)),
        (80, [""] * len(labels)),
        (8, lengths),
        (32, [""] * len(labels)),
    ):
        head += b"".join(str(text).encode()[:width].ljust(width) for text in column)
    rows = draw.integers(len(labels), n_records * n)
    width = 3 if is_bdf else 2
    data = b""
    for record in range(n_records):
        for row, length in zip(rows, lengths, strict=True):
            part = row[record * n : record * n + length].astype("<i4")
            data += part.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    return head + data + draw.of(b"", rare=(b"x",))


def scp(draw: Draw) -> bytes:
    names = draw.of(("I", "II", "V1"), ("aVF", "V6"), ("II",))
    n_samples = draw.of(400, 403, rare=(99,))
    leads = {
        name: row.astype(int)
        for name, row in zip(names, np.cumsum(draw.integers(len(names), n_samples, 20), axis=1), strict=True)
    }
    starts = draw.of({}, {}, {names[-1]: 21})
    beats, how = [], draw.of("plain", "plain", "subtracted", "bimodal", "both")
    packing: dict[str, Any] = {}
    if how != "plain":
        starts = {}
        beats = [
            Beat(0, 61, 80, 110, 71, 95),
            Beat(1, 0, 150, 0, 141, 161),
            Beat(0, 261, 280, 310, 271, draw.of(295, 0)),
        ]
        if draw.of(False, True) and how == "bimodal":
            beats[0] = Beat(0, 1, 20, 30, 1, 25)
        reference = dict(zip(names, draw.integers(len(names), 100, 60), strict=True))
        factor = draw.of(2, 3, 4) if how != "subtracted" else 1
        packing = {
            "beats": beats,
            "reference": reference,
            "fiducial": 30,
            "factor": factor,
            "is_subtracted": how != "bimodal",
        }
    year, month, day, *clock = draw.moment()
    birth = draw.date()
    fixed = struct.pack(
        "<3HBB6s5B16xB", 0, 0, 0, 0, draw.of(8, 255, 17, 0), draw.of(b"Model1", b"M\0\0\0\0\0"), 20, 0xA0, 0, 0xC0, 0, 3
    )
    maker = draw.of(fixed + b"\0\0\0a\0b\0c\0Maker 1\0", fixed + b"\0\0", fixed[:20], b"short")
    facts = [
        (0, b"Last\0"),
        (1, "Fïrst\0".encode(draw.of("utf-8", "latin-1"))),
        (2, b"P 1\0"),
        (3, b"Second\0"),
        (5, struct.pack("<HBB", *birth)),
        (4, struct.pack("<HB", draw.of(71, 10, 0, rare=(130,)), draw.of(1, 1, 2, 3, 4, 5, rare=(9,)))),
        (8, draw.of(b"\1", b"\2", b"\0", b"\x09")),
        (14, maker),
        (16, b"Hospital\0"),
        (22, b"T 1\0"),
        (25, struct.pack("<HBB", year, month, day)),
        (26, bytes(clock)),
    ]
    chosen = draw.shuffled([fact for fact in facts if draw.of(1, 1, 1, 0)])
    facts = chosen + draw.of([], [(2, b"P 2\0")]) + [(255, b"")] + draw.of([], [(35, b"behind the end\0")])
    others = {1: b"".join(struct.pack("<BH", tag, len(value)) + value for tag, value in facts)}
    p_onset, axis = draw.of(0, 100, 29999), lambda: draw.of(40, -61, 360, 999)
    beat = struct.pack(
        "<5H3h",
        p_onset,
        draw.of(210, 29999, 29998),
        draw.of(258, 19999),
        draw.of(354, 50),
        draw.of(678, 29999),
        axis(),
        axis(),
        axis(),
    )
    n_beats, n_spikes = draw.of(1, 1, 2, 0), draw.of(0, 0, 1)
    measured = (
        struct.pack("<BBHH", n_beats, n_spikes, draw.of(1000, 750, 0, 29999), 0) + beat * n_beats + bytes(10 * n_spikes)
    )
    n_types = draw.of(0, 2, 29999)
    measured += draw.of(
        struct.pack("<H", n_types)
        + bytes(n_types % 29999)
        + struct.pack("<3H", draw.of(48, 0, 29998), 0, draw.of(443, 19999)),
        b"",
    )
    others[7] = measured + draw.of(b"", b"\0\0")
    for section in (8, 11):
        lines = draw.of(draw.statements(), [])
        text = struct.pack("<BHBBBBBB", 0, 2022, 11, 20, 14, 5, 59, len(lines))
        for i, line in enumerate(lines):
            data = line.encode() + b"\0" if section == 8 else b"\1" + line.encode().replace(b" ", b"\0") + b"\0"
            text += struct.pack("<BH", i, len(data)) + data
        if lines:
            others[section] = text
    tables = draw.of(None, "standard", [STANDARD], SWITCHING)
    if tables is None:
        others |= draw.of({}, {2: struct.pack("<H", 0)})
    others = {number: content + b"\0" * (len(content) % 2) for number, content in others.items() if draw.of(1, 1, 1, 0)}
    recording = Recording(
        leads,
        starts,
        draw.of(4000, 8000, rare=(30000,)),
        draw.of(2500, 1000),
        draw.of(0, 1, 2),
        tables,
        version=draw.of(20, 13, 30),
        others=others,
        **packing,
    )
    data = recording.to_bytes()
    damage = draw.of(None, rare=("cut", "checksum"))
    return data[:-5] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 1]) if damage == "checksum" else data


def philips(draw: Draw) -> bytes:
    from format_files import xli

    is_new, fs = draw.of(True, False), draw.of(100, 125, rare=(49,))
    rows = draw.integers(12, draw.of(150, 130, rare=(60, 50)))
    rows[7] = draw.of(3, np.arange(rows.shape[1]) % 2 * 5)  # patterns, whose codes LZW makes while it uses them
    rows = with_pulse(draw, rows, draw.of(200, 200, 400))
    n = rows.shape[1]
    compression = draw.of("XLI", "Uncompressed", "none", rare=("ZIP",))
    data = xli(rows) if compression == "XLI" else rows.astype("<i2").tobytes()[: draw.of(None, rare=(100,))]
    labels = draw.of("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6", None, rare=("I I " + " ".join(LEADS[2:]),))
    if compression != "XLI":
        labels = draw.of(labels, "i ii iii AVR AVL AVF V1 V2 V3 V4 V5R Q")
    resolution, offset = draw.of("5", "2.5", rare=("", "0.001")), draw.of("", "0", "12")
    bits, milliseconds = draw.of("16", rare=("12",)), draw.of(round(n * 1000 / fs), rare=(0, 61000, "x"))
    acquisition, waveforms = "", f'dataencoding="{draw.of("Base64", "base64", rare=("Hex",))}"'
    waveforms += f' leadlabels="{labels}"' if labels else ""
    if is_new:
        waveforms += (
            f' samplespersecond="{fs}" resolution="{resolution}" bitspersample="{bits}" signaloffset="{offset}"'
        )
        waveforms += f' durationperchannel="{milliseconds}" compression="{draw.of(compression, compression.lower())}"'
    else:
        acquisition = (
            element("samplingrate", fs) + element("signalresolution", resolution) + element("signaloffset", offset)
        )
        waveforms += f' nbitspersample="{bits}" durationperchannel="{milliseconds}"'
        waveforms += f' compressmethod="{draw.of(compression, compression.lower())}"'
        waveforms += f' compressflag="{draw.of(compression == "XLI", rare=(False,))}"'
    year, month, day = draw.date()
    when = 'date="{:04}-{:02}-{:02}" time="{:02}:{:02}:{:02}"'.format(*draw.moment())
    age = draw.of(
        element("dateofbirth", f"{year}-{month:02}-{day:02}"), element("years", draw.of(71, 10, rare=(130,))), ""
    )
    names = draw.some([element("firstname", "First"), element("middlename", "Middle"), element("lastname", "Last")])
    patient = draw.some(
        [
            element("patientid", "P 1"),
            element("MRN", "M 1"),
            element("name", "".join(draw.shuffled(names))),
            element("age", age),
            element("sex", draw.of("Male", "FEMALE", rare=("M",))),
        ]
    )
    tags = ("heartrate", "print", "qrsdur", "qtint", "qtcb", "pfrontaxis", "qrsfrontaxis", "tfrontaxis")
    tags += tuple(f"mean{tag}" for tag in ("ventrate", "print", "qrsdur", "qtint", "qtc"))

    def measured(tag: str) -> str:
        return element(tag, "".join(element(one, draw.number()) for one in tags if draw.of(True, False)))

    lines = ""
    for line in draw.statements():
        inside = [element("leftstatement", line), draw.maybe(element("rightstatement", draw.of("why not", "")))]
        lines += element("statement", "".join(draw.shuffled(inside)))
    inside = [
        draw.maybe(measured("globalmeasurements")),
        draw.maybe(measured("interpretationmeasurements")),
        lines,
        element("mdsignatureline", "Signed"),
        draw.maybe(element("severity", draw.of("- ABNORMAL -", ""))),
    ]
    parts = [
        element("interpretations", element("interpretation", "".join(draw.shuffled(inside)))),
        draw.maybe(element("internalmeasurements", measured("crossleadmeasurements"))),
        draw.maybe(element("measurements", measured("globalmeasurements"))),
        f"<dataacquisition {draw.maybe(when)}>{element('machine', 'PW 1')}{element('acquirer', element('room', 'R 1'))}"
        f"{element('signalcharacteristics', acquisition)}</dataacquisition>",
        element("patient", element("generalpatientdata", "".join(draw.shuffled(patient)))),
        element("userdefines", element("userdefine", element("label", "x") + element("value", "U 1")) * 2),
        element("documentinfo", element("documentname", "D 1") + element("filename", "F 1")),
        element("orderinfo", element("ordernumber", "O 1")),
        element("waveforms", f"<parsedwaveforms {waveforms}>{base64.encodebytes(data).decode()}</parsedwaveforms>"),
    ]
    return element("restingecgdata", "".join(draw.shuffled(parts))).encode(draw.of("utf-8", "utf-16"))


def dicom(draw: Draw) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about dates and ages that are none
        return _dicom(draw)


def _dicom(draw: Draw) -> bytes:
    from pydicom import Dataset, dcmwrite
    from pydicom.dataset import FileMetaDataset
    from pydicom.filebase import DicomBytesIO

    def new(**values: Any) -> Dataset:
        item = Dataset()
        for name, value in values.items():
            if value is not None:
                setattr(item, name, value)
        return item

    def code(value: str, meaning: str = "m") -> list[Dataset]:
        return [new(CodeValue=value, CodeMeaning=meaning, CodingSchemeDesignator="X")]

    kind, bits, interpretation = draw.of(
        ("<i2", 16, "SS"),
        ("<i2", 16, "SS"),
        ("<u2", 16, "US"),
        ("<u2", 16, "US"),
        ("i1", 8, "SB"),
        ("u1", 8, "UB"),
        ("<i4", 32, "SL"),
        ("<u4", 32, "UL"),
        rare=(("<i2", 16, "XX"),),
    )
    largest = 100 if bits == 8 else 900
    names = draw.of(("I", "II", "V1"), ("III", "aVR"), ("II", "X"), rare=(("X",),))

    def group(n_samples: int, originality: str | None, label: str, names: Sequence[str]) -> Dataset:
        rows = draw.integers(len(names), n_samples, largest)
        rows = np.abs(rows) + (draw.of(0, 40_000) if bits == 16 else 0) if interpretation[0] == "U" else rows
        padding = draw.of(None, None, 0, 77, *[-(2 ** (bits - 1)) if interpretation[0] == "S" else 2**bits - 1] * 2)
        if padding is not None:
            rows[:, draw.of(-9, -5) :] = padding
            rows[0, [20, -10, -9, -6]] = padding
        if interpretation == "UL" and draw.of(False, rare=(True,)):
            rows[0, 3] = 2**31 + 7
        n_stored = draw.of(None, bits, 11 if bits > 8 else 7, rare=(6,))
        unit = draw.of("uV", "mV", "nV", "UV", rare=("mm[Hg]", None))
        step, zero = {"mV": (0.005, 0.05), "nV": (2500, -5000)}.get(unit, (5, 10))
        step *= draw.of(1, -1, rare=(0, 1e9))
        channels = []
        for name in names:
            number = {"I": 1, "II": 2, "III": 61, "aVR": 62, "V1": 3, "X": 16}[name]
            source, label_ = draw.of(
                (code(f"2:{number}"), name),
                (code(f"5.6.3-9-{number}", f"Lead {name}"), None),
                (code("?", f"Lead {name}"), None),
                (None, name),
            )
            channels.append(
                new(
                    ChannelSourceSequence=source,
                    ChannelLabel=label_,
                    ChannelSensitivity=draw.of(f"{step:.6g}", rare=(None,)),
                    ChannelSensitivityUnitsSequence=code(unit) if unit else None,
                    WaveformBitsStored=n_stored,
                    ChannelSensitivityCorrectionFactor=draw.of(None, "1", "2"),
                    ChannelBaseline=draw.of(None, "0", str(zero)),
                )
            )
        one = new(
            WaveformOriginality=originality,
            MultiplexGroupLabel=label,
            NumberOfWaveformChannels=len(names),
            NumberOfWaveformSamples=n_samples + draw.of(0, rare=(1,)),
            SamplingFrequency=draw.of("100", "120.5", rare=("49",)),
            ChannelDefinitionSequence=channels[: draw.of(None, rare=(-1,))],
            WaveformBitsAllocated=bits,
            WaveformSampleInterpretation=interpretation,
        )
        vr = "OB" if bits == 8 else "OW"
        if padding is not None:
            one.add_new(
                "WaveformPaddingValue", vr, np.array([padding, 0][: 2 if bits == 8 else 1]).astype(kind).tobytes()
            )
        one.add_new("WaveformData", vr, rows.T.astype(kind).tobytes())
        return one

    original = draw.of("ORIGINAL", "ORIGINAL", None, rare=("DERIVED",))
    groups = [group(draw.of(150, 130, rare=(99,)), original, "RHYTHM", names)]
    groups += draw.some(
        [group(200, draw.of("DERIVED", None) if original else "DERIVED", draw.of("MEDIAN BEAT", "Other"), names)]
    )
    groups += draw.some([group(120, original, "SECOND", names if draw.of(True, rare=(False,)) else ("V1", "aVR"))])
    dataset = new(
        SpecificCharacterSet="ISO_IR 192", SOPClassUID="1.2.840.10008.5.1.4.1.1.9.1.1", SOPInstanceUID="1.2.3"
    )
    dataset.SOPClassUID = draw.of(
        dataset.SOPClassUID, "1.2.840.10008.5.1.4.1.1.9.1.4", rare=("1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.1")
    )
    year, month, day = draw.date()
    moments = ["{:04}{:02}{:02}{:02}{:02}{:02}".format(*draw.moment()) for _ in range(4)]
    facts = {
        "AcquisitionDateTime": moments[0] + ".5",
        "Manufacturer": draw.of("Maker 1", "Unknown"),
        "ManufacturerModelName": "Model 1",
        "PatientName": "Last^First",
        "PatientID": "P 1",
        "PatientBirthDate": f"{year}{month:02}{day:02}",
        "PatientSex": draw.of("M", "F", rare=("O",)),
        "PatientAge": draw.of("071Y", "010M", "010W", "100D", rare=("130Y", "71")),
        "AccessionNumber": "A 1",
        "StationName": "S 1",
    }
    for i, name in enumerate(("Acquisition", "Content", "Study"), 1):
        if draw.of(True, False):
            setattr(dataset, f"{name}Date", moments[i][:8])
            setattr(dataset, f"{name}Time", moments[i][8:])
    for name, value in facts.items():
        if draw.of(1, 1, 0):
            setattr(dataset, name, value)
    notes = [new(UnformattedTextValue=line) for line in draw.statements()]
    meanings = (
        "Heart Rate",
        "Ventricular Heart Rate",
        "P Duration",
        "PR Interval",
        "PR interval global",
        "QRS Duration",
        "QT Interval, mean",
        "QTc Interval",
        "P Axis",
        "QRS Axis",
        "T Axis",
    )
    codes = ("8867-4", "5.13.5-7", "5.13.5-9", "5.13.5-11", "5.10.2.5-5", "5.10.3-11", "5.10.3-13", "5.10.3-15")
    for i, text in enumerate(draw.some([*meanings, *codes])):
        notes.append(
            new(
                NumericValue=str(draw.of(48, 138, -20, 0.452, i)),
                ConceptNameCodeSequence=code(text, "Value") if text in codes else code("?", text),
                ReferencedWaveformChannels=draw.of([1, 0], [1, 0], [2, 0, 1, 0], None, [1, 2], [1, 0, 1, 1]),
                MeasurementUnitsCodeSequence=draw.of(None, code("ms"), code("s")),
            )
        )
    dataset.WaveformAnnotationSequence, dataset.WaveformSequence = draw.shuffled(notes), draw.shuffled(groups)
    dataset.file_meta = FileMetaDataset()
    implicit = draw.of(False, True)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1"
    buffer = DicomBytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    data = buffer.getvalue()
    start = data.index(b"\x08\0\x05\0")
    return draw.of(data, data[start:])


def table(draw: Draw) -> dict[str, bytes]:
    names = draw.of(("I", "II", "V1"), ("DI", "ECG aVF"), ("II", "Resp", "V6"), None, rare=(("Resp",),))
    n_leads = len(names or "II")
    rows = draw.integers(n_leads, draw.of(150, 130, rare=(99,)))
    n = rows.shape[1]
    rows = rows / draw.of(1, 1, 8, 1000, 8000, 80_000)
    rows = rows.astype(int) if (rows == np.rint(rows)).all() else rows
    unit = draw.of("mV", "uV", "V", "UV", rare=("mmHg", ""))
    in_heading = draw.of(False, True)
    sidecar: dict[str, Any] = {
        "age": draw.of(71, 10.5, rare=(130, "71")),
        "sex": draw.of("Male", "f", "Female", rare=("x", 1)),
    }
    sidecar = {name: value for name, value in sidecar.items() if draw.of(1, 0)}
    if not in_heading or draw.of(False, True):
        sidecar |= draw.of(
            {"unit": unit}, {"unit": draw.of(unit, rare=("V",))}, {"adc_gain": draw.of(200, -400.5, rare=(0,))}
        )
    times = draw.of(None, None, "s", "ms", "", "count", "clock")
    how = draw.of("csv", "csv", "csv", "npy", "npz", "parquet")
    if times in (None, "count") or how == "npy" or draw.of(False, False, True):
        sidecar["sampling_frequency"] = draw.of(100, 100.5, 100, rare=(49, 200, "100"))
    if names is None or how == "npy" or draw.of(False, False, False, True):
        sidecar["leads"] = list(names or draw.of(("I", "II"), ("V5", "aVF"), rare=(("I",),)))
    files = {".json": json.dumps(draw.of(sidecar, rare=([],))).encode()} if sidecar else {}
    if how == "npy" or (how == "npz" and names is None):
        kind = draw.of("<f8", ">f4", "<i2", ">i4", "u1", "<u2", "<i8")
        rows = np.abs(np.rint(rows)).astype(int) if "u" in kind else rows
        array = draw.of(rows, rows.T).astype(kind)
        buffer = io.BytesIO()
        if how == "npy":
            np.save(buffer, draw.of(array, np.asfortranarray(array)))
        else:
            np.savez(buffer, x=array, sampling_frequency=draw.of(100.0, 125), unit=unit)
        return {f".{how}": buffer.getvalue(), **files}
    if how == "npz":
        buffer = io.BytesIO()
        draw.of(np.savez, np.savez_compressed)(
            buffer, **dict(zip(names, rows, strict=True)), sampling_frequency=draw.of(100.0, 125)
        )
        return {".npz": buffer.getvalue(), **files}
    if how == "parquet" and names is not None:
        columns = {f"{name}_{unit}" if in_heading else name: row for name, row in zip(names, rows, strict=True)}
        step = {"s": 0.01, "ms": 10, "": 0.01, "count": 1}.get(times or "")
        columns |= {"time_ms" if times == "ms" else "time": np.arange(n) * step} if times and step else {}
        columns |= draw.of({}, {"remark": ["x"] * n})
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
        return {".parquet": buffer.getvalue(), **files}
    delimiter = draw.of(",", ";", "\t", " ", "|")
    comma = delimiter in ";\t|" and draw.of(False, True)
    texts = [[f"{x:.6g}".replace(".", "," if comma else ".") for x in row.tolist()] for row in rows]
    if draw.of(False, False, True):
        texts[0][7] = draw.of("nan", "NA", "-") if delimiter == " " else draw.of("", "nan", "NA", "-")
    if names is not None and draw.of(False, False, False, True) and "Resp" not in names:
        lines = [delimiter.join([name.replace(" ", "_"), *row]) for name, row in zip(names, texts, strict=True)]
        return {".csv": ("\n".join(lines) + "\n").encode(), **files}
    form = draw.of("{} (mV)", "{} [mV]", "{}_mV").replace("mV", unit)
    headings = [form.format(name) if in_heading else name for name in names or ()]
    columns = [list(row) for row in texts]
    if times is not None:
        hour, gone = draw.of(0, 23), draw.of(0, 0, 0, 20)
        seconds = [hour * 3600 + 3599.2 + (i - gone * (i > 100)) / 100 for i in range(n)]
        clock = [
            f"{x // 3600 % 24:02.0f}:{x // 60 % 60:02.0f}:{x % 60:06.3f}"
            if times == "clock"
            else f"{i * {'s': 0.01, 'ms': 10, '': 0.01, 'count': 1}.get(times, 1):g}"
            for i, x in enumerate(seconds)
        ]
        columns.insert(0, [text.replace(".", "," if comma else ".") for text in clock])
        headings.insert(
            0,
            {
                "s": draw.of("time (s)", "t [s]"),
                "ms": draw.of("time_ms", "ms" and "Time (ms)"),
                "count": draw.of("time", "sample"),
            }.get(times, "time"),
        )
    if delimiter == " ":
        headings = [heading.replace(" ", "_") for heading in headings]
    lines = [delimiter.join(fields) for fields in zip(*columns, strict=True)]
    if names is not None or draw.of(False, rare=(True,)):
        if draw.of(False, False, False, True):
            names_of_units = [draw.of("mV", rare=("x",)) for _ in headings]
            names_of_units[0] = "s" if times == "s" else names_of_units[0]
            lines.insert(0, delimiter.join(names_of_units))
        lines.insert(0, delimiter.join(headings))
    elif draw.of(False, False, True):
        lines.insert(0, delimiter.join(map(str, range(len(columns)))))
    lines = draw.of([], ["# a comment"], [f"sep={delimiter}"]) + lines
    text = draw.of("\n", "\r\n").join(lines) + draw.of("\n", "")
    encoding, mark = draw.of(
        ("utf-8", b""), ("utf-8-sig", b""), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff"), ("utf-16-be", b"")
    )
    return {".csv": mark + text.encode(encoding), **files}


def challenge(draw: Draw) -> dict[str, bytes]:
    leads = draw.of(("I", "II", "V1"), ("avf", "V6"), ("II", "Resp", "V4"), rare=(("Resp",), ("II", "MLII")))
    n = draw.of(150, 130, rare=(98,))
    rows = draw.integers(len(leads), n)
    rows[0, 9] = draw.of(0, -32768)
    if leads == ("II", "MLII"):
        rows[1] = rows[0] + draw.of(0, 1)
    form, dtype, code = draw.of(
        ("16+24", "<i2", 30), ("32+24", "<i4", 20), ("16", ">i2", 1030), ("16+24", "<f8", 0), ("212", "<i2", 30)
    )
    gain = draw.of("1000/mV", "200(5)/mV", "0.2/uV", "5e3/V", "", "1000.5(-12.5)/mV", rare=("0/mV", "5/mmHg", "x"))
    adc_zero = draw.of("0", "7")
    mat = struct.pack(
        "<5i4s" if dtype[0] == "<" else ">5i4s",
        code,
        *draw.of(rows.shape, rows.T.shape, rare=((len(leads), n - 1),)),
        0,
        4,
        b"val",
    )
    matrix = mat + (
        rows if struct.unpack_from(mat and ("<i" if dtype[0] == "<" else ">i"), mat, 4)[0] == len(leads) else rows.T
    ).astype(dtype).tobytes(order="F")
    complex_ = draw.of(0, 1)
    before = struct.pack("<5i2s", 0, 2, 1, complex_, 2, b"x") + bytes(16 + 16 * complex_)
    matrix = draw.of(b"", b"", before) + matrix
    if draw.of(False, False, True):
        buffer = io.BytesIO()
        values = draw.of(rows, rows.T).astype(draw.of("i2", "f8", "i4"))
        scipy.io.savemat(buffer, {"x": np.arange(3), "val": values}, do_compression=draw.of(False, True))
        matrix = buffer.getvalue()
    is_dat = form == "16" or draw.of(False, False, True)
    per_frame = draw.of(1, 1, 2) if is_dat else 1
    if is_dat:
        form = draw.of("16", "16x1", "16:0+0") if per_frame == 1 else "16x2"
        matrix = rows.reshape(len(leads), -1, per_frame).swapaxes(0, 1).astype("<i2").tobytes()
    name = draw.of("x", "x.mat", "x.MAT", "x.hea", "data/x")
    suffix = ".dat" if is_dat else ".mat"
    length = draw.of(str(n // per_frame), str(n // per_frame), "", rare=("140",))
    rate = draw.of("100", "100/1(0)", "125.5", rare=("49", "")) if per_frame == 1 else draw.of("50", "62.75")
    lines = [f"{name} {len(leads)} {rate} {length}{' 12:00:00' if length else ''}"]
    for lead in leads:
        numbers = f"16 {adc_zero} 0 0 0" if gain else ""
        lines.append(f"x{suffix} {form} {gain} {numbers} {lead}")
    if draw.of(False, rare=(True,)):
        lines.pop()
    if draw.of(False, rare=(True,)):
        lines.append(lines[-1])
    apart = {}
    if is_dat and per_frame == 1 and draw.of(False, False, True):  # the last lead in a file of its own
        matrix, apart = rows[:-1].T.astype("<i2").tobytes(), {"y.dat": rows[-1].astype("<i2").tobytes()}
        lines[len(leads)] = lines[len(leads)].replace("x.dat", "y.dat")
    age = draw.of("#Age: 71", "# age: 10.5", "#Age: NaN", "#Age: 300", "#Age: 71 years", rare=("#Age: 130", "#Age: -1"))
    comments = [
        age,
        draw.of("#Sex: Male", "# sex : f", "#SEX:Female", "#Sex: Unknown"),
        draw.of("#Dx: 164889003,59118001", "#Dx: Unknown", "# dx: 59118001, 59118001;426783006.0 "),
        draw.of("# Measurement: pr_ms 148", "# Measurement: qrs_ms ---", ""),
        draw.of("# Statement: Sinus rhythm", ""),
        draw.of("# Note: something", ""),
        draw.of("#Dx: 270492004", ""),
        "",
    ]
    text = (
        "\n".join([lines[0], *lines[1:], *draw.shuffled(comments)])
        if draw.of(True, False)
        else "\r\n".join([*draw.shuffled(comments), *lines])
    )
    return {".hea": text.encode(), suffix: matrix, **apart}


def text_of_a_table(draw: Draw) -> str:
    """A table of records and their diagnoses."""
    records = draw.of(["1", "2", "3"], ["A4", "A5"], ["1", "2", "3", "A4", "A5"], rare=(["1", "1"], ["", "2"], []))
    name = draw.of("record", "recording", "ecg_id", rare=("name",))
    columns: dict[str, list[str]] = {name: records}
    codes = draw.of("codes", "scp_codes", "statements", None)
    cells = ("NORM; SR", "NORM:100;SR:0", "{'NORM': 35.0, 'IMI': 100.0}", "IMI:50", "", "164889003.0:35")
    wrong = ("NORM:x", "SR:101", "{1", "[1]", "SR:-1")
    if codes:
        columns[codes] = [draw.of(*cells, rare=wrong) for _ in records]
    else:
        for code in draw.some(["NORM", "SR", "164889003", "OTHER"]):
            columns[code] = [draw.of("0", "1", "1.0", "", "True", rare=("2",)) for _ in records]
        columns["age"] = [draw.of("60", "0") for _ in records]
    if draw.of(False, True):
        folds = draw.of(("0", "1"), ("0", "1", "2.0", "10", ""))
        columns[draw.of("fold", "strat_fold")] = [draw.of(*folds, rare=("x", "-1")) for _ in records]
    if draw.of(False, True):
        columns[draw.of("patient", "patient_id")] = [draw.of("p", "7.0", "") for _ in records]
    names = draw.shuffled(list(columns))
    lines = [draw.of(",", " , ").join(names)]
    for i in range(len(records)):
        lines.append(",".join(f'"{columns[each][i]}"' for each in names))
    return "\n".join(lines)


MAKERS: dict[str, Callable[[Draw], bytes | dict[str, bytes]]] = {
    "muse": muse,
    "aecg": aecg,
    "cardiosoft": cardiosoft,
    "schiller": schiller,
    "mortara": mortara,
    "kardia": kardia,
    "ishne": ishne,
    "mfer": mfer,
    "edf": edf,
    "scp": scp,
    "philips": philips,
    "dicom": dicom,
    "table": table,
    "challenge": challenge,
}
