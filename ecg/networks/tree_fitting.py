"""Fits gradient-boosted trees to soft labels, with scikit-learn."""

import math

import numpy as np
from numpy.typing import NDArray

from ecg.networks.boosted_trees import DEPTH, BoostedTrees, Tree

_FEWEST = 3  # recordings of a class; from fewer there is nothing to learn
# Chosen on fold 1 of PTB-XL, see docs/history/experiments.md.
_SMALLEST_LEAF, _RIDGE = 10, 1.0  # recordings
_SETTINGS = {
    "learning_rate": 0.08,
    "max_depth": DEPTH,
    "max_features": 0.1,
}


def fit_trees_of_class(
    trees: BoostedTrees, k: int, features: NDArray[np.float32], targets: NDArray[np.float32], seed: int
) -> None:
    """Fit the trees of one class by itself (Friedman 2001; binned as in LightGBM, Ke et al. 2017).

    `trees`: takes over what is fitted. `k`: the class. `features`, (n_recordings, n_features), float32: NaN where
    missing. `targets`, (n_recordings, n_classes), float32: 0, 1, or between them for what counts half; NaN where not
    known.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # here: prediction has no use for scikit-learn

    usable = np.where(np.isfinite(features).any(axis=0), features, 0)
    known = np.isfinite(targets[:, k])
    wanted = targets[known, k]
    # Where some count half, every recording twice, those with either label: weights would cost 20 times the time.
    copies = 1 if np.isin(wanted, (0, 1)).all() else 2
    rows = np.concatenate([usable[known]] * copies)
    label = np.concatenate([wanted > 0, wanted >= 1][:copies])
    if label.sum() < copies * _FEWEST or label.all():
        share = (label.sum() / copies + 0.25) / (len(wanted) + 0.5)
        trees.set_trees(k, math.log(share / (1 - share)), [])
        return
    model = HistGradientBoostingClassifier(
        max_iter=trees.n_trees,
        early_stopping=False,
        random_state=seed,
        min_samples_leaf=copies * _SMALLEST_LEAF,
        l2_regularization=copies * _RIDGE,
        **_SETTINGS,
    ).fit(rows, label)
    # Not public, but the public way out is a pickle. The version is pinned, and a test compares the predictions.
    fitted = [_unfold(stage[0].nodes) for stage in model._predictors]
    trees.set_trees(k, float(model._baseline_prediction.item()), fitted)


def _unfold(nodes: NDArray[np.void]) -> Tree:
    """A tree of scikit-learn at full depth: a leaf higher up stands for all leaves below it."""
    inner, leaves = 2**DEPTH - 1, 2**DEPTH
    tree = Tree(
        np.zeros(inner, np.int64), np.zeros(inner, np.float32), np.zeros(inner, bool), np.zeros(leaves, np.float32)
    )

    def place(source: int, target: int) -> None:
        node = nodes[source]
        if target >= inner:
            tree.leaf[target - inner] = node["value"]
            return
        left, right = (source, source) if node["is_leaf"] else (int(node["left"]), int(node["right"]))
        if not node["is_leaf"]:
            tree.feature[target] = node["feature_idx"]
            # Infinite where measurable is asked for; weights are finite, and no measurement is as large as this.
            tree.threshold[target] = min(node["num_threshold"], np.finfo(np.float32).max)
            tree.missing_left[target] = node["missing_go_to_left"]
        place(left, 2 * target + 1)
        place(right, 2 * target + 2)

    place(0, 0)
    return tree
