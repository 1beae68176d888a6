"""Validation of methods on recordings they were not trained on: by fold, by database, or both in one run.

All methods see the same training and test recordings. Thresholds and epochs are chosen on a validation part inside the
training part. The command is `ecg validate`.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ecg.arrays import Array, Bools, Floats32, Ints, Signal
from ecg.examination.examine import Examination
from ecg.inference.predict import Item, predict
from ecg.io.errors import RecordingError
from ecg.io.formats import find_recordings, read
from ecg.io.label_tables import Labels
from ecg.io.recording import Recording
from ecg.leads import LEAD_SETS, LEADS
from ecg.methods.base import Method, MethodBuilder
from ecg.methods.reduced_leads import keep_leads
from ecg.model_folder.folder import load_model, save_model
from ecg.model_folder.model import Model
from ecg.runtime.device import pick_device
from ecg.runtime.parallel import map_ahead
from ecg.runtime.progress import progress, say
from ecg.signal.corruptions import AS_RECORDED, DISTURBANCES, Disturbance
from ecg.studies.predictions import Predictions, save_arrays
from ecg.training.dataset import Dataset, build_dataset
from ecg.training.label_gaps import found_instead, label_gaps
from ecg.training.member import scaled_epochs, train_member
from ecg.training.options import MemberOptions
from ecg.training.trainer import validation_scores

Rows = Ints
_VALIDATION_PARTS = 8  # one of these parts of the training recordings chooses thresholds and epoch
_FOLDS_WHERE_NONE_ARE_GIVEN = 10  # for --hold-out


@dataclass(frozen=True)
class Options:
    """What is validated and how, as `ecg validate` is told."""

    data: Path
    output: Path
    # One of "folds", "databases", "hold-out": K folds; each database from the others; the largest database's last fold
    # and all other databases.
    split: Literal["folds", "databases", "hold-out"]
    n_folds: int = 5  # with "folds"
    members: int = 1  # networks that are trained on each split, with the same validation part and other random draws
    epochs: int | None = None
    limit: int | None = None
    seed: int = 2020
    workers: int = 2
    device: str = "auto"
    labels: Labels | None = None  # as for `build_dataset`


@dataclass(frozen=True)
class Split:
    """Recordings to train on and recordings to predict, by row of the dataset."""

    name: str
    training: Rows
    test: Rows


def fold_splits(folds: Rows, n_folds: int) -> list[Split]:
    """Every fold predicted by a network trained on the others."""
    return [Split(f"fold {k + 1}", np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(n_folds)]


def database_splits(databases: NDArray[np.str_]) -> list[Split]:
    """Every database predicted by a network trained on the others."""
    pairs = ((name, databases == name) for name in sorted(set(databases)))
    return [Split(f"without {name}", np.flatnonzero(~inside), np.flatnonzero(inside)) for name, inside in pairs]


def largest(databases: NDArray[np.str_]) -> str:
    """The database with most recordings."""
    names, counts = np.unique(databases, return_counts=True)
    return str(names[counts.argmax()])


def hold_out_split(databases: NDArray[np.str_], folds: Rows) -> Split:
    """The largest database's last fold and all other databases predicted by one network trained on the rest."""
    inside = databases == largest(databases)
    last = folds == folds[inside].max()
    return Split("hold-out", np.flatnonzero(inside & ~last), np.flatnonzero(~inside | last))


def validation_part(dataset: Dataset, rows: Rows, seed: int) -> Bools:
    """Which of the training recordings choose thresholds and epoch: about an eighth, no patient on both sides.

    Of each database whose folds are given, whole folds; of the others a stratified part.
    """
    entries = [dataset.entries[row] for row in rows]
    # Numbered again, since the folds that are tested are missing here; dealt out so that the first part has some.
    numbers = np.array([entry.fold for entry in entries])
    given = np.unique(numbers[numbers > 0])
    n_parts = min(_VALIDATION_PARTS, len(given)) if len(given) > 1 else _VALIDATION_PARTS
    anew = np.where((numbers > 0) & (len(given) > 1), np.searchsorted(given, numbers) + 1, 0)
    return dataset.split(rows, n_parts, seed, anew.tolist()) == 0


