"""What an adaptation says is the same before it is stored and after, with weights that are not symmetric."""

import json

import numpy as np

from commands import ROOT
from ecg.decisions.adaptation import Adaptation
from ecg.labels.classes import CLASSES
from ecg.model_folder.schema import adaptation_rows, parse

MODEL = ROOT / "model" / "config.json"


def test_a_stored_adaptation_gives_the_probabilities_of_the_fitted_one():
    rng = np.random.default_rng(0)
    fitted = Adaptation(np.eye(24) + rng.normal(0, 0.2, (24, 24)), rng.normal(0, 1, 24))
    config = json.loads(MODEL.read_text()) | {"adaptation": json.loads(json.dumps(adaptation_rows(CLASSES, fitted)))}
    stored = parse(config).read_adaptation()
    scores = rng.random((5, 24))
    np.testing.assert_allclose(stored.apply(scores), fitted.apply(scores), atol=1e-4)
    assert np.abs(Adaptation(fitted.weights.T, fitted.intercepts).apply(scores) - fitted.apply(scores)).max() > 0.01
