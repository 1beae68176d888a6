"""Adapts a trained model to one hospital, from 100 of its labelled recordings up.

    ecg adapt model data adapted

Prior odds of the diagnoses and conventions of labelling are fitted; the networks stay as they are. What that gains is
measured by cross-validation. Where it gains nothing, nothing is written and the exit status is 1. The recordings must
not be those that the model was trained on: on these it is too sure of itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ecg.runtime.command import leave, run_command


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return run_command("ecg adapt", lambda: _adapt(words), "no usable adapted model was written")


def _adapt(words: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="ecg adapt", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder of a trained model, which stays as it is")
    parser.add_argument(
        "data", type=Path, help="folder of the hospital's recordings; an optional folds.csv as for train_model.py"
    )
    parser.add_argument("adapted", type=Path, help="folder that the adapted model is written to")
    parser.add_argument("--labels", metavar="FILE", help="as of train_model.py")
    parser.add_argument("--least-likelihood", type=float, default=0.0, metavar="PERCENT", help="as of train_model.py")
    parser.add_argument("--seed", type=int, default=2020, help="of the cross-validation's split (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="as of driver.py (default: %(default)s)")
    arguments = parser.parse_args(words)

    from ecg.training.adapt_model import N_FOLDS, adapt_model

    found = adapt_model(
        arguments.model,
        arguments.data,
        arguments.adapted,
        labels=arguments.labels,
        least_likelihood=arguments.least_likelihood,
        seed=arguments.seed,
        device=arguments.device,
    )
    (metric, adapted_metric), (loss, adapted_loss) = found.metric, found.log_loss
    low, high = found.interval
    print(
        f"{found.recordings} recordings ({found.left_out} left out), {N_FOLDS}-fold cross-validation, seed {found.seed}"
    )
    print(f"Not adapted: {found.metric_name} {metric:.3f}, log-loss {loss:.4f}")
    print(f"Adapted: {found.metric_name} {adapted_metric:.3f}, log-loss {adapted_loss:.4f}")
    print(f"Gain of the {found.metric_name}: {found.gain:+.3f} (95 % interval {low:+.3f} to {high:+.3f})")
    if found.gain <= 0:
        print(f"{arguments.adapted}: not written, as adapting gains nothing on these recordings", file=sys.stderr)
        return 1
    if low <= 0:
        print("The interval holds 0: with so few recordings the gain may be chance")
    print(f"{arguments.adapted}: the adapted model")
    return 0


if __name__ == "__main__":
    leave(main())
