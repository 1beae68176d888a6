"""AliveCor Kardia JSON, as its API gives recordings of KardiaMobile and KardiaMobile 6L (developers.kardia.com)."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from ecg.io.errors import problem, shown
from ecg.io.files import StrPath, read_file
from ecg.io.readers.dates import time_of
from ecg.io.readers.lead_labels import lead_of
from ecg.io.stored import DeviceReport, Identity, Stored, as_small_integers, make_stored

_LARGEST_FILE = 1 << 24  # bytes; five minutes of six leads at 300 Hz, raw and enhanced, have 8 MB
_MARKS = re.compile(rb'"(recordedAt|algorithmDetermination|amplitudeResolution|mainsFrequency|data12L|leadI)"')


def is_kardia(start: bytes) -> bool:
    """Whether a file that begins like this is Kardia JSON."""
    return start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" and len(set(_MARKS.findall(start))) > 1


def read_kardia(path: StrPath) -> Stored:
    """Read the raw samples, as they were before AliveCor's filter.

    Raises RecordingError for everything wrong with it; for KardiaMobile 12L, whose files do not say their scale.
    """
    path = Path(path)
    data = read_file(path, _LARGEST_FILE, f"a JSON file of at most {_LARGEST_FILE >> 20} MiB")
    try:
        said = json.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise problem(path, "JSON", type(error).__name__) from error
    raw = _part(_part(said, "data"), "raw")
    rows = _part(raw, "samples")
    if not rows:
        found = "those of a KardiaMobile 12L, which do not say their scale" if "data12L" in _dict(said) else "none"
        raise problem(path, "raw samples (data.raw.samples)", found)
    labels = [name.removeprefix("lead") for name in rows]
    samples = as_small_integers([_numbers(values, name, path) for name, values in rows.items()], path)
    nanovolts = _number(raw.get("amplitudeResolution"))
    if not 1 <= nanovolts <= 1e6:
        raise problem(path, "an amplitudeResolution in nV", shown(repr(raw.get("amplitudeResolution"))))
    device = _part(said, "deviceInfo")
    moment = _text(said.get("recordedAt"))
    acquired = time_of(moment[:10], moment[11:19])
    qt = _part(said, "qtMeasurement")
    values = said.get("heartRate"), _part(qt, "qt").get("Value"), _part(qt, "qtcb").get("Value")
    numbers = dict(zip(("heart_rate_bpm", "qt_ms", "qtc_ms"), map(_number, values), strict=True))
    statement = _text(said.get("algorithmDetermination"))
    measurements = {name: value for name, value in numbers.items() if math.isfinite(value)}
    statements = (statement,) if statement else ()
    report = DeviceReport("AliveCor", _text(device.get("hardwareType")), acquired, measurements, statements)
    identifiers = {"id": said.get("id"), "serial number": device.get("serialNumber"), "note": said.get("note")}
    others = {name: _text(value) for name, value in identifiers.items() if _text(value)}
    identity = Identity(patient_id=_text(said.get("patientID")), others=others)
    leads = [lead_of(label) or label for label in labels]
    rate, gains = _number(raw.get("frequency")), [1e6 / nanovolts] * len(labels)
    notes = ("limb leads by fingers (KardiaMobile)",)
    return make_stored(path, leads, rate, samples, gains, None, report, identity, notes=notes)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _part(value: Any, name: str) -> dict[str, Any]:
    return _dict(_dict(value).get(name))


def _text(value: Any) -> str:
    return value.strip()[:1000] if isinstance(value, str) else ""


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    return float(value) if is_number else math.nan


def _numbers(values: Any, name: str, path: Path) -> np.ndarray:
    if not isinstance(values, list) or not all(type(value) in (int, float) and abs(value) < 2**31 for value in values):
        raise problem(path, f"a list of numbers as {shown(name)}", "something else")
    return np.array(values, dtype=np.float64)
