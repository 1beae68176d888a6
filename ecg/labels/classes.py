"""The diagnoses that the Challenge scores: their codes, names and equivalent pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

# SNOMED CT code: (abbreviation, full name), the 27 classes that the 2020 Challenge scores (its dx_mapping_scored.csv).
SCORED_CLASSES: dict[str, tuple[str, str]] = {
    "270492004": ("IAVB", "1st degree av block"),
    "164889003": ("AF", "atrial fibrillation"),
    "164890007": ("AFL", "atrial flutter"),
    "426627000": ("Brady", "bradycardia"),
    "713427006": ("CRBBB", "complete right bundle branch block"),
    "713426002": ("IRBBB", "incomplete right bundle branch block"),
    "445118002": ("LAnFB", "left anterior fascicular block"),
    "39732003": ("LAD", "left axis deviation"),
    "164909002": ("LBBB", "left bundle branch block"),
    "251146004": ("LQRSV", "low qrs voltages"),
    "698252002": ("NSIVCB", "nonspecific intraventricular conduction disorder"),
    "10370003": ("PR", "pacing rhythm"),
    "284470004": ("PAC", "premature atrial contraction"),
    "427172004": ("PVC", "premature ventricular contractions"),
    "164947007": ("LPR", "prolonged pr interval"),
    "111975006": ("LQT", "prolonged qt interval"),
    "164917005": ("QAb", "qwave abnormal"),
    "47665007": ("RAD", "right axis deviation"),
    "59118001": ("RBBB", "right bundle branch block"),
    "427393009": ("SA", "sinus arrhythmia"),
    "426177001": ("SB", "sinus bradycardia"),
    "426783006": ("NSR", "sinus rhythm"),
    "427084000": ("STach", "sinus tachycardia"),
    "63593006": ("SVPB", "supraventricular premature beats"),
    "164934002": ("TAb", "t wave abnormal"),
    "59931005": ("TInv", "t wave inversion"),
    "17338001": ("VPB", "ventricular premature beats"),
}

NORMAL_CLASS = "426783006"
# The three classes that the Challenge scores as one with another class (code: code of the representative).
EQUIVALENT_CLASSES: dict[str, str] = {"59118001": "713427006", "63593006": "284470004", "17338001": "427172004"}

# The 24 scored classes (27 codes, three pairs merged) in the published order: codes sorted as text.
CLASSES: tuple[str, ...] = tuple(sorted(SCORED_CLASSES.keys() - EQUIVALENT_CLASSES.keys()))


def class_name(code: str) -> str:
    """The abbreviation of a class with those of its equivalents: "AF", "CRBBB/RBBB"; "" for unscored codes."""
    codes = [code, *(other for other, representative in EQUIVALENT_CLASSES.items() if representative == code)]
    return "/".join(SCORED_CLASSES[each][0] for each in codes if each in SCORED_CLASSES)


def index_classes(classes: Sequence[str]) -> dict[str, int]:
    """Column of each scored code, with the equivalent codes at their representative's column."""
    columns = {EQUIVALENT_CLASSES.get(code, code): column for column, code in enumerate(classes)}
    if len(columns) != len(classes):
        raise ValueError(f"expected distinct classes without equivalent ones, found {', '.join(classes)}")
    return columns | {code: columns[other] for code, other in EQUIVALENT_CLASSES.items() if other in columns}


def encode_labels(codes: Iterable[Iterable[str]], classes: Sequence[str]) -> NDArray[np.bool_]:
    """Turn the diagnosis codes of each recording into a row of flags, shape (n_recordings, n_classes).

    Codes that `classes` lacks are ignored; an equivalent code counts as its representative.
    """
    columns = index_classes(classes)
    codes = list(codes)
    labels = np.zeros((len(codes), len(classes)), dtype=bool)
    cells = [(i, columns[code]) for i, row in enumerate(codes) for code in row if code in columns]
    labels[[i for i, _ in cells], [k for _, k in cells]] = True
    return labels
