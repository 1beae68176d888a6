"""What is told of a training and of what follows it: recordings, databases, scores, gains, calibration, errors."""

import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ecg.decisions.adaptation import Adaptation, Decided, adapt_to
from ecg.decisions.calibration import fit_calibration
from ecg.decisions.conventions import CONVENTIONS
from ecg.inference.predict import Item, predict
from ecg.labels.classes import CLASSES
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.model_folder.model import Member, Model
from ecg.scoring.statistics import calibration_error, log_loss, main_metric, measure
from ecg.training import adapt_model as adaptation
from ecg.training import calibrate_model as calibration
from ecg.training.adapt_model import adapt_model, classify, compare
from ecg.training.dataset import Dataset
from ecg.training.options import TrainingOptions
from ecg.training.trainer import select_part, store, summarise, validation_scores
from tiny import random_dataset, tiny

CPU = torch.device("cpu")


def dataset_of(databases, n_simulated=0, **options):
    """Recordings of these databases, of which class k mod 3 shows in lead k mod 3."""
    made = random_dataset(len(databases))
    entries = [replace(entry, database=name) for entry, name in zip(made.entries, databases, strict=True)]
    return Dataset(entries, made._signals, n_simulated=n_simulated, **options)


def member_of(rows, seed=0, n_classes=24):
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = tiny().build_network().state_dict()
    return Member(state, rng.uniform(0.2, 0.8, n_classes), np.array(rows), rng.random((len(rows), n_classes)), [{}])


# --- A training


def test_what_a_model_was_trained_on_is_counted_and_said(capsys):
    dataset = dataset_of(["B", "A", "B", "B", "simulated", "simulated"], 2, unused=3, unknown={"x": 7})
    options = TrainingOptions(seed=5, epochs=None, start=SimpleNamespace(checksums=["aa"]))
    assert summarise(tiny(), dataset, ["one: bad", "two: worse"], options) == {
        "recordings": 4,
        "simulated": 2,
        "databases": {"A": 1, "B": 3},
        "not_trained_on": 3,
        "left_out": 2,
        "folds": 5,
        "epochs": 50,
        "seed": 5,
        "started_from": ["aa"],
    }
    said = capsys.readouterr().err.splitlines()
    assert said[:4] == [
        "Left out: one: bad",
        "Left out: two: worse",
        "4 recordings: A 1, B 3; 2 simulated ones beside them; "
        "3 more are not trained on (no scored diagnosis, or too long)",
        "Codes that challenge-2020 does not have (recordings): x (7)",
    ]
    assert said[4].startswith("No recording has ") and len(said) == 5
    again = summarise(tiny(), dataset_of(["C"] * 3), [], replace(options, start=None, epochs=7))
    assert "started_from" not in again and again["epochs"] == 7
    assert capsys.readouterr().err.splitlines()[0] == "3 recordings: C 3"


def test_scores_of_a_member_are_those_of_its_own_recordings_over_all_and_for_each_database():
    dataset, method = dataset_of(list("ABCABBCACBAB")), tiny(decide=lambda p, thresholds: p > thresholds + 0.1)
    member = member_of([11, 2, 3, 5, 8, 9, 0])
    found = validation_scores(method, dataset, member)
    assert list(found) == ["all", "A", "B", "C"]
    for name, rows in {"all": range(7), "A": (2, 6), "B": (0, 3, 5), "C": (1, 4)}.items():
        rows = list(rows)
        outputs = method.decision.decide(member.probabilities[rows], member.thresholds)
        expected = measure(dataset.labels[member.rows[rows]], member.probabilities[rows], outputs, CHALLENGE_2020)
        assert found[name] == expected and found[name]["recordings"] == len(rows)


