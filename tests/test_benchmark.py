"""The benchmark: its plain references give what the project gives, its counts are right, its command runs."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import evaluate_model
import helper_code
import team_code
from ecg.benchmark import __main__ as benchmark
from ecg.benchmark import cases as benchmark_rows
from ecg.benchmark import measure as benchmark_measuring
from ecg.benchmark import reference as plain
from ecg.benchmark.measure import Machine, Options
from ecg.decisions.thresholds import coordinate_ascent
from ecg.methods.base import Batch
from test_project import ROOT
from tiny import tiny, write_recording

METHODS = benchmark_rows.methods()
GRID = np.arange(101) / 100


def options(records=None, seed=3):
    return Options(records, 1, seed, (ROOT / "model",))


def tiny_methods():
    """One on microvolts, one on filtered millivolts; the first as `team_code.METHODS` would build it."""
    filtered = METHODS[1]
    return tiny(), tiny(preprocess=filtered.input.preprocess, units=filtered.input.units, band=filtered.input.band)


@pytest.fixture
def _small_and_quick(monkeypatch):
    """Tiny networks, no measured rates, and no process of its own for each side."""
    first, second = tiny_methods()
    second = replace(second, name="tiny-filtered")
    monkeypatch.setitem(team_code.METHODS, "tiny", lambda: first)
    monkeypatch.setitem(team_code.METHODS, "tiny-filtered", lambda: second)
    monkeypatch.setattr(benchmark_rows, "methods", lambda: (first, second))
    monkeypatch.setattr(benchmark_measuring, "peak_memory", lambda *_: 300.0)
    monkeypatch.setattr(Machine, "measure", lambda device: Machine(device, 1e11, 2e11, 1e10))
    monkeypatch.setattr(benchmark_rows.Growth, "SECONDS", 17)


# --- References ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("fs", [100, 250, 500, 1000])
def test_preprocessing_lead_by_lead_is_the_projects(method, fs):
    signal = np.random.default_rng(fs).normal(size=(12, 3 * fs + 7)).cumsum(axis=1).astype(np.float32)
    expected = benchmark_rows.plain_way_in(method, plain.resample_plainly)(signal, fs)
    found = method.input.preprocess(signal, fs)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_linear_interpolation_is_exact_on_a_line_and_keeps_time():
    line = np.arange(1000, dtype=np.float32)[None] / 500
    found = plain.interpolate_plainly(line, 500, 257)[0]
    np.testing.assert_allclose(found[:-1], np.arange(513) / 257, rtol=1e-6)


def test_the_plain_reading_is_the_projects(tmp_path):
    signal = np.random.default_rng(1).normal(size=(12, 600)).astype(np.float32)
    path = write_recording(tmp_path, "A0001", signal, leads=helper_code.LEADS[::-1])
    header, found = plain.read_plainly(path)
    expected_header, expected = helper_code.read_recording(path)
    assert header == expected_header
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("records", "seed"), [(1, 1), (5, 2), (80, 3), (300, 4)])
def test_the_plain_scorer_gives_the_projects_measures(tmp_path, records, seed):
    measurement = benchmark_rows.Scoring(tmp_path, options(records, seed))
    measurement.prepare()
    expected, found = (opened()() for opened in measurement.sides().values())
    assert len(expected) == 10
    for name, values in expected.items():
        measure = name.removesuffix(" by class")
        actual = [found.overall[measure]] if measure == name else found.by_class[measure]
        np.testing.assert_allclose(actual, values, rtol=0, atol=1e-9, equal_nan=True, err_msg=name)


def test_a_scorer_that_differs_is_seen_in_the_table(tmp_path):
    measurement = benchmark_rows.Scoring(tmp_path, options(30))
    measurement.prepare()
    results = {name: opened()() for name, opened in measurement.sides().items()}
    results["plain"]["AUPRC by class"][3] += 0.25
    [row] = measurement.rows(benchmark_measuring.Measured(results=results), Machine(torch.device("cpu"), 1, 1, 1))
    assert row.check == "within 2e-01"


def problem(seed, n_recordings, n_classes=4):
    rng = np.random.default_rng(seed)
    labels = rng.random((n_recordings, n_classes)) < 0.3
    probabilities = rng.integers(0, 12, labels.shape) / 11
    weights = rng.uniform(0, 0.5, (n_classes, n_classes))
    weights = (weights + weights.T) / 2
    np.fill_diagonal(weights, 1)
    return labels, probabilities, weights


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_the_exact_search_is_never_below_the_grids_metric(seed, n_recordings):
    labels, probabilities, weights = problem(seed, n_recordings)
    score = partial(evaluate_model.compute_observed_score, weights)
    start = np.full(4, 0.5)

    def at(thresholds, columns):
        return evaluate_model.compute_observed_score(
            weights[np.ix_(columns, columns)],
            labels[:, columns],
            team_code.decide(probabilities[:, columns], thresholds[columns]),
        )

    # Each class, the others as they stand.
    for k in range(4):
        columns = np.roll(np.arange(4), -k)
        arguments = labels[:, columns], probabilities[:, columns]
        found, grid = start.copy(), start.copy()
        found[k] = coordinate_ascent(*arguments, weights[np.ix_(columns, columns)], team_code.decide, start)[0]
        score = partial(evaluate_model.compute_observed_score, weights[np.ix_(columns, columns)])
        grid[k] = plain.search_grid_plainly(*arguments, score, team_code.decide, start, 1)[0]
        assert at(found, columns) >= at(grid, columns) - 1e-9
    # All of them, from where the grid's search ends.
    every = np.arange(4)
    score = partial(evaluate_model.compute_observed_score, weights)
    grid = plain.search_grid_plainly(labels, probabilities, score, team_code.decide, start, 4)
    found = coordinate_ascent(labels, probabilities, weights, team_code.decide, grid)
    assert at(found, every) >= at(grid, every) - 1e-9


def test_the_plain_grid_search_finds_what_the_sorted_pass_finds():
    for seed in range(10):
        labels, probabilities, weights = problem(seed, 25)
        score, start = partial(evaluate_model.compute_observed_score, weights), np.full(4, 0.5)
        expected = plain.search_grid_plainly(labels, probabilities, score, team_code.decide, start, 1)
        found = coordinate_ascent(labels, probabilities, weights, team_code.decide, start, candidates=GRID)
        found[1:] = start[1:]  # the plain one was asked for the first class only
        assert (expected[1:] == start[1:]).all()
        assert score(labels, team_code.decide(probabilities, found)) == pytest.approx(
            score(labels, team_code.decide(probabilities, expected)), abs=1e-9
        )


@pytest.mark.usefixtures("_small_and_quick")
def test_the_plain_loop_trains_and_its_seed_decides(tmp_path):
    measurement = benchmark_rows.Training(tmp_path, options(9))
    measurement.prepare()
    method = benchmark_rows.methods()[0]
    side = measurement.sides()[f"{method.name}, plain"]()
    first, second = side().state_dict(), side().state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert int(first["bn.num_batches_tracked"]) == 2  # batches of 8 and 1: nothing is left out
    assert all(torch.isfinite(value).all() for value in first.values())
    with torch.random.fork_rng():
        torch.manual_seed(measurement.options.seed)
        assert not torch.equal(first["conv.weight"], method.build_network().conv.weight)


# --- Counts -------------------------------------------------------------------------------------------------------


class Two(nn.Module):
    """A convolution and a linear layer whose products can be counted by hand."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(12, 6, kernel_size=5, stride=2, padding=2, groups=2)
        self.fc = nn.Linear(6, 7)

    def forward(self, signal, demographics):
        return self.fc(self.conv(signal).mean(dim=2))


