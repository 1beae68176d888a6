"""Recordings that the model is least sure of: the order, the share, what could not be classified."""

import csv
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.commands import unsure
from ecg.decisions.expected_score import expected_score
from ecg.decisions.unsure import least_sure
from ecg.labels.classes import CLASSES
from ecg.labels.diagnoses import CHALLENGE_2020
from ecg.scoring.output_files import save_outputs
from test_project import ROOT


def write(folder, name, probability):
    """An output that gives atrial fibrillation with this probability, the rest being unlikely."""
    k = CLASSES.index("164889003")
    scores = np.where(np.arange(len(CLASSES)) == k, probability, 0.01 * bool(probability))
    save_outputs(folder / f"{name}.csv", name, CLASSES, np.arange(len(CLASSES)) == k, scores)


@pytest.fixture
def outputs(tmp_path):
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


def test_outputs_with_the_classes_in_another_order_are_refused(outputs):
    write(outputs, "a", 0.9)
    others = (*CLASSES[1:], CLASSES[0])
    save_outputs(outputs / "b.csv", "b", others, np.zeros(len(CLASSES)), np.zeros(len(CLASSES)))
    with pytest.raises(ValueError, match=r"b\.csv: expected the 24 scored classes of challenge-2020 in their order"):
        least_sure(outputs, 0.25)


def test_the_least_sure_come_first_and_what_could_not_be_classified_before_them(outputs):
    for name, probability in (("a", 0.9), ("b", 0.3), ("c", 0.0), ("d", 0.6), ("e", 0.95)):
        write(outputs, name, probability)
    found = least_sure(outputs, 0.25)
    assert [name for name, *_ in found] == ["c", "b", "d", "a", "e"]
    assert [is_unsure for *_, is_unsure in found] == [True, True, False, False, False]
    assert np.isnan(found[0][1])
    labels = np.arange(24) == CLASSES.index("164889003")
    scores = np.where(labels, np.float32(0.3), np.float32(0.01))
    expected = expected_score(scores[np.newaxis], labels[np.newaxis], CHALLENGE_2020.weights)[0]
    assert found[1][1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("share", "expected"), [(0, ""), (0.01, "b"), (0.2, "b"), (0.21, "bad"), (0.6, "bad"), (0.61, "bade"), (1, "badec")]
)
def test_all_of_one_expected_score_are_unsure_if_one_is(outputs, share, expected):
    for name, probability in (("a", 0.6), ("b", 0.3), ("c", 0.9), ("d", 0.6), ("e", 0.7)):
        write(outputs, name, probability)
    found = least_sure(outputs, share)
    assert [name for name, *_ in found] == ["b", "a", "d", "e", "c"]
    assert "".join(name for name, _, is_unsure in found if is_unsure) == expected


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.05, 1), min_size=1, max_size=8, unique=True), st.floats(0, 1))
def test_as_many_are_unsure_as_asked_for(tmp_path_factory, probabilities, share):
    folder = tmp_path_factory.mktemp("outputs")
    for k, probability in enumerate(probabilities):
        write(folder, f"A{k}", round(probability, 6))
    found = least_sure(folder, share)
    count = sum(is_unsure for *_, is_unsure in found)
    distinct = len({score for _, score, _ in found}) == len(found)
    assert count == np.ceil(share * len(found)) or not distinct
    scores = [score for _, score, _ in found]
    assert scores == sorted(scores)
    assert all(is_unsure for *_, is_unsure in found[:count])


def test_the_command_writes_a_table_and_says_how_many(outputs, tmp_path):
    for k in range(10):
        write(outputs, f"A{k}", 0.99 - 0.05 * k)
    write(outputs, "broken", 0.0)
    words = [sys.executable, "-m", "ecg", "unsure", outputs, tmp_path / "unsure.csv"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"2 of 11 recordings are unsure; table in {tmp_path / 'unsure.csv'}\n"
    with open(tmp_path / "unsure.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["record"], row["unsure"]) for row in rows[:3]] == [("broken", "1"), ("A9", "1"), ("A8", "0")]
    assert rows[0]["expected_score"] == ""
    assert float(rows[1]["expected_score"]) < float(rows[2]["expected_score"])


def test_what_can_not_be_listed_is_said_and_nothing_is_written(outputs, tmp_path, capsys):
    table = tmp_path / "unsure.csv"

    def complaint(*words):
        assert unsure.main([str(word) for word in words]) == 2
        assert not table.exists()
        return capsys.readouterr().err

    assert "found no .csv files" in complaint(outputs, table)
    write(outputs, "A1", 0.5)
    assert "Invalid value for '--share'" in complaint(outputs, table, "--share", "1.5")
    assert "expected a place outside the folder of outputs" in complaint(outputs, outputs / "unsure.csv")
    save_outputs(outputs / "A2.csv", "A2", ["1", "2"], [0, 1], [0.1, 0.9])
    assert f"{outputs / 'A2.csv'}: expected the 24 scored classes" in complaint(outputs, table)
    (outputs / "A2.csv").write_text("no output\n")
    assert f"{outputs / 'A2.csv'}: expected" in complaint(outputs, table)
