"""The card that says where a model is from: its additions, the untouched rest, and agreement of document and folder."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import team_code
from ecg.commands import card as model_card
from ecg.studies.model_card import as_markdown
from evaluate_model import compute_challenge_metric, load_weights

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = load_weights(classes=team_code.CLASSES)[1]


@pytest.fixture
def predictions(tmp_path):
    rng = np.random.default_rng(0)
    labels, probabilities = rng.random((60, 24)) < 0.1, rng.random((60, 24))
    labels[:, 14] = True
    result = {
        "records": np.array([f"R{k}" for k in range(60)]),
        "databases": np.array(["A"] * 40 + ["B"] * 20),
        "in_database": np.array([True] * 40 + [False] * 20),
        "labels": labels,
        "probabilities": probabilities,
        "outputs": probabilities > 0.8,
        "classes": np.array(team_code.CLASSES),
    }
    np.savez(tmp_path / "predictions.npz", **result)
    return tmp_path / "predictions.npz", result


@pytest.fixture
def model(tmp_path):
    config = {
        "method": "tiny",
        "settings": {"width": 3},
        "members": [{}],
        "training": {"recordings": 5, "simulated": 1, "databases": {"A": 5}, "folds": 5, "epochs": 2, "seed": 7},
    }
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    return tmp_path / "model"


def words(model, predictions):
    return [
        str(model),
        "--command",
        "python train_model.py a b",
        "--commit",
        "abc1234",
        "--minutes",
        "3",
        "--machine",
        "two cores",
        "--predictions",
        str(predictions),
        "--measured",
        "ecg validate a b",
        "--at",
        "def5678",
    ]


def test_the_card_holds_what_was_said_and_what_was_measured_and_leaves_the_rest_alone(model, predictions, capsys):
    path, result = predictions
    before = json.loads((model / "config.json").read_text())
    for _ in range(2):  # a card that is there is replaced
        assert model_card.main(words(model, path)) == 0
    config = json.loads((model / "config.json").read_text())
    card = config.pop("card")
    assert config == before
    assert card["trained"] == {
        "command": "python train_model.py a b",
        "commit": "abc1234",
        "minutes": 3.0,
        "machine": "two cores",
    }
    rows = {row["database"]: row for row in card["measured"]["rows"]}
    inside = result["databases"] == "A"
    metric = compute_challenge_metric(WEIGHTS, result["labels"][inside], result["outputs"][inside], team_code.CLASSES)
    assert rows["A"]["challenge_metric"] == pytest.approx(metric, abs=1e-4)
    assert rows["A"]["interval_95"][0] < metric < rows["A"]["interval_95"][1]
    assert rows["B"]["recordings"] == 20
    printed = capsys.readouterr().out
    assert "| A | 40 | " in printed
    assert "python train_model.py a b` at commit abc1234" in printed


@pytest.mark.parametrize("spoil", ["model", "predictions"])
def test_what_is_no_model_or_no_predictions_is_said_and_nothing_is_written(model, predictions, capsys, spoil):
    path, _ = predictions
    if spoil == "model":
        (model / "config.json").write_text("no JSON")
    else:
        np.savez(path, other=np.zeros(3))
    before = (model / "config.json").read_bytes()
    assert model_card.main(words(model, path)) == 2
    assert re.search(r"expected .*, found", capsys.readouterr().err)
    assert (model / "config.json").read_bytes() == before


def test_the_shipped_models_card_is_in_the_results():
    config = json.loads((ROOT / "model" / "config.json").read_text())
    assert as_markdown(config) in (ROOT / "docs" / "results.md").read_text()
