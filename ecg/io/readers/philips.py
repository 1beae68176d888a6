"""Philips SierraECG XML, document versions 1.03 and 1.04, as PageWriter, HeartStart and TraceMasterVue write it.

No specification is public. How XLI packs the samples was worked out by Watford (sierra-ecg-tools, wiki) and is checked
by real files: the calibration pulse comes out exact in all leads, and the whole within 4 ADC units of what Philips' own
conversion to aECG has.
"""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg.arrays import Ints
from ecg.io import device_words
from ecg.io.errors import problem, shown
from ecg.io.files import StrPath
from ecg.io.readers import xml_files as xml
from ecg.io.readers.calibration_pulse import without_pulse
from ecg.io.readers.dates import date_of, time_of
from ecg.io.stored import DeviceReport, Identity, Stored, check_frequency, make_stored
from ecg.leads import LEADS, STANDARD_NAMES

_LONGEST = 60.0  # s of a resting ECG; real ones have 11. XLI can pack hours into a few bytes
_MOST_LEADS = 16
_CODE_BITS = 10
_END = (1 << _CODE_BITS) - 1
_BYTES = [bytes([value]) for value in range(256)]
# Elements with the numbers that the device prints, the best place first: 1.04, 1.03, and as measured before editing.
_MEASURED_IN = (
    "interpretations/interpretation/globalmeasurements",
    "interpretations/interpretation/interpretationmeasurements",
    "internalmeasurements/crossleadmeasurements",
    "measurements/globalmeasurements",
)


def is_philips(start: bytes) -> bool:
    """Whether a file that begins like this is Philips SierraECG XML."""
    return xml.root_name(start).lower() == "restingecgdata"


def read_philips(path: StrPath, data: bytes | None = None) -> Stored:
    """Read a Philips SierraECG file (1.03, 1.04); the calibration pulse behind the ECG is cut off.

    With `data` these bytes are read, which another file (DICOM) holds.
    """
    path = Path(path)
    root = xml.read_xml(path, data)
    if root.tag.lower() != "restingecgdata":
        raise problem(path, "a restingecgdata element", shown(root.tag))
    waveforms = root.find("waveforms/parsedwaveforms")
    if waveforms is None:
        raise problem(path, "an element waveforms/parsedwaveforms", "none")
    scale = _Scale(root, waveforms, path)
    leads, samples = _samples(waveforms, scale, path)
    stored, notes = without_pulse(samples, scale.gain, scale.frequency)
    acquisition, patient = root.find("dataacquisition"), root.find("patient/generalpatientdata")
    attributes = {} if acquisition is None else acquisition.attrib
    acquired = time_of(attributes.get("date", ""), attributes.get("time", ""))
    age = xml.number_of(xml.text_of(patient, "age/years"))
    sex = {"male": "Male", "female": "Female"}.get(xml.text_of(patient, "sex").lower(), "Unknown")
    statements, signatures = device_words.without_signatures(_statements(root))
    device = DeviceReport("Philips", xml.text_of(acquisition, "machine"), acquired, _measurements(root), statements)
    identity = _identity(root, patient, signatures)
    rate, gains, baselines = scale.frequency, [scale.gain] * len(leads), [scale.baseline] * len(leads)
    return make_stored(path, leads, rate, stored, gains, baselines, device, identity, age=age, sex=sex, notes=notes)


class _Scale:
    """Rate, amplitude and length: attributes of the waveform in 1.04, elements of the acquisition in 1.03."""

    def __init__(self, root: xml.Element, waveforms: xml.Element, path: Path) -> None:
        signal = root.find("dataacquisition/signalcharacteristics")

        def said(*names: str) -> str:
            found = [*map(waveforms.get, names), *(xml.text_of(signal, name) for name in names)]
            return next(filter(None, found), "")

        self.frequency = xml.number_of(said("samplespersecond", "samplingrate"))
        check_frequency(path, self.frequency)
        resolution, bits = said("resolution", "signalresolution"), said("bitspersample", "nbitspersample")
        microvolts = xml.number_of(resolution)
        if not (math.isfinite(microvolts) and 0.01 <= microvolts <= 1000):
            raise problem(path, "a resolution of 0.01 to 1000 µV", shown(resolution))
        self.gain = 1000 / microvolts
        self.baseline = xml.number_of(said("signaloffset") or "0")
        if bits != "16":
            raise problem(path, "samples of 16 bits", shown(bits))
        duration = said("durationperchannel")
        seconds = xml.number_of(duration) / 1000
        if not 0 < seconds <= _LONGEST:
            raise problem(path, f"a durationperchannel of up to {_LONGEST * 1000:g} ms", shown(duration))
        self.n_samples = round(seconds * self.frequency)


