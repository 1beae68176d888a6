"""The features of three hearts made here are those of the golden file: names, order, units and places.

`python tests/measurements/test_features.py` writes the golden file again: read what has changed before you commit it.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from ecg.leads import twelve_leads
from ecg.measurements import measure
from ecg.measurements.features import FEATURES, _between, _rhythm, _shapes, features_of
from ecg.measurements.types import Beats, MedianBeat, WaveMarks

GOLDEN = Path(__file__).with_name("golden_features.json")
RATE = 500.0
SMALL = {"mv": 0.004, "ms": 1.5, "deg": 1.5, "bpm": 0.3}

# Waves of a beat: (centre in s after the QRS onset, standard deviation in s, mV in I, II, V1..V6).
P = (-0.110, 0.018, (0.08, 0.13, 0.06, 0.06, 0.06, 0.06, 0.06, 0.06))
NARROW = (
    (0.020, 0.007, (-0.08, -0.10, 0.15, 0.12, -0.05, -0.08, -0.08, -0.06)),
    (0.042, 0.010, (0.70, 1.00, 0.15, 0.45, 0.80, 1.30, 1.20, 0.90)),
    (0.066, 0.009, (-0.12, -0.15, -0.80, -1.20, -0.70, -0.35, -0.15, -0.08)),
)
WIDE = (
    (0.050, 0.018, (0.60, 0.30, -0.60, -0.80, -0.50, 0.20, 0.60, 0.70)),
    (0.095, 0.022, (0.70, 0.25, -0.90, -1.30, -0.90, 0.10, 0.70, 0.90)),
)
T = (0.300, 0.045, (0.20, 0.28, -0.05, 0.35, 0.45, 0.45, 0.35, 0.25))
DISCORDANT_T = (0.340, 0.050, (-0.20, -0.08, 0.30, 0.45, 0.30, 0.05, -0.20, -0.25))


def _heart(name):
    """Twelve leads, (12, 5000), mV."""
    times = np.arange(round(10 * RATE)) / RATE
    eight = np.zeros((8, len(times)))

    def add(start, waves):
        for centre, width, sizes in waves:
            eight[:] += np.outer(sizes, np.exp(-0.5 * ((times - start - centre) / width) ** 2))

    if name == "normal":
        for k in range(12):
            add(0.4 + 0.82 * k, (P, *NARROW, T))
    elif name == "wide":
        for k in range(10):
            add(0.45 + 0.95 * k, (P, *WIDE, DISCORDANT_T))
    else:  # early beats of another shape, without P waves otherwise, at irregular intervals
        start = 0.3
        for k, interval in enumerate((0.62, 0.84, 0.55, 0.71, 0.93, 0.58, 0.8, 0.66, 0.88, 0.6, 0.75, 0.69, 0.7)):
            add(start, (*WIDE, DISCORDANT_T) if k == 6 else (*NARROW, T))
            start += interval
    return twelve_leads(eight).astype(np.float32)


HEARTS = ("normal", "wide", "irregular")


@pytest.mark.parametrize("name", HEARTS)
def test_features_are_golden(name):
    golden = json.loads(GOLDEN.read_text())[name]
    assert tuple(golden) == FEATURES
    found = features_of(measure(_heart(name), RATE))
    for feature, value in zip(FEATURES, found.tolist(), strict=True):
        if golden[feature] is None:
            assert np.isnan(value), feature
        else:
            assert value == pytest.approx(golden[feature], abs=SMALL.get(feature.rsplit("_", 1)[-1], 0.02)), feature


def test_places_and_units_are_those_of_the_waves_laid_down():
    found = dict(zip(FEATURES, features_of(measure(_heart("normal"), RATE)).tolist(), strict=True))
    assert found["heart_rate_bpm"] == pytest.approx(60 / 0.82, abs=0.2)
    assert found["rr_mean"] == pytest.approx(1, abs=0.01)
    for row, lead in enumerate(("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")):
        assert found[f"{lead}_r_mv"] == pytest.approx(max(0.0, *(w[2][row] for w in NARROW)), abs=0.12), lead
        assert found[f"{lead}_t_mv"] == pytest.approx(T[2][row], abs=0.03), lead
    # ST-T is sampled from the J point on in sixths of the way to the end of T: the first lies before T, the peak later.
    for lead in ("I", "II", "V4", "V5"):
        points = [found[f"{lead}_st_t_{k}_mv"] for k in range(1, 7)]
        assert abs(points[0]) < 0.25 * max(points) and 2 <= int(np.argmax(points)) <= 4, lead
        assert points[0] == pytest.approx(found[f"{lead}_st_j_mv"], abs=0.02)


@pytest.mark.parametrize("n_beats", [0, 1, 2])
def test_fewer_than_three_beats_have_no_rhythm(n_beats):
    found = _rhythm(Beats(np.arange(n_beats) * 400, ("dominant",) * n_beats))
    assert len(found) == 10 and np.isnan(found).all()


@pytest.mark.parametrize(
    ("ectopic", "coupling", "pause"),
    [((), np.nan, np.nan), ((0,), np.nan, np.nan), ((5,), np.nan, np.nan), ((1,), 1.0, 0.5), ((4,), 1.5, 1.25),
     ((2, 4), 0.5, 1.25), ((2, 3), 0.5, 1.5)],
)  # fmt: skip
def test_numbers_of_the_rhythm_are_relative_to_the_median_interval(ectopic, coupling, pause):
    samples = np.cumsum([100, 400, 200, 400, 600, 500])  # relative: 1, 0.5, 1, 1.5, 1.25
    kinds = tuple("ectopic" if k in ectopic else "paced" if k == 3 else "dominant" for k in range(6))
    shares = (len(ectopic) / 6, kinds.count("paced") / 6)
    changes = (0.5, np.quantile([0.5, 0.5, 0.5, 0.25], 0.9))
    expected = [*shares, 1.05, 0.5, 1.5, 0.25, *changes, coupling, pause]
    np.testing.assert_allclose(_rhythm(Beats(samples, kinds)), expected, rtol=1e-12)


@pytest.mark.parametrize(("n_beats", "is_known"), [(2, False), (3, True)])
def test_the_rhythm_needs_three_beats(n_beats, is_known):
    found = _rhythm(Beats(np.arange(n_beats) * 400, ("dominant",) * n_beats))
    assert np.isfinite(found).any() == is_known


@pytest.mark.parametrize(("t_offset", "end"), [(400.0, 400), (np.nan, 410)])  # 300 ms after QRS where T has no end
def test_st_and_t_are_sampled_from_the_end_of_qrs_to_that_of_t(t_offset, end):
    nan = float("nan")
    marks = WaveMarks(nan, nan, nan, 210.0, 235.0, 260.0, nan, nan, t_offset)
    ramp = np.tile(np.arange(600, dtype=np.float32), (12, 1))
    samples = _shapes(MedianBeat(ramp, 500.0, 5, marks, (marks,) * 12, 235.0), np.ones(12))[-1]
    expected = np.linspace(260, end, samples.shape[1] + 1)[:-1]
    np.testing.assert_allclose(samples, np.tile(expected, (len(samples), 1)), rtol=1e-9)


@pytest.mark.parametrize(("at", "value"), [(-2, 1), (0, 1), (0.25, 1.5), (1, 3), (1.5, 5), (2, 7), (9, 7)])
def test_between_two_samples_lies_the_line_and_beyond_an_end_the_end(at, value):
    assert _between(np.array([[1, 3, 7]], np.float32), np.array([at], np.float64)).tolist() == [[value]]


if __name__ == "__main__":
    golden = {}
    for heart in HEARTS:
        values = np.round(features_of(measure(_heart(heart), RATE)).astype(float), 3).tolist()
        golden[heart] = {n: None if np.isnan(v) else v for n, v in zip(FEATURES, values, strict=True)}
    lines = (f"{json.dumps(heart)}: {json.dumps(values)}" for heart, values in golden.items())
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    sys.exit()
