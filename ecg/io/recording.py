"""A recording: its header and its signal in mV."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from ecg.io.errors import RecordingError, problem, shown
from ecg.io.header import Header, load_header, parse_header
from ecg.io.readers.matlab import load_mat
from ecg.io.readers.wfdb_files import load_dat
from ecg.leads import LEADS

# What a WFDB format writes where a sample is missing (signal(5)); -32768 for those not named here.
_MISSING_SAMPLE = {"80": -128, "508": -128, "310": -512, "311": -512, "212": -2048}
_MISSING_SAMPLE |= {"24": -(2**23), "524": -(2**23), "32": -(2**31)}


def read_recording(header_file: str | os.PathLike[str]) -> tuple[Header, np.ndarray]:
    """Read a header and the recording it describes.

    Parameters
    ----------
    header_file : path
        The `.hea` file; its signal files are those of `signal_files`.

    Returns
    -------
    header : Header
    recording : ndarray, shape (12, n_samples), float32, mV
        As of `to_millivolts`.

    Raises
    ------
    RecordingError
        For everything wrong with either file, for recordings of less than one second, and for those without any signal
        (each lead has one value all the time, or none).
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


def signal_files(header_file: str | os.PathLike[str], header: Header) -> dict[str, Path]:
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


def describe_failure(header_file: str | os.PathLike[str], error: Exception) -> str:
    """A sentence on why a recording could not be used, which names the recording whatever file the error is about."""
    text = str(error) if isinstance(error, RecordingError) else f"{type(error).__name__}: {error}"
    return text if text.startswith(os.fspath(Path(header_file).with_suffix(""))) else f"{header_file}: {text}"


def to_millivolts(recording: np.ndarray, header: Header, source: object = None) -> np.ndarray:
    """Convert ADC units to mV and put the leads in order.

    Parameters
    ----------
    recording : ndarray, shape (n_signals, n_samples), real
        Raw ADC units, in the header's order. Samples are missing where they are not finite or have the value by which
        the lead's WFDB format says so (-32768 for 16-bit formats and MATLAB files).
    header : Header
        Of this recording.
    source : object
        What errors name, the recording's id if None.

    Returns
    -------
    ndarray, shape (12, n_samples), float32, mV
        In the order of `LEADS`; NaN where a sample is missing, a whole row of NaN where the lead is missing. Other
        signals are ignored.

    Raises
    ------
    RecordingError
        Where the number of signals is not the header's, where none of the twelve leads is there, or where one is there
        twice with different samples.
    """
    name = source or header.recording_id
    if recording.ndim != 2 or recording.shape[0] != len(header.leads):
        raise problem(name, f"{len(header.leads)} signals ({', '.join(header.leads)})", f"shape {recording.shape}")
    if not set(LEADS) & set(header.leads):
        raise problem(name, f"some of the leads {', '.join(LEADS)}", shown(", ".join(header.leads)))
    millivolts = np.full((len(LEADS), recording.shape[1]), np.nan, dtype=np.float32)
    for i, lead in enumerate(header.leads):
        if lead not in LEADS:
            continue
        row = _convert(recording[i], header.adc_gains[i], header.baselines[i], header.formats[i])
        if lead in header.leads[:i] and not np.array_equal(row, millivolts[LEADS.index(lead)], equal_nan=True):
            raise problem(name, f"lead {lead} once", "it twice with different samples")
        millivolts[LEADS.index(lead)] = row
    return millivolts


def _convert(raw: np.ndarray, gain: float, baseline: float, format_: str) -> np.ndarray:
    """One lead from ADC units to float32 mV."""
    marker = _MISSING_SAMPLE.get(re.split(r"\D", format_)[0], -32768)
    missing = raw == marker
    if marker > -32768:  # a MATLAB copy of a record in a narrow format marks missing samples in the 16-bit way
        missing |= raw == -32768
    with np.errstate(over="ignore", invalid="ignore"):
        millivolts: np.ndarray = ((raw.astype(np.float64) - baseline) / gain).astype(np.float32)
    millivolts[missing | ~np.isfinite(millivolts)] = np.nan
    return millivolts
