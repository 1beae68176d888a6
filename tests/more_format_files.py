"""Small files of CardioSoft, Schiller, Mortara ELI, Kardia and MFER, written after what is public of these formats."""

from __future__ import annotations

import base64
import json
import struct

import numpy as np

from ecg.leads import LEADS
from format_files import SECRETS, integers


def cardiosoft_xml(samples: np.ndarray, *, fs=500, resolution="5", units="uVperLsb", leads=LEADS, strip="StripData"):
    def waveforms(rows: np.ndarray) -> str:
        return "".join(
            f'<WaveformData lead="{lead}">\n\t\t{", ".join(map(str, row.tolist()))}\n\t</WaveformData>'
            for lead, row in zip(leads, rows, strict=True)
        )

    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><CardiologyXML><ObservationType>RestECG</ObservationType>'
        "<ObservationDateTime><Hour>14</Hour><Minute>5</Minute><Second>59</Second><Day>20</Day><Month>11</Month>"
        "<Year>2022</Year></ObservationDateTime><DeviceType>CASE</DeviceType><PatientInfo><PID>{id}</PID><Name>"
        '<FamilyName>{last}</FamilyName><GivenName>{first}</GivenName></Name><Age units="years">71</Age>'
        "<BirthDateTime><Day>29</Day><Month>3</Month><Year>1951</Year></BirthDateTime><Gender>FEMALE</Gender>"
        "</PatientInfo><Interpretation><Diagnosis><DiagnosisText>Sinus bradycardia</DiagnosisText><DiagnosisText>"
        "Confirmed by {doctor}</DiagnosisText></Diagnosis></Interpretation><RestingECGMeasurements><VentricularRate "
        'units="BPM">48</VentricularRate><PQInterval units="ms">138</PQInterval><MedianSamples><SampleRate units="Hz">'
    ).format(**SECRETS)
    text += f'{fs}</SampleRate><Resolution units="uVperLsb">9</Resolution>{waveforms(samples[:, :60] // 2)}'
    text += f"</MedianSamples></RestingECGMeasurements><{strip}><NumberOfLeads>{len(leads)}</NumberOfLeads>"
    text += f'<SampleRate units="Hz">{fs}</SampleRate><Resolution units="{units}">{resolution}</Resolution>'
    return f"{text}{waveforms(samples)}</{strip}></CardiologyXML>".encode("latin-1")


def schiller_xml(
    samples: np.ndarray, *, fs=500, per_bit="5", units="UV", leads=LEADS, kinds=("ECG_AVERAGES", "ECG_RHYTHMS")
):
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\r\r\n<com.xiriuz.sema.xml.schillerEDI.SchillerEDI>\r\r\n'
        "<patdata><id>{id}"
        "</id><lastname>{last}</lastname><firstname>{first}</firstname><birthdate>19510329</birthdate><gender>FEMALE"
        "</gender></patdata><examdescript><startdatetime><date>20221120</date><time>140559</time></startdatetime><user>"
        "{technician}</user></examdescript><eventdata><event>"
    ).format(**SECRETS)
    for kind in kinds:
        text += f"<wavedata><type>{kind}</type><resolution><samplerate><units>HZ</units><value>{fs}</value><exponent>1"
        text += f"</exponent></samplerate><yres><unitperbit>{per_bit}</unitperbit><units>{units}</units></yres>"
        text += "</resolution>"
        for lead, row in zip(leads, samples, strict=True):
            numbers = ",".join(map(str, row.tolist()))
            text += f"<channel><name>{lead}</name><data>{numbers},</data><datatype>COMMASEPARATE</datatype></channel>"
        text += "</wavedata>"
    return b"\xef\xbb\xbf" + (text + "</event></eventdata></com.xiriuz.sema.xml.schillerEDI.SchillerEDI>").encode()


