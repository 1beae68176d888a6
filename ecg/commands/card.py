"""`ecg card`: where a model is from and how good its method was."""

from pathlib import Path

import click

from ecg.commands import options
from ecg.runtime.command import command as make_command


@make_command("card", "the model folder is as it was")
@options.place("model")
@click.option("--command", required=True, help="what trained it")
@click.option("--commit", required=True, help="of the code that trained it")
@click.option("--minutes", type=float, required=True, help="training time in minutes")
@click.option("--machine", required=True, help="the machine it was trained on")
@click.option("--predictions", type=options.PATH, required=True, help="predictions.npz of `ecg validate`")
@click.option("--measured", required=True, help="the command that wrote them")
@click.option("--at", required=True, help="commit of the code that wrote them")
def main(model: Path, predictions: Path, measured: str, at: str, **trained: str | float) -> None:
    """Write into a model folder where the model is from and how good its method was on held-out recordings.

    What the model was trained on is in its `config.json` already; this adds the key "card" and prints it as Markdown.
    Classification does not read it.

    \b
    example:
      ecg card model --command "ecg train data model" --commit 1f2e977 --minutes 25 --machine "2 cores" \\
          --predictions out/robust/predictions.npz --measured "ecg validate data out --hold-out" --at 1f2e977
    """
    from ecg.studies.model_card import add_card

    print(add_card(model, trained, predictions, {"command": measured, "commit": at}), end="")
