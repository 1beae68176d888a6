"""Numbers in a `config.json` from both sides of their limits, and in the order of the classes."""

import numpy as np
import pytest

from ecg.model_folder.schema import parse

CLASSES = ["a", "b"]
NUMBERS = {"a": 0.25, "b": 0.5}


def config(**changes):
    members = [{"weights": "m.safetensors", "sha256": "0", "thresholds": changes.pop("thresholds", NUMBERS)}]
    fixed = {"format": 1, "method": "m", "settings": {}, "input": {}, "classes": CLASSES, "members": members}
    return parse({**fixed, **changes})


def adapted(weights=((1.0, 0.5), (-0.5, 2.0)), **changes):
    stored = {"weights": dict(zip(CLASSES, map(list, weights), strict=True)), "intercepts": NUMBERS, **changes}
    return config(adaptation=stored).read_adaptation()


READS = {
    "a threshold": (lambda x: config(thresholds={"a": x, "b": 0.5}).read_thresholds(), 0.0, 1.0),
    "an adapted threshold": (lambda x: adapted(thresholds={"a": x, "b": 0.5}), 0.0, 1.0),
    "an intercept": (lambda x: config(calibration={"a": [1.0, x], "b": [1.0, 0.0]}).read_calibration(), -1e9, 1e9),
    "an adapted intercept": (lambda x: adapted(intercepts={"a": x, "b": 0.5}), -1e9, 1e9),
    "a weight between classes": (lambda x: adapted(weights=((1.0, x), (0.0, 1.0))), -1e9, 1e9),
}


@pytest.mark.parametrize("name", READS)
def test_a_number_may_be_at_its_limit_and_not_beyond(name):
    read, lowest, highest = READS[name]
    for value in (lowest, highest):
        read(value)
    for value in (np.nextafter(lowest, -np.inf), np.nextafter(highest, np.inf), float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"\.a: expected numbers from"):
            read(float(value))


SLOPES = {
    "calibration": lambda x: config(calibration={"a": [1.0, 0.0], "b": [x, 0.0]}).read_calibration(),
    "adaptation.weights": lambda x: adapted(weights=((1.0, 0.5), (0.5, x))),
}


@pytest.mark.parametrize("place", SLOPES)
def test_a_slope_is_above_0(place):
    SLOPES[place](1e-300)
    for slope in (0.0, -1e-300):
        with pytest.raises(ValueError, match=rf"{place}\.b: expected a slope above 0, found"):
            SLOPES[place](slope)


def test_numbers_are_in_the_order_of_the_classes_whatever_that_of_the_table_is():
    assert config(thresholds={"b": 0.5, "a": 0.25}).read_thresholds().tolist() == [[0.25, 0.5]]
    found = config(calibration={"b": [3.0, 4.0], "a": [1.0, 2.0]}).read_calibration()
    assert (found.slopes.tolist(), found.intercepts.tolist()) == ([1.0, 3.0], [2.0, 4.0])
    found = adapted(thresholds={"b": 0.5, "a": 0.25}, definitions="ptb-xl")
    assert found.weights.tolist() == [[1.0, -0.5], [0.5, 2.0]]  # stored by the class that comes out
    assert (found.intercepts.tolist(), found.thresholds.tolist(), found.definitions) == (
        [0.25, 0.5],
        [0.25, 0.5],
        "ptb-xl",
    )
    assert adapted().thresholds is None and adapted().definitions is None
