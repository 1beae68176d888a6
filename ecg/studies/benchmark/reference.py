"""The published ways, written straightforwardly: what is measured against and what results must equal.

One recording after another, one lead after another, float32 and eager where a network runs, loops over recordings where
a score is counted. Nothing here is meant to be fast; only the benchmark and its tests use it.
"""

import csv
import math
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from scipy.io import loadmat
from scipy.signal import butter, firwin, resample_poly, sosfiltfilt
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from ecg.arrays import Bools, Floats, Signal
from ecg.examination.examine import Examination
from ecg.inference.predict import make_batch
from ecg.io.header import Header, parse_header
from ecg.io.recording import Recording
from ecg.labels.classes import EQUIVALENT_CLASSES, NORMAL_CLASS
from ecg.leads import LEADS
from ecg.methods.base import Method
from ecg.model_folder.model import Model
from ecg.scoring.challenge import Scores, compute_challenge_metric, load_weights
from ecg.training.dataset import Dataset

Resample = Callable[[Signal, int, int], Signal]  # of a signal, from and to sampling frequencies in whole Hz


def reference_read(header_file: Path) -> tuple[Header, Signal]:
    """Header and (12, n_samples) float32 mV of a whole recording in a MATLAB file."""
    header = parse_header(header_file.read_text())
    stored = loadmat(header_file.with_suffix(".mat"))["val"]
    signal = np.zeros((len(LEADS), stored.shape[1]), dtype=np.float32)
    for name, gain, baseline, samples in zip(header.leads, header.adc_gains, header.baselines, stored, strict=True):
        signal[LEADS.index(name)] = (samples.astype(np.float64) - baseline) / gain
    return header, signal


@lru_cache
def _antialias_filter(up: int, down: int) -> Signal:
    taps = firwin(20 * max(up, down) + 1, 1 / max(up, down), window=("kaiser", 5.0))
    for phase in range(up):
        taps[phase::up] /= up * taps[phase::up].sum()
    return taps.astype(np.float32)


def reference_resample(signal: Signal, fs_in: int, fs_out: int) -> Signal:
    """What `ecg.signal.resampling.resample` computes, lead by lead."""
    up, down = fs_out // math.gcd(fs_in, fs_out), fs_in // math.gcd(fs_in, fs_out)
    window = _antialias_filter(up, down)
    return np.stack([resample_poly(lead, up, down, window=window, padtype="antireflect") for lead in signal])