@pytest.mark.parametrize("moves_scores", [False, True])
def test_a_model_is_stored_with_scores_of_each_member_and_a_calibration_from_all(tmp_path, moves_scores):
    dataset, members = dataset_of(["A"] * 12), [member_of(range(6), 1), member_of(range(6, 12), 2)]
    method = tiny(moves_scores=moves_scores)
    members = [replace(each, history=[{"stage": "s", "epoch": 1}]) for each in members]
    store(method, dataset, members, tmp_path, {"seed": 3})
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["training"] == {"seed": 3}
    for stored, member in zip(config["members"], members, strict=True):
        expected = validation_scores(method, dataset, member)
        assert stored["validation"] == json.loads(json.dumps(expected))
        assert stored["thresholds"] == dict(zip(CLASSES, member.thresholds.tolist(), strict=True))
    assert ("calibration" in config) == (not moves_scores)
    if not moves_scores:
        found = fit_calibration(dataset.labels, np.concatenate([each.probabilities for each in members]))
        lines = np.array([config["calibration"][code] for code in CLASSES])
        np.testing.assert_allclose(lines, np.stack([found.slopes, found.intercepts], axis=1), atol=1e-6)
    history = (tmp_path / "history.csv").read_text().splitlines()
    assert history == ["member,stage,epoch", "1,s,1", "2,s,1"]


def test_a_part_of_the_classes_is_validated_on_the_recordings_that_have_some_of_it():
    part_of = Diagnoses("part", ("code", CLASSES[1], CLASSES[0]))
    whole, part = tiny(select_classes=lambda state, columns: chosen(state, columns)), tiny(part_of)

    def chosen(state, columns):
        return {key: value[list(columns)] if key.startswith("fc.") else value for key, value in state.items()}

    dataset, member = random_dataset(), member_of(range(3, 20))
    found = select_part(whole, member, part, dataset.with_labels_of(part_of), CPU)
    assert found.rows.tolist() == [row for row in range(3, 20) if row % 3 != 2]
    assert torch.equal(found.state["fc.weight"], member.state["fc.weight"][[1, 0]])
    network = whole.build_network().eval()
    network.load_state_dict(member.state)
    items = [Item(row, dataset.signal(row), dataset.features(row)) for row in found.rows]
    expected = np.stack([each[0, [1, 0]] for _, each in predict(whole, [network], items, CPU)])
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
    labels = np.array([[row % 3 == 1, row % 3 == 0] for row in found.rows])
    np.testing.assert_array_equal(found.thresholds, part.decision.search_thresholds(labels, found.probabilities, None))
    assert found.history is member.history


MODEL = Model(tiny(), (), np.zeros((1, 24)), CPU, {})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"members": 0}, "members 0: expected 1 to 5 for the method tiny"),
        ({"members": 6}, "members 6: expected 1 to 5 for the method tiny"),
        ({"epochs": 0}, "epochs 0: expected a whole number from 1 up"),
        ({"limit": 0}, "limit 0: expected a whole number from 1 up"),
        ({"workers": -1}, "workers -1: expected a whole number from 1 up"),
        ({"seed": -1}, "seed -1: expected a whole number from 0 up"),
        ({"shape_only": ("A",)}, "shape only: expected a method that can do without the size, found tiny"),
        (
            {"start": replace(MODEL, method=tiny(settings={"width": 2}))},
            "method: expected that of the model to start from, tiny with settings {'width': 2}, "
            "found tiny with settings {}",
        ),
        (
            {"start": replace(MODEL, method=tiny(Diagnoses("own", ("code", "a"))))},
            "expected a model of the diagnoses challenge-2020, found one of own",
        ),
    ],
)
def test_an_option_out_of_range_is_said(options, expected):
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        TrainingOptions(**options).n_members(tiny())


@pytest.mark.parametrize(
    ("options", "members"),
    [({}, 5), ({"members": 1}, 1), ({"members": 5, "epochs": 1, "limit": 1, "workers": 1, "seed": 0}, 5),
     ({"start": MODEL, "members": 2}, 2)],
)  # fmt: skip
def test_an_option_at_its_limit_is_taken(options, members):
    assert TrainingOptions(**options).n_members(tiny()) == members
    able = tiny(without_size=lambda signal, features: (signal, features))
    assert TrainingOptions(shape_only=("A",)).n_members(able) == 5


# --- An adaptation


def by_convention(probabilities, thresholds, features, convention):
    scores = probabilities.mean(axis=0) * (0.5 + 0.5 * convention.priors.reshape(-1, 24).mean(axis=0)) * features[0]
    return scores > thresholds.mean(axis=0), scores


