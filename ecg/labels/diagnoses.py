"""A set of diagnoses, as data: the classes that a model tells apart, their codes, names, words and reward weights.

A set is a CSV file with a row for each class. Only the column `code` is needed:

- `code`: as outputs write it. Several codes joined by `|` are one class, and outputs write them all.
- `equivalents`: more codes that count as the class, joined by `|`; outputs don't write them.
- `abbreviation`, `name`: one for the class, or one for each of its codes, joined by `|`.
- `words`, `meaning`: for the pages that people read.
- `normal`: 1 for normal rhythm.
- `prevalence_percent`: how common the class is, for prior odds.
- `superclass`: the class's place at a second level.
- `size`: 1 where the shape of a recording does not show it, only how large it is.
- `part`: of two sets in one, the set of the class. A recording without a code of it has unknown labels there.

The reward weights of `NAME.csv` stand beside it in `NAME-weights.csv`; those of `challenge-2020` in the project's
`weights.csv`.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ecg.arrays import Floats
from ecg.resources import resource

FOLDER = Path(__file__).parent
COLUMNS = (
    "code", "equivalents", "abbreviation", "name", "words", "meaning", "normal", "prevalence_percent", "superclass",
    "size", "part",
)  # fmt: skip


class DiagnosesError(ValueError):
    """A set of diagnoses or a table of weights that can't be used; the message names the file and what is wrong."""


@dataclass(frozen=True)
class Diagnosis:
    """One class of a set."""

    code: str  # as outputs write it
    codes: tuple[str, ...]  # all that count as it
    abbreviations: tuple[str, ...]  # `abbreviations`, `names`: one, or one for each of `codes`
    names: tuple[str, ...]
    words: str  # `words`, `meaning`: for people
    meaning: str = ""
    superclass: str = ""  # "" where it has none
    prevalence: float = math.nan  # from 0 to 1, NaN where not known
    is_normal: bool = False  # whether it is normal rhythm
    by_size: bool = False  # whether only the size of a recording shows it
    part: str = ""  # the set that it is from, in two sets joined; "" elsewhere

    @property
    def abbreviation(self) -> str:
        """ "AF"; "CRBBB/RBBB" for a class of two codes."""
        return "/".join(self.abbreviations)


