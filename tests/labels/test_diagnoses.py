"""Sets of diagnoses: the shipped ones, a user's file, and faults of a file."""

import csv
from pathlib import Path

import numpy as np
import pytest

from ecg.labels.classes import CLASSES, EQUIVALENT_CLASSES, SCORED_CLASSES, encode_labels
from ecg.labels.diagnoses import (
    CHALLENGE_2020,
    Diagnoses,
    DiagnosesError,
    clean_code,
    join,
    load_diagnoses,
    set_of,
    shipped,
)

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference tables are not there")


def write(folder, text, weights=None):
    (folder / "own.csv").write_text(text)
    if weights is not None:
        (folder / "own-weights.csv").write_text(weights)
    return folder / "own.csv"


def rows_of(name):
    return list(csv.DictReader((REFERENCE / name).read_text().splitlines()))


@pytest.mark.parametrize(
    ("name", "n_classes", "n_codes", "has_weights"),
    [
        ("challenge-2020", 24, 27, True),
        ("challenge-2021", 26, 30, True),
        ("ptb-xl", 71, 71, False),
        ("ptb-xl-superclasses", 5, 44 + 4, False),  # NORM is a statement too
    ],
)
def test_the_shipped_sets_have_their_classes(name, n_classes, n_codes, has_weights):
    found = load_diagnoses(name)
    assert len(found.classes) == n_classes
    assert len({code for row in found.rows for code in row.codes}) == n_codes
    assert (found.weights is not None) == has_weights
    assert all(row.words and row.abbreviation and all(row.names) for row in found.rows)
    assert set_of(found.classes[::-1]) == found
    assert name in shipped() and shipped()[0] == "challenge-2020"


@needs_reference
@pytest.mark.parametrize("year", ["", "_2021"])
def test_names_and_weights_of_the_challenges_are_the_official_ones(year):
    found = load_diagnoses("challenge" + (year.replace("_", "-") or "-2020"))
    official = {
        row["SNOMED CT Code" if not year else "SNOMEDCTCode"]: row for row in rows_of(f"dx_mapping_scored{year}.csv")
    }
    names = {
        code: each for row in found.rows for code, *each in zip(row.codes, row.abbreviations, row.names, strict=True)
    }
    assert {code: row["Abbreviation"] for code, row in official.items()} == {
        code: name for code, (name, _) in names.items()
    }
    assert all(official[code]["Dx"].lower() == name for code, (_, name) in names.items())
    head, *lines = [line.split(",") for line in (REFERENCE / f"weights{year}.csv").read_text().splitlines()]
    for line in lines:
        for column, value in zip(head[1:], line[1:], strict=True):
            i, j = (found.column_of[code] for code in (line[0], column))
            assert found.weights[i, j] == float(value)


@needs_reference
def test_ptb_xls_statements_are_the_published_ones():
    found = load_diagnoses("ptb-xl")
    assert [(row["code"], row["name"], row["superclass"]) for row in rows_of("ptbxl_codes.csv")] == [
        (row.code, row.names[0], row.superclass) for row in found.rows
    ]
    above = load_diagnoses("ptb-xl-superclasses")
    for row in found.rows:
        assert (row.code in above.column_of) == bool(row.superclass)
        assert not row.superclass or above[row.code].code == row.superclass


def test_the_challenges_names_stand_for_the_default_set():
    assert load_diagnoses() is CHALLENGE_2020
    assert CLASSES == CHALLENGE_2020.classes == tuple(sorted(CLASSES))
    assert EQUIVALENT_CLASSES == {"59118001": "713427006", "63593006": "284470004", "17338001": "427172004"}
    assert len(SCORED_CLASSES) == 27 and SCORED_CLASSES["713427006"][0] == "CRBBB"
    assert CHALLENGE_2020["59118001"].abbreviation == "CRBBB/RBBB"


def test_the_scored_classes_are_in_the_order_of_the_challenges_table():
    assert " ".join(abbreviation for abbreviation, _ in SCORED_CLASSES.values()) == (
        "IAVB AF AFL Brady CRBBB IRBBB LAnFB LAD LBBB LQRSV NSIVCB PR PAC PVC LPR LQT QAb RAD RBBB SA SB NSR STach "
        "SVPB TAb TInv VPB"
    )


def test_a_users_file_needs_codes_alone(tmp_path):
    found = load_diagnoses(write(tmp_path, "code\nAFIB\nSR\n"))
    assert (found.name, found.classes, found.normal, found.weights) == ("own", ("AFIB", "SR"), None, None)
    assert [row.words for row in found.rows] == ["AFIB", "SR"]
    assert encode_labels([["SR", "?"], []], found.classes, found).tolist() == [[False, True], [False, False]]


def test_codes_that_a_spreadsheet_made_numbers_of_are_codes_again(tmp_path):
    found = load_diagnoses(
        write(tmp_path, "code,equivalents,normal\n10.0,20.00,\n30.0|4.5,,1\n", ",10.0,30|4.5\n10,1,0\n30.0|4.5,0,1\n")
    )
    assert found.classes == ("10", "30|4.5") and set(found.column_of) == {"10", "20", "30", "4.5", "30|4.5"}
    assert found.weights.tolist() == [[1, 0], [0, 1]]


