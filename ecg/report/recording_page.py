"""What stands on a recording's page, and its row in the table of all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ecg.arrays import Bools, Floats, Signal
from ecg.decisions.conventions import CONVENTIONS, DEFAULT
from ecg.interpretation import Statement, doubts, interpret
from ecg.interpretation.recording_quality import quality_warnings
from ecg.io import recording as io_recording
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.leads import LEADS, fill_missing
from ecg.measurements import Measurements
from ecg.report import figures
from ecg.report.attribution import Attribution
from ecg.report.ecg_paper import LAYOUTS, SECONDS, paper, trace_definitions
from ecg.report.findings import ADULT, Comparison, Finding, compare, doubt, findings, measurement_rows, summary
from ecg.report.pages import ORDER, printable, render, with_digits

CLOSE_CALL = (0.3, 0.7)  # probabilities at which members that disagree make a recording uncertain
_AMPLITUDES = {"p": "P", "q": "Q", "r": "R", "s": "S", "t": "T", "st_j": "ST at J", "st_60": "ST at J+60"}


ProbabilityKind = Literal["own", "calibrated", "moved", "adapted"]
_KINDS: dict[ProbabilityKind, str] = {
    "own": "Probabilities are the network's own, as the driver writes them; they are not calibrated.",
    "calibrated": "Probabilities are calibrated: fitted, class by class, on recordings that the model was not trained "
    "on. In another hospital, where diagnoses occur more or less often, they are less exact.",
    "moved": "Probabilities are for a hospital where diagnoses are about as frequent as in large published databases, "
    "as the driver writes them. Where they occur more or less often, they are less exact.",
    "adapted": "Probabilities are adapted to the labelled recordings of one hospital, as the driver writes them. In "
    "another hospital they are less exact.",
}


@dataclass(frozen=True)
class Reported:
    """What the model says of a recording; thresholds are known only where the model is at hand."""

    classes: tuple[str, ...]
    labels: Bools  # (n_classes,), bool
    probabilities: Floats  # (n_classes,), float64
    # (n_classes,), float64: mean over the members; one half where they have no part in the decision (`by_thresholds`).
    thresholds: Floats | None = None
    disagreeing: tuple[int, ...] = ()  # classes that some members give and others don't
    # One of "own", "calibrated", "moved", "adapted": whether probabilities and thresholds are calibrated, moved to
    # other prior odds or adapted to a hospital (and so written by the driver), or the network's own.
    kind: ProbabilityKind = "own"
    diagnoses: Diagnoses = CHALLENGE_2020  # the set that the classes are of
    definitions: str = DEFAULT  # the convention of the statements
    refusal: str = ""  # why the model says nothing; "" where it does. Then no class is given, and no probability known.

    @property
    def by_thresholds(self) -> bool:
        """Whether thresholds have a part in it: not in labels of the highest expected score by these probabilities."""
        return self.kind not in ("moved", "adapted")


@dataclass(frozen=True)
class Recording:
    """A recording with all that is known of it."""

    name: str
    header: io_recording.Recording
    signal: Signal
    reported: Reported
    measured: Measurements
    rows: list[Finding]
    comparison: Comparison | None
    warnings: list[tuple[str, str]]
    statements: list[Statement]

    @cached_property
    def leads(self) -> list[str]:
        """Those that the file has."""
        return [lead for lead, samples in zip(LEADS, self.signal, strict=True) if not np.isnan(samples).all()]

    @property
    def doubts(self) -> list[str]:
        """Why its statements are uncertain as a whole."""
        split = {self.reported.classes[k] for k in self.reported.disagreeing}
        low, high = CLOSE_CALL
        names = [row.name for row in self.rows if row.code in split and low <= row.probability < high]
        reasons = doubts(self.statements, self.measured, names)
        refusal = self.reported.refusal
        return [f"measured criteria alone: the model {refusal}", *reasons] if refusal else reasons

    @property
    def doubt(self) -> float:
        return doubt(self.doubts, self.statements)


def look_at(name: str, given: io_recording.Recording, measured: Measurements, reported: Reported) -> Recording:
    """Put the findings of a recording into words. `name`: as it is shown."""
    said = {} if reported.refusal else dict(zip(reported.classes, reported.probabilities.tolist(), strict=True))
    statements = interpret(measured, given.age, given.sex, {"model": said}, reported.definitions)
    answers = reported.labels, reported.probabilities, reported.thresholds, reported.by_thresholds
    rows = [] if reported.refusal else findings(reported.diagnoses, *answers)
    comparison = compare(rows, given.labels, reported.diagnoses) if rows else None
    found = rows, comparison, quality_warnings(measured), statements
    return Recording(printable(name), given, given.signal, reported, measured, *found)


def recording_page(recording: Recording, kind: str, content: dict[str, Any], *, source: str, note: str) -> str:
    """The page of one recording in a report of that kind; `content` is that of `article`."""
    context: dict[str, Any] = {"note": note, "diagnoses": recording.reported.diagnoses, "r": content, "source": source}
    title = f"{recording.name} · {kind}"
    return render("recording.html", title, root="../", scripts=["recording.js"], data=ORDER, **context)


def row_of(recording: Recording, page: str) -> dict[str, Any]:
    """The recording's row in the table of all, for JSON."""
    measured, reported = recording.measured, recording.reported
    order = sorted(np.flatnonzero(reported.labels).tolist(), key=lambda k: -reported.probabilities[k])
    row: dict[str, Any] = {"name": recording.name, "page": page}
    row["found"] = [[k, round(float(reported.probabilities[k]), 3)] for k in order]
    row |= {"rate": _whole(measured.heart_rate_bpm), "pr": _whole(measured.pr_ms), "qrs": _whole(measured.qrs_ms)}
    row |= {"qtc": _whole(measured.qtc_fridericia_ms), "axis": _whole(measured.qrs_axis_deg)}
    row["warnings"] = [word for word, _ in recording.warnings]
    if reported.thresholds is not None:
        row |= {"doubt": recording.doubt, "unsure": bool(recording.doubts)}
    if recording.comparison is not None:
        comparison = recording.comparison
        row |= {"right": list(comparison.right), "missed": list(comparison.missed), "added": list(comparison.added)}
    return row


