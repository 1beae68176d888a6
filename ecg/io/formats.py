"""All formats that ECGs come in: which one a file is, by its content, and which files of a folder are recordings."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg.header import LEADS, problem
from ecg.io.aecg import is_aecg, read_aecg
from ecg.io.dicom import is_dicom, read_dicom
from ecg.io.muse import is_muse, read_muse
from ecg.io.philips import is_philips, read_philips
from ecg.io.scp_ecg import is_scp_ecg, read_scp_ecg
from ecg.io.stored import DeviceReport, Stored, make_header
from ecg.io.xml_files import measurements_of
from ecg.signal_files import read_file
from helper_code import load_header, read_recording

START = 4096  # bytes by which a format is told


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes
    ----------
    name : str
        For people.
    suffixes : tuple of str
        By which a folder's files are taken for recordings; the format itself is told by the content.
    is_it : callable
        Whether a file that begins with these bytes (up to `START`) is of this format.
    read : callable
        From a path to a `Stored`; RecordingError for everything wrong with the file.
    """

    name: str
    suffixes: tuple[str, ...]
    is_it: Callable[[bytes], bool]
    read: Callable[[str | os.PathLike[str]], Stored]


# In the order in which they are tried; none takes what is another's.
FORMATS: tuple[Format, ...] = (
    Format("DICOM", (".dcm", ".dicom"), is_dicom, read_dicom),
    Format("SCP-ECG", (".scp",), is_scp_ecg, read_scp_ecg),
    Format("GE MUSE XML", (".xml",), is_muse, read_muse),
    Format("Philips SierraECG XML", (".xml",), is_philips, read_philips),
    Format("HL7 aECG", (".xml", ".aecg"), is_aecg, read_aecg),
)
SUFFIXES: tuple[str, ...] = tuple(dict.fromkeys(suffix for one in FORMATS for suffix in one.suffixes))


def format_of(path: str | os.PathLike[str]) -> Format | None:
    """The format of a file by its first bytes; None where it is none of `FORMATS`. RecordingError if unreadable."""
    start = read_file(path, START)
    return next((one for one in FORMATS if one.is_it(start)), None)


def read_any(path: str | os.PathLike[str]) -> Stored:
    """Read a recording in any of `FORMATS`.

    Raises
    ------
    RecordingError
        For everything wrong with it, for unknown formats, and where another file of the folder would give a recording
        of the same name.
    """
    path = Path(path)
    kind = format_of(path)
    if kind is None:
        expected = "an ECG (" + ", ".join(one.name for one in FORMATS) + ")"
        # Not the first bytes, as elsewhere: they may be a patient's name.
        raise problem(path, expected, "another content" if read_file(path, 1) else "an empty file")
    suffixes = (".hea", ".mat", *SUFFIXES)
    rivals = [path.stem + suffix for suffix in suffixes if os.path.lexists(path.with_name(path.stem + suffix))]
    if others := [name for name in rivals if name != path.name]:
        raise problem(path, f"one recording named {path.stem} in its folder", f"{', '.join(others)} beside it")
    return kind.read(path)


def read_challenge(header_file: str | os.PathLike[str]) -> Stored:
    """Read Challenge files: the twelve leads in ADC units, and what `ecg.convert` wrote of the device's report.

    Raises
    ------
    RecordingError
        As of `read_recording`.
    """
    path = Path(header_file)
    header, millivolts = read_recording(path)
    at = {lead: header.leads.index(lead) for lead in header.leads if lead in LEADS}
    gains = np.array([[header.adc_gains[i]] for i in at.values()])
    baselines = np.array([[header.baselines[i]] for i in at.values()])
    rows = millivolts[[LEADS.index(lead) for lead in at]].astype(np.float64)
    units = rows * gains + baselines  # float32 mV are exact enough for integers of 23 bits
    missing = np.isnan(units)
    whole = np.rint(np.where(missing, 0, units))
    if np.abs(np.where(missing, 0, units) - whole).max() > 0.01 or np.abs(whole).max() >= 2**23:
        samples: NDArray[np.generic] = rows
        gains, baselines = np.ones_like(gains), np.zeros_like(baselines)
    else:
        kind = np.int16 if np.abs(whole).max() < 2**15 else np.int32
        samples = np.where(missing, np.iinfo(kind).min, whole).astype(kind)
    new = make_header(
        path, list(at), header.sampling_frequency, samples, gains[:, 0].tolist(), baselines[:, 0].tolist(),
        age=header.age, sex=header.sex,
    )  # fmt: skip
    return Stored(replace(new, labels=header.labels), samples, _device_in(load_header(path)))


def _device_in(text: str) -> DeviceReport:
    """The device's report in the comments of a header."""
    said = re.findall(r"^# ?(Measurement|Statement): (.*\S)", text, re.MULTILINE)
    measured = (value.partition(" ") for kind, value in said if kind == "Measurement")
    return DeviceReport(
        measurements=measurements_of((name, number) for name, _, number in measured),
        statements=tuple(value for kind, value in said if kind == "Statement"),
    )


def find_ecg_files(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the paths of the recordings in a folder and below, sorted in each folder, files before subfolders.

    Of Challenge recordings it is the header's path (`.hea`, also of an absent one whose `.mat` is there); else files
    with one of `SUFFIXES`, and those without a suffix that are DICOM. Of several files that would give a recording of
    the same name a Challenge header is taken and the rest passed over; without one the first is taken, and `read_any`
    refuses it and names the others. What is hidden is passed over. Links to folders are followed, each folder once.
    """
    yield from _find(os.fspath(folder), set())


def _find(folder: str, entered: set[tuple[int, int]]) -> Iterator[str]:
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in entered:
        return
    entered.add((status.st_dev, status.st_ino))
    files, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                (folders if _is_folder(entry) else files).append(entry.name)
    for name in recordings_among(files, lambda name: _is_dicom_file(os.path.join(folder, name))):
        yield os.path.join(folder, name)
    for name in sorted(folders):
        yield from _find(os.path.join(folder, name), entered)


def recordings_among(names: Iterable[str], is_dicom_file: Callable[[str], bool]) -> list[str]:
    """Names of the recordings among the files of one folder, sorted; see `find_ecg_files`."""
    headers: set[str] = set()
    others: dict[str, str] = {}
    for name in sorted(names):
        stem, suffix = os.path.splitext(name)
        if suffix in (".hea", ".mat"):
            headers.add(stem)
        elif suffix.lower() in SUFFIXES or (not suffix and is_dicom_file(name)):
            others.setdefault(stem, name)
    return sorted([stem + ".hea" for stem in headers] + [name for stem, name in others.items() if stem not in headers])


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False


def _is_dicom_file(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return is_dicom(file.read(132))
    except OSError:
        return False
