"""`ecg calibrate`: a calibration for a model folder that has none."""

from pathlib import Path

from ecg.commands import options
from ecg.runtime.command import command


@command("calibrate", "the model folder is as it was")
@options.place("model")
@options.place("data")
@options.labels
@options.least_likelihood
def main(model: Path, data: Path, labels: str | None, least_likelihood: float) -> None:
    """Calibrate a trained model: fit its probabilities on the validation parts of its training recordings.

    For a folder MODEL that holds no calibration yet: training has written one since version 0.3. DATA must be the
    recordings that trained the model, with --labels as in training; the split into parts follows from them and the
    seed. Nothing else changes.

    \b
    example:
      ecg calibrate model data
    """
    from ecg.training.calibrate_model import calibrate_model

    n_recordings, before, after = calibrate_model(model, data, labels=labels, least_likelihood=least_likelihood)
    print(f"Calibrated on {n_recordings} recordings: calibration error there {before:.4f} before, {after:.4f} after")
