"""What a method is: everything that tells one ECG classifier from another, and nothing about how it is run.

The engine (`ecg/*.py`) trains, stores and runs any `Method` without knowing its name. A method is pure data and
functions: it holds no recordings, no paths and no weights.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from torch import Tensor, nn, optim

from ecg.arrays import Bools, Floats, Floats32
from ecg.decisions.conventions import Convention
from ecg.examination.examine import Examination
from ecg.labels.classes import encode_labels
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses


class Batch(NamedTuple):
    """One batch of network inputs."""

    # (n_items, 12, n_samples), float32: in the method's input units, zero-padded on the right to the longest item.
    signal: Tensor
    lengths: Tensor  # (n_items,), int64: samples of each item before that padding
    # (n_items, n_features), float32: what is known beside the signal: age and sex, and what the method measures; NaN
    # only where it takes that.
    features: Tensor


Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps logits and targets as of `MakeTargets`, both (n_items, n_classes) float32, to a scalar."""


@dataclass(frozen=True)
class Stage:
    """One stage of training: a loss, an optimiser and a schedule."""

    name: str
    epochs: int  # length of the stage at the method's full schedule; the engine scales it to the epochs asked for
    # ``(labels, weights) -> Loss`` from the labels of the training part, bool (n_recordings, n_classes), and the reward
    # weights (n_classes, n_classes); None for a set of diagnoses without.
    make_loss: Callable[[Bools, Floats | None], Loss]
    make_optimizer: Callable[[Iterable[nn.Parameter]], optim.Optimizer]  # ``(parameters) -> Optimizer``
    # ``(progress) -> factor`` on the optimiser's own learning rate; `progress` in [0, 1) is the part of the stage that
    # is done.
    learning_rate: Callable[[float], float]
    # One of "best", "last", "average": which weights the stage hands on: those of the epoch with the best validation
    # challenge metric, of the last epoch, or the average over the last `average_epochs` epochs with batch-norm
    # statistics estimated again (stochastic weight averaging, Izmailov et al. 2018).
    select: Literal["best", "last", "average"] = "best"
    # Epochs that enter the average at the full schedule; the engine scales them like `epochs`, one at least.
    average_epochs: int = 5


Preprocess = Callable[[Floats32, float], Floats32]
"""``(signal, sampling_frequency) -> signal``: float32 (12, n) in mV with NaN for what is missing, to float32 (12, m) at
the method's rate and units, finite."""

Features = Callable[[Examination], Floats32]
"""``(examination) -> features``: what goes in beside the preprocessed signal, float32 (n_features,)."""

Augment = Callable[[Floats32, np.random.Generator], Floats32]
"""``(signal, rng) -> signal``: a preprocessed recording to one training item; all randomness from `rng`."""

MakeTargets = Callable[[tuple[str, ...], Floats32], Floats32]
"""``(codes, signal) -> targets``: what the network learns of a recording with these diagnosis codes (scored or not) and
this preprocessed signal, float32 (n_classes,) from 0 to 1, NaN where not known."""

WithoutSize = Callable[[Floats32, Floats32], tuple[Floats32, Floats32]]
"""``(signal, features) -> signal, features``: the same without what says how large the recording is."""

SelectClasses = Callable[[Mapping[str, Tensor], Sequence[int]], dict[str, Tensor]]
"""``(state, columns) -> state``: the weights of a network whose outputs are these columns of the given one's."""

Signals = Callable[[], Iterator[Floats32]]
"""``() -> signals``: preprocessed recordings, each float32 (12, n), one after another."""

Prepare = Callable[[nn.Module, Floats32, Floats32, int, Signals], Sequence[Callable[[], None]]]
"""``(network, features, targets, seed, signals) -> steps``: functions that fit, one after another and in place, what is
not trained by gradients, from the training part: features (n_recordings, n_features), targets (n_recordings,
n_classes), and the signals of the same recordings. What one of them fits does not depend on the others."""

