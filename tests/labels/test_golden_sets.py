"""Sets of diagnoses from drawn tables, good ones with all they say and bad ones with their message, as they were noted.

`PYTHONPATH=. python tests/labels/test_golden_sets.py` notes them anew: read what has changed before you commit it.
"""

import json
import math
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from ecg.labels.classes import encode_labels
from ecg.labels.diagnoses import Diagnoses, DiagnosesError, closest, index_classes, join, load_diagnoses, read_weights

GOLDEN = Path(__file__).with_name("golden_sets.json")
DRAWN = [f"drawn {k}" for k in range(100)]
CODES = ("1", "2.0", "30", "A", "B1", "C|D", "44.00|5", "x y", " E ", "F", "G|2")
OTHERS = (
    *("equivalents", "abbreviation", "name", "words", "meaning", "normal", "size", "part", "prevalence_percent"),
    *("superclass", "another"),
)
WRONG = ("a;b", "", "q'", "|7", 'h"', "10", "B1", "C")


def drawn(number):
    """The lines of a table and of its weights; a third of them with something wrong."""
    rng = np.random.default_rng([44, number])

    def one_of(*choices):
        return str(rng.choice(choices))

    codes = rng.permutation(CODES)[: rng.integers(1, 5)].tolist()
    if rng.random() < 0.15:
        codes[rng.integers(len(codes))] = one_of(*WRONG)
    columns = rng.permutation(OTHERS)[: rng.integers(0, 12)].tolist()
    columns.insert(rng.integers(len(columns) + 1), "code" if rng.random() < 0.95 else "Code")
    normal = int(rng.integers(len(codes)))
    rows = []
    for k, code in enumerate(codes):
        cells = {
            "equivalents": one_of("", "", f"e{k}", f"e{k}|{k}00.0", *([codes[0]] * (rng.random() < 0.1))),
            "abbreviation": one_of("", f"AB{k}", "P|Q" if "|" in code or rng.random() < 0.1 else "PQ"),
            "name": one_of("", f"name {k}", "aV one", "left|right" if "|" in code else "left"),
            "words": one_of("", f"Words of {k}"),
            "meaning": one_of("", "what it means"),
            "normal": ("1" if k == normal else one_of("", "0")) if rng.random() < 0.95 else one_of("1", "2", "yes"),
            "size": one_of("", "0", "1"),
            "part": one_of("", "first"),
            "prevalence_percent": one_of("", "0", "12.5", "100")
            if rng.random() < 0.95
            else one_of("101", "-1", "much"),
            "superclass": one_of("", "S", "T"),
            "another": "z",
            "code": code,
            "Code": code,
        }
        rows.append(",".join(cells[column] for column in columns))
    head = ",".join(f" {column}" if rng.random() < 0.1 else column for column in columns)
    order = rng.permutation(codes).tolist()
    weights = [[str(rng.integers(0, 9) / 8) for _ in order] for _ in order]
    if any("e0" in row.split(",") for row in rows) and rng.random() < 0.7:  # a row for an equivalent code too
        twin = order.index(codes[0])
        order.append("e0")
        weights = [[*row, row[twin]] for row in (*weights, weights[twin])]
        weights[0][-1] = weights[0][-1] if rng.random() < 0.7 else "0.3"
    fault = rng.random()
    if fault < 0.05:
        weights[-1][-1] = one_of("nan", "inf", "w", "")
    elif fault < 0.1:
        weights[-1].append("1")
    elif fault < 0.15:
        order[0] = one_of("other", order[-1], "e0")
    across = order if rng.random() < 0.95 else order[::-1]
    table = [f",{','.join(across)}", *(f"{code},{','.join(row)}" for code, row in zip(order, weights, strict=True))]
    return (head, *rows, *[""] * int(rng.random() < 0.2)), tuple(table) if rng.random() < 0.5 else ()


def plain(value):
    return None if isinstance(value, float) and math.isnan(value) else value


