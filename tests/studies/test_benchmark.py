"""The benchmark: its references give what the project gives, its counts are right, its command runs."""

import math
import os
import pickle
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from inspect import getclosurevars
from itertools import count
from multiprocessing import get_context
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

import helper_code
import team_code
from ecg.__main__ import main
from ecg.decisions.thresholds import coordinate_ascent
from ecg.inference.computing import Computing
from ecg.measurements import measure
from ecg.methods.base import Batch
from ecg.scoring.challenge import compute_challenge_metric, load_weights
from ecg.scoring.score_folder import evaluate_model
from ecg.simulator.simulate import simulate_recording
from ecg.simulator.truth import truth_of
from ecg.studies.benchmark import cases, folder_cost, reference
from ecg.studies.benchmark import measure as measuring
from ecg.studies.benchmark.folder_cost import Cost
from ecg.studies.benchmark.measure import Machine, Row, Side, Timing
from test_project import ROOT
from tiny import heart_like, tiny, write_recording

METHODS = cases.get_methods()


def options(records=None, seed=3, seeds=0):
    return cases.Options(records, 1, seed, (ROOT / "model",), seeds)


def tiny_in_millivolts():
    filtered = METHODS[1].input
    method = tiny(preprocess=filtered.preprocess, units=filtered.units, band=filtered.band)
    return replace(method, name="tiny-filtered")


def tiny_methods(measurements=True):
    """One on microvolts, one on filtered millivolts."""
    return [tiny(), tiny_in_millivolts()]


def send(side):
    """What `peak_memory` needs of a side: that it can be sent to another process."""
    assert callable(pickle.loads(pickle.dumps(side)).run)
    return 300.0


@pytest.fixture
def _small_and_quick(monkeypatch):
    """Tiny networks, no measured rates, and no process of its own for each side."""
    monkeypatch.setitem(team_code.METHODS, "tiny", tiny)
    monkeypatch.setitem(team_code.METHODS, "tiny-filtered", tiny_in_millivolts)
    monkeypatch.setattr(cases, "get_methods", tiny_methods)
    monkeypatch.setattr(measuring, "peak_memory", send)
    monkeypatch.setattr(Machine, "measure", lambda device: Machine(device, 1e11, 2e11, 1e10))
    monkeypatch.setattr(cases, "LONG", 17)
    monkeypatch.setattr(cases, "HALF_AN_HOUR", 60)
    monkeypatch.setattr(cases, "find_spec", lambda name: None)  # NeuroKit2, where it is installed


# --- References ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("fs", [100, 250, 500, 1000])
def test_preprocessing_lead_by_lead_is_the_projects(method, fs):
    signal = np.random.default_rng(fs).normal(size=(12, 3 * fs + 7)).cumsum(axis=1).astype(np.float32)
    expected = reference.reference_preprocess(method, signal, fs)
    found = method.input.preprocess(signal, fs)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_linear_interpolation_is_exact_on_a_line_and_keeps_time():
    line = np.arange(1000, dtype=np.float32)[None] / 500
    found = reference.reference_interpolate(line, 500, 257)[0]
    np.testing.assert_allclose(found[:-1], np.arange(513) / 257, rtol=1e-6)


def test_the_reference_reads_what_the_project_reads(tmp_path):
    signal = np.random.default_rng(1).normal(size=(12, 600)).astype(np.float32)
    path = write_recording(tmp_path, "A0001", signal, leads=helper_code.LEADS[::-1])
    header, found = reference.reference_read(path)
    expected_header, expected = helper_code.read_recording(path)
    assert header == expected_header
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("records", "seed"), [(1, 1), (5, 2), (80, 3), (300, 4)])
def test_the_reference_scorer_gives_the_projects_measures(tmp_path, records, seed):
    folders = tmp_path / "labels", tmp_path / "outputs"
    cases.write_scoring_files(*folders, records, seed)
    expected, found = reference.reference_score(*folders), evaluate_model(*folders)
    assert expected.overall.keys() == found.overall.keys()
    for name, value in expected.overall.items():
        np.testing.assert_allclose(found.overall[name], value, rtol=0, atol=1e-9, equal_nan=True, err_msg=name)
    for name, values in expected.by_class.items():
        np.testing.assert_allclose(found.by_class[name], values, rtol=0, atol=1e-9, equal_nan=True, err_msg=name)


