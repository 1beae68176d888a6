"""Writes into a model folder where the model is from and how good its method was on recordings held out from training.

    python -m ecg.model_card model --command "python train_model.py data model" --commit 1f2e977 --minutes 25 \\
        --predictions out/robust/predictions.npz --measured "python -m ecg.crossval data out --hold-out" --at 1f2e977

What the model was trained on is in its `config.json` already; this adds the key "card" and prints it as Markdown. It
changes nothing that the driver computes with.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import evaluate_model
import helper_code
from ecg import report_statistics as report
from ecg import tables
from ecg.command import run_command
from ecg.model_folder import ModelError

_COLUMNS = {"auroc": "AUROC", "auprc": "AUPRC", "f_measure": "F", "sensitivity": "sensitivity",
            "specificity": "specificity", "calibration_error": "calibration error"}


def measured_rows(result: tables.Result, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """What `report.measure` says of held-out predictions, by database and pooled, with 95 % intervals.

    Parameters
    ----------
    result : Mapping
        What `ecg.crossval` writes as ``predictions.npz``.
    classes : tuple of str
        Codes in the order of its columns.
    """
    _, weights = evaluate_model.load_weights(classes=classes)
    rows = []
    for group, names in tables.groups([result]).items():
        chosen = np.isin(result["databases"], names)
        labels, outputs = result["labels"][chosen], result["outputs"][chosen]
        interval = report.bootstrap_interval(labels, outputs, classes, weights)
        scores = report.measure(labels, result["probabilities"][chosen], outputs, classes, weights)
        rows.append({"database": group, **scores, "interval_95": [round(value, 4) for value in interval]})
    return rows


def write_card(model_folder: Path, card: Mapping[str, Any]) -> None:
    """Put a card into a model's ``config.json``, in place of one that was there.

    Raises
    ------
    ModelError
        If there is no config to put it into.
    """
    path = model_folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
        config["card"] = dict(card)
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: expected the config of a trained model, found none ({error})") from error
    helper_code.write_file(path, json.dumps(config, indent=1) + "\n")


def as_markdown(config: Mapping[str, Any]) -> str:
    """The card of a `config.json` with what else it says of the training."""
    card, training = config["card"], config["training"]
    databases = ", ".join(f"{name} {count}" for name, count in training["databases"].items())
    facts = {
        "method": config["method"] + "".join(f", {key} {value}" for key, value in config["settings"].items()),
        "members": str(len(config["members"])),
        "data": f"{training['recordings']} recordings: {databases}; {training['simulated']} simulated ones beside them",
        "split": f"{training['folds']} folds; each member leaves one out for validation",
        "epochs, seed": f"{training['epochs']}, {training['seed']}",
        "command": f"`{card['trained']['command']}` at commit {card['trained']['commit']}",
        "time": f"{card['trained']['minutes']:g} minutes on {card['trained']['machine']}",
        "measured": f"`{card['measured']['command']}` at commit {card['measured']['commit']}",
    }
    lines = ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in facts.items()), ""]
    lines.append(f"| database | recordings | challenge metric (95 %) | {' | '.join(_COLUMNS.values())} |")
    lines.append("|---" * (len(_COLUMNS) + 3) + "|")
    for row in card["measured"]["rows"]:
        low, high = row["interval_95"]
        values = " | ".join("–" if row[key] is None else f"{row[key]:.3f}" for key in _COLUMNS)
        lines.append(f"| {row['database']} | {row['recordings']} | {row['challenge_metric']:.3f} "
                     f"({low:.3f} to {high:.3f}) | {values} |")
    return "\n".join(lines) + "\n"


def main(words: Sequence[str] | None = None) -> int:
    return run_command("python -m ecg.model_card", lambda: _add_card(words), "the model folder is as it was")


def _add_card(words: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ecg.model_card", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a trained model")
    parser.add_argument("--command", required=True, help="what trained it")
    parser.add_argument("--commit", required=True, help="of the code that trained it")
    parser.add_argument("--minutes", type=float, required=True, help="that took")
    parser.add_argument("--machine", required=True, help="where")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.npz of ecg.crossval")
    parser.add_argument("--measured", required=True, help="the command that wrote them")
    parser.add_argument("--at", required=True, help="commit of the code that wrote them")
    arguments = parser.parse_args(words)
    try:
        result = dict(np.load(arguments.predictions))
        rows = measured_rows(result, tuple(map(str, result["classes"])))
    except (ValueError, LookupError) as error:
        raise ValueError(f"{arguments.predictions}: expected predictions of ecg.crossval, found others "
                         f"({error})") from error
    write_card(arguments.model, {
        "trained": {"command": arguments.command, "commit": arguments.commit, "minutes": arguments.minutes,
                    "machine": arguments.machine},
        "measured": {"command": arguments.measured, "commit": arguments.at, "rows": rows},
    })
    print(as_markdown(json.loads((arguments.model / "config.json").read_bytes())), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
