"""From which number on a recording is called noisy, humming, wandering or wrongly scaled; and what is doubtful."""

import math
from dataclasses import replace

import numpy as np
import pytest
from test_quantities import measured

from ecg.interpretation.doubts import doubts
from ecg.interpretation.interpret import Statement
from ecg.interpretation.recording_quality import quality_warnings
from ecg.leads import LEADS


def words(found, **quality):
    return [word for word, _ in quality_warnings(replace(found, quality=replace(found.quality, **quality)))]


def of_height(r, s):
    return measured(r=dict.fromkeys(LEADS, r), s=dict.fromkeys(LEADS, s))


GOOD = of_height(1.0, -0.5)


@pytest.mark.parametrize(
    ("name", "limit", "word"), [("noise_uv", 15, "noise"), ("mains_uv", 20, "mains"), ("baseline_uv", 250, "wander")]
)
def test_limits_of_quality(name, limit, word):
    assert words(GOOD, **{name: float(limit)}) == [] == words(GOOD, **{name: math.nan})
    assert words(GOOD, **{name: limit + 0.1}) == [word]


@pytest.mark.parametrize(
    ("r", "s", "is_plausible"),
    [(0.1, -0.049, False), (0.1, -0.051, True), (2.5, -1.49, True), (2.5, -1.51, False), (0.0, -0.2, True)],
)
def test_heights_of_qrs_that_a_right_gain_can_give(r, s, is_plausible):
    assert words(of_height(r, s)) == ([] if is_plausible else ["gain?"])


def test_the_height_is_the_median_of_the_leads_that_are_there():
    assert words(measured(r={"I": 9.0, "II": 9.0} | dict.fromkeys(LEADS[2:], 1.0))) == []
    nothing = dict.fromkeys(LEADS, math.nan)
    assert words(measured(r=nothing, s=nothing)) == []


def test_faults_are_named():
    assert words(GOOD, leads_off=("V3",), saturated=("V1",), suspected_swap="RA-LA") == [
        "lead off",
        "clipped",
        "swapped?",
    ]
    assert words(replace(GOOD, n_beats=0)) == ["no beats"]


def statement(code, certainty="definite"):
    return Statement(code, "words", certainty, 0.5, "why")


@pytest.mark.parametrize(("n_beats", "doubtful"), [(0, False), (1, True), (2, True), (3, False)])
def test_a_rhythm_of_one_or_two_beats_is_doubtful(n_beats, doubtful):
    found = doubts([statement(20)], replace(GOOD, n_beats=n_beats))
    assert found == ([f"only {n_beats} beat{'s' * (n_beats > 1)}"] if doubtful else [])


@pytest.mark.parametrize("code", [4, 10, 12, 15])
def test_technical_statements_are_reasons(code):
    assert doubts([statement(code)], GOOD) == ["words: why"]


def test_an_unclear_rhythm_and_a_disagreement_are_reasons_and_little_else_is():
    assert doubts([statement(50, "possible")], GOOD) == ["the rhythm is unclear: why"]
    assert doubts([statement(50, "probable"), statement(147, "possible")], GOOD) == []
    assert doubts([], GOOD, ["LBBB"]) == ["the model's networks disagree on LBBB"]


def test_amplitudes_without_beats_are_no_numbers():
    empty = np.full(12, np.nan, np.float32)
    assert quality_warnings(replace(GOOD, amplitudes=replace(GOOD.amplitudes, r=empty, s=empty))) == []


def test_reasons_stand_in_their_order_each_with_its_words():
    said = [Statement(27, "Uncertain supraventricular rhythm", "possible", math.nan, "rate 72/min"),
            Statement(15, "Poor-quality data", "probable", math.nan, "noise"),
            Statement(12, "Missing lead(s)", "definite", math.nan, "no signal in V1"),
            Statement(50, "Atrial fibrillation", "probable", 0.6, "model 0.60")]  # fmt: skip
    assert doubts(said, replace(GOOD, n_beats=2), ["AF", "LBBB"]) == [
        "Poor-quality data: noise",
        "Missing lead(s): no signal in V1",
        "the rhythm is unclear: rate 72/min",
        "only 2 beats",
        "the model's networks disagree on AF",
        "the model's networks disagree on LBBB",
    ]
