"""Statements of recordings: each read once, measured once, run through every model once."""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ecg.decisions.conventions import CONVENTIONS, DEFAULT
from ecg.examination.examine import Examination
from ecg.examination.examine_folder import CORES, Candidates, Examined, examine_folder, examine_groups
from ecg.inference.computing import Computing
from ecg.inference.predict import Item
from ecg.interpretation import Statement, doubts, interpret
from ecg.interpretation.interpret import Opinions
from ecg.interpretation.statement_list import terms_of_class
from ecg.io.files import write_file
from ecg.io.formats import read
from ecg.io.recording import Recording
from ecg.measurements import Measurements, measure
from ecg.methods.base import Method
from ecg.methods.reduced_leads import lead_problem
from ecg.model_folder.model import Model
from ecg.runtime.device import pick_device

T = TypeVar("T")
COLUMNS = ("record", "code", "statement", "certainty", "probability", "evidence")
NO_DEVICE = "Research software, not a medical device, often wrong. Don't use it for a person's care."
_ON_A_GPU = 32  # recordings that go through the networks together


@dataclass(frozen=True)
class Interpretation:
    """What is said of a recording.

    Attributes
    ----------
    record : str
    statements : list of Statement
        What is acute first.
    uncertain : list of str
        Reasons to doubt all of it; empty for most.
    problem : str
        Why there is no statement; "" where there are.
    measured : Measurements, optional

    Examples
    --------
    >>> import ecg
    >>> found = ecg.interpret(ecg.simulate("AF", seed=7), models=())
    >>> found.record, found.problem, found.measured.has_p_waves
    ('AF-7', '', False)
    """

    record: str
    statements: list[Statement] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)
    problem: str = ""
    measured: Measurements | None = None


@dataclass(frozen=True)
class Ready:
    """A recording without its signal, its measurements, and what the networks of each model need."""

    recording: Recording
    measured: Measurements
    items: list[Item]
    refusal: str = ""  # why a model can say nothing of it


def interpret_recordings(
    paths: Iterable[str | os.PathLike[str]],
    models: Sequence[Model] = (),
    definitions: str = DEFAULT,
    workers: int = CORES,
) -> Iterator[Interpretation]:
    """Interpret recordings one after the other.

    `models`: of the Challenge's classes or PTB-XL's statements; none for the criteria alone. `definitions`: a
    convention; models that know conventions follow it too. `workers`: processes that read and measure, and on a CPU
    run the networks. Results are in the order of `paths`; one that can't be read has a problem and costs the others
    nothing. Raises ValueError if there is no such convention, or statements know no class of a model.
    """
    if definitions not in CONVENTIONS:
        raise ValueError(f"definitions {definitions!r}: expected one of {', '.join(CONVENTIONS)}")
    for model in models:
        if not any(map(terms_of_class, model.method.classes)):
            found = model.method.diagnoses.name
            raise ValueError(
                f"expected models of the Challenge's diagnoses or PTB-XL's statements, found one of {found}"
            )
    candidates = [Candidates(Path(path).stem, (os.fspath(path),)) for path in paths]
    work = partial(_prepare, [model.method for model in models])
    fast = cache(lambda: [Computing(model.device, False).ready(model) for model in models])
    then = partial(_through_networks, fast, definitions)
    computing = Computing(models[0].device if models else pick_device("cpu"), False)
    if computing.in_workers:
        groups = _parts(candidates, computing.group_size(len(candidates)))
        yield from examine_groups(groups, work, then, workers=workers)
    else:
        for some in _parts(examine_folder(candidates, work, workers=workers), _ON_A_GPU):
            yield from then(some)


def _parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    items = iter(items)
    while some := list(islice(items, size)):
        yield some


def _through_networks(
    models: Callable[[], Sequence[Model]], definitions: str, examined: Iterable[Examined[Ready]]
) -> Iterator[Interpretation]:
    """`models`: gives them as `Computing.ready` does."""
    some = list(examined)
    ready = [each.result for each in some if each.result is not None]
    opinions = iter(opinions_of(ready, models(), definitions, deterministic=False))
    for each in some:
        if each.result is None:
            yield Interpretation(each.name, problem=each.problems[0])
        else:
            yield _interpretation(each.name, each.result, next(opinions), definitions)


