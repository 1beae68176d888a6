"""A recording: what every reader ends in, and the reader of Challenge files."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ecg.arrays import Floats32
from ecg.io.errors import RecordingError, problem, shown
from ecg.io.files import StrPath
from ecg.io.header import Header, load_header, parse_header
from ecg.io.readers.dates import OLDEST
from ecg.io.readers.matlab import load_mat
from ecg.io.readers.wfdb_files import load_dat
from ecg.io.stored import DeviceReport, check_frequency, check_length
from ecg.leads import LEADS

# What a WFDB format writes where a sample is missing (signal(5)); -32768 for those not named here.
_MISSING_SAMPLE = {"80": -128, "508": -128, "310": -512, "311": -512, "212": -2048}
_MISSING_SAMPLE |= {"24": -(2**23), "524": -(2**23), "32": -(2**31)}

_AT_ONCE = 8192  # samples that are converted at a time: what is between then stays in the processor's cache

_UNITS = {"mV": 1.0, "uV": 1e-3}  # in mV


@dataclass(frozen=True, eq=False)
class Recording:
    """A 12-lead ECG in memory, whatever format it came in.

    Attributes
    ----------
    signal : ndarray, shape (12, n_samples), float32, mV
        Leads in the order I, II, III, aVR, aVL, aVF, V1 to V6. NaN where a sample is missing, a whole row of NaN where
        the lead is missing.
    sampling_frequency : float
        Hz.
    name : str
        The file's name without its suffix.
    age : float
        Years, 0 to 120; NaN where unknown.
    sex : str
        "Female", "Male" or "Unknown".
    labels : tuple of str
        SNOMED CT codes of the diagnoses that the file gives.
    device : DeviceReport
        What the electrocardiograph measured and stated.
    notes : tuple of str
        What the reader assumed or changed, one sentence each.
    format : str
        The name of the file's format.
    path : Path or None
        The file; of a Challenge recording its header. None for a recording made from an array.

    Examples
    --------
    >>> import ecg, numpy as np
    >>> recording = ecg.Recording.from_array(1000 * np.random.default_rng(1).normal(size=(12, 5000)), 500, unit="uV")
    >>> recording
    Recording(recording: 12 leads, 10 s at 500 Hz, array)
    """

    signal: Floats32
    sampling_frequency: float
    name: str = "recording"
    age: float = math.nan
    sex: str = "Unknown"
    labels: tuple[str, ...] = ()
    device: DeviceReport = field(default_factory=DeviceReport)
    notes: tuple[str, ...] = ()
    format: str = "array"
    path: Path | None = None

    def __repr__(self) -> str:
        leads = int((~np.isnan(self.signal).all(axis=1)).sum())
        seconds = self.signal.shape[1] / self.sampling_frequency
        return f"Recording({self.name}: {leads} leads, {seconds:g} s at {self.sampling_frequency:g} Hz, {self.format})"

    @classmethod
    def from_array(
        cls,
        signal: ArrayLike,
        sampling_frequency: float,
        *,
        unit: str = "mV",
        name: str = "recording",
        age: float = math.nan,
        sex: str = "Unknown",
    ) -> Recording:
        """A recording from samples in memory, every argument checked.

        Parameters
        ----------
        signal : array_like, shape (12, n_samples), real
            Leads in the order I, II, III, aVR, aVL, aVF, V1 to V6; NaN where a sample or a lead is missing.
        sampling_frequency : float
            Hz.
        unit : {"mV", "uV"}
            Of the samples.
        name : str
        age : float
            Years, NaN where unknown.
        sex : {"Female", "Male", "Unknown"}

        Raises
        ------
        RecordingError
            Where the shape, type, length, rate, unit, age or sex is none of these, or no lead ever changes.
        """
        samples = np.asarray(signal)
        shape = f"shape {samples.shape}"
        if samples.dtype.kind not in "iuf":
            raise problem(name, "real numbers", f"dtype {samples.dtype}")
        if samples.ndim != 2 or samples.shape[0] != len(LEADS):
            mend = "; pass signal.T" if samples.ndim == 2 and samples.shape[1] == len(LEADS) else ""
            expected = f"shape (12, n_samples), the leads {', '.join(LEADS)} with NaN for an absent one"
            raise problem(name, expected, shape + mend)
        if unit not in _UNITS:
            raise problem(name, "the unit " + " or ".join(map(repr, _UNITS)), repr(unit))
        try:
            rate, years = float(sampling_frequency), float(age)
        except (TypeError, ValueError):
            found = f"{sampling_frequency!r} and {age!r}"
            raise problem(name, "numbers for sampling frequency and age", found) from None
        check_frequency(name, rate)
        check_length(name, samples.shape[1], rate)
        if not (math.isnan(years) or 0 <= years <= OLDEST):
            raise problem(name, f"an age of 0 to {OLDEST:g} years, or NaN", f"{years:g}")
        if sex not in ("Female", "Male", "Unknown"):
            raise problem(name, "the sex Female, Male or Unknown", repr(sex))
        with np.errstate(over="ignore"):
            millivolts = (samples * np.float64(_UNITS[unit])).astype(np.float32)
        millivolts[~np.isfinite(millivolts)] = np.nan
        require_signal(millivolts, name)
        return cls(millivolts, rate, name, years, sex)


def read_recording(header_file: StrPath) -> tuple[Header, np.ndarray]:
    """Read a header (`.hea`) and the recording it describes, (12, n_samples), float32, mV, as of `to_millivolts`.

    Raises RecordingError for everything wrong with either file, for recordings of less than one second, and for those
    without any signal (each lead has one value all the time, or none).
    """
    path = Path(header_file)
    text = load_header(path)
    header = parse_header(text, str(path))
    files = signal_files(path, header)
    first = files[header.file_names[0]]
    raw = load_mat(first, header) if first.suffix.lower() == ".mat" else load_dat(text, str(path), files)
    if raw.shape[1] < header.sampling_frequency:
        raise problem(first, f"at least 1 s ({header.sampling_frequency:g} samples)", f"{raw.shape[1]} samples")
    millivolts = to_millivolts(raw, header, path)
    require_signal(millivolts, first)
    return header, millivolts


def signal_files(header_file: StrPath, header: Header) -> dict[str, Path]:
    """The signal files of a header by the names that it gives them; they need not exist.

    A file is looked for where the name says, then without the name's folder beside the header, upper and lower case
    alike (FAT and Windows). Where none of a header's files is there, all its signals are taken to be in the file of the
    header's own name, `.mat` before `.dat`.
    """
    path = Path(header_file)
    names = dict.fromkeys(header.file_names)
    files = {name: path.with_name(name) if "/" not in name else path.parent / name for name in names}
    if all(map(os.path.lexists, files.values())):  # nearly always
        return files
    beside = {name.lower(): path.with_name(name) for name in sorted(os.listdir(path.parent), reverse=True)}
    for name, file in files.items():
        if not os.path.lexists(file):
            files[name] = beside.get(file.name.lower(), path.with_name(file.name))
    if not any(map(os.path.lexists, files.values())):
        own = [beside[name] for suffix in (".mat", ".dat") if (name := (path.stem + suffix).lower()) in beside]
        files = dict.fromkeys(files, own[0]) if own else files
    return files


def require_signal(millivolts: np.ndarray, source: object) -> None:
    """RecordingError where each lead, (12, n_samples) in mV, has one value all the time, or none."""
    if not any(np.fmax.reduce(lead) > np.fmin.reduce(lead) for lead in millivolts):  # they pass over NaN
        raise problem(source, "a signal", "no lead that ever changes")


def describe_failure(header_file: StrPath, error: Exception) -> str:
    """A sentence on why a recording could not be used, which names the recording whatever file the error is about."""
    text = str(error) if isinstance(error, RecordingError) else f"{type(error).__name__}: {error}"
    return text if text.startswith(os.fspath(Path(header_file).with_suffix(""))) else f"{header_file}: {text}"


def to_millivolts(recording: np.ndarray, header: Header, source: object = None) -> np.ndarray:
    """Convert ADC units to mV, (12, n_samples), float32, in the order of `LEADS`; other signals are ignored.

    `recording` is (n_signals, n_samples), real: raw ADC units in the header's order. Samples are missing where they are
    not finite or have the value by which the lead's WFDB format says so (-32768 for 16-bit formats and MATLAB files).
    They become NaN, a missing lead a row of NaN.

    Raises RecordingError, which names `source` or the recording's id, if the number of signals is not the header's,
    none of the twelve leads is there, or one is there twice with different samples.
    """
    name = source or header.recording_id
    if recording.ndim != 2 or recording.shape[0] != len(header.leads):
        raise problem(name, f"{len(header.leads)} signals ({', '.join(header.leads)})", f"shape {recording.shape}")
    if not set(LEADS) & set(header.leads):
        raise problem(name, f"some of the leads {', '.join(LEADS)}", shown(", ".join(header.leads)))
    rows = [i for i, lead in enumerate(header.leads) if lead in LEADS]
    millivolts = np.full((len(LEADS), recording.shape[1]), np.nan, dtype=np.float32)
    for i, row in zip(rows, _convert(recording, header, rows), strict=True):
        lead = header.leads[i]
        if lead in header.leads[:i] and not np.array_equal(row, millivolts[LEADS.index(lead)], equal_nan=True):
            raise problem(name, f"lead {lead} once", "it twice with different samples")
        millivolts[LEADS.index(lead)] = row
    return millivolts


def _convert(recording: np.ndarray, header: Header, rows: list[int]) -> np.ndarray:
    """Some signals from ADC units to mV, float32 (n_rows, n_samples)."""
    gains, baselines = (np.array(values)[rows, np.newaxis] for values in (header.adc_gains, header.baselines))
    markers = [_MISSING_SAMPLE.get(re.split(r"\D", header.formats[i])[0], -32768) for i in rows]
    # A MATLAB copy of a record in a narrow format marks missing samples in the 16-bit way.
    narrow = np.array(markers)[:, np.newaxis] > -32768
    millivolts = np.empty((len(rows), recording.shape[1]), dtype=np.float32)
    for first in range(0, recording.shape[1], _AT_ONCE):
        raw = np.ascontiguousarray(recording[rows, first : first + _AT_ONCE])
        missing = raw == (markers[0] if len(set(markers)) == 1 else np.array(markers)[:, np.newaxis])
        if narrow.any():
            missing |= (raw == -32768) & narrow
        with np.errstate(over="ignore", invalid="ignore"):
            exact = np.subtract(raw, baselines, dtype=np.float64)
            exact /= gains
            block = exact.astype(np.float32)
            if not np.isfinite(block.sum()):
                missing |= ~np.isfinite(block)
        if missing.any():
            block[missing] = np.nan
        millivolts[:, first : first + _AT_ONCE] = block
    return millivolts
