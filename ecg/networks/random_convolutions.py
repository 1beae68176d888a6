"""Random convolutions of a signal and a linear map of what they find, fitted in closed form."""

import math
from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
import torch
from scipy.linalg import solve
from scipy.special import logit
from torch import Tensor, nn
from torch.nn.functional import conv1d

from ecg.arrays import Floats, Floats32
from ecg.networks.masking import position_mask

# Chosen on folds 7 and 8 of PTB-XL, see docs/history/experiments.md.
_SCALES = ((1, 2), (2, 2), (4, 4), (8, 4), (16, 4))  # dilation and stride, samples
_TAPS = 9
# All places of three weights of 2 among weights of -1, as in MiniRocket: the sum is 0, so no offset is seen.
_SHAPES = np.array([[2 if k in places else -1 for k in range(_TAPS)] for places in combinations(range(_TAPS), 3)])
_LEADS, _LEADS_SHARE = (1, 2, 3), (0.5, 0.3, 0.2)  # how many leads a kernel sums
_QUANTILES = (0.1, 0.5, 0.9, 0.98)  # of a kernel's results, the thresholds; QRS complexes fill less than a tenth
_FOR_THRESHOLDS = 200  # recordings
_LARGEST = 5.0  # standard deviations; what lies further off is taken for this far
_SMALLEST_SPREAD = 1e-3
_OFF = 0.01  # standard deviations; a lead that never gets so far is off
_RIDGE = 0.3  # of the number of features
_PLATT = 10.0  # inverse penalty of the slope
_FEWEST = 3  # recordings of a class; from fewer there is nothing to learn

_AT_EACH = len(_SHAPES) // 2  # kernels at a scale, each of another shape
_N_KERNELS = len(_SCALES) * _AT_EACH
_N_FEATURES = _N_KERNELS * len(_QUANTILES)


