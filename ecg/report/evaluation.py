"""A model evaluated, for people: scores, curves, what errors cost, the costliest recordings, two models compared."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecg.arrays import Bools, Floats
from ecg.io.files import remove_leftovers, write_file
from ecg.io.folders import get_database
from ecg.io.formats import read
from ecg.io.recording import describe_failure
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.measurements import measure
from ecg.report import curves
from ecg.report.charts import Line, chart, interval
from ecg.report.pages import minus, page_name, printable, render, with_digits, write_assets, write_order
from ecg.report.recording_page import Reported, article, look_at, recording_page
from ecg.runtime.progress import progress, say
from ecg.scoring import score_folder, statistics

COSTLIEST = 50
_SHADES = 5
_SCORES = ("auroc", "auprc", "f_measure", "sensitivity", "specificity", "calibration_error")
_EVEN = Line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), "even")


@dataclass(frozen=True)
class _Answers:
    """One folder of outputs against the labels."""

    folder: Path
    outputs: Bools
    scores: Floats
    costs: curves.Costs


@dataclass(frozen=True)
class _Evaluation:
    headers: list[Path]
    labels: Bools
    diagnoses: Diagnoses
    answers: list[_Answers]  # one or two
    databases: list[str]  # of each recording

    @property
    def first(self) -> _Answers:
        return self.answers[0]

    @property
    def metric(self) -> str:
        return statistics.metric_name(self.diagnoses).replace("_", "-" if self.diagnoses.weights is None else " ")

    @property
    def unit(self) -> float:
        """What costs are multiplied by: thousandths of the challenge metric, or errors."""
        return 1.0 if self.diagnoses.weights is None else 1000.0

    @property
    def second(self) -> _Answers | None:
        return self.answers[1] if len(self.answers) > 1 else None


def evaluation_report(
    labels: Path, outputs: Sequence[Path], report: Path, *, note: str = "", diagnoses: Diagnoses = CHALLENGE_2020
) -> None:
    """Write ``index.html`` and a page for each of the fifty costliest recordings.

    `labels`: folder of headers; where the signals are beside them, the costliest recordings get pages. Or a table of
    records and codes. `outputs`: one folder of outputs, or two that are compared. `note`: a sentence for the top of
    each page. `diagnoses`: the model's set. Without reward weights F-measures and numbers of errors take the place of
    the challenge metric. Raises EvaluationError as `ecg.scoring.score_folder`, for labels or outputs that can't be
    used; OSError if something can't be written.
    """
    evaluation = _load(labels, outputs, diagnoses)
    for folder in (report, report / "pages"):
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
    write_assets(report)
    costliest = _costliest(evaluation.first.costs.recordings)
    pages = _write_pages(evaluation, list(dict.fromkeys([*costliest, *_differing(evaluation)])), report, note)
    context: dict[str, Any] = {
        "facts": [f"{len(evaluation.headers)} recordings", *_folders(evaluation)],
        "two": evaluation.second is not None,
        "metric": evaluation.metric[0].upper() + evaluation.metric[1:],
        "rewards": diagnoses.weights is not None,
        "set_name": diagnoses.name,
        "scores": list(_score_rows(evaluation)),
        "by_class": list(_class_rows(evaluation)),
        "matrix": _matrix(evaluation),
        "thresholds": _thresholds(evaluation),
        "curves": list(_curves(evaluation)),
        "costliest": [_recording_row(evaluation, place, pages) for place in costliest],
        "lost": f"{evaluation.first.costs.recordings.sum():.{0 if diagnoses.weights is None else 3}f}",
        "side": _side_by_side(evaluation, pages),
    }
    context |= {"note": note, "diagnoses": diagnoses}
    write_file(report / "index.html", render("evaluation.html", "Evaluation report", root="", scripts=[], **context))


def _load(labels_folder: Path, outputs: Sequence[Path], diagnoses: Diagnoses) -> _Evaluation:
    if labels_folder.is_file():
        found, labels = score_folder.load_labelled(labels_folder, outputs[0], diagnoses.classes, diagnoses)
        headers = [str(Path(file).with_suffix(".hea").name) for file in found]
    else:
        headers = score_folder.find_headers(labels_folder)
        labels = score_folder.load_labels(headers, diagnoses.classes, diagnoses)
    answers = []
    for folder in outputs:
        files = score_folder.find_outputs(folder, headers)
        given, scores = score_folder.load_outputs(files, diagnoses.classes, diagnoses)
        answers.append(_Answers(folder, given, scores, curves.costs_of(labels, given, diagnoses)))
    paths = [Path(header) for header in headers]
    return _Evaluation(paths, labels, diagnoses, answers, [get_database(path.stem) for path in paths])


def _folders(evaluation: _Evaluation) -> list[str]:
    names = ["outputs A", "outputs B"] if evaluation.second is not None else ["outputs"]
    return [f"{name}: {printable(str(each.folder))}" for name, each in zip(names, evaluation.answers, strict=True)]


# --- Tables -----------------------------------------------------------------------------------------------------------
def _score_rows(evaluation: _Evaluation) -> Iterator[dict[str, Any]]:
    names, diagnoses = sorted(set(evaluation.databases)), evaluation.diagnoses
    groups = {"all": np.ones(len(evaluation.headers), dtype=bool)}
    if len(names) > 1:
        groups |= {name: np.array([each == name for each in evaluation.databases]) for name in names}
    for name, chosen in groups.items():
        labels = evaluation.labels[chosen]
        scores, outputs = evaluation.first.scores[chosen], [each.outputs[chosen] for each in evaluation.answers]
        measured = statistics.measure(labels, scores, outputs[0], diagnoses)
        # Not as measured, which is rounded: a figure that is rounded twice may differ from the scorer's.
        shown = [statistics.metric_interval(labels, each, diagnoses) for each in outputs]
        difference = None
        if evaluation.second is not None:
            limits = statistics.difference_interval(labels, outputs[0], outputs[1], diagnoses)
            difference = minus("{:+.3f} ({:+.3f} to {:+.3f})".format(*limits))
        yield {
            "name": name,
            "n": int(chosen.sum()),
            "metrics": [minus("{:.3f} ({:.3f} to {:.3f})".format(*each)) for each in shown],
            "bar": interval(*shown[0], shown[1] if len(shown) > 1 else None),
            "difference": difference,
            "values": [with_digits(measured[key], 3) for key in _SCORES],
        }


def _class_rows(evaluation: _Evaluation) -> Iterator[dict[str, Any]]:
    first = evaluation.first
    table = statistics.measure_classes(evaluation.labels, first.scores, first.outputs, evaluation.diagnoses)
    for k in evaluation.diagnoses.by_name:
        scores = table[evaluation.diagnoses.rows[k].abbreviation]
        missed, added = first.costs.missed[:, k], first.costs.added[:, k]
        yield _named(evaluation, k) | {
            "values": [with_digits(scores[key], 2) for key in _SCORES],
            "missed": int((evaluation.labels[:, k] & ~first.outputs[:, k]).sum()),
            "missed_cost": with_digits(evaluation.unit * missed.sum(), 1),
            "added": int((first.outputs[:, k] & ~evaluation.labels[:, k]).sum()),
            "added_cost": with_digits(evaluation.unit * added.sum(), 1),
        }


def _named(evaluation: _Evaluation, k: int) -> dict[str, Any]:
    """What a class is called, and how many recordings have it."""
    row, n = evaluation.diagnoses.rows[k], int(evaluation.labels[:, k].sum())
    return {"name": row.words, "abbreviation": row.abbreviation, "anchor": f"class-{row.code}", "n": n}


def _matrix(evaluation: _Evaluation) -> dict[str, Any]:
    """Missed labels against added outputs, thousandths of the metric."""
    order, weights = evaluation.diagnoses.by_name, evaluation.diagnoses.weights
    digits = 0 if weights is None else 1
    lost = evaluation.unit * evaluation.first.costs.confusion[np.ix_(order, order)]
    counts = evaluation.first.costs.counts[np.ix_(order, order)]
    largest = max(float(lost.max()), 1e-12)
    # A shade for each fifth of the largest, on a root scale: small costs are many.
    shades = np.where(counts, np.ceil(_SHADES * np.sqrt(np.maximum(lost, 0) / largest)), 0).astype(int)
    shown = np.where(counts, np.char.mod(f"%.{digits}f", lost), "")
    names = [evaluation.diagnoses.rows[k].abbreviation for k in order]
    rows = []
    for i, name in enumerate(names):
        cells = [{"words": str(words), "shade": int(shade)} for words, shade in zip(shown[i], shades[i], strict=True)]
        rows.append({"name": name, "full": evaluation.diagnoses.rows[order[i]].words, "cells": cells})
    there = np.argwhere(counts).tolist()
    pairs = sorted(((float(lost[i, j]), int(counts[i, j]), i, j) for i, j in there), reverse=True)[:10]
    worst = [
        {
            "missed": evaluation.diagnoses.rows[order[i]].words,
            "added": evaluation.diagnoses.rows[order[j]].words,
            "weight": "" if weights is None else f"{weights[order[i], order[j]]:.2f}",
            "n": count,
            "cost": f"{cost:.1f}",
        }
        for cost, count, i, j in pairs
    ]
    return {"names": names, "rows": rows, "worst": worst}


# --- Curves -----------------------------------------------------------------------------------------------------------
def _lines(evaluation: _Evaluation, curve: Callable[[Bools, Floats], tuple[Floats, Floats]], k: int) -> list[Line]:
    return [
        Line(*curves.thinned(*curve(evaluation.labels[:, k], answers.scores[:, k])), kind)
        for answers, kind in zip(evaluation.answers, ("first", "second"), strict=False)
    ]


def _curves(evaluation: _Evaluation) -> Iterator[dict[str, Any]]:
    for k in evaluation.diagnoses.by_name:
        words = evaluation.diagnoses.rows[k].words
        calibration, thresholds = [], []
        for answers, kind in zip(evaluation.answers, ("first", "second"), strict=False):
            means, shares, counts = curves.calibration_curve(evaluation.labels[:, k], answers.scores[:, k])
            calibration.append(Line(means, shares, kind, counts))
            given = evaluation.labels, answers.outputs, answers.scores, evaluation.diagnoses
            thresholds.append(Line(*curves.class_threshold_curve(k, *given), kind))
        low = min(float(line.y.min()) for line in thresholds)
        high = max(float(line.y.max()) for line in thresholds)
        margin = max(0.002, 0.1 * (high - low))
        roc, precision = (_lines(evaluation, curve, k) for curve in (curves.roc_curve, curves.precision_recall_curve))
        title, y_range = f"{words}: threshold against the score", (low - margin, high + margin)
        charts = [
            chart([_EVEN, *roc], "1 − specificity", "sensitivity", f"{words}: ROC"),
            chart(precision, "recall", "precision", f"{words}: precision against recall"),
            chart([_EVEN, *calibration], "probability", "share that has it", f"{words}: calibration"),
            chart(thresholds, "threshold", evaluation.metric, title, y_range=y_range),
        ]
        yield _named(evaluation, k) | {"charts": charts if evaluation.labels[:, k].any() else []}


def _thresholds(evaluation: _Evaluation) -> dict[str, Any]:
    lines, words, metrics = [], [], []
    for answers, kind, name in zip(evaluation.answers, ("first", "second"), "AB", strict=False):
        x, y = curves.shared_threshold_curve(evaluation.labels, answers.scores, evaluation.diagnoses)
        given = statistics.main_metric(evaluation.labels, answers.outputs, evaluation.diagnoses)
        lines += [Line(x, y, kind), Line(np.array([0.0, 1.0]), np.array([given, given]), f"{kind} even")]
        metrics += [*y.tolist(), given]
        of = f"{name}: " if evaluation.second is not None else ""
        best = f"best single threshold {x[y.argmax()]:.2f} with {y.max():.3f}"
        words.append(minus(f"{of}outputs as given {given:.3f}; {best}"))
    margin = 0.05 * max(max(metrics) - min(metrics), 0.02)
    axis, y_range = "one threshold for all classes", (min(metrics) - margin, max(metrics) + margin)
    title = f"{evaluation.metric[0].upper()}{evaluation.metric[1:]} against {axis}"
    picture = chart(lines, axis, evaluation.metric, title, y_range=y_range, wide=True)
    return {"picture": picture, "words": words}


# --- Recordings -------------------------------------------------------------------------------------------------------
def _costliest(cost: Floats) -> list[int]:
    order = np.argsort(-cost, kind="stable")[:COSTLIEST]
    return [place for place in order.tolist() if cost[place] > 1e-12]


def _recording_row(evaluation: _Evaluation, place: int, pages: dict[int, str]) -> dict[str, Any]:
    path, digits = evaluation.headers[place], 0 if evaluation.diagnoses.weights is None else 2
    columns = []
    for answers in evaluation.answers:
        labels, outputs, scores = evaluation.labels[place], answers.outputs[place], answers.scores[place]
        wrong = {"missed": labels & ~outputs, "added": outputs & ~labels}
        words = [f"{row.words} {score:.2f}" for row, score in zip(evaluation.diagnoses.rows, scores, strict=True)]
        cost = with_digits(evaluation.unit * answers.costs.recordings[place], digits)
        named = {name: [words[k] for k in np.flatnonzero(which)] for name, which in wrong.items()}
        columns.append({"cost": cost, **named})
    name, page = printable(path.stem), pages.get(place, "")
    return {"name": name, "page": page, "database": evaluation.databases[place], "answers": columns}


def _differing(evaluation: _Evaluation) -> list[int]:
    """Recordings on which one folder of outputs gains most over the other, then the other way round."""
    if evaluation.second is None:
        return []
    gain = evaluation.second.costs.recordings - evaluation.first.costs.recordings
    return _costliest(gain) + _costliest(-gain)


def _side_by_side(evaluation: _Evaluation, pages: dict[int, str]) -> dict[str, Any] | None:
    second = evaluation.second
    if second is None:
        return None
    gain = second.costs.recordings - evaluation.first.costs.recordings
    right = [answers.outputs == evaluation.labels for answers in evaluation.answers]
    rows = []
    for k in evaluation.diagnoses.by_name:
        a, b = right[0][:, k], right[1][:, k]
        with_it = evaluation.labels[:, k]
        values = [int((c & d).sum()) for c in (with_it, ~with_it) for d in (a & ~b, b & ~a)]
        rows.append({"name": evaluation.diagnoses.rows[k].words, "values": values})
    whole = [each.all(axis=1) for each in right]
    return {
        "classes": rows,
        "only_a": int((whole[0] & ~whole[1]).sum()),
        "only_b": int((whole[1] & ~whole[0]).sum()),
        "both": int((whole[0] & whole[1]).sum()),
        "neither": int((~whole[0] & ~whole[1]).sum()),
        "better_a": [_recording_row(evaluation, place, pages) for place in _costliest(gain)],
        "better_b": [_recording_row(evaluation, place, pages) for place in _costliest(-gain)],
    }


def _write_pages(evaluation: _Evaluation, places: list[int], report: Path, note: str) -> dict[int, str]:
    """Pages of these recordings as far as their signals can be read; their addresses by place."""
    found: dict[int, str] = {}
    order = []
    source = f"Outputs: {printable(os.fspath(evaluation.first.folder))}. Outputs don't say at which thresholds."
    places = [place for place in places if evaluation.headers[place].exists()]  # none for labels from a table
    for place in progress(places, len(places), "Writing pages"):
        path = evaluation.headers[place]
        try:
            recording = read(path)
        except ValueError as error:
            say(describe_failure(path, error))
            continue
        outputs, scores = evaluation.first.outputs[place], evaluation.first.scores[place]
        reported = Reported(evaluation.diagnoses.classes, outputs, scores, diagnoses=evaluation.diagnoses)
        measured = measure(recording.signal, recording.sampling_frequency)
        page = f"{page_name(path.stem)}.html"
        looked = look_at(path.stem, recording, measured, reported)
        content = recording_page(looked, "Evaluation report", article(looked, "", "3x4"), source=source, note=note)
        write_file(report / "pages" / page, content)
        found[place] = f"pages/{page}"
        order.append((page, printable(path.stem)))
    write_order(report, order)
    return found
