"""A method small enough to train within a second, and recordings to train it on."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import team_code
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.leads import LEADS
from ecg.methods.base import Method
from ecg.networks.boosted_trees import BoostedTrees
from ecg.networks.tree_fitting import fit_trees_of_class
from ecg.simulator import write as simulator
from ecg.simulator.simulate import Simulated, simulate_recording
from ecg.training.dataset import Dataset, Entry
from ecg.training.options import TrainingOptions


class TinyNet(nn.Module):
    """One convolution, batch norm, dropout and a linear layer, in the shape of the entry's network."""

    def __init__(self, dropout: float = 0.2, n_classes: int = 24) -> None:
        super().__init__()
        self.conv = nn.Conv1d(12, 8, kernel_size=15, stride=16, bias=False)
        self.bn = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(8 + 5, n_classes)

    def forward(self, signal: Tensor, demographics: Tensor) -> Tensor:
        x = self.dropout(self.bn(self.conv(signal)).relu().mean(dim=2))
        logits: Tensor = self.fc(torch.cat([x, demographics], dim=1))
        return logits


def changed(method: Method, **changes: object) -> Method:
    """A method with some fields replaced, wherever in it they stand."""
    groups = {name: getattr(method, name) for name in ("input", "training", "decision")}
    for name, group in groups.items():
        own = {key: changes.pop(key) for key in list(changes) if hasattr(group, key)}
        groups[name] = replace(group, **own)
    return replace(method, **groups, **changes)


def tiny(diagnoses: Diagnoses = CHALLENGE_2020, **changes: object) -> Method:
    network = partial(TinyNet, n_classes=len(diagnoses.classes))
    return changed(
        team_code.zhao(diagnoses=diagnoses),
        **{"name": "tiny", "settings": {}, "build_network": network, "batch_size": 8, **changes},
    )


def still() -> Method:
    """The tiny method without dropout, whose draws depend on the number of processes."""
    return tiny(name="still", build_network=partial(TinyNet, 0.0))


def quick(**changes: object) -> TrainingOptions:
    """Options of a training that takes a second: one member, one epoch, one process."""
    return TrainingOptions(**{"members": 1, "epochs": 1, "workers": 1, "device": "cpu", **changes})


def fit_boosted_trees(trees: BoostedTrees, features: np.ndarray, targets: np.ndarray, seed: int) -> None:
    """Fit the trees of every class."""
    for k in range(targets.shape[1]):
        fit_trees_of_class(trees, k, features, targets, seed)


def random_dataset(n_recordings: int = 30, seed: int = 0) -> Dataset:
    """Recordings whose amplitude in lead k tells class k, so that something can be learned."""
    rng = np.random.default_rng(seed)
    entries, signals, start = [], [], 0
    for number in range(n_recordings):
        kind = number % 3
        signal = rng.normal(size=(12, int(rng.integers(600, 5000)))).astype(np.float32)
        signal[kind] *= 10
        entries.append(
            Entry(
                f"T{number:03d}",
                "Test",
                0,
                labels=(team_code.CLASSES[kind],),
                seconds=10.0,
                digest=str(number),
                start=start,
                targets=tuple(np.eye(24)[kind]),
                n_samples=signal.shape[1],
                n_features=5,
            )
        )
        start += signal.size + 5
        signals += [signal.ravel(), np.array([0.5, 1, 1, 0, 1], dtype=np.float32)]
    return Dataset(entries, np.concatenate(signals))


def write_recording(
    folder: Path,
    name: str,
    signal: np.ndarray,
    *,
    fs: float = 500,
    dx: str = "426783006",
    leads: tuple[str, ...] = LEADS,
) -> Path:
    """A signal in mV, (12, n), as Challenge files of a woman of 60."""
    parameters = simulated_once(0, None, 500, 2).parameters
    simulated = Simulated(signal, fs, tuple(dx.split(",")), 60.0, "Female", parameters)
    return simulator.write_recording(folder, name, simulated, leads=leads)


def heart_like(seconds: float = 10, fs: float = 500, *, seed: int = 0) -> np.ndarray:
    """A simulated signal in mV, (12, n)."""
    return simulated_once(seed, "NSR", fs, seconds).signal.copy()


@lru_cache(maxsize=256)
def simulated_once(seed: int, diagnosis: str | None, fs: float, seconds: float) -> Simulated:
    """A recording that many tests use: simulating it takes longer than most of what they do with it."""
    return simulate_recording(seed, 1, diagnosis, fs, seconds)


CODES = ["426783006", "164889003", "427084000"]


def write_databases(folder, **numbers):
    """Recordings HR00000, HR00001, ... for ``HR=2``, each with one of three diagnoses."""
    names = [f"{prefix}{k:05d}" for prefix, number in numbers.items() for k in range(number)]
    for seed, name in enumerate(names):
        write_recording(folder, name, heart_like(2, seed=seed), dx=CODES[seed % 3])
    return folder
