"""What the studies refuse, and what they measure of a machine."""

import os
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ecg.labels.diagnoses import CHALLENGE_2020
from ecg.simulator import draws, statements
from ecg.studies.benchmark import cases, folder_cost
from ecg.studies.benchmark import measure as measuring
from ecg.studies.benchmark.folder_cost import Cost
from ecg.studies.benchmark.measure import Machine, Row, Side, Timing
from ecg.studies.markdown_tables import format_databases, format_differences, format_least_sure
from ecg.studies.measurement_accuracy import Detections, annotated_r_peaks
from ecg.studies.model_card import measured_rows
from ecg.studies.predictions import Predictions

CPU = torch.device("cpu")


def predictions(database, classes=CHALLENGE_2020.classes, n=4):
    rng = np.random.default_rng(1)
    labels = rng.random((n, len(classes))) < 0.3
    names = np.array([f"{database}{k}" for k in range(n)])
    return Predictions(names, np.full(n, database), np.full(n, True), labels, labels * 0.9, labels, classes)


def test_a_card_of_other_classes_is_refused():
    with pytest.raises(
        ValueError, match="expected predictions of the diagnoses of challenge-2020, found those of another"
    ):
        measured_rows(predictions("A", ("x", "y")), CHALLENGE_2020)


def test_a_method_has_no_row_of_a_database_that_it_was_not_tested_on():
    given = {"one": predictions("A"), "two": predictions("B")}
    for text in (format_databases(given, CHALLENGE_2020), format_least_sure(given, CHALLENGE_2020)):
        rows = [line.split(" | ")[:3] for line in text.splitlines()[2:]]
        assert rows == [["| A", "one", "4"], ["| B", "two", "4"], ["| all", "one", "4"], ["| all", "two", "4"]]
    assert len(format_differences(given, CHALLENGE_2020).splitlines()) == 2


def test_a_heart_that_never_shows_what_it_is_drawn_for_is_an_error(monkeypatch):
    monkeypatch.setattr(draws, "labels_of", lambda parameters: ())
    with pytest.raises(RuntimeError, match="AF: no parameters with this label in 100 draws"):
        draws.draw_parameters(np.random.default_rng(1), "AF", comorbidity=False)
    monkeypatch.setattr(statements, "_shows", lambda parameters, name: False)
    with pytest.raises(RuntimeError, match="VT: no parameters with this finding in 1000 draws"):
        statements.draw_statement(np.random.default_rng(1), "VT")


def test_a_machines_rates_are_work_over_the_fastest_time(monkeypatch):
    assert measuring._fastest(lambda: None, 3) >= 0
    times = iter([0.5, 0.25, 0.125])
    monkeypatch.setattr(measuring, "_fastest", lambda run: next(times))
    assert Machine.measure(CPU) == Machine(CPU, 1024**3 / 0.25, 1024**3 / 0.125, (1 << 27) / 0.5)


def test_the_fastest_of_ten_turns_counts_and_the_median_of_a_sides(monkeypatch):
    times = iter([5.0, 3.0, 4.0, *[9.0] * 7])
    monkeypatch.setattr(measuring, "_time", lambda run: (next(times), run()))
    assert measuring._fastest(lambda: None) == 3.0
    times = iter([1.0, 9.0, 2.0])
    monkeypatch.setattr(measuring, "peak_memory", lambda side: 300.0)
    [found] = measuring.measure([Side(lambda: 7)], 3)
    assert found == Timing(2.0, 300.0, 7)


def test_the_peak_is_the_most_that_was_seen_while_a_side_ran(monkeypatch):
    done, seen, enough = [], [], Event()

    def memory(process):
        seen.append(process)
        if len(seen) == 3:
            enough.set()
        return {2: 300.0}.get(len(seen), 100.0)

    monkeypatch.setattr(measuring, "_memory", memory)

    def run(loaded):
        assert enough.wait(60)
        done.append(loaded)

    assert measuring._run_and_watch(Side(run, lambda: "loaded")) == 300.0
    assert done == ["loaded"] and set(seen) == {os.getpid()}


