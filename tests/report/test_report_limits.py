"""Limits where the sex is unknown, and where on the paper the mark of a beat stands."""

import re
from dataclasses import replace

import pytest

from ecg.measurements import measure
from ecg.report.ecg_paper import LAYOUTS, MM_PER_SECOND, paper, strips
from ecg.report.findings import measurement_rows
from tiny import heart_like


@pytest.fixture(scope="module")
def measured():
    return measure(heart_like(10), 500)


@pytest.mark.parametrize(
    ("sex", "qtc", "verdict"),
    [
        ("Male", 449.0, ""),
        ("Male", 451.0, "high"),
        ("Female", 451.0, ""),
        ("Female", 461.0, "high"),
        ("Unknown", 451.0, ""),
        ("Unknown", 461.0, "high"),
    ],
)
def test_unknown_sex_gets_the_wider_limit(measured, sex, qtc, verdict):
    rows = measurement_rows(replace(measured, qtc_fridericia_ms=qtc), 60, sex)
    assert {row.name: row.verdict for row in rows}["QTc, Fridericia"] == verdict


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_mark_of_a_beat_stands_on_the_last_strip_of_lead_ii_at_its_time(name):
    layout = LAYOUTS[name]
    rhythm = [strip for strip in strips(layout) if strip.lead == "II"][-1]
    seconds = rhythm.start + 1.5
    picture = str(paper(name, "a-", "x", marked_beats=[(seconds, "ectopic")]))
    [(x, y)] = re.findall(r'class="beat" d="M(-?[\d.]+) (-?[\d.]+)', picture)
    per_mm = 40
    assert float(x) == pytest.approx(per_mm * (rhythm.left_mm + 1.5 * MM_PER_SECOND), abs=1)
    assert abs(float(y) / per_mm - rhythm.zero_mm) < layout.row_mm
    others = [strip.zero_mm for strip in strips(layout) if strip.zero_mm != rhythm.zero_mm]
    assert all(abs(float(y) / per_mm + 0.5 * layout.row_mm - 2 - zero) > 1 for zero in others)
