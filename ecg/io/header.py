"""The text of a WFDB header in any dialect of the 2020 and 2021 Challenges.

wfdb's own parser takes files only and refuses some of these dialects; the Challenge's hooks pass text.
"""

import math
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ecg.io.errors import problem, shown
from ecg.io.files import StrPath, read_text
from ecg.io.readers.dates import known_age
from ecg.io.readers.lead_labels import lead_of, notes_on
from ecg.leads import LEADS

# Hz. The methods are made for 100 to 1000; a figure outside these bounds is a broken header, not an ECG.
LOWEST_FREQUENCY, HIGHEST_FREQUENCY = 50.0, 5000.0
DEFAULT_GAIN = 200.0  # ADC units per mV where the header gives none (WFDB's rule, header(5))
LONGEST_HEADER = 1 << 20  # bytes; real ones have 1 or 2 kB
SEXES = {"f": "Female", "female": "Female", "m": "Male", "male": "Male"}
_MILLIVOLTS = {"": 1.0, "mv": 1.0, "uv": 1e-3, "\u00b5v": 1e-3, "\u03bcv": 1e-3, "v": 1e3}  # with both micro signs
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RECORD_LINE = re.compile(rf"(\S+)\s+(\d{{1,6}})(?:\s+({_NUMBER})(?:/\S*)?)?(?:\s+(\d{{1,12}})(?!\S))?(?!\S)", re.ASCII)
_FORMAT = re.compile(r"\d{1,3}(?:x\d{1,3})?(?::\d{1,4})?(?:\+\d{1,9})?", re.ASCII)  # samples per frame, skew, offset
_GAIN = re.compile(rf"({_NUMBER})?(?:\(({_NUMBER})\))?(?:/(\S*))?", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,12}", re.ASCII)
_COMMENT = re.compile(r"#\s*(age|sex|dx)\s*:(.*)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Header:
    """What a header says."""

    recording_id: str  # the record's name; a trailing `.mat`, `.dat` or `.hea` is dropped
    sampling_frequency: float  # Hz
    n_samples: int | None  # per lead; None where the header does not say
    leads: tuple[str, ...]  # in file order; the twelve leads in standard spelling, others as written
    # `adc_gains`, `baselines`: ADC units per mV, and ADC units at 0 mV. The gain of a signal that is none of the twelve
    # leads may be NaN.
    adc_gains: tuple[float, ...]
    baselines: tuple[float, ...]
    file_names: tuple[str, ...]  # `file_names`, `formats`: per signal, as written ("A0001.mat", "16+24")
    formats: tuple[str, ...]
    age: float  # years, 0 to 120; NaN where unknown. PTB-XL's 300 (90 or older) is 90.
    sex: str  # "Female", "Male" or "Unknown"
    labels: tuple[str, ...]  # SNOMED CT codes of the Dx line in their order, without empties and doubles
    notes: tuple[str, ...] = ()  # what was assumed in reading that whoever uses the recording should know


class Signal(NamedTuple):
    """One signal line."""

    lead: str
    label: str  # the lead as written
    gain: float
    baseline: float
    file_name: str
    format: str
    numbers: tuple[str, ...]  # those that are there of ADC resolution, ADC zero, initial value, checksum, block size


@lru_cache(maxsize=8)  # the stamp of a recording asks first, then its reader
def parse_header(text: str, source: str = "header") -> Header:
    """Parse the text of a header, in any dialect of the 2020 and 2021 Challenges; `source` is what errors call it.

    Lines are told apart by what they are, never by their number: those with `#` are comments, the first other one is
    the record line, the rest are signal lines. Dates are ignored. By WFDB's rules (header(5)) an absent gain means 200
    ADC units per mV, absent units mean mV, and a baseline not given in parentheses is the ADC zero field, or else 0.
    Unlike in WFDB, a gain of zero and a missing sampling frequency are errors: their defaults would be guesses.

    Where the leads have several samples in a frame (format `16x10`), sampling frequency and number of samples are those
    of the leads, not of the frames. Raises RecordingError where the text is not a header of a single-segment recording
    that can be used.
    """
    record_line, signal_lines, comments = split_header(text, source)
    match = _RECORD_LINE.match(record_line)
    if match is None or match[3] is None:
        raise problem(source, "a record line with a sampling frequency such as 'A0001 12 500 5000'", shown(record_line))
    name, n_signals, frequency, n_samples = match[1], int(match[2]), float(match[3]), int(match[4] or 0) or None
    if _is_multi_segment(name, signal_lines):
        raise problem(source, "a record of one segment", f"the multi-segment record {shown(name)}")
    name = _checked_name(name, "record name", source).rpartition("/")[2]
    if n_signals == 0 or n_signals != len(signal_lines):
        raise problem(source, f"{max(n_signals, 1)} signal lines", len(signal_lines))
    signals = [parse_signal_line(line, source) for line in signal_lines]
    leads, labels, gains, baselines, file_names, formats, _ = zip(*signals, strict=True)
    per_frame = _samples_per_frame(signals, source)
    if not LOWEST_FREQUENCY <= frequency * per_frame <= HIGHEST_FREQUENCY:
        bounds = f"{LOWEST_FREQUENCY:g} to {HIGHEST_FREQUENCY:g} Hz (the methods are made for 100 to 1000 Hz)"
        raise problem(source, f"a sampling frequency of {bounds}", f"{frequency * per_frame:g} Hz")
    age, sex = (comments[key][0] if comments[key] else "" for key in ("age", "sex"))
    years, age_notes = known_age(90.0 if _number(age) == 300 else _number(age))
    if math.isnan(_number(age)) and re.search(r"\d", age):  # "61 years", which may as well be months
        age_notes = (f"age unknown: {shown(age)} is no number",)
    # What is not a number ("Unknown") is no SNOMED CT code.
    codes = re.findall(r"(?<![^,;\s])(\d+)(?:\.0+)?(?![^,;\s])", ",".join(comments["dx"]), re.ASCII)
    return Header(
        recording_id=re.sub(r"\.(mat|dat|hea)$", "", name, flags=re.IGNORECASE),
        sampling_frequency=frequency * per_frame,
        n_samples=n_samples and n_samples * per_frame,
        leads=leads,
        adc_gains=gains,
        baselines=baselines,
        file_names=file_names,
        formats=formats,
        age=years,
        sex=SEXES.get(sex.lower(), "Unknown"),
        labels=tuple(dict.fromkeys(codes)),
        notes=(*notes_on(labels), *age_notes, *(("age 300 is 90 or older",) if _number(age) == 300 else ())),
    )


def _is_multi_segment(name: str, lines: list[str]) -> bool:
    """Whether a record is in segments: `name/3` before three lines of names and lengths (header(5)).

    PTB-XL's `records500/00001` is a name with a folder.
    """
    _, slash, number = name.rpartition("/")
    is_count = bool(slash) and re.fullmatch(r"\d{1,6}", number, re.ASCII) is not None and int(number) == len(lines)
    return is_count and all(re.fullmatch(r"\S+\s+\d+", line, re.ASCII) for line in lines)


def _samples_per_frame(signals: list[Signal], source: str) -> int:
    """How many samples the leads have in a frame; RecordingError where they differ."""
    counts = {samples_per_frame(signal.format) for signal in signals if signal.lead in LEADS} or {1}
    if len(counts) > 1:
        raise problem(source, "one sampling frequency of all leads", f"{sorted(counts)} samples a frame")
    return counts.pop()


def samples_per_frame(format_: str) -> int:
    """Samples that a signal has in a frame, by its format ("16x10" has 10)."""
    match = re.match(r"\d+x(\d+)", format_)
    return max(int(match[1]), 1) if match else 1


def split_header(text: str, source: str) -> tuple[str, list[str], dict[str, list[str]]]:
    """Record line, signal lines, and the values of the comments that matter."""
    content: list[str] = []
    comments: dict[str, list[str]] = {"age": [], "sex": [], "dx": []}
    # Not str.splitlines: it also cuts at characters such as \x85, which stand inside Latin-1 comments.
    for line in re.split(r"[\r\n]+", text.removeprefix("\ufeff")):
        line = line.strip()
        if line.startswith("#"):
            if match := _COMMENT.match(line):
                comments[match[1].lower()].append(match[2].strip())
        elif line:
            content.append(line)
    if not content:
        raise problem(source, "a record line", "none")
    return content[0], content[1:], comments


def parse_signal_line(line: str, source: str) -> Signal:
    """File name, format, gain(baseline)/units, up to five integers, description."""
    fields = line.split()
    if len(fields) < 2 or not _FORMAT.fullmatch(fields[1]):
        raise problem(source, "a signal line such as 'A0001.mat 16+24 1000/mV 16 0 0 0 0 I'", shown(line))
    file_name, format_, *rest = fields
    file_name = _checked_name(file_name, "signal file name", source)
    # The lead may follow the format at once: then the gain is absent.
    gain_field = rest.pop(0) if rest and lead_of(rest[0]) is None else ""
    numbers: list[str] = []
    while rest and len(numbers) < 5 and _INTEGER.fullmatch(rest[0]):
        numbers.append(rest.pop(0))
    label = " ".join(rest)
    lead = lead_of(label) or label
    gain, baseline = _scale(gain_field, numbers[1] if len(numbers) > 1 else "0")
    if gain == 0 or not math.isfinite(gain) or not math.isfinite(baseline):
        if lead in LEADS:
            raise problem(source, f"a non-zero gain such as 1000/mV for lead {lead}", shown(gain_field))
        gain = baseline = math.nan  # a breathing or pressure channel, which nobody asks for
    return Signal(lead, label, gain, baseline, file_name, format_, tuple(numbers))


@lru_cache(maxsize=64)  # the lines of a header are alike
def _scale(field: str, zero: str) -> tuple[float, float]:
    """ADC units per mV and ADC units at 0 mV, from the gain field and the ADC zero; NaN where the field is none."""
    match = _GAIN.fullmatch(field)
    if match is None:
        return math.nan, math.nan
    gain = float(match[1] or DEFAULT_GAIN) / _MILLIVOLTS.get((match[3] or "").lower(), math.nan)
    return gain, float(match[2] or zero)


@lru_cache(maxsize=64)
def _checked_name(name: str, what: str, source: str) -> str:
    """The name with `/` between folders. Refuses names that lead out of the header's folder: they become paths."""
    parts = name.replace("\\", "/").split("/")
    if not name.isprintable() or {"", ".", ".."} & set(parts) or ":" in parts[0] or len(name) > 200:
        raise problem(source, f"a {what} that stays in the header's folder", shown(name))
    return "/".join(parts)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def load_header(header_file: StrPath) -> str:
    """The text of a header: UTF-8, else Latin-1, without byte order mark. Raises RecordingError if it can't be read."""
    return read_text(header_file, LONGEST_HEADER)


def read_header(header_file: StrPath) -> Header:
    """Read and parse a header file. Raises RecordingError for everything wrong with it."""
    return parse_header(load_header(header_file), os.fspath(header_file))
