"""What the reader of a clinical format gives back: samples as stored, a header, the device's report, the identity."""

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ecg.arrays import Array
from ecg.io.errors import problem, shown
from ecg.io.files import StrPath
from ecg.io.header import HIGHEST_FREQUENCY, LOWEST_FREQUENCY, Header
from ecg.io.readers.dates import known_age
from ecg.io.readers.lead_labels import notes_on
from ecg.leads import LEADS

LONGEST_MINUTES = 30.0  # of a recording that is read whole: what the methods are made for


@dataclass(frozen=True)
class DeviceReport:
    """What the electrocardiograph, or the software behind it, said of the recording.

    `maker` and `model` are empty where unknown. `acquired` is when the recording began, as written, mostly local time.
    `measurements` are those that are there of heart_rate_bpm, p_ms, pr_ms, qrs_ms, qt_ms, qtc_ms, p_axis_deg,
    qrs_axis_deg and t_axis_deg; `statements` the interpretation, line by line.
    """

    maker: str = ""
    model: str = ""
    acquired: datetime.datetime | None = None
    measurements: Mapping[str, float] = field(default_factory=dict)
    statements: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Identity:
    """Whose recording it is. Apart from all else, so that nothing writes it by accident; not even its repr shows it."""

    name: str = ""
    patient_id: str = ""
    birth_date: datetime.date | None = None
    others: Mapping[str, str] = field(default_factory=dict)  # further identifiers by what they are

    def __repr__(self) -> str:
        return "Identity(withheld)"


@dataclass(frozen=True)
class Stored:
    """A recording as a clinical format has it."""

    # Leads in file order, ADC units per mV; no labels. The recording's id is the file's name without its suffix.
    header: Header
    # (n_signals, n_samples): ADC units, int16 or int32, where the format has integers (-32768 in int16 means a missing
    # sample); else float64 mV with NaN for missing samples. `to_millivolts(samples, header)` makes mV of them.
    samples: Array
    device: DeviceReport = DeviceReport()
    identity: Identity = Identity()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided in reading that whoever uses the samples should know: the header's."""
        return self.header.notes


def as_small_integers(rows: Sequence[Array], path: StrPath) -> Array:
    """Leads of whole numbers as one array, (n_leads, n_samples), int16 where -32768 is none of them, else int32.

    Raises RecordingError where leads differ in length, or hold other numbers.
    """
    if len({row.size for row in rows}) > 1:
        raise problem(path, "leads of one length", shown(", ".join(str(row.size) for row in rows)))
    samples = np.array(rows) if rows else np.empty((0, 0))
    if samples.size and not (np.isfinite(samples) & (samples == np.rint(samples)) & (np.abs(samples) < 2**31)).all():
        raise problem(path, "samples that are whole numbers of 32 bits", "others")
    is_small = not samples.size or (samples.min() > -(2**15) and samples.max() < 2**15)
    return samples.astype(np.int16 if is_small else np.int32)