def test_the_reference_scorers_areas_are_scikit_learns(tmp_path):
    folders = tmp_path / "labels", tmp_path / "outputs"
    cases.write_scoring_files(*folders, 200, 5)
    found = reference.reference_score(*folders)
    labels, scores = cases.draw(200, 24, 5)
    scores = scores.round(6)
    assert labels.any(axis=0).all()
    np.testing.assert_allclose(found.by_class["AUROC"], roc_auc_score(labels, scores, average=None))
    np.testing.assert_allclose(found.by_class["AUPRC"], average_precision_score(labels, scores, average=None))


def differing(*folders):
    scores = evaluate_model(*folders)
    scores.by_class["AUPRC"][3] += 0.25
    return scores


@pytest.mark.usefixtures("_small_and_quick")
def test_a_scorer_that_differs_is_seen_in_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "evaluate_model", differing)
    [row] = cases.measure_scoring(tmp_path, options(30), Machine(torch.device("cpu"), 1, 1, 1)).rows
    assert row.check == "within 2e-01"


def test_the_reference_search_finds_what_the_sorted_pass_finds():
    method = METHODS[0]
    _, weights = load_weights(classes=method.classes)
    metric = partial(compute_challenge_metric, weights, classes=method.classes)
    start = np.full(24, 0.5)
    for seed in range(3):
        labels, probabilities = problem = cases.draw(60, 24, seed)
        expected = reference.reference_search(method, 1, problem)
        assert (expected[1:] == 0.5).all()  # it was asked for the first class only
        found = coordinate_ascent(*problem, weights, method.decision.decide, start, candidates=cases.GRID)
        found[1:] = start[1:]
        metrics = [metric(labels, method.decision.decide(probabilities, each)) for each in (found, expected, start)]
        assert metrics[0] == pytest.approx(metrics[1], abs=1e-9)
        assert metrics[1] >= metrics[2]


def test_the_exact_search_is_never_below_the_grid_that_it_starts_from():
    method = METHODS[0]
    _, weights = load_weights(classes=method.classes)
    for seed in range(10):
        labels, probabilities = problem = cases.draw(20 + seed, 24, seed)
        metrics = [
            compute_challenge_metric(weights, labels, method.decision.decide(probabilities, each), method.classes)
            for each in cases.search(method, problem)
        ]
        assert metrics[1] >= metrics[0] - 1e-9