def train_split(
    method: Method, dataset: Dataset, split: Split, folder: Path, options: Options, device: torch.device
) -> None:
    """Train on one side of a split and keep the networks as a model folder, which `driver.py` can run."""
    is_used = method.training.use_for_training
    kept = np.array([is_used(dataset.targets[row] > 0, dataset.entries[row].seconds) for row in split.training])
    training = split.training[kept]
    validates = validation_part(dataset, split.training, options.seed)[kept]
    simulated = np.arange(dataset.n_recorded, len(dataset))
    learned = np.concatenate([training[~validates], simulated])
    checkpoints = [folder.with_name(f"{folder.name}-{number + 1}.ckpt") for number in range(options.members)]
    members = []
    for number, checkpoint in enumerate(checkpoints):
        label = f"{method.name}, {split.name}, member {number + 1}/{options.members}"
        each = MemberOptions(options.epochs, options.seed, number, device, checkpoint, label)
        members.append(train_member(method, dataset, learned, training[validates], each))
    names = [dataset.entries[row].database for row in training]
    summary = {
        "split": split.name,
        "recordings": len(training),
        "simulated": len(simulated),
        "databases": {name: names.count(name) for name in sorted(set(names))},
        "epochs": sum(scaled_epochs(method, options.epochs)),
        "seed": options.seed,
    }
    save_model(folder, method, members, summary, [validation_scores(method, dataset, member) for member in members])
    for checkpoint in checkpoints:
        checkpoint.unlink(missing_ok=True)


Inputs = tuple[Floats32, Floats32]
"""A preprocessed signal, and the features beside it."""


def predict_rows(model: Model, rows: Rows, inputs: Iterable[Inputs]) -> dict[str, Array]:
    """``rows``, and what a model answers as `driver.py`: ``probabilities`` and ``outputs``, both (n_rows, n_classes).

    `rows` are recordings of a dataset, `inputs` what the networks get of them, in the same order.
    """
    items = (Item(features, signal, features) for signal, features in inputs)
    found = predict(model.method, model.networks, items, model.device)
    decided = [model.decide(values, features) for features, values in found]
    labels, scores = (np.stack(each) for each in zip(*decided, strict=True))
    return {"rows": rows, "probabilities": scores, "outputs": labels}


def _key(method: Method, dataset: Dataset, split: Split, options: Options) -> str:
    """A name that another split, other recordings, folds, labels, settings, epochs or seed would not have."""
    words: list[Any] = [method.name, dict(method.settings), method.diagnoses.as_json(), method.leads]
    words += [*filter(None, [method.training.masked_leads]), len(split.training)]
    words += [dataset.digest(np.concatenate([split.training, split.test])), len(dataset)]
    words += [options.epochs, options.seed, options.members]
    return "split-" + hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]


def _on_leads(leads: tuple[str, ...], signal: Signal, sampling_frequency: float) -> tuple[Signal, float]:
    return keep_leads(signal, leads), sampling_frequency


def _use_all(labels: Bools, seconds: float) -> bool:
    return True


