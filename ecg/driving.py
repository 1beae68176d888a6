"""A model run over a folder of recordings: one output file each, whatever state the recordings are in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import helper_code
from ecg.model_folder import Model
from ecg.parallel import map_ahead
from ecg.prediction import WINDOWS_PER_BATCH, Item, predict
from ecg.progress import progress, say


@dataclass
class Outcome:
    """What came of a folder: recordings judged, and a sentence for each one that could not be."""

    judged: int = 0
    problems: list[str] = field(default_factory=list)


def run_folder(model: Model, input_folder: Path, output_folder: Path, *, workers: int) -> Outcome:
    """Write ``<record>.csv`` for every recording below a folder.

    A recording that can't be judged gets an output without positive labels and with zero scores; the others are not
    affected. Each file is written whole or not at all.

    Parameters
    ----------
    model : Model
    input_folder, output_folder : Path
    workers : int
        Threads that read and preprocess while the network runs.

    Returns
    -------
    Outcome

    Raises
    ------
    ValueError
        If the input folder is no folder or holds no recordings.
    OSError
        If an output can't be written.
    """
    if not input_folder.is_dir():
        raise ValueError(f"{input_folder}: expected a folder of recordings, found no folder")
    total = sum(1 for _ in helper_code.find_headers(input_folder))
    if not total:
        raise ValueError(f"{input_folder}: expected Challenge recordings (.hea), found none")
    output_folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome()
    classes = model.method.classes
    headers = progress(map(Path, helper_code.find_headers(input_folder)), total, "Judging")
    for stem, probabilities in predict(model.method, model.networks,
                                       _readable(model, headers, output_folder, outcome, workers), model.device):
        labels, scores = model.decide(probabilities)
        helper_code.save_outputs(output_folder / f"{stem}.csv", stem, classes, labels, scores)
        outcome.judged += 1
    return outcome


def _readable(model: Model, headers: Iterator[Path], output_folder: Path, outcome: Outcome,
              workers: int) -> Iterator[Item]:
    """Preprocessed recordings; writes the empty output of those that can't be read on the way."""
    seen: set[str] = set()
    for path, item in map_ahead(_reader(model), headers, workers=workers, ahead=WINDOWS_PER_BATCH + workers):
        if path.stem in seen:
            outcome.problems.append(f"{path}: another recording of this name was judged already, this one is left out")
            say(outcome.problems[-1])
            continue
        seen.add(path.stem)
        if isinstance(item, Item):
            yield item
            continue
        outcome.problems.append(item)
        say(item)
        nothing = np.zeros(len(model.method.classes))
        helper_code.save_outputs(output_folder / f"{path.stem}.csv", path.stem, model.method.classes,
                                 nothing.astype(bool), nothing)


def _reader(model: Model) -> Callable[[Path], tuple[Path, Item | str]]:
    method = model.method

    def read(path: Path) -> tuple[Path, Item | str]:
        try:
            header, signal = helper_code.read_recording(path)
            prepared = method.preprocess(signal, header.sampling_frequency)
            return path, Item(path.stem, prepared, method.demographics(header))
        except helper_code.RecordingError as error:
            return path, str(error)
        except Exception as error:  # one recording must never cost the others their results, whatever it triggers
            return path, f"{path}: {type(error).__name__}: {error}"

    return read