SearchThresholds = Callable[[Bools, Floats, Floats | None], Floats]
"""``(labels, probabilities, weights) -> thresholds``, (n_classes,) from a validation fold; weights as of a `Stage`."""

Decide = Callable[[Floats, Floats], Bools]
"""``(probabilities, thresholds) -> labels``, bool (n_recordings, n_classes); thresholds (n_classes,), or a row of them
for each row of probabilities."""

Combine = Callable[[Bools, Floats, Floats], tuple[Bools, Floats]]
"""``(labels, probabilities, thresholds) -> (labels, probabilities)``: the members' labels and probabilities, both
(n_members, n_recordings, n_classes), with their thresholds, (n_members, n_classes), to (n_recordings, n_classes)."""


@dataclass(frozen=True)
class Input:
    """What the network takes in."""

    sampling_frequency: float  # Hz
    window: int  # the longest input the network is run on at once, in samples
    units: str  # of what `preprocess` returns
    preprocess: Preprocess  # shared by training and prediction
    features: Features
    # ``(signal) -> list of windows`` for prediction, each (12, n <= window), without randomness.
    windows: Callable[[Floats32], list[Floats32]]
    # The pass band of `preprocess`, Hz; None where it filters against aliasing only.
    band: tuple[float, float] | None = None


@dataclass(frozen=True)
class Training:
    """How the networks are trained."""

    n_folds: int  # parts the training data is split into; a member leaves one out for validation
    n_members: int  # members trained when the user does not say how many
    batch_size: int  # recordings per training step
    stages: tuple[Stage, ...]
    make_targets: MakeTargets  # scores count the codes alone
    # ``(labels, seconds) -> bool``: does a recording with these labels, bool (n_classes,), take part in training?
    use_for_training: Callable[[Bools, float], bool]
    augment: Augment
    # Of the beta distribution of the share that one item has in another (mixup); none where it is 0.
    mixing: float = 0.0
    simulated_share: float = 0.0  # simulated recordings that are trained on beside each recording of the data folder
    prepare: Prepare | None = None  # before the first epoch
    # For recordings whose size is invented; None where a method can't be trained on those.
    without_size: WithoutSize | None = None
    select_classes: SelectClasses | None = None  # none where a method can't be trained on two sets of diagnoses at once
    # The sets of leads whose others `augment` takes off. `prepare` has what these leads alone give too.
    masked_leads: tuple[tuple[str, ...], ...] = ()
    missing_leads: int = 0  # leads that a recording may lack, as `augment` takes some off


ByConvention = Callable[[Floats, Floats, Floats32, Convention], tuple[Bools, Floats]]
"""``(probabilities, thresholds, features, convention) -> (labels, scores)`` of one recording.

The members' probabilities and thresholds, both (n_members, n_classes), what went in beside the signal, and a
convention, to (n_classes,) each."""


@dataclass(frozen=True)
class Decision:
    """How windows, classes and members come together."""

    # ``(probabilities) -> probabilities``: (n_windows, n_classes) of one recording to (n_classes,).
    merge: Callable[[Floats], Floats]
    search_thresholds: SearchThresholds
    decide: Decide
    combine: Combine
    # Whether `combine` gives scores for which every threshold is one half: probabilities at stated prevalences, which
    # need no calibration.
    moves_scores: bool = False
    by_convention: ByConvention | None = None  # in place of `combine`, where hospitals' conventions are known


@dataclass(frozen=True)
class Method:
    """A complete ECG classifier, as data."""

    name: str  # the word on the command line and in ``config.json``
    # JSON values that rebuild this method: ``builders[name](**settings, diagnoses=diagnoses)``.
    settings: Mapping[str, Any]
    diagnoses: Diagnoses  # the set of diagnoses; its classes are the network's outputs
    build_network: Callable[[], nn.Module]  # ``() -> nn.Module``, a fresh one at each call
    forward: Callable[[nn.Module, Batch], Tensor]  # ``(network, batch) -> logits``, (n_items, n_classes)
    input: Input
    training: Training
    decision: Decision
    # ``(networks) -> (method, networks)``: the part that sees the signal alone, if another part decides too; for
    # explanations.
    signal_part: Callable[[Sequence[nn.Module]], tuple[Method, list[nn.Module]]] | None = None
    # Those that a recording must have, the others are not looked at; None where any will do, see `reduced_leads`.
    leads: tuple[str, ...] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The codes of the network's outputs, in their order."""
        return self.diagnoses.classes


