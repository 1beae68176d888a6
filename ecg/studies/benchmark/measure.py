"""How the benchmark measures: sides take turns, memory is that of fresh processes, lower bounds are the machine's."""

from __future__ import annotations

import io
import multiprocessing
import os
import platform
import re
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import torch

from ecg.runtime.device import has_fast_bfloat16


@dataclass(frozen=True)
class Side:
    """One way to do a job. Both functions can be pickled: a further process measures its memory."""

    run: Callable[..., Any]  # timed; its result is compared with the other side's
    load: Callable[[], Any] | None = None  # not timed; `run` is given its result as last argument

    def open(self) -> Callable[[], Any]:
        return self.run if self.load is None else partial(self.run, self.load())


@dataclass(frozen=True)
class Timing:
    """What was measured of one side."""

    seconds: float  # median
    peak_memory: float  # MB
    result: Any  # of the last turn


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    n_recordings: int
    reference: Timing
    project: Timing
    lower_bound: float  # seconds
    check: str  # how far the two sides' results agree
    target: float | None = None
    scale: float = 1.0  # times what the reference did

    def format(self) -> str:
        before, after = self.scale * self.reference.seconds, self.project.seconds
        target = "–" if self.target is None else f"{self.target:g}"
        return (
            f"| {self.what} | {self.n_recordings} | {before:.3g} | {after:.3g} | {before / after:.2f} | {target} | "
            f"{after / self.lower_bound:.1f} | {self.reference.peak_memory:.0f}, {self.project.peak_memory:.0f} | "
            f"{self.check} |"
        )


class ProcessorTime:
    """Processor time of a block, s: `own` of this process, `workers` of the ended ones that it started."""

    def __enter__(self) -> ProcessorTime:
        self._before = _times()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds, self.own, self.workers = (b - a for a, b in zip(self._before, _times(), strict=True))
        self.total = self.own + self.workers


def _times() -> tuple[float, float, float]:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), time.process_time(), children.ru_utime + children.ru_stime


@dataclass(frozen=True)
class Machine:
    """Rates that bound everything, measured."""

    device: torch.device
    float32: float  # multiply-adds per second in a matrix product, all cores
    bfloat16: float
    copy: float  # bytes per second

    @classmethod
    def measure(cls, device: torch.device) -> Machine:
        def product(dtype: torch.dtype) -> float:
            size = 1024 if device.type == "cpu" else 8192
            matrix = torch.ones(size, size, dtype=dtype, device=device)
            return size**3 / _fastest(lambda: (matrix @ matrix)[0, 0].item())

        block = torch.zeros(1 << 27, dtype=torch.uint8, device=device)
        target = torch.ones_like(block)
        copy = block.nbytes / _fastest(lambda: target.copy_(block)[0].item())
        return cls(device, product(torch.float32), product(torch.bfloat16), copy)

    def lower_bound(self, multiply_adds: float, n_bytes: float, *, network: bool = False) -> float:
        """Seconds that this takes at the least; a network's multiply-adds in bfloat16 where that is fast."""
        rate = self.bfloat16 if network and has_fast_bfloat16(self.device) else self.float32
        return multiply_adds / rate + n_bytes / self.copy

    def describe(self) -> str:
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "scipy"))
        return (
            f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads; "
            f"{platform.system()}, Python {platform.python_version()}, {versions}. Measured: "
            f"{self.float32 / 1e9:.0f} (float32) and {self.bfloat16 / 1e9:.0f} (bfloat16) "
            f"billion multiply-adds per second in a matrix product, {self.copy / 1e9:.1f} GB/s in a copy."
        )


def _fastest(run: Callable[[], Any], repeats: int = 10) -> float:
    return min(_time(run)[0] for _ in range(repeats))


def _time(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def measure(sides: Sequence[Side], repeats: int) -> list[Timing]:
    """Let the sides take turns, so many each; then each side's memory in its own process."""
    runs = [side.open() for side in sides]
    turns = [[_time(run) for run in runs] for _ in range(repeats)]
    medians = np.median([[seconds for seconds, _ in turn] for turn in turns], axis=0)
    results = [result for _, result in turns[-1]]
    return [Timing(*found) for found in zip(map(float, medians), map(peak_memory, sides), results, strict=True)]


def peak_memory(side: Side) -> float:
    """The most memory, MB, of a fresh process that does one side once and of its workers, what they share once."""
    # Not forked: a forked process lacks torch's threads and waits for them in vain.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_run_and_watch, side).result()


def _run_and_watch(side: Side) -> float:
    peak, done = [0.0], Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak.append(_memory(os.getpid()))

    watcher = Thread(target=watch)
    watcher.start()
    try:
        with redirect_stderr(io.StringIO()):  # progress lines
            side.open()()
    finally:
        done.set()
        watcher.join()
    return max(peak)


def _memory(process: int) -> float:
    """Proportional memory of a process and of those that it started, MB; 0 of one that has ended."""
    try:
        place = Path(f"/proc/{process}")
        children = " ".join((task / "children").read_text() for task in (place / "task").iterdir()).split()
        [own] = re.findall(r"^Pss:\s*(\d+) kB", (place / "smaps_rollup").read_text(), re.MULTILINE)
        return int(own) / 1024 + sum(map(_memory, map(int, children)))
    except OSError:
        return 0.0
