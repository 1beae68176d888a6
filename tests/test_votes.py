"""The vote of the published entry: an even split counts, fewer than half do not."""

import numpy as np
import pytest

import team_code


@pytest.mark.parametrize(
    ("votes", "members", "given"), [(1, 2, True), (2, 4, True), (1, 4, False), (1, 3, False), (2, 3, True)]
)
def test_half_of_the_members_are_enough(votes, members, given):
    labels = np.zeros((members, 1, 24), dtype=bool)
    labels[:, 0, 0] = True  # always on: the most votes are not what decides about class 5
    labels[:votes, 0, 5] = True
    combined, scores = team_code.vote(labels, np.full((members, 1, 24), 0.2), np.full((members, 24), 0.5))
    assert combined[0].nonzero()[0].tolist() == ([0, 5] if given else [0])
    assert scores.shape == (1, 24)
