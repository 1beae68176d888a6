"""Which of the twelve leads a label means, in formats where labels are free text."""

import re
from collections.abc import Sequence
from functools import lru_cache

from ecg.io.errors import shown
from ecg.leads import LEADS

# A hyphen right before a name, behind a space, is a minus ("ECG -aVR").
_BEFORE = re.compile(
    r"(?:(?:mdc|ecg|ekg|lead|derivación|derivação|dérivation|derivazione|ableitung)(?:[\s_:.]|(?<!\s)-|-(?=\s))*)+"
)
_BEHIND = re.compile(r"[\s_:.-]*(?:ref|wct|wilson)?$")
_LONGEST = 80  # characters of a label that are looked at
_ROMAN = ("i", "ii", "iii")
_STANDARD = {lead.lower(): lead for lead in LEADS}
# Lead I is by definition the left arm against the right one, and so on (Einthoven).
_STANDARD |= {"la-ra": "I", "ll-ra": "II", "ll-la": "III"}
# DI, DII and DIII, or D1 to D3, in Spanish, Portuguese, French and Italian.
_OTHER = {f"d{name}": name.upper() for name in _ROMAN} | {f"d{i + 1}": _ROMAN[i].upper() for i in range(3)}
_ON_THE_TRUNK = {f"ml{name}": name.upper() for name in _ROMAN}  # Mason & Likar 1966


def lead_of(label: str) -> str | None:
    """The lead in standard spelling, None where the label means none of the twelve.

    "ECG II", "EKG V1-REF", "Lead aVR", "ECG I-Ref", "V 1", "aV-F", "DII", "MLII", "Lead 2" and
    "MDC_ECG_LEAD_I" are leads.
    """
    name = _plain(label)
    return _STANDARD.get(name) or _OTHER.get(name) or _ON_THE_TRUNK.get(name)


@lru_cache(maxsize=256)
def _plain(label: str) -> str:
    """The label in lower case without what stands around a lead's name."""
    text = " ".join(label[:_LONGEST].casefold().split())
    before = _BEFORE.match(text)
    name = text[before.end() :] if before else text
    if before and "lead" in before[0] and name in ("1", "2", "3"):
        return _ROMAN[int(name) - 1]
    name = _BEHIND.sub("", name)
    return re.sub(r"[\s_-]", "", name) if re.fullmatch(r"a[\s_-]?v[\s_-]?[rlf]|v[\s_-]?[1-6]", name) else name


def notes_on(labels: Sequence[str]) -> tuple[str, ...]:
    """Notes on labels that are no standard name of their lead, and on signals that are left out."""
    nearly = [label for label in labels if _plain(label) in _OTHER]
    moved = [label for label in labels if _plain(label) in _ON_THE_TRUNK]
    others = [label.strip() or "(no name)" for label in labels if lead_of(label) is None]
    return (
        *(f"{label} is taken for lead {lead_of(label)}" for label in nearly),
        *(f"{label} is taken for lead {lead_of(label)} (limb electrodes on the trunk)" for label in moved),
        *((f"left out, none of the twelve leads: {shown(', '.join(others))}",) if others else ()),
    )
