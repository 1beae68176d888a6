"""The second system: that of Vicar et al., BUTTeam (Computing in Cardiology 2020, paper 189).

    python train_model.py data model --method butteam

In this order: constants, preprocessing, augmentation, chunks, losses, thresholds and voting, the method; the network is
in `ecg.networks.but_net`.
Where the published code is wrong or departs from its paper it is corrected here, with a comment "Corrected:" and the
reason. "Not in the paper:" marks steps of the published code or our own. Both lists are in docs/methods.md. The stages,
losses, threshold searches and merge rules stand on their own: any method can be put together from them.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import filtfilt, firwin
from torch import Tensor, nn, optim

from ecg.arrays import Bools, Floats, Floats32
from ecg.decisions.thresholds import Decide, coordinate_ascent, f1_thresholds
from ecg.examination.examine import Examination
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.leads import fill_missing
from ecg.methods.base import Batch, Decision, Input, Loss, Method, Stage, Training, as_scored
from ecg.networks import losses
from ecg.networks.but_net import BUTNet
from ecg.runtime.progress import say
from ecg.scoring.challenge import compute_observed_score
from ecg.signal.windows import pad_right

SAMPLING_FREQUENCY = 125.0  # Hz
UNIT = 0.2  # mV, the fixed scale of the network's input: absolute amplitudes are kept
TOO_LONG_TO_TRAIN = 125.0  # s, recordings from here up are left out of training

# Long recordings at prediction, in samples: up to 105 s whole, longer ones in chunks of 90 s that share 5 s.
LONGEST_WHOLE = 13125
SHORTEST = 64  # samples, half a second: what six times halved leaves one of
CHUNK = 11250
OVERLAP = 625
STRIDE = CHUNK - OVERLAP
WINDOW = CHUNK + STRIDE - 1  # the last chunk takes in what is left over, less than a stride

# The published Bayesian optimisation (code): random points, then steps of the optimiser.
RANDOM_POINTS = 250
ITERATIONS = 50


def preprocess(recording: Floats32, sampling_frequency: float) -> Floats32:
    """A recording as the network takes it: units of 0.2 mV at 125 Hz.

    `recording`, (12, n_samples), float32, mV: NaN where missing. `sampling_frequency`: Hz. Returns (12, int(n_samples *
    125 / sampling_frequency)), float32, 0.2 mV at 125 Hz: finite. A rate below 125 Hz is interpolated only.
    """
    signal = fill_missing(recording)
    n_samples, ratio = signal.shape[1], sampling_frequency / SAMPLING_FREQUENCY
    if ratio > 1:
        taps = firwin(int(20 * ratio) + 1, 1 / ratio)
        # Three filter lengths of padding as usual, 0.48 s, or what there is.
        signal = filtfilt(taps, [1.0], signal, axis=1, padlen=min(3 * len(taps), n_samples - 1))
    # Corrected: the published grid, linspace(0, n_samples - 1, n), has the wrong step and stretches the recording.
    grid = np.arange(int(n_samples * SAMPLING_FREQUENCY / sampling_frequency)) * ratio
    return _interpolate(signal / UNIT, grid)


def _interpolate(signal: NDArray[np.floating], positions: NDArray[np.floating]) -> Floats32:
    """Linear interpolation of all leads at positions in samples, the last sample held beyond the end."""
    left = positions.astype(np.intp)
    right = np.minimum(left + 1, signal.shape[1] - 1)
    fraction = positions - left
    values = signal[:, left] * (1 - fraction) + signal[:, right] * fraction
    return values.astype(np.float32)


def no_features(examination: Examination) -> Floats32:
    """Nothing: age and sex were tried and are off in the published configuration."""
    return np.zeros(0, dtype=np.float32)


def is_short(labels: Bools, seconds: float) -> bool:
    """All but the long recordings take part in training, those without a scored class too."""
    return seconds < TOO_LONG_TO_TRAIN


def augment(recording: Floats32, rng: np.random.Generator) -> Floats32:
    """A training item: amplitudes changed by 20 %, each lead on its own, and time by 10 %, each with probability 0.8.

    `recording`, (12, n_samples), float32: not changed. Returns (12, n), float32: ``n_samples / 1.1 - 1 < n <= 1.1 *
    n_samples``.
    """
    if rng.random() < 0.8:
        recording = recording * _factor(rng, 0.2, (len(recording), 1)).astype(np.float32)
    if rng.random() < 0.8:
        stretch = _factor(rng, 0.1, ())
        recording = _interpolate(recording, np.arange(int(recording.shape[1] * stretch)) / stretch)
    return recording


def _factor(rng: np.random.Generator, size: float, shape: tuple[int, ...]) -> Floats:
    # 1 / 1.2 to 1.2 for 0.2: as often up as down, and by as much.
    drawn = np.asarray(rng.uniform(1 - size, 1 + size, shape))
    return np.where(drawn < 1, 1 / (2 - drawn), drawn)


def no_augmentation(recording: Floats32, rng: np.random.Generator) -> Floats32:
    """The training item without augmentation."""
    return recording


def cut_chunks(recording: Floats32) -> list[Floats32]:
    """Inputs for prediction: up to 105 s the whole recording, else chunks of 90 s that share 5 s with their neighbours.

    `recording`: (12, n_samples), float32. Returns a list of (12, n <= 21874), float32. The last one extends to the
    recording's end (so that one of less than 175 s is still whole).
    """
    recording = pad_right(recording, SHORTEST)
    n_samples = recording.shape[1]
    if n_samples <= LONGEST_WHOLE:
        return [recording]
    starts = [k * STRIDE for k in range((n_samples - OVERLAP) // STRIDE)]
    ends = [start + CHUNK for start in starts[:-1]] + [n_samples]
    return [recording[:, start:end] for start, end in zip(starts, ends, strict=True)]


def maximum(probabilities: Floats) -> Floats:
    """A recording's probabilities from its chunks', (n_chunks, n_classes) to (n_classes,): what any chunk shows."""
    merged: Floats = probabilities.max(axis=0)
    return merged


def _forward(network: nn.Module, batch: Batch) -> Tensor:
    # Corrected: the published batches get 922 zeros more, and a random length at prediction; neither has a use.
    logits: Tensor = network(batch.signal, batch.lengths)
    return logits


def fit_weighted_cross_entropy(labels: Bools, weights: Floats | None) -> Loss:
    """`losses.weighted_cross_entropy` weighted by these labels, bool (n_recordings, n_classes)."""
    # Corrected: in the published code a class without positives makes the loss infinite; here it is left out.
    total, count = len(labels), labels.sum(axis=0)
    usable = (count > 0) & (count < total)
    positive, negative = (
        torch.from_numpy(np.where(usable, total / np.maximum(n, 1), 0).astype(np.float32))
        for n in (count, total - count)
    )

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return losses.weighted_cross_entropy(logits, targets, positive.to(logits.device), negative.to(logits.device))

    return loss


def fit_challenge_metric_loss(labels: Bools, weights: Floats | None) -> Loss:
    """`losses.challenge_metric_loss` of the logits' sigmoids, with these weights (n_classes, n_classes)."""
    if weights is None:
        expected = "a set of diagnoses with reward weights"
        raise ValueError(f"the challenge-metric loss: expected {expected}, found one without")
    rewards = torch.from_numpy(weights.astype(np.float32))

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return losses.challenge_metric_loss(torch.sigmoid(logits), targets, rewards.to(logits.device))

    return loss


