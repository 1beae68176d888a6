"""`ecg train`: a model from labelled recordings, what `train_model.py` does."""

from collections.abc import Callable
from typing import Any

import click

from ecg.commands import options
from ecg.runtime.command import command


@command("train", "the same command continues after the last finished epoch")
@click.argument("data")
@click.argument("model")
@click.option(
    "--method",
    metavar="NAME[:SETTING=VALUE,...]",
    help="which method to train, of docs/methods.md (default: the first there, or that of the model to start from)",
)
@click.option(
    "--from", "start", metavar="MODEL", help="start from the weights of a trained model rather than from random ones"
)
@click.option(
    "--members",
    "--folds",  # its name up to version 0.2, which keeps working
    type=click.IntRange(1),
    metavar="K",
    help="networks to train, each validated on another fold of the data (default: the method's number)",
)
@options.epochs
@options.seed
@options.device
@options.workers
@options.limit
@options.diagnoses
@options.labels
@options.least_likelihood
@options.training_leads
@click.option(
    "--also",
    nargs=2,
    metavar="NAME|FILE.csv FOLDER",
    help="train the networks on a second set of diagnoses too, whose codes --labels has, and write a model for it",
)
@click.option(
    "--shape-only",
    multiple=True,
    metavar="DATABASE",
    help="database of folds.csv whose recordings have an invented size, from which nothing is learned; may be repeated",
)
@click.option(
    "--cache",
    metavar="FOLDER",
    help="keep the preprocessed recordings here, for the next training on the same data (default: they lie in MODEL "
    "until the training ends)",
)
@options.flag("--resume", help="fail instead of restarting if data or arguments changed")
@options.flag(
    "--spread-members",
    help="under torchrun: each process trains other members, rather than all of them one member after another",
)
@click.pass_obj
def main(training_code: Callable[..., None] | None, /, data: str, model: str, **settings: Any) -> None:
    """Train a model on a folder of labelled recordings.

    DATA holds the recordings, in it or in folders below it; an optional folds.csv (record, database, fold) keeps
    patients together. MODEL is the folder that the model is written to; a stopped training continues from there.

    \b
    examples:
      ecg train data model
      ecg train data model --epochs 12 --members 1
      ecg train hospital fitted --from model --epochs 3
      torchrun --nproc-per-node 8 -m ecg train data model
    """
    if training_code is None:
        from ecg.training.train_folder import train_folder

        training_code = train_folder
    training_code(data, model, **settings)