class RandomConvolutions(nn.Module):
    """Log-odds from how often random convolutions are above thresholds (MiniRocket, Dempster et al. 2021).

    Each kernel sums one to three leads. Only a linear map is fitted; before that all log-odds are 0.
    """

    def __init__(self, n_leads: int, n_classes: int) -> None:
        super().__init__()
        self.kernels: Tensor
        self.thresholds: Tensor
        self.centre: Tensor
        self.spread: Tensor
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("kernels", torch.zeros(_N_KERNELS, n_leads, _TAPS))
        # Flat: a model folder keeps these in float32.
        self.register_buffer("thresholds", torch.zeros(_N_FEATURES))
        self.register_buffer("centre", torch.zeros(_N_FEATURES))
        self.register_buffer("spread", torch.ones(_N_FEATURES))
        self.register_buffer("weight", torch.zeros(n_classes, _N_FEATURES))
        self.register_buffer("bias", torch.zeros(n_classes))

    def convolve(self, signal: Tensor) -> list[Tensor]:
        """Results of the kernels of each scale, (n_items, 42, n) each, of a signal (n_items, n_leads, n_samples)."""
        kernels = self.kernels.chunk(len(_SCALES))
        return [
            conv1d(signal, each, stride=stride, padding=dilation * (_TAPS // 2), dilation=dilation)
            for each, (dilation, stride) in zip(kernels, _SCALES, strict=True)
        ]

    def shares(self, signal: Tensor, lengths: Tensor) -> Tensor:
        """Share of an item's places where a kernel is above a threshold less that below, (n_items, n_features).

        NaN for kernels that sum a lead which is off.
        """
        is_padded = bool((lengths != signal.shape[2]).any())
        off = (signal.abs().amax(dim=2) < _OFF).to(signal.dtype)
        unknown = (off @ (self.kernels != 0).any(dim=2).to(signal.dtype).T > 0).chunk(len(_SCALES), dim=1)
        thresholds = self.thresholds.reshape(len(_SCALES), len(_QUANTILES), -1, 1)
        shares = []
        for results, levels, lost, (_, stride) in zip(self.convolve(signal), thresholds, unknown, _SCALES, strict=True):
            count, n_places = ((lengths + stride - 1) // stride)[:, None], results.shape[2]
            if is_padded:
                results = results.masked_fill(~position_mask(count[:, 0], n_places), -math.inf)
            for level in levels:
                # Signs, as their sum takes half of the time of a count. In the padding they are -1.
                share = ((results - level).sign().sum(dim=2) + n_places - count) / count
                shares.append(share.masked_fill(lost, math.nan))
        return torch.cat(shares, dim=1)

    def standardise(self, shares: Tensor) -> Tensor:
        """The shares as the linear map takes them; the mean for those that are not known."""
        standardised = ((shares - self.centre) / self.spread).clamp(-_LARGEST, _LARGEST)
        return standardised.masked_fill(shares.isnan(), 0)

    def forward(self, signal: Tensor, lengths: Tensor) -> Tensor:
        """Log-odds, (n_items, n_classes), float32.

        `signal`: (n_items, n_leads, n_samples), float32, standardised, zero-padded on the right. `lengths`: (n_items,).
        """
        return self.standardise(self.shares(signal, lengths)) @ self.weight.T + self.bias


def fit_random_convolutions(
    part: RandomConvolutions,
    signals: Callable[[], Iterator[Tensor]],
    targets: Floats32,
    seed: int,
) -> None:
    """Draw kernels and fit the linear map, in place.

    The map is that of a ridge regression for each class, brought to log-odds by a logistic regression on what it says
    of each recording when it is fitted to the others (Platt 1999).

    `signals`: gives those of the recordings one after the other, each (1, n_leads, n_samples), float32, standardised.
    `targets`: (n_recordings, n_classes), float32, from 0 to 1; NaN where not known.
    """
    rng = np.random.default_rng(seed)
    n_classes, n_leads = len(part.bias), part.kernels.shape[1]
    fresh = RandomConvolutions(n_leads, n_classes)
    fresh.kernels.copy_(torch.from_numpy(_draw_kernels(n_leads, rng)))
    chosen = set(rng.permutation(len(targets))[:_FOR_THRESHOLDS].tolist())
    with torch.inference_mode():
        some = [fresh.convolve(signal) for k, signal in enumerate(signals()) if k in chosen]
        at_scales = [np.concatenate(each, axis=2)[0] for each in zip(*some, strict=True)]  # (42, n) each
        levels = [np.quantile(each, _QUANTILES, axis=1) for each in at_scales]
        fresh.thresholds.copy_(torch.from_numpy(np.concatenate(levels).ravel()))
        lengths = ((signal, torch.tensor([signal.shape[2]])) for signal in signals())
        shares = torch.cat([fresh.shares(signal, length) for signal, length in lengths])
        known = ~shares.isnan()
        count = known.sum(dim=0).clamp(min=1)
        fresh.centre.copy_(shares.nansum(dim=0) / count)
        variance = ((shares - fresh.centre).square()).nansum(dim=0) / count
        fresh.spread.copy_(variance.sqrt().clamp(min=_SMALLEST_SPREAD))
        features = fresh.standardise(shares).numpy()
    are_known = np.isfinite(targets)
    for rows in np.unique(are_known, axis=1).T:
        columns = np.flatnonzero((are_known == rows[:, None]).all(axis=0))
        if rows.any():
            weight, bias = _fit_map(features[rows].astype(np.float64), targets[np.ix_(rows, columns)])
            fresh.weight[columns] = torch.from_numpy(weight).float()
            fresh.bias[columns] = torch.from_numpy(bias).float()
    part.load_state_dict({name: value.to(part.weight.device) for name, value in fresh.state_dict().items()})


def _draw_kernels(n_leads: int, rng: np.random.Generator) -> Floats32:
    """(n_kernels, n_leads, 9), no shape twice at a scale, of either sign in each of its leads."""
    kernels = np.zeros((_N_KERNELS, n_leads, _TAPS), dtype=np.float32)
    shapes = np.concatenate([rng.permutation(_SHAPES)[:_AT_EACH] for _ in _SCALES])
    for kernel, shape in zip(kernels, shapes, strict=True):
        leads = rng.choice(n_leads, size=min(rng.choice(_LEADS, p=_LEADS_SHARE), n_leads), replace=False)
        kernel[leads] = rng.choice((-1, 1), size=(len(leads), 1)) * shape
    return kernels


def _fit_map(features: Floats, targets: Floats32) -> tuple[Floats, Floats]:
    """Weights, (n_classes, n_features), and log-odds without any, (n_classes,), from recordings with known targets."""
    from sklearn.linear_model import LogisticRegression  # here: prediction has no use for scikit-learn

    n_recordings, n_features = features.shape
    mean, means = features.mean(axis=0), targets.mean(axis=0)
    centred = features - mean
    gram = centred.T @ centred + _RIDGE * n_features * np.eye(n_features)
    solved = solve(gram, centred.T, assume_a="pos", overwrite_a=True)  # (n_features, n_recordings)
    weights = solved @ (targets - means)  # (n_features, n_classes)
    leverage = np.einsum("ij,ji->i", centred, solved) + 1 / n_recordings
    fitted = centred @ weights + means
    left_out = targets - (targets - fitted) / (1 - leverage)[:, None]
    labels = targets > 0.5
    slopes, log_odds = np.zeros(len(means)), logit((labels.sum(axis=0) + 0.25) / (n_recordings + 0.5))
    for k in np.flatnonzero((labels.sum(axis=0) >= _FEWEST) & ~labels.all(axis=0)):
        size = left_out[:, k].std() + 1e-9
        curve = LogisticRegression(C=_PLATT).fit(left_out[:, [k]] / size, labels[:, k])
        slopes[k] = curve.coef_.item() / size
        log_odds[k] = curve.intercept_.item() + slopes[k] * (means[k] - mean @ weights[:, k])
    return (slopes * weights).T, log_odds
