"""Parts of a report: what it asks of a model, its pages and the recordings that it compares."""

from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ecg.inference.run_folder import ClassifyOptions
from ecg.io.recording import Recording
from ecg.labels.diagnoses import CHALLENGE_2020
from ecg.report import comparison
from ecg.report import recordings as report
from ecg.report.comparison import pairs_of
from ecg.report.recording_page import look_at
from ecg.runtime.shards import WHOLE
from tiny import heart_like, write_recording

CLASSES = CHALLENGE_2020.classes
CPU = torch.device("cpu")


class Votes:
    """A model of two members that decide by their first four classes' probabilities, and what makes its scores."""

    def __init__(self, **changes):
        decision = SimpleNamespace(moves_scores=changes.pop("moves", False))
        self.method = SimpleNamespace(
            name="tiny", classes=CLASSES, diagnoses=CHALLENGE_2020, decision=decision, signal_part=None
        )
        self.networks, self.device, self.definitions = (1, 2), CPU, "ptb-xl"
        self.thresholds = np.stack([np.full(24, 0.2), np.full(24, 0.4)])
        self.calibration = self.adaptation = None
        self.config = {
            "members": [{"sha256": "0123456789"}, {"sha256": "abcdefghij"}],
            "adaptation": {"fitted": {"recordings": 77}},
        }
        for name, value in changes.items():
            setattr(self, name, value)

    def decide_each(self, members, features):
        return members >= 0.5


def classified(*, members=2, refusal=""):
    rows = np.zeros((members, 24))
    rows[:, 0] = 0.9
    rows[:1, 3], rows[:, 7] = 0.8, 0.1
    scores = np.linspace(0, 1, 24) / 3
    ready = SimpleNamespace(features=np.zeros(5), refusal=refusal)
    labels = (np.arange(24) % 5 == 0).astype(float)
    return SimpleNamespace(examined=SimpleNamespace(result=ready), members=rows, labels=labels, scores=scores)


def test_what_the_model_says_has_the_digits_of_its_output_and_names_the_classes_its_members_disagree_on():
    found = report._reported(Votes(), classified())
    np.testing.assert_array_equal(found.probabilities, (np.linspace(0, 1, 24) / 3).astype(np.float32))
    assert np.flatnonzero(found.labels).tolist() == [0, 5, 10, 15, 20] and found.labels.dtype == bool
    np.testing.assert_allclose(found.thresholds, 0.3)
    assert (found.disagreeing, found.kind, found.definitions, found.refusal) == ((3,), "own", "ptb-xl", "")
    assert found.by_thresholds
    assert report._reported(Votes(), classified(members=1)).disagreeing == ()
    assert report._reported(Votes(), classified(members=0, refusal="can't")).refusal == "can't"


def test_probabilities_and_thresholds_are_calibrated_alike():
    halved = SimpleNamespace(apply=lambda values: values / 2)
    found = report._reported(Votes(calibration=halved), classified())
    np.testing.assert_allclose(found.thresholds, 0.15)
    np.testing.assert_allclose(found.probabilities, np.linspace(0, 1, 24) / 6, rtol=1e-6)
    assert (found.kind, found.by_thresholds) == ("calibrated", True)


@pytest.mark.parametrize(
    ("moves", "thresholds", "kind", "shown"),
    [(True, "none", "moved", 0.5), (False, None, "adapted", 0.5), (True, 0.7, "adapted", 0.7)],
)
def test_scores_that_are_moved_or_adapted_are_not_calibrated_again(moves, thresholds, kind, shown):
    halved = SimpleNamespace(apply=lambda values: values / 2)
    given = None if thresholds is None else np.full(24, thresholds) if thresholds != "none" else None
    adaptation = None if thresholds == "none" else SimpleNamespace(thresholds=given)
    found = report._reported(Votes(moves=moves, calibration=halved, adaptation=adaptation), classified())
    np.testing.assert_allclose(found.thresholds, shown)
    np.testing.assert_allclose(found.probabilities, np.linspace(0, 1, 24) / 3, rtol=1e-6)
    assert (found.kind, found.by_thresholds) == (kind, False)


