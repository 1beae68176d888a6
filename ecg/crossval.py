"""What methods do on recordings they were not trained on: by fold, by database, or both in one run.

    python -m ecg.crossval data out --hold-out --method zhao --method butteam --epochs 12
    python -m ecg.crossval data out --leave-one-database-out
    python -m ecg.crossval data out --folds 5 --method butteam:width=12,augmentation=false

All methods see the same training and test recordings. Thresholds and epochs are chosen on a validation part inside the
training part. Writes for each method `predictions.npz` and every trained network as a model folder, and for all of them
`table.md`: by database, the first method against each other one, by class, and with `--disturbed` what each loses where
recordings have a fault. A run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import helper_code
from ecg import tables
from ecg.command import run_command
from ecg.dataset import Dataset, build_dataset
from ecg.device import pick_device
from ecg.disturbances import AS_RECORDED, DISTURBANCES, Disturbance
from ecg.folds import assign_folds
from ecg.method import Method, MethodBuilder, build_method
from ecg.model_folder import Model, load_model, save_model
from ecg.parallel import map_ahead
from ecg.prediction import Item, predict
from ecg.progress import progress, say
from ecg.tables import Result
from ecg.training import scaled_epochs, train_member, validation_scores

Rows = NDArray[np.int64]
_VALIDATION_PARTS = 8  # one of these parts of the training recordings chooses thresholds and epoch
_FOLDS_WHERE_NONE_ARE_GIVEN = 10  # for --hold-out


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
    return [Split(f"without {name}", np.flatnonzero(databases != name), np.flatnonzero(databases == name))
            for name in sorted(set(databases))]


def largest(databases: NDArray[np.str_]) -> str:
    """The database with most recordings."""
    names, counts = np.unique(databases, return_counts=True)
    return str(names[counts.argmax()])


def hold_out_split(databases: NDArray[np.str_], folds: Rows) -> Split:
    """The largest database's last fold and all other databases predicted by one network trained on the rest."""
    inside = databases == largest(databases)
    last = folds == folds[inside].max()
    return Split("hold-out", np.flatnonzero(inside & ~last), np.flatnonzero(~inside | last))


def validation_part(dataset: Dataset, rows: Rows, seed: int) -> NDArray[np.bool_]:
    """Which of the training recordings choose thresholds and epoch: about an eighth, no patient on both sides.

    Of each database whose folds are given, whole folds; of the others a stratified part.
    """
    entries = [dataset.entries[row] for row in rows]
    # Numbered anew, since the folds that are tested are missing here; dealt out so that the first part has some.
    numbers = np.array([entry.fold for entry in entries])
    given = np.unique(numbers[numbers > 0])
    n_parts = min(_VALIDATION_PARTS, len(given)) if len(given) > 1 else _VALIDATION_PARTS
    anew = np.where((numbers > 0) & (len(given) > 1), np.searchsorted(given, numbers) + 1, 0)
    parts = assign_folds(dataset.labels[rows], [entry.database for entry in entries], anew.tolist(), n_parts, seed)
    return parts == 0


def train_split(method: Method, dataset: Dataset, split: Split, folder: Path, *, epochs: int | None, seed: int,
                device: torch.device) -> None:
    """Train on one side of a split and keep the network as a model folder, which `driver.py` can run."""
    kept = np.array([method.keep(dataset.targets[row] >= 1, dataset.entries[row].seconds) for row in split.training])
    training = split.training[kept]
    validates = validation_part(dataset, split.training, seed)[kept]
    checkpoint = folder.with_suffix(".ckpt")
    simulated = np.arange(dataset.n_recorded, len(dataset))
    learned = np.concatenate([training[~validates], simulated])
    member = train_member(method, dataset, learned, training[validates], epochs=epochs, seed=seed, number=0,
                          device=device, checkpoint=checkpoint, label=f"{method.name}, {split.name}")
    names = [dataset.entries[row].database for row in training]
    summary = {"split": split.name, "recordings": len(training), "simulated": len(simulated),
               "databases": {name: names.count(name) for name in sorted(set(names))},
               "epochs": sum(scaled_epochs(method, epochs)), "seed": seed}
    save_model(folder, method, [member], summary, [validation_scores(method, dataset, member)])
    checkpoint.unlink(missing_ok=True)