def test_training_on_a_gpu_is_extrapolated_to_the_published_schedule(monkeypatch, tmp_path):
    rows = [Row("training on a GPU, x", 2000, Timing(80.0, 1, None), Timing(4.0, 1, None), 1.0, "same")]
    machines = []
    monkeypatch.setattr(cases.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(cases.torch.cuda, "get_device_name", lambda: "GPU 1")
    monkeypatch.setattr(Machine, "measure", lambda device: f"machine of {device.type}")
    monkeypatch.setattr(
        cases, "measure_training", lambda *words: machines.append(words[2]) or SimpleNamespace(rows=rows)
    )
    monkeypatch.setattr(cases, "get_methods", lambda: [SimpleNamespace(name="zhao")])
    found = cases.measure_training_on_gpu(tmp_path, None, None)
    minutes = 5 * 50 * 0.8 * 43_101 / 500 / 60
    assert found.notes == [
        "GPU 1: zhao at 500 recordings per second, measured on 2000. Extrapolated from this, the published schedule "
        f"(5 folds of 50 epochs, four fifths of 43,101 recordings each) takes {minutes:.0f} minutes."
    ]
    assert (found.rows, machines) == (rows, ["machine of cuda"])


def test_the_cost_of_pages_and_cores_is_told_in_two_sentences(monkeypatch, tmp_path):
    asked = []

    def measure(sides, repeats):
        asked.extend(len(side.run.args[0]) for side in sides[:2])
        costs = Cost(1.0, 11.0), Cost(0.6, 6.0), None
        return [Timing(seconds, 1, cost) for seconds, cost in zip((8.0, 5.0, 20.0), costs, strict=True)]

    monkeypatch.setattr(folder_cost, "simulate", lambda folder, n, seed: range(n))
    monkeypatch.setattr(folder_cost, "measure", measure)
    assert folder_cost.measure_folder(tmp_path, cases.Options(200, 1, 3, (tmp_path,)), None).notes == [
        "Report: 200 recordings of 10 s take 8.00 s to classify and 20.00 s with their pages: 2.50 times as long "
        "(target 2).",
        "Cores: of 50.0 ms of processor time for a recording 4.00 ms are in the one process that hands out and writes: "
        "a serial share of 8.0% (target 5 %). 10000 recordings would take 69 s on 16 cores, by Amdahl's law.",
    ]
    assert asked == [200, 100]


def test_the_long_recording_is_as_long_as_is_said(monkeypatch, tmp_path):
    lengths = []

    def measure(sides, repeats):
        lengths.extend([signal.shape[1] / rate for signal, rate in side.load()] for side in sides)
        return [Timing(3.0, 100.0, None), Timing(7.0, 250.0, None)]

    monkeypatch.setattr(cases, "HALF_AN_HOUR", 24)
    monkeypatch.setattr(cases, "measure", measure)
    monkeypatch.setattr(cases, "limit_blas_threads", lambda: None)
    monkeypatch.setattr(cases, "find_spec", lambda name: None)
    [said, _] = cases.measure_measurements(tmp_path, cases.Options(2, 1, 3, ()), None).notes
    assert lengths == [[10.0, 10.0], [24.0]]
    assert said.startswith(
        "Measurements, on one core: 1500.0 ms for a recording of 10 s (target 3), 7.00 s and 250 MB "
    )
    assert said.endswith(" for one of 0.4 minutes.")


def test_a_span_without_peaks_counts_nothing():
    counted = Detections()
    counted.add(np.array([1.0]), np.array([]), 5.0)
    assert counted == Detections()
    counted.add(np.array([-5.1, -5.0, 105.0, 105.1]), np.array([0.0, 100.0]), 5.0)
    assert counted == Detections(found=2)


def test_a_beat_is_one_that_eight_leads_mark_within_150_ms(monkeypatch, tmp_path):
    import wfdb

    def read(name, lead):
        k = ["i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6"].index(lead)
        marks = {"N": [100 + k, 400 + 2 * (k % 2)] + ([700] if k < 7 else []) + ([900] if k < 8 else []), "p": [50]}
        pairs = sorted((sample, symbol) for symbol, samples in marks.items() for sample in samples)
        return SimpleNamespace(sample=[pair[0] for pair in pairs], symbol=[pair[1] for pair in pairs])

    monkeypatch.setattr(wfdb, "rdann", read)
    assert annotated_r_peaks(tmp_path / "1.hea", 500.0).tolist() == [105.5, 401.0, 900.0]
    assert annotated_r_peaks(tmp_path / "1.hea", 5.0).tolist() == [900.0]  # 150 ms are less than a sample
