"""What hospitals call the same recording: definitions, prior odds and habits, by the name of a convention."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated

import msgspec
import numpy as np
from scipy.special import expit

from ecg.arrays import Bools, Floats
from ecg.decisions.calibration import log_odds
from ecg.decisions.expected_score import highest_expected_score

DEFAULT = "clinical"
# What each is, for people.
CONVENTIONS: dict[str, str] = {
    "clinical": "as hospitals with MUSE or 12SL write it: AHA/ACC/HRS limits, prior odds of six published databases",
    "ptb-xl": "as PTB-XL writes it: its limits and its prior odds",
}
RAREST, COMMONEST = 0.002, 0.98  # no prior is taken for less or more
# Chosen on CPSC, CPSC-Extra and Chapman-Ningbo, nested; see docs/statements.md.
SHARE = {"clinical": 0.5, "ptb-xl": 1.0}  # of the way from the training data's prior log odds to those of the table
CONTRADICTED = IMPLIED = 2.0  # log odds that a measurement takes from a label or adds to it
SINUS_RHYTHM = "426783006"
# Rhythms beside which the convention `clinical` writes no sinus rhythm.
OTHER_RHYTHMS = (
    *("426177001", "427084000", "427393009", "164889003", "164890007", "426627000", "10370003"),
    *("284470004", "427172004"),
)


@dataclass(frozen=True)
class Convention:
    """A convention for a model's classes."""

    # (n_databases, n_classes), float64: how often each database writes a label, from `RAREST` to `COMMONEST`; NaN for
    # classes that the table lacks.
    priors: Floats
    share: float  # of the way from the training data's prior log odds to these
    limits: tuple[Limit, ...]
    # `sinus`, `rhythms`: columns of sinus rhythm and of the rhythms beside which it is not written; empty where it is.
    sinus: tuple[int, ...]
    rhythms: tuple[int, ...]

    def moved(self, probabilities: Floats, priors: Floats, measured: Mapping[str, float]) -> Floats:
        """A recording's probabilities as each database would have them.

        `probabilities` and `priors`, (n_members, n_classes), float64: what the members say, and how often their
        training data have each label. `measured`: by the names of `ecg.measurements.features.FEATURES`; what is missing
        or NaN has no part. Returns (n_databases, n_classes), float64: Bayes' rule for other prior odds (Saerens et al.
        2002, eq. 4), the mean over the members.
        """
        there = np.where(np.isnan(self.priors), np.nan, log_odds(self.priors))[:, np.newaxis]
        here = log_odds(np.clip(priors, RAREST, COMMONEST))
        odds = log_odds(probabilities) + self.share * np.nan_to_num(there - here)
        for limit in self.limits:
            odds[..., limit.column] += limit.shift(measured)
        moved: Floats = expit(odds).mean(axis=1)
        if self.sinus:
            alone = np.prod(1 - moved[:, self.rhythms], axis=1, keepdims=True)
            moved[:, self.sinus] *= alone
        return moved

    def decide(
        self, probabilities: Floats, priors: Floats, measured: Mapping[str, float], weights: Floats
    ) -> tuple[Bools, Floats]:
        """Labels and scores of a recording, (n_classes,) each.

        The labels have the highest expected score over the databases together; the scores are the mean of the
        databases' probabilities. Parameters as of `moved`, and the reward weights, (n_classes, n_classes).
        """
        moved = self.moved(probabilities, priors, measured)
        return highest_expected_score(moved[:, np.newaxis], weights)[0], moved.mean(axis=0)


@dataclass(frozen=True)
class Limit:
    """The definition of a label by a measurement: above and below these values, and not elsewhere."""

    column: int  # of the class
    measured: str  # a name of `ecg.measurements.features.FEATURES`
    above: float
    below: float
    implied: bool  # whether the measurement and P waves alone speak for the label

    def shift(self, measured: Mapping[str, float]) -> float:
        """Log odds to add; 0 where it is not measured."""
        value = measured.get(self.measured, math.nan)
        if self.measured == "pr_ms" and math.isnan(value) and math.isfinite(measured.get("heart_rate_bpm", math.nan)):
            return -CONTRADICTED  # there is no PR interval to be long
        if math.isnan(value):
            return 0.0
        if self.above < value < self.below or (self.measured == "heart_rate_bpm" and self._is_normal_rate(value)):
            return IMPLIED if self.implied and measured.get("has_p_waves", 0.0) > 0 else 0.0
        return -CONTRADICTED

    def _is_normal_rate(self, value: float) -> bool:
        """A rate of 60 and one of 100 are normal, neither slow nor fast."""
        return math.isfinite(self.above) and math.isfinite(self.below) and value in (self.above, self.below)


class LimitRow(msgspec.Struct, frozen=True):
    """A `Limit` of a class as ``config.json`` holds it; without `above` or `below` there is none on that side."""

    measured: str
    above: float | None = None
    below: float | None = None
    implied: bool = False


class ConventionTable(msgspec.Struct, frozen=True):
    """A convention as ``config.json`` holds it, by SNOMED CT codes."""

    share: Annotated[float, msgspec.Meta(ge=0, le=1)]  # as of `Convention`
    sinus_rhythm_alone: bool  # whether sinus rhythm is not written beside `OTHER_RHYTHMS`
    prevalences: dict[str, dict[str, Annotated[float, msgspec.Meta(ge=0, le=1)]]]  # by class, then by database
    limits: dict[str, LimitRow]

    def for_classes(self, classes: Sequence[str]) -> Convention:
        """The convention for a model's classes. ValueError where classes have different databases."""
        databases = list(next(iter(self.prevalences.values()), {}))
        priors = np.full((len(databases), len(classes)), np.nan)
        limits = []
        for column, code in enumerate(classes):
            if row := self.prevalences.get(code):
                if list(row) != databases:
                    raise ValueError(f"prevalences.{code}: expected one of each of {databases}, found {list(row)}")
                priors[:, column] = np.clip(list(row.values()), RAREST, COMMONEST)
            if limit := self.limits.get(code):
                above = -math.inf if limit.above is None else limit.above
                below = math.inf if limit.below is None else limit.below
                limits.append(Limit(column, limit.measured, above, below, limit.implied))
        alone = self.sinus_rhythm_alone and SINUS_RHYTHM in classes
        sinus, *rhythms = (
            tuple(classes.index(code) for code in codes if alone and code in classes)
            for codes in ((SINUS_RHYTHM,), OTHER_RHYTHMS)
        )
        return Convention(priors, self.share, tuple(limits), sinus, *rhythms)


@cache
def published(name: str) -> ConventionTable:
    """One of `CONVENTIONS` as the package has it; ValueError if there is none of this name."""
    if name not in CONVENTIONS:
        raise ValueError(f"definitions {name!r}: expected one of {', '.join(CONVENTIONS)}")
    text = files("ecg.decisions").joinpath("data", f"{name}.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    databases = [key for key in rows[0] if key not in ("code", "name", "measured", "above", "below", "implied")]
    prevalences = {row["code"]: {each: float(row[each]) for each in databases} for row in rows}
    limits = {}
    for row in rows:
        if row["measured"]:
            above, below = (float(row[side]) if row[side] else None for side in ("above", "below"))
            limits[row["code"]] = LimitRow(row["measured"], above, below, row["implied"] == "1")
    return ConventionTable(SHARE[name], name == "clinical", prevalences, limits)


@cache
def convention(name: str, classes: tuple[str, ...]) -> Convention:
    """A convention of the package for a model's classes, by their SNOMED CT codes; ValueError as of `published`."""
    return published(name).for_classes(classes)
