"""How the benchmark measures: sides take turns, memory is that of fresh processes, the floor is the machine's."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ecg.runtime.device import has_fast_bfloat16

Sides = dict[str, Callable[[], Callable[[], Any]]]
"""By name, what opens a side: it loads what is not measured, and returns what is."""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    records: int | None  # None: each measurement's own number
    repeats: int
    seed: int
    models: tuple[Path, ...]  # whose weights are used


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
        return cls(
            device,
            product(torch.float32),
            product(torch.bfloat16),
            block.nbytes / _fastest(lambda: target.copy_(block)[0].item()),
        )

    def floor(self, multiply_adds: float, n_bytes: float, *, network: bool = False) -> float:
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
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


@dataclass
class Measured:
    """What came of the sides of a measurement, by side."""

    seconds: dict[str, float] = field(default_factory=dict)  # median
    results: dict[str, Any] = field(default_factory=dict)  # of the last turn
    peaks: dict[str, float] = field(default_factory=dict)  # MB


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    reference: str  # sides
    project: str
    n_recordings: int
    target: float | None
    floor: float  # seconds
    check: str
    scale: float = 1.0  # times what the reference's side did


class Measurement:
    """Something measured: its files, its sides, and its lines in the table.

    It is sent to other processes: it holds no data but a folder and what the command line says.
    """

    name: ClassVar[str]
    default_records: ClassVar[int]

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder, self.options = folder, options
        self.n_recordings = options.records or self.default_records

    def prepare(self) -> None:
        """Write the files that the sides read."""

    def sides(self) -> Sides:
        """What takes turns."""
        raise NotImplementedError

    def rows(self, measured: Measured, machine: Machine) -> list[Row]:
        raise NotImplementedError

    def notes(self, measured: Measured) -> list[str]:
        """Paragraphs below the table."""
        return []


def run(measurement: Measurement) -> Measured:
    """Prepare a measurement and let its sides take turns; each side's memory in a process of its own."""
    measurement.prepare()
    sides = {name: opened() for name, opened in measurement.sides().items()}
    measured = Measured()
    turns: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(measurement.options.repeats):
        for name, side in sides.items():
            start = time.perf_counter()
            measured.results[name] = side()
            turns[name].append(time.perf_counter() - start)
    measured.seconds = {name: float(np.median(seconds)) for name, seconds in turns.items()}
    measured.peaks = {name: peak_memory(measurement, name) for name in sides}
    return measured


def peak_memory(measurement: Measurement, side: str) -> float:
    """Largest resident memory, MB, of a fresh process that does one side of a prepared measurement once."""
    # Not forked: threads of torch's that the fork would lack are waited for in vain.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_run_and_read_peak, measurement, side).result()


def _run_and_read_peak(measurement: Measurement, side: str) -> float:
    measurement.sides()[side]()()
    # Not ru_maxrss: a process begins with its parent's.
    [peak] = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024