@dataclass(frozen=True)
class Diagnoses:
    """A set of diagnoses. Two are equal if they have the same name, table and weights."""

    name: str
    table: tuple[str, ...]  # the lines of its file
    weights_table: tuple[str, ...] = ()  # the lines of its table of reward weights, none where it has no weights
    source: str = field(default="set of diagnoses", compare=False)  # what error messages call the file

    def __post_init__(self) -> None:
        _ = self.rows, self.column_of, self.normal, self.weights  # each says what is wrong with the set

    def as_json(self) -> dict[str, Any]:
        """The set as a model folder stores it."""
        return {"name": self.name, "table": list(self.table), "weights": list(self.weights_table)}

    @classmethod
    def from_json(cls, stored: object, source: str) -> Diagnoses:
        """The set that `as_json` has stored; DiagnosesError for anything else."""
        lines = [stored.get("table"), stored.get("weights")] if isinstance(stored, dict) else [None, None]
        fits = all(isinstance(each, list) and all(isinstance(line, str) for line in each) for each in lines)
        if not isinstance(stored, dict) or not fits or not isinstance(stored.get("name"), str):
            raise _problem(source, "a set of diagnoses with name, table and weights", repr(stored)[:80])
        return cls(stored["name"], tuple(stored["table"]), tuple(stored["weights"]), source)

    @cached_property
    def rows(self) -> tuple[Diagnosis, ...]:
        """The classes, in the order of outputs."""
        fields, cells = _cells(self.table)
        if "code" not in fields:
            raise _problem(self.source, "a column 'code'", f"the columns {', '.join(fields) or 'none'}")
        rows = tuple(self._row(row) for row in cells)
        if not rows:
            raise _problem(self.source, "a row for each diagnosis", "no rows")
        return rows

    def _row(self, row: Mapping[str, Any]) -> Diagnosis:
        text = {name: str(row.get(name) or "").strip() for name in COLUMNS}
        code = clean_code(text["code"])
        codes = tuple(clean_code(f"{code}|{text['equivalents']}".rstrip("|")).split("|"))
        if not all(codes) or any(set(part) & set(',;\r\n"') or not part.isprintable() for part in codes):
            raise _problem(self.source, "codes without comma, semicolon or quotation mark", repr(code))
        parts = {}
        for column, default in (("abbreviation", code), ("name", text["abbreviation"] or code)):
            parts[column] = tuple((text[column] or default).split("|"))
            if len(parts[column]) not in (1, len(codes)):
                expected = f"one {column} for {code}, or one for each of its {len(codes)} codes"
                raise _problem(self.source, expected, str(len(parts[column])))
        try:
            prevalence = float(text["prevalence_percent"] or "nan") / 100
        except ValueError:
            prevalence = math.inf
        if not (math.isnan(prevalence) or 0 <= prevalence <= 1):
            raise _problem(self.source, f"a prevalence of {code} from 0 to 100", repr(text["prevalence_percent"]))
        if text["normal"] not in ("", "0", "1"):
            raise _problem(self.source, "1 in the column 'normal', or nothing", repr(text["normal"]))
        first = parts["name"][0]
        words = text["words"] or first[:1].upper() + first[1:]
        named = parts["abbreviation"], parts["name"], words, text["meaning"], text["superclass"]
        return Diagnosis(code, codes, *named, prevalence, text["normal"] == "1", text["size"] == "1", text["part"])

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The code of each class as outputs write it, in their order."""
        return tuple(row.code for row in self.rows)

    @cached_property
    def column_of(self) -> dict[str, int]:
        """The column of each code that the set knows, classes of several codes among them."""
        columns: dict[str, int] = {}
        for column, row in enumerate(self.rows):
            for code in row.codes:
                if code in columns:
                    raise _problem(self.source, "each code once", f"{code} twice")
                columns[code] = column
        return columns | {row.code: column for column, row in enumerate(self.rows)}

    @cached_property
    def normal(self) -> str | None:
        """The class of normal rhythm; None where no row says so."""
        codes = [row.code for row in self.rows if row.is_normal]
        if len(codes) > 1:
            raise _problem(self.source, "one normal rhythm at the most", f"{len(codes)} rows with normal 1")
        return codes[0] if codes else None

    @property
    def weights_source(self) -> str:
        """What error messages call the table of reward weights."""
        return "weights.csv" if self.name == DEFAULT else self.source.removesuffix(".csv") + "-weights.csv"

    @cached_property
    def weights(self) -> Floats | None:
        """Reward for output j on a recording with label i, (n_classes, n_classes), not to be changed; None without."""
        if not self.weights_table:
            return None
        named = self.weights_source
        found, table = read_weights(self.weights_table, named, self)
        if missing := [code for code in self.classes if code not in found]:
            raise _problem(named, f"a row for each class of the set {self.name}", f"none for {', '.join(missing)}")
        if self.normal is None:
            raise _problem(self.source, "a row with normal 1, as the set has reward weights", "none")
        order = [found.index(code) for code in self.classes]
        weights = table[np.ix_(order, order)]
        weights.flags.writeable = False
        return weights

    def __getitem__(self, code: str) -> Diagnosis:
        """The class of a code; KeyError where the set has none."""
        return self.rows[self.column_of[code]]

    @cached_property
    def by_name(self) -> list[int]:
        """The columns in the order of tables: by name where the set has names, or else as in its file."""
        return sorted(range(len(self.rows)), key=lambda k: self.rows[k].names[0])

    @cached_property
    def superclasses(self) -> dict[str, list[int]]:
        """The second level: the columns of each superclass, none where the set has no such level."""
        names = dict.fromkeys(row.superclass for row in self.rows if row.superclass)
        return {name: [k for k, row in enumerate(self.rows) if row.superclass == name] for name in names}


def index_classes(classes: Sequence[str], diagnoses: Diagnoses) -> dict[str, int]:
    """The column in `classes`, some or all of a set's in any order, of each code that counts as one of them."""
    known = {code: diagnoses.classes[column] for code, column in diagnoses.column_of.items()}
    columns = {known.get(code, code): column for column, code in enumerate(classes)}
    if len(columns) != len(classes):
        raise ValueError(f"expected distinct classes without equivalent ones, found {', '.join(classes)}")
    return columns | {code: columns[own] for code, own in known.items() if own in columns}


def read_weights(
    lines: Iterable[str], source: str, diagnoses: Diagnoses | None = None
) -> tuple[tuple[str, ...], Floats]:
    """The classes and weights of a table, in its order.

    `lines`: CSV with the same codes along its first row and first column. A cell may join equivalent codes by `|`.
    `source`: what error messages call the table. `diagnoses`: equivalent codes are merged, and codes of no class are an
    error unless left out. Returns `weights`: (n_classes, n_classes), float64. Raises DiagnosesError if the table is not
    square, named the same along both sides, finite, and the same for equivalent classes.
    """
    rows = [[clean_code(cell) for cell in line.split(",")] for line in lines if line.strip()]
    names = [row[0] for row in rows[1:]]
    if not names or any(len(row) != len(rows) for row in rows) or names != rows[0][1:] or len(set(names)) != len(names):
        expected = "a square table with the same distinct codes in one order along both sides"
        raise _problem(source, expected, f"rows {names} and columns {rows[0][1:] if rows else []}")
    cells = [cell for row in rows[1:] for cell in row[1:]]
    if strange := [cell for cell in cells if not _is_finite(cell)]:
        raise _problem(source, "finite numbers", repr(strange[0][:40]))
    table = np.array(cells, dtype=np.float64).reshape(len(names), -1)
    if diagnoses is not None:
        columns = [{diagnoses.column_of.get(code) for code in {name, *name.split("|")}} - {None} for name in names]
        if strange := [name for name, found in zip(names, columns, strict=True) if len(found) > 1]:
            raise _problem(source, f"codes of one class of the set {diagnoses.name}", f"{strange[0]} of several")
        if strange := [name for name, found in zip(names, columns, strict=True) if not found]:
            raise _problem(source, f"codes of the set {diagnoses.name}", ", ".join(strange))
        names = [diagnoses.classes[found.pop()] for found in columns if found]  # type: ignore[index]
    first = [names.index(name) for name in names]
    if not np.array_equal(table, table[np.ix_(first, first)]):
        raise _problem(source, "the same rewards for equivalent classes", "different ones")
    once = list(dict.fromkeys(first))
    return tuple(names[k] for k in once), table[np.ix_(once, once)]