def judge(model: Model, dataset: Dataset, rows: Rows, signals: Iterable[NDArray[np.float32]]) -> Result:
    """What a model answers, decided as `driver.py` does.

    Parameters
    ----------
    model : Model
    dataset : Dataset
        Knows the patients' age and sex.
    rows : ndarray of int
        Recordings of the dataset.
    signals : iterable of ndarray
        Their preprocessed signals, in the same order.

    Returns
    -------
    dict
        ``rows``; ``probabilities`` and ``outputs``, both (n_rows, n_classes).
    """
    items = (Item(row, signal, dataset.demographics(row)) for row, signal in zip(rows, signals, strict=True))
    decided = [model.decide(values) for _, values in predict(model.method, model.networks, items, model.device)]
    return {"rows": rows, "probabilities": np.stack([scores for _, scores in decided]),
            "outputs": np.stack([labels for labels, _ in decided])}


def _key(method: Method, dataset: Dataset, split: Split, arguments: argparse.Namespace) -> str:
    """A name that another split, other recordings, labels, settings, epochs or seed would not have."""
    sides = [[dataset.entries[row].digest for row in rows] for rows in (split.training, split.test)]
    rows = np.concatenate([split.training, split.test])
    labels = [np.packbits(dataset.labels[rows]).tobytes().hex(), dataset.targets[rows].tobytes().hex()]
    words = [method.name, dict(method.settings), sides, labels, len(dataset), arguments.epochs, arguments.seed]
    return "split-" + hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]


def _keep_all(labels: NDArray[np.bool_], seconds: float) -> bool:
    return True


class _Run:
    """One method on all splits. What is finished lies in its folder, for each split: a model folder, and answers."""

    def __init__(self, label: str, method: Method, builders: Mapping[str, MethodBuilder],
                 arguments: argparse.Namespace) -> None:
        self.label, self.method, self.builders, self.arguments = label, method, builders, arguments
        self.folder = arguments.output / label.replace(":", "-").replace(",", "-")
        self.dataset, problems = build_dataset(replace(method, keep=_keep_all), arguments.data, self.folder / "cache",
                                               workers=arguments.workers, limit=arguments.limit)
        for problem in problems:
            say(f"Left out: {problem}")
        self.entries = self.dataset.entries[:self.dataset.n_recorded]
        self.databases = np.array([entry.database for entry in self.entries])
        self.device = pick_device(arguments.device)
        self.splits = [split for split in self._make_splits() if self.dataset.labels[split.test].any()]
        if not self.splits:
            raise ValueError(f"{arguments.data}: expected recordings with a scored diagnosis to test on, found none")

    def _make_splits(self) -> list[Split]:
        arguments, labels, databases = self.arguments, self.dataset.labels[:len(self.entries)], list(self.databases)
        given = [entry.fold for entry in self.entries]
        if arguments.leave_one_database_out:
            return database_splits(self.databases)
        if arguments.hold_out:
            n_folds = max(given) if max(given) > 1 else _FOLDS_WHERE_NONE_ARE_GIVEN
            return [hold_out_split(self.databases, assign_folds(labels, databases, given, n_folds, arguments.seed))]
        return fold_splits(assign_folds(labels, databases, given, arguments.folds, arguments.seed), arguments.folds)

    def result(self, disturbance: str | None = None) -> Result:
        """The answers of all splits, to the recordings as they were read for training or disturbed anew."""
        suffix = "" if disturbance is None else "-" + re.sub(r"[^\w.]+", "-", disturbance)
        found = [self._answers(split, suffix, disturbance) for split in self.splits]
        rows = np.concatenate([part["rows"] for part in found])
        trained_on = self.databases == largest(self.databases) if self.arguments.hold_out else np.full(
            len(self.entries), not self.arguments.leave_one_database_out)
        result = {
            "records": np.array([self.dataset.entries[row].recording_id for row in rows]),
            "databases": self.databases[rows], "in_database": trained_on[rows], "labels": self.dataset.labels[rows],
            "probabilities": np.concatenate([part["probabilities"] for part in found]),
            "outputs": np.concatenate([part["outputs"] for part in found]), "classes": np.array(self.method.classes),
        }
        _save_arrays(self.folder / f"predictions{suffix}.npz", result)
        return result

    def disturbed_results(self, undisturbed: Result) -> dict[str, Result]:
        results = {}
        for name in DISTURBANCES:
            results[name] = self.result(name)
            if name == AS_RECORDED and not np.allclose(results[name]["probabilities"], undisturbed["probabilities"],
                                                       atol=1e-3):
                raise ValueError(f"{self.folder}: expected the kept networks to answer as they did when they were "
                                 "trained, found other answers: the program has changed since; remove the folder")
        return results

    def _answers(self, split: Split, suffix: str, disturbance: str | None) -> Result:
        model_folder = self.folder / _key(self.method, self.dataset, split, self.arguments)
        if not (model_folder / "config.json").exists():
            train_split(self.method, self.dataset, split, model_folder, epochs=self.arguments.epochs,
                        seed=self.arguments.seed, device=self.device)
        stored = model_folder.with_name(f"{model_folder.name}{suffix}.npz")
        if not stored.exists():
            rows = split.test[self.dataset.labels[split.test].any(axis=1)]
            signals = map(self.dataset.signal, rows) if disturbance is None else progress(
                self._disturbed_signals(rows, DISTURBANCES[disturbance]), len(rows),
                f"{self.label}, {split.name}, {disturbance}")
            model = load_model(model_folder, self.builders, self.device)
            _save_arrays(stored, judge(model, self.dataset, rows, signals))
        return dict(np.load(stored))

    def _disturbed_signals(self, rows: Rows, disturb: Disturbance) -> Iterator[NDArray[np.float32]]:
        """The recordings read from their files again, disturbed and preprocessed, in the order of `rows`."""
        paths: dict[str, list[Path]] = {}
        for path in sorted(map(Path, helper_code.find_recordings(self.arguments.data))):
            paths.setdefault(path.stem, []).append(path)

        def read(row: int) -> NDArray[np.float32]:
            entry = self.dataset.entries[row]
            for path in paths[entry.recording_id]:  # of several with one name the one that the dataset has
                try:
                    header, signal = helper_code.read_recording(path)
                except helper_code.RecordingError:
                    continue
                if hashlib.sha256(signal.tobytes()).hexdigest() == entry.digest:
                    return self.method.preprocess(*disturb(signal, header.sampling_frequency))
            raise helper_code.RecordingError(f"{paths[entry.recording_id][0]}: expected the samples that were there "
                                             "when this command began, found others")

        return map_ahead(read, rows, workers=self.arguments.workers, ahead=4 * self.arguments.workers)


