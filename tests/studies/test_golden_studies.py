"""Tables and pictures of the studies as they were noted, from answers and measurements that are drawn.

`python tests/studies/test_golden_studies.py` notes them anew: read what has changed before you commit it.
"""

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ecg.decisions.adaptation import Adaptation, Decided
from ecg.interpretation.interpret import Statement
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.leads import LEADS
from ecg.measurements.types import MedianBeat, WaveMarks
from ecg.signal.corruptions import AS_RECORDED
from ecg.studies import (
    acute_sensitivity,
    adaptation_gain,
    compare_methods,
    cost_quality,
    disturbed_measurements,
    lead_reversal,
    markdown_tables,
    measurement_accuracy,
    median_beats,
    model_card,
    statement_quality,
)
from ecg.studies.cross_validation import Options
from ecg.studies.measurement_accuracy import Detections, Differences
from ecg.studies.predictions import Predictions

GOLDEN = Path(__file__).with_name("golden_studies.json")
PLAIN = Diagnoses("plain", ("code,name", "a,first", "b,second", "c,third"))
DATABASES = ["PTB-XL"] * 20 + ["CPSC"] * 8 + ["Georgia"] * 9 + ["CPSC-Extra"] * 5


def answers(seed, diagnoses, *, wrong, own="PTB-XL", rows=slice(None)):
    """Predictions of a method: probabilities that lean to the labels, some decisions wrong."""
    n = len(DATABASES)
    truth, rng = np.random.default_rng(7), np.random.default_rng([71, seed])
    labels = truth.random((n, len(diagnoses.classes))) < (0.1 if len(diagnoses.classes) > 5 else 0.4)
    labels[np.arange(n), truth.integers(len(diagnoses.classes), size=n)] = True
    outputs = labels ^ (rng.random(labels.shape) < wrong)
    scores = np.round(0.5 * outputs + 0.1 * labels + rng.uniform(0, 0.4, labels.shape), 3)
    databases = np.array(DATABASES)
    names = np.array([f"{name}{k}" for k, name in enumerate(DATABASES)])
    parts = (each[rows] for each in (names, databases, databases == own, labels, scores, outputs))
    return Predictions(*parts, diagnoses.classes)


def compared(patch, diagnoses):
    """All that `ecg validate` prints of two methods, the second without some of the recordings."""
    found = {
        "one": answers(1, diagnoses, wrong=0.03),
        "two": answers(2, diagnoses, wrong=0.06, rows=np.r_[30:42, 2:28]),
    }
    written = []

    class Made:
        def __init__(self, label, method, builders, options):
            self.label = label

        def predictions(self):
            return found[self.label]

        def disturbed_predictions(self, undisturbed):
            worse = answers(3, diagnoses, wrong=0.12)
            rows = np.flatnonzero(np.isin(worse.records, undisturbed.records))
            order = [int(np.flatnonzero(worse.records == name)[0]) for name in undisturbed.records]
            assert len(rows) == len(order)
            return {AS_RECORDED: undisturbed, "hum": replace(undisturbed, outputs=worse.outputs[order])}

    patch.setattr(compare_methods, "Validation", Made)
    patch.setattr(compare_methods, "build_method", lambda label, builders, diagnoses: None)
    patch.setattr(compare_methods, "on_leads", lambda method, leads: method)
    patch.setattr(compare_methods, "write_file", lambda path, text: written.append([path.name, text]))
    patch.setattr(compare_methods, "print", lambda *words, **named: None, raising=False)
    options = Options(Path("data"), Path("out"), "hold-out")
    compare_methods.compare_methods(["one", "two"], diagnoses, options, disturbed=True)
    (name, text), (again, whole) = written
    assert name == again == "table.md"
    assert whole.startswith(text)
    return whole.splitlines()


def card(patch):
    config = {
        "method": "hybrid", "settings": {"width": 12}, "members": [1, 2, 3], "diagnoses": None,
        "training": {"recordings": 30, "databases": {"A": 10, "B": 20}, "simulated": 7, "folds": 3, "epochs": 9,
                     "seed": 5},
        "card": {"trained": {"command": "train a b", "commit": "abc", "minutes": 2.5, "machine": "two cores"},
                 "measured": {"command": "validate", "commit": "def"}},
    }  # fmt: skip
    patch.setattr(model_card, "diagnoses_of", lambda config, path: CHALLENGE_2020)
    rows = model_card.measured_rows(answers(1, CHALLENGE_2020, wrong=0.05), CHALLENGE_2020)
    rows[-1]["auroc"] = None
    config["card"]["measured"]["rows"] = rows
    return model_card.as_markdown(config).splitlines()


