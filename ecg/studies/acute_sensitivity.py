"""How often acute statements are made of simulated hearts that need them, and of hearts that don't.

Real recordings of these findings are too few here to tell. The command is `ecg benchmark acute`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecg.inference.classifier import load_model
from ecg.inference.interpret_recordings import interpret_recording
from ecg.io.recording import Recording
from ecg.model_folder.model import Model
from ecg.runtime.progress import progress
from ecg.simulator.diagnoses import DIAGNOSES
from ecg.simulator.simulate import Simulated, simulate_recording

# Codes of which one must be said with the words of an acute statement.
EXPECTED: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("STEMI-anterior", "STEMI-inferior", "STEMI-lateral"), (145,)),
    **{name: (code, 86) for name, code in (("MobitzI", 83), ("MobitzII", 84), ("AVB2to1", 85))},
    "AVB3": (88,),
    "VT": (70, 72, 73, 74, 76),
    "SVT": (20, 21, 27, 50, 51, 55, 56),  # wherever the rate is above 150
    "capture-failure": (186,),
}


def measure_acute(models: Sequence[Path], records: int, seed: int) -> str:
    """The table in Markdown: simulated findings, and how many of the hearts with each are found.

    `models`: folders of trained models; none for the criteria alone. `records`: of each finding, and as many of the
    scored diagnoses together.
    """
    loaded = [load_model(folder) for folder in models]
    lines = ["| simulated | found |", "|---|---|"]
    for name, codes in progress(EXPECTED.items(), len(EXPECTED), "Interpreting", "finding"):
        said = [_acute_codes(simulate_recording(seed, k, name), loaded) for k in range(1, records + 1)]
        lines.append(f"| {name} | {sum(bool(each & {*codes}) for each in said)} of {records} |")
    others = [_acute_codes(simulate_recording(seed, k), loaded) for k in range(1, records + 1)]
    alarms = {name: sum(bool(each & {*codes}) for each in others) for name, codes in EXPECTED.items() if name != "SVT"}
    wrong = ", ".join(f"{name} {count}" for name, count in alarms.items() if count) or "none"
    lines.append(f"| said of {records} hearts with the {len(DIAGNOSES)} scored diagnoses in turn | {wrong} |")
    return "\n".join(lines) + "\n"


def _acute_codes(made: Simulated, models: Sequence[Model]) -> set[int]:
    recording = Recording(made.signal, made.sampling_frequency, "simulated", made.age, made.sex)
    return {each.code for each in interpret_recording(recording, models).statements if each.acute}
