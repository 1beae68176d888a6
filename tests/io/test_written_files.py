"""What the writers write of recordings with random fields, as it was noted: texts whole, DICOM and EDF field by field.

`PYTHONPATH=.:tests python tests/io/test_written_files.py` notes it anew: read what has changed before you commit it.
"""

import datetime
import json
import math
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest

from drawing import Draw
from ecg.io.errors import RecordingError
from ecg.io.header import Header
from ecg.io.recording import to_millivolts
from ecg.io.stored import DeviceReport, Identity, Stored, make_header
from ecg.io.writers.aecg_writer import write_aecg
from ecg.io.writers.dicom_writer import write_dicom
from ecg.io.writers.exports import NOBODY, header_comments, write_challenge, write_csv, write_edf
from ecg.io.writers.scp_writer import write_scp
from ecg.leads import LEADS

GOLDEN = Path(__file__).with_name("written_files.json")
FORMATS = ("challenge", "csv", "edf", "dicom", "aecg", "scp")
N_FILES = {"challenge": 14, "csv": 12, "edf": 20, "dicom": 6, "aecg": 6, "scp": 24}
NAMES = ("heart_rate_bpm", "p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "p_axis_deg", "qrs_axis_deg", "t_axis_deg")


def recording(draw):
    leads = draw.of(("I", "II", "V1"), ("aVF", "V6"), ("II", "Resp", "III"))
    kind = draw.of("i2", "i2", "i2", "i4", "f8")
    n_samples = draw.of(250, 240, 251)
    samples = draw.integers(len(leads), n_samples, draw.of(900, 900, 32767) if kind != "i4" else 70000).astype(kind)
    gains = [draw.of(200.0, 204.91803278688525, 1000.0, -400.0, 1000 / 3)] * len(leads)
    baselines = [draw.of(0.0, 0.0, 12.0, -1.5)] * len(leads)
    if kind == "f8":
        samples, gains, baselines = samples / 1024, [1.0] * len(leads), [0.0] * len(leads)
    if draw.of(False, False, True):
        gains[-1] *= 2
        baselines[-1] += draw.of(0, 3)
    if leads[1] == "Resp" and draw.of(False, True):
        gains[1] = baselines[1] = math.nan
    missing = math.nan if kind == "f8" else np.iinfo(kind).min
    if draw.of(False, False, False, True):
        samples[-1] = missing
    if draw.of(*[False] * 9, True):
        samples[0, 3] = missing
    rate = draw.of(250.0, 500.0, 100.0, 200.0, 125.0, 240.0, 1000 / 3, 257.0)
    age = draw.of(71.0, 59.75, 1.5, 0.1, 0.0, math.nan)
    labels = draw.of((), ("426783006",), ("164889003", "59118001", "1234567"))
    header = Header(
        f"r{n_samples}",
        rate,
        n_samples,
        leads,
        tuple(gains),
        tuple(baselines),
        ("x",) * len(leads),
        ("16" if kind == "i2" else "32",) * len(leads),
        age,
        draw.of("Female", "Male", "Unknown"),
        labels,
        draw.of((), ("A note",)),
    )
    values = (61.5, 108.0, 158.4, 96.0, 420.25, 443.0, 51.0, -61.6, 180.0)
    measurements = {name: value for name, value in zip(NAMES, values, strict=True) if draw.of(True, True, False)}
    acquired = draw.of(None, datetime.datetime(2022, 11, 20, 14, 5, 59), datetime.datetime(1999, 1, 2, 3, 4, 5))
    lines = draw.of((), ("Sinus rhythm", "Links\\rechts \n é"))
    device = DeviceReport(
        draw.of("", "Maker 1"), draw.of("", "Model\t1"), acquired, draw.of(measurements, measurements, {}), lines
    )
    born = draw.of(None, datetime.date(1951, 3, 29))
    known = Identity("Last First", "P 1", born, {"room": "R 1"})
    return Stored(header, samples, device), draw.of(NOBODY, known)


def element(each):
    """One element of a DICOM data set, or what is in its items."""
    if each.VR == "SQ":
        return [each.keyword, [[element(one) for one in item] for item in each.value]]
    if isinstance(each.value, bytes):
        return f"{each.keyword} {len(each.value)} {zlib.crc32(each.value):08x}"
    return f"{each.keyword} {each.value}"


def written(folder, format_, i):
    """What stands in the files, in few words."""
    stored, identity = recording(Draw(i, *format_.encode()))
    if format_ == "challenge":
        path = write_challenge(folder, stored, tuple(header_comments(stored, "Format 1", identity)))
        return [*path.read_text().splitlines(), crc(path.with_suffix(".mat").read_bytes())]
    if format_ == "csv":
        path = write_csv(folder, stored, to_millivolts(stored.samples, stored.header))
        lines = path.read_text().splitlines()
        return [*lines[:3], len(lines), crc(path.read_bytes()), json.loads(path.with_suffix(".json").read_text())]
    if format_ == "edf":
        path = write_edf(folder, stored, identity)
        data = path.read_bytes()
        size = int(data[184:192])
        return [path.name, " ".join(data[:size].decode("latin-1").split()), crc(data[size:])]
    if format_ == "dicom":
        dataset = pydicom.dcmread(write_dicom(folder, stored, identity))
        return [element(each) for each in dataset]
    if format_ == "aecg":
        text = write_aecg(folder, stored, identity).read_text()
        short = re.sub(
            r"<digits>(\S+ \S+)(.*?)</digits>", lambda m: f"<digits>{m[1]} {crc(m[2].encode())}</digits>", text
        )
        return re.split("(?<=</component>)|\n", short)
    data = write_scp(folder, stored, identity).read_bytes()
    found = [len(data), crc(data)]
    for place in range(22, 142, 10):
        number, length, index = struct.unpack_from("<HII", data, place)
        content = data[index - 1 : index - 1 + length][16:]
        found.append(
            f"{number} {length} {index} {repr(content)[2:-1] if number in (1, 3, 7, 8) else content[:16].hex()}"
        )
    return found


def crc(data):
    return f"{zlib.crc32(data):08x}"


def told(folder, format_, i):
    try:
        return written(folder, format_, i)
    except RecordingError as error:
        return str(error).replace(str(folder), "folder")


@pytest.mark.parametrize("format_", FORMATS)
def test_recordings_with_any_fields_are_written_as_was_noted(tmp_path, format_):
    for i, expected in enumerate(json.loads(GOLDEN.read_text())[format_]):
        assert told(tmp_path, format_, i) == expected, f"recording {i}"


@pytest.mark.parametrize(
    ("n_leads", "n_samples", "rate", "kind", "object_"),
    [
        (12, 16384, 500, "i2", 1),
        (13, 16384, 200, "i2", 1),
        (12, 16385, 500, "i2", 2),
        (14, 1000, 1000, "i2", 2),
        (24, 1000, 500, "i2", 2),
        (12, 1000, 500, "i4", 4),
        (24, 1000, 200, "i4", 4),
        (12, 1000, 199, "i2", 3),
        (12, 1000, 50, "i2", 3),
        (13, 1000, 199, "i2", None),
        (25, 1000, 500, "i2", None),
        (25, 1000, 500, "i4", None),
        (12, 1000, 199, "i4", None),
        (12, 1001, 1001, "i2", None),
    ],
)
def test_a_dicom_file_is_the_first_ecg_object_that_allows_for_the_recording(
    tmp_path, n_leads, n_samples, rate, kind, object_
):
    samples = np.arange(n_leads * n_samples).reshape(n_leads, n_samples).astype(kind)
    leads = [*LEADS, *(f"X{i}" for i in range(n_leads - 12))]
    stored = Stored(make_header(tmp_path / "a.x", leads, rate, samples, [200.0] * n_leads), samples)
    if object_ is None:
        with pytest.raises(RecordingError) as caught:
            write_dicom(tmp_path, stored)
        expected = "a recording that a DICOM ECG object allows (200 to 1000 Hz, at most 24 leads)"
        found = f"{n_leads} leads at {rate} Hz in {8 * np.dtype(kind).itemsize} bits"
        assert str(caught.value) == f"{tmp_path}/a.dcm: expected {expected}, found {found}"
    else:
        dataset = pydicom.dcmread(write_dicom(tmp_path, stored))
        assert (
            dataset.SOPClassUID == dataset.file_meta.MediaStorageSOPClassUID == f"1.2.840.10008.5.1.4.1.1.9.1.{object_}"
        )


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = {one: [told(Path(folder), one, i) for i in range(N_FILES[one])] for one in FORMATS}
    rows = (
        f"{json.dumps(one)}: [\n" + ",\n".join(json.dumps(each, ensure_ascii=False) for each in rows) + "\n]"
        for one, rows in found.items()
    )
    GOLDEN.write_text("{\n" + ",\n".join(rows) + "\n}\n")
