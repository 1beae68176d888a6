"""The way from windows to probabilities."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ecg.inference.fast_cpu import make_fast
from ecg.inference.predict import Batching, Item, batching, predict
from ecg.model_folder.model import Model
from ecg.runtime.device import fastest_dtype
from ecg.runtime.threads import one_torch_thread


@dataclass(frozen=True)
class Computing:
    """How a model's networks are run; its name says all that their bytes depend on beside model and machine."""

    device: torch.device
    # In float32, window by window, with the networks as they were trained; otherwise in bfloat16 where the hardware has
    # it, and on other CPUs in float32 by fewer multiplications.
    deterministic: bool

    @property
    def batching(self) -> Batching:
        return batching(self.device, self.deterministic)

    @property
    def in_workers(self) -> bool:
        """Whether the processes that read recordings run the networks too: no GPU can be used in a fork."""
        return self.device.type == "cpu"

    def group_size(self, n_recordings: int) -> int:
        """How many of a folder's recordings go together: few enough that sixteen processes have work."""
        most = self.batching.n_recordings
        return max(1, min(most, n_recordings // 16)) if self.in_workers else most

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32 if self.deterministic else fastest_dtype(self.device)

    @property
    def makes_fast(self) -> bool:
        return not self.deterministic and self.device.type == "cpu"

    def __str__(self) -> str:
        precision = "bfloat16" if self.dtype == torch.bfloat16 else "float32"
        how = " by Toom-Cook convolutions" if self.makes_fast and self.dtype == torch.float32 else ""
        return f"{self.batching} in {precision}{how} on {self.device.type}"

    def ready(self, model: Model) -> Model:
        """The model with networks for `probabilities`."""
        if not self.makes_fast:
            return model
        with one_torch_thread():
            return replace(model, networks=tuple(make_fast(model.method, model.networks, self.dtype)))

    def probabilities(self, ready: Model, items: Iterable[Item]) -> Iterator[tuple[Any, NDArray[np.float64]]]:
        """As of `predict`, of a model that `ready` gave."""
        return predict(
            ready.method,
            ready.networks,
            items,
            self.device,
            autocast=self.dtype == torch.bfloat16 and not self.makes_fast,
            deterministic=self.deterministic,
        )
