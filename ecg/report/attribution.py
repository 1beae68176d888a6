"""Where the network looked: integrated gradients of a class's logit over leads and time.

Sundararajan, Taly & Yan (ICML 2017): ``(x_i - b_i) * integral over a from 0 to 1 of dF/dx_i at b + a (x - b)``. The
values sum to F(x) - F(b) (completeness, their proposition 1). x is the input of the network, after any standardisation.
The baseline b is the same input with every lead at zero, like leads without a signal. The other inputs (age, sex) stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ecg.arrays import Floats32
from ecg.methods.base import Batch, Method
from ecg.runtime.parallel import map_ahead

STEPS = 48
_AT_ONCE = 8  # points of the path in one batch


@dataclass(frozen=True)
class Attribution:
    """What each sample of the input adds to the logit of one class."""

    class_index: int
    values: Floats32  # (12, n), float32: logits; positive where the sample speaks for the class
    sampling_frequency: float  # Hz
    logit: float  # `logit`, `baseline_logit`: F(x) and F(b); `values` should sum to their difference
    baseline_logit: float

    @property
    def shortfall(self) -> float:
        """How far the values' sum is from the change that it explains, as a share of that change."""
        change = self.logit - self.baseline_logit
        return float(abs(self.values.sum(dtype=np.float64) - change) / max(abs(change), 1e-6))


class _Caught(nn.Module):
    """Stands in for a network to see what it is given."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.given: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    def forward(self, *words: Any, **named: Any) -> Tensor:
        self.given = words, named
        return torch.zeros(len(words[0]), self.n_classes, device=words[0].device)


def attribute(
    method: Method,
    networks: Sequence[nn.Module],
    signal: Floats32,
    features: Floats32,
    classes: Sequence[int],
    device: torch.device,
) -> list[Attribution]:
    """Integrated gradients of some classes on the first window of a recording, the mean over the members.

    `networks`: in evaluation mode, on `device`; not changed. `signal`, (12, n), float32: preprocessed. `features`:
    (n_features,), float32. `classes`: which outputs to explain. Returns one attribution per class, over the samples of
    the first window. Raises ValueError if the method gives its network anything else than the window's samples first.
    """
    if method.signal_part is not None:
        method, networks = method.signal_part(networks)
    first_window = method.input.windows(signal)[0]
    batch = Batch(
        torch.from_numpy(first_window[np.newaxis].copy()).to(device),
        torch.tensor([first_window.shape[1]], device=device),
        torch.from_numpy(features[np.newaxis].copy()).to(device),
    )
    caught = _Caught(len(method.classes))
    with torch.no_grad():
        method.forward(caught, batch)
    length = first_window.shape[1]
    given = (0, 0, 0) if caught.given is None else tuple(caught.given[0][0].shape)
    averaged = round(length / given[-1]) if given[-1] else 0  # samples of which the network is given the mean
    if averaged < 1 or given != (1, len(first_window), length // averaged):
        raise ValueError(
            f"method {method.name}: expected a network input of shape {tuple(batch.signal.shape)}, or of means of its "
            f"samples, found {'nothing' if caught.given is None else given}; what it looked at can't be shown"
        )
    assert caught.given is not None
    (x, *rest), named = caught.given
    each = [_integrate(network, x, rest, named, classes) for network in networks]
    n_samples = min(length // averaged * averaged, signal.shape[1])
    found = []
    for place, k in enumerate(classes):
        values = _spread(torch.stack([values[place] for values, _, _ in each]).mean(dim=0), averaged)[:, :n_samples]
        logit, baseline = (float(np.mean([one[which][k] for one in each])) for which in (1, 2))
        found.append(Attribution(k, values, method.input.sampling_frequency, logit, baseline))
    return found


def _spread(values: Tensor, averaged: int) -> Floats32:
    """Attributions of means, (12, n), shared out among the samples that they are of, (12, n * averaged)."""
    return np.repeat(values.cpu().numpy() / averaged, averaged, axis=1)


def _integrate(
    network: nn.Module, x: Tensor, rest: Sequence[Any], named: dict[str, Any], classes: Sequence[int]
) -> tuple[list[Tensor], Floats32, Floats32]:
    """Attributions (12, n) of each class, and the logits at the input and at the baseline, (n_classes,)."""
    # Gauss-Legendre points: far fewer are needed than of the midpoint rule for the same error.
    points, weights = np.polynomial.legendre.leggauss(STEPS)
    n_threads = torch.get_num_threads()

    def part_of_sums(start: int) -> list[Tensor]:
        if x.device.type == "cpu":
            torch.set_num_threads(1)  # for this thread; the other cores have parts of their own
        at = torch.tensor((points[start : start + _AT_ONCE] + 1) / 2, dtype=x.dtype, device=x.device)
        share = torch.tensor(weights[start : start + _AT_ONCE] / 2, dtype=x.dtype, device=x.device)
        path = (at[:, None, None] * x).requires_grad_(True)
        logits = _run(network, path, rest, named)
        gradients = []
        for place, k in enumerate(classes):
            (gradient,) = torch.autograd.grad(logits[:, k].sum(), path, retain_graph=place + 1 < len(classes))
            gradients.append((share[:, None, None] * gradient).sum(dim=0))
        return gradients

    try:
        parts = list(map_ahead(part_of_sums, range(0, STEPS, _AT_ONCE), workers=n_threads, ahead=2 * n_threads))
    finally:
        torch.set_num_threads(n_threads)
    sums = [torch.stack(each).sum(dim=0) for each in zip(*parts, strict=True)]
    with torch.no_grad():
        ends = _run(network, torch.cat([x, torch.zeros_like(x)]), rest, named).float().cpu().numpy()
    return [total * x[0] for total in sums], ends[0], ends[1]


def _run(network: nn.Module, x: Tensor, rest: Sequence[Any], named: dict[str, Any]) -> Tensor:
    """Logits of several inputs that share all the rest of what the network is given."""
    same = {name: _repeated(word, len(x)) for name, word in named.items()}
    logits: Tensor = network(x, *(_repeated(word, len(x)) for word in rest), **same)
    return logits


def _repeated(word: Any, count: int) -> Any:
    return word.repeat_interleave(count, dim=0) if isinstance(word, Tensor) else word


def in_bins(values: Floats32, sampling_frequency: float, seconds: float) -> Floats32:
    """Sums over bins of so many seconds, (12, n_bins); bin k holds the samples whose time is in it."""
    bins = (np.arange(values.shape[1]) / sampling_frequency / seconds + 1e-9).astype(np.int64)
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    return np.add.reduceat(values, starts, axis=1)