def test_the_three_most_probable_findings_are_explained(monkeypatch):
    asked = []
    monkeypatch.setattr(report, "attribute", lambda *words: asked.append(words) or [])
    pages = report._Pages(Votes(), Path("r"), report.Options(attribution=True))
    said = report._reported(Votes(), classified())
    probabilities = np.zeros(24)
    probabilities[[0, 5, 10, 15, 20, 21]] = 0.3, 0.9, 0.2, 0.8, 0.5, 0.95
    pages._explain(SimpleNamespace(prepared="signal"), "features", replace(said, probabilities=probabilities))
    assert asked == [(pages.model.method, (1, 2), "signal", "features", [5, 15, 20], CPU)]


def test_a_models_page_source_names_its_weights_and_what_it_was_adapted_to():
    words = report._model_words(Votes())
    assert words.startswith("Model: method tiny, 2 networks (weights 01234567, abcdefgh). Unsure: ")
    one = Votes(networks=(1,), adaptation=SimpleNamespace())
    assert report._model_words(one).startswith(
        "Model: method tiny, 1 network (weights 01234567, abcdefgh), adapted to one hospital "
        "(number of its recordings: 77). Unsure: "
    )


def test_the_table_of_all_counts_what_is_unsure_disturbed_and_without_a_page():
    rows = [
        {"name": "a", "unsure": True, "warnings": ["noise"]},
        {"name": "b", "unsure": False, "warnings": [], "right": []},
        {"name": "c", "problem": "x"},
        {"name": "d", "unsure": True, "warnings": ["mains", "noise"]},
        {"name": "e", "unsure": True, "warnings": []},
    ]
    pages = report._Pages(Votes(), Path("r"), report.Options(note="seen"))
    found = report._overview(pages, rows)
    assert found["facts"] == ["3 unsure", "2 with quality warnings", "1 without a page"]
    assert (found["n_recordings"], found["note"], found["source"]) == (5, "seen", pages.source)
    table = report._table(pages.model, rows)
    assert table["labelled"] and not report._table(pages.model, rows[2:])["labelled"]
    k = CLASSES.index("713427006")
    assert (table["classes"][k], table["names"][k]) == ("CRBBB", "Right bundle branch block, complete")
    assert table["recordings"] == rows


def test_a_recordings_files_are_its_page_and_its_printable_page():
    def files(**options):
        return report._Pages(Votes(), Path("r"), report.Options(**options)).files("A 1")

    name = report.page_name("A 1")
    assert files() == [Path(f"r/pages/{name}.html")]
    assert files(pdf=True) == [Path(f"r/pages/{name}.html"), Path(f"r/pdf/{name}.pdf")]
    assert files(single=True) == files(single=True, pdf=True) == []


def asked_to_start(monkeypatch, tmp_path, model, options, how=None):
    """What a report tells the run that it starts."""
    given = {}

    def start(model, recordings, outputs, how, journal, step, files):
        given.update(outputs=outputs, how=how, journal=journal, step=step)
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "start", start)
    monkeypatch.setattr(report, "step_of", lambda *words: words[2:])
    with pytest.raises(KeyboardInterrupt):
        report.report_folder(model, [], tmp_path, options, how)
    return given


def test_pages_depend_on_each_option_and_on_all_that_the_model_says(monkeypatch, tmp_path):
    changes = {"layout": "6x2", "attribution": True, "pdf": True, "single": True, "note": "x"}
    assert set(changes) == {field.name for field in fields(report.Options)}
    monkeypatch.setattr(report, "expand_inputs", lambda recordings: [])
    models = [Votes(), Votes(config=Votes().config | {"training": 1})]
    options = [report.Options(), *(report.Options(**{name: value}) for name, value in changes.items())]
    steps = [str(asked_to_start(monkeypatch, tmp_path, models[0], each)["step"]) for each in options]
    steps.append(str(asked_to_start(monkeypatch, tmp_path, models[1], options[0])["step"]))
    assert len(set(steps)) == len(steps)
    assert all(step.startswith("('report', ") for step in steps)


