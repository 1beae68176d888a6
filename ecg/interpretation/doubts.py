"""Why an interpretation is uncertain as a whole, in words; most have no such reason."""

from collections.abc import Sequence

from ecg.interpretation.interpret import Statement, is_rhythm
from ecg.measurements.types import Measurements

_TECHNICAL = (4, 10, 12, 15)
_FEWEST_BEATS = 3


def doubts(statements: Sequence[Statement], measured: Measurements, disagreeing: Sequence[str] = ()) -> list[str]:
    """Reasons to doubt an interpretation.

    `disagreeing`: statements on which the members of a model disagree, in words. There are none for about nine of ten
    clean recordings.
    """
    reasons = [f"{each.statement}: {each.evidence}" for each in statements if each.code in _TECHNICAL]
    reasons += [
        f"the rhythm is unclear: {each.evidence}"
        for each in statements
        if is_rhythm(each.code) and each.certainty == "possible"
    ]
    if 0 < measured.n_beats < _FEWEST_BEATS:
        reasons.append(f"only {measured.n_beats} beat{'s' if measured.n_beats > 1 else ''}")
    return reasons + [f"the model's networks disagree on {words}" for words in disagreeing]
