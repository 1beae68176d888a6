"""Counting of right, wrong and missed statements against the diagnoses of headers."""

import numpy as np
import pytest

from ecg.commands import benchmark
from ecg.interpretation.interpret import Statement
from ecg.measurements import measure
from ecg.simulator.simulate import simulate
from ecg.simulator.write import write_recording
from ecg.studies.statement_quality import SCORED, Quality, codes_of_labels

AF, NSR, IAVB, LPR, RBBB = "164889003", "426783006", "270492004", "164947007", "59118001"


@pytest.fixture(scope="module")
def measured():
    return measure(simulate(np.random.default_rng(3), "NSR").signal, 500)


def statement(code, certainty):
    return Statement(code, "words", certainty, 0.5, "evidence")


def test_diagnoses_become_statements_and_sinus_rhythm_is_left_out():
    assert codes_of_labels([AF, NSR, IAVB, LPR, RBBB, "999"]) == {50, 82, 106}
    assert codes_of_labels(["164884008"]) == {60}
    assert 20 not in SCORED
    assert 142 not in SCORED


def test_right_wrong_and_missed_statements_are_counted(measured):
    quality = Quality()
    said = [
        statement(50, "definite"),
        statement(106, "probable"),
        statement(60, "possible"),
        statement(142, "definite"),
    ]
    quality.add(said, measured, [AF, "427172004", IAVB, NSR])
    assert (quality.right, quality.wrong, quality.found, quality.missed) == (1, 1, 1, 2)
    assert quality.by_certainty["possible"] == {True: 1}
    rows = dict(quality.rows())
    assert rows["precision of definite and probable"] == "0.500 (1 of 2)"
    assert rows["recall"] == "0.333 (1 of 3)"
    assert rows["statements a recording"] == "4.00"
    quality.add([statement(20, "definite"), statement(50, "definite")], measured, [AF])
    assert dict(quality.rows())["recordings with a contradiction"] == "0.500 (1 of 2)"


def test_the_command_prints_a_column_for_each_database(tmp_path, capsys):
    for number in range(4):
        write_recording(tmp_path, f"S{number}", simulate(np.random.default_rng(number), "AF" if number % 2 else "NSR"))
    rows = "".join(f"S{number},{'one' if number < 2 else 'two'},{number}\n" for number in range(4))
    (tmp_path / "folds.csv").write_text("record,database,fold\n" + rows)
    assert benchmark.main(["statements", str(tmp_path)], standalone_mode=False) == 0
    printed = capsys.readouterr().out
    assert "| | one | two |" in printed
    assert "| recordings | 2 | 2 |" in printed
    assert benchmark.main(["statements", str(tmp_path), "--fold", "7"], standalone_mode=False) == 2