def adapted(patch):
    """What labelled recordings are worth, of a model whose answers are drawn."""
    dataset = SimpleNamespace(labels=answers(1, CHALLENGE_2020, wrong=0).labels)
    by_itself, moved = (answers(seed, CHALLENGE_2020, wrong=wrong) for seed, wrong in ((4, 0.08), (5, 0.03)))
    decided = {
        name: Decided(each.outputs, each.probabilities) for name, each in ((None, by_itself), ("clinical", moved))
    }
    method = SimpleNamespace(diagnoses=CHALLENGE_2020)
    patch.setattr(adaptation_gain, "load_model", lambda folder, device: SimpleNamespace(method=method))
    patch.setattr(adaptation_gain, "read_labelled", lambda model, data, cache, table: (dataset, []))
    patch.setattr(adaptation_gain, "classify", lambda model, dataset: decided)
    patch.setattr(adaptation_gain, "DRAWS", 5)
    patch.setattr(adaptation_gain, "choose", lambda labels, given, folds: (
        ("clinical", None)[labels.sum() % 2], float(folds.max())))  # fmt: skip

    def adapt(labels, given, name, penalty, rewards):
        assert given[name].scores.shape == labels.shape
        flat = Adaptation(np.eye(24), np.where(labels.any(axis=0), 0.3, -0.3))
        return None if penalty < 3 or labels.sum() % 3 == 0 else flat

    patch.setattr(adaptation_gain, "adapt_to", adapt)
    return adaptation_gain.measure_adaptation(Path("data"), Path("model"), sizes=(10, 20, 22, 23)).splitlines()


def acute(patch):
    """Each heart is said to have what stands first for its name, every third one and some others nothing."""
    patch.setattr(acute_sensitivity, "load_model", lambda folder: folder)
    patch.setattr(acute_sensitivity, "simulate_recording", lambda seed, k, name="": (seed, k, name))

    def said(made, models):
        seed, k, name = made
        assert (seed, models) == (9, [Path("one")])
        return {55, 86, 145} if not name and k % 4 == 0 else {1} if k % 3 == 0 or not name else {
            2, acute_sensitivity.EXPECTED[name][-1]}  # fmt: skip

    patch.setattr(acute_sensitivity, "_acute_codes", said)
    return acute_sensitivity.measure_acute([Path("one")], 10, 9).splitlines()


def statements():
    """Counts over recordings with drawn statements and labels."""
    rng = np.random.default_rng(72)
    codes = [50, 51, 82, 106, 60, 20, 142, 15]
    labels = ["164889003", "164890007", "270492004", "164947007", "59118001", "426783006", "164884008", "1"]
    qualities = defaultdict(statement_quality.Quality)
    quiet = SimpleNamespace(suspected_swap="", leads_off=(), saturated=(), noise_uv=1.0, mains_uv=1.0, baseline_uv=1.0,
                            mains_in=())  # fmt: skip
    measured = SimpleNamespace(quality=quiet)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statement_quality, "doubts", lambda said, found: ["why"] if len(said) > 4 else [])
        patch.setattr(statement_quality, "contradictions", lambda said, found, age, definitions: [
            f"{age} {definitions}"] if age > 60 and definitions == "ptb-xl" else [])  # fmt: skip
        for k in range(40):
            said = [
                Statement(int(code), "words", str(rng.choice(["definite", "probable", "possible"])), 0.5, "evidence",
                          acute="now" if rng.random() < 0.1 else "")
                for code in rng.choice(codes, rng.integers(0, 6), replace=False)
            ]  # fmt: skip
            given = rng.choice(labels, rng.integers(0, 4), replace=False).tolist()
            qualities["AB"[k % 3 == 0]].add(
                said, measured, given, age=30.0 + k, definitions="ptb-xl" if k % 2 else "clinical"
            )
        qualities["none"].add([], measured, [])
    return statement_quality.table(qualities).splitlines()


