"""Probabilities from networks: recordings in, windows through the network in batches, one row per recording out."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ecg.io.recording import Recording
from ecg.methods.base import Batch, Method
from ecg.runtime.device import repeatable_kernels, training_autocast
from ecg.runtime.parallel import map_ahead
from ecg.runtime.threads import limit_blas_threads
from ecg.signal.windows import pad_right

_GRAIN = 512  # samples: windows whose lengths differ by less go together, the shorter ones padded

# A made-up patient: for trying out whether two forms of a network say the same.
SOMEBODY = Recording(np.zeros((12, 5000), np.float32), 500.0, "somebody", 60.0, "Female")


@dataclass(frozen=True)
class Batching:
    """How windows go through the networks."""

    n_samples: int  # the most in one batch, padding included; a longer window goes by itself
    n_recordings: int  # that stand together in the input and may share batches
    at_once: int  # batches computed at the same time

    def __str__(self) -> str:
        return f"batches of up to {self.n_samples} samples" if self.n_samples > 1 else "single windows"


def batching(device: torch.device, deterministic: bool = False) -> Batching:
    """What suits a device; `deterministic` if no recording may depend on its neighbours, not even by rounding."""
    # On a CPU each core computes its own batch: as fast as one over all cores, and it suffers less from other programs.
    at_once = torch.get_num_threads() if device.type == "cpu" else 1
    if deterministic:
        return Batching(1, 1, at_once)
    # On a CPU twenty recordings of 10 s are one batch; on a GPU five batches go before the last may stay half empty.
    return Batching(1 << 16, 20, at_once) if device.type == "cpu" else Batching(1 << 18, 320, at_once)


@dataclass(frozen=True)
class Item:
    """One preprocessed recording on its way through the networks."""

    key: Any
    signal: NDArray[np.float32]  # (12, n); one without samples passes through in its place, without probabilities
    features: NDArray[np.float32]
    batch_group: int = 0  # recordings in a row that have the same may share batches


def make_batch(
    signals: Sequence[NDArray[np.float32]], features: Sequence[NDArray[np.float32]], device: torch.device
) -> Batch:
    """Stack items of any lengths, zero-padded on the right to the longest."""
    longest = max(signal.shape[1] for signal in signals)
    stacked = np.stack([pad_right(signal, longest) for signal in signals])
    return Batch(
        torch.from_numpy(stacked).to(device),
        torch.tensor([signal.shape[1] for signal in signals], device=device),
        torch.from_numpy(np.stack(features)).to(device),
    )


def predict(
    method: Method,
    networks: Sequence[nn.Module],
    items: Iterable[Item],
    device: torch.device,
    *,
    autocast: bool = False,
    deterministic: bool = False,
) -> Iterator[tuple[Any, NDArray[np.float64]]]:
    """Run recordings through networks.

    Batch composition changes results only by rounding.

    `networks`: in evaluation mode, on `device`. `items`: drawn as needed; memory depends on neither their number nor
    their length beyond the signal itself. `autocast`: whether the forward pass has training's precision rather than
    float32. `deterministic`: results do not depend on batch composition at all: one window at a time, only kernels that
    give the same bytes every time. Returns (n_networks, n_classes), float64: in the order of `items`; the array is
    empty, (0, n_classes), for an item without samples.
    """
    limit_blas_threads()
    on_cpu = device.type == "cpu"
    n_threads = torch.get_num_threads()
    plan = batching(device, deterministic)

    def run(group: Group) -> tuple[Group, NDArray[np.float64]]:
        if on_cpu:
            torch.set_num_threads(1)  # for this thread; the other cores have workers of their own
        batch = make_batch([window for *_, window in group], [recording.features for recording, *_ in group], device)
        with (
            torch.inference_mode(),
            training_autocast(device, *networks) if autocast else nullcontext(),
            repeatable_kernels(device) if deterministic else nullcontext(),
        ):
            logits = torch.stack([method.forward(network, batch) for network in networks], dim=1)
        return group, torch.sigmoid(logits.double()).cpu().numpy()

    started: deque[_Recording] = deque()

    def finished() -> Iterator[tuple[Any, NDArray[np.float64]]]:
        while started and len(started[0].probabilities) == started[0].n_windows:
            yield started.popleft().result(method)

    try:
        groups = _groups(method, items, started, plan.n_samples)
        for group, probabilities in map_ahead(run, groups, workers=plan.at_once, ahead=2 * plan.at_once):
            for (recording, k, _), row in zip(group, probabilities, strict=True):
                recording.probabilities[k] = row
            yield from finished()
        yield from finished()  # items without samples after the last batch
    finally:
        torch.set_num_threads(n_threads)


@dataclass
class _Recording:
    key: Any
    features: NDArray[np.float32]
    n_windows: int
    probabilities: dict[int, NDArray[np.float64]]  # of each window that is through, (n_networks, n_classes)

    def result(self, method: Method) -> tuple[Any, NDArray[np.float64]]:
        if not self.n_windows:
            return self.key, np.empty((0, len(method.classes)))
        windows = np.stack([self.probabilities[k] for k in range(self.n_windows)])
        return self.key, np.stack([method.decision.merge(windows[:, k]) for k in range(windows.shape[1])])


Group = list[tuple[_Recording, int, NDArray[np.float32]]]
"""Windows that go through the network together, each with the recording it is of and its place there."""


def _groups(method: Method, items: Iterable[Item], started: deque[_Recording], n_samples: int) -> Iterator[Group]:
    """Windows of about the same length, as many together as allowed; a recording joins `started` with its first one.

    No group has recordings of different batch groups: what one batch group gives does not depend on the others.
    """
    waiting: dict[int, Group] = {}  # by the length that its windows may be padded to
    batch_group = None
    for item in items:
        if item.batch_group != batch_group:
            batch_group = item.batch_group
            yield from waiting.values()
            waiting = {}
        windows = method.input.windows(item.signal) if item.signal.size else []
        recording = _Recording(item.key, item.features, len(windows), {})
        started.append(recording)
        for k, window in enumerate(windows):
            length = -(-window.shape[1] // _GRAIN) * _GRAIN
            group = waiting.setdefault(length, [])
            group.append((recording, k, window))
            if (len(group) + 1) * length > n_samples:
                yield waiting.pop(length)
    yield from waiting.values()
