"""Two ECGs of one patient: measured changes, and the comparison statements 400 to 405 of the AHA/ACC/HRS list.

Statement 406, another interpretation of the same tracing, is for a reader to make.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecg.interpretation.interpret import Statement, is_rhythm
from ecg.interpretation.statement_list import statement_list
from ecg.leads import LEADS
from ecg.measurements.types import Measurements

_SINUS = (20, 21, 22)
_PACEMAKER = range(180, 191)
_INFARCTION = (*range(160, 175), 220, 226)
_CONDUCTION = (*range(80, 90), *range(100, 112))
_REPOLARISATION = (*range(146, 156), 205, 206)
_STATUS = (*range(120, 132), *range(140, 145), *range(200, 205), *range(207, 216))
_ST_DEVIATION = 145
_VARIANTS = (1, 2, 23, 155, 228)  # normal, and normal variants
WORSE_ST_MV = 0.1  # by which an ST deviation grows in two leads
# Name, attribute and unit, and from where to where it is normal for the statement 400.
_MEASURED: tuple[tuple[str, str, str, float, float], ...] = (
    ("Heart rate", "heart_rate_bpm", "/min", 60, 100),
    ("PR interval", "pr_ms", " ms", 120, 200),
    ("QRS duration", "qrs_ms", " ms", 0, 110),
    ("QTc, Fridericia", "qtc_fridericia_ms", " ms", 390, 460),
    ("QRS axis", "qrs_axis_deg", "°", -30, 90),
    ("T axis", "t_axis_deg", "°", -math.inf, math.inf),
)
_OF_400 = ("pr_ms", "qrs_ms", "qtc_fridericia_ms")


@dataclass(frozen=True)
class Ecg:
    """One of the two."""

    measured: Measurements
    statements: Sequence[Statement]


@dataclass(frozen=True)
class Change:
    """A measurement before and after; NaN where not measurable."""

    name: str
    before: float
    after: float
    unit: str

    @property
    def difference(self) -> float:
        """After less before; of an axis the shorter way round."""
        found = self.after - self.before
        return (found + 180) % 360 - 180 if self.unit == "°" else found

    @property
    def words(self) -> str:
        """ "QRS duration 92 to 148 ms"."""
        shown = [f"{value:z.0f}" if math.isfinite(value) else "not measurable" for value in (self.before, self.after)]
        return f"{self.name} {shown[0]} to {shown[1]}{self.unit}".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Comparison:
    """What changed."""

    changes: list[Change]
    statements: list[tuple[int, str, str]]  # code of the list, its words and the evidence for it
    new: list[str]  # `new`, `gone`: statements that are made in one of them and not even possible in the other
    gone: list[str]


def compare(before: Ecg, after: Ecg) -> Comparison:
    """Compare two ECGs of one patient.

    A statement is new or gone if it is definite or probable in one ECG and not made in the other, not even as possible.
    """
    changes = [
        Change(name, float(getattr(before.measured, key)), float(getattr(after.measured, key)), unit)
        for name, key, unit, *_ in _MEASURED
    ]
    new, gone = _only_in(after, before), _only_in(before, after)
    reasons: dict[int, list[str]] = {code: [] for code in range(401, 406)}
    for word, found in (("new", new), ("gone", gone)):
        for each in found:
            for code in _comparison_codes(each.code, word == "new"):
                reasons[code].append(f"{word}: {each.statement}")
    rate = changes[0]
    if abs(rate.difference) > 20 and not 50 <= rate.after <= 100:
        reasons[401].append(rate.words)
    if worse := _worse_st(before, after):
        reasons[402].append(worse)
    qtc = next(each for each in changes if each.name.startswith("QTc"))
    if abs(qtc.difference) > 60:
        reasons[404].append(qtc.words)
    said = {code: ", ".join(why) for code, why in reasons.items() if why}
    is_same = all(each.code in _VARIANTS for each in (*new, *gone))
    if not said and is_same and _is_unchanged(before.measured, after.measured):
        said[400] = ", ".join(each.words for each in changes[1:4])
    words = statement_list()
    statements = [(code, words[code].words, said[code]) for code in sorted(said)]
    return Comparison(changes, statements, [each.statement for each in new], [each.statement for each in gone])


def _only_in(one: Ecg, other: Ecg) -> list[Statement]:
    there = {each.code for each in other.statements}
    if there & set(_SINUS):  # a sinus rhythm of another rate is the same rhythm
        there |= set(_SINUS)
    return [each for each in one.statements if each.certainty != "possible" and each.code not in there]


def _comparison_codes(code: int, is_new: bool) -> list[int]:
    """The comparison statements that a new statement makes, or one that is gone."""
    found = [401] if is_rhythm(code) or code in _PACEMAKER else []
    if is_new:
        found += [402] if code in (*_INFARCTION, _ST_DEVIATION) else []
        found += [403] if code in _CONDUCTION else []
    found += [404] if code in _REPOLARISATION else []
    return [*found, *([405] if code in _STATUS else [])]


def _is_unchanged(before: Measurements, after: Measurements) -> bool:
    """PR, QRS and QTc normal as before, or within a tenth of what they were."""
    for _, key, _, low, high in _MEASURED:
        if key not in _OF_400:
            continue
        was, now = getattr(before, key), getattr(after, key)
        if math.isnan(was) and math.isnan(now):
            continue
        if not (low <= was <= high and low <= now <= high) and not abs(now - was) <= 0.1 * was:
            return False
    return True


def _worse_st(before: Ecg, after: Ecg) -> str:
    """Where an ST deviation that is stated in both has grown; "" where it has not."""
    if not all(any(each.code == _ST_DEVIATION for each in one.statements) for one in (before, after)):
        return ""
    was, now = before.measured.amplitudes.st_j, after.measured.amplitudes.st_j
    grown = (np.abs(now) - np.abs(was) >= WORSE_ST_MV) & ~((np.sign(now) != np.sign(was)) & (np.abs(was) >= 0.05))
    leads = [f"{lead} {was[k]:z.2f} to {now[k]:z.2f}" for k, lead in enumerate(LEADS) if grown[k]]
    words = f"ST deviation at J, mV: {', '.join(leads)}".replace("-", "\N{MINUS SIGN}")
    return words if len(leads) >= 2 else ""
