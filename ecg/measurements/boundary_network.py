"""A small convolutional network that marks P, QRS and T in a median beat, with numpy alone.

It looks at each lead with the same convolutions, pools them over the leads that have a signal, and looks at the whole.
For all leads together and for each lead it gives, for each of six boundaries, how likely the boundary is at each
sample. `ecg.training.fit_measurements` trains it.
"""

import math
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from ecg.arrays import Floats32
from ecg.measurements.small_arrays import mean

RATE = 250.0  # Hz
PAST, FUTURE = 0.448, 0.752  # s before and after the largest deflection
N_SAMPLES = round((PAST + FUTURE) * RATE)
CENTRE = round(PAST * RATE)
# s from the largest deflection: where onset and offset of P, QRS and T are looked for, in this order
RANGES = ((-0.44, -0.03), (-0.38, 0.0), (-0.17, 0.03), (-0.02, 0.22), (0.0, 0.6), (0.08, 0.72))
LEAD_DILATIONS = (1, 2, 4, 8)
WHOLE_DILATIONS = (2, 8, 16, 1)
_SECONDS = (np.arange(N_SAMPLES) - CENTRE) / RATE
_ALLOWED = np.stack([(first <= _SECONDS) & (last >= _SECONDS) for first, last in RANGES])
FITTED = Path(__file__).with_name("fitted.safetensors")


def network_input(beat: Floats32) -> Floats32:
    """What the network sees of a median beat.

    `beat`, (n_leads, N_SAMPLES), float32, mV: at `RATE`, the level before the QRS complex at 0. Returns (n_leads, 2,
    N_SAMPLES), float32: relative to the size of the QRS complex, linearly and with small waves enlarged.
    """
    size = np.sqrt(mean(beat**2, axis=0))[CENTRE - 25 : CENTRE + 30].max()
    relative = beat / max(float(size), 1e-3)
    return np.stack([0.5 * relative, 0.4 * np.arcsinh(relative / 0.05)], axis=1).astype(np.float32)


_given: dict[str, Floats32] = {}


@lru_cache(maxsize=1)
def parameters() -> dict[str, Floats32]:
    """All that was fitted: as it is in the file beside this one, or as `use_parameters` was told."""
    return _given or load(FITTED.read_bytes())


@lru_cache(maxsize=1)
def _weights() -> dict[str, Floats32]:
    """Weights as (n_out, taps * n_in) matrices, and biases as columns."""
    return {
        name: values.transpose(0, 2, 1).reshape(len(values), -1) if values.ndim == 3 else values[:, np.newaxis]
        for name, values in parameters().items()
    }


def use_parameters(fitted: Mapping[str, Floats32]) -> None:
    """Measure with these in place of the file's, in this process and from now on; with the file's where empty."""
    _given.clear()
    _given.update(fitted)
    parameters.cache_clear()
    _weights.cache_clear()


class _Workspace(threading.local):
    """Memory for the columns of a convolution, one for each thread: new memory would take as long as the product."""

    memory = np.empty(0, dtype=np.float32)

    def columns(self, shape: tuple[int, ...]) -> Floats32:
        size = math.prod(shape)
        if self.memory.size < size:
            self.memory = np.empty(size, dtype=np.float32)
        return self.memory[:size].reshape(shape)


_workspace = _Workspace()


def _convolve(x: Floats32, name: str, dilation: int = 1) -> Floats32:
    """Convolution along the last axis of (..., n_in, n_samples), zero beyond the ends; the result (..., n_out, n)."""
    weights, bias = _weights()[f"{name}.weight"], _weights()[f"{name}.bias"]
    taps = weights.shape[1] // x.shape[-2]
    if taps > 1:
        beside = taps // 2 * dilation
        padded = np.zeros((*x.shape[:-1], x.shape[-1] + 2 * beside), dtype=np.float32)
        padded[..., beside : beside + x.shape[-1]] = x
        shape, strides = (
            (*x.shape[:-2], taps, *x.shape[-2:]),
            (*padded.strides[:-2], 4 * dilation, *padded.strides[-2:]),
        )
        columns = _workspace.columns(shape)
        np.copyto(columns, np.ndarray(shape, np.float32, padded, strides=strides))
        x = columns.reshape(*x.shape[:-2], weights.shape[1], x.shape[-1])
    product: Floats32 = weights @ x  # lead by lead: what belongs to one stays in the processor's cache
    product += bias
    return product


def _layers(x: Floats32, name: str, dilations: tuple[int, ...]) -> Floats32:
    """Convolutions with ReLU, each but the first added to what it got."""
    for k, dilation in enumerate(dilations):
        new = _convolve(x, f"{name}.{k}", dilation)
        np.maximum(new, 0, out=new)
        if k:
            new += x
        x = new
    return x


def boundary_logits(beat: Floats32) -> tuple[Floats32, Floats32]:
    """Run the network.

    `beat`, (n_leads, N_SAMPLES), float32, mV: leads with a signal, one at least, at `RATE`; the level before the QRS
    complex at 0. Returns `whole`, (6, N_SAMPLES), float32: logarithm of how likely each boundary, in the order of
    `RANGES`, is at each sample, up to a constant: for all leads together; `leads`, (6, n_leads, N_SAMPLES), float32:
    the same for each lead.
    """
    of_lead = _layers(network_input(beat), "lead", LEAD_DILATIONS)
    whole = _layers(np.concatenate([mean(of_lead, axis=0), of_lead.max(axis=0)]), "whole", WHOLE_DILATIONS)
    # A product with stacked inputs is the sum of the products with either.
    weights, n_lead = _weights()["lead_hidden.weight"], of_lead.shape[1]
    hidden = weights[:, :n_lead] @ of_lead
    hidden += weights[:, n_lead:] @ whole + _weights()["lead_hidden.bias"]
    np.maximum(hidden, 0, out=hidden)
    return _convolve(whole, "whole_marks"), _convolve(hidden, "lead_marks").swapaxes(0, 1)


def allowed() -> NDArray[np.bool_]:
    """Which samples each boundary may be at, shape (6, N_SAMPLES)."""
    return _ALLOWED.copy()


def read_boundaries(logits: Floats32, allowed: NDArray[np.bool_], share: float = 0.5) -> NDArray[np.float64]:
    """Quantiles of the distributions over the samples; the median is the best guess of a boundary.

    `logits`: (..., n_samples), float32. `allowed`, (..., n_samples), bool: broadcast against `logits`. `share`: which
    quantile. Returns (...), float64: samples, with fractions.
    """
    return quantile(cumulated(logits, allowed), share)


def cumulated(logits: Floats32, allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How likely each boundary is at each sample or before it, up to a factor; arguments as of `read_boundaries`."""
    likely = np.where(allowed, logits, -np.inf)
    likely -= likely.max(axis=-1, keepdims=True)
    np.exp(likely, out=likely)
    return likely.cumsum(axis=-1, dtype=np.float64)


def quantile(below: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Quantiles of what `cumulated` gives, (..., n_samples) to (...): samples, with fractions."""
    flat = below.reshape(-1, below.shape[-1])
    target, rows = share * flat[:, -1], np.arange(len(flat))
    after = np.argmax(flat >= target[:, np.newaxis], axis=-1)
    above, beneath = flat[rows, after], np.where(after > 0, flat[rows, after - 1], 0)
    # A sample's share lies within half a sample to either side of it.
    return (after - 0.5 + (target - beneath) / (above - beneath)).reshape(below.shape[:-1])
