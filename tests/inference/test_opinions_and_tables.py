"""What each model says of each recording on its way to statements, and the tables of these, whole."""

import itertools
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from ecg.inference import interpret_recordings as module
from ecg.inference.interpret_recordings import (
    Interpretation,
    Ready,
    examined_for,
    interpret_recording,
    interpret_recordings,
    opinions_of,
    write_table,
)
from ecg.inference.predict import Item
from ecg.interpretation import Statement
from ecg.io.recording import Recording
from ecg.leads import LEADS
from tiny import changed, heart_like, tiny, write_recording

SAID = [
    Interpretation(
        "A1",
        [
            Statement(145, "ST deviation, elevation, leads II, aVF", "definite", 0.98765, "ST 0.21 mV in II",
                      (363,), "ST ELEVATION: acute infarction possible"),
            Statement(20, "Sinus rhythm", "probable", math.nan, 'rate 72/min, "P" waves found'),
        ],
        ["only 2 beats"],
        measured=object(),
    ),
    Interpretation("B2", problem="b2.hea: expected 12 leads, found 3"),
    Interpretation("C3", [Statement(1, "Normal ECG", "possible", 0.3, "model 0.30")]),
]  # fmt: skip


def test_a_table_has_a_line_for_each_statement(tmp_path):
    found = write_table(tmp_path / "said.CSV", iter(SAID), "clinical")
    assert (tmp_path / "said.CSV").read_text() == (
        "record,code,statement,certainty,probability,evidence\n"
        'A1,145,"ST deviation, elevation, leads II, aVF",definite,0.988,ST 0.21 mV in II\n'
        'A1,20,Sinus rhythm,probable,,"rate 72/min, ""P"" waves found"\n'
        "C3,1,Normal ECG,possible,0.300,model 0.30\n"
    )
    assert [each.record for each in found] == ["A1", "B2", "C3"]
    assert [each.problem for each in found] == ["", SAID[1].problem, ""]
    assert found[0].statements == SAID[0].statements and found[0].uncertain == ["only 2 beats"]
    assert found[0].measured is None


def test_the_same_in_json_has_modifiers_what_is_acute_doubts_and_problems(tmp_path):
    write_table(tmp_path / "said.JSON", SAID, "ptb-xl")
    assert (
        (tmp_path / "said.JSON").read_text()
        == """{
 "note": "Research software, not a medical device, often wrong. Don't use it for a person's care.",
 "definitions": "ptb-xl",
 "recordings": [
  {
   "record": "A1",
   "acute": [
    "ST ELEVATION: acute infarction possible"
   ],
   "statements": [
    {
     "code": 145,
     "statement": "ST deviation, elevation, leads II, aVF",
     "certainty": "definite",
     "probability": 0.9877,
     "evidence": "ST 0.21 mV in II",
     "modifiers": [
      363
     ],
     "acute": "ST ELEVATION: acute infarction possible"
    },
    {
     "code": 20,
     "statement": "Sinus rhythm",
     "certainty": "probable",
     "probability": null,
     "evidence": "rate 72/min, \\"P\\" waves found",
     "modifiers": [],
     "acute": ""
    }
   ],
   "uncertain": [
    "only 2 beats"
   ]
  },
  {
   "record": "B2",
   "acute": [],
   "statements": [],
   "uncertain": [],
   "problem": "b2.hea: expected 12 leads, found 3"
  },
  {
   "record": "C3",
   "acute": [],
   "statements": [
    {
     "code": 1,
     "statement": "Normal ECG",
     "certainty": "possible",
     "probability": 0.3,
     "evidence": "model 0.30",
     "modifiers": [],
     "acute": ""
    }
   ],
   "uncertain": []
  }
 ]
}
"""
    )


def test_what_is_acute_is_listed_however_certain_it_is_in_the_order_of_the_statements(tmp_path):
    words = [("possible", "C"), ("definite", "A"), ("probable", ""), ("probable", "B")]
    said = [Statement(k, "words", certainty, 0.5, "", (), acute) for k, (certainty, acute) in enumerate(words)]
    write_table(tmp_path / "said.json", [Interpretation("A1", said)], "clinical")
    [row] = json.loads((tmp_path / "said.json").read_text())["recordings"]
    assert row["acute"] == ["C", "A", "B"]
    assert [each["acute"] for each in row["statements"]] == ["C", "A", "", "B"]


class Pretended:
    """A model whose decision is the sum of its inputs, and whose calibration halves."""

    device = "cpu"

    def __init__(self, classes, calibrates=True, moves=False, adapted=False):
        self.method = SimpleNamespace(classes=classes, decision=SimpleNamespace(moves_scores=moves))
        self.calibration = SimpleNamespace(apply=lambda scores: scores / 2) if calibrates else None
        self.adaptation = object() if adapted else None

    def decide(self, members, features, definitions):
        scores = members.sum(axis=0) + features[0] + {"clinical": 0.0, "ptb-xl": 0.001}[definitions]
        return scores > 0.5, scores


@pytest.fixture
def calls(monkeypatch):
    """Which computing was asked for; networks say the mean of each signal, the last recording first."""
    asked = []

    class Computing:
        def __init__(self, device, deterministic):
            asked.append((device, deterministic))

        def probabilities(self, model, items):
            for item in reversed(items):
                says = np.full((2, len(model.method.classes)), item.signal.mean() if item.signal.size else 0.0)
                yield item.key, says[: 2 * bool(item.signal.size)]

    monkeypatch.setattr(module, "Computing", Computing)
    return asked


