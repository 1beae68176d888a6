"""What a user of `import ecg` calls that is not a class: recordings in, out and measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from ecg.io import formats, inputs
from ecg.io.device_statements import load_statements
from ecg.io.errors import RecordingError, problem
from ecg.io.files import StrPath
from ecg.io.inputs import Paths
from ecg.io.recording import Recording
from ecg.io.stored import Stored, make_header
from ecg.io.writers.dicom_writer import write_dicom
from ecg.io.writers.exports import header_comments, write_challenge, write_csv, write_edf
from ecg.leads import LEADS
from ecg.measurements.types import Measurements
from ecg.resources import shipped_models

if TYPE_CHECKING:
    from ecg.inference.classifier import Classifier
    from ecg.inference.interpret_recordings import Interpretation
    from ecg.interpretation.comparison import Comparison


def read(path: StrPath, *, labels: StrPath | None = None) -> Recording:
    """Read one recording in any format.

    Parameters
    ----------
    path : path
        A file; of a Challenge (WFDB) recording its header, its signal file, or its name without suffix.
    labels : path or "common", optional
        Take diagnoses of clinical formats from the device's statements: a CSV file with the columns statement and code,
        which comes before the table of common statements; "common" for that table alone.

    Returns
    -------
    Recording

    Raises
    ------
    RecordingError
        For everything wrong with the file, and where `path` is a folder.

    Examples
    --------
    >>> import ecg
    >>> path = ecg.write(ecg.simulate("AF", seed=7), "patient.hea")
    >>> recording = ecg.read("patient.hea")
    >>> recording.signal.shape, recording.signal.dtype, recording.sampling_frequency
    ((12, 5000), dtype('float32'), 500.0)
    >>> "164889003" in recording.labels
    True
    """
    if os.path.isdir(path):
        raise problem(path, "one recording", "a folder; read_all reads those in it")
    return formats.read(inputs.recording_path(path), load_statements(labels) if labels else None)


@overload
def read_all(
    recordings: Paths, *, errors: Literal["raise"] = ..., labels: StrPath | None = ...
) -> Iterator[Recording]: ...
@overload
def read_all(
    recordings: Paths, *, errors: Literal["return"], labels: StrPath | None = ...
) -> Iterator[Recording | RecordingError]: ...
def read_all(
    recordings: Paths, *, errors: str = "raise", labels: StrPath | None = None
) -> Iterator[Recording | RecordingError]:
    """Read recordings one after another: of a folder, a pattern, several paths, or a text file that lists these.

    Parameters
    ----------
    recordings : path or iterable of paths
        Files, folders (with those below), patterns such as ``data/*.dcm``, text files with one of these per line.
    errors : {"raise", "return"}
        What to do with a recording that can't be read: raise its error, or yield the error in its place and go on.
    labels : path or "common", optional
        As of `read`.

    Returns
    -------
    iterator of Recording or RecordingError

    Raises
    ------
    RecordingError
        From the iterator, unless errors are returned.
    ValueError
        Where an input leads nowhere, or to no recording.

    Examples
    --------
    >>> import ecg
    >>> for seed in range(3):
    ...     path = ecg.write(ecg.simulate("SB", seed=seed), f"ward/{seed}.hea")
    >>> [recording.name for recording in ecg.read_all("ward")]
    ['0', '1', '2']
    >>> damaged = open("ward/1.mat", "w").close()
    >>> [type(each).__name__ for each in ecg.read_all("ward", errors="return")]
    ['Recording', 'RecordingError', 'Recording']
    """
    if errors not in ("raise", "return"):
        raise ValueError(f"errors: expected 'raise' or 'return', found {errors!r}")
    return _read_each(inputs.expand_inputs(recordings), errors == "raise", labels)


def _read_each(
    found: Iterator[inputs.Found], raises: bool, labels: StrPath | None
) -> Iterator[Recording | RecordingError]:
    statements = load_statements(labels) if labels else None
    for each in found:
        try:
            yield formats.read(each.path, statements)
        except RecordingError as error:
            if raises:
                raise
            yield error


def measure(
    recording: Recording | StrPath | ArrayLike, sampling_frequency: float | None = None, *, unit: str = "mV"
) -> Measurements:
    """Measure a recording as an electrocardiograph does: rate, intervals, axes, median beat, beats, quality.

    Parameters
    ----------
    recording : Recording, path, or array_like of shape (12, n_samples)
        An array has the leads I, II, III, aVR, aVL, aVF, V1 to V6, with NaN where a sample or a lead is missing.
    sampling_frequency : float
        Hz; of an array, and of nothing else.
    unit : {"mV", "uV"}
        Of an array.

    Returns
    -------
    Measurements
        NaN where something can't be measured.

    Raises
    ------
    RecordingError
        Where a file can't be read, or an array or its sampling frequency or unit can't be used.

    Examples
    --------
    >>> import ecg
    >>> recording = ecg.simulate("SB", seed=3)
    >>> measured = ecg.measure(recording)
    >>> bool(measured.heart_rate_bpm < 60), bool(70 < measured.qrs_ms < 120)
    (True, True)
    >>> again = ecg.measure(1000 * recording.signal, sampling_frequency=500, unit="uV")
    >>> abs(again.qrs_ms - measured.qrs_ms) < 1
    True
    """
    from ecg.measurements.measure import measure as measure_signal

    given = inputs.as_recording(recording, sampling_frequency, unit)
    return measure_signal(given.signal, given.sampling_frequency)


def interpret(
    recording: Recording | StrPath | ArrayLike,
    sampling_frequency: float | None = None,
    *,
    unit: str = "mV",
    models: Sequence[Classifier] | None = None,
    definitions: str = "clinical",
) -> Interpretation:
    """Put a recording into statements of the AHA/ACC/HRS list, with certainty and evidence.

    Parameters
    ----------
    recording, sampling_frequency, unit
        As of `measure`.
    models : sequence of Classifier, optional
        Whose probabilities are used; the shipped ones if left out, () for measured criteria alone.
    definitions : {"clinical", "ptb-xl"}
        Whose limits and prior odds are followed.

    Returns
    -------
    Interpretation
        Its `statements` have what is acute first.

    Raises
    ------
    RecordingError
        As of `measure`.
    ValueError
        Where there are no such definitions.

    Examples
    --------
    >>> import ecg
    >>> found = ecg.interpret(ecg.simulate("SB", seed=3), models=())
    >>> "sinus bradycardia" in [each.statement.lower() for each in found.statements]
    True
    """
    from ecg.inference.interpret_recordings import interpret_recording

    given = inputs.as_recording(recording, sampling_frequency, unit)
    return interpret_recording(given, _shipped() if models is None else models, definitions)


@cache
def _shipped() -> list[Classifier]:
    from ecg.inference.classifier import load_model

    return [load_model(folder) for folder in shipped_models()]


def compare(before: Interpretation, after: Interpretation) -> Comparison:
    """Compare two interpreted recordings of one patient.

    Parameters
    ----------
    before, after : Interpretation
        From `interpret`.

    Returns
    -------
    Comparison
        Measured changes, comparison statements, statements that are new or gone.

    Raises
    ------
    ValueError
        Where one of them has no measurements.

    Examples
    --------
    >>> import ecg
    >>> slow, fast = (ecg.interpret(ecg.simulate(rhythm, seed=3), models=()) for rhythm in ("SB", "STach"))
    >>> changes = ecg.compare(slow, fast).changes
    >>> changes[0].difference > 30
    True
    """
    from ecg.interpretation.comparison import Ecg, compare

    if before.measured is None or after.measured is None:
        raise ValueError("compare: expected two interpretations with measurements, found one without")
    return compare(Ecg(before.measured, before.statements), Ecg(after.measured, after.statements))


def write(recording: Recording, path: StrPath) -> Path:
    """Write a recording as Challenge files, DICOM, EDF or CSV, without anything that identifies the patient.

    A file that is there already is replaced; each file is written whole or not at all.

    Parameters
    ----------
    recording : Recording
    path : path
        Its suffix says the format: `.hea` (with a `.mat` beside it), `.dcm`, `.edf`, or `.csv` (with a `.json` beside
        it). Its folder is made where absent.

    Returns
    -------
    pathlib.Path
        The file, `.bdf` in place of `.edf` where 16 bits are too few.

    Raises
    ------
    RecordingError
        For another suffix, and where the format can't hold the recording.

    Examples
    --------
    >>> import ecg
    >>> recording = ecg.simulate("LBBB", seed=2)
    >>> path = ecg.write(recording, "copy.csv")
    >>> bool(abs(ecg.read(path).signal - recording.signal).max() < 1e-6)
    True
    """
    path = Path(path)
    writers: dict[str, Callable[[Path, Stored], Path]] = {
        ".hea": lambda folder, stored: write_challenge(folder, stored, list(header_comments(stored, recording.format))),
        ".dcm": write_dicom,
        ".edf": write_edf,
        ".csv": lambda folder, stored: write_csv(folder, stored, recording.signal),
    }
    if path.suffix not in writers:
        raise problem(path, f"one of the suffixes {', '.join(writers)}", path.suffix or "none")
    there = [k for k, row in enumerate(recording.signal) if not np.isnan(row).all()]
    samples, gains = recording.signal[there].astype(np.float64), [1.0] * len(there)
    leads = [LEADS[k] for k in there]
    header = make_header(
        path, leads, recording.sampling_frequency, samples, gains, age=recording.age, sex=recording.sex
    )
    stored = Stored(replace(header, labels=recording.labels, notes=recording.notes), samples, recording.device)
    path.parent.mkdir(parents=True, exist_ok=True)
    return writers[path.suffix](path.parent, stored)


def simulate(
    diagnosis: str | None = None, *, seed: int = 1, sampling_frequency: float = 500, seconds: float = 10
) -> Recording:
    """Simulate a recording.

    Parameters
    ----------
    diagnosis : str, optional
        An abbreviation such as "AF", or a SNOMED CT code; drawn if left out.
    seed : int
        From 0 up. The same arguments give the same recording.
    sampling_frequency : float
        Hz, 100 to 1000.
    seconds : float

    Returns
    -------
    Recording
        Labelled, with age and sex.

    Raises
    ------
    ValueError
        For a diagnosis, rate or length that can't be simulated.

    Examples
    --------
    >>> import ecg
    >>> ecg.simulate("AF", seed=7)
    Recording(AF-7: 12 leads, 10 s at 500 Hz, simulated)
    """
    from ecg.simulator.simulate import simulate_recording

    made = simulate_recording(seed, 1, diagnosis, sampling_frequency, seconds)
    return Recording(
        made.signal.astype(np.float32),
        made.sampling_frequency,
        f"{diagnosis or 'simulated'}-{seed}",
        made.age,
        made.sex,
        made.labels,
        format="simulated",
    )