def _samples(waveforms: xml.Element, scale: _Scale, path: Path) -> tuple[list[str], NDArray[np.int16]]:
    """Names of the leads and their samples, (n_leads, n_samples)."""
    labels = (waveforms.get("leadlabels") or " ".join(LEADS)).split()
    leads = [STANDARD_NAMES.get(label.lower(), label) for label in labels]
    if len(leads) > _MOST_LEADS or len(set(leads)) != len(leads):
        raise problem(path, f"labels of at most {_MOST_LEADS} different leads", shown(" ".join(labels)))
    encoding = waveforms.get("dataencoding", "")
    if encoding.lower() != "base64":
        raise problem(path, "waveforms in Base64", shown(encoding))
    data = xml.base64_of(xml.data_of(waveforms), path, "the waveforms")
    compression = waveforms.get("compression") or waveforms.get("compressmethod") or "Uncompressed"
    if waveforms.get("compressflag", "True").lower() == "false":
        compression = "Uncompressed"
    if compression.upper() == "XLI":
        return leads, _derived(leads, _unpack(data, len(leads), scale.n_samples, path), path)
    if compression.lower() not in ("uncompressed", "none"):
        raise problem(path, "waveforms uncompressed or compressed by XLI", shown(compression))
    if len(data) < 2 * len(leads) * scale.n_samples:
        raise problem(path, f"{2 * len(leads) * scale.n_samples} bytes of samples", len(data))
    stored = np.frombuffer(data, "<i2", count=len(leads) * scale.n_samples).reshape(len(leads), scale.n_samples)
    return leads, stored.astype(np.int16)


# ---- XLI -------------------------------------------------------------------------------------------------------------
def _unpack(data: bytes, n_leads: int, n_samples: int, path: Path) -> Ints:
    """The first channels of what XLI packed, (n_leads, n_samples); there may be more of them, which hold nothing.

    Each channel has eight bytes (length of what is packed, int32; 1, int16; the first delta, int16; little-endian) and
    bytes packed by LZW: the high bytes of all 16-bit numbers, then the low bytes.
    """
    channels = np.empty((n_leads, n_samples), dtype=np.int64)
    place = 0
    for lead in range(n_leads):
        head = data[place : place + 8]
        size = int.from_bytes(head[:4], "little", signed=True)
        if len(head) < 8 or not 0 < size <= len(data) - place - 8:
            raise problem(path, f"{n_leads} channels of XLI", f"{lead} and {len(data) - place} bytes")
        unpacked = _lzw(data[place + 8 : place + 8 + size], 2 * n_samples, path)
        if len(unpacked) != 2 * n_samples:
            raise problem(path, f"{n_samples} samples in channel {lead + 1}", f"{len(unpacked)} bytes")
        high, low = np.frombuffer(unpacked, np.uint8).reshape(2, n_samples)
        first_delta = int.from_bytes(head[6:8], "little", signed=True)
        numbers = (high.astype(np.uint16) << 8 | low).view(np.int16).astype(np.int64)
        channels[lead] = _undo_deltas(numbers, first_delta)
        place += 8 + size
    if np.abs(channels).max() > 32767:
        raise problem(path, "samples of 16 bits", "larger ones (damaged data)")
    return channels


def _lzw(packed: bytes, most: int, path: Path) -> bytes:
    """Undo LZW with codes of ten bits, high bits first, of which the last ends it; gives no more than `most` bytes."""
    n_codes = len(packed) * 8 // _CODE_BITS
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=n_codes * _CODE_BITS).reshape(n_codes, _CODE_BITS)
    codes: list[int] = (bits @ (1 << np.arange(_CODE_BITS)[::-1])).tolist()
    table = list(_BYTES)
    parts: list[bytes] = []
    before = b""
    left = most
    for code in codes:
        if code == _END:
            break
        if code < len(table):
            entry = table[code]
        elif code == len(table) and before:
            entry = before + before[:1]
        else:
            raise problem(path, "codes of LZW that stand in its table", f"code {code} where it has {len(table)}")
        parts.append(entry)
        left -= len(entry)
        if left < 0:
            raise problem(path, f"{most} bytes in a channel", "more")
        if before and len(table) < _END:
            table.append(before + entry[:1])
        before = entry
    return b"".join(parts)


