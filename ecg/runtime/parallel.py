"""Work done ahead in threads or processes, in order and in bounded memory."""

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar, cast

from ecg.runtime.threads import limit_blas_threads

S = TypeVar("S")
T = TypeVar("T")


class WorkerDiedError(Exception):
    """The process that worked on an item was ended from outside, or ran out of memory."""


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


def map_in_processes(
    function: Callable[[S], T], items: Iterable[S], *, workers: int, ahead: int, at_once: int = 4
) -> Iterator[tuple[S, T | WorkerDiedError]]:
    """As `map_ahead`, in `workers` processes; with 1 the work is done in this process. Results in the order of `items`.

    They are forks of this process: `function` may be any callable, nothing is imported again, and they start within
    milliseconds. There torch has one thread, and no GPU. Items and results are pickled. `at_once`: items that a process
    is given together, when all processes have work.

    In place of the result of an item that ends its process there is a `WorkerDiedError`; the other items that were
    under way are done again.
    """
    limit_blas_threads()
    if workers == 1:
        for item in items:
            yield item, function(item)
        return
    pool = _fork(function, workers)
    waiting: deque[tuple[list[S], Future[list[T]]]] = deque()

    def submit(some: list[S]) -> None:
        nonlocal pool
        try:
            waiting.append((some, pool.submit(_call, some)))
        except BrokenProcessPool:
            pool = _fork(function, workers)
            waiting.append((some, pool.submit(_call, some)))

    def first() -> Iterator[tuple[S, T | WorkerDiedError]]:
        some, future = waiting.popleft()
        try:
            yield from zip(some, future.result(), strict=True)
        except BrokenProcessPool:
            for item in some:
                yield item, in_own_process(function, item)  # nobody knows which of the items under way it was

    drawn = iter(items)
    try:
        while some := list(islice(drawn, 1 if len(waiting) < workers else at_once)):
            submit(some)
            if sum(len(some) for some, _ in waiting) >= ahead:
                yield from first()
        while waiting:
            yield from first()
    finally:
        pool.shutdown(cancel_futures=True)


def in_own_process(function: Callable[[S], T], item: S) -> T | WorkerDiedError:
    """The result of one item, in a process for it alone."""
    with _fork(function, 1) as pool:
        try:
            [result] = pool.submit(_call, [item]).result()
            return cast(T, result)
        except BrokenProcessPool:
            return WorkerDiedError("its process was ended from outside, or ran out of memory")


def _fork(function: Callable[[S], T], workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, get_context("fork"), initializer=_begin, initargs=(function,))


_function: Callable[[Any], Any]


def _begin(function: Callable[[Any], Any]) -> None:
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to every process; the parent ends the others
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    limit_blas_threads()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed tells nobody; without this its workers would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(items: list[Any]) -> list[Any]:
    return [_function(item) for item in items]