def decide(probabilities: Floats, thresholds: Floats) -> Bools:
    """Classes above their threshold, possibly none: bool of the shape of `probabilities`, (n_recordings, n_classes)."""
    return probabilities > thresholds


def bayesian_search(labels: Bools, probabilities: Floats, weights: Floats, decide: Decide = decide) -> Floats:
    """Thresholds by Bayesian optimisation of the observed challenge score, as published.

    250 random points in the unit cube, then 50 steps of a Gaussian process with an upper confidence bound.

    `labels`: (n_recordings, n_classes), bool. `probabilities`: (n_recordings, n_classes), float64. `weights`:
    (n_classes, n_classes), float64. `decide`: ``(probabilities, thresholds) -> outputs``. Returns (n_classes,),
    float64: the same on every call.
    """
    say("Searching thresholds by Bayesian optimisation, which takes a minute or two")
    found = _optimize(labels, probabilities, weights, decide, ITERATIONS)
    other = coordinate_search(labels, probabilities, weights, decide)
    scores = [compute_observed_score(weights, labels, decide(probabilities, each)) for each in (found, other)]
    both = f"{scores[0]:.1f} by Bayesian optimisation, {scores[1]:.1f} by coordinate ascent from the same start"
    say(f"Observed challenge score on the validation recordings: {both}")
    return found


def coordinate_search(labels: Bools, probabilities: Floats, weights: Floats, decide: Decide = decide) -> Floats:
    """Thresholds by exact coordinate ascent from the best of `bayesian_search`'s random points; arguments as there."""
    start = _optimize(labels, probabilities, weights, decide, 0)
    return coordinate_ascent(labels, probabilities, weights, decide, start, passes=10)