def _save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    helper_code.write_file(path, content.getbuffer())


def main(words: Sequence[str] | None = None) -> int:
    return run_command("python -m ecg.crossval", lambda: _crossval(words), "the same command goes on from there")


def _crossval(words: Sequence[str] | None) -> int:
    import team_code  # the command knows the methods; nothing else of the engine does

    parser = argparse.ArgumentParser(prog="python -m ecg.crossval", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of Challenge recordings")
    parser.add_argument("output", type=Path, help="folder for predictions and the table")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--folds", type=int, default=5, metavar="K", help="K-fold cross-validation (default: %(default)s)")
    how.add_argument("--leave-one-database-out", action="store_true", help="predict each database from the others")
    how.add_argument("--hold-out", action="store_true",
                     help="train on the largest database, predict its last fold and every other database")
    parser.add_argument("--disturbed", action="store_true",
                        help="also disturb the test recordings and say what is lost: wrong gain, mains, a lead off ...")
    parser.add_argument("--method", action="append", metavar="NAME[:SETTING=VALUE,...]",
                        help=f"may be repeated; of {', '.join(team_code.METHODS)} (default: all of them)")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs of each network (default: as published)")
    parser.add_argument("--seed", type=int, default=2020, help="of everything that is random (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:<number> (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes that read recordings (default: %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="use only N recordings, to try things out")
    arguments = parser.parse_args(words)
    for name, least in (("epochs", 1), ("folds", 2), ("limit", 1), ("workers", 1)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise ValueError(f"--{name} {value}: expected a whole number from {least} up")
    chosen = arguments.method or list(team_code.METHODS)
    methods = {label: build_method(label, team_code.METHODS) for label in chosen}
    classes = next(iter(methods.values())).classes
    if any(method.classes != classes for method in methods.values()):
        raise ValueError(f"--method: expected methods with the same classes, found others in {', '.join(methods)}")
    runs, results = {}, {}
    for label, method in methods.items():
        runs[label] = _Run(label, method, team_code.METHODS, arguments)
        results[label] = runs[label].result()
    text = _format(results, classes)
    print(text, end="", flush=True)
    helper_code.write_file(arguments.output / "table.md", text)
    if arguments.disturbed:
        disturbed = {label: run.disturbed_results(results[label]) for label, run in runs.items()}
        more = "\n## Disturbed recordings\n\n" + tables.format_disturbed(disturbed, classes)
        print(more, end="")
        helper_code.write_file(arguments.output / "table.md", text + more)
    return 0


def _format(results: Mapping[str, Result], classes: tuple[str, ...]) -> str:
    sections = [tables.format_databases(results, classes)]
    if len(results) > 1:
        sections.append("## Differences\n\n" + tables.format_differences(results, classes))
    for label, result in results.items():
        for part, names in tables.parts(results.values()).items():
            sections.append(f"## By class: {label}, {part}\n\n" + tables.format_classes(result, names, classes))
    return "\n".join(sections)


if __name__ == "__main__":
    sys.exit(main())
