"""From the words of an interpretation to SNOMED CT codes, by a table and by nothing else."""

import hashlib
import re
from pathlib import Path

from ecg.io.errors import problem, shown
from ecg.io.files import StrPath, read_rows

_LONGEST = 1 << 22  # bytes
COMMON_TABLE = Path(__file__).with_name("device_statements.csv")


class StatementTable:
    """Statements with their codes.

    A statement is found by its whole text, or without what follows a comma, semicolon or colon (the reason: "Sinus
    bradycardia, rate < 50"), or as several known ones joined by "with" or "and". Nothing is found by a part of it: "no
    longer has left bundle branch block" has none. Upper and lower case, white space, a leading code in
    parentheses ("(SB) SINUS BRADYCARDIA") and a full stop at the end don't matter.
    """

    def __init__(self) -> None:
        self._codes: dict[str, tuple[str, ...]] = {}

    def add(self, path: StrPath) -> None:
        """Add a CSV file with the columns statement and code (others are for people); it goes before earlier ones.

        Several codes are separated by semicolons. Without a code a statement is known to mean none. Raises
        RecordingError where it is no such file.
        """
        fields, rows = read_rows(path, _LONGEST)
        if not {"statement", "code"} <= set(fields):
            raise problem(path, "the columns statement and code", shown(", ".join(fields)))
        for row in rows:
            codes = tuple(code.strip() for code in (row["code"] or "").split(";") if code.strip())
            if bad := [code for code in codes if not re.fullmatch(r"\d{6,18}", code, re.ASCII)]:
                raise problem(path, f"a SNOMED CT code for {shown(row['statement'] or '')}", shown(bad[0]))
            if normal := _normal(row["statement"] or ""):
                self._codes[normal] = codes

    def digest(self) -> str:
        """A checksum of all that the table says."""
        return hashlib.sha256(repr(sorted(self._codes.items())).encode()).hexdigest()

    def codes_of(self, statement: str) -> tuple[str, ...] | None:
        """The codes of a statement, maybe none; None where the table doesn't know it."""
        text = _normal(statement)
        ends = [len(text), *(match.start() for match in reversed(list(re.finditer("[,;:]", text))))]
        for end in ends:
            found = self._known(text[:end].strip())
            if found is not None:
                return found
        return None

    def _known(self, text: str) -> tuple[str, ...] | None:
        if text in self._codes:
            return self._codes[text]
        parts = re.split(r" (?:with|and) ", text)
        if len(parts) > 1 and all(part in self._codes for part in parts):
            return tuple(dict.fromkeys(code for part in parts for code in self._codes[part]))
        return None


def load_statements(labels: StrPath) -> StatementTable:
    """The table of common statements, and before it the user's own file; "common" for the former alone."""
    table = StatementTable()
    table.add(COMMON_TABLE)
    if labels != "common":
        table.add(labels)
    return table


def _normal(statement: str) -> str:
    text = " ".join(statement.casefold().split())
    return re.sub(r"^\(\w+\) ", "", text).rstrip(" .").removeprefix("with ")
