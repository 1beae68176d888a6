"""The diagnostic statement list of the AHA/ACC/HRS recommendations, part II (Mason et al. 2007), and maps to it."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@cache
def read_table(name: str) -> list[dict[str, str]]:
    """The rows of a CSV file in ``ecg/interpretation/data``."""
    text = files("ecg.interpretation").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@dataclass(frozen=True)
class Term:
    """An entry of the list."""

    code: int
    kind: str  # "primary", "secondary", "modifier", "comparison" or "convenience"
    category: str
    words: str
    # Of a secondary statement: the primary statements that it may stand beside.
    accompanies: frozenset[int] = frozenset()
    criterion: str = ""  # of a comparison statement


@cache
def statement_list() -> dict[int, Term]:
    """All entries by code, in the order of the list."""
    terms = {}
    for row in read_table("aha_statements.csv"):
        code, kind, more = int(row["code"]), row["kind"], row["accompanies_or_criterion"]
        words = (
            row["statement"] if kind != "secondary" else f"{row['category'].capitalize()} {_inner(row['statement'])}"
        )
        beside = frozenset(_codes(more)) if kind == "secondary" else frozenset()
        terms[code] = Term(code, kind, row["category"], words, beside, more if kind == "comparison" else "")
    return terms


def _codes(text: str) -> Iterator[int]:
    """Codes of a cell such as "145-147, 151"."""
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        yield from range(int(first), int(last or first) + 1)


def words_of(code: int, modifiers: Sequence[int] = (), leads: Sequence[str] = ()) -> str:
    """A statement with its modifiers in the list's words: "ST deviation, elevation, leads V2, V3"."""
    terms = statement_list()
    parts = [terms[code].words, *(_inner(terms[modifier].words) for modifier in modifiers)]
    return ", ".join([*parts, *([f"leads {', '.join(leads)}"] if leads else [])])


def _inner(words: str) -> str:
    """Words as they stand inside a sentence: abbreviations keep their capital letters."""
    return words if words[:2].isupper() else words[:1].lower() + words[1:]


@dataclass(frozen=True)
class ClassTerm:
    """What a class of a model says in the list's terms."""

    code: int
    modifiers: tuple[int, ...]


@cache
def _terms() -> dict[str, tuple[ClassTerm, ...]]:
    terms: dict[str, tuple[ClassTerm, ...]] = {}
    for row in read_table("classes.csv"):
        term = ClassTerm(int(row["code"]), tuple(map(int, row["modifiers"].split())))
        terms[row["class"]] = (*terms.get(row["class"], ()), term)
    return terms


def terms_of_class(label: str) -> tuple[ClassTerm, ...]:
    """The statements that a class stands for, none for a class without.

    `label`: a SNOMED CT code of the Challenge (several joined by ``|`` for a class of several codes), or one of
    PTB-XL's SCP-ECG statements.
    """
    return next((_terms()[code] for code in label.split("|") if code in _terms()), ())
