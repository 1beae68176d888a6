"""How far measurements are off: against cardiologists, against the simulator, against labels.

    ecg benchmark ludb FOLDER TRUTH.csv [--refit DATA]
    ecg benchmark simulated [--records 2000] [--seed 1]
    ecg benchmark labels DATA [--fold 9]
    ecg benchmark disturbed [FOLDER] [--records 100] [--seed 1]

FOLDER holds recordings of LUDB (Kalyakulina et al. 2020, IEEE Access 8:186181-186190) with their annotations in each
lead, TRUTH.csv global intervals made from these: record, rr_ms, p_ms, pr_ms, qrs_ms, qt_ms (to the second latest end of
T over the leads) and qt_median_ms (to the median end), empty where not marked. If qt_ms is longer than rr_ms, the marks
are those of the next beat: QT has a row without these recordings. What was fitted has seen recordings of LUDB; with
--refit it is fitted again for each fifth of them, on the others and on DATA (`ecg.training.fit_measurements`), and the
figures are those of recordings that it has not seen. DATA holds Challenge recordings and, for --fold and --refit, their
`folds.csv` (record, database, fold). `disturbed` compares recordings of FOLDER and simulated ones, as they are, with
the same recordings disturbed. Each prints Markdown tables.
"""

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from ecg.arrays import Array, Floats, Ints
from ecg.io.formats import find_recordings
from ecg.io.header import Header
from ecg.io.recording import read_recording
from ecg.labels.classes import SCORED_CLASSES
from ecg.leads import LEADS
from ecg.measurements import Measurements, measure
from ecg.measurements.boundary_network import use_parameters
from ecg.measurements.intervals import mean_rate
from ecg.runtime.progress import progress
from ecg.runtime.threads import limit_blas_threads
from ecg.scoring.challenge import compute_auc
from ecg.simulator.simulate import simulate_recording
from ecg.simulator.truth import truth_of
from ecg.studies.disturbed_measurements import disturbed_table
from ecg.studies.markdown_tables import table

_TOLERANCE = 0.050  # s, between a detected and a true R peak
_RATE_TOLERANCE = 1.0  # per minute
_FEWEST_LEADS = 8  # that a beat of LUDB is marked in
_WHOLE = 0.100  # s, a simulated beat closer than that to an end of the recording is cut off
_PARTS = 5  # of the cross-validation over recordings
_ONE_BEAT = 0.150  # s, R peaks of different leads further apart than that are of different beats
# What is compared with which column of TRUTH.csv.
_MARKED = {name: (f"{name.lower()}_ms", f"{name.lower()}_ms") for name in ("P", "PR", "QRS", "QT")}
_MARKED["QT (median over leads)"] = ("qt_median_ms", "qt_ms")
_WITHIN_RR = "QT (marked within RR)"

Positions = Floats | Ints


@dataclass
class Differences:
    """Measured less true values of one quantity."""

    values: list[float] = field(default_factory=list)
    missing: int = 0  # true value known, not measured
    invented: int = 0  # measured where there is nothing to measure

    def add(self, measured: float, true: float) -> None:
        if math.isfinite(measured) and math.isfinite(true):
            self.values.append(measured - true)
        elif math.isfinite(true):
            self.missing += 1
        elif math.isfinite(measured):
            self.invented += 1


@dataclass
class Detections:
    """R peaks found and not found."""

    found: int = 0
    missed: int = 0
    false: int = 0

    def add(self, detected: Positions, true: Positions, tolerance: float, span: Positions | None = None) -> None:
        """Pair each true peak with a detection within the tolerance, each detection once; all ascend.

        Detections count from the first to the last sample of `span` (of `true` if left out), give or take the
        tolerance.
        """
        span = true if span is None else span
        if len(span) == 0:
            return
        inside = detected[(detected >= span[0] - tolerance) & (detected <= span[-1] + tolerance)]
        pairs = 0
        k = 0
        for peak in true:
            while k < len(inside) and inside[k] < peak - tolerance:
                k += 1
            if k < len(inside) and inside[k] <= peak + tolerance:
                pairs += 1
                k += 1
        self.found += pairs
        self.missed += len(true) - pairs
        self.false += len(inside) - pairs


