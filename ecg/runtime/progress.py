"""Progress that a person can follow: a bar on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
_SECONDS_BETWEEN_LINES = 30.0


def progress(items: Iterable[T], total: int | None, description: str, unit: str = "recording") -> Iterator[T]:
    """Pass `items` through and say on standard error how far it is, how fast and how long it will take.

    On a terminal this is a bar. In a log file or a pipe it is a line at the end, and one every half minute before.

    `total`: how many items there will be, None where nobody knows yet.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=description, unit=f" {unit}s", dynamic_ncols=True, leave=True)
        return
    start = last = time.monotonic()
    done = 0
    for item in items:
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            say(_line(description, done, total, now - start, unit))
        yield item
        done += 1
    say(_line(description, done, done, time.monotonic() - start, unit))


def say(message: str) -> None:
    """One line on standard error, above the bar where there is one."""
    tqdm.write(message, file=sys.stderr)
    sys.stderr.flush()


@contextmanager
def silence() -> Iterator[None]:
    """Nothing of the above on standard error for the block: another process says the same."""
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        yield


def _line(description: str, done: int, total: int | None, elapsed: float, unit: str) -> str:
    return f"{description}: " + tqdm.format_meter(done, total or 0, elapsed, ncols=0, unit=f" {unit}s")
