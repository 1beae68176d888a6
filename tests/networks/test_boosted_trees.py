"""Trees on features: the side of a value at the threshold and of a missing value, and the sum of the leaves."""

import numpy as np
import pytest
import torch

from ecg.networks.boosted_trees import DEPTH, BoostedTrees, Tree

INNER, LEAVES = 2**DEPTH - 1, 2**DEPTH


def tree(feature=0, threshold=0.5, missing_left=False, scale=1.0):
    """Asks at the root alone; everything goes left behind it. Its leaves have the numbers of their places."""
    thresholds = np.full(INNER, np.inf, np.float32)
    thresholds[0] = threshold
    return Tree(
        np.full(INNER, feature, np.int16),
        thresholds,
        np.array([missing_left] + [True] * (INNER - 1)),
        scale * np.arange(LEAVES, dtype=np.float32),
    )


def outputs(*trees, features, baseline=0.0):
    trees_of = BoostedTrees(2, 3)
    trees_of.set_trees(1, baseline, list(trees))
    return trees_of(torch.tensor(features, dtype=torch.float32)).tolist()


@pytest.mark.parametrize(("value", "leaf"), [(0.4, 0), (0.5, 0), (0.51, LEAVES // 2), (-9, 0), (9, LEAVES // 2)])
def test_a_value_up_to_the_threshold_goes_left(value, leaf):
    assert outputs(tree(), features=[[value, 0.0]]) == [[0, leaf]]


@pytest.mark.parametrize("missing_left", [True, False])
def test_a_missing_value_goes_where_the_tree_says(missing_left):
    found = outputs(tree(missing_left=missing_left), features=[[np.nan, 0.0]])
    assert found == [[0, 0 if missing_left else LEAVES // 2]]


def test_trees_of_a_class_and_its_baseline_add_up():
    trees = tree(), tree(feature=1), tree(feature=1, threshold=3.0, scale=10.0)
    half = LEAVES // 2
    found = outputs(*trees, features=[[1.0, 1.0], [0.0, 4.0]], baseline=-2.0)
    assert found == [[0, half + half - 2], [0, half + 10 * half - 2]]


def test_the_path_goes_on_below_the_root():
    thresholds = np.array([0.0] + [0.5] * (INNER - 1), np.float32)
    one = Tree(np.zeros(INNER, np.int16), thresholds, np.zeros(INNER, bool), np.arange(LEAVES, dtype=np.float32))
    assert outputs(one, features=[[-1.0], [0.3], [0.7]]) == [[0, 0], [0, LEAVES // 2], [0, LEAVES - 1]]
