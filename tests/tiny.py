"""A method small enough to train within a second, made of the entry's own pieces, and recordings to train it on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.io import savemat
from torch import Tensor, nn

import helper_code
import team_code
from ecg.dataset import Dataset, Entry
from ecg.method import Method


class TinyNet(nn.Module):
    """One convolution, batch norm, dropout and a linear layer, in the shape of the entry's network."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(12, 8, kernel_size=16, stride=16, bias=False)
        self.bn = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(8 + 5, len(team_code.CLASSES))

    def forward(self, signal: Tensor, demographics: Tensor) -> Tensor:
        x = self.dropout(self.bn(self.conv(signal)).relu().mean(dim=2))
        logits: Tensor = self.fc(torch.cat([x, demographics], dim=1))
        return logits


def tiny(**changes: object) -> Method:
    return replace(team_code.zhao(), name="tiny", settings={}, build_network=TinyNet, batch_size=8, **changes)


def random_dataset(n_recordings: int = 30, seed: int = 0) -> Dataset:
    """Recordings whose amplitude in lead k tells class k, so that something can be learned."""
    rng = np.random.default_rng(seed)
    entries, signals, start = [], [], 0
    for number in range(n_recordings):
        kind = number % 3
        signal = rng.normal(size=(12, int(rng.integers(600, 5000)))).astype(np.float32)
        signal[kind] *= 10
        entries.append(Entry(f"T{number:03d}", "Test", 0, labels=(team_code.CLASSES[kind],), seconds=10.0,
                             demographics=(0.5, 1, 1, 0, 1), digest=str(number), start=start,
                             n_samples=signal.shape[1]))
        start += signal.size
        signals.append(signal.ravel())
    return Dataset(entries, np.concatenate(signals), team_code.CLASSES)


def write_recording(folder: Path, name: str, adc: np.ndarray, *, fs: float = 500, dx: str = "426783006",
                    leads: tuple[str, ...] = helper_code.LEADS, gain: float = 1000, age: str = "60",
                    sex: str = "Female") -> Path:
    """One recording as Challenge files, plainly: ADC integers (n_leads, n_samples), MATLAB level 4."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{name} {len(leads)} {fs:g} {adc.shape[1]} 12-May-2020 12:33:59"]
    lines += [f"{name}.mat 16+24 {gain:g}/mV 16 0 0 0 0 {lead}" for lead in leads]
    lines += [f"#Age: {age}", f"#Sex: {sex}", f"#Dx: {dx}", "#Rx: Unknown", "#Hx: Unknown", "#Sx: Unknown"]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")
    savemat(folder / f"{name}.mat", {"val": adc.astype(np.int16)}, format="4")
    return folder / f"{name}.hea"


def heart_like(seconds: float = 10, fs: float = 500, *, rate: float = 75, seed: int = 0) -> np.ndarray:
    """ADC integers (12, n) at 1000 per mV: narrow beats of another size in each lead over a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * fs)) / fs
    phase = (time * rate / 60) % 1
    beat = np.exp(-((phase - 0.4) ** 2) / (2 * 0.015**2)) + 0.25 * np.exp(-((phase - 0.7) ** 2) / (2 * 0.05**2))
    sizes = rng.uniform(300, 1500, size=12)
    adc = sizes[:, None] * beat + rng.normal(0, 10, size=(12, len(time)))
    adc[2:6] = adc[1] - adc[0], -(adc[0] + adc[1]) / 2, adc[0] - adc[1] / 2, adc[1] - adc[0] / 2
    return adc.round().astype(np.int16)
