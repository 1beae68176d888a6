"""A trained model adapted to one hospital's recordings: what `ecg adapt` does."""

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ecg.arrays import Bools, Ints
from ecg.decisions.adaptation import Decided, adapt_to, choose, cross_validate
from ecg.decisions.conventions import CONVENTIONS
from ecg.inference.predict import Item, predict
from ecg.io.files import StrPath, is_same_file
from ecg.io.label_tables import Labels, load_labels
from ecg.labels.diagnoses import Diagnoses
from ecg.methods.base import as_scored, has_scored_class
from ecg.methods.registry import find_methods
from ecg.model_folder.folder import load_model, save_adapted
from ecg.model_folder.model import Model
from ecg.runtime.device import pick_device
from ecg.runtime.progress import progress, say
from ecg.scoring.statistics import difference_interval, log_loss, main_metric, metric_name
from ecg.training.dataset import Dataset, build_dataset

FEWEST = 20  # recordings
N_FOLDS = 5


@dataclass(frozen=True)
class Comparison:
    """A model not adapted and adapted, on recordings that no part of the adaptation has seen (cross-validated)."""

    recordings: int  # `recordings`, `left_out`: how many took part, and how many could not
    left_out: int
    # `metric`, `log_loss`: before and after: `main_metric`, and mean log-loss over all pairs of recording and class.
    metric: tuple[float, float]
    log_loss: tuple[float, float]
    gain: float  # of that metric
    interval: tuple[float, float]  # its 95 % interval (paired bootstrap)
    seed: int  # of the split
    # The convention that all the recordings together choose; None for the method's own decision.
    definitions: str | None
    penalty: float  # of the fit to its scores; infinite where there is none
    metric_name: str = "challenge metric"


def adapt_model(
    model_folder: Path,
    data_folder: Path,
    adapted_folder: Path,
    *,
    labels: StrPath | None = None,
    least_likelihood: float = 0.0,
    seed: int = 2020,
    device: str = "auto",
) -> Comparison:
    """Fit a model to a hospital's labelled recordings, and store it in another folder if that gains anything.

    ``folds.csv`` in the data folder keeps a patient's recordings in one part of the cross-validation. `labels`: see
    `ecg.io.label_tables.load_labels`; those of headers if left out, with `least_likelihood` in percent. `seed` is that
    of the split, `device` as for `pick_device`.

    Returns the comparison; where its gain is not above 0 nothing was written. Raises ValueError if the model can't be
    used, is adapted already or would be replaced, or the recordings are too few or in too few folds.
    """
    if is_same_file(model_folder, adapted_folder):
        raise ValueError(f"{adapted_folder}: expected another folder than that of the model, found the same")
    if adapted_folder.exists() and not adapted_folder.is_dir():
        raise ValueError(f"{adapted_folder}: expected a folder, or none yet, found something else")
    if seed < 0:
        raise ValueError(f"seed {seed}: expected a whole number from 0 up")
    model = load_model(model_folder, find_methods(), pick_device(device))
    if model.adaptation is not None:
        found = "found an adapted one; adapt what it was made from"
        raise ValueError(f"{model_folder}: expected a model that is not adapted, {found}")
    statements = load_labels(labels, model.method.diagnoses.column_of, least_likelihood) if labels else None
    with tempfile.TemporaryDirectory() as cache:
        dataset, left_out = read_labelled(model, data_folder, Path(cache), statements)
        if len(dataset) < FEWEST:
            expected = f"at least {FEWEST} different recordings with scored diagnoses"
            raise ValueError(f"{data_folder}: expected {expected}, found {len(dataset)} ({left_out} left out)")
        truth, folds = dataset.labels, _split(data_folder, dataset, seed)
        decided = classify(model, dataset)
    compared = compare(truth, decided, folds, model.method.diagnoses, seed, left_out)
    if compared.gain > 0:
        fitted = {
            "recordings": compared.recordings,
            "metric_before": round(compared.metric[0], 4),
            "metric_after": round(compared.metric[1], 4),
            "interval_95_of_gain": [round(bound, 4) for bound in compared.interval],
            "log_loss_before": round(compared.log_loss[0], 4),
            "log_loss_after": round(compared.log_loss[1], 4),
            "penalty": compared.penalty if math.isfinite(compared.penalty) else None,
            "folds": N_FOLDS,
            "seed": seed,
        }
        name, rewards = compared.definitions, model.method.diagnoses.weights
        adaptation = adapt_to(truth, decided, name, compared.penalty, rewards)
        save_adapted(model_folder, adapted_folder, adaptation, name or model.definitions, fitted, model)
    return compared


