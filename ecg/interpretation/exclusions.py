"""Which statements exclude each other: the rules of ``data/exclusions.csv``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from ecg.interpretation.statement_list import read_table

T = TypeVar("T")


@dataclass(frozen=True)
class Exclusion:
    """A rule."""

    name: str
    # One of "one of", "not beside", "alone": only one of `codes`; none of `codes` beside one of `beside`; one of
    # `codes` with nothing but `beside`.
    kind: str
    codes: frozenset[int]
    beside: frozenset[int]


@cache
def exclusions() -> tuple[Exclusion, ...]:
    """All rules, in the order in which they are applied."""
    return tuple(
        Exclusion(
            row["rule"],
            row["kind"],
            frozenset(map(int, row["codes"].split())),
            frozenset(map(int, row["beside"].split())),
        )
        for row in read_table("exclusions.csv")
    )


def exclude(found: Mapping[int, T], rank: Callable[[T], Any]) -> dict[int, T]:
    """The statements that stay where some exclude others.

    `found`: statements by code. `rank`: of statements of which one can stay the one of the highest rank does.
    """
    kept = dict(found)
    for rule in exclusions():
        there = [code for code in kept if code in rule.codes]
        if rule.kind == "one of" and len(there) > 1:
            best = max(there, key=lambda code: rank(kept[code]))
            kept = {code: each for code, each in kept.items() if code == best or code not in rule.codes}
        others = [code for code in kept if code not in rule.codes and (code in rule.beside) == (rule.kind != "alone")]
        if rule.kind != "one of" and others:
            kept = {code: each for code, each in kept.items() if code not in rule.codes}
    return kept
