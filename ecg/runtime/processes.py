"""The processes of one command that PyTorch's launcher (`torchrun`) has started together."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
_LONGEST_WAIT = timedelta(days=7)  # for the slowest; of a process that has died the launcher knows at once
_ENDED = "another process of this run has ended, or its launcher was stopped"


@dataclass(frozen=True)
class Processes:
    """This process among those of one command; all methods but `is_first` wait until every process has called them."""

    rank: int = 0  # `rank`, `count`: this one's number, from 0, of how many
    count: int = 1
    local_rank: int = 0  # `local_rank`, `local_count`: the same on this machine
    local_count: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def add(self, tensor: torch.Tensor) -> None:
        """Sum a tensor over the processes, in place; all get the same bytes."""
        if self.count > 1:
            import torch.distributed

            with _all_there():
                torch.distributed.all_reduce(tensor)

    def gather(self, item: T) -> list[T]:
        """Everyone's item, in the order of ranks, for everyone."""
        if self.count == 1:
            return [item]
        import torch.distributed

        items: list[T | None] = [None] * self.count
        with _all_there():
            torch.distributed.all_gather_object(items, item)
        return items  # type: ignore[return-value]

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes, for everyone."""
        return self.gather(make() if self.is_first else None)[0]  # type: ignore[return-value]

    def wait(self) -> None:
        self.gather(None)


ALONE = Processes()


def launched() -> Processes:
    """This process as the launcher's environment describes it (RANK, WORLD_SIZE, LOCAL_RANK); `ALONE` without one.

    Raises ValueError if the environment makes no sense.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    found = {name: os.environ[name] for name in names if name in os.environ}
    if not {"RANK", "WORLD_SIZE"} <= set(found):
        return ALONE
    complaint = f"{found}: expected RANK below WORLD_SIZE and LOCAL_RANK below LOCAL_WORLD_SIZE, as torchrun sets them"
    try:
        rank, count, local_rank, local_count = (int(found[name]) for name in names)
    except (KeyError, ValueError):
        raise ValueError(complaint) from None
    if not (0 <= rank < count and 0 <= local_rank < local_count):
        raise ValueError(complaint)
    return Processes(rank, count, local_rank, local_count)


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """The processes of this command, connected for the block; `ALONE` outside `torchrun`.

    `device`: where this process computes: NCCL connects GPUs, gloo all else. Raises ConnectionError in the block, where
    another process has ended and the launcher therefore ends this one.
    """
    processes = launched()
    if processes.count == 1:
        yield processes
        return
    import torch.distributed

    before = signal.signal(signal.SIGTERM, _stop)
    try:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        with _all_there():
            torch.distributed.init_process_group(backend, timeout=_LONGEST_WAIT)
        yield processes
        processes.wait()
        if device.type == "cuda":
            torch.distributed.destroy_process_group()  # not after an error: it may wait for those that are gone
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: object) -> NoReturn:
    raise ConnectionError(_ENDED)


@contextmanager
def _all_there() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # of all that torch raises where a connection has broken
        print(f"{type(error).__name__}: {error}".splitlines()[0], file=sys.stderr)
        raise ConnectionError(_ENDED) from error
