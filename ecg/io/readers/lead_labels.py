"""Which of the twelve leads a label means, in formats where labels are free text."""

from __future__ import annotations

import re

from ecg.leads import STANDARD_NAMES

# "ECG II", "EKG V1-REF", "Lead aVR", "ECG I-Ref"; "MLII" has its limb electrodes on the trunk (Mason & Likar 1966).
_LABEL = re.compile(
    r"(?:(?:ecg|ekg|lead)[\s_:.-]*)*(?P<moved>ml)?(?P<lead>i{1,3}|av[rlf]|v[1-6])[\s_:.-]*(?:ref|wct|wilson)?",
    re.IGNORECASE,
)
# Lead I is by definition the left arm against the right one, and so on (Einthoven).
_PAIR = re.compile(r"(?:(?:ecg|ekg|lead)[\s_:.-]*)*(la-ra|ll-ra|ll-la)", re.IGNORECASE)
_OF_PAIR = {"la-ra": "I", "ll-ra": "II", "ll-la": "III"}


def lead_of(label: str) -> str | None:
    """The lead in standard spelling, None where the label means none of the twelve."""
    label = label.strip()
    if match := _PAIR.fullmatch(label):
        return _OF_PAIR[match[1].lower()]
    match = _LABEL.fullmatch(label)
    if match is None or (match["moved"] and not match["lead"].lower().startswith("i")):
        return None
    return STANDARD_NAMES[match["lead"].lower()]


def notes_on(labels: list[str]) -> tuple[str, ...]:
    """What to know of labels that name a lead only nearly."""
    moved = [label for label in labels if re.search(r"\bml[i]", label, re.IGNORECASE)]
    return tuple(f"{label} is taken for lead {lead_of(label)} (limb electrodes on the trunk)" for label in moved)
