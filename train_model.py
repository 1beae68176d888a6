#!/usr/bin/env python
"""Train the entry on a folder of labelled 12-lead ECG recordings.

\b
examples:
  python train_model.py data model
  python train_model.py data model --epochs 12 --members 1
  python train_model.py hospital fitted --from model --epochs 3
  torchrun --nproc-per-node 8 train_model.py data model

DATA holds the recordings, in it or in folders below it; an optional folds.csv (record, database, fold) keeps patients
together. MODEL is the folder that the model is written to; a stopped training continues from there.
"""

from __future__ import annotations

from typing import Any

from ecg.commands import train
from ecg.runtime.command import Command, leave


def training_code(data: str, model: str, **settings: Any) -> None:
    """The Challenge's hook, imported when the command runs."""
    import team_code

    team_code.training_code(data, model, **settings)


main = Command(
    "train_model.py",
    train.main.when_stopped,
    params=train.main.params,
    callback=train.main.callback,
    context_settings={"obj": training_code},
    help=__doc__,
)

if __name__ == "__main__":
    leave(main())
