"""Generated folders of labels and outputs for the score, whose official figures are in golden/scorer_golden.json.

The seed decides the case; `seed % 6` is its kind: 0 plain, 1 permuted classes, 2 missing and unscored classes and some
rows written `1.0`, 3 no equivalent classes, 4 permuted classes, ties and nan scores, 5 True/False and malformed files.
The order of the random draws is part of the cases: the golden figures belong to these bytes and no others.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

UNSCORED, UNSCORED_TOO = "164884008", "55930002"
EQUIVALENT = ("59118001", "63593006", "17338001")


def scored_codes() -> list[str]:
    """The 27 codes, in the order of weights.csv."""
    table = Path(__file__).resolve().parent.parent / "weights.csv"
    return table.read_text().splitlines()[0].split(",")[1:]


def write_case(seed: int, folder: Path) -> tuple[Path, Path]:
    """Write `folder/labels/*.hea` and `folder/outputs/*.csv`; return both folders."""
    random = np.random.default_rng(seed)
    codes = scored_codes()
    kind = seed % 6
    labels, outputs = folder / "labels", folder / "outputs"
    labels.mkdir(parents=True)
    outputs.mkdir()
    for number in range(int(random.integers(5, 120))):
        record = f"T{number:04d}"
        diagnoses = _draw_diagnoses(random, codes)
        header = [f"{record} 12 500 5000", "#Age: 50", "#Sex: Male", f"#Dx: {','.join(diagnoses)}", ""]
        (labels / f"{record}.hea").write_text("\n".join(header))
        (outputs / f"{record}.csv").write_text(f"#{record}\n" + _draw_output(random, codes, kind, diagnoses))
    return labels, outputs


def _draw_diagnoses(random: np.random.Generator, codes: list[str]) -> list[str]:
    count = int(random.integers(0, 4))
    diagnoses = [str(code) for code in random.choice(codes, count, replace=False)] if count else [UNSCORED]
    return [*diagnoses, UNSCORED_TOO] if random.random() < 0.2 else diagnoses


def _draw_output(random: np.random.Generator, codes: list[str], kind: int, diagnoses: list[str]) -> str:
    classes = list(codes)
    if kind in (1, 4):
        classes = [str(code) for code in random.permutation(codes)]
    elif kind == 2:
        classes = [*codes[:20], UNSCORED_TOO]
    elif kind == 3:
        classes = [code for code in codes if code not in EQUIVALENT]
    scores = 0.6 * random.random(len(classes)) + np.where(np.isin(classes, diagnoses), 0.35, 0.0)
    positive = scores > 0.5
    if kind == 4 and random.random() < 0.3:
        scores = np.round(scores, 1)
    score_words = [f"{score:.6f}" for score in scores]
    if kind == 4 and random.random() < 0.2:
        score_words[0] = "nan"
    spellings = ("False", "True") if kind == 5 else ("0", "1")
    if kind == 2 and random.random() < 0.1:
        spellings = ("0.0", "1.0")
    if kind == 5 and random.random() < 0.05:
        return "\n"
    lines = (classes, [spellings[int(flag)] for flag in positive], score_words)
    return "".join(",".join(line) + "\n" for line in lines)


def write_record(folder, record="A0001", dx="#Dx: 164889003", output=None):
    """A header and an output; AF and NSR by default, AF positive."""
    labels, outputs = folder / "labels", folder / "outputs"
    labels.mkdir(exist_ok=True)
    outputs.mkdir(exist_ok=True)
    (labels / f"{record}.hea").write_text(f"{record} 12 500 5000\n#Age: 50\n{dx}\n#Rx: Unknown\n", newline="")
    text = output if output is not None else f"#{record}\n164889003,426783006\n1,0\n0.9,0.2\n"
    (outputs / f"{record}.csv").write_text(text, newline="")
    return labels, outputs