def compare(
    labels: Bools,
    decided: Mapping[str | None, Decided],
    folds: Ints,
    diagnoses: Diagnoses,
    seed: int = 2020,
    left_out: int = 0,
) -> Comparison:
    """Cross-validate an adaptation, everything chosen again without each fold.

    `labels`: (n_recordings, n_classes), bool. `decided`: as of `choose`; the first is what the model decides by itself.
    `folds`: (n_recordings,). `seed` and `left_out` are for the record.
    """
    itself = next(iter(decided.values()))
    adapted, after = cross_validate(labels, decided, folds, diagnoses.weights)
    metrics = main_metric(labels, itself.outputs, diagnoses), main_metric(labels, after, diagnoses)
    gain, low, high = difference_interval(labels, after, itself.outputs, diagnoses)
    losses = log_loss(labels, itself.scores), log_loss(labels, adapted)
    chosen, name = choose(labels, decided, folds), metric_name(diagnoses).replace("_", " ")
    return Comparison(len(labels), left_out, metrics, losses, gain, (low, high), seed, *chosen, name)


def read_labelled(
    model: Model, data_folder: Path, cache_folder: Path, statements: Labels | None
) -> tuple[Dataset, int]:
    """Recordings with scored diagnoses, and how many others were left out."""
    # As the Challenge scores them, whatever the method takes for its training; nothing simulated.
    targets = partial(as_scored, diagnoses=model.method.diagnoses)
    facts: dict[str, Any] = {"make_targets": targets, "use_for_training": has_scored_class, "simulated_share": 0.0}
    method = replace(model.method, training=replace(model.method.training, **facts))
    dataset, problems = build_dataset(method, data_folder, cache_folder, statements=statements)
    for problem in problems:
        say(f"Left out: {problem}")
    if dataset.unused:
        say(f"Left out: {dataset.unused} recordings without a scored diagnosis")
    return dataset, dataset.unused + len(problems)


def _split(data_folder: Path, dataset: Dataset, seed: int) -> Ints:
    folds = dataset.split(range(len(dataset)), N_FOLDS, seed)
    found = len(np.unique(folds))
    if found < N_FOLDS:
        raise ValueError(
            f"{data_folder / 'folds.csv'}: expected recordings in {N_FOLDS} folds (k counts as (k - 1) modulo "
            f"{N_FOLDS}), found them in {found}; give more folds, or fold 0 to all to split without regard to patients"
        )
    return folds


def classify(model: Model, dataset: Dataset) -> dict[str | None, Decided]:
    """What the model says by itself, then by each other decision that it has."""
    items = (Item(row, dataset.signal(row), dataset.features(row)) for row in range(len(dataset)))
    found = progress(predict(model.method, model.networks, items, model.device), len(dataset), "Classifying")
    members = [(dataset.features(row), probabilities) for row, probabilities in found]
    names: list[str | None] = [None]
    if model.method.decision.by_convention is not None:
        names = [*dict.fromkeys([model.definitions, *CONVENTIONS]), None]

    def decided(name: str | None) -> Decided:
        each = [model.decide(row, None if name is None else features, name) for features, row in members]
        return Decided(np.array([labels for labels, _ in each]), np.array([scores for _, scores in each]))

    return {name: decided(name) for name in names}
