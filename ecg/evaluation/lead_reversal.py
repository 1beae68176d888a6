"""Fit the constants of `ecg.measurements.lead_reversal` and print them.

    python -m ecg.evaluation.lead_reversal_fit DATA

DATA holds recordings of PTB-XL and their `folds.csv` (record, database, fold); folds 1 to 8 are used. Their electrodes
are taken to be where they should. First the limb leads are regressed on the chest leads wave by wave, each beat with
the same weight. Then the arrangement as named has to win against the five others: a conditional logistic regression
(McFadden 1974) whose features are those of each arrangement, with a small ridge penalty.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ecg.measurements import lead_reversal, measure
from ecg.measurements.lead_reversal import ARRANGEMENTS, AS_NAMED, EXCHANGES, features_of, waves_of
from ecg.measurements.types import MedianBeat
from ecg.progress import progress
from helper_code import read_recording

_RIDGE = 1e-3  # both penalties: relative to the mean energy of a chest lead, and to features scaled to unit variance
_SHARE = 0.9985  # of the recordings that stay below each margin


def median_beats(data: Path, folds: Sequence[int]) -> list[MedianBeat]:
    """Of the PTB-XL recordings in these folds that have one."""
    with open(data / "folds.csv", newline="") as file:
        names = [row["record"] for row in csv.DictReader(file) if int(row["fold"]) in folds]
    beats = []
    for name in progress(names, len(names), "Measuring"):
        header, signal = read_recording(data / f"{name}.hea")
        beat = measure(signal, header.sampling_frequency).median_beat
        if beat is not None:
            beats.append(beat)
    return beats


def fit_from_chest(beats: Sequence[MedianBeat]) -> NDArray[np.float64]:
    """Coefficients of V1..V6 for the frontal plane, shape (3 waves, 2, 6)."""
    squares, products = np.zeros((3, 6, 6)), np.zeros((3, 2, 6))
    for beat in beats:
        for k, wave in enumerate(waves_of(beat) or []):
            if wave is not None:
                frontal, chest = wave[0][AS_NAMED], wave[1]
                energy = np.square(frontal).sum() + np.square(chest).sum() + 1e-9
                squares[k] += chest @ chest.T / energy
                products[k] += frontal @ chest.T / energy
    ridge = _RIDGE * np.trace(squares, axis1=1, axis2=2)[:, None, None] / 6 * np.eye(6)
    return np.stack([np.linalg.solve(s, p.T).T for s, p in zip(squares + ridge, products, strict=True)])


def fit_weights(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights, shape (3, 5), of features, shape (n, 6, 3, 5), with which the arrangement as named wins."""
    flat = features.reshape(len(features), len(ARRANGEMENTS), -1)
    scale = flat.reshape(-1, flat.shape[2]).std(axis=0)
    flat = flat / scale

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = flat @ weights
        scores -= scores.max(axis=1, keepdims=True)
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        slope = np.einsum("na,naf->nf", shares, flat) - flat[:, AS_NAMED]
        value = -np.log(shares[:, AS_NAMED]).mean() + _RIDGE * weights @ weights
        return float(value), slope.mean(axis=0) + 2 * _RIDGE * weights

    found = minimize(loss, np.zeros(flat.shape[2]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x / scale).reshape(features.shape[2:])


def main() -> int:
    beats = median_beats(Path(sys.argv[1]), range(1, 9))
    from_chest = fit_from_chest(beats).round(3)
    lead_reversal.FROM_CHEST[:] = from_chest
    features = np.stack([each for each in map(features_of, beats) if each is not None])
    weights = fit_weights(features).round(3)
    scores = np.einsum("nawf,wf->na", features, weights)
    margins = {
        name: round(float(np.quantile(scores[:, k] - scores[:, AS_NAMED], _SHARE)), 2) for name, k in EXCHANGES.items()
    }
    print(f"{len(features)} recordings")
    print("FROM_CHEST =", np.array2string(from_chest, separator=", "))
    print("WEIGHTS =", np.array2string(weights, separator=", "))
    print("MARGINS =", margins)
    return 0


if __name__ == "__main__":
    sys.exit(main())
