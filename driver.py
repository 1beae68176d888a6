#!/usr/bin/env python
"""Classify 12-lead ECG recordings with a trained model: one <record>.csv each.

\b
examples:
  python driver.py model input output
  python driver.py model input output --resume
  python driver.py model input output --shard 3/16
  torchrun --nproc-per-node 8 driver.py model input output

MODEL is the folder of a trained model. INPUT is a folder of recordings (Challenge files, DICOM, SCP-ECG, XML, EDF ...),
a file, a pattern or a list of these. OUTPUT is the folder that the outputs are written to.

Exit status: 0 all recordings classified, 1 some could not be (their outputs have no positive label), 2 the command
could not start or continue, 130 Ctrl-C.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecg.commands import classify, options
from ecg.runtime.command import Command, leave

if TYPE_CHECKING:
    from ecg.model_folder.model import Model


def load_model(folder: Path, device: str) -> Model:
    """The Challenge's hook, imported when the command runs."""
    import team_code

    return team_code.load_model(folder, device=device)


# `ecg classify` with the model as the first argument rather than an option.
main = Command(
    "driver.py",
    classify.main.when_stopped,
    params=[
        click.Argument(["model"], type=options.PATH),
        *(param for param in classify.main.params if param.name != "model"),
    ],
    callback=classify.main.callback,
    context_settings={"obj": load_model},
    help=__doc__,
)

if __name__ == "__main__":
    leave(main())
