"""Gradient-boosted trees as a module: fitted elsewhere, stored and run like any other network."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

DEPTH = 3  # questions from the root to a leaf
_INNER, _LEAVES = 2**DEPTH - 1, 2**DEPTH


class Tree(NamedTuple):
    """One tree of full depth; node k has the nodes 2 k + 1 (not above the threshold) and 2 k + 2 below it."""

    feature: NDArray[np.int64]  # (7,), int64: which feature each inner node asks for
    threshold: NDArray[np.float32]  # (7,), float32
    missing_left: NDArray[np.bool_]  # (7,), bool: where a missing value goes
    leaf: NDArray[np.float32]  # (8,), float32: log-odds


class BoostedTrees(nn.Module):
    """Sums of regression trees, one sum for each class (Friedman 2001).

    Before `set_trees` every class has log-odds of 0. The buffers are flat: a model folder keeps those in float32.

    `n_classes` and `n_trees`: trees of each class.
    """

    def __init__(self, n_classes: int, n_trees: int) -> None:
        super().__init__()
        self.n_classes, self.n_trees = n_classes, n_trees
        count = n_classes * n_trees
        self.feature: Tensor
        self.threshold: Tensor
        self.missing_left: Tensor
        self.leaf: Tensor
        self.baseline: Tensor
        self.register_buffer("feature", torch.zeros(count * _INNER, dtype=torch.int16))
        self.register_buffer("threshold", torch.zeros(count * _INNER))
        self.register_buffer("missing_left", torch.zeros(count * _INNER, dtype=torch.bool))
        self.register_buffer("leaf", torch.zeros(count * _LEAVES))
        self.register_buffer("baseline", torch.zeros(n_classes))

    def set_trees(self, number: int, baseline: float, trees: list[Tree]) -> None:
        """Take over the trees of one class, `n_trees` at most, and its log-odds without any."""
        self.baseline[number] = baseline
        for place, tree in enumerate(trees, start=number * self.n_trees):
            inner, leaves = slice(place * _INNER, (place + 1) * _INNER), slice(place * _LEAVES, (place + 1) * _LEAVES)
            self.feature[inner] = torch.from_numpy(tree.feature).to(self.feature)
            self.threshold[inner] = torch.from_numpy(tree.threshold).to(self.threshold)
            self.missing_left[inner] = torch.from_numpy(tree.missing_left).to(self.missing_left)
            self.leaf[leaves] = torch.from_numpy(tree.leaf).to(self.leaf)

    def forward(self, features: Tensor) -> Tensor:
        """Log-odds of the classes.

        `features`, (n_items, n_features), float32: NaN where missing. Returns (n_items, n_classes), float32.
        """
        count = self.n_classes * self.n_trees
        root = torch.arange(count, device=features.device) * _INNER
        node = torch.zeros(len(features), count, dtype=torch.int64, device=features.device)
        for _ in range(DEPTH):
            at = root + node
            value = features.gather(1, self.feature[at].long())
            left = torch.where(value.isnan(), self.missing_left[at], value <= self.threshold[at])
            node = 2 * node + 2 - left.long()
        leaves = self.leaf[torch.arange(count, device=features.device) * _LEAVES + node - _INNER]
        return self.baseline + leaves.reshape(len(features), self.n_classes, self.n_trees).sum(dim=2)