def as_scored(codes: tuple[str, ...], signal: Floats32, diagnoses: Diagnoses = CHALLENGE_2020) -> Floats32:
    """Targets that are the diagnoses of the set and nothing else, for `Training.make_targets`.

    NaN in the parts of the set that a recording has no code of.
    """
    labels = encode_labels([codes], diagnoses.classes, diagnoses)[0]
    parts = np.array([row.part for row in diagnoses.rows])
    return np.where(np.isin(parts, ["", *parts[labels]]), labels, np.nan).astype(np.float32)


def has_scored_class(labels: Bools, seconds: float) -> bool:
    """Recordings with at least one scored diagnosis take part, for `Training.use_for_training`."""
    return bool(labels.any())


def mean_of_windows(probabilities: Floats) -> Floats:
    """A recording's probabilities from its windows', (n_windows, n_classes) to (n_classes,), for `Decision.merge`."""
    mean: Floats = probabilities.mean(axis=0)
    return mean


def demographic_features(examination: Examination, age_mask: bool = True) -> Floats32:
    """Age and sex as numbers (Zhao et al. 2020, section 2.2), for `Input.features`.

    `age_mask`: whether the second number says if the age is known. Returns (5,), float32: age in centuries (0 if
    unknown), age known, female, male, sex known.
    """
    # Corrected: the paper has a mask for age as well as for sex, the published code never sets it. Networks trained by
    # that code expect 0 there: build them with age_mask=False.
    person = examination.recording
    known = bool(np.isfinite(person.age))
    female, male = person.sex == "Female", person.sex == "Male"
    age = person.age / 100 if known else 0.0
    return np.array([age, known and age_mask, female, male, female or male], dtype=np.float32)


MethodBuilder = Callable[..., Method]
"""Builds a method from its settings and `diagnoses`; a registry maps names to builders."""


def build_method(text: str, builders: Mapping[str, MethodBuilder], diagnoses: Diagnoses = CHALLENGE_2020) -> Method:
    """A method from ``name`` or ``name:setting=value,...`` as on a command line.

    `text`: values are JSON (``12``, ``false``); text needs no quotes. `diagnoses`: the set that it is built for. Raises
    ValueError if there is no such method or setting, or a value is not of the kind of the setting's default.
    """
    name, _, rest = text.partition(":")
    if name not in builders:
        raise ValueError(f"method {text}: expected one of {', '.join(builders)}, found {name!r}")
    known = {key: value for key, value in inspect.signature(builders[name]).parameters.items() if key != "diagnoses"}
    settings: dict[str, Any] = {}
    for pair in filter(None, rest.split(",")):
        key, _, value = pair.partition("=")
        if key not in known:
            wanted = f"settings out of {', '.join(known)}" if known else "no settings"
            raise ValueError(f"method {text}: expected {wanted}, found {key!r}")
        kind = type(known[key].default)
        try:
            settings[key] = value if kind is str else json.loads(value)
        except json.JSONDecodeError:
            settings[key] = value
        if type(settings[key]) is not kind:
            expected = "true or false" if kind is bool else f"a value of type {kind.__name__}"
            raise ValueError(f"method {text}: expected {expected} for {key}, found {value!r}")
    return call_builder(builders[name], settings, diagnoses)


def call_builder(builder: MethodBuilder, settings: Mapping[str, Any], diagnoses: Diagnoses) -> Method:
    """The method; a builder for the Challenge 2020 alone need not take `diagnoses`."""
    return builder(**settings, **({} if diagnoses == CHALLENGE_2020 else {"diagnoses": diagnoses}))
