"""Calibrates a trained model: fits its probabilities on the validation parts of the recordings that it was trained on.

    ecg calibrate model data

For a model folder that holds no calibration yet: `train_model.py` has written one since version 0.3. The recordings
must be those that trained the model; the split into parts follows from them and the seed. Nothing else changes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ecg.runtime.command import leave, run_command


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return run_command("ecg calibrate", lambda: _calibrate(words), "the model folder is as it was")


def _calibrate(words: Sequence[str] | None) -> int:
    from ecg.training.calibrate_model import calibrate_model

    parser = argparse.ArgumentParser(
        prog="ecg calibrate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder of a trained model")
    parser.add_argument("data", type=Path, help="folder of the recordings that it was trained on")
    parser.add_argument("--labels", metavar="FILE", help="as of train_model.py, where the model was trained with it")
    parser.add_argument("--least-likelihood", type=float, default=0.0, metavar="PERCENT", help="as of train_model.py")
    arguments = parser.parse_args(words)
    n_recordings, before, after = calibrate_model(
        arguments.model, arguments.data, labels=arguments.labels, least_likelihood=arguments.least_likelihood
    )
    print(f"Calibrated on {n_recordings} recordings: calibration error there {before:.4f} before, {after:.4f} after")
    return 0


if __name__ == "__main__":
    leave(main())
