"""Labels that a set of diagnoses does not know, and diagnoses that no recording has."""

import numpy as np
import pytest

from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses, load_diagnoses
from ecg.training.label_gaps import found_instead, label_gaps

OWN = Diagnoses("own", ("code,abbreviation", "a,Aa", "b,Bb", "c,Cc"))
EVERY = np.eye(3, dtype=bool)


@pytest.mark.parametrize(("count", "more"), [(1, ""), (20, ""), (21, " and 1 more"), (45, " and 25 more")])
def test_twenty_unknown_codes_are_named_with_their_recordings_and_the_others_counted(count, more):
    unknown = {f"x{k}": 100 - k for k in range(count)}
    named = ", ".join(f"x{k} ({100 - k})" for k in range(min(count, 20)))
    assert label_gaps(OWN, EVERY, unknown) == [f"Codes that own does not have (recordings): {named}{more}"]


def test_diagnoses_without_a_recording_are_named():
    assert label_gaps(OWN, EVERY, {}) == []
    (sentence,) = label_gaps(OWN, EVERY[:, [0, 0, 2]] & [True, True, False], {})
    assert sentence.startswith("No recording has Cc:")
    assert label_gaps(OWN, EVERY[[1, 1]], {})[0].startswith("No recording has Aa, Cc:")


def test_what_was_found_instead_is_the_set_that_most_codes_are_of_and_the_ten_commonest_codes():
    codes = dict.fromkeys(load_diagnoses("ptb-xl").classes[:12], 1) | {"x": 99}
    words = found_instead(CHALLENGE_2020, codes)
    assert words.startswith("challenge-2020, found none, but x, ") and words.endswith(" of the set ptb-xl")
    assert words.count(",") == 11
    assert found_instead(CHALLENGE_2020, {"x": 1}) == "challenge-2020, found none, but x"
    assert found_instead(OWN, {}) == "own, found none"
