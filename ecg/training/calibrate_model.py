"""Calibration of a trained model after the fact: what `ecg calibrate` does."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from ecg.decisions.calibration import fit_calibration
from ecg.inference.predict import Item, predict
from ecg.io.files import StrPath, write_file
from ecg.io.label_tables import load_labels
from ecg.methods.registry import find_methods
from ecg.model_folder.folder import load_model
from ecg.model_folder.schema import calibration_rows
from ecg.runtime.device import pick_device
from ecg.scoring.challenge import compute_auc
from ecg.scoring.statistics import calibration_error
from ecg.training.dataset import build_dataset

_TOLERANCE = 0.002  # of the stored validation AUROC: another machine rounds differently


def calibrate_model(
    model_folder: Path, data_folder: Path, *, labels: StrPath | None = None, least_likelihood: float = 0.0
) -> tuple[int, float, float]:
    """Fit a model's probabilities on the validation parts of the recordings that it was trained on, and store it.

    `least_likelihood`: as it was trained with. Returns `before` and `after`: calibration error on them. Raises
    ValueError if the folder holds no usable model, or the recordings are not those that trained it.
    """
    model = load_model(model_folder, find_methods(), pick_device())
    if model.adaptation is not None:
        raise ValueError(f"{model_folder}: expected a model that is not adapted, as an adapted one uses no calibration")
    if model.method.decision.moves_scores:
        raise ValueError(f"{model_folder}: expected a method to calibrate, found {model.method.name}, which needs none")
    # Simulated recordings are there to be trained on and take part in no validation.
    method = replace(model.method, training=replace(model.method.training, simulated_share=0.0))
    table = load_labels(labels, method.diagnoses.column_of, least_likelihood) if labels else None
    with tempfile.TemporaryDirectory() as cache:
        dataset, _ = build_dataset(method, data_folder, Path(cache), statements=table)
        folds = dataset.split(range(len(dataset)), method.training.n_folds, model.config["training"]["seed"])
        truth, scores = [], []
        for number, network in enumerate(model.networks):
            rows = np.flatnonzero(folds == number).tolist()
            items = (Item(row, dataset.signal(row), dataset.features(row)) for row in rows)
            found = np.stack([each[0] for _, each in predict(method, [network], items, model.device)])
            stored = model.config["members"][number]["validation"]["all"]
            _require_same(model_folder, data_folder, stored, dataset.labels[rows], found)
            truth.append(dataset.labels[rows])
            scores.append(found)
    given, labelled = np.concatenate(scores), np.concatenate(truth)
    calibration = fit_calibration(labelled, given)
    config = {**model.config, "calibration": calibration_rows(method.classes, calibration)}
    write_file(model_folder / "config.json", json.dumps(config, indent=1) + "\n")
    before, after = (calibration_error(labelled, each) for each in (given, calibration.apply(given)))
    return len(labelled), before, after


def _require_same(
    model_folder: Path, data_folder: Path, stored: dict[str, float | None], labels: np.ndarray, scores: np.ndarray
) -> None:
    """ValueError if the recordings can't be the validation recordings of the model."""
    auroc, expected = compute_auc(labels, scores)[0], stored["auroc"]
    same = np.isnan(auroc) if expected is None else abs(auroc - expected) <= _TOLERANCE
    if len(labels) != stored["recordings"] or not same:
        raise ValueError(
            f"{data_folder}: expected the recordings that trained {model_folder} (validation part of "
            f"{stored['recordings']}, AUROC {expected}), found others ({len(labels)}, {auroc:.4f})"
        )
