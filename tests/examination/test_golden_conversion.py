"""Recordings of drawn patients, converted with drawn options: the table of reports, headers, what is said and refused.

`python tests/examination/test_golden_conversion.py` notes it anew: read what has changed before you commit it.
"""

import datetime
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ecg.examination import convert_folder
from ecg.examination.anonymous import identifying_texts
from ecg.examination.convert_folder import ConvertOptions, convert_recordings
from ecg.io.errors import RecordingError
from ecg.io.stored import DeviceReport, Identity, Stored, make_header

GOLDEN = Path(__file__).with_name("golden_conversion.json")
NAMES = ["Muster^Eva", "Li,J", "Smith^Anna Lee", "Óscar=Ñu", "", "Bo^Al"]
STATEMENTS = [
    *("Sinus rhythm", "Atrial fibrillation", "Left axis deviation", "Stolperherz", "Seen by EVA", "Smith, A."),
    *("compared with ECG of 20-NOV-2022", "patient PID77", "Bett Q17-Z", "born 1931-03-29", "Nice   Day", "as of li"),
    *("Normal ECG", "V1, V2 exchanged?", "eval of ST", "29.03.1931"),
]
FILES = ["A1", "B 2", "#C3", "Muster_7", "PID77", "Li\t8", "anna#lee"]
DATE, WHEN = datetime.date(1931, 3, 29), datetime.datetime(2022, 11, 20, 14, 5, 59)


def draw_recording(rng, name):
    some = lambda given, p=0.5: given if rng.random() < p else None  # noqa: E731
    others = {
        key: value for key, value in (("ward", "Q17-Z"), ("bed", "12"), ("visit", "V-4711")) if rng.random() < 0.5
    }
    who = Identity(str(rng.choice(NAMES)), some("PID77", 0.7) or "", some(DATE), others)
    measured = {key: value for key, value in (("qrs_ms", 92.0), ("heart_rate_bpm", 61.25)) if rng.random() < 0.6}
    statements = tuple(str(each) for each in rng.choice(STATEMENTS, int(rng.integers(0, 5)), replace=False))
    maker, model = str(rng.choice(["GE", "", "Eva Medical"])), str(rng.choice(["MAC55", "", "PID77"]))
    device = DeviceReport(maker, model, some(WHEN, 0.7), measured, statements)
    leads = ["II", *(str(each) for each in rng.choice(["V5", "Pressure", "I"], int(rng.integers(0, 3)), replace=False))]
    rate, n_samples = (500.0, 250.5)[int(rng.integers(2))], int(rng.integers(510, 520))
    samples = rng.integers(-900, 900, (len(leads), n_samples)).astype(np.int16)
    if rng.random() < 0.1:
        samples[:] = 7
    age = float(rng.choice([61, 0.5, 90, 91, 104, np.nan]))
    notes = tuple(each for each in ("leads by another name",) if rng.random() < 0.3)
    header = make_header(
        f"{name}.x",
        leads,
        rate,
        samples,
        [200.0] * len(leads),
        age=age,
        sex=str(rng.choice(["Male", "Unknown"])),
        notes=notes,
    )
    labels = tuple(each for each in ("426783006", "713427006") if rng.random() < 0.4)
    return Stored(replace(header, labels=labels), samples, device, who)


def converted(number, place):
    """What `ecg convert` makes of a few drawn recordings with drawn options."""
    rng = np.random.default_rng([91, number])
    names = [str(each) for each in rng.choice(FILES, int(rng.integers(1, 5)), replace=False)]
    stored = {f"in/{name}.x": draw_recording(rng, name) for name in names if rng.random() < 0.95}
    kind = number % 4
    options = ConvertOptions(
        workers=1,
        to=str(rng.choice(["challenge", "challenge", "csv"])),
        labels=str(rng.choice(["", "common"])) or None,
        keep_identity=kind == 1,
        anonymize=kind >= 2,
    )

    def read_any(path):
        if str(path) not in stored:
            raise RecordingError(f"{path}: damaged")
        return stored[str(path)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert_folder, "read_any", read_any)
        patch.setattr(convert_folder, "is_header", lambda path: False)
        patch.setattr(convert_folder, "format_of", lambda path: SimpleNamespace(name="Made up"))
        patch.setattr(
            convert_folder, "expand_inputs", lambda given: [SimpleNamespace(path=f"in/{name}.x") for name in names]
        )
        n_converted, problems, summary = convert_recordings("in", place, options)
    files = sorted(path.name for path in place.iterdir())
    texts = {name: (place / name).read_text().splitlines() for name in files if name.endswith((".hea", ".json"))}
    found = {
        "options": [options.to, options.labels, ["", "keep identity", "anonymize", "anonymize"][kind]],
        "patients": [[*identifying_texts(each)[:40:6], *each.device.statements] for each in stored.values()],
        "n_converted": n_converted,
        "problems": [problem.replace(str(place), "OUT") for problem in problems],
        "summary": summary,
        "files": files,
        "reports": (place / convert_folder.REPORTS).read_text().splitlines(),
        "texts": {
            name: [line for line in lines if line.startswith("#") or name.endswith("json")]
            for name, lines in texts.items()
        },
    }
    return json.loads(json.dumps(found))


@pytest.mark.parametrize("number", range(24))
def test_what_is_written_said_and_refused_is_what_was_noted(number, tmp_path, capsys):
    assert converted(number, tmp_path) == json.loads(GOLDEN.read_text())[str(number)]


def noted(number):
    with tempfile.TemporaryDirectory() as place:
        return converted(number, Path(place))


if __name__ == "__main__":
    GOLDEN.write_text("{\n" + ",\n".join(f'"{number}": {json.dumps(noted(number))}' for number in range(24)) + "\n}\n")
    sys.exit()
