"""A recording written as Challenge files, CSV or EDF. Nothing of the identity, unless it is handed in."""

import json
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ecg.arrays import Array, Floats32
from ecg.io.errors import import_optional, problem
from ecg.io.files import write_file
from ecg.io.stored import Identity, Stored
from ecg.leads import LEADS

_NANOVOLTS = 1e6  # ADC units per mV for samples that come as mV: 1 nV
NOBODY = Identity()
_LONGEST_RECORD = 61440  # samples of a signal in a data record of EDF


def as_integers(stored: Stored) -> Stored:
    """The same with integers: those of the file, or nV where the file has mV (float)."""
    if stored.samples.dtype.kind == "i":
        return stored
    scaled = np.rint(stored.samples.astype(np.float64) * _NANOVOLTS)
    scaled[~(np.abs(scaled) < 2**31)] = -(2**31)  # missing, and what no ECG has
    n = len(stored.header.leads)
    header = replace(stored.header, adc_gains=(_NANOVOLTS,) * n, baselines=(0.0,) * n, formats=("32",) * n)
    return replace(stored, header=header, samples=scaled.astype(np.int32))


def missing_value(samples: Array) -> int:
    """The integer by which a sample is missing."""
    return int(np.iinfo(samples.dtype).min)


# ---- Challenge files -------------------------------------------------------------------------------------------------
def write_challenge(folder: Path, stored: Stored, comments: Sequence[str]) -> Path:
    """Write a header and a MATLAB file (level 4, `val`, int16 or int32) with the integers and gains of the recording.

    `comments` are lines behind those on age, sex and diagnoses, without `#`. Returns the header file.
    """
    stored = as_integers(stored)
    header, samples = stored.header, stored.samples
    name = header.recording_id
    n_bits = samples.dtype.itemsize * 8
    kind = 30 if n_bits == 16 else 20  # little-endian matrices of these
    content = struct.pack("<5i4s", kind, *samples.shape, 0, 4, b"val")
    content += samples.astype(f"<i{n_bits // 8}").tobytes(order="F")
    rate = np.format_float_positional(header.sampling_frequency, trim="-")
    lines = [f"{name} {len(header.leads)} {rate} {samples.shape[1]}"]
    for lead, row, gain, baseline in zip(header.leads, samples, header.adc_gains, header.baselines, strict=True):
        zero = f"({np.format_float_positional(baseline, trim='-')})" if baseline else ""
        checksum = int(row.sum(dtype=np.int64).astype(np.int16))
        scale = np.format_float_positional(gain, trim="-")  # the fewest digits that read back the same
        lines.append(f"{name}.mat {n_bits}+24 {scale}{zero}/mV {n_bits} 0 {row[0]} {checksum} 0 {_one_line(lead)}")
    age = "Unknown" if math.isnan(header.age) else f"{header.age:g}"
    lines += [f"#Age: {age}", f"#Sex: {header.sex}", f"#Dx: {','.join(header.labels) or 'Unknown'}"]
    lines += ["#Rx: Unknown", "#Hx: Unknown", "#Sx: Unknown", *(f"#{_one_line(comment)}" for comment in comments)]
    write_file(folder / f"{name}.mat", content)
    header_file = folder / f"{name}.hea"
    write_file(header_file, "\n".join(lines) + "\n")
    return header_file


def header_comments(stored: Stored, source: str, identity: Identity = NOBODY) -> Iterator[str]:
    """What the device said and the reader noted, as lines of a header; `source` is the format it came in."""
    device = stored.device
    yield f"Source: {source}"
    if device.maker or device.model:
        yield f"Device: {' '.join(filter(None, (device.maker, device.model)))}"
    for key, value in device.measurements.items():
        yield f"Measurement: {key} {value:.12g}"
    for statement in device.statements:
        yield f"Statement: {statement}"
    for note in stored.notes:
        yield f"Note: {note}"
    if identity is not NOBODY:
        yield f"Patient name: {identity.name}"
        yield f"Patient id: {identity.patient_id}"
        yield f"Birth date: {identity.birth_date or ''}"
        yield f"Acquired: {device.acquired or ''}"
        for what, text in identity.others.items():
            yield f"Identifier: {what}: {text}"


def _one_line(text: str) -> str:
    """Text on one line, without characters that don't print."""
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))


# ---- CSV -------------------------------------------------------------------------------------------------------------
def write_csv(folder: Path, stored: Stored, millivolts: Floats32) -> Path:
    """Write the leads that are there in mV, one column each, and a JSON file that says rate, unit and the rest."""
    header, device = stored.header, stored.device
    rows = [i for i, row in enumerate(millivolts) if not np.isnan(row).all()]
    lines = [",".join(LEADS[i] for i in rows)]
    columns = [["" if math.isnan(x) else np.format_float_positional(x, trim="-") for x in millivolts[i]] for i in rows]
    lines += [",".join(values) for values in zip(*columns, strict=True)]
    sidecar: dict[str, Any] = {
        "sampling_frequency": header.sampling_frequency,
        "unit": "mV",
        "leads": [LEADS[i] for i in rows],
        **({} if math.isnan(header.age) else {"age": header.age}),
        "sex": header.sex,
        "labels": list(header.labels),
        "maker": device.maker,
        "model": device.model,
        "measurements": dict(device.measurements),
        "statements": list(device.statements),
    }
    path = folder / f"{header.recording_id}.csv"
    write_file(path, "\n".join(lines) + "\n")
    write_file(path.with_suffix(".json"), json.dumps(sidecar, indent=2, ensure_ascii=False) + "\n")
    return path