@pytest.mark.parametrize("n_items", [1, 3])
def test_multiply_adds_are_those_of_a_count_by_hand(n_items):
    batch = Batch(torch.zeros(n_items, 12, 10), torch.full((n_items,), 10), torch.zeros(n_items, 5))
    # Five positions of six channels, each a sum over 5 taps of 6 of the 12 leads; then 6 products for each of 7.
    by_hand = n_items * (5 * 6 * 5 * 6 + 6 * 7)
    assert benchmark_rows.count_multiply_adds(tiny(), Two(), batch) == by_hand


def test_the_faithful_network_takes_three_quarters_of_a_billion_multiply_adds_for_a_window():
    method = METHODS[0]
    batch = Batch(torch.zeros(1, 12, 4096), torch.tensor([4096]), torch.zeros(1, 5))
    convolutions = 12 * 64 * 15 * 2048 + 4 * 64 * 64 * 7 * 1024
    for n, length in ((128, 512), (256, 256), (512, 128)):  # half the channels come in, and go past the block
        convolutions += (n * n // 2 * 7 + 3 * n * n * 7 + n * n // 2) * length
    squeezes = sum(4 * n * (n // 16) for n in (64, 128, 256, 512))
    network = method.build_network().eval()
    assert benchmark_rows.count_multiply_adds(method, network, batch) == convolutions + squeezes + 50 + 522 * 24


def test_idle_time_is_what_lies_between_a_threads_forward_passes():
    watch = benchmark_rows.Watch(tiny())
    assert math.isnan(watch.idle())
    watch.passes = {1: [(0.0, 1.0), (2.0, 3.0)], 2: [(5.0, 6.0)]}
    assert watch.idle() == pytest.approx(1 / 4)


def test_the_floor_takes_bfloat16_for_networks_only_where_it_is_fast(monkeypatch):
    machine = Machine(torch.device("cpu"), 100.0, 400.0, 10.0)
    for fast, floor in ((True, 2 + 1), (False, 8 + 1)):  # from the rates above, nothing is timed
        monkeypatch.setattr(benchmark_measuring, "has_fast_bfloat16", lambda device, fast=fast: fast)
        assert machine.floor(800, 10, network=True) == floor
        assert machine.floor(800, 10) == 8 + 1


# --- The command --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_small_and_quick")
def test_all_of_it_runs_and_prints_a_row_for_each_measurement(capsys, tmp_path):
    page = tmp_path / "page.md"
    assert benchmark.main(["all", "--records", "4", "--repeats", "1", "--output", str(page)]) == 0
    printed = capsys.readouterr().out
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| ")]
    names = [row[0].removeprefix("| ") for row in rows]
    assert names[1:] == [
        "driver, tiny",
        "driver, tiny-filtered against plain tiny",
        "driver, tiny-filtered",
        "preprocessing, tiny",
        "preprocessing, tiny-filtered",
        "training, tiny",
        "training, tiny-filtered against plain tiny",
        "training, tiny-filtered",
        "scoring",
        "thresholds",
        "doubled",
        "recordings",
        "length",
        "members",
    ]
    for row in rows[1:11]:
        n_recordings, before, after, ratio = map(float, row[1:5])
        assert n_recordings == 4 and ratio == pytest.approx(before / after, rel=0.02, abs=0.006)
        assert row[7] == "300, 300"
    checks = {name: row[8] for name, row in zip(names, rows, strict=True) if len(row) > 8}
    assert checks["driver, tiny"].startswith("100.00% of labels, scores within 0.00")
    assert checks["driver, tiny-filtered"].startswith("100.00% of labels, scores within 0.00")
    assert "no GPU here" in printed or torch.cuda.is_available()
    text = page.read_text()
    assert text.startswith("# Performance\n")
    assert f"`python -m ecg.benchmark all --records 4 --repeats 1 --output {page}`" in text
    assert all(line in text for line in printed.splitlines() if line.startswith("| "))


def test_one_measurement_with_its_memory_in_processes_of_their_own(capsys):
    assert benchmark.main(["thresholds", "--records", "4", "--repeats", "1"]) == 0
    [_, row] = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert row[0] == "| thresholds"
    peaks = [float(word) for word in row[7].split(", ")]
    assert all(50 < peak < 5000 for peak in peaks)
    metric, grid = (float(part.split()[-1]) for part in row[8].removesuffix(" |").split(", "))
    assert metric >= grid - 1e-6


@pytest.mark.usefixtures("_small_and_quick")
def test_seeds_compare_the_two_ways_to_train(tmp_path):
    sentence = benchmark_rows.compare_seeds(tmp_path, options(16), n_seeds=2, epochs=1)
    assert "12 recordings to train on, 4 held out" in sentence
    plainly, ours = (
        part.split(" (mean")[0].split(", ") for part in (sentence.split("plain ")[1], sentence.split("project ")[1])
    )
    assert len(plainly) == len(ours) == 2
    assert all(math.isfinite(float(value)) for value in plainly + ours)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--records", "0"], "--records 0: expected a whole number from 1 up"),
        (["--repeats", "0"], "--repeats 0: expected a whole number from 1 up"),
        (["--seed", "-1"], "--seed -1: expected a whole number from 0 up"),
        (["--model", "nowhere"], "--model nowhere: expected the folder of a trained model"),
        (["thresholds", "--seeds", "2"], "--seeds 2: expected it with training, found thresholds"),
        (["thresholds", "--output", "no/such/folder/page.md"], "--output no/such/folder/page.md: expected a folder"),
    ],
)
def test_what_can_not_be_measured_is_said_before_anything_is(capsys, words, complaint):
    assert benchmark.main(words) == 2
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert captured.out == ""


def test_the_page_in_the_repository_has_the_text_of_this_version():
    page = (ROOT / "docs" / "performance.md").read_text()
    assert page.startswith(f"# Performance\n\n{benchmark.page_text()}\n\n## Measured\n")
