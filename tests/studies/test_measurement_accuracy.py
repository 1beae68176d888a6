"""The counts and figures by which measurements are classified."""

import csv
import math
import subprocess
import sys

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from commands import ENVIRONMENT, ROOT
from ecg.leads import LEADS
from ecg.measurements import measure
from ecg.measurements.boundary_network import parameters, use_parameters
from ecg.scoring.challenge import compute_auc
from ecg.simulator.simulate import simulate
from ecg.simulator.truth import truth_of
from ecg.simulator.write import write_recording
from ecg.studies import measurement_accuracy
from ecg.studies.disturbed_measurements import DISTURBANCES
from ecg.studies.measurement_accuracy import (
    Detections,
    Differences,
    against_labels,
    against_ludb,
    against_simulator,
    against_undisturbed,
    annotated_r_peaks,
    differences_table,
)
from ecg.training import fit_measurements as fit
from ecg.training.folds import in_folds

peaks = st.lists(st.integers(0, 300), max_size=12, unique=True).map(sorted)


@given(peaks, peaks.filter(bool))
@settings(max_examples=150)
def test_detections_are_paired_as_well_as_can_be(detected, true):
    counted = Detections()
    counted.add(np.array(detected, dtype=np.int64), np.array(true, dtype=np.float64), 10)
    inside = [sample for sample in detected if true[0] - 10 <= sample <= true[-1] + 10]
    near = np.abs(np.subtract.outer(true, inside)) <= 10
    most = int(near[linear_sum_assignment(near, maximize=True)].sum()) if inside else 0
    assert (counted.found, counted.missed, counted.false) == (most, len(true) - most, len(inside) - most)


def test_detections_of_a_kind_that_is_not_there_are_false():
    counted = Detections()
    counted.add(np.array([50, 900]), np.zeros(0), 10, span=np.array([0.0, 500.0]))
    assert (counted.found, counted.missed, counted.false) == (0, 0, 1)


def test_differences_tell_missing_from_invented():
    differences = Differences()
    for measured, true in ((103, 100), (99, 100), (math.nan, 100), (100, math.nan), (math.nan, math.nan)):
        differences.add(measured, true)
    assert differences_table({"PR": differences}).splitlines()[-1] == "| PR | 1.0 | 2.0 | 3.0 | 2 | 1 | 1 |"


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
@settings(max_examples=60)
def test_auroc_is_the_share_of_pairs_in_order(rows):
    scores, positive = np.array([row[0] for row in rows], dtype=np.float64), np.array([row[1] for row in rows])
    pairs = np.subtract.outer(scores[positive], scores[~positive])
    auroc = compute_auc(positive[:, np.newaxis], scores[:, np.newaxis])[0]
    if pairs.size:
        assert auroc == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    else:
        assert math.isnan(auroc)


def test_simulated_recordings_are_measured_against_what_was_laid_down():
    tables = against_simulator(24, 5)
    rows = {line.split("|")[1].strip(): line.split("|")[2:] for line in tables.splitlines() if line.startswith("| ")}
    assert abs(float(rows["QRS"][0])) < 10
    assert float(rows["all"][1].split()[0]) > 95
    assert "of 24 recordings" in tables


