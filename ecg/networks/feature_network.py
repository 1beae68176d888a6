"""A fully connected network on features of which some are missing, trained by itself in seconds."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from ecg.networks.losses import binary_cross_entropy

_HIDDEN = 256
_LARGEST = 3.0  # standard deviations; what lies further off is taken for this far
_SMALLEST_SPREAD = 1e-6
_FROM_TENTH_TO_NINETIETH = 2.563  # standard deviations between these percentiles of a normal distribution
# Chosen on fold 1 of PTB-XL and the external databases, see docs/history/experiments.md.
_FEWEST_MISSING = 0.005  # share of the recordings; what is missing less often says nothing when it is
_EPOCHS, _BATCH_SIZE = 40, 64
_LEARNING_RATE, _WEIGHT_DECAY = 3e-3, 1e-2
_NOISE = 0.3  # standard deviations, added in training
_DROPOUT_IN, _DROPOUT = 0.1, 0.4


class FeatureNetwork(nn.Module):
    """Two hidden layers on standardised features and on flags for the features that are often missing.

    A feature that was hardly ever missing in training is at its median when it is: what a weight that nothing has
    trained made of it would be chance.

    Its parameters take no gradients: `fit_feature_network` trains a network by itself, and whatever holds one is
    trained without it.
    """

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.centre: Tensor
        self.spread: Tensor
        self.says_missing: Tensor
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(n_features))
        self.register_buffer("says_missing", torch.zeros(n_features))  # 1 where it is told that a feature is missing
        self.layers = nn.Sequential(
            nn.Dropout(_DROPOUT_IN),
            nn.Linear(2 * n_features, _HIDDEN),
            nn.BatchNorm1d(_HIDDEN),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.BatchNorm1d(_HIDDEN),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(_HIDDEN, n_classes),
        ).requires_grad_(False)

    def forward(self, features: Tensor) -> Tensor:
        """Log-odds of the classes.

        `features`, (n_items, n_features), float32: NaN where missing. Returns (n_items, n_classes), float32.
        """
        standardised = ((features - self.centre) / self.spread).clamp(-_LARGEST, _LARGEST)
        missing = features.isnan()
        inputs = torch.cat([standardised.masked_fill(missing, 0), missing * self.says_missing], dim=1)
        if self.training:
            inputs = inputs + _NOISE * torch.randn_like(inputs)
        logits: Tensor = self.layers(inputs)
        return logits


def fit_feature_network(
    network: FeatureNetwork, features: NDArray[np.float32], targets: NDArray[np.float32], seed: int
) -> None:
    """Standardise by what the features are here, and train from fresh weights, in place.

    Cross-entropy, AdamW (Loshchilov and Hutter 2019) with one cycle of the learning rate (Smith and Topin 2019).

    `features`, (n_recordings, n_features), float32: NaN where missing. `targets`, (n_recordings, n_classes), float32:
    from 0 to 1; NaN where not known.
    """
    device = network.centre.device
    usable = np.where(np.isfinite(features).any(axis=0), features, 0)
    tenth, middle, ninetieth = np.nanpercentile(usable, (10, 50, 90), axis=0)
    spread = np.maximum((ninetieth - tenth) / _FROM_TENTH_TO_NINETIETH, _SMALLEST_SPREAD)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = FeatureNetwork(features.shape[1], targets.shape[1])
        fresh.centre.copy_(torch.from_numpy(middle))
        fresh.spread.copy_(torch.from_numpy(spread))
        fresh.says_missing.copy_(torch.from_numpy(np.isnan(features).mean(axis=0) >= _FEWEST_MISSING))
        fresh.layers.requires_grad_(True)
        inputs, wanted = torch.from_numpy(features), torch.from_numpy(targets)
        # Batch norm needs two recordings.
        rows, size = torch.arange(max(len(inputs), 2)) % len(inputs), min(_BATCH_SIZE, max(len(inputs), 2))
        optimizer = torch.optim.AdamW(fresh.layers.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        n_steps = len(rows) // size
        schedule = OneCycleLR(optimizer, _LEARNING_RATE, total_steps=_EPOCHS * n_steps)
        for _ in range(_EPOCHS):
            order = rows[torch.randperm(len(rows))]
            for batch in torch.split(order[: n_steps * size], size):
                loss = binary_cross_entropy(fresh(inputs[batch]), wanted[batch])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    network.load_state_dict({name: value.to(device) for name, value in fresh.state_dict().items()})