class Validation:
    """One method on all splits. What is finished lies in its folder, for each split: a model folder, and answers."""

    def __init__(self, label: str, method: Method, builders: Mapping[str, MethodBuilder], options: Options) -> None:
        self.label, self.method, self.builders, self.options = label, method, builders, options
        self.folder = options.output / label.replace(":", "-").replace(",", "-")
        everyone = replace(method, training=replace(method.training, use_for_training=_use_all))
        how: dict[str, Any] = {"workers": options.workers, "limit": options.limit, "statements": options.labels}
        self.dataset, problems = build_dataset(everyone, options.data, self.folder / "cache", **how)
        for problem in problems:
            say(f"Left out: {problem}")
        self.entries = self.dataset.entries[: self.dataset.n_recorded]
        self.databases = np.array([entry.database for entry in self.entries])
        self.device = pick_device(options.device)
        self.splits = [split for split in self._make_splits() if self.dataset.labels[split.test].any()]
        if not self.splits:
            found = found_instead(method.diagnoses, self.dataset.unknown)
            raise ValueError(f"{options.data}: expected recordings to test on with a diagnosis of {found}")
        for sentence in label_gaps(method.diagnoses, self.dataset.labels[: len(self.entries)], self.dataset.unknown):
            say(sentence)

    def _make_splits(self) -> list[Split]:
        options, rows = self.options, range(len(self.entries))
        given = [entry.fold for entry in self.entries]
        if options.split == "databases":
            return database_splits(self.databases)
        if options.split == "hold-out":
            n_folds = max(given) if max(given) > 1 else _FOLDS_WHERE_NONE_ARE_GIVEN
            return [hold_out_split(self.databases, self.dataset.split(rows, n_folds, options.seed))]
        return fold_splits(self.dataset.split(rows, options.n_folds, options.seed), options.n_folds)

    def predictions(self, name: str = "", disturb: Disturbance | None = None) -> Predictions:
        """The answers of all splits, to the recordings as read for training, or newly disturbed as `name` says."""
        suffix = "-" + re.sub(r"[^\w.]+", "-", name) if name else ""
        found = [self._answers(split, name, suffix, disturb) for split in self.splits]
        rows = np.concatenate([part["rows"] for part in found])
        trained_on = np.full(len(self.entries), self.options.split != "databases")
        if self.options.split == "hold-out":
            trained_on = self.databases == largest(self.databases)
        records = np.array([self.dataset.entries[row].recording_id for row in rows])
        facts = records, self.databases[rows], trained_on[rows], self.dataset.labels[rows]
        scores, outputs = (np.concatenate([part[name] for part in found]) for name in ("probabilities", "outputs"))
        result = Predictions(*facts, scores, outputs, self.method.classes)
        result.save(self.folder / f"predictions{suffix}.npz")
        return result

    def disturbed_predictions(self, undisturbed: Predictions) -> dict[str, Predictions]:
        results = {}
        for name, disturb in DISTURBANCES.items():
            results[name] = self.predictions(name, disturb)
            answers = results[name].probabilities
            if name == AS_RECORDED and not np.allclose(answers, undisturbed.probabilities, atol=1e-3):
                found = "other answers: the program has changed since; remove the folder"
                expected = "the kept networks to answer as they did when they were trained"
                raise ValueError(f"{self.folder}: expected {expected}, found {found}")
        return results

    def predictions_by_leads(self) -> dict[str, Predictions]:
        """The answers of the same networks to 12, 6, 4, 3 and 2 leads of the recordings, by the words for them."""
        found = {f"{self.label}, 12 leads": self.predictions()}
        for count, leads in LEAD_SETS.items():
            if count < len(LEADS):
                found[f"{self.label}, {count} leads"] = self.predictions(f"{count} leads", partial(_on_leads, leads))
        return found

    def _answers(self, split: Split, name: str, suffix: str, disturb: Disturbance | None) -> dict[str, Array]:
        model_folder = self.folder / _key(self.method, self.dataset, split, self.options)
        if not (model_folder / "config.json").exists():
            train_split(self.method, self.dataset, split, model_folder, self.options, self.device)
        stored = model_folder.with_name(f"{model_folder.name}{suffix}.npz")
        if not stored.exists():
            rows = split.test[self.dataset.labels[split.test].any(axis=1)]
            inputs: Iterable[Inputs] = ((self.dataset.signal(row), self.dataset.features(row)) for row in rows)
            if disturb is not None:
                title = f"{self.label}, {split.name}, {name}"
                inputs = progress(self._disturbed_inputs(rows, disturb), len(rows), title)
            model = load_model(model_folder, self.builders, self.device)
            save_arrays(stored, predict_rows(model, rows, inputs))
        return dict(np.load(stored))

    def _disturbed_inputs(self, rows: Rows, disturb: Disturbance) -> Iterator[Inputs]:
        """The recordings read from their files again, disturbed and preprocessed, in the order of `rows`."""
        paths: dict[str, list[Path]] = {}
        for path in sorted(map(Path, find_recordings(self.options.data))):
            paths.setdefault(path.stem, []).append(path)

        def inputs(row: int) -> Inputs:
            entry = self.dataset.entries[row]
            for path in paths[entry.recording_id]:  # of several with one name the one that the dataset has
                try:
                    found = read(path)
                except RecordingError:
                    continue
                if hashlib.sha256(found.signal.tobytes()).hexdigest() == entry.digest:
                    disturbed, fs = disturb(found.signal, found.sampling_frequency)
                    changed = Recording(disturbed, fs, age=found.age, sex=found.sex)
                    examined = Examination(changed, self.method.input)
                    return examined.prepared, examined.features
            expected = "the samples that were there when this command began"
            raise RecordingError(f"{paths[entry.recording_id][0]}: expected {expected}, found others")

        return map_ahead(inputs, rows, workers=self.options.workers, ahead=4 * self.options.workers)
