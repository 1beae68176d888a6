"""How many threads numpy's linear algebra uses."""

from __future__ import annotations

from functools import lru_cache

from threadpoolctl import ThreadpoolController


@lru_cache(maxsize=1)
def limit_blas_threads() -> None:
    """Keep numpy's and scipy's OpenBLAS to one thread for the rest of the process.

    The project's own threads each do small products; a BLAS that starts threads for each of these makes all of them
    wait for one another, and judging takes twice as long. Set at run time, so that it does not matter who imported
    numpy first.
    """
    ThreadpoolController().select(internal_api="openblas").limit(limits=1)
