"""Probabilities from networks: recordings in, windows through the network in batches, one row per recording out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ecg.device import repeatable_kernels, training_autocast
from ecg.method import Batch, Method
from ecg.parallel import map_ahead
from ecg.signal import pad_right

WINDOWS_PER_BATCH = 64  # on a GPU


@dataclass(frozen=True)
class Item:
    """One preprocessed recording on its way through the networks."""

    key: Any
    signal: NDArray[np.float32]
    demographics: NDArray[np.float32]


def make_batch(signals: Sequence[NDArray[np.float32]], demographics: Sequence[NDArray[np.float32]],
               device: torch.device) -> Batch:
    """Stack items of any lengths, zero-padded on the right to the longest."""
    longest = max(signal.shape[1] for signal in signals)
    stacked = np.stack([pad_right(signal, longest) for signal in signals])
    return Batch(
        torch.from_numpy(stacked).to(device),
        torch.tensor([signal.shape[1] for signal in signals], device=device),
        torch.from_numpy(np.stack(demographics)).to(device),
    )


def predict(method: Method, networks: Sequence[nn.Module], items: Iterable[Item], device: torch.device, *,
            autocast: bool = False, deterministic: bool = False) -> Iterator[tuple[Any, NDArray[np.float64]]]:
    """Run recordings through networks.

    On a CPU each core takes one window at a time. That is as fast as batches over all cores and suffers less from other
    programs, and what a recording gets does not depend, to the last bit, on which others it comes with. On a GPU
    windows go in batches, across recordings.

    Parameters
    ----------
    method : Method
    networks : sequence of nn.Module
        In evaluation mode, on `device`.
    items : iterable of Item
        Drawn as needed; memory depends on neither their number nor their length beyond the signal itself.
    device : torch.device
    autocast : bool
        Whether the forward pass has training's precision rather than float32.
    deterministic : bool
        What a recording gets does not depend on its company on a GPU either: one window at a time there too.

    Yields
    ------
    tuple of key and ndarray, shape (n_networks, n_classes), float64
        In the order of `items`.
    """
    on_cpu = device.type == "cpu"
    n_threads = torch.get_num_threads()
    size, workers = windows_at_once(device, deterministic)

    def run(group: Group) -> tuple[Group, NDArray[np.float64]]:
        if on_cpu:
            torch.set_num_threads(1)  # for this thread; the other cores have workers of their own
        batch = make_batch([window for _, window in group], [recording.demographics for recording, _ in group], device)
        with (torch.inference_mode(), training_autocast(device) if autocast else nullcontext(),
              repeatable_kernels(device) if deterministic else nullcontext()):
            logits = torch.stack([method.forward(network, batch) for network in networks], dim=1)
        return group, torch.sigmoid(logits.double()).cpu().numpy()

    started: deque[_Recording] = deque()
    groups = _groups(method, items, started, size)
    try:
        for group, probabilities in map_ahead(run, groups, workers=workers, ahead=2 * workers):
            for (recording, _), row in zip(group, probabilities, strict=True):
                recording.probabilities.append(row)
            while started and len(started[0].probabilities) == started[0].n_windows:
                recording = started.popleft()
                windows = np.stack(recording.probabilities)
                yield recording.key, np.stack([method.merge(windows[:, k]) for k in range(windows.shape[1])])
    finally:
        torch.set_num_threads(n_threads)


def windows_at_once(device: torch.device, deterministic: bool = False) -> tuple[int, int]:
    """Windows in one batch, and how many such batches are computed at a time."""
    if device.type == "cpu":
        return 1, torch.get_num_threads()
    return (1 if deterministic else WINDOWS_PER_BATCH), 1


@dataclass
class _Recording:
    key: Any
    demographics: NDArray[np.float32]
    n_windows: int
    probabilities: list[NDArray[np.float64]]  # one per window that is through, (n_networks, n_classes)


Group = list[tuple[_Recording, NDArray[np.float32]]]
"""Windows that go through the network together, each with the recording it is of."""


def _groups(method: Method, items: Iterable[Item], started: deque[_Recording], size: int) -> Iterator[Group]:
    """Windows of all recordings in order, `size` at a time; a recording joins `started` with its first window."""
    group: Group = []
    for item in items:
        windows = method.windows(item.signal)
        recording = _Recording(item.key, item.demographics, len(windows), [])
        started.append(recording)
        for window in windows:
            group.append((recording, window))
            if len(group) == size:
                yield group
                group = []
    if group:
        yield group
