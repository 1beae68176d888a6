"""The words of the printable page."""

from pathlib import Path

import numpy as np
import pytest

from ecg.io.recording import Recording
from ecg.labels.diagnoses import CHALLENGE_2020
from ecg.measurements import measure
from ecg.report import pdf
from ecg.report.ecg_paper import LAYOUTS
from ecg.report.recording_page import Reported, look_at
from tiny import heart_like


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_recordings_name_stands_above_the_leads_of_every_layout(monkeypatch, layout):
    figures = []
    monkeypatch.setattr(pdf, "FigureCanvasPdf", figures.append)
    monkeypatch.setattr(pdf.Figure, "savefig", lambda *words, **named: None)
    monkeypatch.setattr(pdf, "write_file", lambda path, data: None)
    signal = heart_like(2)
    nothing = Reported(CHALLENGE_2020.classes, np.zeros(24, dtype=bool), np.zeros(24))
    looked = look_at("Patient 7", Recording(signal, 500, "R", 44, "Male"), measure(signal, 500), nothing)
    pdf.write_pdf(Path("R.pdf"), looked, layout, "")
    words = {text.get_text(): text.get_position() for text in figures[0].axes[0].texts}
    _, y = words["Patient 7   male, 44 years, 2 s at 500 Hz"]
    assert 12 + LAYOUTS[layout].height_mm < y < 210 - 4.2  # 12 points are 4.2 mm
