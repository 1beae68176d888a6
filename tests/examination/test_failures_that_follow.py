"""Recordings that could be read once and can't be any more, and workers that die: what is left of earlier results."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from ecg.examination import examine_folder
from ecg.examination.examine_folder import Candidates, Run, RunOptions
from ecg.examination.measure_folder import MeasureOptions, measure_folder
from ecg.runtime.parallel import WorkerDiedError
from tiny import heart_like, write_recording


def measured(place, **options):
    options = MeasureOptions(workers=1, beats=place / "marks", json_file=place / "o.jsonl", **options)
    found = measure_folder(place / "in", place / "o.csv", options)
    with open(place / "o.csv", newline="") as file:
        rows = {row["record"]: row for row in csv.DictReader(file)}
    lines = [json.loads(line) for line in (place / "o.jsonl").read_text().splitlines()]
    marks = {path.name: path.stat().st_mtime_ns for path in (place / "marks").iterdir()}
    return found, rows, lines, marks


@pytest.mark.parametrize("resume", [False, True])
def test_of_a_recording_that_can_not_be_read_any_more_no_number_and_no_mark_is_left(tmp_path, capsys, resume):
    for seed in range(3):
        write_recording(tmp_path / "in", f"A{seed}", heart_like(2, seed=seed))
    (n_measured, problems), before, _, marks = measured(tmp_path)
    assert (n_measured, problems, set(marks)) == (3, [], {"A0.ecgm", "A1.ecgm", "A2.ecgm"})
    (tmp_path / "in" / "A1.mat").write_bytes(b"")
    (n_measured, [problem]), rows, lines, marks_now = measured(tmp_path, resume=resume)
    assert n_measured == 2 and problem.startswith(f"{tmp_path}/in/A1.mat: expected")
    assert set(marks_now) == {"A0.ecgm", "A2.ecgm"}
    assert (marks_now["A0.ecgm"] == marks["A0.ecgm"]) == resume
    assert {key: value for key, value in rows["A1"].items() if value} == {"record": "A1", "problem": problem}
    assert lines[1] == {"record": "A1", "problem": problem}
    assert [rows[name] for name in ("A0", "A2")] == [before[name] for name in ("A0", "A2")]
    write_recording(tmp_path / "in", "A1", heart_like(2, seed=1))
    assert measured(tmp_path, resume=True)[1] == before


def test_a_recording_whose_worker_died_is_noted_like_any_other_that_failed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(examine_folder, "files_of", lambda path: SimpleNamespace(stamp=f"stamp of {path}"))

    def map_in_processes(function, items, **how):
        for item in items:
            names = [each.name for each in item]
            yield item, WorkerDiedError("its process was ended") if names == ["B"] else function(item)

    monkeypatch.setattr(examine_folder, "map_in_processes", map_in_processes)
    more = {"B": ("more/B.hea",)}
    recordings = [Candidates(name, (f"in/{name}.hea", *more.get(name, ()))) for name in "ABC"]
    run = Run(recordings, tmp_path / ".run", "step", RunOptions(workers=2))
    found = list(run.examined(lambda path: path.name))
    assert found[1] == examine_folder.Examined(
        "B",
        Path("in/B.hea"),
        ("stamp of in/B.hea", "stamp of more/B.hea"),
        None,
        ("in/B.hea: expected to be read, but its process was ended",),
    )
    assert [each.result for each in found] == ["A.hea", None, "C.hea"]
    for each in found:
        run.note(each, each.result)
    again = Run(recordings, tmp_path / ".run", "step", RunOptions(workers=2, resume=True))
    assert list(again.values()) == ["A.hea", None, "C.hea"]
    assert [each.name for _, each in again.left] == ["B"]
    assert "in/B.hea: expected to be read, but its process was ended\n" in capsys.readouterr().err