@pytest.mark.parametrize("definitions", ["clinical", "ptb-xl"])
def test_a_model_decides_by_itself_by_each_convention_and_without_one(definitions):
    dataset, method = random_dataset(4), tiny(by_convention=by_convention)
    networks = []
    for seed in (0, 1):
        network = method.build_network().eval()
        network.load_state_dict(member_of([0], seed).state)
        networks.append(network)
    thresholds = np.random.default_rng(2).uniform(0.3, 0.7, (2, 24))
    model = Model(method, tuple(networks), thresholds, CPU, {}, definitions=definitions)
    found = classify(model, dataset)
    others = [name for name in CONVENTIONS if name != definitions]
    assert list(found) == [definitions, *others, None]
    items = [Item(row, dataset.signal(row), dataset.features(row)) for row in range(4)]
    for row, probabilities in predict(method, networks, items, CPU):
        for name, decided in found.items():
            features = None if name is None else dataset.features(row)
            outputs, scores = model.decide(probabilities, features, name)
            np.testing.assert_array_equal(decided.outputs[row], outputs)
            np.testing.assert_allclose(decided.scores[row], scores)
    assert not np.allclose(found[None].scores, found[definitions].scores)
    assert list(classify(replace(model, method=tiny()), dataset)) == [None]


def hospital(n=60):
    rng = np.random.default_rng(3)
    labels = rng.random((n, 24)) < 0.15
    labels[np.arange(n), rng.integers(0, 24, n)] = True
    scores = np.clip(0.25 * labels + 0.6 * rng.random((n, 24)), 0.01, 0.99)
    worse = np.clip(0.1 * labels + 0.8 * rng.random((n, 24)), 0.01, 0.99)
    return labels, {"clinical": Decided(worse > 0.7, worse), None: Decided(scores > 0.6, scores)}, np.arange(n) % 5


def test_a_comparison_is_of_what_the_model_says_by_itself_with_what_it_says_adapted(monkeypatch):
    labels, decided, folds = hospital()
    own, adapted = decided["clinical"], np.clip(decided[None].scores + 0.05, 0, 1)
    outputs, interval = adapted > 0.6, lambda *words: (0.2, 0.1, 0.3) if words[2] is own.outputs else None
    monkeypatch.setattr(adaptation, "cross_validate", lambda *words: (adapted, outputs) if len(words) == 4 else None)
    monkeypatch.setattr(adaptation, "choose", lambda *words: ("ptb-xl", 30.0))
    monkeypatch.setattr(adaptation, "difference_interval", interval)
    found = compare(labels, decided, folds, CHALLENGE_2020, 8, 3)
    assert asdict(found) == {
        "recordings": 60,
        "left_out": 3,
        "metric": tuple(main_metric(labels, each, CHALLENGE_2020) for each in (own.outputs, outputs)),
        "log_loss": (log_loss(labels, own.scores), log_loss(labels, adapted)),
        "gain": 0.2,
        "interval": (0.1, 0.3),
        "seed": 8,
        "definitions": "ptb-xl",
        "penalty": 30.0,
        "metric_name": "challenge metric",
    }
    assert found.log_loss[0] != found.log_loss[1] and found.metric[0] != found.metric[1]


