"""HL7 Annotated ECG (aECG, HL7 V3 PORT_MT020001), the format of drug trials; many electrocardiographs export it."""

import datetime
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ecg.arrays import Array, Floats
from ecg.io import device_words
from ecg.io.errors import problem, shown
from ecg.io.files import StrPath
from ecg.io.readers import xml_files as xml
from ecg.io.readers.calibration_pulse import without_pulse
from ecg.io.readers.dates import date_of, time_of
from ecg.io.stored import DeviceReport, Identity, Stored, check_frequency, check_together, make_stored
from ecg.leads import STANDARD_NAMES

_LEAD = re.compile(r"MDC_ECG_LEAD_(\w+)", re.ASCII)
_MILLIVOLTS = {"nV": 1e-6, "uV": 1e-3, "µV": 1e-3, "μV": 1e-3, "mV": 1.0, "V": 1e3}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_YEARS = {"a": 1.0, "mo": 1 / 12, "wk": 7 / 365.25, "d": 1 / 365.25}
_STATEMENTS = ("MDC_ECG_RHY", "MDC_ECG_INTERPRETATION_STATEMENT", "MDC_ECG_INTERPRETATION_SUMMARY")


def is_aecg(start: bytes) -> bool:
    """Whether a file that begins like this is an HL7 aECG."""
    return xml.root_name(start) == "AnnotatedECG"


def read_aecg(path: StrPath) -> Stored:
    """Read an HL7 aECG: of its series the rhythm, of that the sequence set with the most samples.

    Derived series (representative beats) are read for their measurements only. A calibration pulse at the end, which
    Philips' conversion leaves there, is cut off.
    """
    path = Path(path)
    root = xml.read_xml(path)
    if root.tag != "AnnotatedECG":
        raise problem(path, "an AnnotatedECG element", shown(root.tag))
    series, sequences, others = _rhythm(root, path)
    frequency = _frequency(sequences, path)
    leads, scales, rows = [], [], []
    for sequence in sequences:
        if lead := _lead(sequence):
            leads.append(lead)
            scales.append(_scale(sequence, path))
            rows.append(xml.digits_in(xml.data_of(sequence, "value/digits"), frequency, path))
    check_together(path, leads, map(_lead, others))
    if len({row.size for row in rows}) > 1:
        lengths = ", ".join(f"{lead} {row.size}" for lead, row in zip(leads, rows, strict=True))
        raise problem(path, "leads of one length", shown(lengths))
    samples, gains, baselines = _stored(rows, scales)
    notes: tuple[str, ...] = ()
    if len(set(gains)) == len(set(baselines)) == 1 and baselines[0] == 0:
        samples, notes = without_pulse(samples, gains[0], frequency)
    code = next((element.get("code", "") for element in root.iter("administrativeGenderCode")), "")
    sex = {"M": "Male", "F": "Female"}.get(code, "Unknown")
    author = series.find("author/seriesAuthor")
    maker = xml.text_of(author, "manufacturerOrganization/name")
    model = xml.text_of(author, "manufacturedSeriesDevice/manufacturerModelName")
    statements, signatures = device_words.without_signatures(_statements(series))
    device = DeviceReport(maker, model, _time(series) or _time(root), _measurements(series), statements)
    identity, age = _identity(root, signatures), _age(root)
    return make_stored(
        path, leads, frequency, samples, gains, baselines, device, identity, age=age, sex=sex, notes=notes
    )


# ---- series and sequences --------------------------------------------------------------------------------------------
def _code(element: xml.Element) -> str:
    code = element.find("code")
    return "" if code is None else code.get("code", "")


def _lead(sequence: xml.Element) -> str:
    """The lead of a sequence by its MDC code; "" for other sequences."""
    match = _LEAD.fullmatch(_code(sequence))
    return STANDARD_NAMES.get(match[1].lower(), match[1]) if match else ""


def _rhythm(root: xml.Element, path: Path) -> tuple[xml.Element, list[xml.Element], list[xml.Element]]:
    """The rhythm series with the most samples in a sequence set, the sequences of the set, and those of other sets."""
    found = root.findall("component/series")
    rhythms = [series for series in found if _code(series) in ("RHYTHM", "")]
    there = [(series, one) for series in rhythms for one in series.iterfind("component/sequenceSet")]
    sets = [(series, one.findall("component/sequence")) for series, one in there]
    if not sets:
        kinds = ", ".join(_code(series) for series in found)
        raise problem(path, "a series of code RHYTHM with a sequenceSet", shown(kinds) if kinds else "no series")

    def size(one: tuple[xml.Element, list[xml.Element]]) -> int:
        return sum(len(xml.data_of(sequence, "value/digits")) for sequence in one[1] if _lead(sequence))

    series, sequences = max(sets, key=size)
    return series, sequences, [sequence for _, other in sets if other is not sequences for sequence in other]


def _frequency(sequences: list[xml.Element], path: Path) -> float:
    """Hz, from the increment of the time sequence (GLIST_TS or GLIST_PQ)."""
    for sequence in sequences:
        if _code(sequence) in ("TIME_ABSOLUTE", "TIME_RELATIVE"):
            increment = sequence.find("value/increment")
            said = {} if increment is None else increment.attrib
            seconds = xml.number_of(said.get("value", "")) * _SECONDS.get(said.get("unit", ""), math.nan)
            if not 0 < seconds < math.inf:
                found = f"{said.get('value', 'none')} {said.get('unit', '')}"
                raise problem(path, "an increment of time such as 0.002 s", shown(found))
            frequency = round(1 / seconds, 6)  # 1 / 0.001 s and the like, without what the division leaves
            check_frequency(path, frequency)
            return frequency
    raise problem(path, "a sequence TIME_ABSOLUTE or TIME_RELATIVE", "none")


