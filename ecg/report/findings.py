"""What a recording's page says: classes, measurements beside their reference ranges, and all in one sentence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecg.arrays import Bools, Floats
from ecg.interpretation import Statement
from ecg.io.files import read_rows
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.measurements.types import Measurements

# Frequent codes of the Challenge's databases that no score asks for; others are shown as their number.
_UNSCORED = read_rows(Path(__file__).with_name("unscored.csv"), 1 << 16)[1]
UNSCORED_WORDS: dict[str, str] = {row["code"]: row["words"] for row in _UNSCORED}

NO_DEVICE = "Research software, often wrong, not tested on patients. Don't use it for a person's care."


def not_said(diagnoses: Diagnoses) -> str:
    """What a model of a set of diagnoses can't say."""
    return (
        f"The model knows {len(diagnoses.rows)} classes; all else is measured by published criteria, less exactly. "
        "Nothing is said of pericarditis, embolism, electrolytes, drugs or genetic disease. No "
        "statement, or sinus rhythm alone, does not mean a normal ECG."
    )


CLOSE = 0.1  # of probability: nearer to its limit than this, a class could as well be said as not


@dataclass(frozen=True)
class Finding:
    """A class and what the model says of it.

    `threshold` is NaN where only outputs are known, and one half where none has a part in the decision (`decides`).
    """

    code: str
    abbreviation: str
    name: str
    meaning: str
    probability: float
    threshold: float
    found: bool
    decides: bool = True

    @property
    def close(self) -> bool:
        return abs(self.probability - self.threshold) < CLOSE


def findings(
    diagnoses: Diagnoses,
    labels: Sequence[bool] | Bools,
    probabilities: Sequence[float] | Floats,
    thresholds: Sequence[float] | Floats | None,
    decide: bool = True,
) -> list[Finding]:
    """One for each class, the most probable first.

    `labels` and `probabilities`: the output of one recording. `thresholds`: NaN all through if left out. `decide`:
    whether thresholds have a part in the decision; where not they are one half, and a page does not call them so.
    """
    limits = [math.nan] * len(diagnoses.rows) if thresholds is None else list(map(float, thresholds))
    rows = [
        Finding(row.code, row.abbreviation, row.words, row.meaning, float(probability), limit, bool(label), decide)
        for row, label, probability, limit in zip(diagnoses.rows, labels, probabilities, limits, strict=True)
    ]
    return sorted(rows, key=lambda row: -row.probability)


@dataclass(frozen=True)
class Comparison:
    """The header's diagnoses against the findings: names of classes, and diagnoses that no class stands for."""

    right: tuple[str, ...]
    missed: tuple[str, ...]
    added: tuple[str, ...]
    unscored: tuple[str, ...]


def compare(rows: Sequence[Finding], codes: Sequence[str], diagnoses: Diagnoses = CHALLENGE_2020) -> Comparison | None:
    """What was right, missed and added; None for a recording without diagnoses in its header."""
    if not codes:
        return None
    merged = list(dict.fromkeys(diagnoses[code].code if code in diagnoses.column_of else code for code in codes))
    names = {row.code: row.name for row in rows}
    found = {row.code for row in rows if row.found}
    scored = [code for code in merged if code in names]
    return Comparison(
        right=tuple(names[code] for code in scored if code in found),
        missed=tuple(names[code] for code in scored if code not in found),
        added=tuple(row.name for row in rows if row.found and row.code not in scored),
        unscored=tuple(UNSCORED_WORDS.get(code, f"code {code[:20]}") for code in merged if code not in names),
    )


_RANGES = read_rows(Path(__file__).with_name("reference_ranges.csv"), 1 << 16)[1]
ADULT = 18.0  # years; the ranges are adults'


@dataclass(frozen=True)
class Row:
    """A measurement as it is printed; `verdict` is "", "low" or "high" against the range."""

    name: str
    value: str
    range: str
    verdict: str
    source: str


def measurement_rows(measured: Measurements, age: float, sex: str) -> list[Row]:
    """Intervals, axes and rates with adults' reference ranges; below 18 years no value is marked.

    `age`: years, NaN where unknown (then an adult is assumed). `sex`: "Female", "Male" or "Unknown".
    """
    upper = "high_in_men" if sex == "Male" else "high"
    return [_row(row, getattr(measured, row["attribute"]), row[upper], ranged=not age < ADULT) for row in _RANGES]


def _row(about: Mapping[str, str], value: float, upper: str, *, ranged: bool) -> Row:
    unit, source, low, high = about["unit"], about["source"], float(about["low"] or "-inf"), float(upper or "inf")
    space = "" if unit in ("°", "/min") else "\N{NO-BREAK SPACE}"
    shown = "not measurable" if not math.isfinite(value) else f"{signed(value)}{space}{unit}"
    limits = "" if not source else f"up to {high:g}" if low == -math.inf else f"{signed(low)} to {high:g}"
    rounded = round(value) if math.isfinite(value) else math.nan
    verdict = "" if not ranged or not source else "low" if rounded < low else "high" if rounded > high else ""
    return Row(about["name"], shown, limits, verdict, source)


def signed(value: float) -> str:
    """A whole number with a minus sign that is one."""
    return f"{value:z.0f}".replace("-", "\N{MINUS SIGN}")


def doubt(reasons: Sequence[str], statements: Sequence[Statement]) -> float:
    """How uncertain a recording is, to sort by: the number of reasons, and the share of statements only possible."""
    possible = sum(each.certainty == "possible" for each in statements)
    return round(len(reasons) + possible / max(len(statements), 1), 4)


def summary(statements: Sequence[Statement]) -> str:
    """The statements in one sentence, the certain ones first."""
    if not statements:
        return "No statement."
    said = [each.statement for each in statements if each.certainty == "definite"]
    said += [f"probable: {each.statement}" for each in statements if each.certainty == "probable"]
    said += [f"possible: {each.statement}" for each in statements if each.certainty == "possible"]
    return "; ".join(said) + "."