def differences_table(rows: dict[str, Differences], unit: str = "ms") -> str:
    """Mean, standard deviation and counts of each quantity."""
    columns = ["", *(f"{what} ({unit})" for what in ("mean", "SD", "largest")), "n"]
    lines = []
    for name, differences in rows.items():
        values = np.array(differences.values)
        figures = [values.mean(), values.std(), np.abs(values).max()] if len(values) else [math.nan] * 3
        shown = [f"{figure:.1f}" for figure in figures]
        lines.append([name, *shown, len(values), differences.missing, differences.invented])
    return table([*columns, "not measured", "measured where there is none"], lines, "--:")


def detections_table(rows: dict[str, Detections]) -> str:
    """Sensitivity and positive predictivity."""
    lines = []
    for name, d in rows.items():
        beats, detections = d.found + d.missed, d.found + d.false
        if beats and detections:
            shares = f"{100 * d.found / beats:.2f} %", f"{100 * d.found / detections:.2f} %"
            lines.append([name, beats, *shares, d.missed, d.false])
    columns = ["R peaks within 50 ms", "beats", "sensitivity", "positive predictivity", "missed", "false"]
    return table(columns, lines, "--:")


def rates_line(differences: Differences) -> str:
    """In how many recordings the rate is right."""
    total = len(differences.values) + differences.missing
    right = sum(abs(value) <= _RATE_TOLERANCE for value in differences.values)
    return f"Rate within {_RATE_TOLERANCE:g}/min: {right} of {total} recordings ({100 * right / max(total, 1):.1f} %)."


def rate_of(r_seconds: Array) -> float:
    """Beats per minute from R peaks in s."""
    return mean_rate(np.diff(r_seconds))


# ---- LUDB ------------------------------------------------------------------------------------------------------------
def annotated_r_peaks(record: Path, sampling_frequency: float) -> Floats:
    """The beats that are marked in at least 8 leads, in samples: the median over the leads."""
    import wfdb

    peaks = []
    for k, lead in enumerate(LEADS):
        annotation = wfdb.rdann(str(record.with_suffix("")), lead.lower())
        marks = zip(annotation.sample, annotation.symbol, strict=True)
        peaks += [(sample, k) for sample, symbol in marks if symbol == "N"]
    peaks.sort()
    samples, leads = np.array([peak[0] for peak in peaks]), np.array([peak[1] for peak in peaks])
    cuts = np.flatnonzero(np.diff(samples) > _ONE_BEAT * sampling_frequency) + 1
    beats = zip(np.split(samples, cuts), np.split(leads, cuts), strict=True)
    return np.array([np.median(at) for at, of_lead in beats if len(set(of_lead.tolist())) >= _FEWEST_LEADS])


def against_ludb(folder: Path, truth_file: Path, data: Path | None = None, n_steps: int | None = None) -> str:
    """Tables against the annotations of LUDB.

    `folder`: its recordings. `truth_file`: their global intervals. `data`: Challenge recordings. If given, what was
    fitted is fitted again for each of five parts, on the others and these. `n_steps`: of each fit; as many as
    `ecg.training.fit_measurements` takes if left out.
    """
    with open(truth_file, newline="") as file:
        truths = list(csv.DictReader(file))
    found = _measure_all(folder, truths) if data is None else _measure_unseen(folder, truths, data, n_steps)
    intervals = {name: Differences() for name in (*_MARKED, _WITHIN_RR)}
    rates, detections = Differences(), Detections()
    for truth in truths:
        header, one = found[truth["record"]]
        marked = {column: float(value or "nan") for column, value in truth.items() if column != "record"}
        for name, (column, measured) in _MARKED.items():
            intervals[name].add(getattr(one, measured), marked[column])
        if not marked["qt_ms"] > marked["rr_ms"]:
            intervals[_WITHIN_RR].add(one.qt_ms, marked["qt_ms"])
        peaks = annotated_r_peaks(_path(folder, truth), header.sampling_frequency)
        detections.add(one.beats.samples, peaks, _TOLERANCE * header.sampling_frequency)
        rates.add(one.heart_rate_bpm, rate_of(peaks / header.sampling_frequency))
    rate = f"{rates_line(rates)} Against the mean of the marked RR intervals."
    return "\n\n".join([differences_table(intervals), detections_table({"all": detections}), rate])


