"""What the shipped models say of simulated recordings, as it was noted when they were shipped.

`python tests/inference/test_golden_models.py` from the project's folder notes it again, after a model has changed.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import team_code
from ecg.examination.examine import Examination
from ecg.inference.predict import Item, predict
from ecg.io.formats import read
from ecg.model_folder.folder import load_model
from ecg.simulator.diagnoses import DIAGNOSES
from ecg.simulator.simulate import simulate_recording
from ecg.simulator.write import write_recording

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "model_probabilities.json"
MODELS = ("model", "model/distilled", "model/statements")
NUMBERS = tuple(DIAGNOSES.index(name) + 1 for name in ("NSR", "AF", "CRBBB"))


def probabilities(folder, place):
    """Deterministic and in float32: mean of the members, (n_recordings, n_classes)."""
    model = load_model(ROOT / folder, team_code.METHODS, torch.device("cpu"))
    items = []
    for k in NUMBERS:
        examined = Examination(
            read(write_recording(place, f"SIM{k:05d}", simulate_recording(2, k))), model.method.input
        )
        items.append(Item(k, examined.prepared, examined.features))
    found = predict(model.method, model.networks, items, torch.device("cpu"), deterministic=True)
    return np.array([members.mean(axis=0) for _, members in found])


@pytest.mark.parametrize("folder", MODELS)
def test_a_shipped_model_says_what_it_said(folder, tmp_path):
    expected = np.array(json.loads(GOLDEN.read_text())[folder])
    np.testing.assert_allclose(probabilities(folder, tmp_path), expected, atol=0.01)


def test_both_shipped_models_have_the_same_networks_but_for_the_last_layer():
    models = [
        load_model(ROOT / folder, team_code.METHODS, torch.device("cpu")) for folder in ("model", "model/statements")
    ]
    for first, second in zip(*(model.networks for model in models), strict=True):
        states = [network.network.state_dict() for network in (first, second)]
        for key in states[0].keys() - {"fc.weight", "fc.bias"}:
            torch.testing.assert_close(states[0][key], states[1][key], rtol=0, atol=0)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        noted = {folder: probabilities(folder, Path(place)).round(4).tolist() for folder in MODELS}
    GOLDEN.write_text(json.dumps(noted) + "\n")
