"""Pictures of median beats with their marks, for the documents.

    ecg benchmark median-beats docs/median-beats.png

The recordings are simulated; each title has what was measured and, in brackets, what the simulator laid down, ms.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from ecg.leads import LEADS
from ecg.measurements import Measurements, measure
from ecg.measurements.types import MedianBeat
from ecg.report.plotting import save_png
from ecg.simulator.noise import Noise
from ecg.simulator.simulate import simulate
from ecg.simulator.truth import Truth, truth_of

# Title, diagnosis, noise (None: that of an ordinary recording).
_PANELS: tuple[tuple[str, str, Noise | None], ...] = (
    ("Normal sinus rhythm", "NSR", None), ("Atrial fibrillation", "AF", None), ("Atrial flutter", "AFL", None),
    ("Left bundle branch block", "LBBB", None), ("Ventricular pacing", "PR", None),
    ("Sinus rhythm, much noise", "NSR", Noise(wander=0.3, muscle=0.06, powerline=0.05)),
)  # fmt: skip
_SEED = 40
_SHOWN = ("II", "V5", "V1")
_WAVES = (("P", "p", "#cfe3f5"), ("QRS", "qrs", "#f6d3c8"), ("T", "t", "#d8ebd2"))
_BEFORE, _AFTER = 0.32, 0.56  # s around the R peak
_APART = 2.1  # mV between the base lines


def plot_median_beats(path: Path) -> None:
    """Draw a median beat of each kind as a PNG, written whole or not at all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.6), layout="constrained")
    grid = figure.subplots(2, 3, sharex=True, sharey=True)
    for k, (axes, (title, diagnosis, noise)) in enumerate(zip(grid.flat, _PANELS, strict=True)):
        simulated = simulate(np.random.default_rng(_SEED + k), diagnosis, noise=noise, comorbidity=False)
        found = measure(simulated.signal, simulated.sampling_frequency)
        _draw(axes, found, found.median_beat)
        axes.set_title(f"{title}\n{_compare(found, truth_of(simulated))}", fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("ms from the R peak", fontsize=8)
    grid[0, 0].plot([-290, -290], [-2 * _APART - 2.1, -2 * _APART - 1.1], "k", linewidth=2)
    grid[0, 0].text(-278, -2 * _APART - 1.6, "1 mV", fontsize=7, va="center")
    save_png(figure, path, 90)


def _draw(axes: Any, found: Measurements, beat: MedianBeat | None) -> None:
    if beat is None:
        raise ValueError("expected a median beat, found none")
    times = (np.arange(beat.signal.shape[1]) - beat.r_peak) / beat.sampling_frequency
    shown = (times >= -_BEFORE) & (times <= _AFTER)

    def milliseconds(samples: float) -> float:
        return 1e3 * (samples - beat.r_peak) / beat.sampling_frequency

    for name, wave, colour in _WAVES:
        onset, offset = (getattr(beat.marks, f"{wave}_{end}") for end in ("onset", "offset"))
        if math.isfinite(onset) and math.isfinite(offset):
            axes.axvspan(milliseconds(onset), milliseconds(offset), color=colour, linewidth=0)
            axes.text(milliseconds((onset + offset) / 2), 1.55, name, fontsize=8, ha="center")
    for k, lead in enumerate(_SHOWN):
        signal, base = beat.signal[LEADS.index(lead)], -_APART * k
        axes.plot(1e3 * times[shown], signal[shown] + base, "k", linewidth=0.9)
        axes.text(-1e3 * _BEFORE + 8, base + 0.15, lead, fontsize=8, weight="bold")
        marks = beat.lead_marks[LEADS.index(lead)]
        for _, wave, _ in _WAVES:
            for end in ("onset", "offset"):
                at = getattr(marks, f"{wave}_{end}")
                if math.isfinite(at):
                    level = base + float(np.interp(at, np.arange(len(signal)), signal))
                    axes.plot([milliseconds(at)] * 2, [level - 0.14, level + 0.14], color="#c0392b", linewidth=1.1)
    axes.set(xlim=(-1e3 * _BEFORE, 1e3 * _AFTER), ylim=(-2 * _APART - 2.6, 2.0), yticks=[])
    axes.tick_params(labelsize=7)


def _compare(found: Measurements, truth: Truth) -> str:
    pairs = (("PR", found.pr_ms, truth.pr_ms), ("QRS", found.qrs_ms, truth.qrs_ms), ("QT", found.qt_ms, truth.qt_ms))
    return "   ".join(f"{name} {_shown(measured)} ({_shown(true)})" for name, measured, true in pairs)


def _shown(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else "–"