def test_one_file_for_all_is_never_made_of_what_was_there(monkeypatch, tmp_path):
    monkeypatch.setattr(report, "expand_inputs", lambda recordings: range(report.MOST_IN_ONE_FILE))
    how = ClassifyOptions(resume=True)
    given = asked_to_start(monkeypatch, tmp_path, Votes(), report.Options(single=True), how)
    assert not given["how"].resume and given["outputs"] == tmp_path / "outputs"
    assert given["journal"] == tmp_path / ".run"  # another one than the driver's, which may have made the outputs
    assert asked_to_start(monkeypatch, tmp_path, Votes(), report.Options(), how)["how"].resume


@pytest.mark.parametrize(
    ("options", "shard", "written"), [({}, WHOLE, "index"), ({}, (1, 2), ""), ({"single": True}, WHOLE, "single")]
)
def test_a_shard_leaves_the_table_of_all_to_the_run_over_all(monkeypatch, tmp_path, options, shard, written):
    made = []
    run = SimpleNamespace(kept={"a": {"name": "a", "page": "p"}}, own=[SimpleNamespace(name="a")], left=[])
    monkeypatch.setattr(report, "expand_inputs", lambda recordings: [])
    monkeypatch.setattr(report, "step_of", lambda *words: "step")
    monkeypatch.setattr(report, "start", lambda *words: run)
    monkeypatch.setattr(report, "classify", lambda *words: iter(()))
    monkeypatch.setattr(report, "_write_index", lambda pages, rows: made.append("index"))
    monkeypatch.setattr(report, "_write_single", lambda pages, rows, articles: made.append("single"))
    how = replace(ClassifyOptions(), shard=shard)
    outcome = report.report_folder(Votes(), [], tmp_path, report.Options(**options), how)
    assert (outcome.classified_before, "".join(made)) == (1, written)


@pytest.mark.parametrize(("low", "said"), [(0.29, False), (0.3, True), (0.5, True), (0.699, True), (0.7, False)])
def test_members_that_disagree_make_a_recording_unsure_only_at_a_close_call(low, said):
    from ecg.measurements import measure

    signal = heart_like(2)
    probabilities = np.full(24, 0.01)
    probabilities[3] = low
    reported = replace(report._reported(Votes(), classified()), probabilities=probabilities, disagreeing=(3,))
    found = look_at("R", Recording(signal, 500.0), measure(signal, 500.0), reported)
    assert any("disagree on Atrial flutter" in each for each in found.doubts) == said


def test_each_recording_is_compared_with_the_patients_one_before_it(tmp_path):
    for name in "abcdef":
        write_recording(tmp_path / "in", name, heart_like(2))
    table = tmp_path / "patients.csv"
    table.write_text("record,patient\na,1\nb,2\nc,1\nd,1\ne,2\nf,3\n")
    found = [(one.stem, other.stem) for one, other in pairs_of(tmp_path / "in", table)]
    assert found == [("a", "c"), ("c", "d"), ("b", "e")]


@pytest.mark.parametrize(
    ("one", "other", "drawn"), [("one", "two", [("two", "one")]), (None, "two", []), ("one", None, [])]
)
def test_the_later_median_beat_is_drawn_over_the_earlier_one(monkeypatch, one, other, drawn):
    asked = []
    monkeypatch.setattr(comparison.figures, "median_beat", lambda *words: asked.append(words) or "picture")
    before, after = (SimpleNamespace(measured=SimpleNamespace(median_beat=beat)) for beat in (one, other))
    found = comparison._shown(comparison.Pair(("a", "b"), before, after, SimpleNamespace(changes=[])))
    assert (found["before"], found["after"], asked) == ("a", "b", drawn)
    assert found["picture"] == ("picture" if drawn else None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("record,person\na,1\n", "expected the columns record and patient, found record, person"),
        ("", "expected the columns record and patient, found none"),
        ("record,patient\na,1\nz,1\n", "expected recordings of .*in, found 'z', which is not there"),
        ("record,patient\na,1\nb,2\n", "expected a patient with two recordings, found none"),
    ],
)
def test_a_table_of_patients_that_cant_be_followed_is_said(tmp_path, text, message):
    for name in "ab":
        write_recording(tmp_path / "in", name, heart_like(2))
    (tmp_path / "patients.csv").write_text(text)
    with pytest.raises(ValueError, match=f"patients.csv: {message}"):
        list(pairs_of(tmp_path / "in", tmp_path / "patients.csv"))
