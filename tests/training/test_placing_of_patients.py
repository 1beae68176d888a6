"""Folds of small databases, which are dealt out, beside the same written plainly; and which recordings a fold names."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.io.errors import RecordingError
from ecg.training.folds import assign_folds, in_folds, read_folds
from tiny import heart_like, write_recording

N = 6
recording = st.tuples(
    st.sampled_from("AB"), st.sampled_from([0, 0, 0, 1, 3, 6, 7, 14]), st.sampled_from(["", "", "p", "q"])
)


def dealt(rows):
    """A given fold counts, the first for all of a patient; the others are dealt out in their order."""
    folds = {}
    for k, (database, fold, patient) in enumerate(rows):
        key = (database, patient) if patient else k
        if fold:
            folds.setdefault(key, (fold - 1) % N)
    for database in "AB":
        waiting = []
        for k, (name, fold, patient) in enumerate(rows):
            key = (name, patient) if patient else k
            if name == database and not fold and key not in folds and key not in waiting:
                waiting.append(key)
        folds |= {key: number for number, key in enumerate(waiting)}
    return [folds[(name, patient) if patient else k] for k, (name, _, patient) in enumerate(rows)]


@settings(max_examples=80)
@given(st.lists(recording, min_size=1, max_size=N - 1))
def test_a_patient_of_a_database_is_in_one_fold_and_a_small_database_is_dealt_out(rows):
    databases, given_folds, patients = (list(each) for each in zip(*rows, strict=True))
    found = assign_folds(np.ones((len(rows), 2), bool), databases, given_folds, N, 0, patients)
    assert found.tolist() == dealt(rows)
    alone = assign_folds(np.ones((len(rows), 2), bool), databases, given_folds, N, 0)
    assert alone.tolist() == dealt([(name, fold, "") for name, fold, _ in rows])


def test_patients_of_a_large_database_stay_together_and_count_with_all_their_labels():
    rng = np.random.default_rng(0)
    patients = [f"p{k}" for k in rng.integers(0, 60, 150)]
    labels = rng.random((150, 3)) < [0.5, 0.1, 0.3]
    found = assign_folds(labels, ["A"] * 150, [0] * 150, 5, 1, patients)
    of_patient = {}
    for patient, fold in zip(patients, found.tolist(), strict=True):
        assert of_patient.setdefault(patient, fold) == fold
    names = sorted(of_patient)
    of_names = np.array([labels[[each == name for each in patients]].any(axis=0) for name in names])
    numbers = np.array([of_patient[name] for name in names])
    for column in of_names.T:
        counts = [column[numbers == fold].sum() for fold in range(5)]
        assert max(counts) - min(counts) <= 2


def test_folds_of_a_file_are_read_and_recordings_of_some_are_found(tmp_path):
    for k in range(4):
        write_recording(tmp_path / ("." if k % 2 else "below"), f"r{k}", heart_like(2, seed=k))
    assert read_folds(tmp_path) == {}
    assert sorted(path.stem for path in in_folds(tmp_path, ())) == ["r0", "r1", "r2", "r3"]
    assert in_folds(tmp_path, (1,)) == []
    (tmp_path / "folds.csv").write_text("fold,record,database,more\n1,r0,A,x\n10,r1,A,x\n0,r2,B,x\n2,gone,B,x\n")
    assert read_folds(tmp_path) == {"r0": ("A", 1), "r1": ("A", 10), "r2": ("B", 0), "gone": ("B", 2)}
    assert sorted(path.name for path in in_folds(tmp_path, (1, 0))) == ["r0.hea", "r2.hea"]
    assert sorted(path.name for path in in_folds(tmp_path, ())) == ["r0.hea", "r1.hea", "r2.hea", "r3.hea"]
    for text, complaint in (
        ("record,fold\nr0,1\n", "expected the columns record, database, fold; found record, fold"),
        ("record,database,fold\nr0,A,1\nr1,A,-1\n", "record r1: expected a fold of 0, 1, 2, ...; found '-1'"),
        ("record,database,fold\nr0,A,\n", "record r0: expected a fold of 0, 1, 2, ...; found ''"),
        ("record,database,fold\nr0,A\n", "record r0: expected a fold of 0, 1, 2, ...; found None"),
        ("record,database,fold\nr0,A,²\n", "record r0: expected a fold of 0, 1, 2, ...; found '²'"),
    ):
        (tmp_path / "folds.csv").write_text(text)
        with pytest.raises(RecordingError) as caught:
            read_folds(tmp_path)
        assert str(caught.value) == f"{tmp_path / 'folds.csv'}: {complaint}"
