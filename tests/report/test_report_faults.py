"""What one recording's fault costs a report, and what it never costs."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from ecg.examination.examine_folder import Examined
from ecg.inference.run_folder import Classified, Ready
from ecg.report import recordings as report
from ecg.report.attribution import attribute
from tiny import heart_like, tiny

CPU = torch.device("cpu")


def classified(name, *, problems=(), members=1, ready=True):
    result = Ready(np.zeros((12, 0), np.float32), np.zeros(5, np.float32), "look") if ready else None
    examined = Examined(name, Path(f"in/{name}.hea"), (), result, problems)
    return Classified(examined, np.zeros((members, 24)), np.ones(24, bool), np.ones(24))


@pytest.fixture
def pages(monkeypatch, tmp_path):
    monkeypatch.setattr(report, "_model_words", lambda model: "Model: none.")
    monkeypatch.setattr(report, "_reported", lambda model, result: f"said of {result.name}")
    return report._Pages(SimpleNamespace(method=None), tmp_path, report.Options(attribution=True))


def test_an_error_while_drawing_is_the_recordings_and_a_full_disk_is_everybodys(monkeypatch, pages):
    monkeypatch.setattr(pages, "_draw", lambda *words: 1 / 0)
    each, drawn = pages.finish(classified("A"))
    assert (drawn.problem, drawn.row) == ("in/A.hea: ZeroDivisionError: division by zero", None)
    assert (each.name, each.is_classified, each.examined.result.beside) == ("A", True, None)
    missing = classified("A", ready=False)
    each, drawn = pages.finish(missing)
    assert each is missing and drawn == report._Drawn()

    def full(*words):
        raise OSError("no space left")

    monkeypatch.setattr(pages, "_draw", full)
    with pytest.raises(OSError, match="no space left"):
        pages.finish(classified("A"))
    monkeypatch.setattr(pages, "_draw", lambda *words: report._Drawn(problem="drawn"))
    assert pages.finish(classified("A"))[1].problem == "drawn"  # an error leaves the way free for the next recording


@pytest.fixture
def asked(monkeypatch):
    """What drawing asks for, in place of drawing."""
    asked = []
    monkeypatch.setattr(report, "look_at", lambda *words: words)
    monkeypatch.setattr(report, "row_of", lambda recording, page: {"page": page})
    monkeypatch.setattr(report, "article", lambda *words, **named: asked.append((words, named)) or "article")
    monkeypatch.setattr(report, "recording_page", lambda *words, **named: asked.append((words, named)) or "page")
    monkeypatch.setattr("ecg.report.pdf.write_pdf", lambda *words: asked.append(words))
    return asked


LOOK = SimpleNamespace(recording="recording", measurements="measured")


def with_look(each):
    result = each.examined.result
    return replace(each, examined=replace(each.examined, result=result and replace(result, beside=LOOK)))


@pytest.mark.parametrize("attribution", [True, False])
def test_only_what_was_classified_is_explained_and_places_in_one_file_are_numbered(
    monkeypatch, pages, asked, attribution
):
    explained = []
    monkeypatch.setattr(pages, "_explain", lambda *words: explained.append(words) or ["why"])
    pages.options = report.Options(attribution=attribution, single=True)
    pages.numbers = {name: number for number, name in enumerate("ABCD")}
    given = [classified("D"), classified("B", ready=False), classified("C", members=0), classified("A")]
    drawn = [pages.finish(with_look(each))[1] for each in given]
    assert [each.row and each.row["page"] for each in drawn] == ["#r3-page", None, "#r2-page", "#r0-page"]
    why = ["why"] if attribution else []
    assert [(words[0][3], words[1], named["attributions"]) for words, named in asked] == [
        ("said of D", "r3-", why),
        ("said of C", "r2-", []),
        ("said of A", "r0-", why),
    ]
    assert [(look, said) for look, _, said in explained] == [(LOOK, "said of D"), (LOOK, "said of A")] * attribution
    assert [each.explaining > 0 for each in drawn] == [attribution, False, False, attribution]


def test_problems_of_reading_and_of_drawing_stand_in_the_table_and_in_the_journal(monkeypatch, tmp_path, capsys):
    died = "in/C.hea: expected to be read, but its process was ended"
    results = [
        classified("A"),
        classified("B", problems=("B.1.hea: bad",)),
        classified("C", problems=(died,), members=0, ready=False),
    ]
    drawn = [
        report._Drawn({"name": "A", "page": "p"}, explaining=3.0),
        report._Drawn(problem="B.hea: no", explaining=1.5),
        report._Drawn(),
    ]
    noted, shown = [], []
    own = [SimpleNamespace(name=name) for name in "ZABC"]
    run = SimpleNamespace(
        kept={"Z": {"name": "Z"}},
        own=own,
        left=[(0, each) for each in own[1:]],
        note=lambda examined, row: noted.append((examined.name, examined.problems, row)),
    )

    def classify(model, run, outputs, how, beside, finish):
        assert finish.__self__.numbers == {"A": 0, "B": 1, "C": 2}
        return zip(results, drawn, strict=True)

    monkeypatch.setattr(report, "expand_inputs", lambda recordings: [])
    monkeypatch.setattr(report, "step_of", lambda *words: "step")
    monkeypatch.setattr(report, "start", lambda *words: run)
    monkeypatch.setattr(report, "classify", classify)
    monkeypatch.setattr(report, "_model_words", lambda model: "Model: none.")
    monkeypatch.setattr(report, "_write_index", lambda pages, rows: shown.extend(rows))
    outcome = report.report_folder(SimpleNamespace(config={}), [], tmp_path, report.Options())
    assert outcome.problems == ["B.1.hea: bad", "B.hea: no", died]
    assert (outcome.classified, outcome.classified_before) == (2, 1)
    assert noted == [("A", (), drawn[0].row), ("B", ("B.1.hea: bad", "B.hea: no"), None), ("C", (died,), None)]
    assert shown == [
        {"name": "Z"},
        {"name": "A", "page": "p"},
        {"name": "B", "problem": "B.1.hea: bad"},
        {"name": "B", "problem": "B.hea: no"},
        {"name": "C", "problem": died},
    ]
    assert "Attribution took 4.5 s, 2.25 s for a recording\n" in capsys.readouterr().err


class Scaled(nn.Module):
    """A logit that is the sum of the samples times the number of the class."""

    def forward(self, signal, features):
        return signal.sum(dim=(1, 2))[:, None] * torch.arange(24.0)


def test_of_a_method_in_parts_the_part_that_sees_the_signal_is_explained():
    whole = tiny(build_network=lambda: None)
    whole = type(whole)(**{**vars(whole), "signal_part": lambda networks: (tiny(), [Scaled() for _ in networks])})
    signal = heart_like(2, 257)
    [one, other] = attribute(whole, ["no network", "none"], signal, np.zeros(5, np.float32), [3, 5], CPU)
    np.testing.assert_allclose(one.values, 3 * signal, atol=1e-4)
    assert (one.class_index, other.class_index) == (3, 5)
    assert other.logit == pytest.approx(5 * float(signal.sum()), rel=1e-3, abs=1e-2)


def test_what_a_network_is_given_by_name_is_repeated_for_each_point_of_the_path():
    def forward(network, batch):
        return network(batch.signal, features=batch.features)

    class Named(nn.Module):
        def forward(self, signal, features):
            assert len(features) == len(signal)
            return (signal.sum(dim=(1, 2)) * features[:, 0])[:, None].repeat(1, 24)

    features = np.full(5, 2, np.float32)
    [found] = attribute(tiny(forward=forward), [Named()], heart_like(2, 257), features, [3], CPU)
    np.testing.assert_allclose(found.values, 2 * heart_like(2, 257), atol=1e-4)


@pytest.mark.parametrize(("single", "pdf"), [(False, False), (False, True), (True, False)])
def test_a_page_has_the_layout_and_the_note_that_were_asked_for(monkeypatch, pages, asked, tmp_path, single, pdf):
    monkeypatch.setattr(pages, "_explain", lambda *words: ["why"])
    pages.options = report.Options("6x2", attribution=True, single=single, pdf=pdf, note="seen")
    pages.numbers = {"A": 4}
    (tmp_path / "pages").mkdir()
    _, drawn = pages.finish(with_look(classified("A")))
    looked = ("A", "recording", "measured", "said of A")
    if single:
        assert asked == [((looked, "r4-", "6x2"), {"attributions": ["why"]})]
        assert (drawn.row, drawn.article) == ({"page": "#r4-page"}, "article")
        return
    assert (drawn.row, drawn.article) == ({"page": "pages/A.html"}, None)
    assert (tmp_path / "pages" / "A.html").read_text() == "page"
    address = "../pdf/A.pdf" if pdf else ""
    expected = [(tmp_path / "pdf" / "A.pdf", looked, "6x2", "seen")] if pdf else []
    expected += [((looked, "", "6x2"), {"pdf": address, "attributions": ["why"]})]
    expected += [((looked, "ECG report", "article"), {"source": "Model: none.", "note": "seen"})]
    assert asked == expected
