"""The model card: where a model is from and how good its method was on recordings held out from training.

What the model was trained on is in its `config.json` already; this adds the key "card". It changes nothing that the
driver computes with. The command is `ecg card`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ecg.io.files import write_file
from ecg.labels.diagnoses import Diagnoses
from ecg.model_folder.folder import adaptation_words, diagnoses_of
from ecg.model_folder.model import ModelError
from ecg.scoring import statistics
from ecg.studies import markdown_tables as tables
from ecg.studies.predictions import Predictions


def measured_rows(result: Predictions, diagnoses: Diagnoses) -> list[dict[str, Any]]:
    """`statistics.measure` of held-out predictions, by database and pooled, with 95 % intervals.

    `diagnoses`: its classes are the columns. Raises ValueError if they are not.
    """
    if result.classes != diagnoses.classes:
        raise ValueError(f"expected predictions of the diagnoses of {diagnoses.name}, found those of another set")
    rows = []
    for group, names in tables.groups([result]).items():
        chosen = np.isin(result.databases, names)
        labels, outputs = result.labels[chosen], result.outputs[chosen]
        interval = statistics.bootstrap_interval(labels, outputs, diagnoses)
        scores = statistics.measure(labels, result.probabilities[chosen], outputs, diagnoses)
        rows.append({"database": group, **scores, "interval_95": [round(value, 4) for value in interval]})
    return rows


def add_card(model_folder: Path, trained: Mapping[str, Any], predictions: Path, measured: Mapping[str, Any]) -> str:
    """Write a card with what trained a model and what was measured; the card as Markdown.

    `trained`: the training's command, commit, minutes and machine. `predictions`: file of held-out `Predictions`.
    `measured`: command and commit that wrote them.
    """
    result = Predictions.load(predictions)
    rows = measured_rows(result, diagnoses_of(read_config(model_folder), model_folder))
    write_card(model_folder, {"trained": dict(trained), "measured": {**measured, "rows": rows}})
    return as_markdown(read_config(model_folder))


def read_config(model_folder: Path) -> dict[str, Any]:
    """What a model's ``config.json`` says; ModelError where there is none."""
    path = model_folder / "config.json"
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: expected the config of a trained model, found none ({error})") from error


def write_card(model_folder: Path, card: Mapping[str, Any]) -> None:
    """Put a card into a model's ``config.json``, in place of one that was there; ModelError where there is none."""
    config = read_config(model_folder) | {"card": dict(card)}
    write_file(model_folder / "config.json", json.dumps(config, indent=1) + "\n")


def as_markdown(config: Mapping[str, Any]) -> str:
    """The card of a `config.json` with what else it says of the training."""
    card, training = config["card"], config["training"]
    metric = statistics.metric_name(diagnoses_of(config, "config.json"))
    databases = ", ".join(f"{name} {count}" for name, count in training["databases"].items())
    later = "what was measured below was measured before that"
    adapted = f"{adaptation_words(config)}; {later}" if "adaptation" in config else ""
    facts = {
        "method": config["method"] + "".join(f", {key} {value}" for key, value in config["settings"].items()),
        "members": str(len(config["members"])),
        "data": f"{training['recordings']} recordings: {databases}; {training['simulated']} simulated ones beside them",
        "split": f"{training['folds']} folds; each member leaves one out for validation",
        "epochs, seed": f"{training['epochs']}, {training['seed']}",
        "command": f"`{card['trained']['command']}` at commit {card['trained']['commit']}",
        "adapted": adapted,
        "time": f"{card['trained']['minutes']:g} minutes on {card['trained']['machine']}",
        "measured": f"`{card['measured']['command']}` at commit {card['measured']['commit']}",
    }
    lines = []
    for row in card["measured"]["rows"]:
        score = "{:.3f} ({:.3f} to {:.3f})".format(row[metric], *row["interval_95"])
        values = ("–" if row[key] is None else f"{row[key]:.3f}" for key in tables.MEASURES)
        lines.append([row["database"], row["recordings"], score, *values])
    columns = ["database", "recordings", f"{metric.replace('_', ' ')} (95 %)", *tables.MEASURES.values()]
    first = ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in facts.items() if text), ""]
    return "\n".join([*first, tables.table(columns, lines)]) + "\n"
