"""`ecg validate`: methods compared by cross-validation."""

from typing import Any

import click

from ecg.commands import options
from ecg.runtime.command import command


@command("validate", "the same command continues from there")
@options.place("data")
@options.place("output")
@click.option(
    "--folds", "n_folds", type=click.IntRange(2), metavar="K", help="K-fold cross-validation (default: K = 5)"
)
@options.flag("--leave-one-database-out", help="predict each database from the others")
@options.flag("--hold-out", help="train on the largest database, predict its last fold and every other database")
@options.flag(
    "--disturbed",
    help="also disturb the test recordings and say what is lost: wrong gain, interference, a lead off ...",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME[:SETTING=VALUE,...]",
    help="of docs/methods.md, may be repeated (default: all of them)",
)
@options.number("--members", default=1, help="networks trained on each split")
@options.epochs
@options.diagnoses
@options.labels
@options.least_likelihood
@options.training_leads
@options.seed
@options.device
@options.number("--workers", default=2, help="processes that read recordings")
@options.limit
def main(
    n_folds: int | None,
    leave_one_database_out: bool,
    hold_out: bool,
    disturbed: bool,
    methods: tuple[str, ...],
    diagnoses: str | None,
    labels: str | None,
    least_likelihood: float,
    leads: str | None,
    **settings: Any,
) -> None:
    """Compare methods on recordings they were not trained on: by fold, by database, or both in one run.

    DATA is a folder of Challenge recordings. All methods see the same training and test recordings. Thresholds and
    epochs are chosen on a validation part inside the training part. OUTPUT gets `predictions.npz` and every trained
    network as a model folder for each method, and `table.md` for all of them: by database, the first method against
    each other one, by class, and with --disturbed what each loses where recordings have a fault. With --leads any each
    network is tested on 12, 6, 4, 3 and 2 leads. A stopped run continues.

    \b
    examples:
      ecg validate data out --hold-out --method zhao --method butteam --epochs 12
      ecg validate data out --leave-one-database-out
      ecg validate data out --folds 5 --method butteam:width=12,augmentation=false
    """
    if sum([n_folds is not None, leave_one_database_out, hold_out]) > 1:
        raise click.UsageError("expected one of --folds, --leave-one-database-out and --hold-out, found several")
    from ecg.io.label_tables import load_labels
    from ecg.labels.diagnoses import DEFAULT, load_diagnoses
    from ecg.studies.compare_methods import compare_methods
    from ecg.studies.cross_validation import Options

    split = "databases" if leave_one_database_out else "hold-out" if hold_out else "folds"
    wanted = load_diagnoses(diagnoses or DEFAULT)
    table = load_labels(labels, wanted.column_of, least_likelihood) if labels else None
    settings |= {"split": split, "n_folds": n_folds or 5, "labels": table}
    compare_methods(methods, wanted, Options(**settings), disturbed, leads)
