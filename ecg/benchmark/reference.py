"""The published ways, written plainly: what the benchmark measures against and what its results must equal.

One recording after another, one lead after another, float32 and eager where a network runs, loops over recordings
where a score is counted. Nothing here is meant to be fast; nothing but the benchmark and its tests uses it.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy.io import loadmat
from scipy.signal import butter, firwin, resample_poly, sosfiltfilt
from torch import nn

from ecg.classes import EQUIVALENT_CLASSES, NORMAL_CLASS
from ecg.evaluation.challenge import load_weights
from ecg.io.header import Header, parse_header
from ecg.leads import LEADS
from ecg.methods.base import Batch, Method
from ecg.training.dataset import Dataset

Signal = NDArray[np.float32]
WayIn = Callable[[Signal, float], Signal]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


# --- The way in ---------------------------------------------------------------------------------------------------


def read_plainly(header_file: Path) -> tuple[Header, Signal]:
    """Header and (12, n_samples) float32 mV of a whole recording in a MATLAB file."""
    header = parse_header(header_file.read_text())
    stored = loadmat(header_file.with_suffix(".mat"))["val"]
    signal = np.zeros((len(LEADS), stored.shape[1]), dtype=np.float32)
    for name, gain, baseline, samples in zip(header.leads, header.adc_gains, header.baselines, stored, strict=True):
        signal[LEADS.index(name)] = (samples.astype(np.float64) - baseline) / gain
    return header, signal


@lru_cache
def _filter(up: int, down: int) -> NDArray[np.float32]:
    taps = firwin(20 * max(up, down) + 1, 1 / max(up, down), window=("kaiser", 5.0))
    for phase in range(up):
        taps[phase::up] /= up * taps[phase::up].sum()
    single: NDArray[np.float32] = taps.astype(np.float32)
    return single


def resample_plainly(signal: Signal, fs_in: int, fs_out: int) -> Signal:
    """What `ecg.signal.resample` computes, by scipy and lead by lead; sampling frequencies in whole Hz."""
    up, down = fs_out // math.gcd(fs_in, fs_out), fs_in // math.gcd(fs_in, fs_out)
    return np.stack([resample_poly(lead, up, down, window=_filter(up, down), padtype="antireflect") for lead in signal])


def interpolate_plainly(signal: Signal, fs_in: int, fs_out: int) -> Signal:
    """Linear interpolation lead by lead, as in the published training; on the right grid."""
    n_samples = signal.shape[1]
    times = np.arange(-(-n_samples * fs_out // fs_in)) / fs_out
    return np.stack([np.interp(times, np.arange(n_samples) / fs_in, lead) for lead in signal]).astype(np.float32)


def band_pass_plainly(signal: Signal, low: float, high: float, fs: float) -> Signal:
    """What `ecg.signal.band_pass` computes, lead by lead."""
    sections = np.vstack([butter(3, low, "highpass", fs=fs, output="sos"), butter(6, high, fs=fs, output="sos")])
    padding = min(int(fs / 2), signal.shape[1] - 1)
    return np.stack([sosfiltfilt(sections, lead, padlen=padding) for lead in signal]).astype(np.float32)


# --- The driver ---------------------------------------------------------------------------------------------------


def load_plainly(folder: Path, method: Method) -> tuple[list[nn.Module], Floats]:
    """Networks of a model folder as they are stored, float32, and their thresholds (n_members, n_classes)."""
    config = json.loads((folder / "config.json").read_text())
    networks = []
    for row in config["members"]:
        network = method.build_network().eval()
        network.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in load_file(folder / row["weights"]).items()}
        )
        networks.append(network)
    return networks, np.array([[row["thresholds"][code] for code in method.classes] for row in config["members"]])


def probabilities_plainly(
    method: Method, way_in: WayIn, networks: Sequence[nn.Module], header_file: Path
) -> tuple[Header, Floats]:
    """A recording's header and probabilities (n_networks, n_classes): one network after another."""
    header, signal = read_plainly(header_file)
    windows = np.stack(method.input.windows(way_in(signal, header.sampling_frequency)))
    batch = Batch(
        torch.from_numpy(windows),
        torch.full((len(windows),), windows.shape[2]),
        torch.from_numpy(np.stack([method.input.demographics(header)] * len(windows))),
    )
    probabilities = []
    for network in networks:
        with torch.no_grad():
            logits = method.forward(network, batch)
        probabilities.append(method.decision.merge(torch.sigmoid(logits.double()).numpy()))
    return header, np.stack(probabilities)


