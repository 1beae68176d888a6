"""What devices call their measurements, and which lines of an interpretation are no statements."""

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from ecg.io.files import read_rows

_NUMBER = re.compile(r"[-+]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][-+]?\d{1,3})?", re.ASCII)
# How files of each kind call a measurement, the best name first; in DICOM codes of scheme SCPECG, and meanings (lower
# case, without "global" and the like) of any scheme. `dicom_code` is what is written, as Mortara's files have it.
_NAMES = {row["name"]: row for row in read_rows(Path(__file__).with_name("measurement_names.csv"), 1 << 16)[1]}
MEASUREMENTS = tuple(_NAMES)
# How a line of an interpretation begins that names a person.
_SIGNATURE = re.compile(
    r"\W*(?:electronically )?(?:un)?(?:confirmed|reviewed|signed|over-?read|edited|referred|ordered|interpreted)\b",
    re.IGNORECASE,
)


def number_of(text: str) -> float:
    """A number as devices write it; NaN for anything else ("---", "Indeterminate", nothing)."""
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def measurements_of(pairs: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Measurements by name, of those texts that are numbers; the first one of each name."""
    found: dict[str, float] = {}
    for name, text in pairs:
        value = number_of(text)
        if math.isfinite(value):
            found.setdefault(name, value)
    return found


def names_of(kind: str) -> dict[str, tuple[str, ...]]:
    """What files of a kind call the measurements, the best name first; those that they have."""
    return {name: tuple(row[kind].split(";")) for name, row in _NAMES.items() if row[kind]}


def measured(kind: str, text_under: Callable[[str], str]) -> dict[str, float]:
    """Measurements of a file of a kind, from what stands under its own names for them."""
    return measurements_of((name, text_under(key)) for name, keys in names_of(kind).items() for key in keys)


def without_signatures(lines: Iterable[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Lines apart from those that say who read, ordered or confirmed it ("Confirmed by ..."); the latter numbered."""
    lines = list(lines)
    signed = [line for line in lines if _SIGNATURE.match(line)]
    others = {f"signature {i + 1}": line for i, line in enumerate(signed)}
    return tuple(line for line in lines if line not in signed), others
