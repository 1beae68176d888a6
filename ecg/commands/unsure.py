"""Says of a folder of outputs which recordings the model is least sure of.

    ecg unsure outputs unsure.csv
    ecg unsure outputs unsure.csv --share 0.2

`outputs` is what `driver.py` has written. The table has a row for each recording, the least sure first: `record`,
`expected_score` (what its labels can expect of the Challenge's score, by its own scores: about 1 where one label is
certain) and `unsure`, 1 for the least sure share of them and for those that could not be judged, whose expected score
is empty. What is gained by leaving these out is measured in docs/results.md.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from ecg.runtime.command import leave, run_command

SHARE = 0.1


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return run_command("ecg unsure", lambda: _list_unsure(words), "nothing was written")


def _list_unsure(words: Sequence[str] | None) -> int:
    from ecg.decisions.unsure import least_sure
    from ecg.io.files import write_file
    from ecg.labels.diagnoses import load_diagnoses

    parser = argparse.ArgumentParser(
        prog="ecg unsure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("outputs", type=Path, help="folder that driver.py has written to")
    parser.add_argument("table", type=Path, help="CSV file to write")
    share_help = "share of the recordings that is called unsure (default: %(default)s)"
    parser.add_argument("--share", type=float, default=SHARE, metavar="S", help=share_help)
    parser.add_argument("--diagnoses", metavar="NAME|FILE.csv", help="the model's set (default: as the outputs say)")
    arguments = parser.parse_args(words)
    if not 0 <= arguments.share <= 1:
        raise ValueError(f"--share {arguments.share}: expected a number from 0 to 1")
    if arguments.table.absolute().parent == arguments.outputs.absolute():
        raise ValueError(f"{arguments.table}: expected a place outside the folder of outputs")
    diagnoses = load_diagnoses(arguments.diagnoses) if arguments.diagnoses else None
    rows = least_sure(arguments.outputs, arguments.share, diagnoses)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["record", "expected_score", "unsure"])
    writer.writerows(
        [name, "" if math.isnan(score) else f"{score:.4f}", int(is_unsure)] for name, score, is_unsure in rows
    )
    write_file(arguments.table, text.getvalue())
    print(f"{sum(unsure for *_, unsure in rows)} of {len(rows)} recordings are unsure; table in {arguments.table}")
    return 0


if __name__ == "__main__":
    leave(main())
