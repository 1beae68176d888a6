"""All that is read of some hundred files with random fields, as it was noted.

`PYTHONPATH=.:tests python tests/io/test_drawn_files.py` notes it anew: read what has changed before you commit it.
"""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest

from drawn_files import MAKERS, Draw
from ecg.io.errors import RecordingError
from ecg.io.formats import read_any

GOLDEN = Path(__file__).with_name("drawn_files.json")
N_FILES = {"table": 60, "challenge": 50, "dicom": 36, "scp": 36, "aecg": 30}  # 24 of the others


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
    files = {
        folder / f"x{suffix}": data for suffix, data in (made if isinstance(made, dict) else {".bin": made}).items()
    }
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


@pytest.mark.parametrize("format_", MAKERS)
def test_files_with_any_fields_are_read_as_was_noted(tmp_path, format_):
    noted = json.loads(GOLDEN.read_text())[format_]
    for i, expected in enumerate(noted):
        assert read(tmp_path, format_, i) == expected, f"file {i}"


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = {one: [read(Path(folder), one, i) for i in range(N_FILES.get(one, 24))] for one in MAKERS}
    rows = (
        f"{json.dumps(one)}: [\n" + ",\n".join(json.dumps(each, ensure_ascii=False) for each in rows) + "\n]"
        for one, rows in found.items()
    )
    GOLDEN.write_text("{\n" + ",\n".join(rows) + "\n}\n")
