"""Pages drawn by the processes that classify: the same bytes with any number of them."""

import json
import re

import pytest

import team_code
from commands import ROOT, visible_bytes, write_recordings
from ecg.inference.run_folder import ClassifyOptions
from ecg.report.recordings import Options, report_folder
from ecg.simulator.simulate import simulate_recording
from ecg.simulator.write import write_recording
from report_pages import write_model
from tiny import tiny


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    write_recordings(place / "in", 5)
    (place / "in" / "HR00001.mat").write_bytes(b"junk")
    write_model(place / "model", 2)
    return place


@pytest.fixture
def make(place, tmp_path, monkeypatch):
    """Report the folder with so many workers: what was written, and what came of it."""
    monkeypatch.setitem(team_code.METHODS, "tiny", tiny)
    model = team_code.load_model(place / "model", device="cpu")

    def report(workers, **options):
        folder = tmp_path / f"{workers}"
        outcome = report_folder(model, place / "in", folder, Options(**options), ClassifyOptions(workers=workers))
        return visible_bytes(folder), outcome

    return report


@pytest.mark.parametrize("options", [{}, {"attribution": True}, {"pdf": True}, {"single": True}], ids=json.dumps)
def test_workers_change_no_byte_of_a_report(make, options):
    written, outcome = make(1, **options)
    assert (outcome.classified, len(outcome.problems)) == (4, 1)
    assert sum(name.startswith("pages/") for name in written) == (0 if "single" in options else 4)
    assert make(2, **options) == (written, outcome)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_attribution_took_is_said_for_all_workers_together(make, capsys, workers):
    make(workers, attribution=True)
    [(whole, each)] = re.findall(r"Attribution took ([\d.]+) s, ([\d.]+) s for a recording", capsys.readouterr().err)
    assert float(whole) / 4 == pytest.approx(float(each), abs=0.02)
    make(workers)
    assert "Attribution" not in capsys.readouterr().err


@pytest.mark.parametrize("workers", [1, 2])
def test_places_in_one_file_are_numbered_as_the_recordings_stand(make, tmp_path, workers):
    make(workers, single=True)
    html = (tmp_path / f"{workers}" / "index.html").read_text()
    places = re.findall(r'\bid="(r\d+-)page"', html)
    assert places == ["r0-", "r2-", "r3-", "r4-"]  # the second can't be read
    starts = [html.index(f'id="{place}page"') for place in places]
    for number, start, end in zip((0, 2, 3, 4), starts, [*starts[1:], len(html)], strict=True):
        assert f"HR0000{number}" in html[start:end]


def test_what_is_measured_for_a_page_is_not_measured_again_for_the_model(tmp_path, monkeypatch):
    def twice(*given):
        raise AssertionError("measured twice")

    monkeypatch.setattr("ecg.methods.hybrid.measure_for_classifier", twice)
    write_recording(tmp_path / "in", "A1", simulate_recording(1, 1))
    model = team_code.load_model(ROOT / "model", device="cpu")
    outcome = report_folder(model, tmp_path / "in", tmp_path / "report", Options(), ClassifyOptions(deterministic=True))
    assert (outcome.classified, outcome.problems) == (1, [])
