"""Padding, and windows over a long recording."""

import numpy as np
from numpy.typing import NDArray


def pad_right(signal: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """Zero-pad (n_leads, n) on the right to at least `n_samples`."""
    short = n_samples - signal.shape[1]
    return np.pad(signal, ((0, 0), (0, short))) if short > 0 else signal


def pad_edges(signal: NDArray[np.float32], before: int, after: int) -> NDArray[np.float32]:
    """Repeat the first and the last sample of (n_leads, n), as `numpy.pad` does in three times as long."""
    ends = np.repeat(signal[:, :1], before, axis=1), np.repeat(signal[:, -1:], after, axis=1)
    return np.concatenate([ends[0], signal, ends[1]], axis=1)


def block_means(signal: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Means of blocks of neighbouring samples, (n_leads, n) to (n_leads, n // length); what is left over is dropped."""
    n_blocks = signal.shape[1] // length
    blocks = signal[:, : n_blocks * length].reshape(len(signal), n_blocks, length)
    if length == 1:
        return blocks[..., 0].copy()
    total = blocks[..., 0] + blocks[..., 1]
    for k in range(2, length):  # numpy's sum over a short last axis takes ten times as long
        total += blocks[..., k]
    total *= np.float32(1 / length)
    return total


def even_windows(n_samples: int, window: int, min_overlap: int) -> list[slice]:
    """Lay windows evenly from the first sample to the last.

    `n_samples` and `window`: length of the recording and of a window, in samples. `min_overlap`: samples that
    neighbours share at least. Returns ``ceil((n_samples - window) / (window - min_overlap)) + 1`` windows, one where
    the recording is no longer than a window. The even spread is that of the published code of Zhao et al.; their paper
    has a fixed overlap of 256 samples and only the last one adaptive. The number of windows is the same.
    """
    if n_samples <= window:
        return [slice(0, n_samples)]
    count = -(-(n_samples - window) // (window - min_overlap)) + 1
    starts = np.linspace(0, n_samples - window, count).astype(int)
    return [slice(int(start), int(start) + window) for start in starts]