def accuracy(patch):
    """Tables of measured less true values, of peaks and of labels."""
    rng = np.random.default_rng(73)
    intervals, peaks = (
        {name: Differences() for name in ("P", "QRS", "none")},
        {"all": Detections(), "empty": Detections()},
    )
    for _ in range(30):
        for name in ("P", "QRS"):
            measured, true = (
                float(value) if rng.random() < 0.8 else np.nan for value in rng.integers(80, 120, 2) + 0.3
            )
            intervals[name].add(measured, true)
    true = np.arange(10) * 500.0
    peaks["all"].add(np.sort(np.r_[true[1:] + rng.integers(-40, 40, 9), 700.0, -90.0]), true, 25.0)
    rates = Differences([0.2, -1.0, 1.1, -1.2], missing=2)
    rate = measurement_accuracy.rates_line(rates)
    names = iter(
        [(("SB", "IAVB"), k) for k in range(4)] + [(("LAD",), k) for k in range(4)] + [((), 2), (("SA", "RAD"), 7)]
    )
    codes = {row.abbreviation: row.code for row in CHALLENGE_2020.rows}

    def read(path):
        labels, k = next(names)
        return SimpleNamespace(labels=(*(codes[each] for each in labels), "1"), sampling_frequency=500.0), k

    def measure(k, rate):
        row = np.full(12, 0.3 + 0.05 * k)
        amplitudes = SimpleNamespace(r=row, q=-0.1 * row, s=-0.3 * row if k != 2 else np.full(12, np.nan))
        return SimpleNamespace(
            amplitudes=amplitudes, pr_ms=150.0 + 20 * k if k != 1 else np.nan,
            qrs_axis_deg=(40.0 * k - 100 + 180) % 360 - 180,
            qtc_bazett_ms=400.0 + k, qtc_fridericia_ms=400.0 - k, heart_rate_bpm=70.0 - 3 * k, qrs_ms=90.0 + k * k,
            rr_sd_ms=20.0 * k, rmssd_ms=30.0 - k)  # fmt: skip

    patch.setattr(measurement_accuracy, "read_recording", read)
    patch.setattr(measurement_accuracy, "measure", measure)
    labels = measurement_accuracy.against_labels([Path(str(k)) for k in range(10)])
    tables = (
        measurement_accuracy.differences_table(intervals),
        measurement_accuracy.detections_table(peaks),
        rate,
        labels,
    )
    axes = [measurement_accuracy._axis(SimpleNamespace(qrs_axis_deg=value)) for value in (-180, -135, -134, 0, 179)]
    return [line for each in tables for line in each.splitlines()] + axes


def reversed_tables(patch):
    """Sensitivity and specificity where the suspicion of each recording is drawn."""
    labels = [("164889003",), ("164889003", "39732003"), ("426783006",), ("47665007", "713426002"), ()] * 3
    headers = iter([SimpleNamespace(labels=each, sampling_frequency=500.0) for each in labels])
    rng = np.random.default_rng(74)
    patch.setattr(lead_reversal, "read_recording", lambda path: (next(headers), np.zeros((12, 4), np.float32)))
    patch.setattr(lead_reversal, "exchange", lambda signal, name: name)
    said = []
    patch.setattr(lead_reversal, "say", said.append)

    def suspected(signal, rate):
        name = signal if isinstance(signal, str) else ""
        return str(rng.choice([name, name, name, "", "RA-LA", "LA-LL"]))

    patch.setattr(lead_reversal, "_suspected", suspected)
    return [*lead_reversal.test([Path(f"R{k}.hea") for k in range(15)]).splitlines(), *said]


def disturbances():
    """What each disturbance adds to a slow wave: mean, least, most and where it is largest, in a few leads, in mV."""
    rate = 300.0
    clean = np.outer(np.arange(1, 13), np.sin(np.arange(3000) / 50)).astype(np.float32)
    clean[2:6] = np.stack(
        [clean[1] - clean[0], -(clean[0] + clean[1]) / 2, clean[0] - clean[1] / 2, clean[1] - clean[0] / 2]
    )
    found = {}
    for name, disturb in disturbed_measurements.DISTURBANCES.items():
        added = disturb(clean.copy(), rate, np.random.default_rng(5)) - clean
        known = ~np.isnan(added[:, 0])
        rows = added[known]
        found[name] = [
            [float(each) for each in (row.mean(), row.min(), row.max(), row[123], row[2222])] for row in rows[[0, -1]]
        ]
        found[name] += [[float(value) for value in np.abs(rows).max(axis=1)], [LEADS[k] for k in np.flatnonzero(known)]]
    cells = ([], [1.0, 2.0, np.nan], [np.nan], [-1.04, -1.06])
    return found | {"cells": [disturbed_measurements._cell(np.array(each)) for each in cells]}


def disturbed_table(patch):
    """The table, of measurements that only count what is measured first, second and so on."""
    count = iter(range(10_000))
    axes = {"qrs_axis_deg": 170.0, "t_axis_deg": -170.0}

    def measure(signal, rate):
        k = next(count)
        numbers = dict.fromkeys(("heart_rate_bpm", "n_ectopic", "p_ms", "qrs_ms", "qt_ms"), 100.0 + 7 * k)
        numbers |= {name: (value + 33 * k + 180) % 360 - 180 for name, value in axes.items()}
        numbers["pr_ms"] = np.nan if k in (0, 3, 18) else 150.0 - k
        return SimpleNamespace(**numbers, amplitudes=SimpleNamespace(r=np.full(12, float(np.nanmax(signal)))))

    patch.setattr(disturbed_measurements, "measure", measure)
    signal = np.outer(np.arange(1, 13), np.sin(np.arange(500) / 50)).astype(np.float32)
    signal[:, 40:50] = np.nan
    return disturbed_measurements.disturbed_table([(signal, 100.0), (2 * signal, 100.0)]).splitlines()


