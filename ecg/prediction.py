"""Probabilities from networks: recordings in, windows through the network in batches, one row per recording out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ecg.method import Batch, Method
from ecg.signal import pad_right

# Windows per forward pass: enough to keep a CPU's caches or a GPU busy, little enough for 2 GB of memory.
WINDOWS_PER_BATCH = 16


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
            autocast: AbstractContextManager[object] | None = None) -> Iterator[tuple[Any, NDArray[np.float64]]]:
    """Run recordings through networks, a few windows at a time.

    Parameters
    ----------
    method : Method
    networks : sequence of nn.Module
        In evaluation mode, on `device`.
    items : iterable of Item
        Drawn as needed; memory depends on neither their number nor their length beyond the signal itself.
    device : torch.device
    autocast : context manager, optional
        Precision of the forward pass; float32 without it.

    Yields
    ------
    tuple of key and ndarray, shape (n_networks, n_classes), float64
        In the order of `items`.
    """
    started: deque[_Recording] = deque()
    queue: deque[tuple[_Recording, NDArray[np.float32]]] = deque()
    for item in items:
        windows = method.windows(item.signal)
        recording = _Recording(item.key, item.demographics, len(windows), [])
        started.append(recording)
        queue.extend((recording, window) for window in windows)
        while len(queue) >= WINDOWS_PER_BATCH:
            _run(method, networks, queue, device, autocast)
        yield from _finished(method, started)
    while queue:
        _run(method, networks, queue, device, autocast)
    yield from _finished(method, started)


@dataclass
class _Recording:
    key: Any
    demographics: NDArray[np.float32]
    n_windows: int
    probabilities: list[NDArray[np.float64]]  # one per window that is through, (n_networks, n_classes)


@torch.inference_mode()
def _run(method: Method, networks: Sequence[nn.Module], queue: deque[tuple[_Recording, NDArray[np.float32]]],
         device: torch.device, autocast: AbstractContextManager[object] | None) -> None:
    taken = [queue.popleft() for _ in range(min(len(queue), WINDOWS_PER_BATCH))]
    batch = make_batch([window for _, window in taken], [recording.demographics for recording, _ in taken], device)
    with autocast or nullcontext():
        logits = torch.stack([method.forward(network, batch) for network in networks], dim=1)
    probabilities = torch.sigmoid(logits.double()).cpu().numpy()
    for (recording, _), row in zip(taken, probabilities, strict=True):
        recording.probabilities.append(row)


def _finished(method: Method, started: deque[_Recording]) -> Iterator[tuple[Any, NDArray[np.float64]]]:
    while started and len(started[0].probabilities) == started[0].n_windows:
        recording = started.popleft()
        windows = np.stack(recording.probabilities)
        yield recording.key, np.stack([method.merge(windows[:, k]) for k in range(windows.shape[1])])
