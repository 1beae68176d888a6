"""What an adaptation says is the same before it is stored and after, with weights that are not symmetric."""

import json
from pathlib import Path

import numpy as np

from ecg.decisions.adaptation import Adaptation
from ecg.labels.classes import CLASSES
from ecg.model_folder.folder import _adaptation, adaptation_rows


def test_a_stored_adaptation_gives_the_probabilities_of_the_fitted_one():
    rng = np.random.default_rng(0)
    fitted = Adaptation(np.eye(24) + rng.normal(0, 0.2, (24, 24)), rng.normal(0, 1, 24))
    config = json.loads(json.dumps({"adaptation": adaptation_rows(CLASSES, fitted)}))
    stored = _adaptation(Path("config.json"), config, CLASSES)
    scores = rng.random((5, 24))
    np.testing.assert_allclose(stored.apply(scores), fitted.apply(scores), atol=1e-4)
    assert np.abs(Adaptation(fitted.weights.T, fitted.intercepts).apply(scores) - fitted.apply(scores)).max() > 0.01