def _undo_deltas(numbers: Ints, first_delta: int) -> Ints:
    """Samples from second differences: two samples as they are, then s[i] = 2 s[i-1] - s[i-2] - (number[i-1] - 64)."""
    second = np.zeros_like(numbers)
    second[2:3] = -first_delta
    second[3:] = 64 - numbers[2:-1]
    second[:2] = numbers[:2]
    second[1:2] -= numbers[:1]  # now the first sample, the first difference and the second differences
    first = second.copy()
    first[1:] = np.cumsum(second[1:])
    return np.cumsum(first)


def _derived(leads: list[str], channels: Ints, path: Path) -> NDArray[np.int16]:
    """The samples as they were: XLI holds III and aVR, aVL, aVF as what they differ by from I and II."""
    at = {lead: channels[leads.index(lead)] for lead in LEADS[:6] if lead in leads}
    if len(at) != 6:
        raise problem(path, f"the leads {', '.join(LEADS[:6])} in XLI", ", ".join(at) or "none")
    # In place: `at` holds views of the rows.
    at["III"][:] = at["II"] - at["I"] - at["III"]
    at["aVR"][:] = -at["aVR"] - _half(at["I"] + at["II"])
    at["aVL"][:] = _half(at["I"] - at["III"]) - at["aVL"]
    at["aVF"][:] = _half(at["II"] + at["III"]) - at["aVF"]
    if np.abs(channels).max() > 32767:
        raise problem(path, "samples of 16 bits", "larger ones (damaged data)")
    return channels.astype(np.int16)


def _half(values: Ints) -> Ints:
    """Halves without their fraction, -3 gives -1: rounded down they differ from Philips' aECG by 1 where it matters."""
    return np.sign(values) * (np.abs(values) // 2)


# ---- what the device said, whose recording it is ---------------------------------------------------------------------
def _measurements(root: xml.Element) -> dict[str, float]:
    places = [place for place in map(root.find, _MEASURED_IN) if place is not None]
    names = device_words.names_of("philips").items()
    return device_words.measurements_of(
        (name, xml.text_of(place, tag)) for name, tags in names for place in places for tag in tags
    )


def _statements(root: xml.Element) -> list[str]:
    """Statements with their reasons, then the severity, without dashes."""
    lines = []
    for interpretation in root.iterfind("interpretations/interpretation"):
        for statement in interpretation.iterfind("statement"):
            parts = (xml.text_of(statement, "leftstatement"), xml.text_of(statement, "rightstatement"))
            lines.append(", ".join(filter(None, parts)))
        lines.append(xml.text_of(interpretation, "severity").strip(" -"))
    return [" ".join(line.split()) for line in lines if line]


def _identity(root: xml.Element, patient: xml.Element | None, signatures: dict[str, str]) -> Identity:
    names = (xml.text_of(patient, f"name/{part}name") for part in ("last", "first", "middle"))
    places = (
        "patient/generalpatientdata/MRN", "patient/generalpatientdata/uniquepatientid", "documentinfo/documentname",
        "documentinfo/editor", "documentinfo/filename", "orderinfo/ordernumber", "orderinfo/uniqueorderid",
        "orderinfo/orderbillingcode",
    )  # fmt: skip
    others = {place.rpartition("/")[2]: xml.text_of(root, place) for place in places}
    for element in root.iterfind("interpretations/interpretation/*"):
        if element.tag in ("mdsignatureline", "confirmingclinician"):
            others[element.tag] = xml.text_of(element)
    for element in root.iterfind("dataacquisition/acquirer//*"):
        others[element.tag] = xml.text_of(element)
    for i, element in enumerate(root.iterfind("userdefines/userdefine/value")):
        others[f"userdefine {i + 1}"] = xml.text_of(element)
    others = {name: text for name, text in others.items() if text} | signatures
    birth = date_of(xml.text_of(patient, "age/dateofbirth"))
    return Identity(" ".join(filter(None, names)), xml.text_of(patient, "patientid"), birth, others)
