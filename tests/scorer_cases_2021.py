"""Generated folders of labels and outputs for the score of 2021, whose official figures are in golden/.

The seed decides the case; `seed % 5` is its kind: 0 plain, 1 permuted classes, 2 missing and unscored classes, 3 one
code of an equivalent pair, 4 permuted classes, ties and scores that are not finite. The order of the random draws is
part of the cases: the golden figures belong to these bytes and no others.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ecg.leads import LEADS

UNSCORED, UNSCORED_TOO = "164884008", "55930002"


def write_case(seed: int, folder: Path, classes: tuple[str, ...]) -> tuple[Path, Path]:
    """Write `folder/labels/*.hea` and `folder/outputs/*.csv`; return both folders."""
    random, kind = np.random.default_rng(10_000 + seed), seed % 5
    codes = [code for name in classes for code in name.split("|")]
    labels, outputs = folder / "labels", folder / "outputs"
    labels.mkdir(parents=True)
    outputs.mkdir()
    for number in range(int(random.integers(5, 120))):
        record = f"T{number:04d}"
        count = int(random.integers(0, 4))
        diagnoses = [str(code) for code in random.choice(codes, count, replace=False)] if count else [UNSCORED]
        if random.random() < 0.2:
            diagnoses.append(UNSCORED_TOO)
        lines = [f"{record} 12 500 5000", *(f"{record}.mat 16x1+24 1000.0(0)/mV 16 0 0 0 0 {lead}" for lead in LEADS)]
        lines += ["#Age: 50", "#Sex: Male", f"#Dx: {','.join(diagnoses)}", ""]
        (labels / f"{record}.hea").write_text("\n".join(lines))
        (outputs / f"{record}.csv").write_text(f"#{record}\n" + _draw_output(random, kind, classes, diagnoses))
    return labels, outputs


def _draw_output(random: np.random.Generator, kind: int, classes: tuple[str, ...], diagnoses: list[str]) -> str:
    columns = [str(name) for name in random.permutation(classes)] if kind in (1, 4) else list(classes)
    if kind == 2:
        columns = [*columns[:20], UNSCORED_TOO]
    if kind == 3:
        columns = [name.split("|")[int(random.integers(0, 2))] if "|" in name else name for name in columns]
    true = np.array([any(code in diagnoses for code in name.split("|")) for name in columns])
    scores = 0.6 * random.random(len(columns)) + 0.35 * true
    if kind == 4 and random.random() < 0.3:
        scores = np.round(scores, 1)
    words = [f"{score:.6f}" for score in scores]
    if kind == 4 and random.random() < 0.2:
        words[0] = "nan"
    return "".join(",".join(line) + "\n" for line in (columns, [str(int(score > 0.5)) for score in scores], words))
