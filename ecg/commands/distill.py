"""`ecg distill`: one network that answers as an ensemble does."""

from pathlib import Path
from typing import Any

import click

from ecg.commands import options
from ecg.runtime.command import command


@command("distill", "the same command continues from there")
@options.model
@options.place("data")
@options.place("distilled")
@click.option("--width", type=float, default=0.5, help="channels of the network, as a share of the ensemble's")
@options.epochs
@options.seed
@options.device
@options.limit
@options.labels
@options.least_likelihood
def main(
    model: Path, data: Path, distilled: Path, width: float, labels: str | None, least_likelihood: float, **settings: Any
) -> None:
    """Train one network that answers as an ensemble does, at the cost of one network.

    The ensemble is of the method hybrid or robust. DATA are the recordings that trained it, DISTILLED is the folder for
    the network. It takes the signal, age and sex alone: nothing is measured when it classifies, and it can be exported
    as ONNX. What it loses against the ensemble is in docs/performance.md.

    \b
    example:
      ecg distill --model model data distilled
    """
    from ecg.inference.classifier import load_model
    from ecg.io.label_tables import load_labels
    from ecg.methods.base import build_method
    from ecg.methods.reduced_leads import on_leads, with_masked_leads
    from ecg.methods.registry import find_methods
    from ecg.training.distillation import distill
    from ecg.training.options import TrainingOptions

    if distilled.resolve() == model.resolve():
        raise ValueError(f"{distilled}: expected another folder than that of the ensemble")
    teacher = load_model(model, device=settings["device"])
    table = load_labels(labels, teacher.method.diagnoses.column_of, least_likelihood) if labels else None
    options = TrainingOptions(1, **settings, labels=table)
    student = build_method(f"hybrid:width={width},measurements=false", find_methods(), teacher.method.diagnoses)
    student = on_leads(student, teacher.method.leads)
    student = with_masked_leads(student) if teacher.method.training.masked_leads else student
    options.n_members(student)
    distill(teacher, student, data, distilled, options)