def clean_code(code: str) -> str:
    """A code, or several joined by `|`, without spaces and the .0 that spreadsheets write behind a number."""
    return "|".join(re.sub(r"^(\d+)\.0+$", r"\1", part.strip()) for part in code.split("|"))


def _cells(table: Iterable[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns of a table, without spaces around their names, and its rows that are not empty."""
    reader = csv.DictReader(table)
    reader.fieldnames = fields = [name.strip() for name in reader.fieldnames or ()]
    return fields, [row for row in reader if any(row.values())]


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _problem(source: str, expected: str, found: str) -> DiagnosesError:
    return DiagnosesError(f"{source}: expected {expected}, found {found}")


DEFAULT = "challenge-2020"


def weights_file(path: Path) -> Path:
    """Where the reward weights of a set's file are: beside it, or those of the Challenge 2020 at the top level.

    An installed package has the latter beside the set too.
    """
    beside = path.with_name(f"{path.stem}-weights.csv")
    top = resource("weights.csv")
    return top if path == FOLDER / f"{DEFAULT}.csv" and not beside.exists() else beside


def shipped() -> list[str]:
    """The names of the sets that come with the package, the default first."""
    names = sorted(path.stem for path in FOLDER.glob("*.csv") if not path.stem.endswith("-weights"))
    return sorted(names, key=lambda name: name != DEFAULT)


def load_diagnoses(name: str | os.PathLike[str] = DEFAULT) -> Diagnoses:
    """A set by the name of a shipped one, or the path of a user's file.

    Raises DiagnosesError if there is no such set, or it can't be used.

    Examples
    --------
    >>> load_diagnoses("challenge-2021").classes[:3]
    ('164889003', '164890007', '6374002')
    """
    text = os.fspath(name)
    if text in shipped():
        return _load_shipped(text)
    path = Path(text)
    if not path.is_file():
        raise _problem(text, f"a set of diagnoses: one of {', '.join(shipped())}, or a CSV file", "neither")
    weights = weights_file(path)
    if weights.is_file() and not any(map(str.strip, _lines(weights))):
        raise _problem(str(weights), "a table of reward weights, or no such file", "an empty file")
    return Diagnoses(path.stem, _lines(path), _lines(weights) if weights.is_file() else (), text)


@lru_cache(maxsize=16)
def _load_shipped(name: str) -> Diagnoses:
    path = FOLDER / f"{name}.csv"
    weights = weights_file(path)
    return Diagnoses(name, _lines(path), _lines(weights) if weights.is_file() or name == DEFAULT else (), f"{name}.csv")


def _lines(path: Path) -> tuple[str, ...]:
    try:
        return tuple(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=None).read().splitlines())
    except UnicodeDecodeError as error:
        raise _problem(str(path), "UTF-8 text", f"a byte that is not at {error.start}") from None


def join(first: Diagnoses, second: Diagnoses) -> Diagnoses:
    """Two sets of different codes as one, to train networks on both; normal rhythm is that of the first."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for each in (first, second):
        changed = {"part": each.name, **({} if each is first else {"normal": ""})}
        writer.writerows({**row, **changed} for row in _cells(each.table)[1])
    return Diagnoses(f"{first.name}+{second.name}", tuple(file.getvalue().splitlines()))


def set_of(classes: Sequence[str]) -> Diagnoses | None:
    """The shipped set that has these classes, in any order; None where none has."""
    return next((each for each in map(load_diagnoses, shipped()) if set(each.classes) == set(classes)), None)


def closest(codes: Iterable[str]) -> Diagnoses:
    """The shipped set that has most of these codes."""
    wanted = set(codes)
    return max(map(load_diagnoses, shipped()), key=lambda each: len(wanted & each.column_of.keys()))


CHALLENGE_2020 = load_diagnoses()