def _whole(value: float) -> int | None:
    return round(value) if math.isfinite(value) else None


def article(
    recording: Recording, prefix: str, layout: str, *, pdf: str = "", attributions: Sequence[Attribution] = ()
) -> dict[str, Any]:
    """All that `_recording.html` needs.

    `prefix`: letters, digits and `-`, in front of every id; one of its own for each recording on a page. `layout`: the
    one that is shown first. `pdf`: address of the printable page, "" where there is none.
    """
    header, signal, measured = recording.header, recording.signal, recording.measured
    shown = with_derived_leads(signal)
    off = measured.quality.leads_off
    picture = _picture_words(recording)
    beats = zip((measured.beats.samples / header.sampling_frequency).tolist(), measured.beats.kinds, strict=True)
    marked = [(seconds, kind) for seconds, kind in beats if kind != "dominant"]
    amplitudes = ([with_digits(value, 2) for value in getattr(measured.amplitudes, key)] for key in _AMPLITUDES)
    measurements = measurement_rows(measured, header.age, header.sex)
    return {
        "prefix": prefix,
        "name": recording.name,
        "facts": facts_of(recording),
        "summary": summary(recording.statements),
        "statements": [_shown(each) for each in recording.statements],
        "convention": CONVENTIONS[recording.reported.definitions],
        "warnings": recording.warnings,
        "doubts": recording.doubts,
        "definitions": trace_definitions(shown, header.sampling_frequency, prefix),
        "papers": {name: paper(name, prefix, picture, off, marked) for name in LAYOUTS},
        "layout": layout,
        "caption": _caption(recording, bool(marked)),
        "pdf": pdf,
        "findings": [_with_bar(row) for row in recording.rows],
        "how_decided": _how_decided(recording),
        "comparison": recording.comparison,
        "measurements": measurements,
        "beats": _beats_words(measured),
        "amplitude_names": list(_AMPLITUDES.values()),
        "amplitudes": list(zip(LEADS, zip(*amplitudes, strict=True), strict=True)),
        "sources": _sources(measurements),
        "child": header.age < ADULT,
        "median_beat": None if measured.median_beat is None else figures.median_beat(measured.median_beat),
        "beat_caption": _beat_caption(measured),
        "attributions": [_attribution(each, recording, prefix) for each in attributions],
    }


def with_derived_leads(signal: Signal) -> Signal:
    """The signal with limb leads that the file lacks computed from two others; what is unknown stays unknown."""
    lost = np.isnan(signal).all(axis=1)
    if not lost.any():
        return signal
    shown = fill_missing(signal).copy()
    shown[~lost] = signal[~lost]  # gaps stay gaps
    shown[lost & ~shown.any(axis=1)] = np.nan
    return shown


def facts_of(recording: Recording) -> list[str]:
    """Age, sex, length, rate and missing leads, in words."""
    header = recording.header
    seconds = recording.signal.shape[1] / header.sampling_frequency
    age = f"{header.age:.0f} years" if math.isfinite(header.age) else "age unknown"
    sex = {"Female": "female", "Male": "male"}.get(header.sex, "sex unknown")
    missing = [lead for lead in LEADS if lead not in recording.leads]
    facts = [f"{sex}, {age}", f"{seconds:.0f} s at {header.sampling_frequency:g} Hz"]
    if missing:
        facts.append(f"not in the file: {', '.join(missing)}")
    return facts