# ---- EDF -------------------------------------------------------------------------------------------------------------
def write_edf(folder: Path, stored: Stored, identity: Identity = NOBODY) -> Path:
    """Write EDF (integers of 16 bits) or BDF (those of 24 bits), with the integers of the recording.

    The duration of a data record has eight characters. Where no length of records has such a duration, as for 6500
    samples of 360 Hz, it is rounded, and the rate is off by less than one in a million, which readers round away.
    Raises RecordingError where samples are missing, or larger than 24 bits, or where a number does not fit into the
    header.
    """
    stored = as_integers(stored)
    header, samples = stored.header, stored.samples
    path = folder / f"{header.recording_id}.edf"
    edfio = import_optional("edfio", path, "EDF")
    missing = np.equal(samples, missing_value(samples))
    # A channel without a scale, which is none of the twelve leads, is left out.
    kept = [i for i in np.flatnonzero(~missing.all(axis=1)).tolist() if math.isfinite(header.adc_gains[i])]
    if missing[kept].any():
        raise problem(path, "a recording without missing samples, which EDF can't mark", "some")
    wide = int(np.abs(samples[kept].astype(np.int64)).max(initial=0)) > 2**15 - 1
    limit = 2**23 - 1 if wide else 2**15 - 1
    n_in_record, seconds = _data_record(samples.shape[1], header.sampling_frequency, path)
    signals = []
    for i in kept:
        sign = math.copysign(1, header.adc_gains[i])  # edfio takes no negative gain
        row, microvolts, baseline = samples[i] * sign, 1000 / abs(header.adc_gains[i]), header.baselines[i] * sign
        top = _digital_limit(microvolts, baseline, int(np.abs(row).max()), limit, path)
        physical = (row - baseline) * microvolts
        bounds = (np.array([-top, top]) - baseline) * microvolts
        ranges = {"physical_range": (float(bounds[0]), float(bounds[1])), "digital_range": (-top, top)}
        about = {"label": f"ECG {header.leads[i]}"[:16], "physical_dimension": "uV", **ranges}
        try:
            signals.append((edfio.BdfSignal if wide else edfio.EdfSignal)(physical, n_in_record / seconds, **about))
        except ValueError as error:
            raise problem(path, f"a scale of lead {header.leads[i]} that fits into EDF's header", error) from error
    sex, name = {"Female": "F", "Male": "M"}.get(header.sex, "X"), _word(identity.name)
    patient = edfio.Patient(code=_word(identity.patient_id), sex=sex, birthdate=identity.birth_date, name=name)
    when = stored.device.acquired if identity is not NOBODY else None
    date, time = (when.date(), when.time()) if when else (None, None)
    recording = edfio.Recording(startdate=date, equipment_code=_word(stored.device.model))
    facts = {"patient": patient, "recording": recording, "starttime": time, "data_record_duration": seconds}
    file = (edfio.Bdf if wide else edfio.Edf)(signals, **facts)
    path = path.with_suffix(".bdf") if wide else path
    write_file(path, file.to_bytes())
    return path


def _digital_limit(microvolts: float, baseline: float, needed: int, limit: int, path: Path) -> int:
    """A digital maximum whose amplitude fits into EDF's eight characters, so that nothing is rounded."""
    highest = min(limit, int(9_999_999 / microvolts - abs(baseline)))  # with a minus before it
    for top in range(highest, max(needed, highest // 2) - 1, -1):
        amplitude = top * microvolts
        if len(f"{-amplitude:.10g}") <= 8 and abs(float(f"{amplitude:.10g}") - amplitude) < 1e-9 * amplitude:
            return top
    if needed > limit:
        raise problem(path, f"integers up to {limit}", needed)
    return max(needed, highest)


def _data_record(n_samples: int, rate: float, path: Path) -> tuple[int, float]:
    """Samples and seconds of a data record: a divisor of their number, for EDF has whole records only.

    The largest one up to 2,000 whose duration eight characters hold, else the one that they hold best.
    """
    divisors = [k for k in range(1, min(n_samples, 2000) + 1) if n_samples % k == 0]
    if n_samples <= _LONGEST_RECORD:
        divisors.append(n_samples)

    def rounded(k: int) -> float:
        return float(f"{k / rate:.{8 - len(f'{k / rate:.7f}'.partition('.')[0]) - 1}f}")

    def error(k: int) -> float:
        return abs(rounded(k) * rate / k - 1)

    exact = [k for k in divisors if k <= 2000 and error(k) < 1e-12]
    best = max(exact) if exact else min(divisors, key=error)
    if error(best) > 1e-6:
        raise problem(path, "a number of samples that EDF can cut into data records", f"{n_samples} at {rate:g} Hz")
    return best, rounded(best)


def _word(text: str) -> str:
    """As EDF+ has it: ASCII, no spaces, "X" where unknown."""
    return "_".join(text.encode("ascii", "replace").decode().split()) or "X"
