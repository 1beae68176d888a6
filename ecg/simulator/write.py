"""Simulated recordings as Challenge files."""

import math
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecg.io.files import StrPath, write_file
from ecg.leads import LEADS
from ecg.simulator.diagnoses import STATEMENTS
from ecg.simulator.simulate import Simulated


def write_recording(
    folder: StrPath,
    recording_id: str,
    simulated: Simulated,
    *,
    dialect: str = "2020",
    gain: float = 1000,
    baseline: int = 0,
    leads: Sequence[str] = LEADS,
    file_format: str = "mat",
) -> Path:
    """Write a recording as a header and a signal file, as the Challenge ships them.

    - `folder`: made if absent.
    - `recording_id`: file stem.
    - `simulated`: NaN is written as -32768, WFDB's sign for a missing sample; what 16 bits can't hold is clipped.
    - `dialect`: "2020" (`16+24 1000/mV`, `#Age: 74`, a date) or "2021" (`16x1+24 1000.0(0)/mV`, `# Age: 74`, no
      date).
    - `gain`: ADC units per mV.
    - `baseline`: ADC units at 0 mV.
    - `leads`: the leads to write, in this order.
    - `file_format`: "mat" (MATLAB level 4) or "dat" (WFDB format 16).

    Returns the header file. Raises ValueError for an unknown dialect, lead or file format, and for a gain that is not
    positive.
    """
    for what, given, known in (("dialect", dialect, ("2020", "2021")), ("file format", file_format, ("mat", "dat"))):
        if given not in known:
            raise ValueError(f"{recording_id}: expected {what} {' or '.join(known)}, found {given!r}")
    if not (math.isfinite(gain) and gain > 0):
        raise ValueError(f"{recording_id}: expected a positive gain, found {gain}")
    unknown = [lead for lead in leads if lead not in LEADS]
    if unknown or not leads:
        found = ", ".join(unknown) or "none"
        raise ValueError(f"{recording_id}: expected leads out of {', '.join(LEADS)}, found {found}")

    signal = simulated.signal[[LEADS.index(lead) for lead in leads]].astype(np.float64)
    rounded = np.clip(np.rint(signal * gain + baseline), -32767, 32767)
    recording = np.where(np.isnan(rounded), -32768, rounded).astype("<i2")

    file_name = f"{recording_id}.{file_format}"
    samples = recording.tobytes(order="F")
    if file_format == "mat":  # level 4: type 30 is a little-endian int16 matrix; then its shape and its name
        samples = struct.pack("<5i4s", 30, *recording.shape, 0, 4, b"val") + samples
    offset = "+24" if file_format == "mat" else ""
    frequency = f"{simulated.sampling_frequency:g}"
    date = " 01-Jan-2020 12:00:00" if dialect == "2020" else ""
    units = f"{gain:g}({baseline})/mV" if baseline else f"{gain:g}/mV"
    sample_format, comment = "16" + offset, "#"
    if dialect == "2021":
        units, sample_format, comment = f"{float(gain)}({baseline})/mV", "16x1" + offset, "# "
    lines = [f"{recording_id} {len(leads)} {frequency} {recording.shape[1]}{date}"]
    for lead, values in zip(leads, recording, strict=True):
        checksum = int(values.sum(dtype=np.int64).astype(np.int16))
        lines.append(f"{file_name} {sample_format} {units} 16 0 {values[0]} {checksum} 0 {lead}")
    statement = STATEMENTS.get(simulated.parameters.statement)
    said = {"Age": f"{simulated.age:g}", "Sex": simulated.sex, "Dx": ",".join(simulated.labels)}
    said |= dict.fromkeys(("Rx", "Hx", "Sx"), "Unknown")
    if statement is not None:
        said |= {"Statement": statement.words, "PTB-XL": ",".join(statement.ptb_xl)}
        said["AHA"] = ",".join(map(str, statement.aha))
    lines += [f"{comment}{name}: {text}" for name, text in said.items()]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / file_name, samples)
    header_file = folder / f"{recording_id}.hea"
    write_file(header_file, "\n".join(lines) + "\n")
    return header_file
