"""Padding, and windows over a long recording."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pad_right(signal: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """Zero-pad (n_leads, n) on the right to at least `n_samples`."""
    short = n_samples - signal.shape[1]
    return np.pad(signal, ((0, 0), (0, short))) if short > 0 else signal


def even_windows(n_samples: int, window: int, min_overlap: int) -> list[slice]:
    """Lay windows evenly from the first sample to the last.

    Parameters
    ----------
    n_samples, window : int
        Length of the recording and of a window, in samples.
    min_overlap : int
        Samples that neighbours share at least.

    Returns
    -------
    list of slice
        ``ceil((n_samples - window) / (window - min_overlap)) + 1`` windows, one where the recording is no longer
        than a window. The even spread is that of the published code of Zhao et al.; their paper has a fixed overlap
        of 256 samples and only the last one adaptive. The number of windows is the same.
    """
    if n_samples <= window:
        return [slice(0, n_samples)]
    count = -(-(n_samples - window) // (window - min_overlap)) + 1
    starts = np.linspace(0, n_samples - window, count).astype(int)
    return [slice(int(start), int(start) + window) for start in starts]
