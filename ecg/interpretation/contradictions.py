"""What must not stand in one interpretation: a check that knows nothing of how statements were made."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Protocol

from ecg.interpretation.statement_list import statement_list
from ecg.measurements.types import Measurements


class Said(Protocol):
    """A statement, as far as it is checked."""

    @property
    def code(self) -> int: ...

    @property
    def evidence(self) -> str: ...


_RHYTHMS = frozenset((20, 21, 22, 27, 33, 34, 35, 38, 39, 42, *range(50, 57), 63, 64, 65, 70, *range(72, 77)))
_PACED = frozenset(range(180, 185))
_WITHOUT_PR = frozenset((50, 51, *range(70, 77))) | _PACED
_PR = frozenset((80, 82))
_BLOCKS = frozenset(range(83, 89))
_BUNDLES = frozenset((104, 105, 106, 108))
_AXES = frozenset(range(120, 124))
_NOT_IN_LBBB = frozenset((128, 142, 143, 145, 147, *range(160, 167)))
# Each pair of a code out of one set with one out of the other is a contradiction.
_PAIRS: tuple[tuple[frozenset[int], frozenset[int]], ...] = (
    (_RHYTHMS | _PACED, _RHYTHMS | _PACED),
    (frozenset((23,)), (_RHYTHMS | _PACED) - {20, 21, 22}),
    (_BUNDLES, _BUNDLES),
    (frozenset((107,)), _BUNDLES),
    (frozenset((101,)), frozenset((102,))),
    (frozenset((102,)), frozenset((104,))),
    (_PR, _PR),
    (_PR, _WITHOUT_PR),
    (_BLOCKS, _BLOCKS),
    (_PACED, _NOT_IN_LBBB),
    (frozenset((104,)), _NOT_IN_LBBB),
    (_AXES, _AXES),
    (frozenset((148,)), frozenset((149,))),
)
_BESIDE_NORMAL = frozenset((1, 20, 23, 228))
# Code: attribute of `Measurements`, and the lowest and highest value beside it, the measurement's error allowed for.
_NUMBERS: dict[int, tuple[str, float, float]] = {
    20: ("heart_rate_bpm", 48, 102),
    21: ("heart_rate_bpm", 98, math.inf),
    22: ("heart_rate_bpm", 0, 62),
    42: ("heart_rate_bpm", 0, 62),
    55: ("heart_rate_bpm", 98, math.inf),
    80: ("pr_ms", 0, 130),
    82: ("pr_ms", 190, math.inf),
    104: ("qrs_ms", 110, math.inf),
    106: ("qrs_ms", 110, math.inf),
    105: ("qrs_ms", 0, 130),
    107: ("qrs_ms", 100, math.inf),
    120: ("qrs_axis_deg", 85, 180),
    121: ("qrs_axis_deg", -95, 5),
    122: ("qrs_axis_deg", -180, -85),
    148: ("qtc_fridericia_ms", 435, math.inf),
    149: ("qtc_fridericia_ms", 0, 405),
}
_CLINICAL = {121: ("qrs_axis_deg", -95.0, -25.0), 20: ("heart_rate_bpm", 58.0, 102.0)}
_RATES = (20, 21, 22)  # whose limits are those of adults
_CHILD = {104: 80.0, 106: 80.0, 107: 70.0}


def contradictions(
    statements: Sequence[Said], measured: Measurements, *, age: float = math.nan, definitions: str = "clinical"
) -> list[str]:
    """What contradicts something else, in words; empty where nothing does.

    `age`: years; limits of adults where NaN. `definitions`: the convention whose limits hold.
    """
    terms = statement_list()
    codes = [each.code for each in statements]
    found = []
    for one, other in combinations(codes, 2):
        if any((one in a and other in b) or (one in b and other in a) for a, b in _PAIRS) or one == other:
            found.append(f"{terms[one].words} beside {terms[other].words}")
    if 1 in codes and set(codes) - _BESIDE_NORMAL:
        found.append("Normal ECG beside another statement")
    limits = _NUMBERS | (_CLINICAL if definitions == "clinical" else {})
    for code in codes:
        term = terms[code]
        if term.kind == "secondary" and not term.accompanies & set(codes):
            found.append(f"{term.words} without a statement that it may accompany")
        name, low, high = limits.get(code, ("", 0.0, 0.0))
        value = getattr(measured, name) if name else math.nan
        if age < 16 and code in _CHILD:
            low = _CHILD[code]
        if math.isfinite(value) and not low <= value <= high and not (age < 18 and code in _RATES):
            found.append(f"{term.words} beside {name} {value:.0f}")
        if code in _PR and not math.isfinite(value):
            found.append(f"{term.words} without a PR interval")
    found += [f"{terms[each.code].words} without evidence" for each in statements if not each.evidence]
    return found
