"""Output files in the Challenge's format: one for each recording."""

import re
from collections.abc import Sequence

import numpy as np

from ecg.io.errors import problem, shown
from ecg.io.files import StrPath, read_text, write_file
from ecg.scoring.challenge import parse_number

_LONGEST = 1 << 20  # bytes
_LABELS = {"1": 1, "1.0": 1, "true": 1, "t": 1, "0": 0, "0.0": 0, "false": 0, "f": 0}


def save_outputs(
    output_file: StrPath,
    recording_id: str,
    classes: Sequence[str],
    labels: Sequence[int] | Sequence[bool] | np.ndarray,
    probabilities: Sequence[float] | np.ndarray,
) -> None:
    """Write one recording's output in the Challenge's format: lines of `#id`, classes, labels, scores.

    Labels are written as 0 and 1, because the 2020 scorer takes "1.0" for negative; scores with the fewest digits that
    read back as the same float32. All three may be empty (a recording that failed). Raises ValueError for lengths that
    differ, labels other than 0 and 1, scores that are not finite, names with commas or line ends.
    """
    if not len(classes) == len(labels) == len(probabilities):
        raise problem(output_file, f"{len(classes)} labels and scores", f"{len(labels)} and {len(probabilities)}")
    for name in (recording_id, *classes):
        if re.search(r"[\r\n,]", name):
            raise problem(output_file, "names without commas and line ends", shown(name))
    for label in labels:
        if label not in (0, 1):
            raise problem(output_file, "labels 0 and 1", label)
    scores = np.asarray(probabilities, dtype=np.float32)
    if not np.isfinite(scores).all():
        raise problem(output_file, "finite scores", scores[~np.isfinite(scores)][0])
    rows = classes, [str(int(label)) for label in labels], [np.format_float_positional(s, trim="-") for s in scores]
    write_file(output_file, "\n".join([f"#{recording_id}", *map(",".join, rows), ""]))


def load_outputs(output_file: StrPath) -> tuple[str, tuple[str, ...], tuple[int, ...], tuple[float, ...]]:
    """Read an output file: recording id, classes, labels (0 or 1), scores.

    Labels may be written in all the ways that the 2020 and 2021 scorers know; a score may be NaN. Raises ValueError
    where it is not an output file; the message names the file.
    """
    lines = [line.strip() for line in read_text(output_file, _LONGEST).splitlines()]
    if len(lines) < 4 or not lines[0].startswith("#"):
        raise problem(output_file, "'#id' and lines of classes, labels and scores", f"{len(lines)} lines")
    classes, labels, scores = ([field.strip() for field in line.split(",")] if line else [] for line in lines[1:4])
    if not len(classes) == len(labels) == len(scores):
        raise problem(output_file, f"{len(classes)} labels and scores", f"{len(labels)} and {len(scores)}")
    for label in labels:
        if label.lower() not in _LABELS:
            raise problem(output_file, "labels 0 and 1", shown(label))
    if bad := [score for score in scores if parse_number(score) is None]:
        raise problem(output_file, "numbers as scores", shown(bad[0]))
    flags = tuple(_LABELS[label.lower()] for label in labels)
    return lines[0][1:].strip(), tuple(classes), flags, tuple(map(float, scores))