def make_header(
    path: StrPath,
    leads: Sequence[str],
    sampling_frequency: float,
    samples: Array,
    adc_gains: Sequence[float],
    baselines: Sequence[float] | None = None,
    age: float = math.nan,
    sex: str = "Unknown",
    *,
    birth: datetime.date | None = None,
    acquired: datetime.datetime | None = None,
    labels: Sequence[str] | None = None,
    notes: Sequence[str] = (),
) -> Header:
    """The header of a recording in a clinical format, checked.

    - `path`: the file; names the recording.
    - `leads`: in the order of `samples`; the twelve leads in standard spelling.
    - `sampling_frequency`: Hz.
    - `samples`, (n_signals, n_samples): as in `Stored`.
    - `adc_gains` and `baselines`: ADC units per mV, and ADC units at 0 mV (0 where left out).
    - `age`: years as written, NaN where unknown. What is no age (below 0, above 120) is unknown, and a note says
      so.
    - `sex`: "Female", "Male" or "Unknown".
    - `birth` and `acquired`: they give the age where it is not written (`known_age`).
    - `labels`: the leads' names as written; a note says where they are not the standard ones.
    - `notes`: further notes.

    Raises RecordingError if none of the twelve leads is there, the rate or the length (1 s to `LONGEST_MINUTES`) is out
    of bounds, or the gain of a lead is zero or not finite.
    """
    path = Path(path)
    if not set(LEADS) & set(leads):
        raise problem(path, f"some of the leads {', '.join(LEADS)}", shown(", ".join(leads)) if leads else "none")
    check_frequency(path, sampling_frequency)
    check_length(path, samples.shape[1], sampling_frequency)
    years, age_notes = known_age(age, birth, acquired)
    baselines = [0.0] * len(leads) if baselines is None else baselines
    for lead, gain, baseline in zip(leads, adc_gains, baselines, strict=True):
        if lead in LEADS and (gain == 0 or not math.isfinite(gain) or not math.isfinite(baseline)):
            raise problem(path, f"a scale for lead {lead}", f"{gain:g} ADC units per mV, {baseline:g} at 0 mV")
    return Header(
        recording_id=path.stem,
        sampling_frequency=float(sampling_frequency),
        n_samples=samples.shape[1],
        leads=tuple(leads),
        adc_gains=tuple(map(float, adc_gains)),
        baselines=tuple(map(float, baselines)),
        file_names=(path.name,) * len(leads),
        # As in WFDB, where the format says by which value a sample is missing: -32768 in 16 bits, -2**31 in 32.
        formats=("16" if samples.dtype == np.int16 else "32",) * len(leads),
        age=years,
        sex=sex,
        labels=(),
        notes=tuple(dict.fromkeys([*notes_on(leads if labels is None else labels), *age_notes, *notes])),
    )


def make_stored(
    path: StrPath,
    leads: Sequence[str],
    sampling_frequency: float,
    samples: Array,
    adc_gains: Sequence[float],
    baselines: Sequence[float] | None,
    device: DeviceReport,
    identity: Identity,
    **facts: Any,
) -> Stored:
    """A recording with the header that `make_header` makes of these; dates of birth and recording give the age too."""
    facts |= {"birth": identity.birth_date, "acquired": device.acquired}
    header = make_header(path, leads, sampling_frequency, samples, adc_gains, baselines, **facts)
    return Stored(header, samples, device, identity)


def check_frequency(path: StrPath, sampling_frequency: float) -> None:
    """RecordingError for a sampling frequency that no ECG has."""
    if not LOWEST_FREQUENCY <= sampling_frequency <= HIGHEST_FREQUENCY:
        bounds = f"{LOWEST_FREQUENCY:g} to {HIGHEST_FREQUENCY:g} Hz"
        raise problem(path, f"a sampling frequency of {bounds}", f"{sampling_frequency:g} Hz")


def check_length(path: StrPath, n_samples: int, sampling_frequency: float, mend: str = "") -> None:
    """RecordingError for less than 1 s and for more than `LONGEST_MINUTES`; `mend` says what to do about the latter."""
    if n_samples < sampling_frequency:
        raise problem(path, f"at least 1 s ({sampling_frequency:g} samples)", f"{n_samples} samples")
    minutes = n_samples / sampling_frequency / 60
    if minutes > LONGEST_MINUTES:
        raise problem(path, f"at most {LONGEST_MINUTES:g} minutes{mend}", f"{minutes:.1f} minutes")


def check_together(path: StrPath, leads: Sequence[str], elsewhere: Iterable[str]) -> None:
    """RecordingError if an unread part of the file has further leads.

    Three leads at a time for 2.5 s each are such files: a part would pass for the whole.
    """
    if apart := [lead for lead in dict.fromkeys(elsewhere) if lead in LEADS and lead not in leads]:
        found = f"{', '.join(apart)} apart from {', '.join(leads)}"
        raise problem(path, "leads that were recorded together", shown(found))