def ready(*numbers):
    """A recording with an item for each model; None where the model can say nothing."""
    items = [
        Item(
            None,
            np.full((12, 2 * (each is not None)), each or 0, np.float32),
            np.float32([0 if each is None else each]),
        )
        for each in numbers
    ]
    return Ready(Recording(np.zeros((12, 0), np.float32), 500.0, "r", 60.0, "Female"), None, items)


def test_each_recording_gets_what_each_model_says_of_it(calls):
    models = [Pretended(("a", "b"), calibrates=False), Pretended(("c",), calibrates=False)]
    found = opinions_of([ready(0.1, 0.2), ready(None, 0.05), ready(0.25, None)], models, "ptb-xl")
    expected = [
        {"model 0": {"a": 0.301, "b": 0.301}, "model 1": {"c": 0.601}},
        {"model 1": {"c": 0.151}},
        {"model 0": {"a": 0.751, "b": 0.751}},
    ]
    assert [[*each] for each in found] == [[*each] for each in expected]
    for each, said in zip(found, expected, strict=True):
        for name, row in said.items():
            assert each[name] == pytest.approx(row, abs=1e-6)
    assert calls == [("cpu", True)] * 2
    assert opinions_of([ready(0.1)], models[:1], "clinical", deterministic=False) != found
    assert calls[-1] == ("cpu", False)


@pytest.mark.parametrize(("calibrates", "moves", "adapted"), [*itertools.product([True, False], repeat=3)])
def test_scores_are_calibrated_unless_the_decision_moves_them_or_a_hospital_has_its_own(
    calls, calibrates, moves, adapted
):
    model = Pretended(("a",), calibrates, moves, adapted)
    [found] = opinions_of([ready(0.1)], [model], "clinical")
    halved = calibrates and not moves and not adapted
    assert found["model 0"]["a"] == pytest.approx(0.15 if halved else 0.3, abs=1e-6)


@pytest.fixture
def two_leads():
    signal = heart_like(4)
    signal[2:] = np.nan
    return Recording(signal, 500.0, "two", 60.0, "Female")


def test_a_recording_is_measured_once_and_made_ready_for_each_method(monkeypatch, two_leads):
    measured = []
    monkeypatch.setattr(module, "measure", lambda signal, rate: measured.append((signal.shape, rate)) or "numbers")
    methods = [tiny(), changed(tiny(), masked_leads=True)]
    monkeypatch.setattr(module.Examination, "prepared", property(lambda self: np.ones((12, 7), np.float32)))
    monkeypatch.setattr(module.Examination, "features", property(lambda self: np.float32([1, 2])))
    found = examined_for(two_leads, methods)
    assert measured == [((12, 2000), 500.0)] and found.measured == "numbers"
    assert [each.signal.shape for each in found.items] == [(12, 0), (12, 7)]
    assert [each.features.tolist() for each in found.items] == [[], [1, 2]]
    assert found.refusal == ("measured criteria alone: the model expected all twelve leads, found I, II")
    assert found.recording.signal.shape == (12, 0)
    assert (found.recording.name, found.recording.age, found.recording.sex) == ("two", 60.0, "Female")
    assert examined_for(two_leads, []).items == []


def test_reasons_to_doubt_begin_with_what_a_model_lacks_and_age_and_sex_count(monkeypatch, two_leads, calls):
    monkeypatch.setattr(module, "interpret", lambda *given: [(*given[1:3], given[4])])
    monkeypatch.setattr(module, "doubts", lambda statements, measured: ["unclear"])
    model = Pretended(("164889003",))
    model.method = tiny()
    found = interpret_recording(two_leads, [model], "ptb-xl")
    assert found.uncertain[0].startswith("measured criteria alone") and found.uncertain[1:] == ["unclear"]
    assert found.statements == [(60.0, "Female", "ptb-xl")]
    assert (found.record, found.problem) == ("two", "")
    assert found.measured.quality.leads_off == LEADS[6:]
    assert interpret_recording(two_leads).uncertain == ["unclear"]


def test_results_come_in_the_order_of_the_paths_with_bad_ones_between(monkeypatch, tmp_path):
    monkeypatch.setattr(module.Computing, "group_size", lambda computing, n_recordings: 2)
    for name in ("b", "a", "d"):
        write_recording(tmp_path, name, heart_like(2, seed=ord(name)))
    (tmp_path / "c.hea").write_text("c 12 500 1000\n")
    names = ("d", "c", "b", "c", "a")
    found = list(interpret_recordings([tmp_path / f"{name}.hea" for name in names], workers=1))
    assert [each.record for each in found] == [*names]
    assert [bool(each.problem) for each in found] == [False, True, False, True, False]
    assert "c.hea" in found[1].problem
    assert found[1] == found[3] and found[1].measured is None
    assert found[0] != found[2]


@pytest.mark.parametrize("definitions", ["clinical", "ptb-xl"])
def test_the_convention_goes_with_age_and_sex_to_every_recording(monkeypatch, tmp_path, definitions):
    monkeypatch.setattr(module, "interpret", lambda measured, *given: [given])
    monkeypatch.setattr(module, "doubts", lambda statements, measured: [])
    write_recording(tmp_path, "a", heart_like(2))
    [found] = interpret_recordings([tmp_path / "a.hea"], definitions=definitions, workers=1)
    assert found.statements == [(60.0, "Female", {}, definitions)]
