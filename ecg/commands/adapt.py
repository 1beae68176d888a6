"""`ecg adapt`: a trained model for one hospital."""

import math
import sys
from pathlib import Path
from typing import Any

from ecg.commands import options
from ecg.runtime.command import command


@command("adapt", "no usable adapted model was written")
@options.model
@options.place("data")
@options.place("adapted")
@options.labels
@options.least_likelihood
@options.seed
@options.device
def main(model: Path, data: Path, adapted: Path, **options: Any) -> int:
    """Adapt a trained model to one hospital, from 20 of its labelled recordings up.

    DATA is the folder of the hospital's recordings, with an optional folds.csv as for train. ADAPTED is the folder that
    the adapted model is written to.

    First the convention is chosen that fits the labels best (--definitions of classify). Then its scores are fitted to
    the labels, as far as cross-validation says that it helps. The networks stay as they are. The gain is measured by
    cross-validation too. Without a gain nothing is written and the exit status is 1. The recordings must not be
    those that the model was trained on: on these it is too sure of itself.

    \b
    example:
      ecg adapt data adapted
    """
    from ecg.training.adapt_model import N_FOLDS, adapt_model

    found = adapt_model(model, data, adapted, **options)
    (metric, adapted_metric), (loss, adapted_loss) = found.metric, found.log_loss
    low, high = found.interval
    recordings = f"{found.recordings} recordings ({found.left_out} left out)"
    print(f"{recordings}, {N_FOLDS}-fold cross-validation, seed {found.seed}")
    fit = "nothing is fitted" if math.isinf(found.penalty) else f"a fit to its scores (penalty {found.penalty:g})"
    print(f"Chosen: {found.definitions or 'no convention'}, {fit}")
    print(f"Not adapted: {found.metric_name} {metric:.3f}, log-loss {loss:.4f}")
    print(f"Adapted: {found.metric_name} {adapted_metric:.3f}, log-loss {adapted_loss:.4f}")
    print(f"Gain of the {found.metric_name}: {found.gain:+.3f} (95 % interval {low:+.3f} to {high:+.3f})")
    if found.gain <= 0:
        print(f"{adapted}: not written, as adapting gains nothing on these recordings", file=sys.stderr)
        return 1
    if low <= 0:
        print("The interval holds 0: with so few recordings the gain may be chance")
    print(f"{adapted}: the adapted model")
    return 0
