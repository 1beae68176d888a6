"""A search over a grid never leaves a class worse than where it started."""

import numpy as np

from ecg.decisions.thresholds import coordinate_ascent


def test_a_start_between_the_candidates_is_kept_where_no_candidate_is_as_good():
    labels, probabilities = np.array([[True], [False]]), np.array([[0.56], [0.54]])
    found = coordinate_ascent(
        labels, probabilities, np.eye(1), lambda p, t: p >= t, np.array([0.55]), candidates=np.array([0.5, 0.6])
    )
    assert found.tolist() == [0.55]