def _scale(sequence: xml.Element, path: Path) -> tuple[float, float]:
    """mV of one unit of the digits, and mV at 0."""
    lead = _code(sequence)
    value = sequence.find("value")
    kind = "" if value is None else value.get("type", "")
    if kind.rpartition(":")[2] != "SLIST_PQ":
        raise problem(path, f"a value of type SLIST_PQ in {lead}", shown(kind))
    numbers = []
    for tag in ("scale", "origin"):
        element = sequence.find(f"value/{tag}")
        said = {} if element is None else element.attrib
        text, unit = said.get("value", ""), said.get("unit", "")
        if tag == "origin" and xml.number_of(text or "0") == 0:  # then its unit says nothing
            numbers.append(0.0)
            continue
        millivolts = xml.number_of(text) * _MILLIVOLTS.get(unit, math.nan)
        if not math.isfinite(millivolts) or (tag == "scale" and not 1e-6 <= abs(millivolts) <= 1):
            raise problem(path, f"the {tag} in nV, uV or mV in {lead}", shown(f"{text} {unit}"))
        numbers.append(millivolts)
    return numbers[0], numbers[1]


def _stored(rows: list[Floats], scales: list[tuple[float, float]]) -> tuple[Array, list[float], list[float]]:
    """Samples, (n_leads, n_samples), ADC units per mV, ADC units at 0 mV; mV where the digits are no integers."""
    digits = np.array(rows) if rows else np.empty((0, 0))
    if digits.size and (np.isfinite(digits) & (digits == np.rint(digits)) & (np.abs(digits) < 2**31)).all():
        kind = np.int16 if digits.min() >= -32768 and digits.max() <= 32767 else np.int32
        gains = [float(f"{1 / scale:.12g}") for scale, _ in scales]
        return digits.astype(kind), gains, [0.0 - origin / scale for scale, origin in scales]
    millivolts = [row * scale + origin for row, (scale, origin) in zip(digits, scales, strict=False)]
    return np.array(millivolts).reshape(digits.shape), [1.0] * len(rows), [0.0] * len(rows)


# ---- what the device said, whose recording it is ---------------------------------------------------------------------
def _global_annotations(element: xml.Element) -> Iterator[xml.Element]:
    """Annotations that are about no single lead, in file order, those inside others too."""
    for child in element:
        if child.tag == "annotation":
            support = child.find("support")
            if support is not None and any(_LEAD.fullmatch(code.get("code", "")) for code in support.iter("code")):
                continue
            yield child
        yield from _global_annotations(child)


def _measurements(series: xml.Element) -> dict[str, float]:
    """Of the representative beat where there is one, else of the rhythm (there of its first beat)."""
    pairs: dict[str, str] = {}
    for source in (*series.iterfind("derivation/derivedSeries"), series):
        for annotation in _global_annotations(source):
            value = annotation.find("value")
            if value is not None:
                number = xml.number_of(value.get("value", "")) * (1000 if value.get("unit") == "s" else 1)
                pairs.setdefault(_code(annotation), f"{number:g}")
    return device_words.measured("aecg", lambda code: pairs.get(code, ""))


def _statements(series: xml.Element) -> list[str]:
    lines = []
    for annotation in _global_annotations(series):
        value = annotation.find("value")
        if _code(annotation) in _STATEMENTS and value is not None:
            text = xml.text_of(value) or value.get("displayName", "") or value.get("code", "")
            lines.append(" ".join(text.split()).strip(" ,"))
    return list(dict.fromkeys(filter(None, lines)))


def _time(element: xml.Element) -> datetime.datetime | None:
    """When a series, or the whole, began."""
    for tag in ("low", "center"):
        found = element.find(f"effectiveTime/{tag}")
        if found is not None:
            return time_of(found.get("value", "")[:8], found.get("value", "")[8:14])
    return None


def _age(root: xml.Element) -> float:
    """Years, as reported (LOINC 21612-7)."""
    for observation in root.iterfind("controlVariable/relatedObservation"):
        value = observation.find("value")
        if _code(observation) == "21612-7" and value is not None:
            return xml.number_of(value.get("value", "")) * _YEARS.get(value.get("unit", "a"), math.nan)
    return math.nan


def _identity(root: xml.Element, signatures: dict[str, str]) -> Identity:
    """The subject, and the names and numbers of the trial, the places and the people around it."""
    subject = next(root.iter("trialSubject"), xml.Element("trialSubject"))
    person = "subjectDemographicPerson"
    own_id, own_name, birth = (subject.find(place) for place in ("id", f"{person}/name", f"{person}/birthTime"))
    others: dict[str, str] = {}
    makers = {part for maker in root.iter("manufacturerOrganization") for part in maker.iter()}
    for element in root.iter():
        if element not in makers and element.tag in ("id", "name", "title"):
            text = element.get("extension") or element.get("root") if element.tag == "id" else _whole_text(element)
            if text:
                others[f"{element.tag} {len(others) + 1}"] = text
    name = "" if own_name is None else _whole_text(own_name)
    patient_id = "" if own_id is None else own_id.get("extension", own_id.get("root", ""))
    return Identity(name, patient_id, None if birth is None else date_of(birth.get("value", "")), others | signatures)


def _whole_text(element: xml.Element) -> str:
    """The text of an element and of all below it ("family", "given")."""
    return " ".join(" ".join(text[: xml.LONGEST_TEXT] for text in element.itertext()).split())
