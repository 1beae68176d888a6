"""ECG paper: every lead at its place, at the stated speed and gain, traces within a hair of the signal."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg.leads import LEADS
from ecg.report.ecg_paper import (
    LAYOUTS,
    MM_PER_SECOND,
    SECONDS,
    TOLERANCE,
    paper,
    simplified,
    strips,
    trace_definitions,
    trace_paths,
    trace_points,
)


def points_of(path):
    """Absolute points of a path of M and l with whole numbers, a list for each M."""
    lines = []
    for piece in path.split("M")[1:]:
        start, _, steps = piece.partition("l")
        numbers = list(map(int, re.findall(r"-?\d+", steps)))
        moves = [list(map(int, start.split())), *zip(numbers[::2], numbers[1::2], strict=True)]
        lines.append(np.cumsum(np.array(moves), axis=0))
    return lines


@given(st.integers(3, 400), st.integers(0, 1000), st.floats(0.1, 30))
def test_a_simplified_line_is_nowhere_further_off_than_the_tolerance(n, seed, size):
    rng = np.random.default_rng(seed)
    x, y = np.cumsum(rng.uniform(1, 3, n)), np.cumsum(rng.normal(0, size, (2, n)) * rng.integers(0, 2, (2, n)), axis=1)
    for line, keep in zip(y, simplified(x.astype(np.float32), y.astype(np.float32), 1.5), strict=True):
        assert keep[0]
        assert keep[-1]
        assert np.abs(np.interp(x, x[keep], line[keep]) - line).max() <= 1.5 + 1e-5 * np.abs(line).max()


def test_a_flat_line_needs_next_to_no_points():
    assert simplified(np.arange(1000, dtype=np.float32), np.zeros((1, 1000), np.float32), 1.0).sum() < 50


@pytest.mark.parametrize("fs", [100, 257, 500])
def test_a_trace_is_the_signal_at_25_mm_per_second_and_10_mm_per_millivolt(fs):
    t = np.arange(int(10 * fs)) / fs
    signal = (1.5 * np.sin(2 * np.pi * 1.3 * t) ** 15 + 0.3).astype(np.float32)
    (points,) = points_of(*trace_paths(signal[np.newaxis], fs))
    seconds, millivolts = points[:, 0] / 40 / 25, -points[:, 1] / 40 / 10  # 40 units are 1 mm
    expected = signal - np.median(signal)
    steepest = np.abs(np.diff(expected)).max() * fs  # mV/s; points stand at whole ms
    assert np.abs(np.interp(t, seconds, millivolts) - expected).max() < (TOLERANCE + 1) / 400 + 0.0005 * steepest


def test_a_fast_recording_keeps_its_peaks():
    signal = np.zeros(10000, dtype=np.float32)
    signal[::777] = 1.0
    [[points]] = trace_points(signal[np.newaxis], 1000)
    assert (points[:, 1] == -400).sum() == len(signal[::777])


def test_missing_samples_leave_a_gap_and_a_missing_lead_leaves_nothing():
    signal = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    signal[400:600] = np.nan
    before, after = points_of(*trace_paths(signal[np.newaxis], 500))
    assert before[-1, 0] == 399 * 2
    assert after[0, 0] == 600 * 2
    assert trace_paths(np.full((2, 1000), np.nan, np.float32), 500) == ["", ""]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_shows_every_lead_and_its_rows_go_on_in_time(name):
    placed = strips(LAYOUTS[name])
    assert {strip.lead for strip in placed} == set(LEADS)
    rows = {}
    for strip in placed:
        rows.setdefault(strip.zero_mm, []).append(strip)
    for row in rows.values():
        assert sum(strip.seconds for strip in row) == SECONDS
        for one, next_one in pairwise(row):
            assert next_one.start == one.start + one.seconds
            assert next_one.left_mm - one.left_mm == pytest.approx(one.seconds * MM_PER_SECOND)


@pytest.mark.parametrize(("name", "height"), [("3x4", 130), ("6x2", 160), ("12x1", 190)])
def test_strips_stand_on_the_paper_at_their_place(name, height):
    layout = LAYOUTS[name]
    assert layout.height_mm == height  # 5 mm above and below the rows
    columns, row_mm = len(layout.rows[0]), {"3x4": 30, "6x2": 25, "12x1": 15}[name]
    for row, leads in enumerate(layout.rows):
        for column, lead in enumerate(leads):
            (found,) = [each for each in strips(layout)[:12] if each.lead == lead]
            seconds = 10 / columns
            place = (10 + 25 * seconds * column, 5 + row_mm * (row + 0.6), seconds * column, seconds)
            assert (found.left_mm, found.zero_mm, found.start, found.seconds) == pytest.approx(place)
    if name == "3x4":
        rhythm = strips(layout)[12]
        assert (rhythm.lead, rhythm.left_mm, rhythm.zero_mm, rhythm.seconds) == ("II", 10, 5 + 3.6 * 30, 10)


@pytest.mark.parametrize("name", LAYOUTS)
def test_paper_has_its_size_in_mm_a_pulse_in_every_row_and_says_speed_gain_and_filter(name):
    picture = paper(name, "r1-", 'An ECG of "A" <b>', off=["V3"])
    assert f'viewBox="0 0 10400 {round(LAYOUTS[name].height_mm * 40)}" width="260mm"' in picture
    assert picture.count("h40v-400h200v400h40") == LAYOUTS[name].n_rows  # 10 mm high, 5 mm wide
    for words in ("25 mm/s", "10 mm/mV", "no filter", "V3 (no signal)"):
        assert words in picture
    assert "<b>" not in picture
    assert set(re.findall(r'href="#r1-lead-(\w+)"', picture)) == set(LEADS)


def test_the_noisiest_recording_stays_small_enough_for_a_page():
    noise = np.random.default_rng(0).normal(0, 0.5, (12, 60000)).astype(np.float32)
    assert len(trace_definitions(noise, 1000, "")) < 450_000


@pytest.mark.parametrize(("fs", "n_samples", "last"), [(500, 4000, 7998), (500, 5001, 10000), (500, 9000, 10000)])
def test_traces_show_the_first_ten_seconds_and_the_sample_that_ends_them(fs, n_samples, last):
    signal = np.random.default_rng(1).normal(size=(12, n_samples)).astype(np.float32)
    paths = re.findall(r' d="([^"]+)"', trace_definitions(signal, fs, ""))
    assert [points_of(path)[-1][-1, 0] for path in paths] == [last] * 12