def _picture_words(recording: Recording) -> str:
    rate = recording.measured.heart_rate_bpm
    at = f", {rate:.0f} beats per minute" if math.isfinite(rate) else ""
    return f"Twelve-lead ECG of {recording.name}{at}. Statements: {summary(recording.statements)}"


def _caption(recording: Recording, marked: bool) -> str:
    seconds = recording.signal.shape[1] / recording.header.sampling_frequency
    words = []
    if seconds > SECONDS + 0.05:
        words.append(f"The first {SECONDS:g} s of {seconds:.0f} s; statements and measurements are of all of it.")
    if marked:
        words.append("▼ over lead II: a beat unlike the others.")
    missing = [lead for lead in LEADS[:6] if lead not in recording.leads]
    if missing and sum(lead in recording.leads for lead in LEADS[:6]) >= 2:
        words.append(f"{', '.join(missing)} computed from the other limb leads.")
    measured = dict(zip(LEADS[:6], np.isfinite(recording.measured.amplitudes.r[:6]), strict=True))
    words += [
        f"{lead} shows nothing here; its measurements are computed from the other limb leads."
        for lead in recording.measured.quality.leads_off
        if measured.get(lead)
    ]
    return " ".join(words)


def _how_decided(recording: Recording) -> str:
    if recording.reported.refusal:
        return f"The model {recording.reported.refusal}."
    words = [_KINDS[recording.reported.kind]]
    if recording.reported.thresholds is None:
        words.append("Thresholds are not part of output files.")
    elif any(row.found != (row.probability >= row.threshold) for row in recording.rows):
        limit = "its threshold" if recording.reported.by_thresholds else "one half"
        words.append(
            "The method decides over all classes together, for the highest expected Challenge score: a class "
            f"may be found below {limit}, or left out above it."
        )
    return " ".join(words)


def _shown(statement: Statement) -> dict[str, Any]:
    known = math.isfinite(statement.probability)
    return {
        "words": statement.statement,
        "code": statement.code,
        "certainty": statement.certainty,
        "evidence": statement.evidence,
        "acute": statement.acute,
        "bar": figures.likely_bar(statement.probability, math.nan) if known else "",
    }


def _beats_words(measured: Measurements) -> str:
    waves = "" if measured.n_beats == 0 else (" P waves found." if measured.has_p_waves else " No P waves found.")
    ectopic = f", {measured.n_ectopic} of them ectopic" if measured.n_ectopic else ""
    return f"{measured.n_beats} beat{'s' * (measured.n_beats != 1)}{ectopic}.{waves}"


def _beat_caption(measured: Measurements) -> str:
    if measured.median_beat is None:
        return ""
    return (
        f"Median of {measured.median_beat.n_beats} beats, 50 mm/s, 10 mm/mV, level before the QRS at zero. Dashed "
        "lines: where P, QRS and T begin and end in all leads together."
    )


def _limit_words(row: Finding) -> str:
    """What a page says below the bar of a probability."""
    if math.isnan(row.threshold):
        return ""
    if row.decides:
        return f"threshold {row.threshold:.2f}" + (", close" if row.close else "")
    if row.found != (row.probability >= row.threshold):
        return "below one half, yet found" if row.found else "one half or more, yet left out"
    return "close to one half" if row.close else ""


def _with_bar(row: Finding) -> dict[str, Any]:
    return vars(row) | {"limit": _limit_words(row), "bar": figures.likely_bar(row.probability, row.threshold)}


def _sources(measurements: Sequence[Any]) -> list[tuple[str, str]]:
    names: dict[str, list[str]] = {}
    for row in measurements:
        if row.source:
            names.setdefault(row.source, []).append(row.name)
    return [(", ".join(each), source) for source, each in names.items()]


def _attribution(each: Attribution, recording: Recording, prefix: str) -> dict[str, Any]:
    code = recording.reported.classes[each.class_index]
    name = next(row.name for row in recording.rows if row.code == code)
    speaks = np.maximum(each.values, 0).sum(axis=1)
    shares = speaks / max(float(speaks.sum()), 1e-12)
    strongest = [f"{LEADS[k]} {shares[k]:.0%}" for k in np.argsort(-shares)[:4]]
    total = float(each.values.sum(dtype=np.float64))
    words = (
        f"What speaks for it is mostly in {', '.join(strongest)}. All bars together: {total:+.2f} logits, of "
        f"{each.logit - each.baseline_logit:+.2f} between this recording ({each.logit:+.2f}) and one without any "
        f"signal ({each.baseline_logit:+.2f}); {each.shortfall:.1%} of it is not accounted for."
    ).replace("-", "−")
    return {"name": name, "words": words, "picture": figures.looked_at(each, prefix, name)}
