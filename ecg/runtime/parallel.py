"""Work done ahead in threads, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def map_ahead(function: Callable[[S], T], items: Iterable[S], *, workers: int, ahead: int) -> Iterator[T]:
    """Map in `workers` threads, results in the order of `items`, never more than `ahead` results waiting.

    Unlike ``Executor.map`` it draws from `items` only as fast as the results are taken, so memory stays flat however
    many items there are. An exception of `function` is raised where its result would have come.
    """
    with ThreadPoolExecutor(max_workers=workers) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
