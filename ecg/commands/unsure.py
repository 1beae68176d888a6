"""`ecg unsure`: which recordings a model is least sure of."""

import math
from pathlib import Path

import click

from ecg.commands import options
from ecg.runtime.command import command


@command("unsure")
@options.place("outputs")
@options.place("table")
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=0.1,
    metavar="S",
    help="share of the recordings that is called unsure",
)
@click.option("--diagnoses", metavar="NAME|FILE.csv", help="the model's set (default: the shipped one of the outputs)")
def main(outputs: Path, table: Path, share: float, diagnoses: str | None) -> None:
    """List the recordings that a model is least sure of, those first.

    OUTPUTS is a folder that classify has written. The CSV file TABLE has a row for each recording: `record`,
    `expected_score` (the score of the Challenge that its labels can expect, by its own scores: about 1 if one label is
    certain) and `unsure` (1 for the least sure share and for recordings that could not be classified). The expected
    score of the latter is empty. docs/history/results-0.6.md measures the gain from leaving these out.

    \b
    example:
      ecg unsure outputs unsure.csv --share 0.2
    """
    from ecg.decisions.unsure import least_sure
    from ecg.io.files import as_csv, write_file
    from ecg.labels.diagnoses import load_diagnoses

    if table.absolute().parent == outputs.absolute():
        raise ValueError(f"{table}: expected a place outside the folder of outputs")
    rows = least_sure(outputs, share, load_diagnoses(diagnoses) if diagnoses else None)
    lines = ([name, "" if math.isnan(score) else f"{score:.4f}", int(unsure)] for name, score, unsure in rows)
    write_file(table, as_csv([["record", "expected_score", "unsure"], *lines]))
    print(f"{sum(unsure for *_, unsure in rows)} of {len(rows)} recordings are unsure; table in {table}")