@pytest.mark.parametrize("penalty", [30.0, math.inf])
@pytest.mark.parametrize("name", [None, "ptb-xl"])
def test_what_an_adaptation_gained_is_stored_with_it(tmp_path, monkeypatch, penalty, name):
    labels, decided, folds = hospital()
    decided["ptb-xl"] = decided["clinical"]
    model = Model(tiny(), (), np.zeros((1, 24)), CPU, {})
    compared = adaptation.Comparison(
        60, 2, (0.12344, 0.56789), (0.31111, 0.22229), 0.44445, (0.11111, 0.77777), 9, name, penalty
    )
    stored, dataset = [], type("Labels", (), {"labels": labels, "__len__": lambda self: 60})()
    monkeypatch.setattr(adaptation, "load_model", lambda *words: model)
    monkeypatch.setattr(adaptation, "load_labels", lambda *words: words)
    table = ("table", CHALLENGE_2020.column_of, 30.0)
    read = {("tiny", tmp_path / "data"): (dataset, 2)}
    monkeypatch.setattr(adaptation, "read_labelled", lambda a, b, c, d: read[a.method.name, b] if d == table else None)
    monkeypatch.setattr(adaptation, "classify", lambda *words: decided)
    monkeypatch.setattr(adaptation, "_split", lambda folder, data, seed: folds if seed == 9 else None)
    monkeypatch.setattr(adaptation, "compare", lambda *words: compared if words[-2:] == (9, 2) else None)
    monkeypatch.setattr(adaptation, "save_adapted", lambda *words: stored.append(words))
    places = [tmp_path / name for name in ("model", "data", "new")]
    options = {"labels": "table", "least_likelihood": 30.0, "seed": 9, "device": "cpu"}
    assert adapt_model(*places, **options) is compared
    [(source, target, found, definitions, fitted, of_model)] = stored
    assert (source, target, of_model) == (tmp_path / "model", tmp_path / "new", model)
    assert fitted == {
        "recordings": 60,
        "metric_before": 0.1234,
        "metric_after": 0.5679,
        "interval_95_of_gain": [0.1111, 0.7778],
        "log_loss_before": 0.3111,
        "log_loss_after": 0.2223,
        "penalty": None if penalty == math.inf else 30.0,
        "folds": 5,
        "seed": 9,
    }
    assert definitions == (name or "clinical")
    expected = adapt_to(labels, decided, name, penalty, CHALLENGE_2020.weights)
    assert (found is None) == (expected is None)
    if expected is not None:
        np.testing.assert_array_equal(found.weights, expected.weights)


@pytest.mark.parametrize("n_folds", [4, 5])
def test_recordings_in_fewer_folds_than_there_are_to_be_are_refused(n_folds):
    asked, folder = [], Path("data")

    class Recordings:
        def __len__(self):
            return 10

        def split(self, rows, n, seed):
            asked.append((list(rows), n, seed))
            return np.arange(10) % n_folds

    if n_folds == 5:
        assert adaptation._split(folder, Recordings(), 4).tolist() == [0, 1, 2, 3, 4] * 2
    else:
        refused = (
            "data/folds.csv: expected recordings in 5 folds (k counts as (k - 1) modulo 5), found them in 4; give more "
            "folds, or fold 0 to all to split without regard to patients"
        )
        with pytest.raises(ValueError, match=f"^{re.escape(refused)}$"):
            adaptation._split(folder, Recordings(), 4)
    assert asked == [(list(range(10)), 5, 4)]


def test_what_can_not_be_adapted_is_said_before_anything_is_read(tmp_path, monkeypatch):
    model, adapted = Model(tiny(), (), np.zeros((1, 24)), CPU, {}), Adaptation(np.eye(24), np.zeros(24))
    (tmp_path / "file").write_text("")
    for target, seed, found, refused in (
        ("model", 0, model, f"{tmp_path / 'model'}: expected another folder than that of the model, found the same"),
        ("file", 0, model, f"{tmp_path / 'file'}: expected a folder, or none yet, found something else"),
        ("new", -1, model, "seed -1: expected a whole number from 0 up"),
        (
            "new",
            0,
            replace(model, adaptation=adapted),
            f"{tmp_path / 'model'}: expected a model that is not adapted, found an adapted one; "
            "adapt what it was made from",
        ),
    ):
        (tmp_path / "model").mkdir(exist_ok=True)
        monkeypatch.setattr(adaptation, "load_model", lambda *words, found=found: found)
        monkeypatch.setattr(adaptation, "read_labelled", None)
        with pytest.raises(ValueError, match=f"^{re.escape(refused)}$"):
            adapt_model(tmp_path / "model", tmp_path / "data", tmp_path / target, seed=seed, device="cpu")
    monkeypatch.setattr(adaptation, "read_labelled", lambda *words: (range(19), 4))
    refused = (
        f"{tmp_path / 'data'}: expected at least 20 different recordings with scored diagnoses, found 19 (4 left out)"
    )
    monkeypatch.setattr(adaptation, "load_model", lambda *words: model)
    with pytest.raises(ValueError, match=f"^{re.escape(refused)}$"):
        adapt_model(tmp_path / "model", tmp_path / "data", tmp_path / "new", device="cpu")


# --- A calibration


