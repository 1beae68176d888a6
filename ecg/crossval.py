"""What methods do on recordings they were not trained on: by fold, by database, or both in one run.

    python -m ecg.crossval data out --hold-out --method zhao --method butteam --epochs 12
    python -m ecg.crossval data out --leave-one-database-out
    python -m ecg.crossval data out --folds 5 --method butteam:width=12,augmentation=false

All methods see the same training and test recordings. Thresholds and epochs are chosen on a validation part inside the
training part. Writes `predictions.npz` for each method and one table, `table.md`. A run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import evaluate_model
import helper_code
from ecg import report
from ecg.command import run_command
from ecg.dataset import Dataset, build_dataset
from ecg.device import pick_device
from ecg.folds import assign_folds
from ecg.method import Method, build_method
from ecg.prediction import Item, predict
from ecg.progress import say
from ecg.training import train_member

Rows = NDArray[np.int64]
Result = dict[str, NDArray[Any]]
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


def run_split(method: Method, dataset: Dataset, split: Split, *, epochs: int | None, seed: int, device: torch.device,
              checkpoint: Path) -> tuple[Rows, NDArray[np.float64], NDArray[np.bool_]]:
    """Train on one side of a split and predict the other.

    Returns
    -------
    tuple of ndarray
        Test rows with a scored class, their probabilities and their labels as decided, (n_test, n_classes).
    """
    kept = np.array([method.keep(dataset.labels[row], dataset.entries[row].seconds) for row in split.training])
    training = split.training[kept]
    validates = validation_part(dataset, split.training, seed)[kept]
    member = train_member(method, dataset, training[~validates], training[validates], epochs=epochs, seed=seed,
                          number=0, device=device, checkpoint=checkpoint, label=f"{method.name}, {split.name}")
    network = method.build_network().to(device).eval()
    network.load_state_dict(member.state)
    test = split.test[dataset.labels[split.test].any(axis=1)]
    items = (Item(row, dataset.signal(row), dataset.demographics(row)) for row in test)
    probabilities = np.stack([values[0] for _, values in predict(method, [network], items, device)])
    return test, probabilities, method.decide(probabilities, member.thresholds)


def format_table(results: Mapping[str, Result], classes: tuple[str, ...], trained_on: str | None = None) -> str:
    """A Markdown table of methods by database, with 95 % bootstrap intervals of the challenge metric.

    With the one database that all networks were trained on, the others together get a row too.
    """
    _, weights = evaluate_model.load_weights(classes=classes)
    columns = ["database", "method", "recordings", "challenge metric (95 %)", "AUROC", "AUPRC", "F", "sensitivity",
               "specificity"]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    databases = sorted({str(name) for result in results.values() for name in result["databases"]})
    groups = {name: [name] for name in databases}
    if trained_on is not None and len(databases) > 2:
        groups[f"all but {trained_on}"] = [name for name in databases if name != trained_on]
    for group, names in groups.items():
        for label, result in results.items():
            rows = np.isin(result["databases"], names)
            labels, outputs = result["labels"][rows], result["outputs"][rows]
            scores = report.measure(labels, result["probabilities"][rows], outputs, classes, weights)
            low, high = report.bootstrap_interval(labels, outputs, classes, weights)
            values = [scores[key] for key in ("auroc", "auprc", "f_measure", "sensitivity", "specificity")]
            cells = " | ".join("–" if value is None else f"{value:.3f}" for value in values)
            lines.append(f"| {group} | {label} | {scores['recordings']} | {scores['challenge_metric']:.3f} "
                         f"({low:.3f} to {high:.3f}) | {cells} |")
    return "\n".join(lines) + "\n"


def _key(method: Method, dataset: Dataset, split: Split, arguments: argparse.Namespace) -> str:
    """A name that another split, other recordings, labels, settings, epochs or seed would not have."""
    sides = [[dataset.entries[row].digest for row in rows] for rows in (split.training, split.test)]
    labels = np.packbits(dataset.labels[np.concatenate([split.training, split.test])]).tobytes().hex()
    words = [method.name, dict(method.settings), sides, labels, arguments.epochs, arguments.seed]
    return "split-" + hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]


def _keep_all(labels: NDArray[np.bool_], seconds: float) -> bool:
    return True


def _run_method(label: str, method: Method, arguments: argparse.Namespace) -> Result:
    folder = arguments.output / label.replace(":", "-").replace(",", "-")
    dataset, problems = build_dataset(replace(method, keep=_keep_all), arguments.data, folder / "cache",
                                      workers=arguments.workers, limit=arguments.limit)
    for problem in problems:
        say(f"Left out: {problem}")
    databases = np.array([entry.database for entry in dataset.entries])
    given = [entry.fold for entry in dataset.entries]
    if arguments.leave_one_database_out:
        splits = database_splits(databases)
    elif arguments.hold_out:
        n_folds = max(given) if max(given) > 1 else _FOLDS_WHERE_NONE_ARE_GIVEN
        splits = [hold_out_split(databases, assign_folds(dataset.labels, list(databases), given, n_folds,
                                                         arguments.seed))]
    else:
        folds = assign_folds(dataset.labels, list(databases), given, arguments.folds, arguments.seed)
        splits = fold_splits(folds, arguments.folds)
    splits = [split for split in splits if dataset.labels[split.test].any()]
    if not splits:
        raise ValueError(f"{arguments.data}: expected recordings with a scored diagnosis to test on, found none")
    device = pick_device(arguments.device)
    parts = []
    for split in splits:
        stored = folder / f"{_key(method, dataset, split, arguments)}.npz"
        if not stored.exists():
            rows, probabilities, outputs = run_split(method, dataset, split, epochs=arguments.epochs,
                                                     seed=arguments.seed, device=device,
                                                     checkpoint=stored.with_suffix(".ckpt"))
            with open(stored.with_suffix(".part"), "wb") as file:
                np.savez(file, rows=rows, probabilities=probabilities, outputs=outputs)
            stored.with_suffix(".part").replace(stored)
        parts.append(dict(np.load(stored)))
    rows = np.concatenate([part["rows"] for part in parts])
    result: Result = {
        "records": np.array([dataset.entries[row].recording_id for row in rows]), "databases": databases[rows],
        "labels": dataset.labels[rows],
        "probabilities": np.concatenate([part["probabilities"] for part in parts]),
        "outputs": np.concatenate([part["outputs"] for part in parts]), "classes": np.array(method.classes),
        "trained_on": databases[np.concatenate([split.training for split in splits])],
    }
    np.savez_compressed(folder / "predictions.npz", allow_pickle=False, **result)
    return result


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
    results = {label: _run_method(label, method, arguments) for label, method in methods.items()}
    trained_on = largest(next(iter(results.values()))["trained_on"]) if arguments.hold_out else None
    table = format_table(results, next(iter(methods.values())).classes, trained_on)
    helper_code.write_file(arguments.output / "table.md", table)
    print(table, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
