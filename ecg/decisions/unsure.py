"""Which of a folder's outputs the model is least sure of."""

import math
from pathlib import Path

import numpy as np

from ecg.decisions.expected_score import expected_score
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses, set_of
from ecg.scoring.output_files import load_outputs


def least_sure(outputs: Path, share: float, diagnoses: Diagnoses | None = None) -> list[tuple[str, float, bool]]:
    """Name, expected score and whether it is among the least sure, of every output of a folder.

    `outputs`: a folder that `driver.py` has written to, of a model whose scores are probabilities. `share`: of the
    recordings that were classified, rounded up; all of one expected score count if one does. `diagnoses`: the model's
    set; if left out, the shipped one that the first output is of. Without reward weights the expected score is the
    share of labels that are right. The least sure come first. The expected score of a recording that could not be
    classified is NaN, and it is unsure. Raises ValueError if there are no outputs, or one can't be read or has other
    classes than the driver writes.
    """
    files = sorted(outputs.glob("*.csv"))
    if not files:
        raise ValueError(f"{outputs}: expected the outputs of driver.py, found no .csv files")
    if diagnoses is None:
        diagnoses = set_of(load_outputs(files[0])[1]) or CHALLENGE_2020
    scores = {}
    for file in files:
        _, classes, labels, probabilities = load_outputs(file)
        if classes != diagnoses.classes:
            raise ValueError(
                f"{file}: expected the {len(diagnoses.classes)} scored classes of {diagnoses.name} in their order, "
                "found others"
            )
        given, values = np.array([labels], dtype=bool), np.array([probabilities])
        scores[file.stem] = float(expected_score(values, given, diagnoses.weights)[0]) if values.any() else math.nan
    known = sorted(score for score in scores.values() if not math.isnan(score))
    count = math.ceil(share * len(known))
    limit = known[count - 1] if count else -math.inf
    order = sorted(scores.items(), key=lambda item: (not math.isnan(item[1]), item[1], item[0]))
    return [(name, score, not score > limit) for name, score in order]