def test_a_calibration_is_fitted_to_each_members_own_part_and_its_errors_are_told(tmp_path, monkeypatch):
    method, dataset = tiny(n_folds=3), random_dataset(30)
    members = [member_of([0], seed) for seed in (4, 5)]
    networks = [method.build_network().eval() for _ in members]
    for network, member in zip(networks, members, strict=True):
        network.load_state_dict(member.state)
    folds = dataset.split(range(30), 3, 11)
    parts = [np.flatnonzero(folds == number) for number in (0, 1)]
    scores, validation = [], []
    for network, rows in zip(networks, parts, strict=True):
        items = [Item(row, dataset.signal(row), dataset.features(row)) for row in rows]
        scores.append(np.stack([each[0] for _, each in predict(method, [network], items, CPU)]))
        found = measure(dataset.labels[rows], scores[-1], scores[-1] > 0.5, CHALLENGE_2020)
        validation.append({"recordings": len(rows), "auroc": found["auroc"]})
    config = {"training": {"seed": 11}, "members": [{"validation": {"all": each}} for each in validation], "kept": 1}
    model = Model(method, tuple(networks), np.zeros((2, 24)), CPU, config)
    monkeypatch.setattr(calibration, "load_model", lambda *words: model)
    asked, tables = [], []
    monkeypatch.setattr(calibration, "load_labels", lambda *words: words)

    def build(*words, statements=None):
        asked.append(words)
        tables.append(statements)
        return dataset, []

    monkeypatch.setattr(calibration, "build_dataset", build)
    n, before, after = calibration.calibrate_model(tmp_path, tmp_path / "data", labels="table", least_likelihood=30.0)
    assert tables == [("table", CHALLENGE_2020.column_of, 30.0)]
    labels, given = dataset.labels[np.concatenate(parts)], np.concatenate(scores)
    fitted = fit_calibration(labels, given)
    assert n == len(labels) and asked[0][0].training.simulated_share == 0 and asked[0][1] == tmp_path / "data"
    assert before == pytest.approx(calibration_error(labels, given))
    assert after == pytest.approx(calibration_error(labels, fitted.apply(given))) and after < before
    written = json.loads((tmp_path / "config.json").read_text())
    rows = np.array([written["calibration"][code] for code in CLASSES])
    np.testing.assert_allclose(rows, np.stack([fitted.slopes, fitted.intercepts], axis=1), atol=1e-6)
    assert {**written, "calibration": None} == {**config, "calibration": None}
    config["members"][1]["validation"]["all"] = validation[0]
    with pytest.raises(ValueError, match=rf"^{tmp_path / 'data'}: expected the recordings that trained {tmp_path} "):
        calibration.calibrate_model(tmp_path, tmp_path / "data")


def test_recordings_of_another_number_or_auroc_are_not_those_of_the_training():
    labels = np.array([[True], [False], [True], [False], [False]])
    scores, auroc = np.array([[0.9], [0.3], [0.4], [0.6], [0.1]]), 5 / 6

    def complaint(recordings, expected, labels=labels):
        try:
            calibration._require_same("model", "data", {"recordings": recordings, "auroc": expected}, labels, scores)
        except ValueError as error:
            return str(error)
        return ""

    assert complaint(5, auroc) == complaint(5, auroc + 0.0019) == complaint(5, auroc - 0.0019) == ""
    for recordings, expected in ((6, auroc), (4, auroc), (5, auroc + 0.0021), (5, auroc - 0.0021), (5, None)):
        assert complaint(recordings, expected) == (
            f"data: expected the recordings that trained model (validation part of {recordings}, AUROC {expected}), "
            "found others (5, 0.8333)"
        )
    nobody = np.zeros((5, 1), dtype=bool)
    assert complaint(5, None, nobody) == "" != complaint(5, 0.5, nobody)


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        (
            {"adaptation": Adaptation(np.eye(24), np.zeros(24))},
            "model: expected a model that is not adapted, as an adapted one uses no calibration",
        ),
        (
            {"method": tiny(moves_scores=True)},
            "model: expected a method to calibrate, found tiny, which needs none",
        ),
    ],
)
def test_what_needs_no_calibration_is_said(monkeypatch, changes, refused):
    model = replace(Model(tiny(), (), np.zeros((1, 24)), CPU, {}), **changes)
    monkeypatch.setattr(calibration, "load_model", lambda *words: model)
    with pytest.raises(ValueError, match=f"^{re.escape(refused)}$"):
        calibration.calibrate_model(Path("model"), Path("data"))
