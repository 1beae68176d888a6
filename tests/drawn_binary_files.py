"""Binary files with fields drawn at random: each unit, absent and broken values, parts in another order."""

from __future__ import annotations

import base64
import binascii
import struct
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from drawing import Draw, element
from drawn_xml_files import with_pulse
from ecg.leads import LEADS
from scp_writer import STANDARD, SWITCHING, Beat, Recording


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
