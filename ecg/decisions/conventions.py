"""What hospitals call the same recording: definitions, prior odds and habits, by the name of a convention."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

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

    name: str
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


@cache
def convention(name: str, classes: Sequence[str]) -> Convention:
    """A convention by its name.

    `name`: one of `CONVENTIONS`. `classes`: SNOMED CT codes of the model's classes. Raises ValueError if there is none
    of this name.
    """
    if name not in CONVENTIONS:
        raise ValueError(f"definitions {name!r}: expected one of {', '.join(CONVENTIONS)}")
    text = files("ecg.decisions").joinpath("data", f"{name}.csv").read_text(encoding="utf-8")
    rows = {row["code"]: row for row in csv.DictReader(text.splitlines())}
    databases = [key for key in next(iter(rows.values())) if key not in ("code", "name", *_LIMIT_COLUMNS)]
    priors = np.full((len(databases), len(classes)), np.nan)
    limits = []
    for column, code in enumerate(classes):
        if code not in rows:
            continue
        row = rows[code]
        priors[:, column] = np.clip([float(row[each]) for each in databases], RAREST, COMMONEST)
        if row["measured"]:
            above, below = float(row["above"] or -math.inf), float(row["below"] or math.inf)
            limits.append(Limit(column, row["measured"], above, below, row["implied"] == "1"))
    alone = name == "clinical" and SINUS_RHYTHM in classes
    rhythms = tuple(classes.index(code) for code in OTHER_RHYTHMS if code in classes)
    sinus = (classes.index(SINUS_RHYTHM),) if alone else ()
    return Convention(name, priors, SHARE[name], tuple(limits), sinus, rhythms if alone else ())


_LIMIT_COLUMNS = ("measured", "above", "below", "implied")
