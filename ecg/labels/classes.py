"""The diagnoses that the Challenge 2020 scores, under the names that its scripts and tables use."""

from collections.abc import Iterable, Sequence

import numpy as np

from ecg.arrays import Bools
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses, index_classes

# SNOMED CT code: (abbreviation, full name), the 27 codes in the order of the Challenge's dx_mapping_scored.csv.
_NAMED = [each for row in CHALLENGE_2020.rows for each in zip(row.codes, row.abbreviations, row.names, strict=True)]
SCORED_CLASSES = {code: (abbreviation, name) for code, abbreviation, name in sorted(_NAMED, key=lambda each: each[2])}
NORMAL_CLASS = str(CHALLENGE_2020.normal)
# The three codes that the Challenge scores as one with another (code: code of the class).
EQUIVALENT_CLASSES = {code: row.code for row in CHALLENGE_2020.rows for code in row.codes if code != row.code}
CLASSES = CHALLENGE_2020.classes


def encode_labels(
    codes: Iterable[Iterable[str]], classes: Sequence[str], diagnoses: Diagnoses = CHALLENGE_2020
) -> Bools:
    """Turn the diagnosis codes of each recording into a row of flags, shape (n_recordings, n_classes).

    Codes that `classes` lacks are ignored; an equivalent code counts as its class.
    """
    columns = index_classes(classes, diagnoses)
    codes = list(codes)
    labels = np.zeros((len(codes), len(classes)), dtype=bool)
    cells = [(i, columns[code]) for i, row in enumerate(codes) for code in row if code in columns]
    labels[[i for i, _ in cells], [k for _, k in cells]] = True
    return labels
