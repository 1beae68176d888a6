"""Twelve leads on ECG paper: 25 mm/s, 10 mm/mV, the layout of a printed ECG."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from ecg.io.files import StrPath, write_file
from ecg.labels.classes import SCORED_CLASSES
from ecg.leads import LEADS

_ROW_MM = 28.0
_GRID = ((1.0, "#f6d5d5", 0.3), (5.0, "#e9a5a5", 0.6))


def title_of(recording_id: str, labels: Sequence[str]) -> str:
    """A line that names a recording and its scored diagnoses."""
    return f"{recording_id}: " + ", ".join(SCORED_CLASSES[code][0] for code in labels if code in SCORED_CLASSES)


def plot_recording(
    signal: np.ndarray, sampling_frequency: float, path: StrPath, title: str = "", dots_per_inch: int = 110
) -> None:
    """Draw the first ten seconds as a PNG.

    `signal`, (12, n_samples), mV: leads in the order of `ecg.leads.LEADS`; NaN leaves a gap. `sampling_frequency`: Hz.
    `path`: the PNG file, written whole or not at all.
    """
    from matplotlib.figure import Figure

    from ecg.report.ecg_paper import LAYOUTS, MM_PER_SECOND, SECONDS, strips

    width, height = MM_PER_SECOND * SECONDS + 10, _ROW_MM * 4 + 12
    figure = Figure(figsize=(width / 25.4, height / 25.4 + 0.25))
    axes = figure.add_axes((0.0, 0.0, 1.0, height / (height + 0.25 * 25.4)))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    for step, colour, line_width in _GRID:
        axes.vlines(np.arange(0, width + step, step), 0, height, colour, linewidth=line_width)
        axes.hlines(np.arange(0, height + step, step), 0, width, colour, linewidth=line_width)

    for k, strip in enumerate(strips(LAYOUTS["3x4"])):  # four in a row, II alone in the last
        first, last = (round(at * sampling_frequency) for at in (strip.start, strip.start + strip.seconds))
        voltages = signal[LEADS.index(strip.lead), first:last]
        if voltages.size == 0:
            continue
        middle, left = height - 3 - _ROW_MM * (k // 4 + 0.55), 6 + 25.0 * strip.start
        x = left + 25.0 * np.arange(len(voltages)) / sampling_frequency
        axes.plot(x, middle + 10.0 * (voltages - np.nanmedian(signal[LEADS.index(strip.lead)])), "k", linewidth=0.7)
        axes.text(left + 0.5, middle + 10.5, strip.lead, fontsize=7, weight="bold")
    for row in range(4):  # the calibration pulse: 1 mV
        middle = height - 3 - _ROW_MM * (row + 0.55)
        axes.plot([0.5, 1.5, 1.5, 4.0, 4.0, 5.0], middle + np.array([0, 0, 10, 10, 0, 0]), "k", linewidth=0.7)
    axes.text(width - 1, 1, "25 mm/s   10 mm/mV   (large square: 0.2 s, 0.5 mV)", fontsize=6, ha="right")
    figure.text(0.01, 0.985, title, fontsize=9, va="top")
    save_png(figure, path, dots_per_inch)


def save_png(figure: Any, path: StrPath, dots_per_inch: int) -> None:
    """Write a figure of matplotlib as a PNG, whole or not at all."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=dots_per_inch)
    write_file(path, image.getvalue())