def judge_plainly(
    method: Method,
    way_in: WayIn,
    networks: Sequence[nn.Module],
    thresholds: Floats,
    header_files: Sequence[Path],
    output_folder: Path,
) -> None:
    """One recording after another, an output file each."""
    output_folder.mkdir(exist_ok=True)
    for path in header_files:
        _, probabilities = probabilities_plainly(method, way_in, networks, path)
        each = np.stack([method.decision.decide(p[None], t)[0] for p, t in zip(probabilities, thresholds, strict=True)])
        labels, scores = method.decision.combine(each[:, None], probabilities[:, None], thresholds)
        with open(output_folder / f"{path.stem}.csv", "w", newline="") as file:
            file.write(f"#{path.stem}\n")
            csv.writer(file).writerows([method.classes, labels[0].astype(int), scores[0]])


# --- Training -----------------------------------------------------------------------------------------------------


def train_plainly(
    method: Method,
    way_in: WayIn,
    header_files: Sequence[Path],
    dataset: Dataset,
    epochs: int,
    seed: int,
    device: torch.device,
) -> nn.Module:
    """The published loop, float32: every item is read, resampled and cropped in every epoch, when its batch is due.

    `dataset` has labels and targets of these recordings and others after them, in their order; the published code has
    such a table too.
    """
    stage, rng = method.training.stages[0], np.random.default_rng(seed)
    labels = dataset.labels[: len(header_files)]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = method.build_network().to(device).train()
        optimizer = stage.make_optimizer(network.parameters())
        rates = [group["lr"] for group in optimizer.param_groups]
        loss_of = stage.make_loss(labels, load_weights(classes=method.classes)[1])
        for epoch in range(epochs):
            order = rng.permutation(len(header_files))
            starts = range(0, len(order), method.training.batch_size)
            for step, start in enumerate(starts):
                rows = order[start : start + method.training.batch_size]
                items, features = [], []
                for row in rows:
                    header, signal = read_plainly(header_files[row])
                    items.append(method.training.augment(way_in(signal, header.sampling_frequency), rng))
                    features.append(method.input.demographics(header))
                longest = max(item.shape[1] for item in items)
                signals = np.zeros((len(items), len(LEADS), longest), dtype=np.float32)
                for signal, item in zip(signals, items, strict=True):
                    signal[:, : item.shape[1]] = item
                batch = Batch(
                    torch.from_numpy(signals).to(device),
                    torch.tensor([item.shape[1] for item in items], device=device),
                    torch.from_numpy(np.stack(features)).to(device),
                )
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * stage.learning_rate((epoch + step / len(starts)) / epochs)
                loss = loss_of(method.forward(network, batch), torch.from_numpy(dataset.targets[rows]).to(device))
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                loss.item()  # published code prints it
    return network


# --- Scoring ------------------------------------------------------------------------------------------------------


def score_plainly(labels_folder: Path, outputs_folder: Path) -> dict[str, list[float]]:
    """The measures of `evaluate_model.compute_scores` by name, the overall ones as lists of one.

    It works as the official 2020 scorer does: each class of each recording is looked up in the recording's codes, each
    cell is looked at in a loop, each threshold has its own counts. Only for whole and regular files: every output has
    all the scored classes, 0 or 1, and numbers.
    """
    classes, weights = load_weights()
    labels, binary, scores = _load_plainly(labels_folder, outputs_folder, classes)
    areas = [_areas(labels[:, k], scores[:, k]) for k in range(len(classes))]
    aurocs, auprcs = [area[0] for area in areas], [area[1] for area in areas]
    f_measures = [_f_measure(*table, beta=1) for table in _count(labels, binary, normalised=False)]
    tables = _count(labels, binary, normalised=True)
    f_betas = [_f_measure(*table, beta=2) for table in tables]
    g_betas = [tp / (tp + fp + 2 * fn) if tp + fp + fn else math.nan for tp, fp, fn in tables]
    right = 0
    for i in range(len(labels)):
        if np.all(labels[i] == binary[i]):
            right += 1
    normal = np.zeros_like(labels)
    normal[:, classes.index(NORMAL_CLASS)] = True
    observed, correct, inactive = (_reward(weights, labels, outputs) for outputs in (binary, labels, normal))
    return {
        "AUROC": [_mean(aurocs)],
        "AUPRC": [_mean(auprcs)],
        "Accuracy": [right / len(labels)],
        "F-measure": [_mean(f_measures)],
        "Fbeta-measure": [_mean(f_betas)],
        "Gbeta-measure": [_mean(g_betas)],
        "Challenge metric": [(observed - inactive) / (correct - inactive) if correct != inactive else 0.0],
        "AUROC by class": aurocs,
        "AUPRC by class": auprcs,
        "F-measure by class": f_measures,
    }