def found(name):
    number = int(name.split()[1])
    table, weights = drawn(number)
    try:
        made = Diagnoses(name, table, weights, f"{name}.csv")
    except DiagnosesError as error:
        return {"error": str(error)}
    said = {
        "rows": [[plain(value) for value in astuple(row)] for row in made.rows],
        "columns": made.column_of,
        "normal": made.normal,
        "weights": None if made.weights is None else made.weights.tolist(),
        "abbreviations": [row.abbreviation for row in made.rows],
        "by name": made.by_name,
        "superclasses": made.superclasses,
    }
    some = made.classes[::-1][:2]
    given = [[*made.column_of][:2], ["?"], [*made.column_of][-1:]]
    said["labels"] = encode_labels(given, some, made).astype(int).tolist()
    said["indices"] = index_classes(some, made)
    if made.weights_table:
        classes, rewards = read_weights(made.weights_table, "w.csv")
        said["alone"] = [classes, rewards.tolist()]
    try:
        both = join(made, Diagnoses("more", ("name,code,normal,abbreviation", "the other,Z|Y,1,O")))
        said["joined"] = [both.name, *both.table]
    except DiagnosesError as error:
        said["joined"] = str(error)
    return said


@pytest.mark.parametrize("name", DRAWN)
def test_a_table_says_what_was_noted(name):
    assert json.loads(json.dumps(found(name))) == json.loads(GOLDEN.read_text())[name]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("713427006", "59118001"), "expected distinct classes without equivalent ones, found 713427006, 59118001"),
        (("x", "x"), "expected distinct classes without equivalent ones, found x, x"),
    ],
)
def test_classes_that_are_one_have_no_columns_of_their_own(classes, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        index_classes(classes, load_diagnoses())


@pytest.mark.parametrize(
    ("codes", "name"),
    [
        ((), "challenge-2020"),
        (("17338001", "63593006"), "challenge-2020"),  # equivalent codes count
        (("6374002", "164889003"), "challenge-2021"),
        (("NORM", "164889003", "IMI"), "ptb-xl"),
        (("STTC", "MI"), "ptb-xl-superclasses"),
        (("733534002", "164909002", "59118001"), "challenge-2021"),
    ],
)
def test_the_set_that_knows_most_codes_is_the_closest(codes, name):
    assert closest(codes).name == name


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (None, "None"),
        ({"name": "a", "table": ["code", "x"]}, "{'name': 'a', 'table': ['code', 'x']}"),
        ({"name": "a", "table": ["code", 1], "weights": []}, "{'name': 'a', 'table': ['code', 1], 'weights': []}"),
        ({"name": 1, "table": ["code", "x"], "weights": []}, "{'name': 1, 'table': ['code', 'x'], 'weights': []}"),
        ({"table": "code", "weights": "", "name": "n" * 90}, f"{{'table': 'code', 'weights': '', 'name': '{'n' * 38}"),
    ],
)
def test_what_is_no_stored_set_is_refused(stored, shown):
    with pytest.raises(DiagnosesError) as caught:
        Diagnoses.from_json(stored, "model/config.json")
    assert str(caught.value) == (
        f"model/config.json: expected a set of diagnoses with name, table and weights, found {shown}"
    )


def test_the_messages_about_weights_name_their_file(tmp_path):
    (tmp_path / "own.csv").write_bytes(b"code,normal\na,1\n")
    (tmp_path / "own-weights.csv").write_text(",a\na,x\n")
    with pytest.raises(DiagnosesError) as caught:
        load_diagnoses(tmp_path / "own.csv")
    assert str(caught.value) == f"{tmp_path}/own-weights.csv: expected finite numbers, found 'x'"
    (tmp_path / "own.csv").write_bytes("code,words\na,à\n".encode("latin-1"))
    with pytest.raises(DiagnosesError) as caught:
        load_diagnoses(tmp_path / "own.csv")
    assert str(caught.value) == f"{tmp_path}/own.csv: expected UTF-8 text, found a byte that is not at 13"
    assert load_diagnoses().weights_source == "weights.csv"
    assert load_diagnoses("challenge-2021").weights_source == "challenge-2021-weights.csv"


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(found(name))}" for name in DRAWN)
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
