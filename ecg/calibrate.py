"""Calibrates a trained model: fits its probabilities on the validation parts of the recordings that it was trained on.

    python -m ecg.calibrate model data

For a model folder that holds no calibration yet: `train_model.py` has written one since version 0.3. The recordings
must be those that trained the model; the split into parts follows from them and the seed. Nothing else changes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ecg.decisions.calibration import fit_calibration
from ecg.evaluation.challenge import compute_auc
from ecg.evaluation.statistics import calibration_error
from ecg.inference.predict import Item, predict
from ecg.io.files import write_file
from ecg.methods.registry import find_methods
from ecg.model_folder.folder import calibration_rows, load_model
from ecg.runtime.command import run_command
from ecg.runtime.device import pick_device
from ecg.training.dataset import build_dataset
from ecg.training.folds import assign_folds

_TOLERANCE = 0.002  # of the stored validation AUROC: another machine rounds differently


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return run_command("python -m ecg.calibrate", lambda: _calibrate(words), "the model folder is as it was")


def _calibrate(words: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m ecg.calibrate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder of a trained model")
    parser.add_argument("data", type=Path, help="folder of the recordings that it was trained on")
    arguments = parser.parse_args(words)
    model = load_model(arguments.model, find_methods(), pick_device())
    # Simulated recordings are there to be trained on and take part in no validation.
    method = replace(model.method, training=replace(model.method.training, simulated_share=0.0))
    with tempfile.TemporaryDirectory() as cache:
        dataset, _ = build_dataset(method, arguments.data, Path(cache), workers=os.cpu_count() or 1)
        entries, n_folds = dataset.entries, method.training.n_folds
        folds = assign_folds(
            dataset.labels,
            [entry.database for entry in entries],
            [entry.fold for entry in entries],
            n_folds,
            model.config["training"]["seed"],
        )
        labels, scores = [], []
        for number, network in enumerate(model.networks):
            rows = np.flatnonzero(folds == number).tolist()
            items = (Item(row, dataset.signal(row), dataset.demographics(row)) for row in rows)
            found = np.stack([each[0] for _, each in predict(method, [network], items, model.device)])
            _require_same(arguments, model.config["members"][number]["validation"]["all"], dataset.labels[rows], found)
            labels.append(dataset.labels[rows])
            scores.append(found)
    truth, given = np.concatenate(labels), np.concatenate(scores)
    calibration = fit_calibration(truth, given)
    config = {**model.config, "calibration": calibration_rows(method.classes, calibration)}
    write_file(arguments.model / "config.json", json.dumps(config, indent=1) + "\n")
    before, after = calibration_error(truth, given), calibration_error(truth, calibration.apply(given))
    print(f"Calibrated on {len(truth)} recordings: calibration error there {before:.4f} before, {after:.4f} after")
    return 0


def _require_same(
    arguments: argparse.Namespace, stored: dict[str, float | None], labels: np.ndarray, scores: np.ndarray
) -> None:
    """ValueError where the recordings can't be those that validated the model."""
    auroc, expected = compute_auc(labels, scores)[0], stored["auroc"]
    same = np.isnan(auroc) if expected is None else abs(auroc - expected) <= _TOLERANCE
    if len(labels) != stored["recordings"] or not same:
        raise ValueError(
            f"{arguments.data}: expected the recordings that trained {arguments.model} (validation part of "
            f"{stored['recordings']}, AUROC {expected}), found others ({len(labels)}, {auroc:.4f})"
        )


if __name__ == "__main__":
    sys.exit(main())