def _optimize(labels: Bools, probabilities: Floats, weights: Floats, decide: Decide, iterations: int) -> Floats:
    from bayes_opt import BayesianOptimization  # here: it brings scikit-learn, which prediction has no use for

    names = [f"{index:03d}" for index in range(labels.shape[1])]

    def score(**thresholds: float) -> float:
        outputs = decide(probabilities, np.array([thresholds[name] for name in names]))
        return compute_observed_score(weights, labels, outputs)

    # A point that comes up twice is no error: where nothing can be gained the optimiser likes corners.
    cube = dict.fromkeys(names, (0.0, 1.0))
    optimizer = BayesianOptimization(score, cube, random_state=1, verbose=0, allow_duplicate_points=True)
    optimizer.maximize(init_points=RANDOM_POINTS, n_iter=iterations)
    best = max(optimizer.res, key=lambda point: point["target"])["params"]
    return np.array([best[name] for name in names])


def majority(labels: Bools, probabilities: Floats, thresholds: Floats) -> tuple[Bools, Floats]:
    """Classes that at least half of the members output (of the published three: two); scores by their mean.

    `labels`: (n_members, n_recordings, n_classes), bool, in which `thresholds`, (n_members, n_classes), have played
    their part. `probabilities`: (n_members, n_recordings, n_classes), float64. Returns both as (n_recordings,
    n_classes).
    """
    return labels.mean(axis=0) >= 0.5, probabilities.mean(axis=0)


def _steps_at(first: float, second: float) -> Callable[[float], float]:
    return lambda progress: 1.0 if progress < first else 0.1 if progress < second else 0.01


# Corrected: the published code has an epsilon of 1e-5; the paper names none, so PyTorch's 1e-8.
def _adamw(parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    return optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.999), weight_decay=1e-5)


# Corrected: the published code runs the first stage once for all members, on all data, their validation sets
# included. A stage sees its member's training part only.
# Not in the paper: 30, 20 and 10 epochs at the rates 1, 0.1 and 0.01, then 15, 10 and 10, which is the published code's
# schedule. The paper has two cycles and a factor of 0.1 every 30 epochs.
WCE_STAGE = Stage("wce", 60, fit_weighted_cross_entropy, _adamw, _steps_at(30 / 60, 50 / 60), select="last")
# Weights averaged over the last epochs as in the paper; the published code has that switched off and takes the epoch
# whose thresholds, optimised on the validation recordings, score best on them.
CHALLENGE_STAGE = Stage(
    "challenge", 35, fit_challenge_metric_loss, _adamw, _steps_at(15 / 35, 25 / 35), select="average", average_epochs=5
)
SEARCHES: dict[str, Callable[..., Floats]] = {"bayesian": bayesian_search, "coordinate": coordinate_search}


def butteam(
    width: int = 48,
    augmentation: bool = True,
    global_skips: bool = True,
    challenge_loss: bool = True,
    threshold_search: Literal["bayesian", "coordinate"] = "bayesian",
    diagnoses: Diagnoses = CHALLENGE_2020,
) -> Method:
    """The method of Vicar et al. (paper 189), corrected.

    Each member's first stage sees the member's own training part only, where the published code trains it on all
    recordings, later validation sets included. Of the comparisons in the paper's table 1, width, skips, loss and
    augmentation are settings; kernel size and depth are not.

    `width`: channels of the first level: 48 as in the paper's best, 12 for its small network. `challenge_loss`: false
    keeps the weighted cross-entropy through the second stage, at the same length. `threshold_search`: one of
    "bayesian", "coordinate". `diagnoses`: without reward weights the cross-entropy stays, and thresholds are those of
    the highest F1. Raises ValueError if there is no such threshold search.
    """
    if width < 1:
        raise ValueError(f"width {width}: expected a whole number from 1 up")
    if threshold_search not in SEARCHES:
        raise ValueError(f"threshold_search {threshold_search!r}: expected one of {', '.join(SEARCHES)}")
    second, rewarded = CHALLENGE_STAGE, diagnoses.weights is not None
    if not challenge_loss or not rewarded:
        second = replace(CHALLENGE_STAGE, name="wce-2", make_loss=fit_weighted_cross_entropy)
    return Method(
        name="butteam",
        settings={
            "width": width,
            "augmentation": augmentation,
            "global_skips": global_skips,
            "challenge_loss": challenge_loss,
            "threshold_search": threshold_search,
        },
        diagnoses=diagnoses,
        build_network=partial(BUTNet, n_classes=len(diagnoses.classes), width=width, global_skips=global_skips),
        forward=_forward,
        input=Input(SAMPLING_FREQUENCY, WINDOW, "0.2 mV", preprocess, no_features, cut_chunks),
        training=Training(
            n_folds=10,  # Not in the paper: distinct tenths are left out, where it draws 90 % at random for each member
            n_members=3,
            batch_size=32,
            stages=(WCE_STAGE, second),
            make_targets=partial(as_scored, diagnoses=diagnoses),
            use_for_training=is_short,
            augment=augment if augmentation else no_augmentation,
        ),
        decision=Decision(maximum, SEARCHES[threshold_search] if rewarded else f1_thresholds, decide, majority),
    )
