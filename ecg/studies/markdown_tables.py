"""Tables of what methods do on recordings they were not trained on, in Markdown.

The classes of the set of diagnoses are all results' columns.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ecg.decisions.expected_score import expected_score
from ecg.labels.diagnoses import Diagnoses
from ecg.scoring import statistics
from ecg.studies.predictions import Predictions

# Databases of one hospital, or of hospitals that a comparison takes together, get a row together where two are there.
POOLS = (("CPSC", "CPSC-Extra"), ("CPSC", "CPSC-Extra", "Chapman-Ningbo", "Ningbo-Chapman"))
MEASURES = {"auroc": "AUROC", "auprc": "AUPRC", "f_measure": "F", "sensitivity": "sensitivity"}
MEASURES |= {"specificity": "specificity", "calibration_error": "calibration error"}
SUPERCLASSES = dict(zip(statistics.SUPERCLASSES, ("AUROC of superclasses", "AUPRC of superclasses"), strict=True))


def parts(results: Iterable[Predictions]) -> dict[str, list[str]]:
    """Databases by the question they answer: in the database trained on, and all the others; or all as one."""
    pairs = (zip(result.databases, result.in_database, strict=True) for result in results)
    seen = {(str(name), bool(inside)) for each in pairs for name, inside in each}
    inside, outside = (sorted(name for name, is_inside in seen if is_inside is which) for which in (True, False))
    if inside and outside:
        own = ", ".join(inside)
        return {own: inside, f"all but {own}": outside}
    return {"all": inside or outside}


def groups(results: Iterable[Predictions]) -> dict[str, list[str]]:
    """The rows of a table by database: each on its own, then those of `POOLS`, then all that answer one question."""
    divided = parts(results)
    rows = {name: [name] for name in sorted(name for names in divided.values() for name in names)}
    last, pooled = list(divided.items())[-1]
    for pool in POOLS:
        names = [name for name in pooled if name in pool]
        if len(names) > 1 and names != pooled:
            rows[" + ".join(names)] = names
    if len(pooled) > 1:
        rows[last] = pooled
    return rows


def format_databases(results: Mapping[str, Predictions], diagnoses: Diagnoses) -> str:
    """Methods by database, with 95 % bootstrap intervals of `statistics.main_metric` and AUROC."""
    lines, measures = [], MEASURES | (SUPERCLASSES if diagnoses.superclasses else {})
    for group, names in groups(results.values()).items():
        for label, result in results.items():
            rows = np.isin(result.databases, names)
            if not rows.any():
                continue
            labels, outputs = result.labels[rows], result.outputs[rows]
            scores = statistics.measure(labels, result.probabilities[rows], outputs, diagnoses)
            first, *others = _measured(scores, measures)
            if scores["auroc"] is not None:
                first += " ({:.3f} to {:.3f})".format(*statistics.auroc_interval(labels, result.probabilities[rows]))
            shown = "{:.3f} ({:.3f} to {:.3f})".format(*statistics.metric_interval(labels, outputs, diagnoses))
            lines.append([group, label, scores["recordings"], shown, first, *others])
    named = [f"{name} (95 %)" if key == "auroc" else name for key, name in measures.items()]
    return table(["database", "method", "recordings", f"{_metric(diagnoses)} (95 %)", *named], lines) + "\n"


def format_least_sure(results: Mapping[str, Predictions], diagnoses: Diagnoses, share: float = 0.1) -> str:
    """The metric of all recordings of a row, and of those without the share that is least sure (`expected_score`)."""
    lines = []
    for group, names in groups(results.values()).items():
        for label, result in results.items():
            rows = np.flatnonzero(np.isin(result.databases, names))
            if not len(rows):
                continue
            sure = expected_score(result.probabilities[rows], result.outputs[rows], diagnoses.weights)
            kept = rows[np.argsort(sure, kind="stable")[int(share * len(rows)) :]]
            cells = []
            for which in (rows, kept):
                found = statistics.metric_interval(result.labels[which], result.outputs[which], diagnoses)
                cells.append("{:.3f} ({:.3f} to {:.3f})".format(*found))
            lines.append([group, label, len(rows), cells[0], len(kept), cells[1]])
    metric_name = f"{_metric(diagnoses)} (95 %)"
    return table(["database", "method", "recordings", metric_name, "kept", "without the others"], lines) + "\n"


def format_differences(results: Mapping[str, Predictions], diagnoses: Diagnoses) -> str:
    """The metric of the first method less that of each other one, on the recordings that both were tested on."""
    (first_label, first), *others = results.items()
    lines = []
    for group, names in groups(results.values()).items():
        for label, other in others:
            own = np.flatnonzero(np.isin(first.databases, names))
            common, in_own, theirs = np.intersect1d(first.records[own], other.records, return_indices=True)
            if not len(common):
                continue
            labels, outputs = first.labels[own[in_own]], first.outputs[own[in_own]]
            interval = statistics.difference_interval(labels, outputs, other.outputs[theirs], diagnoses)
            lines.append([group, label, len(common), _signed(*interval)])
    last = f"difference of {_metric(diagnoses)} (95 %)"
    return table(["database", f"{first_label} less", "recordings", last], lines) + "\n"


def format_classes(result: Predictions, names: Sequence[str], diagnoses: Diagnoses) -> str:
    """One method by class on the recordings of these databases together."""
    rows = np.isin(result.databases, names)
    answers = result.labels[rows], result.probabilities[rows], result.outputs[rows]
    scores = statistics.measure_classes(*answers, diagnoses)
    lines = [[name, values["positives"], *_measured(values)] for name, values in scores.items()]
    return table(["class", "recordings with it", *MEASURES.values()], lines) + "\n"


def format_disturbed(results: Mapping[str, Mapping[str, Predictions]], diagnoses: Diagnoses) -> str:
    """The metric by disturbance, and what was lost against the first of them, with a 95 % interval.

    `results`: by method, then by disturbance, the undisturbed one first; all of a method on the same recordings.
    """
    divided = parts(by_name[name] for by_name in results.values() for name in by_name)
    columns, cells = ["disturbance"], {name: [name] for by_name in results.values() for name in by_name}
    for part, names in divided.items():
        for label, by_name in results.items():
            reference = next(iter(by_name.values()))
            rows = np.isin(reference.databases, names)
            columns += [f"{label}, {part}", "loss (95 %)"]
            for name, result in by_name.items():
                labels, outputs = result.labels[rows], result.outputs[rows]
                metric = statistics.main_metric(labels, outputs, diagnoses)
                loss = statistics.difference_interval(labels, reference.outputs[rows], outputs, diagnoses)
                cells[name] += [f"{metric:.3f}", "–" if result is reference else _signed(*loss)]
    return table(columns, cells.values()) + "\n"


def _metric(diagnoses: Diagnoses) -> str:
    return statistics.metric_name(diagnoses).replace("_", " ")


def _measured(scores: Mapping[str, float | int | None], measures: Iterable[str] = MEASURES) -> list[str]:
    return ["–" if scores[key] is None else f"{scores[key]:.3f}" for key in measures]


def _signed(value: float, low: float, high: float) -> str:
    value, low, high = (round(number, 3) + 0.0 for number in (value, low, high))  # no -0.000
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], rest: str = "---") -> str:
    """A table without a line end; `rest` marks all columns but the first, "--:" for numbers on the right."""
    lines = ["| " + " | ".join(columns).lstrip() + " |", "|---" + f"|{rest}" * (len(columns) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])
