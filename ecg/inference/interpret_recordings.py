"""Statements of recordings: each read once, measured once, run through every model once."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ecg.decisions.conventions import CONVENTIONS, DEFAULT
from ecg.examination.examine import Examination
from ecg.inference.predict import Item, predict
from ecg.interpretation import Statement, doubts, interpret
from ecg.interpretation.interpret import Opinions
from ecg.io.files import write_file
from ecg.io.formats import read
from ecg.io.recording import Recording, describe_failure
from ecg.measurements import Measurements, measure
from ecg.model_folder.folder import Model

COLUMNS = ("record", "code", "statement", "certainty", "probability", "evidence")
NO_DEVICE = "Research software, not a medical device, often wrong. Don't use it for a person's care."
_AT_ONCE = 32  # recordings that go through the networks together


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
class _Read:
    recording: Recording
    measured: Measurements


def interpret_recordings(
    paths: Iterable[str | os.PathLike[str] | Recording], models: Sequence[Model] = (), definitions: str = DEFAULT
) -> Iterator[Interpretation]:
    """Interpret recordings one after the other.

    Parameters
    ----------
    paths : iterable of path or Recording
    models : sequence of Model
        Of the Challenge's classes or PTB-XL's statements; none for the criteria alone.
    definitions : str
        A convention; models that know conventions follow it too.

    Yields
    ------
    Interpretation
        In the order of `paths`; one that can't be read has a problem and costs the others nothing.

    Raises
    ------
    ValueError
        If there is no such convention.
    """
    if definitions not in CONVENTIONS:
        raise ValueError(f"definitions {definitions!r}: expected one of {', '.join(CONVENTIONS)}")
    left = iter(paths)
    while some := list(islice(left, _AT_ONCE)):
        read = [_read(each) for each in some]
        good = [each for each in read if isinstance(each, _Read)]
        opinions = opinions_of([each.recording for each in good], models, definitions)
        found = {id(each): said for each, said in zip(good, opinions, strict=True)}
        for each in read:
            if isinstance(each, Interpretation):
                yield each
                continue
            person = each.recording
            statements = interpret(each.measured, person.age, person.sex, found[id(each)], definitions)
            yield Interpretation(person.name, statements, doubts(statements, each.measured), measured=each.measured)


def _read(given: str | os.PathLike[str] | Recording) -> _Read | Interpretation:
    try:
        recording = given if isinstance(given, Recording) else read(given)
        return _Read(recording, measure(recording.signal, recording.sampling_frequency))
    except Exception as error:  # one recording must never cost the others their statements
        path = Path(given.name) if isinstance(given, Recording) else Path(given)
        return Interpretation(path.stem, problem=describe_failure(path, error))


def opinions_of(recordings: Sequence[Recording], models: Sequence[Model], definitions: str) -> list[Opinions]:
    """Calibrated probabilities of each model for each recording, by class."""
    opinions: list[dict[str, dict[str, float]]] = [{} for _ in recordings]
    for number, model in enumerate(models):
        method = model.method
        examined = [Examination(each, method.input) for each in recordings]
        with_features = {k: Item(k, each.prepared, each.features) for k, each in enumerate(examined)}
        for k, members in predict(method, model.networks, with_features.values(), model.device):
            _, scores = model.decide(members, with_features[k].features, definitions)
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
