"""Recordings classified, measured and drawn: a page for each and a table of all."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ecg.arrays import Floats32
from ecg.examination.examine import Examination
from ecg.inference.run_folder import Classified, ClassifyOptions, Outcome, classify, start, step_of
from ecg.io import recording as io_recording
from ecg.io.files import remove_leftovers, write_file
from ecg.io.inputs import Paths, expand_inputs
from ecg.io.recording import describe_failure
from ecg.measurements import Measurements
from ecg.model_folder.folder import adaptation_words
from ecg.model_folder.model import Model
from ecg.report.attribution import Attribution, attribute
from ecg.report.pages import as_json, as_script, page_name, printable, render, render_single, write_assets, write_order
from ecg.report.recording_page import ProbabilityKind, Reported, article, look_at, recording_page, row_of
from ecg.runtime.progress import say
from ecg.runtime.shards import WHOLE

MOST_IN_ONE_FILE = 50
MOST_EXPLAINED = 3  # findings of a recording, the most probable
_INDEX_DATA = "recordings.js"


@dataclass(frozen=True)
class Options:
    """What a report holds."""

    layout: str = "3x4"  # the one that a page shows first
    attribution: bool = False  # whether pages show where the network looked
    pdf: bool = False  # whether there is a printable page of each recording
    single: bool = False  # whether all of it is in one file
    note: str = ""  # a sentence for the top of each page


def report_folder(
    model: Model, recordings: Paths, report: Path, options: Options, how: ClassifyOptions | None = None
) -> Outcome:
    """Classify recordings with the driver's code, and write a page for each and the table of all in the same pass.

    `report` gets ``index.html`` with its data and assets, ``pages/``, ``pdf/`` if asked for, and ``outputs/``, which is
    what ``driver.py`` writes. Every file is written whole or not at all, nothing outside `report`. Pages of recordings
    that are no longer there stay where they are.

    A shard writes outputs and pages alone: the table of all is for a run with `resume` over all recordings when all
    shards are done. It keeps their pages.

    `recordings`: as of `expand_inputs`. Raises ValueError as of `run_folder`, and for more recordings than one file may
    hold; OSError if something can't be written.
    """
    how = how or ClassifyOptions()
    if options.single:
        how = replace(how, resume=False)
        count = sum(1 for _ in expand_inputs(recordings))
        if count > MOST_IN_ONE_FILE:
            expected = f"at most {MOST_IN_ONE_FILE} recordings for --single"
            raise ValueError(f"{recordings}: expected {expected}, found {count}; leave --single out")
    folders = [] if options.single else ["pages", *(["pdf"] if options.pdf else [])]
    for folder in folders:
        (report / folder).mkdir(parents=True, exist_ok=True)
        remove_leftovers(report / folder)
    pages = _Pages(model, report, options)
    outputs = report / "outputs"
    step = step_of(model, how, "report", asdict(options), model.config)
    run = start(model, recordings, outputs, how, report / ".run", step, pages.files)
    remove_leftovers(report)
    if not options.single:
        write_assets(report)
    if options.attribution:
        say("Attribution takes about a second of a core's time for each finding")
    outcome = Outcome(classified_before=len(run.kept))
    rows = {name: [row] for name, row in run.kept.items()}
    articles, explaining = [], []
    pages.numbers = {each.name: k for k, (_, each) in enumerate(run.left)}
    for each, drawn in classify(model, run, outputs, how, partial(_look, options.attribution), pages.finish):
        problems = [*each.examined.problems, *filter(None, [drawn.problem])]
        outcome.add(each)
        outcome.problems += problems[len(each.examined.problems) :]
        rows[each.name] = [drawn.row] if drawn.row else []
        rows[each.name] += [{"name": printable(each.name), "problem": printable(problem)} for problem in problems]
        articles += [drawn.article] if drawn.article else []
        explaining += [drawn.explaining] if drawn.explaining else []
        run.note(replace(each.examined, problems=tuple(problems)), drawn.row)
    if explaining:
        seconds = sum(explaining)
        say(f"Attribution took {seconds:.1f} s, {seconds / len(explaining):.2f} s for a recording")
    in_order = [row for each in run.own for row in rows[each.name]]
    if options.single:
        _write_single(pages, in_order, articles)
    elif how.shard == WHOLE:
        _write_index(pages, in_order)
    say(f"{sum('page' in row for row in in_order)} of {len(in_order)} recordings have a page")
    return outcome


@dataclass(frozen=True)
class _Look:
    """What a page needs of an examination."""

    recording: io_recording.Recording
    measurements: Measurements
    prepared: Floats32  # for attributions, else empty


def _look(attribution: bool, examination: Examination) -> _Look:
    prepared = examination.prepared[:, slice(None) if attribution else slice(0)]
    return _Look(examination.recording, examination.measurements, prepared)


@dataclass(frozen=True)
class _Drawn:
    """A row of the table, for a single file what it shows, and what went wrong."""

    row: dict[str, Any] | None = None
    article: dict[str, Any] | None = None
    problem: str = ""
    explaining: float = 0.0  # s that its attributions took


class _Pages:
    """The pages of a report in the making."""

    def __init__(self, model: Model, report: Path, options: Options) -> None:
        self.model, self.report, self.options = model, report, options
        self.source = _model_words(model)
        self.numbers: dict[str, int] = {}  # of recordings, for their places in a single file
        self._one_at_a_time = Lock()  # beside a GPU threads draw, and Matplotlib can't in several

    def files(self, name: str) -> list[Path]:
        """The files of a recording beside its output."""
        page = page_name(name)
        pdf = [self.report / "pdf" / f"{page}.pdf"] if self.options.pdf else []
        return [] if self.options.single else [self.report / "pages" / f"{page}.html", *pdf]

    def finish(self, classified: Classified) -> tuple[Classified, _Drawn]:
        """Write the page of a recording; where the recording is classified."""
        ready = classified.examined.result
        if ready is None:
            return classified, _Drawn()
        without = replace(classified, examined=replace(classified.examined, result=replace(ready, beside=None)))
        try:
            with self._one_at_a_time:
                return without, self._draw(classified, ready.beside, ready.features)
        except OSError:
            raise  # what can't be written ends the command
        except Exception as error:  # one recording must never cost the others their pages
            return without, _Drawn(problem=describe_failure(classified.examined.path, error))

    def _draw(self, classified: Classified, look: _Look, features: Floats32) -> _Drawn:
        name, layout, note = page_name(classified.name), self.options.layout, self.options.note
        reported = _reported(self.model, classified)
        attributions, seconds = [], 0.0
        if self.options.attribution and classified.is_classified:
            start = time.monotonic()
            attributions = self._explain(look, features, reported)
            seconds = time.monotonic() - start
        recording = look_at(classified.name, look.recording, look.measurements, reported)
        if self.options.single:
            prefix = f"r{self.numbers[classified.name]}-"
            content = article(recording, prefix, layout, attributions=attributions)
            return _Drawn(row_of(recording, f"#{prefix}page"), content, explaining=seconds)
        pdf = ""
        if self.options.pdf:
            from ecg.report.pdf import write_pdf

            write_pdf(self.report / "pdf" / f"{name}.pdf", recording, layout, note)
            pdf = f"../pdf/{name}.pdf"
        content = article(recording, "", layout, pdf=pdf, attributions=attributions)
        page = recording_page(recording, "ECG report", content, source=self.source, note=note)
        write_file(self.report / "pages" / f"{name}.html", page)
        return _Drawn(row_of(recording, f"pages/{name}.html"), explaining=seconds)

    def _explain(self, look: _Look, features: Floats32, reported: Reported) -> list[Attribution]:
        found = sorted(np.flatnonzero(reported.labels).tolist(), key=lambda k: -reported.probabilities[k])
        model, wanted = self.model, found[:MOST_EXPLAINED]
        return attribute(model.method, model.networks, look.prepared, features, wanted, model.device)


def _reported(model: Model, result: Classified) -> Reported:
    """What the model says of a recording, for its page."""
    disagreeing: tuple[int, ...] = ()
    ready = result.examined.result
    if len(result.members) > 1:
        votes = model.decide_each(result.members, None if ready is None else ready.features)
        disagreeing = tuple(np.flatnonzero(votes.any(axis=0) & ~votes.all(axis=0)).tolist())
    kind: ProbabilityKind = "own"
    # To the digits of the output file.
    probabilities = result.scores.astype(np.float32).astype(np.float64)
    thresholds = model.thresholds.mean(axis=0)
    if model.adaptation is not None or model.method.decision.moves_scores:
        thresholds, kind = np.full(len(probabilities), 0.5), "moved" if model.adaptation is None else "adapted"
        if model.adaptation is not None and model.adaptation.thresholds is not None:
            thresholds = model.adaptation.thresholds
    elif model.calibration is not None:  # both in the same way, so that what is above stays above
        probabilities, thresholds = (model.calibration.apply(each) for each in (probabilities, thresholds))
        kind = "calibrated"
    said = result.labels.astype(bool), probabilities, thresholds, disagreeing, kind
    refusal = "" if ready is None else ready.refusal
    return Reported(model.method.classes, *said, model.method.diagnoses, model.definitions, refusal)


def _write_index(pages: _Pages, rows: list[dict[str, Any]]) -> None:
    report = pages.report
    order = [(row["page"].removeprefix("pages/"), row["name"]) for row in rows if "page" in row]
    write_order(report, order)
    write_file(report / _INDEX_DATA, as_script(_table(pages.model, rows)))
    context = _overview(pages, rows)
    index = render("index.html", "ECG report", root="", scripts=["index.js"], data=_INDEX_DATA, **context)
    write_file(report / "index.html", index)


def _write_single(pages: _Pages, rows: list[dict[str, Any]], articles: list[dict[str, Any]]) -> None:
    context = _overview(pages, rows) | {"recordings": articles, "data": as_json(_table(pages.model, rows))}
    single = render_single("single.html", "ECG report", scripts=["index.js", "recording.js"], **context)
    write_file(pages.report / "index.html", single)


def _table(model: Model, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "classes": [row.abbreviations[0] for row in model.method.diagnoses.rows],
        "names": [row.words for row in model.method.diagnoses.rows],
        "labelled": any("right" in row for row in rows),
        "recordings": rows,
    }


def _overview(pages: _Pages, rows: list[dict[str, Any]]) -> dict[str, Any]:
    facts = [
        f"{sum(bool(row.get('unsure')) for row in rows)} unsure",
        f"{sum(bool(row.get('warnings')) for row in rows)} with quality warnings",
        f"{sum('problem' in row for row in rows)} without a page",
    ]
    about = {"note": pages.options.note, "diagnoses": pages.model.method.diagnoses}
    return {"n_recordings": len(rows), "facts": facts, "source": pages.source, **about}


def _model_words(model: Model) -> str:
    config: Mapping[str, Any] = model.config
    weights = ", ".join(str(row["sha256"])[:8] for row in config["members"])
    count = len(model.networks)
    adapted = "" if model.adaptation is None else f", adapted {adaptation_words(config)}"
    return (
        f"Model: method {model.method.name}, {count} network{'s' if count > 1 else ''} (weights {weights}){adapted}. "
        "Unsure: a disturbed recording, exchanged electrodes, an unclear rhythm, or networks that disagree about a "
        "close call."
    )