def interpret_recording(
    recording: Recording, models: Sequence[Model] = (), definitions: str = DEFAULT
) -> Interpretation:
    """As `interpret_recordings`, one recording that is in memory, in float32; what is wrong with it is raised."""
    ready = examined_for(recording, [model.method for model in models])
    [opinions] = opinions_of([ready], models, definitions)
    return _interpretation(recording.name, ready, opinions, definitions)


def _interpretation(name: str, ready: Ready, opinions: Opinions, definitions: str) -> Interpretation:
    recording, measured = ready.recording, ready.measured
    statements = interpret(measured, recording.age, recording.sex, opinions, definitions)
    reasons = [*filter(None, [ready.refusal]), *doubts(statements, measured)]
    return Interpretation(name, statements, reasons, measured=measured)


def _prepare(methods: Sequence[Method], path: Path) -> Ready:
    return examined_for(read(path), methods)


def examined_for(recording: Recording, methods: Sequence[Method]) -> Ready:
    """Measure a recording once, and make what each network takes; nothing for one that needs leads it lacks."""
    measured = measure(recording.signal, recording.sampling_frequency)
    nothing = recording.signal[:, :0].copy()
    items, refusal = [], ""
    for method in methods:
        if sentence := lead_problem(method, recording.signal):
            refusal = f"measured criteria alone: the model {sentence}"
            items.append(Item(None, nothing, np.empty(0, np.float32)))
            continue
        examined = Examination(recording, method.input, measured)
        items.append(Item(None, examined.prepared, examined.features))
    return Ready(replace(recording, signal=nothing), measured, items, refusal)


def opinions_of(
    ready: Sequence[Ready], models: Sequence[Model], definitions: str, *, deterministic: bool = True
) -> list[Opinions]:
    """Calibrated probabilities of each model for each recording, by class.

    `models`: as `Computing.ready` gives them. `deterministic`: as of `Computing`.
    """
    opinions: list[dict[str, dict[str, float]]] = [{} for _ in ready]
    for number, model in enumerate(models):
        method = model.method
        items = [replace(each.items[number], key=k) for k, each in enumerate(ready)]
        for k, members in Computing(model.device, deterministic).probabilities(model, items):
            if not len(members):
                continue
            _, scores = model.decide(members, items[k].features, definitions)
            if model.calibration is not None and not method.decision.moves_scores and model.adaptation is None:
                scores = model.calibration.apply(scores)
            opinions[k][f"model {number}"] = dict(zip(method.classes, scores.tolist(), strict=True))
    return list(opinions)


def write_table(path: Path, interpretations: Iterable[Interpretation], definitions: str) -> list[Interpretation]:
    """Write statements as CSV, or as JSON where the file's name ends in ``.json``; whole or not at all.

    Returns what was written, without measurements.
    """
    done = [Interpretation(each.record, each.statements, each.uncertain, each.problem) for each in interpretations]
    write_file(path, _json(done, definitions) if path.suffix.lower() == ".json" else _csv(done))
    return done


def _csv(interpretations: Iterable[Interpretation]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in interpretations:
        for one in each.statements:
            probability = "" if math.isnan(one.probability) else f"{one.probability:.3f}"
            writer.writerow([each.record, one.code, one.statement, one.certainty, probability, one.evidence])
    return text.getvalue()


def _json(interpretations: Iterable[Interpretation], definitions: str) -> str:
    def statement(one: Statement) -> dict[str, Any]:
        row = asdict(one)
        return row | {"probability": None if math.isnan(one.probability) else round(one.probability, 4)}

    rows = [
        {
            "record": each.record,
            "acute": [one.acute for one in each.statements if one.acute],
            "statements": [statement(one) for one in each.statements],
            "uncertain": each.uncertain,
            **({"problem": each.problem} if each.problem else {}),
        }
        for each in interpretations
    ]
    return json.dumps({"note": NO_DEVICE, "definitions": definitions, "recordings": rows}, indent=1) + "\n"
