"""A page of ECGs of one patient: what changed, and both median beats over one another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ecg.interpretation.comparison import Comparison, Ecg
from ecg.report import figures
from ecg.report.pages import printable, render_single, with_digits


@dataclass(frozen=True)
class Pair:
    """Two recordings of one patient and what changed between them."""

    names: tuple[str, str]
    before: Ecg
    after: Ecg
    found: Comparison


def comparison_page(pairs: Sequence[Pair], note: str = "") -> str:
    """The page as HTML with everything in it."""
    shown = [_shown(one) for one in pairs]
    return render_single("comparison.html", "ECG comparison", scripts=[], note=note, pairs=shown)


def _shown(pair: Pair) -> dict[str, Any]:
    beats = pair.before.measured.median_beat, pair.after.measured.median_beat
    return {
        "before": printable(pair.names[0]),
        "after": printable(pair.names[1]),
        "found": pair.found,
        "rows": [
            (each.name, *(with_digits(value, 0, each.unit) for value in (each.before, each.after, each.difference)))
            for each in pair.found.changes
        ],
        "picture": figures.median_beat(beats[1], beats[0]) if beats[0] is not None and beats[1] is not None else None,
    }
