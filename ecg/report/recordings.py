"""A folder of recordings judged, measured and drawn: a page for each and a table of all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg.inference.run_folder import Outcome, recordings_of_shard, run_folder
from ecg.io.files import remove_leftovers, write_file
from ecg.io.formats import find_recordings, read_signal
from ecg.io.header import Header
from ecg.model_folder.folder import Model, adaptation_words
from ecg.report.attribution import Attribution, attribute
from ecg.report.pages import (
    as_json,
    as_script,
    digest_of_templates,
    page_name,
    printable,
    render,
    render_single,
    write_assets,
)
from ecg.report.recording_page import Judged, ProbabilityKind, Recording, article, look_at, row_of
from ecg.runtime.progress import progress, say
from ecg.runtime.shards import WHOLE, Shard
from ecg.scoring.output_files import load_outputs

MOST_IN_ONE_FILE = 50
MOST_EXPLAINED = 3  # findings of a recording, the most probable
_INDEX_DATA = "recordings.js"


@dataclass(frozen=True)
class Options:
    """What a report holds.

    Attributes
    ----------
    layout : str
        The one that a page shows first.
    attribution : bool
        Whether pages show where the network looked.
    pdf : bool
        Whether there is a printable page of each recording.
    single : bool
        Whether all of it is in one file.
    note : str
        A sentence for the top of each page.
    """

    layout: str = "3x4"
    attribution: bool = False
    pdf: bool = False
    single: bool = False
    note: str = ""


@dataclass
class _Run:
    model: Model
    report: Path
    options: Options
    outcome: Outcome
    judged: dict[str, Judged]  # by the name of the file
    order: list[str] = field(default_factory=list)
    attribution_seconds: float = 0.0
    n_explained: int = 0


def report_folder(
    model: Model,
    recordings: Path,
    report: Path,
    options: Options,
    *,
    workers: int,
    resume: bool = False,
    deterministic: bool = False,
    shard: Shard = WHOLE,
) -> Outcome:
    """Judge a folder with the driver's code, then write a page for each recording and the table of all.

    `report` gets ``index.html`` with its data and assets, ``pages/``, ``pdf/`` if asked for, ``rows/`` (what --resume
    goes on from) and ``outputs/``, which is what ``driver.py`` writes. Every file is written whole or not at all,
    nothing outside `report`. Pages of recordings that are no longer there stay where they are.

    A shard writes outputs and pages alone: the table of all is for a run with `resume` over the whole folder when all
    shards are done. It keeps their pages, but for those next to a recording that could not be judged in another shard.

    Parameters
    ----------
    model : Model
    recordings, report : Path
    options : Options
    workers, resume, deterministic, shard
        As of `run_folder`. With `resume` a page is kept that was made of the same output, files and options.

    Returns
    -------
    Outcome
        Of judging; a recording without a page is among its problems.

    Raises
    ------
    ValueError
        As `run_folder`, and for more recordings than one file may hold.
    OSError
        If something can't be written.
    """
    if options.single and recordings.is_dir():
        count = sum(1 for _ in find_recordings(recordings))
        if count > MOST_IN_ONE_FILE:
            raise ValueError(
                f"{recordings}: expected at most {MOST_IN_ONE_FILE} recordings for --single, found "
                f"{count}; leave --single out"
            )
    members = report / "outputs" / "members"
    many = len(model.networks) > 1
    if many:
        members.mkdir(parents=True, exist_ok=True)

    def keep(stem: str, probabilities: NDArray[np.float64]) -> None:
        write_file(members / f"{page_name(stem)}.json", json.dumps(probabilities.tolist()))

    outcome = run_folder(
        model,
        recordings,
        report / "outputs",
        workers=workers,
        resume=resume,
        deterministic=deterministic,
        shard=shard,
        see_members=keep if many else None,
    )
    everyone = [Path(path).stem for path in find_recordings(recordings)]
    paths = list(recordings_of_shard(model, recordings, shard, deterministic))
    judged = {}
    for stem in dict.fromkeys(path.stem for path in paths):
        result = _judged(
            model, report / "outputs" / f"{stem}.csv", members / f"{page_name(stem)}.json" if many else None
        )
        if result is not None:
            judged[stem] = result
    if options.attribution:
        say("Attribution takes about a second of a core's time for each finding")
    # Recordings of other shards count as judged: nobody knows yet.
    own = {path.stem for path in paths}
    order = [stem for stem in dict.fromkeys(everyone) if stem in judged or stem not in own]
    run = _Run(model, report, options, outcome, judged, order)
    rows = _write_single(run, paths) if options.single else _write_pages(run, paths, resume, shard)
    _say_cost(run)
    say(f"{sum('page' in row for row in rows)} of {len(rows)} recordings have a page")
    return outcome


def _judged(model: Model, output: Path, members: Path | None) -> Judged | None:
    """What an output says; None of a recording that could not be judged."""
    try:
        _, classes, labels, scores = load_outputs(output)
        each = np.array(json.loads(members.read_bytes())) if members else None
    except (OSError, ValueError):
        return None
    if classes != model.method.classes or not any(scores):
        return None
    disagreeing: tuple[int, ...] = ()
    if each is not None:
        votes = model.decide_each(each)
        disagreeing = tuple(np.flatnonzero(votes.any(axis=0) & ~votes.all(axis=0)).tolist())
    kind: ProbabilityKind = "own"
    probabilities, thresholds = np.array(scores), model.thresholds.mean(axis=0)
    if model.adaptation is not None or model.method.decision.moves_scores:
        thresholds, kind = np.full(len(classes), 0.5), "moved" if model.adaptation is None else "adapted"
        if model.adaptation is not None and model.adaptation.thresholds is not None:
            thresholds = model.adaptation.thresholds
    elif model.calibration is not None:  # both in the same way, so that what is above stays above
        probabilities, thresholds = (model.calibration.apply(each) for each in (probabilities, thresholds))
        kind = "calibrated"
    return Judged(
        classes, np.array(labels, dtype=bool), probabilities, thresholds, disagreeing, kind, model.method.diagnoses
    )


# --- A page for each recording ----------------------------------------------------------------------------------------


def _write_pages(run: _Run, paths: list[Path], resume: bool, shard: Shard) -> list[dict[str, Any]]:
    for folder in ("pages", "rows", *(["pdf"] if run.options.pdf else [])):
        (run.report / folder).mkdir(parents=True, exist_ok=True)
        remove_leftovers(run.report / folder)
    remove_leftovers(run.report)
    write_assets(run.report)
    made_with = _digest([digest_of_templates(), asdict(run.options), run.model.config])
    rows = list(progress(_rows(run, paths, made_with, resume), len(paths), "Writing pages"))
    if shard != WHOLE:
        return rows
    write_file(run.report / _INDEX_DATA, as_script(_table(run.model, rows)))
    write_file(
        run.report / "index.html",
        render(
            "index.html",
            "ECG report",
            root="",
            scripts=["index.js"],
            data=_INDEX_DATA,
            note=run.options.note,
            diagnoses=run.model.method.diagnoses,
            **_overview(run, rows),
        ),
    )
    return rows


def _rows(run: _Run, paths: list[Path], made_with: str, resume: bool) -> Iterator[dict[str, Any]]:
    places = {stem: place for place, stem in enumerate(run.order)}
    taken: set[str] = set()
    for path in paths:
        if path.stem not in run.judged or path.stem in taken:
            yield _row_without_page(run, path, path.stem in taken)
            continue
        place = places[path.stem]
        near = [run.order[k] if 0 <= k < len(run.order) else "" for k in (place - 1, place + 1)]
        name = page_name(path.stem)
        made_of = _digest([made_with, near, _stamps(path, run.report / "outputs" / f"{path.stem}.csv")])
        row = _kept_row(run, name, made_of) if resume else None
        if row is None:
            try:
                header, signal = read_signal(path)
            except ValueError:
                yield _row_without_page(run, path, double=False)
                continue
            row = _write_page(run, path.stem, header, signal, near, made_of)
        taken.add(path.stem)
        yield row


def _write_page(
    run: _Run, stem: str, header: Header, signal: NDArray[np.float32], near: list[str], made_of: str
) -> dict[str, Any]:
    name, pages = page_name(stem), run.report / "pages"
    recording = look_at(stem, header, signal, run.judged[stem])
    pdf = ""
    if run.options.pdf:
        from ecg.report.pdf import write_pdf

        write_pdf(run.report / "pdf" / f"{name}.pdf", recording, run.options.layout, run.options.note)
        pdf = f"../pdf/{name}.pdf"
    page = render(
        "recording.html",
        f"{recording.name} · ECG report",
        root="../",
        scripts=["recording.js"],
        note=run.options.note,
        diagnoses=run.model.method.diagnoses,
        r=article(recording, "", run.options.layout, pdf=pdf, attributions=_explain(run, recording)),
        before=_link(near[0]),
        after=_link(near[1]),
        source=_model_words(run.model),
    )
    write_file(pages / f"{name}.html", page)
    row = row_of(recording, f"pages/{name}.html")
    write_file(run.report / "rows" / f"{name}.json", json.dumps({"made_of": made_of, "row": row}))
    return row


def _link(stem: str) -> dict[str, str] | None:
    return {"page": f"{page_name(stem)}.html", "name": printable(stem)} if stem else None


def _kept_row(run: _Run, name: str, made_of: str) -> dict[str, Any] | None:
    """The row of a page that an earlier run has finished from the same things."""
    files = [run.report / "pages" / f"{name}.html"]
    if run.options.pdf:
        files.append(run.report / "pdf" / f"{name}.pdf")
    try:
        stored = json.loads((run.report / "rows" / f"{name}.json").read_bytes())
        kept = stored["made_of"] == made_of and all(file.exists() for file in files)
        return stored["row"] if kept else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _stamps(path: Path, output: Path) -> list[object]:
    """What tells that a recording or its output has changed."""
    stamps: list[object] = [output.read_text(encoding="utf-8")]
    for file in (path, path.with_suffix(".mat"), path.with_suffix(".dat")):
        if file.exists():
            status = file.stat()
            stamps.append([file.suffix, status.st_size, status.st_mtime_ns])
    return stamps


def _digest(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=dict).encode()).hexdigest()


def _row_without_page(run: _Run, path: Path, double: bool) -> dict[str, Any]:
    if double:
        reason = "another recording of this name came before; left out"
    else:
        # The file at fault may be another one of the recording: its signals or its sidecar.
        start = re.compile(re.escape(os.fspath(path.with_suffix(""))) + r"(\.\w+)?: ")
        reason = next(filter(start.match, run.outcome.problems), "could not be judged")
    return {"name": printable(path.stem), "problem": printable(reason)}


# --- All in one file --------------------------------------------------------------------------------------------------


def _write_single(run: _Run, paths: list[Path]) -> list[dict[str, Any]]:
    run.report.mkdir(parents=True, exist_ok=True)
    remove_leftovers(run.report)
    rows: list[dict[str, Any]] = []
    articles = []
    taken: set[str] = set()
    for number, path in enumerate(progress(paths, len(paths), "Drawing")):
        try:
            if path.stem not in run.judged or path.stem in taken:
                raise ValueError
            header, signal = read_signal(path)
        except ValueError:
            rows.append(_row_without_page(run, path, path.stem in taken))
            continue
        taken.add(path.stem)
        recording = look_at(path.stem, header, signal, run.judged[path.stem])
        prefix = f"r{number}-"
        articles.append(article(recording, prefix, run.options.layout, attributions=_explain(run, recording)))
        rows.append(row_of(recording, f"#{prefix}page"))
    write_file(
        run.report / "index.html",
        render_single(
            "single.html",
            "ECG report",
            scripts=["index.js", "recording.js"],
            note=run.options.note,
            recordings=articles,
            data=as_json(_table(run.model, rows)),
            **_overview(run, rows),
        ),
    )
    return rows


# --- What both have ---------------------------------------------------------------------------------------------------


def _explain(run: _Run, recording: Recording) -> list[Attribution]:
    if not run.options.attribution:
        return []
    start = time.monotonic()
    method, judged = run.model.method, recording.judged
    found = sorted(np.flatnonzero(judged.labels).tolist(), key=lambda k: -judged.probabilities[k])[:MOST_EXPLAINED]
    prepared = method.input.preprocess(recording.signal, recording.header.sampling_frequency)
    explained = attribute(
        method,
        run.model.networks,
        prepared,
        method.input.features(recording.header, recording.signal),
        found,
        run.model.device,
    )
    run.attribution_seconds += time.monotonic() - start
    run.n_explained += 1
    return explained


def _say_cost(run: _Run) -> None:
    if run.n_explained:
        each = run.attribution_seconds / run.n_explained
        say(f"Attribution took {run.attribution_seconds:.1f} s, {each:.2f} s for a recording")


def _table(model: Model, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "classes": [row.abbreviations[0] for row in model.method.diagnoses.rows],
        "names": [row.words for row in model.method.diagnoses.rows],
        "labelled": any("right" in row for row in rows),
        "recordings": rows,
    }


def _overview(run: _Run, rows: list[dict[str, Any]]) -> dict[str, Any]:
    n_problems = sum("problem" in row for row in rows)
    facts = [
        f"{sum(bool(row.get('unsure')) for row in rows)} unsure",
        f"{sum(bool(row.get('warnings')) for row in rows)} with quality warnings",
        f"{n_problems} without a page",
    ]
    return {"n_recordings": len(rows), "facts": facts, "source": _model_words(run.model)}


def _model_words(model: Model) -> str:
    config: Mapping[str, Any] = model.config
    weights = ", ".join(str(row["sha256"])[:8] for row in config["members"])
    count = len(model.networks)
    adapted = "" if model.adaptation is None else f", adapted {adaptation_words(config)}"
    return (
        f"Model: method {model.method.name}, {count} network{'s' if count > 1 else ''} (weights {weights}){adapted}. "
        "Unsure: a probability within 0.1 of its threshold (or of one half, where none decides), networks that "
        "disagree, or a disturbed recording."
    )