def _path(folder: Path, truth: dict[str, str]) -> Path:
    return folder / f"{truth['record']}.hea"


def _measure_all(folder: Path, truths: Sequence[dict[str, str]]) -> dict[str, tuple[Header, Measurements]]:
    """Header and measurements of each recording, by its name."""
    found = {}
    for truth in progress(truths, len(truths), "Measuring"):
        header, signal = read_recording(_path(folder, truth))
        found[truth["record"]] = header, measure(signal, header.sampling_frequency)
    return found


def _measure_unseen(
    folder: Path, truths: Sequence[dict[str, str]], data: Path, n_steps: int | None
) -> dict[str, tuple[Header, Measurements]]:
    """The same, each recording by what was fitted without it; afterwards this process measures as before."""
    import torch

    from ecg.training import fit_measurements as fit

    torch.set_num_threads(1)  # as in the command that fits
    examples = [fit.ludb_example(_path(folder, truth)) for truth in progress(truths, len(truths), "Reading")]
    simulated = fit.simulated_examples()
    part = np.arange(len(truths)) % _PARTS
    found: dict[str, tuple[Header, Measurements]] = {}
    try:
        for k in range(_PARTS):
            seen = [example for example, of_example in zip(examples, part, strict=True) if of_example != k]
            fit.fit_all(seen, simulated, data, n_steps or fit.STEPS)
            found |= _measure_all(folder, truths[k::_PARTS])
    finally:
        use_parameters({})
    return found


# ---- simulator -------------------------------------------------------------------------------------------------------
def against_simulator(n_records: int, seed: int) -> str:
    """Tables against what the simulator laid down, in recordings with ordinary noise, all diagnoses in turn."""
    intervals = {name: Differences() for name in ("P", "PR", "QRS", "QT")}
    axis, rates = Differences(), Differences()
    groups = ("all", "sinus rhythm", "premature beats", "fibrillation", "flutter", "junction", "paced")
    detections = {name: Detections() for name in groups}
    kinds = {"ectopic": Detections(), "paced": Detections()}
    for k in progress(range(1, n_records + 1), n_records, "Measuring"):
        simulated = simulate_recording(seed, k)
        truth, found = truth_of(simulated), measure(simulated.signal, simulated.sampling_frequency)
        pairs = zip(intervals.values(), ("p_ms", "pr_ms", "qrs_ms", "qt_ms"), strict=True)
        for differences, name in pairs:
            differences.add(getattr(found, name), getattr(truth, name))
        if not truth.reversed_arms:  # then the axis of the signal is another one than the heart's
            axis.add((found.qrs_axis_deg - truth.qrs_axis_deg + 180) % 360 - 180, 0.0)
        tolerance, margin = _TOLERANCE * simulated.sampling_frequency, _WHOLE * simulated.sampling_frequency
        whole = (truth.r_samples >= margin) & (truth.r_samples < simulated.signal.shape[1] - margin)
        peaks = truth.r_samples[whole]
        rates.add(found.heart_rate_bpm, rate_of(peaks / simulated.sampling_frequency))
        rhythm = simulated.parameters.rhythm
        ectopic = simulated.parameters.pac + simulated.parameters.pvc > 0
        for name in {"all", "premature beats" if ectopic else "sinus rhythm" if rhythm == "sinus" else rhythm}:
            detections[name].add(found.beats.samples, peaks, tolerance)
        for name, counted in kinds.items():
            detected = found.beats.samples[[kind == name for kind in found.beats.kinds]]
            true = truth.r_samples[whole & np.array([kind == name for kind in truth.kinds])]
            counted.add(detected, true, tolerance, peaks)
    tables = [differences_table(intervals), differences_table({"QRS axis": axis}, "degrees")]
    called = {f"called {name}": counted for name, counted in kinds.items()}
    return "\n\n".join([*tables, detections_table(detections), detections_table(called), rates_line(rates)])


