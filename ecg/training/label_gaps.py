"""Where the labels of recordings and a set of diagnoses don't meet, in words."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from ecg.arrays import Bools
from ecg.labels.diagnoses import Diagnoses, closest

_CODES_NAMED = 20  # the others are counted


def label_gaps(diagnoses: Diagnoses, labels: Bools, unknown: Mapping[str, int]) -> list[str]:
    """Sentences about codes that the set lacks, and about its diagnoses that no recording has.

    `labels`: (n_recordings, n_classes), bool. `unknown`: codes and how many recordings have each, the most frequent
    first.
    """
    sentences = []
    if unknown:
        named = [f"{code} ({count})" for code, count in list(unknown.items())[:_CODES_NAMED]]
        more = f" and {len(unknown) - _CODES_NAMED} more" if len(unknown) > _CODES_NAMED else ""
        sentences.append(f"Codes that {diagnoses.name} does not have (recordings): {', '.join(named)}{more}")
    if len(never := np.flatnonzero(~labels.any(axis=0))):
        names = ", ".join(diagnoses.rows[k].abbreviation for k in never)
        sentences.append(f"No recording has {names}: of a diagnosis without positives nothing is learned")
    return sentences


def found_instead(diagnoses: Diagnoses, codes: Mapping[str, int]) -> str:
    """The name of the set, and for an error what was found in place of its codes."""
    best = closest(codes)
    others = f"none, but {', '.join(code for code, _ in Counter(codes).most_common(10))}" if codes else "none"
    of = f" of the set {best.name}" if codes.keys() & best.column_of.keys() else ""
    return f"{diagnoses.name}, found {others}{of}"
