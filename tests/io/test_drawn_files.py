"""All that is read of some hundred files with random fields, as it was noted.

`PYTHONPATH=.:tests python tests/io/test_drawn_files.py` notes it anew: read what has changed before you commit it.
"""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest

from drawing import Draw
from drawn_files import MAKERS
from ecg.io.errors import RecordingError
from ecg.io.formats import read_any
from ecg.io.readers.ishne import read_ishne
from ecg.io.readers.tables import read_table

GOLDEN = Path(__file__).with_name("drawn_files.json")
N_FILES = {"table": 60, "challenge": 50, "dicom": 36, "scp": 36, "aecg": 30, "mfer": 44}  # 24 of the others


def told(stored):
    """What was read, in few words; what is not there is left out."""
    header, device, identity = stored.header, stored.device, stored.identity
    samples = np.nan_to_num(stored.samples, nan=-999).round(9) + 0  # one NaN, one zero
    samples = samples.astype(samples.dtype.newbyteorder("<"))
    scale = [f"{gain:.9g} {zero:.9g}" for gain, zero in zip(header.adc_gains, header.baselines, strict=True)]
    about = {
        "leads": " ".join(header.leads),
        "rate": round(header.sampling_frequency, 6),
        "scale": scale[: 1 if len(set(scale)) == 1 else None],
        "samples": f"{samples.dtype} {samples.shape[1]} {zlib.crc32(samples.tobytes()):08x}",
        "age": None if math.isnan(header.age) else round(header.age, 5),
        "sex": header.sex.replace("Unknown", ""),
        "device": " | ".join(filter(None, (device.maker, device.model, str(device.acquired or "")))),
        "measured": {name: round(value, 6) for name, value in device.measurements.items()},
        "statements": list(device.statements),
        "notes": list(header.notes),
        "labels": list(header.labels),
        "who": " | ".join((identity.name, identity.patient_id, str(identity.birth_date or ""))),
        "others": dict(identity.others),
    }
    return {key: value for key, value in about.items() if value or value == 0}


def read(folder, format_, i):
    made = MAKERS[format_](Draw(i, *format_.encode()))
    made = made if isinstance(made, dict) else {".bin": made}
    files = {folder / (f"x{name}" if name[0] == "." else name): data for name, data in made.items()}
    for path, data in files.items():
        path.write_bytes(data)
    path = next(path for path in files if path.suffix != ".json")
    try:
        return told(read_any(path))
    except RecordingError as error:
        return str(error).replace(str(folder), "folder")
    finally:
        for each in files:
            each.unlink()


def read_with_options(folder, i):
    """A table of which the caller says more than its file does."""
    draw = Draw(i, *b"options")
    samples = draw.integers(3, 150)
    np.save(folder / "x.npy", draw.of(samples.astype("i2"), samples / 8, samples.T.astype("i8")))
    usual = {"sampling_frequency": 100, "unit": "uV", "leads": ["I", "II", "V1"], "adc_gain": 200}
    wrong = {"sampling_frequency": 49, "unit": "mmHg", "leads": ["I", "II"], "adc_gain": 0}
    options = {
        name: draw.of(usual[name], usual[name], usual[name], wrong[name]) for name in usual if draw.of(1, 1, 1, 0)
    }
    sidecar = draw.of({}, {"sampling_frequency": 125, "unit": "mV", "leads": ["V1", "V2", "V3"], "age": 71})
    (folder / "x.json").write_text(json.dumps(sidecar))
    try:
        found = told(read_table(folder / "x.npy", **options))
    except RecordingError as error:
        found = {"error": str(error).replace(str(folder), "folder")}
    return {"options": options, "sidecar": len(sidecar), **found}


def read_part(folder, i):
    """A part of an ISHNE file."""
    draw = Draw(i, *b"part")
    (folder / "x.ecg").write_bytes(MAKERS["ishne"](Draw(1, *b"ishne")))
    start, stop = draw.of(0, 7, 30, 0, 7, 30, -1), draw.of(None, 150, 149, 131, 0, 151)
    try:
        found = told(read_ishne(folder / "x.ecg", start, stop))
    except RecordingError as error:
        return f"{start} {stop} {error}".replace(str(folder), "folder")
    return f"{start} {stop} {found['samples']}"


READERS = {"options of tables": (read_with_options, 24), "parts of ISHNE files": (read_part, 16)}


@pytest.mark.parametrize("format_", MAKERS)
def test_files_with_any_fields_are_read_as_was_noted(tmp_path, format_):
    noted = json.loads(GOLDEN.read_text())[format_]
    for i, expected in enumerate(noted):
        assert read(tmp_path, format_, i) == expected, f"file {i}"


@pytest.mark.parametrize("what", READERS)
def test_arguments_of_readers_count_as_was_noted(tmp_path, what):
    for i, expected in enumerate(json.loads(GOLDEN.read_text())[what]):
        assert READERS[what][0](tmp_path, i) == expected, f"file {i}"


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = {one: [read(Path(folder), one, i) for i in range(N_FILES.get(one, 24))] for one in MAKERS}
        found |= {what: [function(Path(folder), i) for i in range(n)] for what, (function, n) in READERS.items()}
    rows = (
        f"{json.dumps(one)}: [\n" + ",\n".join(json.dumps(each, ensure_ascii=False) for each in rows) + "\n]"
        for one, rows in found.items()
    )
    GOLDEN.write_text("{\n" + ",\n".join(rows) + "\n}\n")