# ---- disturbances ----------------------------------------------------------------------------------------------------
def against_undisturbed(folder: Path | None, n_records: int, seed: int) -> str:
    """Table of what disturbances do to recordings of a folder, if one is given, and to simulated ones."""
    limit_blas_threads()
    paths = [] if folder is None else list(find_recordings(folder))
    real = ((signal, header.sampling_frequency) for header, signal in map(read_recording, map(Path, paths)))
    made = (simulate_recording(seed, k) for k in range(1, n_records + 1))
    simulated = ((one.signal.astype(np.float32), one.sampling_frequency) for one in made)
    return disturbed_table(progress(chain(real, simulated), len(paths) + n_records, "Measuring"))


# ---- labels ----------------------------------------------------------------------------------------------------------
def _limb_and_chest_voltage(found: Measurements) -> float:
    """The smaller of the highest limb and chest voltages, each relative to what low voltage is (0.5 and 1 mV)."""
    a = found.amplitudes
    spans = a.r - np.minimum(a.q, a.s)
    if not np.isfinite(spans).all():
        return math.nan
    return float(min(spans[:6].max() / 0.5, spans[6:].max() / 1.0))


def _axis(found: Measurements) -> float:
    """QRS axis from -135 to 225 degrees, so that both deviations lie at an end."""
    return (found.qrs_axis_deg + 135) % 360 - 135


# What each label is measured by, with a minus where lower values mean more of the label.
_MEASURED_BY = {
    "IAVB": "pr_ms", "LAD": "-qrs_axis_deg", "RAD": "qrs_axis_deg", "LQT": "qtc_bazett_ms", "LQT ": "qtc_fridericia_ms",
    "SB": "-heart_rate_bpm", "Brady": "-heart_rate_bpm", "STach": "heart_rate_bpm", "LQRSV": "-voltage",
    "CRBBB": "qrs_ms", "LBBB": "qrs_ms", "SA": "rr_sd_ms", "AF": "rmssd_ms",
}  # fmt: skip
_COMPUTED: dict[str, Callable[[Measurements], float]] = {"qrs_axis_deg": _axis, "voltage": _limb_and_chest_voltage}


def _score(found: Measurements, by: str) -> float:
    name = by.removeprefix("-")
    value = _COMPUTED[name](found) if name in _COMPUTED else getattr(found, name)
    return value if name == by else -value


def against_labels(paths: Sequence[Path]) -> str:
    """AUROC of one measurement for each label that a number defines, and the share without that measurement."""
    labels: list[set[str]] = []
    scores: dict[str, list[float]] = {name: [] for name in _MEASURED_BY}
    for path in progress(paths, len(paths), "Measuring"):
        header, signal = read_recording(path)
        found = measure(signal, header.sampling_frequency)
        labels.append({SCORED_CLASSES[code][0] for code in header.labels if code in SCORED_CLASSES})
        for name, by in _MEASURED_BY.items():
            scores[name].append(_score(found, by))
    lines = []
    for name, by in _MEASURED_BY.items():
        values = np.array(scores[name])
        positive = np.array([name.strip() in of_recording for of_recording in labels])
        known = np.isfinite(values)
        counts = [(one & other).sum() for other in (known, ~known) for one in (positive, ~positive)]
        auroc = compute_auc(positive[known, np.newaxis], values[known, np.newaxis])[0]
        lines.append([name.strip(), by, f"{auroc:.3f}", *counts])
    columns = ["label", "by", "AUROC", "with the label", "without", "not measured with the label", "without"]
    return table(columns, lines, "--:").replace("|---|--:", "|---|---", 1)
