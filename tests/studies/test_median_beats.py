"""Pictures of median beats for the documents."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from ecg.__main__ import main
from ecg.measurements import measure
from ecg.simulator.noise import Noise
from ecg.simulator.simulate import simulate_recording
from ecg.studies import median_beats


def test_the_command_draws_a_small_picture(tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr(median_beats, "_compare", lambda found, truth: titles.append((found, truth)) or "")
    assert main(["benchmark", "median-beats", str(tmp_path / "beats.png")]) == 0
    assert (tmp_path / "beats.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "beats.png").stat().st_size < 250_000
    found, truth = titles[0]  # sinus rhythm
    assert abs(found.pr_ms - truth.pr_ms) < 12
    assert abs(found.qrs_ms - truth.qrs_ms) < 12
    assert math.isnan(titles[1][0].pr_ms)  # fibrillation


def test_what_was_not_measured_has_a_dash_beside_what_is_true():
    found = SimpleNamespace(pr_ms=math.nan, qrs_ms=94.6, qt_ms=380.2)
    truth = SimpleNamespace(pr_ms=150.0, qrs_ms=96.0, qt_ms=np.nan)
    assert median_beats._compare(found, truth) == "PR – (150)   QRS 95 (96)   QT 380 (–)"


def test_a_panel_shows_the_beat_from_before_p_to_after_t():
    made = simulate_recording(2, 1, "NSR")
    found = measure(made.signal, made.sampling_frequency)
    axes = Figure().subplots()
    median_beats._draw(axes, found, found.median_beat)
    lines = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) > 2]
    for at in lines:
        assert (at.min(), at.max()) == pytest.approx(axes.get_xlim(), abs=4)
    assert len(lines) == 3


def test_a_picture_of_a_recording_without_beats_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(median_beats, "_PANELS", (("Noise", "NSR", Noise(muscle=50.0)),) * 6)
    monkeypatch.setattr(median_beats, "measure", lambda signal, rate: SimpleNamespace(median_beat=None))
    assert main(["benchmark", "median-beats", str(tmp_path / "beats.png")]) == 2
    assert "expected a median beat, found none" in capsys.readouterr().err
    assert not (tmp_path / "beats.png").exists()
