"""What one recording's fault costs a report, and what it never costs."""

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
from ecg.runtime.parallel import WorkerDiedError
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
    job = report._Job(3, classified("A"), "look", "said")
    monkeypatch.setattr(pages, "_draw", lambda job, look, said: 1 / 0)
    drawn = pages.draw(job)
    assert (drawn.problem, drawn.row) == ("in/A.hea: ZeroDivisionError: division by zero", None)
    assert pages.draw(report._Job(3, classified("A"), None, None)) == report._Drawn()

    def full(job, look, said):
        raise OSError("no space left")

    monkeypatch.setattr(pages, "_draw", full)
    with pytest.raises(OSError, match="no space left"):
        pages.draw(job)


def test_only_what_was_classified_is_explained_and_jobs_are_numbered(monkeypatch, pages):
    asked = []
    monkeypatch.setattr(pages, "_explain", lambda *words: asked.append(words) or ["why"])
    given = [classified("A"), classified("B", ready=False), classified("C", members=0), classified("D")]
    jobs = list(pages.jobs(iter(given)))
    assert [job.number for job in jobs] == [0, 1, 2, 3]
    assert [job.reported for job in jobs] == ["said of A", None, "said of C", "said of D"]
    assert [job.attributions for job in jobs] == [("why",), (), (), ("why",)]
    assert [job.look for job in jobs] == ["look", None, "look", "look"]
    assert jobs[0].classified.examined.result.beside is None  # it is not sent to the worker twice
    assert [(look, said) for look, _, said in asked] == [("look", "said of A"), ("look", "said of D")]


def test_problems_of_reading_and_of_drawing_stand_in_the_table_and_in_the_journal(monkeypatch, tmp_path):
    results = [classified("A"), classified("B", problems=("B.1.hea: bad",)), classified("C")]
    drawn = [report._Drawn({"name": "A", "page": "p"}), report._Drawn(problem="B.hea: no"), WorkerDiedError("it died")]
    noted, shown = [], []
    run = SimpleNamespace(
        kept={"Z": {"name": "Z"}},
        own=[SimpleNamespace(name=name) for name in "ZABC"],
        note=lambda examined, row: noted.append((examined.name, examined.problems, row)),
    )
    jobs = [SimpleNamespace(classified=each) for each in results]
    monkeypatch.setattr(report, "expand_inputs", lambda recordings: [])
    monkeypatch.setattr(report, "step_of", lambda *words: "step")
    monkeypatch.setattr(report, "start", lambda *words: run)
    monkeypatch.setattr(report, "classify", lambda *words: iter(()))
    monkeypatch.setattr(report, "_model_words", lambda model: "Model: none.")
    monkeypatch.setattr(report, "map_in_processes", lambda *words, **named: zip(jobs, drawn, strict=True))
    monkeypatch.setattr(report, "_write_index", lambda pages, rows: shown.extend(rows))
    monkeypatch.setattr(report.Outcome, "add", lambda outcome, each: outcome.problems.extend(each.examined.problems))
    outcome = report.report_folder(SimpleNamespace(config={}), [], tmp_path, report.Options())
    died = "in/C.hea: expected to be drawn, but it died"
    assert outcome.problems == ["B.1.hea: bad", "B.hea: no", died]
    assert noted == [("A", (), drawn[0].row), ("B", ("B.1.hea: bad", "B.hea: no"), None), ("C", (died,), None)]
    assert shown == [
        {"name": "Z"},
        {"name": "A", "page": "p"},
        {"name": "B", "problem": "B.1.hea: bad"},
        {"name": "B", "problem": "B.hea: no"},
        {"name": "C", "problem": died},
    ]


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
def test_a_page_has_the_layout_and_the_note_that_were_asked_for(monkeypatch, pages, tmp_path, single, pdf):
    asked = []
    pages.options = report.Options("6x2", single=single, pdf=pdf, note="seen")
    look = SimpleNamespace(recording="recording", measurements="measured")
    monkeypatch.setattr(report, "look_at", lambda *words: words)
    monkeypatch.setattr(report, "row_of", lambda recording, page: {"page": page})
    monkeypatch.setattr(report, "article", lambda *words, **named: asked.append((words, named)) or "article")
    monkeypatch.setattr(report, "recording_page", lambda *words, **named: asked.append((words, named)) or "page")
    monkeypatch.setattr("ecg.report.pdf.write_pdf", lambda *words: asked.append(words))
    job = report._Job(4, classified("A"), look, "said", ("why",))
    (tmp_path / "pages").mkdir()
    drawn = pages._draw(job, look, "said")
    looked = ("A", "recording", "measured", "said")
    if single:
        assert asked == [((looked, "r4-", "6x2"), {"attributions": ("why",)})]
        assert (drawn.row, drawn.article) == ({"page": "#r4-page"}, "article")
        return
    assert (drawn.row, drawn.article) == ({"page": "pages/A.html"}, None)
    assert (tmp_path / "pages" / "A.html").read_text() == "page"
    address = "../pdf/A.pdf" if pdf else ""
    expected = [(tmp_path / "pdf" / "A.pdf", looked, "6x2", "seen")] if pdf else []
    expected += [((looked, "", "6x2"), {"pdf": address, "attributions": ("why",)})]
    expected += [((looked, "ECG report", "article"), {"source": "Model: none.", "note": "seen"})]
    assert asked == expected
