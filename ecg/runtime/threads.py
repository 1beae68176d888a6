"""How many threads linear algebra uses."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


@lru_cache(maxsize=1)
def limit_blas_threads() -> None:
    """Keep numpy's and scipy's OpenBLAS to one thread for the rest of the process.

    The project's own threads each do small products; a BLAS that starts threads for each of these makes all of them
    wait for one another, and classifying takes twice as long. Set at run time, so that it does not matter who imported
    numpy first.
    """
    ThreadpoolController().select(internal_api="openblas").limit(limits=1)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep torch to one thread for the block.

    Small products gain nothing by several threads, and beside another program these wait for each other: preparing the
    shipped model on 2 busy cores took 7 to 10 s with two threads and 0.5 to 0.7 s with one.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