@pytest.mark.usefixtures("_small_and_quick")
def test_the_reference_loop_trains_and_its_seed_decides(tmp_path):
    method = tiny_methods()[0]
    headers = cases.simulate(tmp_path / "recordings", 9, seed=3)
    dataset = cases.make_dataset(method, tmp_path / "recordings", tmp_path / "cache")
    first, second = (
        reference.reference_train(method, headers, 1, 3, torch.device("cpu"), dataset).state_dict() for _ in range(2)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert int(first["bn.num_batches_tracked"]) == 2  # batches of 8 and 1: nothing is left out
    assert all(torch.isfinite(value).all() for value in first.values())
    with torch.random.fork_rng():
        torch.manual_seed(3)
        assert not torch.equal(first["conv.weight"], method.build_network().conv.weight)


def test_the_reference_trains_in_the_methods_batches_along_its_schedule(monkeypatch, tmp_path):
    seen, sizes = [], []
    method = tiny(batch_size=2, augment=lambda item, rng: sizes.append(item.shape) or item)
    stage = replace(method.training.stages[0], learning_rate=lambda progress: seen.append(progress) or 1.0)
    method = replace(method, training=replace(method.training, stages=(stage,)))
    headers = [write_recording(tmp_path, f"R{k}", heart_like(2, seed=k)) for k in range(3)]
    dataset = SimpleNamespace(labels=np.eye(3, 24, dtype=bool), targets=np.eye(3, 24, dtype=np.float32))
    monkeypatch.setattr(reference, "features_of", lambda *words: np.zeros(5, np.float32))
    reference.reference_train(method, headers, 2, 1, torch.device("cpu"), dataset)
    assert seen == [0.0, 0.25, 0.5, 0.75, 1.0]  # two batches in each of two epochs
    assert sizes == [(12, 514)] * 6


def neurokit_with(delineate):
    """A module with the functions of NeuroKit2 that are used."""
    module = ModuleType("neurokit2")
    module.ecg_clean = lambda lead, sampling_rate: lead
    module.ecg_peaks = lambda cleaned, sampling_rate: (None, {"ECG_R_Peaks": [400, 900]})
    module.ecg_delineate = lambda cleaned, peaks, sampling_rate, method: (None, delineate(cleaned))
    return module


@pytest.mark.usefixtures("_small_and_quick")
def test_measurements_are_compared_with_neurokit_where_it_is_installed(tmp_path, monkeypatch):
    asked = []

    def delineate(cleaned):
        asked.append(cleaned)
        if len(asked) % 3 == 1:
            return {"ECG_R_Onsets": [380, math.nan, 1380], "ECG_R_Offsets": [440, 940, 1450]}
        raise ZeroDivisionError("integer division or modulo by zero")

    monkeypatch.setattr(cases, "find_spec", lambda name: name == "neurokit2")
    monkeypatch.setitem(sys.modules, "neurokit2", neurokit_with(delineate))
    report = cases.measure_measurements(tmp_path, options(3), Machine(torch.device("cpu"), 1e11, 2e11, 1e10))
    [row] = report.rows
    simulated = [simulate_recording(3, k) for k in (1, 2, 3)]
    expected = [130.0, math.nan, math.nan]  # the median of 120 and 140 ms
    np.testing.assert_array_equal(row.reference.result, expected)
    assert [lead.tolist() for lead in asked[:3]] == [each.signal[1].tolist() for each in simulated]
    found = np.array([measure(each.signal, 500).qrs_ms for each in simulated])
    np.testing.assert_array_equal(row.project.result, found)
    differences = found - [truth_of(each).qrs_ms for each in simulated]
    theirs = f"{130 - truth_of(simulated[0]).qrs_ms:.1f} ± 0.0 of 1"
    assert row.check == f"QRS less the true one, ms: {theirs}, {differences.mean():.1f} ± {differences.std():.1f} of 3"
    assert row.lower_bound > 0
    assert "ms for a recording of 10 s" in report.notes[0]
    assert "for one of 1 minutes" in report.notes[0]


# --- Counts -------------------------------------------------------------------------------------------------------


class Two(nn.Module):
    """A convolution and a linear layer whose products can be counted by hand."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(12, 6, kernel_size=5, stride=2, padding=2, groups=2)
        self.fc = nn.Linear(6, 7)

    def forward(self, signal, demographics):
        return self.fc(self.conv(signal).mean(dim=2))


@pytest.fixture(params=[False, True], ids=["prediction", "training"])
def with_bfloat16(monkeypatch, request):
    monkeypatch.setattr(cases, "fastest_dtype", lambda device: torch.bfloat16)
    return request.param


@pytest.mark.parametrize("n_items", [1, 3])
def test_multiply_adds_are_those_of_a_count_by_hand(n_items, with_bfloat16):
    batch = Batch(torch.zeros(n_items, 12, 10), torch.full((n_items,), 10), torch.zeros(n_items, 5))
    # Five positions of six channels, each a sum over 5 taps of 6 of the 12 leads; then 6 products for each of 7.
    by_hand = n_items * (5 * 6 * 5 * 6 + 6 * 7)
    assert cases.count_multiply_adds(tiny(build_network=Two), batch, cases.CPU, training=with_bfloat16) == by_hand


def test_the_published_network_takes_1609_million_multiply_adds_for_a_window(with_bfloat16):
    method = METHODS[0]
    batch = Batch(torch.zeros(1, 12, 4096), torch.tensor([4096]), torch.zeros(1, 5))
    convolutions = 12 * 64 * 15 * 2048 + 4 * 64 * 64 * 7 * 1024
    for n, length in ((128, 512), (256, 256), (512, 128)):  # half the channels come in, and go past the block
        convolutions += (n * n // 2 * 7 + 3 * n * n * 7 + n * n // 2) * length
    squeezes = sum(4 * n * (n // 16) for n in (64, 128, 256, 512))
    expected = convolutions + squeezes + 50 + 522 * 24
    found = cases.count_multiply_adds(method, batch, cases.CPU, training=with_bfloat16)
    assert found == expected == 1_609_139_490


@pytest.mark.parametrize("training", [False, True])
def test_without_bfloat16_the_multiply_adds_of_toom_cook_filtering_are_counted(monkeypatch, training):
    monkeypatch.setattr(cases, "fastest_dtype", lambda device: torch.float32)
    batch = Batch(torch.zeros(1, 12, 4096), torch.tensor([4096]), torch.zeros(1, 5))
    found = cases.count_multiply_adds(METHODS[0], batch, cases.CPU, training=training)
    assert 1_609_139_490 / 4 < found < 1_609_139_490 / 2  # 15 products for 9 results of 7 taps, and the transforms
    # A GPU has its own convolutions.
    found = cases.count_multiply_adds(METHODS[0], batch, torch.device("cuda"), training=training)
    assert found == 1_609_139_490


def test_the_table_of_growth_doubles_one_thing_at_a_time(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(cases, "simulate", lambda folder, n, seed, seconds: [folder.parent.name, n, seed, seconds])
    monkeypatch.setattr(cases, "make_model", lambda folder, method, headers, options, n: made.append((*headers, n)))
    monkeypatch.setattr(
        cases,
        "measure",
        lambda sides, repeats: [
            Timing(math.prod(map(float, side.run.args[0].parent.name.split("-"))), 100.0 * k, None)
            for k, side in enumerate(sides)
        ],
    )
    [note] = cases.measure_growth(tmp_path, options(8), Machine(torch.device("cpu"), 1, 1, 1)).notes
    sizes = [(8, 10, 5), (16, 10, 5), (2, cases.LONG, 5), (2, 2 * cases.LONG, 5), (8, 10, 10)]
    assert made == [("-".join(map(str, size)), size[0], 3, size[1], size[2]) for size in sizes]
    length = 10.0 * cases.LONG
    assert [line.split(" | ")[2:] for line in note.splitlines()[-3:]] == [
        ["400.00 to 800.00", "1.00", "0 to 100 |"],
        [f"{length:.2f} to {2 * length:.2f}", "1.00", "200 to 300 |"],
        ["400.00 to 800.00", "1.00", "0 to 400 |"],
    ]


def test_rates_of_the_machine_are_those_of_their_own_operations(monkeypatch):
    seconds = {torch.float32: 4.0, torch.bfloat16: 2.0, torch.uint8: 8.0}

    def fastest(run):
        values = getclosurevars(run).nonlocals.values()
        return seconds[next(value.dtype for value in values if isinstance(value, torch.Tensor))]

    monkeypatch.setattr(torch, "ones_like", torch.empty_like)  # 128 MB that nothing reads
    monkeypatch.setattr(measuring, "_fastest", fastest)
    found = Machine.measure(torch.device("cpu"))
    assert (found.float32, found.bfloat16, found.copy) == (1024**3 / 4, 1024**3 / 2, 2**27 / 8)


def test_half_of_the_recordings_of_the_folder_benchmark_fill_groups_as_all_of_them_do():
    size = Computing(torch.device("cpu"), deterministic=False).group_size
    assert size(folder_cost.RECORDINGS // 2) == size(folder_cost.RECORDINGS)


def test_the_serial_share_is_what_more_cores_do_not_shorten_and_the_start_is_left_out():
    each = Cost(serial=3.0, total=24.0).each(Cost(serial=2.0, total=14.0), 9)  # half is 4 of them
    assert (each.serial, each.total) == (0.2, 2.0)
    assert [each.seconds(cores) for cores in (1, 2, 18)] == pytest.approx([2.0, 1.1, 0.3])


def test_processor_time_is_that_of_this_process_and_of_the_workers_that_have_ended(tmp_path, monkeypatch):
    clock = iter([(1.0, 2.0, 3.0), (5.0, 2.25, 9.5)])
    monkeypatch.setattr(measuring, "_times", lambda: next(clock))
    monkeypatch.setattr(folder_cost, "run_folder", lambda model, recordings, output: done.append((recordings, output)))
    done = []
    assert folder_cost.classify(["a.hea"], tmp_path, None) == Cost(serial=0.25, total=6.75)
    assert done == [(["a.hea"], tmp_path)]


def test_the_share_of_the_cores_is_that_of_all_processes(tmp_path, monkeypatch):
    clock = iter([(1.0, 2.0, 3.0), (5.0, 2.5, 9.5)])
    monkeypatch.setattr(measuring, "_times", lambda: next(clock))
    monkeypatch.setattr(cases, "run_folder", lambda recordings, *given: None)
    monkeypatch.setattr(cases, "CORES", 2)
    assert cases.run_driver(tmp_path, tmp_path, None) == 7.0 / (2 * 4.0)


def test_processor_time_of_a_worker_counts_when_it_has_ended():
    with measuring.ProcessorTime() as spent, ProcessPoolExecutor(1, get_context("fork")) as pool:
        pool.submit(work_for, 0.2).result()
    assert spent.workers >= 0.2 and spent.total == spent.own + spent.workers


def work_for(seconds):
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass


def test_memory_is_that_of_a_process_and_its_workers_what_they_share_once():
    shared = np.ones(150_000_000, np.uint8)
    before = measuring._memory(os.getpid())
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        size = pool.submit(keep_in_memory, 100_000_000).result()
        grown = measuring._memory(os.getpid()) - before
    assert (shared[0], size) == (1, 100_000_000)
    assert 80 < grown < 200  # MB; 250 if what they share counted twice
    assert measuring._memory(2**22 + 1) == 0.0  # there is none of this number


def keep_in_memory(size):
    global kept
    kept = np.ones(size, np.uint8)
    return len(kept)


def test_the_lower_bound_takes_bfloat16_for_networks_only_where_it_is_fast(monkeypatch):
    machine = Machine(torch.device("cpu"), 100.0, 400.0, 10.0)
    for fast, bound in ((True, 2 + 1), (False, 8 + 1)):  # from the rates above, nothing is timed
        monkeypatch.setattr(measuring, "has_fast_bfloat16", lambda device, fast=fast: fast)
        assert machine.lower_bound(800, 10, network=True) == bound
        assert machine.lower_bound(800, 10) == 8 + 1


def test_a_row_is_the_references_time_over_the_projects():
    sides = Timing(3.0, 310.4, None), Timing(1.5, 299.6, None)
    row = Row("driver, x", 12, *sides, lower_bound=0.5, check="same", target=2.2, scale=4.0)
    assert row.format() == "| driver, x | 12 | 12 | 1.5 | 8.00 | 2.2 | 3.0 | 310, 300 | same |"


def test_every_other_method_stands_against_the_published_one_and_against_its_own_way():
    timings = [Timing(float(seconds), 300, None) for seconds in (12, 4, 9, 3, 8, 2)]  # of each method both ways
    rows = cases.rows_by_method("driver", METHODS, 7, timings, [1.0, 2.0, 3.0], ["a", "b", "c"], (2.2, 4.0))
    found = [
        (row.what, timings.index(row.reference), timings.index(row.project), row.check, row.target) for row in rows
    ]
    assert found == [
        ("driver, zhao", 0, 1, "a", 2.2),
        ("driver, robust against reference zhao", 0, 3, "next line", None),
        ("driver, robust", 2, 3, "b", None),
        ("driver, hybrid against reference zhao", 0, 5, "next line", 4.0),
        ("driver, hybrid", 4, 5, "c", None),
    ]


@pytest.mark.parametrize(("measurements", "weights"), [(True, "trained"), (False, "random")])
def test_weights_are_those_of_a_model_of_the_same_method_and_settings(tmp_path, measurements, weights):
    headers = cases.simulate(tmp_path / "recordings", 2, seed=3)
    method = cases.get_methods(measurements)[-1]
    assert cases.make_model(tmp_path / "model", method, headers, options(), 2) == weights


def test_sides_take_turns_and_only_the_run_is_repeated(monkeypatch):
    calls = []

    def side(name):
        return Side(lambda loaded: calls.append(loaded) or len(calls), lambda: calls.append("load") or name)

    monkeypatch.setattr(measuring, "peak_memory", lambda side: 300.0)
    first, second = measuring.measure([side("a"), side("b")], repeats=3)
    assert calls == ["load", "load", "a", "b", "a", "b", "a", "b"]
    assert (first.result, second.result) == (7, 8)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_can_be_sent_to_a_process_of_its_own(method):
    assert pickle.loads(pickle.dumps(method)).name == method.name


# --- The command --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_small_and_quick")
def test_all_of_it_runs_and_prints_a_row_for_each_measurement(capsys, tmp_path, monkeypatch):
    turns = count(1)  # the first side takes 1 s, the next one 2 s and so on
    monkeypatch.setattr(measuring, "_time", lambda run: (float(next(turns)), run()))
    monkeypatch.setattr(measuring, "has_fast_bfloat16", lambda device: True)
    monkeypatch.setattr(cases, "fastest_dtype", lambda device: torch.bfloat16)
    page = tmp_path / "page.md"
    words = ["benchmark", "speed", "all", "--records", "4", "--repeats", "1", "--output", str(page)]
    monkeypatch.setattr("sys.argv", ["ecg", *words])
    assert main() == 0
    printed = capsys.readouterr().out
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| ")]
    names = [row[0].removeprefix("| ") for row in rows]
    assert [" | ".join([name, *row[2:7]]) for name, row in zip(names[1:], rows[1:], strict=True)] == [
        "driver, tiny | 4 | 2 | 2.00 | 2.2 | 23555.8",  # a quarter of the recordings by the reference
        "driver, tiny-filtered against reference tiny | 4 | 4 | 1.00 | 10 | 47111.6",
        "driver, tiny-filtered | 12 | 4 | 3.00 | – | 47111.6",
        "driver, model/ as it is (3 networks) against reference tiny | 4 | 5 | 0.80 | 15 | 826.8",
        "driver, model/distilled/ as it is (1 networks) against reference tiny | 4 | 6 | 0.67 | 40 | 2269.2",
        f"preprocessing, tiny | 15 | 16 | 0.94 | 3 | {rows[6][6]}",  # depends on the number of cores
        f"preprocessing, tiny-filtered | 17 | 18 | 0.94 | 3 | {rows[7][6]}",
        "training, tiny | 19 | 20 | 0.95 | 1.8 | 198451.4",
        "training, tiny-filtered against reference tiny | 19 | 22 | 0.86 | 1.8 | 218296.6",
        "training, tiny-filtered | 21 | 22 | 0.95 | – | 218296.6",
        "scoring | 23 | 24 | 0.96 | 10 | 54090601.8",
        "thresholds | 600 | 26 | 23.08 | 50 | 300925925.9",  # one class of 24 by the reference
        "doubled | seconds | exponent of time | peak memory, MB |",
        "recordings | 7.00 to 8.00 | 0.19 | 300 to 300 |",
        "length | 9.00 to 10.00 | 0.15 | 300 to 300 |",
        "members | 7.00 to 11.00 | 0.65 | 300 to 300 |",
    ]
    assert [row[1] for row in rows[14:]] == ["4 of 10 s, 5 members", "1 of 17 s, 5 members", "4 of 10 s, 5 members"]
    assert (
        "Report: 4 recordings of 10 s take 12.00 s to classify and 14.00 s with their pages: 1.17 times as long"
        in printed
    )
    assert "6750.0 ms for a recording of 10 s (target 3), 28.00 s and 300 MB for one of 1 minutes." in printed
    for row in rows[1:13]:
        n_recordings, before, after, ratio = map(float, row[1:5])
        assert n_recordings == 4 and ratio == pytest.approx(before / after, rel=0.02, abs=0.006)
        assert row[7] == "300, 300"
    checks = {name: row[8] for name, row in zip(names, rows, strict=True) if len(row) > 8}
    assert checks["driver, tiny"].startswith("100.00% of labels, scores within 0.00")
    assert checks["driver, tiny-filtered"].startswith("100.00% of labels, scores within 0.00")
    assert "Report: 4 recordings of 10 s take" in printed and "10000 recordings would take" in printed
    assert "no GPU here" in printed or torch.cuda.is_available()
    assert "Measurements not compared: expected the package neurokit2, found none; install it with" in printed
    text = page.read_text()
    assert text.startswith("# How fast it is\n")
    assert f"`ecg benchmark speed all --records 4 --repeats 1 --output {page}`" in text
    assert all(line in text for line in printed.splitlines() if line.startswith("| "))


@pytest.mark.usefixtures("_small_and_quick")
def test_seeds_compare_the_two_ways_to_train(tmp_path):
    [note] = cases.compare_seeds(tmp_path, options(16, seeds=2), Machine.measure(torch.device("cpu")), epochs=1).notes
    assert "12 recordings to train on, 4 held out" in note
    found = [part.split(" (mean")[0].split(", ") for part in (note.split("reference ")[1], note.split("project ")[1])]
    assert [len(values) for values in found] == [2, 2]
    assert all(math.isfinite(float(value)) for values in found for value in values)


@pytest.mark.usefixtures("_small_and_quick")
def test_a_page_keeps_its_text_and_gets_new_numbers(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("# Speed\n\nWhat is measured.\n\n## Measured\n\nold numbers\n")
    words = ["benchmark", "speed", "thresholds", "--records", "4", "--repeats", "1", "--output", str(page)]
    monkeypatch.setattr("sys.argv", ["ecg", *words])
    assert main() == 0
    text = page.read_text()
    assert text.startswith("# Speed\n\nWhat is measured.\n\n## Measured\n\nBy `ecg benchmark speed thresholds")
    assert "old numbers" not in text and "| thresholds | 4 |" in text


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--records", "0"], "Invalid value for '--records'"),
        (["--repeats", "0"], "Invalid value for '--repeats'"),
        (["--seed", "-1"], "Invalid value for '--seed'"),
        (["--model", "nowhere"], "--model nowhere: expected the folder of a trained model"),
        (["thresholds", "--seeds", "2"], "--seeds 2: expected it with training, found thresholds"),
        (["thresholds", "--output", "no/such/folder/page.md"], "--output no/such/folder/page.md: expected a folder"),
    ],
)
def test_what_can_not_be_measured_is_said_before_anything_is(capsys, words, complaint):
    assert main(["benchmark", "speed", *words]) == 2
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert captured.out == ""