def write_annotated(folder, seed=0):
    """A simulated recording annotated like LUDB, its truth, and a row of the truth's table."""
    simulated = simulate(np.random.default_rng(seed), "NSR", comorbidity=False)
    write_recording(folder, "1", simulated)
    truth = truth_of(simulated)
    for k, lead in enumerate(LEADS):
        samples = np.rint(truth.r_samples).astype(int) + k % 3 - 1
        samples = samples if k < 8 else samples[1:]  # the first beat is marked in 8 leads
        wfdb.wrann("1", "atr", np.maximum(samples, 0), ["N"] * len(samples), write_dir=str(folder))
        (folder / "1.atr").rename(folder / f"1.{lead.lower()}")  # wfdb writes no digits there
    rr_ms = 2 * np.median(np.diff(truth.r_samples))
    with open(folder / "truth.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["record", "rr_ms", "p_ms", "pr_ms", "qrs_ms", "qt_ms", "qt_median_ms"])
        table.writerow(["1", rr_ms, truth.p_ms, truth.pr_ms, truth.qrs_ms, truth.qt_ms, ""])
    return truth


def test_annotations_in_the_form_of_ludb_are_read(tmp_path):
    truth = write_annotated(tmp_path)
    np.testing.assert_allclose(annotated_r_peaks(tmp_path / "1.hea", 500.0), truth.r_samples, atol=1.5)
    tables = against_ludb(tmp_path, tmp_path / "truth.csv")
    assert f"| all | {len(truth.r_samples)} | 100.00 % | 100.00 % | 0 | 0 |" in tables
    assert "| QT (median over leads) | nan | nan | nan | 0 | 0 | 1 |" in tables


def test_a_t_wave_marked_beyond_the_next_beat_has_no_part_in_the_second_qt(tmp_path):
    truth = write_annotated(tmp_path)
    names, row = (tmp_path / "truth.csv").read_text().split()
    late = row.replace(str(truth.qt_ms), str(1.1 * float(row.split(",")[1])))
    unknown = row.replace(str(truth.qt_ms), "")
    for text, counted, invented in ((row, 1, 0), (late, 0, 0), (unknown, 0, 1)):
        (tmp_path / "truth.csv").write_text(f"{names}\n{text}\n")
        table = against_ludb(tmp_path, tmp_path / "truth.csv")
        rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()]
        n = {cells[1]: cells[5:8] for cells in rows if len(cells) == 9}
        assert n["QT"] == ([str(1 - invented), "0", str(invented)])
        assert n["QT (marked within RR)"] == [str(counted), "0", str(invented)]


def test_each_recording_is_measured_by_what_was_fitted_without_it(tmp_path, monkeypatch):
    truths = [{"record": str(k)} for k in range(7)]
    fits, in_use, measured_by = [], [], {}
    monkeypatch.setattr(fit, "ludb_example", lambda path: path.stem)
    monkeypatch.setattr(fit, "simulated_examples", lambda: ["simulated"])
    monkeypatch.setattr(fit, "fit_all", lambda *arguments: fits.append(arguments) or in_use.append(set(arguments[0])))

    def measure_part(of_folder, part):
        measured_by.update({truth["record"]: in_use[-1] for truth in part})
        return {truth["record"]: of_folder for truth in part}

    monkeypatch.setattr(measurement_accuracy, "_measure_all", measure_part)
    found = measurement_accuracy._measure_unseen(tmp_path, truths, tmp_path, None)
    assert sorted(found) == sorted(measured_by) == [str(k) for k in range(7)]
    assert all(record not in seen and len(seen) >= 5 for record, seen in measured_by.items())
    assert [arguments[1:] for arguments in fits] == [(["simulated"], tmp_path, fit.STEPS)] * 5


def test_a_fit_is_measured_with_until_the_shipped_one_is_taken_again():
    simulated = simulate(np.random.default_rng(0), "NSR", comorbidity=False)
    before = measure(simulated.signal, 500.0)
    assert before.has_p_waves
    no_p_waves = {"p_waves.1.bias": np.full(1, -100, np.float32)}
    try:
        use_parameters(parameters() | no_p_waves)
        assert not measure(simulated.signal, 500.0).has_p_waves
    finally:
        use_parameters({})
    assert measure(simulated.signal, 500.0).pr_ms == before.pr_ms


def test_labels_are_told_by_the_numbers_that_define_them(tmp_path):
    for seed, diagnosis in enumerate(["NSR", "SB", "STach", "NSR", "SB", "STach"]):
        write_recording(tmp_path, f"A{seed}", simulate(np.random.default_rng(seed), diagnosis, comorbidity=False))
    table = against_labels(sorted(tmp_path.glob("*.hea")))
    assert "| SB | -heart_rate_bpm | 1.000 | 2 | 4 | 0 | 0 |" in table
    assert "| STach | heart_rate_bpm | 1.000 | 2 | 4 | 0 | 0 |" in table
    assert in_folds(tmp_path, ()) == sorted(tmp_path.glob("*.hea"))


def test_the_command(tmp_path):
    words = [sys.executable, "-m", "ecg", "benchmark", "simulated", "--records", "2"]
    done = subprocess.run(words, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("| | mean (ms) | SD (ms) |")


def test_disturbances_are_told_in_a_row_each():
    table = against_undisturbed(None, 1, 3).splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in table[2:]] == list(DISTURBANCES)
    alone = table[-1].split(" | ")
    assert alone[0].endswith("lead II alone") and alone[7] == "empty"
    assert all("±" in cell for cell in table[2].split(" | ")[1:])