def mortara_xml(samples: np.ndarray, *, fs=500, per_mv=200, offset=0, bits=16, leads=LEADS, duration=None):
    text = '<?xml version="1.0" encoding="UTF-8"?><ECG ACQUISITION_TIME="20221120140559" VENT_RATE="48">'
    text += '<SOURCE TYPE="STANDARD" MANUFACTURER="MORTARA" MODEL="ELI250" ACQUIRING_DEVICE_SERIAL_NUMBER="{other}"/>'
    text += "<DEMOGRAPHIC_FIELDS>"
    for label, value in (("Last:", "{last}"), ("FName:&amp;,", "{first}"), ("ID&amp;ID:", "{id}"), ("Age&amp;yr", "71"),
                         ("Sex", "FEMALE"), ("DOB:", "03/29/1951"), ("Room:", "{room}")):  # fmt: skip
        text += f'<DEMOGRAPHIC_FIELD LABEL="{label}" UNITS="" VALUE="{value}"/>'
    text += '</DEMOGRAPHIC_FIELDS><INTERPRETATION><STATEMENT TEXT="Sinus bradycardia"/></INTERPRETATION>'
    text = text.format(**SECRETS) + '<TYPICAL_CYCLE PR_INT="138" QRS_DURATION="96"/>'
    for lead, row in zip(leads, samples, strict=True):
        text += (
            f'<CHANNEL OFFSET="{offset}" BITS="{bits}" FORMAT="SIGNED" UNITS_PER_MV="{per_mv}" DURATION="'
            f'{row.size if duration is None else duration}" SAMPLE_FREQ="{fs}" ENCODING="BASE64" NAME="{lead}" '
            f'DATA="{base64.b64encode(row.astype("<i2").tobytes()).decode()}"/>'
        )
    return (text + "</ECG>").encode()


KARDIA = ("leadI", "leadII", "leadIII", "AVR", "AVL", "AVF")


def kardia_json(samples: np.ndarray, *, fs=300, resolution=5000, **changes) -> bytes:
    def block(rows: np.ndarray) -> dict:
        named = {name: row.tolist() for name, row in zip(KARDIA, rows, strict=False)}
        return {"frequency": fs, "mainsFrequency": 50, "amplitudeResolution": resolution, "samples": named}

    said = {
        "id": SECRETS["other"], "patientID": SECRETS["id"], "heartRate": 48, "recordedAt": "2022-11-20T14:05:59+01:00",
        "algorithmDetermination": "bradycardia",
        "deviceInfo": {"hardwareType": "kardia_6l", "serialNumber": SECRETS["order"]},
        "data": {"raw": block(samples), "enhanced": block(samples // 2)}, "qtMeasurement": {"qt": {"Value": 420}},
    }  # fmt: skip
    return json.dumps(said | changes).encode()


def definition(tag: int, value: bytes) -> bytes:
    size = bytes([len(value)]) if len(value) < 128 else b"\x84" + len(value).to_bytes(4, "big")
    return bytes([tag]) + size + value


def mfer_file(
    samples: np.ndarray, *, order="<", fs=500, kind=0, numbers=(1, 2, 61, 62, 63, 64, *range(3, 9)), block=None, unit=0,
    rate=None, missing=None, mean_beat=False,
) -> bytes:  # fmt: skip
    dtype = order + {0: "i2", 1: "u2", 2: "i4", 7: "f4"}[kind]
    block = samples.shape[1] if block is None else block
    number = {"<": "little", ">": "big"}[order]
    data = b"\x40\x20" + b"MFR  Standard 12 leads ECG".ljust(32)
    data += definition(0x01, bytes([order == "<"]))
    data += definition(0x05, bytes([len(samples)])) + definition(0x04, block.to_bytes(4, number))
    data += definition(0x08, (9 if mean_beat else 1).to_bytes(2, number)) + definition(0x0A, bytes([kind]))
    data += definition(0x0B, rate or bytes([1, 256 - 6]) + (1_000_000 // fs).to_bytes(2, number))
    data += definition(0x0C, bytes([unit, 256 - 9]) + (5000).to_bytes(2, number))  # 5 uV
    if missing is not None:
        data += definition(0x12, np.array(missing, dtype).tobytes())
    for i, lead in enumerate(numbers[: len(samples)]):
        data += b"\x3f" + bytes([i]) + definition(0, definition(0x09, lead.to_bytes(2, number)))[1:]
    data += definition(0x17, b"NIHON KOHDEN")
    data += definition(0x81, SECRETS["last"].encode()) + definition(0x82, SECRETS["id"].encode())
    data += definition(0x83, bytes([71, 0, 0]) + struct.pack(order + "HBB", 1951, 3, 29)) + definition(0x84, b"\2")
    data += definition(0x85, struct.pack(order + "H5B", 2022, 11, 20, 14, 5, 59))
    sequences = samples.astype(dtype).reshape(len(samples), -1, block).swapaxes(0, 1)
    return data + definition(0x1E, np.ascontiguousarray(sequences).tobytes()) + b"\x80"


SAMPLES = integers(200)
FILES = {
    "GE CardioSoft XML": cardiosoft_xml(SAMPLES),
    "Schiller XML": schiller_xml(SAMPLES),
    "Mortara ELI XML": mortara_xml(SAMPLES),
    "AliveCor Kardia JSON": kardia_json(SAMPLES[:6], fs=500),
    "MFER": mfer_file(SAMPLES),
}
