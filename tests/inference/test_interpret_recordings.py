"""`ecg interpret` from files to a table: every recording once, bad ones named, the convention followed."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

import driver
from commands import ROOT
from ecg.commands import interpret
from ecg.inference.classifier import load_model
from ecg.inference.interpret_recordings import (
    COLUMNS,
    examined_for,
    interpret_recording,
    interpret_recordings,
    opinions_of,
)
from ecg.interpretation import contradictions
from ecg.io.formats import find_recordings, read
from ecg.labels.diagnoses import Diagnoses
from ecg.simulator.simulate import simulate
from ecg.simulator.write import write_recording
from tiny import tiny

NAMES = ("own", "clinical", "ptb-xl")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(8):
        write_recording(folder, f"S{number}", simulate(np.random.default_rng(number)))
    (folder / "broken.hea").write_text("broken 12 500 5000\n")
    return folder


@pytest.fixture
def run(capsys, monkeypatch):
    """Run `ecg interpret` in this process: exit status, what it printed, what it said."""
    monkeypatch.chdir(ROOT)
    return lambda *words: (interpret.main(list(map(str, words))), *capsys.readouterr())


def test_the_table_has_a_row_for_each_statement_and_names_what_could_not_be_read(run, recordings, tmp_path):
    status, printed, said = run(recordings, tmp_path / "said.csv")
    assert status == 1
    assert "broken.hea" in said
    assert "not a medical device" in printed
    with open(tmp_path / "said.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len({row["record"] for row in rows}) == 8
    for row in rows:
        assert row["certainty"] in ("definite", "probable", "possible")
        assert row["evidence"]
        assert not row["probability"] or 0 <= float(row["probability"]) <= 1
    # The same in JSON, with the convention, and with nothing lost.
    assert run(recordings, tmp_path / "said.json", "--allow-failures")[0] == 0
    found = json.loads((tmp_path / "said.json").read_text())
    assert found["definitions"] == "clinical"
    assert sum(len(each["statements"]) for each in found["recordings"]) == len(rows)
    (broken,) = [each for each in found["recordings"] if "problem" in each]
    assert broken["record"] == "broken"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["{in}", "{out}/said.txt"], "expected a name that ends in .csv or .json"),
        (["{in}", "{out}/said.csv", "--criteria-only", "--model", "model"], "expected one of them, found both"),
        (["{out}", "{out}/said.csv"], "expected recordings, found none"),
        (["{out}/absent", "{out}/said.csv", "--allow-failures"], "found none"),
    ],
)
def test_what_can_not_be_done_is_said(run, recordings, tmp_path, words, complaint):
    status, _, said = run(*(word.format(**{"in": recordings, "out": tmp_path}) for word in words))
    assert complaint in said
    assert status == 2


def test_models_say_nothing_of_a_recording_without_leads_that_they_need(recordings, tmp_path):
    write_recording(tmp_path, "two", simulate(np.random.default_rng(0)), leads=("I", "II"))
    model = load_model()
    (found,) = interpret_recordings([str(tmp_path / "two.hea")], [model], workers=1)
    assert (
        found.uncertain[0] == "measured criteria alone: the model expected at least 10 of the twelve leads, found I, II"
    )
    assert found.statements and all(np.isnan(one.probability) for one in found.statements)
    (alone,) = interpret_recordings([str(tmp_path / "two.hea")], workers=1)
    assert found.statements == alone.statements


@pytest.mark.parametrize("folders", [["model"], ["model/distilled", "model"]], ids=len)
def test_many_recordings_get_what_each_gets_alone_but_for_rounding(recordings, monkeypatch, folders):
    monkeypatch.setattr("ecg.inference.computing.Computing.group_size", lambda computing, n_recordings: 3)
    models = [load_model(ROOT / folder) for folder in folders]
    paths = [str(path) for path in find_recordings(recordings) if "broken" not in path]
    for path, each in zip(paths, interpret_recordings(paths, models, workers=1), strict=True):
        alone = interpret_recording(read(path), models)
        assert [one.code for one in each.statements] == [one.code for one in alone.statements]
        pairs = zip(each.statements, alone.statements, strict=True)
        assert all(one.probability == pytest.approx(other.probability, abs=0.02, nan_ok=True) for one, other in pairs)


def test_a_model_whose_classes_no_statement_knows_is_refused(recordings):
    own = replace(load_model(), method=tiny(Diagnoses("own", ("code", "AA"))))
    with pytest.raises(ValueError, match="the Challenge's diagnoses or PTB-XL's statements, found one of own"):
        next(interpret_recordings([], [own]))


def test_criteria_alone_need_no_model_and_contradict_nothing(recordings):
    paths = [path for path in map(str, find_recordings(recordings)) if "broken" not in path]
    for each in interpret_recordings(paths):
        assert each.statements
        assert contradictions(each.statements, each.measured) == []
        assert all(np.isnan(one.probability) for one in each.statements)


def test_an_unknown_convention_is_refused(recordings):
    with pytest.raises(ValueError, match="expected one of clinical, ptb-xl"):
        next(interpret_recordings([recordings / "x.hea"], definitions="other"))


def test_a_model_gives_the_scores_that_the_driver_writes_by_each_convention(recordings):
    import team_code

    model = team_code.load_model("model", device="cpu")
    paths = [path for path in find_recordings(recordings) if "broken" not in path][:3]
    ready = [examined_for(read(path), [model.method]) for path in paths]
    by_name = {name: opinions_of(ready, [model], name) for name in ("clinical", "ptb-xl")}
    for k in range(3):
        first, second = (next(iter(by_name[name][k].values())) for name in by_name)
        assert set(first) == set(model.method.classes)
        assert first != second


def test_the_driver_follows_the_convention_that_is_named(recordings, tmp_path):
    model = str(ROOT / "model")
    for name in NAMES:
        words = [] if name == "own" else ["--definitions", name]
        assert driver.main([model, str(recordings), str(tmp_path / name), "--allow-failures", *words]) == 0
    outputs = {name: {file.name: file.read_text() for file in (tmp_path / name).glob("*.csv")} for name in NAMES}
    assert len(outputs["own"]) == 9
    assert outputs["own"] == outputs["clinical"] != outputs["ptb-xl"]