def drawn(figure):
    """Words with their places, and lines and dots, of each of a figure's axes."""
    found = []
    for axes in figure.axes:
        words = [[*np.round(text.xyann if hasattr(text, "xyann") else text.get_position(), 2).tolist(), text.get_text(),
                  text.get_va()] for text in axes.texts]  # fmt: skip
        lines = []
        for line in axes.lines:
            x, y = (np.asarray(values, dtype=float) for values in line.get_data())
            lines.append([len(x), *np.round([x[0], x[-1], y[0], y[-1], y.min(), y.max()], 2).tolist()])
        dots = [[each.get_label(), np.round(each.get_offsets(), 3).tolist()] for each in axes.collections]
        bands = [np.round(patch.get_extents().bounds[::2], 1).tolist() for patch in axes.patches]
        limits = np.round([*axes.get_xlim(), *axes.get_ylim()], 2).tolist()
        found.append([axes.get_title(), axes.get_xlabel(), axes.get_ylabel(), words, lines, dots, bands, limits])
    return found


def costs(patch):
    kept = []
    patch.setattr(cost_quality, "save_png", lambda figure, path, dots: kept.append(figure))
    rows = [("`one`", 100, 70.5, 0.512), ("two", 55, 40, 0.6), ("three", 55, 20, 0.7), ("four", 210, 80, 0.45)]
    cost_quality.plot_costs([cost_quality.Cost(*row) for row in rows], Path("x.png"))
    return drawn(kept[0])


def beats(patch):
    """The picture of median beats, each of triangles, with marks that are known in part."""
    kept, count = [], iter(range(6))
    patch.setattr(median_beats, "save_png", lambda figure, path, dots: kept.append(figure))
    patch.setattr(median_beats, "simulate", lambda rng, name, noise, comorbidity: SimpleNamespace(
        signal=None, sampling_frequency=500.0))  # fmt: skip

    def measure(signal, rate):
        k = next(count)
        values = np.array([100, 110, 120, 140.0, 150, 165, 250, 290, 320]) + k
        values[: 3 if k == 1 else 0] = np.nan
        shape = np.maximum(1 - np.abs(np.arange(500) - 150 - k) / 12, 0)
        signal = np.outer(np.arange(1, 13) / 8, shape).astype(np.float32)
        beat = MedianBeat(signal, rate, 9, WaveMarks(*values), (WaveMarks(*(values + 2)),) * 12, 150.0 + k)
        return SimpleNamespace(median_beat=beat, pr_ms=150.4 + k, qrs_ms=90.4, qt_ms=np.nan)

    patch.setattr(median_beats, "measure", measure)
    patch.setattr(median_beats, "truth_of", lambda made: SimpleNamespace(pr_ms=np.nan, qrs_ms=88.4, qt_ms=400.4))
    median_beats.plot_median_beats(Path("x.png"))
    first, second, *_, last = drawn(kept[0])
    return [first, second[:5], last[:3]]


def small_tables():
    return [
        markdown_tables._signed(-0.0004, 0.0016, -0.1234),
        markdown_tables.table(["", "a", "b"], [["x", 1, None]], "--:"),
        markdown_tables.table(["c"], []),
        markdown_tables.format_classes(answers(1, PLAIN, wrong=0.1), ["CPSC", "Georgia"], PLAIN),
        markdown_tables.format_databases({"m": answers(1, PLAIN, wrong=0.1, rows=slice(4))}, PLAIN),
    ]


def everything():
    return {
        "compared": lambda patch: compared(patch, CHALLENGE_2020),
        "card": card, "adapted": adapted, "acute": acute, "accuracy": accuracy, "reversed": reversed_tables,
        "disturbed": disturbed_table, "costs": costs, "beats": beats,
        "statements": lambda patch: statements(), "disturbances": lambda patch: disturbances(),
        "small tables": lambda patch: small_tables(),
    }  # fmt: skip


def found_now(name):
    with pytest.MonkeyPatch.context() as patch:
        return json.loads(json.dumps(everything()[name](patch)))


def assert_close(found, expected, where):
    if isinstance(expected, (dict, list)):
        assert len(found) == len(expected), where
        for key in expected if isinstance(expected, dict) else range(len(expected)):
            assert_close(found[key], expected[key], f"{where}, {key}")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-3, abs=2e-3), where
    else:
        assert found == expected, where


@pytest.mark.parametrize("name", everything())
def test_a_study_says_what_was_noted(name):
    assert_close(found_now(name), json.loads(GOLDEN.read_text())[name], name)


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(rounded(found_now(name)), ensure_ascii=False)}" for name in everything())
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
