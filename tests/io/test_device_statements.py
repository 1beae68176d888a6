"""Statements of electrocardiographs and the codes that a table gives them."""

import csv
import re

import pytest

import helper_code
from ecg.io.device_statements import COMMON_TABLE, StatementTable
from ecg.io.errors import RecordingError


@pytest.fixture(scope="module")
def table():
    table = StatementTable()
    table.add(COMMON_TABLE)
    return table


@pytest.mark.parametrize(
    ("statement", "abbreviations"),
    [
        ("Normal sinus rhythm", ["NSR"]),
        ("SINUS BRADYCARDIA, V-rate<60", ["SB"]),
        ("(SB) SINUS BRADYCARDIA", ["SB"]),
        ("Sinus  tachycardia.", ["STach"]),
        ("Sinus bradycardia with 1st degree A-V block", ["SB", "IAVB"]),
        ("with sinus arrhythmia", ["SA"]),
        ("Nonspecific intraventricular conduction delay, QRSd >115mS, not LBBB/RBBB", ["NSIVCB"]),
        ("Abnormal ECG", []),
        ("AFIB", ["AF"]),
        ("1AVB", ["IAVB"]),
        ("Sinus bradycardia ; rate < 50", ["SB"]),
    ],
)
def test_statements_and_their_codes(table, statement, abbreviations):
    names = [helper_code.SCORED_CLASSES[code][0] for code in table.codes_of(statement)]
    assert names == abbreviations


@pytest.mark.parametrize(
    "statement",
    [
        "Left bundle branch block no longer present",
        "No longer with left bundle branch block",
        "Cannot rule out atrial fibrillation",
        "",
        "Probable sinus rhythm",
        "Sinus rhythm with Stolperherz",
        "not sinus rhythm, atrial fibrillation",
    ],
)
def test_part_of_a_statement_gives_no_code(table, statement):
    assert table.codes_of(statement) is None


def test_the_common_table_names_a_vendor_and_a_source_for_each_row():
    with open(COMMON_TABLE, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 100
    for row in rows:
        assert row["statement"] and row["source"] and row["vendor"] in ("GE", "Philips", "Mortara", "SCP")
        assert re.fullmatch(r"(\d{6,18})?", row["code"])
    # The same words mean the same, whoever says them.
    meanings = {}
    for row in rows:
        assert meanings.setdefault(row["statement"].casefold(), row["code"]) == row["code"], row


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "the columns statement and code"),
        ("statement,code\nx,12\n", "a SNOMED CT code for 'x', found '12'"),
        ("statement,code\nx,abc;426783006\n", "found 'abc'"),
    ],
)
def test_a_table_that_is_none(tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(RecordingError, match=message):
        StatementTable().add(tmp_path / "labels.csv")
