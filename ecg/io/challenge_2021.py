"""The functions of the 2021 Challenge's helper code, on headers of any dialect."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecg.io.files import StrPath
from ecg.io.header import load_header, parse_header
from ecg.io.readers.matlab import load_mat
from ecg.io.readers.wfdb_files import load_dat
from ecg.leads import LEAD_SETS, LEADS

lead_sets = twelve_leads, six_leads, four_leads, three_leads, two_leads = tuple(LEAD_SETS.values())


def is_number(x: object) -> bool:
    """Whether x is a number or the text of one, NaN and infinity included."""
    try:
        float(x)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def is_finite_number(x: object) -> bool:
    """Whether x is a finite number or the text of one."""
    return is_number(x) and math.isfinite(float(x))  # type: ignore[arg-type]


def is_integer(x: object) -> bool:
    """Whether x is a whole number or the text of one ("2.0" is)."""
    return is_number(x) and float(x).is_integer()  # type: ignore[arg-type]


def sort_leads(leads: Sequence[str]) -> tuple[str, ...]:
    """The twelve leads that are among `leads`, in standard order, then the others in their order."""
    return tuple(lead for lead in LEADS if lead in leads) + tuple(lead for lead in leads if lead not in LEADS)


def load_recording(
    recording_file: StrPath, header: str | None = None, leads: Sequence[str] | None = None, key: str = "val"
) -> np.ndarray:
    """The raw recording, (n_signals, n_samples), ADC units.

    With the header's text it is checked against that; with `leads` too, it is cut down to these by `choose_leads`. A
    WFDB file needs the header's text, or the header file beside it.
    """
    path = Path(recording_file)
    if path.suffix.lower() == ".mat":
        recording = load_mat(path, parse_header(header) if header else None, key)
    else:
        text = header or load_header(path.with_suffix(".hea"))
        recording = load_dat(text, "header", dict.fromkeys(parse_header(text).file_names, path))
    # What comes out of a file's bytes can't be changed in place, and callers may want to.
    return choose_leads(recording, header, leads) if header and leads else np.require(recording, requirements="W")


def choose_leads(recording: np.ndarray, header: str, leads: Sequence[str]) -> np.ndarray:
    """The rows of these leads in this order, (len(leads), n_samples), zeros where the header does not have the lead."""
    available = get_leads(header)
    chosen = np.zeros((len(leads), recording.shape[1]), recording.dtype)
    for i, lead in enumerate(leads):
        if lead in available:
            chosen[i] = recording[available.index(lead)]
    return chosen


def get_recording_id(header: str) -> str:
    """The record's name, without a trailing `.mat`."""
    return parse_header(header).recording_id


def get_leads(header: str) -> tuple[str, ...]:
    """The leads in file order."""
    return parse_header(header).leads


def get_num_leads(header: str) -> int:
    """The number of signals."""
    return len(parse_header(header).leads)


def get_frequency(header: str) -> float:
    """The sampling frequency, Hz."""
    return parse_header(header).sampling_frequency


def get_num_samples(header: str) -> int | None:
    """The number of samples per lead, None where the header does not say."""
    return parse_header(header).n_samples


def get_adc_gains(header: str, leads: Sequence[str]) -> np.ndarray:
    """ADC units per mV of these leads, float64 (len(leads),), NaN where the header does not have the lead."""
    parsed = parse_header(header)
    return _of_leads(parsed.adc_gains, parsed.leads, leads)


def get_baselines(header: str, leads: Sequence[str]) -> np.ndarray:
    """ADC units at 0 mV of these leads, float64 (len(leads),), NaN where the header does not have the lead."""
    parsed = parse_header(header)
    return _of_leads(parsed.baselines, parsed.leads, leads)


def _of_leads(values: Sequence[float], available: Sequence[str], leads: Sequence[str]) -> np.ndarray:
    return np.array([values[available.index(lead)] if lead in available else math.nan for lead in leads])


def get_age(header: str) -> float:
    """Years, NaN where unknown."""
    return parse_header(header).age


def get_sex(header: str) -> str:
    """Female, Male or Unknown."""
    return parse_header(header).sex


def get_labels(header: str) -> list[str]:
    """The codes of the Dx line."""
    return list(parse_header(header).labels)
