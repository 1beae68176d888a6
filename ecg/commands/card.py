"""Writes into a model folder where the model is from and how good its method was on recordings held out from training.

    ecg card model --command "python train_model.py data model" --commit 1f2e977 --minutes 25 \\
        --predictions out/robust/predictions.npz --measured "ecg validate data out --hold-out" --at 1f2e977

What the model was trained on is in its `config.json` already; this adds the key "card" and prints it as Markdown. It
changes nothing that the driver computes with.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ecg.model_folder.folder import diagnoses_of
from ecg.runtime.command import leave, run_command
from ecg.studies.model_card import as_markdown, measured_rows, read_config, write_card
from ecg.studies.predictions import Predictions


def main(words: Sequence[str] | None = None) -> int:
    return run_command("ecg card", lambda: _add_card(words), "the model folder is as it was")


def _add_card(words: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="ecg card", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder of a trained model")
    parser.add_argument("--command", required=True, help="what trained it")
    parser.add_argument("--commit", required=True, help="of the code that trained it")
    parser.add_argument("--minutes", type=float, required=True, help="training time in minutes")
    parser.add_argument("--machine", required=True, help="the machine it was trained on")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.npz of ecg.crossval")
    parser.add_argument("--measured", required=True, help="the command that wrote them")
    parser.add_argument("--at", required=True, help="commit of the code that wrote them")
    arguments = parser.parse_args(words)
    result = Predictions.load(arguments.predictions)
    rows = measured_rows(result, diagnoses_of(read_config(arguments.model), arguments.model))
    write_card(
        arguments.model,
        {
            "trained": {
                "command": arguments.command,
                "commit": arguments.commit,
                "minutes": arguments.minutes,
                "machine": arguments.machine,
            },
            "measured": {"command": arguments.measured, "commit": arguments.at, "rows": rows},
        },
    )
    print(as_markdown(read_config(arguments.model)), end="")
    return 0


if __name__ == "__main__":
    leave(main())
