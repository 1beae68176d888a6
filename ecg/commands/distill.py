"""Trains one network that answers as an ensemble does, at the cost of one network.

    ecg distill model data distilled

`model` is a trained model of the method `hybrid` or `robust`, `data` the recordings that trained it. The network
looks at the signal, age and sex alone, so nothing is measured when it judges, and it can be exported as ONNX. What it
loses against the ensemble shows where neither was trained: docs/results.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ecg.runtime.command import leave, run_command


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return run_command("ecg distill", lambda: _distill(words), "the same command continues from there")


def _distill(words: Sequence[str] | None) -> int:
    from ecg.io.label_tables import load_labels
    from ecg.methods.base import build_method
    from ecg.methods.reduced_leads import on_leads
    from ecg.methods.registry import find_methods
    from ecg.model_folder.folder import load_model
    from ecg.runtime.device import pick_device
    from ecg.training.distillation import distill
    from ecg.training.options import TrainingOptions

    parser = argparse.ArgumentParser(
        prog="ecg distill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder of the ensemble")
    parser.add_argument("data", type=Path, help="folder of the recordings that it was trained on")
    parser.add_argument("distilled", type=Path, help="folder for the network")
    parser.add_argument("--width", type=float, default=0.5, help="channels of the network (default: %(default)s)")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs (default: the method's schedule)")
    parser.add_argument("--labels", metavar="FILE", help="as of train_model.py, where the ensemble was trained with it")
    parser.add_argument("--least-likelihood", type=float, default=0.0, metavar="PERCENT", help="as of train_model.py")
    parser.add_argument("--seed", type=int, default=2020, help="random seed (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:<number> (default: %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="use only N recordings, to try things out")
    arguments = parser.parse_args(words)
    if arguments.distilled.resolve() == arguments.model.resolve():
        raise ValueError(f"{arguments.distilled}: expected another folder than that of the ensemble")
    methods = find_methods()
    teacher = load_model(arguments.model, methods, pick_device(arguments.device))
    known, least = teacher.method.diagnoses.column_of, arguments.least_likelihood
    labels = load_labels(arguments.labels, known, least) if arguments.labels else None
    options = TrainingOptions(
        1, arguments.epochs, arguments.seed, arguments.device, limit=arguments.limit, labels=labels
    )
    student = build_method(f"hybrid:width={arguments.width},measurements=false", methods, teacher.method.diagnoses)
    student = on_leads(student, teacher.method.leads)
    options.n_members(student)
    distill(teacher, student, arguments.data, arguments.distilled, options)
    return 0


if __name__ == "__main__":
    leave(main())