def reference_interpolate(signal: Signal, fs_in: int, fs_out: int) -> Signal:
    """Linear interpolation lead by lead, as in the published training; on the right grid."""
    n_samples = signal.shape[1]
    times = np.arange(-(-n_samples * fs_out // fs_in)) / fs_out
    return np.stack([np.interp(times, np.arange(n_samples) / fs_in, lead) for lead in signal]).astype(np.float32)


def reference_band_pass(signal: Signal, low: float, high: float, fs: float) -> Signal:
    """What `ecg.signal.filtering.band_pass` computes, lead by lead."""
    sections = np.vstack([butter(3, low, "highpass", fs=fs, output="sos"), butter(6, high, fs=fs, output="sos")])
    padding = min(int(fs / 2), signal.shape[1] - 1)
    return np.stack([sosfiltfilt(sections, lead, padlen=padding) for lead in signal]).astype(np.float32)


def reference_preprocess(method: Method, signal: Signal, fs: float, resample: Resample = reference_resample) -> Signal:
    """The method's preprocessing of a recording that has all samples, lead by lead."""
    rate, band = round(method.input.sampling_frequency), method.input.band
    resampled = resample(signal, round(fs), rate)
    if band is not None:
        return reference_band_pass(resampled, *band, rate)
    return resampled * np.float32({"uV": 1000.0, "mV": 1.0}[method.input.units])


def features_of(method: Method, header: Header, signal: Signal) -> Signal:
    """What goes into the method's networks beside the signal."""
    person = Recording(signal, header.sampling_frequency, age=header.age, sex=header.sex)
    return Examination(person, method.input).features


def reference_pass(
    method: Method, networks: Sequence[nn.Module], header_file: Path, resample: Resample = reference_resample
) -> tuple[Floats, Signal]:
    """A recording's probabilities, (n_networks, n_classes), one network after another; and what goes in beside it."""
    header, signal = reference_read(header_file)
    windows = method.input.windows(reference_preprocess(method, signal, header.sampling_frequency, resample))
    features = features_of(method, header, signal)
    batch = make_batch(windows, [features] * len(windows), torch.device("cpu"))
    with torch.no_grad():
        logits = [method.forward(network, batch) for network in networks]
    return np.stack([method.decision.merge(torch.sigmoid(each.double()).numpy()) for each in logits]), features


def reference_run_folder(header_files: Sequence[Path], output_folder: Path, model: Model) -> None:
    """One recording after another, an output file each."""
    output_folder.mkdir(exist_ok=True)
    for path in header_files:
        labels, scores = model.decide(*reference_pass(model.method, model.networks, path))
        with open(output_folder / f"{path.stem}.csv", "w", newline="") as file:
            file.write(f"#{path.stem}\n")
            csv.writer(file).writerows([model.method.classes, labels.astype(int), scores])


def reference_train(
    method: Method, header_files: Sequence[Path], epochs: int, seed: int, device: torch.device, dataset: Dataset
) -> nn.Module:
    """The published loop, float32: every item is read, resampled and cropped in every epoch, when its batch is due.

    `dataset` has labels and targets of these recordings, in their order; the published code has such a table too.
    """
    stage, rng, size = method.training.stages[0], np.random.default_rng(seed), method.training.batch_size
    n_recordings, starts = len(header_files), range(0, len(header_files), size)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = method.build_network().to(device).train()
        optimizer, n_steps = stage.make_optimizer(network.parameters()), epochs * len(starts)
        schedule = LambdaLR(optimizer, lambda step: stage.learning_rate(step / n_steps))
        loss_of = stage.make_loss(dataset.labels[:n_recordings], load_weights(classes=method.classes)[1])
        for _ in range(epochs):
            order = rng.permutation(n_recordings)
            for rows in (order[start : start + size] for start in starts):
                items, features = [], []
                for row in rows:
                    header, signal = reference_read(header_files[row])
                    item = reference_preprocess(method, signal, header.sampling_frequency, reference_interpolate)
                    items.append(method.training.augment(item, rng))
                    features.append(features_of(method, header, signal))
                logits = method.forward(network, make_batch(items, features, device))
                loss = loss_of(logits, torch.from_numpy(dataset.targets[rows]).to(device))
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                loss.item()  # published code prints it
    return network


def reference_score(labels_folder: Path, outputs_folder: Path) -> Scores:
    """The measures of the official 2020 scorer, the way it works: cell by cell, each measure with its own counts.

    Only for regular files: every output has all the scored classes, 0 or 1, and numbers.
    """
    classes, weights = load_weights()
    labels, outputs, scores = _load(labels_folder, outputs_folder, classes)
    with np.errstate(invalid="ignore"):  # nan where undefined
        aurocs, auprcs = np.transpose([_areas(*columns) for columns in zip(labels.T, scores.T, strict=True)])
        _, fp, fn, tp = _count(labels, outputs)
        by_class = {"AUROC": aurocs, "AUPRC": auprcs, "F-measure": 2 * tp / (2 * tp + fp + fn)}
        _, fp, fn, tp = _count(labels, outputs, normalised=True)
        betas = {"Fbeta-measure": 5 * tp / (5 * tp + fp + 4 * fn), "Gbeta-measure": tp / (tp + fp + 2 * fn)}
    overall = {name: _mean(values) for name, values in (by_class | betas).items()}
    overall["Accuracy"] = sum(np.all(labels[i] == outputs[i]) for i in range(len(labels))) / len(labels)
    normal = np.zeros_like(labels)
    normal[:, classes.index(NORMAL_CLASS)] = True
    observed, correct, inactive = (_reward(weights, labels, given) for given in (outputs, labels, normal))
    overall["Challenge metric"] = (observed - inactive) / (correct - inactive) if correct != inactive else 0.0
    return Scores(classes, overall, by_class, labels.sum(axis=0))


def _load(labels_folder: Path, outputs_folder: Path, classes: Sequence[str]) -> tuple[Bools, Bools, Floats]:
    def representatives(line: str) -> list[str]:
        return [EQUIVALENT_CLASSES.get(code.strip(), code.strip()) for code in line.split(",")]

    headers = sorted(labels_folder.glob("*.hea"))
    labels = np.zeros((len(headers), len(classes)), dtype=bool)
    outputs, scores = np.zeros_like(labels), np.zeros(labels.shape)
    for i, header in enumerate(headers):
        with open(header) as file:
            [diagnoses] = [representatives(line.split(":")[1]) for line in file if line.startswith("#Dx")]
        with open(outputs_folder / f"{header.stem}.csv") as file:
            codes, flags, numbers = [line for line in file if not line.startswith("#")]
        names, words = representatives(codes), numbers.split(",")
        positive = [word.strip() in ("1", "True", "true", "T", "t") for word in flags.split(",")]
        for k, code in enumerate(classes):
            places = [place for place, name in enumerate(names) if name == code]
            labels[i, k] = any(name == code for name in diagnoses)
            outputs[i, k] = any(positive[place] for place in places)
            scores[i, k] = np.mean([float(words[place]) for place in places])
    return labels, outputs, scores


def _areas(labels: Bools, scores: Floats) -> tuple[float, float]:
    """Areas under the ROC curve and the precision-recall curve of one class, every distinct score a threshold."""
    thresholds, order = np.unique(scores)[::-1], np.argsort(-scores)
    counts = np.zeros((len(thresholds) + 1, 2))  # false and true positives at each threshold
    i = 0
    for j, threshold in enumerate(thresholds, start=1):
        counts[j] = counts[j - 1]
        while i < len(order) and scores[order[i]] >= threshold:
            counts[j, int(labels[order[i]])] += 1
            i += 1
    negatives, positives = counts[-1]
    auroc = auprc = 0.0
    for (fp_before, tp_before), (fp, tp) in pairwise(counts):
        recall_step = (tp - tp_before) / positives
        auroc += recall_step * (2 - fp / negatives - fp_before / negatives) / 2
        auprc += recall_step * tp / (tp + fp)
    return auroc, auprc


def _count(labels: Bools, outputs: Bools, normalised: bool = False) -> Floats:
    """True negatives, false positives, false negatives, true positives of each class, (4, n_classes).

    A recording counts 1, or 1 over the number of its labels.
    """
    counts = np.zeros((2, 2, labels.shape[1]))
    for i in range(len(labels)):
        weight = 1 / max(np.sum(labels[i]), 1) if normalised else 1.0
        for k in range(labels.shape[1]):
            counts[int(labels[i, k]), int(outputs[i, k]), k] += weight
    return counts.reshape(4, -1)


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


def _mean(values: Floats) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def reference_search(method: Method, n_classes: int, problem: tuple[Bools, Floats]) -> Floats:
    """The published search over the first `n_classes` classes: the metric again for each step of 0.01 of each class."""
    (labels, probabilities), (_, weights) = problem, load_weights(classes=method.classes)
    thresholds = np.full(len(method.classes), 0.5)
    for k in range(n_classes):
        scores = []
        for step in range(101):
            thresholds[k] = step / 100
            outputs = method.decision.decide(probabilities, thresholds)
            scores.append(compute_challenge_metric(weights, labels, outputs, method.classes))
        thresholds[k] = int(np.argmax(scores)) / 100
    return thresholds


def reference_measure(recordings: Sequence[tuple[Signal, float]]) -> Floats:
    """QRS durations by NeuroKit2 (Makowski et al. 2021, Behav Res Methods 53:1689-1696), ms; NaN where it finds none.

    What its `ecg_process` does to lead II to find beats and waves: cleaning, R peaks, delineation by discrete wavelet
    transform; the median over the beats.
    """
    import neurokit2 as nk

    found = np.full(len(recordings), np.nan)
    for k, (signal, fs) in enumerate(recordings):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                cleaned = nk.ecg_clean(signal[LEADS.index("II")], sampling_rate=fs)
                peaks = nk.ecg_peaks(cleaned, sampling_rate=fs)[1]["ECG_R_Peaks"]
                waves = nk.ecg_delineate(cleaned, peaks, sampling_rate=fs, method="dwt")[1]
            except (ValueError, IndexError, ZeroDivisionError):  # where it finds too few beats
                continue
        durations = np.subtract(waves["ECG_R_Offsets"], waves["ECG_R_Onsets"], dtype=np.float64)
        if np.isfinite(durations).any():
            found[k] = 1000 * np.nanmedian(durations) / fs
    return found
