"""What an adaptation says is the same before it is stored and after, with weights that are not symmetric."""

import numpy as np
import torch

from ecg.decisions.adaptation import Adaptation
from ecg.model_folder.folder import load_model, save_adapted
from ecg.training.trainer import train
from tiny import heart_like, quick, tiny, write_recording


def test_a_stored_adaptation_gives_the_probabilities_of_the_fitted_one(tmp_path):
    for k in range(6):
        dx = ("426783006", "426177001")[k % 2]
        write_recording(tmp_path / "data", f"HR{k:05d}", heart_like(2, seed=k), dx=dx)
    train(tiny(), tmp_path / "data", tmp_path / "model", quick())
    model = load_model(tmp_path / "model", {"tiny": tiny}, torch.device("cpu"))
    rng = np.random.default_rng(0)
    fitted = Adaptation(np.eye(24) + rng.normal(0, 0.2, (24, 24)), rng.normal(0, 1, 24))
    save_adapted(tmp_path / "model", tmp_path / "adapted", fitted, {"recordings": 6}, model)
    stored = load_model(tmp_path / "adapted", {"tiny": tiny}, torch.device("cpu")).adaptation
    scores = rng.random((5, 24))
    np.testing.assert_allclose(stored.apply(scores), fitted.apply(scores), atol=1e-4)
    assert np.abs(Adaptation(fitted.weights.T, fitted.intercepts).apply(scores) - fitted.apply(scores)).max() > 0.01
