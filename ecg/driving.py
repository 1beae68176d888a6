"""A model run over a folder of recordings: one output file each, whatever state the recordings are in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import helper_code
from ecg.model_folder import Model
from ecg.parallel import map_ahead
from ecg.prediction import Item, predict
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
    headers = map(Path, helper_code.find_headers(input_folder))
    for problem in progress(_judge(model, headers, output_folder, workers), total, "Judging"):
        if problem is None:
            outcome.judged += 1
        else:
            outcome.problems.append(problem)
            say(problem)
    return outcome


def _judge(model: Model, headers: Iterable[Path], output_folder: Path, workers: int) -> Iterator[str | None]:
    """Write the outputs; for each recording None, or what is wrong with it."""
    unreadable: deque[str] = deque()
    readable = _readable(model, headers, output_folder, workers, unreadable)
    for stem, probabilities in predict(model.method, model.networks, readable, model.device):
        labels, scores = model.decide(probabilities)
        helper_code.save_outputs(output_folder / f"{stem}.csv", stem, model.method.classes, labels, scores)
        yield None
        while unreadable:
            yield unreadable.popleft()
    yield from unreadable


def _readable(model: Model, headers: Iterable[Path], output_folder: Path, workers: int,
              unreadable: deque[str]) -> Iterator[Item]:
    """Preprocessed recordings; of the others it writes the empty output and says into `unreadable` why."""
    seen: set[str] = set()
    nothing = np.zeros(len(model.method.classes))
    for path, item in map_ahead(_reader(model), headers, workers=workers, ahead=4 * workers):
        if path.stem in seen:
            unreadable.append(f"{path}: expected one recording of this name, found another before; left out")
            continue
        seen.add(path.stem)
        if isinstance(item, Item):
            yield item
            continue
        unreadable.append(item)
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
