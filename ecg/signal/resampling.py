"""Change of the sampling frequency."""

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import firwin

from ecg.signal.windows import pad_right

# Output samples that one matrix product makes for all leads: few of its matrix's entries are zero, and it is so small
# that no BLAS gives it to several threads, which on a busy machine can take seconds.
_TILE = 32


def resampling_ratio(fs_in: float, fs_out: float) -> tuple[int, int]:
    """``(up, down)`` in lowest terms, which stands for `fs_out` / `fs_in`."""
    ratio = Fraction(fs_out / fs_in).limit_denominator(4096)
    return ratio.numerator, ratio.denominator


@lru_cache(maxsize=16)
def antialias_filter(up: int, down: int) -> NDArray[np.float32]:
    """Taps at `up` times the input's rate, before each `down`-th sample is kept: an odd number, of unit gain."""
    # Ten periods of the lower rate on either side: the transition is a tenth of its Nyquist frequency wide.
    rate = max(up, down)
    taps = firwin(20 * rate + 1, 1 / rate, window=("kaiser", 5.0))
    # Each output sample uses every up-th tap: those must sum to the same, or a lead's offset would come out rippled.
    for phase in range(up):
        taps[phase::up] /= up * taps[phase::up].sum()
    single: NDArray[np.float32] = taps.astype(np.float32)
    return single


@lru_cache(maxsize=16)
def _resampling_tiles(up: int, down: int) -> tuple[int, list[tuple[int, NDArray[np.float32]]]]:
    """The filter as small matrices: output samples in a period, and (first input, matrix) for each tile of a period.

    The filter repeats itself every `up` output samples. A tile of neighbouring output samples is a product of the
    inputs that it depends on, (n_leads, n_inputs), and a matrix (n_inputs, n_outputs).
    """
    taps = up * antialias_filter(up, down)
    half = len(taps) // 2
    period = up * max(1, round(_TILE / up))
    tiles = []
    for outputs in np.array_split(np.arange(period), max(1, period // _TILE)):
        first, last = -((half - outputs[0] * down) // up), (outputs[-1] * down + half) // up
        at = outputs * down - np.arange(first, last + 1)[:, np.newaxis] * up + half
        matrix = np.where((at >= 0) & (at < len(taps)), taps[np.clip(at, 0, len(taps) - 1)], 0)
        tiles.append((int(first), matrix.astype(np.float32)))
    return period, tiles


def resample(signal: NDArray[np.float32], fs_in: float, fs_out: float) -> NDArray[np.float32]:
    """Change the sampling frequency behind a linear-phase anti-alias filter.

    `signal`, (n_leads, n_samples), float32: finite. Beyond its ends each lead continues as its mirror image through the
    end point, so that neither an offset nor a slope makes a step there. `fs_in` and `fs_out`: sampling frequencies, Hz.
    Returns (n_leads, ceil(n_samples * fs_out / fs_in)), float32.
    """
    up, down = resampling_ratio(fs_in, fs_out)
    if up == down:
        return signal
    # scipy's resample_poly does the same, lead by lead and sample by sample; as matrix products it takes a third.
    period, tiles = _resampling_tiles(up, down)
    n_leads, n_samples = signal.shape
    n_outputs = -(-n_samples * up // down)
    n_periods, step = -(-n_outputs // period), period // up * down
    before, reach = -tiles[0][0], max(first + len(matrix) for first, matrix in tiles)
    length = before + (n_periods - 1) * step + reach
    after = min(before + 1, length - before - n_samples)  # what is further from the end has no part in any output
    mirrored = np.pad(signal, ((0, 0), (before, after)), mode="reflect", reflect_type="odd")
    inputs = sliding_window_view(pad_right(mirrored, length), before + reach, axis=1)[:, ::step].transpose(1, 0, 2)
    outputs = np.empty((n_leads, n_periods, period), dtype=np.float32)
    column = 0
    for first, matrix in tiles:
        columns = slice(column, column + matrix.shape[1])
        outputs[:, :, columns] = (inputs[:, :, before + first : before + first + len(matrix)] @ matrix).swapaxes(0, 1)
        column = columns.stop
    return np.ascontiguousarray(outputs.reshape(n_leads, -1)[:, :n_outputs])
