"""Traces begin and end where their samples do and keep the highest and the lowest. The shown part of a median beat."""

import re

import numpy as np
import pytest

from ecg.measurements.types import MedianBeat, WaveMarks
from ecg.report.ecg_paper import grid, trace_paths, trace_points
from ecg.report.figures import _shown_part

UNITS_PER_MV = 400


@pytest.mark.parametrize("fs", [100, 257, 499, 500, 999, 1000, 2000, 4001])
def test_each_line_of_a_trace_goes_from_its_first_sample_to_its_last_and_keeps_its_extremes(fs):
    rng = np.random.default_rng(fs)
    for n_samples in rng.integers(1, 3 * fs, 12):
        lead = np.cumsum(rng.normal(0, 0.05, n_samples)).astype(np.float32)
        for start in rng.integers(0, n_samples, 2):
            lead[start : start + rng.integers(0, n_samples)] = np.nan
        known = np.flatnonzero(np.isfinite(lead))
        runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1) if len(known) else []
        [lines] = trace_points(lead[np.newaxis], fs, zero=0.25)
        assert len(lines) == len(runs)
        for line, run in zip(lines, runs, strict=True):
            ends = run[[0, -1]] * 1000 / fs  # of a fast recording each 4 ms have their extremes
            assert np.abs(line[[0, -1], 0] - ends).max() <= (0.5 if fs <= 750 else 4)
            high, low = lead[run].max() - 0.25, lead[run].min() - 0.25
            assert -line[:, 1].min() == pytest.approx(high * UNITS_PER_MV, abs=2)
            assert -line[:, 1].max() == pytest.approx(low * UNITS_PER_MV, abs=2)
            assert (np.diff(line[:, 0]) >= 0).all()


def test_a_sample_alone_is_a_short_line_and_one_far_out_is_drawn_off_the_paper():
    lead = np.array([np.nan, 0.5, np.nan, 99.0, -99.0], dtype=np.float32)
    [path] = trace_paths(lead[np.newaxis], 500, zero=0.0)
    assert path == "M2 -200h1M6 -8000l2,16000"  # 200 mm up and down


def test_paper_has_a_thin_line_each_mm_and_a_thick_one_each_5_mm():
    kinds = dict(re.findall(r'<path class="(\w+)" d="([^"]*)"', grid(22.0, 13.5)))
    for kind, thick in (("minor", False), ("major", True)):
        across = [int(x) for x, height in re.findall(r"M(\d+) 0v(\d+)", kinds[kind]) if height == "540"]
        up = [int(y) for y, width in re.findall(r"M0 (\d+)h(\d+)", kinds[kind]) if width == "880"]
        assert across == [40 * mm for mm in range(23) if (mm in (0, 5, 10, 15, 20)) == thick]
        assert up == [40 * mm for mm in range(14) if (mm in (0, 5, 10)) == thick]


def test_a_trace_stands_on_the_median_of_its_known_samples():
    lead = np.array([1, 1, 1, 3, np.nan], dtype=np.float32)
    [[line]] = trace_points(lead[np.newaxis], 100)
    assert line[:, 1].tolist()[0] == 0 and line[-1].tolist() == [30, -800]


@pytest.mark.parametrize(
    ("n_samples", "p_onset", "qrs_onset", "shown"),
    [
        (1000, 300, 400, (240, 840)),  # 0.12 s before P, and 1.2 s of it
        (1000, np.nan, 300, (240, 840)),
        (1000, 480, 560, (400, 1000)),  # not beyond the end
        (1000, 20, 120, (0, 600)),
        (1000, np.nan, np.nan, (0, 600)),
        (500, 300, 400, (0, 500)),  # shorter than a cell
        (1000, 350.4, 300, (240, 840)),
    ],
)
def test_of_a_long_median_beat_the_part_from_before_p_is_shown(n_samples, p_onset, qrs_onset, shown):
    marks = WaveMarks(p_onset, 0, 0, qrs_onset, 0, 0, 0, 0, 0)
    assert _shown_part(MedianBeat(np.zeros((12, n_samples), np.float32), 500.0, 5, marks, (marks,) * 12, 0)) == shown
