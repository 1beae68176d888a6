"""The criteria of ``data/criteria.csv``: whether they are met, by how much, and in which words."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from ecg.interpretation.quantities import ASSUMED_AGE, Quantities, Quantity, applies_to, beyond
from ecg.interpretation.statement_list import read_table

State = Literal["met", "borderline", "not met", "unknown"]


@dataclass(frozen=True)
class Condition:
    """A row of the table: a quantity and its limit."""

    quantity: str
    relation: str
    limit: float  # `limit`, `margin`: in the unit of the quantity; the margin is the error of the measurement
    margin: float
    applies: Callable[[float, str], bool]  # ``(age, sex) -> bool``
    definitions: str  # the convention that it belongs to; "" for all

    def state(self, quantities: Quantities) -> State:
        """Whether the quantity is beyond its limit, within the margin around it, or clearly not beyond it."""
        value = quantities[self.quantity].value
        if not math.isfinite(value):
            return "unknown"
        away = self.margin if self.relation in ("<", "<=") else -self.margin
        if beyond(value, self.relation, self.limit - away):
            return "met"
        return "borderline" if beyond(value, self.relation, self.limit + away) else "not met"


@dataclass(frozen=True)
class Criterion:
    """Conditions that must all hold for a statement."""

    code: int
    modifiers: tuple[int, ...]
    # One of "makes", "says", "needs", "shows": a statement is made by one of its criteria (and said whatever a model
    # says if that role is "says"), needs its conditions within their margins, and shows quantities that have no limit.
    role: str
    name: str
    conditions: tuple[Condition, ...]
    source: str


_MAKING = ("makes", "says")


@cache
def all_criteria() -> dict[int, tuple[Criterion, ...]]:
    """The criteria of each statement, in the order of the table."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for number, row in enumerate(read_table("criteria.csv")):
        together = row["role"] in _MAKING
        alone = "" if together else str(number)  # each need stands by itself
        sex = row["sex"] if together else ""
        groups.setdefault((row["code"], row["modifiers"], row["role"], row["criterion"], sex, alone), []).append(row)
    found: dict[int, tuple[Criterion, ...]] = {}
    for (code, modifiers, role, name, *_), rows in groups.items():
        conditions = tuple(_condition(row) for row in rows)
        criterion = Criterion(int(code), tuple(map(int, modifiers.split())), role, name, conditions, rows[0]["source"])
        found[int(code)] = (*found.get(int(code), ()), criterion)
    return found


def _condition(row: dict[str, str]) -> Condition:
    limit, margin = float(row["limit"] or math.nan), float(row["margin"] or 0)
    return Condition(row["quantity"], row["relation"], limit, margin, applies_to(row), row["definitions"])


@dataclass(frozen=True)
class Verdict:
    """What the measurements say of a statement."""

    # One of "met", "borderline", "not met", "unknown": of the criterion that is met best; "unknown" too where the
    # statement has none.
    state: State
    allowed: bool  # whether no condition that it needs is missed by more than the margin, or can't be measured
    modifiers: tuple[int, ...] = ()  # of the criterion that is met
    evidence: tuple[str, ...] = ()  # the numbers that were looked at
    leads: tuple[str, ...] = ()  # where the criterion was met, if it counts leads
    name: str = ""  # the criterion that is met; "" if none is
    always: bool = False  # whether it is said whatever a model says


_ORDER: tuple[State, ...] = ("met", "borderline", "not met", "unknown")


def verdict_on(code: int, quantities: Quantities, age: float, sex: str, definitions: str) -> Verdict:
    """Compare a statement with the measurements.

    `age`: years, NaN where unknown. `definitions`: name of a convention.
    """
    years = age if math.isfinite(age) else ASSUMED_AGE
    made: list[tuple[State, Criterion, list[Quantity]]] = []
    allowed, shown = True, []
    for criterion, conditions in _applying(code, years, sex, definitions):
        looked_at = [quantities[each.quantity] for each in conditions]
        if criterion.role == "shows":
            shown += looked_at
            continue
        states = [each.state(quantities) for each in conditions]
        if criterion.role == "needs":
            allowed &= all(state in ("met", "borderline") for state in states)
            shown += looked_at
        else:
            made.append((max(states, key=_ORDER.index), criterion, looked_at))
    if not made:
        return Verdict("unknown", allowed, evidence=_words(shown))
    best = min(_ORDER.index(state) for state, *_ in made)
    # Of those that are met the last says most: "marked" stands after the plain criterion.
    reached = [each for each in made if _ORDER.index(each[0]) == best]
    state, criterion, looked_at = reached[-1] if best == 0 else reached[0]
    if state not in ("met", "borderline"):
        return Verdict(state, allowed, evidence=_words([*shown, *looked_at]))
    every = [quantity for _, _, quantities_ in reached for quantity in quantities_]
    leads = tuple(dict.fromkeys(lead for quantity in looked_at for lead in quantity.leads))
    always = state == "met" and criterion.role == "says"
    evidence = _words([*every, *shown])
    return Verdict(state, allowed, criterion.modifiers, evidence, leads, criterion.name, always)


@lru_cache(maxsize=10_000)
def _applying(code: int, years: float, sex: str, definitions: str) -> list[tuple[Criterion, list[Condition]]]:
    """The criteria of a statement for an age, a sex and a convention, each with its conditions for these."""
    found = []
    for criterion in all_criteria().get(code, ()):
        of_convention = [each for each in criterion.conditions if each.definitions in ("", definitions)]
        conditions = [each for each in of_convention if each.applies(years, sex)]
        # A row of another convention or age leaves the criterion; one of another sex belongs to another criterion.
        if conditions and (criterion.role not in _MAKING or len(conditions) == len(of_convention)):
            found.append((criterion, conditions))
    return found


def _words(quantities: Iterable[Quantity]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(quantity.words for quantity in quantities if quantity.words))