def _load_plainly(labels_folder: Path, outputs_folder: Path, classes: Sequence[str]) -> tuple[Bools, Bools, Floats]:
    names = sorted(name for name in os.listdir(labels_folder) if name.endswith(".hea"))
    diagnoses, codes, flags, numbers = [], [], [], []
    for name in names:
        with open(labels_folder / name) as file:
            for line in file:
                if line.startswith("#Dx"):
                    diagnoses.append([_representative(code) for code in line.split(":")[1].split(",")])
        with open(outputs_folder / name.replace(".hea", ".csv")) as file:
            lines = [line for line in file if not line.startswith("#")]
        codes.append([_representative(code) for code in lines[0].split(",")])
        flags.append([word.strip() in ("1", "True", "true", "T", "t") for word in lines[1].split(",")])
        numbers.append([float(word) for word in lines[2].split(",")])
    labels = np.zeros((len(names), len(classes)), dtype=bool)
    binary, scores = np.zeros_like(labels), np.zeros(labels.shape)
    for i in range(len(names)):
        for k, code in enumerate(classes):
            labels[i, k] = any(other == code for other in diagnoses[i])
            places = [place for place, other in enumerate(codes[i]) if other == code]
            binary[i, k] = any(flags[i][place] for place in places)
            scores[i, k] = np.mean([numbers[i][place] for place in places])
    return labels, binary, scores


def _representative(code: str) -> str:
    return EQUIVALENT_CLASSES.get(code.strip(), code.strip())


def _areas(labels: Bools, scores: Floats) -> tuple[float, float]:
    """Areas under the ROC curve and the precision-recall curve of one class."""
    if not labels.any():
        return math.nan, math.nan
    thresholds = np.unique(scores)[::-1]
    order = np.argsort(-scores)
    tp, fp = np.zeros(len(thresholds) + 1), np.zeros(len(thresholds) + 1)
    fn, tn = np.full(len(tp), labels.sum()), np.full(len(tp), (~labels).sum())
    i = 0
    for j in range(1, len(tp)):
        tp[j], fp[j], fn[j], tn[j] = tp[j - 1], fp[j - 1], fn[j - 1], tn[j - 1]
        while i < len(order) and scores[order[i]] >= thresholds[j - 1]:
            if labels[order[i]]:
                tp[j] += 1
                fn[j] -= 1
            else:
                fp[j] += 1
                tn[j] -= 1
            i += 1
    auroc = auprc = 0.0
    for j in range(1, len(tp)):
        step = tp[j] / (tp[j] + fn[j]) - tp[j - 1] / (tp[j - 1] + fn[j - 1])
        auprc += step * tp[j] / (tp[j] + fp[j])
        if labels.all():
            auroc = math.nan
        else:
            auroc += step * (tn[j] / (tn[j] + fp[j]) + tn[j - 1] / (tn[j - 1] + fp[j - 1])) / 2
    return auroc, auprc


def _count(labels: Bools, outputs: Bools, normalised: bool) -> list[tuple[float, float, float]]:
    """True positives, false positives, false negatives of each class; a recording counts 1, or 1 over its labels."""
    tables = np.zeros((labels.shape[1], 3))
    for i in range(len(labels)):
        weight = 1 / max(np.sum(labels[i]), 1) if normalised else 1.0
        for k in range(labels.shape[1]):
            if labels[i, k] and outputs[i, k]:
                tables[k, 0] += weight
            elif not labels[i, k] and outputs[i, k]:
                tables[k, 1] += weight
            elif labels[i, k] and not outputs[i, k]:
                tables[k, 2] += weight
    return [(tp, fp, fn) for tp, fp, fn in tables]


def _f_measure(tp: float, fp: float, fn: float, beta: float) -> float:
    whole = (1 + beta**2) * tp + fp + beta**2 * fn
    return (1 + beta**2) * tp / whole if whole else math.nan


def _reward(weights: Floats, labels: Bools, outputs: Bools) -> float:
    confusion = np.zeros(weights.shape)
    for i in range(len(labels)):
        union = max(np.sum(np.any((labels[i], outputs[i]), axis=0)), 1)
        for j in range(labels.shape[1]):
            if labels[i, j]:
                for k in range(labels.shape[1]):
                    if outputs[i, k]:
                        confusion[j, k] += 1 / union
    return float(np.sum(weights * confusion))


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


# --- Thresholds ---------------------------------------------------------------------------------------------------


def search_grid_plainly(
    labels: Bools,
    probabilities: Floats,
    score: Callable[[Bools, Bools], float],
    decide: Callable[[Floats, Floats], Bools],
    start: Floats,
    n_classes: int,
) -> Floats:
    """The published search over the first `n_classes` classes: the score anew for each step of 0.01 of each class."""
    thresholds = start.copy()
    for k in range(n_classes):
        scores = []
        for step in range(101):
            thresholds[k] = step / 100
            scores.append(score(labels, decide(probabilities, thresholds)))
        thresholds[k] = int(np.argmax(scores)) / 100
    return thresholds