def test_a_file_from_a_spreadsheet_has_equivalents_words_and_weights(tmp_path):
    text = "\ufeffcode,equivalents,abbreviation,words,normal\r\na,x|y,A,Alpha,\r\nb|c,,B|C,,1\r\n"
    found = load_diagnoses(write(tmp_path, text, ",b|c,a\nb|c,1,0.5\na,0.5,1\n"))
    assert found.classes == ("a", "b|c") and found.normal == "b|c"
    assert found["y"].words == "Alpha" and found["c"].abbreviation == "B/C"
    assert found.weights.tolist() == [[1, 0.5], [0.5, 1]]
    assert encode_labels([["y"], ["c"]], found.classes, found).tolist() == [[True, False], [False, True]]
    assert Diagnoses.from_json(found.as_json(), "a model folder") == found


@pytest.mark.parametrize(
    ("text", "weights", "message"),
    [
        ("code\na\na\n", None, r"own\.csv: expected each code once, found a twice"),
        ("code,equivalents\na,b\nb,\n", None, r"own\.csv: expected each code once, found b twice"),
        ("name\na\n", None, r"own\.csv: expected a column 'code', found the columns name"),
        ("", None, r"expected a column 'code', found the columns none"),
        ("code\n", None, "expected a row for each diagnosis, found no rows"),
        ("code,normal\na,1\nb,1\n", None, "expected one normal rhythm at the most, found 2 rows"),
        ("code,normal\na,yes\n", None, "expected 1 in the column 'normal', or nothing, found 'yes'"),
        (
            "code,name\na|b,x|y|z\n",
            None,
            "expected one name for a|b, or one for each of its 2 codes, found 3".replace("|", r"\|"),
        ),
        ("code,prevalence_percent\na,200\n", None, "expected a prevalence of a from 0 to 100, found '200'"),
        ('code\n"a,b"\n', None, "expected codes without comma"),
        ("code,normal\na,1\nb,\n", ",a\na,1\n", r"own-weights\.csv: .*each class of the set own, found none for b"),
        ("code,normal\na,1\n", ",a,c\na,1,0\nc,0,1\n", r"own-weights\.csv: expected codes of the set own, found c"),
        (
            "code,normal\na,1\nb,\n",
            ",a|b\na|b,1\n",
            "expected codes of one class of the set own, found a[|]b of several",
        ),
        ("code,normal\na,1\nb,\nc,\n", ",b,c|b|a\nb,1,0\nc|b|a,0,1\n", "of one class .*found c[|]b[|]a of several"),
        ("code,normal\na,1\nb,\n", ",a,b\na,1\nb,0\n", r"own-weights\.csv: expected a square table"),
        ("code\na\n", ",a\na,1\n", r"own\.csv: expected a row with normal 1, as the set has reward weights"),
        ("code,normal\na,1\n", ",a\na,much\n", r"own-weights\.csv: expected finite numbers, found 'much'"),
        ("code,normal\na,1\n", ",a\na,nan\n", r"own-weights\.csv: expected finite numbers, found 'nan'"),
        *[
            (
                "code\na\n",
                text,
                r"own-weights\.csv: expected a table of reward weights, or no such file, found an empty",
            )
            for text in ("", "   ", " \n\t\n\n")
        ],
        ("code\na\n", "\n", r"own-weights\.csv: expected a table of reward weights, or no such file, found an empty"),
        ("code\n7\n7.0\n", None, "expected each code once, found 7 twice"),
    ],
)
def test_what_is_wrong_with_a_set_is_said(tmp_path, text, weights, message):
    with pytest.raises(DiagnosesError, match=message):
        load_diagnoses(write(tmp_path, text, weights))


def test_a_set_that_is_not_there_is_an_error_that_names_those_that_are():
    with pytest.raises(DiagnosesError, match=r"nothing: expected .* one of challenge-2020, challenge-2021, ptb-xl"):
        load_diagnoses("nothing")


def test_weights_are_not_to_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        CHALLENGE_2020.weights[0, 0] = 2
    assert np.array_equal(np.diag(CHALLENGE_2020.weights), np.ones(24))


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("426783006", "426783006"),
        (" 426783006.0 ", "426783006"),
        ("713427006 | 59118001.00", "713427006|59118001"),
        ("NORM", "NORM"),
        ("1.05", "1.05"),
        ("A1.0", "A1.0"),
    ],
)
def test_a_code_is_what_a_spreadsheet_made_of_it_before(written, code):
    assert clean_code(written) == code


def test_sets_whose_columns_have_spaces_around_their_names_can_be_joined(tmp_path):
    both = join(load_diagnoses(write(tmp_path, "code, name ,normal\na,alpha,1\n")), load_diagnoses("challenge-2021"))
    assert (both["a"].names, both.normal, both.name) == (("alpha",), "a", "own+challenge-2021")
    assert [row.part for row in both.rows] == ["own", *["challenge-2021"] * 26]


@pytest.mark.parametrize(
    "table", [",a,b,c\na,1,1,0.5\nb,1,1,0.4\nc,0.2,0.2,1\n", ",a,b,c\na,1,1,0.5\nb,1,1,0.5\nc,0.2,0.3,1\n"]
)
def test_rewards_of_equivalent_codes_have_to_be_the_same_along_both_sides(tmp_path, table):
    text = "code,equivalents,normal\na,b,1\nc,,\n"
    found = load_diagnoses(write(tmp_path, text, table.replace("0.4", "0.5").replace("0.3", "0.2")))
    assert found.weights.tolist() == [[1, 0.5], [0.2, 1]]
    with pytest.raises(DiagnosesError) as caught:
        load_diagnoses(write(tmp_path, text, table))
    assert str(caught.value) == (
        f"{tmp_path}/own-weights.csv: expected the same rewards for equivalent classes, found different ones"
    )
