"""Labels from a table beside the recordings: one's own, or that of PTB-XL."""

import ast
import hashlib
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ecg.io.device_statements import StatementTable, load_statements
from ecg.io.errors import problem, shown
from ecg.io.files import StrPath, read_rows
from ecg.labels.diagnoses import clean_code

_LONGEST = 1 << 27  # bytes
_RECORD = ("record", "recording", "ecg_id")
_CODES = ("codes", "scp_codes", "statements")
_FOLD, _PATIENT = ("strat_fold", "fold"), ("patient_id", "patient")
_FLAGS = {"": False, "0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}
_PTB_XL_NAME = re.compile(r"(?:HR)?0*(\d+)(?:_[lh]r)?")


@dataclass(frozen=True)
class LabelTable:
    """The diagnosis codes of records, with their folds and patients where the table has them."""

    path: str
    codes: Mapping[str, tuple[str, ...]]  # by record; by PTB-XL's ecg_id where `is_ptb_xl`
    folds: Mapping[str, int] = field(default_factory=dict)  # from 1 up
    patients: Mapping[str, str] = field(default_factory=dict)
    is_ptb_xl: bool = False

    def digest(self) -> str:
        """A checksum of all that the table says."""
        parts = [sorted(each.items()) for each in (self.codes, self.folds, self.patients)]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def key(self, record: str) -> str:
        """What a record is called here: PTB-XL's 1 is HR00001 in the Challenge, and 00001_lr and 00001_hr."""
        match = _PTB_XL_NAME.fullmatch(record) if self.is_ptb_xl else None
        return match[1] if match else record

    def check(self, records: Collection[str]) -> str:
        """Compare with the records of a folder; a sentence about those without a row, "" for none.

        Raises RecordingError if one's own table names a record that is not there, any table names none that is, or it
        leaves half of them out.
        """
        there = {self.key(record) for record in records}
        strange = [record for record in self.codes if record not in there]
        if len(strange) == len(self.codes):
            found = f"none of them (first: {shown(next(iter(self.codes), 'no row'))})"
            raise problem(self.path, f"names of recordings such as {min(records, default='-')}", found)
        if strange and not self.is_ptb_xl:
            found = f"{len(strange)} that are not ({shown(strange[0])})"
            raise problem(self.path, "names of recordings that are there", found)
        lacking = sorted(record for record in records if self.key(record) not in self.codes)
        if 2 * len(lacking) >= len(records):
            found = f"none for {len(lacking)} of {len(records)} (first: {shown(lacking[0])})"
            raise problem(self.path, "a row for each recording", found)
        return f"{self.path} has no row for {len(lacking)} of {len(records)} recordings: left out" if lacking else ""


Labels = StatementTable | LabelTable


def load_labels(path: StrPath, known: Collection[str], least_likelihood: float = 0.0) -> Labels:
    """Labels from a CSV file, told apart by its columns: statements of devices and their codes, or records and theirs.

    The path "common" is for the table of common statements alone. `known` and `least_likelihood` are those of
    `read_label_table`.
    """
    if os.fspath(path) == "common" or {"statement", "code"} <= set(read_rows(path, _LONGEST)[0]):
        return load_statements(os.fspath(path))
    return read_label_table(path, known, least_likelihood)


def read_label_table(path: StrPath, known: Collection[str], least_likelihood: float = 0.0) -> LabelTable:
    """Read a table of records and their diagnoses. Raises RecordingError if the file can't be read so.

    A column `record` (PTB-XL: `ecg_id`), and either a column `codes` with codes joined by `;`, or a column of 0 and 1
    for each code. A code may carry a likelihood from 0 to 100, ``CODE:likelihood``; PTB-XL's own table writes
    ``{'CODE': likelihood}``. Columns `fold` (`strat_fold`) and `patient` (`patient_id`) are used where they are there.

    `known` are the codes of the set of diagnoses: which columns are codes. Codes below `least_likelihood` are left out.
    At 0 all count, as in PTB-XL's benchmark: there 0 says that no likelihood was given.
    """
    fields, rows = read_rows(path, _LONGEST)
    wanted = (_RECORD, _CODES, _FOLD, _PATIENT)
    record, codes, fold, patient = (next((name for name in names if name in fields), None) for names in wanted)
    flags = [] if codes else _flag_columns(rows, fields, (record, fold, patient), known)
    if record is None or not (codes or flags):
        expected = "a column record (or ecg_id), and a column codes or one for each code"
        raise problem(path, expected, f"the columns {shown(', '.join(fields))}")
    table: dict[str, tuple[str, ...]] = {}
    folds, patients = {}, {}
    for row in rows:
        name = (row[record] or "").strip()
        if not name or name in table:
            raise problem(path, "a name for each record, and each once", shown(f"{name} twice" if name else "no name"))
        if codes:
            likelihoods = _parse(path, name, row[codes] or "")
        else:
            cells = {code: (row[code] or "").strip().lower() for code in flags}
            if bad := next((code for code in flags if cells[code] not in _FLAGS), None):
                raise problem(path, f"0 or 1 as {bad} of record {name}", shown(cells[bad]))
            likelihoods = {clean_code(code): 100.0 for code in flags if _FLAGS[cells[code]]}
        table[name] = tuple(code for code, likelihood in likelihoods.items() if likelihood >= least_likelihood)
        if fold and (value := (row[fold] or "").strip()) not in ("", "0"):
            if not re.fullmatch(r"\d{1,6}(\.0)?", value, re.ASCII):
                raise problem(path, f"a fold of 0, 1, 2, ... for record {name}", shown(value))
            folds[name] = int(float(value))
        if patient and (value := (row[patient] or "").strip()):
            patients[name] = value
    return LabelTable(os.fspath(path), table, folds, patients, record == "ecg_id")


def _flag_columns(
    rows: list[dict[str, str]], fields: list[str], others: tuple[str | None, ...], known: Collection[str]
) -> list[str]:
    """The columns of codes: those of the set, and other columns of 0 and 1."""

    def is_flag(name: str) -> bool:
        return clean_code(name) in known or all((row[name] or "").strip().lower() in _FLAGS for row in rows)

    flags = [name for name in fields if name not in others and is_flag(name)]
    return flags if any(clean_code(name) in known for name in flags) else []


def _parse(path: StrPath, record: str, cell: str) -> dict[str, float]:
    """Codes with their likelihoods, 100 where the cell has none."""
    cell = cell.strip()
    try:
        if cell.startswith("{"):
            found = {str(code): float(likelihood) for code, likelihood in ast.literal_eval(cell).items()}
        else:
            parts = (part.strip().partition(":") for part in cell.split(";"))
            found = {clean_code(code): float(likelihood or 100) for code, _, likelihood in parts if code}
    except (ValueError, SyntaxError, TypeError, AttributeError, RecursionError, MemoryError):
        raise problem(path, f"codes of record {record} such as NORM:100;SR:0", shown(cell)) from None
    if not all(0 <= likelihood <= 100 for likelihood in found.values()):
        raise problem(path, f"likelihoods of record {record} from 0 to 100", shown(cell))
    return found
